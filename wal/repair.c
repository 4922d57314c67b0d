/* Closing the gaps of a damaged log; "What a repair does" in wal/FORMAT.md. A segment is not
 * changed in place but replaced, by rename, with a copy in which its gaps are closed: if a sync
 * failed half way through changes in place, the page cache would show a repaired log that the disk
 * does not have. */
#include "wal/finding.h"
#include "wal/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPY_CHUNK = 1024 * 1024,
    COPIES_MAX = 1000, /* of one file, put aside by repairs */
    ASIDE_NAME_SIZE = WAL_SEGMENT_NAME_SIZE + 16,
};

struct repair {
    struct io *io;
    struct wal_directory directory;
    uint64_t skip_lsn;
    bool skipped;
    char name[WAL_SEGMENT_NAME_SIZE]; /* of the segment that is being replaced; "" if none is */
    struct io_file *work;             /* its successor, NAME.tmp */
    wal_finding_fn on_finding;
    void *ctx;
};

/* --- putting aside --- */

/* A path "NAME.damaged", "NAME.damaged-2", … that is not taken. */
static enum wf_status free_path(struct repair *repair, const char *name, char **out,
                                struct wf_error *err) {
    for (int number = 1; number <= COPIES_MAX; number++) {
        char candidate[ASIDE_NAME_SIZE];
        if (number == 1)
            snprintf(candidate, sizeof candidate, "%s.damaged", name);
        else
            snprintf(candidate, sizeof candidate, "%s.damaged-%d", name, number);
        char *path = io_path_join(repair->directory.path, candidate);
        if (path == NULL)
            return error_set(err, WF_NO_MEMORY, "no memory for a path");
        enum io_kind kind;
        uint64_t size;
        enum wf_status status = repair->io->ops->stat(repair->io, path, &kind, &size, err);
        if (status == WF_OK && kind == IO_MISSING) {
            *out = path;
            return WF_OK;
        }
        free(path);
        if (status != WF_OK)
            return status;
    }
    return error_set(err, WF_REFUSED, "there are %d copies of segment %s put aside already",
                     COPIES_MAX, name);
}

