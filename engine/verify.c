/* Replay and compare: the state rebuilt from the first record against the state that is kept. */
#include "engine/engine.h"

#include "engine/core/ineffective.h"
#include "engine/core/reversal.h"

#include "engine/core/reference.h"
#include "engine/origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DESCRIPTION_MAX = 300 };

/* --- naming the first difference --- */

static void describe(const struct entity *entity, char text[DESCRIPTION_MAX]) {
    if (entity == NULL || entity->deleted) {
        (void)snprintf(text, DESCRIPTION_MAX, "nothing");
        return;
    }
    switch (entity->kind) {
    case ENTITY_WORKFLOW: {
        const struct workflow *workflow = (const struct workflow *)entity;
        int stage = workflow_current_stage(workflow);
        (void)snprintf(text, DESCRIPTION_MAX,
                       "%s at %s, %u steps, %u bytes of data, changed at LSN %" PRIu64,
                       workflow_status_name(workflow->status),
                       stage < 0 ? "no stage" : workflow->definition->stages[stage].name,
                       workflow->step_count, workflow->data_size, workflow->lsn);
        return;
    }
    case ENTITY_KEY:
        (void)snprintf(text, DESCRIPTION_MAX, "first used at LSN %" PRIu64,
                       ((const struct idempotency_key *)entity)->link.lsn);
        return;
    case ENTITY_DEFINITION:
        (void)snprintf(text, DESCRIPTION_MAX, "added at LSN %" PRIu64,
                       ((const struct definition_entity *)entity)->added_lsn);
        return;
    case ENTITY_STORE: {
        const struct store_entity *store = (const struct store_entity *)entity;
        (void)snprintf(text, DESCRIPTION_MAX,
                       "clock %" PRId64 " ms, seen %" PRId64 " ms, keys %" PRIu64 " to %" PRIu64,
                       store->clock_ms, store->seen_ms, store->key_first, store->key_next);
        return;
    }
    case ENTITY_ACCOUNT:
    case ENTITY_INTERNAL_ACCOUNT: {
        const struct account *account = (const struct account *)entity;
        char balance[MONEY_TEXT_SIZE];
        (void)snprintf(text, DESCRIPTION_MAX,
                       "%s, %s %s, %zu holds, version %" PRIu64 ", changed at LSN %" PRIu64,
                       account_status_name(account->status),
                       money_print(balance, account->balance, account->currency),
                       account->currency->code, account->hold_count, account->version,
                       account->lsn);
        return;
    }
    case ENTITY_REVERSAL:
        (void)snprintf(text, DESCRIPTION_MAX, "reversed by LSN %" PRIu64,
                       ((const struct reversal *)entity)->lsn);
        return;
    case ENTITY_INEFFECTIVE:
        (void)snprintf(text, DESCRIPTION_MAX, "left without effect by a repair");
        return;
    case ENTITY_REFERENCE:
        (void)snprintf(text, DESCRIPTION_MAX, "set at LSN %" PRIu64,
                       ((const struct reference *)entity)->lsn);
        return;
    }
}

static uint64_t reversed_lsn(const struct entity *entity) {
    const struct reversal *reversal = (const struct reversal *)entity;
    uint64_t lsn = 0;
    for (size_t i = 0; i < sizeof(reversal->of); i++) {
        lsn = lsn << 8 | reversal->of[i];
    }
    return lsn;
}

