/* Every allocation of every operation fails once: the answer is WF_NO_MEMORY, nothing has changed,
 * nothing leaks, and the same operation works afterwards. */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
#include "tests/lib/core_store.h"
#include "tests/lib/engine_fixture.h"
#include "tests/lib/failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALLOCATIONS_MAX = 10000, LOANS = 100 };

/* `round` is another one each time, and each concerns another workflow. */
typedef enum wf_status (*operation_fn)(struct engine_fixture *f, unsigned round,
                                       struct wf_error *err);

/* ---- one operation, on an open store ---- */

struct seen {
    char hash[65];
    uint64_t durable_lsn;
};

static struct seen look(struct engine_fixture *f) {
    struct wf_store_status status = fixture_status(f);
    struct seen seen = {.durable_lsn = status.durable_lsn};
    memcpy(seen.hash, status.state_hash, sizeof seen.hash);
    return seen;
}

/* WF_OK too: a table that cannot grow is good for longer, a page is checked anew each time. */
static void judge(enum wf_status status, bool refused, const struct wf_error *err, const char *what,
                  unsigned n) {
    if (status != WF_OK && (status != WF_NO_MEMORY || !refused))
        fail_msg("%s without allocation %u: %s: %s", what, n, wf_status_code(status), err->text);
}

/* Without the n-th allocation, for every n that the operation has; with `lasting` without all
 * behind it too. Then once with all. `prepare` (may be NULL) goes before each. */
static void sweep(struct engine_fixture *f, const char *what, operation_fn prepare,
                  operation_fn operation, bool lasting) {
    bool refused = true;
    for (unsigned n = 1; refused; n++) {
        assert_true(n < ALLOCATIONS_MAX);
        struct wf_error err;
        if (prepare != NULL)
            assert_int_equal(prepare(f, n, &err), WF_OK);
        struct seen before = look(f);
        failing_memory_arm(n, lasting);
        enum wf_status status = operation(f, n, &err);
        refused = failing_memory_disarm();
        judge(status, refused, &err, what, n);
        struct seen after = look(f);
        if (status != WF_OK &&
            (strcmp(after.hash, before.hash) != 0 || after.durable_lsn != before.durable_lsn))
            fail_msg("%s without allocation %u failed and changed the state", what, n);
    }
}

static enum wf_status execute(struct engine_fixture *f, const struct wf_command *command,
                              struct wf_error *err) {
    struct wf_result result;
    return wf_execute(f->engine, command, &result, err);
}

static enum wf_status start(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    const struct wf_field note = {"note", "a house by the sea"};
    char id[16];
    (void)snprintf(id, sizeof id, "S%u", round);
    const struct wf_command command = {.kind = WF_WORKFLOW_START,
                                       .id = id,
                                       .type = "loan_application",
                                       .fields = &note,
                                       .field_count = 1,
                                       .actor = "ada",
                                       .key = id};
    return execute(f, &command, err);
}

/* The loan that a round is about. */
static const char *loan(unsigned round, char id[16]) {
    return fixture_id((int)(round % LOANS), id);
}

static enum wf_status submit(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    const struct wf_field fields[] = {{"salary", "84000"}, {"tenure", "7"}};
    char id[16];
    char key[32];
    (void)snprintf(key, sizeof key, "submit %u", round);
    const struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                       .id = loan(round, id),
                                       .step = "employer_verification",
                                       .fields = fields,
                                       .field_count = 2,
                                       .key = key};
    return execute(f, &command, err);
}

static enum wf_status fail_stage(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    char id[16];
    const struct wf_command command = {.kind = WF_WORKFLOW_FAIL,
                                       .id = loan(round + LOANS / 4, id),
                                       .stage = "income_verification",
                                       .reason = "no such employer"};
    return execute(f, &command, err);
}

static enum wf_status cancel(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    char id[16];
    const struct wf_command command = {.kind = WF_WORKFLOW_CANCEL,
                                       .id = loan(round + LOANS / 2, id),
                                       .reason = "the applicant has withdrawn"};
    return execute(f, &command, err);
}

static enum wf_status advance(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    const struct wf_command command = {.kind = WF_CLOCK_ADVANCE, .duration_ms = round};
    return execute(f, &command, err);
}

