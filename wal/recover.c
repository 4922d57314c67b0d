#include "wal/recover.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A recovery under way. */
struct recovery {
    struct io *io;
    const struct wal_directory *directory;
    const struct wal_recover_options *options;
    struct wal_recovery *report;
    struct wal_place place; /* the position decoded, where one was given */
    size_t start;           /* index of the segment to start in; may be the count */
    struct wal_scan scan;
    struct io_file *tail; /* the newest segment, for sync, cut and rewriting */
};

enum wf_status wal_deliver(const struct wal_item *item, uint64_t after_lsn, uint64_t limit_lsn,
                           wal_record_fn on_record, void *ctx, uint64_t *records,
                           struct wf_error *err) {
    const struct wal_frame *frame = &item->frame;
    bool lost = frame->kind == WAL_FRAME_LOST;
    uint64_t lsn = frame->lsn > after_lsn ? frame->lsn : after_lsn + 1;
    for (; lsn < wal_frame_next_lsn(frame) && lsn <= limit_lsn; lsn++) {
        struct wal_record record = {
            .lsn = lsn,
            .offset = item->offset,
            .durable_lsn = lost ? 0 : frame->durable_lsn,
            .payload = lost ? (struct bytes_view){NULL, 0} : frame->payload,
            .lost = lost,
            .leaf = lost ? NULL : item->leaf,
        };
        (*records)++;
        enum wf_status status = on_record != NULL ? on_record(ctx, &record, err) : WF_OK;
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

static enum wf_status refuse(const struct recovery *recovery, const struct wal_gap *gap,
                             struct wf_error *err) {
    struct wal_recovery *report = recovery->report;
    bool has_lsn = gap->first_lsn <= gap->last_lsn;
    report->bad_lsn = has_lsn ? gap->first_lsn : 0;
    report->bad_lsn_last = has_lsn ? gap->last_lsn : 0;
    report->bad_offset = gap->offset;
    memcpy(report->bad_segment, gap->segment, sizeof report->bad_segment);
    char text[256];
    wal_gap_text(gap, text, sizeof text);
    return error_set(err, WF_DAMAGE, "%s", text);
}

/* --- sync before believing --- */

/* Every segment that is going to be read through, and the last two at least: a copy of a store that
 * somebody made, or a repair that was killed, may never have been synced. A read-only descriptor
 * can be synced as well. */
static enum wf_status sync_files(struct recovery *recovery, struct wf_error *err) {
    struct io *io = recovery->io;
    const struct wal_directory *directory = recovery->directory;
    if (recovery->options->limit_lsn != UINT64_MAX)
        return WF_OK; /* the owner vouches, and the files are in its hands */
    size_t count = directory->count;
    size_t first = count < 2 ? 0 : count - 2;
    for (size_t i = first < recovery->start ? first : recovery->start; i < count; i++) {
        const struct wal_entry *entry = &directory->entries[i];
        bool newest = i + 1 == count;
        unsigned flags = recovery->options->writable && newest ? IO_WRITE : IO_READ;
        struct io_file *file;
        enum wf_status status =
            wal_segment_open(io, directory->path, entry->name, flags, &file, err);
        if (status != WF_OK)
            return status;
        status = io->ops->sync(io, file, err);
        if (status == WF_OK && newest)
            recovery->tail = file;
        else
            io->ops->close(io, file);
        if (status != WF_OK)
            return error_wrap(err, status, "segment %s", entry->name);
    }
    /* A creation that was killed may have left the log's own name unsynced. Who only reads need not
     * be allowed to open the directory above. */
    enum wf_status status =
        wal_directory_sync_parent(io, directory->path, recovery->options->writable ? err : NULL);
    if (status != WF_OK && recovery->options->writable)
        return status;
    return io->ops->sync_directory(io, directory->path, err);
}

/* --- where to start (R14) --- */

static enum wf_status diverges(uint64_t lsn, const char *why, struct wf_error *err) {
    return error_set(err, WF_DIVERGENCE, "the log position after LSN %" PRIu64 " does not fit: %s",
                     lsn, why);
}

/* Is the frame's payload whole? The last record is the one that a crash or a cut is most likely to
 * have hurt. */
static enum wf_status check_body(struct recovery *recovery, struct io_file *file,
                                 struct wal_frame *frame, struct wf_error *err) {
    size_t size = (size_t)wal_frame_checked_size(frame);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for the last record");
    size_t got;
    enum wf_status status =
        io_read_all(recovery->io, file, recovery->place.last_offset, bytes, size, &got, err);
    if (status == WF_OK && (got < size || wal_frame_decode_body(bytes, frame) != NULL))
        status = diverges(recovery->place.lsn, "the frame before it is damaged", err);
    free(bytes);
    return status;
}

/* The frame before the position must be the one that the position remembers. */
static enum wf_status check_last_frame(struct recovery *recovery, struct wf_error *err) {
    const struct wal_directory *directory = recovery->directory;
    const struct wal_place *place = &recovery->place;
    struct io *io = recovery->io;
    struct io_file *file;
    enum wf_status status = wal_segment_open(
        io, directory->path, directory->entries[recovery->start].name, IO_READ, &file, err);
    if (status != WF_OK)
        return status;
    uint8_t header[WAL_FRAME_HEADER_SIZE];
    size_t got;
    struct wal_frame frame;
    status = io_read_all(io, file, place->last_offset, header, sizeof header, &got, err);
    if (status == WF_OK &&
        (got < sizeof header || wal_frame_decode_header(header, directory->seed, &frame) != NULL ||
         frame.kind == WAL_FRAME_SEAL || wal_frame_next_lsn(&frame) != place->lsn + 1 ||
         place->last_offset + frame.size != place->offset ||
         (frame.kind == WAL_FRAME_RECORD && frame.crc != place->previous)))
        status = diverges(place->lsn, "another frame stands before it", err);
    if (status == WF_OK)
        status = check_body(recovery, file, &frame, err);
    io->ops->close(io, file);
    return status;
}

/* The position is behind the last segment, whose seal must be the frame that it remembers. */
static enum wf_status check_behind_last(struct recovery *recovery, struct wf_error *err) {
    const struct wal_directory *directory = recovery->directory;
    const struct wal_place *place = &recovery->place;
    const struct wal_entry *entry = &directory->entries[directory->count - 1];
    struct wal_frame frame;
    struct wal_seal seal;
    bool sealed;
    enum wf_status status =
        wal_segment_read_seal(recovery->io, directory->path, entry->name, entry->size,
                              directory->seed, &frame, &seal, &sealed, err);
    if (status != WF_OK)
        return status;
    if (!sealed || frame.lsn != place->lsn + 1 || frame.crc != place->previous)
        return diverges(place->lsn, "the log ends otherwise", err);
    recovery->start = directory->count;
    return WF_OK;
}

static enum wf_status locate(struct recovery *recovery, struct wf_error *err) {
    const struct wal_directory *directory = recovery->directory;
    struct wal_place *place = &recovery->place;
    uint64_t lsn = recovery->options->from->lsn;
    if (!wal_position_decode(recovery->options->from, place))
        return diverges(lsn, "its checksum fails", err);
    if (memcmp(place->store_id, directory->store_id, WAL_STORE_ID_SIZE) != 0)
        return diverges(lsn, "it belongs to another store", err);
    if (directory->count == 0)
        return diverges(lsn, "the log has no segment", err);
    for (size_t i = 0; i < directory->count; i++) {
        const struct wal_entry *entry = &directory->entries[i];
        recovery->start = i;
        if (entry->first_lsn == place->segment_first && place->last_offset != 0)
            return check_last_frame(recovery, err);
        if (entry->first_lsn != lsn + 1)
            continue;
        /* The segment that it was in is archived, or it is the start of this one. */
        if (entry->first_lsn == place->segment_first && entry->header_good &&
            entry->header.previous != place->previous)
            return diverges(lsn, "the segment continues another log", err);
        place->offset = WAL_SEGMENT_HEADER_SIZE;
        place->previous = entry->header.previous;
        return WF_OK;
    }
    if (place->segment_first == lsn + 1)
        return check_behind_last(recovery, err);
    return diverges(lsn, "its segment is not here", err);
}

/* --- segments before the start: header and seal only --- */

/* The long way, where the ends of segment `index` do not tell: its frames. */
static enum wf_status walk_one(struct recovery *recovery, size_t index, struct wf_error *err) {
    const struct wal_entry *entry = &recovery->directory->entries[index];
    struct wal_scan scan;
    struct wal_item item = {.kind = WAL_ITEM_FRAME};
    wal_scan_init(&scan, recovery->directory, recovery->options->minimum_lsn, UINT64_MAX,
                  WAL_SCAN_HASH_NONE, NULL);
    enum wf_status status = wal_scan_start_at(&scan, index, WAL_SEGMENT_HEADER_SIZE,
                                              entry->first_lsn, entry->header.previous, NULL, err);
    /* And one step into the next segment, which must continue this one. */
    while (status == WF_OK && item.kind == WAL_ITEM_FRAME && scan.index <= index)
        status = wal_scan_next(&scan, &item, err);
    if (status == WF_OK && item.kind == WAL_ITEM_FRAME)
        status = wal_scan_next(&scan, &item, err);
    if (status == WF_OK && item.kind == WAL_ITEM_GAP && item.gap.kind != WAL_FINDING_TORN)
        status = refuse(recovery, &item.gap, err);
    wal_scan_deinit(&scan);
    return status;
}

static enum wf_status check_ends(struct recovery *recovery, size_t index, struct wf_error *err) {
    const struct wal_directory *directory = recovery->directory;
    const struct wal_entry *entry = &directory->entries[index];
    struct wal_frame frame;
    struct wal_seal seal;
    bool sealed;
    enum wf_status status =
        wal_segment_read_seal(recovery->io, directory->path, entry->name, entry->size,
                              directory->seed, &frame, &seal, &sealed, err);
    if (status != WF_OK)
        return status;
    bool last = index + 1 == directory->count;
    if (sealed && entry->header_good && seal.count == frame.lsn - entry->first_lsn &&
        (last || (frame.lsn == entry[1].first_lsn && frame.crc == entry[1].header.previous)))
        return WF_OK;
    return walk_one(recovery, index, err);
}

/* --- the walk --- */

/* Marks on the way through the newest segment, so that afterwards the first record above the
 * durable mark is found without reading the segment again. Thinned out when full. */
enum { MILESTONES_MAX = 512, MILESTONE_SPACING = 256 * 1024 };

struct milestones {
    struct milestone {
        uint64_t lsn;
        uint64_t offset;
    } at[MILESTONES_MAX];
    size_t count;
    size_t segment; /* index of the segment they are in */
    uint64_t spacing;
};

static void pass_milestone(struct milestones *milestones, size_t segment, uint64_t lsn,
                           uint64_t offset) {
    if (segment != milestones->segment) {
        milestones->segment = segment;
        milestones->count = 0;
        milestones->spacing = MILESTONE_SPACING;
    }
    size_t count = milestones->count;
    if (count > 0 && offset - milestones->at[count - 1].offset < milestones->spacing)
        return;
    if (count == MILESTONES_MAX) {
        for (size_t i = 0; 2 * i < count; i++)
            milestones->at[i] = milestones->at[2 * i];
        milestones->count /= 2;
        milestones->spacing *= 2;
        return;
    }
    milestones->at[milestones->count++] = (struct milestone){lsn, offset};
}

/* Walk to the end. A torn tail is left in `torn` (size 0: none). */
static enum wf_status walk(struct recovery *recovery, struct milestones *milestones,
                           struct wal_gap *torn, struct wf_error *err) {
    const struct wal_recover_options *options = recovery->options;
    struct wal_scan *scan = &recovery->scan;
    uint64_t after = scan->next_lsn - 1;
    for (;;) {
        struct wal_item item;
        size_t segment = scan->index;
        enum wf_status status = wal_scan_next(scan, &item, err);
        if (status != WF_OK)
            return status;
        if (item.kind == WAL_ITEM_END)
            return WF_OK;
        if (item.kind == WAL_ITEM_GAP) {
            if (item.gap.kind != WAL_FINDING_TORN)
                return refuse(recovery, &item.gap, err);
            *torn = item.gap;
            continue;
        }
        pass_milestone(milestones, segment, item.frame.lsn, item.offset);
        if (item.frame.kind == WAL_FRAME_SEAL)
            continue;
        status = wal_deliver(&item, after, options->limit_lsn, options->on_record, options->ctx,
                             &recovery->report->records, err);
        if (status != WF_OK)
            return status;
    }
}

/* --- settling the tail --- */

/* The offset in the newest segment of the first frame above the mark; `*end` where there is none.
 */
static enum wf_status find_unproven(struct recovery *recovery, const struct milestones *milestones,
                                    uint64_t end, uint64_t *offset, struct wf_error *err) {
    *offset = end;
    uint64_t mark = recovery->scan.mark;
    if (milestones->count == 0 || milestones->segment + 1 != recovery->directory->count ||
        (recovery->scan.next_lsn <= mark + 1 && !recovery->scan.closed))
        return WF_OK; /* a seal is above the mark even where every record is at or below it */
    size_t at = milestones->count - 1;
    while (at > 0 && milestones->at[at].lsn > mark + 1)
        at--;
    struct wal_reader reader;
    wal_reader_init(&reader, recovery->io);
    enum wf_status status = wal_reader_start(&reader, recovery->tail, recovery->directory->seed,
                                             milestones->at[at].offset, err);
    while (status == WF_OK && reader.offset < end) {
        struct wal_step step;
        status = wal_reader_next(&reader, &step, err);
        if (status != WF_OK || step.found != WAL_FOUND_FRAME)
            break;
        if (step.frame.lsn > mark) {
            *offset = step.offset;
            break;
        }
    }
    wal_reader_deinit(&reader);
    return status;
}

/* Write the same bytes again in place. After a failed sync the kernel marks pages clean that never
 * reached the disk, and goes on showing them: without this, the next sync would not write them
 * either, and what is shown now as recovered would be gone after the next crash. */
static enum wf_status rewrite(struct recovery *recovery, uint64_t from, uint64_t end,
                              struct wf_error *err) {
    enum { CHUNK = 1024 * 1024 };
    struct io *io = recovery->io;
    uint8_t *chunk = malloc(CHUNK);
    if (chunk == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to rewrite the tail of the log");
    enum wf_status status = WF_OK;
    while (status == WF_OK && from < end) {
        size_t size = end - from < CHUNK ? (size_t)(end - from) : CHUNK;
        size_t got = 0;
        status = io_read_all(io, recovery->tail, from, chunk, size, &got, err);
        if (status == WF_OK && got < size)
            status = error_set(err, WF_IO, "the tail of the log shrank while it was read");
        if (status == WF_OK)
            status = io_write_all(io, recovery->tail, from, chunk, size, err);
        from += size;
    }
    free(chunk);
    return status;
}

static enum wf_status remove_unborn(struct recovery *recovery, struct wf_error *err) {
    const struct wal_directory *directory = recovery->directory;
    char *path = io_path_join(directory->path, directory->unborn.name);
    if (path == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    enum wf_status status = recovery->io->ops->remove(recovery->io, path, err);
    free(path);
    return status == WF_OK ? recovery->io->ops->sync_directory(recovery->io, directory->path, err)
                           : status;
}

/* Nothing is accepted before what is kept is durable and what is not kept is gone: stale bytes
 * behind new records would come back at the next crash. */
static enum wf_status settle(struct recovery *recovery, const struct milestones *milestones,
                             const struct wal_gap *torn, uint64_t end, struct wf_error *err) {
    struct io *io = recovery->io;
    enum wf_status status = WF_OK;
    if (recovery->directory->unborn.name[0] != '\0')
        status = remove_unborn(recovery, err);
    if (status != WF_OK || recovery->tail == NULL)
        return status;
    uint64_t unproven;
    status = find_unproven(recovery, milestones, end, &unproven, err);
    if (status == WF_OK && torn->size > 0) {
        io_point(io, "wal.before_cut");
        status = io->ops->truncate(io, recovery->tail, torn->offset, err);
    }
    if (status == WF_OK && unproven < end)
        status = rewrite(recovery, unproven, end, err);
    if (status == WF_OK && (torn->size > 0 || unproven < end)) {
        status = io->ops->sync(io, recovery->tail, err);
        if (status == WF_OK)
            status = io->ops->sync_directory(io, recovery->directory->path, err);
    }
    if (status == WF_OK && torn->size > 0)
        io_point(io, "wal.after_cut");
    return status;
}

static enum wf_status fill_result(struct recovery *recovery, const struct wal_gap *torn,
                                  struct wal_recovered *recovered, struct wf_error *err) {
    struct wal_scan *scan = &recovery->scan;
    recovered->next_lsn = scan->next_lsn;
    recovered->previous = scan->previous;
    recovered->open_segment = scan->file != NULL;
    recovered->offset = scan->reader.offset;
    recovered->last_offset = scan->last_offset;
    if (scan->last_offset == 0 && recovery->start == scan->index)
        recovered->last_offset = recovery->place.last_offset; /* nothing behind the position */
    wal_frontier_copy(&recovered->frontier, &scan->frontier);
    recovered->hashed_offset = scan->hashed_offset;
    memcpy(recovery->report->torn_segment, torn->segment, sizeof torn->segment);
    recovery->report->torn_offset = torn->offset;
    recovery->report->torn_bytes = torn->size;
    if (recovery->tail == NULL)
        return WF_OK;
    return recovery->io->ops->size(recovery->io, recovery->tail, &recovered->file_size, err);
}

static enum wf_status run(struct recovery *recovery, struct wal_recovered *recovered,
                          struct wf_error *err) {
    struct milestones milestones = {.segment = SIZE_MAX};
    struct wal_gap torn = {.size = 0};
    struct wal_scan *scan = &recovery->scan;
    bool positioned = recovery->options->from != NULL;
    enum wf_status status = positioned ? locate(recovery, err) : WF_OK;
    if (status == WF_OK)
        status = sync_files(recovery, err);
    for (size_t i = 0; status == WF_OK && i < recovery->start; i++)
        status = check_ends(recovery, i, err);
    const struct wal_place *place = &recovery->place;
    if (status == WF_OK && positioned)
        status = wal_scan_start_at(scan, recovery->start, place->offset, place->lsn + 1,
                                   place->previous, &place->frontier, err);
    if (status == WF_OK)
        status = walk(recovery, &milestones, &torn, err);
    if (status == WF_OK && recovery->options->writable)
        status = settle(recovery, &milestones, &torn, scan->reader.offset, err);
    if (status == WF_OK)
        status = fill_result(recovery, &torn, recovered, err);
    return status;
}

enum wf_status wal_recover(const struct wal_directory *directory,
                           const struct wal_recover_options *options, struct wal_hasher *hasher,
                           struct wal_recovery *report, struct wal_recovered *recovered,
                           struct wf_error *err) {
    struct recovery recovery = {
        .io = directory->io,
        .directory = directory,
        .options = options,
        .report = report,
    };
    *report = (struct wal_recovery){0};
    *recovered = (struct wal_recovered){0};
    wal_scan_init(&recovery.scan, directory, options->minimum_lsn, options->limit_lsn,
                  options->writable ? WAL_SCAN_HASH_LATER : WAL_SCAN_HASH_NONE, hasher);
    enum wf_status status = run(&recovery, recovered, err);
    wal_scan_deinit(&recovery.scan);
    directory->io->ops->close(directory->io, recovery.tail);
    return status;
}
