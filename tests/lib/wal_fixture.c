#include "tests/lib/wal_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *wal_fixture_dir = "/wal";
const uint8_t wal_fixture_id[WAL_STORE_ID_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};

static void must(struct wal_fixture *fixture, enum wf_status status) {
    if (status != WF_OK)
        fail_msg("%s", fixture->err.text);
}

void wal_fixture_init(struct wal_fixture *fixture) {
    memset(fixture, 0, sizeof *fixture);
    fixture->sim = sim_io_create(1);
    fixture->io = sim_io_of(fixture->sim);
    fixture->options.segment_size = WAL_SEGMENT_SIZE_MIN;
    must(fixture, wal_create(fixture->io, wal_fixture_dir, wal_fixture_id, &fixture->options,
                             &fixture->err));
    wal_fixture_open(fixture);
}

void wal_fixture_deinit(struct wal_fixture *fixture) {
    wal_close(fixture->wal, NULL);
    assert_int_equal(sim_open_files(fixture->sim), 0);
    sim_io_destroy(fixture->sim);
}

size_t wal_fixture_payload(uint64_t lsn, uint8_t to[64]) {
    size_t size = 1 + (size_t)(lsn * 7 % 64);
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(lsn * 31 + i);
    return size;
}

enum wf_status wal_fixture_see(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct wal_fixture *fixture = ctx;
    (void)err;
    uint8_t payload[64];
    size_t size = wal_fixture_payload(record->lsn, payload);
    if (fixture->seen_count == 0)
        fixture->seen_first = record->lsn;
    else
        assert_int_equal(record->lsn, fixture->seen_last + 1);
    if (!record->lost) {
        assert_int_equal(record->payload.size, size);
        assert_memory_equal(record->payload.data, payload, size);
    }
    fixture->seen_lost += record->lost;
    fixture->seen_last = record->lsn;
    fixture->seen_count++;
    return WF_OK;
}

static void forget_seen(struct wal_fixture *fixture) {
    fixture->seen_first = 0;
    fixture->seen_last = 0;
    fixture->seen_count = 0;
    fixture->seen_lost = 0;
}

enum wf_status wal_fixture_try_open(struct wal_fixture *fixture, uint64_t minimum_lsn,
                                    const struct wal_position *from) {
    forget_seen(fixture);
    return wal_open(fixture->io, wal_fixture_dir, &fixture->options, from, minimum_lsn,
                    wal_fixture_see, fixture, &fixture->report, &fixture->wal, &fixture->err);
}

void wal_fixture_open(struct wal_fixture *fixture) {
    must(fixture, wal_fixture_try_open(fixture, 0, NULL));
}

void wal_fixture_close(struct wal_fixture *fixture) {
    must(fixture, wal_close(fixture->wal, &fixture->err));
    fixture->wal = NULL;
}

struct wal_ticket wal_fixture_append(struct wal_fixture *fixture, int count) {
    struct wal_ticket ticket = {.lsn = 0};
    for (int i = 0; i < count; i++) {
        uint8_t payload[64];
        size_t size = wal_fixture_payload(wal_next_lsn(fixture->wal), payload);
        must(fixture, wal_append(fixture->wal, payload, size, wal_cuts(fixture->wal), &ticket,
                                 &fixture->err));
    }
    return ticket;
}

struct wal_ticket wal_fixture_commit(struct wal_fixture *fixture, int count) {
    struct wal_ticket ticket = {.lsn = 0};
    for (int i = 0; i < count; i++) {
        ticket = wal_fixture_append(fixture, 1);
        must(fixture, wal_wait(fixture->wal, &ticket, &fixture->err));
    }
    return ticket;
}

void wal_fixture_crash(struct wal_fixture *fixture, size_t choice) {
    size_t choices = sim_crash_choices(fixture->sim);
    struct sim_io *left =
        choice == SIZE_MAX
            ? sim_io_clone(fixture->sim)
            : sim_crash_into(fixture->sim, choice < choices ? choice : choices - 1, 0);
    /* The process is dead: nothing that closing does may reach the disk that is left. */
    wal_close(fixture->wal, NULL);
    fixture->wal = NULL;
    sim_io_destroy(fixture->sim);
    fixture->sim = left;
    fixture->io = sim_io_of(left);
}

static char *path_of(const char *name) {
    char *path = io_path_join(wal_fixture_dir, name);
    assert_non_null(path);
    return path;
}

uint8_t *wal_fixture_load(struct wal_fixture *fixture, const char *name, size_t *size) {
    struct io *io = fixture->io;
    struct io_file *file;
    uint64_t file_size = 0;
    char *path = path_of(name);
    must(fixture, io->ops->open(io, path, IO_READ, &file, &fixture->err));
    must(fixture, io->ops->size(io, file, &file_size, &fixture->err));
    uint8_t *bytes = malloc((size_t)file_size + 1);
    assert_non_null(bytes);
    must(fixture, io_read_all(io, file, 0, bytes, (size_t)file_size, size, &fixture->err));
    io->ops->close(io, file);
    free(path);
    return bytes;
}

void wal_fixture_store(struct wal_fixture *fixture, const char *name, const void *bytes,
                       size_t size) {
    struct io *io = fixture->io;
    struct io_file *file;
    char *path = path_of(name);
    must(fixture, io->ops->open(io, path, IO_WRITE | IO_CREATE, &file, &fixture->err));
    must(fixture, io->ops->truncate(io, file, 0, &fixture->err));
    if (size > 0)
        must(fixture, io_write_all(io, file, 0, bytes, size, &fixture->err));
    must(fixture, io->ops->sync(io, file, &fixture->err));
    io->ops->close(io, file);
    must(fixture, io->ops->sync_directory(io, wal_fixture_dir, &fixture->err));
    free(path);
}

void wal_fixture_remove(struct wal_fixture *fixture, const char *name) {
    char *path = path_of(name);
    must(fixture, fixture->io->ops->remove(fixture->io, path, &fixture->err));
    must(fixture, fixture->io->ops->sync_directory(fixture->io, wal_fixture_dir, &fixture->err));
    free(path);
}

bool wal_fixture_exists(struct wal_fixture *fixture, const char *name) {
    enum io_kind kind;
    uint64_t size;
    char *path = path_of(name);
    must(fixture, fixture->io->ops->stat(fixture->io, path, &kind, &size, &fixture->err));
    free(path);
    return kind != IO_MISSING;
}

const char *wal_fixture_segment(uint64_t first_lsn) {
    static char name[32];
    snprintf(name, sizeof name, "%020" PRIu64 ".seg", first_lsn);
    return name;
}
