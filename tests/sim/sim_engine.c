/* The whole engine on a machine that loses what was not synced: at every call that changes the
 * disk, and around and inside every commit of the snapshot, the machine crashes, the store is
 * recovered, and what was promised is compared with what is there. One run in ten has its snapshots
 * in real LMDB, on the memory file system of the machine that runs this. How to run it:
 * tests/sim/campaign.h. */
#include "tests/sim/campaign.h"
#include "tests/sim/engine_command.h"
#include "tests/sim/engine_errand.h"
#include "tests/sim/engine_money.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LMDB_EVERY = 10 };

static char lmdb_folder[64];
static uint64_t lmdb_states; /* of all that were explored */

static uint64_t pick(struct store_run *run, uint64_t from, uint64_t to) {
    return from + sim_random_next(&run->random) % (to - from + 1);
}

static enum wf_status enqueue(struct store_run *run, size_t value_size_max) {
    struct store_command command = command_some(run, value_size_max);
    return store_run_enqueue(run, &command);
}

/* `count` commands, each answered before the next. */
static void commands(struct store_run *run, uint64_t count) {
    for (uint64_t i = 0; i < count && !run->failed; i++) {
        if (enqueue(run, 0) == WF_OK) {
            store_run_wait(run);
        }
    }
}

static bool define(struct store_run *run) {
    struct store_command command = {
        .kind = WF_DEFINITION_ADD, .number = run->next_number++, .errand = run->errands, .step = 1};
    return store_run_execute(run, &command) == WF_OK && !run->failed;
}

/* A new store whose making is not explored. */
static bool begin_unwatched(struct store_run *run) {
    store_run_unwatch(run);
    bool begun = store_run_open(run) && define(run);
    if (begun) {
        commands(run, 3);
    }
    store_run_watch(run);
    return begun && !run->failed;
}

static bool reopen(struct store_run *run) {
    store_run_wait(run);
    return !run->failed && store_run_close(run) && store_run_open(run);
}

/* --- scenarios --- */

static void run_create(struct store_run *run) {
    if (store_run_open(run) && define(run)) {
        commands(run, 1);
        if (!run->failed && reopen(run)) {
            commands(run, 1);
        }
    }
}

static void run_append(struct store_run *run) {
    if (begin_unwatched(run)) {
        commands(run, 7);
    }
}

/* Groups: many are decided, one sync is for all. */
static void run_group(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int batch = 0; batch < 4 && !run->failed; batch++) {
        uint64_t records = pick(run, 1, STORE_PENDING_MAX - 1);
        for (uint64_t i = 0; i < records && !run->failed; i++) {
            enqueue(run, pick(run, 0, 3) == 0 ? 1500 : 0);
        }
        store_run_wait(run);
    }
}

/* Segments of the smallest size, filled by large commands. */
static void run_rotate(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 8 && !run->failed; i++) {
        enqueue(run, STORE_VALUE_MAX);
        if (pick(run, 0, 1) == 0) {
            store_run_wait(run);
        }
    }
    store_run_wait(run);
}

static void run_checkpoint(struct store_run *run) {
    run->options.memory_max = pick(run, 0, 1) == 0 ? 1 : run->options.memory_max;
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 3 && !run->failed; i++) {
        commands(run, pick(run, 1, 3));
        if (!run->failed) {
            enqueue(run, 0); /* not durable when the checkpoint begins */
            store_run_checkpoint(run);
            store_run_wait(run);
        }
    }
}

/* By themselves: every few commands, or whenever memory is over a bound that is always passed. */
static void run_own_checkpoints(struct store_run *run) {
    run->options.snapshot_log_bytes = pick(run, 100, 1000);
    run->options.memory_max = pick(run, 0, 1) == 0 ? 1 : 8 * 1024;
    run->options.keys_max = pick(run, 1, 4);
    if (begin_unwatched(run)) {
        commands(run, 12);
    }
}

