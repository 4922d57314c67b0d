#include "wal/scan.h"

#include "wal/catch_up.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void wal_scan_init(struct wal_scan *scan, const struct wal_directory *directory, uint64_t mark,
                   uint64_t limit_lsn, enum wal_scan_hashing hashing, struct wal_hasher *hasher) {
    *scan = (struct wal_scan){
        .directory = directory,
        .mark = mark,
        .limit_lsn = limit_lsn,
        .hashing = hashing,
        .hasher = hasher,
    };
    wal_reader_init(&scan->reader, directory->io);
    scan->next_lsn = directory->count > 0 ? directory->entries[0].first_lsn : 1;
    /* A segment is named only when all before it is durable, so the name alone is a mark. */
    if (directory->unborn.name[0] != '\0' && directory->unborn.first_lsn - 1 > scan->mark)
        scan->mark = directory->unborn.first_lsn - 1;
}

static void close_file(struct wal_scan *scan) {
    scan->directory->io->ops->close(scan->directory->io, scan->file);
    scan->file = NULL;
}

void wal_scan_deinit(struct wal_scan *scan) {
    close_file(scan);
    wal_reader_deinit(&scan->reader);
}

enum wal_verdict wal_scan_decide(bool at_end, bool newest, uint64_t lsn, uint64_t mark) {
    if (!newest || mark >= lsn)
        return WAL_VERDICT_DAMAGE;                      /* R2, R4, R5 */
    return at_end ? WAL_VERDICT_END : WAL_VERDICT_TORN; /* R1, R3 */
}

static bool is_newest(const struct wal_scan *scan) {
    return scan->index + 1 == scan->directory->count;
}

static const struct wal_entry *entry_of(const struct wal_scan *scan) {
    return &scan->directory->entries[scan->index];
}

static void raise_mark(struct wal_scan *scan, uint64_t lsn) {
    if (lsn > scan->mark)
        scan->mark = lsn;
}

/* A gap in the current segment that concerns no record, for the caller to complete. */
static struct wal_gap *make_gap(const struct wal_scan *scan, struct wal_item *item,
                                enum wal_gap_place place, const char *why) {
    item->kind = WAL_ITEM_GAP;
    item->gap = (struct wal_gap){
        .place = place,
        .kind = WAL_FINDING_DAMAGE,
        .first_lsn = scan->next_lsn,
        .last_lsn = scan->next_lsn - 1,
        .previous = scan->previous,
        .next_previous = scan->previous,
        .why = why,
    };
    if (scan->index < scan->directory->count) {
        memcpy(item->gap.segment, entry_of(scan)->name, sizeof item->gap.segment);
        item->gap.segment_lsn = entry_of(scan)->first_lsn;
    }
    return &item->gap;
}

static enum wf_status open_file(struct wal_scan *scan, uint64_t offset, struct wf_error *err) {
    const struct wal_directory *directory = scan->directory;
    const struct wal_entry *entry = entry_of(scan);
    enum wf_status status =
        wal_segment_open(directory->io, directory->path, entry->name, IO_READ, &scan->file, err);
    if (status == WF_OK)
        status = wal_reader_start(&scan->reader, scan->file, directory->seed, offset, err);
    scan->segment_count = 0;
    scan->has_lost = false;
    scan->closed = false;
    scan->last_offset = 0;
    scan->hash_now = scan->hashing == WAL_SCAN_HASH_ALL ||
                     (scan->hashing == WAL_SCAN_HASH_LATER && is_newest(scan));
    scan->frontier.count = 0;
    scan->hashed_offset = WAL_SEGMENT_HEADER_SIZE;
    return status;
}

enum wf_status wal_scan_start_at(struct wal_scan *scan, size_t index, uint64_t offset,
                                 uint64_t next_lsn, uint32_t previous,
                                 const struct wal_frontier *frontier, struct wf_error *err) {
    scan->index = index;
    scan->next_lsn = next_lsn;
    scan->previous = previous;
    scan->chained = true;
    raise_mark(scan, next_lsn - 1);
    if (index == scan->directory->count)
        return WF_OK;
    if (offset == WAL_SEGMENT_HEADER_SIZE)
        return WF_OK; /* as coming from the segment before */
    enum wf_status status = open_file(scan, offset, err);
    scan->segment_count = next_lsn - entry_of(scan)->first_lsn;
    if (frontier != NULL)
        wal_frontier_copy(&scan->frontier, frontier);
    else
        scan->hash_now = false;
    scan->hashed_offset = offset;
    return status;
}

