/* Any bytes as a sequence of commands about a few loans, against a model that knows nothing of
 * records or snapshots: a loan takes its five steps in order, pays out with those that complete a
 * stage, and goes back to the credit check with its money. Between commands the store is
 * checkpointed, closed and killed. */
#include "engine/engine.h"
#include "tests/fuzz/seeds.h"
#include "tests/lib/core_store.h"
#include "tests/lib/sim_io.h"
#include "tests/lib/sim_snapshot.h"

#include <stdio.h>
#include <string.h>

enum { PAYOUT = 100, LOANS = 3, STEPS = 5, KEYS = 4, FIELDS_MAX = 8, COMMANDS_MAX = 60 };

enum phase { NONE, RUNNING, COMPLETED, FAILED, CANCELLED };

struct model {
    struct loan {
        enum phase phase;
        int steps;
        int attempt;     /* of the credit check: how often it was opened, for whatever reason */
        int paid[STEPS]; /* with the step, in dollars */
    } loans[LOANS];
    struct used_key {
        bool used;
        uint8_t body; /* the command's second byte and loan: what must not change */
        enum wf_status status;
        uint64_t lsn;
    } keys[KEYS];
};

struct world {
    struct sim_io *sim;
    struct sim_snapshots *snapshots;
    struct wf_engine *engine;
    struct model model;
    bool forgetful; /* whatever can leave memory leaves it */
};

/* --- the world --- */

static void open_store(struct world *world) {
    struct wf_options options;
    wf_options_init(&options);
    options.create = true;
    options.segment_size = WAL_SEGMENT_SIZE_MIN;
    options.memory_max = world->forgetful ? 1 : options.memory_max;
    fuzz_require(engine_open(sim_io_of(world->sim), sim_snapshot_provider(world->snapshots),
                             "store", &options, &world->engine, NULL) == WF_OK,
                 "the store opens");
}

/* The machine loses power, and with it everything that was not synced. */
static void crash(struct world *world) {
    struct sim_io *sim = sim_crash_into(world->sim, 0, 0);
    struct sim_snapshots *snapshots = sim_snapshot_survivor(world->snapshots);
    (void)wf_close(world->engine, NULL);
    sim_io_destroy(world->sim);
    sim_snapshot_destroy(world->snapshots);
    world->sim = sim;
    world->snapshots = snapshots;
    open_store(world);
}

/* --- the model --- */

static enum wf_status step_of(struct loan *loan, int step) {
    if (loan->phase == NONE)
        return WF_NOT_FOUND;
    if (loan->phase != RUNNING || step != loan->steps)
        return WF_REFUSED;
    if (loan->steps++ == 0)
        loan->attempt = 1;
    loan->phase = loan->steps == STEPS ? COMPLETED : RUNNING;
    return WF_OK;
}

static enum wf_status end(struct loan *loan, bool possible, enum phase phase) {
    if (loan->phase == NONE)
        return WF_NOT_FOUND;
    if (loan->phase != RUNNING || !possible)
        return WF_REFUSED;
    loan->phase = phase;
    return WF_OK;
}

/* The credit check, while it is under way: opened again, until its attempts are used up. */
static enum wf_status fail_step(struct loan *loan) {
    bool under_way = loan->phase == RUNNING && loan->steps == 1;
    bool last = loan->attempt >= DEFINITION_ATTEMPTS_DEFAULT;
    if (under_way && !last)
        loan->attempt++;
    return end(loan, under_way, last ? FAILED : RUNNING);
}

/* What the command must come to. */
static enum wf_status predict(struct loan *loan, enum wf_command_kind kind, int step) {
    switch (kind) {
    case WF_WORKFLOW_START:
        if (loan->phase != NONE)
            return WF_REFUSED;
        loan->phase = RUNNING;
        return WF_OK;
    case WF_WORKFLOW_SUBMIT:
        return step_of(loan, step);
    case WF_WORKFLOW_FAIL:
        return fail_step(loan);
    case WF_WORKFLOW_CANCEL:
        return end(loan, true, CANCELLED);
    case WF_DEFINITION_ADD:
    case WF_CLOCK_ADVANCE:
    case WF_WORKFLOW_ROLLBACK:
    case WF_REVIEW_APPROVE:
    case WF_REVIEW_REJECT:
    case WF_WORKFLOW_MIGRATE:
    case WF_TASK_COMPLETE:
    case WF_TASK_FAIL:
    case WF_TASK_RETRY:
    case WF_ACCOUNT_OPEN:
    case WF_ACCOUNT_TRANSACT:
    case WF_ACCOUNT_FREEZE:
    case WF_ACCOUNT_UNFREEZE:
    case WF_ACCOUNT_CLOSE:
    case WF_ACCOUNT_REVERSE:
    case WF_RATE_SET:
    case WF_INSTRUMENT_SET:
    case WF_CALENDAR_SET:
    case WF_FEE_RULE_SET:
        break;
    }
    return WF_USAGE;
}

