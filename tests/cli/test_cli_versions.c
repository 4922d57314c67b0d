/* Versions of definitions and the past, from outside: def diff, workflow migrate, --as-of and
 * --until with times. */
#include "tests/cli/cli_run.h"

#include "tests/lib/core_store.h"

#include <stdio.h>
#include <string.h>

/* A loan at its second stage under version 1, and version 2 added; a minute between the steps. */
static int setup_loan(void **state) {
    fixture_setup(state);
    struct fixture *fixture = *state;
    fixture_init(fixture);
    SAY(fixture, 0, "workflow", "start", "loan_application", "--id", "L1");
    SAY(fixture, 0, "clock", "advance", "1m");
    SAY(fixture, 0, "workflow", "submit", "L1", "applicant_submission", "personal_info=Ann",
        "ssn=1", "employment=baker");
    SAY(fixture, 0, "clock", "advance", "1m");
    SAY(fixture, 0, "workflow", "submit", "L1", "credit_bureau_response", "credit_score=700",
        "history=clean");
    fixture_write(fixture, "loan2.yaml", core_loan_2_yaml, strlen(core_loan_2_yaml));
    return 0;
}

static void add_version_2(struct fixture *fixture) {
    json_t *added = ASK(fixture, 0, "def", "add", fixture_path(fixture, "loan2.yaml"));
    assert_int_equal(number_at(added, "version"), 2);
}

/* --- def diff --- */

static void test_diff_of_two_versions_in_words_and_json(void **state) {
    struct fixture *fixture = *state;
    add_version_2(fixture);
    const char *said = SAY(fixture, 0, "def", "diff", "loan_application", "1", "2");
    assert_contains(said, "~ stage income_verification\n");
    assert_contains(said, "    timeout: 1m → 2m\n");
    assert_contains(said, "- stage credit_check\n");
    assert_contains(said, "+ stage audit\n    needs: credit_rating\n    timeout: 1h\n");
    assert_contains(said, "~ step credit_bureau_response\n    completes: credit_check → "
                          "credit_rating\n");
    json_t *answer = ASK(fixture, 0, "def", "diff", "loan_application", "2", "1");
    assert_string_equal(text_at(answer, "changes.0.change"), "removed");
    assert_string_equal(text_at(answer, "changes.0.kind"), "stage");
    assert_string_equal(text_at(answer, "changes.0.name"), "audit");
    assert_string_equal(text_at(answer, "changes.1.member"), "needs");
    assert_string_equal(text_at(answer, "changes.1.before"), "credit_rating");
}

static void test_diff_with_a_file_that_was_not_added(void **state) {
    struct fixture *fixture = *state;
    const char *file = fixture_path(fixture, "loan2.yaml");
    assert_contains(SAY(fixture, 0, "def", "diff", "loan_application", "1", file),
                    "+ stage audit\n");
    SAY(fixture, 0, "def", "diff", "loan_application", "1", "1");
    assert_string_equal(fixture->out, "no difference\n");
    static const char other[] =
        "workflow: w\nversion: 1\nsteps: {s: {completes: a}}\nstages: [{name: a}]\n";
    fixture_write(fixture, "other.yaml", other, strlen(other));
    assert_code(ASK(fixture, 2, "def", "diff", "loan_application", "1",
                    fixture_path(fixture, "other.yaml")),
                "usage");
}

static void test_diff_wants_known_names_and_versions(void **state) {
    struct fixture *fixture = *state;
    assert_code(ASK(fixture, 3, "def", "diff", "loan_application", "1", "7"), "not_found");
    assert_code(ASK(fixture, 3, "def", "diff", "mortgage", "1", "1"), "not_found");
    assert_code(ASK(fixture, 2, "def", "diff", "loan_application", "x", "1"), "usage");
}

/* --- workflow migrate --- */

static void test_migrate_goes_on_under_the_new_version(void **state) {
    struct fixture *fixture = *state;
    add_version_2(fixture);
    json_t *done = ASK(fixture, 0, "workflow", "migrate", "L1", "--to", "2", "--map",
                       "credit_check=credit_rating", "--actor", "ops");
    assert_string_equal(text_at(done, "result.outcome"), "audit");
    assert_int_equal(number_at(done, "result.version"), 2);
    assert_string_equal(text_at(done, "result.activated.0"), "audit");
    json_t *now = ASK(fixture, 0, "workflow", "show", "L1");
    assert_int_equal(number_at(now, "version"), 2);
    assert_string_equal(text_at(now, "stages.1.name"), "credit_rating");
    assert_string_equal(text_at(now, "stages.1.status"), "completed");
    assert_string_equal(text_at(now, "data.credit_score"), "700");
    const char *history = SAY(fixture, 0, "workflow", "history", "L1");
    assert_contains(history, "workflow.migrate by ops");
    assert_contains(history, "workflow migrated, version 2");
    assert_contains(history, "credit_check completed"); /* as it was called then */
    SAY(fixture, 0, "replay", "--verify");
    SAY(fixture, 0, "snapshot", "create");
    SAY(fixture, 0, "replay", "--verify");
    SAY(fixture, 0, "workflow", "submit", "L1", "auditor_report", "verdict=fine");
}

