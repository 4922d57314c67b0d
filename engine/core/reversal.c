#include "engine/core/reversal.h"

#include "engine/core/state_inner.h"

#include <inttypes.h>
#include <stdlib.h>

enum { MALLOC_OVERHEAD = 16 };

struct bytes_view reversal_key(uint64_t of_lsn, uint8_t key[8]) {
    for (int i = 8; i-- > 0; of_lsn >>= 8)
        key[i] = (uint8_t)of_lsn;
    return (struct bytes_view){key, 8};
}

struct reversal *state_reversal(const struct state *state, uint64_t of_lsn) {
    uint8_t key[8];
    (void)reversal_key(of_lsn, key);
    return table_find(&state->reversals, key, sizeof key);
}

static struct reversal *create(struct bytes_view key) {
    struct reversal *reversal = calloc(1, sizeof *reversal);
    if (reversal == NULL)
        return NULL;
    reversal->entity.kind = ENTITY_REVERSAL;
    reversal->entity.bytes = sizeof *reversal + MALLOC_OVERHEAD;
    memcpy(reversal->of, key.data, sizeof reversal->of);
    return reversal;
}

enum wf_status reversal_reserve(struct state *state, const struct record *record,
                                const struct event *event, struct wf_error *err) {
    uint64_t of_lsn = event->as.transaction_reversed.lsn;
    uint8_t key[8];
    if (state->without_accounts)
        return WF_OK;
    if (of_lsn == 0 || of_lsn >= record->lsn || state_reversal(state, of_lsn) != NULL ||
        state->reserved.reversal != NULL)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " reverses record %" PRIu64
                         ", which it cannot, or a second time",
                         record->lsn, of_lsn);
    state->reserved.reversal = create(reversal_key(of_lsn, key));
    return state->reserved.reversal != NULL && table_reserve(&state->reversals)
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "no memory for a reversal");
}

void reversal_apply(struct state *state, const struct record *record) {
    struct reversal *reversal = state->reserved.reversal;
    if (reversal == NULL)
        return;
    state->reserved.reversal = NULL;
    reversal->lsn = record->lsn;
    table_insert(&state->reversals, reversal);
    state_adopt(state, &reversal->entity);
    state_touch(state, &reversal->entity, record->lsn);
}

void reversal_encode(const struct reversal *reversal, struct bytes_buffer *value) {
    bytes_write_varint(value, reversal->lsn);
}

enum wf_status reversal_load(struct state *state, struct bytes_view key,
                             struct bytes_reader *reader, struct entity **out,
                             struct wf_error *err) {
    uint64_t lsn = bytes_read_varint(reader);
    if (key.size != 8 || !bytes_reader_done(reader) || lsn == 0 ||
        table_find(&state->reversals, key.data, key.size) != NULL)
        return error_set(err, WF_DAMAGE, "a reversal is malformed or there twice");
    struct reversal *reversal = create(key);
    if (reversal == NULL || !table_reserve(&state->reversals)) {
        free(reversal);
        return error_set(err, WF_NO_MEMORY, "no memory for a reversal");
    }
    reversal->lsn = lsn;
    reversal->entity.changed_lsn = lsn;
    table_insert(&state->reversals, reversal);
    state_adopt(state, &reversal->entity);
    *out = &reversal->entity;
    return WF_OK;
}