/* --- one command --- */

static size_t split(char *text, struct wf_field fields[FIELDS_MAX]) {
    size_t count = 0;
    char *rest = NULL;
    for (char *pair = strtok_r(text, " ", &rest); pair != NULL; pair = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(pair, '=');
        *equals = '\0';
        fields[count++] = (struct wf_field){pair, equals + 1};
    }
    return count;
}

static enum wf_status execute(struct world *world, enum wf_command_kind kind, int loan, int step,
                              bool pays, int key, struct wf_result *result) {
    char id[16], key_text[16], text[128], account[16];
    struct wf_field fields[FIELDS_MAX];
    struct wf_command command = {.kind = kind, .id = id};
    snprintf(id, sizeof id, "L%d", loan);
    snprintf(key_text, sizeof key_text, "key-%d", key);
    command.key = key < KEYS ? key_text : NULL;
    command.type = "loan_application";
    command.reason = "because";
    command.stage = "credit_check";
    if (kind == WF_WORKFLOW_SUBMIT) {
        command.step = core_loan_steps[step][0];
        snprintf(text, sizeof text, "%s", core_loan_steps[step][1]);
        command.field_count = split(text, fields);
        command.fields = fields;
    }
    snprintf(account, sizeof account, "A%d", loan);
    const struct wf_operation payout = {
        .type = "deposit", .to = account, .amount = "100.00", .currency = "USD"};
    if (pays) {
        command.operations = &payout;
        command.operation_count = 1;
    }
    return wf_execute(world->engine, &command, result, NULL);
}

/* What the loan's customer has. */
static void check_money(struct world *world, int number) {
    struct wf_account *account = NULL;
    char id[16], balance[32];
    int paid = 0;
    for (int i = 0; i < STEPS; i++)
        paid += world->model.loans[number].paid[i];
    snprintf(id, sizeof id, "A%d", number);
    snprintf(balance, sizeof balance, "%d.00", paid);
    fuzz_require(wf_account_get(world->engine, id, &account, NULL) == WF_OK, "an account is there");
    fuzz_require(strcmp(account->balance, balance) == 0, "its money is that of its stages");
    wf_account_free(account);
}

/* Back to the credit check, where it is the only stage that is completed; a reviewer agrees. */
static void go_back(struct world *world, int number) {
    struct loan *loan = &world->model.loans[number];
    char id[16];
    snprintf(id, sizeof id, "L%d", number);
    const struct wf_command rollback = {.kind = WF_WORKFLOW_ROLLBACK,
                                        .id = id,
                                        .stage = "credit_check",
                                        .reason = "again",
                                        .actor = "ann"};
    const struct wf_command approval = {.kind = WF_REVIEW_APPROVE,
                                        .id = id,
                                        .stage = "income_verification",
                                        .actor = "bob",
                                        .role = "reviewer"};
    if (loan->phase != RUNNING || loan->steps != 2)
        return;
    fuzz_require(wf_execute(world->engine, &rollback, NULL, NULL) == WF_OK, "a rollback");
    check_money(world, number); /* it waits */
    fuzz_require(wf_execute(world->engine, &approval, NULL, NULL) == WF_OK, "its approval");
    loan->steps = 1;
    loan->attempt++;
    loan->paid[1] = 0;
    check_money(world, number);
}

static void check_loan(struct world *world, int number) {
    static const char *const names[] = {"", "running", "completed", "failed", "cancelled"};
    const struct loan *loan = &world->model.loans[number];
    struct wf_workflow *workflow = NULL;
    char id[16];
    snprintf(id, sizeof id, "L%d", number);
    enum wf_status status = wf_workflow_get(world->engine, id, &workflow, NULL);
    fuzz_require((status == WF_NOT_FOUND) == (loan->phase == NONE), "a loan is there or not");
    if (status == WF_OK) {
        fuzz_require(strcmp(workflow->status, names[loan->phase]) == 0, "its status");
        fuzz_require(workflow->step_count == (size_t)loan->steps, "its steps");
        wf_workflow_free(workflow);
    }
}

