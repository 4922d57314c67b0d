/* Reading archived records: one through a small cache of blocks, a range, all with whatever is
 * wrong, and the hashes that stand for them. */
#include "store/archive_inner.h"

#include "wal/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void archive_cache_deinit(struct archive *archive) {
    for (size_t i = 0; i < ARCHIVE_CACHED_BLOCKS; i++) {
        bytes_buffer_deinit(&archive->blocks[i].bytes);
        archive->blocks[i] = (struct archive_cached_block){.last_use = 0};
    }
    for (size_t i = 0; i < ARCHIVE_CACHED_INDEXES; i++) {
        if (archive->indexes[i].first_lsn != 0)
            archive_index_deinit(&archive->indexes[i].index);
        archive->indexes[i] = (struct archive_cached_index){.first_lsn = 0};
    }
}

/* A copy of the entry of `lsn`, which is here. */
static enum wf_status find_entry(struct archive *archive, uint64_t lsn, struct archive_entry *entry,
                                 struct wf_error *err) {
    const struct archive_entry *found = archive_manifest_find(&archive->manifest, lsn);
    if (found == NULL)
        return error_set(err, WF_NOT_FOUND, "LSN %" PRIu64 " is in no archive", lsn);
    if (found->dropped_lsn != 0)
        return error_set(err, WF_NOT_FOUND,
                         "LSN %" PRIu64 " was dropped from the archive with LSN %" PRIu64
                         " to %" PRIu64 "%s%s; record %" PRIu64 " says when and why",
                         lsn, found->first_lsn, found->last_lsn,
                         found->dropped_by[0] == '\0' ? "" : " by ", found->dropped_by,
                         found->dropped_lsn);
    *entry = *found;
    return WF_OK;
}

static enum wf_status missing_file(const struct archive_entry *entry, enum wf_status status,
                                   struct wf_error *err) {
    if (status != WF_NOT_FOUND)
        return status;
    return error_set(err, WF_DAMAGE,
                     "archive %s, offset 0, LSN %" PRIu64 " to %" PRIu64 ": the file is missing",
                     entry->name, entry->first_lsn, entry->last_lsn);
}

/* The block of `lsn` in the index; NULL: none. */
static const struct archive_index_block *find_block(const struct archive_index *index,
                                                    uint64_t lsn) {
    size_t low = 0;
    size_t high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->blocks[middle].first_lsn + index->blocks[middle].count <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low < index->count && index->blocks[low].first_lsn <= lsn ? &index->blocks[low] : NULL;
}

static enum wf_status refuse_range(const struct archive_index_block *block, enum wf_status status,
                                   struct wf_error *err) {
    if (status != WF_DAMAGE)
        return status;
    if (block->count == 0)
        return error_wrap(err, status, "the seal behind LSN %" PRIu64, block->first_lsn - 1);
    return error_wrap(err, status, "LSN %" PRIu64 " to %" PRIu64, block->first_lsn,
                      block->first_lsn + block->count - 1);
}

/* Decode a block and hold it against its place in the index. */
static enum wf_status read_block(struct archive_cursor *cursor,
                                 const struct archive_index_block *block,
                                 struct archive_frames *frames, struct wf_error *err) {
    enum wf_status status = archive_cursor_block(cursor, block->offset, block->size, frames, err);
    if (status == WF_OK && (frames->first_lsn != block->first_lsn || frames->count != block->count))
        status =
            error_set(err, WF_DAMAGE, "archive %s, offset %" PRIu64 ": another block stands here",
                      cursor->name, block->offset);
    return refuse_range(block, status, err);
}

/* --- one record; the mutex is held --- */

static enum wf_status cached_index(struct archive *archive, const struct archive_entry *entry,
                                   const struct archive_index **out, struct wf_error *err) {
    struct archive_cached_index *oldest = &archive->indexes[0];
    for (size_t i = 0; i < ARCHIVE_CACHED_INDEXES; i++) {
        struct archive_cached_index *cached = &archive->indexes[i];
        if (cached->first_lsn == entry->first_lsn) {
            cached->last_use = ++archive->uses;
            *out = &cached->index;
            return WF_OK;
        }
        if (cached->last_use < oldest->last_use)
            oldest = cached;
    }
    struct archive_index index;
    enum wf_status status = archive_cursor_index(&archive->cursor, entry, &index, err);
    if (status != WF_OK)
        return status;
    if (oldest->first_lsn != 0)
        archive_index_deinit(&oldest->index);
    *oldest = (struct archive_cached_index){entry->first_lsn, index, ++archive->uses};
    *out = &oldest->index;
    return WF_OK;
}

