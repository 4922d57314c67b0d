#include "engine/origin.h"

#include "engine/core/account.h"
#include "engine/core/workflow.h"
#include "engine/hex.h"
#include "engine/record_reader.h"
#include "engine/replay.h"
#include "store/archive_state.h"

#include <inttypes.h>
#include <string.h>

enum { PROGRESS_EVERY = 10000 };

/* --- reading --- */

/* No snapshot has it: it must be written whole, with the pairs that stand beside it. */
static void count_as_changed(struct state *state, struct entity *entity) {
    state_touch_again(state, entity);
    if (entity->kind == ENTITY_WORKFLOW) {
        struct workflow *workflow = (struct workflow *)entity;
        workflow->pair_due_ms = workflow->pair_task_ms = 0;
        workflow->pair_waits = workflow->pair_tasks = false;
    }
    if (entity->kind == ENTITY_ACCOUNT) {
        ((struct account *)entity)->pair_due_ms = 0;
    }
}

static enum wf_status load_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                struct wf_error *err) {
    struct state *state = ctx;
    struct entity *entity = NULL;
    enum wf_status status = entity_decode(state, key, value, &entity, err);
    if (status == WF_OK) {
        count_as_changed(state, entity);
    }
    return status;
}

static enum wf_status explain(struct archive *archive, uint64_t lsn, enum wf_status status,
                              struct wf_error *err) {
    struct archive_entry range;
    if (status != WF_DAMAGE || err == NULL || !archive_dropped(archive, lsn, &range)) {
        return status;
    }
    struct wf_error why = *err;
    return error_set(err, status,
                     "the records up to LSN %" PRIu64 " were dropped%s%s, and the state that "
                     "stands for them cannot be read: %.500s; every backup made since has that "
                     "file: put it back into %s/, or restore the backup",
                     lsn, range.dropped_by[0] == '\0' ? "" : " by ", range.dropped_by, why.text,
                     engine_archive_name);
}

enum wf_status origin_load(struct archive *archive, struct state *state, uint64_t *lsn,
                           struct wf_error *err) {
    *lsn = archive == NULL ? 0 : archive_dropped_lsn(archive);
    if (*lsn == 0) {
        return WF_OK;
    }
    return explain(archive, *lsn, archive_state_walk(archive, *lsn, load_pair, state, err), err);
}

enum wf_status origin_read(struct archive *archive, struct wf_error *err) {
    uint64_t lsn = archive == NULL ? 0 : archive_dropped_lsn(archive);
    return lsn == 0 ? WF_OK : explain(archive, lsn, archive_state_check(archive, lsn, err), err);
}

struct one_workflow {
    struct bytes_view id;
    struct state *state;
};

static enum wf_status load_if_wanted(void *ctx, struct bytes_view key, struct bytes_view value,
                                     struct wf_error *err) {
    const struct one_workflow *one = ctx;
    struct entity *entity = NULL;
    if (key.size != one->id.size + 1 || key.data[0] != ENTITY_WORKFLOW ||
        memcmp(key.data + 1, one->id.data, one->id.size) != 0) {
        return WF_OK;
    }
    return entity_decode(one->state, key, value, &entity, err);
}

enum wf_status origin_load_workflow(struct archive *archive, struct bytes_view id,
                                    struct state *state, struct wf_error *err) {
    struct one_workflow one = {.id = id, .state = state};
    uint64_t lsn = archive_dropped_lsn(archive);
    return explain(archive, lsn, archive_state_walk(archive, lsn, load_if_wanted, &one, err), err);
}

/* --- rebuilding --- */

struct rebuild_walk {
    struct replayer replayer;
    origin_progress_fn on_progress;
    void *ctx;
    uint64_t last;
};

static enum wf_status rebuild_record(void *ctx, const struct wal_record *record,
                                     struct wf_error *err) {
    struct rebuild_walk *walk = ctx;
    if (walk->on_progress != NULL && record->lsn % PROGRESS_EVERY == 0) {
        walk->on_progress(walk->ctx, record->lsn, walk->last);
    }
    return replay_record(&walk->replayer, record, err);
}

enum wf_status origin_rebuild(struct wf_engine *engine, struct state *state, uint64_t last,
                              origin_progress_fn on_progress, void *ctx, struct wf_error *err) {
    uint64_t origin = 0;
    enum wf_status status = origin_load(engine->archive, state, &origin, err);
    if (status == WF_OK && wal_first_lsn(engine->wal) > origin + 1) {
        status = engine_missing(engine, origin + 1, "the state cannot be rebuilt", err);
    }
    if (status != WF_OK) {
        return status;
    }
    struct codec_arena arena;
    codec_arena_init(&arena);
    struct rebuild_walk walk = {.replayer = {.state = state, .arena = &arena, .after_lsn = origin},
                                .on_progress = on_progress,
                                .ctx = ctx,
                                .last = last};
    status = wal_walk(engine->wal, origin + 1, last, rebuild_record, &walk, err);
    status = replay_finish(&walk.replayer, status, err);
    codec_arena_deinit(&arena);
    return status;
}

/* --- writing --- */

struct pair_buffers {
    struct bytes_buffer key, value;
};

static enum wf_status write_entity(struct archive_state_writer *writer, const struct entity *entity,
                                   struct pair_buffers *buffers, struct wf_error *err) {
    bytes_buffer_clear(&buffers->key);
    bytes_buffer_clear(&buffers->value);
    entity_encode_key(entity, &buffers->key);
    entity_encode(entity, &buffers->value, NULL);
    if (!bytes_buffer_ok(&buffers->key) || !bytes_buffer_ok(&buffers->value)) {
        return error_set(err, WF_NO_MEMORY, "no memory to write the state");
    }
    return archive_state_add(writer, (struct bytes_view){buffers->key.data, buffers->key.size},
                             (struct bytes_view){buffers->value.data, buffers->value.size}, err);
}

