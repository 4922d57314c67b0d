/* wfctl on stores that are missing, foreign, damaged, read-only or owned by another process. */
#include "base/bytes.h"
#include "tests/cli/cli_run.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const exec_only[] = {"exec", NULL};

/* Every command that needs a store, with arguments that parse. */
static const char *const commands[][8] = {
    {"status", NULL},
    {"doctor", NULL},
    {"def", "list", NULL},
    {"def", "show", "loan_application", NULL},
    {"workflow", "show", "L1", NULL},
    {"workflow", "history", "L1", NULL},
    {"workflow", "list", NULL},
    {"clock", "show", NULL},
    {"replay", NULL},
    {"replay", "--verify", NULL},
    {"wal", "status", NULL},
    {"wal", "dump", NULL},
    {"wal", "verify", NULL},
    {"snapshot", "list", NULL},
    {"snapshot", "verify", NULL},
    {"metrics", NULL},
    {"workflow", "start", "loan_application", "--id", "L2", NULL},
    {"workflow", "submit", "L1", "applicant_submission", NULL},
    {"workflow", "fail", "L1", "credit_check", "--reason=r", NULL},
    {"workflow", "cancel", "L1", "--reason=r", NULL},
    {"clock", "advance", "1s", NULL},
    {"snapshot", "create", NULL},
    {"wal", "repair", NULL},
    {"exec", NULL},
};
enum { COMMANDS = sizeof commands / sizeof commands[0], FIRST_WRITER = 16 };

static json_t *ask_command(struct fixture *fixture, int status, const char *const *command) {
    const char *arguments[10] = {"-o", "json"};
    for (size_t i = 0; command[i]; i++)
        arguments[i + 2] = command[i];
    return ask(fixture, status, arguments);
}

static void one_loan(struct fixture *fixture) {
    fixture_init(fixture);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L1");
}

static void segment_path(struct fixture *fixture, char path[400]) {
    snprintf(path, 400, "%s/wal/%s", fixture->store,
             text_at(ASK(fixture, 0, "wal", "status"), "segments.0.name"));
}

static void flip_byte(const char *path, off_t offset) {
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

/* Where `needle` stands in the file. */
static off_t find_in(const char *path, const char *needle) {
    static char bytes[1 << 16];
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    const char *found = memmem(bytes, (size_t)size, needle, strlen(needle));
    assert_non_null(found);
    return found - bytes;
}

/* Give the segment another format version, with a checksum to match: see wal/FORMAT.md. */
static void write_version(const char *path, uint8_t version) {
    uint8_t header[64];
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
    header[8] = version;
    bytes_store_u32(header + 60, crc32c(0, header, 60));
    assert_int_equal(pwrite(fd, header, sizeof header, 0), sizeof header);
    close(fd);
}

/* Mounts of a namespace of our own vanish with this program, however it ends. */
static bool may_mount(void) {
    static int allowed = -1;
    if (allowed < 0)
        allowed =
            unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0;
    if (!allowed)
        print_message("not run: no right to mount\n");
    return allowed;
}

/* --- no store --- */

static void test_a_missing_store_is_not_found(void **state) {
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COMMANDS; i++)
        assert_code(ask_command(fixture, 3, commands[i]), "not_found");
    assert_code(ASK(fixture, 3, "backup", fixture_path(fixture, "copy")), "not_found");
    assert_int_equal(access(fixture->store, F_OK), -1);
    assert_int_equal(access(fixture_path(fixture, "copy"), F_OK), -1);
    SAY(fixture, 3, "status");
    assert_contains(fixture->err, "init makes one");
    SAY(fixture, 3, "-d", fixture->folder, "status"); /* init would refuse that one */
    assert_null(strstr(fixture->err, "init makes one"));
}

static void test_a_foreign_folder_is_left_alone(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->store, 0700), 0);
    fixture_write(fixture, "store/letter.txt", "dear", 4);
    for (size_t i = 0; i < COMMANDS; i++) {
        ask_command(fixture, run(fixture, NULL, 0, NULL, commands[i]) == 3 ? 3 : 1, commands[i]);
        assert_int_equal(access(fixture_path(fixture, "store/lock"), F_OK), -1);
        assert_int_equal(access(fixture_path(fixture, "store/wal"), F_OK), -1);
    }
}

