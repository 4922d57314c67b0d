/* The LMDB snapshot's bytes, and damage to them. */
#include "engine/core/text.h"
#include "store/snapshot_view.h"
#include "tests/lib/lmdb_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE_BYTES = 4096 };

/* ---- the bytes ---- */

struct file {
    uint8_t *bytes;
    size_t size;
};

static struct file load(const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    struct file file = {.bytes = malloc((size_t)status.st_size), .size = (size_t)status.st_size};
    FILE *in = fopen(path, "rb");
    assert_true(file.bytes != NULL && in != NULL);
    assert_int_equal(fread(file.bytes, 1, file.size, in), file.size);
    fclose(in);
    return file;
}

static void store(const char *path, const uint8_t *bytes, size_t size) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

static uint8_t *find_bytes(struct file file, const void *bytes, size_t size) {
    uint8_t *at = memmem(file.bytes, file.size, bytes, size);
    assert_non_null(at);
    return at;
}

static void test_snapshot_lmdb_writes_the_bytes_of_the_worked_example(void **state) {
    struct lmdb_fixture *f = *state;
    /* store/FORMAT.md, "Worked example" */
    static const uint8_t pair[] = {0x01, 0x77, 0x66, 0x2f, 0x31, 0xc2, 0x91,
                                   0x03, 0x22, 0x68, 0x65, 0x6c, 0x6c, 0x6f};
    static const uint8_t record[] = {0x00, 0xe9, 0xd1, 0x86, 0xea, 0x77, 0x66, 0x73, 0x6e, 0x61,
                                     0x70, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc2, 0x91, 0x03,
                                     0x22, 0x00, 0x00, 0x00, 0x00, 0x73, 0x74, 0x61, 0x74, 0x65};
    assert_int_equal(lmdb_commit_one(f, "wf/1", text_view("hello"), 7), WF_OK);
    lmdb_fixture_close(f);
    struct file file = load(f->file);
    find_bytes(file, pair, sizeof pair);
    find_bytes(file, record, sizeof record);
    free(file.bytes);
}

static void test_snapshot_lmdb_refuses_another_format_version(void **state) {
    struct lmdb_fixture *f = *state;
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
    lmdb_fixture_close(f);
    struct file file = load(f->file);
    uint8_t *record = find_bytes(file, "wfsnap", 6);
    struct bytes_view body = {.data = record, .size = SNAPSHOT_RECORD_HEAD_BYTES + 5};
    record[6] = SNAPSHOT_FORMAT_VERSION + 1;
    bytes_store_u32(record - SNAPSHOT_CHECKSUM_BYTES,
                    snapshot_pair_checksum(snapshot_record_key(), body));
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(lmdb_fixture_open(f, false), WF_DAMAGE);
    assert_null(f->snapshot);
    assert_non_null(strstr(f->err.text, "snapshot format 2, only 1 is known"));
}

static void test_snapshot_lmdb_fills_pages_with_ascending_keys(void **state) {
    struct lmdb_fixture *f = *state;
    enum { MANY = 20000, PER_PAIR_MAX = 130 }; /* bytes: a pair has 8 + 90 */
    assert_int_equal(lmdb_commit_many(f, 0, MANY, 1, 1), WF_OK);
    assert_int_equal(lmdb_commit_many(f, MANY, MANY, 1, 2), WF_OK);
    uint64_t bytes;
    uint64_t entries;
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    f->snapshot->ops->sizes(f->snapshot, &bytes, &entries);
    assert_int_equal(entries, 2 * MANY);
    assert_true(bytes / entries < PER_PAIR_MAX);
}

/* ---- damage ---- */

static void test_snapshot_lmdb_refuses_a_cut_file_at_every_page(void **state) {
    struct lmdb_fixture *f = *state;
    lmdb_fill(f);
    lmdb_fixture_close(f);
    struct file file = load(f->file);
    for (size_t size = PAGE_BYTES; size < file.size; size += PAGE_BYTES) {
        for (unsigned read_only = 0; read_only < 2; read_only++) {
            store(f->file, file.bytes, size - (size / PAGE_BYTES) % 2);
            assert_int_equal(lmdb_fixture_open(f, read_only), WF_DAMAGE);
            assert_null(f->snapshot);
        }
    }
    free(file.bytes);
}

