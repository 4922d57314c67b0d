#include "wal/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Byte offsets of the segment header; see the diagram in wal/FORMAT.md. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_HEADER_SIZE = 12,
    AT_STORE_ID = 16,
    AT_FIRST_LSN = 32,
    AT_PREVIOUS = 40,
    AT_ZERO = 44,
    AT_CRC = 60,
};

static const uint8_t segment_magic[8] = "wf-wal\r\n";

void wal_segment_name(char name[WAL_SEGMENT_NAME_SIZE], uint64_t first_lsn) {
    snprintf(name, WAL_SEGMENT_NAME_SIZE, "%020" PRIu64 ".seg", first_lsn);
}

bool wal_segment_name_parse(const char *name, uint64_t *first_lsn) {
    uint64_t lsn = 0;
    for (int digit = 0; digit < 20; digit++) {
        if (name[digit] < '0' || name[digit] > '9')
            return false;
        if (__builtin_mul_overflow(lsn, 10, &lsn) ||
            __builtin_add_overflow(lsn, (uint64_t)(name[digit] - '0'), &lsn))
            return false;
    }
    *first_lsn = lsn;
    return lsn > 0 && strcmp(name + 20, ".seg") == 0;
}

void wal_segment_header_encode(uint8_t at[WAL_SEGMENT_HEADER_SIZE],
                               const struct wal_segment_header *header) {
    memset(at, 0, WAL_SEGMENT_HEADER_SIZE);
    memcpy(at + AT_MAGIC, segment_magic, sizeof segment_magic);
    bytes_store_u32(at + AT_VERSION, WAL_SEGMENT_VERSION);
    bytes_store_u32(at + AT_HEADER_SIZE, WAL_SEGMENT_HEADER_SIZE);
    memcpy(at + AT_STORE_ID, header->store_id, WAL_STORE_ID_SIZE);
    bytes_store_u64(at + AT_FIRST_LSN, header->first_lsn);
    bytes_store_u32(at + AT_PREVIOUS, header->previous);
    bytes_store_u32(at + AT_CRC, crc32c(0, at, AT_CRC));
}

enum wal_header_state wal_segment_header_decode(const uint8_t *at, size_t size,
                                                struct wal_segment_header *header) {
    if (size < WAL_SEGMENT_HEADER_SIZE ||
        memcmp(at + AT_MAGIC, segment_magic, sizeof segment_magic) != 0 ||
        crc32c(0, at, AT_CRC) != bytes_load_u32(at + AT_CRC))
        return WAL_HEADER_BAD;
    memcpy(header->store_id, at + AT_STORE_ID, WAL_STORE_ID_SIZE);
    header->first_lsn = bytes_load_u64(at + AT_FIRST_LSN);
    header->previous = bytes_load_u32(at + AT_PREVIOUS);
    header->version = bytes_load_u32(at + AT_VERSION);
    if (header->version > WAL_SEGMENT_VERSION)
        return WAL_HEADER_NEWER;
    static const uint8_t zero[AT_CRC - AT_ZERO];
    bool exact = header->version == WAL_SEGMENT_VERSION &&
                 bytes_load_u32(at + AT_HEADER_SIZE) == WAL_SEGMENT_HEADER_SIZE &&
                 memcmp(at + AT_ZERO, zero, sizeof zero) == 0;
    return exact ? WAL_HEADER_GOOD : WAL_HEADER_BAD;
}

/* Write and sync the file under its working name, then give it its own: so no crash leaves a
 * segment without a header under a segment's name. */
static enum wf_status write_and_rename(struct io *io, const char *dir, const char *work,
                                       const char *path, const struct wal_segment_header *header,
                                       struct bytes_view tail, struct io_file **out,
                                       struct wf_error *err) {
    uint8_t bytes[WAL_SEGMENT_HEADER_SIZE];
    wal_segment_header_encode(bytes, header);
    struct io_file *file = NULL;
    enum wf_status status = io->ops->open(io, work, IO_WRITE | IO_CREATE, &file, err);
    if (status == WF_OK)
        status = io->ops->truncate(io, file, 0, err);
    if (status == WF_OK)
        status = io_write_all(io, file, 0, bytes, sizeof bytes, err);
    if (status == WF_OK && tail.size > 0)
        status = io_write_all(io, file, sizeof bytes, tail.data, tail.size, err);
    if (status == WF_OK)
        status = io->ops->sync(io, file, err);
    if (status == WF_OK)
        status = io->ops->rename(io, work, path, err);
    /* Without this the new segment's name may be lost, and with it every record in it. */
    if (status == WF_OK)
        status = io->ops->sync_directory(io, dir, err);
    if (status == WF_OK) {
        *out = file;
        return WF_OK;
    }
    io->ops->close(io, file);
    return status;
}

