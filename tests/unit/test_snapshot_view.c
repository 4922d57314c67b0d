/* Flips bits of a snapshot's pages in memory, far more of them than a test with files could: every
 * answer must stay right or become WF_DAMAGE. Above all no pair may be lost: WF_NOT_FOUND for a key
 * that is there. */
#include "store/snapshot_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

enum {
    PAIRS = 400,
    KEY_BYTES =
        201, /* long: a tree of three levels out of few pairs; odd: nodes without a padding byte */
    VALUE_BYTES = 60,
    PATH_BYTES = 256,
    FLAG_BRANCH = 1,
    NEAR = 20, /* pairs around a damaged leaf that are looked up */
};

/* Pair i has the key 2i + 1: the even numbers are absent. */
struct fixture {
    uint8_t *bytes;
    size_t size;
    struct snapshot_view view; /* of the bytes unharmed */
};

static void make_key(size_t number, struct snapshot_stored_key *key) {
    char text[KEY_BYTES + 1];
    snprintf(text, sizeof text, "%0*zu", (int)KEY_BYTES, number);
    /* Put the digits first, or all keys share their beginning and no flip there matters. */
    memmove(text, text + KEY_BYTES - 8, 8);
    snapshot_stored_key_make(key,
                             (struct bytes_view){.data = (const uint8_t *)text, .size = KEY_BYTES});
}

static void make_value(size_t number, uint8_t value[VALUE_BYTES]) {
    for (size_t i = 0; i < VALUE_BYTES; i++)
        value[i] = (uint8_t)(number * 13 + i);
}

static void commit_pairs(struct snapshot *snapshot) {
    static struct snapshot_stored_key keys[PAIRS];
    static uint8_t values[PAIRS][VALUE_BYTES];
    static struct snapshot_change changes[PAIRS];
    struct snapshot_meta meta = {.lsn = 1};
    for (size_t i = 0; i < PAIRS; i++) {
        make_key(2 * i + 1, &keys[i]);
        make_value(2 * i + 1, values[i]);
        changes[i].key = (struct bytes_view){.data = keys[i].bytes + 1, .size = keys[i].size - 1};
        changes[i].value = (struct bytes_view){.data = values[i], .size = VALUE_BYTES};
    }
    assert_int_equal(snapshot->ops->commit(snapshot, changes, PAIRS, &meta, NULL), WF_OK);
}

static enum wf_status load(struct fixture *f, struct snapshot_view *view) {
    return snapshot_view_load(view, f->bytes, f->size, f->size, 0, NULL);
}

static void load_file(struct fixture *f, const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    f->size = (size_t)status.st_size;
    f->bytes = malloc(f->size);
    FILE *in = fopen(path, "rb");
    assert_true(f->bytes != NULL && in != NULL);
    assert_int_equal(fread(f->bytes, 1, f->size, in), f->size);
    fclose(in);
    assert_int_equal(load(f, &f->view), WF_OK);
}

static int setup(void **state) {
    const struct snapshot_provider *provider = snapshot_lmdb();
    struct fixture *f = calloc(1, sizeof *f);
    struct snapshot *snapshot;
    char dir[PATH_BYTES];
    char path[PATH_BYTES + 16];
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/test_snapshot_view.XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(provider->open(provider, io_posix(), dir, true, false, &snapshot, NULL),
                     WF_OK);
    commit_pairs(snapshot);
    snapshot->ops->close(snapshot);
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    load_file(f, path);
    snprintf(path, sizeof path, "rm -rf '%s'", dir);
    assert_int_equal(system(path), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    free(f->bytes);
    free(f);
    return 0;
}

/* Look up every `stride`-th number in [first, end), odd ones present. True: some were reported as
 * damaged. A wrong answer fails the test. */
static bool look_up(const struct snapshot_view *view, size_t first, size_t end, size_t stride) {
    bool damage = false;
    for (size_t number = first; number < end; number += stride) {
        struct snapshot_stored_key key;
        uint8_t expected[VALUE_BYTES];
        struct bytes_view value;
        make_key(number, &key);
        make_value(number, expected);
        struct bytes_view stored = {.data = key.bytes, .size = key.size};
        enum wf_status status = snapshot_view_get(view, stored, &value, NULL);
        bool present = number % 2 == 1;
        if (status == WF_DAMAGE)
            damage = true;
        else if (status != (present ? WF_OK : WF_NOT_FOUND))
            fail_msg("key %zu: status %d", number, (int)status);
        else if (present &&
                 (value.size != VALUE_BYTES || memcmp(value.data, expected, value.size) != 0))
            fail_msg("key %zu: another value", number);
    }
    return damage;
}

static enum wf_status ignore_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                  struct wf_error *err) {
    (void)key;
    (void)value;
    (void)err;
    ++*(size_t *)ctx;
    return WF_OK;
}

