/* What `account check` knows of reversals, of the money of stages, and of what repairs took. */
#ifndef ENGINE_ACCOUNT_CHECK_H
#define ENGINE_ACCOUNT_CHECK_H

#include "engine/engine.h"

struct record_reader;

/* Records that repairs took. Begin with zeros. */
struct lost_range;
struct account_losses {
    struct lost_range *ranges;
    size_t count, capacity;
    uint64_t untold; /* no record of a repair has told of so many yet: what stands behind them was
                        written before the repair, on balances that still had what is lost */
};
void account_losses_deinit(struct account_losses *losses);
/* The next lost record. WF_NO_MEMORY. */
enum wf_status account_losses_add(struct account_losses *losses, uint64_t lsn,
                                  struct wf_error *err);
bool account_losses_have(const struct account_losses *losses, uint64_t lsn);
/* The next record that stands. */
void account_losses_see(struct account_losses *losses, const struct record *record);

/* The records that postings of this one say they reverse, each once: start with `*at` 0; 0 at the
 * end. */
uint64_t account_check_next_reversed(const struct record *record, size_t *at);
/* Do the postings of `record` that reverse the record `lsn` put back what that put on each account?
 * WF_DIVERGENCE: `err` names the first that differs. WF_OK too where that record is not here. */
enum wf_status account_check_reversal(struct record_reader *reader, const struct record *record,
                                      uint64_t lsn, struct wf_error *err);

/* `stages`: what is bound to stages, by workflow. */
void account_check_stages_init(struct table *stages);
void account_check_stages_deinit(struct table *stages);
/* Of the workflows of a state that a walk begins with. WF_NO_MEMORY. */
enum wf_status account_check_stages_begin(struct table *stages, const struct state *state,
                                          struct wf_error *err);
/* The next record: does what was bound to each stage that it undoes go back in it? WF_DIVERGENCE:
 * `err` names workflow, stage and the record of the money. Uses up what `reader` has. */
enum wf_status account_check_stages(struct table *stages, struct record_reader *reader,
                                    const struct record *record, struct wf_error *err);

#endif