static enum wf_status define(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    char yaml[400];
    (void)snprintf(yaml, sizeof yaml,
                   "workflow: order%u\nversion: 1\nsteps:\n  placed: {provides: [goods]}\n"
                   "  paid: {completes: payment, requires: [amount]}\nstages:\n"
                   "  - {name: payment, needs: [goods], timeout: 30d, outcome: payment_due}\n",
                   round);
    const struct wf_command command = {.kind = WF_DEFINITION_ADD, .text = yaml};
    return execute(f, &command, err);
}

/* Again under a key that was used: the outcome is read from the log. */
static enum wf_status start_again(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    return start(f, 1, err);
}

static void give_commands(struct engine_fixture *f, bool lasting) {
    sweep(f, "define", NULL, define, lasting);
    sweep(f, "start", NULL, start, lasting);
    sweep(f, "start again", NULL, start_again, lasting);
    sweep(f, "submit", NULL, submit, lasting);
    sweep(f, "fail", NULL, fail_stage, lasting);
    sweep(f, "cancel", NULL, cancel, lasting);
    sweep(f, "advance", NULL, advance, lasting);
}

static void test_engine_memory_commands_change_nothing_without_memory(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_init_disk(&f);
        fixture_loans(&f, 0, LOANS, 2);
        give_commands(&f, lasting);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

/* The same where what they are about comes from the snapshot first. */
static void test_engine_memory_commands_load_what_they_need(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_init_disk(&f);
        fixture_loans(&f, 0, LOANS, 2);
        fixture_reopen(&f, true);
        give_commands(&f, lasting);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

/* ---- questions ---- */

static bool pass_workflow(void *ctx, const struct wf_workflow *workflow) {
    (void)ctx;
    (void)workflow;
    return true;
}

static bool pass_event(void *ctx, const struct wf_event *event) {
    (void)ctx;
    (void)event;
    return true;
}

static bool pass_definition(void *ctx, const struct wf_definition *definition) {
    (void)ctx;
    (void)definition;
    return true;
}

static bool pass_segment(void *ctx, const struct wf_segment *segment) {
    (void)ctx;
    (void)segment;
    return true;
}

static enum wf_status get(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    struct wf_workflow *workflow = NULL;
    enum wf_status status = wf_workflow_get(f->engine, "L0001", &workflow, err);
    wf_workflow_free(workflow);
    return status;
}

static enum wf_status get_as_of(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    struct wf_workflow *workflow = NULL;
    enum wf_status status = wf_workflow_get_as_of(f->engine, "L0001", 7, &workflow, err);
    wf_workflow_free(workflow);
    return status;
}

static enum wf_status list(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    const struct wf_filter filter = {.status = "running"};
    return wf_workflow_list(f->engine, &filter, pass_workflow, NULL, err);
}

static enum wf_status history(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    return wf_workflow_history(f->engine, "L0001", pass_event, NULL, err);
}

static enum wf_status replay(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    return wf_replay(f->engine, 1, UINT64_MAX, NULL, pass_event, NULL, err);
}

static enum wf_status verify(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    char hash[65];
    return wf_replay_verify(f->engine, NULL, NULL, hash, err);
}

static enum wf_status definitions(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    return wf_definition_list(f->engine, NULL, pass_definition, NULL, err);
}

static enum wf_status segments(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    return wf_log_segments(f->engine, pass_segment, NULL, err);
}

static enum wf_status ask_status(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    struct wf_store_status status;
    return wf_status_get(f->engine, true, &status, err);
}

static enum wf_status verify_snapshot(struct engine_fixture *f, unsigned round,
                                      struct wf_error *err) {
    (void)round;
    return wf_snapshot_verify(f->engine, NULL, err);
}

static enum wf_status verify_log(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    struct wf_log_report report;
    return wf_log_verify(f->dir, NULL, NULL, &report, err);
}

static enum wf_status audit_root(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    struct wf_tree_head head;
    return wf_audit_root(f->engine, 0, &head, err);
}

static enum wf_status audit_prove(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    struct wf_proof proof = {.lsn = 0};
    enum wf_status status = wf_audit_prove(f->engine, 3, 0, &proof, err);
    if (status == WF_OK)
        status = wf_audit_check(&proof, proof.root, 0, err);
    wf_proof_deinit(&proof);
    return status;
}

static enum wf_status audit_show(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    const struct wf_audit_filter filter = {.entity = "L0001"};
    return wf_audit_show(f->engine, &filter, pass_event, NULL, err);
}

static void ask_everything(struct engine_fixture *f, bool lasting) {
    sweep(f, "get", NULL, get, lasting);
    sweep(f, "get as of", NULL, get_as_of, lasting);
    sweep(f, "list", NULL, list, lasting);
    sweep(f, "history", NULL, history, lasting);
    sweep(f, "replay", NULL, replay, lasting);
    sweep(f, "replay verify", NULL, verify, lasting);
    sweep(f, "definition list", NULL, definitions, lasting);
    sweep(f, "segments", NULL, segments, lasting);
    sweep(f, "status", NULL, ask_status, lasting);
    sweep(f, "snapshot verify", NULL, verify_snapshot, lasting);
    sweep(f, "log verify", NULL, verify_log, lasting);
    sweep(f, "audit root", NULL, audit_root, lasting);
    sweep(f, "audit prove", NULL, audit_prove, lasting);
    sweep(f, "audit show", NULL, audit_show, lasting);
}

static void test_engine_memory_questions_answer_or_say_so(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_init_disk(&f);
        fixture_loans(&f, 0, 3, 2);
        ask_everything(&f, lasting);
        fixture_reopen(&f, true);
        ask_everything(&f, lasting);
        fixture_deinit(&f);
    }
}

/* ---- a stage and its money ---- */

static char id_first = 'M'; /* of the loans of a sweep */

static enum wf_status open_bank(struct engine_fixture *f, struct wf_error *err) {
    struct wf_command loan_account = {
        .kind = WF_ACCOUNT_OPEN, .id = "LOAN1", .type = "loan", .currency = "USD"};
    struct wf_command account = {
        .kind = WF_ACCOUNT_OPEN, .id = "ACC001", .type = "checking", .currency = "USD"};
    enum wf_status status = execute(f, &loan_account, err);
    return status == WF_OK ? execute(f, &account, err) : status;
}

static enum wf_status prepare_stage(struct engine_fixture *f, unsigned round,
                                    struct wf_error *err) {
    (void)err;
    char id[16];
    (void)snprintf(id, sizeof id, "%c%u", id_first, round);
    fixture_loan(f, id, 1);
    return WF_OK;
}

static enum wf_status pay_stage(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    static const struct wf_field fields[] = {{"credit_score", "750"}, {"history", "good"}};
    char id[16];
    (void)snprintf(id, sizeof id, "%c%u", id_first, round);
    const struct wf_operation operations[] = {{.type = "loan_disbursement",
                                               .from = "LOAN1",
                                               .to = "ACC001",
                                               .amount = "8.00",
                                               .currency = "USD"},
                                              {.type = "hold",
                                               .from = "ACC001",
                                               .to = "ACC002",
                                               .amount = "0.01",
                                               .currency = "USD",
                                               .hold = id}};
    const struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                       .id = id,
                                       .step = "credit_bureau_response",
                                       .fields = fields,
                                       .field_count = 2,
                                       .operations = operations,
                                       .operation_count = 2};
    return execute(f, &command, err);
}

