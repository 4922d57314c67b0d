/* wfctl's commands, one after the other: what they print and how they exit. */
#include "tests/cli/cli_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void start_loan(struct fixture *fixture, const char *id) {
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", id);
}

static void submit_application(struct fixture *fixture, const char *id) {
    ASK(fixture, 0, "workflow", "submit", id, "applicant_submission", "personal_info=Ann",
        "ssn=123-45-6789", "employment=engineer");
}

/* --- init --- */

static void test_init_makes_a_store_with_the_loan_application(void **state) {
    struct fixture *fixture = *state;
    json_t *made = ASK(fixture, 0, "init");
    assert_true(true_at(made, "created"));
    assert_string_equal(text_at(made, "clock"), "system");
    assert_string_equal(text_at(made, "definitions.0.name"), "loan_application");
    assert_int_equal(number_at(made, "definitions.0.version"), 1);
    assert_int_equal(number_at(ASK(fixture, 0, "def", "list"), "definitions.0.version"), 1);
}

static void test_init_of_a_store_changes_nothing_and_says_so(void **state) {
    struct fixture *fixture = *state;
    SAY(fixture, 0, "init");
    start_loan(fixture, "L1");
    json_t *before = ASK(fixture, 0, "status");
    assert_contains(SAY(fixture, 0, "init"), "already");
    assert_true(false_at(ASK(fixture, 0, "init"), "created"));
    json_t *after = ASK(fixture, 0, "status");
    assert_int_equal(number_at(after, "durable_lsn"), number_at(before, "durable_lsn"));
    assert_string_equal(text_at(after, "state_hash"), text_at(before, "state_hash"));
}

static void test_init_takes_an_empty_folder(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->store, 0700), 0);
    ASK(fixture, 0, "init");
}

static void test_init_refuses_a_folder_of_something_else(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->store, 0700), 0);
    fixture_write(fixture, "store/letter.txt", "dear", 4);
    assert_code(ASK(fixture, 1, "init"), "refused");
    assert_code(ASK(fixture, 1, "exec", "--create"), "refused");
    assert_int_equal(access(fixture_path(fixture, "store/letter.txt"), F_OK), 0);
    assert_int_equal(rmdir(fixture_path(fixture, "store/wal")), -1);
}

static void test_init_with_a_test_clock_stands_still(void **state) {
    struct fixture *fixture = *state;
    json_t *made = ASK(fixture, 0, "init", "--test-clock", "2026-01-01T02:00:00.250+02:00");
    assert_string_equal(text_at(made, "clock"), "test");
    assert_string_equal(text_at(made, "now"), "2026-01-01T00:00:00.250Z");
    assert_string_equal(text_at(ASK(fixture, 0, "clock", "show"), "now"),
                        "2026-01-01T00:00:00.250Z");
}

static void test_init_with_a_test_clock_refuses_a_store_of_the_system_clock(void **state) {
    struct fixture *fixture = *state;
    SAY(fixture, 0, "init");
    assert_code(ASK(fixture, 1, "init", "--test-clock", "2026-01-01T00:00:00Z"), "refused");
}

static void test_init_wants_a_time(void **state) {
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "2026-01-01",
                                      "2026-02-30T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01T00:00:00Zx",
                                      "1969-12-31T23:59:59Z"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_code(ASK(fixture, 2, "init", "--test-clock", bad[i]), "usage");
    assert_int_equal(access(fixture->store, F_OK), -1);
}

/* --- status, metrics, doctor --- */

static void test_status_has_the_shape_of_the_contract(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    start_loan(fixture, "L2");
    json_t *status = ASK(fixture, 0, "status");
    assert_true(number_at(status, "durable_lsn") >= 4);
    assert_true(number_at(status, "snapshot_lsn") > 0);
    assert_int_equal(number_at(status, "replayed"), 0);
    assert_true(json_is_number(at(status, "replay_ms")));
    assert_int_equal(strlen(text_at(status, "state_hash")), 64);
    assert_int_equal(number_at(status, "segments"), 1);
    assert_int_equal(number_at(status, "archives"), 0);
    assert_int_equal(number_at(status, "workflows.running"), 2);
    assert_true(null_at(status, "schema_version"));
    assert_true(false_at(status, "halted"));
    assert_int_equal(number_at(status, "repairs"), 0);
}

