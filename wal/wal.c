/* The directory as one handle: made, opened, appended to, rotated and closed. */
#include "wal/wal.h"

#include "wal/recover.h"
#include "wal/segments.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LISTINGS_MAX = 5 }; /* attempts to read beside an owner that archives */

static const char *const points[] = {
    "wal.before_write", "wal.after_write", "wal.before_sync",   "wal.after_sync",
    "wal.before_seal",  "wal.after_seal",  "wal.before_create", "wal.after_create",
    "wal.before_cut",   "wal.after_cut",
};

const char *const *wal_points(size_t *count) {
    *count = sizeof points / sizeof points[0];
    return points;
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
        status = wal_directory_sync_parent(io, dir, err);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "make the log %s", dir);
}

/* --- opening and closing --- */

static void destroy(struct wal *wal) {
    wal_writer_destroy(wal->writer);
    for (size_t i = 0; i < wal->count; i++)
        wal_segments_free(wal, wal->segments[i]);
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
static enum wf_status fill_info(struct wal *wal, struct wal_segment *segment, uint64_t next_lsn,
                                uint64_t size, struct wf_error *err) {
    struct wal_segment_info *info = &segment->info;
    struct wal_frame frame;
    struct wal_seal seal;
    bool sealed;
    info->last_lsn = next_lsn - 1;
    info->size = size;
    info->sealed = true;
    enum wf_status status = wal_segment_read_seal(wal->io, wal->dir, info->name, size, wal->seed,
                                                  &frame, &seal, &sealed, err);
    if (status == WF_NOT_FOUND && wal->writer == NULL)
        return WF_OK; /* the live owner has just archived it */
    if (status == WF_OK && sealed)
        memcpy(info->root, seal.root, WAL_HASH_SIZE);
    return status;
}

static enum wf_status fill_table(struct wal *wal, const struct wal_directory *directory,
                                 const struct wal_recovered *end, struct wf_error *err) {
    for (size_t i = 0; i < directory->count; i++) {
        const struct wal_entry *entry = &directory->entries[i];
        struct wal_segment *segment = wal_segments_add(wal, entry->name, entry->first_lsn, NULL);
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
        struct wal_segment *newest = wal->segments[wal->count - 1];
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
        start.hashed_offset = WAL_SEGMENT_HEADER_SIZE;
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
    status = wal_directory_judge(status, dir, options->minimum_lsn, err);
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
    bool owned = limit_lsn != UINT64_MAX;
    if (owned && limit_lsn > minimum_lsn)
        recover.minimum_lsn = limit_lsn;
    struct wal_recovery unused;
    struct wal_recovery *seen = report != NULL ? report : &unused;
    enum wf_status status = WF_NOT_FOUND;
    /* The owner may archive the oldest segment between our listing and our reading: list again. */
    for (int attempt = 0; attempt < LISTINGS_MAX; attempt++) {
        status = open_log(io, dir, NULL, 0, &recover, seen, out, err);
        if (status != WF_NOT_FOUND || !owned || seen->records > 0)
            break;
    }
    return status;
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
    if (wal_segments_add(wal, name, header.first_lsn, file) == NULL) {
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
    bool room;
    status =
        wal_writer_append(wal->writer, payload, size, cuts, wal->segment_size, &room, ticket, err);
    if (status != WF_OK || room)
        return status;
    if (wal_writer_view(wal->writer).open)
        status = seal_segment(wal, cuts, err);
    if (status == WF_OK)
        status = begin_segment(wal, err);
    if (status != WF_OK)
        return status;
    status =
        wal_writer_append(wal->writer, payload, size, cuts, wal->segment_size, &room, ticket, err);
    assert(status != WF_OK || room);
    return status;
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
    return wal->writer != NULL ? wal_writer_next_lsn(wal->writer) : wal->read_next_lsn;
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
