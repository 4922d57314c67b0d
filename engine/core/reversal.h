/* That a transaction was reversed, and by which record: so that it is reversed once. One for each,
 * for ever, in the snapshot under the LSN. What a reversal posts is ledger.h's matter. */
#ifndef CORE_REVERSAL_H
#define CORE_REVERSAL_H

#include "engine/core/state.h"

struct reversal {
    struct entity entity;
    uint64_t lsn;  /* of the record that reverses it */
    uint8_t of[8]; /* LSN of the transaction, big-endian: its key */
};

/* Its key; `key` is 8 bytes. */
struct bytes_view reversal_key(uint64_t of_lsn, uint8_t key[8]);
/* NULL: not in memory. */
struct reversal *state_reversal(const struct state *state, uint64_t of_lsn);
/* Set aside for reversal_apply(). WF_NO_MEMORY, WF_DAMAGE. */
enum wf_status reversal_reserve(struct state *state, const struct record *record,
                                const struct event *event, struct wf_error *err);
void reversal_apply(struct state *state, const struct record *record);
void reversal_encode(const struct reversal *reversal, struct bytes_buffer *value);
enum wf_status reversal_load(struct state *state, struct bytes_view key,
                             struct bytes_reader *reader, struct entity **out,
                             struct wf_error *err);

#endif
