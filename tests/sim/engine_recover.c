/* What is done to every crash state of an engine: recovered, checked, crashed again. */
#include "tests/sim/engine_command.h"
#include "tests/sim/engine_model.h"
#include "tests/sim/engine_money.h"
#include "tests/sim/engine_timer.h"

#include <inttypes.h>

enum {
    READER_CHANCE = 8,    /* one recovery in so many is preceded by a reader's look, … */
    FAULT_CHANCE = 8,     /* … by one on a machine with a fault */
    REPLAY_CHANCE = 4,    /* … followed by a replay from the first record */
    ACCOUNTS_CHANCE = 4,  /* … or all balances added up anew, … */
    RETRY_CHANCE = 2,     /* … and the new command is given twice */
    FAULT_AT_MAX = 12,    /* which call of its kind fails, at the most */
    DISK_VALUE_MAX = 600, /* bytes of a new command's field after a recovery */
};

static uint64_t digest(const void *ctx) {
    const struct store_model *model = ctx;
    uint64_t hash = sim_random_mix(model->created, model->lossy_first);
    for (size_t i = 0; i < model->count; i++)
        hash = sim_random_mix(hash, model->all[i].lsn * 4 + (uint64_t)model->all[i].fate);
    return sim_random_mix(hash, machine_snapshots_digest(model->run->snapshots));
}

/* Recovery on a machine with one fault must work, or say that the system failed it, and lose
 * nothing. */
static void try_faulty_open(struct store_run *run) {
    static const enum sim_op ops[] = {SIM_OPEN, SIM_SIZE,     SIM_READ,          SIM_WRITE,
                                      SIM_SYNC, SIM_LIST,     SIM_STAT,          SIM_RENAME,
                                      SIM_LOCK, SIM_TRUNCATE, SIM_SYNC_DIRECTORY};
    uint64_t *random = &run->explorer->random;
    struct sim_fault fault = {
        .op = ops[sim_random_next(random) % (sizeof ops / sizeof ops[0])],
        .kind = explore_chance(run->explorer, 3) ? SIM_FAULT_SHORT : SIM_FAULT_EIO,
        .nth = 1 + sim_random_next(random) % FAULT_AT_MAX,
    };
    fault.persistent = fault.kind == SIM_FAULT_EIO && explore_chance(run->explorer, 2);
    sim_fault_add(run->sim, &fault);
    run->hostile = true;
    if (store_run_open(run))
        store_run_close(run);
    sim_fault_clear(run->sim);
    run->hostile = false;
}

/* A reader finds what an owner would, and changes nothing. */
static void try_reader(struct store_run *run) {
    struct wf_error err = {0};
    struct wf_options writer = run->options;
    uint64_t before = sim_hash(run->sim);
    run->options.read_only = true;
    run->options.create = false;
    enum wf_status status = store_run_try_open(run, &err);
    run->options = writer;
    bool may_fail = (status == WF_NOT_FOUND && !run->model.created) ||
                    (status == WF_DAMAGE && run->model.damaged);
    store_run_check(run, status == WF_OK || may_fail, "reader: %s: %s", error_code(status),
                    err.text);
    struct store_model kept = run->model;
    /* A store that was never finished may be empty to a reader. */
    if (status == WF_OK && !run->model.damaged && run->engine->last.lsn > 0)
        store_run_read(run);
    run->model = kept;
    (void)wf_close(run->engine, NULL);
    run->engine = NULL;
    store_run_check(run, sim_hash(run->sim) == before, "a reader changed the files");
}

static void check_replay(struct store_run *run) {
    struct wf_error err = {0};
    char hex[65];
    enum wf_status status = wf_replay_verify(run->engine, NULL, NULL, hex, &err);
    store_run_check(run, status == WF_OK, "replay from the first record: %s: %s",
                    error_code(status), err.text);
}

/* Opening and closing once more changes no byte. */
static void check_stable(struct store_run *run) {
    if (!store_run_open(run) || !store_run_close(run))
        return;
    uint64_t once = sim_hash(run->sim);
    if (!store_run_open(run))
        return;
    if (explore_chance(run->explorer, REPLAY_CHANCE))
        check_replay(run);
    if (store_run_close(run))
        store_run_check(run, sim_hash(run->sim) == once, "recovering twice gave other bytes");
}

