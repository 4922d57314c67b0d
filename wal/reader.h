/* Reads the frames of one segment file in large blocks, forward, and searches behind damage. Says
 * what each place holds; what that means is decided in wal/recover.h. Uses pread, never a map: a
 * file that shrinks under a map kills the process. */
#ifndef WAL_READER_H
#define WAL_READER_H

#include "wal/record.h"

struct wal_reader {
    struct io *io;
    struct io_file *file; /* borrowed */
    uint64_t file_size;   /* as of wal_reader_start() */
    uint32_t seed;
    uint64_t offset; /* of the next frame */
    uint8_t *block;  /* kept from file to file */
    size_t capacity;
    size_t filled;
    uint64_t block_offset; /* in the file, of block[0] */
};

enum wal_found {
    WAL_FOUND_FRAME, /* checks; whether it continues the chain is the caller's to say */
    WAL_FOUND_END,   /* nothing but zeros, or nothing at all, up to the end of the file */
    WAL_FOUND_BAD,   /* something else */
};

/* What a step found. */
struct wal_step {
    enum wal_found found;
    uint64_t offset; /* of the frame, of the end or of the bad place */
    struct wal_frame
        frame;       /* FRAME: payload valid until the next call. BAD with `sized`: the header's */
    bool sized;      /* BAD: the header holds, so that the frame's size and LSN are known */
    const char *why; /* BAD: in words */
};

void wal_reader_init(struct wal_reader *reader, struct io *io);
void wal_reader_deinit(struct wal_reader *reader); /* frees the block, leaves the file open */

/* Read from `offset` of this file on. The file stays the caller's. */
enum wf_status wal_reader_start(struct wal_reader *reader, struct io_file *file, uint32_t seed,
                                uint64_t offset, struct wf_error *err);

/* What stands at the reader's offset. Moves behind a frame; stays at an end or a bad place. Fails
 * only where the system cannot read (WF_IO) or memory fails. */
enum wf_status wal_reader_next(struct wal_reader *reader, struct wal_step *step,
                               struct wf_error *err);

/* Search from `offset` (rounded up to a frame boundary) for the next frame that checks, and step
 * onto it as wal_reader_next() does. END where there is none. */
enum wf_status wal_reader_search(struct wal_reader *reader, uint64_t offset, struct wal_step *step,
                                 struct wf_error *err);

/* The offset behind the last byte of the file that is not zero; at least `from`. */
enum wf_status wal_reader_used_end(struct wal_reader *reader, uint64_t from, uint64_t *end,
                                   struct wf_error *err);

#endif
