/* Random transactions with kill -9 in between: the survivor is the bank that nobody killed.
 *
 * Transaction number n is made of n and the seed alone, and carries the key "n". One in four goes
 * with a workflow: operations that complete a stage, or a rollback or cancellation that moves them
 * back. A child works them off in groups, from the first that was not answered; SIGKILL comes at
 * random instants under load. Those that were logged and not answered are sent again under their
 * keys. In the end every balance must be that of a second store where the same transactions ran
 * undisturbed, all postings must add up (wf_account_check), and a replay from the first record must
 * come to the same state.
 *
 * LEDGER_TRANSACTIONS (100,000; 500,000 in make test-long); CRASH_SEED repeats the choices of a
 * run. Fails where no kill met a transaction in flight. */
#include "engine/wf.h"
#include "tests/crash/scratch.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TRANSACTIONS = 100000,
    TRANSACTIONS_LONG = 500000,
    ACCOUNTS = 40, /* the last of them in EUR */
    EUROS = 8,
    GROUP_MAX = 400,
    OPERATIONS_MAX = 3,
    KILLS = 30,
    LOAD_US_MAX = 400000,
    WORKFLOWS = 8,      /* at a time */
    GENERATION = 10000, /* transactions; then the workflows are new ones */
};

static const char payment_yaml[] =
    "workflow: payment\nversion: 1\nsteps:\n  one: {completes: first}\n  two: {completes: second}\n"
    "  three: {completes: third}\nstages:\n  - {name: first}\n"
    "  - {name: second, needs: [first]}\n  - {name: third, needs: [second]}\n";

/* Shared with the children. */
struct shared {
    _Atomic uint64_t answered; /* transactions with a lower number all are */
    _Atomic uint64_t enqueued, repeated, refused;
    _Atomic uint64_t with_workflow; /* workflow commands that moved money */
    _Atomic int loading;
    char error[600];
};

struct transaction {
    struct wf_command command;
    struct wf_operation operations[OPERATIONS_MAX];
    char texts[OPERATIONS_MAX][5][24];
    char key[24];
    char id[32];
};

static int fail(struct shared *shared, const char *what, const struct wf_error *err) {
    snprintf(shared->error, sizeof shared->error, "%s: %s", what, err != NULL ? err->text : "");
    return 1;
}

/* --- transactions --- */

static const char *name_account(char text[24], uint64_t number) {
    snprintf(text, 24, "ACC%02u", (unsigned)number);
    return text;
}

static void choose_operation(struct choices *choices, struct transaction *to, size_t index) {
    struct wf_operation *operation = &to->operations[index];
    char(*texts)[24] = to->texts[index];
    uint64_t dollars = ACCOUNTS - EUROS;
    static const char *const types[] = {"transfer",          "transfer", "transfer",     "transfer",
                                        "deposit",           "deposit",  "withdrawal",   "hold",
                                        "currency_exchange", "deposit",  "fee_deduction"};
    const char *const two_phases[] = {"post", "void"};
    *operation = (struct wf_operation){.type = types[choices_below(choices, 11)]};
    if (choices_one_in(choices, 30))
        operation->type = two_phases[choices_below(choices, 2)];
    operation->from = name_account(texts[0], choices_below(choices, dollars));
    operation->to = name_account(texts[1], choices_below(choices, dollars));
    snprintf(texts[2], sizeof texts[2], "%" PRIu64 ".%02" PRIu64, choices_below(choices, 40),
             1 + choices_below(choices, 99));
    snprintf(texts[3], sizeof texts[3], "h%" PRIu64, choices_below(choices, 4));
    operation->amount = texts[2];
    operation->currency = "USD";
    if (strcmp(operation->type, "currency_exchange") == 0) {
        operation->currency = "USD_to_EUR";
        operation->to = name_account(texts[1], dollars + choices_below(choices, EUROS));
    } else if (strcmp(operation->type, "deposit") == 0) {
        operation->from = NULL;
    } else if (strcmp(operation->type, "withdrawal") == 0 ||
               strcmp(operation->type, "fee_deduction") == 0) {
        operation->to = NULL;
    } else if (strcmp(operation->type, "post") == 0 || strcmp(operation->type, "void") == 0) {
        operation->to = operation->amount = operation->currency = NULL;
        operation->hold = texts[3];
    } else if (strcmp(operation->type, "hold") == 0) {
        operation->hold = texts[3];
    }
}

/* The command that is about a workflow: most of them complete a stage with the operations. */
static void choose_workflow_command(struct choices *choices, struct transaction *to,
                                    uint64_t number) {
    static const char *const steps[] = {"one", "two", "three"};
    static const char *const stages[] = {"first", "second", "third"};
    struct wf_command *command = &to->command;
    snprintf(to->id, sizeof to->id, "P%u-%" PRIu64, (unsigned)choices_below(choices, WORKFLOWS),
             number / GENERATION);
    command->id = to->id;
    command->actor = "teller";
    command->reason = "once more";
    uint64_t choice = choices_below(choices, 10);
    if (choice <= 6) {
        command->kind = WF_WORKFLOW_SUBMIT;
        command->step = steps[choices_below(choices, 3)];
    } else if (choice <= 8) {
        command->kind = WF_WORKFLOW_ROLLBACK;
        command->stage = stages[choices_below(choices, 3)];
    } else {
        command->kind = WF_WORKFLOW_CANCEL;
        command->rollback = choices_one_in(choices, 2);
        if (!choices_one_in(choices, 20))
            command->kind = WF_WORKFLOW_SUBMIT, command->step = "one";
    }
}

