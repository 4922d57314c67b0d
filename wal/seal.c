/* The end of a segment: the last batch, the seal and the cut behind it, in one sync. */
#include "wal/flight.h"

#include <string.h>

/* Become the leader of everything that is pending. With the mutex held on return where WF_OK. */
static enum wf_status lead_alone(struct wal_writer *writer, uint64_t cuts, struct wal_batch **batch,
                                 struct wf_error *err) {
    pthread_mutex_lock(&writer->mutex);
    while (writer->leading) {
        wal_flight_sleep(writer, (unsigned)(writer->flight_number + 1) & 1);
        pthread_mutex_lock(&writer->mutex);
    }
    enum wf_status status = wal_writer_check(writer, cuts, err);
    if (status == WF_OK && !wal_batch_grow(writer->filling, WAL_SEAL_FRAME_SIZE))
        status = error_set(err, WF_NO_MEMORY, "no memory to seal a segment");
    if (status == WF_OK) {
        *batch = wal_flight_take_off(writer);
        return WF_OK;
    }
    /* We may have been the one that was woken to lead: pass it on. */
    wal_flight_pass_on(writer);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

/* Hash what is pending and put the seal behind it. Nobody appends now, and readers of the flight
 * look no further than its records. */
static enum wf_status put_seal(struct wal_writer *writer, struct wal_batch *batch,
                               struct wal_frame *frame, struct wal_seal *seal,
                               struct wf_error *err) {
    pthread_mutex_lock(&writer->hash_mutex);
    enum wf_status status = wal_flight_catch_up(writer, writer->file, batch->offset, err);
    if (status == WF_OK && !(wal_flight_hash(writer, batch) &&
                             wal_frontier_root(&writer->frontier, writer->hasher, seal->root)))
        status = error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    seal->count = writer->frontier.count;
    pthread_mutex_unlock(&writer->hash_mutex);
    if (status != WF_OK)
        return status;
    uint8_t payload[WAL_SEAL_PAYLOAD_SIZE];
    wal_seal_encode(payload, seal);
    frame->payload = (struct bytes_view){payload, sizeof payload};
    wal_frame_encode(batch->data + batch->size, writer->seed, frame);
    frame->payload.data = NULL;
    return WF_OK;
}

/* Write the flight with its seal and cut the file behind it, all in one sync. */
static enum wf_status write_sealed(struct wal_writer *writer, const struct wal_batch *batch,
                                   bool *written, uint64_t *sync_ns, struct wf_error *err) {
    struct io *io = writer->io;
    *written = false;
    io_point(io, "wal.before_seal");
    enum wf_status status =
        io_write_all(io, writer->file, batch->offset, batch->data, batch->size, err);
    if (status != WF_OK)
        return status;
    *written = true;
    status = io->ops->truncate(io, writer->file, batch->offset + batch->size, err);
    if (status != WF_OK)
        return status;
    uint64_t start = io->ops->monotonic_ns(io);
    /* The old segment is on the disk before the next one accepts a record. */
    status = io->ops->sync(io, writer->file, err);
    *sync_ns = io->ops->monotonic_ns(io) - start;
    if (status == WF_OK)
        io_point(io, "wal.after_seal");
    return status;
}

/* With the mutex held: the seal is durable. The next segment begins where this one ended. */
static void leave_segment(struct wal_writer *writer, uint32_t seal_crc) {
    writer->end = (struct wal_boundary){WAL_SEGMENT_HEADER_SIZE, 0, seal_crc};
    wal_flight_publish(writer, &writer->end, writer->next_lsn - 1);
    writer->file = NULL;
    writer->segment_first = writer->next_lsn;
    writer->reserved = 0;
    pthread_mutex_lock(&writer->hash_mutex);
    writer->frontier.count = 0;
    writer->hashed_offset = WAL_SEGMENT_HEADER_SIZE;
    pthread_mutex_unlock(&writer->hash_mutex);
    wal_batch_clear(writer->flight);
    writer->flight = NULL;
    writer->leading = false;
    wal_flight_wake_everybody(writer);
}

/* With the mutex held: the seal failed. The frontier goes back to what is durable. */
static enum wf_status fail_seal(struct wal_writer *writer, const struct wal_frontier *before,
                                uint64_t offset_before, enum wf_status status, bool written,
                                const struct wf_error *failure, struct wf_error *err) {
    pthread_mutex_lock(&writer->hash_mutex);
    wal_frontier_copy(&writer->frontier, before);
    writer->hashed_offset = offset_before;
    pthread_mutex_unlock(&writer->hash_mutex);
    wal_flight_fail(writer, status, written, failure);
    if (atomic_load(&writer->halted))
        return wal_writer_halted_error(writer, err);
    return error_set(err, WF_FULL, "%s", failure->text);
}

enum wf_status wal_writer_seal(struct wal_writer *writer, uint64_t cuts,
                               struct wal_segment_info *info, struct wf_error *err) {
    struct wal_batch *batch = NULL;
    enum wf_status status = lead_alone(writer, cuts, &batch, err);
    if (status != WF_OK)
        return status;
    if (batch->size == 0)
        batch->offset = writer->end.offset;
    struct wal_frame frame = {
        .kind = WAL_FRAME_SEAL,
        .previous = writer->end.previous,
        .lsn = writer->next_lsn,
        .durable_lsn = atomic_load(&writer->durable_lsn),
    };
    struct wal_frontier before;
    wal_frontier_copy(&before, &writer->frontier); /* only leaders change it */
    uint64_t offset_before = writer->hashed_offset;
    pthread_mutex_unlock(&writer->mutex);
    struct wal_seal seal;
    struct wf_error failure = {.status = WF_OK};
    bool written = true;
    uint64_t sync_ns = 0;
    struct wal_batch sealed = *batch;
    sealed.size += WAL_SEAL_FRAME_SIZE;
    status = put_seal(writer, batch, &frame, &seal, &failure);
    if (status == WF_OK)
        status = write_sealed(writer, &sealed, &written, &sync_ns, &failure);
    if (status == WF_OK)
        wal_flight_tell(writer, frame.lsn - 1);
    pthread_mutex_lock(&writer->mutex);
    if (status != WF_OK) {
        status = fail_seal(writer, &before, offset_before, status, written, &failure, err);
    } else {
        wal_flight_count(writer, &sealed, sync_ns);
        writer->stats.rotations++;
        info->last_lsn = writer->next_lsn - 1;
        info->size = sealed.offset + sealed.size;
        info->sealed = true;
        memcpy(info->root, seal.root, WAL_HASH_SIZE);
        leave_segment(writer, frame.crc);
    }
    pthread_mutex_unlock(&writer->mutex);
    return status;
}
