/* Dropping the oldest records for good: what may be dropped is decided here, and what the store
 * knows of it afterwards. The files are the shell's. */
#ifndef CORE_RETENTION_H
#define CORE_RETENTION_H

#include "engine/core/decide.h"

void retention_decide_drop(const struct state *state, const struct command *command,
                           struct decision *decision);
/* For EVENT_ARCHIVE_DROPPED. WF_DAMAGE: it drops what is not there. */
enum wf_status retention_reserve(const struct state *state, const struct record *record,
                                 const struct event *event, struct wf_error *err);
void retention_apply(struct state *state, const struct record *record, const struct event *event);

#endif
