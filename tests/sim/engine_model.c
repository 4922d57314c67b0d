#include "tests/sim/engine_model.h"

#include "base/table.h"
#include "engine/core/check.h"
#include "tests/sim/engine_command.h"
#include "tests/sim/engine_errand.h"
#include "tests/sim/engine_timer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const store_dir = "store";

enum { STORE_CLOCK_MS = 1000000 };

/* --- checks --- */

bool store_run_check(struct store_run *run, bool holds, const char *format, ...) {
    va_list args;
    va_start(args, format);
    explore_vcheck(run->explorer, holds, format, args);
    va_end(args);
    run->failed = run->failed || !holds;
    return holds;
}

static bool same_sum(const struct digest_sum *a, const struct digest_sum *b) {
    return a->low == b->low && a->high == b->high;
}

static struct digest_sum hash_now(const struct wf_engine *engine) {
    struct digest_sum sum;
    if (digest_state(&engine->state, &engine->digest_sum, &sum, NULL) != WF_OK)
        abort(); /* test equipment: no memory */
    return sum;
}

/* The record of the command under way, where the engine has made it: what it is and comes to. */
static void learn(const struct store_run *run, struct store_record *record) {
    const struct wf_engine *engine = run->engine;
    if (engine == NULL || record->content != 0 || engine->log_bytes == run->log_bytes)
        return;
    record->lsn = engine->last.lsn;
    record->offset = engine->last.offset;
    record->content = table_hash(engine->encoded.data, engine->encoded.size) | 1;
    record->hash = hash_now(engine);
    record->has_hash = true;
}

/* The same for a crash in the middle of a command, of which the process could not note anything. */
void store_model_learn_from_dead(struct store_model *model) {
    if (model->count > 0 && model->run != NULL)
        learn(model->run, &model->all[model->count - 1]);
}

/* --- reading a log against the model --- */

struct store_reading {
    struct store_run *run;
    uint64_t last;
    uint16_t found[2 * STORE_RECORDS_MAX]; /* by LSN: index of the record + 1; 0: none */
};

/* A record that a repair wrote about what it lost. */
static bool is_repair_record(const struct wal_record *record) {
    struct codec_arena arena;
    struct record decoded;
    codec_arena_init(&arena);
    bool is = codec_decode(&arena, record->payload, &decoded, NULL) == WF_OK;
    if (is) {
        is = decoded.command == COMMAND_LOG_REPAIR;
        codec_release(&decoded);
    }
    codec_arena_deinit(&arena);
    return is;
}

/* The index of the record that this is; count where the model knows none. Of a command given again
 * after it failed, the attempt that did not fail. */
static size_t identify(const struct store_model *model, const struct wal_record *record) {
    uint64_t content = table_hash(record->payload.data, record->payload.size) | 1;
    size_t found = model->count;
    for (size_t i = 0; i < model->count; i++) {
        bool same = model->all[i].lsn == record->lsn && model->all[i].content == content;
        if (same && (found == model->count || model->all[found].fate == STORE_GONE))
            found = i;
    }
    return found;
}

/* Take a record of the repair's into the model. */
static void adopt(struct store_model *model, const struct wal_record *record) {
    if (model->count == STORE_RECORDS_MAX)
        return;
    model->all[model->count++] = (struct store_record){
        .lsn = record->lsn,
        .content = table_hash(record->payload.data, record->payload.size) | 1,
    };
}