/* Those that others are decoded with go first. */
static bool goes_first(const struct entity *entity) {
    return entity->kind == ENTITY_STORE || entity->kind == ENTITY_DEFINITION;
}

static enum wf_status write_entities(struct archive_state_writer *writer, const struct state *state,
                                     bool first, struct wf_error *err) {
    struct pair_buffers buffers;
    bytes_buffer_init(&buffers.key);
    bytes_buffer_init(&buffers.value);
    enum wf_status status = WF_OK;
    const struct entity *entity = state->changed.first;
    for (size_t i = 0; status == WF_OK && i < state->changed.count; i++) {
        if (goes_first(entity) == first && !entity->deleted) {
            status = write_entity(writer, entity, &buffers, err);
        }
        entity = entity->next;
    }
    bytes_buffer_deinit(&buffers.key);
    bytes_buffer_deinit(&buffers.value);
    return status;
}

static enum wf_status write_state(struct archive *archive, const struct state *state, uint64_t lsn,
                                  struct wf_error *err) {
    struct archive_state_writer *writer = NULL;
    enum wf_status status = archive_state_create(archive, lsn, &writer, err);
    if (status == WF_OK) {
        status = write_entities(writer, state, true, err);
    }
    if (status == WF_OK) {
        status = write_entities(writer, state, false, err);
    }
    if (status == WF_OK) {
        return archive_state_commit(writer, err);
    }
    archive_state_abandon(writer);
    return status;
}

static enum wf_status hash_state(const struct state *state, uint8_t hash[WAL_HASH_SIZE],
                                 struct wf_error *err) {
    const struct digest_sum nothing = {0};
    struct digest_sum sum;
    char hex[2 * WAL_HASH_SIZE + 1];
    enum wf_status status = digest_state(state, &nothing, &sum, err);
    if (status == WF_OK) {
        digest_hex(&sum, hex);
        (void)hex_decode(hex, hash, WAL_HASH_SIZE);
    }
    return status;
}

enum wf_status origin_write(struct wf_engine *engine, uint64_t lsn, origin_progress_fn on_progress,
                            void *ctx, uint8_t state_hash[WAL_HASH_SIZE], struct wf_error *err) {
    struct state state;
    enum wf_status status = state_init(&state, err);
    if (status != WF_OK) {
        return status;
    }
    status = origin_rebuild(engine, &state, lsn, on_progress, ctx, err);
    if (status == WF_OK) {
        status = hash_state(&state, state_hash, err);
    }
    if (status == WF_OK) {
        status = write_state(engine->archive, &state, lsn, err);
    }
    state_deinit(&state);
    return status;
}

enum wf_status origin_try(struct wf_engine *engine, uint64_t lsn, origin_progress_fn on_progress,
                          void *ctx, struct wf_error *err) {
    struct state state;
    enum wf_status status = state_init(&state, err);
    if (status != WF_OK) {
        return status;
    }
    status = origin_rebuild(engine, &state, lsn, on_progress, ctx, err);
    state_deinit(&state);
    return status;
}

/* --- holding it against the record of the drop --- */

/* Is this the state that the record of the drop names? */
static enum wf_status compare(struct wf_engine *engine, uint64_t drop_lsn, uint64_t lsn,
                              const uint8_t hash[WAL_HASH_SIZE], struct wf_error *err) {
    struct record_reader reader;
    bool found;
    record_reader_init(&reader, engine);
    enum wf_status status = record_reader_find(&reader, drop_lsn, &found, err);
    const struct event *event =
        status == WF_OK && found && reader.record.event_count > 0 ? &reader.record.events[0] : NULL;
    if (status == WF_OK && (event == NULL || event->kind != EVENT_ARCHIVE_DROPPED ||
                            event->as.archive_dropped.state_hash.size != WAL_HASH_SIZE)) {
        status = error_set(
            err, WF_NOT_FOUND,
            "the state rebuilt is the state that is kept, but no record says whether it "
            "began rightly, behind LSN %" PRIu64 ": the one of the drop was lost in a repair",
            lsn);
    } else if (status == WF_OK &&
               (event->as.archive_dropped.last_lsn != lsn ||
                memcmp(event->as.archive_dropped.state_hash.data, hash, WAL_HASH_SIZE) != 0)) {
        status = error_set(err, WF_DIVERGENCE,
                           "the state that stands for the dropped records up to LSN %" PRIu64
                           " is not the one that record %" PRIu64 " names",
                           lsn, drop_lsn);
    }
    record_reader_deinit(&reader);
    return status;
}

enum wf_status origin_check(struct wf_engine *engine, struct wf_error *err) {
    struct state state;
    uint8_t hash[WAL_HASH_SIZE];
    uint64_t lsn = 0;
    pthread_mutex_lock(&engine->mutex);
    uint64_t drop_lsn = engine->state.store.drop_lsn;
    pthread_mutex_unlock(&engine->mutex);
    enum wf_status status = state_init(&state, err);
    if (status != WF_OK) {
        return status;
    }
    status = origin_load(engine->archive, &state, &lsn, err);
    if (status == WF_OK && lsn != 0) {
        status = hash_state(&state, hash, err);
    }
    if (status == WF_OK && lsn != 0) {
        status = compare(engine, drop_lsn, lsn, hash, err);
    }
    state_deinit(&state);
    return status;
}
