/* wfctl audit: show, root, prove, check, verify. */
#include "tests/cli/cli_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char private_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char public_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                                 "-----END PUBLIC KEY-----\n";

/* Two loans by two people; records 3 to 6. */
static void two_loans(struct fixture *fixture) {
    fixture_init(fixture);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L1", "--actor", "ann");
    ASK(fixture, 0, "workflow", "submit", "L1", "applicant_submission", "personal_info=Ada, \"A\"",
        "ssn=1", "employment=baker", "--actor", "bob");
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L2");
    ASK(fixture, 1, "workflow", "submit", "L2", "property_appraisal", "value=1", "condition=good");
}

/* Keep what a command prints in a file; the path lives until the eighth call from now. */
static const char *keep(struct fixture *fixture, const char *name, const char *const *arguments) {
    static char paths[8][300];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", fixture->folder, name);
    assert_int_equal(run(fixture, NULL, 0, path, arguments), 0);
    return path;
}
#define KEEP(fixture, name, ...) keep(fixture, name, (const char *const[]){__VA_ARGS__, NULL})

static void test_audit_show_tells_everything_and_filters(void **state) {
    struct fixture *fixture = *state;
    two_loans(fixture);
    json_t *events = at(ASK(fixture, 0, "audit", "show", "--entity", "L1"), "events");
    assert_int_equal(json_array_size(events), 3);
    assert_string_equal(text_at(events, "0.actor"), "ann");
    events = at(ASK(fixture, 0, "audit", "show", "--event", "command_refused"), "events");
    assert_string_equal(text_at(events, "0.subject"), "L2");
    events = at(ASK(fixture, 0, "audit", "show", "--actor=bob", "--from=4", "--to=4"), "events");
    assert_int_equal(json_array_size(events), 2);
    events = at(ASK(fixture, 0, "audit", "show", "--from=2030-01-01T00:00:00Z"), "events");
    assert_int_equal(json_array_size(events), 0);
    events = at(ASK(fixture, 0, "audit", "show", "--from=2025-12-31T23:59:59Z"), "events");
    assert_int_equal(number_at(events, "0.lsn"), 1); /* a year is no LSN */
    assert_code(ASK(fixture, 2, "audit", "show", "--from", "yesterday"), "usage");
    json_t *answer = ASK(fixture, 2, "audit", "show", "--event", "acount_opened");
    assert_contains(text_at(answer, "error.message"), "there is no event \"acount_opened\"");
    ASK(fixture, 0, "audit", "show", "--event", "records_dropped"); /* told of no record */
}

static void test_audit_show_as_csv_quotes_what_must_be(void **state) {
    struct fixture *fixture = *state;
    two_loans(fixture);
    const char *text = SAY(fixture, 0, "audit", "show", "--entity", "L1", "-o", "csv");
    assert_contains(text, "lsn,time,command,subject,event,stage,step,actor,key,reason,data\r\n");
    assert_contains(text, ",step_submitted,,applicant_submission,bob,,,\"personal_info=Ada, "
                          "\"\"A\"\" ssn=1 employment=baker\"\r\n");
    SAY(fixture, 2, "status", "-o", "csv");
}

static void test_audit_proof_holds_without_the_store(void **state) {
    struct fixture *fixture = *state;
    two_loans(fixture);
    const char *root = KEEP(fixture, "root.json", "-o", "json", "audit", "root");
    const char *proof = KEEP(fixture, "proof.json", "audit", "prove", "4");
    json_t *answer = ASK(fixture, 0, "-d", "nowhere", "audit", "check", proof, "--root", root);
    assert_string_equal(text_at(answer, "proved"), "inclusion");
    assert_string_equal(text_at(answer, "events.0.subject"), "L1");
    const char *hex = text_at(answer, "root");
    ASK(fixture, 0, "-d", "nowhere", "audit", "check", proof, "--root", hex);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L3");
    const char *other = KEEP(fixture, "other.json", "-o", "json", "audit", "root");
    assert_code(ASK(fixture, 4, "audit", "check", proof, "--root", other), "damage");
}

static void test_audit_says_why_a_file_cannot_be_read(void **state) {
    struct fixture *fixture = *state;
    char none[400];
    char loop[400];
    snprintf(none, sizeof none, "%s", fixture_path(fixture, "none"));
    snprintf(loop, sizeof loop, "%s", fixture_path(fixture, "loop"));
    assert_code(ASK(fixture, 3, "audit", "check", none, "--root", none), "not_found");
    assert_contains(fixture->out, "none: No such file or directory");
    ASK(fixture, 3, "audit", "verify", "--against", none);
    assert_contains(fixture->out, "none: No such file or directory");
    assert_int_equal(symlink("loop", loop), 0);
    assert_code(ASK(fixture, 7, "audit", "check", loop, "--root", loop), "io");
}