static void leave_segment(struct wal_scan *scan) {
    close_file(scan);
    scan->index++;
}

/* --- between segments --- */

static enum wf_status item_missing_segment(struct wal_scan *scan, struct wal_item *item) {
    const struct wal_entry *next = entry_of(scan);
    struct wal_gap *gap = make_gap(scan, item, WAL_GAP_SEGMENT, "the segment is missing"); /* R9 */
    wal_segment_name(gap->segment, scan->next_lsn);
    gap->segment_lsn = scan->next_lsn;
    gap->last_lsn = next->first_lsn - 1;
    gap->next_previous = next->header.previous;
    gap->to_end = true;
    scan->next_lsn = next->first_lsn;
    scan->previous = next->header.previous;
    return WF_OK;
}

static enum wf_status item_misplaced(struct wal_item *item, const char *name, uint64_t size,
                                     const char *why) {
    item->kind = WAL_ITEM_GAP;
    item->gap = (struct wal_gap){
        .place = WAL_GAP_MISPLACED,
        .kind = WAL_FINDING_FOREIGN, /* R10 */
        .size = size,
        .first_lsn = 1,
        .why = why,
    };
    memcpy(item->gap.segment, name, sizeof item->gap.segment);
    return WF_OK;
}

/* Enter entries[index]. `*entered` is false where a gap has to be told first. */
static enum wf_status enter_segment(struct wal_scan *scan, struct wal_item *item, bool *entered,
                                    struct wf_error *err) {
    const struct wal_entry *entry = entry_of(scan);
    *entered = false;
    if (scan->chained && entry->first_lsn > scan->next_lsn)
        return item_missing_segment(scan, item);
    if (scan->chained && entry->first_lsn < scan->next_lsn) {
        scan->index++;
        return item_misplaced(item, entry->name, entry->size,
                              "the segments before it hold records of the same LSNs");
    }
    /* Seen before the header is judged, so that the gap of a bad header comes once. */
    bool header_good = entry->header_good;
    bool fits = !scan->chained || !header_good || entry->header.previous == scan->previous;
    if (!fits && scan->closing.size > 0) {
        item->kind = WAL_ITEM_GAP; /* R6, from the other side */
        item->gap = scan->closing;
        item->gap.next_previous = entry->header.previous;
        item->gap.why = "the next segment does not continue this one";
        scan->previous = entry->header.previous;
        return WF_OK;
    }
    if (!scan->chained || !fits)
        scan->previous = entry->header.previous;
    scan->chained = true;
    scan->next_lsn = entry->first_lsn;
    enum wf_status status = open_file(scan, WAL_SEGMENT_HEADER_SIZE, err);
    if (status != WF_OK)
        return status;
    *entered = header_good;
    if (!header_good) {
        struct wal_gap *gap =
            make_gap(scan, item, WAL_GAP_HEADER, "the segment header fails its checksum"); /* R8 */
        gap->size = WAL_SEGMENT_HEADER_SIZE;
    }
    return WF_OK;
}

/* Behind the last segment. */
static enum wf_status at_end_of_log(struct wal_scan *scan, struct wal_item *item) {
    scan->finished = true;
    item->kind = WAL_ITEM_END;
    if (wal_scan_decide(true, true, scan->next_lsn, scan->mark) != WAL_VERDICT_DAMAGE)
        return WF_OK; /* R13 */
    struct wal_gap *gap = make_gap(scan, item, WAL_GAP_SEGMENT, "the log ends here");
    wal_segment_name(gap->segment, scan->next_lsn);
    gap->segment_lsn = scan->next_lsn;
    gap->last_lsn = scan->mark;
    gap->to_end = true;
    scan->next_lsn = scan->mark + 1;
    return WF_OK;
}

