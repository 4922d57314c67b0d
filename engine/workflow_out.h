/* The core's workflow made into the host's: a copy of its own, in one allocation. */
#ifndef ENGINE_WORKFLOW_OUT_H
#define ENGINE_WORKFLOW_OUT_H

#include "engine/core/state.h"
#include "engine/wf.h"

/* The caller frees with wf_workflow_free(). WF_NO_MEMORY. */
enum wf_status workflow_out_make(const struct workflow *workflow, struct wf_workflow **out,
                                 struct wf_error *err);

#endif
