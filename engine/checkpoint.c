/* Checkpoints: the changed entities, encoded as of one LSN, go into the snapshot in one
 * transaction.
 *
 * Commands go on meanwhile. state_freeze() marks in O(1) what belongs to the checkpoint; it is
 * encoded in slices of a few entities with the mutex released between them, and an entity that is
 * about to change before its turn is encoded right then (encode_before_change). So the image is the
 * state after exactly one record, and no command waits for more than a slice. The transaction is
 * written without the mutex. */
#include "engine/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SLICE_ENTITIES = 64,
    CHUNK_SIZE = 1024 * 1024,
    QUIET_SECONDS = 1,
    QUIET_RECORDS_MIN = 1000,
    META_VERSION = 5, /* 1: without the pairs that stand beside workflows; 2: without those of tasks
                         by time, which is as good where there are no tasks; 3: without those of
                         holds, likewise where there are no accounts; 4: without the records that
                         repairs left without effect, likewise where there was no repair */
};

struct checkpoint_chunk {
    struct checkpoint_chunk *next;
    size_t used, capacity;
    uint8_t data[];
};

void checkpoint_key_order(uint64_t sequence, uint8_t order[8]) {
    for (int i = 0; i < 8; i++) {
        order[i] = (uint8_t)(sequence >> (56 - 8 * i)); /* big-endian: byte order is number order */
    }
}

/* --- the meta record --- */

_Static_assert(SNAPSHOT_META_MAX >= sizeof(((struct wal_position *)NULL)->bytes) + 64,
               "the meta record must fit: the buffer over it cannot grow");

static void encode_meta(struct checkpoint *checkpoint, const struct digest_sum *sum) {
    struct snapshot_meta *meta = &checkpoint->meta;
    const struct wal_position *position = &checkpoint->position;
    struct bytes_buffer buffer = {.data = meta->bytes, .capacity = sizeof(meta->bytes)};
    bytes_write_u8(&buffer, META_VERSION);
    bytes_write_u64(&buffer, sum->low);
    bytes_write_u64(&buffer, sum->high);
    bytes_write_u64(&buffer, checkpoint->last.lsn);
    bytes_write_u64(&buffer, checkpoint->last.offset);
    bytes_write_varint(&buffer, position->size);
    bytes_write_run(&buffer, position->bytes, position->size);
    meta->lsn = checkpoint->last.lsn;
    meta->size = buffer.size;
}

enum wf_status checkpoint_meta_decode(const struct snapshot_meta *meta,
                                      struct wal_position *position, struct digest_sum *sum,
                                      struct record_link *last, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(meta->bytes, meta->size);
    uint8_t version = bytes_read_u8(&reader);
    sum->low = bytes_read_u64(&reader);
    sum->high = bytes_read_u64(&reader);
    last->lsn = bytes_read_u64(&reader);
    last->offset = bytes_read_u64(&reader);
    struct bytes_view run = bytes_read_string(&reader);
    bool known = version == META_VERSION || version == CHECKPOINT_META_WITHOUT_TASK_ORDER ||
                 version == CHECKPOINT_META_WITHOUT_HOLD_ORDER ||
                 version == CHECKPOINT_META_WITHOUT_INEFFECTIVE;
    if (!bytes_reader_done(&reader) || !known || run.size > sizeof(position->bytes)) {
        return error_set(err, WF_DAMAGE, "snapshot: its meta record has another format");
    }
    *position = (struct wal_position){.lsn = run.size > 0 ? meta->lsn : 0, .size = run.size};
    if (run.size > 0) {
        memcpy(position->bytes, run.data, run.size);
    }
    return WF_OK;
}

/* --- encoding --- */

static uint8_t *chunk_take(struct checkpoint *checkpoint, size_t size) {
    struct checkpoint_chunk *chunk = checkpoint->chunks;
    if (chunk == NULL || chunk->capacity - chunk->used < size) {
        size_t capacity = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = malloc(sizeof(*chunk) + capacity);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = (struct checkpoint_chunk){.next = checkpoint->chunks, .capacity = capacity};
        checkpoint->chunks = chunk;
    }
    uint8_t *at = chunk->data + chunk->used;
    chunk->used += size;
    return at;
}

