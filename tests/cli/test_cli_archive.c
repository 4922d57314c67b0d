/* wfctl archive, and that everything else reads through to what is archived. */
#include "tests/cli/cli_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A store of a few loans, all of it archived. */
static void archived(struct fixture *fixture) {
    fixture_init(fixture);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "L%d", i);
        ASK(fixture, 0, "workflow", "start", "loan_application", "--id", id);
    }
    ASK(fixture, 0, "workflow", "submit", "L1", "applicant_submission", "personal_info=Ada",
        "ssn=1", "employment=baker");
    json_t *answer = ASK(fixture, 0, "archive", "run", "--seal");
    assert_int_equal(number_at(answer, "segments"), 1);
    assert_true(number_at(answer, "bytes_after") < number_at(answer, "bytes_before"));
}

static const char *archive_path(struct fixture *fixture) {
    static char path[500];
    snprintf(path, sizeof path, "%s/archive/%s", fixture->store,
             text_at(ASK(fixture, 0, "archive", "list"), "archives.0.name"));
    return path;
}

static void test_archive_is_read_through(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "archives"), 1);
    json_t *events = at(ASK(fixture, 0, "workflow", "history", "L1"), "events");
    assert_int_equal(json_array_size(events), 3);
    json_t *then = ASK(fixture, 0, "workflow", "show", "L1", "--as-of", "5");
    assert_int_equal(json_array_size(at(then, "steps")), 0);
    assert_true(true_at(ASK(fixture, 0, "replay", "--verify"), "verified"));
    assert_int_equal(number_at(ASK(fixture, 0, "wal", "verify"), "records"), 23);
    assert_int_equal(number_at(ASK(fixture, 0, "audit", "verify"), "records"), 23);
    assert_int_equal(number_at(ASK(fixture, 0, "archive", "verify"), "last_lsn"), 23);
    ASK(fixture, 0, "doctor");
    char copy[400];
    snprintf(copy, sizeof copy, "%s/copy", fixture->folder);
    ASK(fixture, 0, "backup", copy);
    assert_int_equal(number_at(ASK(fixture, 0, "-d", copy, "archive", "verify"), "records"), 23);
}

static void test_archive_list_tells_what_is_there(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    json_t *archive = at(ASK(fixture, 0, "archive", "list"), "archives.0");
    assert_int_equal(number_at(archive, "first_lsn"), 1);
    assert_int_equal(number_at(archive, "last_lsn"), 23);
    assert_string_equal(text_at(archive, "first_time"), "2026-01-01T00:00:00Z");
    assert_contains(SAY(fixture, 0, "archive", "list"), ".seg.gz");
}

static void test_archive_file_is_gzip_and_replays_alone(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    char command[700];
    snprintf(command, sizeof command,
             "zcat '%s' | grep -a '^{\"block\":0,\"first_lsn\":1,\"last_lsn\":23,"
             "\"first_time\":\"2026-01-01T00:00:00.000Z\"' >/dev/null && "
             "zcat '%s' | grep -a '^{\"index\"' >/dev/null",
             archive_path(fixture), archive_path(fixture));
    assert_int_equal(system(command), 0);
    char alone[400];
    snprintf(alone, sizeof alone, "%s/alone.gz", fixture->folder);
    snprintf(command, sizeof command, "cp '%s' '%s'", archive_path(fixture), alone);
    assert_int_equal(system(command), 0);
    json_t *events = at(ASK(fixture, 0, "-d", "nowhere", "replay", alone), "events");
    assert_int_equal(json_array_size(events), 24);
    assert_string_equal(text_at(events, "23.event"), "stage_activated");
}

static void test_archive_damage_is_exit_4(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    const char *path = archive_path(fixture);
    assert_int_equal(truncate(path, 300), 0);
    assert_code(ASK(fixture, 4, "archive", "verify"), "damage");
    json_t *answer = ASK(fixture, 4, "audit", "verify");
    assert_int_equal(number_at(answer, "first_bad_lsn"), 1);
    assert_code(ASK(fixture, 4, "workflow", "history", "L1"), "damage");
    ASK(fixture, 0, "workflow", "show", "L1"); /* the present is there */
}