static enum wf_status read_record(void *ctx, const struct wal_record *record,
                                  struct wf_error *err) {
    struct store_reading *reading = ctx;
    struct store_run *run = reading->run;
    struct store_model *model = &run->model;
    bool dense = record->lsn == reading->last + 1 && record->lsn < 2 * STORE_RECORDS_MAX;
    bool good =
        store_run_check(run, dense, "LSN %" PRIu64 " follows %" PRIu64, record->lsn, reading->last);
    reading->last = record->lsn;
    if (good && record->lost) {
        good = store_run_check(
            run, model->lossy_first <= record->lsn && record->lsn <= model->lossy_last,
            "LSN %" PRIu64 " was not damaged, and is lost", record->lsn);
    } else if (good) {
        size_t at = identify(model, record);
        if (at == model->count && model->lossy_first != 0 && is_repair_record(record))
            adopt(model, record);
        good = store_run_check(run, at < model->count,
                               "LSN %" PRIu64 " holds a record that was never made there",
                               record->lsn) &&
               store_run_check(run, model->all[at].fate != STORE_GONE,
                               "LSN %" PRIu64 ": record %zu had failed for certain, and is back",
                               record->lsn, at);
        reading->found[record->lsn] = good ? (uint16_t)(at + 1) : 0;
    }
    return good ? WF_OK : error_set(err, WF_DIVERGENCE, "stopped");
}

/* Is everything there that was acknowledged? */
static bool check_acknowledged(struct store_run *run, const struct store_reading *reading) {
    const struct store_model *model = &run->model;
    for (size_t i = 0; i < model->count; i++) {
        const struct store_record *record = &model->all[i];
        bool lossy = model->lossy_first <= record->lsn && record->lsn <= model->lossy_last;
        bool there = record->lsn <= reading->last && reading->found[record->lsn] == i + 1;
        if (record->fate == STORE_ACKED &&
            !store_run_check(run, there || (lossy && record->lsn <= reading->last),
                             "LSN %" PRIu64 " was acknowledged (record %zu), and is not there",
                             record->lsn, i))
            return false;
    }
    return true;
}

/* The state that was recovered is the one that the engine had after that record. */
static bool check_hash(struct store_run *run, const struct store_reading *reading) {
    const struct wf_engine *engine = run->engine;
    uint16_t found = reading->found[reading->last];
    bool whole = engine->snapshot_lsn == 0 && engine->counters.evictions == 0;
    struct wf_error err = {0};
    enum wf_status status = check_state(&engine->state, whole, &err);
    if (!store_run_check(run, status == WF_OK, "the state's invariants: %s", err.text))
        return false;
    struct digest_sum sum = hash_now(engine);
    return found == 0 || !run->model.all[found - 1].has_hash ||
           store_run_check(run, same_sum(&sum, &run->model.all[found - 1].hash),
                           "a wrong state after LSN %" PRIu64 ", snapshot at %" PRIu64,
                           reading->last, engine->snapshot_lsn);
}

/* What was read is promised from now on; what was not is gone. */
static void settle(struct store_model *model, const struct store_reading *reading) {
    for (size_t i = 0; i < model->count; i++) {
        struct store_record *record = &model->all[i];
        bool there = record->lsn != 0 && record->lsn <= reading->last &&
                     reading->found[record->lsn] == i + 1;
        record->fate = there ? STORE_ACKED : STORE_GONE;
    }
    model->created = true;
    model->damaged = false;
}

static bool read_all(struct store_run *run, struct store_reading *reading) {
    struct wf_error err = {0};
    *reading = (struct store_reading){.run = run};
    struct wal *wal = run->engine->wal;
    enum wf_status status = wal_walk(wal, 1, wal_durable_lsn(wal), read_record, reading, &err);
    bool failed_already = run->failed;
    return !failed_already &&
           store_run_check(run, status == WF_OK, "walk: %s: %s", error_code(status), err.text) &&
           store_run_check(run, reading->last == run->engine->last.lsn,
                           "the log ends at LSN %" PRIu64 ", the state at %" PRIu64, reading->last,
                           run->engine->last.lsn) &&
           check_acknowledged(run, reading) && check_hash(run, reading);
}

bool store_run_read(struct store_run *run) {
    struct store_reading reading;
    return read_all(run, &reading);
}

/* --- a run --- */