static void add_change(struct checkpoint *checkpoint, struct bytes_view key,
                       struct bytes_view value) {
    if (checkpoint->change_count == checkpoint->change_capacity) {
        size_t capacity = checkpoint->change_capacity * 2 + 1024;
        struct snapshot_change *changes = realloc(checkpoint->changes, capacity * sizeof(*changes));
        if (changes == NULL) {
            checkpoint->status = WF_NO_MEMORY;
            return;
        }
        checkpoint->changes = changes;
        checkpoint->change_capacity = capacity;
    }
    uint8_t *at = chunk_take(checkpoint, key.size + value.size);
    if (at == NULL) {
        checkpoint->status = WF_NO_MEMORY;
        return;
    }
    memcpy(at, key.data, key.size);
    checkpoint->bytes += key.size + value.size + sizeof(*checkpoint->changes);
    struct snapshot_change *change = &checkpoint->changes[checkpoint->change_count++];
    change->key = (struct bytes_view){at, key.size};
    change->value = (struct bytes_view){NULL, 0};
    if (value.data != NULL) {
        memcpy(at + key.size, value.data, value.size);
        change->value = (struct bytes_view){at + key.size, value.size};
    }
}

/* The second pair of an idempotency key: sequence -> text. */
static void add_key_order(struct checkpoint *checkpoint, uint64_t sequence,
                          struct bytes_view text) {
    uint8_t key[9] = {CHECKPOINT_KEY_ORDER};
    checkpoint_key_order(sequence, key + 1);
    add_change(checkpoint, (struct bytes_view){key, sizeof(key)}, text);
}

/* The numbers forgotten since the snapshot before: by number, for a key that was forgotten and used
 * again knows its new one only. */
static void forget_key_order(struct wf_engine *engine) {
    struct checkpoint *checkpoint = &engine->checkpoint;
    uint64_t first = engine->snapshot_lsn == 0 ? checkpoint->key_first : engine->snapshot_key_first;
    for (uint64_t number = first; number < checkpoint->key_first; number++) {
        add_key_order(checkpoint, number, (struct bytes_view){NULL, 0});
    }
}

static void change_due_pair(struct checkpoint *checkpoint, struct bytes_view id, uint8_t order,
                            int64_t due_ms, struct bytes_view value) {
    uint8_t key[DUE_KEY_HEAD + COMMAND_ID_MAX] = {order};
    if (due_ms == 0) {
        return;
    }
    checkpoint_due_order(due_ms, key + 1);
    memcpy(key + DUE_KEY_HEAD, id.data, id.size);
    add_change(checkpoint, (struct bytes_view){key, DUE_KEY_HEAD + id.size}, value);
}

static void change_mark_pair(struct checkpoint *checkpoint, const struct workflow *workflow,
                             uint8_t order, struct bytes_view value) {
    uint8_t key[1 + COMMAND_ID_MAX] = {order};
    memcpy(key + 1, workflow->id, workflow->id_size);
    add_change(checkpoint, (struct bytes_view){key, 1 + (size_t)workflow->id_size}, value);
}

static const struct bytes_view there = {(const uint8_t *)"", 0}, gone = {NULL, 0};

/* The pair beside an account: when its first hold expires. */
static void change_account_pair(struct checkpoint *checkpoint, struct account *account) {
    struct bytes_view number = {(const uint8_t *)account->number, account->number_size};
    int64_t due_ms = account_due(account);
    if (due_ms != account->pair_due_ms) {
        change_due_pair(checkpoint, number, CHECKPOINT_HOLD_DUE_ORDER, account->pair_due_ms, gone);
        change_due_pair(checkpoint, number, CHECKPOINT_HOLD_DUE_ORDER, due_ms, there);
    }
    account->pair_due_ms = due_ms;
}

/* The pairs beside a workflow: its deadline, that it waits for a review, that it has tasks, and
 * when the first of them may be claimed. */
