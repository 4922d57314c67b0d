/* The loan with its money, killed with SIGKILL after every record of it, and at every named
 * instant.
 *
 * For every stage as the current one and every earlier stage as the target: submitted up to it,
 * each completion with operations on accounts; rolled back, reviewers agree, the money goes back;
 * forward again to completed. A process does all that under keys; it kills itself right after the
 * n-th record that it was answered, for every n (or when it passes any crash point for the n-th
 * time), and another does it all again under the same keys. The state hash, the balances and the
 * check of all postings must be those of the run that nobody killed.
 *
 * The workflows' definition is that of the loan application, whose strategies are all different. */
#include "engine/wf.h"
#include "tests/crash/scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STAGES = 4, NEVER = 1000000, END_SIZE = 1024 };

static const char yaml[] =
    "workflow: loan\nversion: 1\nsteps:\n"
    "  applicant_submission: {provides: [data]}\n"
    "  credit_bureau_response: {completes: credit_check}\n"
    "  employer_verification: {completes: income_verification}\n"
    "  property_appraisal: {completes: collateral_assessment}\n"
    "  approval_decision: {completes: final_approval}\n"
    "stages:\n"
    "  - {name: credit_check, needs: [data], rollback: automatic}\n"
    "  - {name: income_verification, needs: [credit_check], rollback: manual_review}\n"
    "  - {name: collateral_assessment, needs: [income_verification], rollback: hold_for_review}\n"
    "  - {name: final_approval, needs: [all_previous_stages], rollback: executive_review}\n";

static const char *const stages[STAGES] = {"credit_check", "income_verification",
                                           "collateral_assessment", "final_approval"};
static const char *const steps[STAGES + 1] = {"applicant_submission", "credit_bureau_response",
                                              "employer_verification", "property_appraisal",
                                              "approval_decision"};

/* What goes with the completion of each stage: a fee, a hold, its posting, the disbursement in two
 * currencies. */
static const struct wf_operation operations[STAGES][2] = {
    {{.type = "fee_deduction", .from = "ACC", .amount = "25.00", .currency = "USD"}},
    {{.type = "hold",
      .from = "ACC",
      .to = "SHOP",
      .amount = "40.00",
      .currency = "USD",
      .hold = "appraiser"}},
    {{.type = "transfer", .from = "ACC", .to = "SHOP", .amount = "10.00", .currency = "USD"},
     {.type = "deposit", .to = "SHOP", .amount = "3.00", .currency = "USD"}},
    {{.type = "loan_disbursement",
      .from = "LOAN",
      .to = "ACC",
      .amount = "900.00",
      .currency = "USD"},
     {.type = "currency_exchange",
      .from = "ACC",
      .to = "EUR",
      .amount = "500.00",
      .currency = "USD_to_EUR"}}};
static const size_t operation_counts[STAGES] = {1, 1, 2, 2};

/* Shared with the children. */
struct shared {
    int records;   /* that the child was answered, which were not there before */
    int passes;    /* of crash points */
    int die_after; /* so many records */
    int die_at;    /* the so-manieth pass */
    int current, target;
    char end[END_SIZE]; /* what it came to */
    char error[600];
};

