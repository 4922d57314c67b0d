/* Opening, closing and setting aside the LMDB snapshot. */
#include "store/snapshot_lmdb.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MODE = 0640, /* as every file of a store: base/io_posix.c */
    SET_ASIDE_MAX = 10000,
    NUMBER_DIGITS_MAX = 10,
};

static const uint64_t MAP_SIZE_START = (uint64_t)64 << 20; /* bytes; sparse, so it costs no disk */

static const char DATA_NAME[] = "data.mdb";
static const char LOCK_NAME[] = "lock.mdb";

/* ---- one environment per directory and process ----
 *
 * The only mutable global: POSIX record locks belong to the process, and LMDB loses the owner's
 * when a second environment of the same files is closed; nothing smaller than the process can
 * prevent that. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lmdb_snapshot *open_first;

static bool register_open(struct lmdb_snapshot *snapshot) {
    bool free_to_open = true;
    pthread_mutex_lock(&open_lock);
    for (const struct lmdb_snapshot *other = open_first; other != NULL; other = other->next_open)
        if (other->device == snapshot->device && other->inode == snapshot->inode &&
            other->pid == snapshot->pid)
            free_to_open = false;
    if (free_to_open) {
        snapshot->next_open = open_first;
        open_first = snapshot;
    }
    pthread_mutex_unlock(&open_lock);
    return free_to_open;
}

static void unregister_open(struct lmdb_snapshot *snapshot) {
    pthread_mutex_lock(&open_lock);
    for (struct lmdb_snapshot **at = &open_first; *at != NULL; at = &(*at)->next_open) {
        if (*at == snapshot) {
            *at = snapshot->next_open;
            break;
        }
    }
    pthread_mutex_unlock(&open_lock);
}

/* ---- opening ---- */

/* What lies in `dir`, before LMDB is let near it. */
struct found {
    bool present;
    bool has_lock_file;
    uint64_t map_size; /* bytes, that its meta page asks for */
};

static enum wf_status read_metas(struct io *io, struct io_file *file, struct lmdb_meta *newest,
                                 struct wf_error *err) {
    uint8_t pages[2][LMDB_META_BYTES];
    struct lmdb_meta metas[2] = {{0}, {0}};
    uint64_t offset = 0;
    for (uint64_t i = 0; i < 2; i++) {
        size_t got;
        enum wf_status status = io_read_all(io, file, offset, pages[i], sizeof pages[i], &got, err);
        if (status == WF_OK && got < sizeof pages[i])
            status = error_set(err, WF_DAMAGE, "cut within meta page %" PRIu64, i);
        if (status == WF_OK)
            status = lmdb_meta_parse(pages[i], i, &metas[i], err);
        if (status != WF_OK)
            return status;
        offset = metas[0].page_size;
    }
    uint64_t index = metas[1].txn > metas[0].txn ? 1 : 0;
    *newest = metas[index];
    return lmdb_meta_parse_roots(pages[index], newest, err);
}

static enum wf_status check_file(struct io *io, struct io_file *file, uint64_t *map_size,
                                 struct wf_error *err) {
    struct lmdb_meta newest;
    uint64_t size;
    enum wf_status status = read_metas(io, file, &newest, err);
    if (status == WF_OK)
        status = io->ops->size(io, file, &size, err);
    if (status != WF_OK)
        return status;
    *map_size = newest.map_size;
    if (newest.page_size > (size_t)sysconf(_SC_PAGESIZE))
        return error_set(err, WF_DAMAGE, "made on a machine with larger pages");
    if (size / newest.page_size <= newest.last_page)
        return error_set(err, WF_DAMAGE, "cut: %" PRIu64 " bytes, its last page is %" PRIu64, size,
                         newest.last_page);
    return WF_OK;
}

/* Look at the files through the seam: a file that is cut must not be mapped, for reading behind its
 * end kills. */