static void make_transaction(struct transaction *to, uint64_t seed, uint64_t number) {
    struct choices choices = {.state = seed ^ number * UINT64_C(0x9E3779B97F4A7C15)};
    size_t count = 1 + choices_below(&choices, OPERATIONS_MAX);
    for (size_t i = 0; i < count; i++)
        choose_operation(&choices, to, i);
    snprintf(to->key, sizeof to->key, "%" PRIu64, number);
    to->command = (struct wf_command){.kind = WF_ACCOUNT_TRANSACT,
                                      .operations = to->operations,
                                      .operation_count = count,
                                      .key = to->key};
    if (choices_one_in(&choices, 4))
        choose_workflow_command(&choices, to, number);
}

/* --- a bank --- */

static enum wf_status execute_keyed(struct wf_engine *engine, struct wf_command *command,
                                    const char *key, struct wf_error *err) {
    command->key = key;
    return wf_execute(engine, command, NULL, err);
}

/* All that there will be: what is not found leaves no record, and might be found when it is asked
 * for again. */
static enum wf_status start_workflows(struct wf_engine *engine, uint64_t total,
                                      struct wf_error *err) {
    char id[32], key[40];
    struct wf_command define = {.kind = WF_DEFINITION_ADD, .text = payment_yaml};
    enum wf_status status = execute_keyed(engine, &define, "define", err);
    for (uint64_t i = 0; i < (total / GENERATION + 1) * WORKFLOWS && status == WF_OK; i++) {
        snprintf(id, sizeof id, "P%u-%" PRIu64, (unsigned)(i % WORKFLOWS), i / WORKFLOWS);
        snprintf(key, sizeof key, "start %s", id);
        struct wf_command start = {.kind = WF_WORKFLOW_START, .id = id, .type = "payment"};
        status = execute_keyed(engine, &start, key, err);
    }
    return status;
}

static enum wf_status open_bank(struct wf_engine *engine, uint64_t total, struct wf_error *err) {
    char number[24], key[40];
    enum wf_status status = WF_OK;
    for (unsigned i = 0; i < ACCOUNTS && status == WF_OK; i++) {
        struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                     .id = name_account(number, i),
                                     .type = "checking",
                                     .currency = i < ACCOUNTS - EUROS ? "USD" : "EUR",
                                     .amount = "1000.00"};
        snprintf(key, sizeof key, "open %u", i);
        status = execute_keyed(engine, &command, key, err);
    }
    struct wf_field fields[] = {{"rate", "0.9137"}, {"source", "test"}};
    struct wf_command rate = {
        .kind = WF_RATE_SET, .id = "USD_to_EUR", .fields = fields, .field_count = 2};
    if (status == WF_OK)
        status = execute_keyed(engine, &rate, "rate", err);
    return status == WF_OK ? start_workflows(engine, total, err) : status;
}

static enum wf_status open_store(const char *dir, bool undisturbed, struct wf_engine **engine,
                                 struct wf_error *err) {
    struct wf_options options;
    wf_options_init(&options);
    options.create = true;
    options.test_clock = true;
    options.test_clock_ms = INT64_C(1767225600000);
    if (!undisturbed) {
        options.segment_size = 256 << 10;
        options.snapshot_log_bytes = 200 << 10;
        options.memory_max = 256 << 10;
        options.background_snapshots = true;
    }
    return wf_open(dir, &options, engine, err);
}

/* One group from number `first`; false: what was answered cannot be. */
static bool work_group(struct shared *shared, struct wf_engine *engine, uint64_t seed,
                       uint64_t first, size_t count) {
    static struct wf_pending pendings[GROUP_MAX];
    struct transaction transaction;
    struct wf_error err;
    for (size_t i = 0; i < count; i++) {
        make_transaction(&transaction, seed, first + i);
        if (wf_enqueue(engine, &transaction.command, &pendings[i], &err) != WF_OK)
            return fail(shared, "enqueue", &err), false;
        shared->enqueued = first + i + 1;
    }
    for (size_t i = 0; i < count; i++) {
        struct wf_result result;
        enum wf_status status = wf_wait(engine, &pendings[i], &result, &err);
        if (status != WF_OK && status != WF_REFUSED)
            return fail(shared, "wait", &err), false;
        shared->refused += status == WF_REFUSED;
        shared->with_workflow +=
            status == WF_OK && (result.balance_count > 0 && result.status != NULL);
        shared->repeated += result.replayed && status == WF_OK;
        shared->answered = first + i + 1;
    }
    return true;
}

