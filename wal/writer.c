/* The writer towards its callers: state, append buffers, reserved space. How a batch is written and
 * who waits for it is in flight.c, the end of a segment in seal.c. */
#include "wal/writer.h"

#include "wal/flight.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESERVE_MIN = 256 * 1024,      /* the smallest step of preallocation, bytes */
    RESERVE_MAX = 4 * 1024 * 1024, /* and the largest */
    RESERVE_SHARE = 8, /* between them: this part of the file, so that little disk stands unused */
};

/* --- making and freeing --- */

static bool init_locks(struct wal_writer *writer) {
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0)
        return false;
    /* The critical sections are shorter than a sleep: spin a little first. */
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    bool ok = pthread_mutex_init(&writer->mutex, &attributes) == 0 &&
              pthread_mutex_init(&writer->hash_mutex, NULL) == 0;
    pthread_mutexattr_destroy(&attributes);
    return ok;
}

enum wf_status wal_writer_create(struct io *io, const uint8_t store_id[WAL_STORE_ID_SIZE],
                                 const struct wal_options *options, const struct wal_recovered *end,
                                 uint64_t segment_first, struct io_file *file,
                                 struct wal_writer **out, struct wf_error *err) {
    *out = NULL;
    struct wal_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL || !init_locks(writer)) {
        free(writer);
        return error_set(err, WF_NO_MEMORY, "no memory for the log's writer");
    }
    writer->io = io;
    writer->seed = wal_frame_seed(store_id);
    if (options != NULL) {
        writer->on_durable = options->on_durable;
        writer->on_durable_ctx = options->on_durable_ctx;
    }
    memcpy(writer->store_id, store_id, WAL_STORE_ID_SIZE);
    atomic_init(&writer->durable_lsn, end->next_lsn - 1);
    writer->file = file;
    writer->segment_first = segment_first;
    writer->reserved = end->file_size;
    atomic_init(&writer->next_lsn, end->next_lsn);
    writer->end = (struct wal_boundary){end->offset, end->last_offset, end->previous};
    writer->durable = writer->end;
    writer->filling = &writer->buffers[0];
    wal_frontier_copy(&writer->frontier, &end->frontier);
    writer->hashed_offset = end->hashed_offset;
    writer->hasher = wal_hasher_create();
    if (writer->hasher == NULL) {
        wal_writer_destroy(writer);
        return error_set(err, WF_NO_MEMORY, "no memory for the log's hasher");
    }
    *out = writer;
    return WF_OK;
}

void wal_writer_destroy(struct wal_writer *writer) {
    if (writer == NULL)
        return;
    pthread_mutex_destroy(&writer->mutex);
    pthread_mutex_destroy(&writer->hash_mutex);
    wal_hasher_destroy(writer->hasher);
    free(writer->buffers[0].data);
    free(writer->buffers[1].data);
    free(writer->boundaries);
    free(writer);
}

/* --- small questions --- */

uint64_t wal_writer_durable_lsn(const struct wal_writer *writer) {
    return atomic_load_explicit(&writer->durable_lsn, memory_order_acquire);
}

uint64_t wal_writer_next_lsn(const struct wal_writer *writer) {
    return atomic_load_explicit(&writer->next_lsn, memory_order_relaxed);
}

uint64_t wal_writer_cuts(const struct wal_writer *writer) {
    return atomic_load_explicit(&writer->cuts, memory_order_acquire);
}

bool wal_writer_halted(const struct wal_writer *writer) {
    return atomic_load_explicit(&writer->halted, memory_order_acquire);
}

void wal_writer_stats(struct wal_writer *writer, struct wal_stats *stats) {
    pthread_mutex_lock(&writer->mutex);
    *stats = writer->stats;
    pthread_mutex_unlock(&writer->mutex);
}

struct wal_writer_view wal_writer_view(struct wal_writer *writer) {
    pthread_mutex_lock(&writer->mutex);
    struct wal_writer_view view = {
        .open = writer->file != NULL,
        .segment_first = writer->segment_first,
        .next_lsn = writer->next_lsn,
        .offset = writer->end.offset,
        .durable_offset = writer->durable.offset,
        .previous = writer->end.previous,
    };
    pthread_mutex_unlock(&writer->mutex);
    return view;
}

/* With the hash mutex held, and no append under way, so that the file stays. */
static bool catch_up(struct wal_writer *writer, struct io_file *file, uint64_t end) {
    return file == NULL || wal_flight_catch_up(writer, file, end, NULL) == WF_OK;
}

