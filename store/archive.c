/* The folder of archives: what is in it, adding to it, dropping from it. Reading is in
 * archive_read.c. */
#include "store/archive_inner.h"

#include "store/archive_state.h"
#include "wal/segment.h"

#include "wal/directory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char working_suffix[] = ".tmp";

static const char *const points[] = {
    "archive.before_rename",  "archive.after_rename",
    "archive.after_manifest", "archive.before_delete",
    "archive.after_delete",   "drop.before_record",
    "drop.after_record",      "drop.after_manifest",
    "drop.after_delete",      NULL,
};

const char *const *archive_points(void) {
    return points;
}

static enum wf_status load_manifest(struct archive *archive, struct wf_error *err) {
    struct archive_manifest manifest;
    enum wf_status status = archive_manifest_read(archive->io, archive->dir, &manifest, err);
    if (status != WF_OK)
        return status;
    if (manifest.count > 0 &&
        memcmp(manifest.store_id, archive->store_id, WAL_STORE_ID_SIZE) != 0) {
        archive_manifest_deinit(&manifest);
        return error_set(err, WF_DAMAGE, "archive/manifest belongs to another store");
    }
    memcpy(manifest.store_id, archive->store_id, WAL_STORE_ID_SIZE);
    archive_manifest_deinit(&archive->manifest);
    archive->manifest = manifest;
    return WF_OK;
}