/* --- a place where reading stops --- */

/* May reading go on at this frame, which checks? */
static bool resumes_at(const struct wal_scan *scan, const struct wal_frame *frame,
                       uint64_t lsn_max) {
    if (frame->lsn < scan->next_lsn || frame->lsn > lsn_max)
        return false;
    return frame->lsn > scan->next_lsn || frame->previous == scan->previous;
}

/* Look behind a bad place at `step` for the frame to go on with (`resume->found` is END where there
 * is none), and in the newest segment for the durable marks of everything that checks. */
static enum wf_status look_behind(struct wal_scan *scan, const struct wal_step *step,
                                  struct wal_step *resume, struct wf_error *err) {
    bool newest = is_newest(scan);
    uint64_t lsn_max = newest ? UINT64_MAX : entry_of(scan)[1].first_lsn;
    uint64_t offset = step->offset + WAL_FRAME_SIZE_MIN;
    if (step->sized && step->frame.size > WAL_FRAME_SIZE_MIN &&
        step->frame.size < scan->reader.file_size - step->offset) {
        /* The header holds: the next frame most likely stands where it says, and what looks like
         * one before that is payload. */
        struct wal_step next;
        scan->reader.offset = step->offset + step->frame.size;
        enum wf_status status = wal_reader_next(&scan->reader, &next, err);
        if (status != WF_OK)
            return status;
        if (next.found == WAL_FOUND_FRAME)
            offset = next.offset;
    }
    resume->found = WAL_FOUND_END;
    for (;;) {
        struct wal_step next;
        enum wf_status status = wal_reader_search(&scan->reader, offset, &next, err);
        if (status != WF_OK)
            return status;
        if (next.found != WAL_FOUND_FRAME)
            break;
        raise_mark(scan, newest ? next.frame.durable_lsn : 0);
        if (resume->found == WAL_FOUND_END && resumes_at(scan, &next.frame, lsn_max)) {
            *resume = next;
            if (!newest || scan->tail_marked)
                break;
        }
        offset = next.offset + next.frame.size;
    }
    scan->tail_marked = newest;
    return WF_OK;
}

static void resume_at(struct wal_scan *scan, struct wal_gap *gap, const struct wal_step *resume) {
    gap->size = resume->offset - gap->offset;
    gap->last_lsn = resume->frame.lsn - 1;
    gap->next_previous = resume->frame.previous;
    scan->reader.offset = resume->offset;
    scan->segment_count += resume->frame.lsn - scan->next_lsn;
    scan->next_lsn = resume->frame.lsn;
    scan->previous = resume->frame.previous;
}

/* Nothing usable follows in this segment: its damage reaches to the end. */
static void resume_behind(struct wal_scan *scan, struct wal_gap *gap, uint64_t used_end) {
    gap->to_end = true;
    gap->size = used_end - gap->offset;
    if (is_newest(scan)) {
        gap->last_lsn = scan->mark;
        scan->next_lsn = scan->mark + 1;
        scan->finished = true;
        return;
    }
    const struct wal_entry *next = entry_of(scan) + 1;
    gap->last_lsn = next->first_lsn - 1;
    gap->next_previous = next->header.previous;
    scan->next_lsn = next->first_lsn;
    scan->previous = next->header.previous;
    scan->closing.size = 0;
    leave_segment(scan);
}

