/* The body of a block: in columns, or its frames as they are. */
#include "store/archive_columns.h"

#include <string.h>

/* Kind u8, first LSN, count, offset, size, byte count (varints), previous u32, chain u32; then the
 * frames themselves (RAW), or hints u8 * 6, shapes, column heads and columns. */
enum body_kind { BODY_RAW = 1, BODY_COLUMNS = 2 };

static void write_head(enum body_kind kind, const struct archive_frames *frames,
                       struct bytes_buffer *body) {
    bytes_write_u8(body, (uint8_t)kind);
    bytes_write_varint(body, frames->first_lsn);
    bytes_write_varint(body, frames->count);
    bytes_write_varint(body, frames->offset);
    bytes_write_varint(body, frames->size);
    bytes_write_varint(body, frames->bytes.size);
    bytes_write_u32(body, frames->previous);
    bytes_write_u32(body, frames->chain);
}

/* Do the columns give back the very same bytes? */
static bool comes_back(struct archive_tables *checker, struct bytes_view body, uint32_t seed,
                       const struct archive_frames *frames) {
    struct archive_frames back;
    bytes_buffer_clear(&checker->check);
    return archive_block_decode(checker, body, seed, &checker->check, &back, NULL) == WF_OK &&
           back.bytes.size == frames->bytes.size &&
           (back.bytes.size == 0 ||
            memcmp(back.bytes.data, frames->bytes.data, back.bytes.size) == 0);
}

enum wf_status archive_block_encode(struct archive_tables *tables, struct archive_tables *checker,
                                    const struct archive_hints *hints, uint32_t seed,
                                    const struct archive_frames *frames, struct bytes_buffer *body,
                                    int64_t *first_ms, int64_t *last_ms, struct wf_error *err) {
    size_t start = body->size;
    if (!columns_begin(tables, hints, frames->first_lsn, frames->count))
        return error_set(err, WF_NO_MEMORY, "no memory to archive");
    bool columns = columns_take_apart(tables, seed, frames);
    *first_ms = tables->first_ms;
    *last_ms = tables->time_ms;
    if (columns) {
        write_head(BODY_COLUMNS, frames, body);
        columns_write(tables, body);
        struct bytes_view written = {body->data + start, body->size - start};
        columns = bytes_buffer_ok(body) && comes_back(checker, written, seed, frames);
    }
    if (!columns && bytes_buffer_ok(body)) {
        body->size = start;
        write_head(BODY_RAW, frames, body);
        bytes_write_run(body, frames->bytes.data, frames->bytes.size);
    }
    return bytes_buffer_ok(body) ? WF_OK : error_set(err, WF_NO_MEMORY, "no memory to archive");
}

static bool read_head(struct bytes_reader *reader, uint8_t *kind, struct archive_frames *frames,
                      uint64_t *byte_count) {
    *kind = bytes_read_u8(reader);
    *frames = (struct archive_frames){.first_lsn = bytes_read_varint(reader)};
    frames->count = bytes_read_varint(reader);
    frames->offset = bytes_read_varint(reader);
    frames->size = bytes_read_varint(reader);
    *byte_count = bytes_read_varint(reader);
    frames->previous = bytes_read_u32(reader);
    frames->chain = bytes_read_u32(reader);
    return bytes_reader_ok(reader) && *byte_count <= ARCHIVE_BODY_MAX;
}

enum wf_status archive_block_decode(struct archive_tables *tables, struct bytes_view body,
                                    uint32_t seed, struct bytes_buffer *out,
                                    struct archive_frames *frames, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(body.data, body.size);
    size_t start = out->size;
    uint8_t kind;
    uint64_t byte_count;
    bool good = read_head(&reader, &kind, frames, &byte_count);
    if (good && kind == BODY_RAW) {
        good = bytes_reader_left(&reader) == byte_count && byte_count <= frames->size;
        if (good)
            bytes_write_run(out, reader.at, (size_t)byte_count);
    } else if (good && kind == BODY_COLUMNS && byte_count == frames->size) {
        good = columns_read(tables, &reader, seed, out, frames) && out->size - start == byte_count;
    } else {
        good = false;
    }
    if (!bytes_buffer_ok(out))
        return error_set(err, WF_NO_MEMORY, "no memory to read an archive");
    if (!good)
        return error_set(err, WF_DAMAGE, "the block's columns do not give its records");
    frames->bytes = (struct bytes_view){out->data + start, out->size - start};
    return WF_OK;
}