/* With an archive, or all that says where they are, gone: damage to whoever needs the past. */
static void test_archive_that_is_missing_is_exit_4(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    char manifest[400];
    snprintf(manifest, sizeof manifest, "%s/archive/manifest", fixture->store);
    assert_int_equal(unlink(archive_path(fixture)), 0);
    assert_code(ASK(fixture, 4, "replay", "--verify"), "damage");
    json_t *answer = ASK(fixture, 4, "backup", fixture_path(fixture, "copy"));
    assert_contains(text_at(answer, "error.message"), "the file is missing");
    assert_int_equal(unlink(manifest), 0);
    assert_code(ASK(fixture, 4, "replay", "--verify"), "damage");
    assert_code(ASK(fixture, 4, "account", "check"), "damage");
    assert_code(ASK(fixture, 4, "audit", "root"), "damage");
    answer = ASK(fixture, 4, "archive", "verify");
    assert_contains(text_at(answer, "error.message"), "LSN 1 to 23 are in no segment");
    answer = ASK(fixture, 4, "account", "check");
    assert_contains(text_at(answer, "error.message"), "put archive/ back as it was");
}

/* All is archived, and the only segment, in which nothing is, lost its header: that is said, and
 * not that the archives are gone. */
static void test_archives_are_not_missing_where_the_logs_header_is_damaged(void **state) {
    static const char *const asked[][4] = {{"status", NULL},
                                           {"archive", "verify", NULL},
                                           {"wal", "verify", NULL},
                                           {"wal", "repair", "--dry-run", NULL},
                                           {"wal", "repair", NULL}};
    struct fixture *fixture = *state;
    archived(fixture);
    char path[400];
    snprintf(path, sizeof path, "%s/wal/00000000000000000024.seg", fixture->store);
    for (int size = 20; size >= 0; size -= 20) {
        assert_int_equal(truncate(path, size), 0);
        for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
            say(fixture, 4, asked[i]);
            assert_contains(fixture->err, "segment 00000000000000000024.seg, offset 0, LSN 24");
            assert_null(strstr(fixture->err, "in no archive"));
        }
    }
}

static void test_init_makes_nothing_over_an_archive_without_its_log(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    char command[800];
    snprintf(command, sizeof command,
             "cd '%s' && mkdir kept && mv wal state kept && mv kept .. && find . | sort >../names",
             fixture->store);
    assert_int_equal(system(command), 0);
    assert_code(ASK(fixture, 4, "init"), "damage");
    assert_code(ASK(fixture, 4, "status"), "damage");
    assert_code(ASK(fixture, 4, "wal", "repair"), "damage");
    assert_code(ASK(fixture, 4, "backup", "nowhere"), "damage");
    assert_contains(SAY(fixture, 4, "doctor"), "bring wal/ back from where it went");
    SAY(fixture, 4, "exec", "--create");
    assert_contains(fixture->err, fixture->store);
    assert_contains(fixture->err, "(archive/");
    assert_contains(fixture->err, "restore a backup");
    snprintf(command, sizeof command, "cd '%s' && find . | sort | cmp - ../names && mv ../kept/* .",
             fixture->store);
    assert_int_equal(system(command), 0); /* nothing was written */
    ASK(fixture, 0, "init");
    assert_int_equal(number_at(ASK(fixture, 0, "archive", "verify"), "last_lsn"), 23);
}

static void test_archive_run_takes_its_limits(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    assert_int_equal(number_at(ASK(fixture, 0, "archive", "run"), "segments"), 0);
    assert_code(ASK(fixture, 2, "archive", "run", "--older-than", "soon"), "usage");
    assert_code(ASK(fixture, 2, "archive", "run", "--keep-segments", "few"), "usage");
}

/* --- drop --- */

#define DROP(fixture, code, before)                                                                \
    ASK(fixture, code, "archive", "drop", "--before", before, "--reason", "ten years", "--actor",  \
        "ann")

