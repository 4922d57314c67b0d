#include "store/archive_state.h"

#include "store/archive_inner.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMBER_BYTES = 256 * 1024, /* of pairs, after which a member ends */
    LINE_MAX_SIZE = 80,
    HEAD_SIZE = WAL_STORE_ID_SIZE + 8,
    KIND_PAIRS = 1, /* first byte of a body */
    KIND_END = 2,
};

struct archive_state_writer {
    struct archive *archive;
    struct archive_deflater *deflater;
    struct io_file *file;
    char *work, *path;
    uint64_t offset;
    uint64_t pairs, in_member; /* all, and those of the member under way */
    struct bytes_buffer body, text, member;
};

void archive_state_name(uint64_t lsn, char name[ARCHIVE_STATE_NAME_SIZE]) {
    (void)snprintf(name, ARCHIVE_STATE_NAME_SIZE, "%020" PRIu64 ".state.gz", lsn);
}

/* --- writing --- */

static enum wf_status put_member(struct archive_state_writer *writer, const char *line,
                                 const void *body, size_t size, struct wf_error *err) {
    struct io *io = writer->archive->io;
    bytes_buffer_clear(&writer->text);
    bytes_buffer_clear(&writer->member);
    bytes_write_run(&writer->text, line, strlen(line));
    bytes_write_run(&writer->text, body, size);
    bytes_write_u8(&writer->text, '\n');
    if (!bytes_buffer_ok(&writer->text))
        return error_set(err, WF_NO_MEMORY, "no memory to write the state");
    struct bytes_view text = {writer->text.data, writer->text.size};
    enum wf_status status = archive_member_write(writer->deflater, text, 0, &writer->member, err);
    if (status == WF_OK)
        status = io_write_all(io, writer->file, writer->offset, writer->member.data,
                              writer->member.size, err);
    writer->offset += writer->member.size;
    return status;
}

static enum wf_status put_head(struct archive_state_writer *writer, uint64_t lsn,
                               struct wf_error *err) {
    char line[LINE_MAX_SIZE];
    uint8_t body[HEAD_SIZE];
    (void)snprintf(line, sizeof line, "{\"wf_state\":1,\"lsn\":%" PRIu64 "}\n", lsn);
    memcpy(body, writer->archive->store_id, WAL_STORE_ID_SIZE);
    bytes_store_u64(body + WAL_STORE_ID_SIZE, lsn);
    return put_member(writer, line, body, sizeof body, err);
}

static enum wf_status put_pairs(struct archive_state_writer *writer, struct wf_error *err) {
    char line[LINE_MAX_SIZE];
    if (writer->in_member == 0)
        return WF_OK;
    (void)snprintf(line, sizeof line, "{\"pairs\":%" PRIu64 "}\n", writer->in_member);
    writer->in_member = 0;
    enum wf_status status =
        bytes_buffer_ok(&writer->body)
            ? put_member(writer, line, writer->body.data, writer->body.size, err)
            : error_set(err, WF_NO_MEMORY, "no memory to write the state");
    bytes_buffer_clear(&writer->body);
    return status;
}

static enum wf_status open_work(struct archive_state_writer *writer, struct wf_error *err) {
    struct io *io = writer->archive->io;
    enum wf_status status =
        io->ops->open(io, writer->work, IO_WRITE | IO_CREATE, &writer->file, err);
    return status == WF_OK ? io->ops->truncate(io, writer->file, 0, err) : status;
}

enum wf_status archive_state_create(struct archive *archive, uint64_t lsn,
                                    struct archive_state_writer **out, struct wf_error *err) {
    char name[ARCHIVE_STATE_NAME_SIZE];
    char work_name[ARCHIVE_STATE_NAME_SIZE + 8];
    *out = NULL;
    archive_state_name(lsn, name);
    (void)snprintf(work_name, sizeof work_name, "%s.tmp", name);
    struct archive_state_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to write the state");
    writer->archive = archive;
    bytes_buffer_init(&writer->body);
    bytes_buffer_init(&writer->text);
    bytes_buffer_init(&writer->member);
    writer->deflater = archive_deflater_create();
    writer->path = io_path_join(archive->dir, name);
    writer->work = io_path_join(archive->dir, work_name);
    enum wf_status status = writer->deflater == NULL || writer->path == NULL || writer->work == NULL
                                ? error_set(err, WF_NO_MEMORY, "no memory to write the state")
                                : open_work(writer, err);
    if (status == WF_OK)
        status = put_head(writer, lsn, err);
    if (status != WF_OK) {
        archive_state_abandon(writer);
        return status;
    }
    *out = writer;
    return WF_OK;
}

enum wf_status archive_state_add(struct archive_state_writer *writer, struct bytes_view key,
                                 struct bytes_view value, struct wf_error *err) {
    if (writer->in_member == 0)
        bytes_write_u8(&writer->body, KIND_PAIRS);
    bytes_write_string(&writer->body, (const char *)key.data, key.size);
    bytes_write_string(&writer->body, (const char *)value.data, value.size);
    writer->pairs++;
    writer->in_member++;
    return writer->body.size < MEMBER_BYTES ? WF_OK : put_pairs(writer, err);
}

