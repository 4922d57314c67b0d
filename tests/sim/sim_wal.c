/* The log on a disk that loses what was not synced: at every call that changes the disk, in every
 * scenario, the machine crashes, the log is recovered, and what was promised is compared with what
 * is there. How to run it: tests/sim/campaign.h. */
#include "tests/sim/campaign.h"
#include "tests/sim/some_fault.h"
#include "tests/sim/wal_model.h"

#include <stdio.h>
#include <string.h>

static uint64_t pick(struct log_run *run, uint64_t from, uint64_t to) {
    return sim_random_between(&run->random, from, to);
}

static size_t some_size(struct log_run *run) {
    return (size_t)pick(run, MODEL_PAYLOAD_MIN, pick(run, 0, 3) == 0 ? 2500 : 120);
}

/* `count` records, each acknowledged before the next. */
static void commands(struct log_run *run, uint64_t count) {
    for (uint64_t i = 0; i < count && !run->failed; i++) {
        log_run_command(run, some_size(run));
    }
}

static bool begin(struct log_run *run) {
    return log_run_create(run) && log_run_open(run);
}

/* A new log whose making is not explored. */
static bool begin_unwatched(struct log_run *run) {
    sim_on_boundary(run->sim, NULL, NULL);
    bool begun = begin(run);
    explore_watch(run->explorer, run->sim, &run->model);
    return begun;
}

/* --- scenarios --- */

static void run_create(struct log_run *run) {
    if (begin(run) && log_run_close(run) && log_run_open(run)) {
        log_run_close(run);
    }
}

static void run_append(struct log_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    commands(run, 5);
    if (!run->failed && log_run_close(run) && log_run_open(run)) {
        commands(run, 2);
    }
}

static void run_group(struct log_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int batch = 0; batch < 4 && !run->failed; batch++) {
        uint64_t records = pick(run, 1, 6);
        for (uint64_t i = 0; i < records && !run->failed; i++) {
            log_run_append(run, some_size(run));
        }
        log_run_wait(run);
    }
}

static void rotate(struct log_run *run) {
    struct wf_error err = {0};
    enum wf_status status = wal_rotate(run->wal, &err);
    log_run_check(run, status == WF_OK || run->hostile, "rotate: %s: %s", error_code(status),
                  err.text);
}

static void run_rotate(struct log_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int segment = 0; segment < 3 && !run->failed; segment++) {
        commands(run, pick(run, 1, 2));
        if (pick(run, 0, 1) == 0 && !run->failed) {
            wal_position_now(run->wal, &run->model.position);
        }
        if (!run->failed) {
            log_run_append(run, some_size(run)); /* pending when the segment is sealed */
            rotate(run);
            log_run_wait(run);
        }
    }
}

/* Segments that fill up by themselves. */
static void run_big_records(struct log_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 7 && !run->failed; i++) {
        log_run_append(run, (size_t)pick(run, 9000, MODEL_PAYLOAD_MAX));
        if (pick(run, 0, 1) == 0) {
            log_run_wait(run);
        }
    }
    log_run_wait(run);
}

static void run_full_disk(struct log_run *run) {
    sim_set_preallocation(run->sim, pick(run, 0, 2) == 0);
    if (!begin_unwatched(run)) {
        return;
    }
    commands(run, 2);
    run->may_fill = true;
    for (int round = 0; round < 3 && !run->failed; round++) {
        sim_set_free_bytes(run->sim, pick(run, 0, 5) * SIM_SECTOR_SIZE);
        for (int i = 0; i < 6 && !run->failed; i++) {
            enum wf_status status = log_run_append(run, some_size(run));
            if (status != WF_OK || pick(run, 0, 1) == 0) {
                log_run_wait(run);
            }
        }
        log_run_wait(run);
        sim_set_free_bytes(run->sim, UINT64_MAX);
        log_run_check(run, log_run_command(run, 20) == WF_OK, "space returned, work did not");
    }
}

