/* Invariants of the whole state that is in memory: for tests, doctor and replay --verify. */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "engine/core/state.h"

/* WF_OK, or WF_DIVERGENCE with the first invariant that does not hold, naming the entity: stage
 * statuses fit the needs, completed workflows have only completed stages, counts match (where all
 * is in memory), keys are in sequence, list membership fits the generation. */
enum wf_status check_state(const struct state *state, bool whole, struct wf_error *err);
/* One workflow on its own. */
enum wf_status check_workflow(const struct workflow *workflow, struct wf_error *err);

#endif
