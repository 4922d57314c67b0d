/* One segment file: its name, its header, how it is made and how it ends. Knows nothing of the
 * segments around it. */
#ifndef WAL_SEGMENT_H
#define WAL_SEGMENT_H

#include "wal/record.h"

enum {
    WAL_SEGMENT_HEADER_SIZE = 64,
    WAL_SEGMENT_VERSION = 1,
    WAL_SEGMENT_NAME_SIZE = 64, /* as in struct wal_segment_info */
    WAL_SEGMENT_SIZE_MAX = 1 << 30,
};

struct wal_segment_header {
    uint8_t store_id[WAL_STORE_ID_SIZE];
    uint64_t first_lsn;
    uint32_t previous; /* frame CRC of the last frame of the segment before */
    uint32_t version;
};

/* What stands where a segment's header should be. */
enum wal_header_state {
    WAL_HEADER_GOOD,
    WAL_HEADER_BAD,   /* something, but no header: damaged, or never written */
    WAL_HEADER_NEWER, /* of a later format version, and its checksum holds */
};

/* The file name: "00000000000000000001.seg". */
void wal_segment_name(char name[WAL_SEGMENT_NAME_SIZE], uint64_t first_lsn);
/* True where `name` is exactly what wal_segment_name() gives for an LSN from 1 on. */
bool wal_segment_name_parse(const char *name, uint64_t *first_lsn);

void wal_segment_header_encode(uint8_t at[WAL_SEGMENT_HEADER_SIZE],
                               const struct wal_segment_header *header);
/* `size` bytes of a file's beginning. The header is filled where it is GOOD or NEWER. */
enum wal_header_state wal_segment_header_decode(const uint8_t *at, size_t size,
                                                struct wal_segment_header *header);

/* Make the segment file of `header->first_lsn` in `dir`, replacing a remainder of that name, and
 * leave it open for writing, synced with its name. `tail` (may be empty) is written behind the
 * header. On failure there is no such file (or the remainder). */
enum wf_status wal_segment_create(struct io *io, const char *dir,
                                  const struct wal_segment_header *header, struct bytes_view tail,
                                  struct io_file **out, struct wf_error *err);

/* Open an existing segment by its name. */
enum wf_status wal_segment_open(struct io *io, const char *dir, const char *name, unsigned flags,
                                struct io_file **out, struct wf_error *err);

/* Read the size and the header of an existing segment. `*state` says what stands where the header
 * should be; where it is bad, `header` has the likeliest UUID of its store: the one that it shows.
 * WF_NOT_FOUND; WF_REFUSED where it is of a newer format. */
enum wf_status wal_segment_read_header(struct io *io, const char *dir, const char *name,
                                       uint64_t *file_size, struct wal_segment_header *header,
                                       enum wal_header_state *state, struct wf_error *err);

/* Read the seal at the very end of an existing segment, without reading what is before it.
 * `*sealed` is false where no seal that checks ends the file. WF_NOT_FOUND. */
enum wf_status wal_segment_read_seal(struct io *io, const char *dir, const char *name,
                                     uint64_t file_size, uint32_t seed, struct wal_frame *frame,
                                     struct wal_seal *seal, bool *sealed, struct wf_error *err);

#endif