/* Opened and closed again and again, with a last snapshot and without. */
static void run_recovery(struct store_run *run) {
    run->options.snapshot_on_close = pick(run, 0, 1) == 0;
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 4 && !run->failed; i++) {
        commands(run, pick(run, 1, 2));
        if (pick(run, 0, 1) == 0 && !run->failed) {
            store_run_checkpoint(run);
        }
        if (!run->failed) {
            enqueue(run, 0);
            reopen(run);
        }
    }
}

/* The snapshot cannot be used: it is set aside and the log read from its beginning. */
static void run_lost_snapshot(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 2 && !run->failed; i++) {
        commands(run, pick(run, 1, 3));
        if (!run->failed && store_run_close(run)) {
            machine_snapshots_damage(run->snapshots, "store/state", run->random);
            if (store_run_open(run)) {
                commands(run, 1);
            }
        }
    }
}

static void run_full_disk(struct store_run *run) {
    sim_set_preallocation(run->sim, pick(run, 0, 2) == 0);
    if (!begin_unwatched(run)) {
        return;
    }
    run->may_fill = true;
    for (int round = 0; round < 3 && !run->failed; round++) {
        sim_set_free_bytes(run->sim, pick(run, 0, 5) * SIM_SECTOR_SIZE);
        for (int i = 0; i < 6 && !run->failed; i++) {
            enum wf_status status = enqueue(run, pick(run, 0, 1) == 0 ? 900 : 0);
            if (status != WF_OK || pick(run, 0, 1) == 0) {
                store_run_wait(run);
            }
        }
        store_run_wait(run);
        sim_set_free_bytes(run->sim, UINT64_MAX);
        struct store_command command = {
            .kind = WF_WORKFLOW_START, .number = run->next_number++, .loan = STORE_LOANS};
        store_run_check(run, store_run_execute(run, &command) == WF_OK,
                        "space returned, work did not");
    }
}

/* One failed call of this kind; the engine may halt, and is opened again. */
static void meet_fault(struct store_run *run, struct sim_fault fault) {
    run->hostile = true;
    sim_fault_add(run->sim, &fault);
    for (int i = 0; i < 4 && !run->failed; i++) {
        enqueue(run, pick(run, 0, 3) == 0 ? STORE_VALUE_MAX : 200);
        if (pick(run, 0, 1) == 0) {
            store_run_wait(run);
        }
        if (pick(run, 0, 3) == 0) {
            store_run_checkpoint(run);
        }
    }
    store_run_wait(run);
    store_run_close(run);
    sim_fault_clear(run->sim);
    run->hostile = false;
    if (!run->failed && store_run_open(run)) {
        commands(run, 1);
    }
}

static void run_failed_sync(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    sim_trace_start(run->sim);
    for (int i = 0; i < 2 && !run->failed; i++) {
        meet_fault(run, (struct sim_fault){.op = SIM_SYNC,
                                           .kind = SIM_FAULT_EIO,
                                           .nth = pick(run, 1, 2),
                                           .persistent = pick(run, 0, 3) == 0,
                                           .amount = pick(run, 0, 3)});
    }
    store_run_check(run, !sim_trace_resynced(run->sim), "a second sync after one that failed");
}

static void run_failed_call(struct store_run *run) {
    static const enum sim_op ops[] = {SIM_WRITE,  SIM_TRUNCATE,       SIM_PREALLOCATE,
                                      SIM_RENAME, SIM_SYNC_DIRECTORY, SIM_OPEN};
    static const enum sim_fault_kind kinds[] = {SIM_FAULT_EIO, SIM_FAULT_FULL, SIM_FAULT_SHORT};
    if (!begin_unwatched(run)) {
        return;
    }
    sim_trace_start(run->sim);
    for (int i = 0; i < 3 && !run->failed; i++) {
        struct sim_fault fault = {.op = ops[pick(run, 0, 5)],
                                  .kind = kinds[pick(run, 0, 2)],
                                  .nth = pick(run, 1, 2),
                                  .amount = pick(run, 0, 40)};
        /* An endless row of short writes is no disk. */
        fault.persistent = fault.kind != SIM_FAULT_SHORT && pick(run, 0, 2) == 0;
        meet_fault(run, fault);
    }
    store_run_check(run, !sim_trace_resynced(run->sim), "a second sync after one that failed");
}