static enum wf_status load_block(struct archive *archive, uint64_t lsn,
                                 struct archive_cached_block *to, struct wf_error *err) {
    struct archive_entry entry;
    const struct archive_index *index;
    enum wf_status status = find_entry(archive, lsn, &entry, err);
    if (status != WF_OK)
        return status;
    if (archive->cursor.file == NULL || strcmp(archive->cursor.name, entry.name) != 0)
        status = archive_cursor_open(&archive->cursor, archive->dir, entry.name, err);
    if (status == WF_OK)
        status = cached_index(archive, &entry, &index, err);
    if (status != WF_OK)
        return missing_file(&entry, status, err);
    const struct archive_index_block *block = find_block(index, lsn);
    if (block == NULL)
        return error_set(err, WF_DAMAGE, "archive %s: its index lacks LSN %" PRIu64, entry.name,
                         lsn);
    struct archive_frames frames;
    status = read_block(&archive->cursor, block, &frames, err);
    if (status != WF_OK)
        return status;
    bytes_buffer_deinit(&to->bytes);
    *to = (struct archive_cached_block){
        .frames = frames, .bytes = archive->cursor.frames, .last_use = ++archive->uses};
    bytes_buffer_init(&archive->cursor.frames); /* the cache has its memory now */
    return WF_OK;
}

static enum wf_status hold_block(struct archive *archive, uint64_t lsn,
                                 const struct archive_frames **out, struct wf_error *err) {
    struct archive_cached_block *oldest = &archive->blocks[0];
    for (size_t i = 0; i < ARCHIVE_CACHED_BLOCKS; i++) {
        struct archive_cached_block *cached = &archive->blocks[i];
        if (cached->frames.count > 0 && lsn >= cached->frames.first_lsn &&
            lsn - cached->frames.first_lsn < cached->frames.count) {
            cached->last_use = ++archive->uses;
            *out = &cached->frames;
            return WF_OK;
        }
        if (cached->last_use < oldest->last_use)
            oldest = cached;
    }
    enum wf_status status = load_block(archive, lsn, oldest, err);
    *out = &oldest->frames;
    return status;
}

struct one_record {
    uint64_t lsn;
    bool found;
    struct bytes_buffer *buffer;
    struct wal_record *record;
};

static enum wf_status take_one(void *ctx, const struct wal_frame *frame, uint64_t offset,
                               struct wf_error *err) {
    struct one_record *one = ctx;
    if (one->lsn < frame->lsn || one->lsn >= wal_frame_next_lsn(frame) ||
        frame->kind == WAL_FRAME_SEAL)
        return WF_OK;
    *one->record = (struct wal_record){
        .lsn = one->lsn, .offset = offset, .lost = frame->kind == WAL_FRAME_LOST};
    one->found = true;
    if (one->record->lost)
        return WF_CONFLICT; /* any status but WF_OK ends the walk */
    bytes_buffer_clear(one->buffer);
    bytes_write_run(one->buffer, frame->payload.data, frame->payload.size);
    if (!bytes_buffer_ok(one->buffer))
        return error_set(err, WF_NO_MEMORY, "no memory for a record");
    one->record->payload = (struct bytes_view){one->buffer->data, one->buffer->size};
    return WF_CONFLICT;
}

static enum wf_status read_one(struct archive *archive, uint64_t lsn, struct bytes_buffer *buffer,
                               struct wal_record *record, struct wf_error *err) {
    const struct archive_frames *frames;
    pthread_mutex_lock(&archive->mutex);
    enum wf_status status = hold_block(archive, lsn, &frames, err);
    struct one_record one = {.lsn = lsn, .buffer = buffer, .record = record};
    if (status == WF_OK)
        status = archive_frames_walk(frames, archive->seed, take_one, &one, err);
    pthread_mutex_unlock(&archive->mutex);
    return status == WF_CONFLICT && one.found ? WF_OK : status;
}

