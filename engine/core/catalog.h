/* The definitions of a store: which versions there are, and how one is added. */
#ifndef CORE_CATALOG_H
#define CORE_CATALOG_H

#include "engine/core/decide.h"

void catalog_decide_add(const struct state *state, const struct command *command,
                        struct decision *decision);
/* For EVENT_DEFINITION_ADDED. WF_NO_MEMORY, WF_DAMAGE. */
enum wf_status catalog_reserve(struct state *state, const struct record *record,
                               const struct event *event, struct wf_error *err);
void catalog_apply(struct state *state, const struct record *record, struct event *event);

#endif
