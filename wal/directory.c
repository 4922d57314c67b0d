#include "wal/directory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What the listing callback gathers. */
struct listing {
    char (*names)[WAL_SEGMENT_NAME_SIZE];
    size_t count;
    size_t capacity;
    bool failed;
};

static bool on_name(void *ctx, const char *name) {
    struct listing *listing = ctx;
    if (!io_name_ends_in(name, ".seg"))
        return true;
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 16 : 2 * listing->capacity;
        void *grown = realloc(listing->names, capacity * sizeof *listing->names);
        if (grown == NULL) {
            listing->failed = true;
            return false;
        }
        listing->names = grown;
        listing->capacity = capacity;
    }
    char *to = listing->names[listing->count++];
    memset(to, 0, WAL_SEGMENT_NAME_SIZE);
    strncpy(to, name, WAL_SEGMENT_NAME_SIZE - 1);
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

enum wf_status wal_directory_names(struct io *io, const char *path,
                                   char (**names)[WAL_SEGMENT_NAME_SIZE], size_t *count,
                                   struct wf_error *err) {
    struct listing listing = {0};
    enum wf_status status = io->ops->list(io, path, on_name, &listing, err);
    if (status == WF_OK && listing.failed)
        status = error_set(err, WF_NO_MEMORY, "no memory to list %s", path);
    if (status != WF_OK) {
        free(listing.names);
        return status;
    }
    if (listing.count > 0)
        qsort(listing.names, listing.count, sizeof *listing.names, compare_names);
    *names = listing.names;
    *count = listing.count;
    return WF_OK;
}

/* Size and header of one file. `*found` is false where it vanished: a live owner archived it. */
static enum wf_status read_entry(struct wal_directory *directory, struct wal_entry *entry,
                                 bool *found, struct wf_error *err) {
    enum wal_header_state state = WAL_HEADER_BAD;
    enum wf_status status = wal_segment_read_header(directory->io, directory->path, entry->name,
                                                    &entry->size, &entry->header, &state, err);
    *found = status == WF_OK;
    entry->header_good = state == WAL_HEADER_GOOD;
    return status == WF_NOT_FOUND ? WF_OK : status;
}

static void add_misfit(struct wal_directory *directory, const struct wal_entry *entry,
                       const char *why) {
    struct wal_misfit *misfit = &directory->misfits[directory->misfit_count++];
    memcpy(misfit->name, entry->name, sizeof misfit->name);
    misfit->size = entry->size;
    misfit->why = why;
}

static enum wf_status read_entries(struct wal_directory *directory,
                                   char (*names)[WAL_SEGMENT_NAME_SIZE], size_t count,
                                   struct wf_error *err) {
    for (size_t i = 0; i < count; i++) {
        struct wal_entry *entry = &directory->entries[directory->count];
        *entry = (struct wal_entry){0};
        memcpy(entry->name, names[i], sizeof entry->name);
        if (!wal_segment_name_parse(entry->name, &entry->first_lsn)) {
            add_misfit(directory, entry, "its name is not that of a segment");
            continue;
        }
        bool found;
        enum wf_status status = read_entry(directory, entry, &found, err);
        if (status != WF_OK)
            return status;
        if (found)
            directory->count++;
    }
    return WF_OK;
}

/* The first frame of `entry` that checks under `seed`; its offset is 0 where there is none. Also
 * the end of what is not zero. */
static enum wf_status probe(struct wal_directory *directory, const struct wal_entry *entry,
                            uint32_t seed, struct wal_step *step, uint64_t *used,
                            struct wf_error *err) {
    struct io *io = directory->io;
    struct io_file *file;
    enum wf_status status = wal_segment_open(io, directory->path, entry->name, IO_READ, &file, err);
    if (status != WF_OK)
        return status;
    struct wal_reader reader;
    wal_reader_init(&reader, io);
    status = wal_reader_start(&reader, file, seed, 0, err);
    if (status == WF_OK)
        status = wal_reader_used_end(&reader, 0, used, err);
    if (status == WF_OK)
        status = wal_reader_search(&reader, WAL_SEGMENT_HEADER_SIZE, step, err);
    if (status == WF_OK && step->found != WAL_FOUND_FRAME)
        step->offset = 0;
    wal_reader_deinit(&reader);
    io->ops->close(io, file);
    return status;
}

static void use_store_id(struct wal_directory *directory, const uint8_t *store_id) {
    memcpy(directory->store_id, store_id, WAL_STORE_ID_SIZE);
    directory->seed = wal_frame_seed(store_id);
}

/* No header is good. One whose UUID at least makes its frames check still tells the store. */
static enum wf_status guess_store_id(struct wal_directory *directory, struct wf_error *err) {
    uint64_t used_sum = 0;
    for (size_t i = 0; i < directory->count; i++) {
        struct wal_entry *entry = &directory->entries[i];
        struct wal_step step;
        uint64_t used;
        enum wf_status status =
            probe(directory, entry, wal_frame_seed(entry->header.store_id), &step, &used, err);
        if (status != WF_OK)
            return status;
        if (step.offset != 0) {
            use_store_id(directory, entry->header.store_id);
            return WF_OK;
        }
        used_sum += used;
    }
    /* One that is not the first of its log was named when there were records before it. */
    if (directory->count == 1 && used_sum == 0 && directory->entries[0].first_lsn == 1)
        return error_set(err, WF_NOT_FOUND, "no log in %s: segment %s was never finished",
                         directory->path, directory->entries[0].name);
    return error_set(err, WF_DAMAGE, "segment %s, offset 0, LSN %llu: the header is damaged",
                     directory->entries[0].name,
                     (unsigned long long)directory->entries[0].first_lsn);
}