/* The first record of every store: learnt from one that is made without a crash. */
static struct store_record first_record(const struct wf_options *options) {
    struct sim_io *sim = sim_io_create(1);
    struct machine_snapshots *snapshots = machine_snapshots_create(NULL);
    struct store_run run = {.log_bytes = 0};
    struct store_record record = {.fate = STORE_SUBMITTED};
    if (engine_open(sim_io_of(sim), machine_snapshots_provider(snapshots), store_dir, options,
                    &run.engine, NULL) != WF_OK)
        abort(); /* every other test would fail too */
    learn(&run, &record);
    (void)wf_close(run.engine, NULL);
    machine_snapshots_destroy(snapshots);
    sim_io_destroy(sim);
    return record;
}

void store_run_init(struct store_run *run, struct explorer *explorer, struct sim_io *sim,
                    struct machine_snapshots *snapshots, uint64_t seed) {
    *run = (struct store_run){
        .explorer = explorer, .sim = sim, .snapshots = snapshots, .random = seed};
    wf_options_init(&run->options);
    run->options.create = true;
    run->options.test_clock = true;
    run->options.test_clock_ms = STORE_CLOCK_MS;
    run->options.segment_size = WAL_SEGMENT_SIZE_MIN;
    run->options.snapshot_log_bytes = 0;
    run->model.run = run;
    run->model.all[0] = first_record(&run->options);
    run->model.count = 1;
}

void store_run_use_clock(struct store_run *run, int64_t (*now_ms)(void *ctx)) {
    run->options.test_clock = false;
    run->options.clock = WF_CLOCK_HOST;
    run->options.now_ms = now_ms;
    run->model.all[0] = first_record(&run->options);
}

void store_run_deinit(struct store_run *run) {
    (void)wf_close(run->engine, NULL);
    run->engine = NULL;
}

/* --- watching --- */

static void on_commit(void *ctx) {
    struct store_run *run = ctx;
    if (run->watched)
        explore_now(run->explorer, run->sim, &run->model);
}

void store_run_watch(struct store_run *run) {
    run->watched = explore_watch(run->explorer, run->sim, &run->model);
    machine_snapshots_on_commit(run->snapshots, run->watched ? on_commit : NULL, run);
}

void store_run_unwatch(struct store_run *run) {
    run->watched = false;
    sim_on_boundary(run->sim, NULL, NULL);
    machine_snapshots_on_commit(run->snapshots, NULL, NULL);
}

/* --- opening --- */

void store_run_lose(struct store_run *run, uint64_t first_lsn, uint64_t last_lsn) {
    struct store_model *model = &run->model;
    model->damaged = true;
    model->lossy_first = first_lsn;
    model->lossy_last = last_lsn;
    for (size_t i = 0; i < model->count; i++) {
        if (model->all[i].lsn >= first_lsn)
            model->all[i].has_hash = false;
    }
}

enum wf_status store_run_try_open(struct store_run *run, struct wf_error *err) {
    return engine_open(sim_io_of(run->sim), machine_snapshots_provider(run->snapshots), store_dir,
                       &run->options, &run->engine, err);
}

static enum wf_status repair(struct store_run *run, struct wf_error *err) {
    struct wf_log_report report;
    enum wf_status status =
        engine_log_repair(sim_io_of(run->sim), machine_snapshots_provider(run->snapshots),
                          store_dir, 0, NULL, NULL, &report, err);
    wf_log_report_deinit(&report);
    return status;
}

/* Somebody finishes the repair that was begun: what is damaged may be behind what opening reads. */
static enum wf_status open_damaged(struct store_run *run, struct wf_error *err) {
    enum wf_status status = repair(run, err);
    run->model.damaged = status != WF_OK; /* from here on it must not come back */
    return status == WF_OK ? store_run_try_open(run, err) : status;
}