/* Status is fast since it reads no record behind the snapshot: it says so. */
static void test_status_says_what_it_did_not_look_at(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    json_t *status = ASK(fixture, 0, "status");
    assert_int_equal(number_at(status, "checked_from_lsn"), number_at(status, "snapshot_lsn") + 1);
    assert_contains(SAY(fixture, 0, "status"), "checked      records from 4 on; of those before");
    assert_contains(fixture->out, "wfctl wal verify");
    ASK(fixture, 0, "wal", "repair", "--skip", "3");
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "repairs"), 1);
    assert_contains(SAY(fixture, 0, "status"), "repairs      1, which took records");
}

static void test_status_text_names_the_state_hash(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *status = ASK(fixture, 0, "status");
    assert_contains(SAY(fixture, 0, "status"), text_at(status, "state_hash"));
}

static void test_metrics_are_in_the_prometheus_format(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    const char *text = SAY(fixture, 0, "metrics");
    assert_contains(text, "# TYPE ");
    assert_contains(text, "wf_");
    json_t *metrics = ASK(fixture, 0, "metrics");
    assert_true(json_array_size(at(metrics, "metrics")) > 3);
    assert_true(json_is_number(at(metrics, "metrics.0.value")));
}

static void test_doctor_finds_a_good_store_well(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    assert_contains(SAY(fixture, 0, "doctor"), "The store is well");
    json_t *checks = ASK(fixture, 0, "doctor");
    assert_int_equal(number_at(checks, "bad"), 0);
    assert_true(json_array_size(at(checks, "checks")) >= 6);
}

/* --- definitions --- */

static const char small_definition[] = "workflow: small\n"
                                       "version: 1\n"
                                       "steps:\n"
                                       "  ask: {provides: [question]}\n"
                                       "  answer: {completes: reply}\n"
                                       "stages:\n"
                                       "  - {name: reply, needs: [question], outcome: asked}\n";

static void test_def_add_list_and_show(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    fixture_write(fixture, "small.yaml", small_definition, sizeof small_definition - 1);
    json_t *added = ASK(fixture, 0, "def", "add", fixture_path(fixture, "small.yaml"));
    assert_string_equal(text_at(added, "name"), "small");
    assert_int_equal(number_at(added, "version"), 1);
    json_t *list = ASK(fixture, 0, "def", "list");
    assert_int_equal(json_array_size(at(list, "definitions")), 2);
    assert_string_equal(text_at(list, "definitions.1.name"), "small");
    assert_string_equal(SAY(fixture, 0, "def", "show", "small"), small_definition);
    assert_string_equal(
        text_at(ASK(fixture, 0, "def", "show", "small", "--def-version", "1"), "source"),
        small_definition);
}

static void test_def_show_of_what_is_not_there(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    assert_code(ASK(fixture, 3, "def", "show", "nothing"), "not_found");
    assert_code(ASK(fixture, 3, "def", "show", "loan_application", "--def-version", "7"),
                "not_found");
}

static void test_def_validate_needs_no_store(void **state) {
    struct fixture *fixture = *state;
    fixture_write(fixture, "small.yaml", small_definition, sizeof small_definition - 1);
    ASK(fixture, 0, "def", "validate", fixture_path(fixture, "small.yaml"));
    assert_int_equal(access(fixture->store, F_OK), -1);
}

static void test_def_errors_name_line_and_column(void **state) {
    static const char bad[] = "workflow: small\nversion: 1\nsteps: {}\nstages: []\ncolour: red\n";
    struct fixture *fixture = *state;
    fixture_write(fixture, "bad.yaml", bad, sizeof bad - 1);
    json_t *answer = ASK(fixture, 2, "def", "validate", fixture_path(fixture, "bad.yaml"));
    assert_code(answer, "usage");
    assert_contains(text_at(answer, "error.message"), "bad.yaml:");
    fixture_init(fixture);
    assert_code(ASK(fixture, 2, "def", "add", fixture_path(fixture, "bad.yaml")), "usage");
}

static void test_def_of_a_missing_or_binary_file(void **state) {
    struct fixture *fixture = *state;
    assert_code(ASK(fixture, 3, "def", "validate", fixture_path(fixture, "nowhere.yaml")),
                "not_found");
    fixture_write(fixture, "nul.yaml", "a\0b", 3);
    assert_code(ASK(fixture, 2, "def", "validate", fixture_path(fixture, "nul.yaml")), "usage");
}

/* --- workflows --- */