/* The machine crashes again; what the recovered store promised must be there. */
static void check_second_crash(struct store_run *run) {
    struct explorer *explorer = run->explorer;
    size_t choice = (size_t)(sim_random_next(&explorer->random) % sim_crash_choices(run->sim));
    struct sim_io *again = sim_crash_into(run->sim, choice, sim_random_next(&explorer->random) % 2);
    struct machine_snapshots *snapshots =
        machine_snapshots_survivor(run->snapshots, sim_random_next(&explorer->random));
    struct store_run second = {.explorer = explorer, .sim = again, .snapshots = snapshots};
    second.options = run->options;
    second.model = run->model;
    second.model.run = &second;
    check_stable(&second);
    store_run_deinit(&second);
    run->failed |= second.failed;
    machine_snapshots_destroy(snapshots);
    sim_io_destroy(again);
}

/* The same key and body answer as the first time. */
static void check_repeated(struct store_run *run, const struct store_command *command) {
    struct command_text text;
    struct wf_result result = {0};
    struct wf_error err = {0};
    command_text_init(&text, command);
    enum wf_status status = wf_execute(run->engine, &text.command, &result, &err);
    command_text_deinit(&text);
    store_run_check(run,
                    status == WF_OK && result.replayed &&
                        result.lsn == run->model.all[run->model.count - 1].lsn,
                    "given again: %s: %s", error_code(status), err.text);
}

/* A new command; where the disk is full it fails for certain, and works once there is space. */
static void check_new_command(struct store_run *run) {
    struct store_command command = {
        .kind = WF_DEFINITION_ADD, .number = run->next_number++, .errand = run->errands, .step = 1};
    if (run->engine->last.lsn > 1 && run->model.lossy_first == 0) {
        command.kind = WF_WORKFLOW_START;
        command.loan = STORE_LOANS;
        command.keyed = true;
        command.value_size =
            (uint16_t)(1 + sim_random_next(&run->explorer->random) % DISK_VALUE_MAX);
    }
    size_t count = run->model.count;
    run->may_fill = true;
    enum wf_status status = store_run_execute(run, &command);
    run->may_fill = false;
    if (status == WF_FULL) {
        sim_set_free_bytes(run->sim, UINT64_MAX);
        status = store_run_execute(run, &command);
    }
    bool taken = status == WF_OK && run->model.count > count;
    store_run_check(run, taken || run->model.lossy_first != 0 || count == STORE_RECORDS_MAX,
                    "a new command: %s", error_code(status));
    if (taken && command.keyed && !run->failed && explore_chance(run->explorer, RETRY_CHANCE))
        check_repeated(run, &command);
}

static void recover(struct explorer *explorer, struct sim_io *after, const void *ctx) {
    const struct store_model *before = ctx;
    struct store_run run = {.explorer = explorer, .sim = after};
    run.random = sim_random_next(&explorer->random);
    run.snapshots = machine_snapshots_survivor(before->run->snapshots, run.random);
    run.options = before->run->options;
    run.options.read_only = false; /* it may have been a reader that died */
    run.options.create = true;
    run.errands = before->run->errands;
    run.timers = before->run->timers;
    run.money = before->run->money;
    run.next_number = (uint16_t)(before->run->next_number + 1000);
    run.model = *before;
    store_model_learn_from_dead(&run.model);
    run.model.run = &run;
    store_run_watch(&run);
    if (explore_chance(explorer, READER_CHANCE))
        try_reader(&run);
    else if (explore_chance(explorer, FAULT_CHANCE))
        try_faulty_open(&run);
    if (!run.failed && store_run_open(&run)) {
        timer_settle(&run);
        if (!run.failed)
            check_new_command(&run);
        if (!run.failed && explore_chance(explorer, REPLAY_CHANCE))
            check_replay(&run);
        if (!run.failed && run.money && explore_chance(explorer, ACCOUNTS_CHANCE))
            money_check(&run);
    }
    if (!run.failed)
        check_second_crash(&run);
    store_run_unwatch(&run);
    store_run_deinit(&run);
    machine_snapshots_destroy(run.snapshots);
}

const struct explore_subject store_subject = {.recover = recover, .digest = digest};
