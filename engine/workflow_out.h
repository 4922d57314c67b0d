/* The core's workflow made into the host's: a copy of its own, in one allocation. */
#ifndef ENGINE_WORKFLOW_OUT_H
#define ENGINE_WORKFLOW_OUT_H

#include "engine/core/state.h"
#include "engine/wf.h"

/* The caller frees with wf_workflow_free(). WF_NO_MEMORY. */
enum wf_status workflow_out_make(const struct workflow *workflow, struct wf_workflow **out,
                                 struct wf_error *err);

struct packer;
struct stage_money;
/* What was put on each account, or (`sign` -1) what moves it back. */
const struct wf_moved *workflow_out_moved(struct packer *packer, const struct stage_money *money,
                                          int sign, size_t *count);

#endif
