/* The checks behind `wfctl crash run` notice a store that is not what was promised: the answers of
 * a real stream, altered one at a time. */
#include "tests/cli/cli_run.h"
#include "tools/wfctl/crash.h"
#include "workflows/loan/loan_sample.h"

#include <string.h>
#include <sys/mman.h>

struct subject {
    struct fixture *fixture;
    struct cli cli;
    struct crash_stream stream;
    struct crash_watch *watch;
    struct crash_run run;
};

/* A store over which the built-in load has gone to its end. */
static int setup(void **state) {
    static struct subject subject;
    subject = (struct subject){.fixture = NULL};
    void *fixture = NULL;
    if (fixture_setup(&fixture) != 0)
        return -1;
    subject.fixture = fixture;
    fixture_init(subject.fixture);
    subject.watch = mmap(NULL, sizeof *subject.watch, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(subject.watch != MAP_FAILED);
    assert_int_equal(crash_stream_load(&subject.cli, NULL, &subject.stream), WF_OK);
    subject.stream.count = 60; /* enough */
    subject.run = (struct crash_run){.dir = subject.fixture->store,
                                     .stream = &subject.stream,
                                     .watch = subject.watch,
                                     .feeds = true,
                                     .base_lsn = 2};
    assert_int_equal(crash_child_run(&subject.run, &subject.cli.err), WF_OK);
    assert_string_equal(subject.run.failure, "");
    assert_false(subject.run.killed);
    assert_int_equal(subject.run.acknowledged, 60);
    *state = &subject;
    return 0;
}

static int teardown(void **state) {
    struct subject *subject = *state;
    void *fixture = subject->fixture;
    crash_stream_free(&subject->stream);
    munmap(subject->watch, sizeof *subject->watch);
    return fixture_teardown(&fixture);
}

static void test_crash_check_finds_nothing_in_a_good_store(void **state) {
    struct subject *subject = *state;
    crash_check_store(&subject->run);
    assert_string_equal(subject->run.failure, "");
    assert_true(subject->run.in_flight > 0);
    assert_int_equal(subject->run.durable_lsn, 62);
}

/* A second child works on nothing new, and drops. */
static void test_crash_check_looks_for_no_record_that_was_dropped(void **state) {
    struct subject *subject = *state;
    subject->run.drops = subject->run.dropped = true;
    subject->run.sent = subject->run.answered = subject->run.acknowledged = 0;
    assert_int_equal(crash_child_run(&subject->run, &subject->cli.err), WF_OK);
    crash_check_store(&subject->run);
    assert_string_equal(subject->run.failure, "");
    assert_int_equal(subject->run.dropped_lsn, 62);
}

static void test_crash_check_misses_a_drop_that_was_on_record(void **state) {
    struct subject *subject = *state;
    subject->run.dropped = true;
    crash_check_store(&subject->run);
    assert_contains(subject->run.failure, "dropped on record, and that is LOST");
}

static void test_crash_check_misses_a_record_behind_the_end(void **state) {
    struct subject *subject = *state;
    subject->stream.lines[59].lsn = 63;
    crash_check_store(&subject->run);
    assert_contains(subject->run.failure, "record 63 was acknowledged and is LOST");
}

static void test_crash_check_misses_a_record_that_is_another_one(void **state) {
    struct subject *subject = *state;
    uint64_t lsn = subject->stream.lines[30].lsn;
    subject->stream.lines[30].lsn = subject->stream.lines[31].lsn;
    subject->stream.lines[31].lsn = lsn;
    crash_check_store(&subject->run);
    assert_contains(subject->run.failure, "was acknowledged for");
}

/* Somebody else's work in the same place: the log holds records, not ours. */
static void test_crash_check_notices_a_key_that_is_not_known(void **state) {
    struct subject *subject = *state;
    char line[1024];
    const struct crash_line *whole = &subject->stream.lines[7];
    assert_true(whole->size < sizeof line);
    memcpy(line, whole->text, whole->size);
    line[whole->size] = '\0';
    char *key = strstr(line, "\"key\":\"crash-");
    assert_non_null(key);
    key[8] = 'K';
    subject->stream.lines[7].text = line;
    crash_check_store(&subject->run);
    assert_contains(subject->run.failure, "was acknowledged for");
}

static void test_crash_check_names_a_store_that_does_not_open(void **state) {
    struct subject *subject = *state;
    subject->run.dir = fixture_path(subject->fixture, "nowhere");
    crash_check_store(&subject->run);
    assert_contains(subject->run.failure, "does not open");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_crash_check_finds_nothing_in_a_good_store),
        TEST(test_crash_check_looks_for_no_record_that_was_dropped),
        TEST(test_crash_check_misses_a_drop_that_was_on_record),
        TEST(test_crash_check_misses_a_record_behind_the_end),
        TEST(test_crash_check_misses_a_record_that_is_another_one),
        TEST(test_crash_check_notices_a_key_that_is_not_known),
        TEST(test_crash_check_names_a_store_that_does_not_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
