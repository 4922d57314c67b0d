/* Reading an archive file: members, blocks, the index. */
#include "store/archive_file.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_TEXT_MAX = 64 * 1024 * 1024, DIGEST_STEP = 256 * 1024 };

/* --- SHA-256 --- */

struct archive_digest {
    EVP_MD_CTX *ctx;
};

struct archive_digest *archive_digest_create(void) {
    struct archive_digest *digest = calloc(1, sizeof *digest);
    if (digest == NULL)
        return NULL;
    digest->ctx = EVP_MD_CTX_new();
    if (digest->ctx != NULL && EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) == 1)
        return digest;
    archive_digest_destroy(digest);
    return NULL;
}

bool archive_digest_add(struct archive_digest *digest, const void *data, size_t size) {
    return EVP_DigestUpdate(digest->ctx, data, size) == 1;
}

bool archive_digest_end(struct archive_digest *digest, uint8_t sha256[WAL_HASH_SIZE]) {
    return EVP_DigestFinal_ex(digest->ctx, sha256, NULL) == 1;
}

void archive_digest_destroy(struct archive_digest *digest) {
    if (digest != NULL)
        EVP_MD_CTX_free(digest->ctx);
    free(digest);
}

/* --- the cursor --- */

enum wf_status archive_cursor_init(struct archive_cursor *cursor, struct io *io, uint32_t seed,
                                   struct wf_error *err) {
    *cursor = (struct archive_cursor){.io = io, .seed = seed};
    bytes_buffer_init(&cursor->member);
    bytes_buffer_init(&cursor->text);
    bytes_buffer_init(&cursor->frames);
    cursor->inflater = archive_inflater_create();
    cursor->tables = archive_tables_create();
    if (cursor->inflater != NULL && cursor->tables != NULL)
        return WF_OK;
    archive_cursor_deinit(cursor);
    return error_set(err, WF_NO_MEMORY, "no memory to read archives");
}

void archive_cursor_deinit(struct archive_cursor *cursor) {
    if (cursor->file != NULL)
        cursor->io->ops->close(cursor->io, cursor->file);
    archive_inflater_destroy(cursor->inflater);
    archive_tables_destroy(cursor->tables);
    bytes_buffer_deinit(&cursor->member);
    bytes_buffer_deinit(&cursor->text);
    bytes_buffer_deinit(&cursor->frames);
    cursor->file = NULL;
}

enum wf_status archive_cursor_open(struct archive_cursor *cursor, const char *dir, const char *name,
                                   struct wf_error *err) {
    if (cursor->file != NULL)
        cursor->io->ops->close(cursor->io, cursor->file);
    cursor->file = NULL;
    char *path = io_path_join(dir, name);
    if (path == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    enum wf_status status = cursor->io->ops->open(cursor->io, path, IO_READ, &cursor->file, err);
    free(path);
    if (status == WF_OK)
        status = cursor->io->ops->size(cursor->io, cursor->file, &cursor->file_size, err);
    strncpy(cursor->name, name, sizeof cursor->name - 1);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "archive %s", name);
}

static enum wf_status damaged(const struct archive_cursor *cursor, uint64_t offset,
                              struct wf_error *err) {
    return error_wrap(err, WF_DAMAGE, "archive %s, offset %" PRIu64, cursor->name, offset);
}

