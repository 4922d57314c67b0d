/* Bounded byte cursors and a growing buffer: every decoder reads through bytes_reader, so that a
 * hostile length can never reach past the end. Little-endian on disk; varints are LEB128. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Reads forward and latches the first failure: check bytes_reader_ok() once at the end. After a
 * failure every read returns 0 / an empty view, and nothing is left. Borrows the bytes. */
struct bytes_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

/* A borrowed run of bytes, not terminated. */
struct bytes_view {
    const uint8_t *data;
    size_t size;
};

bool bytes_all_zero(const uint8_t *at, size_t size);

enum { BYTES_VARINT_SIZE_MAX = 10 }; /* bytes of the longest varint */

static inline struct bytes_reader bytes_reader_make(const void *data, size_t size);
static inline uint8_t bytes_read_u8(struct bytes_reader *reader);
static inline uint16_t bytes_read_u16(struct bytes_reader *reader);
static inline uint32_t bytes_read_u32(struct bytes_reader *reader);
static inline uint64_t bytes_read_u64(struct bytes_reader *reader);
/* An overlong one (a shorter form of the number exists, or more than 64 bits) or a cut one fails.
 */
static inline uint64_t bytes_read_varint(struct bytes_reader *reader);
static inline int64_t bytes_read_zigzag(struct bytes_reader *reader);
static inline struct bytes_view bytes_read_run(struct bytes_reader *reader, size_t size);
/* A varint length, then that many bytes. */
static inline struct bytes_view bytes_read_string(struct bytes_reader *reader);
static inline size_t bytes_reader_left(const struct bytes_reader *reader);
/* No read failed so far. */
static inline bool bytes_reader_ok(const struct bytes_reader *reader);
/* No read failed, and nothing is left. */
static inline bool bytes_reader_done(const struct bytes_reader *reader);
/* Latch a failure of the caller's own: a value that was read and makes no sense. */
static inline void bytes_reader_fail(struct bytes_reader *reader);

/* A heap buffer that grows. Latches an allocation failure: check bytes_buffer_ok() once; until it
 * is cleared, later writes are dropped. */
struct bytes_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void bytes_buffer_init(struct bytes_buffer *buffer);
void bytes_buffer_deinit(struct bytes_buffer *buffer);
void bytes_buffer_clear(struct bytes_buffer *buffer); /* size 0, memory kept, failure forgotten */
/* Room for `size` more bytes, returned as a pointer to write to; counts them as written. NULL on
 * failure. The pointer holds until the next write to the buffer. */
static inline uint8_t *bytes_buffer_extend(struct bytes_buffer *buffer, size_t size);
static inline void bytes_write_u8(struct bytes_buffer *buffer, uint8_t value);
static inline void bytes_write_u16(struct bytes_buffer *buffer, uint16_t value);
static inline void bytes_write_u32(struct bytes_buffer *buffer, uint32_t value);
static inline void bytes_write_u64(struct bytes_buffer *buffer, uint64_t value);
static inline void bytes_write_varint(struct bytes_buffer *buffer, uint64_t value);
static inline void bytes_write_zigzag(struct bytes_buffer *buffer, int64_t value);
static inline void bytes_write_run(struct bytes_buffer *buffer, const void *data, size_t size);
static inline void bytes_write_string(struct bytes_buffer *buffer, const char *data, size_t size);
static inline bool bytes_buffer_ok(const struct bytes_buffer *buffer);

/* Fixed-offset little-endian access for headers whose size was checked already. */
static inline uint16_t bytes_load_u16(const uint8_t *at);
static inline uint32_t bytes_load_u32(const uint8_t *at);
static inline uint64_t bytes_load_u64(const uint8_t *at);
static inline void bytes_store_u16(uint8_t *at, uint16_t value);
static inline void bytes_store_u32(uint8_t *at, uint32_t value);
static inline void bytes_store_u64(uint8_t *at, uint64_t value);

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4: "123456789" gives 0xE3069283). Start with `crc` = 0
 * and chain: crc32c(crc32c(0, a), b) is the CRC of a followed by b. Uses SSE4.2 or ARMv8
 * instructions where the CPU has them. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The table-driven version, the reference that the fast one is tested against. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

/* ---- The definitions: inline, since every record passes through them byte by byte. ---- */

/* The rare cases of the functions below: more than one byte, no room left. */
uint64_t bytes_read_varint_long(struct bytes_reader *reader);
void bytes_write_varint_long(struct bytes_buffer *buffer, uint64_t value);
uint8_t *bytes_buffer_extend_slow(struct bytes_buffer *buffer, size_t size);

static inline uint16_t bytes_load_u16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static inline uint32_t bytes_load_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static inline uint64_t bytes_load_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static inline void bytes_store_u16(uint8_t *at, uint16_t value) {
    value = htole16(value);
    memcpy(at, &value, sizeof value);
}

