/* The inside of the writer: its state, and how a batch gets from the buffers to the disk
 * ("flight"). Only writer.c, flight.c and seal.c include this; they share one mutex. */
#ifndef WAL_FLIGHT_H
#define WAL_FLIGHT_H

#include "wal/batch.h"
#include "wal/writer.h"

#include <pthread.h>
#include <stdatomic.h>

/* A boundary between two frames, to which the log can be cut back. */
struct wal_boundary {
    uint64_t offset;
    uint64_t last_offset;
    uint32_t previous;
};

struct wal_writer {
    struct io *io;
    uint32_t seed;
    uint8_t store_id[WAL_STORE_ID_SIZE];
    void (*on_durable)(void *ctx, uint64_t durable_lsn); /* may be NULL; called by leaders */
    void *on_durable_ctx;

    _Atomic uint64_t durable_lsn;
    _Atomic uint64_t cuts;
    _Atomic bool halted;
    _Atomic uint32_t words[2]; /* futexes; see the head of flight.c */

    pthread_mutex_t mutex; /* guards everything down to `stats` */
    struct io_file *file;  /* NULL: no open segment */
    uint64_t segment_first;
    uint64_t reserved;           /* bytes of the file that are sure to be there */
    _Atomic uint64_t next_lsn;   /* changed under the mutex, read without it too */
    struct wal_boundary end;     /* behind the last appended frame */
    struct wal_boundary durable; /* behind the last durable one */
    struct wal_batch buffers[2];
    struct wal_batch *filling;
    struct wal_batch *flight; /* NULL: nothing is being written */
    uint64_t flight_number;
    bool leading;
    uint32_t sleepers[2]; /* at least as many as sleep on that word */
    uint64_t *boundaries; /* the durable LSN at each cut */
    size_t boundaries_capacity;
    struct wf_error failure; /* why it halted */
    struct wal_stats stats;

    pthread_mutex_t hash_mutex; /* guards what is below; taken after `mutex` where both are */
    struct wal_hasher *hasher;
    struct wal_frontier frontier; /* of the durable records of the open segment, or some fewer */
    uint64_t hashed_offset;       /* in the file: where the first frame stands that it lacks */
};

/* All with the mutex held, but wal_flight_tell(). */

/* Sleep until the futex word of that parity changes. Without the mutex afterwards. */
void wal_flight_sleep(struct wal_writer *writer, unsigned parity);
/* Take what is filled as the flight and lead; nobody else may be leading. */
struct wal_batch *wal_flight_take_off(struct wal_writer *writer);
/* The sync succeeded: call on_durable, before durable_lsn changes, so that whoever finds a record
 * durable here finds it durable wherever the callback publishes it. */
void wal_flight_tell(struct wal_writer *writer, uint64_t last_lsn);
void wal_flight_publish(struct wal_writer *writer, const struct wal_boundary *end,
                        uint64_t last_lsn);
void wal_flight_count(struct wal_writer *writer, const struct wal_batch *batch, uint64_t sync_ns);
/* The flight did not become durable: cut where the disk was full at a write, else halt. */
void wal_flight_fail(struct wal_writer *writer, enum wf_status status, bool written,
                     const struct wf_error *failure);
/* Give leadership up and wake one member of the next batch, if any sleeps. */
void wal_flight_pass_on(struct wal_writer *writer);
void wal_flight_wake_everybody(struct wal_writer *writer);

/* With the hash mutex held. Add what the frontier lacks of the durable frames before `end`: those
 * that recovery found, and those behind them. */
enum wf_status wal_flight_catch_up(struct wal_writer *writer, struct io_file *file, uint64_t end,
                                   struct wf_error *err);
/* Likewise with the hash mutex held, and nothing lacking before it: the frames of the batch. */
bool wal_flight_hash(struct wal_writer *writer, const struct wal_batch *batch);

/* WF_HALTED, or WF_CONFLICT where the log was cut since `cuts`. */
enum wf_status wal_writer_check(struct wal_writer *writer, uint64_t cuts, struct wf_error *err);
enum wf_status wal_writer_halted_error(struct wal_writer *writer, struct wf_error *err);

#endif