static bool is_at_its_place(const struct wal_entry *entry) {
    return entry->header_good && entry->header.first_lsn == entry->first_lsn;
}

/* A good header of a file that belongs elsewhere says least: else the segments that are at their
 * place, with damaged headers, would be read as those of a store that they are not of. */
static enum wf_status find_store_id(struct wal_directory *directory, struct wf_error *err) {
    const struct wal_entry *misplaced = NULL;
    for (size_t i = 0; i < directory->count; i++) {
        const struct wal_entry *entry = &directory->entries[i];
        if (is_at_its_place(entry)) {
            use_store_id(directory, entry->header.store_id);
            return WF_OK;
        }
        if (misplaced == NULL && entry->header_good)
            misplaced = entry;
    }
    enum wf_status status = guess_store_id(directory, err);
    if (status != WF_DAMAGE || misplaced == NULL)
        return status;
    use_store_id(directory, misplaced->header.store_id);
    return WF_OK;
}

/* Case R10: take out the files that claim to be of another store or at another place. */
static void take_out_misfits(struct wal_directory *directory) {
    size_t kept = 0;
    for (size_t i = 0; i < directory->count; i++) {
        struct wal_entry *entry = &directory->entries[i];
        if (entry->header_good &&
            memcmp(entry->header.store_id, directory->store_id, WAL_STORE_ID_SIZE) != 0)
            add_misfit(directory, entry, "it belongs to another store than the segments before it");
        else if (entry->header_good && entry->header.first_lsn != entry->first_lsn)
            add_misfit(directory, entry, "its header names another first LSN than its file name");
        else
            directory->entries[kept++] = *entry;
    }
    directory->count = kept;
}

/* Headers that do not check: fill in what the file's name and its first frame tell, and find out
 * whether the newest is a segment at all (case R7). */
static enum wf_status settle_bad_headers(struct wal_directory *directory, struct wf_error *err) {
    size_t count = directory->count;
    for (size_t i = 0; i < count; i++) {
        struct wal_entry *entry = &directory->entries[i];
        if (entry->header_good)
            continue;
        struct wal_step step;
        uint64_t used;
        enum wf_status status = probe(directory, entry, directory->seed, &step, &used, err);
        if (status != WF_OK)
            return status;
        memcpy(entry->header.store_id, directory->store_id, WAL_STORE_ID_SIZE);
        entry->header.first_lsn = entry->first_lsn;
        entry->header.version = WAL_SEGMENT_VERSION;
        entry->header.previous = step.offset == WAL_SEGMENT_HEADER_SIZE ? step.frame.previous : 0;
        if (i + 1 == count && step.offset == 0) {
            directory->unborn = *entry;
            directory->count--;
        }
    }
    return WF_OK;
}

static enum wf_status fill(struct wal_directory *directory, struct wf_error *err) {
    char(*names)[WAL_SEGMENT_NAME_SIZE] = NULL;
    size_t count = 0;
    enum wf_status status =
        wal_directory_names(directory->io, directory->path, &names, &count, err);
    if (status != WF_OK)
        return status;
    /* One more than there are names, so that a candidate always has a slot. */
    directory->entries = calloc(count + 1, sizeof *directory->entries);
    directory->misfits = calloc(count + 1, sizeof *directory->misfits);
    if (directory->entries == NULL || directory->misfits == NULL)
        status = error_set(err, WF_NO_MEMORY, "no memory to list %s", directory->path);
    if (status == WF_OK)
        status = read_entries(directory, names, count, err);
    free(names);
    if (status == WF_OK && directory->count == 0)
        status = error_set(err, WF_NOT_FOUND, "no log segment in %s", directory->path);
    if (status == WF_OK)
        status = find_store_id(directory, err);
    if (status == WF_OK) {
        take_out_misfits(directory);
        status = settle_bad_headers(directory, err);
    }
    return status;
}

enum wf_status wal_directory_init(struct wal_directory *directory, struct io *io, const char *path,
                                  struct wf_error *err) {
    *directory = (struct wal_directory){.io = io};
    directory->path = strdup(path);
    enum wf_status status = directory->path != NULL
                                ? fill(directory, err)
                                : error_set(err, WF_NO_MEMORY, "no memory for a path");
    if (status != WF_OK)
        wal_directory_deinit(directory);
    return status;
}

enum wf_status wal_directory_judge(enum wf_status status, const char *path, uint64_t minimum_lsn,
                                   struct wf_error *err) {
    if (status == WF_NOT_FOUND && minimum_lsn > 0)
        return error_set(err, WF_DAMAGE,
                         "%s holds no log segment, though LSN %" PRIu64 " was durable", path,
                         minimum_lsn);
    return status;
}

void wal_directory_deinit(struct wal_directory *directory) {
    free(directory->path);
    free(directory->entries);
    free(directory->misfits);
    *directory = (struct wal_directory){0};
}

enum wf_status wal_directory_sync_parent(struct io *io, const char *path, struct wf_error *err) {
    char *parent = strdup(path);
    if (parent == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    size_t size = strlen(parent);
    while (size > 1 && parent[size - 1] == '/')
        parent[--size] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent ? 1 : 0] = '\0';
    enum wf_status status = io->ops->sync_directory(io, slash != NULL ? parent : ".", err);
    free(parent);
    return status;
}
