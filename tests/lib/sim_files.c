#include "tests/lib/sim_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { READ_MAX = 8192 };

struct io_file *sim_file_open(struct sim_io *sim, const char *path, unsigned flags) {
    struct io *io = sim_io_of(sim);
    struct io_file *file;
    struct wf_error err;
    assert_int_equal(io->ops->open(io, path, flags, &file, &err), WF_OK);
    return file;
}

enum wf_status sim_file_write(struct sim_io *sim, struct io_file *file, uint64_t offset, char fill,
                              size_t size) {
    uint8_t data[READ_MAX];
    assert_true(size <= sizeof data);
    memset(data, fill, size);
    return io_write_all(sim_io_of(sim), file, offset, data, size, NULL);
}

enum wf_status sim_file_sync(struct sim_io *sim, struct io_file *file) {
    struct io *io = sim_io_of(sim);
    return io->ops->sync(io, file, NULL);
}

void sim_root_sync(struct sim_io *sim) {
    struct io *io = sim_io_of(sim);
    assert_int_equal(io->ops->sync_directory(io, "/", NULL), WF_OK);
}

void sim_file_close(struct sim_io *sim, struct io_file *file) {
    struct io *io = sim_io_of(sim);
    io->ops->close(io, file);
}

void sim_file_make(struct sim_io *sim, const char *path, char fill, size_t size) {
    struct io_file *file = sim_file_open(sim, path, IO_WRITE | IO_CREATE);
    assert_int_equal(sim_file_write(sim, file, 0, fill, size), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    sim_file_close(sim, file);
    sim_root_sync(sim);
    assert_int_equal(sim_pending_count(sim), 0);
}

bool sim_file_exists(struct sim_io *sim, const char *path) {
    struct io *io = sim_io_of(sim);
    enum io_kind kind;
    uint64_t size;
    assert_int_equal(io->ops->stat(io, path, &kind, &size, NULL), WF_OK);
    return kind != IO_MISSING;
}

uint64_t sim_file_size(struct sim_io *sim, const char *path) {
    struct io *io = sim_io_of(sim);
    enum io_kind kind;
    uint64_t size;
    assert_int_equal(io->ops->stat(io, path, &kind, &size, NULL), WF_OK);
    return size;
}

int sim_file_byte(struct sim_io *sim, const char *path, uint64_t offset) {
    struct io_file *file = sim_file_open(sim, path, IO_READ);
    uint8_t byte = 0;
    size_t got;
    assert_int_equal(io_read_all(sim_io_of(sim), file, offset, &byte, 1, &got, NULL), WF_OK);
    assert_int_equal(got, 1);
    sim_file_close(sim, file);
    return byte;
}

unsigned sim_seen_after_crash(struct sim_io *sim, uint64_t rubbish,
                              unsigned (*look)(struct sim_io *after)) {
    unsigned seen = 0;
    size_t choices = sim_crash_choices(sim);
    for (size_t choice = 0; choice < choices; choice++) {
        struct sim_io *after = sim_crash_into(sim, choice, rubbish);
        seen |= 1U << look(after);
        sim_io_destroy(after);
    }
    return seen;
}

unsigned sim_look_new(struct sim_io *after) {
    return sim_file_byte(after, "f", 0) == 'n';
}

unsigned sim_look_two_sectors(struct sim_io *after) {
    return (sim_file_byte(after, "f", 0) == 'n' ? 1U : 0U) |
           (sim_file_byte(after, "f", SIM_SECTOR_SIZE) == 'n' ? 2U : 0U);
}

unsigned sim_look_exists(struct sim_io *after) {
    return sim_file_exists(after, "f");
}
