/* The snapshot in an LMDB environment: this file reads it, snapshot_lmdb_open.c opens and
 * snapshot_lmdb_commit.c writes it; nothing else calls LMDB.
 *
 * Division of labour. LMDB writes (copy on write, one synced transaction per generation) and,
 * through its lock file, keeps the pages of the generation that is being read from being used
 * again: `pin` is a read transaction that serves no other purpose. Everything that is read is read
 * through a map of our own by store/snapshot_view.c, which trusts no byte; LMDB would follow a
 * damaged page into a crash. Before LMDB changes a page, the way to it is checked there too.
 *
 * Threads. commit() runs beside get(): what they share is `lock`, held by every function that uses
 * the pin or the map that readers use, and by commit() only while the map grows (LMDB wants no
 * transaction in this process then) and while it announces a finished generation.
 *
 * Fork. An environment is of no use to a child process: LMDB's locks and reader slots belong to the
 * parent. In a child every call answers WF_USAGE (or nothing), and close() does
 * nothing: even the memory is left alone, for a lock in it may be held by a thread that is gone. */
#include "store/snapshot_lmdb.h"

#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { RENEW_TRIES_MAX = 100 };

static const uint64_t FREE_SPACE_MIN = (uint64_t)64 << 10; /* bytes; a disk with less is full */

/* ---- errors ---- */

/* LMDB turns a short write into EIO. Ask the system whether it was for want of space. */
static bool is_out_of_space(int fd) {
    struct statvfs disk;
    struct rlimit limit;
    struct stat file;
    if (fstatvfs(fd, &disk) == 0 && disk.f_bavail * disk.f_frsize < FREE_SPACE_MIN)
        return true;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           fstat(fd, &file) == 0 && (uint64_t)file.st_size + FREE_SPACE_MIN > limit.rlim_cur;
}

static enum wf_status status_of(int rc, int fd) {
    if (rc == ENOMEM)
        return WF_NO_MEMORY;
    if (rc == ENOENT)
        return WF_NOT_FOUND;
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == MDB_MAP_FULL)
        return WF_FULL;
    if (rc == EIO)
        return fd >= 0 && is_out_of_space(fd) ? WF_FULL : WF_IO;
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
        rc == MDB_VERSION_MISMATCH || rc == MDB_INCOMPATIBLE || rc == MDB_CURSOR_FULL)
        return WF_DAMAGE;
    return WF_IO;
}

enum wf_status lmdb_fail(const struct lmdb_snapshot *snapshot, int rc, const char *what,
                         struct wf_error *err) {
    enum wf_status status = status_of(rc, snapshot->env == NULL ? -1 : snapshot->fd);
    const char *reason = status == WF_FULL ? "no space left" : mdb_strerror(rc);
    return error_set(err, status, "snapshot %s: %s: %s", snapshot->dir, what, reason);
}

enum wf_status lmdb_wrap(const struct lmdb_snapshot *snapshot, enum wf_status status,
                         struct wf_error *err) {
    return error_wrap(err, status, "snapshot %s", snapshot->dir);
}

static sigset_t file_size_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    return set;
}

void lmdb_hold_signal(struct signal_guard *guard) {
    sigset_t set = file_size_signal();
    sigset_t pending;
    sigpending(&pending);
    guard->was_pending = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &set, &guard->before);
}