/* A snapshot that cannot be written: the log goes on. */
static void run_failed_snapshot(struct store_run *run) {
    struct sim_snapshots *model = machine_snapshots_model(run->snapshots);
    run->options.memory_max = pick(run, 0, 1) == 0 ? 1 : run->options.memory_max;
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 3 && !run->failed; i++) {
        commands(run, pick(run, 1, 2));
        if (model != NULL && !run->failed) {
            sim_snapshot_fail_commit(model, 1, pick(run, 0, 1) == 0 ? WF_FULL : WF_IO);
            run->hostile = true;
            store_run_checkpoint(run);
            run->hostile = false;
            /* Where nothing was new since the last one, there was no commit to fail. */
            sim_snapshot_fail_commit(model, 0, WF_OK);
        }
        commands(run, 1);
        if (!run->failed) {
            store_run_checkpoint(run);
        }
    }
}

/* A record at or below the durable mark goes bad. */
static void run_repair(struct store_run *run) {
    store_run_unwatch(run);
    if (!store_run_open(run) || !define(run)) {
        return;
    }
    commands(run, 5);
    if (!run->failed && pick(run, 0, 1) == 0) {
        store_run_checkpoint(run);
    }
    commands(run, 3);
    uint64_t last = run->failed ? 0 : run->engine->last.lsn;
    run->options.snapshot_on_close = false;
    if (last < 5 || !store_run_close(run)) {
        return;
    }
    uint64_t lsn = pick(run, 3, last - 1); /* not the last: nothing vouches for that one */
    struct store_record *hurt = NULL;
    for (size_t i = 0; i < run->model.count; i++) {
        hurt = run->model.all[i].lsn == lsn ? &run->model.all[i] : hurt;
    }
    if (hurt == NULL) {
        return;
    }
    store_run_lose(run, lsn, lsn);
    sim_rot(run->sim, "store/wal/00000000000000000001.seg", hurt->offset + pick(run, 0, 60), 0x10);
    store_run_watch(run);
    if (store_run_open(run)) { /* damaged, repaired, and opened */
        commands(run, 2);
    }
}

/* The first record that a write to these sectors hits; 0: the segment's header. */
static uint64_t first_hit(const struct store_run *run, size_t first_sector) {
    uint64_t hit = 0;
    for (size_t i = 0; i < run->model.count && first_sector > 0; i++) {
        const struct store_record *record = &run->model.all[i];
        if (record->lsn != 0 && record->offset <= (uint64_t)first_sector * SIM_SECTOR_SIZE) {
            hit = record->lsn; /* the one that begins before the sector may end in it */
        }
    }
    return hit;
}

/* The disk puts a record where older ones are, and says that all went well. Later ones vouch for
 * what is missing then: a refusal, and a repair that tells all that it loses. As long as the good
 * pages are in the cache nobody can see it, a repair neither: so they are dropped first. */
static void run_astray(struct store_run *run) {
    static const char segment[] = "store/wal/00000000000000000001.seg";
    store_run_unwatch(run);
    run->options.snapshot_on_close = false;
    if (!store_run_open(run) || !define(run)) {
        return;
    }
    commands(run, 6);
    struct sim_fault astray = {.op = SIM_WRITE,
                               .kind = SIM_FAULT_MISDIRECT,
                               .path = segment,
                               .shift_sectors = -(int64_t)pick(run, 1, 2)};
    uint64_t offset = run->failed ? 0 : run->engine->last.offset;
    int64_t target = (int64_t)(offset / SIM_SECTOR_SIZE) + astray.shift_sectors;
    uint64_t first = target < 1 ? 0 : first_hit(run, (size_t)target);
    if (first < 3 || run->failed) { /* the store's own first records: nothing could be kept */
        return;
    }
    sim_fault_add(run->sim, &astray);
    struct store_command command = {
        .kind = WF_WORKFLOW_START, .number = run->next_number++, .loan = STORE_LOANS};
    store_run_execute(run, &command);
    sim_fault_clear(run->sim);
    uint64_t last = run->failed ? 0 : run->engine->last.lsn;
    commands(run, 2);
    if (run->failed || run->engine->last.lsn == last || !store_run_close(run)) {
        return;
    }
    sim_drop_caches(run->sim);
    store_run_lose(run, first, last);
    store_run_watch(run);
    if (store_run_open(run)) {
        commands(run, 2);
    }
}