static void test_migrate_refuses_with_the_reason(void **state) {
    struct fixture *fixture = *state;
    add_version_2(fixture);
    json_t *answer = ASK(fixture, 1, "workflow", "migrate", "L1", "--to", "2");
    assert_code(answer, "refused");
    assert_contains(text_at(answer, "error.message"), "stage credit_check of workflow L1");
    assert_int_equal(number_at(ASK(fixture, 0, "workflow", "show", "L1"), "version"), 1);
    assert_code(ASK(fixture, 3, "workflow", "migrate", "L1", "--to", "9"), "not_found");
    assert_code(ASK(fixture, 2, "workflow", "migrate", "L1", "--to", "two"), "usage");
    assert_code(ASK(fixture, 2, "workflow", "migrate", "L1", "--to", "2", "--map", "x"), "usage");
}

static void test_migrate_dry_run_writes_nothing(void **state) {
    struct fixture *fixture = *state;
    add_version_2(fixture);
    long long lsn = number_at(ASK(fixture, 0, "status"), "durable_lsn");
    json_t *could = ASK(fixture, 0, "workflow", "migrate", "L1", "--to", "2", "--dry-run", "--map",
                        "credit_check=credit_rating");
    assert_true(true_at(could, "result.dry_run"));
    assert_string_equal(text_at(could, "result.activated.0"), "audit");
    assert_code(ASK(fixture, 1, "workflow", "migrate", "L1", "--to", "2", "--dry-run"), "refused");
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "durable_lsn"), lsn);
}

static void test_migrate_in_a_stream(void **state) {
    struct fixture *fixture = *state;
    add_version_2(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        "{\"cmd\":\"workflow.migrate\",\"id\":\"L1\",\"to\":2}\n"
        "{\"cmd\":\"workflow.migrate\",\"id\":\"L1\",\"to\":2,\"dry_run\":true,"
        "\"map\":{\"credit_check\":\"credit_rating\"}}\n"
        "{\"cmd\":\"workflow.migrate\",\"id\":\"L1\",\"to\":2,\"key\":\"m\","
        "\"map\":{\"credit_check\":\"credit_rating\"}}\n"
        "{\"cmd\":\"workflow.migrate\",\"id\":\"L1\",\"to\":2,\"key\":\"m\","
        "\"map\":{\"credit_check\":\"credit_rating\"}}\n"
        "{\"cmd\":\"workflow.migrate\",\"id\":\"L1\",\"to\":1,\"key\":\"m\"}\n"
        "{\"cmd\":\"workflow.migrate\",\"id\":\"L1\"}\n"
        "{\"cmd\":\"def.diff\",\"name\":\"loan_application\",\"version\":1,\"to\":2}\n"
        "{\"cmd\":\"workflow.show\",\"id\":\"L1\",\"as_of\":\"2026-01-01T00:01:30Z\"}\n");
    assert_string_equal(text_at(answers, "0.error.code"), "refused");
    assert_true(true_at(answers, "1.result.dry_run"));
    assert_int_equal(number_at(answers, "2.result.version"), 2);
    assert_true(true_at(answers, "3.replayed"));
    assert_int_equal(number_at(answers, "3.lsn"), number_at(answers, "2.lsn"));
    assert_string_equal(text_at(answers, "4.error.code"), "conflict");
    assert_string_equal(text_at(answers, "5.error.code"), "usage");
    assert_string_equal(text_at(answers, "6.result.changes.0.name"), "credit_check");
    assert_string_equal(text_at(answers, "7.result.stage"), "credit_check");
    assert_int_equal(number_at(answers, "7.result.version"), 1);
}

/* --- the past by time --- */

static void test_show_as_of_a_time(void **state) {
    struct fixture *fixture = *state;
    json_t *then = ASK(fixture, 0, "workflow", "show", "L1", "--as-of", "2026-01-01T00:01:59Z");
    assert_string_equal(text_at(then, "stage"), "credit_check");
    then = ASK(fixture, 0, "workflow", "show", "L1", "--as-of", "2026-01-01T02:02:00+02:00");
    assert_string_equal(text_at(then, "stage"), "income_verification");
    then = ASK(fixture, 0, "workflow", "show", "L1", "--as-of", "2030-01-01T00:00:00Z");
    assert_string_equal(text_at(then, "stage"), "income_verification"); /* one to come is now */
    then = ASK(fixture, 0, "workflow", "show", "L1", "--as-of", "2026-01-01T00:00:30Z");
    assert_true(null_at(then, "stage"));
    assert_code(ASK(fixture, 3, "workflow", "show", "L1", "--as-of", "2025-01-01T00:00:00Z"),
                "not_found");
    assert_code(ASK(fixture, 2, "workflow", "show", "L1", "--as-of", "noon"), "usage");
}

static void test_replay_until_a_time(void **state) {
    struct fixture *fixture = *state;
    json_t *all = ASK(fixture, 0, "replay", "--until", "2026-01-01T00:01:00Z");
    json_t *events = at(all, "events");
    const char *last = json_string_value(
        json_object_get(json_array_get(events, json_array_size(events) - 1), "time"));
    assert_string_equal(last, "2026-01-01T00:01:00Z");
    all = ASK(fixture, 0, "replay", "--until", "2025-01-01T00:00:00Z");
    assert_int_equal(json_array_size(at(all, "events")), 0);
    assert_code(ASK(fixture, 2, "replay", "--until", "noon"), "usage");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_loan, fixture_teardown)
        TEST(test_diff_of_two_versions_in_words_and_json),
        TEST(test_diff_with_a_file_that_was_not_added),
        TEST(test_diff_wants_known_names_and_versions),
        TEST(test_migrate_goes_on_under_the_new_version),
        TEST(test_migrate_refuses_with_the_reason),
        TEST(test_migrate_dry_run_writes_nothing),
        TEST(test_migrate_in_a_stream),
        TEST(test_show_as_of_a_time),
        TEST(test_replay_until_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