void lmdb_release_signal(const struct signal_guard *guard) {
    sigset_t set = file_size_signal();
    const struct timespec at_once = {0};
    while (!guard->was_pending && sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
        continue;
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

enum wf_status lmdb_enter(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    if (lmdb_is_forked(snapshot))
        return error_set(err, WF_USAGE, "snapshot %s: used in a forked child", snapshot->dir);
    pthread_mutex_lock(&snapshot->lock);
    if (!snapshot->broken)
        return WF_OK;
    pthread_mutex_unlock(&snapshot->lock);
    return error_set(err, WF_IO, "snapshot %s: could not be mapped again; reopen it",
                     snapshot->dir);
}

void lmdb_leave(struct lmdb_snapshot *snapshot) {
    pthread_mutex_unlock(&snapshot->lock);
}

/* Asked before the lock: a thread that held it at the fork does not exist in the child. */
bool lmdb_is_forked(const struct lmdb_snapshot *snapshot) {
    return snapshot->pid != getpid();
}

/* ---- map and pin; under `lock` ---- */

enum wf_status lmdb_file_size(const struct lmdb_snapshot *snapshot, uint64_t *size,
                              struct wf_error *err) {
    struct stat file;
    if (fstat(snapshot->fd, &file) != 0)
        return lmdb_fail(snapshot, errno, "stat", err);
    *size = (uint64_t)file.st_size;
    return WF_OK;
}

enum wf_status lmdb_map_file(struct lmdb_snapshot *snapshot, uint64_t size, struct wf_error *err) {
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, snapshot->fd, 0);
    if (map == MAP_FAILED)
        return lmdb_fail(snapshot, errno, "map", err);
    /* Lookups are random: read-ahead would fill memory with pages that nobody asked for. */
    madvise(map, size, MADV_RANDOM);
    if (snapshot->map != NULL)
        munmap((void *)(uintptr_t)snapshot->map, snapshot->map_size);
    snapshot->map = map;
    snapshot->map_size = size;
    return WF_OK;
}

/* Begin the pin, or move it to the newest generation, following a map that another process has
 * grown. */
static int renew_pin(struct lmdb_snapshot *snapshot) {
    int rc = MDB_SUCCESS;
    for (unsigned i = 0; i < RENEW_TRIES_MAX && rc == MDB_SUCCESS; i++) {
        rc = snapshot->pin != NULL ? mdb_txn_renew(snapshot->pin)
                                   : mdb_txn_begin(snapshot->env, NULL, MDB_RDONLY, &snapshot->pin);
        if (rc == MDB_SUCCESS)
            return MDB_SUCCESS;
        int dead_readers = 0;
        if (rc == MDB_MAP_RESIZED) {
            snapshot->lmdb_map = NULL;
            rc = mdb_env_set_mapsize(snapshot->env, 0);
        } else if (rc == MDB_READERS_FULL &&
                   mdb_reader_check(snapshot->env, &dead_readers) == MDB_SUCCESS &&
                   dead_readers > 0) {
            rc = MDB_SUCCESS; /* readers that died keep their slots until somebody looks */
        }
    }
    return rc == MDB_SUCCESS ? MDB_MAP_RESIZED : rc;
}

/* A new generation: none of its leaves was checked yet. Without memory each lookup checks anew. */
static void forget_checked(struct lmdb_snapshot *snapshot) {
    free(snapshot->checked);
    snapshot->checked = calloc(snapshot->seen.tree.pages / 64 + 1, sizeof(uint64_t));
    snapshot->seen.checked = snapshot->checked;
}

/* Load `seen` from the generation that is pinned. */
static enum wf_status load_pinned(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    MDB_envinfo info;
    uint64_t size = 0;
    enum wf_status status = lmdb_file_size(snapshot, &size, err);
    int rc = mdb_env_info(snapshot->env, &info);
    if (status == WF_OK && rc != 0)
        status = lmdb_fail(snapshot, rc, "info", err);
    if (status == WF_OK && info.me_mapsize > snapshot->map_size)
        status = lmdb_map_file(snapshot, info.me_mapsize, err);
    if (status != WF_OK)
        return status;
    uint64_t txn = mdb_txn_id(snapshot->pin);
    status = snapshot_view_load(&snapshot->seen, snapshot->map, snapshot->map_size, size, txn, err);
    if (status == WF_OK)
        forget_checked(snapshot);
    return status;
}

enum wf_status lmdb_move_to_newest(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (unsigned i = 0; i < RENEW_TRIES_MAX; i++) {
        int rc = renew_pin(snapshot);
        if (rc != 0)
            return lmdb_fail(snapshot, rc, "read transaction", err);
        status = load_pinned(snapshot, err);
        /* The owner may have committed twice since: then that generation's meta page is another's.
         */
        if (status != WF_NOT_FOUND)
            return status == WF_OK ? WF_OK : lmdb_wrap(snapshot, status, err);
        mdb_txn_reset(snapshot->pin);
    }
    return error_set(err, WF_IO, "snapshot %s: its owner commits faster than it can be read",
                     snapshot->dir);
}

/* ---- reading ---- */

static enum wf_status copy_value(struct lmdb_snapshot *snapshot, struct bytes_view *value,
                                 struct wf_error *err) {
    if (value->size > snapshot->copy_capacity || snapshot->copy == NULL) {
        uint8_t *grown = realloc(snapshot->copy, value->size + 1);
        if (grown == NULL)
            return error_set(err, WF_NO_MEMORY, "a value of %zu bytes", value->size);
        snapshot->copy = grown;
        snapshot->copy_capacity = value->size + 1;
    }
    if (value->size > 0)
        memcpy(snapshot->copy, value->data, value->size);
    value->data = snapshot->copy;
    return WF_OK;
}

/* The value is copied: so that a growing map, which is another map, cannot take it from the caller.
 */
static enum wf_status lmdb_get(struct snapshot *base, struct bytes_view key,
                               struct bytes_view *value, struct wf_error *err) {
    struct lmdb_snapshot *snapshot = (struct lmdb_snapshot *)base;
    if (key.size > SNAPSHOT_KEY_MAX)
        return error_set(err, WF_USAGE, "a key of %zu bytes", key.size);
    struct snapshot_stored_key stored;
    snapshot_stored_key_make(&stored, key);
    struct bytes_view stored_key = {.data = stored.bytes, .size = stored.size};
    enum wf_status status = lmdb_enter(snapshot, err);
    if (status != WF_OK)
        return status;
    status = snapshot_view_get(&snapshot->seen, stored_key, value, err);
    if (status == WF_OK)
        status = copy_value(snapshot, value, err);
    lmdb_leave(snapshot);
    return status == WF_DAMAGE ? lmdb_wrap(snapshot, status, err) : status;
}

/* Views go to the callback uncopied; a map that wants to grow waits for the walk's end. */
static enum wf_status lmdb_walk(struct snapshot *base, struct bytes_view from,
                                struct bytes_view prefix, snapshot_pair_fn on_pair, void *ctx,
                                struct wf_error *err) {
    struct lmdb_snapshot *snapshot = (struct lmdb_snapshot *)base;
    if (from.size > SNAPSHOT_KEY_MAX || prefix.size > SNAPSHOT_KEY_MAX)
        return error_set(err, WF_USAGE, "a key of more than %d bytes", SNAPSHOT_KEY_MAX);
    enum wf_status status = lmdb_enter(snapshot, err);
    if (status != WF_OK)
        return status;
    status = snapshot_view_walk(&snapshot->seen, from, prefix, on_pair, ctx, err);
    lmdb_leave(snapshot);
    return status;
}

static bool lmdb_meta(struct snapshot *base, struct snapshot_meta *meta) {
    struct lmdb_snapshot *snapshot = (struct lmdb_snapshot *)base;
    if (lmdb_enter(snapshot, NULL) != WF_OK)
        return false;
    bool present = !snapshot->seen.empty;
    if (present)
        *meta = snapshot->seen.meta;
    lmdb_leave(snapshot);
    return present;
}

static enum wf_status lmdb_refresh(struct snapshot *base, struct wf_error *err) {
    struct lmdb_snapshot *snapshot = (struct lmdb_snapshot *)base;
    enum wf_status status = lmdb_enter(snapshot, err);
    if (status != WF_OK)
        return status;
    mdb_txn_reset(snapshot->pin);
    status = lmdb_move_to_newest(snapshot, err);
    snapshot->broken = status != WF_OK;
    lmdb_leave(snapshot);
    return status;
}

static void lmdb_sizes(struct snapshot *base, uint64_t *file_bytes, uint64_t *entries) {
    struct lmdb_snapshot *snapshot = (struct lmdb_snapshot *)base;
    *file_bytes = 0;
    *entries = 0;
    if (lmdb_enter(snapshot, NULL) != WF_OK)
        return;
    *entries = snapshot->seen.totals.entries;
    (void)lmdb_file_size(snapshot, file_bytes, NULL);
    lmdb_leave(snapshot);
}

static void lmdb_trim(struct snapshot *base) {
    struct lmdb_snapshot *snapshot = (struct lmdb_snapshot *)base;
    if (lmdb_enter(snapshot, NULL) != WF_OK)
        return;
    /* Shared, file-backed and never written through: the next access maps the page again. */
    madvise((void *)(uintptr_t)snapshot->map, snapshot->map_size, MADV_DONTNEED);
    if (snapshot->lmdb_map != NULL)
        madvise(snapshot->lmdb_map, snapshot->lmdb_map_size, MADV_DONTNEED);
    lmdb_leave(snapshot);
}

static void lmdb_close(struct snapshot *base) {
    if (base != NULL)
        lmdb_destroy((struct lmdb_snapshot *)base);
}

const struct snapshot_ops *lmdb_ops(void) {
    static const struct snapshot_ops ops = {
        .close = lmdb_close,
        .get = lmdb_get,
        .walk = lmdb_walk,
        .meta = lmdb_meta,
        .commit = lmdb_commit,
        .refresh = lmdb_refresh,
        .trim = lmdb_trim,
        .sizes = lmdb_sizes,
    };
    return &ops;
}
