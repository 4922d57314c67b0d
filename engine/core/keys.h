/* The idempotency keys: the same key and body get the first outcome again, another body is a
 * conflict. */
#ifndef CORE_KEYS_H
#define CORE_KEYS_H

#include "engine/core/decide.h"

/* The key in force, as far as it is in memory; NULL: there is none, or it was forgotten. */
const struct idempotency_key *keys_find(const struct state *state, struct bytes_view text);
/* True where the key settles the command: it was used before, and `decision` says how. */
bool keys_decide(const struct state *state, const struct command *command,
                 struct decision *decision);
/* Room for the record's key, and that all keys which it forgets are in memory. WF_NO_MEMORY,
 * WF_DAMAGE. */
enum wf_status keys_reserve(struct state *state, const struct record *record, struct wf_error *err);
/* Forget the oldest, then add the record's own. */
void keys_apply(struct state *state, const struct record *record);

#endif
