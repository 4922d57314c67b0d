/* The frames of a range of records as columns, so that deflate finds like beside like, and back to
 * the very same bytes. No I/O, no compression; the layout is in store/FORMAT.md. */
#ifndef STORE_ARCHIVE_BLOCK_H
#define STORE_ARCHIVE_BLOCK_H

#include "wal/record.h"

enum {
    ARCHIVE_BLOCK_RECORDS = 1024,       /* records of a block, at most */
    ARCHIVE_BLOCK_BYTES = 1024 * 1024,  /* frames of a block, unless one alone is larger */
    ARCHIVE_BODY_MAX = 18 * 1024 * 1024 /* bytes of a block's body: one largest record fits */
};

/* What the payloads' members mean to the caller, who knows them: numbers of protobuf fields at the
 * top of a payload, 0 for none. Payloads that are no protobuf are kept as they are. */
struct archive_hints {
    uint8_t nested;          /* a repeated message: its members get columns of their own */
    uint8_t time;            /* milliseconds; ascend from record to record */
    uint8_t subject;         /* bytes: whom the record is about */
    uint8_t previous_lsn;    /* of the record before about the same subject */
    uint8_t previous_offset; /* of that record's frame, in units of 8 bytes */
    uint8_t key;             /* bytes that resemble those of the record before */
};

/* A run of whole frames, as they stand in their segment. */
struct archive_frames {
    struct bytes_view bytes;
    uint64_t offset;    /* of the first, in the segment */
    uint64_t first_lsn; /* that the first frame is expected to have */
    uint64_t count;     /* LSNs in them */
    uint32_t previous;  /* the chain before them */
    uint32_t chain;     /* … and behind */
    uint64_t size;      /* in the segment; more than bytes.size only behind a lost frame */
    bool made;          /* from columns just now: chain and checksums hold */
};

/* What a body turned out to be. */
struct archive_encoded {
    size_t plain;              /* its first bytes that deflate would gain nothing on */
    int64_t first_ms, last_ms; /* the times found; 0: none */
};

struct archive_tables; /* memory kept from block to block; one thread at a time */

struct archive_tables *archive_tables_create(void); /* NULL: no memory */
void archive_tables_destroy(struct archive_tables *encoder);
/* Append the body of a block: in columns where that gives back the same bytes, which is tried (with
 * the tables `checker`), else the frames as they are, whose checksums have been checked.
 * WF_NO_MEMORY. */
enum wf_status archive_block_encode(struct archive_tables *tables, struct archive_tables *checker,
                                    const struct archive_hints *hints, uint32_t seed,
                                    const struct archive_frames *frames, struct bytes_buffer *body,
                                    struct archive_encoded *encoded, struct wf_error *err);

/* Append the frames of a body to `out` and describe them (`bytes` is what was appended). `seed` is
 * that of the store. WF_DAMAGE: the text says what is wrong. */
enum wf_status archive_block_decode(struct archive_tables *tables, struct bytes_view body,
                                    uint32_t seed, struct bytes_buffer *out,
                                    struct archive_frames *frames, struct wf_error *err);

#endif