static void change_workflow_pairs(struct checkpoint *checkpoint, struct workflow *workflow) {
    struct bytes_view id = {(const uint8_t *)workflow->id, workflow->id_size};
    unsigned stage;
    int64_t due_ms = workflow_due(workflow, &stage);
    bool waits = workflow_waits(workflow);
    if (due_ms != workflow->pair_due_ms) {
        change_due_pair(checkpoint, id, CHECKPOINT_DUE_ORDER, workflow->pair_due_ms, gone);
        change_due_pair(checkpoint, id, CHECKPOINT_DUE_ORDER, due_ms, there);
    }
    int64_t task_ms = workflow_task_due(workflow);
    if (task_ms != workflow->pair_task_ms) {
        change_due_pair(checkpoint, id, CHECKPOINT_TASK_DUE_ORDER, workflow->pair_task_ms, gone);
        change_due_pair(checkpoint, id, CHECKPOINT_TASK_DUE_ORDER, task_ms, there);
    }
    if (waits != workflow->pair_waits)
        change_mark_pair(checkpoint, workflow, CHECKPOINT_REVIEW_ORDER, waits ? there : gone);
    bool tasks = workflow->tasks != NULL;
    if (tasks != workflow->pair_tasks)
        change_mark_pair(checkpoint, workflow, CHECKPOINT_TASK_ORDER, tasks ? there : gone);
    workflow->pair_tasks = tasks;
    workflow->pair_due_ms = due_ms;
    workflow->pair_task_ms = task_ms;
    workflow->pair_waits = waits;
}

/* Encode one entity into the checkpoint and count its new digest. */
static void encode_entity(struct wf_engine *engine, struct entity *entity) {
    struct checkpoint *checkpoint = &engine->checkpoint;
    struct bytes_buffer *buffer = &engine->checkpoint_buffer;
    bytes_buffer_clear(buffer);
    entity_encode_key(entity, buffer);
    size_t key_size = buffer->size;
    size_t hashed = 0;
    if (entity->digest_counted) {
        digest_sum_subtract(&engine->digest_sum, entity->digest);
        entity->digest_counted = false;
    }
    if (!entity->deleted) {
        (void)bytes_buffer_extend(buffer, sizeof(entity->digest));
        entity_encode(entity, buffer, &hashed);
    }
    if (!bytes_buffer_ok(buffer)) {
        checkpoint->status = WF_NO_MEMORY;
        return;
    }
    struct bytes_view key = {buffer->data, key_size};
    struct bytes_view value = {NULL, 0};
    if (!entity->deleted) {
        size_t head = key_size + sizeof(entity->digest);
        digest_entity(key, (struct bytes_view){buffer->data + head, hashed}, entity->digest);
        memcpy(buffer->data + key_size, entity->digest, sizeof(entity->digest));
        digest_sum_add(&engine->digest_sum, entity->digest);
        entity->digest_counted = true;
        value = (struct bytes_view){buffer->data + key_size, buffer->size - key_size};
    }
    add_change(checkpoint, key, value);
    if (entity->kind == ENTITY_KEY && !entity->deleted) {
        const struct idempotency_key *used = (const struct idempotency_key *)entity;
        add_key_order(checkpoint, used->sequence,
                      (struct bytes_view){(const uint8_t *)used->text, used->size});
    }
    if (entity->kind == ENTITY_WORKFLOW) {
        change_workflow_pairs(checkpoint, (struct workflow *)entity);
    }
    if (entity->kind == ENTITY_ACCOUNT) {
        change_account_pair(checkpoint, (struct account *)entity);
    }
}

static void encode_before_change(void *ctx, struct entity *entity) {
    encode_entity(ctx, entity);
}

enum wf_status engine_init_state(struct wf_engine *engine, struct wf_error *err) {
    enum wf_status status = state_init(&engine->state, err);
    engine->state.before_change = encode_before_change;
    engine->state.before_change_ctx = engine;
    return status;
}

/* --- one checkpoint --- */

/* The mutex is held. */
static void begin(struct wf_engine *engine) {
    struct checkpoint *checkpoint = &engine->checkpoint;
    *checkpoint = (struct checkpoint){.running = true,
                                      .started_ns = engine->io->ops->monotonic_ns(engine->io)};
    if (!engine->recovering) {
        wal_position_now(engine->wal, &checkpoint->position);
        checkpoint->ticket = engine_last_ticket(engine);
        engine->log_bytes_at_snapshot = engine->log_bytes;
    }
    checkpoint->last = engine->last;
    checkpoint->key_first = engine->state.store.key_first;
    state_freeze(&engine->state);
}