enum wf_status archive_open(struct io *io, const char *dir,
                            const uint8_t store_id[WAL_STORE_ID_SIZE], struct archive **out,
                            struct wf_error *err) {
    *out = NULL;
    struct archive *archive = calloc(1, sizeof *archive);
    if (archive == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for the archives");
    archive->io = io;
    archive->seed = wal_frame_seed(store_id);
    memcpy(archive->store_id, store_id, WAL_STORE_ID_SIZE);
    archive->dir = strdup(dir);
    pthread_mutex_init(&archive->mutex, NULL);
    enum wf_status status = archive->dir != NULL
                                ? archive_cursor_init(&archive->cursor, io, archive->seed, err)
                                : error_set(err, WF_NO_MEMORY, "no memory for a path");
    if (status == WF_OK) {
        archive->has_cursor = true;
        status = load_manifest(archive, err);
    }
    if (status != WF_OK) {
        archive_close(archive);
        return status;
    }
    *out = archive;
    return WF_OK;
}

void archive_close(struct archive *archive) {
    if (archive == NULL)
        return;
    archive_cache_deinit(archive);
    if (archive->has_cursor)
        archive_cursor_deinit(&archive->cursor);
    archive_manifest_deinit(&archive->manifest);
    pthread_mutex_destroy(&archive->mutex);
    free(archive->dir);
    free(archive);
}

enum wf_status archive_refresh(struct archive *archive, struct wf_error *err) {
    pthread_mutex_lock(&archive->mutex);
    enum wf_status status = load_manifest(archive, err);
    pthread_mutex_unlock(&archive->mutex);
    return status;
}

size_t archive_count(struct archive *archive) {
    pthread_mutex_lock(&archive->mutex);
    size_t count = archive->manifest.count;
    pthread_mutex_unlock(&archive->mutex);
    return count;
}

bool archive_at(struct archive *archive, size_t index, struct archive_entry *entry) {
    pthread_mutex_lock(&archive->mutex);
    bool found = index < archive->manifest.count;
    if (found)
        *entry = archive->manifest.entries[index];
    pthread_mutex_unlock(&archive->mutex);
    return found;
}

uint64_t archive_first_lsn(struct archive *archive) {
    uint64_t first = 0;
    pthread_mutex_lock(&archive->mutex);
    for (size_t i = 0; first == 0 && i < archive->manifest.count; i++) {
        if (archive->manifest.entries[i].dropped_lsn == 0)
            first = archive->manifest.entries[i].first_lsn;
    }
    pthread_mutex_unlock(&archive->mutex);
    return first;
}

uint64_t archive_last_lsn(struct archive *archive) {
    pthread_mutex_lock(&archive->mutex);
    size_t count = archive->manifest.count;
    uint64_t last = count == 0 ? 0 : archive->manifest.entries[count - 1].last_lsn;
    pthread_mutex_unlock(&archive->mutex);
    return last;
}

/* --- adding --- */

static enum wf_status make_folder(struct archive *archive, struct wf_error *err) {
    enum io_kind kind;
    uint64_t size;
    enum wf_status status = archive->io->ops->stat(archive->io, archive->dir, &kind, &size, err);
    if (status == WF_OK && kind == IO_MISSING)
        status = archive->io->ops->make_directory(archive->io, archive->dir, err);
    /* Also where it was there: whoever made it may have been killed before its name was synced. */
    return status == WF_OK ? wal_directory_sync_parent(archive->io, archive->dir, err) : status;
}

/* Read it again from the disk: only what is there counts. */
static enum wf_status read_back(struct archive *archive, const char *name,
                                const struct archive_entry *entry, struct wf_error *err) {
    struct archive_cursor cursor;
    struct archive_index index;
    uint8_t sha256[WAL_HASH_SIZE];
    enum wf_status status = archive_cursor_init(&cursor, archive->io, archive->seed, err);
    if (status != WF_OK)
        return status;
    status = archive_cursor_open(&cursor, archive->dir, name, err);
    if (status == WF_OK)
        status = archive_cursor_digest(&cursor, sha256, err);
    if (status == WF_OK &&
        (cursor.file_size != entry->size || memcmp(sha256, entry->sha256, sizeof sha256) != 0))
        status = error_set(err, WF_IO, "archive %s reads back otherwise than it was written", name);
    if (status == WF_OK) {
        status = archive_cursor_index(&cursor, entry, &index, err);
        if (status == WF_OK)
            archive_index_deinit(&index);
    }
    archive_cursor_deinit(&cursor);
    return status;
}

/* Deinit it, whatever the status. */
static enum wf_status copy_manifest(struct archive *archive, struct archive_manifest *copy,
                                    struct wf_error *err) {
    *copy = (struct archive_manifest){.entries = NULL};
    memcpy(copy->store_id, archive->store_id, WAL_STORE_ID_SIZE);
    enum wf_status status = WF_OK;
    pthread_mutex_lock(&archive->mutex); /* a reader may refresh it */
    for (size_t i = 0; status == WF_OK && i < archive->manifest.count; i++)
        status = archive_manifest_add(copy, &archive->manifest.entries[i], err);
    pthread_mutex_unlock(&archive->mutex);
    return status;
}

static enum wf_status enter(struct archive *archive, const struct archive_entry *entry,
                            struct wf_error *err) {
    struct archive_manifest next;
    enum wf_status status = copy_manifest(archive, &next, err);
    if (status == WF_OK)
        status = archive_manifest_add(&next, entry, err);
    if (status == WF_OK)
        status = archive_manifest_write(archive->io, archive->dir, &next, err);
    if (status != WF_OK) {
        archive_manifest_deinit(&next);
        return status;
    }
    pthread_mutex_lock(&archive->mutex);
    archive_manifest_deinit(&archive->manifest);
    archive->manifest = next;
    pthread_mutex_unlock(&archive->mutex);
    return WF_OK;
}

/* Does it continue what is archived? */
static enum wf_status check_follows(struct archive *archive, const struct archive_entry *entry,
                                    struct wf_error *err) {
    const struct archive_manifest *manifest = &archive->manifest;
    if (manifest->count == 0 && entry->first_lsn > 1)
        return error_set(err, WF_DAMAGE,
                         "the segment of LSN %" PRIu64 " is the oldest, and no manifest says where "
                         "the records before it are: 'wfctl wal repair' looks for them",
                         entry->first_lsn);
    if (manifest->count == 0)
        return WF_OK;
    const struct archive_entry *last = &manifest->entries[manifest->count - 1];
    if (last->last_lsn + 1 == entry->first_lsn && last->chain == entry->previous)
        return WF_OK;
    return error_set(err, WF_DAMAGE,
                     "the segment of LSN %" PRIu64
                     " does not continue the archive that ends at LSN "
                     "%" PRIu64,
                     entry->first_lsn, last->last_lsn);
}

struct archive_adding {
    struct archive_entry entry;
    struct io_file *file; /* the one that was written, until it is synced; its name is `work` */
    char *work, *path;
};

void archive_add_discard(struct archive *archive, struct archive_adding *adding) {
    if (adding == NULL)
        return;
    if (adding->file != NULL)
        archive->io->ops->close(archive->io, adding->file);
    free(adding->work);
    free(adding->path);
    free(adding);
}

enum wf_status archive_add_begin(struct archive *archive, const char *wal_dir,
                                 const struct wal_segment_info *segment,
                                 const struct archive_options *options, struct archive_adding **out,
                                 struct wf_error *err) {
    char name[ARCHIVE_NAME_SIZE + 8];
    char work_name[ARCHIVE_NAME_SIZE + 16];
    *out = NULL;
    pthread_mutex_lock(&archive->mutex);
    bool is_there = archive_manifest_find(&archive->manifest, segment->first_lsn) != NULL;
    pthread_mutex_unlock(&archive->mutex);
    if (is_there)
        return WF_OK; /* killed between manifest and delete */
    struct archive_adding *adding = calloc(1, sizeof *adding);
    if (adding == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to archive");
    (void)snprintf(name, sizeof name, "%s.gz", segment->name);
    (void)snprintf(work_name, sizeof work_name, "%s%s", name, working_suffix);
    adding->path = io_path_join(archive->dir, name);
    adding->work = io_path_join(archive->dir, work_name);
    enum wf_status status = adding->path == NULL || adding->work == NULL
                                ? error_set(err, WF_NO_MEMORY, "no memory to archive")
                                : make_folder(archive, err);
    if (status == WF_OK)
        status = archive_file_write(archive->io, wal_dir, segment, adding->work, options,
                                    &adding->entry, &adding->file, err);
    (void)snprintf(adding->entry.name, sizeof adding->entry.name, "%s", name);
    if (status == WF_OK)
        *out = adding;
    else
        archive_add_discard(archive, adding);
    return status;
}

/* Synced, and only then under its name. */
static enum wf_status put_in_place(struct archive *archive, struct archive_adding *adding,
                                   struct wf_error *err) {
    struct io *io = archive->io;
    enum wf_status status = io->ops->sync(io, adding->file, err);
    io->ops->close(io, adding->file);
    adding->file = NULL;
    if (status != WF_OK)
        return status;
    io_point(io, "archive.before_rename");
    status = io->ops->rename(io, adding->work, adding->path, err);
    if (status == WF_OK)
        status = io->ops->sync_directory(io, archive->dir, err);
    if (status == WF_OK)
        io_point(io, "archive.after_rename");
    return status;
}

enum wf_status archive_add_finish(struct archive *archive, struct archive_adding *adding,
                                  struct wf_error *err) {
    enum wf_status status = put_in_place(archive, adding, err);
    if (status == WF_OK)
        status = read_back(archive, adding->entry.name, &adding->entry, err);
    if (status == WF_OK)
        status = check_follows(archive, &adding->entry, err);
    if (status == WF_OK)
        status = enter(archive, &adding->entry, err);
    if (status == WF_OK)
        io_point(archive->io, "archive.after_manifest");
    archive_add_discard(archive, adding);
    return status;
}

enum wf_status archive_write_manifest(struct archive *archive, const char *dir,
                                      struct wf_error *err) {
    pthread_mutex_lock(&archive->mutex);
    enum wf_status status = archive_manifest_write(archive->io, dir, &archive->manifest, err);
    pthread_mutex_unlock(&archive->mutex);
    return status;
}

/* --- what was dropped --- */

static uint64_t dropped_lsn(const struct archive_manifest *manifest) {
    uint64_t last = 0;
    for (size_t i = 0; i < manifest->count && manifest->entries[i].dropped_lsn != 0; i++)
        last = manifest->entries[i].last_lsn;
    return last;
}

uint64_t archive_dropped_lsn(struct archive *archive) {
    pthread_mutex_lock(&archive->mutex);
    uint64_t last = dropped_lsn(&archive->manifest);
    pthread_mutex_unlock(&archive->mutex);
    return last;
}

bool archive_dropped(struct archive *archive, uint64_t lsn, struct archive_entry *range) {
    pthread_mutex_lock(&archive->mutex);
    const struct archive_manifest *manifest = &archive->manifest;
    const struct archive_entry *found = archive_manifest_find(manifest, lsn);
    bool dropped = found != NULL && found->dropped_lsn != 0;
    if (dropped) {
        *range = *found;
        for (size_t i = 0; i < manifest->count; i++) {
            const struct archive_entry *entry = &manifest->entries[i];
            if (entry->dropped_lsn != found->dropped_lsn)
                continue;
            range->first_lsn =
                entry->first_lsn < range->first_lsn ? entry->first_lsn : range->first_lsn;
            range->last_lsn = entry->last_lsn;
        }
    }
    pthread_mutex_unlock(&archive->mutex);
    return dropped;
}

/* --- what a crash left --- */

struct strays {
    struct archive *archive;
    uint64_t live_lsn;
    char names[64][ARCHIVE_NAME_SIZE + 16];
    size_t count;
};

static const struct archive_entry *find_name(const struct archive *archive, const char *name) {
    for (size_t i = 0; i < archive->manifest.count; i++) {
        if (strcmp(archive->manifest.entries[i].name, name) == 0)
            return &archive->manifest.entries[i];
    }
    return NULL;
}

/* An archive whose segment is gone is the only one to have its records, manifest or not. */
static bool is_stray_archive(const struct strays *strays, const char *name) {
    const struct archive_entry *entry = find_name(strays->archive, name);
    char segment[ARCHIVE_NAME_SIZE];
    uint64_t lsn = 0;
    if (entry != NULL)
        return entry->dropped_lsn != 0;
    (void)snprintf(segment, sizeof segment, "%.*s", (int)(strlen(name) - strlen(".gz")), name);
    return wal_segment_name_parse(segment, &lsn) && lsn >= strays->live_lsn;
}

/* That of an earlier drop, or of one that came to nothing: its records are still here. Where the
 * manifest knows of neither it may be the manifest that was lost. */
static bool is_stray_state(const struct strays *strays, const char *name) {
    const struct archive_manifest *manifest = &strays->archive->manifest;
    char *end = NULL;
    uint64_t lsn = strtoull(name, &end, 10);
    const struct archive_entry *entry = archive_manifest_find(manifest, lsn);
    return end != name && entry != NULL && (entry->dropped_lsn == 0 || lsn < dropped_lsn(manifest));
}

static bool see_stray(void *ctx, const char *name) {
    struct strays *strays = ctx;
    bool stray = io_name_ends_in(name, working_suffix) ||
                 (io_name_ends_in(name, ".seg.gz") && is_stray_archive(strays, name)) ||
                 (io_name_ends_in(name, ".state.gz") && is_stray_state(strays, name));
    if (stray && strlen(name) < sizeof strays->names[0])
        (void)snprintf(strays->names[strays->count++], sizeof strays->names[0], "%s", name);
    return strays->count < sizeof strays->names / sizeof strays->names[0];
}

static enum wf_status remove_strays(struct strays *strays, struct wf_error *err) {
    struct archive *archive = strays->archive;
    struct io *io = archive->io;
    strays->count = 0;
    enum wf_status status = io->ops->list(io, archive->dir, see_stray, strays, err);
    for (size_t i = 0; status == WF_OK && i < strays->count; i++) {
        char *path = io_path_join(archive->dir, strays->names[i]);
        status = path == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                              : io->ops->remove(io, path, err);
        free(path);
    }
    if (status == WF_OK && strays->count > 0)
        status = io->ops->sync_directory(io, archive->dir, err);
    return status;
}

enum wf_status archive_tidy(struct archive *archive, uint64_t live_lsn, struct wf_error *err) {
    struct io *io = archive->io;
    struct strays *strays = calloc(1, sizeof *strays);
    if (strays == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to look at the archives");
    strays->archive = archive;
    strays->live_lsn = live_lsn;
    enum io_kind kind;
    uint64_t size;
    enum wf_status status = io->ops->stat(io, archive->dir, &kind, &size, err);
    bool more = status == WF_OK && kind == IO_DIRECTORY;
    while (status == WF_OK && more) {
        status = remove_strays(strays, err);
        more = strays->count == sizeof strays->names / sizeof strays->names[0];
    }
    free(strays);
    return status;
}

/* --- dropping --- */

static void mark_dropped(struct archive_manifest *manifest, uint64_t before_lsn,
                         const struct archive_drop *why) {
    for (size_t i = 0; i < manifest->count; i++) {
        struct archive_entry *entry = &manifest->entries[i];
        if (entry->last_lsn >= before_lsn || entry->dropped_lsn != 0)
            continue;
        entry->dropped_lsn = why->lsn;
        entry->dropped_ms = why->time_ms;
        (void)snprintf(entry->dropped_by, sizeof entry->dropped_by, "%s",
                       why->actor == NULL ? "" : why->actor);
    }
}

enum wf_status archive_drop(struct archive *archive, uint64_t before_lsn,
                            const struct archive_drop *why, struct wf_error *err) {
    struct archive_manifest next;
    enum wf_status status = copy_manifest(archive, &next, err);
    mark_dropped(&next, before_lsn, why);
    if (status == WF_OK && next.count > 0)
        status = archive_manifest_write(archive->io, archive->dir, &next, err);
    if (status != WF_OK) {
        archive_manifest_deinit(&next);
        return status;
    }
    pthread_mutex_lock(&archive->mutex);
    archive_manifest_deinit(&archive->manifest);
    archive->manifest = next;
    archive_cache_deinit(archive);
    pthread_mutex_unlock(&archive->mutex);
    io_point(archive->io, "drop.after_manifest");
    status = archive_tidy(archive, UINT64_MAX, err); /* the files are strays now */
    if (status == WF_OK)
        io_point(archive->io, "drop.after_delete");
    return status;
}