/* Old segments are compressed and removed: at every instant each record is in the one or the other.
 */
static void run_archive(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    store_run_unwatch(run);
    for (int i = 0; i < 4 && !run->failed; i++) {
        enqueue(run, STORE_VALUE_MAX);
    }
    store_run_wait(run);
    store_run_watch(run);
    if (run->failed) {
        return;
    }
    store_run_checkpoint(run);
    store_run_archive(run, pick(run, 0, 1) == 0);
    commands(run, 1);
    if (!run->failed && reopen(run)) {
        store_run_archive(run, true);
        commands(run, 1);
    }
}

/* Workers that claim, do, fail and come too late; rollbacks whose compensations are tasks; versions
 * that change under way: each is one record, there wholly or not at all. */
static void run_errands(struct store_run *run) {
    run->errands = true;
    run->options.memory_max = pick(run, 0, 3) == 0 ? 1 : run->options.memory_max;
    store_run_unwatch(run);
    if (!store_run_open(run) || !define(run)) {
        return;
    }
    uint64_t unwatched = pick(run, 4, 20);
    uint64_t second = pick(run, 2, unwatched + 4);
    for (uint64_t i = 0; i < unwatched + 6 && !run->failed; i++) {
        struct store_command command = errand_some(run);
        if (i == unwatched) {
            store_run_watch(run);
        }
        if (i == second) {
            command = (struct store_command){.kind = WF_DEFINITION_ADD,
                                             .number = run->next_number++,
                                             .errand = true,
                                             .step = ERRAND_VERSIONS};
        }
        store_run_execute(run, &command);
        switch (pick(run, 0, 11)) {
        case 0:
            store_run_checkpoint(run);
            break;
        case 1:
            reopen(run);
            break;
        default:
            break;
        }
    }
}

/* Money that moves between accounts, is held, posted and voided: a transaction is there wholly or
 * not at all, refusals are too, and the balances of each currency sum to zero at every instant. */
static void run_money(struct store_run *run) {
    run->options.memory_max = pick(run, 0, 7) == 0 ? 1 : run->options.memory_max;
    if (!begin_unwatched(run)) {
        return;
    }
    store_run_unwatch(run);
    uint64_t unwatched = pick(run, 3, 20);
    for (uint64_t i = 0; i < unwatched + 7 && !run->failed; i++) {
        struct store_command command = money_some(run);
        if (i == unwatched) {
            store_run_watch(run);
        }
        if (store_run_enqueue(run, &command) != WF_OK || pick(run, 0, 1) == 0) {
            store_run_wait(run);
        }
        if (!run->failed && pick(run, 0, 7) == 0) {
            store_run_checkpoint(run);
        }
        if (!run->failed && pick(run, 0, 11) == 0) {
            reopen(run);
        }
    }
    if (!run->failed) {
        store_run_wait(run);
    }
}