static void test_workflow_goes_from_submission_to_final_approval(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    submit_application(fixture, "L1");
    json_t *answer = ASK(fixture, 0, "workflow", "submit", "L1", "credit_bureau_response",
                         "credit_score=750", "history=clean");
    assert_string_equal(text_at(answer, "result.outcome"), "income_verification_triggered");
    assert_string_equal(text_at(answer, "result.stage"), "income_verification");
    assert_string_equal(text_at(answer, "result.status"), "running");
    assert_string_equal(text_at(answer, "result.activated.0"), "income_verification");
    ASK(fixture, 0, "workflow", "submit", "L1", "employer_verification", "salary=90000",
        "tenure=5");
    ASK(fixture, 0, "workflow", "submit", "L1", "property_appraisal", "value=400000",
        "condition=good");
    answer = ASK(fixture, 0, "workflow", "submit", "L1", "approval_decision", "decision=approved");
    assert_string_equal(text_at(answer, "result.outcome"), "completed");
    assert_string_equal(text_at(answer, "result.status"), "completed");
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "workflows.completed"), 1);
}

static void test_workflow_show_has_the_shape_of_the_contract(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    submit_application(fixture, "L1");
    ASK(fixture, 0, "workflow", "submit", "L1", "credit_bureau_response", "credit_score=750",
        "history=clean");
    json_t *loan = ASK(fixture, 0, "workflow", "show", "L1");
    assert_string_equal(text_at(loan, "id"), "L1");
    assert_string_equal(text_at(loan, "workflow"), "loan_application");
    assert_int_equal(number_at(loan, "version"), 1);
    assert_string_equal(text_at(loan, "status"), "running");
    assert_string_equal(text_at(loan, "stage"), "income_verification");
    assert_int_equal(number_at(loan, "lsn"), number_at(ASK(fixture, 0, "status"), "durable_lsn"));
    assert_string_equal(text_at(loan, "stages.0.name"), "credit_check");
    assert_string_equal(text_at(loan, "stages.0.status"), "completed");
    assert_int_equal(number_at(loan, "stages.0.attempt"), 1);
    assert_null(json_object_get(at(loan, "stages.0"), "deadline"));
    assert_string_equal(text_at(loan, "stages.1.status"), "active");
    assert_string_equal(text_at(loan, "stages.1.deadline"), "2026-01-01T00:01:00Z");
    assert_string_equal(text_at(loan, "stages.2.status"), "blocked");
    assert_string_equal(text_at(loan, "steps.0"), "applicant_submission");
    assert_string_equal(text_at(loan, "steps.1"), "credit_bureau_response");
    assert_string_equal(text_at(loan, "data.credit_score"), "750");
}

static void test_workflow_show_draws_its_stages(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    submit_application(fixture, "L1");
    setenv("LC_ALL", "C.UTF-8", 1);
    assert_contains(SAY(fixture, 0, "workflow", "show", "L1"), "▶ credit_check");
    setenv("LC_ALL", "C", 1);
    const char *text = SAY(fixture, 0, "workflow", "show", "L1");
    unsetenv("LC_ALL");
    assert_contains(text, "[>] credit_check");
    assert_contains(text, "until 2026-01-01T00:00:30Z");
    assert_contains(text, "[ ] final_approval");
    assert_contains(text, "ssn = 123-45-6789");
    assert_null(strchr(text, '\x1b')); /* no colour where there is no terminal */
}

static void test_workflow_show_as_of_a_record(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    char lsn[32];
    snprintf(lsn, sizeof lsn, "%lld", number_at(ASK(fixture, 0, "workflow", "show", "L1"), "lsn"));
    submit_application(fixture, "L1");
    json_t *then = ASK(fixture, 0, "workflow", "show", "L1", "--as-of", lsn);
    assert_true(null_at(then, "stage"));
    assert_int_equal(json_array_size(at(then, "steps")), 0);
    assert_code(ASK(fixture, 3, "workflow", "show", "L1", "--as-of", "1"), "not_found");
    json_t *answer = ASK(fixture, 3, "workflow", "show", "L1", "--as-of", "999");
    assert_contains(text_at(answer, "error.message"),
                    "record 999 is not there yet: the last one is 4, of 2026-01-01T00:00:00Z");
    assert_code(ASK(fixture, 2, "workflow", "show", "L1", "--as-of", "x"), "usage");
}

