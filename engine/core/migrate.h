/* A running workflow goes over to another version of its definition: stages and steps are mapped by
 * name, or as the command says, and everything that holds must hold there too. */
#ifndef CORE_MIGRATE_H
#define CORE_MIGRATE_H

#include "engine/core/decide.h"

enum { MIGRATE_TIMES_MAX = 255 }; /* migrations of one workflow */

void migrate_decide(const struct state *state, const struct command *command,
                    struct decision *decision);
/* For EVENT_WORKFLOW_MIGRATED: makes the workflow anew; the events after it name what the new
 * version has. WF_NO_MEMORY, WF_DAMAGE. */
enum wf_status migrate_reserve(struct state *state, const struct record *record,
                               const struct event *event, struct wf_error *err);
void migrate_apply(struct state *state, const struct record *record, const struct event *event);

#endif
