#include "tests/sim/wal_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const model_dir = "log";

static const uint8_t store_id[WAL_STORE_ID_SIZE] = "a simulated log";

enum { FOUND_LOST = UINT16_MAX }; /* a repair put a "lost" record there */

/* --- payloads --- */

static void make_payload(uint8_t *at, size_t content, size_t size) {
    uint64_t random = content;
    at[0] = (uint8_t)content;
    at[1] = (uint8_t)(content >> 8);
    for (size_t i = MODEL_PAYLOAD_MIN; i < size; i++) {
        if (i % 8 == MODEL_PAYLOAD_MIN) {
            sim_random_next(&random);
        }
        at[i] = (uint8_t)(random >> (8 * (i % 8)));
    }
}

/* --- reading a log against the model --- */

struct reading {
    struct explorer *explorer;
    const struct model *model;
    uint64_t after; /* the LSN of the position that it starts from, 0: none */
    uint64_t first, last, last_offset;
    uint16_t
        found[MODEL_SUBMISSIONS_MAX + 1]; /* by LSN: index of the submission + 1, or FOUND_LOST */
};

/* The index + 1 of the submission that this record must be; 0, reported, where it is none. */
static uint16_t identify(const struct reading *reading, const struct wal_record *record) {
    const struct model *model = reading->model;
    static uint8_t expected[MODEL_PAYLOAD_MAX];
    const uint8_t *at = record->payload.data;
    size_t size = record->payload.size;
    size_t content = size < MODEL_PAYLOAD_MIN ? SIZE_MAX : at[0] + 256U * at[1];
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_submission *submission = &model->all[i];
        bool same = submission->lsn == record->lsn && submission->content == content &&
                    submission->size == size;
        /* Of the same record tried again, the attempt that did not fail. */
        if (same && (found == SIZE_MAX || model->all[found].fate == MODEL_GONE)) {
            found = i;
        }
    }
    if (!explore_check(reading->explorer, found != SIZE_MAX,
                       "LSN %" PRIu64 " holds a record that was never given to the log there",
                       record->lsn)) {
        return 0;
    }
    make_payload(expected, content, size);
    bool good = explore_check(reading->explorer, memcmp(expected, at, size) == 0,
                              "LSN %" PRIu64 ": bytes differ", record->lsn) &&
                explore_check(reading->explorer, model->all[found].fate != MODEL_GONE,
                              "LSN %" PRIu64 ": submission %zu had failed for certain, and is back",
                              record->lsn, found);
    return good ? (uint16_t)(found + 1) : 0;
}

static enum wf_status read_record(void *ctx, const struct wal_record *record,
                                  struct wf_error *err) {
    struct reading *reading = ctx;
    const struct model *model = reading->model;
    bool dense = reading->last == 0 ? reading->after == 0 || record->lsn == reading->after + 1
                                    : record->lsn == reading->last + 1;
    if (!explore_check(reading->explorer, dense && record->lsn <= MODEL_SUBMISSIONS_MAX,
                       "LSN %" PRIu64 " follows %" PRIu64, record->lsn, reading->last)) {
        return error_set(err, WF_DIVERGENCE, "stopped");
    }
    uint16_t found = FOUND_LOST;
    if (!record->lost) {
        found = identify(reading, record);
    } else if (!explore_check(reading->explorer,
                              model->lossy_first <= record->lsn && record->lsn <= model->lossy_last,
                              "LSN %" PRIu64 " was not damaged, and is lost", record->lsn)) {
        found = 0;
    }
    reading->first = reading->first == 0 ? record->lsn : reading->first;
    reading->last = record->lsn;
    reading->last_offset = record->offset;
    reading->found[record->lsn] = found;
    return found == 0 ? error_set(err, WF_DIVERGENCE, "stopped") : WF_OK;
}