static int work(struct shared *shared, const char *dir, uint64_t seed, uint64_t total,
                bool undisturbed) {
    struct wf_engine *engine;
    struct wf_error err;
    if (open_store(dir, undisturbed, &engine, &err) != WF_OK)
        return fail(shared, "open", &err);
    if (open_bank(engine, total, &err) != WF_OK)
        return fail(shared, "open the bank", &err);
    struct choices choices = {.state = seed + shared->answered};
    shared->loading = 1;
    while (shared->answered < total) {
        uint64_t left = total - shared->answered;
        uint64_t count = 1 + choices_below(&choices, GROUP_MAX);
        if (!work_group(shared, engine, seed, shared->answered, count < left ? count : left))
            return 1;
    }
    return wf_close(engine, &err) == WF_OK ? 0 : fail(shared, "close", &err);
}

/* --- the end --- */

struct balances {
    char text[8192];
};

static bool add_account(void *ctx, const struct wf_account *account) {
    struct balances *balances = ctx;
    size_t used = strlen(balances->text);
    snprintf(balances->text + used, sizeof balances->text - used, "%s %s %s %s %" PRIu64 "\n",
             account->number, account->balance, account->currency, account->held, account->version);
    return true;
}

/* Everything that can be told of a store that is closed. */
static int look(struct shared *shared, const char *dir, struct balances *balances) {
    struct wf_engine *engine;
    struct wf_error err;
    struct wf_account_report report;
    char hash[65];
    balances->text[0] = '\0';
    if (open_store(dir, false, &engine, &err) != WF_OK)
        return fail(shared, "open", &err);
    enum wf_status status = wf_account_check(engine, &report, &err);
    if (status == WF_OK)
        status = wf_replay_verify(engine, NULL, NULL, hash, &err);
    if (status == WF_OK)
        status = wf_account_list(engine, true, add_account, balances, &err);
    wf_close(engine, NULL);
    if (status != WF_OK)
        return fail(shared, dir, &err);
    printf("%" PRIu64 " postings of %" PRIu64 " records add up\n", report.postings, report.records);
    return 0;
}

static bool run_child(struct shared *shared, const char *dir, uint64_t seed, uint64_t total,
                      uint64_t load_us, bool *finished) {
    shared->loading = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(work(shared, dir, seed, total, false));
    int status;
    for (uint64_t start = 0; waitpid(child, &status, WNOHANG) == 0; usleep(200)) {
        if (start == 0 && shared->loading)
            start = scratch_now_us();
        if (start != 0 && scratch_now_us() - start > load_us)
            kill(child, SIGKILL);
    }
    *finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return *finished || WIFSIGNALED(status);
}

static int compare(struct shared *shared, const char *killed, const char *calm) {
    static struct balances one, other;
    if (look(shared, killed, &one) != 0 || look(shared, calm, &other) != 0)
        return 1;
    if (strcmp(one.text, other.text) == 0)
        return 0;
    printf("killed:\n%sundisturbed:\n%s", one.text, other.text);
    return fail(shared, "the balances differ", NULL);
}

static int run(struct shared *shared, const char *root, uint64_t seed, uint64_t total) {
    char killed[PATH_MAX], calm[PATH_MAX];
    struct choices choices = {.state = seed};
    bool finished = false;
    unsigned kills = 0, in_flight = 0;
    scratch_join(killed, root, "killed");
    scratch_join(calm, root, "calm");
    while (!finished) {
        uint64_t load_us = kills < KILLS ? choices_below(&choices, LOAD_US_MAX) : UINT64_MAX / 2;
        if (!run_child(shared, killed, seed, total, load_us, &finished))
            return 1;
        kills += !finished;
        in_flight += !finished && shared->enqueued > shared->answered;
    }
    printf("%u kills, %u with transactions in flight; %" PRIu64 " repeated, %" PRIu64
           " refused, %" PRIu64 " with a workflow of %" PRIu64 "\n",
           kills, in_flight, (uint64_t)shared->repeated, (uint64_t)shared->refused,
           (uint64_t)shared->with_workflow, total);
    if (in_flight == 0)
        return fail(shared, "no kill met a transaction in flight: nothing was shown", NULL);
    shared->answered = 0;
    if (work(shared, calm, seed, total, true) != 0)
        return 1;
    return compare(shared, killed, calm);
}

int main(void) {
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = scratch_setting("CRASH_SEED", scratch_now_us());
    uint64_t total = scratch_setting("LEDGER_TRANSACTIONS",
                                     scratch_is_long() ? TRANSACTIONS_LONG : TRANSACTIONS);
    char root[PATH_MAX];
    setbuf(stdout, NULL);
    scratch_make(root, NULL, "crash_ledger");
    int result = run(shared, root, seed, total);
    if (result != 0)
        printf("FAILED (CRASH_SEED=%" PRIu64 "): %s\n", seed, shared->error);
    scratch_remove(root);
    return result;
}