static void test_workflow_values_may_hold_anything(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "Jürgen \"J\" \\",
        "note=a=b\n\x1b[31mred", "empty=");
    json_t *loan = ASK(fixture, 0, "workflow", "show", "Jürgen \"J\" \\");
    assert_string_equal(text_at(loan, "id"), "Jürgen \"J\" \\");
    assert_string_equal(text_at(loan, "data.note"), "a=b\n\x1b[31mred");
    assert_string_equal(text_at(loan, "data.empty"), "");
    const char *text = SAY(fixture, 0, "workflow", "show", "Jürgen \"J\" \\");
    assert_contains(text, "a=b\\n\\x1b[31mred");
    assert_null(strchr(text, '\x1b'));
}

static void test_workflow_refusals_say_why(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    assert_code(ASK(fixture, 1, "workflow", "start", "loan_application", "--id", "L1"), "refused");
    assert_code(ASK(fixture, 1, "workflow", "submit", "L1", "approval_decision", "decision=yes"),
                "refused");
    json_t *answer = ASK(fixture, 1, "workflow", "submit", "L1", "applicant_submission", "ssn=1");
    assert_code(answer, "refused");
    assert_contains(text_at(answer, "error.message"), "personal_info");
    SAY(fixture, 1, "workflow", "submit", "L1", "approval_decision", "decision=yes");
    assert_contains(fixture->err, "wfctl: ");
    assert_string_equal(fixture->out, "");
}

static void test_workflow_unknown_names_are_not_found(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    assert_code(ASK(fixture, 3, "workflow", "start", "mortgage", "--id", "L2"), "not_found");
    assert_code(ASK(fixture, 3, "workflow", "submit", "L9", "applicant_submission"), "not_found");
    assert_code(ASK(fixture, 3, "workflow", "submit", "L1", "no_such_step"), "not_found");
    assert_code(ASK(fixture, 3, "workflow", "fail", "L1", "no_such_stage", "--reason", "r"),
                "not_found");
    assert_code(ASK(fixture, 3, "workflow", "cancel", "L9", "--reason", "r"), "not_found");
    assert_code(ASK(fixture, 3, "workflow", "show", "L9"), "not_found");
    assert_code(ASK(fixture, 3, "workflow", "history", "L9"), "not_found");
}

static void test_workflow_key_answers_as_the_first_time(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *first = ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L1", "--key",
                        "k1", "a=1");
    assert_null(json_object_get(first, "replayed"));
    json_t *again = ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L1", "--key",
                        "k1", "a=1");
    assert_true(true_at(again, "replayed"));
    assert_int_equal(number_at(again, "lsn"), number_at(first, "lsn"));
    assert_true(json_equal(at(again, "result"), at(first, "result")));
    assert_code(ASK(fixture, 1, "workflow", "start", "loan_application", "--id", "L1", "--key",
                    "k1", "a=2"),
                "conflict");
}

static void test_workflow_fail_and_cancel_keep_the_reason(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    start_loan(fixture, "L2");
    submit_application(fixture, "L1");
    ASK(fixture, 0, "workflow", "fail", "L1", "credit_check", "--reason", "bureau is gone",
        "--actor", "eve");
    json_t *cancelled = ASK(fixture, 0, "workflow", "cancel", "L2", "--reason", "withdrawn");
    assert_string_equal(text_at(cancelled, "result.status"), "cancelled");
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "L2"), "reason"), "withdrawn");
    assert_contains(SAY(fixture, 0, "workflow", "history", "L1"), "bureau is gone");
    assert_contains(fixture->out, "by eve");
    assert_code(ASK(fixture, 1, "workflow", "submit", "L2", "applicant_submission",
                    "personal_info=a", "ssn=b", "employment=c"),
                "refused");
}

static void test_workflow_history_tells_events_in_order(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    ASK(fixture, 0, "clock", "advance", "90s");
    submit_application(fixture, "L1");
    json_t *events = at(ASK(fixture, 0, "workflow", "history", "L1"), "events");
    assert_string_equal(text_at(events, "0.event"), "workflow_started");
    assert_string_equal(text_at(events, "0.time"), "2026-01-01T00:00:00Z");
    assert_string_equal(text_at(events, "1.event"), "step_submitted");
    assert_string_equal(text_at(events, "1.step"), "applicant_submission");
    assert_string_equal(text_at(events, "1.data.ssn"), "123-45-6789");
    assert_string_equal(text_at(events, "1.time"), "2026-01-01T00:01:30Z");
    assert_string_equal(text_at(events, "2.event"), "stage_activated");
    assert_string_equal(text_at(events, "2.stage"), "credit_check");
    assert_true(number_at(events, "2.lsn") > number_at(events, "0.lsn"));
    json_t *lines =
        parse_lines(fixture, SAY(fixture, 0, "-o", "jsonl", "workflow", "history", "L1"));
    assert_true(json_equal(lines, events));
    assert_contains(SAY(fixture, 0, "workflow", "history", "L1"), "+1m30s");
}