bool wal_writer_place(struct wal_writer *writer, struct wal_place *place) {
    pthread_mutex_lock(&writer->mutex);
    struct io_file *file = writer->file;
    uint64_t durable = writer->durable.offset;
    pthread_mutex_unlock(&writer->mutex);
    /* What recovery left to hash may be much: not with the mutex held, which leaders take. */
    pthread_mutex_lock(&writer->hash_mutex);
    bool ok = catch_up(writer, file, durable);
    pthread_mutex_unlock(&writer->hash_mutex);
    pthread_mutex_lock(&writer->mutex);
    memcpy(place->store_id, writer->store_id, WAL_STORE_ID_SIZE);
    place->lsn = writer->next_lsn - 1;
    place->segment_first = writer->segment_first;
    place->offset = writer->end.offset;
    place->last_offset = writer->end.last_offset;
    place->previous = writer->end.previous;
    pthread_mutex_lock(&writer->hash_mutex);
    ok =
        ok && catch_up(writer, file, writer->durable.offset); /* a leader may have left some more */
    wal_frontier_copy(&place->frontier, &writer->frontier);
    ok = ok &&
         wal_batch_hash(writer->flight, writer->hasher, writer->segment_first, &place->frontier) &&
         wal_batch_hash(writer->filling, writer->hasher, writer->segment_first, &place->frontier);
    pthread_mutex_unlock(&writer->hash_mutex);
    pthread_mutex_unlock(&writer->mutex);
    return ok;
}

/* --- appending --- */

enum wf_status wal_writer_halted_error(struct wal_writer *writer, struct wf_error *err) {
    return error_set(err, WF_HALTED, "the log is halted: %s", writer->failure.text);
}

enum wf_status wal_writer_check(struct wal_writer *writer, uint64_t cuts, struct wf_error *err) {
    if (atomic_load(&writer->halted))
        return wal_writer_halted_error(writer, err);
    if (atomic_load(&writer->cuts) != cuts)
        return error_set(err, WF_CONFLICT,
                         "the log was cut back because the disk was full; records are gone");
    return WF_OK;
}

/* With the mutex held; released while the file grows. Make sure that the file has room up to
 * `need`, so that a full disk is found out before anything is promised. */
static enum wf_status reserve(struct wal_writer *writer, uint64_t need, uint64_t segment_size,
                              uint64_t cuts, struct wf_error *err) {
    if (need <= writer->reserved)
        return WF_OK;
    struct io *io = writer->io;
    uint64_t step = writer->reserved / RESERVE_SHARE;
    step = step < RESERVE_MIN ? RESERVE_MIN : step;
    uint64_t target = writer->reserved + (step < RESERVE_MAX ? step : RESERVE_MAX);
    if (target > segment_size)
        target = segment_size;
    if (target < need)
        target = need;
    struct io_file *file = writer->file;
    pthread_mutex_unlock(&writer->mutex);
    enum wf_status status = io->ops->preallocate(io, file, target, err);
    if (status == WF_FULL && target > need) {
        target = need;
        status = io->ops->preallocate(io, file, target, err);
    }
    pthread_mutex_lock(&writer->mutex);
    if (status != WF_OK)
        return error_wrap(err, status, "reserve space in the log");
    /* A cut in the meantime may have shortened the file before or after it was extended. */
    status = wal_writer_check(writer, cuts, err);
    if (status == WF_OK)
        writer->reserved = target;
    return status;
}

/* With the mutex held: the record into the buffer. Cannot fail any more. */
static void put_frame(struct wal_writer *writer, const void *payload, size_t size,
                      struct wal_ticket *ticket) {
    struct wal_batch *batch = writer->filling;
    struct wal_frame frame = {
        .kind = WAL_FRAME_RECORD,
        .previous = writer->end.previous,
        .lsn = atomic_load_explicit(&writer->next_lsn, memory_order_relaxed),
        .durable_lsn = atomic_load_explicit(&writer->durable_lsn, memory_order_relaxed),
        .payload = {payload, size},
    };
    if (wal_batch_empty(batch)) {
        batch->offset = writer->end.offset;
        batch->first_lsn = frame.lsn;
    }
    wal_frame_encode(batch->data + batch->size, writer->seed, &frame);
    batch->size += (size_t)frame.size;
    batch->last_lsn = frame.lsn;
    ticket->lsn = frame.lsn;
    ticket->offset = writer->end.offset;
    ticket->cuts = atomic_load_explicit(&writer->cuts, memory_order_relaxed);
    writer->end.last_offset = writer->end.offset;
    writer->end.offset += frame.size;
    writer->end.previous = frame.crc;
    atomic_store_explicit(&writer->next_lsn, frame.lsn + 1, memory_order_relaxed);
}

