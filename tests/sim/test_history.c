/* The checker of histories, on histories that are known to be bad, and on their good neighbours. */
#include "tests/sim/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { A, B };

/* Two accounts of 100 that matter, opened in records 1 to 4; transactions that overlap unless they
 * are said not to. */
static struct history h;
static char text[HISTORY_TEXT_MAX];

static int setup(void **state) {
    (void)state;
    memset(&h, 0, sizeof h);
    for (int i = 0; i < HISTORY_ACCOUNTS; i++) {
        h.first_lsn[i] = (uint64_t)i + 1;
        h.first_balance[i] = 100;
    }
    return 0;
}

static struct history_transaction *begins(enum wf_isolation isolation, uint64_t snapshot_lsn) {
    struct history_transaction *t = &h.transactions[h.count++];
    t->isolation = isolation;
    t->snapshot_lsn = isolation == WF_READ_COMMITTED ? 0 : snapshot_lsn;
    t->begin = 10;
    t->end = 20;
    return t;
}

static void reads(struct history_transaction *t, int account, uint64_t lsn, int64_t balance) {
    struct history_step *step = &t->steps[t->step_count++];
    step->kind = HISTORY_READ;
    step->account = account;
    step->seen[account] = (struct history_seen){true, lsn, balance};
}

static void writes(struct history_transaction *t, int account, int64_t amount) {
    struct history_step *step = &t->steps[t->step_count++];
    step->kind = HISTORY_WRITE;
    step->amounts[account] = amount;
    t->wrote[account] = true;
}

/* Which of A and B have at least so much; the others have not. */
static struct history_step *scans(struct history_transaction *t, int64_t least) {
    struct history_step *step = &t->steps[t->step_count++];
    step->kind = HISTORY_SCAN;
    step->least = least;
    return step;
}

static void finds(struct history_step *step, int account, uint64_t lsn, int64_t balance) {
    step->seen[account] = (struct history_seen){true, lsn, balance};
}

static void commits(struct history_transaction *t, uint64_t lsn) {
    t->committed = true;
    t->lsn = lsn;
}

static void is_bad(const char *why) {
    assert_false(history_check(&h, text));
    if (strstr(text, why) == NULL)
        fail_msg("\"%s\" is not for \"%s\"", text, why);
}

static void is_good(void) {
    if (!history_check(&h, text))
        fail_msg("%s", text);
}

static void test_history_aborted_read_is_bad(void **state) {
    (void)state;
    writes(begins(WF_READ_COMMITTED, 0), A, -10); /* not committed; its record would be 5 */
    struct history_transaction *t = begins(WF_READ_COMMITTED, 0);
    reads(t, A, 5, 90);
    commits(t, 0);
    is_bad("G1a");
    t->steps[0].seen[A] = (struct history_seen){true, 1, 100};
    is_good();
}

static void test_history_intermediate_read_is_bad(void **state) {
    (void)state;
    struct history_transaction *w = begins(WF_READ_COMMITTED, 0);
    writes(w, A, -10);
    writes(w, A, -20);
    commits(w, 5);
    struct history_transaction *t = begins(WF_READ_COMMITTED, 0);
    reads(t, A, 5, 90);
    is_bad("G1b");
    t->steps[0].seen[A].balance = 70;
    is_good();
}

static void test_history_own_writes_must_be_seen(void **state) {
    (void)state;
    struct history_transaction *t = begins(WF_SERIALIZABLE, 4);
    writes(t, A, 5);
    reads(t, A, 1, 100);
    is_bad("with its own writes");
    t->steps[1].seen[A].balance = 105;
    is_good();
}

static void test_history_circular_reads_are_bad(void **state) {
    (void)state;
    struct history_transaction *t = begins(WF_READ_COMMITTED, 0),
                               *other = begins(WF_READ_COMMITTED, 0);
    writes(t, A, 1);
    reads(t, B, 6, 101);
    commits(t, 5);
    writes(other, B, 1);
    reads(other, A, 5, 101);
    commits(other, 6);
    is_bad("G1c");
}

static void test_history_lost_update(void **state) {
    (void)state;
    struct history_transaction *t = begins(WF_READ_COMMITTED, 0),
                               *other = begins(WF_READ_COMMITTED, 0);
    reads(t, A, 1, 100);
    reads(other, A, 1, 100);
    writes(t, A, 10);
    writes(other, A, 10);
    commits(t, 5);
    commits(other, 6);
    is_good();
    assert_false(history_is_serializable(&h, text));
    t->isolation = other->isolation = WF_SNAPSHOT;
    t->snapshot_lsn = other->snapshot_lsn = 4;
    is_bad("G-SIa");
}

static void test_history_read_skew(void **state) {
    (void)state;
    struct history_transaction *t = begins(WF_READ_COMMITTED, 0), *w = begins(WF_READ_COMMITTED, 0);
    writes(w, A, -10);
    writes(w, B, 10);
    commits(w, 5);
    reads(t, A, 1, 100);
    reads(t, B, 5, 110);
    commits(t, 0);
    is_good();
    assert_false(history_is_serializable(&h, text));
    t->isolation = WF_SNAPSHOT;
    t->snapshot_lsn = 4;
    is_bad("snapshot: transaction 0, of snapshot 4, saw version 5");
    t->snapshot_lsn = 5;
    is_bad("saw version 1");
}

