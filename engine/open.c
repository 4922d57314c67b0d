/* Make, open and close a store. The order matters: lock, snapshot, log; and nothing is accepted
 * before recovery has cut and synced what it found. */
#include "engine/engine.h"

#include "engine/damage.h"
#include "engine/folder.h"
#include "engine/identity.h"
#include "engine/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const engine_wal_name = "wal";
const char *const engine_snapshot_name = "state";
const char *const engine_lock_name = "lock";
const char *const engine_archive_name = "archive";

enum {
    DEFAULT_MEMORY = 256 * 1024 * 1024,
    DEFAULT_SNAPSHOT_LOG_BYTES = 64 * 1024 * 1024,
    DEFAULT_KEYS = 1000000,
    DEFAULT_VERSIONS = 64 * 1024 * 1024,
    READER_ATTEMPTS_MAX = 5, /* a live owner may move a segment while a reader opens */
};

void wf_options_init(struct wf_options *options) {
    *options = (struct wf_options){
        .size = sizeof(*options),
        .memory_max = DEFAULT_MEMORY,
        .segment_size = WAL_SEGMENT_SIZE_DEFAULT,
        .snapshot_log_bytes = DEFAULT_SNAPSHOT_LOG_BYTES,
        .snapshot_on_close = true,
        .keys_max = DEFAULT_KEYS,
        .versions_max = DEFAULT_VERSIONS,
    };
}

/* --- an I/O implementation that tells the host of named instants --- */

/* The real machine's calls, but for `point`. io_posix() keeps nothing in its struct io, so its
 * functions serve here. */
struct engine_io {
    struct io io;
    struct io_ops ops;
    void (*on_point)(void *ctx, const char *point);
    void *ctx;
};

static void tell_host(struct io *io, const char *name) {
    const struct engine_io *own = (const struct engine_io *)io;
    own->on_point(own->ctx, name);
}

static struct engine_io *create_own_io(struct io *io, const struct wf_options *options) {
    struct engine_io *own = malloc(sizeof(*own));
    if (own != NULL) {
        *own = (struct engine_io){
            .ops = *io->ops, .on_point = options->on_point, .ctx = options->point_ctx};
        own->ops.point = tell_host;
        own->io.ops = &own->ops;
    }
    return own;
}

/* --- the folder --- */

