/* The one seam to the host: disk, clock and randomness. Owns no policy: what a failure means is
 * decided by the caller. io_posix.c is the real implementation, tests/lib/sim_io.c a simulated disk
 * that loses what was not synced.
 *
 * Everything below `wal/`, `store/` and `engine/` that touches the machine goes through a
 * `struct io`, except LMDB, which does its own I/O behind store/snapshot.h. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;
struct io_file; /* defined by each implementation */

enum io_open_flags {
    IO_READ = 1 << 0,
    IO_WRITE = 1 << 1,     /* implies reading too */
    IO_CREATE = 1 << 2,    /* make the file where it is missing */
    IO_EXCLUSIVE = 1 << 3, /* with IO_CREATE: fail with WF_REFUSED where the file exists */
};

/* What `stat` tells. */
enum io_kind { IO_MISSING, IO_REGULAR, IO_DIRECTORY, IO_OTHER };

/* Called once per name in a directory, "." and ".." left out, in no order. Return false to stop. */
typedef bool (*io_name_fn)(void *ctx, const char *name);

/* All functions are thread-safe, except that one file's close must not race with its other calls.
 * Statuses: WF_NOT_FOUND (ENOENT), WF_FULL (ENOSPC, EDQUOT, EFBIG), WF_NO_MEMORY (ENOMEM),
 * WF_IO (all else); the text names the call, the path and the system's reason. */
struct io_ops {
    /* Open a regular file, close-on-exec. `*out` is NULL on failure. */
    enum wf_status (*open)(struct io *io, const char *path, unsigned flags, struct io_file **out,
                           struct wf_error *err);
    /* Release the file and whatever lock it holds. Takes NULL. Says nothing about durability. */
    void (*close)(struct io *io, struct io_file *file);

    enum wf_status (*size)(struct io *io, struct io_file *file, uint64_t *size_out,
                           struct wf_error *err);
    /* One pread (EINTR retried): `*got` < size means a short read; 0 the end of the file. */
    enum wf_status (*read)(struct io *io, struct io_file *file, uint64_t offset, void *data,
                           size_t size, size_t *got, struct wf_error *err);
    /* One pwrite (EINTR retried), maybe short: `*put` bytes went out. Use io_write_all(). Never
     * raises SIGXFSZ: a write past RLIMIT_FSIZE is WF_FULL. */
    enum wf_status (*write)(struct io *io, struct io_file *file, uint64_t offset, const void *data,
                            size_t size, size_t *put, struct wf_error *err);
    /* fdatasync, once: its failure is never retried here, and must not be by the caller. Always
     * WF_IO, for ENOSPC too: what was written before is in doubt. */
    enum wf_status (*sync)(struct io *io, struct io_file *file, struct wf_error *err);
    enum wf_status (*truncate)(struct io *io, struct io_file *file, uint64_t size,
                               struct wf_error *err);
    /* Reserve space up to `size` and extend the file to it with zeros (fallocate). Where the file
     * system cannot, succeed without effect. Never shrinks. After WF_FULL a part may be reserved
     * and the file longer: truncate() gives it back. */
    enum wf_status (*preallocate)(struct io *io, struct io_file *file, uint64_t size,
                                  struct wf_error *err);
    /* Take an exclusive open-file-description lock without waiting: WF_LOCKED where another holds
     * it. Released by close or by the death of the process: a child made by fork() finds a locked
     * file closed, so that it does not keep the lock. */
    enum wf_status (*lock)(struct io *io, struct io_file *file, struct wf_error *err);
    /* Would lock() find the file locked by somebody else? Takes nothing. */
    enum wf_status (*is_locked)(struct io *io, struct io_file *file, bool *locked,
                                struct wf_error *err);

    enum wf_status (*stat)(struct io *io, const char *path, enum io_kind *kind, uint64_t *size,
                           struct wf_error *err); /* IO_MISSING is WF_OK */
    enum wf_status (*list)(struct io *io, const char *path, io_name_fn on_name, void *ctx,
                           struct wf_error *err);
    enum wf_status (*make_directory)(struct io *io, const char *path,
                                     struct wf_error *err); /* WF_REFUSED where it exists */
    enum wf_status (*rename)(struct io *io, const char *from, const char *to,
                             struct wf_error *err); /* replaces `to` */
    enum wf_status (*remove)(struct io *io, const char *path,
                             struct wf_error *err); /* a file, or a directory that is empty */
    /* fsync the directory, so that names made, renamed or removed in it survive a crash. */
    enum wf_status (*sync_directory)(struct io *io, const char *path, struct wf_error *err);

    int64_t (*time_ms)(struct io *io);       /* wall clock, milliseconds since 1970 UTC */
    uint64_t (*monotonic_ns)(struct io *io); /* for durations only */
    enum wf_status (*random)(struct io *io, void *data, size_t size, struct wf_error *err);

    /* A named instant of the caller's work, "wal.before_sync" and the like: where a harness may
     * kill its own run. May be NULL; call io_point(). */
    void (*point)(struct io *io, const char *name);
};

/* An implementation embeds this as its first member. */
struct io {
    const struct io_ops *ops;
};

/* The machine itself. Owned by the library, never closed, safe from any thread. */
struct io *io_posix(void);

/* Write all of `data`, going on after short writes; a write of 0 bytes without an error is WF_IO.
 */
enum wf_status io_write_all(struct io *io, struct io_file *file, uint64_t offset, const void *data,
                            size_t size, struct wf_error *err);
/* Read until `size` bytes or the end of the file; `*got` says how many there were. */
enum wf_status io_read_all(struct io *io, struct io_file *file, uint64_t offset, void *data,
                           size_t size, size_t *got, struct wf_error *err);
/* Announce a named instant to the implementation, where it listens. */
void io_point(struct io *io, const char *name);

/* A path of `directory` and `name`, heap-allocated; NULL where memory fails. The caller frees. */
char *io_path_join(const char *directory, const char *name);
/* Does a file's name end in that, ".seg" or the like? */
bool io_name_ends_in(const char *name, const char *end);

#endif
