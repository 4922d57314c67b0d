/* What a command came to, in the words of struct wf_result. Strings belong to definitions, which
 * live as long as the engine. */
#ifndef ENGINE_RESULT_H
#define ENGINE_RESULT_H

#include "engine/engine.h"

void result_clear(struct wf_result *result);
/* Copies what is in use: most of the struct is the list of activated stages. */
void result_copy(struct wf_result *to, const struct wf_result *from);
/* What an account came to: `units` of its currency. The number has at most WF_ACCOUNT_MAX bytes. */
void result_set_balance(struct wf_balance *balance, struct bytes_view number,
                        const struct currency *currency, int64_t units);
/* Outcome and activated stages, before the record is applied. `workflow`: its subject, as it was
 * before it; NULL: it has none, or there was none. */
void result_from_events(const struct state *state, const struct workflow *workflow,
                        const struct record *record, struct wf_result *result);
/* LSN, and where the workflow stands, after it was applied; `workflow` as above. */
void result_from_state(const struct state *state, const struct workflow *workflow,
                       const struct record *record, struct wf_result *result);
/* The answer that the command of this record got when it was first given: pending->status, text and
 * result. Of an `ineffective` record, which a repair left without effect, a success is refused:
 * nothing of it is in force. */
enum wf_status result_of_record(struct wf_engine *engine, const struct record *record,
                                bool ineffective, struct wf_pending *pending, struct wf_error *err);

#endif