static enum wf_status load(struct archive_cursor *cursor, uint64_t offset, uint64_t size,
                           struct wf_error *err) {
    size_t got = 0;
    if (offset > cursor->file_size || size > cursor->file_size - offset) {
        (void)error_set(err, WF_DAMAGE, "the file ends before its member does");
        return damaged(cursor, offset, err);
    }
    bytes_buffer_clear(&cursor->member);
    uint8_t *at = bytes_buffer_extend(&cursor->member, (size_t)size);
    if (at == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to read an archive");
    enum wf_status status =
        io_read_all(cursor->io, cursor->file, offset, at, (size_t)size, &got, err);
    if (status == WF_OK && got < size) {
        (void)error_set(err, WF_DAMAGE, "the file ends before its member does");
        return damaged(cursor, offset, err);
    }
    return status == WF_OK ? WF_OK : error_wrap(err, status, "archive %s", cursor->name);
}

enum wf_status archive_cursor_next(struct archive_cursor *cursor, uint64_t offset, uint64_t *size,
                                   struct wf_error *err) {
    uint32_t member_size;
    uint32_t text_size;
    *size = 0;
    if (offset == cursor->file_size)
        return WF_OK;
    enum wf_status status = load(cursor, offset, ARCHIVE_MEMBER_HEAD_SIZE, err);
    if (status != WF_OK)
        return status;
    if (!archive_member_sizes(cursor->member.data, &member_size, &text_size)) {
        (void)error_set(err, WF_DAMAGE, "no member of an archive stands here");
        return damaged(cursor, offset, err);
    }
    *size = member_size;
    return WF_OK;
}

static enum wf_status read_member(struct archive_cursor *cursor, uint64_t offset, uint64_t size,
                                  size_t text_max, struct bytes_view *body, struct wf_error *err) {
    enum wf_status status = load(cursor, offset, size, err);
    if (status != WF_OK)
        return status;
    bytes_buffer_clear(&cursor->text);
    struct bytes_view member = {cursor->member.data, cursor->member.size};
    status = archive_member_read(cursor->inflater, member, text_max, &cursor->text, err);
    if (status == WF_DAMAGE)
        return damaged(cursor, offset, err);
    if (status != WF_OK)
        return status;
    const uint8_t *line_end =
        cursor->text.size == 0 ? NULL : memchr(cursor->text.data, '\n', cursor->text.size);
    size_t line_size = line_end == NULL ? 0 : (size_t)(line_end - cursor->text.data) + 1;
    /* A line, what it is about, and the end of another line: so that every member begins one. */
    if (line_end == NULL || line_size == cursor->text.size ||
        cursor->text.data[cursor->text.size - 1] != '\n') {
        (void)error_set(err, WF_DAMAGE, "the member has no first line");
        return damaged(cursor, offset, err);
    }
    *body = (struct bytes_view){line_end + 1, cursor->text.size - line_size - 1};
    return WF_OK;
}

enum wf_status archive_cursor_member(struct archive_cursor *cursor, uint64_t offset, uint64_t size,
                                     struct bytes_view *body, struct wf_error *err) {
    return read_member(cursor, offset, size, ARCHIVE_BODY_MAX, body, err);
}

enum wf_status archive_cursor_block(struct archive_cursor *cursor, uint64_t offset, uint64_t size,
                                    struct archive_frames *frames, struct wf_error *err) {
    struct bytes_view body;
    enum wf_status status = archive_cursor_member(cursor, offset, size, &body, err);
    if (status != WF_OK)
        return status;
    bytes_buffer_clear(&cursor->frames);
    status = archive_block_decode(cursor->tables, body, cursor->seed, &cursor->frames, frames, err);
    return status == WF_DAMAGE ? damaged(cursor, offset, err) : status;
}

/* --- the index --- */

void archive_index_deinit(struct archive_index *index) {
    free(index->blocks);
    bytes_buffer_deinit(&index->bytes);
    index->blocks = NULL;
}

static bool read_index_block(struct bytes_reader *reader, const struct archive_entry *entry,
                             uint64_t next_lsn, struct archive_index_block *block) {
    block->offset = bytes_read_varint(reader);
    block->size = bytes_read_varint(reader);
    block->first_lsn = bytes_read_varint(reader);
    block->count = bytes_read_varint(reader);
    if (!bytes_reader_ok(reader) || block->first_lsn != next_lsn ||
        block->count > entry->last_lsn + 1 - next_lsn || block->offset > entry->size ||
        block->size > entry->size - block->offset)
        return false;
    size_t cover = wal_cover_count(next_lsn - 1, next_lsn - 1 + block->count);
    struct bytes_view hashes = bytes_read_run(reader, cover * WAL_HASH_SIZE);
    block->cover = (const uint8_t(*)[WAL_HASH_SIZE])hashes.data;
    return bytes_reader_ok(reader);
}

static bool read_index(const struct archive_entry *entry, struct archive_index *index) {
    struct bytes_reader reader = bytes_reader_make(index->bytes.data, index->bytes.size);
    uint64_t count = bytes_read_varint(&reader);
    uint64_t next_lsn = entry->first_lsn;
    if (!bytes_reader_ok(&reader) || count > index->bytes.size / 4)
        return false;
    index->blocks = calloc((size_t)count + 1, sizeof *index->blocks);
    if (index->blocks == NULL)
        return false;
    for (; index->count < count; index->count++) {
        struct archive_index_block *block = &index->blocks[index->count];
        if (!read_index_block(&reader, entry, next_lsn, block))
            return false;
        next_lsn += block->count;
    }
    return bytes_reader_done(&reader) && next_lsn == entry->last_lsn + 1;
}

enum wf_status archive_cursor_index(struct archive_cursor *cursor,
                                    const struct archive_entry *entry, struct archive_index *index,
                                    struct wf_error *err) {
    struct bytes_view body;
    *index = (struct archive_index){.count = 0};
    bytes_buffer_init(&index->bytes);
    enum wf_status status =
        read_member(cursor, entry->index_offset, entry->index_size, INDEX_TEXT_MAX, &body, err);
    if (status != WF_OK)
        return status;
    bytes_write_run(&index->bytes, body.data, body.size);
    if (bytes_buffer_ok(&index->bytes) && read_index(entry, index))
        return WF_OK;
    archive_index_deinit(index);
    (void)error_set(err, WF_DAMAGE, "the index cannot be understood");
    return damaged(cursor, entry->index_offset, err);
}

/* --- all of it --- */

enum wf_status archive_cursor_digest(struct archive_cursor *cursor, uint8_t sha256[WAL_HASH_SIZE],
                                     struct wf_error *err) {
    struct archive_digest *digest = archive_digest_create();
    enum wf_status status =
        digest != NULL ? WF_OK : error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    for (uint64_t at = 0; status == WF_OK && at < cursor->file_size;) {
        uint64_t left = cursor->file_size - at;
        uint64_t step = left < DIGEST_STEP ? left : (uint64_t)DIGEST_STEP;
        status = load(cursor, at, step, err);
        if (status == WF_OK && !archive_digest_add(digest, cursor->member.data, (size_t)step))
            status = error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
        at += step;
    }
    if (status == WF_OK && !archive_digest_end(digest, sha256))
        status = error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    archive_digest_destroy(digest);
    return status;
}

/* The frame at the start of the bytes; what is wrong, or NULL. */
static const char *take_frame(const struct archive_frames *frames, const uint8_t *bytes,
                              size_t left, uint32_t seed, struct wal_frame *frame) {
    static const char cut[] = "the block ends within a frame";
    if (frames->made)
        return wal_frame_view(bytes, left, frame) ? NULL : cut;
    if (left < WAL_FRAME_SIZE_MIN)
        return cut;
    const char *why = wal_frame_decode_header(bytes, seed, frame);
    if (why == NULL && wal_frame_checked_size(frame) > left)
        why = cut;
    return why == NULL ? wal_frame_decode_body(bytes, frame) : why;
}

enum wf_status archive_frames_walk(const struct archive_frames *frames, uint32_t seed,
                                   archive_frame_fn on_frame, void *ctx, struct wf_error *err) {
    uint32_t previous = frames->previous;
    uint64_t next_lsn = frames->first_lsn;
    for (size_t at = 0; at < frames->bytes.size;) {
        const uint8_t *bytes = frames->bytes.data + at;
        struct wal_frame frame;
        const char *why = take_frame(frames, bytes, frames->bytes.size - at, seed, &frame);
        if (why == NULL && (frame.lsn != next_lsn || frame.previous != previous))
            why = "the frame does not continue the one before it";
        if (why != NULL)
            return error_set(err, WF_DAMAGE, "LSN %" PRIu64 ": %s", next_lsn, why);
        enum wf_status status = on_frame(ctx, &frame, frames->offset + at, err);
        if (status != WF_OK)
            return status;
        previous = wal_frame_chain(&frame);
        next_lsn = wal_frame_next_lsn(&frame);
        at += (size_t)wal_frame_checked_size(&frame);
    }
    if (previous != frames->chain || next_lsn != frames->first_lsn + frames->count)
        return error_set(err, WF_DAMAGE, "LSN %" PRIu64 ": the block's frames end otherwise",
                         next_lsn);
    return WF_OK;
}
