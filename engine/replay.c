/* Records into state. Runs the same apply() as live commands and never decide(), so that a changed
 * rule does not change the past. */
#include "engine/replay.h"

#include <inttypes.h>

/* A short tail is replayed before a second thread would have been started. */
enum { PIPELINE_AFTER_RECORDS = 2048 };

/* Everything that apply() will touch, from the snapshot into memory. */
static enum wf_status load_for_record(struct wf_engine *engine, const struct record *record,
                                      struct wf_error *err) {
    enum wf_status status = engine_load_for_record(engine, record, err);
    if (status == WF_OK && record->keys_forgotten > 0) {
        status = cache_load_oldest_keys(engine, record->keys_forgotten, err);
    }
    return status;
}

/* A long replay may change more than memory should hold: a snapshot on the way makes it evictable.
 */
static enum wf_status keep_within_memory(struct replayer *replayer, struct wf_error *err) {
    struct wf_engine *engine = replayer->engine;
    /* The end of the log may be on the disk or, after a failed sync, only in the cache. A snapshot
     * must not have what a crash may still take from the log: it waits for a later record that
     * vouches. */
    uint64_t durable = atomic_load_explicit(&replayer->durable_lsn, memory_order_relaxed);
    if (engine->checkpoint.running && engine->checkpoint.last.lsn <= durable &&
        checkpoint_end_in_replay(engine, true, err) == WF_DAMAGE) {
        return WF_DAMAGE;
    }
    if (!cache_is_full(engine)) {
        return WF_OK;
    }
    engine->last = replayer->last;
    /* Where snapshots fail, on a full disk say, the store must open all the same, beyond the bound.
     */
    bool possible =
        engine->snapshot != NULL && engine->snapshot_status == WF_OK && !engine->checkpoint.running;
    if (!engine->options.read_only && possible && cache_wants_checkpoint(engine)) {
        (void)checkpoint_begin_in_replay(engine, NULL);
    }
    cache_trim(engine);
    return WF_OK;
}

enum wf_status replay_apply(struct replayer *replayer, struct record *record,
                            struct wf_error *err) {
    enum wf_status status = WF_OK;
    if (replayer->engine != NULL) {
        status = load_for_record(replayer->engine, record, err);
    }
    if (status == WF_OK) {
        status = apply_reserve(replayer->state, record, err);
    }
    if (status == WF_OK) {
        apply(replayer->state, record);
    }
    codec_release(record);
    if (status != WF_OK) {
        return error_wrap(err, status, "LSN %" PRIu64, record->lsn);
    }
    replayer->records++;
    replayer->last = (struct record_link){record->lsn, record->offset};
    if (replayer->engine != NULL) {
        return keep_within_memory(replayer, err);
    }
    return WF_OK;
}

enum wf_status replay_record(void *ctx, const struct wal_record *wal_record, struct wf_error *err) {
    struct replayer *replayer = ctx;
    if (wal_record->lsn <= replayer->after_lsn) {
        return WF_OK;
    }
    replayer->bytes += wal_record->payload.size;
    if (wal_record->durable_lsn >
        atomic_load_explicit(&replayer->durable_lsn, memory_order_relaxed)) {
        atomic_store_explicit(&replayer->durable_lsn, wal_record->durable_lsn,
                              memory_order_relaxed);
    }
    if (replayer->pipeline != NULL) {
        return replay_pipeline_push(replayer->pipeline, wal_record, err);
    }
    if (wal_record->lost) {
        apply_lost(replayer->state, wal_record->lsn);
        replayer->last = (struct record_link){wal_record->lsn, wal_record->offset};
        return WF_OK;
    }
    struct record record;
    enum wf_status status = codec_decode_logged(replayer->arena, wal_record, &record, err);
    if (status != WF_OK) {
        replayer->undecodable_lsn = wal_record->lsn;
        return status;
    }
    status = replay_apply(replayer, &record, err);
    if (status == WF_OK && replayer->records == PIPELINE_AFTER_RECORDS) {
        replayer->pipeline = replay_pipeline_create(replayer);
    }
    return status;
}

enum wf_status replay_finish(struct replayer *replayer, enum wf_status status,
                             struct wf_error *err) {
    if (replayer->pipeline != NULL) {
        struct wf_error *apply_err = status == WF_OK ? err : NULL;
        enum wf_status applied = replay_pipeline_finish(replayer->pipeline, apply_err);
        replayer->pipeline = NULL;
        status = status == WF_OK ? applied : status;
    }
    if (replayer->engine != NULL) {
        /* The walk came to its end: the log has seen to it that all of it is durable. */
        enum wf_status written = checkpoint_end_in_replay(replayer->engine, status == WF_OK, err);
        status = written == WF_DAMAGE ? written : status;
    }
    return status;
}