static void test_snapshot_lmdb_refuses_a_foreign_file(void **state) {
    struct lmdb_fixture *f = *state;
    lmdb_fixture_close(f);
    uint8_t *bytes = calloc(4, PAGE_BYTES);
    assert_non_null(bytes);
    store(f->file, bytes, 4 * PAGE_BYTES);
    assert_int_equal(lmdb_fixture_open(f, false), WF_DAMAGE);
    store(f->file, (const uint8_t *)"hello", 5);
    assert_int_equal(lmdb_fixture_open(f, false), WF_DAMAGE);
    free(bytes);
}

static void test_snapshot_lmdb_takes_an_empty_file_for_none(void **state) {
    struct lmdb_fixture *f = *state;
    lmdb_fixture_close(f);
    store(f->file, (const uint8_t *)"", 0);
    assert_int_equal(lmdb_fixture_open(f, true), WF_NOT_FOUND);
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
}

static void test_snapshot_lmdb_finds_a_flipped_value(void **state) {
    struct lmdb_fixture *f = *state;
    struct bytes_view value;
    assert_int_equal(lmdb_commit_one(f, "a", text_view("a value to flip"), 1), WF_OK);
    lmdb_fixture_close(f);
    struct file file = load(f->file);
    find_bytes(file, "a value to flip", 15)[3] ^= 1;
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    assert_int_equal(lmdb_get(f, "a", &value), WF_DAMAGE);
    assert_int_equal(lmdb_walk_all(f), WF_DAMAGE);
    assert_int_equal(lmdb_commit_one(f, "b", text_view("1"), 2), WF_DAMAGE);
}

/* The leaf page, of those with the highest transaction's content, that holds `key`'s pair. */
static uint8_t *find_leaf(struct file file, const char *key, size_t value_index,
                          unsigned generation) {
    uint8_t pair[1 + 8 + SNAPSHOT_CHECKSUM_BYTES + LMDB_VALUE_BYTES];
    pair[0] = 1;
    memcpy(pair + 1, key, 8);
    lmdb_make_value(value_index, generation, pair + 9 + SNAPSHOT_CHECKSUM_BYTES);
    bytes_store_u32(
        pair + 9,
        snapshot_pair_checksum((struct bytes_view){.data = pair, .size = 9},
                               (struct bytes_view){.data = pair + 13, .size = LMDB_VALUE_BYTES}));
    size_t offset = (size_t)(find_bytes(file, pair, sizeof pair) - file.bytes);
    return file.bytes + offset / PAGE_BYTES * PAGE_BYTES;
}

static void test_snapshot_lmdb_does_not_take_a_lost_pair_for_an_absent_one(void **state) {
    struct lmdb_fixture *f = *state;
    struct bytes_view value;
    lmdb_fill(f);
    lmdb_fixture_close(f);
    struct file file = load(f->file);
    uint8_t *leaf = find_leaf(file, "k0000300", 300, 2);
    /* Take the last offset off: LMDB then knows one pair less and says "not found". */
    leaf[12] = (uint8_t)(leaf[12] - 2);
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    size_t damaged = 0;
    for (size_t i = 0; i < LMDB_PAIRS; i++) {
        enum wf_status status = lmdb_get_number(f, i, &value);
        assert_true(status == WF_OK || status == WF_DAMAGE);
        damaged += status == WF_DAMAGE;
    }
    assert_int_equal(damaged, 1);
    assert_int_equal(lmdb_walk_all(f), WF_DAMAGE);
}

