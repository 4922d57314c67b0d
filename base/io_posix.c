/* The machine: struct io over POSIX and Linux calls. The only file that knows errno. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fallocate, open-file-description locks, GNU strerror_r */
#endif

#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "file offsets need 64 bits: -D_FILE_OFFSET_BITS=64");

enum { CLOSED_BY_FORK = -1 };

/* One call never moves more: Linux stops at 2 GiB - 4 KiB anyway. */
enum { TRANSFER_SIZE_MAX = 1 << 30 };

struct io_file {
    int fd; /* or CLOSED_BY_FORK */
    bool locked;
    struct io_file *next_locked;
    char path[]; /* for error texts */
};

/* ---- Errors ---- */

static enum wf_status status_of_errno(int number) {
    switch (number) {
    case ENOENT:
        return WF_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return WF_FULL;
    case ENOMEM:
        return WF_NO_MEMORY;
    default:
        return WF_IO;
    }
}

/* "open wal/x.seg: Permission denied" */
static enum wf_status fail_path(struct wf_error *err, const char *call, const char *path,
                                int number) {
    char reason[128];
    return error_set(err, status_of_errno(number), "%s %s: %s", call, path,
                     strerror_r(number, reason, sizeof reason));
}

static enum wf_status fail_file(struct wf_error *err, const char *call, const struct io_file *file,
                                int number) {
    if (file->fd == CLOSED_BY_FORK)
        return error_set(err, WF_IO, "%s %s: closed by fork, a child cannot use it", call,
                         file->path);
    return fail_path(err, call, file->path, number);
}

/* "pwrite wal/x.seg at offset 4096: No space left on device" */
static enum wf_status fail_at(struct wf_error *err, const char *call, const struct io_file *file,
                              uint64_t offset, int number) {
    if (file->fd == CLOSED_BY_FORK)
        return fail_file(err, call, file, number);
    char reason[128];
    return error_set(err, status_of_errno(number), "%s %s at offset %" PRIu64 ": %s", call,
                     file->path, offset, strerror_r(number, reason, sizeof reason));
}

/* A failed sync is WF_IO whatever the errno says: what was written is in doubt. Keeps the text. */
static enum wf_status sync_failed(struct wf_error *err) {
    if (err != NULL)
        err->status = WF_IO;
    return WF_IO;
}

/* ---- Locked files and fork ----
 *
 * An open-file-description lock belongs to the description, which a forked child shares: the lock
 * would outlive its owner for as long as the child runs. So locked files are closed in a child.
 * That needs to know them: the one piece of global state in base/. The mutex is held across fork(),
 * so that the child never sees a list in the making nor a descriptor that was just closed or
 * reused. (A child made by vfork or posix_spawn loses the descriptor at exec, which is
 * close-on-exec.) */

static pthread_mutex_t locked_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct io_file *locked_first;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_handlers_error; /* errno number of pthread_atfork */

static void before_fork(void) {
    pthread_mutex_lock(&locked_mutex);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&locked_mutex);
}

static void after_fork_in_child(void) {
    while (locked_first != NULL) {
        struct io_file *file = locked_first;
        locked_first = file->next_locked;
        close(file->fd); /* and no F_UNLCK: that would unlock the parent's file */
        file->fd = CLOSED_BY_FORK;
        file->locked = false;
    }
    pthread_mutex_unlock(&locked_mutex);
}