/* Zeros become holes: a file that has grown without end need not fit on the disk twice more. */
static enum wf_status copy_bytes(struct io *io, struct io_file *from, struct io_file *to,
                                 struct wf_error *err) {
    uint8_t *chunk = malloc(COPY_CHUNK);
    if (chunk == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to copy a segment");
    enum wf_status status = WF_OK;
    size_t got = COPY_CHUNK;
    uint64_t written = 0; /* bytes of the copy that were written: up to here it reaches */
    uint64_t size = 0;
    for (; status == WF_OK && got == COPY_CHUNK; size += got) {
        status = io_read_all(io, from, size, chunk, COPY_CHUNK, &got, err);
        if (status == WF_OK && got > 0 && !bytes_all_zero(chunk, got)) {
            status = io_write_all(io, to, size, chunk, got, err);
            written = size + got;
        }
    }
    if (status == WF_OK && written < size)
        status = io->ops->truncate(io, to, size, err);
    free(chunk);
    return status == WF_OK ? io->ops->sync(io, to, err) : status;
}

/* Copy the segment `name` to `path`, synced. `*out` (may be NULL) gets the copy, open. */
static enum wf_status copy_segment(struct repair *repair, const char *name, const char *path,
                                   struct io_file **out, struct wf_error *err) {
    struct io *io = repair->io;
    struct io_file *from = NULL;
    struct io_file *to = NULL;
    enum wf_status status = wal_segment_open(io, repair->directory.path, name, IO_READ, &from, err);
    if (status == WF_OK)
        status = io->ops->open(io, path, IO_WRITE | IO_CREATE, &to, err);
    if (status == WF_OK)
        status = io->ops->truncate(io, to, 0, err);
    if (status == WF_OK)
        status = copy_bytes(io, from, to, err);
    io->ops->close(io, from);
    if (status == WF_OK && out != NULL)
        *out = to;
    else
        io->ops->close(io, to);
    return status;
}

static char *work_path(const struct repair *repair, const char *name) {
    char work_name[ASIDE_NAME_SIZE];
    snprintf(work_name, sizeof work_name, "%s.tmp", name);
    return io_path_join(repair->directory.path, work_name);
}

/* Put the successor into the place of the segment. */
static enum wf_status finish_segment(struct repair *repair, struct wf_error *err) {
    struct io *io = repair->io;
    if (repair->work == NULL)
        return WF_OK;
    char *from = work_path(repair, repair->name);
    char *to = io_path_join(repair->directory.path, repair->name);
    enum wf_status status = WF_OK;
    if (from == NULL || to == NULL)
        status = error_set(err, WF_NO_MEMORY, "no memory for a path");
    if (status == WF_OK)
        status = io->ops->sync(io, repair->work, err);
    if (status == WF_OK)
        status = io->ops->rename(io, from, to, err);
    if (status == WF_OK)
        status = io->ops->sync_directory(io, repair->directory.path, err);
    io->ops->close(io, repair->work);
    repair->work = NULL;
    repair->name[0] = '\0';
    free(from);
    free(to);
    return status;
}

/* Make sure that `work` is the successor of segment `name`. The damaged bytes are put aside, once a
 * segment and run, before anything takes their place. */
static enum wf_status begin_segment(struct repair *repair, const char *name, struct wf_error *err) {
    if (strcmp(repair->name, name) == 0)
        return WF_OK;
    char *aside = NULL;
    char *work = work_path(repair, name);
    enum wf_status status = finish_segment(repair, err);
    if (status == WF_OK && work == NULL)
        status = error_set(err, WF_NO_MEMORY, "no memory for a path");
    if (status == WF_OK)
        status = free_path(repair, name, &aside, err);
    if (status == WF_OK)
        status = copy_segment(repair, name, aside, NULL, err);
    if (status == WF_OK)
        status = repair->io->ops->sync_directory(repair->io, repair->directory.path, err);
    if (status == WF_OK)
        status = copy_segment(repair, name, work, &repair->work, err);
    free(aside);
    free(work);
    if (status != WF_OK)
        return error_wrap(err, status, "copy segment %s aside", name);
    snprintf(repair->name, sizeof repair->name, "%s", name);
    return WF_OK;
}

static enum wf_status move_aside(struct repair *repair, const char *name, struct wf_error *err) {
    struct io *io = repair->io;
    char *to = NULL;
    char *from = io_path_join(repair->directory.path, name);
    if (from == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    enum wf_status status = free_path(repair, name, &to, err);
    if (status == WF_OK)
        status = io->ops->rename(io, from, to, err);
    if (status == WF_OK)
        status = io->ops->sync_directory(io, repair->directory.path, err);
    free(from);
    free(to);
    return status;
}

/* --- closing gaps --- */

/* A lost frame of `span` bytes for the gap; only its first WAL_FRAME_SIZE_MIN bytes. */
static void encode_lost(const struct repair *repair, const struct wal_gap *gap, uint64_t span,
                        uint8_t at[WAL_FRAME_SIZE_MIN]) {
    uint8_t payload[WAL_LOST_PAYLOAD_CHECKED] = {0};
    bytes_store_u32(payload, gap->next_previous);
    struct wal_frame frame = {
        .kind = WAL_FRAME_LOST,
        .previous = gap->previous,
        .lsn = gap->first_lsn,
        .durable_lsn = gap->last_lsn,
        .payload = {payload, (size_t)(span - WAL_FRAME_HEADER_SIZE)},
    };
    wal_frame_encode(at, repair->directory.seed, &frame);
}

static enum wf_status write_zeros(struct io *io, struct io_file *file, uint64_t from, uint64_t end,
                                  struct wf_error *err) {
    static const uint8_t zeros[4096];
    enum wf_status status = WF_OK;
    while (status == WF_OK && from < end) {
        size_t size = end - from < sizeof zeros ? (size_t)(end - from) : sizeof zeros;
        status = io_write_all(io, file, from, zeros, size, err);
        from += size;
    }
    return status;
}

/* Bytes of the lost frame over a gap. Behind its segment's last record a file that has grown beyond
 * all segments needs no frame over all of it: what follows is cut off. */
static uint64_t lost_span(const struct wal_gap *gap) {
    bool whole =
        gap->size > WAL_FRAME_SIZE_MIN && (!gap->to_end || gap->size <= WAL_LOST_PAYLOAD_MAX);
    return wal_frame_size(whole ? gap->size - WAL_FRAME_HEADER_SIZE
                                : (uint64_t)WAL_LOST_PAYLOAD_CHECKED);
}

/* Put a lost frame over the range. At a segment's end it may take more room than there was, and the
 * file ends behind it: so it closes the segment as the seal would. */
static enum wf_status cover_range(struct repair *repair, const struct wal_gap *gap,
                                  struct wf_error *err) {
    struct io *io = repair->io;
    uint64_t span = lost_span(gap);
    uint8_t lost[WAL_FRAME_SIZE_MIN];
    encode_lost(repair, gap, span, lost);
    enum wf_status status = io_write_all(io, repair->work, gap->offset, lost, sizeof lost, err);
    /* What is left of the range is never read; zeros all the same, so that no search ever finds a
     * frame in it. */
    if (status == WF_OK)
        status = write_zeros(io, repair->work, gap->offset + sizeof lost, gap->offset + span, err);
    if (status == WF_OK && gap->to_end)
        status = io->ops->truncate(io, repair->work, gap->offset + span, err);
    return status;
}

static struct wal_segment_header header_for(const struct repair *repair,
                                            const struct wal_gap *gap) {
    struct wal_segment_header header = {
        .first_lsn = gap->segment_lsn,
        .previous = gap->previous,
        .version = WAL_SEGMENT_VERSION,
    };
    memcpy(header.store_id, repair->directory.store_id, WAL_STORE_ID_SIZE);
    return header;
}

static enum wf_status rebuild_header(struct repair *repair, const struct wal_gap *gap,
                                     struct wf_error *err) {
    struct wal_segment_header header = header_for(repair, gap);
    uint8_t bytes[WAL_SEGMENT_HEADER_SIZE];
    wal_segment_header_encode(bytes, &header);
    return io_write_all(repair->io, repair->work, 0, bytes, sizeof bytes, err);
}

static enum wf_status make_segment(struct repair *repair, const struct wal_gap *gap,
                                   struct wf_error *err) {
    struct io_file *file;
    struct wal_segment_header header = header_for(repair, gap);
    uint8_t lost[WAL_FRAME_SIZE_MIN];
    encode_lost(repair, gap, sizeof lost, lost);
    enum wf_status status = wal_segment_create(repair->io, repair->directory.path, &header,
                                               (struct bytes_view){lost, sizeof lost}, &file, err);
    repair->io->ops->close(repair->io, file);
    return status;
}

static enum wf_status close_gap(struct repair *repair, const struct wal_gap *gap,
                                struct wf_error *err) {
    if (gap->last_lsn - (gap->first_lsn - 1) > WAL_LOST_RECORDS_MAX &&
        gap->place != WAL_GAP_MISPLACED)
        return error_set(err, WF_DAMAGE,
                         "segment %s: LSN %" PRIu64 " to %" PRIu64
                         " are more records than one repair can stand for",
                         gap->segment, gap->first_lsn, gap->last_lsn);
    enum wf_status status;
    switch (gap->place) {
    case WAL_GAP_MISPLACED:
        status = finish_segment(repair, err);
        return status == WF_OK ? move_aside(repair, gap->segment, err) : status;
    case WAL_GAP_SEGMENT:
        status = finish_segment(repair, err);
        return status == WF_OK ? make_segment(repair, gap, err) : status;
    case WAL_GAP_HEADER:
        status = begin_segment(repair, gap->segment, err);
        return status == WF_OK ? rebuild_header(repair, gap, err) : status;
    case WAL_GAP_FRAMES:
    case WAL_GAP_END:
    case WAL_GAP_SEAL:
        break;
    }
    status = begin_segment(repair, gap->segment, err);
    return status == WF_OK ? cover_range(repair, gap, err) : status;
}

/* A record that checks and is to go all the same. */
static struct wal_gap gap_of_record(const struct wal_item *item) {
    struct wal_gap gap = {
        .place = WAL_GAP_FRAMES,
        .kind = WAL_FINDING_DAMAGE,
        .offset = item->offset,
        .size = item->frame.size,
        .first_lsn = item->frame.lsn,
        .last_lsn = item->frame.lsn,
        .previous = item->frame.previous,
        .next_previous = item->frame.crc,
        .why = "dropped on command",
        .payload_size = item->frame.payload.size,
    };
    snprintf(gap.segment, sizeof gap.segment, "%s", item->segment);
    return gap;
}

static enum wf_status repair_item(struct repair *repair, const struct wal_item *item,
                                  struct wf_error *err) {
    struct wal_gap gap;
    if (item->kind == WAL_ITEM_GAP && item->gap.kind == WAL_FINDING_TORN)
        return wal_finding_tell(&repair->directory, &item->gap, repair->on_finding, repair->ctx,
                                err); /* the next opening cuts it off */
    if (item->kind == WAL_ITEM_GAP) {
        gap = item->gap;
    } else if (item->kind == WAL_ITEM_FRAME && item->frame.kind == WAL_FRAME_RECORD &&
               repair->skip_lsn != 0 && item->frame.lsn == repair->skip_lsn) {
        gap = gap_of_record(item);
    } else {
        return WF_OK;
    }
    if (gap.first_lsn <= repair->skip_lsn && repair->skip_lsn <= gap.last_lsn)
        repair->skipped = true;
    /* Told while the damaged bytes can still be read. */
    enum wf_status status =
        wal_finding_tell(&repair->directory, &gap, repair->on_finding, repair->ctx, err);
    return status == WF_OK ? close_gap(repair, &gap, err) : status;
}

static enum wf_status repair_all(struct repair *repair, uint64_t minimum_lsn,
                                 struct wal_hasher *hasher, struct wf_error *err) {
    struct wal_scan scan;
    struct wal_item item = {.kind = WAL_ITEM_FRAME};
    enum wf_status status = WF_OK;
    wal_scan_init(&scan, &repair->directory, minimum_lsn, UINT64_MAX, WAL_SCAN_HASH_ALL, hasher);
    while (status == WF_OK && item.kind != WAL_ITEM_END) {
        status = wal_scan_next(&scan, &item, err);
        if (status == WF_OK)
            status = repair_item(repair, &item, err);
    }
    wal_scan_deinit(&scan);
    if (status == WF_OK)
        status = finish_segment(repair, err);
    repair->io->ops->close(repair->io, repair->work); /* of a repair that failed half way */
    if (status == WF_OK && repair->skip_lsn != 0 && !repair->skipped)
        status = error_set(err, WF_NOT_FOUND, "the log holds no record of LSN %" PRIu64,
                           repair->skip_lsn);
    return status;
}

enum wf_status wal_repair(struct io *io, const char *dir, uint64_t minimum_lsn, uint64_t skip_lsn,
                          wal_finding_fn on_finding, void *ctx, struct wf_error *err) {
    struct repair repair = {.io = io, .skip_lsn = skip_lsn, .on_finding = on_finding, .ctx = ctx};
    enum wf_status status = wal_directory_init(&repair.directory, io, dir, err);
    status = wal_directory_judge(status, dir, minimum_lsn, err);
    if (status != WF_OK)
        return error_wrap(err, status, "repair the log %s", dir);
    struct wal_hasher *hasher = wal_hasher_create();
    if (hasher == NULL)
        status = error_set(err, WF_NO_MEMORY, "no memory to repair the log");
    else
        status = repair_all(&repair, minimum_lsn, hasher, err);
    wal_hasher_destroy(hasher);
    wal_directory_deinit(&repair.directory);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "repair the log %s", dir);
}
