#include "store/archive_member.h"

#include <libdeflate.h>
#include <stdlib.h>

/* Of libdeflate's levels: above it columns gain nothing that would be worth its time
 * (store/FORMAT.md). */
enum { LEVEL = 2, TAIL_SIZE = 8, STORED_MAX = 65535, STORED_HEAD_SIZE = 5 };

/* Magic, deflate, FEXTRA, no time, no hint, Unix; 12 bytes of extra field: "WF", 8 bytes. */
static const uint8_t fixed[16] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3, 12, 0, 'W', 'F', 8, 0};

struct archive_deflater {
    struct libdeflate_compressor *compressor;
};

struct archive_inflater {
    struct libdeflate_decompressor *decompressor;
};

struct archive_deflater *archive_deflater_create(void) {
    struct archive_deflater *deflater = calloc(1, sizeof *deflater);
    if (deflater == NULL)
        return NULL;
    deflater->compressor = libdeflate_alloc_compressor(LEVEL);
    if (deflater->compressor != NULL)
        return deflater;
    free(deflater);
    return NULL;
}

void archive_deflater_destroy(struct archive_deflater *deflater) {
    if (deflater != NULL)
        libdeflate_free_compressor(deflater->compressor);
    free(deflater);
}

struct archive_inflater *archive_inflater_create(void) {
    struct archive_inflater *inflater = calloc(1, sizeof *inflater);
    if (inflater == NULL)
        return NULL;
    inflater->decompressor = libdeflate_alloc_decompressor();
    if (inflater->decompressor != NULL)
        return inflater;
    free(inflater);
    return NULL;
}

void archive_inflater_destroy(struct archive_inflater *inflater) {
    if (inflater != NULL)
        libdeflate_free_decompressor(inflater->decompressor);
    free(inflater);
}

/* Stored blocks (RFC 1951, 3.2.4), none of them the last: bytes 0, size u16, its complement u16. */
static uint8_t *store(uint8_t *at, struct bytes_view plain) {
    while (plain.size > 0) {
        size_t size = plain.size < STORED_MAX ? plain.size : (size_t)STORED_MAX;
        *at = 0;
        bytes_store_u16(at + 1, (uint16_t)size);
        bytes_store_u16(at + 3, (uint16_t)~size);
        memcpy(at + STORED_HEAD_SIZE, plain.data, size);
        at += STORED_HEAD_SIZE + size;
        plain = (struct bytes_view){plain.data + size, plain.size - size};
    }
    return at;
}

enum wf_status archive_member_write(struct archive_deflater *deflater, struct bytes_view text,
                                    size_t plain, struct bytes_buffer *out, struct wf_error *err) {
    size_t start = out->size;
    size_t packable = text.size - plain;
    size_t stored = plain + (plain / STORED_MAX + 1) * STORED_HEAD_SIZE;
    size_t bound = libdeflate_deflate_compress_bound(deflater->compressor, packable);
    uint8_t *at = bytes_buffer_extend(out, ARCHIVE_MEMBER_HEAD_SIZE + stored + bound + TAIL_SIZE);
    if (at == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to compress %zu bytes", text.size);
    uint8_t *end = store(at + ARCHIVE_MEMBER_HEAD_SIZE, (struct bytes_view){text.data, plain});
    size_t packed =
        libdeflate_deflate_compress(deflater->compressor, text.data + plain, packable, end, bound);
    if (packed == 0)
        return error_set(err, WF_NO_MEMORY, "libdeflate cannot compress %zu bytes", text.size);
    end += packed;
    size_t size = (size_t)(end - at) + TAIL_SIZE;
    memcpy(at, fixed, sizeof fixed);
    bytes_store_u32(at + 16, (uint32_t)size);
    bytes_store_u32(at + 20, (uint32_t)text.size);
    bytes_store_u32(end, libdeflate_crc32(0, text.data, text.size));
    bytes_store_u32(end + 4, (uint32_t)text.size);
    out->size = start + size;
    return WF_OK;
}

bool archive_member_sizes(const uint8_t *head, uint32_t *member_size, uint32_t *text_size) {
    *member_size = bytes_load_u32(head + 16);
    *text_size = bytes_load_u32(head + 20);
    return memcmp(head, fixed, sizeof fixed) == 0 && *member_size >= ARCHIVE_MEMBER_SIZE_MIN;
}

enum wf_status archive_member_read(struct archive_inflater *inflater, struct bytes_view member,
                                   size_t text_max, struct bytes_buffer *out,
                                   struct wf_error *err) {
    uint32_t member_size;
    uint32_t text_size;
    if (member.size < ARCHIVE_MEMBER_SIZE_MIN ||
        !archive_member_sizes(member.data, &member_size, &text_size) || member_size != member.size)
        return error_set(err, WF_DAMAGE, "no member of an archive stands here");
    if (text_size > text_max)
        return error_set(err, WF_DAMAGE,
                         "it announces %u bytes, more than the %zu that it may hold", text_size,
                         text_max);
    const uint8_t *tail = member.data + member.size - TAIL_SIZE;
    size_t packed = member.size - ARCHIVE_MEMBER_HEAD_SIZE - TAIL_SIZE;
    size_t start = out->size;
    uint8_t *at = bytes_buffer_extend(out, text_size);
    if (at == NULL && text_size > 0)
        return error_set(err, WF_NO_MEMORY, "no memory to read an archive");
    size_t used = 0;
    /* Never writes more than text_size bytes, and wants exactly so many. */
    enum libdeflate_result result = libdeflate_deflate_decompress_ex(
        inflater->decompressor, member.data + ARCHIVE_MEMBER_HEAD_SIZE, packed, at, text_size,
        &used, NULL);
    if (result != LIBDEFLATE_SUCCESS || used != packed || bytes_load_u32(tail + 4) != text_size ||
        bytes_load_u32(tail) != libdeflate_crc32(0, at, text_size)) {
        out->size = start;
        return error_set(err, WF_DAMAGE, "the compressed bytes are damaged");
    }
    return WF_OK;
}