static void test_archive_drop_says_what_is_gone(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    assert_code(DROP(fixture, 1, "23"), "refused");
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L30");
    json_t *answer = DROP(fixture, 0, "24");
    assert_int_equal(number_at(answer, "segments"), 1);
    assert_int_equal(number_at(answer, "last_lsn"), 23);
    assert_int_equal(number_at(answer, "lsn"), 25);
    assert_int_equal(access(archive_path(fixture), F_OK), -1);
    json_t *list = ASK(fixture, 0, "archive", "list");
    assert_string_equal(text_at(list, "archives.0.dropped.actor"), "ann");
    assert_int_equal(number_at(list, "archives.0.dropped.lsn"), 25);
    assert_contains(SAY(fixture, 0, "archive", "list"), "by ann, record 25");
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "dropped_lsn"), 23);
    const char *status = SAY(fixture, 0, "status");
    assert_contains(status, "records up to 23, for good; record 25 says by whom");
    assert_contains(status, "of those from 24 on before, the snapshot");
    assert_contains(SAY(fixture, 0, "doctor"), "the records up to 23 were dropped");
    json_t *events = at(ASK(fixture, 0, "workflow", "history", "L1"), "events");
    assert_string_equal(text_at(events, "0.event"), "records_dropped");
    assert_string_equal(text_at(events, "0.actor"), "ann");
    assert_true(null_at(events, "0.time")); /* it went with the record */
    const char *history = SAY(fixture, 0, "workflow", "history", "L1");
    assert_contains(history, "time unknown");
    assert_contains(history, "not here any more  (record 23 and what was before it)");
    assert_contains(history, "were dropped from the archive by ann; record 25 says");
    assert_null(strstr(history, "archive.drop by ann  (record 23)"));
    events = at(ASK(fixture, 0, "audit", "show", "--event", "archive_dropped"), "events");
    assert_string_equal(text_at(events, "0.reason"), "ten years");
    events = at(ASK(fixture, 0, "replay"), "events");
    assert_string_equal(text_at(events, "0.event"), "records_dropped");
    answer = ASK(fixture, 3, "workflow", "show", "L1", "--as-of", "10");
    assert_code(answer, "not_found");
    assert_contains(text_at(answer, "error.message"), "were dropped from the archive by ann");
}

static void test_archive_drop_leaves_the_rest_verifiable(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L30");
    ASK(fixture, 0, "clock", "advance", "1s");
    DROP(fixture, 0, "2026-01-01T00:00:01Z");
    json_t *answer = ASK(fixture, 0, "replay", "--verify");
    assert_int_equal(number_at(answer, "from_lsn"), 24);
    assert_contains(SAY(fixture, 0, "replay", "--verify"), "from record 24 on");
    assert_int_equal(number_at(ASK(fixture, 0, "audit", "verify"), "records"), 3);
    ASK(fixture, 0, "wal", "verify");
    ASK(fixture, 0, "archive", "verify");
    ASK(fixture, 0, "account", "check");
    ASK(fixture, 0, "audit", "prove", "24");
    assert_code(ASK(fixture, 3, "audit", "prove", "3"), "not_found");
    ASK(fixture, 0, "workflow", "show", "L1"); /* the present is there */
}

static void test_archive_drop_dry_run_writes_nothing(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    ASK(fixture, 0, "status");
    char sums[700];
    snprintf(sums, sizeof sums,
             "cd '%s' && find wal archive -type f | sort | xargs md5sum >>../sums", fixture->store);
    assert_int_equal(system(sums), 0);
    const char *const dry[] = {"archive", "drop",    "--before", "24",        "--reason",
                               "r",       "--actor", "a",        "--dry-run", NULL};
    const char *told = say(fixture, 0, dry);
    assert_contains(told, "would drop 1 archive");
    assert_contains(told, "LSN 1 to 23: 23 records");
    assert_contains(told, "no longer readable");
    assert_contains(told, "no longer provable");
    json_t *plan = ASK(fixture, 0, "archive", "drop", "--before", "24", "--reason", "r", "--actor",
                       "a", "--dry-run");
    assert_true(true_at(plan, "dry_run"));
    assert_int_equal(number_at(plan, "records"), 23);
    assert_true(number_at(plan, "bytes") > 100);
    DROP(fixture, 1, "999");
    assert_int_equal(system(sums), 0);
    snprintf(sums, sizeof sums,
             "cd '%s' && [ $(sort -u sums | wc -l) -eq $(($(wc -l <sums) / 2)) ]", fixture->folder);
    assert_int_equal(system(sums), 0);
    json_t *answers = exec_lines(fixture, 0,
                                 "{\"cmd\":\"archive.drop\",\"before\":24,\"reason\":\"r\","
                                 "\"actor\":\"a\",\"dry_run\":true}\n");
    assert_true(true_at(answers, "0.result.dry_run"));
    assert_int_equal(number_at(ASK(fixture, 0, "archive", "verify"), "records"), 23);
}

/* It is lost, or damaged: then nothing that begins with it works, everything else does, and it is
 * said where it may be had from. A backup has it. */