static int fail(struct shared *shared, const char *what, const struct wf_error *err) {
    snprintf(shared->error, sizeof shared->error, "%s: %s", what, err != NULL ? err->text : "");
    return 1;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void pass(void *ctx, const char *point) {
    struct shared *shared = ctx;
    (void)point;
    if (++shared->passes == shared->die_at)
        die();
}

static enum wf_status execute(struct shared *shared, struct wf_engine *engine,
                              struct wf_command *command, const char *key, struct wf_error *err) {
    struct wf_result result;
    command->key = key;
    enum wf_status status = wf_execute(engine, command, &result, err);
    if (status == WF_OK && !result.replayed && ++shared->records == shared->die_after)
        die();
    return status;
}

/* --- the story --- */

static enum wf_status open_bank(struct shared *shared, struct wf_engine *engine,
                                struct wf_error *err) {
    static const char *const accounts[][4] = {{"ACC", "checking", "USD", "100.00"},
                                              {"SHOP", "checking", "USD", NULL},
                                              {"EUR", "savings", "EUR", NULL},
                                              {"LOAN", "loan", "USD", NULL}};
    struct wf_command define = {.kind = WF_DEFINITION_ADD, .text = yaml};
    enum wf_status status = execute(shared, engine, &define, "define", err);
    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0] && status == WF_OK; i++) {
        struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                     .id = accounts[i][0],
                                     .type = accounts[i][1],
                                     .currency = accounts[i][2],
                                     .amount = accounts[i][3]};
        status = execute(shared, engine, &command, accounts[i][0], err);
    }
    struct wf_field fields[] = {{"rate", "0.9137"}, {"source", "test"}};
    struct wf_command rate = {
        .kind = WF_RATE_SET, .id = "USD_to_EUR", .fields = fields, .field_count = 2};
    struct wf_command start = {.kind = WF_WORKFLOW_START, .id = "L1", .type = "loan"};
    if (status == WF_OK)
        status = execute(shared, engine, &rate, "rate", err);
    return status == WF_OK ? execute(shared, engine, &start, "start", err) : status;
}

/* The steps from `first` to before `end`; each but the first completes a stage, with its money. */
static enum wf_status submit(struct shared *shared, struct wf_engine *engine, int first, int end,
                             const char *round, struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (int i = first; i < end && status == WF_OK; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s %s", round, steps[i]);
        struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT, .id = "L1", .step = steps[i]};
        if (i > 0) {
            command.operations = operations[i - 1];
            command.operation_count = operation_counts[i - 1];
        }
        status = execute(shared, engine, &command, key, err);
    }
    return status;
}

/* Whoever is asked agrees, until nothing waits. */
static enum wf_status approve_all(struct shared *shared, struct wf_engine *engine,
                                  struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (bool waits = true; waits && status == WF_OK;) {
        struct wf_workflow *loan = NULL;
        char stage[WF_NAME_MAX + 1] = "", role[WF_ID_MAX + 1] = "";
        status = wf_workflow_get(engine, "L1", &loan, err);
        waits = status == WF_OK && loan->review_count > 0;
        if (waits) {
            snprintf(stage, sizeof stage, "%s", loan->reviews[0].stage);
            snprintf(role, sizeof role, "%s", loan->reviews[0].role);
        }
        wf_workflow_free(loan);
        struct wf_command command = {
            .kind = WF_REVIEW_APPROVE, .id = "L1", .stage = stage, .role = role, .actor = "rita"};
        if (waits)
            status = execute(shared, engine, &command, NULL, err);
    }
    return status;
}

static bool add_account(void *ctx, const struct wf_account *account) {
    char *end = ctx;
    size_t used = strlen(end);
    snprintf(end + used, END_SIZE - used, "%s %s held %s version %" PRIu64 "\n", account->number,
             account->balance, account->held, account->version);
    return true;
}

/* What it came to: hash, status, balances; the postings add up and the log says the same. */
static enum wf_status look(struct shared *shared, struct wf_engine *engine, struct wf_error *err) {
    char hash[65];
    struct wf_account_report report;
    struct wf_workflow *loan = NULL;
    enum wf_status status = wf_workflow_get(engine, "L1", &loan, err);
    shared->end[0] = '\0';
    if (status == WF_OK)
        status = wf_account_check(engine, &report, err);
    if (status == WF_OK)
        status = wf_replay_verify(engine, NULL, NULL, hash, err);
    if (status == WF_OK)
        status = wf_account_list(engine, true, add_account, shared->end, err);
    size_t used = strlen(shared->end);
    if (status == WF_OK)
        snprintf(shared->end + used, END_SIZE - used, "%s, %zu stages with money, %s\n",
                 loan->status, loan->money_count, hash);
    wf_workflow_free(loan);
    return status;
}