enum wf_status wal_segment_create(struct io *io, const char *dir,
                                  const struct wal_segment_header *header, struct bytes_view tail,
                                  struct io_file **out, struct wf_error *err) {
    *out = NULL;
    char name[WAL_SEGMENT_NAME_SIZE];
    char work_name[WAL_SEGMENT_NAME_SIZE + 4];
    wal_segment_name(name, header->first_lsn);
    snprintf(work_name, sizeof work_name, "%s.tmp", name);
    char *path = io_path_join(dir, name);
    char *work = io_path_join(dir, work_name);
    enum wf_status status = WF_OK;
    if (path == NULL || work == NULL)
        status = error_set(err, WF_NO_MEMORY, "no memory for a path");
    io_point(io, "wal.before_create");
    if (status == WF_OK)
        status = write_and_rename(io, dir, work, path, header, tail, out, err);
    if (status == WF_OK)
        io_point(io, "wal.after_create");
    else
        status = error_wrap(err, status, "make segment %s", name);
    free(path);
    free(work);
    return status;
}

enum wf_status wal_segment_open(struct io *io, const char *dir, const char *name, unsigned flags,
                                struct io_file **out, struct wf_error *err) {
    *out = NULL;
    char *path = io_path_join(dir, name);
    if (path == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    enum wf_status status = io->ops->open(io, path, flags, out, err);
    free(path);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "segment %s", name);
}

enum wf_status wal_segment_read_header(struct io *io, const char *dir, const char *name,
                                       uint64_t *file_size, struct wal_segment_header *header,
                                       enum wal_header_state *state, struct wf_error *err) {
    struct io_file *file;
    uint8_t bytes[WAL_SEGMENT_HEADER_SIZE] = {0};
    size_t got = 0;
    enum wf_status status = wal_segment_open(io, dir, name, IO_READ, &file, err);
    if (status != WF_OK)
        return status;
    status = io->ops->size(io, file, file_size, err);
    if (status == WF_OK)
        status = io_read_all(io, file, 0, bytes, sizeof bytes, &got, err);
    io->ops->close(io, file);
    if (status != WF_OK)
        return error_wrap(err, status, "segment %s", name);
    *header = (struct wal_segment_header){0};
    *state = wal_segment_header_decode(bytes, got, header);
    if (*state == WAL_HEADER_BAD)
        memcpy(header->store_id, bytes + AT_STORE_ID, WAL_STORE_ID_SIZE);
    return *state != WAL_HEADER_NEWER
               ? WF_OK
               : error_set(err, WF_REFUSED,
                           "segment %s has format version %u, newer than this program's %d", name,
                           header->version, WAL_SEGMENT_VERSION);
}

static enum wf_status read_seal(struct io *io, struct io_file *file, uint64_t file_size,
                                uint32_t seed, struct wal_frame *frame, struct wal_seal *seal,
                                bool *sealed, struct wf_error *err) {
    if (file_size < WAL_SEGMENT_HEADER_SIZE + WAL_SEAL_FRAME_SIZE)
        return WF_OK;
    uint8_t bytes[WAL_SEAL_FRAME_SIZE];
    size_t got;
    enum wf_status status =
        io_read_all(io, file, file_size - sizeof bytes, bytes, sizeof bytes, &got, err);
    if (status != WF_OK)
        return status;
    if (got < sizeof bytes || wal_frame_decode_header(bytes, seed, frame) != NULL ||
        frame->kind != WAL_FRAME_SEAL || wal_frame_decode_body(bytes, frame) != NULL)
        return WF_OK;
    wal_seal_decode(frame->payload.data, seal);
    frame->payload.data = NULL; /* pointed into our stack */
    *sealed = true;
    return WF_OK;
}

enum wf_status wal_segment_read_seal(struct io *io, const char *dir, const char *name,
                                     uint64_t file_size, uint32_t seed, struct wal_frame *frame,
                                     struct wal_seal *seal, bool *sealed, struct wf_error *err) {
    struct io_file *file;
    *sealed = false;
    enum wf_status status = wal_segment_open(io, dir, name, IO_READ, &file, err);
    if (status != WF_OK)
        return status;
    status = read_seal(io, file, file_size, seed, frame, seal, sealed, err);
    io->ops->close(io, file);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "segment %s", name);
}