static inline void bytes_store_u32(uint8_t *at, uint32_t value) {
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static inline void bytes_store_u64(uint8_t *at, uint64_t value) {
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static inline struct bytes_reader bytes_reader_make(const void *data, size_t size) {
    /* Arithmetic on a null pointer is undefined, even by 0: an empty reader points somewhere. */
    const uint8_t *at = data != NULL ? data : (const void *)"";
    return (struct bytes_reader){.at = at, .end = at + size, .failed = false};
}

static inline size_t bytes_reader_left(const struct bytes_reader *reader) {
    return (size_t)(reader->end - reader->at);
}

static inline bool bytes_reader_ok(const struct bytes_reader *reader) {
    return !reader->failed;
}

static inline bool bytes_reader_done(const struct bytes_reader *reader) {
    return !reader->failed && reader->at == reader->end;
}

static inline void bytes_reader_fail(struct bytes_reader *reader) {
    reader->failed = true;
    reader->at = reader->end; /* so that every later read finds nothing, without another test */
}

/* The next `size` bytes, stepped over; NULL, and a latched failure, where fewer are left. */
static inline const uint8_t *bytes_reader_take(struct bytes_reader *reader, size_t size) {
    if (bytes_reader_left(reader) < size) {
        bytes_reader_fail(reader);
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

static inline uint8_t bytes_read_u8(struct bytes_reader *reader) {
    const uint8_t *at = bytes_reader_take(reader, 1);
    return at != NULL ? *at : 0;
}

static inline uint16_t bytes_read_u16(struct bytes_reader *reader) {
    const uint8_t *at = bytes_reader_take(reader, 2);
    return at != NULL ? bytes_load_u16(at) : 0;
}

static inline uint32_t bytes_read_u32(struct bytes_reader *reader) {
    const uint8_t *at = bytes_reader_take(reader, 4);
    return at != NULL ? bytes_load_u32(at) : 0;
}

static inline uint64_t bytes_read_u64(struct bytes_reader *reader) {
    const uint8_t *at = bytes_reader_take(reader, 8);
    return at != NULL ? bytes_load_u64(at) : 0;
}

static inline uint64_t bytes_read_varint(struct bytes_reader *reader) {
    if (reader->at != reader->end && *reader->at < 0x80)
        return *reader->at++;
    return bytes_read_varint_long(reader);
}

static inline int64_t bytes_read_zigzag(struct bytes_reader *reader) {
    uint64_t value = bytes_read_varint(reader);
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

static inline struct bytes_view bytes_read_run(struct bytes_reader *reader, size_t size) {
    const uint8_t *at = bytes_reader_take(reader, size);
    return at != NULL ? (struct bytes_view){at, size} : (struct bytes_view){reader->end, 0};
}

static inline struct bytes_view bytes_read_string(struct bytes_reader *reader) {
    uint64_t size = bytes_read_varint(reader);
    /* Compared before it is narrowed: on a 32-bit machine a huge length must not wrap to a small.
     */
    if (size > bytes_reader_left(reader)) {
        bytes_reader_fail(reader);
        size = 0;
    }
    return bytes_read_run(reader, (size_t)size);
}

static inline bool bytes_buffer_ok(const struct bytes_buffer *buffer) {
    return !buffer->failed;
}

static inline uint8_t *bytes_buffer_extend(struct bytes_buffer *buffer, size_t size) {
    if (buffer->failed || buffer->data == NULL || buffer->capacity - buffer->size < size)
        return bytes_buffer_extend_slow(buffer, size);
    uint8_t *at = buffer->data + buffer->size;
    buffer->size += size;
    return at;
}

static inline void bytes_write_u8(struct bytes_buffer *buffer, uint8_t value) {
    uint8_t *at = bytes_buffer_extend(buffer, 1);
    if (at != NULL)
        *at = value;
}

static inline void bytes_write_u16(struct bytes_buffer *buffer, uint16_t value) {
    uint8_t *at = bytes_buffer_extend(buffer, 2);
    if (at != NULL)
        bytes_store_u16(at, value);
}

static inline void bytes_write_u32(struct bytes_buffer *buffer, uint32_t value) {
    uint8_t *at = bytes_buffer_extend(buffer, 4);
    if (at != NULL)
        bytes_store_u32(at, value);
}

static inline void bytes_write_u64(struct bytes_buffer *buffer, uint64_t value) {
    uint8_t *at = bytes_buffer_extend(buffer, 8);
    if (at != NULL)
        bytes_store_u64(at, value);
}

static inline void bytes_write_varint(struct bytes_buffer *buffer, uint64_t value) {
    if (value < 0x80)
        bytes_write_u8(buffer, (uint8_t)value);
    else
        bytes_write_varint_long(buffer, value);
}

static inline void bytes_write_zigzag(struct bytes_buffer *buffer, int64_t value) {
    uint64_t bits = (uint64_t)value;
    bytes_write_varint(buffer, (bits << 1) ^ (0 - (bits >> 63)));
}

static inline void bytes_write_run(struct bytes_buffer *buffer, const void *data, size_t size) {
    if (size == 0)
        return; /* `data` may be NULL, which memcpy must not see */
    uint8_t *at = bytes_buffer_extend(buffer, size);
    if (at != NULL)
        memcpy(at, data, size);
}

static inline void bytes_write_string(struct bytes_buffer *buffer, const char *data, size_t size) {
    bytes_write_varint(buffer, size);
    bytes_write_run(buffer, data, size);
}

#endif
