/* Entities in and out of memory: filled on demand from the snapshot, bounded by options.memory_max.
 * What changed since the last snapshot is pinned; clean entities leave, least recently used first.
 */
#include "engine/engine.h"

#include "engine/core/ineffective.h"
#include "engine/core/reversal.h"

#include <inttypes.h>
#include <string.h>

enum {
    TRIM_EVERY_LOADS = 4096, /* how often the snapshot's resident pages are given back */
    /* Of the bound this part is kept for a checkpoint's buffers and for what changes while it runs,
     * for nothing can be evicted then. */
    CHECKPOINT_SHARE = 8,
    /* When this part of it has changed, a checkpoint begins. The buffers of the snapshot store,
     * about as large, come on top of the bound. */
    CHANGED_SHARE = 12,
};

static struct entity *find_in_memory(const struct state *state, enum entity_kind kind,
                                     struct bytes_view name) {
    switch (kind) {
    case ENTITY_WORKFLOW: {
        struct workflow *workflow = table_find_cold(&state->workflows, name.data, name.size);
        if (workflow == NULL) {
            return NULL;
        }
        __builtin_prefetch(workflow->data, 1);
        return &workflow->entity;
    }
    case ENTITY_KEY: {
        struct idempotency_key *key = state_key(state, name);
        return key == NULL ? NULL : &key->entity;
    }
    case ENTITY_ACCOUNT: {
        struct account *account = table_find_cold(&state->accounts, name.data, name.size);
        return account == NULL ? NULL : &account->entity;
    }
    case ENTITY_REVERSAL: {
        struct reversal *reversal = table_find(&state->reversals, name.data, name.size);
        return reversal == NULL ? NULL : &reversal->entity;
    }
    case ENTITY_INEFFECTIVE: {
        struct ineffective *record = table_find(&state->ineffective, name.data, name.size);
        return record == NULL ? NULL : &record->entity;
    }
    case ENTITY_STORE:
    case ENTITY_DEFINITION:
    case ENTITY_INTERNAL_ACCOUNT:
    case ENTITY_REFERENCE:
        break; /* always in memory */
    }
    return NULL;
}

enum wf_status cache_adopt(struct wf_engine *engine, struct bytes_view key, struct bytes_view value,
                           struct wf_error *err) {
    struct entity *entity = NULL;
    if (value.size < sizeof(entity->digest)) {
        return error_set(err, WF_DAMAGE, "snapshot: a value of %zu bytes", value.size);
    }
    struct bytes_view image = {value.data + sizeof(entity->digest),
                               value.size - sizeof(entity->digest)};
    enum wf_status status = entity_decode(&engine->state, key, image, &entity, err);
    if (status != WF_OK) {
        return error_wrap(err, status, "snapshot");
    }
    memcpy(entity->digest, value.data, sizeof(entity->digest));
    entity->digest_counted = true;
    engine->counters.loads++;
    if (engine->snapshot != NULL && ++engine->loads_since_trim >= TRIM_EVERY_LOADS) {
        engine->loads_since_trim = 0;
        engine->snapshot->ops->trim(engine->snapshot);
    }
    return WF_OK;
}

enum wf_status cache_load(struct wf_engine *engine, enum entity_kind kind, struct bytes_view name,
                          struct wf_error *err) {
    struct entity *entity = find_in_memory(&engine->state, kind, name);
    if (entity != NULL) {
        state_used(&engine->state, entity);
        return WF_OK;
    }
    if (engine->snapshot == NULL || engine->snapshot_lsn == 0 || name.size == 0 ||
        name.size > COMMAND_ID_MAX) {
        return WF_OK;
    }
    bytes_buffer_clear(&engine->scratch);
    entity_key(kind, name, &engine->scratch);
    if (!bytes_buffer_ok(&engine->scratch)) {
        return error_set(err, WF_NO_MEMORY, "no memory for a key");
    }
    struct bytes_view key = {engine->scratch.data, engine->scratch.size};
    struct bytes_view value;
    /* Absence is the ordinary case for something new: no words are made for it. */
    enum wf_status status = engine->snapshot->ops->get(engine->snapshot, key, &value, NULL);
    if (status == WF_NOT_FOUND) {
        return WF_OK;
    }
    if (status != WF_OK) {
        status = engine->snapshot->ops->get(engine->snapshot, key, &value, err);
    }
    if (status != WF_OK) {
        return error_wrap(err, status, "snapshot");
    }
    return cache_adopt(engine, key, value, err);
}

enum wf_status cache_load_oldest_keys(struct wf_engine *engine, uint64_t count,
                                      struct wf_error *err) {
    const struct store_entity *store = &engine->state.store;
    for (uint64_t i = 0; i < count && store->key_first + i < store->key_next; i++) {
        uint64_t sequence = store->key_first + i;
        if (state_key_at(&engine->state, sequence) != NULL || engine->snapshot == NULL) {
            continue;
        }
        uint8_t order[8];
        checkpoint_key_order(sequence, order);
        struct bytes_view key = {order, sizeof(order)};
        bytes_buffer_clear(&engine->scratch);
        bytes_write_u8(&engine->scratch, CHECKPOINT_KEY_ORDER);
        bytes_write_run(&engine->scratch, key.data, key.size);
        if (!bytes_buffer_ok(&engine->scratch)) {
            return error_set(err, WF_NO_MEMORY, "no memory for a key");
        }
        key = (struct bytes_view){engine->scratch.data, engine->scratch.size};
        struct bytes_view value;
        enum wf_status status = engine->snapshot->ops->get(engine->snapshot, key, &value, err);
        if (status != WF_OK) {
            return error_wrap(err, status == WF_NOT_FOUND ? WF_DAMAGE : status,
                              "snapshot: idempotency key number %" PRIu64, sequence);
        }
        uint8_t text[COMMAND_ID_MAX];
        if (value.size == 0 || value.size > sizeof(text)) {
            return error_set(err, WF_DAMAGE, "snapshot: idempotency key number %" PRIu64, sequence);
        }
        memcpy(text, value.data, value.size); /* the view dies with the next call */
        status = cache_load(engine, ENTITY_KEY, (struct bytes_view){text, value.size}, err);
        if (status != WF_OK) {
            return status;
        }
    }
    return WF_OK;
}

uint64_t cache_memory(const struct wf_engine *engine) {
    const struct state *state = &engine->state;
    return state->changed.bytes + state->frozen.bytes + state->clean.bytes +
           table_memory(&state->workflows) + table_memory(&state->accounts) +
           table_memory(&state->keys) + table_memory(&state->key_order) +
           timers_memory(&state->timers) + timers_memory(&state->tasks) +
           timers_memory(&state->holds) + engine->checkpoint.bytes;
}

bool cache_is_full(const struct wf_engine *engine) {
    uint64_t bound = engine->options.memory_max;
    return cache_memory(engine) > bound - bound / CHECKPOINT_SHARE;
}

void cache_trim(struct wf_engine *engine) {
    struct state *state = &engine->state;
    /* While a checkpoint is under way the clean ones may not be in a durable snapshot yet. */
    if (engine->checkpoint.running) {
        return;
    }
    size_t looked_at = 0;
    size_t most = state->clean.count;
    while (looked_at++ < most && cache_is_full(engine)) {
        struct entity *entity = state->clean.first;
        due_evicted(engine, entity);
        state_evict(state, entity);
        engine->counters.evictions++;
    }
}

bool cache_wants_checkpoint(const struct wf_engine *engine) {
    uint64_t changed = engine->state.changed.bytes;
    return changed > engine->options.memory_max / CHANGED_SHARE;
}