/* Is everything there that was acknowledged? */
static bool check_acknowledged(const struct reading *reading) {
    const struct model *model = reading->model;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_submission *submission = &model->all[i];
        uint64_t lsn = submission->lsn;
        if (submission->fate != MODEL_ACKED || lsn < model->first_high || lsn <= reading->after) {
            continue;
        }
        bool lost = reading->found[lsn] == FOUND_LOST;
        if (!explore_check(reading->explorer, lost || reading->found[lsn] == i + 1,
                           "LSN %" PRIu64 " was acknowledged (submission %zu), and is not there",
                           lsn, i)) {
            return false;
        }
    }
    return explore_check(
        reading->explorer,
        reading->after != 0 || reading->first == 0 ||
            (reading->first >= model->first_low && reading->first <= model->first_high),
        "the first LSN is %" PRIu64 ", not %" PRIu64 "..%" PRIu64, reading->first, model->first_low,
        model->first_high);
}

/* What was read is promised from now on; what was not is gone. */
static void settle(struct model *model, const struct reading *reading) {
    for (size_t i = 0; i < model->count; i++) {
        struct model_submission *submission = &model->all[i];
        if (submission->lsn <= reading->after || submission->lsn < reading->first) {
            continue;
        }
        bool found = reading->found[submission->lsn] == i + 1;
        submission->fate = found ? MODEL_ACKED : MODEL_GONE;
    }
    if (reading->after == 0 && reading->first != 0) {
        model->first_low = model->first_high = reading->first;
    }
    model->created = true;
    model->damaged = false;
}

/* --- a run --- */

void log_run_init(struct log_run *run, struct explorer *explorer, struct sim_io *sim,
                  uint64_t seed) {
    *run = (struct log_run){.explorer = explorer, .sim = sim, .random = seed};
    run->options.segment_size = WAL_SEGMENT_SIZE_MIN;
    run->model.first_low = run->model.first_high = 1;
}

void log_run_deinit(struct log_run *run) {
    wal_close(run->wal, NULL);
    run->wal = NULL;
}

bool log_run_check(struct log_run *run, bool holds, const char *format, ...) {
    va_list args;
    va_start(args, format);
    explore_vcheck(run->explorer, holds, format, args);
    va_end(args);
    run->failed = run->failed || !holds;
    return holds;
}

bool log_run_create(struct log_run *run) {
    struct wf_error err = {0};
    enum wf_status status =
        wal_create(sim_io_of(run->sim), model_dir, store_id, &run->options, &err);
    run->model.created = run->model.created || status == WF_OK;
    return log_run_check(run, status == WF_OK || run->hostile, "create: %s: %s", error_code(status),
                         err.text) &&
           status == WF_OK;
}

/* An LSN that somebody knows to be durable, or 0. */
static uint64_t some_durable_lsn(struct log_run *run) {
    const struct model *model = &run->model;
    uint64_t lsn = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (model->all[i].fate == MODEL_ACKED && model->all[i].lsn > lsn) {
            lsn = model->all[i].lsn;
        }
    }
    return explore_chance(run->explorer, 2) ? lsn : 0;
}

static enum wf_status open_log(struct log_run *run, struct reading *reading, uint64_t minimum_lsn,
                               struct wf_error *err) {
    const struct wal_position *from = NULL;
    struct wal_recovery report;
    if (run->model.position.size > 0 && explore_chance(run->explorer, 2)) {
        from = &run->model.position;
        reading->after = from->lsn;
    }
    return wal_open(sim_io_of(run->sim), model_dir, &run->options, from, minimum_lsn, read_record,
                    reading, &report, &run->wal, err);
}

static enum wf_status repair(struct log_run *run, struct wf_error *err) {
    return wal_repair(sim_io_of(run->sim), model_dir, 0, 0, NULL, NULL, err);
}

