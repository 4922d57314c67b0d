/* Reading records of an open log: one by its place, or a range in order. */
#include "wal/recover.h"
#include "wal/segments.h"

#include <inttypes.h>

/* One pread gets most records whole. */
enum { READ_GUESS = 4096 };

static enum wf_status damage(const struct wal_segment *segment, uint64_t offset, uint64_t lsn,
                             const char *why, struct wf_error *err) {
    return error_set(err, WF_DAMAGE, "segment %s, offset %" PRIu64 ", LSN %" PRIu64 ": %s",
                     segment->info.name, offset, lsn, why);
}

/* Bring `size` bytes at `offset` into the buffer. `*got` is less where the file ends. */
static enum wf_status load(struct wal *wal, struct wal_segment *segment, uint64_t offset,
                           size_t size, struct bytes_buffer *buffer, size_t *got,
                           struct wf_error *err) {
    bytes_buffer_clear(buffer);
    uint8_t *to = bytes_buffer_extend(buffer, size);
    if (to == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to read %zu bytes of the log", size);
    return io_read_all(wal->io, segment->file, offset, to, size, got, err);
}

static enum wf_status read_frame(struct wal *wal, struct wal_segment *segment, uint64_t lsn,
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
    struct wal_segment *segment;
    struct wal_frame frame;
    enum wf_status status = wal_segments_hold(wal, lsn, &segment, err);
    if (status == WF_NOT_FOUND && wal->source.read != NULL)
        return wal->source.read(wal->source.ctx, lsn, buffer, record, err);
    if (status != WF_OK)
        return status;
    status = read_frame(wal, segment, lsn, offset, buffer, &frame, err);
    wal_segments_release(wal, segment);
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

static enum wf_status walk_frame(struct walk *walk, const struct wal_segment *segment,
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

static enum wf_status walk_segment(struct wal *wal, struct wal_segment *segment,
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

/* The records from the next one on that are in no segment any more. */
static enum wf_status walk_source(struct wal *wal, struct walk *walk, struct wf_error *err) {
    uint64_t last = wal_segments_last_of(wal, walk->next_lsn);
    last = last < walk->last_lsn ? last : walk->last_lsn;
    enum wf_status status =
        wal->source.walk(wal->source.ctx, walk->next_lsn, last, walk->on_record, walk->ctx, err);
    walk->next_lsn = last + 1;
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
        struct wal_segment *segment;
        status = wal_segments_hold(wal, walk.next_lsn, &segment, err);
        if (status == WF_NOT_FOUND && wal->source.walk != NULL) {
            status = walk_source(wal, &walk, err);
            continue;
        }
        if (status != WF_OK)
            break;
        uint64_t before = walk.next_lsn;
        status = walk_segment(wal, segment, &reader, &walk, err);
        if (status == WF_OK && walk.next_lsn <= before)
            status = damage(segment, reader.offset, before, "the segment ends here", err);
        wal_segments_release(wal, segment);
    }
    wal_reader_deinit(&reader);
    return status;
}