static void test_workflow_list_filters(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L2");
    start_loan(fixture, "L1");
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L3", "branch=north");
    submit_application(fixture, "L2");
    ASK(fixture, 0, "workflow", "cancel", "L1", "--reason", "r");
    json_t *all = at(ASK(fixture, 0, "workflow", "list"), "workflows");
    assert_int_equal(json_array_size(all), 3);
    assert_string_equal(text_at(all, "0.id"), "L1");
    assert_string_equal(text_at(all, "0.status"), "cancelled");
    assert_string_equal(text_at(all, "1.stage"), "credit_check");
    json_t *some = at(ASK(fixture, 0, "workflow", "list", "--status", "running"), "workflows");
    assert_int_equal(json_array_size(some), 2);
    some = at(ASK(fixture, 0, "workflow", "list", "--stage", "credit_check"), "workflows");
    assert_int_equal(json_array_size(some), 1);
    some = at(ASK(fixture, 0, "workflow", "list", "--where", "branch=north"), "workflows");
    assert_string_equal(text_at(some, "0.id"), "L3");
    some = at(ASK(fixture, 0, "workflow", "list", "--type", "mortgage"), "workflows");
    assert_int_equal(json_array_size(some), 0);
    some = at(ASK(fixture, 0, "workflow", "list", "--after", "L1", "--limit", "1"), "workflows");
    assert_int_equal(json_array_size(some), 1);
    assert_string_equal(text_at(some, "0.id"), "L2");
    json_t *lines = parse_lines(fixture, SAY(fixture, 0, "workflow", "list", "-o", "jsonl"));
    assert_true(json_equal(lines, all));
    assert_code(ASK(fixture, 2, "workflow", "list", "--status", "sleeping"), "usage");
    assert_code(ASK(fixture, 2, "workflow", "list", "--where", "branch"), "usage");
    assert_code(ASK(fixture, 2, "workflow", "list", "--limit", "-1"), "usage");
}

static void test_workflow_list_text_is_aligned(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    start_loan(fixture, "a-longer-id");
    const char *text = SAY(fixture, 0, "workflow", "list");
    const char *first = strchr(text, '\n') + 1, *second = strchr(first, '\n') + 1;
    assert_int_equal(strstr(text, "WORKFLOW") - text, strstr(first, "loan_application") - first);
    assert_int_equal(strstr(text, "WORKFLOW") - text, strstr(second, "loan_application") - second);
}

/* --- the clock --- */

static void test_clock_advances_by_durations(void **state) {
    static const struct {
        const char *by, *to;
    } steps[] = {{"30s", "2026-01-01T00:00:30Z"},   {"5m", "2026-01-01T00:05:30Z"},
                 {"2h", "2026-01-01T02:05:30Z"},    {"30d", "2026-01-31T02:05:30Z"},
                 {"1h30m", "2026-01-31T03:35:30Z"}, {"250ms", "2026-01-31T03:35:30.250Z"}};
    struct fixture *fixture = *state;
    fixture_init(fixture);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        assert_string_equal(text_at(ASK(fixture, 0, "clock", "advance", steps[i].by), "now"),
                            steps[i].to);
    assert_contains(SAY(fixture, 0, "clock", "show"), "2026-01-31T03:35:30.250Z (test clock)");
}

static void test_clock_wants_a_duration(void **state) {
    static const char *const bad[] = {"",
                                      "soon",
                                      "5",
                                      "s",
                                      "5x",
                                      "30m1h",
                                      "1h1h",
                                      "-5s",
                                      "1.5h",
                                      "99999999999999999999d",
                                      "106751991168d"};
    struct fixture *fixture = *state;
    fixture_init(fixture);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_code(ASK(fixture, 2, "clock", "advance", "--", bad[i]), "usage");
}