static enum wf_status finish(struct archive_state_writer *writer, struct wf_error *err) {
    struct io *io = writer->archive->io;
    char line[LINE_MAX_SIZE];
    uint8_t end[9] = {KIND_END};
    enum wf_status status = put_pairs(writer, err);
    (void)snprintf(line, sizeof line, "{\"end\":%" PRIu64 "}\n", writer->pairs);
    bytes_store_u64(end + 1, writer->pairs);
    if (status == WF_OK)
        status = put_member(writer, line, end, sizeof end, err);
    if (status == WF_OK)
        status = io->ops->sync(io, writer->file, err);
    if (status == WF_OK)
        status = io->ops->rename(io, writer->work, writer->path, err);
    return status == WF_OK ? io->ops->sync_directory(io, writer->archive->dir, err) : status;
}

enum wf_status archive_state_commit(struct archive_state_writer *writer, struct wf_error *err) {
    enum wf_status status = finish(writer, err);
    archive_state_abandon(writer);
    return status;
}

void archive_state_abandon(struct archive_state_writer *writer) {
    if (writer == NULL)
        return;
    if (writer->file != NULL)
        writer->archive->io->ops->close(writer->archive->io, writer->file);
    archive_deflater_destroy(writer->deflater);
    bytes_buffer_deinit(&writer->body);
    bytes_buffer_deinit(&writer->text);
    bytes_buffer_deinit(&writer->member);
    free(writer->path);
    free(writer->work);
    free(writer);
}

/* --- reading --- */

struct state_walk {
    struct archive *archive;
    struct archive_cursor cursor;
    uint64_t lsn, pairs;
    bool ended;
    archive_pair_fn on_pair;
    void *ctx;
};

static enum wf_status damaged(const struct state_walk *walk, const char *why,
                              struct wf_error *err) {
    return error_set(err, WF_DAMAGE, "archive %s: %s", walk->cursor.name, why);
}

static enum wf_status take_head(struct state_walk *walk, struct bytes_view body,
                                struct wf_error *err) {
    if (body.size != HEAD_SIZE ||
        memcmp(body.data, walk->archive->store_id, WAL_STORE_ID_SIZE) != 0 ||
        bytes_load_u64(body.data + WAL_STORE_ID_SIZE) != walk->lsn)
        return damaged(walk, "it is the state of another store or record", err);
    return WF_OK;
}

static enum wf_status take_body(struct state_walk *walk, struct bytes_view body,
                                struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(body.data, body.size);
    uint8_t kind = bytes_read_u8(&reader);
    if (kind == KIND_END && bytes_read_u64(&reader) == walk->pairs && bytes_reader_done(&reader)) {
        walk->ended = true;
        return WF_OK;
    }
    if (kind != KIND_PAIRS)
        return damaged(walk, "its end does not fit", err);
    while (bytes_reader_left(&reader) > 0) {
        struct bytes_view key = bytes_read_string(&reader);
        struct bytes_view value = bytes_read_string(&reader);
        if (!bytes_reader_ok(&reader))
            return damaged(walk, "its pairs cannot be understood", err);
        enum wf_status status = walk->on_pair(walk->ctx, key, value, err);
        if (status != WF_OK)
            return status;
        walk->pairs++;
    }
    return WF_OK;
}

static enum wf_status walk_members(struct state_walk *walk, struct wf_error *err) {
    uint64_t size = 0;
    enum wf_status status = archive_cursor_next(&walk->cursor, 0, &size, err);
    for (uint64_t offset = 0; status == WF_OK && size > 0;) {
        struct bytes_view body;
        if (walk->ended)
            return damaged(walk, "something stands behind its end", err);
        status = archive_cursor_member(&walk->cursor, offset, size, &body, err);
        if (status == WF_OK)
            status = offset == 0 ? take_head(walk, body, err) : take_body(walk, body, err);
        offset += size;
        if (status == WF_OK)
            status = archive_cursor_next(&walk->cursor, offset, &size, err);
    }
    return status == WF_OK && !walk->ended ? damaged(walk, "it is cut off", err) : status;
}

enum wf_status archive_state_walk(struct archive *archive, uint64_t lsn, archive_pair_fn on_pair,
                                  void *ctx, struct wf_error *err) {
    struct state_walk walk = {.archive = archive, .lsn = lsn, .on_pair = on_pair, .ctx = ctx};
    char name[ARCHIVE_STATE_NAME_SIZE];
    archive_state_name(lsn, name);
    enum wf_status status = archive_cursor_init(&walk.cursor, archive->io, archive->seed, err);
    if (status != WF_OK)
        return status;
    status = archive_cursor_open(&walk.cursor, archive->dir, name, err);
    if (status == WF_NOT_FOUND)
        status = error_set(err, WF_DAMAGE, "archive %s: the file is missing", name);
    if (status == WF_OK)
        status = walk_members(&walk, err);
    archive_cursor_deinit(&walk.cursor);
    return status;
}

static enum wf_status pass_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                struct wf_error *err) {
    (void)ctx;
    (void)key;
    (void)value;
    (void)err;
    return WF_OK;
}

enum wf_status archive_state_check(struct archive *archive, uint64_t lsn, struct wf_error *err) {
    return archive_state_walk(archive, lsn, pass_pair, NULL, err);
}