static enum wf_status item_break(struct wal_scan *scan, const struct wal_step *step,
                                 const char *why, struct wal_item *item, struct wf_error *err) {
    struct wal_step resume = {.found = WAL_FOUND_END};
    bool at_end = step->found == WAL_FOUND_END;
    uint64_t used_end = step->offset;
    enum wf_status status = WF_OK;
    if (step->found == WAL_FOUND_FRAME && is_newest(scan))
        raise_mark(scan, step->frame.durable_lsn);
    if (!at_end)
        status = look_behind(scan, step, &resume, err);
    if (status == WF_OK && !at_end)
        status = wal_reader_used_end(&scan->reader, step->offset, &used_end, err);
    if (status != WF_OK)
        return status;
    enum wal_verdict verdict = wal_scan_decide(at_end, is_newest(scan), scan->next_lsn, scan->mark);
    scan->reader.offset = step->offset;
    scan->hash_now = false;
    if (verdict == WAL_VERDICT_END) {
        scan->hash_now = scan->frontier.count == scan->segment_count;
        scan->finished = true;
        item->kind = WAL_ITEM_END;
        return WF_OK;
    }
    struct wal_gap *gap = make_gap(scan, item, at_end ? WAL_GAP_END : WAL_GAP_FRAMES, why);
    gap->offset = step->offset;
    gap->payload_size = step->sized ? step->frame.payload.size : 0;
    scan->has_lost = true;
    if (verdict == WAL_VERDICT_TORN) {
        gap->kind = WAL_FINDING_TORN;
        gap->size = used_end - step->offset;
        gap->to_end = true;
        scan->finished = true;
        scan->has_lost = false;
        scan->hash_now = scan->frontier.count == scan->segment_count;
    } else if (resume.found == WAL_FOUND_FRAME) {
        resume_at(scan, gap, &resume);
    } else {
        resume_behind(scan, gap, used_end);
    }
    return WF_OK;
}

/* --- a frame that checks --- */

static const char *breaks_chain(const struct wal_scan *scan, const struct wal_frame *frame) {
    if (frame->lsn != scan->next_lsn)
        return "a frame of another LSN stands here";
    if (frame->previous != scan->previous)
        return "the frame does not continue the one before it";
    return NULL;
}

static enum wf_status hash_frame(struct wal_scan *scan, const struct wal_frame *frame,
                                 struct wf_error *err) {
    bool lost = frame->kind == WAL_FRAME_LOST;
    struct bytes_view payload = lost ? (struct bytes_view){NULL, 0} : frame->payload;
    for (uint64_t lsn = frame->lsn; lsn < wal_frame_next_lsn(frame); lsn++) {
        if (!wal_merkle_leaf(scan->hasher, lsn, payload, scan->leaf) ||
            !wal_frontier_add_subtree(&scan->frontier, scan->hasher, 0, scan->leaf))
            return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash LSN %" PRIu64, lsn);
    }
    return WF_OK;
}

/* R6, as far as the segment alone shows it. NULL where the seal fits. */
static enum wf_status judge_seal(struct wal_scan *scan, uint64_t offset,
                                 const struct wal_frame *frame, const char **why,
                                 struct wf_error *err) {
    struct wal_seal seal;
    uint8_t root[WAL_HASH_SIZE];
    wal_seal_decode(frame->payload.data, &seal);
    *why = NULL;
    if (seal.count != scan->segment_count) {
        *why = "the seal counts other records than the segment holds";
    } else if (scan->hash_now && !scan->has_lost) {
        enum wf_status status =
            scan->hashing == WAL_SCAN_HASH_ALL
                ? WF_OK
                : wal_catch_up(scan->directory->io, scan->file, scan->directory->seed, scan->hasher,
                               &scan->hashed_offset, offset, &scan->frontier, err);
        if (status != WF_OK)
            return status;
        if (!wal_frontier_root(&scan->frontier, scan->hasher, root))
            return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
        if (memcmp(root, seal.root, sizeof root) != 0)
            *why = "the seal's Merkle root is not that of the records";
    }
    return WF_OK;
}

/* The frame at the end of a segment, as the gap it becomes should it not fit. */
static void remember_closing(struct wal_scan *scan, uint64_t offset,
                             const struct wal_frame *frame) {
    struct wal_item item;
    struct wal_gap *gap = make_gap(scan, &item, WAL_GAP_SEAL, NULL);
    gap->offset = offset;
    gap->size = frame->size;
    gap->previous = frame->previous;
    gap->first_lsn = frame->lsn;
    gap->last_lsn = wal_frame_next_lsn(frame) - 1;
    gap->next_previous = wal_frame_chain(frame);
    gap->to_end = true;
    scan->closing = *gap;
}

