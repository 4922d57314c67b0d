#include "engine/core/keys.h"

#include "engine/core/decision.h"
#include "engine/core/state_inner.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <string.h>

const struct idempotency_key *keys_find(const struct state *state, struct bytes_view text) {
    const struct idempotency_key *key = text.size == 0 ? NULL : state_key(state, text);
    return key == NULL || key->entity.deleted ? NULL : key;
}

bool keys_decide(const struct state *state, const struct command *command,
                 struct decision *decision) {
    const struct idempotency_key *key = keys_find(state, command->key);
    if (key == NULL)
        return false;
    if (memcmp(key->body_hash, command->body_hash, sizeof key->body_hash) != 0) {
        decision_fail(decision, WF_CONFLICT,
                      "the idempotency key \"%.*s\" was used in record %" PRIu64
                      " for another command; take a new key for a new command",
                      TEXT_ARGS(command->key), key->link.lsn);
        return true;
    }
    decision->repeated = true;
    decision->first = key->link;
    return true;
}

static enum wf_status reserve_entry(struct state *state, const struct record *record,
                                    struct wf_error *err) {
    /* A key that was forgotten may have left its tombstone: the entry is used again. */
    const struct idempotency_key *known = state_key(state, record->key);
    if (known != NULL && !known->entity.deleted &&
        known->sequence >= state->store.key_first + record->keys_forgotten && !state->after_loss)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " uses the idempotency key of record %" PRIu64 " again",
                         record->lsn, known->link.lsn);
    if (known == NULL) {
        state->reserved.new_key = state_create_key(record->key);
        if (state->reserved.new_key == NULL)
            return error_set(err, WF_NO_MEMORY, "no memory for an idempotency key");
    }
    if (!table_reserve(&state->keys) || !table_reserve(&state->key_order))
        return error_set(err, WF_NO_MEMORY, "no memory for the table of idempotency keys");
    return WF_OK;
}

enum wf_status keys_reserve(struct state *state, const struct record *record,
                            struct wf_error *err) {
    const struct store_entity *store = &state->store;
    uint64_t live = store->key_next - store->key_first;
    if (record->keys_forgotten > live && !state->after_loss)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " forgets %" PRIu64 " idempotency keys of %" PRIu64,
                         record->lsn, record->keys_forgotten, live);
    for (uint64_t i = 0; i < record->keys_forgotten && i < live; i++)
        if (state_key_at(state, store->key_first + i) == NULL)
            return error_set(err, WF_DAMAGE,
                             "idempotency key number %" PRIu64 ", which record %" PRIu64
                             " forgets, is missing",
                             store->key_first + i, record->lsn);
    return record->key.size > 0 ? reserve_entry(state, record, err) : WF_OK;
}

static void forget_oldest(struct state *state, uint64_t lsn) {
    uint64_t sequence = state->store.key_first++;
    struct idempotency_key *key = table_remove(&state->key_order, &sequence, sizeof sequence);
    state_touch(state, &key->entity, lsn);
    key->entity.deleted = true;
}

void keys_apply(struct state *state, const struct record *record) {
    struct store_entity *store = &state->store;
    for (uint64_t i = 0; i < record->keys_forgotten && store->key_first < store->key_next; i++)
        forget_oldest(state, record->lsn);
    if (record->key.size == 0)
        return;
    struct idempotency_key *key = state->reserved.new_key;
    state->reserved.new_key = NULL;
    if (key != NULL) {
        table_insert(&state->keys, key);
        state_adopt(state, &key->entity);
    } else {
        key = state_key(state, record->key);
        if (!key->entity.deleted) /* only after a loss: the first outcome stays */
            return;
    }
    state_touch(state, &key->entity, record->lsn);
    key->entity.deleted = false;
    key->link = (struct record_link){record->lsn, record->offset};
    key->sequence = store->key_next++;
    memcpy(key->body_hash, record->body_hash, sizeof key->body_hash);
    table_insert(&state->key_order, key);
}
