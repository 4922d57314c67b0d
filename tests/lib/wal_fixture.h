/* A log on a simulated disk for the tests of wal/: made, filled with records whose payload follows
 * from their LSN, crashed, reopened and compared. Owns the disk and the open log; fails the running
 * cmocka test where a step that must work does not. */
#ifndef TESTS_LIB_WAL_FIXTURE_H
#define TESTS_LIB_WAL_FIXTURE_H

#include "tests/lib/sim_io.h"
#include "wal/wal.h"

struct wal_fixture {
    struct sim_io *sim;
    struct io *io;
    struct wal *wal; /* NULL: not open */
    struct wal_options options;
    struct wal_recovery report; /* of the last open */
    struct wf_error err;        /* of the last call that failed */
    uint64_t seen_first;        /* what the callback of the last open or walk was given */
    uint64_t seen_last;
    uint64_t seen_count;
    uint64_t seen_lost;
};

extern const char *wal_fixture_dir;
extern const uint8_t wal_fixture_id[WAL_STORE_ID_SIZE];

/* An empty log, open. */
void wal_fixture_init(struct wal_fixture *fixture);
void wal_fixture_deinit(struct wal_fixture *fixture);

/* The payload of the record `lsn`, 1 to 64 bytes; `to` has room for them. */
size_t wal_fixture_payload(uint64_t lsn, uint8_t to[64]);

/* Open with minimum_lsn 0 or as given. The callback checks that LSNs are dense and each payload is
 * right. */
enum wf_status wal_fixture_try_open(struct wal_fixture *fixture, uint64_t minimum_lsn,
                                    const struct wal_position *from);
void wal_fixture_open(struct wal_fixture *fixture);
void wal_fixture_close(struct wal_fixture *fixture); /* where it is open */
/* Append `count` records and wait once for all of them; or wait for each. */
struct wal_ticket wal_fixture_append(struct wal_fixture *fixture, int count);
struct wal_ticket wal_fixture_commit(struct wal_fixture *fixture, int count);
/* Lose what was not synced (`choice` 0) or nothing (SIZE_MAX) and go on on the disk that is left,
 * not open. */
void wal_fixture_crash(struct wal_fixture *fixture, size_t choice);
/* The callback used above; its ctx is the fixture. */
enum wf_status wal_fixture_see(void *ctx, const struct wal_record *record, struct wf_error *err);

/* Whole files, by their names in the log's directory. The bytes are the caller's to free. */
uint8_t *wal_fixture_load(struct wal_fixture *fixture, const char *name, size_t *size);
void wal_fixture_store(struct wal_fixture *fixture, const char *name, const void *bytes,
                       size_t size);
void wal_fixture_remove(struct wal_fixture *fixture, const char *name);
bool wal_fixture_exists(struct wal_fixture *fixture, const char *name);
/* The segment that begins with this LSN; static, until the next call. */
const char *wal_fixture_segment(uint64_t first_lsn);

#endif
