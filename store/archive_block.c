/* The body of a block: in columns, or its frames as they are. */
#include "store/archive_columns.h"

#include <string.h>

/* Kind u8; of COLUMNS the size of the plain bytes (varint) and these; first LSN, count, offset,
 * size, byte count (varints), previous u32, chain u32; then the frames themselves (RAW), or hints
 * u8 * 6, shapes, column heads and columns. FIRST_COLUMNS is read and not written any more. */
enum body_kind { BODY_RAW = 1, BODY_FIRST_COLUMNS = 2, BODY_COLUMNS = 3 };

static void write_head(const struct archive_frames *frames, struct bytes_buffer *body) {
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

/* In columns, behind what was there. False: they do not give the frames back. */
static bool write_columns(struct archive_tables *tables, struct archive_tables *checker,
                          uint32_t seed, const struct archive_frames *frames,
                          struct bytes_buffer *body, size_t *plain_size) {
    struct bytes_buffer *plain = &tables->packed;
    size_t start = body->size;
    bytes_buffer_clear(plain);
    columns_write_plain(tables, plain);
    bytes_write_u8(body, BODY_COLUMNS);
    bytes_write_varint(body, plain->size);
    bytes_write_run(body, plain->data, plain->size);
    *plain_size = plain->size == 0 ? 0 : body->size - start;
    if (!bytes_buffer_ok(plain))
        body->failed = true;
    write_head(frames, body);
    columns_write(tables, body);
    struct bytes_view written = {body->data + start, body->size - start};
    return bytes_buffer_ok(body) && comes_back(checker, written, seed, frames);
}

enum wf_status archive_block_encode(struct archive_tables *tables, struct archive_tables *checker,
                                    const struct archive_hints *hints, uint32_t seed,
                                    const struct archive_frames *frames, struct bytes_buffer *body,
                                    struct archive_encoded *encoded, struct wf_error *err) {
    size_t start = body->size;
    *encoded = (struct archive_encoded){.plain = 0};
    if (!columns_begin(tables, hints, frames->first_lsn, frames->count))
        return error_set(err, WF_NO_MEMORY, "no memory to archive");
    bool columns = columns_take_apart(tables, frames);
    encoded->first_ms = tables->first_ms;
    encoded->last_ms = tables->time_ms;
    columns = columns && write_columns(tables, checker, seed, frames, body, &encoded->plain);
    if (!columns && bytes_buffer_ok(body) && !tables->failed) {
        body->size = start;
        encoded->plain = 0;
        bytes_write_u8(body, BODY_RAW);
        write_head(frames, body);
        bytes_write_run(body, frames->bytes.data, frames->bytes.size);
    }
    return bytes_buffer_ok(body) && !tables->failed
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "no memory to archive");
}

static bool read_head(struct bytes_reader *reader, struct archive_frames *frames,
                      uint64_t *byte_count) {
    *frames = (struct archive_frames){.first_lsn = bytes_read_varint(reader)};
    frames->count = bytes_read_varint(reader);
    frames->offset = bytes_read_varint(reader);
    frames->size = bytes_read_varint(reader);
    *byte_count = bytes_read_varint(reader);
    frames->previous = bytes_read_u32(reader);
    frames->chain = bytes_read_u32(reader);
    return bytes_reader_ok(reader) && *byte_count <= ARCHIVE_BODY_MAX;
}

static bool read_raw(struct bytes_reader *reader, const struct archive_frames *frames,
                     uint64_t byte_count, struct bytes_buffer *out) {
    if (bytes_reader_left(reader) != byte_count || byte_count > frames->size)
        return false;
    bytes_write_run(out, reader->at, (size_t)byte_count);
    return true;
}

enum wf_status archive_block_decode(struct archive_tables *tables, struct bytes_view body,
                                    uint32_t seed, struct bytes_buffer *out,
                                    struct archive_frames *frames, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(body.data, body.size);
    size_t start = out->size;
    uint64_t byte_count;
    uint8_t kind = bytes_read_u8(&reader);
    struct bytes_view plain = {NULL, 0};
    if (kind > BODY_COLUMNS)
        return error_set(err, WF_DAMAGE, "the block is of kind %u, which is not known here", kind);
    if (kind == BODY_COLUMNS)
        plain = bytes_read_string(&reader);
    bool good = read_head(&reader, frames, &byte_count);
    if (good && kind == BODY_RAW) {
        good = read_raw(&reader, frames, byte_count, out);
    } else if (good && (kind == BODY_FIRST_COLUMNS || kind == BODY_COLUMNS) &&
               byte_count == frames->size) {
        good =
            columns_read(tables, &reader, kind == BODY_FIRST_COLUMNS, plain, seed, out, frames) &&
            out->size - start == byte_count;
        frames->made = good;
    } else {
        good = false;
    }
    if (!bytes_buffer_ok(out))
        return error_set(err, WF_NO_MEMORY, "no memory to read an archive");
    if (!good)
        return error_set(err, WF_DAMAGE, "the block's columns do not give its records");
    if (out->size > start) /* of no frames there may be no memory */
        frames->bytes = (struct bytes_view){out->data + start, out->size - start};
    return WF_OK;
}
