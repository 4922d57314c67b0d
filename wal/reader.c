#include "wal/reader.h"

#include <stdlib.h>

enum { BLOCK_SIZE = 256 * 1024 }; /* stays in the processor's cache */

void wal_reader_init(struct wal_reader *reader, struct io *io) {
    *reader = (struct wal_reader){.io = io};
}

void wal_reader_deinit(struct wal_reader *reader) {
    free(reader->block);
    reader->block = NULL;
}

enum wf_status wal_reader_start(struct wal_reader *reader, struct io_file *file, uint32_t seed,
                                uint64_t offset, struct wf_error *err) {
    reader->file = file;
    reader->seed = seed;
    reader->offset = offset;
    reader->filled = 0;
    reader->block_offset = offset;
    return reader->io->ops->size(reader->io, file, &reader->file_size, err);
}

static enum wf_status grow_block(struct wal_reader *reader, size_t size, struct wf_error *err) {
    size_t capacity = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    if (reader->capacity >= capacity)
        return WF_OK;
    free(reader->block);
    reader->filled = 0;
    reader->capacity = 0;
    reader->block = malloc(capacity);
    if (reader->block == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to read %zu bytes of the log", capacity);
    reader->capacity = capacity;
    return WF_OK;
}

/* Fill the block anew from `offset` with at least `size` bytes, or with what the file has. */
static enum wf_status refill(struct wal_reader *reader, uint64_t offset, size_t size,
                             struct wf_error *err) {
    enum wf_status status = grow_block(reader, size, err);
    if (status != WF_OK)
        return status;
    reader->block_offset = offset;
    reader->filled = 0;
    return io_read_all(reader->io, reader->file, offset, reader->block, reader->capacity,
                       &reader->filled, err);
}

/* Point `*at` to up to `size` bytes at `offset`; `*got` is less only where the file ends. */
static inline enum wf_status look(struct wal_reader *reader, uint64_t offset, size_t size,
                                  const uint8_t **at, size_t *got, struct wf_error *err) {
    bool inside =
        offset >= reader->block_offset && offset - reader->block_offset + size <= reader->filled;
    if (!inside) {
        enum wf_status status = refill(reader, offset, size, err);
        if (status != WF_OK)
            return status;
    }
    size_t skip = (size_t)(offset - reader->block_offset);
    size_t left = reader->filled > skip ? reader->filled - skip : 0;
    *at = reader->block + skip;
    *got = left < size ? left : size;
    return WF_OK;
}

enum wf_status wal_reader_used_end(struct wal_reader *reader, uint64_t from, uint64_t *end,
                                   struct wf_error *err) {
    *end = from;
    for (uint64_t offset = from;;) {
        const uint8_t *at;
        size_t got;
        enum wf_status status = look(reader, offset, BLOCK_SIZE, &at, &got, err);
        if (status != WF_OK || got == 0)
            return status;
        if (!bytes_all_zero(at, got)) {
            size_t used = got;
            while (at[used - 1] == 0)
                used--;
            *end = offset + used;
        }
        offset += got;
    }
}

static enum wf_status step_bad(struct wal_step *step, const char *why) {
    step->found = WAL_FOUND_BAD;
    step->why = why;
    return WF_OK;
}

/* No frame starts here: the end, where nothing but zeros follows. */
static enum wf_status end_or_bad(struct wal_reader *reader, const uint8_t *at, size_t got,
                                 struct wal_step *step, const char *why, struct wf_error *err) {
    if (got > 0 && !bytes_all_zero(at, got))
        return step_bad(step, why);
    uint64_t end;
    enum wf_status status = wal_reader_used_end(reader, step->offset, &end, err);
    if (status != WF_OK)
        return status;
    if (end > step->offset)
        return step_bad(step, "zeros stand where a frame should, and more follows");
    step->found = WAL_FOUND_END;
    return WF_OK;
}

enum wf_status wal_reader_next(struct wal_reader *reader, struct wal_step *step,
                               struct wf_error *err) {
    step->offset = reader->offset;
    step->sized = false;
    step->why = NULL;
    const uint8_t *at;
    size_t got;
    enum wf_status status = look(reader, reader->offset, WAL_FRAME_HEADER_SIZE, &at, &got, err);
    if (status != WF_OK)
        return status;
    if (got < WAL_FRAME_HEADER_SIZE)
        return end_or_bad(reader, at, got, step, "the file ends within a frame header", err);
    const char *why = wal_frame_decode_header(at, reader->seed, &step->frame);
    if (why != NULL)
        return end_or_bad(reader, at, got, step, why, err);
    step->sized = true;
    /* The size is believed now, and still held against what the file has before anything is read.
     */
    uint64_t left = reader->file_size > reader->offset ? reader->file_size - reader->offset : 0;
    if (step->frame.size > left)
        return step_bad(step, "the file ends within the frame");
    size_t checked = (size_t)wal_frame_checked_size(&step->frame);
    status = look(reader, reader->offset, checked, &at, &got, err);
    if (status != WF_OK)
        return status;
    why =
        got < checked ? "the file ends within the frame" : wal_frame_decode_body(at, &step->frame);
    if (why != NULL)
        return step_bad(step, why);
    step->found = WAL_FOUND_FRAME;
    reader->offset += step->frame.size;
    return WF_OK;
}

enum wf_status wal_reader_search(struct wal_reader *reader, uint64_t offset, struct wal_step *step,
                                 struct wf_error *err) {
    offset = (offset + WAL_FRAME_ALIGN - 1) & ~(uint64_t)(WAL_FRAME_ALIGN - 1);
    for (; offset + WAL_FRAME_SIZE_MIN <= reader->file_size; offset += WAL_FRAME_ALIGN) {
        const uint8_t *at;
        size_t got;
        enum wf_status status = look(reader, offset, WAL_FRAME_HEADER_SIZE, &at, &got, err);
        if (status != WF_OK)
            return status;
        struct wal_frame frame;
        if (got < WAL_FRAME_HEADER_SIZE)
            break;
        if (wal_frame_decode_header(at, reader->seed, &frame) != NULL)
            continue;
        reader->offset = offset;
        status = wal_reader_next(reader, step, err);
        if (status != WF_OK || step->found == WAL_FOUND_FRAME)
            return status;
    }
    step->found = WAL_FOUND_END;
    step->offset = offset;
    step->sized = false;
    return WF_OK;
}