static void test_a_file_in_place_of_the_folder(void **state) {
    struct fixture *fixture = *state;
    fixture_write(fixture, "store", "file", 4);
    int status = run(fixture, NULL, 0, NULL, commands[0]);
    assert_true(status == 1 || status == 3 || status == 7);
    status = run(fixture, NULL, 0, NULL, (const char *const[]){"init", NULL});
    assert_true(status == 1 || status == 7);
    assert_contains(fixture->err, "store");
}

static void test_a_newer_format_is_refused_by_name(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    char path[400];
    segment_path(fixture, path);
    write_version(path, 2);
    for (size_t i = 0; i < COMMANDS; i++) {
        assert_int_equal(run(fixture, NULL, 0, NULL, commands[i]), 1);
        assert_contains(fixture->err, ".seg");
        assert_contains(fixture->err, "newer");
    }
    write_version(path, 1);
    ASK(fixture, 0, "workflow", "show", "L1");
}

/* What stands in a store is for its owner, and for the group to read; nobody else. */
static int check_mode(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)where;
    mode_t wanted = kind == FTW_D ? 0750 : 0640;
    if ((info->st_mode & 07777) != wanted)
        fail_msg("%s has mode %o", path, info->st_mode & 07777);
    return 0;
}

static void test_files_are_not_for_everybody(void **state) {
    struct fixture *fixture = *state;
    mode_t before = umask(022);
    one_loan(fixture);
    ASK(fixture, 0, "archive", "run", "--seal");
    umask(before);
    assert_int_equal(nftw(fixture->store, check_mode, 8, 0), 0);
}

/* --- damage --- */

static void test_damage_is_named_and_repaired(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L2", "note=remember-me");
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L3");
    char path[400];
    segment_path(fixture, path);
    flip_byte(path, find_in(path, "remember-me"));
    json_t *report = ASK(fixture, 4, "wal", "verify");
    assert_code(report, "damage");
    assert_string_equal(text_at(report, "findings.0.kind"), "damage");
    assert_contains(path, text_at(report, "findings.0.segment"));
    assert_true(number_at(report, "findings.0.offset") > 0);
    assert_int_equal(number_at(report, "findings.0.first_lsn"), 4);
    assert_string_equal(text_at(report, "findings.0.entities"), "L2");
    const char *place = strstr(text_at(report, "error.message"), "segment ");
    assert_non_null(place);
    assert_null(strstr(place + 1, "segment ")); /* said once */
    SAY(fixture, 4, "wal", "verify");
    assert_contains(fixture->out, "LSN 4");
    assert_contains(fixture->out, "L2");
    SAY(fixture, 4, "doctor");
    assert_contains(fixture->out, "wfctl wal repair");
    assert_code(ASK(fixture, 4, "doctor"), "damage");
    report = ASK(fixture, 0, "wal", "repair");
    assert_int_equal(number_at(report, "findings.0.first_lsn"), 4);
    ASK(fixture, 0, "workflow", "show", "L3");
    ASK(fixture, 0, "wal", "verify");
    json_t *checks = ASK(fixture, 0, "doctor");
    assert_true(number_at(checks, "notes") >= 1); /* the copy that the repair kept */
}

static void test_a_repair_and_the_doctor_tell_what_went(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture); /* LSN 3 */
    json_t *plan = ASK(fixture, 0, "wal", "repair", "--skip", "2", "--dry-run");
    assert_string_equal(text_at(plan, "lost.definitions.0"), "loan_application 1");
    assert_int_equal(number_at(plan, "lost.workflows_gone"), 1);
    ASK(fixture, 0, "workflow", "show", "L1"); /* it was only a plan */
    SAY(fixture, 0, "doctor");
    assert_contains(fixture->out, "The store is well.");
    SAY(fixture, 0, "wal", "repair", "--skip", "2");
    assert_contains(fixture->out, "loan_application 1");
    assert_contains(fixture->out, "1 workflow (gone)");
    ASK(fixture, 3, "workflow", "show", "L1");
    SAY(fixture, 0, "doctor");
    assert_contains(fixture->out, "definition loan_application 1; 1 workflow (gone)");
    assert_null(strstr(fixture->out, "The store is well"));
    assert_int_equal(number_at(ASK(fixture, 0, "doctor"), "lost_records"), 1);
}