static enum wf_status prepare_undoing(struct engine_fixture *f, unsigned round,
                                      struct wf_error *err) {
    char id[16];
    (void)snprintf(id, sizeof id, "%c%u", id_first, round);
    const struct wf_command rollback = {.kind = WF_WORKFLOW_ROLLBACK,
                                        .id = id,
                                        .stage = "credit_check",
                                        .reason = "wrong file",
                                        .actor = "ann"};
    enum wf_status status = prepare_stage(f, round, err);
    if (status == WF_OK)
        status = pay_stage(f, round, err);
    return status == WF_OK ? execute(f, &rollback, err) : status;
}

static enum wf_status undo_stage(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    char id[16];
    (void)snprintf(id, sizeof id, "%c%u", id_first, round);
    const struct wf_command approval = {.kind = WF_REVIEW_APPROVE,
                                        .id = id,
                                        .stage = "income_verification",
                                        .role = "reviewer",
                                        .actor = "rita"};
    return execute(f, &approval, err);
}

static void test_engine_memory_a_stage_and_its_money_are_one(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_init_disk(&f);
        struct wf_command third = {
            .kind = WF_ACCOUNT_OPEN, .id = "ACC002", .type = "checking", .currency = "USD"};
        assert_int_equal(open_bank(&f, &f.err), WF_OK);
        assert_int_equal(execute(&f, &third, &f.err), WF_OK);
        f.options.memory_max = 1; /* so that accounts come from the snapshot */
        fixture_reopen(&f, true);
        sweep(&f, "undo a stage", prepare_undoing, undo_stage, lasting);
        fixture_reopen(&f, true);
        id_first = 'P';
        sweep(&f, "pay for a stage", prepare_stage, pay_stage, lasting);
        id_first = 'M';
        struct wf_account_report report;
        assert_int_equal(wf_account_check(f.engine, &report, &f.err), WF_OK);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

/* ---- snapshots ---- */

static enum wf_status snapshot(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    return wf_snapshot(f->engine, err);
}

static void test_engine_memory_snapshots_are_whole_or_not_there(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_init_disk(&f);
        fixture_loans(&f, 0, LOANS, 2);
        sweep(&f, "snapshot", cancel, snapshot, lasting);
        sweep(&f, "snapshot of a new one", start, snapshot, lasting);
        assert_int_equal(wf_snapshot(f.engine, &f.err), WF_OK);
        assert_int_equal(wf_snapshot_verify(f.engine, NULL, &f.err), WF_OK);
        const char *hash = fixture_hash(&f);
        fixture_reopen(&f, false);
        assert_string_equal(fixture_hash(&f), hash);
        assert_int_equal(fixture_status(&f).replayed, 0);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

/* ---- opening and closing ---- */

static void open_sweep(struct engine_fixture *f, const char *what, unsigned step, bool lasting) {
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n += step) {
        size_t live = failing_memory_live();
        failing_memory_arm(n, lasting);
        enum wf_status status = fixture_try_open(f);
        bool refused = failing_memory_disarm();
        judge(status, refused, &f->err, what, n);
        if (!refused)
            return;
        if (status == WF_OK) {
            f->engine->options.snapshot_on_close = false;
            fixture_close(f);
        } else
            assert_null(f->engine);
        if (failing_memory_live() != live)
            fail_msg("%s without allocation %u leaks %zu blocks", what, n,
                     failing_memory_live() - live);
    }
    fail_msg("%s allocates without end", what);
}

static void test_engine_memory_making_a_store_can_be_repeated(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_prepare_disk(&f);
        open_sweep(&f, "create", 1, lasting);
        fixture_define(&f);
        fixture_loans(&f, 0, 1, 2);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

static void test_engine_memory_opening_leaks_nothing_and_loses_nothing(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_init_disk(&f);
        f.options.create = false;
        fixture_loans(&f, 0, 5, 2);
        fixture_reopen(&f, true);
        fixture_loans(&f, 5, 5, 2);
        const char *hash = fixture_hash(&f);
        f.engine->options.snapshot_on_close = false;
        fixture_close(&f);
        open_sweep(&f, "open", 1, lasting);
        assert_string_equal(fixture_hash(&f), hash);
        fixture_verify(&f);
        f.engine->options.snapshot_on_close = false;
        fixture_close(&f);
        f.options.read_only = true;
        open_sweep(&f, "open for reading", 1, lasting);
        assert_string_equal(fixture_hash(&f), hash);
        fixture_deinit(&f);
    }
}

static void test_engine_memory_closing_frees_everything(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        bool refused = true;
        for (unsigned n = 1; refused; n++) {
            size_t live = failing_memory_live();
            struct engine_fixture f;
            fixture_init_disk(&f);
            fixture_loans(&f, 0, 2, 2);
            const char *hash = fixture_hash(&f);
            failing_memory_arm(n, lasting);
            enum wf_status status = wf_close(f.engine, &f.err);
            f.engine = NULL;
            refused = failing_memory_disarm();
            judge(status, refused, &f.err, "close", n);
            fixture_open(&f);
            assert_string_equal(fixture_hash(&f), hash);
            fixture_deinit(&f);
            assert_int_equal(failing_memory_live(), live);
        }
    }
}