static void test_audit_check_refuses_a_changed_record(void **state) {
    struct fixture *fixture = *state;
    two_loans(fixture);
    const char *root = KEEP(fixture, "root.json", "-o", "json", "audit", "root");
    json_t *proof = ASK(fixture, 0, "audit", "prove", "4");
    char *payload = strdup(text_at(proof, "payload"));
    payload[0] = payload[0] == '0' ? '1' : '0';
    json_object_set_new(proof, "payload", json_string(payload));
    char *text = json_dumps(proof, 0);
    fixture_write(fixture, "changed.json", text, strlen(text));
    assert_code(
        ASK(fixture, 4, "audit", "check", fixture_path(fixture, "changed.json"), "--root", root),
        "damage");
    fixture_write(fixture, "changed.json", text, strlen(text) / 2);
    assert_code(
        ASK(fixture, 2, "audit", "check", fixture_path(fixture, "changed.json"), "--root", root),
        "usage");
    free(text);
    free(payload);
}

static void test_audit_consistency_joins_old_and_new(void **state) {
    struct fixture *fixture = *state;
    two_loans(fixture);
    const char *old = KEEP(fixture, "old.json", "-o", "json", "audit", "root");
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L3");
    const char *new = KEEP(fixture, "new.json", "-o", "json", "audit", "root");
    const char *proof = KEEP(fixture, "proof.json", "audit", "prove", "--consistency", old);
    json_t *answer = ASK(fixture, 0, "audit", "check", proof, "--root", old);
    assert_string_equal(text_at(answer, "proved"), "consistency");
    ASK(fixture, 0, "audit", "check", proof, "--root", new);
    assert_code(ASK(fixture, 2, "audit", "prove", "3", "--consistency", old), "usage");
    assert_code(ASK(fixture, 2, "audit", "prove"), "usage");
    assert_code(ASK(fixture, 3, "audit", "prove", "99"), "not_found");
}

static void test_audit_verify_against_a_kept_root(void **state) {
    struct fixture *fixture = *state;
    two_loans(fixture);
    const char *old = KEEP(fixture, "old.json", "-o", "json", "audit", "root", "--at", "5");
    json_t *answer = ASK(fixture, 0, "audit", "verify", "--against", old);
    assert_int_equal(number_at(answer, "records"), 6);
    json_t *kept = ASK(fixture, 0, "audit", "root");
    json_object_set_new(kept, "size", json_integer(7)); /* as if a record had been cut off */
    json_object_del(kept, "peaks");
    char *text = json_dumps(kept, 0);
    fixture_write(fixture, "longer.json", text, strlen(text));
    free(text);
    answer = ASK(fixture, 4, "audit", "verify", "--against", fixture_path(fixture, "longer.json"));
    assert_code(answer, "damage");
    assert_int_equal(number_at(answer, "first_bad_lsn"), 7);
}

static void test_audit_root_is_signed_and_the_signature_checked(void **state) {
    struct fixture *fixture = *state;
    two_loans(fixture);
    fixture_write(fixture, "private.pem", private_pem, strlen(private_pem));
    fixture_write(fixture, "public.pem", public_pem, strlen(public_pem));
    char public[300];
    snprintf(public, sizeof public, "%s", fixture_path(fixture, "public.pem"));
    const char *root = KEEP(fixture, "root.json", "-o", "json", "audit", "root", "--sign",
                            fixture_path(fixture, "private.pem"));
    const char *plain = KEEP(fixture, "plain.json", "-o", "json", "audit", "root");
    const char *proof = KEEP(fixture, "proof.json", "audit", "prove", "4");
    ASK(fixture, 0, "audit", "check", proof, "--root", root, "--public", public);
    ASK(fixture, 0, "audit", "verify", "--against", root, "--public", public);
    assert_code(ASK(fixture, 4, "audit", "verify", "--against", plain, "--public", public),
                "damage");
    assert_code(ASK(fixture, 2, "audit", "root", "--sign", public), "usage");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_audit_show_tells_everything_and_filters, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_audit_show_as_csv_quotes_what_must_be, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_audit_proof_holds_without_the_store, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_audit_says_why_a_file_cannot_be_read, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_audit_check_refuses_a_changed_record, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_audit_consistency_joins_old_and_new, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_against_a_kept_root, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_audit_root_is_signed_and_the_signature_checked,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
