/* The lock file: 32 bytes of text for people ("pid 4711", padded), then the published LSN and its
 * complement, little-endian. The complement tells a reader that it caught a write half way. The LSN
 * stays when the owner goes: it was durable when it was published, so it is a safe lower bound ever
 * after. */
#include "engine/lock.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_SIZE = 32, PUBLISHED_SIZE = 16, LOOK_ATTEMPTS_MAX = 100 };

struct lock_file {
    struct io *io;
    struct io_file *file;
};

static enum wf_status read_view(struct io *io, struct io_file *file, struct lock_view *view,
                                struct wf_error *err) {
    uint8_t bytes[TEXT_SIZE + PUBLISHED_SIZE];
    view->owner_pid = 0;
    view->durable_lsn = 0;
    for (int attempt = 0; attempt < LOOK_ATTEMPTS_MAX; attempt++) {
        size_t got = 0;
        memset(bytes, 0, sizeof(bytes));
        enum wf_status status = io_read_all(io, file, 0, bytes, sizeof(bytes), &got, err);
        if (status != WF_OK) {
            return status;
        }
        char text[TEXT_SIZE + 1] = {0};
        memcpy(text, bytes, TEXT_SIZE);
        view->owner_pid = strncmp(text, "pid ", 4) == 0 ? strtoull(text + 4, NULL, 10) : 0;
        uint64_t lsn = bytes_load_u64(bytes + TEXT_SIZE);
        if (lsn == ~bytes_load_u64(bytes + TEXT_SIZE + 8)) {
            view->durable_lsn = lsn;
            return WF_OK;
        }
        if (got < sizeof(bytes)) {
            return WF_OK; /* nothing was published yet */
        }
    }
    return WF_OK;
}

static enum wf_status write_pid(struct lock_file *lock, struct wf_error *err) {
    char text[TEXT_SIZE + 1];
    int length = snprintf(text, sizeof(text), "pid %ld", (long)getpid());
    memset(text + length, ' ', (size_t)(TEXT_SIZE - length));
    text[TEXT_SIZE - 1] = '\n';
    return io_write_all(lock->io, lock->file, 0, text, TEXT_SIZE, err);
}

enum wf_status lock_acquire(struct io *io, const char *path, struct lock_file **out,
                            struct wf_error *err) {
    *out = NULL;
    struct lock_file *lock = calloc(1, sizeof(*lock));
    if (lock == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for the lock");
    }
    lock->io = io;
    enum wf_status status =
        io->ops->open(io, path, IO_READ | IO_WRITE | IO_CREATE, &lock->file, err);
    if (status != WF_OK) {
        free(lock);
        return status;
    }
    status = io->ops->lock(io, lock->file, err);
    if (status == WF_LOCKED) {
        struct lock_view view = {0};
        (void)read_view(io, lock->file, &view, NULL);
        const char *where = view.owner_pid == (uint64_t)getpid() ? " (this very process)" : "";
        status = error_set(err, WF_LOCKED, "%s is locked by process %" PRIu64 "%s", path,
                           view.owner_pid, where);
    }
    if (status == WF_OK) {
        status = write_pid(lock, err);
    }
    if (status != WF_OK) {
        lock_release(lock);
        return status;
    }
    *out = lock;
    return WF_OK;
}

enum wf_status lock_published(struct lock_file *lock, uint64_t *durable_lsn, struct wf_error *err) {
    struct lock_view view = {0};
    enum wf_status status = read_view(lock->io, lock->file, &view, err);
    *durable_lsn = status == WF_OK ? view.durable_lsn : 0;
    return status;
}

void lock_release(struct lock_file *lock) {
    if (lock != NULL) {
        lock->io->ops->close(lock->io, lock->file);
        free(lock);
    }
}

void lock_publish(struct lock_file *lock, uint64_t durable_lsn) {
    uint8_t bytes[PUBLISHED_SIZE];
    bytes_store_u64(bytes, durable_lsn);
    bytes_store_u64(bytes + 8, ~durable_lsn);
    (void)io_write_all(lock->io, lock->file, TEXT_SIZE, bytes, sizeof(bytes), NULL);
}

enum wf_status lock_look(struct io *io, const char *path, struct lock_view *view,
                         struct wf_error *err) {
    *view = (struct lock_view){0};
    struct io_file *file = NULL;
    enum wf_status status = io->ops->open(io, path, IO_READ, &file, err);
    if (status == WF_NOT_FOUND) {
        return WF_OK;
    }
    if (status != WF_OK) {
        return status;
    }
    status = io->ops->is_locked(io, file, &view->owned, err);
    if (status == WF_OK) {
        status = read_view(io, file, view, err);
    }
    io->ops->close(io, file);
    return status;
}
