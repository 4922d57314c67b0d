/* From the files as a crash left them to a log that may be trusted: syncs before it believes, walks
 * what lies behind a position, and settles the tail. The cases are those of wal/FORMAT.md; what
 * each place holds is found by wal/scan.h. */
#ifndef WAL_RECOVER_H
#define WAL_RECOVER_H

#include "wal/position.h"
#include "wal/scan.h"

struct wal_recover_options {
    const struct wal_position *from; /* may be NULL */
    uint64_t minimum_lsn;
    uint64_t limit_lsn;      /* UINT64_MAX: nobody else owns the log */
    bool writable;           /* settle the tail */
    wal_record_fn on_record; /* may be NULL */
    void *ctx;
};

/* Where the log ends, for an appender to go on. */
struct wal_recovered {
    uint64_t next_lsn;
    uint32_t previous;
    bool open_segment;    /* the newest segment takes more; false: the next append makes one */
    uint64_t offset;      /* in it */
    uint64_t last_offset; /* of the last frame in it, 0 where there is none */
    uint64_t file_size;   /* of it, after the cut */
    struct wal_frontier frontier; /* of the open segment, as far as it is hashed */
    uint64_t hashed_offset;       /* where the first frame stands that it does not hold */
};

/* Statuses as wal_open(). WF_DIVERGENCE: `from` is no position in this log. Where it succeeds
 * and `writable` is set, the tail is settled and durable. */
enum wf_status wal_recover(const struct wal_directory *directory,
                           const struct wal_recover_options *options, struct wal_hasher *hasher,
                           struct wal_recovery *report, struct wal_recovered *recovered,
                           struct wf_error *err);

/* Hand the records of one frame to `on_record`: one, or each LSN of a lost range after
 * `after_lsn` up to `limit_lsn`. */
enum wf_status wal_deliver(const struct wal_item *item, uint64_t after_lsn, uint64_t limit_lsn,
                           wal_record_fn on_record, void *ctx, uint64_t *records,
                           struct wf_error *err);

#endif
