/* The protobuf wire format, written: what protobuf-c packs, byte for byte
 * (tests/unit/test_codec_wire.c holds them together), in one walk and without messages in between.
 * Members must be put in order of their numbers; zeros and empty runs are not written. Failures
 * latch in the buffer. */
#ifndef ENGINE_CODEC_PUT_H
#define ENGINE_CODEC_PUT_H

#include "base/bytes.h"

enum { PUT_KEY_MAX = 2 }; /* bytes of a member's key; numbers up to 2047 */
enum put_type { PUT_VARINT = 0, PUT_BYTES = 2 };

/* Where `size` bytes can be written, not counted as written yet; NULL: no memory. */
static inline uint8_t *put_room(struct bytes_buffer *out, size_t size) {
    if (out->failed || out->capacity - out->size < size) {
        if (bytes_buffer_extend_slow(out, size) == NULL) {
            return NULL;
        }
        out->size -= size;
    }
    return out->data + out->size;
}

static inline uint8_t *put_raw_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint8_t *put_raw_key(uint8_t *at, uint32_t number, enum put_type type) {
    return put_raw_varint(at, number << 3 | type);
}

static inline void put_number(struct bytes_buffer *out, uint32_t number, uint64_t value) {
    if (value == 0) {
        return;
    }
    uint8_t *at = put_room(out, PUT_KEY_MAX + BYTES_VARINT_SIZE_MAX);
    if (at != NULL) {
        at = put_raw_varint(put_raw_key(at, number, PUT_VARINT), value);
        out->size = (size_t)(at - out->data);
    }
}

static inline uint64_t put_zigzag(int64_t value) {
    uint64_t bits = (uint64_t)value;
    return bits << 1 ^ (0 - (bits >> 63));
}

/* Also where it is empty: an element of a repeated member. */
static inline void put_element(struct bytes_buffer *out, uint32_t number, struct bytes_view bytes) {
    uint8_t *at = put_room(out, PUT_KEY_MAX + BYTES_VARINT_SIZE_MAX + bytes.size);
    if (at == NULL) {
        return;
    }
    at = put_raw_varint(put_raw_key(at, number, PUT_BYTES), bytes.size);
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    out->size = (size_t)(at - out->data) + bytes.size;
}

static inline void put_bytes(struct bytes_buffer *out, uint32_t number, struct bytes_view bytes) {
    if (bytes.size > 0) {
        put_element(out, number, bytes);
    }
}

/* A member whose size is known only when it is written: put_end() takes what put_begin() returned.
 * Most take less than 128 bytes: then one byte is kept for the size, and nothing moves. */
static inline size_t put_begin(struct bytes_buffer *out, uint32_t number) {
    uint8_t *at = put_room(out, PUT_KEY_MAX + 1);
    if (at != NULL) {
        at = put_raw_key(at, number, PUT_BYTES) + 1;
        out->size = (size_t)(at - out->data);
    }
    return out->size;
}

static inline void put_end(struct bytes_buffer *out, size_t begin) {
    if (out->failed) {
        return;
    }
    size_t size = out->size - begin;
    if (size < 0x80) {
        out->data[begin - 1] = (uint8_t)size;
        return;
    }
    uint8_t encoded[BYTES_VARINT_SIZE_MAX];
    size_t more = (size_t)(put_raw_varint(encoded, size) - encoded) - 1;
    if (put_room(out, more) != NULL) {
        memmove(out->data + begin + more, out->data + begin, size);
        memcpy(out->data + begin - 1, encoded, more + 1);
        out->size += more;
    }
}

#endif
