/* A snapshot in LMDB, in a temporary folder, for tests of its bytes, its limits and other
 * processes. Owns the folder and the open snapshot. */
#ifndef TESTS_LIB_LMDB_FIXTURE_H
#define TESTS_LIB_LMDB_FIXTURE_H

#include "store/snapshot.h"

enum { LMDB_PATH_BYTES = 256 };

struct lmdb_fixture {
    struct snapshot *snapshot; /* NULL: not open */
    char root[LMDB_PATH_BYTES];
    char dir[LMDB_PATH_BYTES + 16];
    char file[LMDB_PATH_BYTES + 32];
    char lock_file[LMDB_PATH_BYTES + 32];
    struct wf_error err;
};

/* As cmocka wants them; prepare only makes the folder, setup opens the snapshot too. */
int lmdb_fixture_prepare(void **state);
int lmdb_fixture_setup(void **state);
int lmdb_fixture_teardown(void **state);

enum wf_status lmdb_fixture_open(struct lmdb_fixture *f, bool read_only);
void lmdb_fixture_close(struct lmdb_fixture *f);

enum wf_status lmdb_commit_one(struct lmdb_fixture *f, const char *key, struct bytes_view value,
                               uint64_t lsn);
enum wf_status lmdb_get(struct lmdb_fixture *f, const char *key, struct bytes_view *value);
uint64_t lmdb_seen_lsn(struct lmdb_fixture *f);

/* --- many pairs: key i is "k000000i", its value depends on i and the generation --- */

enum { LMDB_PAIRS = 600, LMDB_VALUE_BYTES = 90 };

void lmdb_make_value(size_t i, unsigned generation, uint8_t value[LMDB_VALUE_BYTES]);
enum wf_status lmdb_commit_many(struct lmdb_fixture *f, size_t first, size_t count, size_t step,
                                unsigned generation);
/* Two generations: the second changed every third pair. */
void lmdb_fill(struct lmdb_fixture *f);
enum wf_status lmdb_get_number(struct lmdb_fixture *f, size_t i, struct bytes_view *value);
/* Is it the value that lmdb_fill() gave it? */
bool lmdb_is_right(size_t i, struct bytes_view value);
enum wf_status lmdb_walk_all(struct lmdb_fixture *f);
/* Commit until the map must have grown beyond its first 64 MiB. */
void lmdb_outgrow_map(struct lmdb_fixture *f, uint64_t first_lsn);

#endif