static void name_entity(const struct entity *entity, char text[DESCRIPTION_MAX]) {
    switch (entity->kind) {
    case ENTITY_WORKFLOW:
        (void)snprintf(text, DESCRIPTION_MAX, "workflow \"%s\"",
                       ((const struct workflow *)entity)->id);
        return;
    case ENTITY_KEY: {
        const struct idempotency_key *key = (const struct idempotency_key *)entity;
        (void)snprintf(text, DESCRIPTION_MAX, "idempotency key \"%.*s\"", (int)key->size,
                       key->text);
        return;
    }
    case ENTITY_DEFINITION:
        (void)snprintf(text, DESCRIPTION_MAX, "definition %s",
                       ((const struct definition_entity *)entity)->key);
        return;
    case ENTITY_STORE:
        (void)snprintf(text, DESCRIPTION_MAX, "the store's clock and counters");
        return;
    case ENTITY_ACCOUNT:
    case ENTITY_INTERNAL_ACCOUNT:
        (void)snprintf(text, DESCRIPTION_MAX, "account \"%s\"",
                       ((const struct account *)entity)->number);
        return;
    case ENTITY_REVERSAL:
        (void)snprintf(text, DESCRIPTION_MAX, "reversal of LSN %" PRIu64, reversed_lsn(entity));
        return;
    case ENTITY_INEFFECTIVE:
        (void)snprintf(text, DESCRIPTION_MAX, "record %" PRIu64,
                       ineffective_lsn((const struct ineffective *)entity));
        return;
    case ENTITY_REFERENCE: {
        const struct reference *reference = (const struct reference *)entity;
        (void)snprintf(text, DESCRIPTION_MAX, "%.*s", (int)reference->key_size, reference->key);
        return;
    }
    }
}

/* The kept counterpart of a rebuilt entity; NULL: there is none. The mutex is held. */
static enum wf_status find_kept(struct wf_engine *engine, const struct entity *rebuilt,
                                struct entity **kept, struct wf_error *err) {
    *kept = NULL;
    enum wf_status status = WF_OK;
    switch (rebuilt->kind) {
    case ENTITY_STORE:
        *kept = &engine->state.store.entity;
        return WF_OK;
    case ENTITY_DEFINITION: {
        const struct definition *definition =
            ((const struct definition_entity *)rebuilt)->definition;
        *kept = (struct entity *)state_definition(&engine->state, text_view(definition->name),
                                                  definition->version);
        return WF_OK;
    }
    case ENTITY_WORKFLOW: {
        const struct workflow *workflow = (const struct workflow *)rebuilt;
        struct bytes_view id = {(const uint8_t *)workflow->id, workflow->id_size};
        status = cache_load(engine, ENTITY_WORKFLOW, id, err);
        *kept = (struct entity *)state_workflow(&engine->state, id);
        return status;
    }
    case ENTITY_KEY: {
        const struct idempotency_key *key = (const struct idempotency_key *)rebuilt;
        struct bytes_view text = {(const uint8_t *)key->text, key->size};
        status = cache_load(engine, ENTITY_KEY, text, err);
        *kept = (struct entity *)state_key(&engine->state, text);
        return status;
    }
    case ENTITY_ACCOUNT:
    case ENTITY_INTERNAL_ACCOUNT: {
        const struct account *account = (const struct account *)rebuilt;
        struct bytes_view number = {(const uint8_t *)account->number, account->number_size};
        if (rebuilt->kind == ENTITY_ACCOUNT) {
            status = cache_load(engine, ENTITY_ACCOUNT, number, err);
        }
        *kept = (struct entity *)state_account(&engine->state, number);
        return status;
    }
    case ENTITY_REVERSAL: {
        const struct reversal *reversal = (const struct reversal *)rebuilt;
        struct bytes_view of = {reversal->of, sizeof(reversal->of)};
        status = cache_load(engine, ENTITY_REVERSAL, of, err);
        *kept = (struct entity *)state_reversal(&engine->state, reversed_lsn(rebuilt));
        return status;
    }
    case ENTITY_INEFFECTIVE: {
        const struct ineffective *record = (const struct ineffective *)rebuilt;
        struct bytes_view lsn = {record->lsn, sizeof(record->lsn)};
        status = cache_load(engine, ENTITY_INEFFECTIVE, lsn, err);
        *kept = (struct entity *)state_ineffective(&engine->state, ineffective_lsn(record));
        return status;
    }
    case ENTITY_REFERENCE: {
        const struct reference *reference = (const struct reference *)rebuilt;
        *kept = (struct entity *)state_reference(&engine->state, reference->kind, reference->name);
        return WF_OK;
    }
    }
    return status;
}

