/* The write-ahead log: a directory of segments that holds every record ever acknowledged. Owns the
 * files below its directory, the group commit and recovery; payloads are opaque bytes here. The
 * bytes on disk are specified in wal/FORMAT.md.
 *
 * One thread at a time appends (the caller serialises wal_append and whatever else says so); any
 * number of threads wait. Appending assigns an LSN and a place in a segment; a record is durable,
 * and may be shown to anybody, only when wal_wait() for it has returned WF_OK. */
#ifndef WAL_WAL_H
#define WAL_WAL_H

#include "base/bytes.h"
#include "base/io.h"

enum {
    WAL_PAYLOAD_MAX = 16 * 1024 * 1024,          /* bytes of one record's payload */
    WAL_SEGMENT_SIZE_DEFAULT = 64 * 1024 * 1024, /* bytes */
    WAL_SEGMENT_SIZE_MIN = 64 * 1024,
    WAL_STORE_ID_SIZE = 16,
    WAL_HASH_SIZE = 32, /* SHA-256 */
    WAL_PENDING_MAX =
        32 * 1024 * 1024, /* bytes appended but not written before append waits itself */
};

struct wal;

struct wal_options {
    uint64_t segment_size; /* bytes; 0: the default. Holds for segments made from now on. A record
                              larger than a segment gets a segment of its own */
    /* Called by the leader after each sync, before it wakes those who waited, with the new durable
     * LSN: the place to publish it to other processes. May be NULL. Must not call the log. */
    void (*on_durable)(void *ctx, uint64_t durable_lsn);
    void *on_durable_ctx;
};

/* One record as it stands in the log. `payload` is borrowed: valid until the callback that got it
 * returns, or until the buffer that was given to wal_read() changes. */
struct wal_record {
    uint64_t lsn;
    uint64_t offset; /* of its frame, in bytes from the start of the segment that holds `lsn` */
    uint64_t durable_lsn; /* all up to here was durable when the record was written: it may be
                             read, after a failed sync, from a cache that the disk never saw */
    struct bytes_view payload;
    bool lost;           /* stands where a repair dropped a damaged record: the payload is empty */
    const uint8_t *leaf; /* its hash in the tree, where the walk computed it; else NULL */
};

/* Any status but WF_OK ends the walk and is returned from it. */
typedef enum wf_status (*wal_record_fn)(void *ctx, const struct wal_record *record,
                                        struct wf_error *err);

/* A place between two records, from which recovery may go on without reading what is before it:
 * the last LSN, where the next frame goes, the chain and the Merkle frontier of the open segment.
 * Kept by the snapshot as opaque bytes. */
struct wal_position {
    uint64_t lsn;
    uint8_t bytes[2048];
    size_t size;
};

/* What opening found. */
struct wal_recovery {
    uint64_t records;      /* handed to the callback */
    uint64_t torn_bytes;   /* cut off the tail (or, read-only, passed over) */
    char torn_segment[64]; /* the file's name; "" where nothing was torn */
    uint64_t torn_offset;
    uint64_t bad_lsn;      /* with WF_DAMAGE: the first LSN that cannot be read, else 0 */
    uint64_t bad_lsn_last; /* with WF_DAMAGE: the last one before the next readable record */
    char bad_segment[64];
    uint64_t bad_offset;
};

/* Where records of segments that were taken out of the log can still be read: plugged in by whoever
 * took them. All functions are for any thread. */
struct wal_source {
    void *ctx;
    uint64_t (*first_lsn)(void *ctx); /* of the oldest record that it holds; 0: it holds none */
    enum wf_status (*read)(void *ctx, uint64_t lsn, struct bytes_buffer *buffer,
                           struct wal_record *record, struct wf_error *err);
    enum wf_status (*walk)(void *ctx, uint64_t first_lsn, uint64_t last_lsn,
                           wal_record_fn on_record, void *record_ctx, struct wf_error *err);
};

/* Make `dir` (its parent exists) with an empty log of the store `store_id`. Synced, names included.
 */
enum wf_status wal_create(struct io *io, const char *dir, const uint8_t store_id[WAL_STORE_ID_SIZE],
                          const struct wal_options *options, struct wf_error *err);