static void test_snapshot_lmdb_refuses_an_older_root_under_the_newest_meta(void **state) {
    struct lmdb_fixture *f = *state;
    enum { MAIN_ROOT_OFFSET = 128, TXN_OFFSET = 144 };
    lmdb_fill(f);
    lmdb_fixture_close(f);
    struct file file = load(f->file);
    uint8_t *second = file.bytes + PAGE_BYTES;
    bool second_is_newer =
        bytes_load_u64(second + TXN_OFFSET) > bytes_load_u64(file.bytes + TXN_OFFSET);
    uint8_t *newer = second_is_newer ? second : file.bytes;
    const uint8_t *older = second_is_newer ? file.bytes : second;
    memcpy(newer + MAIN_ROOT_OFFSET, older + MAIN_ROOT_OFFSET, sizeof(uint64_t));
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(lmdb_fixture_open(f, false), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "another transaction"));
}

/* In a child, so that a crash is an outcome and not the end. 0: every answer was right; 1: damage
 * was reported; 2: the generation before was opened; 3: a wrong answer. */
static int judge(struct lmdb_fixture *f) {
    enum wf_status status = lmdb_fixture_open(f, false);
    bool damage = status == WF_DAMAGE;
    if (status != WF_OK)
        return damage ? 1 : 3;
    if (lmdb_seen_lsn(f) != 2)
        return lmdb_seen_lsn(f) == 1 ? 2 : 3;
    for (size_t i = 0; i < LMDB_PAIRS; i++) {
        struct bytes_view value;
        status = lmdb_get_number(f, i, &value);
        if (status == WF_DAMAGE)
            damage = true;
        else if (status != WF_OK || !lmdb_is_right(i, value))
            return 3;
    }
    status = lmdb_walk_all(f);
    if (status != WF_DAMAGE && (status != WF_OK || damage))
        return 3; /* a walk must find what a lookup found */
    damage = damage || status == WF_DAMAGE;
    status = lmdb_commit_many(f, 0, LMDB_PAIRS / 5, 5, 3);
    return damage || status == WF_DAMAGE ? 1 : status == WF_OK ? 0 : 3;
}

static int judge_in_child(struct lmdb_fixture *f) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(judge(f));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_snapshot_lmdb_single_flips_give_no_wrong_answer_and_no_crash(void **state) {
    struct lmdb_fixture *f = *state;
    enum { FLIPS = 600 };
    uint64_t random = 987654321;
    size_t found = 0;
    lmdb_fill(f);
    lmdb_fixture_close(f);
    struct file file = load(f->file);
    print_message("seed %llu\n", (unsigned long long)random);
    for (unsigned i = 0; i < FLIPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t offset = (size_t)(random >> 33) % file.size;
        uint8_t mask = (uint8_t)(1u << (random >> 30 & 7));
        file.bytes[offset] ^= mask;
        store(f->file, file.bytes, file.size);
        file.bytes[offset] ^= mask;
        int outcome = judge_in_child(f);
        if (outcome < 0 || outcome > 2)
            fail_msg("offset %zu, mask %02x: outcome %d", offset, mask, outcome);
        found += outcome == 1;
    }
    assert_true(found > FLIPS / 10); /* else the flips met nothing that matters */
    free(file.bytes);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_fixture_setup, lmdb_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot_lmdb_writes_the_bytes_of_the_worked_example),
        TEST(test_snapshot_lmdb_refuses_another_format_version),
        TEST(test_snapshot_lmdb_fills_pages_with_ascending_keys),
        TEST(test_snapshot_lmdb_refuses_a_cut_file_at_every_page),
        TEST(test_snapshot_lmdb_refuses_a_foreign_file),
        TEST(test_snapshot_lmdb_takes_an_empty_file_for_none),
        TEST(test_snapshot_lmdb_finds_a_flipped_value),
        TEST(test_snapshot_lmdb_does_not_take_a_lost_pair_for_an_absent_one),
        TEST(test_snapshot_lmdb_refuses_an_older_root_under_the_newest_meta),
        TEST(test_snapshot_lmdb_single_flips_give_no_wrong_answer_and_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
