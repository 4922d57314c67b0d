/* The directory: one handle over the segments, the writer of the newest one and the files that are
 * open for reading. */
#include "wal/wal.h"

#include "wal/recover.h"
#include "wal/writer.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPEN_FILES_MAX = 32, /* segments kept open for wal_read(), beside those in use */
    READ_GUESS = 4096,   /* one pread gets most records whole */
};

/* One segment in the table. Freed when it is neither in the table nor in use. */
struct segment {
    struct wal_segment_info info; /* of the newest, unsealed one: name and first LSN only */
    struct io_file *file;         /* NULL: not open */
    uint64_t last_use;
    unsigned users;
    bool removed;
};

struct wal {
    struct io *io;
    char *dir;
    uint64_t segment_size;
    uint8_t store_id[WAL_STORE_ID_SIZE];
    uint32_t seed;
    struct wal_writer *writer; /* NULL: open for reading only */
    uint64_t read_next_lsn;    /* reading only: behind the last record */
    uint64_t read_offset;      /* reading only: the end of the newest segment */

    pthread_mutex_t mutex; /* guards the table below */
    struct segment **segments;
    size_t count;
    size_t capacity;
    uint64_t uses;
};

static const char *const points[] = {
    "wal.before_write", "wal.after_write", "wal.before_sync",   "wal.after_sync",
    "wal.before_seal",  "wal.after_seal",  "wal.before_create", "wal.after_create",
    "wal.before_cut",   "wal.after_cut",
};

const char *const *wal_points(size_t *count) {
    *count = sizeof points / sizeof points[0];
    return points;
}

/* --- the table --- */

/* With the mutex held. */
static void close_segment(struct wal *wal, struct segment *segment) {
    wal->io->ops->close(wal->io, segment->file);
    segment->file = NULL;
}

