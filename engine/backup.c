/* A consistent copy of a store, also while it is written to: its log and its archives, as a reader
 * sees them. It is made under another name, and compared before it gets its own. */
#include "engine/engine.h"
#include "engine/folder.h"
#include "engine/origin.h"

#include "store/archive_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPY_BLOCK = 1024 * 1024,
    COPY_ATTEMPTS_MAX = 5,
    ABOVE_MAX = 64, /* folders above a backup that are looked at */
};

static enum wf_status copy_bytes(struct io *io, struct io_file *from, struct io_file *to,
                                 uint64_t size, struct wf_error *err) {
    uint8_t *block = malloc(COPY_BLOCK);
    if (block == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to copy");
    }
    enum wf_status status = WF_OK;
    for (uint64_t at = 0; status == WF_OK && at < size;) {
        size_t want = size - at < COPY_BLOCK ? (size_t)(size - at) : COPY_BLOCK;
        size_t got = 0;
        status = io_read_all(io, from, at, block, want, &got, err);
        if (status == WF_OK && got < want) {
            status = error_set(err, WF_DAMAGE, "the file ended at offset %" PRIu64, at + got);
        }
        if (status == WF_OK) {
            status = io_write_all(io, to, at, block, got, err);
        }
        at += got;
    }
    free(block);
    return status == WF_OK ? io->ops->sync(io, to, err) : status;
}

static enum wf_status copy_segment(struct io *io, const char *from_dir, const char *to_dir,
                                   const struct wal_segment_info *info, struct wf_error *err) {
    char *from_path = io_path_join(from_dir, info->name);
    char *to_path = io_path_join(to_dir, info->name);
    struct io_file *from = NULL;
    struct io_file *to = NULL;
    enum wf_status status = WF_NO_MEMORY;
    if (from_path == NULL || to_path == NULL) {
        (void)error_set(err, WF_NO_MEMORY, "no memory for a path");
    } else {
        status = io->ops->open(io, from_path, IO_READ, &from, err);
        if (status == WF_OK) {
            status = io->ops->open(io, to_path, IO_WRITE | IO_CREATE, &to, err);
        }
        if (status == WF_OK) {
            status = io->ops->truncate(io, to, 0, err);
        }
        if (status == WF_OK) {
            status = copy_bytes(io, from, to, info->size, err);
        }
    }
    if (from != NULL) {
        io->ops->close(io, from);
    }
    if (to != NULL) {
        io->ops->close(io, to);
    }
    free(from_path);
    free(to_path);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "segment %s", info->name);
}

/* What stands for dropped records: read before it is copied, so that it is the original's file that
 * is named. WF_NOT_FOUND: a live owner dropped more meanwhile. */
static enum wf_status copy_origin(struct wf_engine *reader, const char *to_archive,
                                  struct wf_error *err) {
    struct wal_segment_info info = {.size = 0};
    uint64_t lsn = archive_dropped_lsn(reader->archive);
    enum io_kind kind;
    if (lsn == 0) {
        return WF_OK;
    }
    enum wf_status status = origin_read(reader->archive, err);
    if (status == WF_DAMAGE && archive_refresh(reader->archive, NULL) == WF_OK &&
        archive_dropped_lsn(reader->archive) != lsn) {
        return error_set(err, WF_NOT_FOUND, "more records were dropped meanwhile");
    }
    if (status != WF_OK) {
        return error_wrap(err, status, "%s cannot be copied", reader->dir);
    }
    archive_state_name(lsn, info.name);
    char *path = io_path_join(reader->archive_dir, info.name);
    status = path == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                          : reader->io->ops->stat(reader->io, path, &kind, &info.size, err);
    free(path);
    return status == WF_OK ? copy_segment(reader->io, reader->archive_dir, to_archive, &info, err)
                           : status;
}

/* A file that went since the manifest was read was dropped by a live owner: WF_NOT_FOUND, look
 * again. Else it is missing. */
static enum wf_status copy_archive(struct wf_engine *reader, const char *to_archive, size_t index,
                                   struct wf_error *err) {
    struct archive_entry entry;
    struct wal_segment_info info = {.size = 0};
    if (!archive_at(reader->archive, index, &entry) || entry.dropped_lsn != 0) {
        return WF_OK;
    }
    info.size = entry.size;
    memcpy(info.name, entry.name, sizeof(info.name));
    enum wf_status status = copy_segment(reader->io, reader->archive_dir, to_archive, &info, err);
    if (status != WF_NOT_FOUND || archive_refresh(reader->archive, NULL) != WF_OK ||
        archive_dropped_lsn(reader->archive) >= entry.last_lsn) {
        return status;
    }
    return error_set(err, WF_DAMAGE,
                     "archive %s, LSN %" PRIu64 " to %" PRIu64
                     ": the file is missing, and without it there is no whole copy: put %s/ back "
                     "as it was, or copy the whole folder while nobody owns it",
                     entry.name, entry.first_lsn, entry.last_lsn, engine_archive_name);
}