static void test_clock_of_the_system_cannot_be_moved(void **state) {
    struct fixture *fixture = *state;
    SAY(fixture, 0, "init");
    assert_code(ASK(fixture, 1, "clock", "advance", "1s"), "refused");
    assert_string_equal(text_at(ASK(fixture, 0, "clock", "show"), "clock"), "system");
}

/* --- replay, log, snapshot --- */

static void test_replay_prints_the_records(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    start_loan(fixture, "L2");
    json_t *events = at(ASK(fixture, 0, "replay"), "events");
    size_t count = json_array_size(events);
    assert_int_equal(number_at(events, "0.lsn"), 1);
    assert_string_equal(text_at(events, "0.event"), "store_created");
    assert_string_equal(text_at(json_array_get(events, count - 1), "subject"), "L2");
    events = at(ASK(fixture, 0, "replay", "--workflow", "L1"), "events");
    assert_int_equal(json_array_size(events), 1);
    events = at(ASK(fixture, 0, "replay", "--from", "2", "--until", "2"), "events");
    assert_true(json_array_size(events) > 0);
    for (size_t i = 0; i < json_array_size(events); i++)
        assert_int_equal(number_at(json_array_get(events, i), "lsn"), 2);
    assert_contains(SAY(fixture, 0, "replay"), "workflow.start  L2");
}

static void test_replay_of_one_segment_needs_no_store(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    json_t *all = at(ASK(fixture, 0, "replay"), "events");
    const char *name = text_at(ASK(fixture, 0, "wal", "status"), "segments.0.name");
    char inside[128];
    snprintf(inside, sizeof inside, "store/wal/%s", name);
    assert_int_equal(rename(fixture_path(fixture, inside), fixture_path(fixture, "one.seg")), 0);
    json_t *events = at(ASK(fixture, 0, "replay", fixture_path(fixture, "one.seg")), "events");
    assert_int_equal(json_array_size(events), json_array_size(all));
    assert_code(ASK(fixture, 3, "replay", fixture_path(fixture, "none.seg")), "not_found");
    json_t *records =
        at(ASK(fixture, 0, "wal", "dump", fixture_path(fixture, "one.seg")), "records");
    assert_string_equal(text_at(json_array_get(records, json_array_size(records) - 1), "subject"),
                        "L1");
}

static void test_replay_verify_proves_the_state(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    json_t *proof = ASK(fixture, 0, "replay", "--verify");
    assert_string_equal(text_at(proof, "state_hash"),
                        text_at(ASK(fixture, 0, "status"), "state_hash"));
    assert_contains(SAY(fixture, 0, "replay", "--verify"), "verified");
    assert_code(ASK(fixture, 2, "replay", "--verify", "--from", "2"), "usage");
}

static void test_wal_dump_has_a_line_for_each_record(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    submit_application(fixture, "L1");
    json_t *records = at(ASK(fixture, 0, "wal", "dump"), "records");
    long long durable = number_at(ASK(fixture, 0, "status"), "durable_lsn");
    assert_int_equal(json_array_size(records), durable);
    json_t *last = json_array_get(records, (size_t)durable - 1);
    assert_string_equal(text_at(last, "command"), "workflow.submit");
    assert_string_equal(text_at(last, "events.0"), "step_submitted");
    assert_string_equal(text_at(last, "events.1"), "stage_activated");
    assert_contains(SAY(fixture, 0, "wal", "dump", "--from", "2"),
                    "step_submitted, stage_activated");
}

static void test_wal_status_and_verify(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *segments = at(ASK(fixture, 0, "wal", "status"), "segments");
    assert_int_equal(json_array_size(segments), 1);
    assert_int_equal(number_at(segments, "0.first_lsn"), 1);
    json_t *report = ASK(fixture, 0, "wal", "verify");
    assert_int_equal(number_at(report, "records"),
                     number_at(ASK(fixture, 0, "status"), "durable_lsn"));
    assert_int_equal(json_array_size(at(report, "findings")), 0);
    assert_contains(SAY(fixture, 0, "wal", "verify"), "good");
    assert_contains(SAY(fixture, 0, "wal", "repair"), "nothing to repair");
}

