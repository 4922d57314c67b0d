/* What an engine does while the machine below it crashes. */
#include "tests/sim/engine_scenarios.h"

#include "tests/sim/engine_command.h"
#include "tests/sim/engine_errand.h"
#include "tests/sim/engine_money.h"
#include "tests/sim/engine_timer.h"
#include "tests/sim/some_fault.h"

uint64_t scenario_pick(struct store_run *run, uint64_t from, uint64_t to) {
    return sim_random_between(&run->random, from, to);
}

static enum wf_status enqueue(struct store_run *run, size_t value_size_max) {
    struct store_command command = command_some(run, value_size_max);
    return store_run_enqueue(run, &command);
}

void scenario_commands(struct store_run *run, uint64_t count) {
    for (uint64_t i = 0; i < count && !run->failed; i++) {
        if (enqueue(run, 0) == WF_OK) {
            store_run_wait(run);
        }
    }
}

bool scenario_define(struct store_run *run) {
    struct store_command command = {
        .kind = WF_DEFINITION_ADD, .number = run->next_number++, .errand = run->errands, .step = 1};
    return store_run_execute(run, &command) == WF_OK && !run->failed;
}

/* A new store whose making is not explored. */
static bool begin_unwatched(struct store_run *run) {
    store_run_unwatch(run);
    bool begun = store_run_open(run) && scenario_define(run);
    if (begun) {
        scenario_commands(run, 3);
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
    if (store_run_open(run) && scenario_define(run)) {
        scenario_commands(run, 1);
        if (!run->failed && reopen(run)) {
            scenario_commands(run, 1);
        }
    }
}

static void run_append(struct store_run *run) {
    if (begin_unwatched(run)) {
        scenario_commands(run, 7);
    }
}

/* Groups: many are decided, one sync is for all. */
static void run_group(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    for (int batch = 0; batch < 4 && !run->failed; batch++) {
        uint64_t records = scenario_pick(run, 1, STORE_PENDING_MAX - 1);
        for (uint64_t i = 0; i < records && !run->failed; i++) {
            enqueue(run, scenario_pick(run, 0, 3) == 0 ? 1500 : 0);
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
        if (scenario_pick(run, 0, 1) == 0) {
            store_run_wait(run);
        }
    }
    store_run_wait(run);
}

static void run_checkpoint(struct store_run *run) {
    run->options.memory_max = scenario_pick(run, 0, 1) == 0 ? 1 : run->options.memory_max;
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 3 && !run->failed; i++) {
        scenario_commands(run, scenario_pick(run, 1, 3));
        if (!run->failed) {
            enqueue(run, 0); /* not durable when the checkpoint begins */
            store_run_checkpoint(run);
            store_run_wait(run);
        }
    }
}

/* By themselves: every few commands, or whenever memory is over a bound that is always passed. */
static void run_own_checkpoints(struct store_run *run) {
    run->options.snapshot_log_bytes = scenario_pick(run, 100, 1000);
    run->options.memory_max = scenario_pick(run, 0, 1) == 0 ? 1 : 8 * 1024;
    run->options.keys_max = scenario_pick(run, 1, 4);
    if (begin_unwatched(run)) {
        scenario_commands(run, 12);
    }
}

/* Opened and closed again and again, with a last snapshot and without. */
static void run_recovery(struct store_run *run) {
    run->options.snapshot_on_close = scenario_pick(run, 0, 1) == 0;
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 4 && !run->failed; i++) {
        scenario_commands(run, scenario_pick(run, 1, 2));
        if (scenario_pick(run, 0, 1) == 0 && !run->failed) {
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
        scenario_commands(run, scenario_pick(run, 1, 3));
        if (!run->failed && store_run_close(run)) {
            machine_snapshots_damage(run->snapshots, "store/state", run->random);
            if (store_run_open(run)) {
                scenario_commands(run, 1);
            }
        }
    }
}

static void run_full_disk(struct store_run *run) {
    sim_set_preallocation(run->sim, scenario_pick(run, 0, 2) == 0);
    if (!begin_unwatched(run)) {
        return;
    }
    run->may_fill = true;
    for (int round = 0; round < 3 && !run->failed; round++) {
        sim_set_free_bytes(run->sim, scenario_pick(run, 0, 5) * SIM_SECTOR_SIZE);
        for (int i = 0; i < 6 && !run->failed; i++) {
            enum wf_status status = enqueue(run, scenario_pick(run, 0, 1) == 0 ? 900 : 0);
            if (status != WF_OK || scenario_pick(run, 0, 1) == 0) {
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
        enqueue(run, scenario_pick(run, 0, 3) == 0 ? STORE_VALUE_MAX : 200);
        if (scenario_pick(run, 0, 1) == 0) {
            store_run_wait(run);
        }
        if (scenario_pick(run, 0, 3) == 0) {
            store_run_checkpoint(run);
        }
    }
    store_run_wait(run);
    store_run_close(run);
    sim_fault_clear(run->sim);
    run->hostile = false;
    if (!run->failed && store_run_open(run)) {
        scenario_commands(run, 1);
    }
}

static void run_failed_sync(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    sim_trace_start(run->sim);
    for (int i = 0; i < 2 && !run->failed; i++) {
        meet_fault(run, some_failed_sync(&run->random));
    }
    store_run_check(run, !sim_trace_resynced(run->sim), "a second sync after one that failed");
}

static void run_failed_call(struct store_run *run) {
    if (!begin_unwatched(run)) {
        return;
    }
    sim_trace_start(run->sim);
    for (int i = 0; i < 3 && !run->failed; i++) {
        meet_fault(run, some_failed_call(&run->random));
    }
    store_run_check(run, !sim_trace_resynced(run->sim), "a second sync after one that failed");
}

/* A snapshot that cannot be written: the log goes on. */
static void run_failed_snapshot(struct store_run *run) {
    struct sim_snapshots *model = machine_snapshots_model(run->snapshots);
    run->options.memory_max = scenario_pick(run, 0, 1) == 0 ? 1 : run->options.memory_max;
    if (!begin_unwatched(run)) {
        return;
    }
    for (int i = 0; i < 3 && !run->failed; i++) {
        scenario_commands(run, scenario_pick(run, 1, 2));
        if (model != NULL && !run->failed) {
            sim_snapshot_fail_commit(model, 1, scenario_pick(run, 0, 1) == 0 ? WF_FULL : WF_IO);
            run->hostile = true;
            store_run_checkpoint(run);
            run->hostile = false;
            /* Where nothing was new since the last one, there was no commit to fail. */
            sim_snapshot_fail_commit(model, 0, WF_OK);
        }
        scenario_commands(run, 1);
        if (!run->failed) {
            store_run_checkpoint(run);
        }
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
    store_run_archive(run, scenario_pick(run, 0, 1) == 0);
    scenario_commands(run, 1);
    if (!run->failed && reopen(run)) {
        store_run_archive(run, true);
        scenario_commands(run, 1);
    }
}

/* Workers that claim, do, fail and come too late; rollbacks whose compensations are tasks; versions
 * that change under way: each is one record, there wholly or not at all. */
static void run_errands(struct store_run *run) {
    run->errands = true;
    run->options.memory_max = scenario_pick(run, 0, 3) == 0 ? 1 : run->options.memory_max;
    store_run_unwatch(run);
    if (!store_run_open(run) || !scenario_define(run)) {
        return;
    }
    uint64_t unwatched = scenario_pick(run, 4, 20);
    uint64_t second = scenario_pick(run, 2, unwatched + 4);
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
        switch (scenario_pick(run, 0, 11)) {
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
    run->options.memory_max = scenario_pick(run, 0, 7) == 0 ? 1 : run->options.memory_max;
    if (!begin_unwatched(run)) {
        return;
    }
    store_run_unwatch(run);
    uint64_t unwatched = scenario_pick(run, 3, 20);
    for (uint64_t i = 0; i < unwatched + 7 && !run->failed; i++) {
        struct store_command command = money_some(run);
        if (i == unwatched) {
            store_run_watch(run);
        }
        if (store_run_enqueue(run, &command) != WF_OK || scenario_pick(run, 0, 1) == 0) {
            store_run_wait(run);
        }
        if (!run->failed && scenario_pick(run, 0, 7) == 0) {
            store_run_checkpoint(run);
        }
        if (!run->failed && scenario_pick(run, 0, 11) == 0) {
            reopen(run);
        }
    }
    if (!run->failed) {
        store_run_wait(run);
    }
}

/* Stages that move money as they are completed, and move it back when they are undone, or cannot:
 * the stage and its money are one record, whatever goes on beside them on the accounts. */
static void run_stage_money(struct store_run *run) {
    run->money = true;
    run->options.memory_max = scenario_pick(run, 0, 7) == 0 ? 1 : run->options.memory_max;
    if (!begin_unwatched(run)) {
        return;
    }
    store_run_unwatch(run);
    money_open_accounts(run);
    uint64_t unwatched = scenario_pick(run, 10, 60);
    for (uint64_t i = 0; i < unwatched + 7 && !run->failed; i++) {
        struct store_command command = money_some_of_stages(run);
        if (i == unwatched) {
            store_run_watch(run);
        }
        if (store_run_enqueue(run, &command) != WF_OK || scenario_pick(run, 0, 1) == 0) {
            store_run_wait(run);
        }
        if (!run->failed && scenario_pick(run, 0, 9) == 0) {
            store_run_checkpoint(run);
        }
        if (!run->failed && scenario_pick(run, 0, 19) == 0) {
            reopen(run);
        }
    }
    if (!run->failed) {
        store_run_wait(run);
        money_check(run);
    }
}

/* Stages time out between commands, and retries and reviews come of it: each timer is one record,
 * and fires once, whoever is killed when. */
static void run_timers(struct store_run *run) {
    timer_begin(run);
    store_run_unwatch(run);
    if (!store_run_open(run) || !scenario_define(run)) {
        return;
    }
    uint64_t unwatched = scenario_pick(run, 6, 24);
    for (uint64_t i = 0; i < unwatched + 7 && !run->failed; i++) {
        if (i == unwatched) {
            store_run_watch(run);
        }
        struct store_command command = timer_some(run);
        if (!run->failed) {
            store_run_execute(run, &command);
        }
        if (!run->failed && scenario_pick(run, 0, 9) == 0) {
            store_run_checkpoint(run);
        }
        if (!run->failed && scenario_pick(run, 0, 11) == 0) {
            reopen(run);
        }
    }
}

/* Anything, in any order. */
static void run_mixed(struct store_run *run) {
    sim_set_preallocation(run->sim, scenario_pick(run, 0, 3) != 0);
    run->options.memory_max = scenario_pick(run, 0, 3) == 0 ? 1 : run->options.memory_max;
    run->options.keys_max = scenario_pick(run, 0, 1) == 0 ? 2 : run->options.keys_max;
    if (!begin_unwatched(run)) {
        return;
    }
    run->may_fill = true;
    for (int step = 0; step < 14 && !run->failed; step++) {
        switch (scenario_pick(run, 0, 9)) {
        case 0:
            store_run_wait(run);
            store_run_checkpoint(run);
            break;
        case 1:
            reopen(run);
            break;
        case 2:
            store_run_wait(run);
            sim_set_free_bytes(run->sim, scenario_pick(run, 0, 4) * SIM_SECTOR_SIZE);
            scenario_commands(run, 2);
            sim_set_free_bytes(run->sim, UINT64_MAX);
            break;
        case 3:
            store_run_wait(run);
            meet_fault(run, some_failed_write(&run->random));
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
            scenario_commands(run, 1);
            break;
        }
    }
}

const struct campaign_scenario engine_scenarios[ENGINE_SCENARIOS] = {
    {"create", 1},     {"append", 2},      {"group", 3},           {"rotate", 2},
    {"checkpoint", 4}, {"recovery", 3},    {"own_checkpoints", 3}, {"lost_snapshot", 2},
    {"full_disk", 3},  {"failed_sync", 3}, {"failed_call", 3},     {"failed_snapshot", 2},
    {"repair", 3},     {"astray", 2},      {"archive", 3},         {"errands", 3},
    {"money", 3},      {"stage_money", 3}, {"timers", 3},          {"mixed", 6},
};

/* In the same order. */
void (*const engine_scenario_runs[ENGINE_SCENARIOS])(struct store_run *run) = {
    run_create,      run_append,          run_group,         run_rotate,      run_checkpoint,
    run_recovery,    run_own_checkpoints, run_lost_snapshot, run_full_disk,   run_failed_sync,
    run_failed_call, run_failed_snapshot, scenario_repair,   scenario_astray, run_archive,
    run_errands,     run_money,           run_stage_money,   run_timers,      run_mixed,
};
