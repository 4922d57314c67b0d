/* Old segments out of the log and into the archive, by hand or by policy, and reading through. */
#include "engine/engine.h"

#include "engine/damage.h"
#include "engine/hex.h"
#include "engine/record_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Members of wf.pb.Record (engine/schema/record.proto) that compress well together. */
const struct archive_hints engine_archive_hints = {
    .nested = 6, .time = 1, .subject = 3, .previous_lsn = 4, .previous_offset = 5, .key = 8};

/* --- reading through --- */

static uint64_t source_first_lsn(void *ctx) {
    return archive_first_lsn(ctx);
}

static enum wf_status source_read(void *ctx, uint64_t lsn, struct bytes_buffer *buffer,
                                  struct wal_record *record, struct wf_error *err) {
    return archive_read(ctx, lsn, buffer, record, err);
}

static enum wf_status source_walk(void *ctx, uint64_t first_lsn, uint64_t last_lsn,
                                  wal_record_fn on_record, void *record_ctx, struct wf_error *err) {
    return archive_walk(ctx, first_lsn, last_lsn, on_record, record_ctx, err);
}

/* Archives that cannot be used cost the past, not the present: the store opens without. */
static enum wf_status open_archive(struct wf_engine *engine, const uint8_t *store_id,
                                   struct wf_error *err) {
    struct wf_error why = {.status = WF_OK};
    if (engine->archive != NULL) {
        return WF_OK;
    }
    enum wf_status status =
        archive_open(engine->io, engine->archive_dir, store_id, &engine->archive, &why);
    if (status == WF_DAMAGE || status == WF_REFUSED) {
        size_t used = strlen(engine->notes);
        (void)snprintf(
            engine->notes + used, sizeof(engine->notes) - used,
            "%sthe archives cannot be read: %s; 'wfctl wal repair' makes the manifest anew",
            used > 0 ? "; " : "", why.text);
        return WF_OK;
    }
    return status == WF_OK ? WF_OK : error_set(err, status, "archive: %s", why.text);
}

enum wf_status engine_open_archive(struct wf_engine *engine, struct wf_error *err) {
    enum wf_status status = open_archive(engine, wal_store_id(engine->wal), err);
    if (status == WF_OK && engine->archive != NULL) {
        const struct wal_source source = {.ctx = engine->archive,
                                          .first_lsn = source_first_lsn,
                                          .read = source_read,
                                          .walk = source_walk};
        wal_set_source(engine->wal, &source);
    }
    return status;
}

enum wf_status engine_open_archive_early(struct wf_engine *engine, struct wf_error *err) {
    enum io_kind kind;
    uint64_t size;
    uint8_t store_id[WAL_STORE_ID_SIZE];
    enum wf_status status =
        engine->io->ops->stat(engine->io, engine->archive_dir, &kind, &size, err);
    if (status != WF_OK || kind != IO_DIRECTORY) {
        return status;
    }
    /* A log without a readable header is told by whoever opens it. */
    return wal_identify(engine->io, engine->wal_dir, store_id, NULL) == WF_OK
               ? open_archive(engine, store_id, err)
               : WF_OK;
}

enum wf_status engine_replay_archive(struct wf_engine *engine, wal_record_fn on_record, void *ctx,
                                     uint64_t after_lsn, uint64_t *last_lsn, struct wf_error *err) {
    *last_lsn = after_lsn;
    enum wf_status status = engine_open_archive_early(engine, err);
    uint64_t last =
        status == WF_OK && engine->archive != NULL ? archive_last_lsn(engine->archive) : 0;
    if (status != WF_OK || last <= after_lsn) {
        return status;
    }
    status = archive_walk(engine->archive, after_lsn + 1, last, on_record, ctx, err);
    if (status == WF_NOT_FOUND) {
        return error_wrap(err, WF_DAMAGE, "the state cannot be rebuilt from its first record");
    }
    *last_lsn = last;
    return status;
}

/* --- archiving --- */

void wf_archive_options_init(struct wf_archive_options *options) {
    *options = (struct wf_archive_options){.size = sizeof(*options)};
}

static unsigned thread_count(const struct wf_archive_options *options) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    if (options->threads > 0) {
        return options->threads;
    }
    return count > 0 ? (unsigned)count : 1;
}