bool store_run_open(struct store_run *run) {
    struct store_reading reading;
    struct wf_error err = {0};
    enum wf_status status =
        run->model.damaged ? open_damaged(run, &err) : store_run_try_open(run, &err);
    if (status != WF_OK && run->hostile) {
        (void)wf_close(run->engine, NULL);
        run->engine = NULL;
        return store_run_check(run, status == WF_IO || status == WF_FULL || status == WF_UNKNOWN,
                               "open, with faults: %s: %s", error_code(status), err.text) &&
               false;
    }
    if (run->hostile)
        sim_fault_clear(run->sim); /* what is there is read without */
    if (!store_run_check(run, status == WF_OK, "open: %s: %s", error_code(status), err.text) ||
        !read_all(run, &reading))
        return false;
    settle(&run->model, &reading);
    run->log_bytes = run->engine->log_bytes;
    run->waiting = 0;
    return true;
}

bool store_run_close(struct store_run *run) {
    struct wf_error err = {0};
    enum wf_status status = wf_close(run->engine, &err);
    run->engine = NULL;
    run->waiting = 0;
    return store_run_check(run, status == WF_OK || run->hostile, "close: %s: %s",
                           error_code(status), err.text) &&
           store_run_check(run, sim_open_files(run->sim) == 0, "close left a file open") &&
           store_run_check(run, machine_snapshots_open_count(run->snapshots) == 0,
                           "close left a snapshot open");
}

/* --- commands --- */

static bool is_answer(enum wf_status status) {
    return status == WF_OK || status == WF_REFUSED || status == WF_NOT_FOUND ||
           status == WF_CONFLICT;
}

/* May a command come to this? */
static bool is_allowed(const struct store_run *run, enum wf_status status) {
    return is_answer(status) || run->hostile || (run->may_fill && status == WF_FULL);
}

enum wf_status store_run_enqueue(struct store_run *run, const struct store_command *command) {
    struct store_model *model = &run->model;
    if (model->count == STORE_RECORDS_MAX || run->waiting == STORE_PENDING_MAX)
        return WF_REFUSED; /* the model is full */
    size_t index = model->count;
    model->all[model->count++] = (struct store_record){.command = *command};
    struct command_text text;
    timer_set_clock(command);
    command_text_init(&text, command);
    struct wf_error err = {0};
    struct wf_pending *pending = &run->pending[run->waiting];
    run->log_bytes = run->engine->log_bytes;
    enum wf_status status = wf_enqueue(run->engine, &text.command, pending, &err);
    command_text_deinit(&text);
    learn(run, &model->all[index]);
    bool recorded = model->all[index].content != 0;
    run->log_bytes = run->engine->log_bytes;
    if (!recorded)
        model->count--; /* a refusal, a key used before, or nothing at all */
    if (status == WF_OK)
        run->records[run->waiting++] = recorded ? index : SIZE_MAX;
    else
        store_run_check(run, !recorded, "enqueue: %s, and a record: %s", error_code(status),
                        err.text);
    store_run_check(run, is_allowed(run, status), "enqueue: %s: %s", error_code(status), err.text);
    return status;
}

enum wf_status store_run_wait(struct store_run *run) {
    enum wf_status first = WF_OK;
    for (size_t i = 0; i < run->waiting; i++) {
        struct wf_error err = {0};
        struct wf_result result;
        enum wf_status status = wf_wait(run->engine, &run->pending[i], &result, &err);
        if (run->records[i] != SIZE_MAX) {
            struct store_record *record = &run->model.all[run->records[i]];
            if (is_answer(status))
                record->fate = STORE_ACKED;
            else if (status == WF_FULL)
                record->fate = STORE_GONE;
            store_run_check(run, status != WF_OK || result.lsn == record->lsn,
                            "LSN %" PRIu64 " answered for LSN %" PRIu64, result.lsn, record->lsn);
        }
        store_run_check(run, is_allowed(run, status), "wait: %s: %s", error_code(status), err.text);
        first = first == WF_OK && !is_answer(status) ? status : first;
    }
    run->waiting = 0;
    return first;
}

/* An engine's own call that makes a record, and no command. */
static enum wf_status call(struct wf_engine *engine, const struct store_command *command,
                           struct wf_error *err) {
    timer_set_clock(command);
    return command->tick ? wf_tick(engine, NULL, err) : errand_claim(engine, err);
}