static void command(struct world *world, uint8_t first, uint8_t second) {
    static const enum wf_command_kind kinds[] = {WF_WORKFLOW_SUBMIT, WF_WORKFLOW_START,
                                                 WF_WORKFLOW_FAIL, WF_WORKFLOW_CANCEL};
    int number = first / 8 % LOANS;
    enum wf_command_kind kind = second % 8 < STEPS ? WF_WORKFLOW_SUBMIT : kinds[second % 8 - 4];
    int step = second % 8 % STEPS;
    int key = second / 8 % (2 * KEYS); /* half of them: none */
    struct used_key *used = key < KEYS ? &world->model.keys[key] : NULL;
    bool pays = second >= 128 && kind == WF_WORKFLOW_SUBMIT && step > 0;
    uint8_t body = (uint8_t)(number * 8 + second % 8 + (pays ? 128 : 0));
    struct wf_result result = {0};
    enum wf_status status = execute(world, kind, number, step, pays, key, &result);
    if (used != NULL && used->used) {
        bool same = used->body == body;
        fuzz_require(status == (same ? used->status : WF_CONFLICT), "a key answers as at first");
        fuzz_require(status != WF_OK || (result.replayed && result.lsn == used->lsn),
                     "with the first record");
        return;
    }
    enum wf_status expected = predict(&world->model.loans[number], kind, step);
    fuzz_require(status == expected, "a command comes to what the model says");
    /* A command about nothing leaves no record, and so no key. */
    if (used != NULL && expected != WF_NOT_FOUND)
        *used = (struct used_key){true, body, status, result.lsn};
    if (status == WF_OK && pays)
        world->model.loans[number].paid[step] = PAYOUT;
    check_money(world, number);
    check_loan(world, number);
}

/* A loan through all its steps, with keys, a checkpoint and a crash between; and two that end. */
static void make_seeds(void) {
    static const uint8_t whole[] = {3, 37, 3, 32, 3, 9,  0, 0, 3, 34,
                                    2, 0,  3, 35, 3, 36, 1, 0, 3, 36};
    /* Paid, gone back, paid again, with all between. */
    static const uint8_t money[] = {3, 37, 3, 32, 3, 225, 0, 0,   3, 64,  4, 63,  2, 0, 3, 225,
                                    1, 0,  4, 63, 2, 0,   3, 225, 3, 226, 3, 227, 2, 0, 3, 228};
    /* Two of the credit check's three attempts fail, the first went back. */
    static const uint8_t attempts[] = {3, 37, 3, 32, 3, 33, 4, 0, 3, 38, 3, 38};
    fuzz_seed(attempts, sizeof attempts);
    fuzz_seed(money, sizeof money);
    fuzz_seed(money, sizeof money - 1);
    static const uint8_t ended[] = {11, 5, 11, 0, 11, 6, 11, 1, 19, 5, 19, 7, 2, 0, 19, 15, 19, 15};
    fuzz_seed(whole, sizeof whole);
    fuzz_seed(whole, sizeof whole - 1);
    fuzz_seed(ended, sizeof ended);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_seeds(make_seeds);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world world = {.sim = sim_io_create(1), .snapshots = sim_snapshot_create()};
    struct wf_command define = {.kind = WF_DEFINITION_ADD, .text = core_loan_yaml};
    world.forgetful = size % 2 == 1; /* commands are pairs of bytes: one is left */
    open_store(&world);
    fuzz_require(wf_execute(world.engine, &define, NULL, NULL) == WF_OK, "a definition is added");
    for (int i = 0; i < LOANS; i++) {
        char id[16];
        snprintf(id, sizeof id, "A%d", i);
        const struct wf_command account = {
            .kind = WF_ACCOUNT_OPEN, .id = id, .type = "checking", .currency = "USD"};
        fuzz_require(wf_execute(world.engine, &account, NULL, NULL) == WF_OK, "an account");
    }
    for (size_t i = 0; i + 1 < size && i < 2 * COMMANDS_MAX; i += 2) {
        switch (data[i] % 8) {
        case 0:
            fuzz_require(wf_snapshot(world.engine, NULL) == WF_OK, "a checkpoint");
            break;
        case 1:
            fuzz_require(wf_close(world.engine, NULL) == WF_OK, "closing");
            open_store(&world);
            break;
        case 2:
            crash(&world);
            break;
        case 4:
            go_back(&world, data[i + 1] % LOANS);
            break;
        default:
            command(&world, data[i], data[i + 1]);
            break;
        }
    }
    char hash[65];
    for (int i = 0; i < LOANS; i++) {
        check_loan(&world, i);
        check_money(&world, i);
    }
    fuzz_require(wf_account_check(world.engine, NULL, NULL) == WF_OK, "all postings add up");
    fuzz_require(wf_replay_verify(world.engine, NULL, NULL, hash, NULL) == WF_OK,
                 "a replay comes to the same state");
    (void)wf_close(world.engine, NULL);
    sim_snapshot_destroy(world.snapshots);
    sim_io_destroy(world.sim);
    return 0;
}
