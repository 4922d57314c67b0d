/* How far the log is; and from a time to the record that was the last then. Times never go back
 * from record to record, so segments can be searched by halves; only one of them is read. */
#include "engine/engine.h"

#include <inttypes.h>
#include <time.h>

enum wf_status engine_check_reached(struct wf_engine *engine, uint64_t lsn, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    uint64_t last = engine->last.lsn;
    time_t last_s = (time_t)(engine->state.store.seen_ms / 1000);
    pthread_mutex_unlock(&engine->mutex);
    if (lsn <= last || lsn == UINT64_MAX) {
        return WF_OK;
    }
    struct tm parts;
    char text[64] = "";
    if (gmtime_r(&last_s, &parts) != NULL) {
        (void)strftime(text, sizeof(text), ", of %Y-%m-%dT%H:%M:%SZ", &parts);
    }
    return error_set(err, WF_NOT_FOUND,
                     "record %" PRIu64 " is not there yet: the last one is %" PRIu64 "%s", lsn,
                     last, text);
}

/* A walk along record times. */
struct time_walk {
    struct codec_arena arena;
    int64_t until_ms; /* go on while records are not after it; INT64_MIN: one record is enough */
    bool found;
    uint64_t lsn;    /* of the last record that is not after it */
    int64_t time_ms; /* of the last record that was read */
    bool stopped;
};

static enum wf_status look_at_time(void *ctx, const struct wal_record *wal_record,
                                   struct wf_error *err) {
    struct time_walk *walk = ctx;
    if (wal_record->lost) {
        return WF_OK; /* its time went with it */
    }
    struct record record;
    enum wf_status status = codec_decode_logged(&walk->arena, wal_record, &record, err);
    if (status != WF_OK) {
        return status;
    }
    codec_release(&record);
    walk->time_ms = record.time_ms;
    walk->found = true;
    walk->stopped = record.time_ms > walk->until_ms;
    if (walk->stopped) {
        return WF_CONFLICT; /* any status but WF_OK ends the walk */
    }
    walk->lsn = wal_record->lsn;
    return WF_OK;
}

static enum wf_status walk_times(struct wf_engine *engine, struct time_walk *walk,
                                 uint64_t first_lsn, uint64_t last_lsn, struct wf_error *err) {
    walk->found = walk->stopped = false;
    enum wf_status status = wal_walk(engine->wal, first_lsn, last_lsn, look_at_time, walk, err);
    return walk->stopped ? WF_OK : status;
}

/* Does the segment begin after the time? One whose records were all lost does not say: true, so
 * that the search goes on before it, and the walk passes over it. */
static enum wf_status begins_after(struct wf_engine *engine, struct time_walk *walk,
                                   const struct wal_segment_info *info, int64_t time_ms,
                                   bool *after, struct wf_error *err) {
    walk->until_ms = INT64_MIN;
    enum wf_status status = walk_times(engine, walk, info->first_lsn, info->last_lsn, err);
    *after = !walk->found || walk->time_ms > time_ms;
    return status;
}

/* The first LSN of the last segment that begins at or before the time; 0: none of the live ones
 * does. */
static enum wf_status find_segment(struct wf_engine *engine, struct time_walk *walk,
                                   int64_t time_ms, uint64_t *first_lsn, struct wf_error *err) {
    *first_lsn = 0;
    size_t low = 0, high = wal_segment_count(engine->wal);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct wal_segment_info info;
        bool after = true;
        if (wal_segment_at(engine->wal, middle, &info)) {
            enum wf_status status = begins_after(engine, walk, &info, time_ms, &after, err);
            if (status != WF_OK) {
                return status;
            }
        }
        if (after) {
            high = middle;
        } else {
            *first_lsn = info.first_lsn;
            low = middle + 1;
        }
    }
    return WF_OK;
}

/* The first LSN of the last archive that begins at or before the time; 0: none that is here does.
 */
static uint64_t find_archive(struct wf_engine *engine, int64_t time_ms) {
    struct archive_entry entry;
    uint64_t first_lsn = 0;
    for (size_t i = 0; engine->archive != NULL && archive_at(engine->archive, i, &entry); i++) {
        if (entry.dropped_lsn == 0 && entry.first_ms <= time_ms) {
            first_lsn = entry.first_lsn;
        }
    }
    return first_lsn;
}

/* No record that is here is so old: was one that was dropped? */
static enum wf_status ask_dropped(struct wf_engine *engine, int64_t time_ms, uint64_t *lsn,
                                  struct wf_error *err) {
    struct archive_entry entry;
    struct archive_entry last = {.last_lsn = 0};
    bool among = false;
    for (size_t i = 0; engine->archive != NULL && archive_at(engine->archive, i, &entry) &&
                       entry.dropped_lsn != 0;
         i++) {
        among |= entry.first_ms <= time_ms;
        last = entry;
    }
    if (among && time_ms < last.last_ms) {
        return engine_missing(engine, last.last_lsn, "no record of that time is left", err);
    }
    *lsn = among ? last.last_lsn : 0;
    return WF_OK;
}

enum wf_status wf_lsn_at(struct wf_engine *engine, int64_t time_ms, uint64_t *lsn,
                         struct wf_error *err) {
    struct time_walk walk = {.lsn = 0};
    uint64_t first_lsn = 0;
    *lsn = 0;
    codec_arena_init(&walk.arena);
    (void)wf_sync(engine, NULL); /* so that what was enqueued counts; else what is durable does */
    enum wf_status status = find_segment(engine, &walk, time_ms, &first_lsn, err);
    if (status == WF_OK && first_lsn == 0) {
        first_lsn = find_archive(engine, time_ms);
    }
    if (status == WF_OK) {
        walk.until_ms = time_ms;
        status = walk_times(engine, &walk, first_lsn, UINT64_MAX, err);
    }
    codec_arena_deinit(&walk.arena);
    if (status != WF_OK) {
        return status;
    }
    *lsn = walk.lsn;
    return walk.lsn == 0 ? ask_dropped(engine, time_ms, lsn, err) : WF_OK;
}