/* What it does is durable when it returns. */
static enum wf_status call_own(struct store_run *run, const struct store_command *command) {
    struct store_model *model = &run->model;
    if (model->count == STORE_RECORDS_MAX)
        return WF_REFUSED;
    struct store_record *record = &model->all[model->count++];
    *record = (struct store_record){.command = *command};
    struct wf_error err = {0};
    run->log_bytes = run->engine->log_bytes;
    enum wf_status status = call(run->engine, command, &err);
    learn(run, record);
    run->log_bytes = run->engine->log_bytes;
    if (record->content == 0)
        model->count--; /* none was due */
    else if (status == WF_OK)
        record->fate = STORE_ACKED;
    store_run_check(run, is_allowed(run, status), "%s: %s: %s", command->tick ? "tick" : "claim",
                    error_code(status), err.text);
    return status;
}

enum wf_status store_run_execute(struct store_run *run, const struct store_command *command) {
    if (command->claim || command->tick)
        return call_own(run, command);
    enum wf_status status = store_run_enqueue(run, command);
    return status == WF_OK ? store_run_wait(run) : status;
}

void store_run_checkpoint(struct store_run *run) {
    struct wf_error err = {0};
    enum wf_status status = wf_snapshot(run->engine, &err);
    store_run_check(run, status == WF_OK || run->hostile, "checkpoint: %s: %s", error_code(status),
                    err.text);
}

void store_run_archive(struct store_run *run, bool seal) {
    struct wf_error err = {0};
    struct wf_archive_options options;
    wf_archive_options_init(&options);
    options.seal = seal;
    options.snapshot = seal;
    options.threads = 1; /* the same calls in the same order, whatever the machine */
    enum wf_status status = run->failed ? WF_OK : wf_archive_run(run->engine, &options, NULL, &err);
    store_run_check(run, status == WF_OK, "archive: %s: %s", error_code(status), err.text);
}

/* --- the uncrashed run --- */

static const struct store_record *acknowledged_at(const struct store_model *model, uint64_t lsn) {
    for (size_t i = 0; i < model->count; i++) {
        if (model->all[i].lsn == lsn && model->all[i].fate == STORE_ACKED)
            return &model->all[i];
    }
    return NULL;
}

static enum wf_status give_again(struct wf_engine *engine, const struct store_command *command,
                                 struct wf_error *err) {
    struct command_text text;
    struct wf_pending pending;
    if (command->claim || command->tick)
        return call(engine, command, err);
    timer_set_clock(command);
    command_text_init(&text, command);
    enum wf_status status = wf_enqueue(engine, &text.command, &pending, err);
    command_text_deinit(&text);
    return status;
}

void store_run_check_uncrashed(struct store_run *run) {
    if (run->model.lossy_first != 0)
        return;
    struct sim_io *sim = sim_io_create(1);
    struct machine_snapshots *snapshots = machine_snapshots_create(NULL);
    struct wf_engine *engine;
    struct wf_error err = {0};
    timer_restart();
    enum wf_status status = engine_open(sim_io_of(sim), machine_snapshots_provider(snapshots),
                                        store_dir, &run->options, &engine, &err);
    const struct store_record *record;
    for (uint64_t lsn = 2; status == WF_OK && !run->failed; lsn++) {
        if ((record = acknowledged_at(&run->model, lsn)) == NULL)
            break;
        status = give_again(engine, &record->command, &err);
        struct digest_sum sum = hash_now(engine);
        store_run_check(run, engine->last.lsn == lsn && same_sum(&sum, &record->hash),
                        "LSN %" PRIu64 ": without crashes the state is another one", lsn);
    }
    store_run_check(run, status == WF_OK, "uncrashed: %s: %s", error_code(status), err.text);
    (void)wf_close(engine, NULL);
    machine_snapshots_destroy(snapshots);
    sim_io_destroy(sim);
}