static void test_a_torn_tail_is_no_damage(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    struct stream stream;
    stream_open(fixture, &stream, exec_only);
    stream_send(&stream,
                "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"torn-one\"}\n");
    stream_answer(fixture, &stream);
    stream_kill(&stream, SIGKILL);
    unlink(fixture_path(fixture, "store/lock")); /* its mark says that the record is durable */
    char path[400];
    segment_path(fixture, path);
    flip_byte(path, find_in(path, "torn-one"));
    json_t *report = ASK(fixture, 0, "wal", "verify");
    assert_string_equal(text_at(report, "findings.0.kind"), "torn");
    /* Nobody can know that it was not answered: it was. */
    SAY(fixture, 0, "doctor");
    assert_contains(fixture->out, "nothing confirms that they ever were durable");
    assert_null(strstr(fixture->out, "acknowledged"));
    SAY(fixture, 0, "status");
    assert_contains(fixture->out, "nothing confirms that they ever were durable");
    assert_null(strstr(fixture->out, "acknowledged"));
    assert_true(number_at(ASK(fixture, 0, "status"), "torn_bytes") > 0);
    assert_code(ASK(fixture, 3, "workflow", "show", "torn-one"), "not_found");
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L2");
    ASK(fixture, 0, "replay", "--verify");
}

/* The log's files are gone, the snapshot is there: that is damage to every command, also to those
 * that read the log only. */
static void test_a_lost_log_is_damage_to_doctor_verify_and_repair(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    char path[400];
    segment_path(fixture, path);
    assert_int_equal(unlink(path), 0);
    assert_code(ASK(fixture, 4, "doctor"), "damage");
    assert_code(ASK(fixture, 4, "wal", "verify"), "damage");
    assert_code(ASK(fixture, 4, "wal", "repair", "--dry-run"), "damage");
    json_t *answer = ASK(fixture, 4, "wal", "repair");
    assert_contains(text_at(answer, "error.message"), "restore a backup");
}

/* The same of a log whose only segment lost its contents. */
static void test_an_emptied_log_is_damage_to_doctor_verify_and_repair(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    char path[400];
    segment_path(fixture, path);
    assert_int_equal(truncate(path, 0), 0);
    assert_code(ASK(fixture, 4, "wal", "verify"), "damage");
    assert_code(ASK(fixture, 4, "wal", "repair", "--dry-run"), "damage");
    assert_code(ASK(fixture, 4, "wal", "repair"), "damage");
    assert_code(ASK(fixture, 4, "doctor"), "damage");
    assert_contains(SAY(fixture, 4, "doctor"), "bring wal/ back from where it went");
    assert_null(strstr(fixture->out, "init"));
    assert_null(strstr(fixture->out, "'wfctl wal repair'"));
}

static void test_a_bad_snapshot_is_rebuilt(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    assert_int_equal(truncate(fixture_path(fixture, "store/state/data.mdb"), 5000), 0);
    ASK(fixture, 0, "workflow", "show", "L1");
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L2");
    ASK(fixture, 0, "snapshot", "verify");
    ASK(fixture, 0, "replay", "--verify");
}

/* --- two processes --- */

static void test_readers_work_beside_an_owner_and_writers_exit_with_6(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    struct stream owner;
    stream_open(fixture, &owner, exec_only);
    stream_send(&owner,
                "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L5\"}\n");
    stream_answer(fixture, &owner);
    for (size_t i = 0; i < FIRST_WRITER; i++)
        ask_command(fixture, 0, commands[i]);
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)owner.pid);
    for (size_t i = FIRST_WRITER; i < COMMANDS; i++) {
        json_t *answer = ask_command(fixture, 6, commands[i]);
        assert_code(answer, "locked");
        assert_contains(text_at(answer, "error.message"), pid);
    }
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "L5"), "id"), "L5");
    assert_contains(SAY(fixture, 0, "doctor"), pid);
    ASK(fixture, 0, "init"); /* it is complete: nothing has to be written */
    ASK(fixture, 0, "backup", fixture_path(fixture, "copy"));
    assert_string_equal(
        text_at(ASK(fixture, 0, "-d", fixture_path(fixture, "copy"), "workflow", "show", "L5"),
                "id"),
        "L5");
    assert_int_equal(stream_close(&owner), 0);
    ASK(fixture, 0, "workflow", "cancel", "L5", "--reason", "r");
}