/* Anything, in any order. */
static void run_mixed(struct store_run *run) {
    sim_set_preallocation(run->sim, pick(run, 0, 3) != 0);
    run->options.memory_max = pick(run, 0, 3) == 0 ? 1 : run->options.memory_max;
    run->options.keys_max = pick(run, 0, 1) == 0 ? 2 : run->options.keys_max;
    if (!begin_unwatched(run)) {
        return;
    }
    run->may_fill = true;
    for (int step = 0; step < 14 && !run->failed; step++) {
        switch (pick(run, 0, 9)) {
        case 0:
            store_run_wait(run);
            store_run_checkpoint(run);
            break;
        case 1:
            reopen(run);
            break;
        case 2:
            store_run_wait(run);
            sim_set_free_bytes(run->sim, pick(run, 0, 4) * SIM_SECTOR_SIZE);
            commands(run, 2);
            sim_set_free_bytes(run->sim, UINT64_MAX);
            break;
        case 3:
            store_run_wait(run);
            meet_fault(run, (struct sim_fault){.op = pick(run, 0, 1) == 0 ? SIM_SYNC : SIM_WRITE,
                                               .kind = SIM_FAULT_EIO,
                                               .nth = pick(run, 1, 3),
                                               .amount = pick(run, 0, 2)});
            break;
        case 4:
            enqueue(run, STORE_VALUE_MAX);
            break;
        case 5:
        case 6:
            enqueue(run, 0);
            break;
        default:
            store_run_wait(run);
            commands(run, 1);
            break;
        }
    }
}

static const struct campaign_scenario scenarios[] = {
    {"create", 1},     {"append", 2},      {"group", 3},           {"rotate", 2},
    {"checkpoint", 4}, {"recovery", 3},    {"own_checkpoints", 3}, {"lost_snapshot", 2},
    {"full_disk", 3},  {"failed_sync", 3}, {"failed_call", 3},     {"failed_snapshot", 2},
    {"repair", 3},     {"astray", 2},      {"archive", 3},         {"errands", 3},
    {"money", 3},      {"mixed", 6},
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

/* In the same order. */
static void (*const runs[SCENARIOS])(struct store_run *run) = {
    run_create,      run_append,          run_group,         run_rotate,    run_checkpoint,
    run_recovery,    run_own_checkpoints, run_lost_snapshot, run_full_disk, run_failed_sync,
    run_failed_call, run_failed_snapshot, run_repair,        run_astray,    run_archive,
    run_errands,     run_money,           run_mixed,
};

static uint64_t run_once(struct explorer *explorer, size_t scenario, uint64_t seed, size_t samples,
                         const struct sim_fault *planted) {
    static struct store_run run;
    struct sim_io *sim = sim_io_create(seed);
    static uint64_t rounds; /* each of them twice: without samples, then with */
    rounds += planted == NULL && samples == 0;
    bool lmdb = planted == NULL && rounds % LMDB_EVERY == 1;
    uint64_t states = explorer->states;
    struct machine_snapshots *snapshots = machine_snapshots_create(lmdb ? lmdb_folder : NULL);
    store_run_init(&run, explorer, sim, snapshots, seed);
    explorer->samples = samples;
    if (planted != NULL) {
        sim_fault_add(sim, planted);
    }
    store_run_watch(&run);
    runs[scenario](&run);
    if (!run.failed) {
        explore_now(explorer, sim, &run.model);
    }
    if (!run.failed && samples == 0) {
        store_run_check_uncrashed(&run);
    }
    store_run_unwatch(&run);
    store_run_deinit(&run);
    uint64_t boundaries = sim_boundaries(sim);
    machine_snapshots_destroy(snapshots);
    sim_io_destroy(sim);
    lmdb_states += lmdb ? explorer->states - states : 0;
    return boundaries;
}

int main(int argc, char **argv) {
    const struct campaign campaign = {.subject = &store_subject,
                                      .scenarios = scenarios,
                                      .count = SCENARIOS,
                                      .states_default = 55000,
                                      .long_factor = 10,
                                      .run_once = run_once,
                                      .planted = {0, 1}};
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(lmdb_folder, sizeof lmdb_folder, "%.40s/wf-sim.XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(lmdb_folder) == NULL) {
        perror(lmdb_folder);
        return 1;
    }
    int result = campaign_main(&campaign, argc, argv);
    printf("%" PRIu64 " states with real LMDB\n", lmdb_states);
    rmdir(lmdb_folder);
    return result;
}