/* The log as it was opened against what was read. */
static bool check_open(struct log_run *run, const struct reading *reading) {
    uint64_t next = wal_next_lsn(run->wal);
    uint64_t durable = wal_durable_lsn(run->wal);
    return log_run_check(run, reading->last == 0 || next == reading->last + 1,
                         "next LSN %" PRIu64 " behind %" PRIu64, next, reading->last) &&
           log_run_check(run, durable + 1 == next, "durable LSN %" PRIu64 ", next %" PRIu64,
                         durable, next) &&
           log_run_check(run,
                         !wal_halted(run->wal) &&
                             memcmp(wal_store_id(run->wal), store_id, sizeof store_id) == 0,
                         "halted, or another store");
}

bool log_run_open(struct log_run *run) {
    struct reading reading = {.explorer = run->explorer, .model = &run->model};
    struct wf_error err = {0};
    uint64_t failures = run->explorer->failures;
    uint64_t minimum_lsn = some_durable_lsn(run);
    enum wf_status status = open_log(run, &reading, minimum_lsn, &err);
    if (status == WF_NOT_FOUND && !run->model.created) {
        if (!log_run_create(run)) {
            return false;
        }
        status = open_log(run, &reading, 0, &err);
    }
    if (status == WF_DAMAGE && run->model.damaged) {
        status = repair(run, &err);
        run->model.damaged = status != WF_OK; /* from here on it must not come back */
        reading = (struct reading){.explorer = run->explorer, .model = &run->model};
        status = status == WF_OK ? open_log(run, &reading, minimum_lsn, &err) : status;
    }
    if (status != WF_OK && run->hostile && failures == run->explorer->failures) {
        return log_run_check(run, status == WF_IO || status == WF_FULL, "open, with faults: %s: %s",
                             error_code(status), err.text) &&
               log_run_check(run, run->wal == NULL, "a log from an open that failed") && false;
    }
    if (failures != run->explorer->failures) {
        run->failed = true; /* a record said so already */
        return false;
    }
    run->failed |=
        !log_run_check(run, status == WF_OK, "open: %s: %s", error_code(status), err.text) ||
        !check_acknowledged(&reading) || !check_open(run, &reading);
    if (!run->failed) {
        settle(&run->model, &reading);
        run->cuts = wal_cuts(run->wal);
        run->waiting = 0;
    }
    return !run->failed;
}

bool log_run_close(struct log_run *run) {
    struct wf_error err = {0};
    enum wf_status status = wal_close(run->wal, &err);
    run->wal = NULL;
    run->waiting = 0;
    return log_run_check(run, status == WF_OK || run->hostile, "close: %s: %s", error_code(status),
                         err.text) &&
           log_run_check(run, sim_open_files(run->sim) == 0, "close left a file open");
}

/* Often a caller tries again what failed: the very same bytes at the same LSN. Remains of the first
 * attempt then continue the chain, if they were not removed. */
static void try_again(struct log_run *run, struct model_submission *submission) {
    for (size_t i = run->model.count; i-- > 0;) {
        const struct model_submission *failed = &run->model.all[i];
        if (failed->lsn == submission->lsn && failed->fate == MODEL_GONE &&
            sim_random_next(&run->random) % 2 == 0) {
            submission->content = failed->content;
            submission->size = failed->size;
            return;
        }
    }
}

/* May an append or a wait come to this? */
static bool is_allowed(const struct log_run *run, enum wf_status status) {
    return status == WF_OK || run->hostile ||
           (run->may_fill && (status == WF_FULL || status == WF_CONFLICT));
}

