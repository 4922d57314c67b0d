/* Walks the frames of a whole log in order and holds each against what must stand there: names each
 * place where that is not so, decides whether it is damage or a torn tail (the cases R1 to R10 of
 * wal/FORMAT.md), and can go on behind it. Changes nothing. Recovery stops at the first gap,
 * verify lists them, repair closes them. */
#ifndef WAL_SCAN_H
#define WAL_SCAN_H

#include "wal/directory.h"
#include "wal/merkle.h"

/* Where the log is not what it should be. */
enum wal_gap_place {
    WAL_GAP_FRAMES,    /* a range of bytes in a segment holds no frames that continue the chain */
    WAL_GAP_END,       /* the log ends before an LSN that was durable */
    WAL_GAP_SEAL,      /* the frame that closes a segment does not fit; no record is lost */
    WAL_GAP_HEADER,    /* a segment's header does not check; no record is lost by that */
    WAL_GAP_SEGMENT,   /* a segment is missing */
    WAL_GAP_MISPLACED, /* a file does not belong here */
};

struct wal_gap {
    enum wal_gap_place place;
    enum wal_finding_kind kind;
    char segment[WAL_SEGMENT_NAME_SIZE];
    uint64_t segment_lsn; /* first LSN of that segment, by its name */
    uint64_t offset;
    uint64_t size;      /* bytes up to the next frame that checks, or the end of what is used */
    uint64_t first_lsn; /* first > last: no record concerned */
    uint64_t last_lsn;
    uint32_t previous;      /* the chain before the gap */
    uint32_t next_previous; /* what the frame or header behind it expects */
    bool to_end;            /* nothing follows in this segment */
    const char *why;
    uint64_t payload_size; /* of the damaged frame where its header holds, else 0 */
};

enum wal_item_kind { WAL_ITEM_FRAME, WAL_ITEM_GAP, WAL_ITEM_END };

struct wal_item {
    enum wal_item_kind kind;
    const char *segment;    /* FRAME: the file's name */
    uint64_t offset;        /* FRAME */
    struct wal_frame frame; /* FRAME: continues the chain. Payload valid until the next call */
    const uint8_t *leaf;    /* FRAME of one record: its hash, where it was computed; else NULL */
    struct wal_gap gap;     /* GAP */
};

enum wal_scan_hashing {
    WAL_SCAN_HASH_NONE,
    WAL_SCAN_HASH_LATER, /* the newest segment, where it turns out to be sealed; else the frontier
                            stays where it was, for the appender to go on from */
    WAL_SCAN_HASH_ALL,
};

struct wal_scan {
    const struct wal_directory *directory;
    uint64_t limit_lsn;
    uint64_t mark; /* the durable mark, as far as it is known */
    bool tail_marked;
    bool finished;

    struct wal_reader reader;
    struct io_file *file; /* of entries[index]; NULL between segments */
    size_t index;
    size_t misfit;

    uint64_t next_lsn;
    uint32_t previous;
    bool chained;         /* `previous` is known; not so before the first segment */
    uint64_t last_offset; /* of the last good frame in this segment; 0 where there is none */

    uint64_t segment_count; /* LSNs in this segment so far, lost ones included */
    bool has_lost;
    bool closed; /* entries[index - 1] ended with a seal, or with a lost frame in its place */
    struct wal_gap closing; /* the frame that closed it, as a gap to be put there if it must go */

    enum wal_scan_hashing hashing;
    bool hash_now;
    struct wal_hasher *hasher; /* borrowed; may be NULL with HASH_NONE */
    struct wal_frontier frontier;
    uint8_t leaf[WAL_HASH_SIZE]; /* of the last frame that was hashed */
    uint64_t hashed_offset;      /* in this segment: HASH_LATER: the frontier ends here */
};

/* Scan from the first record on. `mark`: what the caller knows to be durable. Records after
 * `limit_lsn` are not looked at. Borrows directory and hasher. */
void wal_scan_init(struct wal_scan *scan, const struct wal_directory *directory, uint64_t mark,
                   uint64_t limit_lsn, enum wal_scan_hashing hashing, struct wal_hasher *hasher);
void wal_scan_deinit(struct wal_scan *scan);

/* Begin in the middle instead: before frame `offset` of entries[index], whose LSN is `next_lsn` and
 * whose predecessor's CRC is `previous`. `frontier` (of that segment up to there) may be NULL: then
 * the segment is not hashed. Before the first wal_scan_next(). */
enum wf_status wal_scan_start_at(struct wal_scan *scan, size_t index, uint64_t offset,
                                 uint64_t next_lsn, uint32_t previous,
                                 const struct wal_frontier *frontier, struct wf_error *err);

/* The next thing. Fails only where the system cannot read, or memory or libcrypto fail; END again
 * and again at the end. After a TORN gap comes the END. */
enum wf_status wal_scan_next(struct wal_scan *scan, struct wal_item *item, struct wf_error *err);

/* The heart of the table: reading stopped before LSN `lsn`. */
enum wal_verdict { WAL_VERDICT_END, WAL_VERDICT_TORN, WAL_VERDICT_DAMAGE };
enum wal_verdict wal_scan_decide(bool at_end, bool newest, uint64_t lsn, uint64_t mark);

/* One line about a gap: "segment …, offset …, LSN …: why". */
void wal_gap_text(const struct wal_gap *gap, char *text, size_t size);

#endif