static enum wf_status compare(const struct entity *a, const struct entity *b,
                              struct bytes_buffer *left, struct bytes_buffer *right, bool *same,
                              struct wf_error *err) {
    bool a_is = a != NULL && !a->deleted;
    bool b_is = b != NULL && !b->deleted;
    *same = a_is == b_is;
    if (!a_is || !b_is) {
        return WF_OK;
    }
    if (!entity_same(a, b, left, right, same)) {
        return error_set(err, WF_NO_MEMORY, "no memory to compare the states");
    }
    return WF_OK;
}

/* The first, by LSN, of the rebuilt entities that the kept state has otherwise. */
static enum wf_status first_difference(struct wf_engine *engine, const struct state *rebuilt,
                                       const struct entity **first, struct wf_error *err) {
    struct bytes_buffer left;
    struct bytes_buffer right;
    bytes_buffer_init(&left);
    bytes_buffer_init(&right);
    *first = NULL;
    enum wf_status status = WF_OK;
    const struct entity *entity = rebuilt->changed.first;
    for (size_t i = 0; status == WF_OK && i < rebuilt->changed.count; i++) {
        struct entity *kept = NULL;
        bool same = true;
        status = find_kept(engine, entity, &kept, err);
        if (status == WF_OK) {
            status = compare(entity, kept, &left, &right, &same, err);
        }
        if (status == WF_OK && !same &&
            (*first == NULL || entity->changed_lsn < (*first)->changed_lsn)) {
            *first = entity;
        }
        entity = entity->next;
    }
    bytes_buffer_deinit(&left);
    bytes_buffer_deinit(&right);
    return status;
}

