/* Records and findings of a walk on a second thread: all of them, in order, as they were, and a
 * failure of the other side ends the walk. */
#include "engine/relay.h"

#include "base/error.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 30000, FINDING_EVERY = 1000 };

struct seen {
    uint64_t records, findings;
    uint64_t fail_at; /* 0: never */
    pthread_t last;
};

/* What record `lsn` holds. */
static size_t make_payload(uint64_t lsn, uint8_t payload[64]) {
    memset(payload, (int)(lsn % 251), 64);
    return 1 + lsn % 60;
}

static enum wf_status see_record(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct seen *seen = ctx;
    uint8_t payload[64];
    seen->records++;
    if (seen->fail_at == record->lsn)
        return error_set(err, WF_FULL, "enough at %" PRIu64, record->lsn);
    assert_int_equal(record->lsn, seen->records);
    assert_int_equal(record->offset, record->lsn * 8);
    assert_int_equal(record->payload.size, make_payload(record->lsn, payload));
    assert_memory_equal(record->payload.data, payload, record->payload.size);
    if (record->lsn % 3 == 0)
        assert_int_equal(record->leaf[31], record->lsn % 256);
    else
        assert_null(record->leaf);
    seen->last = pthread_self();
    return WF_OK;
}

static enum wf_status see_finding(void *ctx, const struct wal_finding *finding,
                                  struct wf_error *err) {
    struct seen *seen = ctx;
    (void)err;
    seen->findings++;
    assert_int_equal(finding->first_lsn, seen->records); /* in its place among the records */
    assert_string_equal(finding->text, "bad");
    assert_int_equal(finding->remains.size, 3);
    assert_memory_equal(finding->remains.data, "abc", 3);
    return WF_OK;
}

/* A walk whose memory is used again for each record. */
static enum wf_status walk(struct relay *relay, uint64_t count, struct wf_error *err) {
    uint8_t payload[64];
    uint8_t leaf[WAL_HASH_SIZE];
    char remains[4];
    enum wf_status status = WF_OK;
    for (uint64_t lsn = 1; status == WF_OK && lsn <= count; lsn++) {
        struct wal_record record = {.lsn = lsn, .offset = lsn * 8};
        record.payload = (struct bytes_view){payload, make_payload(lsn, payload)};
        memset(leaf, (int)(lsn % 256), sizeof leaf);
        record.leaf = lsn % 3 == 0 ? leaf : NULL;
        status = relay_record(relay, &record, err);
        if (status == WF_OK && lsn % FINDING_EVERY == 0) {
            struct wal_finding finding = {.first_lsn = lsn, .text = "bad"};
            (void)snprintf(remains, sizeof remains, "abc");
            finding.remains = (struct bytes_view){(const uint8_t *)remains, 3};
            status = relay_finding(relay, &finding, err);
            memset(remains, 0, sizeof remains);
        }
    }
    return relay_finish(relay, status, err);
}

static void test_relay_gives_everything_in_order(void **state) {
    (void)state;
    struct relay relay;
    struct wf_error err;
    struct seen seen = {.records = 0};
    relay_init(&relay, see_record, see_finding, &seen);
    assert_int_equal(walk(&relay, RECORDS, &err), WF_OK);
    assert_int_equal(seen.records, RECORDS);
    assert_int_equal(seen.findings, RECORDS / FINDING_EVERY);
}

static void test_relay_keeps_a_short_walk_on_its_thread(void **state) {
    (void)state;
    struct relay relay;
    struct wf_error err;
    struct seen seen = {.records = 0};
    relay_init(&relay, see_record, see_finding, &seen);
    assert_int_equal(walk(&relay, 100, &err), WF_OK);
    assert_int_equal(seen.records, 100);
    assert_true(pthread_equal(seen.last, pthread_self()));
}

static void test_relay_ends_the_walk_where_the_other_side_fails(void **state) {
    (void)state;
    static const uint64_t places[] = {10, 5000, 20000, RECORDS};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct relay relay;
        struct wf_error err = {.status = WF_OK};
        struct seen seen = {.fail_at = places[i]};
        char words[40];
        relay_init(&relay, see_record, see_finding, &seen);
        assert_int_equal(walk(&relay, RECORDS, &err), WF_FULL);
        (void)snprintf(words, sizeof words, "enough at %" PRIu64, places[i]);
        assert_string_equal(err.text, words);
        assert_int_equal(seen.records, places[i]); /* and it was given nothing more */
    }
}

static void test_relay_returns_the_failure_of_the_walk(void **state) {
    (void)state;
    struct relay relay;
    struct wf_error err;
    struct seen seen = {.records = 0};
    uint8_t payload[64];
    relay_init(&relay, see_record, see_finding, &seen);
    for (uint64_t lsn = 1; lsn <= 5000; lsn++) {
        struct wal_record record = {.lsn = lsn, .offset = lsn * 8};
        uint8_t leaf[WAL_HASH_SIZE] = {0};
        leaf[31] = (uint8_t)lsn;
        record.leaf = lsn % 3 == 0 ? leaf : NULL;
        record.payload = (struct bytes_view){payload, make_payload(lsn, payload)};
        assert_int_equal(relay_record(&relay, &record, &err), WF_OK);
    }
    (void)error_set(&err, WF_IO, "the disk");
    assert_int_equal(relay_finish(&relay, WF_IO, &err), WF_IO);
    assert_string_equal(err.text, "the disk");
    assert_int_equal(seen.records, 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay_gives_everything_in_order),
        cmocka_unit_test(test_relay_keeps_a_short_walk_on_its_thread),
        cmocka_unit_test(test_relay_ends_the_walk_where_the_other_side_fails),
        cmocka_unit_test(test_relay_returns_the_failure_of_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