/* A tail so long that a second thread applies it; some of its allocations only. */
static void test_engine_memory_opening_a_long_tail_leaks_nothing(void **state) {
    (void)state;
    enum { MANY = 850, STEP = 97 }; /* three records each */
    struct engine_fixture f;
    fixture_init_disk(&f);
    fixture_loans(&f, 0, MANY, 2);
    const char *hash = fixture_hash(&f);
    f.engine->options.snapshot_on_close = false;
    fixture_close(&f);
    f.options.create = false;
    f.options.read_only = true; /* so that all of it is read each time */
    open_sweep(&f, "open a long tail", STEP, false);
    assert_string_equal(fixture_hash(&f), hash);
    fixture_deinit(&f);
}

/* ---- a copy ---- */

static const char *copy_name(struct engine_fixture *f, char to[FIXTURE_PATH_MAX + 32]) {
    (void)snprintf(to, FIXTURE_PATH_MAX + 32, "%s/copy", f->root);
    return to;
}

/* What a backup that failed has left stays. */
static enum wf_status remove_copy(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    (void)err;
    char to[FIXTURE_PATH_MAX + 32];
    char command[FIXTURE_PATH_MAX + 64];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", copy_name(f, to));
    return system(command) == 0 ? WF_OK : WF_IO;
}