static enum wf_status look(struct io *io, const char *dir, bool read_only, struct found *found,
                           struct wf_error *err) {
    char *data_path = io_path_join(dir, DATA_NAME);
    char *lock_path = io_path_join(dir, LOCK_NAME);
    struct io_file *file = NULL;
    enum io_kind data_kind = IO_MISSING;
    enum io_kind lock_kind = IO_MISSING;
    uint64_t size = 0;
    uint64_t lock_size;
    enum wf_status status = WF_OK;
    if (data_path == NULL || lock_path == NULL)
        status = error_set(err, WF_NO_MEMORY, "a path");
    if (status == WF_OK)
        status = io->ops->stat(io, lock_path, &lock_kind, &lock_size, err);
    if (status == WF_OK)
        status = io->ops->stat(io, data_path, &data_kind, &size, err);
    found->has_lock_file = lock_kind == IO_REGULAR;
    /* An empty file is a crash at creation: nothing is in it yet. */
    found->present = data_kind != IO_MISSING && size > 0;
    found->map_size = 0;
    if (status == WF_OK && found->present)
        status = io->ops->open(io, data_path, IO_READ, &file, err);
    /* After a meta page that could not be written the page cache has the generation before, and the
     * disk may have the one that failed, whose pages the next commit uses again. */
    if (status == WF_OK && found->present && !read_only)
        status = io->ops->sync(io, file, err);
    if (status == WF_OK && found->present)
        status = check_file(io, file, &found->map_size, err);
    if (status == WF_DAMAGE)
        status = error_wrap(err, status, "%s", data_path);
    io->ops->close(io, file);
    free(data_path);
    free(lock_path);
    return status;
}

static enum wf_status sync_parent(struct io *io, const char *dir, struct wf_error *err) {
    char *parent = strdup(dir);
    if (parent == NULL)
        return error_set(err, WF_NO_MEMORY, "a path");
    enum wf_status status = io->ops->sync_directory(io, dirname(parent), err);
    free(parent);
    return status;
}

static enum wf_status make_directory(struct io *io, const char *dir, struct wf_error *err) {
    enum io_kind kind;
    uint64_t size;
    enum wf_status status = io->ops->stat(io, dir, &kind, &size, err);
    if (status != WF_OK || kind == IO_DIRECTORY)
        return status;
    status = io->ops->make_directory(io, dir, err);
    return status == WF_OK ? sync_parent(io, dir, err) : status;
}

static uint64_t start_map_size(uint64_t asked) {
    return asked > MAP_SIZE_START ? asked : MAP_SIZE_START;
}

static int open_environment(struct lmdb_snapshot *snapshot, const struct found *found,
                            unsigned extra_flags) {
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | extra_flags;
    int rc = mdb_env_create(&snapshot->env);
    if (rc != 0)
        return rc;
    rc = mdb_env_set_mapsize(snapshot->env, start_map_size(found->map_size));
    if (rc == 0)
        rc = mdb_env_open(snapshot->env, snapshot->dir, flags, FILE_MODE);
    if (rc == 0)
        rc = mdb_env_get_fd(snapshot->env, &snapshot->fd);
    if (rc != 0) {
        mdb_env_close(snapshot->env); /* as LMDB wants it after a failed open */
        snapshot->env = NULL;
    }
    return rc;
}

/* A reader takes part in the locking of the owner; where it cannot write the lock file, or would
 * have to make one, it reads without: its pages may then be used again under it, which the
 * checksums tell. */
static enum wf_status open_for_role(struct lmdb_snapshot *snapshot, const struct found *found,
                                    struct wf_error *err) {
    struct signal_guard guard;
    lmdb_hold_signal(&guard);
    unsigned flags = 0;
    if (snapshot->read_only)
        flags = found->has_lock_file ? MDB_RDONLY : MDB_RDONLY | MDB_NOLOCK;
    int rc = open_environment(snapshot, found, flags);
    if (snapshot->read_only && (rc == EACCES || rc == EROFS || rc == EPERM))
        rc = open_environment(snapshot, found, MDB_RDONLY | MDB_NOLOCK);
    lmdb_release_signal(&guard);
    if (rc != 0)
        return lmdb_fail(snapshot, rc, "open", err);
    if (!snapshot->read_only && (rc = mdb_reader_check(snapshot->env, NULL)) != 0)
        return lmdb_fail(snapshot, rc, "reader check", err);
    return WF_OK;
}

static void close_environment(struct lmdb_snapshot *snapshot) {
    if (snapshot->pin != NULL)
        mdb_txn_abort(snapshot->pin);
    if (snapshot->env != NULL)
        mdb_env_close(snapshot->env);
    snapshot->pin = NULL;
    snapshot->env = NULL;
    snapshot->fd = -1;
    snapshot->lmdb_map = NULL;
}

enum wf_status lmdb_reopen(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    struct found found;
    enum wf_status status = look(snapshot->io, snapshot->dir, false, &found, err);
    if (status == WF_OK && !found.present)
        status = error_set(err, WF_DAMAGE, "the file is gone");
    if (status != WF_OK)
        return lmdb_wrap(snapshot, status, err);
    close_environment(snapshot);
    status = open_for_role(snapshot, &found, err);
    if (status == WF_OK)
        status = lmdb_move_to_newest(snapshot, err);
    snapshot->broken = status != WF_OK;
    return status;
}