/* A walk over all finds them all, or damage. */
static bool walk_finds_damage(const struct snapshot_view *view) {
    size_t seen = 0;
    enum wf_status status = snapshot_view_walk(view, (struct bytes_view){0}, (struct bytes_view){0},
                                               ignore_pair, &seen, NULL);
    assert_true(status == WF_DAMAGE || (status == WF_OK && seen == PAIRS));
    return status == WF_DAMAGE;
}

/* What is asked while a bit is flipped. Strides are odd, to meet present and absent keys alike. */
struct questions {
    size_t first;
    size_t end;
    size_t stride;
    bool walk;
};

/* Flip one bit, judge every answer, flip it back. True: the damage was noticed. */
static bool flip_and_judge(struct fixture *f, size_t offset, unsigned bit,
                           const struct questions *ask) {
    struct snapshot_view view;
    f->bytes[offset] ^= (uint8_t)(1u << bit);
    bool damage = load(f, &view) == WF_DAMAGE;
    if (!damage) {
        bool lookup = look_up(&view, ask->first, ask->end, ask->stride);
        bool walk = ask->walk && walk_finds_damage(&view);
        damage = lookup || walk;
        if (ask->walk && lookup && !walk)
            fail_msg("offset %zu, bit %u: the walk missed it", offset, bit);
    }
    f->bytes[offset] ^= (uint8_t)(1u << bit);
    return damage;
}

static unsigned load_u16(const uint8_t *at) {
    return (unsigned)(at[0] | at[1] << 8);
}

/* Is the byte at `offset` of a page in use? Its header's padding and its free space are not. */
static bool is_live(const uint8_t *page, size_t offset) {
    return offset < 8 || (offset >= 10 && offset < load_u16(page + 12)) ||
           offset >= load_u16(page + 14);
}

static void test_snapshot_view_unharmed_answers_rightly(void **state) {
    struct fixture *f = *state;
    assert_int_equal(f->view.tree.root.depth, 3);
    assert_false(look_up(&f->view, 0, 2 * PAIRS + 1, 1));
    assert_false(walk_finds_damage(&f->view));
}

static void test_snapshot_view_gives_no_wrong_answer_after_any_flip_in_the_root(void **state) {
    struct fixture *f = *state;
    size_t start = f->view.tree.root.page * f->view.tree.page_size;
    size_t flips = 0;
    for (size_t at = 0; at < f->view.tree.page_size; at++) {
        if (!is_live(f->bytes + start, at))
            continue;
        for (unsigned bit = 0; bit < 8; bit++, flips++)
            flip_and_judge(f, start + at, bit,
                           &(struct questions){0, 2 * PAIRS + 1, 5, bit == at % 8});
    }
    assert_true(flips > 1000);
}

static void test_snapshot_view_notices_every_flip_in_a_leaf(void **state) {
    struct fixture *f = *state;
    struct lmdb_cursor cursor;
    struct snapshot_stored_key key;
    bool exact;
    make_key(PAIRS + 1, &key);
    assert_int_equal(lmdb_cursor_seek(&cursor, &f->view.tree,
                                      (struct bytes_view){.data = key.bytes, .size = key.size},
                                      &exact, NULL),
                     WF_OK);
    assert_true(exact);
    const uint8_t *page = lmdb_cursor_leaf(&cursor)->page;
    size_t start = (size_t)(page - f->bytes);
    for (size_t at = 0; at < f->view.tree.page_size; at++) {
        if (!is_live(page, at))
            continue;
        for (unsigned bit = 0; bit < 8; bit++)
            if (!flip_and_judge(
                    f, start + at, bit,
                    &(struct questions){PAIRS + 1 - NEAR, PAIRS + 1 + NEAR, 3, bit == at % 8}))
                fail_msg("byte %zu, bit %u of the leaf: not noticed", at, bit);
    }
}

static void test_snapshot_view_notices_swapped_pairs(void **state) {
    struct fixture *f = *state;
    struct lmdb_cursor cursor;
    struct snapshot_view view;
    assert_int_equal(lmdb_cursor_last(&cursor, &f->view.tree, NULL), WF_OK);
    uint8_t *offsets = f->bytes + (lmdb_cursor_leaf(&cursor)->page - f->bytes) + 16;
    uint8_t first[2];
    memcpy(first, offsets, 2);
    memcpy(offsets, offsets + 2, 2);
    memcpy(offsets + 2, first, 2);
    assert_int_equal(load(f, &view), WF_OK);
    assert_true(look_up(&view, 0, 2 * PAIRS + 1, 1));
    assert_true(walk_finds_damage(&view));
}

static void test_snapshot_view_gives_no_wrong_answer_after_flips_anywhere(void **state) {
    struct fixture *f = *state;
    enum { FLIPS = 1000 };
    uint64_t random = 4242;
    size_t noticed = 0;
    print_message("seed %llu\n", (unsigned long long)random);
    for (unsigned i = 0; i < FLIPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t offset = (size_t)(random >> 24) % f->size;
        noticed += flip_and_judge(f, offset, (unsigned)(random >> 61),
                                  &(struct questions){0, 2 * PAIRS + 1, 7, true});
    }
    assert_true(noticed > FLIPS / 4);
}

