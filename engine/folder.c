#include "engine/folder.h"

#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first is told. */
static void note(char to[FOLDER_NAME_SIZE], const char *folder, const char *name) {
    if (to[0] == '\0') {
        (void)snprintf(to, FOLDER_NAME_SIZE, "%s%s%.200s", folder, folder[0] == '\0' ? "" : "/",
                       name);
    }
}

/* --- looking --- */

static bool see_name(void *ctx, const char *name) {
    struct folder *folder = ctx;
    const char *const own[] = {engine_wal_name, engine_snapshot_name, engine_lock_name,
                               engine_archive_name};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        size_t size = strlen(own[i]);
        if (strncmp(name, own[i], size) != 0) {
            continue;
        }
        if (name[size] == '.') { /* "state.damaged-1" and the like */
            note(folder->remains, "", name);
        }
        if (name[size] == '\0' || name[size] == '.') {
            return true;
        }
    }
    note(folder->foreign, "", name);
    return true;
}

/* A log begins with its first segment. Making it leaves nothing else than a segment under its
 * working name. */
static bool see_in_log(void *ctx, const char *name) {
    struct folder *folder = ctx;
    if (io_name_ends_in(name, ".seg")) {
        folder->has_log = true;
    } else if (!io_name_ends_in(name, ".tmp")) {
        note(folder->remains, engine_wal_name, name);
    }
    return true;
}

static bool see_in_snapshot(void *ctx, const char *name) {
    struct folder *folder = ctx;
    note(folder->remains, engine_snapshot_name, name);
    return false;
}

static bool see_in_archive(void *ctx, const char *name) {
    struct folder *folder = ctx;
    folder->has_archive = true;
    note(folder->remains, engine_archive_name, name);
    return false;
}

/* A lock file that vouches for records tells of a log. One that cannot be read is for whoever takes
 * it to complain of. */
static enum wf_status look_at_lock(struct io *io, const char *dir, bool *vouches,
                                   struct wf_error *err) {
    struct lock_view view;
    char *path = io_path_join(dir, engine_lock_name);
    *vouches = false;
    if (path == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    if (lock_look(io, path, &view, NULL) == WF_OK) {
        *vouches = view.durable_lsn > 0;
    }
    free(path);
    return WF_OK;
}

static enum wf_status look_into(struct io *io, const char *dir, const char *name, io_name_fn see,
                                struct folder *folder, struct wf_error *err) {
    enum io_kind kind;
    uint64_t size;
    char *path = io_path_join(dir, name);
    if (path == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    enum wf_status status = io->ops->stat(io, path, &kind, &size, err);
    if (status == WF_OK && kind != IO_MISSING) {
        status = io->ops->list(io, path, see, folder, err);
    }
    free(path);
    return status;
}

enum wf_status folder_look(struct io *io, const char *dir, struct folder *folder,
                           struct wf_error *err) {
    *folder = (struct folder){0};
    uint64_t size;
    enum wf_status status = io->ops->stat(io, dir, &folder->kind, &size, err);
    if (status != WF_OK || folder->kind == IO_MISSING) {
        return status;
    }
    if (folder->kind != IO_DIRECTORY) {
        return error_set(err, WF_REFUSED, "%s is no folder", dir);
    }
    /* Before the log: whoever makes the store at this instant publishes its records after that. */
    bool vouches;
    status = look_at_lock(io, dir, &vouches, err);
    if (status == WF_OK) {
        status = look_into(io, dir, engine_wal_name, see_in_log, folder, err);
    }
    if (status == WF_OK) {
        status = look_into(io, dir, engine_snapshot_name, see_in_snapshot, folder, err);
    }
    if (status == WF_OK) {
        status = look_into(io, dir, engine_archive_name, see_in_archive, folder, err);
    }
    if (status == WF_OK) {
        status = io->ops->list(io, dir, see_name, folder, err);
    }
    if (status == WF_OK && vouches) {
        note(folder->remains, "", "lock, which tells of durable records");
    }
    return status;
}

/* --- judging --- */

static enum wf_status refuse_remains(const struct folder *folder, const char *dir,
                                     struct wf_error *err) {
    return error_set(err, WF_DAMAGE,
                     "%s holds what a store left (%s) but no log: its %s/ was lost or moved away; "
                     "bring it back, or restore a backup into another folder. A new store is made "
                     "in an empty folder, not over the remains of another",
                     dir, folder->remains, engine_wal_name);
}

enum wf_status folder_refuse_archive(const struct folder *folder, const char *dir,
                                     struct wf_error *err) {
    if (!folder->has_archive) {
        return WF_OK;
    }
    return error_set(err, WF_DAMAGE,
                     "the log in %s is empty, but %s/ beside it is not: what was in the log is "
                     "lost. Bring it back, or restore a backup into another folder",
                     dir, engine_archive_name);
}

enum wf_status folder_judge(const struct folder *folder, const char *dir, bool create, bool *make,
                            struct wf_error *err) {
    *make = false;
    if (folder->has_log) {
        return WF_OK;
    }
    if (folder->remains[0] != '\0') {
        return refuse_remains(folder, dir, err);
    }
    if (folder->foreign[0] != '\0') {
        return error_set(err, create ? WF_REFUSED : WF_NOT_FOUND,
                         "%s is a folder of something else (it holds \"%s\"), not a store", dir,
                         folder->foreign);
    }
    if (!create) {
        return error_set(err, WF_NOT_FOUND, "there is no store in %s", dir);
    }
    *make = true;
    return WF_OK;
}

char *folder_parent(const char *path) {
    char *parent = strdup(path);
    if (parent == NULL) {
        return NULL;
    }
    size_t size = strlen(parent);
    while (size > 1 && parent[size - 1] == '/') {
        parent[--size] = '\0';
    }
    char *slash = strrchr(parent, '/');
    if (slash != NULL) {
        slash[slash == parent ? 1 : 0] = '\0';
        return parent;
    }
    free(parent);
    return strdup(".");
}
