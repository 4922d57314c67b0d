#include "tests/lib/lmdb_fixture.h"

#include "engine/core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGE_VALUE_BYTES = 30 << 20 };

enum wf_status lmdb_fixture_open(struct lmdb_fixture *f, bool read_only) {
    const struct snapshot_provider *provider = snapshot_lmdb();
    return provider->open(provider, io_posix(), f->dir, !read_only, read_only, &f->snapshot,
                          &f->err);
}

void lmdb_fixture_close(struct lmdb_fixture *f) {
    if (f->snapshot != NULL)
        f->snapshot->ops->close(f->snapshot);
    f->snapshot = NULL;
}

int lmdb_fixture_prepare(void **state) {
    struct lmdb_fixture *f = calloc(1, sizeof *f);
    const char *base = getenv("TMPDIR");
    assert_non_null(f);
    snprintf(f->root, sizeof f->root, "%s/test_snapshot_lmdb.XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->dir, sizeof f->dir, "%s/state", f->root);
    snprintf(f->file, sizeof f->file, "%s/data.mdb", f->dir);
    snprintf(f->lock_file, sizeof f->lock_file, "%s/lock.mdb", f->dir);
    *state = f;
    return 0;
}

int lmdb_fixture_setup(void **state) {
    int prepared = lmdb_fixture_prepare(state);
    assert_int_equal(lmdb_fixture_open(*state, false), WF_OK);
    return prepared;
}

int lmdb_fixture_teardown(void **state) {
    struct lmdb_fixture *f = *state;
    lmdb_fixture_close(f);
    char command[LMDB_PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

enum wf_status lmdb_commit_one(struct lmdb_fixture *f, const char *key, struct bytes_view value,
                               uint64_t lsn) {
    struct snapshot_change change = {.key = text_view(key), .value = value};
    struct snapshot_meta meta = {.lsn = lsn, .bytes = "state", .size = 5};
    return f->snapshot->ops->commit(f->snapshot, &change, 1, &meta, &f->err);
}

enum wf_status lmdb_get(struct lmdb_fixture *f, const char *key, struct bytes_view *value) {
    return f->snapshot->ops->get(f->snapshot, text_view(key), value, &f->err);
}

uint64_t lmdb_seen_lsn(struct lmdb_fixture *f) {
    struct snapshot_meta meta = {0};
    return f->snapshot->ops->meta(f->snapshot, &meta) ? meta.lsn : 0;
}

/* --- many pairs --- */

void lmdb_make_value(size_t i, unsigned generation, uint8_t value[LMDB_VALUE_BYTES]) {
    for (size_t at = 0; at < LMDB_VALUE_BYTES; at++)
        value[at] = (uint8_t)(i * 31 + generation * 101 + at);
}

enum wf_status lmdb_commit_many(struct lmdb_fixture *f, size_t first, size_t count, size_t step,
                                unsigned generation) {
    struct snapshot_change *changes = calloc(count, sizeof *changes);
    char(*keys)[16] = calloc(count, sizeof *keys);
    uint8_t(*values)[LMDB_VALUE_BYTES] = calloc(count, sizeof *values);
    struct snapshot_meta meta = {.lsn = generation};
    assert_true(changes != NULL && keys != NULL && values != NULL);
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "k%07zu", first + i * step);
        lmdb_make_value(first + i * step, generation, values[i]);
        changes[i].key = text_view(keys[i]);
        changes[i].value = (struct bytes_view){.data = values[i], .size = LMDB_VALUE_BYTES};
    }
    enum wf_status status = f->snapshot->ops->commit(f->snapshot, changes, count, &meta, &f->err);
    free(changes);
    free(keys);
    free(values);
    return status;
}

void lmdb_fill(struct lmdb_fixture *f) {
    assert_int_equal(lmdb_commit_many(f, 0, LMDB_PAIRS, 1, 1), WF_OK);
    assert_int_equal(lmdb_commit_many(f, 0, LMDB_PAIRS / 3, 3, 2), WF_OK);
}

enum wf_status lmdb_get_number(struct lmdb_fixture *f, size_t i, struct bytes_view *value) {
    char key[16];
    snprintf(key, sizeof key, "k%07zu", i);
    return lmdb_get(f, key, value);
}

bool lmdb_is_right(size_t i, struct bytes_view value) {
    uint8_t expected[LMDB_VALUE_BYTES];
    lmdb_make_value(i, i % 3 == 0 ? 2 : 1, expected);
    return value.size == LMDB_VALUE_BYTES && memcmp(value.data, expected, LMDB_VALUE_BYTES) == 0;
}

static enum wf_status ignore_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                  struct wf_error *err) {
    (void)ctx;
    (void)key;
    (void)value;
    (void)err;
    return WF_OK;
}

enum wf_status lmdb_walk_all(struct lmdb_fixture *f) {
    return f->snapshot->ops->walk(f->snapshot, text_view(""), text_view(""), ignore_pair, NULL,
                                  &f->err);
}

void lmdb_outgrow_map(struct lmdb_fixture *f, uint64_t first_lsn) {
    uint8_t *large = calloc(1, LARGE_VALUE_BYTES);
    assert_non_null(large);
    struct bytes_view value = {.data = large, .size = LARGE_VALUE_BYTES};
    static const char *const keys[] = {"large1", "large2", "large3"};
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(lmdb_commit_one(f, keys[i], value, first_lsn + i), WF_OK);
    free(large);
}