/* Has another process archived or dropped since we looked? */
static bool look_again(struct archive *archive, enum wf_status status) {
    return (status == WF_NOT_FOUND || status == WF_DAMAGE) &&
           archive_refresh(archive, NULL) == WF_OK;
}

enum wf_status archive_read(struct archive *archive, uint64_t lsn, struct bytes_buffer *buffer,
                            struct wal_record *record, struct wf_error *err) {
    enum wf_status status = read_one(archive, lsn, buffer, record, err);
    return look_again(archive, status) ? read_one(archive, lsn, buffer, record, err) : status;
}

/* --- a range --- */

struct range_walk {
    uint64_t next_lsn, last_lsn;
    const uint8_t *leaf; /* of the frame's record, where it is known */
    wal_record_fn on_record;
    void *ctx;
};

static enum wf_status give_frame(void *ctx, const struct wal_frame *frame, uint64_t offset,
                                 struct wf_error *err) {
    struct range_walk *walk = ctx;
    bool lost = frame->kind == WAL_FRAME_LOST;
    if (frame->kind == WAL_FRAME_SEAL)
        return WF_OK;
    uint64_t lsn = frame->lsn > walk->next_lsn ? frame->lsn : walk->next_lsn;
    for (; lsn < wal_frame_next_lsn(frame) && lsn <= walk->last_lsn; lsn++) {
        struct wal_record record = {.lsn = lsn,
                                    .offset = offset,
                                    .durable_lsn = lost ? 0 : frame->durable_lsn,
                                    .payload = lost ? (struct bytes_view){NULL, 0} : frame->payload,
                                    .lost = lost,
                                    .leaf = lost ? NULL : walk->leaf};
        enum wf_status status =
            walk->on_record == NULL ? WF_OK : walk->on_record(walk->ctx, &record, err);
        walk->next_lsn = lsn + 1;
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

static enum wf_status walk_entry(struct archive *archive, struct archive_cursor *cursor,
                                 const struct archive_entry *entry, struct range_walk *walk,
                                 struct wf_error *err) {
    struct archive_index index;
    enum wf_status status = archive_cursor_open(cursor, archive->dir, entry->name, err);
    if (status == WF_OK)
        status = archive_cursor_index(cursor, entry, &index, err);
    if (status != WF_OK)
        return missing_file(entry, status, err);
    for (size_t i = 0; status == WF_OK && i < index.count; i++) {
        const struct archive_index_block *block = &index.blocks[i];
        struct archive_frames frames;
        if (block->first_lsn + block->count <= walk->next_lsn || block->first_lsn > walk->last_lsn)
            continue;
        status = read_block(cursor, block, &frames, err);
        if (status == WF_OK)
            status = archive_frames_walk(&frames, archive->seed, give_frame, walk, err);
    }
    archive_index_deinit(&index);
    return status;
}

enum wf_status archive_walk(struct archive *archive, uint64_t first_lsn, uint64_t last_lsn,
                            wal_record_fn on_record, void *ctx, struct wf_error *err) {
    struct archive_cursor cursor;
    struct range_walk walk = {
        .next_lsn = first_lsn, .last_lsn = last_lsn, .on_record = on_record, .ctx = ctx};
    enum wf_status status = archive_cursor_init(&cursor, archive->io, archive->seed, err);
    if (status != WF_OK)
        return status;
    bool refreshed = false;
    while (status == WF_OK && walk.next_lsn <= last_lsn) {
        struct archive_entry entry;
        uint64_t before = walk.next_lsn;
        pthread_mutex_lock(&archive->mutex);
        status = find_entry(archive, before, &entry, err);
        pthread_mutex_unlock(&archive->mutex);
        if (status == WF_OK)
            status = walk_entry(archive, &cursor, &entry, &walk, err);
        if (walk.next_lsn == before && !refreshed && look_again(archive, status)) {
            refreshed = true;
            status = WF_OK;
        } else if (status == WF_OK && walk.next_lsn == before) {
            status = error_set(err, WF_DAMAGE, "archive %s lacks LSN %" PRIu64, entry.name, before);
        }
    }
    archive_cursor_deinit(&cursor);
    return status;
}

/* --- a file on its own --- */

static enum wf_status walk_members(struct archive_cursor *cursor, const char *path,
                                   struct range_walk *walk, struct wf_error *err) {
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t next = 0;
    struct bytes_view body;
    struct wal_segment_header header;
    enum wf_status status = archive_cursor_next(cursor, 0, &size, err);
    if (status == WF_OK)
        status = archive_cursor_member(cursor, 0, size, &body, err);
    if (status != WF_OK)
        return status;
    if (wal_segment_header_decode(body.data, body.size, &header) != WAL_HEADER_GOOD)
        return error_set(err, WF_DAMAGE, "%s: the head of the archive is damaged", path);
    cursor->seed = wal_frame_seed(header.store_id);
    offset = size;
    status = archive_cursor_next(cursor, offset, &size, err);
    for (; status == WF_OK && size > 0; offset += size, size = next) {
        struct archive_frames frames;
        status = archive_cursor_next(cursor, offset + size, &next, err);
        if (status != WF_OK || next == 0)
            return status; /* the last one is the index */
        status = archive_cursor_block(cursor, offset, size, &frames, err);
        if (status == WF_OK)
            status = archive_frames_walk(&frames, cursor->seed, give_frame, walk, err);
    }
    return status == WF_OK ? error_set(err, WF_DAMAGE, "%s: the archive has no index", path)
                           : status;
}

static enum wf_status begins_as_archive(struct io *io, const char *path, bool *is_archive,
                                        struct wf_error *err) {
    struct io_file *file;
    uint8_t head[2];
    size_t got = 0;
    enum wf_status status = io->ops->open(io, path, IO_READ, &file, err);
    if (status != WF_OK)
        return status;
    status = io_read_all(io, file, 0, head, sizeof head, &got, err);
    io->ops->close(io, file);
    *is_archive = status == WF_OK && got == 2 && head[0] == 0x1f && head[1] == 0x8b;
    return status;
}

enum wf_status archive_walk_file(struct io *io, const char *path, bool *is_archive,
                                 wal_record_fn on_record, void *ctx, struct wf_error *err) {
    *is_archive = false;
    enum wf_status status = begins_as_archive(io, path, is_archive, err);
    if (status != WF_OK || !*is_archive)
        return status;
    struct archive_cursor cursor;
    struct range_walk walk = {
        .next_lsn = 1, .last_lsn = UINT64_MAX, .on_record = on_record, .ctx = ctx};
    status = archive_cursor_init(&cursor, io, 0, err);
    if (status != WF_OK)
        return status;
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    status = dir == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                         : archive_cursor_open(&cursor, dir, slash == NULL ? path : slash + 1, err);
    if (status == WF_OK)
        status = walk_members(&cursor, path, &walk, err);
    free(dir);
    archive_cursor_deinit(&cursor);
    return status;
}

/* --- everything, and what is wrong with it --- */

struct verifying {
    struct archive *archive;
    struct archive_cursor cursor;
    wal_record_fn on_record;
    wal_finding_fn on_finding;
    void *ctx;
    struct wal_hasher *hasher;
    /* of the archive under way */
    const struct archive_entry *entry;
    uint32_t chain;
    struct wal_cover cover;
    bool told, has_lost;
    struct wal_frontier root;
};

static enum wf_status tell(struct verifying *verifying, uint64_t offset, uint64_t size,
                           uint64_t first_lsn, uint64_t last_lsn, const char *why,
                           struct wf_error *err) {
    struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE,
                                  .offset = offset,
                                  .size = size,
                                  .first_lsn = first_lsn,
                                  .last_lsn = last_lsn};
    verifying->told = true;
    memcpy(finding.segment, verifying->entry->name, sizeof finding.segment);
    (void)snprintf(finding.text, sizeof finding.text, "%.*s", (int)sizeof finding.text - 1, why);
    return verifying->on_finding == NULL ? WF_OK
                                         : verifying->on_finding(verifying->ctx, &finding, err);
}

static enum wf_status tell_all(struct verifying *verifying, const char *why, struct wf_error *err) {
    return tell(verifying, 0, verifying->entry->size, verifying->entry->first_lsn,
                verifying->entry->last_lsn, why, err);
}

static enum wf_status verify_frame(void *ctx, const struct wal_frame *frame, uint64_t offset,
                                   struct wf_error *err) {
    struct verifying *verifying = ctx;
    bool lost = frame->kind == WAL_FRAME_LOST;
    if (frame->kind == WAL_FRAME_SEAL)
        return WF_OK;
    verifying->has_lost |= lost;
    struct range_walk walk = {.next_lsn = frame->lsn,
                              .last_lsn = UINT64_MAX,
                              .on_record = verifying->on_record,
                              .ctx = verifying->ctx};
    struct bytes_view payload = lost ? (struct bytes_view){NULL, 0} : frame->payload;
    uint8_t leaf[WAL_HASH_SIZE];
    walk.leaf = leaf;
    for (uint64_t lsn = frame->lsn; lsn < wal_frame_next_lsn(frame); lsn++) {
        if (!wal_merkle_leaf(verifying->hasher, lsn, payload, leaf) ||
            verifying->cover.at != lsn - 1 ||
            !wal_cover_add(&verifying->cover, verifying->hasher, 0, leaf) ||
            !wal_frontier_add_subtree(&verifying->root, verifying->hasher, 0, leaf))
            return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    }
    return give_frame(&walk, frame, offset, err);
}

/* Go on behind a block that cannot be read: its hashes are those of the index. */
static enum wf_status pass_block(struct verifying *verifying,
                                 const struct archive_index_block *block, const char *why,
                                 struct wf_error *err) {
    uint64_t at = block->first_lsn - 1;
    for (size_t i = 0; at < block->first_lsn - 1 + block->count; i++) {
        unsigned level = wal_cover_level(at, block->first_lsn - 1 + block->count);
        if (!wal_cover_add(&verifying->cover, verifying->hasher, level, block->cover[i]))
            return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
        at += (uint64_t)1 << level;
    }
    verifying->has_lost = true; /* the segment's own root cannot be computed */
    /* Of a seal the record before it is named. */
    uint64_t last_lsn = block->first_lsn + block->count - 1;
    return tell(verifying, block->offset, block->size,
                block->count == 0 ? last_lsn : block->first_lsn, last_lsn, why, err);
}

static enum wf_status verify_block(struct verifying *verifying,
                                   const struct archive_index_block *block, struct wf_error *err) {
    struct archive_frames frames;
    struct wf_error why = {.status = WF_OK};
    enum wf_status status = read_block(&verifying->cursor, block, &frames, &why);
    if (status == WF_OK && frames.previous != verifying->chain)
        status = error_set(&why, WF_DAMAGE, "the block does not continue the one before it");
    if (status == WF_DAMAGE) {
        verifying->chain = 0;
        return pass_block(verifying, block, why.text, err);
    }
    if (status != WF_OK)
        return error_set(err, status, "%s", why.text);
    verifying->chain = frames.chain;
    return archive_frames_walk(&frames, verifying->archive->seed, verify_frame, verifying, err);
}

/* What the blocks came to, against the manifest. */
static enum wf_status judge_entry(struct verifying *verifying, const uint8_t *sha256,
                                  struct wf_error *err) {
    const struct archive_entry *entry = verifying->entry;
    uint8_t root[WAL_HASH_SIZE];
    if (verifying->told)
        return WF_OK;
    if (!wal_frontier_root(&verifying->root, verifying->hasher, root))
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    if (!wal_cover_is_whole(&verifying->cover) ||
        memcmp(verifying->cover.hashes, entry->cover, entry->cover_count * WAL_HASH_SIZE) != 0)
        return tell_all(verifying, "the records are not those that the manifest names", err);
    if (entry->sealed && !verifying->has_lost && memcmp(root, entry->root, sizeof root) != 0)
        return tell_all(verifying, "the records are not those of the segment's Merkle root", err);
    if (verifying->chain != entry->chain)
        return tell_all(verifying, "the archive ends otherwise than its segment did", err);
    if (verifying->cursor.file_size != entry->size ||
        memcmp(sha256, entry->sha256, WAL_HASH_SIZE) != 0)
        return tell_all(verifying, "the file's SHA-256 is not that of the manifest", err);
    return WF_OK;
}

static enum wf_status verify_blocks(struct verifying *verifying, struct wf_error *err) {
    struct archive_index index;
    struct wf_error why = {.status = WF_OK};
    uint8_t sha256[WAL_HASH_SIZE];
    enum wf_status status =
        archive_cursor_index(&verifying->cursor, verifying->entry, &index, &why);
    if (status == WF_DAMAGE)
        return tell_all(verifying, why.text, err);
    if (status != WF_OK)
        return error_set(err, status, "%s", why.text);
    verifying->chain = verifying->entry->previous;
    for (size_t i = 0; status == WF_OK && i < index.count; i++)
        status = verify_block(verifying, &index.blocks[i], err);
    archive_index_deinit(&index);
    if (status == WF_OK)
        status = archive_cursor_digest(&verifying->cursor, sha256, err);
    return status == WF_OK ? judge_entry(verifying, sha256, err) : status;
}

static enum wf_status verify_entry(struct verifying *verifying, const struct archive_entry *entry,
                                   struct wf_error *err) {
    struct wf_error why = {.status = WF_OK};
    verifying->entry = entry;
    verifying->told = false;
    verifying->has_lost = false;
    verifying->root.count = 0;
    if (!wal_cover_init(&verifying->cover, entry->first_lsn - 1, entry->last_lsn))
        return error_set(err, WF_NO_MEMORY, "no memory to verify archives");
    enum wf_status status =
        archive_cursor_open(&verifying->cursor, verifying->archive->dir, entry->name, &why);
    if (status == WF_NOT_FOUND)
        status = tell_all(verifying, "the file is missing", err);
    else if (status != WF_OK)
        status = error_set(err, status, "%s", why.text);
    else
        status = verify_blocks(verifying, err);
    wal_cover_deinit(&verifying->cover);
    return status;
}

enum wf_status archive_verify(struct archive *archive, wal_record_fn on_record,
                              wal_finding_fn on_finding, void *ctx, struct wf_error *err) {
    struct verifying verifying = {.archive = archive,
                                  .on_record = on_record,
                                  .on_finding = on_finding,
                                  .ctx = ctx,
                                  .hasher = wal_hasher_create()};
    if (verifying.hasher == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to verify archives");
    struct archive_entry entry;
    enum wf_status status = archive_cursor_init(&verifying.cursor, archive->io, archive->seed, err);
    if (status == WF_OK) {
        for (size_t i = 0; status == WF_OK && archive_at(archive, i, &entry); i++) {
            if (entry.dropped_lsn == 0)
                status = verify_entry(&verifying, &entry, err);
        }
        archive_cursor_deinit(&verifying.cursor);
    }
    wal_hasher_destroy(verifying.hasher);
    return status;
}

/* --- hashes --- */

struct hashing {
    struct archive *archive;
    const struct archive_tree *tree;
    struct archive_cursor cursor;
    struct archive_index index; /* of `entry`, where it has been read */
    struct archive_entry entry;
    bool has_index;
    uint64_t end; /* of what is wanted */
    struct wal_hasher *hasher;
    uint64_t leaf_first, leaf_end; /* wanted of the block under way */
};

/* May the piece [at, end) be handed over whole? */
static bool is_whole(const struct hashing *hashing, uint64_t end) {
    return end <= hashing->end && end <= hashing->tree->boundary(hashing->tree->ctx);
}

static enum wf_status give_leaf(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct hashing *hashing = ctx;
    uint8_t leaf[WAL_HASH_SIZE];
    if (record->lsn - 1 < hashing->leaf_first || record->lsn - 1 >= hashing->leaf_end)
        return WF_OK;
    if (!wal_merkle_leaf(hashing->hasher, record->lsn, record->payload, leaf))
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    return hashing->tree->add(hashing->tree->ctx, 0, leaf, err);
}

static enum wf_status give_leaves(struct hashing *hashing, const struct archive_index_block *block,
                                  uint64_t first, uint64_t end, struct wf_error *err) {
    struct archive_frames frames;
    enum wf_status status = read_block(&hashing->cursor, block, &frames, err);
    struct range_walk walk = {
        .next_lsn = first + 1, .last_lsn = end, .on_record = give_leaf, .ctx = hashing};
    hashing->leaf_first = first;
    hashing->leaf_end = end < hashing->end ? end : hashing->end;
    return status == WF_OK
               ? archive_frames_walk(&frames, hashing->archive->seed, give_frame, &walk, err)
               : status;
}

static enum wf_status open_index(struct hashing *hashing, struct wf_error *err) {
    if (hashing->has_index)
        return WF_OK;
    struct archive_entry *entry = &hashing->entry;
    if (entry->dropped_lsn != 0)
        return error_set(
            err, WF_NOT_FOUND,
            "LSN %" PRIu64 " to %" PRIu64
            " were dropped, and only their hashes kept: a tree that ends, or a proof "
            "that begins, among them cannot be computed any more; the root at LSN %" PRIu64 " can",
            entry->first_lsn, entry->last_lsn, entry->last_lsn);
    enum wf_status status =
        archive_cursor_open(&hashing->cursor, hashing->archive->dir, entry->name, err);
    if (status == WF_OK)
        status = archive_cursor_index(&hashing->cursor, entry, &hashing->index, err);
    hashing->has_index = status == WF_OK;
    return missing_file(entry, status, err);
}

/* The leaves [first, end) of one archive, from its index. */
static enum wf_status give_blocks(struct hashing *hashing, uint64_t first, uint64_t end,
                                  struct wf_error *err) {
    enum wf_status status = open_index(hashing, err);
    for (size_t i = 0; status == WF_OK && i < hashing->index.count; i++) {
        const struct archive_index_block *block = &hashing->index.blocks[i];
        uint64_t at = block->first_lsn - 1;
        uint64_t block_end = at + block->count;
        for (size_t piece = 0; status == WF_OK && at < block_end; piece++) {
            unsigned level = wal_cover_level(at, block_end);
            uint64_t piece_end = at + ((uint64_t)1 << level);
            bool wanted = at >= first && piece_end <= end && at < hashing->end;
            if (wanted && is_whole(hashing, piece_end))
                status = hashing->tree->add(hashing->tree->ctx, level, block->cover[piece], err);
            else if (wanted)
                status = give_leaves(hashing, block, at, piece_end, err);
            at = piece_end;
        }
    }
    return status;
}

static enum wf_status give_entry(struct hashing *hashing, uint64_t first, struct wf_error *err) {
    const struct archive_entry *entry = &hashing->entry;
    uint64_t at = entry->first_lsn - 1;
    enum wf_status status = WF_OK;
    for (size_t i = 0; status == WF_OK && i < entry->cover_count; i++) {
        unsigned level = wal_cover_level(at, entry->last_lsn);
        uint64_t end = at + ((uint64_t)1 << level);
        if (at >= first && at < hashing->end) {
            status = is_whole(hashing, end)
                         ? hashing->tree->add(hashing->tree->ctx, level, entry->cover[i], err)
                         : give_blocks(hashing, at, end, err);
        }
        at = end;
    }
    if (hashing->has_index)
        archive_index_deinit(&hashing->index);
    hashing->has_index = false;
    return status;
}

enum wf_status archive_hash(struct archive *archive, uint64_t first, uint64_t end,
                            const struct archive_tree *tree, struct wf_error *err) {
    struct hashing *hashing = calloc(1, sizeof *hashing);
    if (hashing == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to hash archives");
    *hashing = (struct hashing){
        .archive = archive, .tree = tree, .end = end, .hasher = wal_hasher_create()};
    enum wf_status status =
        hashing->hasher == NULL
            ? error_set(err, WF_NO_MEMORY, "no memory to hash archives")
            : archive_cursor_init(&hashing->cursor, archive->io, archive->seed, err);
    if (status == WF_OK) {
        for (size_t i = 0; status == WF_OK && archive_at(archive, i, &hashing->entry); i++) {
            if (hashing->entry.last_lsn > first && hashing->entry.first_lsn <= end)
                status = give_entry(hashing, first, err);
        }
        archive_cursor_deinit(&hashing->cursor);
    }
    wal_hasher_destroy(hashing->hasher);
    free(hashing);
    return status;
}