/* One failed call of this kind; the log may halt, and is opened again. */
static void meet_fault(struct log_run *run, struct sim_fault fault) {
    run->hostile = true;
    sim_fault_add(run->sim, &fault);
    for (int i = 0; i < 3 && !run->failed; i++) {
        log_run_append(run, some_size(run));
        if (pick(run, 0, 1) == 0) {
            log_run_wait(run);
        }
        if (fault.op == SIM_RENAME || fault.op == SIM_SYNC_DIRECTORY || pick(run, 0, 2) == 0) {
            rotate(run);
        }
    }
    log_run_wait(run);
    log_run_close(run);
    sim_fault_clear(run->sim);
    run->hostile = false;
    if (!run->failed && log_run_open(run)) {
        commands(run, 1);
    }
}

static void run_failed_sync(struct log_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    sim_trace_start(run->sim);
    commands(run, 1);
    for (int i = 0; i < 2 && !run->failed; i++) {
        meet_fault(run, some_failed_sync(&run->random));
    }
    log_run_check(run, !sim_trace_resynced(run->sim), "a second sync after one that failed");
}

static void run_failed_call(struct log_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    sim_trace_start(run->sim);
    commands(run, 1);
    for (int i = 0; i < 3 && !run->failed; i++) {
        meet_fault(run, some_failed_call(&run->random));
    }
    log_run_check(run, !sim_trace_resynced(run->sim), "a second sync after one that failed");
}

static void run_remove_oldest(struct log_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int segment = 0; segment < 3 && !run->failed; segment++) {
        commands(run, 2);
        if (!run->failed) {
            rotate(run);
        }
    }
    commands(run, 1);
    for (int removed = 0; removed < 2 && !run->failed; removed++) {
        struct wal_segment_info oldest;
        struct wf_error err = {0};
        log_run_check(run, wal_segment_at(run->wal, 0, &oldest) && oldest.sealed, "no oldest");
        run->model.first_high = oldest.last_lsn + 1; /* from now on it may be gone */
        enum wf_status status = wal_remove_oldest(run->wal, oldest.first_lsn, &err);
        log_run_check(run, status == WF_OK, "remove: %s: %s", error_code(status), err.text);
        run->model.first_low = oldest.last_lsn + 1;
        commands(run, 1);
    }
}

/* Break one thing that lies below the durable mark, in the segment of `lsn`. False: not possible.
 */
static bool break_segment(struct log_run *run, const struct wal_segment_info *segment,
                          const struct wal_ticket *ticket, size_t size) {
    struct io *io = sim_io_of(run->sim);
    struct model *model = &run->model;
    char path[128];
    snprintf(path, sizeof path, "%s/%s", model_dir, segment->name);
    model->damaged = true;
    switch (pick(run, 0, 3)) {
    case 0: /* the header */
        return sim_rot(run->sim, path, pick(run, 0, 63), (uint8_t)(1U << pick(run, 0, 7)));
    case 1: /* the seal */
        return segment->sealed && sim_rot(run->sim, path, segment->size - pick(run, 1, 80), 0x10);
    case 2: /* the whole file */
        if (!segment->sealed || segment->first_lsn == 1) {
            return false;
        }
        model->lossy_first = segment->first_lsn;
        model->lossy_last = segment->last_lsn;
        return io->ops->remove(io, path, NULL) == WF_OK &&
               io->ops->sync_directory(io, model_dir, NULL) == WF_OK;
    default: /* the record */
        model->lossy_first = model->lossy_last = ticket->lsn;
        return sim_rot(run->sim, path, ticket->offset + pick(run, 0, 39 + size), 0x10);
    }
}