enum wf_status log_run_append(struct log_run *run, size_t size) {
    uint8_t payload[MODEL_PAYLOAD_MAX]; /* not static: a crash explored inside the call comes back
                                           here */
    struct model *model = &run->model;
    size_t index = model->count;
    if (index == MODEL_SUBMISSIONS_MAX || run->waiting == 64) {
        return WF_REFUSED; /* the model is full */
    }
    struct model_submission submission = {
        .lsn = wal_next_lsn(run->wal), .content = (uint16_t)index, .size = (uint32_t)size};
    try_again(run, &submission);
    make_payload(payload, submission.content, submission.size);
    model->all[model->count++] = submission; /* before the call, which may write it already */
    struct wf_error err = {0};
    struct wal_ticket *ticket = &run->tickets[run->waiting];
    enum wf_status status = wal_append(run->wal, payload, submission.size, run->cuts, ticket, &err);
    if (status == WF_OK) {
        run->submissions[run->waiting++] = index;
        log_run_check(run, ticket->lsn == model->all[index].lsn,
                      "LSN %" PRIu64 " given, not %" PRIu64, ticket->lsn, model->all[index].lsn);
    } else if (status == WF_FULL || status == WF_HALTED || status == WF_CONFLICT) {
        model->all[index].fate = MODEL_GONE; /* nothing was appended */
        run->cuts = wal_cuts(run->wal);
    }
    log_run_check(run, is_allowed(run, status), "append: %s: %s", error_code(status), err.text);
    return status;
}

enum wf_status log_run_wait(struct log_run *run) {
    enum wf_status first = WF_OK;
    for (size_t i = 0; i < run->waiting; i++) {
        struct wf_error err = {0};
        struct model_submission *submission = &run->model.all[run->submissions[i]];
        enum wf_status status = wal_wait(run->wal, &run->tickets[i], &err);
        if (status == WF_OK) {
            submission->fate = MODEL_ACKED;
        } else if (status == WF_FULL) {
            submission->fate = MODEL_GONE;
        }
        log_run_check(run, is_allowed(run, status), "wait: %s: %s", error_code(status), err.text);
        first = first == WF_OK ? status : first;
    }
    run->waiting = 0;
    run->cuts = wal_cuts(run->wal);
    return first;
}

enum wf_status log_run_command(struct log_run *run, size_t size) {
    enum wf_status status = log_run_append(run, size);
    return status == WF_OK ? log_run_wait(run) : status;
}

/* --- the subject of the exploration --- */

static uint64_t digest(const void *ctx) {
    const struct model *model = ctx;
    uint64_t hash = sim_random_mix(model->first_low, model->first_high) + model->created;
    for (size_t i = 0; i < model->count; i++) {
        hash = sim_random_mix(hash, model->all[i].lsn * 4 + (uint64_t)model->all[i].fate);
    }
    return hash;
}

/* Recovery on a machine with one fault must work, or say that the system failed it, and lose
 * nothing. */
static void try_faulty_open(struct log_run *run) {
    static const enum sim_op ops[] = {SIM_OPEN, SIM_SIZE,        SIM_READ,   SIM_WRITE,
                                      SIM_SYNC, SIM_TRUNCATE,    SIM_RENAME, SIM_REMOVE,
                                      SIM_LIST, SIM_PREALLOCATE, SIM_STAT,   SIM_SYNC_DIRECTORY};
    static const enum sim_fault_kind kinds[] = {SIM_FAULT_EIO, SIM_FAULT_SHORT, SIM_FAULT_FULL};
    uint64_t *random = &run->explorer->random;
    struct sim_fault fault = {
        .op = ops[sim_random_next(random) % (sizeof ops / sizeof ops[0])],
        .kind = kinds[sim_random_next(random) % (sizeof kinds / sizeof kinds[0])],
        .nth = 1 + sim_random_next(random) % 12,
        .persistent = explore_chance(run->explorer, 2),
        .amount = sim_random_next(random) % 3,
    };
    if (fault.kind == SIM_FAULT_FULL && fault.op != SIM_WRITE && fault.op != SIM_PREALLOCATE) {
        fault.kind = SIM_FAULT_EIO; /* a full disk fails nothing else */
    }
    if (fault.kind == SIM_FAULT_SHORT) {
        fault.persistent = false; /* an endless row of short reads is no disk */
        fault.amount = 0;
    }
    sim_fault_add(run->sim, &fault);
    run->hostile = true;
    if (log_run_open(run)) {
        log_run_close(run);
    }
    sim_fault_clear(run->sim);
    run->hostile = false;
}

