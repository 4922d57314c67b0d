#include "base/bytes.h"

#include <stdlib.h>

enum { BUFFER_CAPACITY_MIN = 64 };

uint64_t bytes_read_varint_long(struct bytes_reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at != reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        /* The tenth byte carries one bit; a last byte of 0 says nothing, so a shorter form of the
         * same number exists: one number has one encoding, or hashes of bytes would not be of use.
         */
        bool last = byte < 0x80;
        if ((shift == 63 && byte > 1) || (last && byte == 0 && shift > 0))
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (last)
            return value;
    }
    bytes_reader_fail(reader);
    return 0;
}

bool bytes_all_zero(const uint8_t *at, size_t size) {
    /* A run of equal bytes equals itself shifted by one: memcmp is the fast loop here. */
    return size == 0 || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
}

void bytes_buffer_init(struct bytes_buffer *buffer) {
    *buffer = (struct bytes_buffer){0};
}

void bytes_buffer_deinit(struct bytes_buffer *buffer) {
    free(buffer->data);
    bytes_buffer_init(buffer);
}

void bytes_buffer_clear(struct bytes_buffer *buffer) {
    buffer->size = 0;
    buffer->failed = false;
}

uint8_t *bytes_buffer_extend_slow(struct bytes_buffer *buffer, size_t size) {
    if (buffer->failed)
        return NULL;
    if (size > SIZE_MAX / 2 - buffer->size) {
        buffer->failed = true;
        return NULL;
    }
    size_t need = buffer->size + size;
    size_t capacity =
        buffer->capacity < BUFFER_CAPACITY_MIN ? BUFFER_CAPACITY_MIN : buffer->capacity;
    while (capacity < need)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    buffer->size = need;
    return data + (need - size);
}

void bytes_write_varint_long(struct bytes_buffer *buffer, uint64_t value) {
    uint8_t encoded[BYTES_VARINT_SIZE_MAX];
    size_t size = 0;
    while (value >= 0x80) {
        encoded[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    encoded[size++] = (uint8_t)value;
    bytes_write_run(buffer, encoded, size);
}