/* Copy the archives that the reader knows, then the manifest that names them. */
static enum wf_status copy_archives(struct wf_engine *reader, const char *to,
                                    struct wf_error *err) {
    struct io *io = reader->io;
    if (reader->archive == NULL || archive_count(reader->archive) == 0) {
        return WF_OK;
    }
    char *to_archive = io_path_join(to, engine_archive_name);
    enum wf_status status = to_archive == NULL
                                ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                                : io->ops->make_directory(io, to_archive, err);
    for (size_t i = 0; status == WF_OK && i < archive_count(reader->archive); i++) {
        status = copy_archive(reader, to_archive, i, err);
    }
    if (status == WF_OK) {
        status = copy_origin(reader, to_archive, err);
    }
    if (status == WF_OK) {
        status = archive_write_manifest(reader->archive, to_archive, err);
    }
    free(to_archive);
    return status;
}

/* Copy the log of an open reader into the folder `to`, names synced. */
static enum wf_status copy_log(struct wf_engine *reader, const char *to, struct wf_error *err) {
    struct io *io = reader->io;
    char *to_wal = io_path_join(to, engine_wal_name);
    if (to_wal == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    enum wf_status status = io->ops->make_directory(io, to, err);
    if (status == WF_OK) {
        status = io->ops->make_directory(io, to_wal, err);
    }
    struct wal_segment_info info;
    for (size_t i = 0; status == WF_OK && wal_segment_at(reader->wal, i, &info); i++) {
        status = copy_segment(io, reader->wal_dir, to_wal, &info, err);
    }
    if (status == WF_OK) {
        status = io->ops->sync_directory(io, to_wal, err);
    }
    if (status == WF_OK) {
        status = copy_archives(reader, to, err);
    }
    if (status == WF_OK) {
        status = io->ops->sync_directory(io, to, err);
    }
    free(to_wal);
    return status;
}

/* The copy must come to the same state as the original. */
static enum wf_status compare_copy(struct wf_engine *reader, const char *copy,
                                   struct wf_error *err) {
    struct wf_options options;
    wf_options_init(&options);
    options.read_only = true;
    struct wf_engine *second = NULL;
    struct wf_store_status original;
    struct wf_store_status copied;
    enum wf_status status = wf_status_get(reader, true, &original, err);
    if (status == WF_OK) {
        status = wf_open(copy, &options, &second, err);
    }
    if (status == WF_OK) {
        status = wf_status_get(second, true, &copied, err);
    }
    if (status == WF_OK && (original.durable_lsn != copied.durable_lsn ||
                            strcmp(original.state_hash, copied.state_hash) != 0)) {
        status = error_set(err, WF_DIVERGENCE,
                           "the copy ends at LSN %" PRIu64 " with state hash %s, the original at "
                           "LSN %" PRIu64 " with %s",
                           copied.durable_lsn, copied.state_hash, original.durable_lsn,
                           original.state_hash);
    }
    (void)wf_close(second, NULL);
    return status;
}

static enum wf_status open_no_snapshot(const struct snapshot_provider *provider, struct io *io,
                                       const char *dir, bool create, bool read_only,
                                       struct snapshot **out, struct wf_error *err) {
    (void)provider;
    (void)io;
    (void)create;
    (void)read_only;
    *out = NULL;
    return error_set(err, WF_NOT_FOUND, "%s is not looked at", dir);
}

/* A reader of the store. Where its snapshot is open in this very process, and cannot be opened
 * twice, one that has the whole state from the log. */
static enum wf_status open_source(struct io *io, const char *dir, struct wf_engine **reader,
                                  struct wf_error *err) {
    static const struct snapshot_provider log_only = {.open = open_no_snapshot};
    struct wf_options options;
    wf_options_init(&options);
    options.read_only = true;
    enum wf_status status = wf_open(dir, &options, reader, err);
    return status == WF_LOCKED ? engine_open(io, &log_only, dir, &options, reader, err) : status;
}

/* Copy what a reader sees, and compare. `*moved`: a live owner archived a segment under our hands.
 */
static enum wf_status copy_store(struct io *io, const char *dir, const char *partial, uint64_t *lsn,
                                 bool *moved, struct wf_error *err) {
    struct wf_engine *reader = NULL;
    enum wf_status status = open_source(io, dir, &reader, err);
    if (status != WF_OK) {
        return status;
    }
    status = copy_log(reader, partial, err);
    *moved = status == WF_NOT_FOUND;
    if (status == WF_OK) {
        status = compare_copy(reader, partial, err);
        if (status == WF_DAMAGE && err != NULL) {
            status = error_wrap(err, status,
                                "%s opens by its snapshot only, which is not copied, and the rest "
                                "has damage ('wfctl doctor' tells)",
                                dir);
        }
    }
    *lsn = wal_durable_lsn(reader->wal);
    (void)wf_close(reader, NULL);
    return status;
}

/* --- what a backup that failed or was killed left --- */

struct names {
    char (*all)[256];
    size_t count;
    bool failed;
};

static bool add_name(void *ctx, const char *name) {
    struct names *names = ctx;
    char(*more)[256] = realloc(names->all, (names->count + 1) * sizeof(*names->all));
    names->failed = more == NULL || strlen(name) >= sizeof(*more);
    names->all = more == NULL ? names->all : more;
    if (!names->failed) {
        memcpy(names->all[names->count++], name, strlen(name) + 1);
    }
    return !names->failed;
}

static enum wf_status list_names(struct io *io, const char *path, struct names *names,
                                 struct wf_error *err) {
    *names = (struct names){.count = 0};
    enum wf_status status = io->ops->list(io, path, add_name, names, err);
    return status == WF_OK && names->failed
               ? error_set(err, WF_NO_MEMORY, "no memory for the names in %s", path)
               : status;
}

/* Remove a folder that has files only. */
static enum wf_status remove_folder(struct io *io, const char *path, struct wf_error *err) {
    struct names names;
    enum wf_status status = list_names(io, path, &names, err);
    for (size_t i = 0; status == WF_OK && i < names.count; i++) {
        char *file = io_path_join(path, names.all[i]);
        status = file == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                              : io->ops->remove(io, file, err);
        free(file);
    }
    free(names.all);
    return status == WF_OK ? io->ops->remove(io, path, err) : status;
}

static bool is_of_a_copy(const char *name) {
    return strcmp(name, engine_wal_name) == 0 || strcmp(name, engine_archive_name) == 0;
}

/* Take away what an earlier attempt left under the name. Anything else there is somebody's, and
 * stays: WF_REFUSED. */
static enum wf_status clear_partial(struct io *io, const char *partial, struct wf_error *err) {
    enum io_kind kind;
    uint64_t size;
    struct names names = {.count = 0};
    enum wf_status status = io->ops->stat(io, partial, &kind, &size, err);
    if (status != WF_OK || kind == IO_MISSING) {
        return status;
    }
    if (kind != IO_DIRECTORY) {
        return error_set(err, WF_REFUSED, "%s is in the way: a backup is made under that name",
                         partial);
    }
    status = list_names(io, partial, &names, err);
    for (size_t i = 0; status == WF_OK && i < names.count; i++) {
        if (!is_of_a_copy(names.all[i])) {
            status = error_set(err, WF_REFUSED,
                               "%s is in the way: a backup is made under that name, and none left "
                               "%s in it",
                               partial, names.all[i]);
        }
    }
    for (size_t i = 0; status == WF_OK && i < names.count; i++) {
        char *folder = io_path_join(partial, names.all[i]);
        status = folder == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                                : remove_folder(io, folder, err);
        free(folder);
    }
    free(names.all);
    return status == WF_OK ? io->ops->remove(io, partial, err) : status;
}

/* --- all of it --- */

/* Copy and compare under the name `partial`. */
static enum wf_status make_partial(struct io *io, const char *dir, const char *partial,
                                   uint64_t *lsn, struct wf_error *err) {
    enum wf_status status = WF_OK;
    bool moved = true;
    for (int attempt = 0; attempt < COPY_ATTEMPTS_MAX && moved; attempt++) {
        moved = false;
        status = clear_partial(io, partial, err);
        if (status != WF_OK) {
            return status; /* nothing of ours is there */
        }
        status = copy_store(io, dir, partial, lsn, &moved, err);
    }
    if (status != WF_OK) {
        (void)clear_partial(io, partial, NULL);
    }
    return status;
}

static enum wf_status make_copy(struct io *io, const char *dir, const char *to, uint64_t *lsn,
                                struct wf_error *err) {
    size_t name_size = strlen(to) + sizeof(".partial");
    char *partial = malloc(name_size);
    char *parent = folder_parent(to); /* whatever can fail must fail before the rename */
    if (partial == NULL || parent == NULL) {
        free(parent);
        free(partial);
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    (void)snprintf(partial, name_size, "%s.partial", to);
    enum wf_status status = make_partial(io, dir, partial, lsn, err);
    /* Under its own name only when it is whole. */
    if (status == WF_OK) {
        status = io->ops->rename(io, partial, to, err);
        if (status != WF_OK) {
            (void)clear_partial(io, partial, NULL);
        }
    }
    if (status == WF_OK) {
        status = io->ops->sync_directory(io, parent, err);
    }
    free(parent);
    free(partial);
    return status;
}

/* The store in this folder; false: there is none whose log can be read. */
static bool identify(struct io *io, const char *dir, uint8_t store_id[WAL_STORE_ID_SIZE]) {
    char *wal_dir = io_path_join(dir, engine_wal_name);
    bool found = wal_dir != NULL && wal_identify(io, wal_dir, store_id, NULL) == WF_OK;
    free(wal_dir);
    return found;
}

/* A copy inside the store goes when the store does. The folders above are asked for by "..", so
 * that no link hides it; beyond the root they are the root again. */
static enum wf_status refuse_inside(struct io *io, const char *dir, const char *to,
                                    struct wf_error *err) {
    uint8_t own[WAL_STORE_ID_SIZE];
    uint8_t other[WAL_STORE_ID_SIZE];
    if (!identify(io, dir, own)) {
        return WF_OK; /* the copy will say what is wrong */
    }
    char *above = folder_parent(to);
    enum wf_status status = WF_OK;
    for (int i = 0; i < ABOVE_MAX && above != NULL && status == WF_OK; i++) {
        if (identify(io, above, other) && memcmp(own, other, sizeof(own)) == 0) {
            status = error_set(err, WF_REFUSED,
                               "%s would be inside the store: a backup goes elsewhere, best to "
                               "another disk",
                               to);
        }
        char *next = io_path_join(above, "..");
        free(above);
        above = next;
    }
    if (above == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    free(above);
    return status;
}

struct sought {
    const char *name;
    bool found;
};

static bool seek_name(void *ctx, const char *name) {
    struct sought *sought = ctx;
    sought->found |= strcmp(name, sought->name) == 0;
    return !sought->found;
}

/* Nothing is behind the name; so nothing must have it either, and its folder must be there: else
 * the rename at the end would fail. */
static enum wf_status check_name_is_free(struct io *io, const char *to, struct wf_error *err) {
    const char *slash = strrchr(to, '/');
    struct sought sought = {.name = slash == NULL ? to : slash + 1};
    enum io_kind kind = IO_MISSING;
    uint64_t size;
    char *parent = folder_parent(to);
    if (parent == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    enum wf_status status = io->ops->stat(io, parent, &kind, &size, err);
    if (status == WF_OK && kind != IO_DIRECTORY) {
        status = error_set(err, WF_NOT_FOUND, "there is no folder %s to make %s in", parent,
                           sought.name);
    }
    if (status == WF_OK) {
        status = io->ops->list(io, parent, seek_name, &sought, err);
    }
    if (status == WF_OK && sought.found) {
        status = error_set(err, WF_REFUSED,
                           "%s is a link to something that is not there: remove it, or take "
                           "another name",
                           to);
    }
    free(parent);
    return status;
}

static enum wf_status check_target(struct io *io, const char *dir, const char *to,
                                   struct wf_error *err) {
    enum io_kind kind;
    uint64_t size;
    if (to[0] == '\0') {
        return error_set(err, WF_USAGE, "the name of the folder to make is empty");
    }
    enum wf_status status = io->ops->stat(io, to, &kind, &size, err);
    if (status == WF_OK && kind != IO_MISSING) {
        status = error_set(err, WF_REFUSED, "%s exists already", to);
    }
    if (status == WF_OK) {
        status = check_name_is_free(io, to, err);
    }
    if (status == WF_OK) {
        status = engine_require_store(io, dir, err);
    }
    return status == WF_OK ? refuse_inside(io, dir, to, err) : status;
}

enum wf_status wf_backup(const char *dir, const char *to, uint64_t *lsn, struct wf_error *err) {
    struct io *io = io_posix();
    uint64_t own_lsn;
    char *name = strdup(to);
    if (name == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    for (size_t size = strlen(name); size > 1 && name[size - 1] == '/';) {
        name[--size] = '\0'; /* the name beside it is made of it */
    }
    enum wf_status status = check_target(io, dir, name, err);
    if (status == WF_OK) {
        status = make_copy(io, dir, name, lsn == NULL ? &own_lsn : lsn, err);
    }
    free(name);
    return status;
}