static enum wf_status item_frame(struct wal_scan *scan, const struct wal_step *step,
                                 struct wal_item *item, struct wf_error *err) {
    enum wf_status status = WF_OK;
    const char *why = NULL;
    item->kind = WAL_ITEM_FRAME;
    item->segment = entry_of(scan)->name;
    item->offset = step->offset;
    item->frame = step->frame;
    item->leaf = NULL;
    if (step->frame.kind == WAL_FRAME_SEAL)
        status = judge_seal(scan, step->offset, &step->frame, &why, err);
    else if (scan->hash_now && scan->hashing == WAL_SCAN_HASH_ALL)
        status = hash_frame(scan, &step->frame, err);
    if (scan->hash_now && scan->hashing == WAL_SCAN_HASH_ALL &&
        step->frame.kind == WAL_FRAME_RECORD)
        item->leaf = scan->leaf;
    if (status != WF_OK)
        return status;
    if (step->frame.kind == WAL_FRAME_LOST)
        scan->has_lost = true;
    raise_mark(scan, step->frame.durable_lsn);
    scan->segment_count += wal_frame_next_lsn(&step->frame) - step->frame.lsn;
    scan->next_lsn = wal_frame_next_lsn(&step->frame);
    scan->previous = wal_frame_chain(&step->frame);
    scan->last_offset = step->offset;
    bool lost_closes = step->frame.kind == WAL_FRAME_LOST && !is_newest(scan) &&
                       scan->reader.offset >= scan->reader.file_size;
    if (step->frame.kind == WAL_FRAME_SEAL || lost_closes) {
        remember_closing(scan, step->offset, &step->frame);
        if (why != NULL) {
            item->kind = WAL_ITEM_GAP;
            item->gap = scan->closing;
            item->gap.why = why;
        }
        scan->closed = true;
        leave_segment(scan);
    }
    return WF_OK;
}

enum wf_status wal_scan_next(struct wal_scan *scan, struct wal_item *item, struct wf_error *err) {
    if (scan->misfit < scan->directory->misfit_count) {
        const struct wal_misfit *misfit = &scan->directory->misfits[scan->misfit++];
        return item_misplaced(item, misfit->name, misfit->size, misfit->why);
    }
    if (scan->finished || scan->next_lsn > scan->limit_lsn) {
        item->kind = WAL_ITEM_END;
        return WF_OK;
    }
    if (scan->file == NULL) {
        if (scan->index == scan->directory->count)
            return at_end_of_log(scan, item);
        bool entered;
        enum wf_status status = enter_segment(scan, item, &entered, err);
        if (status != WF_OK || !entered)
            return status;
    }
    struct wal_step step;
    enum wf_status status = wal_reader_next(&scan->reader, &step, err);
    if (status != WF_OK)
        return error_wrap(err, status, "segment %s, offset %" PRIu64, entry_of(scan)->name,
                          scan->reader.offset);
    if (step.found == WAL_FOUND_END)
        return item_break(scan, &step,
                          is_newest(scan) ? "the log ends here" : "the segment ends without a seal",
                          item, err);
    if (step.found == WAL_FOUND_BAD)
        return item_break(scan, &step, step.why, item, err);
    const char *why = breaks_chain(scan, &step.frame);
    if (why != NULL)
        return item_break(scan, &step, why, item, err);
    return item_frame(scan, &step, item, err);
}

void wal_gap_text(const struct wal_gap *gap, char *text, size_t size) {
    if (gap->place == WAL_GAP_MISPLACED)
        snprintf(text, size, "segment %s, offset 0, does not belong here: %s", gap->segment,
                 gap->why);
    else if (gap->first_lsn < gap->last_lsn)
        snprintf(text, size, "segment %s, offset %" PRIu64 ", LSN %" PRIu64 " to %" PRIu64 ": %s",
                 gap->segment, gap->offset, gap->first_lsn, gap->last_lsn, gap->why);
    else
        snprintf(text, size, "segment %s, offset %" PRIu64 ", LSN %" PRIu64 ": %s", gap->segment,
                 gap->offset, gap->first_lsn, gap->why);
}