static void test_history_scan_that_misses_its_snapshot_is_bad(void **state) {
    (void)state;
    /* It says that its snapshot is of record 6 and reads B as of it, but not A, which it wrote last
     * in 5. */
    struct history_transaction *w = begins(WF_SNAPSHOT, 4), *x = begins(WF_SNAPSHOT, 5),
                               *t = begins(WF_SNAPSHOT, 6);
    writes(w, A, 1);
    commits(w, 5);
    writes(x, B, 1);
    commits(x, 6);
    struct history_step *scan = scans(t, 101);
    finds(scan, B, 6, 101); /* and not A */
    commits(t, 0);
    is_bad("scan: transaction 2");
    finds(scan, A, 5, 101);
    is_good();
}

static void test_history_write_skew(void **state) {
    (void)state;
    struct history_transaction *t = begins(WF_SNAPSHOT, 4), *other = begins(WF_SNAPSHOT, 4);
    reads(t, A, 1, 100);
    reads(other, B, 2, 100);
    writes(t, B, -1);
    writes(other, A, -1);
    commits(t, 5);
    commits(other, 6);
    is_good();
    t->isolation = other->isolation = WF_SERIALIZABLE;
    is_bad("not serializable");
    assert_non_null(strstr(text, "-rw->"));
    /* Mixed: the promise of one of them is not enough for a cycle. */
    t->isolation = WF_SNAPSHOT;
    is_good();
}

static void test_history_phantom(void **state) {
    (void)state;
    struct history_transaction *t = begins(WF_SERIALIZABLE, 4), *other = begins(WF_SERIALIZABLE, 4);
    (void)scans(t, 150); /* finds nothing */
    writes(t, B, -1);
    commits(t, 6);
    reads(other, B, 2, 100);
    writes(other, A, 60); /* now there is one */
    commits(other, 5);
    is_bad("not serializable");
    t->steps[0].least = 200; /* now there is not */
    is_good();
}

static void test_history_snapshot_that_is_too_old_is_bad(void **state) {
    (void)state;
    struct history_transaction *w = begins(WF_SERIALIZABLE, 4), *t = begins(WF_SERIALIZABLE, 4);
    writes(w, A, 1);
    commits(w, 5);
    reads(t, A, 1, 100);
    commits(t, 0);
    is_good();
    w->end = 5; /* before the other began */
    is_bad("stale");
    assert_false(history_is_serializable(&h, text));
    assert_non_null(strstr(text, "-rt->"));
}

static void test_history_order_that_contradicts_real_time_is_bad(void **state) {
    (void)state;
    struct history_transaction *t = begins(WF_READ_COMMITTED, 0),
                               *other = begins(WF_READ_COMMITTED, 0);
    writes(t, A, 1);
    writes(other, A, 1);
    commits(t, 6);
    commits(other, 5);
    is_good();
    t->end = 5;
    is_bad("G1c");
}

static void test_history_read_only_anomaly(void **state) {
    (void)state;
    struct history_transaction *slow = begins(WF_SNAPSHOT, 4), *deposit = begins(WF_SNAPSHOT, 4),
                               *reader = begins(WF_SNAPSHOT, 5);
    reads(slow, B, 2, 100);
    writes(slow, A, -11);
    commits(slow, 6);
    writes(deposit, B, 20);
    commits(deposit, 5);
    reads(reader, A, 1, 100);
    reads(reader, B, 5, 120);
    commits(reader, 0);
    is_good();
    assert_false(history_is_serializable(&h, text));
    slow->isolation = deposit->isolation = reader->isolation = WF_SERIALIZABLE;
    is_bad("not serializable");
}

static void test_history_scan_of_two_instants_is_bad(void **state) {
    (void)state;
    struct history_transaction *w = begins(WF_READ_COMMITTED, 0), *t = begins(WF_READ_COMMITTED, 0);
    writes(w, A, 10);
    writes(w, B, 10);
    commits(w, 5);
    struct history_step *scan = scans(t, 1);
    for (int i = 0; i < HISTORY_ACCOUNTS; i++)
        finds(scan, i, (uint64_t)i + 1, 100);
    is_good();
    finds(scan, A, 5, 110); /* B is as before */
    is_bad("was never so");
    finds(scan, B, 5, 110);
    is_good();
}

static void test_history_serial_one_is_good_at_all_levels(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 20; i++) {
        struct history_transaction *t = begins(i % 3 == 0   ? WF_READ_COMMITTED
                                               : i % 3 == 1 ? WF_SNAPSHOT
                                                            : WF_SERIALIZABLE,
                                               4 + i);
        t->begin = 10 * i;
        t->end = 10 * i + 5;
        reads(t, A, i == 0 ? 1 : 4 + i, 100 - (int64_t)i);
        writes(t, A, -1);
        writes(t, B, 1);
        reads(t, B, i == 0 ? 2 : 4 + i, 100 + (int64_t)i + 1);
        commits(t, 5 + i);
    }
    is_good();
    assert_true(history_is_serializable(&h, text));
    int64_t end[HISTORY_ACCOUNTS];
    history_end(&h, end);
    assert_int_equal(end[A], 80);
    assert_int_equal(end[B], 120);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(test_history_aborted_read_is_bad),
        TEST(test_history_intermediate_read_is_bad),
        TEST(test_history_own_writes_must_be_seen),
        TEST(test_history_circular_reads_are_bad),
        TEST(test_history_lost_update),
        TEST(test_history_read_skew),
        TEST(test_history_scan_that_misses_its_snapshot_is_bad),
        TEST(test_history_write_skew),
        TEST(test_history_phantom),
        TEST(test_history_snapshot_that_is_too_old_is_bad),
        TEST(test_history_order_that_contradicts_real_time_is_bad),
        TEST(test_history_read_only_anomaly),
        TEST(test_history_scan_of_two_instants_is_bad),
        TEST(test_history_serial_one_is_good_at_all_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