static enum wf_status back_up(struct engine_fixture *f, unsigned round, struct wf_error *err) {
    (void)round;
    char to[FIXTURE_PATH_MAX + 32];
    enum wf_status status = wf_backup(f->dir, copy_name(f, to), NULL, err);
    assert_int_equal(access(to, F_OK) == 0, status == WF_OK);
    return status;
}

static void test_engine_memory_backup_is_there_or_not(void **state) {
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        fixture_init_disk(&f);
        fixture_loans(&f, 0, 2, 2);
        sweep(&f, "backup", remove_copy, back_up, lasting);
        fixture_deinit(&f);
    }
}

/* ---- a repair ---- */

static void flip_byte(struct engine_fixture *f, long offset) {
    char path[FIXTURE_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/wal/00000000000000000001.seg", f->dir);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

/* Each attempt finds what the one before has left; none takes a record for bad that is good. Some
 * of the allocations only, for each attempt puts a copy of the log aside. */
static void test_engine_memory_repair_can_be_repeated(void **state) {
    (void)state;
    enum { STEP = 11 };
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        struct engine_fixture f;
        struct wf_log_report report;
        fixture_init_disk(&f);
        fixture_loans(&f, 0, 10, 2);
        uint64_t durable_lsn = fixture_status(&f).durable_lsn;
        long last = (long)f.engine->last.offset;
        fixture_close(&f);
        flip_byte(&f, last + 50);
        enum wf_status status = WF_NO_MEMORY;
        for (unsigned n = 1; status != WF_OK; n += STEP) {
            failing_memory_arm(n, lasting);
            status = wf_log_repair(f.dir, 0, NULL, NULL, &report, &f.err);
            bool refused = failing_memory_disarm();
            wf_log_report_deinit(&report);
            judge(status, refused, &f.err, "repair", n);
        }
        assert_int_equal(wf_log_verify(f.dir, NULL, NULL, &report, &f.err), WF_OK);
        fixture_open(&f);
        /* The one counts as lost; behind it is the record of the repair. */
        assert_int_equal(fixture_status(&f).durable_lsn, durable_lsn + 1);
        assert_int_equal(f.engine->state.store.repairs, 1);
        fixture_deinit(&f);
    }
}

int main(void) {
    /* Thousands of stores are opened: where syncs cost nothing. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_memory_commands_change_nothing_without_memory),
        cmocka_unit_test(test_engine_memory_commands_load_what_they_need),
        cmocka_unit_test(test_engine_memory_questions_answer_or_say_so),
        cmocka_unit_test(test_engine_memory_a_stage_and_its_money_are_one),
        cmocka_unit_test(test_engine_memory_snapshots_are_whole_or_not_there),
        cmocka_unit_test(test_engine_memory_making_a_store_can_be_repeated),
        cmocka_unit_test(test_engine_memory_opening_leaks_nothing_and_loses_nothing),
        cmocka_unit_test(test_engine_memory_opening_a_long_tail_leaks_nothing),
        cmocka_unit_test(test_engine_memory_closing_frees_everything),
        cmocka_unit_test(test_engine_memory_backup_is_there_or_not),
        cmocka_unit_test(test_engine_memory_repair_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
