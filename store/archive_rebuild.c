#include "store/archive_rebuild.h"

#include "store/archive_file.h"
#include "wal/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char archive_suffix[] = ".gz";

/* --- the files --- */

struct names {
    uint64_t live_lsn;
    uint64_t *lsns; /* of archives whose segment is not in the log */
    size_t count;
    bool failed;
};

static bool see_name(void *ctx, const char *name) {
    struct names *names = ctx;
    char segment[ARCHIVE_NAME_SIZE];
    uint64_t lsn;
    size_t size = strlen(name);
    if (size <= sizeof archive_suffix || size >= sizeof segment ||
        strcmp(name + size - (sizeof archive_suffix - 1), archive_suffix) != 0)
        return true;
    (void)snprintf(segment, sizeof segment, "%.*s", (int)(size - (sizeof archive_suffix - 1)),
                   name);
    if (!wal_segment_name_parse(segment, &lsn) || lsn >= names->live_lsn)
        return true;
    uint64_t *more = realloc(names->lsns, (names->count + 1) * sizeof *more);
    if (more == NULL) {
        names->failed = true;
        return false;
    }
    names->lsns = more;
    names->lsns[names->count++] = lsn;
    return true;
}

static int compare_lsns(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static enum wf_status list_files(struct io *io, const char *dir, struct names *names,
                                 struct wf_error *err) {
    enum io_kind kind;
    uint64_t size;
    enum wf_status status = io->ops->stat(io, dir, &kind, &size, err);
    if (status == WF_OK && kind == IO_DIRECTORY)
        status = io->ops->list(io, dir, see_name, names, err);
    if (status == WF_OK && names->failed)
        status = error_set(err, WF_NO_MEMORY, "no memory to list the archives");
    if (names->count > 0)
        qsort(names->lsns, names->count, sizeof *names->lsns, compare_lsns);
    return status;
}

static void archive_name(uint64_t lsn, char name[ARCHIVE_NAME_SIZE]) {
    char segment[WAL_SEGMENT_NAME_SIZE];
    wal_segment_name(segment, lsn);
    (void)snprintf(name, ARCHIVE_NAME_SIZE, "%.56s%s", segment, archive_suffix);
}

enum wf_status archive_needs_rebuild(struct io *io, const char *dir,
                                     const uint8_t store_id[WAL_STORE_ID_SIZE], uint64_t live_lsn,
                                     bool *needs, struct wf_error *err) {
    struct archive_manifest manifest;
    struct names names = {.live_lsn = live_lsn};
    enum wf_status status = archive_manifest_read(io, dir, &manifest, err);
    *needs = status == WF_DAMAGE;
    if (status != WF_OK)
        return status == WF_DAMAGE ? WF_OK : status;
    *needs =
        manifest.count > 0 && memcmp(manifest.store_id, store_id, sizeof manifest.store_id) != 0;
    status = list_files(io, dir, &names, err);
    for (size_t i = 0; status == WF_OK && i < names.count; i++)
        *needs |= archive_manifest_find(&manifest, names.lsns[i]) == NULL;
    free(names.lsns);
    archive_manifest_deinit(&manifest);
    return status;
}

/* --- one file --- */

/* The archive under way. */
struct describing {
    struct archive_cursor cursor;
    struct archive_entry *entry;
    const struct archive_hints *hints;
    wal_record_fn on_record;
    void *ctx;
    struct wal_hasher *hasher;
    struct wal_cover cover;
};

static uint64_t number_behind(const char *line, const char *name) {
    const char *at = strstr(line, name);
    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* The first member: the segment's header, and a line that says how far it goes. */
static enum wf_status read_head(struct describing *describing, uint32_t *seed,
                                const uint8_t store_id[WAL_STORE_ID_SIZE], struct wf_error *err) {
    struct archive_cursor *cursor = &describing->cursor;
    struct archive_entry *entry = describing->entry;
    struct wal_segment_header header;
    struct bytes_view body;
    uint64_t size = 0;
    char line[300];
    enum wf_status status = archive_cursor_next(cursor, 0, &size, err);
    if (status == WF_OK)
        status = archive_cursor_member(cursor, 0, size, &body, err);
    if (status != WF_OK)
        return status;
    size_t line_size = (size_t)(body.data - cursor->text.data);
    (void)snprintf(line, sizeof line, "%.*s", (int)line_size, (const char *)cursor->text.data);
    if (wal_segment_header_decode(body.data, body.size, &header) != WAL_HEADER_GOOD ||
        memcmp(header.store_id, store_id, WAL_STORE_ID_SIZE) != 0)
        return error_set(err, WF_DAMAGE, "archive %s: its head is damaged or another store's",
                         cursor->name);
    *seed = wal_frame_seed(header.store_id);
    entry->first_lsn = header.first_lsn;
    entry->previous = entry->chain = header.previous;
    entry->last_lsn = number_behind(line, "\"last_lsn\":");
    entry->segment_size = number_behind(line, "\"bytes\":");
    entry->size = cursor->file_size;
    if (entry->first_lsn == 0 || entry->last_lsn < entry->first_lsn)
        return error_set(err, WF_DAMAGE, "archive %s: its head cannot be understood", cursor->name);
    return WF_OK;
}

/* The last member. */
static enum wf_status find_index(struct describing *describing, struct wf_error *err) {
    struct archive_entry *entry = describing->entry;
    uint64_t offset = 0;
    uint64_t size = 0;
    enum wf_status status = archive_cursor_next(&describing->cursor, 0, &size, err);
    while (status == WF_OK && size > 0) {
        entry->index_offset = offset;
        entry->index_size = size;
        offset += size;
        status = archive_cursor_next(&describing->cursor, offset, &size, err);
    }
    return status;
}

/* The payload's time, by the hints; 0: it has none. */
static int64_t time_of(struct bytes_view payload, uint8_t field) {
    struct bytes_reader reader = bytes_reader_make(payload.data, payload.size);
    while (field != 0 && bytes_reader_left(&reader) > 0) {
        uint64_t tag = bytes_read_varint(&reader);
        uint64_t value = (tag & 7) == 0 ? bytes_read_varint(&reader) : 0;
        if ((tag & 7) == 2)
            (void)bytes_read_string(&reader);
        if (!bytes_reader_ok(&reader) || ((tag & 7) != 0 && (tag & 7) != 2))
            return 0;
        if (tag == (uint64_t)field << 3)
            return (int64_t)value;
    }
    return 0;
}

static enum wf_status take_frame(void *ctx, const struct wal_frame *frame, uint64_t offset,
                                 struct wf_error *err) {
    struct describing *describing = ctx;
    struct archive_entry *entry = describing->entry;
    bool lost = frame->kind == WAL_FRAME_LOST;
    if (frame->kind == WAL_FRAME_SEAL) {
        struct wal_seal seal;
        wal_seal_decode(frame->payload.data, &seal);
        entry->sealed = true;
        memcpy(entry->root, seal.root, sizeof entry->root);
        return WF_OK;
    }
    int64_t time_ms = lost ? 0 : time_of(frame->payload, describing->hints->time);
    if (time_ms > 0 && entry->first_ms == 0)
        entry->first_ms = time_ms;
    if (time_ms > 0)
        entry->last_ms = time_ms;
    struct wal_record record = {
        .lsn = frame->lsn, .offset = offset, .payload = frame->payload, .lost = lost};
    return describing->on_record == NULL || lost
               ? WF_OK
               : describing->on_record(describing->ctx, &record, err);
}

/* The hashes are those of the index, which a damaged block leaves whole. */
static enum wf_status take_hashes(struct describing *describing,
                                  const struct archive_index_block *block, struct wf_error *err) {
    uint64_t at = block->first_lsn - 1;
    for (size_t i = 0; at < block->first_lsn - 1 + block->count; i++) {
        unsigned level = wal_cover_level(at, block->first_lsn - 1 + block->count);
        if (!wal_cover_add(&describing->cover, describing->hasher, level, block->cover[i]))
            return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
        at += (uint64_t)1 << level;
    }
    return WF_OK;
}

static enum wf_status take_blocks(struct describing *describing, const struct archive_index *index,
                                  struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (size_t i = 0; status == WF_OK && i < index->count; i++) {
        const struct archive_index_block *block = &index->blocks[i];
        struct archive_frames frames;
        struct wf_error why;
        status =
            archive_cursor_block(&describing->cursor, block->offset, block->size, &frames, &why);
        if (status == WF_OK) {
            describing->entry->chain = frames.chain;
            status =
                archive_frames_walk(&frames, describing->cursor.seed, take_frame, describing, &why);
        }
        if (status == WF_OK || status == WF_DAMAGE) /* verify names it, and reading refuses it */
            status = take_hashes(describing, block, err);
        else
            (void)error_set(err, status, "%s", why.text);
    }
    return status;
}

static enum wf_status take_contents(struct describing *describing, struct wf_error *err) {
    struct archive_entry *entry = describing->entry;
    struct archive_index index;
    enum wf_status status = archive_cursor_index(&describing->cursor, entry, &index, err);
    if (status != WF_OK)
        return status;
    bool ok = wal_cover_init(&describing->cover, entry->first_lsn - 1, entry->last_lsn);
    status = ok ? take_blocks(describing, &index, err)
                : error_set(err, WF_NO_MEMORY, "no memory to describe an archive");
    if (status == WF_OK && describing->cover.count <= ARCHIVE_COVER_MAX) {
        entry->cover_count = describing->cover.count;
        memcpy(entry->cover, describing->cover.hashes, entry->cover_count * WAL_HASH_SIZE);
    }
    wal_cover_deinit(&describing->cover);
    archive_index_deinit(&index);
    return status == WF_OK ? archive_cursor_digest(&describing->cursor, entry->sha256, err)
                           : status;
}

static enum wf_status describe_file(struct describing *describing, const char *dir, uint64_t lsn,
                                    const uint8_t store_id[WAL_STORE_ID_SIZE],
                                    struct wf_error *err) {
    *describing->entry = (struct archive_entry){.first_lsn = 0};
    archive_name(lsn, describing->entry->name);
    enum wf_status status =
        archive_cursor_open(&describing->cursor, dir, describing->entry->name, err);
    if (status == WF_OK)
        status = read_head(describing, &describing->cursor.seed, store_id, err);
    if (status == WF_OK && describing->entry->first_lsn != lsn)
        status = error_set(err, WF_DAMAGE, "archive %s: it is another's archive",
                           describing->entry->name);
    if (status == WF_OK)
        status = find_index(describing, err);
    return status == WF_OK ? take_contents(describing, err) : status;
}

/* --- all of them --- */

static enum wf_status leave_out(const struct archive_manifest *manifest, const char *name,
                                uint64_t lsn, const char *why, wal_finding_fn on_finding, void *ctx,
                                struct wf_error *err) {
    struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE, .first_lsn = lsn, .last_lsn = lsn};
    if (manifest->count > 0) {
        finding.first_lsn = manifest->entries[0].first_lsn;
        finding.last_lsn = manifest->entries[manifest->count - 1].last_lsn;
    }
    (void)snprintf(finding.segment, sizeof finding.segment, "%s", name);
    (void)snprintf(finding.text, sizeof finding.text, "%.*s", (int)sizeof finding.text - 1, why);
    return on_finding == NULL ? WF_OK : on_finding(ctx, &finding, err);
}

/* Enter it; where it does not continue what is there, that is left out. */
static enum wf_status enter(struct archive_manifest *manifest, const struct archive_entry *entry,
                            wal_finding_fn on_finding, void *ctx, struct wf_error *err) {
    const struct archive_entry *last =
        manifest->count == 0 ? NULL : &manifest->entries[manifest->count - 1];
    if (last != NULL && last->last_lsn + 1 != entry->first_lsn) {
        enum wf_status status = leave_out(
            manifest, last->name, last->last_lsn,
            "the archive behind these is missing: they are not entered", on_finding, ctx, err);
        if (status != WF_OK)
            return status;
        manifest->count = 0;
    }
    return archive_manifest_add(manifest, entry, err);
}

enum wf_status archive_describe(struct io *io, const char *dir,
                                const uint8_t store_id[WAL_STORE_ID_SIZE], uint64_t live_lsn,
                                const struct archive_hints *hints, wal_record_fn on_record,
                                wal_finding_fn on_finding, void *ctx,
                                struct archive_manifest *manifest, struct wf_error *err) {
    struct names names = {.live_lsn = live_lsn};
    struct archive_entry *entry = malloc(sizeof *entry);
    struct describing describing = {.entry = entry,
                                    .hints = hints,
                                    .on_record = on_record,
                                    .ctx = ctx,
                                    .hasher = wal_hasher_create()};
    *manifest = (struct archive_manifest){.entries = NULL};
    memcpy(manifest->store_id, store_id, WAL_STORE_ID_SIZE);
    enum wf_status status = entry == NULL || describing.hasher == NULL
                                ? error_set(err, WF_NO_MEMORY, "no memory to describe archives")
                                : archive_cursor_init(&describing.cursor, io, 0, err);
    if (status == WF_OK) {
        status = list_files(io, dir, &names, err);
        for (size_t i = 0; status == WF_OK && i < names.count; i++) {
            struct wf_error why;
            status = describe_file(&describing, dir, names.lsns[i], store_id, &why);
            if (status == WF_OK)
                status = enter(manifest, entry, on_finding, ctx, err);
            else if (status == WF_DAMAGE)
                status = leave_out(&(struct archive_manifest){.count = 0}, entry->name,
                                   names.lsns[i], why.text, on_finding, ctx, err);
            else
                (void)error_set(err, status, "%s", why.text);
        }
        archive_cursor_deinit(&describing.cursor);
    }
    wal_hasher_destroy(describing.hasher);
    free(entry);
    free(names.lsns);
    if (status != WF_OK)
        archive_manifest_deinit(manifest);
    return status;
}

enum wf_status archive_replace_manifest(struct io *io, const char *dir,
                                        const struct archive_manifest *manifest,
                                        struct wf_error *err) {
    char *from = io_path_join(dir, archive_manifest_name);
    char *to = io_path_join(dir, "manifest.damaged");
    enum io_kind kind = IO_MISSING;
    uint64_t size;
    enum wf_status status = from == NULL || to == NULL
                                ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                                : io->ops->stat(io, from, &kind, &size, err);
    if (status == WF_OK && kind != IO_MISSING)
        status = io->ops->rename(io, from, to, err);
    if (status == WF_OK)
        status = io->ops->sync_directory(io, dir, err);
    free(from);
    free(to);
    return status == WF_OK ? archive_manifest_write(io, dir, manifest, err) : status;
}