/* INT64_MAX where the record was lost: such a segment is never too old. */
static enum wf_status read_time(struct wf_engine *engine, uint64_t lsn, int64_t *time_ms,
                                struct wf_error *err) {
    struct record_reader reader;
    bool found;
    record_reader_init(&reader, engine);
    enum wf_status status = record_reader_find(&reader, lsn, &found, err);
    *time_ms = status == WF_OK && found ? reader.record.time_ms : INT64_MAX;
    record_reader_deinit(&reader);
    return status;
}

static bool has_limits(const struct wf_archive_options *options) {
    return options->keep_segments > 0 || options->older_than_ms > 0 || options->max_bytes > 0;
}

/* Does one of the limits that are given push the oldest segment out? Without any all go. */
static enum wf_status is_pushed_out(struct wf_engine *engine,
                                    const struct wf_archive_options *options,
                                    const struct wal_segment_info *oldest, bool *pushed,
                                    struct wf_error *err) {
    struct wal_segment_info info;
    uint64_t bytes = 0;
    size_t count = 0;
    for (; wal_segment_at(engine->wal, count, &info); count++) {
        bytes += info.size;
    }
    *pushed = !has_limits(options) ||
              (options->keep_segments > 0 && count > options->keep_segments) ||
              (options->max_bytes > 0 && bytes > options->max_bytes);
    if (*pushed || options->older_than_ms == 0) {
        return WF_OK;
    }
    int64_t newest_ms;
    enum wf_status status = read_time(engine, oldest->last_lsn, &newest_ms, err);
    pthread_mutex_lock(&engine->mutex);
    int64_t now_ms = engine_record_time_ms(engine);
    pthread_mutex_unlock(&engine->mutex);
    *pushed = newest_ms < now_ms - options->older_than_ms;
    return status;
}

/* The oldest segment from `first_lsn` on, where it may go: sealed, not the newest, and wholly
 * behind the snapshot. Another thread may be removing the one before it. */
static bool next_segment(struct wf_engine *engine, uint64_t first_lsn,
                         struct wal_segment_info *info) {
    size_t i = 0;
    bool behind = false;
    pthread_mutex_lock(&engine->mutex); /* as removing does */
    while (wal_segment_at(engine->wal, i, info) && info->first_lsn < first_lsn) {
        i++;
    }
    if (i + 1 < wal_segment_count(engine->wal)) {
        behind = info->sealed && info->last_lsn <= engine->snapshot_lsn;
    }
    pthread_mutex_unlock(&engine->mutex);
    return behind;
}

static enum wf_status remove_segment(struct wf_engine *engine, const struct wal_segment_info *info,
                                     struct wf_error *err) {
    io_point(engine->io, "archive.before_delete");
    pthread_mutex_lock(&engine->mutex); /* as appending is */
    enum wf_status status = wal_remove_oldest(engine->wal, info->first_lsn, err);
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK) {
        io_point(engine->io, "archive.after_delete");
    }
    return status;
}

struct progress {
    const struct wf_archive_options *options;
    uint64_t before, total;
};

static void tell_progress(void *ctx, uint64_t bytes) {
    const struct progress *progress = ctx;
    if (progress->options->on_progress != NULL) {
        progress->options->on_progress(progress->options->ctx, progress->before + bytes,
                                       progress->total);
    }
}

static uint64_t sealed_bytes(struct wf_engine *engine) {
    struct wal_segment_info info;
    uint64_t bytes = 0;
    for (size_t i = 0; wal_segment_at(engine->wal, i, &info); i++) {
        bytes += info.sealed ? info.size : 0;
    }
    return bytes;
}

/* --- segments, one behind the other --- */

/* A segment that is compressed and on its way out of the log: synced, entered and removed by a
 * thread of its own, so that the processors have the next one meanwhile. */
struct leaving {
    struct wf_engine *engine;
    struct wf_archive_report *report;
    struct wal_segment_info info;
    struct archive_adding *adding; /* NULL: the manifest has it already */
    pthread_t thread;
    bool under_way, has_thread;
    enum wf_status status;
    struct wf_error err;
};