static void test_snapshot_view_refuses_a_map_that_ends_early(void **state) {
    struct fixture *f = *state;
    struct snapshot_view view;
    for (size_t size = 0; size < f->size; size += 1000) {
        assert_int_equal(snapshot_view_load(&view, f->bytes, f->size, size, 0, NULL), WF_DAMAGE);
        assert_int_equal(snapshot_view_load(&view, f->bytes, size, f->size, 0, NULL), WF_DAMAGE);
    }
}

/* Add 1 to the number at `at` of the snapshot's record, and make the record's checksum fit. */
static void change_record(struct fixture *f, size_t at) {
    struct lmdb_cursor cursor;
    struct bytes_view key, value;
    assert_int_equal(lmdb_cursor_first(&cursor, &f->view.tree, NULL), WF_OK);
    assert_int_equal(lmdb_cursor_pair(&cursor, 0, &key, &value, NULL), WF_OK);
    uint8_t *stored = f->bytes + (value.data - f->bytes);
    struct bytes_view body = {stored + SNAPSHOT_CHECKSUM_BYTES,
                              value.size - SNAPSHOT_CHECKSUM_BYTES};
    stored[SNAPSHOT_CHECKSUM_BYTES + at]++;
    bytes_store_u32(stored, snapshot_pair_checksum(snapshot_record_key(), body));
}

/* As an older generation would look that a damaged page number leads to: whole, but not the one
 * that the meta page is about. */
static void test_snapshot_view_refuses_the_record_of_another_transaction(void **state) {
    struct fixture *f = *state;
    struct snapshot_view view;
    change_record(f, 8);
    assert_int_equal(load(f, &view), WF_DAMAGE);
}

/* Pairs that are whole, in order, and not those that were written. */
static void test_snapshot_view_walk_compares_the_sum_of_all_checksums(void **state) {
    struct fixture *f = *state;
    struct snapshot_view view;
    change_record(f, 32);
    assert_int_equal(load(f, &view), WF_OK);
    assert_true(walk_finds_damage(&view));
}

static void test_snapshot_view_misses_a_generation_that_is_gone(void **state) {
    struct fixture *f = *state;
    struct snapshot_view view;
    uint64_t txn = f->view.pages.txn;
    assert_int_equal(snapshot_view_load(&view, f->bytes, f->size, f->size, txn, NULL), WF_OK);
    assert_int_equal(snapshot_view_load(&view, f->bytes, f->size, f->size, txn + 2, NULL),
                     WF_NOT_FOUND);
}

/* CPU time of this thread that it takes to prepare so many changes of the pair `number`, in
 * nanoseconds: the best of five. */
static int64_t prepare_ns(const struct snapshot_view *view, size_t number) {
    enum { CHANGES = 2000 };
    static struct snapshot_change changes[CHANGES];
    struct snapshot_stored_key key;
    struct snapshot_totals totals;
    size_t append_from;
    int64_t best = INT64_MAX;
    make_key(number, &key);
    for (size_t i = 0; i < CHANGES; i++)
        changes[i] = (struct snapshot_change){.key = {key.bytes + 1, key.size - 1},
                                              .value = {key.bytes, VALUE_BYTES}};
    for (int i = 0; i < 5; i++) {
        struct timespec from;
        struct timespec to;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        assert_int_equal(snapshot_view_prepare(view, changes, CHANGES, &totals, &append_from, NULL),
                         WF_OK);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        int64_t ns = (to.tv_sec - from.tv_sec) * INT64_C(1000000000) + to.tv_nsec - from.tv_nsec;
        best = ns < best ? ns : best;
    }
    return best;
}

/* A snapshot after many commands with keys has thousands of new pairs for the same leaves. */
static void test_snapshot_view_checks_a_leaf_once_for_all_new_pairs(void **state) {
    struct fixture *f = *state;
    int64_t present_ns = prepare_ns(&f->view, PAIRS + 1);
    int64_t absent_ns = prepare_ns(&f->view, PAIRS);
    if (absent_ns > 2 * present_ns)
        fail_msg("%lld ns for what is new, %lld ns for what is there", (long long)absent_ns,
                 (long long)present_ns);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot_view_unharmed_answers_rightly),
        TEST(test_snapshot_view_gives_no_wrong_answer_after_any_flip_in_the_root),
        TEST(test_snapshot_view_notices_every_flip_in_a_leaf),
        TEST(test_snapshot_view_notices_swapped_pairs),
        TEST(test_snapshot_view_gives_no_wrong_answer_after_flips_anywhere),
        TEST(test_snapshot_view_refuses_a_map_that_ends_early),
        TEST(test_snapshot_view_refuses_the_record_of_another_transaction),
        TEST(test_snapshot_view_walk_compares_the_sum_of_all_checksums),
        TEST(test_snapshot_view_misses_a_generation_that_is_gone),
        TEST(test_snapshot_view_checks_a_leaf_once_for_all_new_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