/* Open the log to append to it. Syncs what it finds, calls `on_record` for every record after
 * `from` (NULL: from the first that is there), in order, cuts a torn tail, and returns a log that
 * takes new records. `minimum_lsn` is an LSN that somebody else knows to be durable (the
 * snapshot's): a log that ends before it is WF_DAMAGE. On failure `*out` is NULL and nothing was
 * changed. `report` is filled on success and on WF_DAMAGE. WF_NOT_FOUND: no log here. WF_DAMAGE:
 * the text names file, offset and LSN. WF_DIVERGENCE: `from` is no position in this log (or fails
 * its checksum); try again without one. WF_REFUSED: a segment of a newer format. */
enum wf_status wal_open(struct io *io, const char *dir, const struct wal_options *options,
                        const struct wal_position *from, uint64_t minimum_lsn,
                        wal_record_fn on_record, void *ctx, struct wal_recovery *report,
                        struct wal **out, struct wf_error *err);

/* The same for reading only: changes no byte of any file, works on a read-only file system and
 * beside a live owner. `limit_lsn` is the LSN up to which a live owner vouches that all is durable
 * (records after it are ignored, anything bad at or before it is WF_DAMAGE); UINT64_MAX where there
 * is no owner: then the files are synced before they are believed, and a torn tail is passed over.
 */
enum wf_status wal_open_reader(struct io *io, const char *dir, const struct wal_position *from,
                               uint64_t minimum_lsn, uint64_t limit_lsn, wal_record_fn on_record,
                               void *ctx, struct wal_recovery *report, struct wal **out,
                               struct wf_error *err);

/* Close the files. Appended records that nobody waited for are written and synced first, unless the
 * log is halted. Returns the status of that sync. Takes NULL. */
enum wf_status wal_close(struct wal *wal, struct wf_error *err);

/* What wal_append hands out: the record's place and the log's cut count at that moment. */
struct wal_ticket {
    uint64_t lsn;
    uint64_t offset;
    uint64_t cuts; /* see wal_cuts() */
};

/* Append one record of 1..WAL_PAYLOAD_MAX bytes: copies `payload`, assigns the next LSN. Not
 * durable until wal_wait(). May rotate the segment, which writes and syncs what is pending.
 * Serialised by the caller. `cuts` is wal_cuts() as the caller last saw it. WF_FULL: no space can
 * be reserved for it, nothing was appended. WF_HALTED: a sync failed earlier. WF_CONFLICT: the log
 * was cut since (wal_cuts() differs from `cuts`): the caller's state includes records that are
 * gone; nothing was appended. */
enum wf_status wal_append(struct wal *wal, const void *payload, size_t size, uint64_t cuts,
                          struct wal_ticket *ticket, struct wf_error *err);

/* Wait until the record is durable. Whoever finds the log idle writes and syncs for all that wait
 * (group commit by leader and follower); the others sleep, and one wake per batch rouses them. Any
 * thread. WF_FULL: the disk was full and the record was cut off again, durably: it never was.
 * WF_UNKNOWN: the sync that covers it failed; the log is halted. */
enum wf_status wal_wait(struct wal *wal, const struct wal_ticket *ticket, struct wf_error *err);

/* Bring everything appended so far to the disk. Any thread. Statuses as wal_wait(). */
enum wf_status wal_sync(struct wal *wal, struct wf_error *err);

uint64_t wal_next_lsn(const struct wal *wal);    /* serialised with wal_append; the first is 1 */
uint64_t wal_durable_lsn(const struct wal *wal); /* any thread, no lock */
/* How often the log was cut back because the disk was full, since it was opened. When it changes,
 * every record after wal_durable_lsn() at that moment is gone and its LSN will be used again. Any
 * thread. */
uint64_t wal_cuts(const struct wal *wal);
bool wal_halted(const struct wal *wal);
uint64_t wal_first_lsn(const struct wal *wal);      /* that can be read, from segment or source */
uint64_t wal_first_live_lsn(const struct wal *wal); /* of the oldest segment that is still here */
/* Read and walk through `source` where no segment has the record. Copied; before anything is read.
 */
void wal_set_source(struct wal *wal, const struct wal_source *source);
const uint8_t *wal_store_id(const struct wal *wal);

/* The position after the last appended record. Serialised with wal_append. It may be
 * used for recovery only once that LSN is durable. Of a log that is open for reading only, or where
 * libcrypto fails, it is empty: wal_open() answers WF_DIVERGENCE to it. */
void wal_position_now(struct wal *wal, struct wal_position *position);
/* Whose log it is a position of. False: its checksum fails. */
bool wal_position_store(const struct wal_position *position, uint8_t store_id[WAL_STORE_ID_SIZE]);

/* Read the record `lsn` whose frame is at `offset` of its segment, appended or recovered, pending
 * ones too. `buffer` holds the payload. Any thread; checks the frame as recovery does.
 * WF_NOT_FOUND: no live segment and no source holds that LSN. WF_DAMAGE: names file and offset. */