static bool reserve_slot(struct wal *wal) {
    if (wal->count < wal->capacity)
        return true;
    size_t capacity = wal->capacity == 0 ? 16 : 2 * wal->capacity;
    struct segment **grown = realloc(wal->segments, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    wal->segments = grown;
    wal->capacity = capacity;
    return true;
}

/* Add a segment behind the others. Takes `file` over where it succeeds. NULL: no memory. */
static struct segment *add_segment(struct wal *wal, const char *name, uint64_t first_lsn,
                                   struct io_file *file) {
    struct segment *segment = calloc(1, sizeof *segment);
    pthread_mutex_lock(&wal->mutex);
    bool ok = segment != NULL && reserve_slot(wal);
    if (ok) {
        memcpy(segment->info.name, name, sizeof segment->info.name);
        segment->info.first_lsn = first_lsn;
        segment->info.last_lsn = first_lsn - 1;
        segment->file = file;
        wal->segments[wal->count++] = segment;
    }
    pthread_mutex_unlock(&wal->mutex);
    if (ok)
        return segment;
    free(segment);
    return NULL;
}

/* With the mutex held: keep the number of open files bounded. The newest stays open: it is the
 * writer's. */
static void close_least_used(struct wal *wal) {
    size_t open = 0;
    struct segment *least = NULL;
    for (size_t i = 0; i + 1 < wal->count; i++) {
        struct segment *segment = wal->segments[i];
        if (segment->file == NULL)
            continue;
        open++;
        if (segment->users == 0 && (least == NULL || segment->last_use < least->last_use))
            least = segment;
    }
    if (open > OPEN_FILES_MAX && least != NULL)
        close_segment(wal, least);
}

/* Find the segment of `lsn`, open, and hold it until release_segment(). */
static enum wf_status hold_segment(struct wal *wal, uint64_t lsn, struct segment **out,
                                   struct wf_error *err) {
    pthread_mutex_lock(&wal->mutex);
    size_t low = 0;
    size_t high = wal->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (wal->segments[middle]->info.first_lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    enum wf_status status = WF_OK;
    struct segment *segment = low > 0 ? wal->segments[low - 1] : NULL;
    if (segment == NULL)
        status = error_set(err, WF_NOT_FOUND, "LSN %" PRIu64 " is in no live segment", lsn);
    else if (segment->file == NULL)
        status =
            wal_segment_open(wal->io, wal->dir, segment->info.name, IO_READ, &segment->file, err);
    if (status == WF_OK) {
        segment->users++;
        segment->last_use = ++wal->uses;
        close_least_used(wal);
        *out = segment;
    }
    pthread_mutex_unlock(&wal->mutex);
    return status;
}

static void free_segment(struct wal *wal, struct segment *segment) {
    close_segment(wal, segment);
    free(segment);
}

static void release_segment(struct wal *wal, struct segment *segment) {
    pthread_mutex_lock(&wal->mutex);
    segment->users--;
    if (segment->removed && segment->users == 0)
        free_segment(wal, segment);
    pthread_mutex_unlock(&wal->mutex);
}

/* --- making a log --- */

static enum wf_status check_options(const struct wal_options *options, uint64_t *segment_size,
                                    struct wf_error *err) {
    *segment_size = WAL_SEGMENT_SIZE_DEFAULT;
    if (options == NULL || options->segment_size == 0)
        return WF_OK;
    *segment_size = options->segment_size;
    if (*segment_size < WAL_SEGMENT_SIZE_MIN || *segment_size > WAL_SEGMENT_SIZE_MAX)
        return error_set(err, WF_USAGE,
                         "a segment size of %" PRIu64 " bytes is not between %d and %d",
                         *segment_size, WAL_SEGMENT_SIZE_MIN, WAL_SEGMENT_SIZE_MAX);
    return WF_OK;
}

static enum wf_status sync_parent(struct io *io, const char *dir, struct wf_error *err) {
    char *parent = strdup(dir);
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

/* A directory that a crash left behind in the middle of making it is taken over. */
static enum wf_status make_directory(struct io *io, const char *dir, struct wf_error *err) {
    char(*names)[WAL_SEGMENT_NAME_SIZE] = NULL;
    size_t count = 0;
    enum wf_status status = io->ops->make_directory(io, dir, err);
    if (status != WF_REFUSED)
        return status;
    status = wal_directory_names(io, dir, &names, &count, err);
    free(names);
    if (status == WF_OK && count > 0)
        status = error_set(err, WF_REFUSED, "%s holds a log already", dir);
    return status;
}

enum wf_status wal_create(struct io *io, const char *dir, const uint8_t store_id[WAL_STORE_ID_SIZE],
                          const struct wal_options *options, struct wf_error *err) {
    uint64_t segment_size;
    struct wal_segment_header header = {.first_lsn = 1, .version = WAL_SEGMENT_VERSION};
    memcpy(header.store_id, store_id, WAL_STORE_ID_SIZE);
    enum wf_status status = check_options(options, &segment_size, err);
    if (status == WF_OK)
        status = make_directory(io, dir, err);
    struct io_file *file = NULL;
    if (status == WF_OK)
        status = wal_segment_create(io, dir, &header, (struct bytes_view){NULL, 0}, &file, err);
    io->ops->close(io, file);
    if (status == WF_OK)
        status = sync_parent(io, dir, err);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "make the log %s", dir);
}

/* --- opening and closing --- */

static void destroy(struct wal *wal) {
    wal_writer_destroy(wal->writer);
    for (size_t i = 0; i < wal->count; i++)
        free_segment(wal, wal->segments[i]);
    free(wal->segments);
    free(wal->dir);
    pthread_mutex_destroy(&wal->mutex);
    free(wal);
}

static struct wal *make(struct io *io, const struct wal_directory *directory,
                        uint64_t segment_size) {
    struct wal *wal = calloc(1, sizeof *wal);
    if (wal == NULL)
        return NULL;
    wal->io = io;
    wal->segment_size = segment_size;
    wal->seed = directory->seed;
    memcpy(wal->store_id, directory->store_id, WAL_STORE_ID_SIZE);
    wal->dir = strdup(directory->path);
    if (wal->dir != NULL && pthread_mutex_init(&wal->mutex, NULL) == 0)
        return wal;
    free(wal->dir);
    free(wal);
    return NULL;
}

/* What a closed segment's seal tells about it. One that a repair closed tells nothing. */
static enum wf_status fill_info(struct wal *wal, struct segment *segment, uint64_t next_lsn,
                                uint64_t size, struct wf_error *err) {
    struct wal_segment_info *info = &segment->info;
    struct io_file *file;
    struct wal_frame frame;
    struct wal_seal seal;
    bool sealed;
    info->last_lsn = next_lsn - 1;
    info->size = size;
    info->sealed = true;
    enum wf_status status = wal_segment_open(wal->io, wal->dir, info->name, IO_READ, &file, err);
    if (status == WF_NOT_FOUND && wal->writer == NULL)
        return WF_OK; /* the live owner has just archived it */
    if (status != WF_OK)
        return status;
    status = wal_segment_read_seal(wal->io, file, size, wal->seed, &frame, &seal, &sealed, err);
    if (status == WF_OK && sealed)
        memcpy(info->root, seal.root, WAL_HASH_SIZE);
    wal->io->ops->close(wal->io, file);
    return status;
}

static enum wf_status fill_table(struct wal *wal, const struct wal_directory *directory,
                                 const struct wal_recovered *end, struct wf_error *err) {
    for (size_t i = 0; i < directory->count; i++) {
        const struct wal_entry *entry = &directory->entries[i];
        struct segment *segment = add_segment(wal, entry->name, entry->first_lsn, NULL);
        if (segment == NULL)
            return error_set(err, WF_NO_MEMORY, "no memory for the log's segments");
        bool newest = i + 1 == directory->count;
        if (newest && end->open_segment)
            break;
        enum wf_status status =
            fill_info(wal, segment, newest ? end->next_lsn : entry[1].first_lsn, entry->size, err);
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

/* The writer, on the newest segment where that is open. */
static enum wf_status start_writer(struct wal *wal, const struct wal_options *options,
                                   const struct wal_recovered *end, struct wf_error *err) {
    struct wal_recovered start = *end;
    struct io_file *file = NULL;
    uint64_t segment_first = end->next_lsn;
    if (end->open_segment) {
        struct segment *newest = wal->segments[wal->count - 1];
        enum wf_status status =
            wal_segment_open(wal->io, wal->dir, newest->info.name, IO_WRITE, &newest->file, err);
        if (status != WF_OK)
            return status;
        file = newest->file;
        segment_first = newest->info.first_lsn;
    } else {
        start.offset = WAL_SEGMENT_HEADER_SIZE;
        start.last_offset = 0;
        start.file_size = 0;
        start.frontier.count = 0;
    }
    return wal_writer_create(wal->io, wal->store_id, options, &start, segment_first, file,
                             &wal->writer, err);
}

static enum wf_status recover_and_fill(struct io *io, const struct wal_directory *directory,
                                       const struct wal_options *log_options, uint64_t segment_size,
                                       const struct wal_recover_options *options,
                                       struct wal_recovery *report, struct wal **out,
                                       struct wf_error *err) {
    struct wal_recovered end;
    struct wal *wal = make(io, directory, segment_size);
    struct wal_hasher *hasher = wal_hasher_create();
    enum wf_status status = WF_OK;
    if (wal == NULL || hasher == NULL)
        status = error_set(err, WF_NO_MEMORY, "no memory for the log");
    if (status == WF_OK)
        status = wal_recover(directory, options, hasher, report, &end, err);
    if (status == WF_OK)
        status = fill_table(wal, directory, &end, err);
    if (status == WF_OK && options->writable)
        status = start_writer(wal, log_options, &end, err);
    wal_hasher_destroy(hasher);
    if (status != WF_OK) {
        if (wal != NULL)
            destroy(wal);
        return status;
    }
    wal->read_next_lsn = end.next_lsn;
    wal->read_offset = end.offset;
    *out = wal;
    return WF_OK;
}

static enum wf_status open_log(struct io *io, const char *dir,
                               const struct wal_options *log_options, uint64_t segment_size,
                               const struct wal_recover_options *options,
                               struct wal_recovery *report, struct wal **out,
                               struct wf_error *err) {
    struct wal_recovery ignored;
    if (report == NULL)
        report = &ignored;
    *report = (struct wal_recovery){0};
    *out = NULL;
    struct wal_directory directory;
    enum wf_status status = wal_directory_init(&directory, io, dir, err);
    if (status == WF_NOT_FOUND && options->minimum_lsn > 0)
        status =
            error_set(err, WF_DAMAGE, "%s holds no log segment, though LSN %" PRIu64 " was durable",
                      dir, options->minimum_lsn);
    if (status != WF_OK)
        return error_wrap(err, status, "open the log %s", dir);
    status = recover_and_fill(io, &directory, log_options, segment_size, options, report, out, err);
    wal_directory_deinit(&directory);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "open the log %s", dir);
}

enum wf_status wal_open(struct io *io, const char *dir, const struct wal_options *options,
                        const struct wal_position *from, uint64_t minimum_lsn,
                        wal_record_fn on_record, void *ctx, struct wal_recovery *report,
                        struct wal **out, struct wf_error *err) {
    *out = NULL;
    uint64_t segment_size;
    enum wf_status status = check_options(options, &segment_size, err);
    if (status != WF_OK)
        return status;
    struct wal_recover_options recover = {
        .from = from,
        .minimum_lsn = minimum_lsn,
        .limit_lsn = UINT64_MAX,
        .writable = true,
        .on_record = on_record,
        .ctx = ctx,
    };
    return open_log(io, dir, options, segment_size, &recover, report, out, err);
}

enum wf_status wal_open_reader(struct io *io, const char *dir, const struct wal_position *from,
                               uint64_t minimum_lsn, uint64_t limit_lsn, wal_record_fn on_record,
                               void *ctx, struct wal_recovery *report, struct wal **out,
                               struct wf_error *err) {
    struct wal_recover_options recover = {
        .from = from,
        .minimum_lsn = minimum_lsn,
        .limit_lsn = limit_lsn,
        .on_record = on_record,
        .ctx = ctx,
    };
    /* What the owner vouches for must be there. */
    if (limit_lsn != UINT64_MAX && limit_lsn > minimum_lsn)
        recover.minimum_lsn = limit_lsn;
    return open_log(io, dir, NULL, 0, &recover, report, out, err);
}

enum wf_status wal_close(struct wal *wal, struct wf_error *err) {
    if (wal == NULL)
        return WF_OK;
    enum wf_status status = WF_OK;
    if (wal->writer != NULL && !wal_writer_halted(wal->writer)) {
        status = wal_writer_sync(wal->writer, err);
        if (status == WF_OK)
            wal_writer_trim(wal->writer);
    }
    destroy(wal);
    return status;
}

/* --- appending --- */

/* Make the next segment where the writer has none. */
static enum wf_status begin_segment(struct wal *wal, struct wf_error *err) {
    struct wal_writer_view view = wal_writer_view(wal->writer);
    struct wal_segment_header header = {
        .first_lsn = view.next_lsn,
        .previous = view.previous,
        .version = WAL_SEGMENT_VERSION,
    };
    memcpy(header.store_id, wal->store_id, WAL_STORE_ID_SIZE);
    struct io_file *file;
    enum wf_status status =
        wal_segment_create(wal->io, wal->dir, &header, (struct bytes_view){NULL, 0}, &file, err);
    if (status != WF_OK)
        return status;
    char name[WAL_SEGMENT_NAME_SIZE];
    wal_segment_name(name, header.first_lsn);
    if (add_segment(wal, name, header.first_lsn, file) == NULL) {
        wal->io->ops->close(wal->io, file);
        return error_set(err, WF_NO_MEMORY, "no memory for the log's segments");
    }
    wal_writer_enter(wal->writer, file);
    return WF_OK;
}

static enum wf_status seal_segment(struct wal *wal, uint64_t cuts, struct wf_error *err) {
    struct wal_segment_info info = {.size = 0};
    enum wf_status status = wal_writer_seal(wal->writer, cuts, &info, err);
    if (status != WF_OK)
        return status;
    pthread_mutex_lock(&wal->mutex);
    struct wal_segment_info *newest = &wal->segments[wal->count - 1]->info;
    newest->last_lsn = info.last_lsn;
    newest->size = info.size;
    newest->sealed = true;
    memcpy(newest->root, info.root, WAL_HASH_SIZE);
    pthread_mutex_unlock(&wal->mutex);
    return WF_OK;
}

static enum wf_status refuse_append(const struct wal *wal, size_t size, struct wf_error *err) {
    if (wal->writer == NULL)
        return error_set(err, WF_USAGE, "the log is open for reading only");
    if (size == 0 || size > WAL_PAYLOAD_MAX)
        return error_set(err, WF_USAGE, "a record of %zu bytes is not between 1 and %d", size,
                         WAL_PAYLOAD_MAX);
    return WF_OK;
}

enum wf_status wal_append(struct wal *wal, const void *payload, size_t size, uint64_t cuts,
                          struct wal_ticket *ticket, struct wf_error *err) {
    enum wf_status status = refuse_append(wal, size, err);
    if (status != WF_OK)
        return status;
    struct wal_writer_view view = wal_writer_view(wal->writer);
    uint64_t need = wal_frame_size(size) + WAL_SEAL_FRAME_SIZE;
    bool full = view.offset > WAL_SEGMENT_HEADER_SIZE && view.offset + need > wal->segment_size;
    if (view.open && full) {
        status = seal_segment(wal, cuts, err);
        if (status != WF_OK)
            return status;
        view.open = false;
    }
    if (!view.open && !wal_writer_halted(wal->writer))
        status = begin_segment(wal, err);
    if (status != WF_OK)
        return status;
    return wal_writer_append(wal->writer, payload, size, cuts, wal->segment_size, ticket, err);
}

enum wf_status wal_rotate(struct wal *wal, struct wf_error *err) {
    uint64_t cuts = wal_cuts(wal);
    struct wal_writer_view view = wal_writer_view(wal->writer);
    if (view.open && view.offset == WAL_SEGMENT_HEADER_SIZE)
        return WF_OK;
    enum wf_status status = view.open ? seal_segment(wal, cuts, err) : WF_OK;
    return status == WF_OK ? begin_segment(wal, err) : status;
}

enum wf_status wal_wait(struct wal *wal, const struct wal_ticket *ticket, struct wf_error *err) {
    return wal_writer_wait(wal->writer, ticket, err);
}

enum wf_status wal_sync(struct wal *wal, struct wf_error *err) {
    return wal_writer_sync(wal->writer, err);
}

/* --- questions --- */

uint64_t wal_next_lsn(const struct wal *wal) {
    return wal->writer != NULL ? wal_writer_view(wal->writer).next_lsn : wal->read_next_lsn;
}

uint64_t wal_durable_lsn(const struct wal *wal) {
    return wal->writer != NULL ? wal_writer_durable_lsn(wal->writer) : wal->read_next_lsn - 1;
}

uint64_t wal_cuts(const struct wal *wal) {
    return wal->writer != NULL ? wal_writer_cuts(wal->writer) : 0;
}

bool wal_halted(const struct wal *wal) {
    return wal->writer != NULL && wal_writer_halted(wal->writer);
}

const uint8_t *wal_store_id(const struct wal *wal) {
    return wal->store_id;
}

void wal_stats(struct wal *wal, struct wal_stats *stats) {
    *stats = (struct wal_stats){0};
    if (wal->writer != NULL)
        wal_writer_stats(wal->writer, stats);
}

void wal_position_now(struct wal *wal, struct wal_position *position) {
    struct wal_place place;
    *position = (struct wal_position){.lsn = wal_next_lsn(wal) - 1};
    /* Without a frontier there is no position: an empty one is refused when it is used. */
    if (wal->writer != NULL && wal_writer_place(wal->writer, &place))
        wal_position_encode(&place, position);
}

/* --- segments --- */

uint64_t wal_first_lsn(const struct wal *wal) {
    struct wal_segment_info info;
    return wal_segment_at((struct wal *)wal, 0, &info) ? info.first_lsn : wal_next_lsn(wal);
}

size_t wal_segment_count(struct wal *wal) {
    pthread_mutex_lock(&wal->mutex);
    size_t count = wal->count;
    pthread_mutex_unlock(&wal->mutex);
    return count;
}

bool wal_segment_at(struct wal *wal, size_t index, struct wal_segment_info *info) {
    pthread_mutex_lock(&wal->mutex);
    bool found = index < wal->count;
    if (found)
        *info = wal->segments[index]->info;
    pthread_mutex_unlock(&wal->mutex);
    if (!found || info->sealed)
        return found;
    info->last_lsn = wal_durable_lsn(wal);
    info->size = wal->read_offset;
    if (wal->writer == NULL)
        return true;
    struct wal_writer_view view = wal_writer_view(wal->writer);
    info->size = view.durable_offset;
    /* It may have been sealed between the two looks; then ask the table again. */
    return view.segment_first == info->first_lsn || wal_segment_at(wal, index, info);
}

enum wf_status wal_remove_oldest(struct wal *wal, uint64_t first_lsn, struct wf_error *err) {
    struct wal_segment_info info;
    if (!wal_segment_at(wal, 0, &info) || info.first_lsn != first_lsn || !info.sealed)
        return error_set(err, WF_REFUSED,
                         "the oldest segment is not a sealed one from LSN %" PRIu64, first_lsn);
    char *path = io_path_join(wal->dir, info.name);
    if (path == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    enum wf_status status = wal->io->ops->remove(wal->io, path, err);
    free(path);
    if (status != WF_OK)
        return status;
    pthread_mutex_lock(&wal->mutex);
    struct segment *oldest = wal->segments[0];
    wal->count--;
    memmove(wal->segments, wal->segments + 1, wal->count * sizeof *wal->segments);
    oldest->removed = true;
    if (oldest->users == 0)
        free_segment(wal, oldest);
    pthread_mutex_unlock(&wal->mutex);
    return wal->io->ops->sync_directory(wal->io, wal->dir, err);
}

/* --- reading --- */

static enum wf_status damage(const struct segment *segment, uint64_t offset, uint64_t lsn,
                             const char *why, struct wf_error *err) {
    return error_set(err, WF_DAMAGE, "segment %s, offset %" PRIu64 ", LSN %" PRIu64 ": %s",
                     segment->info.name, offset, lsn, why);
}

/* Bring `size` bytes at `offset` into the buffer. `*got` is less where the file ends. */
static enum wf_status load(struct wal *wal, struct segment *segment, uint64_t offset, size_t size,
                           struct bytes_buffer *buffer, size_t *got, struct wf_error *err) {
    bytes_buffer_clear(buffer);
    uint8_t *to = bytes_buffer_extend(buffer, size);
    if (to == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to read %zu bytes of the log", size);
    return io_read_all(wal->io, segment->file, offset, to, size, got, err);
}

static enum wf_status read_frame(struct wal *wal, struct segment *segment, uint64_t lsn,
                                 uint64_t offset, struct bytes_buffer *buffer,
                                 struct wal_frame *frame, struct wf_error *err) {
    size_t got = 0;
    enum wf_status status = load(wal, segment, offset, READ_GUESS, buffer, &got, err);
    if (status != WF_OK)
        return status;
    if (got < WAL_FRAME_HEADER_SIZE)
        return damage(segment, offset, lsn, "the file ends here", err);
    const char *why = wal_frame_decode_header(buffer->data, wal->seed, frame);
    if (why != NULL)
        return damage(segment, offset, lsn, why, err);
    if (frame->kind == WAL_FRAME_SEAL || lsn < frame->lsn || lsn >= wal_frame_next_lsn(frame))
        return damage(segment, offset, lsn, "a frame of another LSN stands here", err);
    size_t checked = (size_t)wal_frame_checked_size(frame);
    if (checked > READ_GUESS) {
        status = load(wal, segment, offset, checked, buffer, &got, err);
        if (status != WF_OK)
            return status;
    }
    if (got < checked)
        return damage(segment, offset, lsn, "the file ends within the frame", err);
    why = wal_frame_decode_body(buffer->data, frame);
    return why == NULL ? WF_OK : damage(segment, offset, lsn, why, err);
}

enum wf_status wal_read(struct wal *wal, uint64_t lsn, uint64_t offset, struct bytes_buffer *buffer,
                        struct wal_record *record, struct wf_error *err) {
    bool pending = false;
    if (wal->writer != NULL && lsn > wal_durable_lsn(wal)) {
        enum wf_status status =
            wal_writer_read(wal->writer, lsn, offset, buffer, record, &pending, err);
        if (pending)
            return status;
    }
    if (lsn == 0 || lsn > wal_durable_lsn(wal))
        return error_set(err, WF_NOT_FOUND, "the log holds no LSN %" PRIu64, lsn);
    struct segment *segment;
    struct wal_frame frame;
    enum wf_status status = hold_segment(wal, lsn, &segment, err);
    if (status != WF_OK)
        return status;
    status = read_frame(wal, segment, lsn, offset, buffer, &frame, err);
    release_segment(wal, segment);
    if (status != WF_OK)
        return status;
    *record =
        (struct wal_record){.lsn = lsn, .offset = offset, .lost = frame.kind == WAL_FRAME_LOST};
    if (!record->lost)
        record->payload = frame.payload;
    return WF_OK;
}

/* A walk over the segments that are in the table. */
struct walk {
    uint64_t first_lsn;
    uint64_t last_lsn;
    uint64_t next_lsn;
    uint32_t previous;
    bool chained;
    wal_record_fn on_record;
    void *ctx;
};

static enum wf_status walk_frame(struct walk *walk, const struct segment *segment,
                                 const struct wal_step *step, struct wf_error *err) {
    const struct wal_frame *frame = &step->frame;
    if (frame->lsn != walk->next_lsn || (walk->chained && frame->previous != walk->previous))
        return damage(segment, step->offset, walk->next_lsn,
                      "the frame does not continue the one before it", err);
    walk->chained = true;
    walk->previous = wal_frame_chain(frame);
    walk->next_lsn = wal_frame_next_lsn(frame);
    if (frame->kind == WAL_FRAME_SEAL || walk->next_lsn <= walk->first_lsn)
        return WF_OK;
    uint64_t records = 0;
    struct wal_item item = {.offset = step->offset, .frame = *frame};
    return wal_deliver(&item, walk->first_lsn - 1, walk->last_lsn, walk->on_record, walk->ctx,
                       &records, err);
}

static enum wf_status walk_segment(struct wal *wal, struct segment *segment,
                                   struct wal_reader *reader, struct walk *walk,
                                   struct wf_error *err) {
    enum wf_status status =
        wal_reader_start(reader, segment->file, wal->seed, WAL_SEGMENT_HEADER_SIZE, err);
    walk->next_lsn = segment->info.first_lsn;
    walk->chained = false;
    uint64_t end = walk->last_lsn;
    while (status == WF_OK && walk->next_lsn <= end) {
        struct wal_step step;
        status = wal_reader_next(reader, &step, err);
        if (status != WF_OK)
            return status;
        if (step.found != WAL_FOUND_FRAME) {
            bool over = reader->offset >= reader->file_size && walk->next_lsn > walk->first_lsn &&
                        walk->chained && step.found == WAL_FOUND_END;
            if (over)
                return WF_OK; /* closed by a repair instead of a seal */
            return damage(segment, step.offset, walk->next_lsn,
                          step.why != NULL ? step.why : "the segment ends here", err);
        }
        status = walk_frame(walk, segment, &step, err);
        if (step.frame.kind == WAL_FRAME_SEAL)
            break;
    }
    return status;
}

enum wf_status wal_walk(struct wal *wal, uint64_t first_lsn, uint64_t last_lsn,
                        wal_record_fn on_record, void *ctx, struct wf_error *err) {
    uint64_t oldest = wal_first_lsn(wal);
    uint64_t durable = wal_durable_lsn(wal);
    struct walk walk = {
        .first_lsn = first_lsn > oldest ? first_lsn : oldest,
        .last_lsn = last_lsn < durable ? last_lsn : durable,
        .on_record = on_record,
        .ctx = ctx,
    };
    struct wal_reader reader;
    wal_reader_init(&reader, wal->io);
    enum wf_status status = WF_OK;
    walk.next_lsn = walk.first_lsn;
    while (status == WF_OK && walk.next_lsn <= walk.last_lsn) {
        struct segment *segment;
        status = hold_segment(wal, walk.next_lsn, &segment, err);
        if (status != WF_OK)
            break;
        uint64_t before = walk.next_lsn;
        status = walk_segment(wal, segment, &reader, &walk, err);
        if (status == WF_OK && walk.next_lsn <= before)
            status = damage(segment, reader.offset, before, "the segment ends here", err);
        release_segment(wal, segment);
    }
    wal_reader_deinit(&reader);
    return status;
}