static void *leave(void *ctx) {
    struct leaving *leaving = ctx;
    struct wf_engine *engine = leaving->engine;
    leaving->status = WF_OK;
    if (leaving->adding != NULL) {
        leaving->status = archive_add_finish(engine->archive, leaving->adding, &leaving->err);
    }
    if (leaving->status == WF_OK) {
        leaving->status = remove_segment(engine, &leaving->info, &leaving->err);
    }
    return NULL;
}

/* Wait until it is gone. */
static enum wf_status settle(struct leaving *leaving, struct wf_error *err) {
    if (!leaving->under_way) {
        return WF_OK;
    }
    leaving->under_way = false;
    if (leaving->has_thread) {
        (void)pthread_join(leaving->thread, NULL);
    }
    if (leaving->status != WF_OK) {
        return error_set(err, leaving->status, "%s", leaving->err.text);
    }
    struct archive_entry entry;
    struct archive *archive = leaving->engine->archive;
    leaving->report->segments++;
    leaving->report->bytes_before += leaving->info.size;
    leaving->report->bytes_after +=
        archive_at(archive, archive_count(archive) - 1, &entry) ? entry.size : 0;
    return WF_OK;
}

static void let_leave(struct leaving *leaving, bool own_thread) {
    leaving->under_way = true;
    leaving->has_thread = own_thread && thread_start(&leaving->thread, leave, leaving);
    if (!leaving->has_thread) {
        (void)leave(leaving);
    }
}

/* Compress the segment, and let it leave when the one before has left. */
static enum wf_status archive_segment(struct leaving *leaving, const struct wal_segment_info *info,
                                      const struct archive_options *options, bool ahead,
                                      struct wf_error *err) {
    struct wf_engine *engine = leaving->engine;
    struct archive_adding *adding = NULL;
    struct wf_error why;
    enum wf_status status =
        archive_add_begin(engine->archive, engine->wal_dir, info, options, &adding, &why);
    enum wf_status before = settle(leaving, err);
    if (before != WF_OK) { /* the first failure is told */
        archive_add_discard(engine->archive, adding);
        return before;
    }
    if (status != WF_OK) {
        return error_set(err, status, "%s", why.text);
    }
    leaving->info = *info;
    leaving->adding = adding;
    let_leave(leaving, ahead);
    return ahead ? WF_OK : settle(leaving, err);
}

static enum wf_status archive_segments(struct wf_engine *engine,
                                       const struct wf_archive_options *options,
                                       struct wf_archive_report *report, struct wf_error *err) {
    struct progress progress = {.options = options, .total = sealed_bytes(engine)};
    const struct archive_options store_options = {.threads = thread_count(options),
                                                  .hints = engine_archive_hints,
                                                  .on_progress = tell_progress,
                                                  .ctx = &progress};
    struct leaving leaving = {.engine = engine, .report = report};
    struct wal_segment_info info;
    /* What a limit pushes out is known when the one before is gone. */
    bool ahead = store_options.threads > 1 && !has_limits(options);
    uint64_t next_lsn = 0;
    bool pushed = true;
    enum wf_status status = WF_OK;
    while (status == WF_OK && pushed && next_segment(engine, next_lsn, &info)) {
        status = is_pushed_out(engine, options, &info, &pushed, err);
        if (status != WF_OK || !pushed) {
            break;
        }
        status = archive_segment(&leaving, &info, &store_options, ahead, err);
        progress.before += info.size;
        next_lsn = info.last_lsn + 1;
    }
    enum wf_status last = settle(&leaving, status == WF_OK ? err : NULL);
    return status == WF_OK ? last : status;
}

enum wf_status engine_refuse_archiving(const struct wf_engine *engine, struct wf_error *err) {
    if (engine->options.read_only) {
        return error_set(err, WF_REFUSED, "the store is open for reading only");
    }
    if (engine->archive == NULL) {
        return error_set(err, WF_DAMAGE, "%s", engine->notes);
    }
    return WF_OK;
}