enum wf_status wal_read(struct wal *wal, uint64_t lsn, uint64_t offset, struct bytes_buffer *buffer,
                        struct wal_record *record, struct wf_error *err);

/* Walk the durable records from `first_lsn` to `last_lsn` (both included; clipped to what is
 * there). */
enum wf_status wal_walk(struct wal *wal, uint64_t first_lsn, uint64_t last_lsn,
                        wal_record_fn on_record, void *ctx, struct wf_error *err);

/* One segment. */
struct wal_segment_info {
    char name[64];
    uint64_t first_lsn;
    uint64_t last_lsn; /* first_lsn - 1 where it is empty */
    uint64_t size;     /* bytes in use, without preallocated space */
    bool sealed;
    uint8_t root[WAL_HASH_SIZE]; /* where sealed: Merkle root of its records */
};
size_t wal_segment_count(struct wal *wal);
/* Any thread. False where there is no such index (0 is the oldest). */
bool wal_segment_at(struct wal *wal, size_t index, struct wal_segment_info *info);
/* Remove the oldest segment, which must be sealed and have this first LSN; the caller keeps a
 * verified copy. Synced. Serialised with wal_append. */
enum wf_status wal_remove_oldest(struct wal *wal, uint64_t first_lsn, struct wf_error *err);
/* Seal the open segment and begin the next, where it holds a record. Serialised with wal_append. */
enum wf_status wal_rotate(struct wal *wal, struct wf_error *err);

/* The names of the instants that the log announces with io_point(), for a harness to choose from.
 */
const char *const *wal_points(size_t *count);

/* Counters since the log was opened; any thread. */
struct wal_stats {
    uint64_t records, bytes, batches, syncs, rotations, sync_ns_sum, sync_ns_max;
};
void wal_stats(struct wal *wal, struct wal_stats *stats);

/* --- one segment file on its own, and the log as it is, without opening it --- */

/* Walk one segment file. The store need not be there; checks all that one file can show. */
enum wf_status wal_walk_file(struct io *io, const char *path, wal_record_fn on_record, void *ctx,
                             struct wf_error *err);

/* The UUID of the store that the segments in `dir` belong to. Statuses as wal_open(). */
enum wf_status wal_identify(struct io *io, const char *dir, uint8_t store_id[WAL_STORE_ID_SIZE],
                            struct wf_error *err);

/* What a check of the raw frames meets. */
enum wal_finding_kind {
    WAL_FINDING_DAMAGE, /* at or below the durable mark: records that were durable cannot be read */
    WAL_FINDING_TORN,   /* above it: nothing says that it ever was durable. The remains of a write
                           that a crash cut short, or damage to the very last batch */
    WAL_FINDING_FOREIGN, /* a file, segment or record that belongs to another store or does not
                            belong here */
};
struct wal_finding {
    enum wal_finding_kind kind;
    char segment[64];
    uint64_t offset;
    uint64_t size;      /* bytes concerned */
    uint64_t first_lsn; /* LSNs concerned; first > last where none is known */
    uint64_t last_lsn;
    char text[256];            /* what is wrong, in words */
    struct bytes_view remains; /* the damaged bytes where a payload can be guessed at, else empty */
};
typedef enum wf_status (*wal_finding_fn)(void *ctx, const struct wal_finding *finding,
                                         struct wf_error *err);
/* Read every frame of every segment and go on behind damage: `on_record` for each good one,
 * `on_finding` for each place that is not. Changes nothing. WF_OK when the walk got to the end,
 * whatever it found. `limit_lsn` as in wal_open_reader(). */
enum wf_status wal_verify(struct io *io, const char *dir, uint64_t minimum_lsn, uint64_t limit_lsn,
                          wal_record_fn on_record, wal_finding_fn on_finding, void *ctx,
                          struct wf_error *err);

/* Make a damaged log usable. Copies each damaged file aside first (NAME.damaged, synced), then puts
 * a "lost" frame over every damaged range, in place, so that no other record moves; `on_finding`
 * for each, and for a torn end, which the next opening cuts off. `skip_lsn` (0: none) is a record
 * to drop although its checksum holds. The caller records the loss as a new record afterwards. */
enum wf_status wal_repair(struct io *io, const char *dir, uint64_t minimum_lsn, uint64_t skip_lsn,
                          wal_finding_fn on_finding, void *ctx, struct wf_error *err);

#endif
