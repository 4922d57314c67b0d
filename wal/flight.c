/* How a batch runs. Appenders copy frames into the buffer `filling`. Whoever waits and finds nobody
 * leading becomes the leader: takes that buffer as the `flight`, gives the appenders the other one,
 * and writes and syncs outside the mutex. Everybody else sleeps on one of two futex words: the
 * members of flight n on word n & 1, those of the batch being filled on the other. When a flight is
 * durable the leader wakes all its members with one call; when it is done it wakes one member of
 * the next batch to lead that. So each record costs one sleep and its share of one wake, and nobody
 * wakes to find nothing.
 *
 * No wake-up is lost: a word changes under the mutex before the call that wakes, and a sleeper
 * read it under the mutex before it slept. As long as somebody sleeps for the next batch, either
 * somebody leads (and will wake one) or one that was woken is on its way to look. */
#include "wal/flight.h"

#include "wal/catch_up.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CATCH_UP_BYTES = 64 * 1024 };

/* --- futex --- */

static void futex_sleep(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void wal_flight_sleep(struct wal_writer *writer, unsigned parity) {
    uint32_t value = atomic_load(&writer->words[parity]);
    writer->sleepers[parity]++;
    pthread_mutex_unlock(&writer->mutex);
    futex_sleep(&writer->words[parity], value);
}

/* With the mutex held: change the word, so that nobody falls asleep on it any more. Returns whether
 * somebody sleeps there already and needs a wake call. */
static bool announce(struct wal_writer *writer, unsigned parity) {
    atomic_fetch_add(&writer->words[parity], 1);
    return writer->sleepers[parity] > 0;
}

/* --- ends of a flight, all with the mutex held --- */

void wal_flight_wake_everybody(struct wal_writer *writer) {
    for (unsigned parity = 0; parity < 2; parity++) {
        atomic_fetch_add(&writer->words[parity], 1);
        writer->sleepers[parity] = 0;
        futex_wake(&writer->words[parity], INT_MAX);
    }
}

/* Latch: nothing is written or synced any more, and what is pending has an unknown outcome. The
 * buffers stay for those who read. */
static void halt(struct wal_writer *writer, const struct wf_error *failure) {
    writer->failure = *failure;
    writer->leading = false;
    atomic_store_explicit(&writer->halted, true, memory_order_release);
    wal_flight_wake_everybody(writer);
}

static bool remember_cut(struct wal_writer *writer, uint64_t count) {
    if (count == writer->boundaries_capacity) {
        size_t capacity = count == 0 ? 16 : 2 * (size_t)count;
        uint64_t *grown = realloc(writer->boundaries, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        writer->boundaries = grown;
        writer->boundaries_capacity = capacity;
    }
    writer->boundaries[count] = atomic_load(&writer->durable_lsn);
    return true;
}

/* The disk was full in the middle of a batch. What of it reached the file must be gone, durably,
 * before anybody is told "full": else a crash could bring back what was reported as refused. */
static void cut(struct wal_writer *writer, const struct wf_error *full) {
    struct io *io = writer->io;
    struct wf_error failure = *full;
    uint64_t count = atomic_load(&writer->cuts);
    io_point(io, "wal.before_cut");
    enum wf_status status =
        remember_cut(writer, count)
            ? io->ops->truncate(io, writer->file, writer->durable.offset, &failure)
            : error_set(&failure, WF_NO_MEMORY, "no memory to cut the log");
    if (status == WF_OK) {
        writer->stats.syncs++;
        status = io->ops->sync(io, writer->file, &failure);
    }
    if (status != WF_OK) {
        halt(writer, &failure);
        return;
    }
    io_point(io, "wal.after_cut");
    writer->reserved = writer->durable.offset;
    writer->next_lsn = atomic_load(&writer->durable_lsn) + 1;
    writer->end = writer->durable;
    wal_batch_clear(&writer->buffers[0]);
    wal_batch_clear(&writer->buffers[1]);
    writer->flight = NULL;
    writer->leading = false;
    atomic_store_explicit(&writer->cuts, count + 1, memory_order_release);
    wal_flight_wake_everybody(writer);
}

void wal_flight_publish(struct wal_writer *writer, const struct wal_boundary *end,
                        uint64_t last_lsn) {
    writer->durable = *end;
    atomic_store_explicit(&writer->durable_lsn, last_lsn, memory_order_release);
}

void wal_flight_pass_on(struct wal_writer *writer) {
    unsigned next = (writer->flight_number + 1) & 1;
    writer->leading = false;
    if (!announce(writer, next))
        return;
    writer->sleepers[next]--;
    pthread_mutex_unlock(&writer->mutex);
    futex_wake(&writer->words[next], 1);
    pthread_mutex_lock(&writer->mutex);
}

/* --- one batch --- */

/* Write, then sync. `*written` tells which of the two failed. */
static enum wf_status write_and_sync(struct wal_writer *writer, const struct wal_batch *batch,
                                     bool *written, uint64_t *sync_ns, struct wf_error *err) {
    struct io *io = writer->io;
    *written = false;
    io_point(io, "wal.before_write");
    enum wf_status status =
        io_write_all(io, writer->file, batch->offset, batch->data, batch->size, err);
    if (status != WF_OK)
        return status;
    io_point(io, "wal.after_write");
    *written = true;
    uint64_t start = io->ops->monotonic_ns(io);
    io_point(io, "wal.before_sync");
    status = io->ops->sync(io, writer->file, err);
    if (status == WF_OK)
        io_point(io, "wal.after_sync");
    *sync_ns = io->ops->monotonic_ns(io) - start;
    return status;
}

void wal_flight_count(struct wal_writer *writer, const struct wal_batch *batch, uint64_t sync_ns) {
    struct wal_stats *stats = &writer->stats;
    if (!wal_batch_empty(batch))
        stats->records += batch->last_lsn - batch->first_lsn + 1;
    stats->bytes += batch->size;
    stats->batches++;
    stats->syncs++;
    stats->sync_ns_sum += sync_ns;
    if (sync_ns > stats->sync_ns_max)
        stats->sync_ns_max = sync_ns;
}

void wal_flight_tell(struct wal_writer *writer, uint64_t last_lsn) {
    if (writer->on_durable != NULL)
        writer->on_durable(writer->on_durable_ctx, last_lsn);
}

void wal_flight_fail(struct wal_writer *writer, enum wf_status status, bool written,
                     const struct wf_error *failure) {
    if (status == WF_FULL && !written)
        cut(writer, failure);
    else
        halt(writer, failure);
}

struct wal_batch *wal_flight_take_off(struct wal_writer *writer) {
    struct wal_batch *batch = writer->filling;
    writer->leading = true;
    writer->flight_number++;
    writer->flight = batch;
    writer->filling = batch == &writer->buffers[0] ? &writer->buffers[1] : &writer->buffers[0];
    return batch;
}

enum wf_status wal_flight_catch_up(struct wal_writer *writer, struct io_file *file, uint64_t end,
                                   struct wf_error *err) {
    return wal_catch_up(writer->io, file, writer->seed, writer->hasher, &writer->hashed_offset, end,
                        &writer->frontier, err);
}

bool wal_flight_hash(struct wal_writer *writer, const struct wal_batch *batch) {
    if (wal_batch_empty(batch))
        return true;
    bool ok = wal_batch_hash(batch, writer->hasher, writer->segment_first, &writer->frontier);
    if (writer->hashed_offset < batch->offset + batch->size)
        writer->hashed_offset = batch->offset + batch->size;
    return ok;
}

/* Hash the batch that has become durable. What recovery left to do is done piece by piece, twice as
 * fast as it grows: until then the batch is one more piece in the file. */
static enum wf_status hash_durable(struct wal_writer *writer, const struct wal_batch *batch,
                                   struct wf_error *err) {
    enum wf_status status = WF_OK;
    pthread_mutex_lock(&writer->hash_mutex);
    if (writer->hashed_offset < batch->offset) {
        uint64_t piece_end = writer->hashed_offset + CATCH_UP_BYTES + 2 * batch->size;
        status = wal_flight_catch_up(writer, writer->file,
                                     piece_end < batch->offset ? piece_end : batch->offset, err);
    }
    if (status == WF_OK && writer->hashed_offset >= batch->offset &&
        !wal_flight_hash(writer, batch))
        status = error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    pthread_mutex_unlock(&writer->hash_mutex);
    return status;
}

/* Write and sync everything appended so far. Called and left with the mutex held, nobody leading;
 * releases it in between. What came of it shows in durable_lsn, cuts and halted. */
static void lead(struct wal_writer *writer) {
    struct wal_batch *batch = wal_flight_take_off(writer);
    struct wal_boundary end = writer->end; /* where its frames end: nothing else is appended yet */
    pthread_mutex_unlock(&writer->mutex);
    struct wf_error failure = {.status = WF_OK};
    bool written;
    uint64_t sync_ns = 0;
    enum wf_status status = write_and_sync(writer, batch, &written, &sync_ns, &failure);
    if (status == WF_OK)
        wal_flight_tell(writer, batch->last_lsn);
    pthread_mutex_lock(&writer->mutex);
    if (status != WF_OK) {
        wal_flight_fail(writer, status, written, &failure);
        return;
    }
    wal_flight_publish(writer, &end, batch->last_lsn);
    wal_flight_count(writer, batch, sync_ns);
    unsigned parity = writer->flight_number & 1;
    bool any = announce(writer, parity);
    writer->sleepers[parity] = 0;
    pthread_mutex_unlock(&writer->mutex);
    if (any)
        futex_wake(&writer->words[parity], INT_MAX);

    /* The members are on their way already; hashing costs them nothing. */
    status = hash_durable(writer, batch, &failure);

    pthread_mutex_lock(&writer->mutex);
    writer->flight = NULL;
    wal_batch_clear(batch);
    if (status != WF_OK) {
        halt(writer, &failure);
        return;
    }
    wal_flight_pass_on(writer);
}

/* --- waiting --- */

enum outcome { OUTCOME_PENDING, OUTCOME_DURABLE, OUTCOME_CUT, OUTCOME_UNKNOWN };

/* With the mutex held. */
static enum outcome judge(const struct wal_writer *writer, uint64_t lsn, uint64_t cuts) {
    uint64_t boundary = atomic_load(&writer->durable_lsn);
    bool was_cut = atomic_load(&writer->cuts) != cuts;
    if (was_cut)
        boundary = writer->boundaries[cuts]; /* at the first cut after the record was appended */
    if (lsn <= boundary)
        return OUTCOME_DURABLE;
    if (was_cut)
        return OUTCOME_CUT;
    return atomic_load(&writer->halted) ? OUTCOME_UNKNOWN : OUTCOME_PENDING;
}

static enum wf_status report(const struct wal_writer *writer, enum outcome outcome, uint64_t lsn,
                             struct wf_error *err) {
    switch (outcome) {
    case OUTCOME_PENDING:
    case OUTCOME_DURABLE:
        return WF_OK;
    case OUTCOME_CUT:
        return error_set(err, WF_FULL, "the disk is full: LSN %" PRIu64 " was not written", lsn);
    case OUTCOME_UNKNOWN:
        return error_set(err, WF_UNKNOWN, "the outcome of LSN %" PRIu64 " is unknown: %s", lsn,
                         writer->failure.text);
    }
    return WF_OK;
}

static bool durable_already(const struct wal_writer *writer, const struct wal_ticket *ticket) {
    /* In this order: an LSN that is used again becomes durable only after `cuts` changed. */
    return wal_writer_durable_lsn(writer) >= ticket->lsn && wal_writer_cuts(writer) == ticket->cuts;
}

enum wf_status wal_writer_wait(struct wal_writer *writer, const struct wal_ticket *ticket,
                               struct wf_error *err) {
    if (durable_already(writer, ticket))
        return WF_OK;
    pthread_mutex_lock(&writer->mutex);
    enum outcome outcome;
    while ((outcome = judge(writer, ticket->lsn, ticket->cuts)) == OUTCOME_PENDING) {
        if (!writer->leading) {
            lead(writer);
            continue;
        }
        bool aboard = writer->flight != NULL && !wal_batch_empty(writer->flight) &&
                      ticket->lsn <= writer->flight->last_lsn;
        wal_flight_sleep(writer, (unsigned)(writer->flight_number + (aboard ? 0 : 1)) & 1);
        if (durable_already(writer, ticket))
            return WF_OK;
        pthread_mutex_lock(&writer->mutex);
    }
    enum wf_status status = report(writer, outcome, ticket->lsn, err);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

enum wf_status wal_writer_sync(struct wal_writer *writer, struct wf_error *err) {
    pthread_mutex_lock(&writer->mutex);
    struct wal_ticket ticket = {
        .lsn = writer->next_lsn - 1,
        .cuts = atomic_load(&writer->cuts),
    };
    pthread_mutex_unlock(&writer->mutex);
    return wal_writer_wait(writer, &ticket, err);
}
