/* Group commit into one segment at a time: the append buffers, the leader's write and sync, the cut
 * when the disk is full, the latch when a sync fails, and the Merkle frontier of what was written.
 * Owns no segment file and makes none: wal/wal.c hands them in. */
#ifndef WAL_WRITER_H
#define WAL_WRITER_H

#include "wal/position.h"
#include "wal/recover.h"

struct wal_writer;

/* Go on where recovery ended. `file` is the open segment that begins at `segment_first` and stays
 * the caller's; NULL where the next append has to make one first. Of `options` (may be NULL) only
 * on_durable is used. */
enum wf_status wal_writer_create(struct io *io, const uint8_t store_id[WAL_STORE_ID_SIZE],
                                 const struct wal_options *options, const struct wal_recovered *end,
                                 uint64_t segment_first, struct io_file *file,
                                 struct wal_writer **out, struct wf_error *err);
void wal_writer_destroy(struct wal_writer *writer);

/* As wal_append(), into the open segment. `segment_size` bounds it. `*room` false and WF_OK:
 * nothing was appended, the record belongs into a segment that the caller makes first. */
enum wf_status wal_writer_append(struct wal_writer *writer, const void *payload, size_t size,
                                 uint64_t cuts, uint64_t segment_size, bool *room,
                                 struct wal_ticket *ticket, struct wf_error *err);

/* As wal_wait() and wal_sync(). */
enum wf_status wal_writer_wait(struct wal_writer *writer, const struct wal_ticket *ticket,
                               struct wf_error *err);
enum wf_status wal_writer_sync(struct wal_writer *writer, struct wf_error *err);

/* Write and sync what is pending together with the seal, and cut the file behind it. Afterwards
 * there is no open segment. The segment must hold a record. Fills root, size, last LSN. Serialised
 * with append, as are the three below. */
enum wf_status wal_writer_seal(struct wal_writer *writer, uint64_t cuts,
                               struct wal_segment_info *info, struct wf_error *err);
/* Begin in a new, synced segment file that holds only its header. */
void wal_writer_enter(struct wal_writer *writer, struct io_file *file);
/* The end of what was appended, pending records included. False: libcrypto failed. */
bool wal_writer_place(struct wal_writer *writer, struct wal_place *place);
/* Give back the preallocated space behind the last record. Nothing may be pending. */
void wal_writer_trim(struct wal_writer *writer);

/* Copy a pending record out of the buffers. `*pending` is false where it is not pending (any more).
 */
enum wf_status wal_writer_read(struct wal_writer *writer, uint64_t lsn, uint64_t offset,
                               struct bytes_buffer *buffer, struct wal_record *record,
                               bool *pending, struct wf_error *err);

/* Any thread. */
uint64_t wal_writer_durable_lsn(const struct wal_writer *writer);
uint64_t wal_writer_next_lsn(const struct wal_writer *writer);
uint64_t wal_writer_cuts(const struct wal_writer *writer);
bool wal_writer_halted(const struct wal_writer *writer);
void wal_writer_stats(struct wal_writer *writer, struct wal_stats *stats);

/* The state that an appender needs before it appends. */
struct wal_writer_view {
    bool open;              /* there is an open segment */
    uint64_t segment_first; /* its first LSN, or that of the one to make */
    uint64_t next_lsn;
    uint64_t offset; /* of the next frame in it */
    uint64_t durable_offset;
    uint32_t previous;
};
struct wal_writer_view wal_writer_view(struct wal_writer *writer);

#endif