static void install_fork_handlers(void) {
    fork_handlers_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static struct flock whole_file(short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
}

static enum wf_status posix_lock(struct io *io, struct io_file *file, struct wf_error *err) {
    (void)io;
    pthread_once(&fork_once, install_fork_handlers);
    if (fork_handlers_error != 0)
        return fail_file(err, "lock", file, fork_handlers_error);
    struct flock lock = whole_file(F_WRLCK);
    pthread_mutex_lock(&locked_mutex);
    int number = fcntl(file->fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
    if (number == 0 && !file->locked) {
        file->locked = true;
        file->next_locked = locked_first;
        locked_first = file;
    }
    pthread_mutex_unlock(&locked_mutex);
    if (number == EAGAIN || number == EACCES)
        return error_set(err, WF_LOCKED, "lock %s: held by another opener", file->path);
    return number == 0 ? WF_OK : fail_file(err, "lock", file, number);
}

static enum wf_status posix_is_locked(struct io *io, struct io_file *file, bool *locked,
                                      struct wf_error *err) {
    (void)io;
    struct flock lock = whole_file(F_WRLCK);
    if (fcntl(file->fd, F_OFD_GETLK, &lock) != 0)
        return fail_file(err, "query lock of", file, errno);
    *locked = lock.l_type != F_UNLCK;
    return WF_OK;
}

static void posix_close(struct io *io, struct io_file *file) {
    (void)io;
    if (file == NULL)
        return;
    /* Closed under the mutex too: a fork must not find a number that is another file by now. */
    pthread_mutex_lock(&locked_mutex);
    if (file->locked) {
        /* Said aloud, since a child just forked may not have closed its copy yet. */
        struct flock unlock = whole_file(F_UNLCK);
        (void)fcntl(file->fd, F_OFD_SETLK, &unlock);
        struct io_file **link = &locked_first;
        while (*link != file)
            link = &(*link)->next_locked;
        *link = file->next_locked;
    }
    if (file->fd != CLOSED_BY_FORK)
        (void)close(file->fd); /* EINTR included: on Linux the descriptor is gone */
    pthread_mutex_unlock(&locked_mutex);
    free(file);
}

/* ---- Files ---- */

static int open_retry(const char *path, int flags) {
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0640);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static enum wf_status check_regular(int fd, const char *path, struct wf_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_path(err, "fstat", path, errno);
    if (!S_ISREG(info.st_mode))
        return error_set(err, WF_IO, "open %s: not a regular file", path);
    return WF_OK;
}

static enum wf_status posix_open(struct io *io, const char *path, unsigned flags,
                                 struct io_file **out, struct wf_error *err) {
    (void)io;
    *out = NULL;
    /* First, so that a failed allocation leaves no new file behind. */
    size_t path_size = strlen(path) + 1;
    struct io_file *file = calloc(1, sizeof *file + path_size);
    if (file == NULL)
        return error_set(err, WF_NO_MEMORY, "open %s: no memory", path);
    memcpy(file->path, path, path_size);

    int mode = (flags & IO_WRITE) != 0 ? O_RDWR : O_RDONLY;
    mode |= (flags & IO_CREATE) != 0 ? O_CREAT : 0;
    mode |= (flags & IO_EXCLUSIVE) != 0 ? O_EXCL : 0;
    enum wf_status status;
    file->fd = open_retry(path, mode | O_NONBLOCK); /* a fifo must fail below, not block here */
    if (file->fd < 0) {
        status = errno == EEXIST ? error_set(err, WF_REFUSED, "open %s: it exists already", path)
                                 : fail_path(err, "open", path, errno);
        goto free_file;
    }
    status = check_regular(file->fd, path, err);
    if (status != WF_OK)
        goto close_fd;
    *out = file;
    return WF_OK;

close_fd:
    close(file->fd);
free_file:
    free(file);
    return status;
}

static enum wf_status posix_size(struct io *io, struct io_file *file, uint64_t *size_out,
                                 struct wf_error *err) {
    (void)io;
    struct stat info;
    if (fstat(file->fd, &info) != 0)
        return fail_file(err, "fstat", file, errno);
    *size_out = (uint64_t)info.st_size;
    return WF_OK;
}

static enum wf_status posix_read(struct io *io, struct io_file *file, uint64_t offset, void *data,
                                 size_t size, size_t *got, struct wf_error *err) {
    (void)io;
    ssize_t result;
    do {
        result = pread(file->fd, data, size < TRANSFER_SIZE_MAX ? size : TRANSFER_SIZE_MAX,
                       (off_t)offset);
    } while (result < 0 && errno == EINTR);
    *got = result < 0 ? 0 : (size_t)result;
    return result < 0 ? fail_at(err, "pread", file, offset, errno) : WF_OK;
}

/* Would a file that ends at `end` pass RLIMIT_FSIZE, or what an off_t can say? Asked before the
 * call, since the kernel answers with SIGXFSZ, which kills a host that did not think of it. */
static bool is_past_limit(uint64_t end) {
    struct rlimit limit;
    if (end > INT64_MAX)
        return true;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           end > limit.rlim_cur;
}

static enum wf_status posix_write(struct io *io, struct io_file *file, uint64_t offset,
                                  const void *data, size_t size, size_t *put,
                                  struct wf_error *err) {
    (void)io;
    *put = 0;
    if (size > UINT64_MAX - offset || is_past_limit(offset + size))
        return fail_at(err, "pwrite", file, offset, EFBIG);
    ssize_t result;
    do {
        result = pwrite(file->fd, data, size < TRANSFER_SIZE_MAX ? size : TRANSFER_SIZE_MAX,
                        (off_t)offset);
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return fail_at(err, "pwrite", file, offset, errno);
    *put = (size_t)result;
    return WF_OK;
}

static enum wf_status posix_sync(struct io *io, struct io_file *file, struct wf_error *err) {
    (void)io;
    /* Once, EINTR or not: after a failure the kernel may have marked the lost pages clean, and a
     * second call would answer 0 for data that never reached the disk. */
    if (fdatasync(file->fd) == 0)
        return WF_OK;
    /* ENOSPC comes from here too, for delayed allocation; it must not read as "nothing written". */
    (void)fail_file(err, "fdatasync", file, errno);
    return sync_failed(err);
}

static enum wf_status posix_truncate(struct io *io, struct io_file *file, uint64_t size,
                                     struct wf_error *err) {
    uint64_t size_now = 0;
    enum wf_status status = posix_size(io, file, &size_now, err);
    if (status != WF_OK)
        return status;
    if (size > size_now && is_past_limit(size))
        return fail_at(err, "ftruncate", file, size, EFBIG);
    int result;
    do {
        result = ftruncate(file->fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? WF_OK : fail_at(err, "ftruncate", file, size, errno);
}

static enum wf_status posix_preallocate(struct io *io, struct io_file *file, uint64_t size,
                                        struct wf_error *err) {
    uint64_t size_now = 0;
    enum wf_status status = posix_size(io, file, &size_now, err);
    if (status != WF_OK || size == 0)
        return status;
    if (size > size_now && is_past_limit(size))
        return fail_at(err, "fallocate", file, size, EFBIG);
    int result;
    do {
        result = fallocate(file->fd, 0, 0, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
        return WF_OK;
    return fail_at(err, "fallocate", file, size, errno);
}

/* ---- Names and directories ---- */

static enum wf_status posix_stat(struct io *io, const char *path, enum io_kind *kind,
                                 uint64_t *size, struct wf_error *err) {
    (void)io;
    struct stat info;
    *kind = IO_MISSING;
    *size = 0;
    if (stat(path, &info) != 0)
        return errno == ENOENT ? WF_OK : fail_path(err, "stat", path, errno);
    *kind = S_ISREG(info.st_mode) ? IO_REGULAR : S_ISDIR(info.st_mode) ? IO_DIRECTORY : IO_OTHER;
    *size = (uint64_t)info.st_size;
    return WF_OK;
}

static enum wf_status posix_list(struct io *io, const char *path, io_name_fn on_name, void *ctx,
                                 struct wf_error *err) {
    (void)io;
    int fd = open_retry(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_path(err, "open directory", path, errno);
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        int number = errno;
        close(fd);
        return fail_path(err, "open directory", path, number);
    }
    bool go_on = true;
    int number = 0;
    while (go_on) {
        errno = 0; /* the only way to tell the end from an error */
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            number = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            go_on = on_name(ctx, entry->d_name);
    }
    closedir(directory);
    return number == 0 ? WF_OK : fail_path(err, "read directory", path, number);
}

static enum wf_status posix_make_directory(struct io *io, const char *path, struct wf_error *err) {
    (void)io;
    if (mkdir(path, 0750) == 0)
        return WF_OK;
    if (errno == EEXIST)
        return error_set(err, WF_REFUSED, "mkdir %s: it exists already", path);
    return fail_path(err, "mkdir", path, errno);
}

static enum wf_status posix_rename(struct io *io, const char *from, const char *to,
                                   struct wf_error *err) {
    (void)io;
    if (rename(from, to) == 0)
        return WF_OK;
    int number = errno;
    char reason[128];
    return error_set(err, status_of_errno(number), "rename %s to %s: %s", from, to,
                     strerror_r(number, reason, sizeof reason));
}

static enum wf_status posix_remove(struct io *io, const char *path, struct wf_error *err) {
    (void)io;
    if (unlink(path) == 0)
        return WF_OK;
    if (errno != EISDIR)
        return fail_path(err, "unlink", path, errno);
    return rmdir(path) == 0 ? WF_OK : fail_path(err, "rmdir", path, errno);
}

static enum wf_status posix_sync_directory(struct io *io, const char *path, struct wf_error *err) {
    (void)io;
    int fd = open_retry(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_path(err, "open directory", path, errno);
    int number = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    if (number == 0)
        return WF_OK;
    (void)fail_path(err, "fsync directory", path, number);
    return sync_failed(err);
}

/* ---- Clock and randomness ---- */

static int64_t posix_time_ms(struct io *io) {
    (void)io;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t posix_monotonic_ns(struct io *io) {
    (void)io;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static enum wf_status posix_random(struct io *io, void *data, size_t size, struct wf_error *err) {
    (void)io;
    char *at = data;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            char reason[128];
            return error_set(err, status_of_errno(errno), "getrandom: %s",
                             strerror_r(errno, reason, sizeof reason));
        }
        at += got;
        size -= (size_t)got;
    }
    return WF_OK;
}

static const struct io_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .size = posix_size,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .truncate = posix_truncate,
    .preallocate = posix_preallocate,
    .lock = posix_lock,
    .is_locked = posix_is_locked,
    .stat = posix_stat,
    .list = posix_list,
    .make_directory = posix_make_directory,
    .rename = posix_rename,
    .remove = posix_remove,
    .sync_directory = posix_sync_directory,
    .time_ms = posix_time_ms,
    .monotonic_ns = posix_monotonic_ns,
    .random = posix_random,
    .point = NULL,
};

struct io *io_posix(void) {
    static struct io machine = {.ops = &posix_ops};
    return &machine;
}