static enum wf_status report_difference(struct wf_engine *engine, const struct state *rebuilt,
                                        const char *expected, const char *kept_hash,
                                        struct wf_error *err) {
    const struct entity *first = NULL;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = first_difference(engine, rebuilt, &first, err);
    if (status == WF_OK && first != NULL) {
        struct entity *kept = NULL;
        status = find_kept(engine, first, &kept, err);
        char name[DESCRIPTION_MAX];
        char there[DESCRIPTION_MAX];
        char here[DESCRIPTION_MAX];
        name_entity(first, name);
        describe(first, there);
        describe(kept, here);
        if (status == WF_OK) {
            status = error_set(err, WF_DIVERGENCE,
                               "first divergence at LSN %" PRIu64
                               ": %s: the log says: %s; the store holds: %s",
                               first->changed_lsn, name, there, here);
        }
    } else if (status == WF_OK) {
        status = error_set(err, WF_DIVERGENCE,
                           "the store holds entries that the log knows nothing of: state hash %s, "
                           "by the log %s",
                           kept_hash, expected);
    }
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

/* --- the snapshot's values --- */

/* The state hash is a sum of digests that stand beside the values: are they theirs? */
struct value_walk {
    struct state state; /* definitions, which workflows are decoded with */
    struct bytes_buffer encoded;
};

static enum wf_status check_digest(struct value_walk *walk, const struct entity *entity,
                                   struct bytes_view key, const uint8_t expected[16],
                                   struct wf_error *err) {
    uint8_t digest[16];
    size_t hashed = 0;
    bytes_buffer_clear(&walk->encoded);
    entity_encode(entity, &walk->encoded, &hashed);
    if (!bytes_buffer_ok(&walk->encoded)) {
        return error_set(err, WF_NO_MEMORY, "no memory to verify the snapshot");
    }
    digest_entity(key, (struct bytes_view){walk->encoded.data, hashed}, digest);
    if (memcmp(digest, expected, sizeof(digest)) == 0) {
        return WF_OK;
    }
    char name[DESCRIPTION_MAX];
    char here[DESCRIPTION_MAX];
    name_entity(entity, name);
    describe(entity, here);
    return error_set(err, WF_DIVERGENCE,
                     "divergence at LSN %" PRIu64
                     ": %s: the store holds: %s, which is not what the state hash counts",
                     entity->changed_lsn, name, here);
}

static enum wf_status check_value(void *ctx, struct bytes_view key, struct bytes_view value,
                                  struct wf_error *err) {
    struct value_walk *walk = ctx;
    struct entity *entity = NULL;
    enum { DIGEST = sizeof(entity->digest) };
    if (key.size > 0 && key.data[0] >= CHECKPOINT_KEY_ORDER) {
        return WF_OK;
    }
    if (value.size < DIGEST) {
        return error_set(err, WF_DAMAGE, "snapshot: a value of %zu bytes", value.size);
    }
    struct bytes_view image = {value.data + DIGEST, value.size - DIGEST};
    enum wf_status status = entity_decode(&walk->state, key, image, &entity, err);
    if (status != WF_OK) {
        return error_wrap(err, status, "snapshot");
    }
    status = check_digest(walk, entity, key, value.data, err);
    if (entity->kind == ENTITY_WORKFLOW || entity->kind == ENTITY_KEY ||
        entity->kind == ENTITY_ACCOUNT || entity->kind == ENTITY_REVERSAL ||
        entity->kind == ENTITY_INEFFECTIVE) {
        state_evict(&walk->state, entity);
    }
    return status;
}

static enum wf_status check_snapshot(struct wf_engine *engine, struct wf_error *err) {
    static const struct bytes_view everything = {(const uint8_t *)"", 0};
    struct value_walk walk;
    enum wf_status status = state_init(&walk.state, err);
    if (status != WF_OK) {
        return status;
    }
    bytes_buffer_init(&walk.encoded);
    pthread_mutex_lock(&engine->mutex);
    if (engine->snapshot != NULL && engine->snapshot_lsn > 0) {
        status = engine->snapshot->ops->walk(engine->snapshot, everything, everything, check_value,
                                             &walk, err);
    }
    pthread_mutex_unlock(&engine->mutex);
    bytes_buffer_deinit(&walk.encoded);
    state_deinit(&walk.state);
    return status;
}

/* The kept state's hash and the record that it stands for. */
static enum wf_status kept_state(struct wf_engine *engine, uint64_t *last, char hex[65],
                                 struct wf_error *err) {
    struct digest_sum sum;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_ensure_state(engine, err);
    if (status == WF_OK) {
        status = digest_state(&engine->state, &engine->digest_sum, &sum, err);
    }
    *last = engine->last.lsn;
    struct wal_ticket ticket = engine_last_ticket(engine);
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK) {
        digest_hex(&sum, hex);
        status = engine_wait_durable(engine, &ticket, err);
    }
    return status;
}

enum wf_status wf_replay_verify(struct wf_engine *engine,
                                void (*on_progress)(void *ctx, uint64_t lsn, uint64_t last),
                                void *ctx, char state_hash[65], struct wf_error *err) {
    uint64_t last = 0;
    char kept[65] = "";
    state_hash[0] = '\0';
    enum wf_status status;
    unsigned attempts = 0;
    do {
        status = kept_state(engine, &last, kept, err);
    } while (engine_ask_again(status, &attempts));
    if (status != WF_OK) {
        return status;
    }
    struct state rebuilt;
    status = state_init(&rebuilt, err);
    if (status != WF_OK) {
        return status;
    }
    status = origin_rebuild(engine, &rebuilt, last, on_progress, ctx, err);
    if (status == WF_OK) {
        struct digest_sum sum;
        const struct digest_sum nothing = {0};
        status = digest_state(&rebuilt, &nothing, &sum, err);
        if (status == WF_OK) {
            digest_hex(&sum, state_hash);
        }
    }
    if (status == WF_OK && strcmp(kept, state_hash) != 0) {
        status = report_difference(engine, &rebuilt, state_hash, kept, err);
    }
    state_deinit(&rebuilt);
    if (status == WF_OK) {
        status = origin_check(engine, err);
    }
    return status == WF_OK ? check_snapshot(engine, err) : status;
}