/* A reader finds what an owner would, and changes nothing. */
static void try_reader(struct log_run *run) {
    struct reading reading = {.explorer = run->explorer, .model = &run->model};
    struct wf_error err = {0};
    struct wal_recovery report;
    struct wal *reader = NULL;
    uint64_t before = sim_hash(run->sim);
    enum wf_status status =
        wal_open_reader(sim_io_of(run->sim), model_dir, NULL, some_durable_lsn(run), UINT64_MAX,
                        read_record, &reading, &report, &reader, &err);
    wal_close(reader, NULL);
    bool may_fail = (status == WF_NOT_FOUND && !run->model.created) ||
                    (status == WF_DAMAGE && run->model.damaged);
    log_run_check(run, status == WF_OK || may_fail, "reader: %s: %s", error_code(status), err.text);
    run->failed |= status == WF_OK && !check_acknowledged(&reading);
    log_run_check(run, sim_hash(run->sim) == before, "a reader changed the files");
}

static enum wf_status count_finding(void *ctx, const struct wal_finding *finding,
                                    struct wf_error *err) {
    (void)finding;
    (void)err;
    ++*(unsigned *)ctx;
    return WF_OK;
}

/* Opening and closing once more changes no byte, and a check of the frames has nothing to say. */
static void check_stable(struct log_run *run) {
    if (!log_run_open(run) || !log_run_close(run)) {
        return;
    }
    uint64_t once = sim_hash(run->sim);
    if (!log_run_open(run) || !log_run_close(run)) {
        return;
    }
    unsigned findings = 0;
    struct wf_error err = {0};
    log_run_check(run, sim_hash(run->sim) == once, "recovering twice gave other bytes");
    enum wf_status status = wal_verify(sim_io_of(run->sim), model_dir, 0, UINT64_MAX, NULL,
                                       count_finding, &findings, &err);
    bool clean = findings == 0 || run->model.lossy_first != 0;
    log_run_check(run, status == WF_OK && clean, "verify: %u findings, %s: %s", findings,
                  error_code(status), err.text);
}

/* The disk crashes again; what the recovered log promised must be there. */
static void check_second_crash(struct log_run *run) {
    struct explorer *explorer = run->explorer;
    size_t choice = (size_t)(sim_random_next(&explorer->random) % sim_crash_choices(run->sim));
    struct sim_io *again = sim_crash_into(run->sim, choice, sim_random_next(&explorer->random) % 2);
    struct log_run second;
    log_run_init(&second, explorer, again, 0);
    second.options = run->options;
    second.model = run->model;
    check_stable(&second);
    log_run_deinit(&second);
    run->failed |= second.failed;
    sim_io_destroy(again);
}

/* A new command; where the disk is full it fails for certain, and works once there is space. */
static void check_new_command(struct log_run *run) {
    size_t size = MODEL_PAYLOAD_MIN + (size_t)(sim_random_next(&run->explorer->random) % 600);
    run->may_fill = true;
    enum wf_status status = log_run_command(run, size);
    run->may_fill = false;
    if (status == WF_FULL) {
        sim_set_free_bytes(run->sim, UINT64_MAX);
        log_run_command(run, size);
    }
}

static void recover(struct explorer *explorer, struct sim_io *after, const void *ctx) {
    struct log_run run;
    log_run_init(&run, explorer, after, sim_random_next(&explorer->random));
    run.model = *(const struct model *)ctx;
    explore_watch(explorer, after, ctx);
    if (explore_chance(explorer, 8)) {
        try_reader(&run);
    } else if (explore_chance(explorer, 8)) {
        try_faulty_open(&run);
    }
    if (!run.failed && log_run_open(&run)) {
        explore_promise(explorer, &run.model);
        check_new_command(&run);
    }
    if (!run.failed) {
        check_second_crash(&run);
    }
    log_run_deinit(&run);
}

const struct explore_subject model_subject = {.recover = recover, .digest = digest};