static enum wf_status seal_open_segment(struct wf_engine *engine, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = wal_rotate(engine->wal, err);
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

enum wf_status wf_archive_run(struct wf_engine *engine, const struct wf_archive_options *options,
                              struct wf_archive_report *report, struct wf_error *err) {
    struct wf_archive_options defaults;
    struct wf_archive_report own;
    wf_archive_options_init(&defaults);
    options = options == NULL ? &defaults : options;
    report = report == NULL ? &own : report;
    *report = (struct wf_archive_report){0};
    if (options->size != sizeof(*options)) {
        return error_set(err, WF_USAGE, "the options were not made by wf_archive_options_init()");
    }
    enum wf_status status = engine_refuse_archiving(engine, err);
    if (status != WF_OK) {
        return status;
    }
    pthread_mutex_lock(&engine->archive_mutex);
    if (options->seal) {
        status = seal_open_segment(engine, err);
    }
    if (status == WF_OK && options->snapshot) {
        status = checkpoint_run(engine, err);
    }
    if (status == WF_OK) {
        status = engine_finish_drop(engine, err);
    }
    if (status == WF_OK) {
        status = archive_tidy(engine->archive, wal_first_live_lsn(engine->wal), err);
    }
    if (status == WF_OK) {
        status = archive_segments(engine, options, report, err);
    }
    pthread_mutex_unlock(&engine->archive_mutex);
    return status;
}

void engine_archive_by_policy(struct wf_engine *engine) {
    const struct wf_options *own = &engine->options;
    struct wf_archive_options options;
    struct wf_error err;
    if (own->archive_keep_segments == 0 && own->archive_older_than_ms == 0 &&
        own->archive_max_bytes == 0) {
        return;
    }
    wf_archive_options_init(&options);
    options.keep_segments = own->archive_keep_segments;
    options.older_than_ms = own->archive_older_than_ms;
    options.max_bytes = own->archive_max_bytes;
    options.threads = 1; /* beside the host's own work */
    enum wf_status status = wf_archive_run(engine, &options, NULL, &err);
    pthread_mutex_lock(&engine->mutex);
    engine->archive_status = status;
    (void)snprintf(engine->archive_problem, sizeof(engine->archive_problem), "%.*s",
                   (int)sizeof(engine->archive_problem) - 1, status == WF_OK ? "" : err.text);
    pthread_mutex_unlock(&engine->mutex);
}

/* --- what is archived --- */

enum wf_status wf_archive_list(struct wf_engine *engine, wf_archive_fn on_archive, void *ctx,
                               struct wf_error *err) {
    struct archive_entry entry;
    if (engine->archive == NULL) {
        return error_set(err, WF_DAMAGE, "%s", engine->notes);
    }
    enum wf_status status = archive_refresh(engine->archive, err);
    for (size_t i = 0; status == WF_OK && archive_at(engine->archive, i, &entry); i++) {
        struct wf_archive out = {.name = entry.name,
                                 .first_lsn = entry.first_lsn,
                                 .last_lsn = entry.last_lsn,
                                 .size = entry.size,
                                 .segment_size = entry.segment_size,
                                 .first_ms = entry.first_ms,
                                 .last_ms = entry.last_ms,
                                 .dropped_lsn = entry.dropped_lsn,
                                 .dropped_ms = entry.dropped_ms,
                                 .dropped_by = entry.dropped_by};
        hex_encode(entry.root, sizeof(entry.root), out.root);
        hex_encode(entry.sha256, sizeof(entry.sha256), out.sha256);
        if (!on_archive(ctx, &out)) {
            break;
        }
    }
    return status;
}

enum wf_status wf_archive_verify(const char *dir, wf_finding_fn on_finding, void *ctx,
                                 struct wf_log_report *out, struct wf_error *err) {
    struct damage_report report;
    *out = (struct wf_log_report){0};
    enum wf_status status = engine_require_store(io_posix(), dir, err);
    if (status != WF_OK) {
        return status;
    }
    char *wal_dir = io_path_join(dir, engine_wal_name);
    uint8_t store_id[WAL_STORE_ID_SIZE]; /* whose archives they must be */
    status = wal_dir == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                             : wal_identify(io_posix(), wal_dir, store_id, err);
    free(wal_dir);
    if (status != WF_OK) {
        return status;
    }
    damage_report_init(&report);
    status = damage_read_past(io_posix(), dir, &report, err);
    if (status == WF_OK) {
        status = damage_conclude(&report, on_finding, ctx, out, err);
    }
    damage_report_deinit(&report);
    return status;
}
