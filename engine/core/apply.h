/* apply(record) -> the state changes. Returns nothing and cannot fail: what it needs was reserved.
 * Live commands and replay run the same function. */
#ifndef CORE_APPLY_H
#define CORE_APPLY_H

#include "engine/core/state.h"

/* Allocate all that apply() will need for this record. Changes nothing that can be seen.
 * WF_NO_MEMORY; WF_DAMAGE where the record cannot follow on this state (unknown definition, stage
 * index out of range, a workflow that is missing although no repair explains it): the text says
 * what. On replay it is called for every record. */
enum wf_status apply_reserve(struct state *state, const struct record *record,
                             struct wf_error *err);
/* Must follow a successful apply_reserve() of the same record, with nothing in between. */
void apply(struct state *state, const struct record *record);
/* Instead of apply(): the record of this LSN was lost in a repair. What rests on it is ignored from
 * here on, also in a state that begins between here and the record of the repair. */
void apply_lost(struct state *state, uint64_t lsn);
/* Instead of apply(): the record could not be logged. Must come before entities are evicted. */
void apply_discard(struct state *state);

#endif