/* What would be dropped cannot be read: the plan says what the drop would. */
static void test_archive_drop_dry_run_refuses_what_the_drop_refuses(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    const char *path = archive_path(fixture);
    assert_int_equal(truncate(path, 300), 0);
    for (int missing = 0; missing < 2; missing++) {
        const char *const arguments[] = {"--before=24", "--reason=r", "--actor=a"};
        json_t *answer = ASK(fixture, 4, "archive", "drop", arguments[0], arguments[1],
                             arguments[2], "--dry-run");
        assert_code(answer, "damage");
        char planned[500];
        snprintf(planned, sizeof planned, "%s", text_at(answer, "error.message"));
        answer = ASK(fixture, 4, "archive", "drop", arguments[0], arguments[1], arguments[2]);
        assert_string_equal(planned, text_at(answer, "error.message"));
        (void)unlink(path);
    }
}

static void test_lost_state_of_a_drop_is_named_with_a_way_on(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    DROP(fixture, 0, "24");
    char kept[300];
    snprintf(kept, sizeof kept, "%s/kept", fixture->folder);
    ASK(fixture, 0, "backup", kept);
    for (size_t i = 0; i < 2; i++) {
        char path[400], command[1300];
        static const char name[] = "archive/00000000000000000023.state.gz";
        snprintf(path, sizeof path, "%s/%s", fixture->store, name);
        snprintf(command, sizeof command,
                 i == 0 ? "rm '%s'" : "printf x | dd of='%s' bs=1 seek=80 conv=notrunc 2>&1", path);
        assert_int_equal(system(command), 0);
        json_t *answer = ASK(fixture, 4, "backup", fixture_path(fixture, "copy"));
        assert_code(answer, "damage");
        assert_contains(text_at(answer, "error.message"), "00000000000000000023.state.gz");
        assert_contains(text_at(answer, "error.message"), "every backup made since has that file");
        assert_int_equal(access(fixture_path(fixture, "copy.partial"), F_OK), -1);
        assert_contains(SAY(fixture, 4, "doctor"), "every backup made since the drop has it");
        SAY(fixture, 4, "wal", "repair", "--dry-run");
        assert_contains(fixture->err, "a repair cannot make that anew");
        SAY(fixture, 4, "wal", "repair");
        assert_contains(fixture->err, "a repair cannot make that anew; put it back from a backup");
        ASK(fixture, 0, "workflow", "show", "L1");
        snprintf(command, sizeof command, "cp '%s/%s' '%s'", kept, name, path);
        assert_int_equal(system(command), 0);
        ASK(fixture, 0, "replay", "--verify");
        ASK(fixture, 0, "wal", "repair");
    }
}

static void test_archive_drop_again_under_its_key_says_so(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    const char *const drop[] = {"archive", "drop", "--before", "24",     "--reason", "ten years",
                                "--actor", "ann",  "--key",    "k-drop", NULL};
    say(fixture, 0, drop);
    const char *again = say(fixture, 0, drop);
    assert_contains(again, "this key was used before: the first outcome again");
    assert_null(strstr(again, "0 B"));
}

static void test_archive_drop_needs_its_options(void **state) {
    struct fixture *fixture = *state;
    archived(fixture);
    ASK(fixture, 2, "archive", "drop", "--before", "24", "--actor", "ann");
    ASK(fixture, 2, "archive", "drop", "--before", "24", "--reason", "r");
    ASK(fixture, 2, "archive", "drop", "--reason", "r", "--actor", "ann");
    assert_code(DROP(fixture, 2, "soon"), "usage");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_archive_is_read_through),
        TEST(test_archive_list_tells_what_is_there),
        TEST(test_archive_file_is_gzip_and_replays_alone),
        TEST(test_archive_damage_is_exit_4),
        TEST(test_archive_that_is_missing_is_exit_4),
        TEST(test_archives_are_not_missing_where_the_logs_header_is_damaged),
        TEST(test_init_makes_nothing_over_an_archive_without_its_log),
        TEST(test_archive_run_takes_its_limits),
        TEST(test_archive_drop_says_what_is_gone),
        TEST(test_archive_drop_leaves_the_rest_verifiable),
        TEST(test_archive_drop_dry_run_writes_nothing),
        TEST(test_archive_drop_dry_run_refuses_what_the_drop_refuses),
        TEST(test_lost_state_of_a_drop_is_named_with_a_way_on),
        TEST(test_archive_drop_again_under_its_key_says_so),
        TEST(test_archive_drop_needs_its_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
