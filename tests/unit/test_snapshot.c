/* What every implementation of store/snapshot.h must do: each test runs against LMDB and against
 * the model. */
#include "engine/core/text.h"
#include "store/snapshot.h"
#include "tests/lib/sim_snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 256 };

struct fixture {
    struct sim_snapshots *disk; /* NULL: LMDB is tested */
    const struct snapshot_provider *provider;
    struct snapshot *snapshot;
    char root[PATH_BYTES];
    char dir[PATH_BYTES + 16];
    struct wf_error err;
};

static void open_again(struct fixture *f) {
    if (f->snapshot != NULL)
        f->snapshot->ops->close(f->snapshot);
    f->snapshot = NULL;
    assert_int_equal(
        f->provider->open(f->provider, io_posix(), f->dir, true, false, &f->snapshot, &f->err),
        WF_OK);
}

static int setup(void **state, bool model) {
    struct fixture *f = calloc(1, sizeof *f);
    const char *base = getenv("TMPDIR");
    snprintf(f->root, sizeof f->root, "%s/test_snapshot.XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->dir, sizeof f->dir, "%s/state", f->root);
    f->disk = model ? sim_snapshot_create() : NULL;
    f->provider = model ? sim_snapshot_provider(f->disk) : snapshot_lmdb();
    open_again(f);
    *state = f;
    return 0;
}

static int setup_lmdb(void **state) {
    return setup(state, false);
}

static int setup_model(void **state) {
    return setup(state, true);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    if (f->snapshot != NULL)
        f->snapshot->ops->close(f->snapshot);
    sim_snapshot_destroy(f->disk);
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static struct snapshot_change put(const char *key, const char *value) {
    return (struct snapshot_change){.key = text_view(key), .value = text_view(value)};
}

static struct snapshot_change removal(const char *key) {
    return (struct snapshot_change){.key = text_view(key)};
}

static enum wf_status try_commit(struct fixture *f, const struct snapshot_change *changes,
                                 size_t count, uint64_t lsn) {
    struct snapshot_meta meta = {.lsn = lsn, .size = 4};
    memcpy(meta.bytes, "head", 4);
    return f->snapshot->ops->commit(f->snapshot, changes, count, &meta, &f->err);
}

static void commit(struct fixture *f, const struct snapshot_change *changes, size_t count,
                   uint64_t lsn) {
    assert_int_equal(try_commit(f, changes, count, lsn), WF_OK);
}

static void refresh(struct fixture *f) {
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
}

static void assert_value(struct fixture *f, const char *key, const char *expected) {
    struct bytes_view value;
    enum wf_status status = f->snapshot->ops->get(f->snapshot, text_view(key), &value, &f->err);
    if (expected == NULL) {
        assert_int_equal(status, WF_NOT_FOUND);
        return;
    }
    assert_int_equal(status, WF_OK);
    assert_int_equal(value.size, strlen(expected));
    assert_memory_equal(value.data, expected, value.size);
}

/* The keys of a walk, each followed by a blank. */
static enum wf_status join_keys(void *ctx, struct bytes_view key, struct bytes_view value,
                                struct wf_error *err) {
    (void)value;
    (void)err;
    char *text = ctx;
    snprintf(text + strlen(text), 16, "%.*s ", (int)key.size, (const char *)key.data);
    return WF_OK;
}

static void assert_walk(struct fixture *f, const char *from, const char *prefix,
                        const char *expected) {
    char text[256] = "";
    assert_int_equal(f->snapshot->ops->walk(f->snapshot, text_view(from), text_view(prefix),
                                            join_keys, text, &f->err),
                     WF_OK);
    assert_string_equal(text, expected);
}

static void test_snapshot_new_one_is_empty(void **state) {
    struct fixture *f = *state;
    struct snapshot_meta meta;
    uint64_t bytes;
    uint64_t entries;
    assert_false(f->snapshot->ops->meta(f->snapshot, &meta));
    assert_value(f, "a", NULL);
    assert_walk(f, "", "", "");
    f->snapshot->ops->sizes(f->snapshot, &bytes, &entries);
    assert_int_equal(entries, 0);
}

static void test_snapshot_missing_one_is_not_found(void **state) {
    struct fixture *f = *state;
    struct snapshot *other = (struct snapshot *)f;
    char dir[PATH_BYTES + 16];
    snprintf(dir, sizeof dir, "%s/none", f->root);
    assert_int_equal(f->provider->open(f->provider, io_posix(), dir, false, false, &other, &f->err),
                     WF_NOT_FOUND);
    assert_null(other);
    assert_int_equal(f->provider->open(f->provider, io_posix(), dir, false, true, &other, &f->err),
                     WF_NOT_FOUND);
}

static void test_snapshot_shows_a_commit_after_refresh_only(void **state) {
    struct fixture *f = *state;
    struct snapshot_meta meta;
    struct snapshot_change first = put("a", "1");
    struct snapshot_change second = put("a", "2");
    commit(f, &first, 1, 5);
    assert_value(f, "a", NULL);
    assert_false(f->snapshot->ops->meta(f->snapshot, &meta));
    refresh(f);
    assert_value(f, "a", "1");
    commit(f, &second, 1, 6);
    assert_value(f, "a", "1");
    assert_true(f->snapshot->ops->meta(f->snapshot, &meta));
    assert_int_equal(meta.lsn, 5);
    refresh(f);
    assert_value(f, "a", "2");
    assert_true(f->snapshot->ops->meta(f->snapshot, &meta));
    assert_int_equal(meta.lsn, 6);
    assert_int_equal(meta.size, 4);
    assert_memory_equal(meta.bytes, "head", 4);
}

static void test_snapshot_view_outlives_a_commit(void **state) {
    struct fixture *f = *state;
    struct snapshot_change first = put("a", "old");
    struct snapshot_change second = put("a", "new");
    struct bytes_view value;
    commit(f, &first, 1, 1);
    refresh(f);
    assert_int_equal(f->snapshot->ops->get(f->snapshot, text_view("a"), &value, &f->err), WF_OK);
    for (uint64_t lsn = 2; lsn < 20; lsn++)
        commit(f, &second, 1, lsn);
    assert_memory_equal(value.data, "old", 3);
    assert_value(f, "a", "old");
}

static void test_snapshot_survives_reopening(void **state) {
    struct fixture *f = *state;
    struct snapshot_change changes[] = {put("a", "1"), put("b", "2"), put("c", "")};
    struct snapshot_meta meta;
    uint64_t bytes;
    uint64_t entries;
    commit(f, changes, 3, 9);
    open_again(f);
    assert_value(f, "a", "1");
    assert_value(f, "c", "");
    assert_true(f->snapshot->ops->meta(f->snapshot, &meta));
    assert_int_equal(meta.lsn, 9);
    f->snapshot->ops->sizes(f->snapshot, &bytes, &entries);
    assert_int_equal(entries, 3);
    assert_true(bytes > 0);
}

static void test_snapshot_deletes_and_ignores_missing_keys(void **state) {
    struct fixture *f = *state;
    struct snapshot_change first[] = {put("a", "1"), put("b", "2")};
    struct snapshot_change second[] = {removal("a"), removal("aa"), removal("z")};
    commit(f, first, 2, 1);
    commit(f, second, 3, 2);
    refresh(f);
    assert_value(f, "a", NULL);
    assert_value(f, "b", "2");
    assert_walk(f, "", "", "b ");
}

static void test_snapshot_commits_a_meta_without_changes(void **state) {
    struct fixture *f = *state;
    struct snapshot_meta meta;
    commit(f, NULL, 0, 77);
    open_again(f);
    assert_true(f->snapshot->ops->meta(f->snapshot, &meta));
    assert_int_equal(meta.lsn, 77);
    assert_walk(f, "", "", "");
}

static void test_snapshot_keeps_the_largest_meta_and_key(void **state) {
    struct fixture *f = *state;
    static struct snapshot_meta meta;
    static struct snapshot_meta read;
    char key[SNAPSHOT_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    meta.lsn = 3;
    meta.size = SNAPSHOT_META_MAX;
    memset(meta.bytes, 0xA5, sizeof meta.bytes);
    struct snapshot_change change = {
        .key = {.data = (const uint8_t *)key, .size = SNAPSHOT_KEY_MAX}, .value = text_view("v")};
    assert_int_equal(f->snapshot->ops->commit(f->snapshot, &change, 1, &meta, &f->err), WF_OK);
    meta.size = SNAPSHOT_META_MAX + 1;
    assert_int_equal(f->snapshot->ops->commit(f->snapshot, &change, 1, &meta, &f->err), WF_USAGE);
    meta.size = 0;
    change.key.size = SNAPSHOT_KEY_MAX + 1;
    assert_int_equal(f->snapshot->ops->commit(f->snapshot, &change, 1, &meta, &f->err), WF_USAGE);
    refresh(f);
    assert_true(f->snapshot->ops->meta(f->snapshot, &read));
    assert_int_equal(read.size, SNAPSHOT_META_MAX);
    assert_memory_equal(read.bytes, meta.bytes, sizeof read.bytes);
    struct bytes_view value;
    change.key.size = SNAPSHOT_KEY_MAX;
    assert_int_equal(f->snapshot->ops->get(f->snapshot, change.key, &value, &f->err), WF_OK);
}

static void test_snapshot_keeps_a_value_larger_than_a_page(void **state) {
    struct fixture *f = *state;
    enum { SIZE = 100000 };
    uint8_t *large = malloc(SIZE);
    assert_non_null(large);
    for (size_t i = 0; i < SIZE; i++)
        large[i] = (uint8_t)(i * 7);
    struct snapshot_change change = {.key = text_view("large"),
                                     .value = {.data = large, .size = SIZE}};
    struct bytes_view value;
    commit(f, &change, 1, 1);
    open_again(f);
    assert_int_equal(f->snapshot->ops->get(f->snapshot, text_view("large"), &value, &f->err),
                     WF_OK);
    assert_int_equal(value.size, SIZE);
    assert_memory_equal(value.data, large, SIZE);
    free(large);
}

static void test_snapshot_takes_the_empty_key_and_zero_bytes(void **state) {
    struct fixture *f = *state;
    static const uint8_t zero[1] = {0};
    struct snapshot_change changes[] = {
        {.key = {.data = zero, .size = 0}, .value = text_view("empty")},
        {.key = {.data = zero, .size = 1}, .value = text_view("zero")},
    };
    struct bytes_view value;
    commit(f, changes, 2, 1);
    refresh(f);
    assert_value(f, "", "empty");
    assert_int_equal(f->snapshot->ops->get(f->snapshot, changes[1].key, &value, &f->err), WF_OK);
    assert_memory_equal(value.data, "zero", 4);
}

static void test_snapshot_refuses_changes_out_of_order(void **state) {
    struct fixture *f = *state;
    struct snapshot_change swapped[] = {put("b", "1"), put("a", "2")};
    struct snapshot_change doubled[] = {put("a", "1"), put("a", "2")};
    assert_int_equal(try_commit(f, swapped, 2, 1), WF_USAGE);
    assert_int_equal(try_commit(f, doubled, 2, 1), WF_USAGE);
    refresh(f);
    assert_value(f, "a", NULL);
}

static void test_snapshot_walks_from_a_key_within_a_prefix(void **state) {
    struct fixture *f = *state;
    struct snapshot_change changes[] = {put("a", "1"),  put("b", "2"),  put("b1", "3"),
                                        put("b2", "4"), put("b3", "5"), put("c", "6")};
    commit(f, changes, 6, 1);
    refresh(f);
    assert_walk(f, "", "", "a b b1 b2 b3 c ");
    assert_walk(f, "b1", "", "b1 b2 b3 c ");
    assert_walk(f, "b", "b", "b b1 b2 b3 ");
    assert_walk(f, "b2", "b", "b2 b3 ");
    assert_walk(f, "b11", "b", "b2 b3 ");
    assert_walk(f, "d", "", "");
    assert_walk(f, "c", "b", "");
}

static enum wf_status stop_at_second(void *ctx, struct bytes_view key, struct bytes_view value,
                                     struct wf_error *err) {
    (void)key;
    (void)value;
    (void)err;
    return ++*(int *)ctx == 2 ? WF_REFUSED : WF_OK;
}

static void test_snapshot_walk_ends_with_the_callbacks_status(void **state) {
    struct fixture *f = *state;
    struct snapshot_change changes[] = {put("a", "1"), put("b", "2"), put("c", "3")};
    int calls = 0;
    commit(f, changes, 3, 1);
    refresh(f);
    assert_int_equal(f->snapshot->ops->walk(f->snapshot, text_view(""), text_view(""),
                                            stop_at_second, &calls, &f->err),
                     WF_REFUSED);
    assert_int_equal(calls, 2);
}

/* Looks up another key while the walk goes on; its own views must stay as they were. */
static enum wf_status look_up_first(void *ctx, struct bytes_view key, struct bytes_view value,
                                    struct wf_error *err) {
    struct fixture *f = ctx;
    (void)err;
    assert_value(f, "a", "1");
    assert_int_equal(key.size, 1);
    assert_int_equal(value.data[0], key.data[0] - 'a' + '1');
    return WF_OK;
}

static void test_snapshot_walk_allows_lookups(void **state) {
    struct fixture *f = *state;
    struct snapshot_change changes[] = {put("a", "1"), put("b", "2"), put("c", "3")};
    commit(f, changes, 3, 1);
    refresh(f);
    assert_int_equal(f->snapshot->ops->walk(f->snapshot, text_view(""), text_view(""),
                                            look_up_first, f, &f->err),
                     WF_OK);
}

static void test_snapshot_refuses_a_second_opener(void **state) {
    struct fixture *f = *state;
    struct snapshot *second;
    assert_int_equal(
        f->provider->open(f->provider, io_posix(), f->dir, true, false, &second, &f->err),
        WF_LOCKED);
    assert_int_equal(
        f->provider->open(f->provider, io_posix(), f->dir, false, true, &second, &f->err),
        WF_LOCKED);
    open_again(f);
}

static void test_snapshot_read_only_refuses_commits(void **state) {
    struct fixture *f = *state;
    struct snapshot_change change = put("a", "1");
    commit(f, &change, 1, 1);
    f->snapshot->ops->close(f->snapshot);
    assert_int_equal(
        f->provider->open(f->provider, io_posix(), f->dir, false, true, &f->snapshot, &f->err),
        WF_OK);
    assert_value(f, "a", "1");
    assert_int_equal(try_commit(f, &change, 1, 2), WF_USAGE);
}

static void test_snapshot_set_aside_makes_room_for_a_new_one(void **state) {
    struct fixture *f = *state;
    struct snapshot_change change = put("a", "1");
    for (unsigned n = 1; n <= 3; n++) {
        commit(f, &change, 1, 1);
        f->snapshot->ops->close(f->snapshot);
        f->snapshot = NULL;
        assert_int_equal(f->provider->set_aside(f->provider, io_posix(), f->dir, &f->err), WF_OK);
        struct snapshot *old;
        char aside[PATH_BYTES + 32];
        snprintf(aside, sizeof aside, "%s.damaged-%u", f->dir, n);
        assert_int_equal(
            f->provider->open(f->provider, io_posix(), aside, false, true, &old, &f->err), WF_OK);
        old->ops->close(old);
        open_again(f);
        assert_value(f, "a", NULL);
    }
}

static void test_snapshot_trim_changes_no_answer(void **state) {
    struct fixture *f = *state;
    struct snapshot_change changes[] = {put("a", "1"), put("b", "2")};
    commit(f, changes, 1, 1);
    commit(f, changes + 1, 1, 2);
    refresh(f);
    f->snapshot->ops->trim(f->snapshot);
    assert_value(f, "a", "1");
    assert_value(f, "b", "2");
}

/* ---- many random commits against a plain array ---- */

enum { KEYS = 2000, ROUNDS = 60, VALUE_MAX = 300 };

struct reference {
    unsigned version[KEYS]; /* 0: absent */
    size_t present;
};

static uint64_t next_random(uint64_t *random) {
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

static struct bytes_view make_value(size_t key, unsigned version, uint8_t *room) {
    size_t size = (key * 31 + version * 17) % VALUE_MAX;
    memset(room, (int)(key + version), size);
    return (struct bytes_view){.data = room, .size = size};
}

static struct bytes_view make_key(size_t key, char room[16]) {
    snprintf(room, 16, "k%08zu", key * 37);
    return text_view(room);
}

/* Change about one key in `sparseness`, three of four to a new value. */
static void commit_random(struct fixture *f, struct reference *reference, unsigned round,
                          uint64_t *random) {
    static char keys[KEYS][16];
    static uint8_t values[KEYS][VALUE_MAX];
    static struct snapshot_change changes[KEYS];
    size_t count = 0;
    uint64_t sparseness = 1 + next_random(random) % 40;
    uint64_t removals = next_random(random) % 5; /* of 4 */
    for (size_t key = 0; key < KEYS; key++) {
        if (next_random(random) % sparseness != 0)
            continue;
        bool removed = next_random(random) % 4 < removals;
        reference->present -= reference->version[key] != 0;
        reference->version[key] = removed ? 0 : round;
        reference->present += !removed;
        changes[count].key = make_key(key, keys[key]);
        changes[count].value =
            removed ? (struct bytes_view){0} : make_value(key, round, values[key]);
        count++;
    }
    commit(f, changes, count, round);
}

struct comparison {
    const struct reference *reference;
    size_t key;
    size_t seen;
};

static enum wf_status compare_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                   struct wf_error *err) {
    struct comparison *comparison = ctx;
    uint8_t room[VALUE_MAX];
    char key_room[16];
    (void)err;
    while (comparison->reference->version[comparison->key] == 0)
        comparison->key++;
    struct bytes_view expected_key = make_key(comparison->key, key_room);
    struct bytes_view expected =
        make_value(comparison->key, comparison->reference->version[comparison->key], room);
    assert_int_equal(key.size, expected_key.size);
    assert_memory_equal(key.data, expected_key.data, key.size);
    assert_int_equal(value.size, expected.size);
    assert_memory_equal(value.data, expected.data, value.size);
    comparison->key++;
    comparison->seen++;
    return WF_OK;
}

static void assert_same(struct fixture *f, const struct reference *reference) {
    struct comparison comparison = {.reference = reference};
    assert_int_equal(f->snapshot->ops->walk(f->snapshot, text_view(""), text_view(""), compare_pair,
                                            &comparison, &f->err),
                     WF_OK);
    assert_int_equal(comparison.seen, reference->present);
    for (size_t key = 0; key < KEYS; key++) {
        char key_room[16];
        struct bytes_view value;
        enum wf_status status =
            f->snapshot->ops->get(f->snapshot, make_key(key, key_room), &value, &f->err);
        assert_int_equal(status, reference->version[key] == 0 ? WF_NOT_FOUND : WF_OK);
    }
}

static void test_snapshot_agrees_with_an_array_after_random_commits(void **state) {
    struct fixture *f = *state;
    static struct reference reference;
    memset(&reference, 0, sizeof reference);
    uint64_t random = 20240607;
    print_message("seed %llu\n", (unsigned long long)random);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        commit_random(f, &reference, round, &random);
        if (round % 3 == 0)
            open_again(f);
        else
            refresh(f);
        assert_same(f, &reference);
    }
}

#define FOR_BOTH(X)                                                                                \
    X(test_snapshot_new_one_is_empty)                                                              \
    X(test_snapshot_missing_one_is_not_found)                                                      \
    X(test_snapshot_shows_a_commit_after_refresh_only)                                             \
    X(test_snapshot_view_outlives_a_commit)                                                        \
    X(test_snapshot_survives_reopening)                                                            \
    X(test_snapshot_deletes_and_ignores_missing_keys)                                              \
    X(test_snapshot_commits_a_meta_without_changes)                                                \
    X(test_snapshot_keeps_the_largest_meta_and_key)                                                \
    X(test_snapshot_keeps_a_value_larger_than_a_page)                                              \
    X(test_snapshot_takes_the_empty_key_and_zero_bytes)                                            \
    X(test_snapshot_refuses_changes_out_of_order)                                                  \
    X(test_snapshot_walks_from_a_key_within_a_prefix)                                              \
    X(test_snapshot_walk_ends_with_the_callbacks_status)                                           \
    X(test_snapshot_walk_allows_lookups)                                                           \
    X(test_snapshot_refuses_a_second_opener)                                                       \
    X(test_snapshot_read_only_refuses_commits)                                                     \
    X(test_snapshot_set_aside_makes_room_for_a_new_one)                                            \
    X(test_snapshot_trim_changes_no_answer)                                                        \
    X(test_snapshot_agrees_with_an_array_after_random_commits)

#define WITH_LMDB(test) cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown),
#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, setup_model, teardown),

int main(void) {
    const struct CMUnitTest lmdb[] = {FOR_BOTH(WITH_LMDB)};
    const struct CMUnitTest model[] = {FOR_BOTH(WITH_MODEL)};
    int failed = cmocka_run_group_tests_name("snapshot on lmdb", lmdb, NULL, NULL);
    return failed + cmocka_run_group_tests_name("snapshot in the model", model, NULL, NULL);
}