/* Encode a few; false when none is left. The mutex is held. */
static bool encode_slice(struct wf_engine *engine) {
    struct state *state = &engine->state;
    for (int i = 0; i < SLICE_ENTITIES; i++) {
        if (state->frozen.count == 0 || engine->checkpoint.status != WF_OK ||
            engine->checkpoint.aborted) {
            return false;
        }
        struct entity *entity = state->frozen.first;
        encode_entity(engine, entity);
        state_thaw(state, entity);
    }
    return true;
}

/* All are encoded: the digest sum is the one of this LSN now. The mutex is held. */
static enum wf_status seal(struct wf_engine *engine, struct wf_error *err) {
    struct checkpoint *checkpoint = &engine->checkpoint;
    if (checkpoint->aborted) {
        return error_set(err, WF_CONFLICT, "the log was cut while the snapshot was made");
    }
    forget_key_order(engine);
    if (checkpoint->status != WF_OK) {
        return error_set(err, checkpoint->status, "no memory for a snapshot");
    }
    encode_meta(checkpoint, &engine->digest_sum);
    return WF_OK;
}

static int compare_changes(const void *left, const void *right) {
    const struct bytes_view *a = &((const struct snapshot_change *)left)->key;
    const struct bytes_view *b = &((const struct snapshot_change *)right)->key;
    int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* Sort, wait for the log, write. Without the mutex: nobody else touches the encoded changes. */
static enum wf_status write_out(struct wf_engine *engine, struct wf_error *err) {
    struct checkpoint *checkpoint = &engine->checkpoint;
    qsort(checkpoint->changes, checkpoint->change_count, sizeof(*checkpoint->changes),
          compare_changes);
    /* A snapshot newer than the log would look as if the log had been lost. */
    if (!engine->recovering) {
        enum wf_status status = wal_wait(engine->wal, &checkpoint->ticket, err);
        if (status != WF_OK) {
            return status;
        }
    }
    return engine->snapshot->ops->commit(engine->snapshot, checkpoint->changes,
                                         checkpoint->change_count, &checkpoint->meta, err);
}

/* Clean, and newer than the snapshot that there is. */
static bool is_unwritten(const struct wf_engine *engine, const struct entity *entity) {
    return entity->generation == 0 &&
           (entity->changed_lsn > engine->snapshot_lsn || entity->deleted);
}

/* While they are clean the store entity and the definitions are in no list. */
static void touch_unlisted_again(struct wf_engine *engine) {
    struct state *state = &engine->state;
    if (is_unwritten(engine, &state->store.entity)) {
        state_touch_again(state, &state->store.entity);
    }
    size_t at = 0;
    struct definition_entity *definition;
    while ((definition = table_next(&state->definitions, &at)) != NULL) {
        if (is_unwritten(engine, &definition->entity)) {
            state_touch_again(state, &definition->entity);
        }
    }
}

/* The workflow that a pair stands beside: its id ends the key. */
static struct workflow *workflow_of_pair(struct wf_engine *engine, struct bytes_view key,
                                         size_t head) {
    return state_workflow(&engine->state, (struct bytes_view){key.data + head, key.size - head});
}

static void take_hold_pair_back(struct wf_engine *engine, struct bytes_view key, bool removal) {
    struct bytes_view number = {key.data + DUE_KEY_HEAD, key.size - DUE_KEY_HEAD};
    struct account *account = state_account(&engine->state, number);
    if (account != NULL) {
        account->pair_due_ms = removal ? checkpoint_due_ms(key.data + 1) : 0;
    }
}

/* The pairs that were encoded never came to be: those that were to be removed stand as before. All
 * workflows concerned are in memory, for nothing is evicted while a checkpoint runs. */
static void take_pairs_back(struct wf_engine *engine, bool removals) {
    const struct checkpoint *checkpoint = &engine->checkpoint;
    for (size_t i = 0; i < checkpoint->change_count; i++) {
        const struct snapshot_change *change = &checkpoint->changes[i];
        uint8_t order = change->key.data[0];
        if (order == CHECKPOINT_HOLD_DUE_ORDER && (change->value.data == NULL) == removals) {
            take_hold_pair_back(engine, change->key, removals);
        }
        bool is_due = order == CHECKPOINT_DUE_ORDER || order == CHECKPOINT_TASK_DUE_ORDER;
        bool is_mark = order == CHECKPOINT_TASK_ORDER || order == CHECKPOINT_REVIEW_ORDER;
        if ((!is_due && !is_mark) || (change->value.data == NULL) != removals) {
            continue;
        }
        struct workflow *workflow =
            workflow_of_pair(engine, change->key, is_due ? DUE_KEY_HEAD : 1);
        if (workflow == NULL) {
            continue;
        }
        if (is_due) {
            int64_t due_ms = removals ? checkpoint_due_ms(change->key.data + 1) : 0;
            *(order == CHECKPOINT_DUE_ORDER ? &workflow->pair_due_ms : &workflow->pair_task_ms) =
                due_ms;
        } else {
            *(order == CHECKPOINT_TASK_ORDER ? &workflow->pair_tasks : &workflow->pair_waits) =
                removals;
        }
    }
}

/* What was taken for clean must be written again. The mutex is held. */
static void touch_again(struct wf_engine *engine) {
    struct state *state = &engine->state;
    while (state->frozen.count > 0) {
        state_thaw(state, state->frozen.first);
    }
    struct entity *entity = state->clean.first;
    for (size_t i = state->clean.count; i > 0; i--) {
        struct entity *next = entity->next;
        if (is_unwritten(engine, entity)) {
            state_touch_again(state, entity);
        }
        entity = next;
    }
    touch_unlisted_again(engine);
    take_pairs_back(engine,
                    false); /* a change of deadline is an addition and a removal: that last */
    take_pairs_back(engine, true);
}

static void free_checkpoint(struct checkpoint *checkpoint) {
    struct checkpoint_chunk *chunk = checkpoint->chunks;
    while (chunk != NULL) {
        struct checkpoint_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(checkpoint->changes);
    *checkpoint = (struct checkpoint){0};
}

/* The mutex is held. */
static enum wf_status finish(struct wf_engine *engine, enum wf_status status,
                             struct wf_error *err) {
    struct checkpoint *checkpoint = &engine->checkpoint;
    if (status == WF_OK) {
        status = engine->snapshot->ops->refresh(engine->snapshot, err);
    }
    if (status == WF_OK) {
        engine->snapshot_lsn = checkpoint->meta.lsn;
        engine->snapshot_key_first = checkpoint->key_first;
        due_forget(engine);
        engine->counters.checkpoints++;
        engine->snapshot->ops->trim(engine->snapshot);
    } else {
        engine->counters.checkpoint_failures++;
        touch_again(engine);
    }
    engine->snapshot_status = status;
    (void)snprintf(engine->snapshot_problem, sizeof(engine->snapshot_problem), "%.*s",
                   (int)sizeof(engine->snapshot_problem) - 1, status == WF_OK ? "" : err->text);
    uint64_t took_ns = engine->io->ops->monotonic_ns(engine->io) - checkpoint->started_ns;
    free_checkpoint(checkpoint);
    engine->counters.checkpoint_ns_sum += took_ns;
    if (took_ns > engine->counters.checkpoint_ns_max) {
        engine->counters.checkpoint_ns_max = took_ns;
    }
    cache_trim(engine);
    pthread_cond_broadcast(&engine->checkpoint_done);
    return status;
}

static enum wf_status refuse_without_snapshot(const struct wf_engine *engine,
                                              struct wf_error *err) {
    if (engine->options.read_only) {
        return error_set(err, WF_REFUSED, "the store is open for reading only");
    }
    if (!engine->recovering && wal_halted(engine->wal)) {
        return error_set(err, WF_HALTED, "the log is halted: its end is of unknown outcome");
    }
    if (engine->snapshot == NULL) {
        return error_set(err, WF_IO, "there is no snapshot to write to: %s", engine->notes);
    }
    return WF_OK;
}

enum wf_status checkpoint_begin_in_replay(struct wf_engine *engine, struct wf_error *err) {
    struct wf_error own;
    struct wf_error *why = err != NULL ? err : &own;
    enum wf_status status = refuse_without_snapshot(engine, why);
    if (status != WF_OK) {
        return status;
    }
    begin(engine);
    while (encode_slice(engine)) {
    }
    status = seal(engine, why);
    return status == WF_OK ? WF_OK : finish(engine, status, why);
}

enum wf_status checkpoint_end_in_replay(struct wf_engine *engine, bool durable,
                                        struct wf_error *err) {
    struct wf_error own;
    struct wf_error *why = err != NULL ? err : &own;
    if (!engine->checkpoint.running) {
        return WF_OK;
    }
    if (!durable) {
        free_checkpoint(&engine->checkpoint);
        return WF_OK;
    }
    return finish(engine, write_out(engine, why), why);
}

enum wf_status checkpoint_run(struct wf_engine *engine, struct wf_error *err) {
    struct wf_error own;
    struct wf_error *why = err != NULL ? err : &own;
    pthread_mutex_lock(&engine->mutex);
    while (engine->checkpoint.running) {
        pthread_cond_wait(&engine->checkpoint_done, &engine->mutex);
    }
    enum wf_status status = refuse_without_snapshot(engine, why);
    if (status == WF_OK) {
        /* A state that could be rebuilt in part only is not the one of any LSN. */
        status = engine_ensure_state(engine, why);
    }
    if (status != WF_OK || engine->last.lsn == engine->snapshot_lsn) {
        pthread_mutex_unlock(&engine->mutex);
        return status;
    }
    begin(engine);
    while (encode_slice(engine)) {
        pthread_mutex_unlock(&engine->mutex); /* let commands in between slices */
        pthread_mutex_lock(&engine->mutex);
    }
    status = seal(engine, why);
    if (status == WF_OK) {
        pthread_mutex_unlock(&engine->mutex);
        status = write_out(engine, why);
        pthread_mutex_lock(&engine->mutex);
    }
    status = finish(engine, status, why);
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

static bool is_possible(const struct wf_engine *engine) {
    if (engine->checkpoint.running || engine->options.read_only || engine->snapshot == NULL ||
        engine->stale || wal_halted(engine->wal)) {
        return false;
    }
    /* The last one failed, on a full disk say: not again at once. */
    return engine->snapshot_status == WF_OK ||
           engine->log_bytes - engine->log_bytes_at_snapshot >= CHUNK_SIZE;
}

bool checkpoint_due(const struct wf_engine *engine) {
    if (!is_possible(engine)) {
        return false;
    }
    uint64_t every = engine->options.snapshot_log_bytes;
    if (every > 0 && engine->log_bytes - engine->log_bytes_at_snapshot >= every) {
        return true;
    }
    return cache_wants_checkpoint(engine);
}

/* --- the optional thread --- */

/* Wait until one is due, or for a while. True: all was quiet meanwhile, and so much lies behind the
 * last snapshot that it is worth one: work comes in bursts, and what a burst left to replay should
 * not wait for the next. The mutex is held. */
static bool wait_for_quiet(struct wf_engine *engine) {
    uint64_t last_lsn = engine->last.lsn;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += QUIET_SECONDS;
    while (!engine->stopping && !checkpoint_due(engine)) {
        if (pthread_cond_timedwait(&engine->checkpoint_wanted, &engine->mutex, &until) != 0) {
            break;
        }
    }
    return !engine->stopping && engine->last.lsn == last_lsn && is_possible(engine) &&
           engine->options.snapshot_log_bytes > 0 &&
           last_lsn - engine->snapshot_lsn >= QUIET_RECORDS_MIN;
}

static void *background_main(void *ctx) {
    struct wf_engine *engine = ctx;
    pthread_mutex_lock(&engine->mutex);
    while (!engine->stopping) {
        if (!checkpoint_due(engine) && !wait_for_quiet(engine)) {
            continue;
        }
        pthread_mutex_unlock(&engine->mutex);
        (void)checkpoint_run(engine, NULL); /* a failure stands in the status */
        engine_archive_by_policy(engine);
        pthread_mutex_lock(&engine->mutex);
    }
    pthread_mutex_unlock(&engine->mutex);
    return NULL;
}

enum wf_status checkpoint_start_thread(struct wf_engine *engine, struct wf_error *err) {
    if (!thread_start(&engine->background, background_main, engine)) {
        return error_set(err, WF_NO_MEMORY, "the snapshot thread cannot be started");
    }
    engine->background_running = true;
    return WF_OK;
}

void checkpoint_stop_thread(struct wf_engine *engine) {
    if (!engine->background_running) {
        return;
    }
    pthread_mutex_lock(&engine->mutex);
    engine->stopping = true;
    pthread_cond_signal(&engine->checkpoint_wanted);
    pthread_mutex_unlock(&engine->mutex);
    pthread_join(engine->background, NULL);
    engine->background_running = false;
}