static void run_repair(struct log_run *run) {
    struct wal_ticket tickets[9] = {0};
    struct wal_segment_info segment;
    sim_on_boundary(run->sim, NULL, NULL);
    if (!begin(run)) {
        return;
    }
    for (int i = 0; i < 9 && !run->failed; i++) {
        commands(run, 1);
        tickets[i] = run->tickets[0];
        if (i % 3 == 2 && i != 8) {
            rotate(run);
        }
    }
    size_t hurt = (size_t)pick(run, 0, 7); /* not the last: nothing vouches for that one */
    bool found = false;
    for (size_t i = 0; !run->failed && !found && wal_segment_at(run->wal, i, &segment); i++) {
        found = segment.first_lsn <= tickets[hurt].lsn && tickets[hurt].lsn <= segment.last_lsn;
    }
    size_t size = run->model.all[hurt].size;
    if (run->failed || !log_run_close(run) || !found ||
        !break_segment(run, &segment, &tickets[hurt], size)) {
        return;
    }
    explore_watch(run->explorer, run->sim, &run->model);
    if (log_run_open(run)) { /* damaged, repaired, and opened */
        commands(run, 2);
    }
}

/* Anything, in any order. */
static void run_mixed(struct log_run *run) {
    sim_set_preallocation(run->sim, pick(run, 0, 3) != 0);
    if (!begin_unwatched(run)) {
        return;
    }
    run->may_fill = true;
    for (int step = 0; step < 14 && !run->failed; step++) {
        switch (pick(run, 0, 9)) {
        case 0:
            rotate(run);
            log_run_wait(run);
            break;
        case 1:
            log_run_wait(run);
            if (!run->failed && log_run_close(run)) {
                log_run_open(run);
            }
            break;
        case 2:
            sim_set_free_bytes(run->sim, pick(run, 0, 4) * SIM_SECTOR_SIZE);
            log_run_command(run, some_size(run));
            log_run_command(run, some_size(run));
            sim_set_free_bytes(run->sim, UINT64_MAX);
            break;
        case 3:
            log_run_wait(run);
            meet_fault(run, some_failed_write(&run->random));
            break;
        case 4:
            log_run_wait(run);
            if (!run->failed) {
                wal_position_now(run->wal, &run->model.position);
            }
            break;
        case 5:
        case 6:
            log_run_append(run, some_size(run));
            break;
        default:
            log_run_command(run, some_size(run));
            break;
        }
    }
}

static const struct campaign_scenario scenarios[] = {
    {"create", 1},        {"append", 2},    {"group", 3},       {"rotate", 3},
    {"big_records", 1},   {"full_disk", 3}, {"failed_sync", 3}, {"failed_call", 3},
    {"remove_oldest", 2}, {"repair", 3},    {"mixed", 6},
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

/* In the same order. */
static void (*const runs[SCENARIOS])(struct log_run *run) = {
    run_create,      run_append,      run_group,         run_rotate, run_big_records, run_full_disk,
    run_failed_sync, run_failed_call, run_remove_oldest, run_repair, run_mixed,
};

static uint64_t run_once(struct explorer *explorer, size_t scenario, uint64_t seed, size_t samples,
                         const struct sim_fault *planted) {
    struct log_run run;
    struct sim_io *sim = sim_io_create(seed);
    log_run_init(&run, explorer, sim, seed);
    explorer->samples = samples;
    if (planted != NULL) {
        sim_fault_add(sim, planted);
    }
    explore_watch(explorer, sim, &run.model);
    runs[scenario](&run);
    if (!run.failed) {
        explore_now(explorer, sim, &run.model);
    }
    log_run_deinit(&run);
    uint64_t boundaries = sim_boundaries(sim);
    sim_io_destroy(sim);
    return boundaries;
}

int main(int argc, char **argv) {
    const struct campaign campaign = {.subject = &model_subject,
                                      .scenarios = scenarios,
                                      .count = SCENARIOS,
                                      .states_default = 50000,
                                      .long_factor = 10,
                                      .run_once = run_once,
                                      .planted = {0, 1}};
    return campaign_main(&campaign, argc, argv);
}