void lmdb_destroy(struct lmdb_snapshot *snapshot) {
    if (lmdb_is_forked(snapshot))
        return;
    close_environment(snapshot);
    if (snapshot->map != NULL)
        munmap((void *)(uintptr_t)snapshot->map, snapshot->map_size);
    unregister_open(snapshot);
    pthread_mutex_destroy(&snapshot->lock);
    free(snapshot->checked);
    free(snapshot->copy);
    free(snapshot->dir);
    free(snapshot);
}

static bool init_lock(pthread_mutex_t *lock) {
    pthread_mutexattr_t kind;
    if (pthread_mutexattr_init(&kind) != 0)
        return false;
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    bool made = pthread_mutex_init(lock, &kind) == 0;
    pthread_mutexattr_destroy(&kind);
    return made;
}

static enum wf_status create_struct(struct io *io, const char *dir, bool read_only,
                                    struct lmdb_snapshot **out, struct wf_error *err) {
    struct lmdb_snapshot *snapshot = calloc(1, sizeof *snapshot);
    char *copy = strdup(dir);
    if (snapshot == NULL || copy == NULL || !init_lock(&snapshot->lock)) {
        free(snapshot);
        free(copy);
        return error_set(err, WF_NO_MEMORY, "a snapshot");
    }
    snapshot->base.ops = lmdb_ops();
    snapshot->io = io;
    snapshot->dir = copy;
    snapshot->fd = -1;
    snapshot->pid = getpid();
    snapshot->read_only = read_only;
    snapshot->seen.empty = true;
    *out = snapshot;
    return WF_OK;
}

static enum wf_status register_directory(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    struct stat status;
    if (stat(snapshot->dir, &status) != 0)
        return lmdb_fail(snapshot, errno, "stat", err);
    snapshot->device = status.st_dev;
    snapshot->inode = status.st_ino;
    if (!register_open(snapshot))
        return error_set(err, WF_LOCKED, "snapshot %s: open in this process already",
                         snapshot->dir);
    return WF_OK;
}

static enum wf_status open_found(struct io *io, const char *dir, bool read_only,
                                 const struct found *found, struct snapshot **out,
                                 struct wf_error *err) {
    struct lmdb_snapshot *snapshot = NULL;
    enum wf_status status = create_struct(io, dir, read_only, &snapshot, err);
    if (status != WF_OK)
        return status;
    status = register_directory(snapshot, err);
    if (status == WF_OK)
        status = open_for_role(snapshot, found, err);
    if (status == WF_OK)
        status = lmdb_move_to_newest(snapshot, err);
    /* The names of new files must survive a crash before anything relies on them. */
    if (status == WF_OK && !found->present)
        status = io->ops->sync_directory(io, dir, err);
    if (status != WF_OK) {
        lmdb_destroy(snapshot);
        return status;
    }
    *out = &snapshot->base;
    return WF_OK;
}

static enum wf_status lmdb_open(const struct snapshot_provider *provider, struct io *io,
                                const char *dir, bool create, bool read_only, struct snapshot **out,
                                struct wf_error *err) {
    (void)provider;
    *out = NULL;
    struct found found;
    enum wf_status status = look(io, dir, read_only, &found, err);
    if (status != WF_OK)
        return status;
    if (!found.present && (read_only || !create))
        return error_set(err, WF_NOT_FOUND, "snapshot %s: there is none", dir);
    if (!found.present)
        status = make_directory(io, dir, err);
    return status == WF_OK ? open_found(io, dir, read_only, &found, out, err) : status;
}

static enum wf_status lmdb_set_aside(const struct snapshot_provider *provider, struct io *io,
                                     const char *dir, struct wf_error *err) {
    (void)provider;
    size_t size = strlen(dir) + sizeof ".damaged-" + NUMBER_DIGITS_MAX;
    char *target = malloc(size);
    if (target == NULL)
        return error_set(err, WF_NO_MEMORY, "a path");
    enum wf_status status = WF_OK;
    enum io_kind kind = IO_OTHER;
    for (unsigned n = 1; status == WF_OK && kind != IO_MISSING; n++) {
        uint64_t unused;
        snprintf(target, size, "%s.damaged-%u", dir, n);
        status = n > SET_ASIDE_MAX ? error_set(err, WF_IO, "%s: too many were set aside", dir)
                                   : io->ops->stat(io, target, &kind, &unused, err);
    }
    if (status == WF_OK)
        status = io->ops->rename(io, dir, target, err);
    free(target);
    return status == WF_OK ? sync_parent(io, dir, err) : status;
}

const struct snapshot_provider *snapshot_lmdb(void) {
    static const struct snapshot_provider provider = {.open = lmdb_open,
                                                      .set_aside = lmdb_set_aside};
    return &provider;
}