static enum wf_status sync_parent(struct io *io, const char *path, struct wf_error *err) {
    char *parent = folder_parent(path);
    if (parent == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    enum wf_status status = io->ops->sync_directory(io, parent, err);
    free(parent);
    return status;
}

/* The folder itself, durable under its name before anything in it is. One that exists already may
 * have been made an instant ago, by somebody who was killed before its name was synced. */
static enum wf_status make_folder(struct wf_engine *engine, const struct folder *folder,
                                  struct wf_error *err) {
    enum wf_status status = WF_OK;
    if (folder->kind != IO_DIRECTORY) {
        status = engine->io->ops->make_directory(engine->io, engine->dir, err);
    }
    return status == WF_OK ? sync_parent(engine->io, engine->dir, err) : status;
}

static void publish(void *ctx, uint64_t durable_lsn) {
    lock_publish(ctx, durable_lsn);
}

static struct wal_options log_options(const struct wf_engine *engine) {
    struct wal_options options = {.segment_size = engine->options.segment_size};
    if (engine->lock != NULL) {
        options.on_durable = publish;
        options.on_durable_ctx = engine->lock;
    }
    return options;
}

static enum wf_status make_log(struct wf_engine *engine, struct wf_error *err) {
    uint8_t store_id[WAL_STORE_ID_SIZE];
    enum wf_status status = engine->io->ops->random(engine->io, store_id, sizeof(store_id), err);
    if (status == WF_OK) {
        struct wal_options options = log_options(engine);
        status = wal_create(engine->io, engine->wal_dir, store_id, &options, err);
    }
    return status;
}

/* The first record: that the store exists, and which clock it has. */
static enum wf_status write_first_record(struct wf_engine *engine, struct wf_error *err) {
    struct event event = {.kind = EVENT_STORE_CREATED};
    event.as.store_created.test_clock = engine->options.test_clock;
    event.as.store_created.time_ms = engine->options.test_clock_ms;
    struct record record = {
        .time_ms =
            engine->options.test_clock ? engine->options.test_clock_ms : engine_now_ms(engine),
        .command = COMMAND_STORE_CREATE,
        .events = &event,
        .event_count = 1,
    };
    return engine_log_record(engine, &record, err);
}

/* The log is there and empty: making the store ended before its first record, which says what clock
 * it has. */
static enum wf_status refuse_unfinished(const struct wf_engine *engine, struct wf_error *err) {
    return error_set(err, WF_NOT_FOUND,
                     "the store in %s was never finished: make it again, nothing is in it",
                     engine->dir);
}

/* --- recovery --- */

static enum wf_status open_snapshot(struct wf_engine *engine, struct wf_error *err) {
    struct wf_error why = {0};
    bool read_only = engine->options.read_only;
    enum wf_status status =
        engine->provider->open(engine->provider, engine->io, engine->snapshot_dir, !read_only,
                               read_only, &engine->snapshot, &why);
    if (status == WF_DAMAGE) {
        return engine_drop_snapshot(engine, why.text, err);
    }
    if (status == WF_NOT_FOUND && read_only) {
        return WF_OK;
    }
    return status == WF_OK ? WF_OK : error_set(err, status, "snapshot: %s", why.text);
}

/* A replay from the first record wants all of them: those of the archive, up to `archived_lsn`, and
 * the log behind it. Whose the archives are a log without a readable header does not say: what is
 * wrong with it is told by whoever opens it. */
static enum wf_status refuse_gap(struct wf_engine *engine, uint64_t archived_lsn,
                                 struct wf_error *err) {
    uint64_t live = UINT64_MAX;
    uint8_t store_id[WAL_STORE_ID_SIZE];
    if (wal_identify(engine->io, engine->wal_dir, store_id, NULL) != WF_OK) {
        return WF_OK;
    }
    enum wf_status status = damage_first_live_lsn(engine->io, engine->wal_dir, &live, err);
    if (status != WF_OK || live == UINT64_MAX || live <= archived_lsn + 1) {
        return status;
    }
    return error_set(err, WF_DAMAGE,
                     "the log begins at LSN %" PRIu64 ", and LSN %" PRIu64 " to %" PRIu64
                     " are in no archive%s%s: put %s/ back as it was, or restore a backup",
                     live, archived_lsn + 1, live - 1, engine->notes[0] == '\0' ? "" : "; ",
                     engine->notes, engine_archive_name);
}

static enum wf_status open_log(struct wf_engine *engine, const struct wal_position *position,
                               uint64_t minimum_lsn, uint64_t limit_lsn,
                               struct wal_recovery *report, struct wf_error *err) {
    struct replayer replayer = {.engine = engine,
                                .state = &engine->state,
                                .arena = &engine->arena,
                                .after_lsn = engine_begins_after(engine),
                                .last = engine->last};
    const struct wal_position *from = position->size > 0 ? position : NULL;
    enum wf_status status = WF_OK;
    engine->recovering = true;
    if (from == NULL) {
        status = engine_replay_archive(engine, replay_record, &replayer, replayer.after_lsn,
                                       &replayer.after_lsn, err);
        if (status == WF_OK) {
            status = refuse_gap(engine, replayer.after_lsn, err);
        }
    }
    if (status != WF_OK) {
        /* nothing more can be read */
    } else if (engine->options.read_only) {
        status = wal_open_reader(engine->io, engine->wal_dir, from, minimum_lsn, limit_lsn,
                                 replay_record, &replayer, report, &engine->wal, err);
    } else {
        struct wal_options options = log_options(engine);
        status = wal_open(engine->io, engine->wal_dir, &options, from, minimum_lsn, replay_record,
                          &replayer, report, &engine->wal, err);
    }
    status = replay_finish(&replayer, status, err);
    if (replayer.undecodable_lsn != 0) {
        report->bad_lsn = replayer.undecodable_lsn;
        report->bad_lsn_last = replayer.undecodable_lsn;
    }
    engine->recovering = false;
    engine->last = replayer.last;
    engine->replayed = replayer.records;
    engine->checked_from_lsn = replayer.after_lsn + 1;
    engine->log_bytes = replayer.bytes; /* so that a snapshot becomes due, however short each run */
    engine->torn_bytes = report->torn_bytes;
    if (status == WF_OK) {
        status = engine_open_archive(engine, err);
    }
    return status == WF_OK ? engine_check_reach(engine, err) : status;
}

static enum wf_status reset_state(struct wf_engine *engine, struct wf_error *err) {
    wal_close(engine->wal, NULL);
    engine->wal = NULL;
    archive_close(engine->archive);
    engine->archive = NULL;
    state_deinit(&engine->state);
    return engine_init_state(engine, err);
}

static enum wf_status pass_over(void *ctx, const struct wal_record *record, struct wf_error *err) {
    (void)ctx;
    (void)record;
    (void)err;
    return WF_OK;
}

/* Does the log reach as far as the snapshot says? Changes nothing. */
static enum wf_status check_log(struct wf_engine *engine, uint64_t minimum_lsn,
                                struct wal_recovery *report, struct wf_error *err) {
    struct wal *log = NULL;
    enum wf_status status = wal_open_reader(engine->io, engine->wal_dir, NULL, minimum_lsn,
                                            UINT64_MAX, pass_over, NULL, report, &log, err);
    (void)wal_close(log, NULL);
    return status;
}

/* The log from its beginning. The snapshot is dropped first, for a replay that outgrows memory
 * writes to the one that is there; but not before the log was looked at, for the snapshot's LSN
 * still says how far that was durable. */
static enum wf_status recover_from_log(struct wf_engine *engine, const char *why,
                                       uint64_t minimum_lsn, uint64_t limit_lsn,
                                       struct wal_recovery *report, struct wf_error *err) {
    enum wf_status status = reset_state(engine, err);
    if (status == WF_OK && !engine->options.read_only) {
        status = check_log(engine, minimum_lsn, report, err);
    }
    if (status == WF_OK) {
        status = engine_drop_snapshot(engine, why, err);
    }
    if (status != WF_OK) {
        return status;
    }
    engine->digest_sum = (struct digest_sum){0};
    engine->last = (struct record_link){0};
    engine->origin_lsn = 0;
    status = engine_load_origin(engine, err);
    if (status != WF_OK) {
        return status;
    }
    const struct wal_position beginning = {0};
    return open_log(engine, &beginning, minimum_lsn, limit_lsn, report, err);
}

/* The LSN that the snapshot stands for, whether or not the rest of it can be read. */
static uint64_t snapshot_reach(const struct wf_engine *engine) {
    struct snapshot_meta meta;
    bool any = engine->snapshot != NULL && engine->snapshot->ops->meta(engine->snapshot, &meta);
    return any ? meta.lsn : 0;
}

static uint64_t higher(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Snapshot, then log. A snapshot that proves unusable on the way is dropped and the log read from
 * its beginning. `published_lsn` is what an owner announced as durable before it went: the newest
 * batch carries no mark of its own, so that without this its damage would pass for a torn tail. */
static enum wf_status recover(struct wf_engine *engine, uint64_t published_lsn, uint64_t limit_lsn,
                              struct wal_recovery *report, struct wf_error *err) {
    struct wal_position position;
    struct wf_error why = {0};
    enum wf_status status = engine_load_snapshot(engine, &position, &why);
    bool snapshot_at_fault = status == WF_DAMAGE;
    if (status == WF_OK) {
        if (limit_lsn < engine->snapshot_lsn) {
            limit_lsn = engine->snapshot_lsn; /* what is in a snapshot is durable */
        }
        status = open_log(engine, &position, higher(engine->snapshot_lsn, published_lsn), limit_lsn,
                          report, &why);
        /* Where the log itself is bad it says so in the report; else it was a value of the
         * snapshot. */
        snapshot_at_fault =
            status == WF_DIVERGENCE || (status == WF_DAMAGE && report->bad_lsn == 0);
    }
    if (status == WF_DIVERGENCE || status == WF_DAMAGE) {
        enum wf_status own = identity_check_log(engine->io, engine->dir, &position, err);
        if (own != WF_OK) {
            return own;
        }
    }
    uint64_t reach = snapshot_reach(engine);
    if (!snapshot_at_fault || reach == 0) {
        return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
    }
    struct wf_error first = why;
    status =
        recover_from_log(engine, first.text, higher(reach, published_lsn), limit_lsn, report, &why);
    return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
}

static enum wf_status open_reader(struct wf_engine *engine, struct wf_error *err) {
    char *path = io_path_join(engine->dir, engine_lock_name);
    if (path == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    enum wf_status status = WF_OK;
    for (int attempt = 0; attempt < READER_ATTEMPTS_MAX; attempt++) {
        struct lock_view owner;
        status = lock_look(engine->io, path, &owner, err);
        if (status != WF_OK) {
            break;
        }
        status = open_snapshot(engine, err);
        struct wal_recovery report = {0};
        if (status == WF_OK) {
            status = recover(engine, owner.durable_lsn,
                             owner.owned ? owner.durable_lsn : UINT64_MAX, &report, err);
        }
        if (status == WF_OK || !owner.owned) {
            break;
        }
        /* The owner may have moved on between the looks: look again. */
        if (engine->snapshot != NULL) {
            engine->snapshot->ops->close(engine->snapshot);
            engine->snapshot = NULL;
        }
        if (attempt + 1 < READER_ATTEMPTS_MAX && reset_state(engine, NULL) != WF_OK) {
            break;
        }
    }
    free(path);
    return status == WF_OK && wal_next_lsn(engine->wal) == 1 ? refuse_unfinished(engine, err)
                                                             : status;
}

static enum wf_status open_owner(struct wf_engine *engine, const struct folder *folder, bool make,
                                 struct wf_error *err) {
    enum wf_status status = make ? make_folder(engine, folder, err) : WF_OK;
    char *path = io_path_join(engine->dir, engine_lock_name);
    if (status == WF_OK && path == NULL) {
        status = error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    if (status == WF_OK) {
        status = lock_acquire(engine->io, path, &engine->lock, err);
    }
    free(path);
    if (status == WF_OK && make) {
        status = make_log(engine, err);
    }
    if (status == WF_OK && make) {
        status = engine->io->ops->sync_directory(engine->io, engine->dir, err);
    }
    if (status == WF_OK) {
        status = open_snapshot(engine, err);
    }
    struct wal_recovery report = {0};
    uint64_t published_lsn = 0;
    if (status == WF_OK && !make) {
        status = lock_published(engine->lock, &published_lsn, err);
    }
    if (status == WF_OK) {
        status = recover(engine, published_lsn, UINT64_MAX, &report, err);
    }
    if (status != WF_OK) {
        return status;
    }
    if (report.torn_bytes > 0) {
        size_t used = strlen(engine->notes);
        (void)snprintf(engine->notes + used, sizeof(engine->notes) - used,
                       "%s%" PRIu64 " bytes of a torn tail were cut off %s at offset %" PRIu64,
                       used > 0 ? "; " : "", report.torn_bytes, report.torn_segment,
                       report.torn_offset);
    }
    if (wal_next_lsn(engine->wal) == 1) {
        status = folder_refuse_archive(folder, engine->dir, err);
        if (status == WF_OK) {
            status = engine->options.create ? write_first_record(engine, err)
                                            : refuse_unfinished(engine, err);
        }
    } else if (engine->options.create && engine->options.test_clock &&
               !engine->state.store.test_clock) {
        status = error_set(err, WF_REFUSED, "the store exists and has no test clock");
    }
    if (status == WF_OK) {
        lock_publish(engine->lock, wal_durable_lsn(engine->wal));
        status = engine_finish_drop(engine, err);
    }
    return status;
}

/* --- the engine's own memory --- */

static struct wf_engine *create_engine(struct io *io, const struct snapshot_provider *provider,
                                       const char *dir, const struct wf_options *options) {
    struct wf_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        return NULL;
    }
    engine->options = *options;
    engine->provider = provider;
    engine->io = io;
    if (options->on_point != NULL) {
        engine->own_io = create_own_io(io, options);
        engine->io = engine->own_io == NULL ? NULL : &engine->own_io->io;
    }
    engine->dir = strdup(dir);
    engine->wal_dir = io_path_join(dir, engine_wal_name);
    engine->snapshot_dir = io_path_join(dir, engine_snapshot_name);
    engine->archive_dir = io_path_join(dir, engine_archive_name);
    pthread_mutex_init(&engine->archive_mutex, NULL);
    codec_arena_init(&engine->arena);
    versions_init(&engine->versions);
    bytes_buffer_init(&engine->encoded);
    bytes_buffer_init(&engine->scratch);
    bytes_buffer_init(&engine->checkpoint_buffer);
    pthread_mutexattr_t adaptive;
    pthread_mutexattr_init(&adaptive);
    /* Turns are short: spin a little before sleeping. */
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&engine->mutex, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    pthread_cond_init(&engine->checkpoint_done, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->timers_wanted, &monotonic);
    pthread_cond_init(&engine->checkpoint_wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return engine;
}

/* Everything that was acquired, in reverse; whatever is missing is passed over. */
static void destroy_engine(struct wf_engine *engine) {
    if (engine->snapshot != NULL) {
        engine->snapshot->ops->close(engine->snapshot);
    }
    lock_release(engine->lock);
    state_deinit(&engine->state);
    for (size_t i = 0; i < engine->retired_count; i++) {
        definition_destroy(engine->retired[i]);
    }
    free(engine->retired);
    engine_forget_handlers(engine);
    pthread_cond_destroy(&engine->timers_wanted);
    pthread_cond_destroy(&engine->checkpoint_done);
    pthread_cond_destroy(&engine->checkpoint_wanted);
    pthread_mutex_destroy(&engine->mutex);
    bytes_buffer_deinit(&engine->checkpoint_buffer);
    bytes_buffer_deinit(&engine->scratch);
    bytes_buffer_deinit(&engine->encoded);
    codec_arena_deinit(&engine->arena);
    versions_deinit(&engine->versions);
    pthread_mutex_destroy(&engine->archive_mutex);
    archive_close(engine->archive);
    free(engine->archive_dir);
    free(engine->snapshot_dir);
    free(engine->wal_dir);
    free(engine->dir);
    free(engine->own_io);
    free(engine);
}

static enum wf_status check_options(const struct wf_options *options, struct wf_error *err) {
    if (options->size != sizeof(*options)) {
        return error_set(err, WF_USAGE, "the options were not made by wf_options_init()");
    }
    if (options->read_only && options->create) {
        return error_set(err, WF_USAGE, "a store cannot be made by a reader");
    }
    if (options->segment_size < WAL_SEGMENT_SIZE_MIN) {
        return error_set(err, WF_USAGE, "a segment must have at least %d bytes",
                         WAL_SEGMENT_SIZE_MIN);
    }
    if (options->keys_max == 0) {
        return error_set(err, WF_USAGE, "keys_max must be at least 1");
    }
    return WF_OK;
}

static enum wf_status open_store(struct wf_engine *engine, struct wf_error *err) {
    struct folder folder;
    bool make = false;
    enum wf_status status = engine_init_state(engine, err);
    if (status == WF_OK) {
        status = folder_look(engine->io, engine->dir, &folder, err);
    }
    if (status == WF_OK) {
        status = folder_judge(&folder, engine->dir, engine->options.create, &make, err);
    }
    if (status == WF_OK) {
        status = engine->options.read_only ? open_reader(engine, err)
                                           : open_owner(engine, &folder, make, err);
    }
    return status;
}

enum wf_status engine_open(struct io *io, const struct snapshot_provider *provider, const char *dir,
                           const struct wf_options *options, struct wf_engine **out,
                           struct wf_error *err) {
    *out = NULL;
    struct wf_options defaults;
    wf_options_init(&defaults);
    if (options == NULL) {
        options = &defaults;
    }
    if (dir == NULL || dir[0] == '\0') {
        return error_set(err, WF_USAGE, "the store's folder is not named");
    }
    enum wf_status status = check_options(options, err);
    if (status != WF_OK) {
        return status;
    }
    struct wf_engine *engine = create_engine(io, provider, dir, options);
    if (engine == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for an engine");
    }
    if (engine->io == NULL || engine->dir == NULL || engine->wal_dir == NULL ||
        engine->snapshot_dir == NULL || engine->archive_dir == NULL) {
        destroy_engine(engine);
        return error_set(err, WF_NO_MEMORY, "no memory for an engine");
    }
    uint64_t started_ns = io->ops->monotonic_ns(io);
    status = open_store(engine, err);
    engine->replay_ms = (double)(io->ops->monotonic_ns(io) - started_ns) / 1e6;
    if (status == WF_OK && engine->options.background_snapshots && !engine->options.read_only) {
        status = checkpoint_start_thread(engine, err);
    }
    if (status == WF_OK && engine->options.background_timers && !engine->options.read_only) {
        status = due_start_thread(engine, err);
    }
    if (status == WF_OK && engine->options.background_sync && !engine->options.read_only) {
        status = sync_ahead_start_thread(engine, err);
    }
    if (status != WF_OK) {
        due_stop_thread(engine);
        checkpoint_stop_thread(engine);
        (void)wal_close(engine->wal, NULL);
        destroy_engine(engine);
        return status;
    }
    *out = engine;
    return WF_OK;
}

/* Damage: say whose records are concerned. */
static void name_concerned(const char *dir, struct wf_error *err) {
    struct damage_report report;
    damage_report_init(&report);
    if (damage_survey(io_posix(), snapshot_lmdb(), dir, &report, NULL) == WF_OK) {
        for (const struct damage_finding *found = report.findings; found != NULL;
             found = found->next) {
            size_t used = strlen(err->text);
            if (found->names[0] != '\0') {
                (void)snprintf(err->text + used, sizeof(err->text) - used, "; concerned: %s",
                               found->names);
            }
        }
    }
    damage_report_deinit(&report);
}

enum wf_status wf_open(const char *dir, const struct wf_options *options, struct wf_engine **out,
                       struct wf_error *err) {
    struct wf_error own;
    struct wf_error *why = err == NULL ? &own : err;
    enum wf_status status = engine_open(io_posix(), snapshot_lmdb(), dir, options, out, why);
    if (status == WF_DAMAGE) {
        name_concerned(dir, why);
    }
    return status == WF_OK ? WF_OK : error_wrap(why, status, "open %s", dir == NULL ? "" : dir);
}

enum wf_status engine_require_store(struct io *io, const char *dir, struct wf_error *err) {
    struct folder folder;
    bool make;
    enum wf_status status = folder_look(io, dir, &folder, err);
    return status == WF_OK ? folder_judge(&folder, dir, false, &make, err) : status;
}

/* Their sessions, and the thread of each, would go on in what is no more. */
static enum wf_status refuse_open_pools(struct wf_engine *engine, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    size_t pools = engine->pools;
    pthread_mutex_unlock(&engine->mutex);
    return pools == 0 ? WF_OK
                      : error_set(err, WF_REFUSED,
                                  "the engine has %zu open pool%s of sessions: close %s first "
                                  "(wf_pool_close)",
                                  pools, pools == 1 ? "" : "s", pools == 1 ? "it" : "them");
}

enum wf_status wf_close(struct wf_engine *engine, struct wf_error *err) {
    if (engine == NULL) {
        return WF_OK;
    }
    enum wf_status status = refuse_open_pools(engine, err);
    if (status != WF_OK) {
        return status;
    }
    due_stop_thread(engine);
    checkpoint_stop_thread(engine);
    sync_ahead_stop_thread(engine);
    bool writes = !engine->options.read_only && !wal_halted(engine->wal) && !engine->stale;
    if (writes && engine->options.snapshot_on_close && engine->snapshot != NULL) {
        status = checkpoint_run(engine, err);
    }
    enum wf_status log_status = wal_close(engine->wal, status == WF_OK ? err : NULL);
    destroy_engine(engine);
    return status == WF_OK ? log_status : status;
}