static void test_snapshot_create_list_verify(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    json_t *made = ASK(fixture, 0, "snapshot", "create");
    assert_int_equal(number_at(made, "snapshot_lsn"),
                     number_at(ASK(fixture, 0, "status"), "durable_lsn"));
    json_t *list = at(ASK(fixture, 0, "snapshot", "list"), "snapshots");
    assert_int_equal(json_array_size(list), 1);
    assert_true(number_at(ASK(fixture, 0, "snapshot", "verify"), "entries") >= 2);
}

/* --- copies --- */

static void test_backup_is_a_store_of_its_own(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    json_t *before = ASK(fixture, 0, "status");
    json_t *copy = ASK(fixture, 0, "backup", fixture_path(fixture, "copy"));
    assert_int_equal(number_at(copy, "lsn"), number_at(before, "durable_lsn"));
    json_t *status = ASK(fixture, 0, "-d", fixture_path(fixture, "copy"), "status");
    assert_string_equal(text_at(status, "state_hash"), text_at(before, "state_hash"));
    assert_code(ASK(fixture, 1, "backup", fixture_path(fixture, "copy")), "refused");
}

static void test_restore_fills_a_missing_or_empty_folder_only(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    start_loan(fixture, "L1");
    ASK(fixture, 0, "backup", fixture_path(fixture, "copy"));
    ASK(fixture, 0, "-d", fixture_path(fixture, "new"), "restore", fixture_path(fixture, "copy"));
    ASK(fixture, 0, "-d", fixture_path(fixture, "new"), "workflow", "show", "L1");
    assert_int_equal(mkdir(fixture_path(fixture, "empty"), 0700), 0);
    ASK(fixture, 0, "-d", fixture_path(fixture, "empty"), "restore", fixture_path(fixture, "copy"));
    assert_code(ASK(fixture, 1, "restore", fixture_path(fixture, "copy")), "refused");
    json_t *itself = ASK(fixture, 1, "restore", fixture->store);
    assert_contains(text_at(itself, "error.message"), "the store to restore from");
    assert_code(ASK(fixture, 2, "backup", ""), "usage");
    assert_code(ASK(fixture, 3, "-d", fixture_path(fixture, "other"), "restore",
                    fixture_path(fixture, "nowhere")),
                "not_found");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_init_makes_a_store_with_the_loan_application),
        TEST(test_init_of_a_store_changes_nothing_and_says_so),
        TEST(test_init_takes_an_empty_folder),
        TEST(test_init_refuses_a_folder_of_something_else),
        TEST(test_init_with_a_test_clock_stands_still),
        TEST(test_init_with_a_test_clock_refuses_a_store_of_the_system_clock),
        TEST(test_init_wants_a_time),
        TEST(test_status_has_the_shape_of_the_contract),
        TEST(test_status_says_what_it_did_not_look_at),
        TEST(test_status_text_names_the_state_hash),
        TEST(test_metrics_are_in_the_prometheus_format),
        TEST(test_doctor_finds_a_good_store_well),
        TEST(test_def_add_list_and_show),
        TEST(test_def_show_of_what_is_not_there),
        TEST(test_def_validate_needs_no_store),
        TEST(test_def_errors_name_line_and_column),
        TEST(test_def_of_a_missing_or_binary_file),
        TEST(test_workflow_goes_from_submission_to_final_approval),
        TEST(test_workflow_show_has_the_shape_of_the_contract),
        TEST(test_workflow_show_draws_its_stages),
        TEST(test_workflow_show_as_of_a_record),
        TEST(test_workflow_values_may_hold_anything),
        TEST(test_workflow_refusals_say_why),
        TEST(test_workflow_unknown_names_are_not_found),
        TEST(test_workflow_key_answers_as_the_first_time),
        TEST(test_workflow_fail_and_cancel_keep_the_reason),
        TEST(test_workflow_history_tells_events_in_order),
        TEST(test_workflow_list_filters),
        TEST(test_workflow_list_text_is_aligned),
        TEST(test_clock_advances_by_durations),
        TEST(test_clock_wants_a_duration),
        TEST(test_clock_of_the_system_cannot_be_moved),
        TEST(test_replay_prints_the_records),
        TEST(test_replay_of_one_segment_needs_no_store),
        TEST(test_replay_verify_proves_the_state),
        TEST(test_wal_dump_has_a_line_for_each_record),
        TEST(test_wal_status_and_verify),
        TEST(test_snapshot_create_list_verify),
        TEST(test_backup_is_a_store_of_its_own),
        TEST(test_restore_fills_a_missing_or_empty_folder_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