static enum wf_status tell(struct shared *shared, struct wf_engine *engine, struct wf_error *err) {
    enum wf_status status = open_bank(shared, engine, err);
    if (status == WF_OK)
        status = submit(shared, engine, 0, shared->current + 1, "first", err);
    struct wf_command back = {.kind = WF_WORKFLOW_ROLLBACK,
                              .id = "L1",
                              .stage = stages[shared->target],
                              .reason = "once more",
                              .actor = "eve"};
    if (status == WF_OK)
        status = execute(shared, engine, &back, "back", err);
    if (status == WF_OK)
        status = approve_all(shared, engine, err);
    if (status == WF_OK)
        status = submit(shared, engine, shared->target + 1, STAGES + 1, "again", err);
    return status == WF_OK ? look(shared, engine, err) : status;
}

/* --- processes --- */

static int work(struct shared *shared, const char *dir) {
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    wf_options_init(&options);
    options.create = true;
    options.test_clock = true;
    options.test_clock_ms = INT64_C(1767225600000);
    options.on_point = pass;
    options.point_ctx = shared;
    options.snapshot_log_bytes = 1500; /* some in the middle */
    if (wf_open(dir, &options, &engine, &err) != WF_OK)
        return fail(shared, "open", &err);
    if (tell(shared, engine, &err) != WF_OK)
        return fail(shared, "the story", &err);
    return wf_close(engine, &err) == WF_OK ? 0 : fail(shared, "close", &err);
}

/* Exit status 0: it came to its end; 1: it failed; 2: it was killed. */
static int run_child(struct shared *shared, const char *dir, int die_after, int die_at) {
    int status;
    shared->records = shared->passes = 0;
    shared->die_after = die_after;
    shared->die_at = die_at;
    pid_t child = fork();
    if (child == 0)
        _exit(work(shared, dir));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return 2;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* Killed so, then told again: does it come to the same? */
static int killed_and_again(struct shared *shared, const char *dir, int die_after, int die_at,
                            const char *expected) {
    scratch_remove(dir);
    if (run_child(shared, dir, die_after, die_at) != 2)
        return fail(shared, "nobody was killed", NULL);
    if (run_child(shared, dir, NEVER, NEVER) != 0)
        return 1;
    if (strcmp(shared->end, expected) == 0)
        return 0;
    printf("expected:\n%skilled after record %d, at pass %d:\n%s", expected, die_after, die_at,
           shared->end);
    return fail(shared, "it came to something else", NULL);
}

static int story(struct shared *shared, const char *dir, bool points, int *kills) {
    char expected[END_SIZE];
    scratch_remove(dir);
    if (run_child(shared, dir, NEVER, NEVER) != 0)
        return 1;
    int records = shared->records, passes = shared->passes;
    snprintf(expected, sizeof expected, "%s", shared->end);
    if (strstr(expected, "completed, 4 stages with money") == NULL)
        return fail(shared, expected, NULL);
    for (int n = 1; n <= (points ? passes : records); n++, ++*kills)
        if (killed_and_again(shared, dir, points ? NEVER : n, points ? n : NEVER, expected) != 0)
            return 1;
    return 0;
}

int main(void) {
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char root[PATH_MAX], dir[PATH_MAX];
    int result = 0, kills = 0;
    setbuf(stdout, NULL);
    /* What a killed process wrote stays, wherever that is. */
    scratch_make(root, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL, "crash_loan");
    scratch_join(dir, root, "store");
    for (int current = 1; current <= STAGES && result == 0; current++)
        for (int target = 0; target < current && result == 0; target++) {
            shared->current = current;
            shared->target = target;
            result = story(shared, dir, false, &kills);
        }
    int after_records = kills;
    if (result == 0) /* the longest way back */
        shared->current = STAGES, shared->target = 0, result = story(shared, dir, true, &kills);
    printf("killed after each of %d records, and at %d instants\n", after_records,
           kills - after_records);
    if (result != 0)
        printf("FAILED from %d to %d: %s\n", shared->current, shared->target, shared->error);
    scratch_remove(root);
    return result;
}