/* Does the record, and the seal behind it, belong into the open segment? One that is larger than a
 * segment has one of its own. */
static bool has_room(const struct wal_writer *writer, uint64_t frame_size, uint64_t segment_size) {
    return writer->file != NULL &&
           (writer->end.offset == WAL_SEGMENT_HEADER_SIZE ||
            writer->end.offset + frame_size + WAL_SEAL_FRAME_SIZE <= segment_size);
}

enum wf_status wal_writer_append(struct wal_writer *writer, const void *payload, size_t size,
                                 uint64_t cuts, uint64_t segment_size, bool *room,
                                 struct wal_ticket *ticket, struct wf_error *err) {
    uint64_t frame_size = wal_frame_size(size);
    pthread_mutex_lock(&writer->mutex);
    enum wf_status status = wal_writer_check(writer, cuts, err);
    while (status == WF_OK && writer->filling->size + frame_size > WAL_PENDING_MAX) {
        pthread_mutex_unlock(&writer->mutex);
        wal_writer_sync(writer, NULL); /* how it went is seen in `cuts` and `halted` */
        pthread_mutex_lock(&writer->mutex);
        status = wal_writer_check(writer, cuts, err);
    }
    *room = status == WF_OK && has_room(writer, frame_size, segment_size);
    if (*room)
        status = reserve(writer, writer->end.offset + frame_size + WAL_SEAL_FRAME_SIZE,
                         segment_size, cuts, err);
    if (*room && status == WF_OK && !wal_batch_grow(writer->filling, (size_t)frame_size))
        status = error_set(err, WF_NO_MEMORY, "no memory to append %zu bytes", size);
    if (*room && status == WF_OK)
        put_frame(writer, payload, size, ticket);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

/* --- the segment --- */

void wal_writer_enter(struct wal_writer *writer, struct io_file *file) {
    pthread_mutex_lock(&writer->mutex);
    assert(writer->file == NULL && writer->end.offset == WAL_SEGMENT_HEADER_SIZE);
    writer->file = file;
    writer->reserved = WAL_SEGMENT_HEADER_SIZE;
    pthread_mutex_unlock(&writer->mutex);
}

void wal_writer_trim(struct wal_writer *writer) {
    pthread_mutex_lock(&writer->mutex);
    if (writer->file != NULL && writer->reserved > writer->end.offset) {
        /* Nothing depends on it, and zeros behind the end are as good: not synced, not checked. */
        writer->io->ops->truncate(writer->io, writer->file, writer->end.offset, NULL);
        writer->reserved = writer->end.offset;
    }
    pthread_mutex_unlock(&writer->mutex);
}

/* --- reading what is not written yet --- */

enum wf_status wal_writer_read(struct wal_writer *writer, uint64_t lsn, uint64_t offset,
                               struct bytes_buffer *buffer, struct wal_record *record,
                               bool *pending, struct wf_error *err) {
    enum wf_status status = WF_OK;
    *pending = false;
    pthread_mutex_lock(&writer->mutex);
    const struct wal_batch *batches[] = {writer->flight, writer->filling};
    for (size_t i = 0; i < 2; i++) {
        const struct wal_batch *batch = batches[i];
        if (batch == NULL || wal_batch_empty(batch) || lsn < batch->first_lsn ||
            lsn > batch->last_lsn)
            continue;
        *pending = true;
        struct wal_frame frame = {.lsn = 0};
        const uint8_t *at = batch->data + (offset - batch->offset);
        if (offset < batch->offset || offset - batch->offset >= batch->size ||
            wal_frame_decode_header(at, writer->seed, &frame) != NULL || frame.lsn != lsn) {
            status = error_set(err, WF_NOT_FOUND, "LSN %" PRIu64 " is not at offset %" PRIu64, lsn,
                               offset);
            break;
        }
        bytes_buffer_clear(buffer);
        bytes_write_run(buffer, at + WAL_FRAME_HEADER_SIZE, frame.payload.size);
        if (!bytes_buffer_ok(buffer))
            status = error_set(err, WF_NO_MEMORY, "no memory to read LSN %" PRIu64, lsn);
        *record = (struct wal_record){
            .lsn = lsn, .offset = offset, .payload = {buffer->data, buffer->size}};
        break;
    }
    pthread_mutex_unlock(&writer->mutex);
    return status;
}
