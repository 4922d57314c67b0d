/* What `account check` knows of reversals. */
#ifndef ENGINE_ACCOUNT_CHECK_H
#define ENGINE_ACCOUNT_CHECK_H

#include "engine/engine.h"

struct record_reader;

/* The records that postings of this one say they reverse, each once: start with `*at` 0; 0 at the
 * end. */
uint64_t account_check_next_reversed(const struct record *record, size_t *at);
/* Do the postings of `record` that reverse the record `lsn` put back what that put on each account?
 * WF_DIVERGENCE: `err` names the first that differs. WF_OK too where that record is not here. */
enum wf_status account_check_reversal(struct record_reader *reader, const struct record *record,
                                      uint64_t lsn, struct wf_error *err);

#endif