/* --- a read-only file system --- */

static void test_a_read_only_store_can_be_read(void **state) {
    struct fixture *fixture = *state;
    one_loan(fixture);
    if (!may_mount())
        skip();
    assert_int_equal(mount(fixture->store, fixture->store, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, fixture->store, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
    int reads[FIRST_WRITER], writes[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        *(i < FIRST_WRITER ? &reads[i] : &writes[i]) = run(fixture, NULL, 0, NULL, commands[i]);
    assert_int_equal(umount(fixture->store), 0);
    for (size_t i = 0; i < FIRST_WRITER; i++)
        if (reads[i] != 0)
            fail_msg("%s %s: %d", commands[i][0], commands[i][1] ? commands[i][1] : "", reads[i]);
    for (size_t i = FIRST_WRITER; i < COMMANDS; i++)
        if (writes[i] != 7)
            fail_msg("%s %s: %d", commands[i][0], commands[i][1] ? commands[i][1] : "", writes[i]);
    ASK(fixture, 0, "workflow", "show", "L1");
}

/* --- a full disk --- */

static int fill_disk(const char *path) {
    static const char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        continue;
    return close(fd);
}

static void test_a_full_disk_is_told_and_work_resumes(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture_path(fixture, "small"), 0700), 0);
    if (!may_mount())
        skip();
    assert_int_equal(mount("tmpfs", fixture_path(fixture, "small"), "tmpfs", 0, "size=4m"), 0);
    char store[400];
    snprintf(store, sizeof store, "%s/small/store", fixture->folder);
    const char *const exec_there[] = {"-d", store, "exec", "--create", NULL};
    struct stream stream;
    stream_open(fixture, &stream, exec_there);
    bool was_full = false;
    for (int i = 0; i < 50 && !was_full; i++) {
        char line[61000];
        snprintf(line, sizeof line,
                 "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L%d\","
                 "\"data\":{\"pad\":\"%060000d\"}}\n",
                 i, i);
        stream_send(&stream, line);
        json_t *answer = stream_answer(fixture, &stream);
        if (i == 0)
            fill_disk(fixture_path(fixture, "small/ballast"));
        was_full = !true_at(answer, "ok");
        if (was_full)
            assert_code(answer, "full");
    }
    stream_send(&stream, "{\"cmd\":\"workflow.show\",\"id\":\"L0\"}\n");
    bool can_read = true_at(stream_answer(fixture, &stream), "ok");
    unlink(fixture_path(fixture, "small/ballast"));
    stream_send(&stream,
                "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"new\"}\n");
    json_t *resumed = stream_answer(fixture, &stream);
    int ended = stream_close(&stream);
    json_t *shown = ASK(fixture, 0, "-d", store, "workflow", "show", "new");
    assert_int_equal(umount(fixture_path(fixture, "small")), 0);
    assert_true(was_full);
    assert_true(can_read);
    assert_true(true_at(resumed, "ok"));
    assert_string_equal(text_at(shown, "id"), "new");
    assert_int_equal(ended, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_missing_store_is_not_found),
        TEST(test_a_foreign_folder_is_left_alone),
        TEST(test_a_file_in_place_of_the_folder),
        TEST(test_a_newer_format_is_refused_by_name),
        TEST(test_files_are_not_for_everybody),
        TEST(test_damage_is_named_and_repaired),
        TEST(test_a_repair_and_the_doctor_tell_what_went),
        TEST(test_a_torn_tail_is_no_damage),
        TEST(test_a_lost_log_is_damage_to_doctor_verify_and_repair),
        TEST(test_an_emptied_log_is_damage_to_doctor_verify_and_repair),
        TEST(test_a_bad_snapshot_is_rebuilt),
        TEST(test_readers_work_beside_an_owner_and_writers_exit_with_6),
        TEST(test_a_read_only_store_can_be_read),
        TEST(test_a_full_disk_is_told_and_work_resumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
