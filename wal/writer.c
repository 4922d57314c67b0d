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
#include "wal/writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    RESERVE_MIN = 256 * 1024,      /* the smallest step of preallocation, bytes */
    RESERVE_MAX = 4 * 1024 * 1024, /* and the largest */
    RESERVE_SHARE = 8, /* between them: this part of the file, so that little disk stands unused */
    BUFFER_MIN = 64 * 1024,
    BUFFER_KEEP_MAX = 4 * 1024 * 1024, /* a larger buffer is given back after use */
};

/* Frames that stand back to back in the open segment. */
struct batch {
    uint8_t *data;
    size_t size;
    size_t capacity;
    uint64_t offset; /* in the segment */
    uint64_t first_lsn;
    uint64_t last_lsn; /* below first_lsn: empty */
};

/* A boundary between two frames, to which the log can be cut back. */
struct boundary {
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
    _Atomic uint32_t words[2]; /* futexes; see the head of this file */

    pthread_mutex_t mutex; /* guards everything down to `stats` */
    struct io_file *file;  /* NULL: no open segment */
    uint64_t segment_first;
    uint64_t reserved; /* bytes of the file that are sure to be there */
    uint64_t next_lsn;
    struct boundary end;     /* behind the last appended frame */
    struct boundary durable; /* behind the last durable one */
    struct batch buffers[2];
    struct batch *filling;
    struct batch *flight; /* NULL: nothing is being written */
    uint64_t flight_number;
    bool leading;
    uint32_t sleepers[2]; /* at least as many as sleep on that word */
    uint64_t *boundaries; /* the durable LSN at each cut */
    size_t boundaries_capacity;
    struct wf_error failure; /* why it halted */
    struct wal_stats stats;

    pthread_mutex_t hash_mutex; /* guards the two below; taken after `mutex` where both are */
    struct wal_hasher *hasher;
    struct wal_frontier frontier; /* of the durable records of the open segment, or some fewer */
};

/* --- futex --- */

static void futex_sleep(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* With the mutex held: sleep until `word` changes. Without the mutex afterwards. */
static void sleep_on(struct wal_writer *writer, unsigned parity) {
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

/* --- making and freeing --- */

static bool init_locks(struct wal_writer *writer) {
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0)
        return false;
    /* The critical sections are shorter than a sleep: spin a little first. */
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    bool ok = pthread_mutex_init(&writer->mutex, &attributes) == 0 &&
              pthread_mutex_init(&writer->hash_mutex, NULL) == 0;
    pthread_mutexattr_destroy(&attributes);
    return ok;
}

enum wf_status wal_writer_create(struct io *io, const uint8_t store_id[WAL_STORE_ID_SIZE],
                                 const struct wal_options *options, const struct wal_recovered *end,
                                 uint64_t segment_first, struct io_file *file,
                                 struct wal_writer **out, struct wf_error *err) {
    *out = NULL;
    struct wal_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL || !init_locks(writer)) {
        free(writer);
        return error_set(err, WF_NO_MEMORY, "no memory for the log's writer");
    }
    writer->io = io;
    writer->seed = wal_frame_seed(store_id);
    if (options != NULL) {
        writer->on_durable = options->on_durable;
        writer->on_durable_ctx = options->on_durable_ctx;
    }
    memcpy(writer->store_id, store_id, WAL_STORE_ID_SIZE);
    atomic_init(&writer->durable_lsn, end->next_lsn - 1);
    writer->file = file;
    writer->segment_first = segment_first;
    writer->reserved = end->file_size;
    writer->next_lsn = end->next_lsn;
    writer->end = (struct boundary){end->offset, end->last_offset, end->previous};
    writer->durable = writer->end;
    writer->filling = &writer->buffers[0];
    wal_frontier_copy(&writer->frontier, &end->frontier);
    writer->hasher = wal_hasher_create();
    if (writer->hasher == NULL) {
        wal_writer_destroy(writer);
        return error_set(err, WF_NO_MEMORY, "no memory for the log's hasher");
    }
    *out = writer;
    return WF_OK;
}

void wal_writer_destroy(struct wal_writer *writer) {
    if (writer == NULL)
        return;
    pthread_mutex_destroy(&writer->mutex);
    pthread_mutex_destroy(&writer->hash_mutex);
    wal_hasher_destroy(writer->hasher);
    free(writer->buffers[0].data);
    free(writer->buffers[1].data);
    free(writer->boundaries);
    free(writer);
}

/* --- small questions --- */

uint64_t wal_writer_durable_lsn(const struct wal_writer *writer) {
    return atomic_load_explicit(&writer->durable_lsn, memory_order_acquire);
}

uint64_t wal_writer_cuts(const struct wal_writer *writer) {
    return atomic_load_explicit(&writer->cuts, memory_order_acquire);
}

bool wal_writer_halted(const struct wal_writer *writer) {
    return atomic_load_explicit(&writer->halted, memory_order_acquire);
}

void wal_writer_stats(struct wal_writer *writer, struct wal_stats *stats) {
    pthread_mutex_lock(&writer->mutex);
    *stats = writer->stats;
    pthread_mutex_unlock(&writer->mutex);
}

struct wal_writer_view wal_writer_view(struct wal_writer *writer) {
    pthread_mutex_lock(&writer->mutex);
    struct wal_writer_view view = {
        .open = writer->file != NULL,
        .segment_first = writer->segment_first,
        .next_lsn = writer->next_lsn,
        .offset = writer->end.offset,
        .durable_offset = writer->durable.offset,
        .previous = writer->end.previous,
    };
    pthread_mutex_unlock(&writer->mutex);
    return view;
}

static bool batch_empty(const struct batch *batch) {
    return batch->last_lsn < batch->first_lsn || batch->size == 0;
}

static void batch_clear(struct batch *batch) {
    batch->size = 0;
    batch->first_lsn = 1;
    batch->last_lsn = 0;
    if (batch->capacity > BUFFER_KEEP_MAX) {
        free(batch->data);
        batch->data = NULL;
        batch->capacity = 0;
    }
}

static bool batch_grow(struct batch *batch, size_t size) {
    if (batch->capacity - batch->size >= size)
        return true;
    size_t capacity = batch->capacity == 0 ? BUFFER_MIN : 2 * batch->capacity;
    if (capacity < batch->size + size)
        capacity = batch->size + size;
    uint8_t *grown = realloc(batch->data, capacity);
    if (grown == NULL)
        return false;
    batch->data = grown;
    batch->capacity = capacity;
    return true;
}

/* --- the Merkle frontier --- */

/* Add the records of `batch` that `frontier` does not hold yet. With hash_mutex held. */
static bool hash_batch(struct wal_writer *writer, struct wal_frontier *frontier,
                       uint64_t segment_first, const struct batch *batch) {
    if (batch == NULL || batch_empty(batch))
        return true;
    const uint8_t *at = batch->data;
    for (uint64_t lsn = batch->first_lsn; lsn <= batch->last_lsn; lsn++) {
        /* We wrote these bytes ourselves: the size stands 4 bytes into the frame. */
        size_t size = bytes_load_u32(at + 4);
        struct bytes_view payload = {at + WAL_FRAME_HEADER_SIZE, size};
        if (lsn - segment_first >= frontier->count &&
            !wal_frontier_add(frontier, writer->hasher, lsn, payload))
            return false;
        at += wal_frame_size(size);
    }
    return true;
}

bool wal_writer_place(struct wal_writer *writer, struct wal_place *place) {
    pthread_mutex_lock(&writer->mutex);
    memcpy(place->store_id, writer->store_id, WAL_STORE_ID_SIZE);
    place->lsn = writer->next_lsn - 1;
    place->segment_first = writer->segment_first;
    place->offset = writer->end.offset;
    place->last_offset = writer->end.last_offset;
    place->previous = writer->end.previous;
    pthread_mutex_lock(&writer->hash_mutex);
    wal_frontier_copy(&place->frontier, &writer->frontier);
    bool ok = hash_batch(writer, &place->frontier, writer->segment_first, writer->flight) &&
              hash_batch(writer, &place->frontier, writer->segment_first, writer->filling);
    pthread_mutex_unlock(&writer->hash_mutex);
    pthread_mutex_unlock(&writer->mutex);
    return ok;
}

/* --- ends of a flight, all with the mutex held --- */

static void wake_everybody(struct wal_writer *writer) {
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
    wake_everybody(writer);
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
    batch_clear(&writer->buffers[0]);
    batch_clear(&writer->buffers[1]);
    writer->flight = NULL;
    writer->leading = false;
    atomic_store_explicit(&writer->cuts, count + 1, memory_order_release);
    wake_everybody(writer);
}

static void publish(struct wal_writer *writer, const struct boundary *end, uint64_t last_lsn) {
    writer->durable = *end;
    atomic_store_explicit(&writer->durable_lsn, last_lsn, memory_order_release);
}

/* Give leadership up. Returns the word on which one has to be woken to lead next, or NULL. */
static _Atomic uint32_t *stop_leading(struct wal_writer *writer) {
    unsigned next = (writer->flight_number + 1) & 1;
    writer->leading = false;
    if (!announce(writer, next))
        return NULL;
    writer->sleepers[next]--;
    return &writer->words[next];
}

/* --- one batch --- */

/* Write, then sync. `*written` tells which of the two failed. */
static enum wf_status write_and_sync(struct wal_writer *writer, const struct batch *batch,
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

static void count_batch(struct wal_writer *writer, const struct batch *batch, uint64_t sync_ns) {
    struct wal_stats *stats = &writer->stats;
    if (!batch_empty(batch))
        stats->records += batch->last_lsn - batch->first_lsn + 1;
    stats->bytes += batch->size;
    stats->batches++;
    stats->syncs++;
    stats->sync_ns_sum += sync_ns;
    if (sync_ns > stats->sync_ns_max)
        stats->sync_ns_max = sync_ns;
}

/* The sync succeeded. Told before durable_lsn changes, so that whoever sees a record as durable
 * here finds it durable wherever the callback publishes it. */
static void tell_durable(struct wal_writer *writer, uint64_t last_lsn) {
    if (writer->on_durable != NULL)
        writer->on_durable(writer->on_durable_ctx, last_lsn);
}

/* With the mutex held: a batch did not become durable. */
static void fail_batch(struct wal_writer *writer, enum wf_status status, bool written,
                       const struct wf_error *failure) {
    if (status == WF_FULL && !written)
        cut(writer, failure);
    else
        halt(writer, failure);
}

/* Take what is filled as the flight. With the mutex held, nobody leading. */
static struct batch *take_off(struct wal_writer *writer) {
    struct batch *batch = writer->filling;
    writer->leading = true;
    writer->flight_number++;
    writer->flight = batch;
    writer->filling = batch == &writer->buffers[0] ? &writer->buffers[1] : &writer->buffers[0];
    return batch;
}

/* Write and sync everything appended so far. Called and left with the mutex held, nobody leading;
 * releases it in between. What came of it shows in durable_lsn, cuts and halted. */
static void lead(struct wal_writer *writer) {
    struct batch *batch = take_off(writer);
    struct boundary end = writer->end; /* where its frames end: nothing else is appended yet */
    pthread_mutex_unlock(&writer->mutex);
    struct wf_error failure = {.status = WF_OK};
    bool written;
    uint64_t sync_ns = 0;
    enum wf_status status = write_and_sync(writer, batch, &written, &sync_ns, &failure);
    if (status == WF_OK)
        tell_durable(writer, batch->last_lsn);
    pthread_mutex_lock(&writer->mutex);
    if (status != WF_OK) {
        fail_batch(writer, status, written, &failure);
        return;
    }
    publish(writer, &end, batch->last_lsn);
    count_batch(writer, batch, sync_ns);
    unsigned parity = writer->flight_number & 1;
    bool any = announce(writer, parity);
    writer->sleepers[parity] = 0;
    pthread_mutex_unlock(&writer->mutex);
    if (any)
        futex_wake(&writer->words[parity], INT_MAX);

    /* The members are on their way already; hashing costs them nothing. */
    pthread_mutex_lock(&writer->hash_mutex);
    bool hashed = hash_batch(writer, &writer->frontier, writer->segment_first, batch);
    pthread_mutex_unlock(&writer->hash_mutex);

    pthread_mutex_lock(&writer->mutex);
    writer->flight = NULL;
    batch_clear(batch);
    if (!hashed) {
        error_set(&failure, WF_NO_MEMORY, "libcrypto cannot hash");
        halt(writer, &failure);
        return;
    }
    _Atomic uint32_t *wake = stop_leading(writer);
    if (wake == NULL)
        return;
    pthread_mutex_unlock(&writer->mutex);
    futex_wake(wake, 1);
    pthread_mutex_lock(&writer->mutex);
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
        bool aboard = writer->flight != NULL && !batch_empty(writer->flight) &&
                      ticket->lsn <= writer->flight->last_lsn;
        sleep_on(writer, (unsigned)(writer->flight_number + (aboard ? 0 : 1)) & 1);
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

/* --- appending --- */

static enum wf_status halted_error(struct wal_writer *writer, struct wf_error *err) {
    return error_set(err, WF_HALTED, "the log is halted: %s", writer->failure.text);
}

static enum wf_status check_cuts(struct wal_writer *writer, uint64_t cuts, struct wf_error *err) {
    if (atomic_load(&writer->halted))
        return halted_error(writer, err);
    if (atomic_load(&writer->cuts) != cuts)
        return error_set(err, WF_CONFLICT,
                         "the log was cut back because the disk was full; records are gone");
    return WF_OK;
}

/* With the mutex held; released while the file grows. Make sure that the file has room up to
 * `need`, so that a full disk is found out before anything is promised. */
static enum wf_status reserve(struct wal_writer *writer, uint64_t need, uint64_t segment_size,
                              uint64_t cuts, struct wf_error *err) {
    if (need <= writer->reserved)
        return WF_OK;
    struct io *io = writer->io;
    uint64_t step = writer->reserved / RESERVE_SHARE;
    step = step < RESERVE_MIN ? RESERVE_MIN : step;
    uint64_t target = writer->reserved + (step < RESERVE_MAX ? step : RESERVE_MAX);
    if (target > segment_size)
        target = segment_size;
    if (target < need)
        target = need;
    struct io_file *file = writer->file;
    pthread_mutex_unlock(&writer->mutex);
    enum wf_status status = io->ops->preallocate(io, file, target, err);
    if (status == WF_FULL && target > need) {
        target = need;
        status = io->ops->preallocate(io, file, target, err);
    }
    pthread_mutex_lock(&writer->mutex);
    if (status != WF_OK)
        return error_wrap(err, status, "reserve space in the log");
    /* A cut in the meantime may have shortened the file before or after it was extended. */
    status = check_cuts(writer, cuts, err);
    if (status == WF_OK)
        writer->reserved = target;
    return status;
}

/* With the mutex held: the record into the buffer. Cannot fail any more. */
static void put_frame(struct wal_writer *writer, const void *payload, size_t size,
                      struct wal_ticket *ticket) {
    struct batch *batch = writer->filling;
    struct wal_frame frame = {
        .kind = WAL_FRAME_RECORD,
        .previous = writer->end.previous,
        .lsn = writer->next_lsn,
        .durable_lsn = atomic_load_explicit(&writer->durable_lsn, memory_order_relaxed),
        .payload = {payload, size},
    };
    if (batch_empty(batch)) {
        batch->offset = writer->end.offset;
        batch->first_lsn = frame.lsn;
    }
    wal_frame_encode(batch->data + batch->size, writer->seed, &frame);
    batch->size += (size_t)frame.size;
    batch->last_lsn = frame.lsn;
    ticket->lsn = frame.lsn;
    ticket->offset = writer->end.offset;
    ticket->cuts = atomic_load_explicit(&writer->cuts, memory_order_relaxed);
    writer->end.last_offset = writer->end.offset;
    writer->end.offset += frame.size;
    writer->end.previous = frame.crc;
    writer->next_lsn++;
}

enum wf_status wal_writer_append(struct wal_writer *writer, const void *payload, size_t size,
                                 uint64_t cuts, uint64_t segment_size, struct wal_ticket *ticket,
                                 struct wf_error *err) {
    uint64_t frame_size = wal_frame_size(size);
    pthread_mutex_lock(&writer->mutex);
    enum wf_status status = check_cuts(writer, cuts, err);
    while (status == WF_OK && writer->filling->size + frame_size > WAL_PENDING_MAX) {
        pthread_mutex_unlock(&writer->mutex);
        wal_writer_sync(writer, NULL); /* how it went is seen in `cuts` and `halted` */
        pthread_mutex_lock(&writer->mutex);
        status = check_cuts(writer, cuts, err);
    }
    assert(status != WF_OK || writer->file != NULL);
    if (status == WF_OK)
        status = reserve(writer, writer->end.offset + frame_size + WAL_SEAL_FRAME_SIZE,
                         segment_size, cuts, err);
    if (status == WF_OK && !batch_grow(writer->filling, (size_t)frame_size))
        status = error_set(err, WF_NO_MEMORY, "no memory to append %zu bytes", size);
    if (status == WF_OK)
        put_frame(writer, payload, size, ticket);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

/* --- sealing --- */

/* Become the leader of everything that is pending. With the mutex held on return where WF_OK. */
static enum wf_status lead_alone(struct wal_writer *writer, uint64_t cuts, struct batch **batch,
                                 struct wf_error *err) {
    pthread_mutex_lock(&writer->mutex);
    while (writer->leading) {
        sleep_on(writer, (unsigned)(writer->flight_number + 1) & 1);
        pthread_mutex_lock(&writer->mutex);
    }
    enum wf_status status = check_cuts(writer, cuts, err);
    if (status == WF_OK && !batch_grow(writer->filling, WAL_SEAL_FRAME_SIZE))
        status = error_set(err, WF_NO_MEMORY, "no memory to seal a segment");
    if (status == WF_OK) {
        *batch = take_off(writer);
        return WF_OK;
    }
    /* We may have been the one that was woken to lead: pass it on. */
    _Atomic uint32_t *wake = stop_leading(writer);
    pthread_mutex_unlock(&writer->mutex);
    if (wake != NULL)
        futex_wake(wake, 1);
    return status;
}

/* Hash what is pending and put the seal behind it. Nobody appends now, and readers of the flight
 * look no further than its records. */
static bool put_seal(struct wal_writer *writer, struct batch *batch, struct wal_frame *frame,
                     struct wal_seal *seal) {
    pthread_mutex_lock(&writer->hash_mutex);
    bool ok = hash_batch(writer, &writer->frontier, writer->segment_first, batch) &&
              wal_frontier_root(&writer->frontier, writer->hasher, seal->root);
    seal->count = writer->frontier.count;
    pthread_mutex_unlock(&writer->hash_mutex);
    uint8_t payload[WAL_SEAL_PAYLOAD_SIZE];
    wal_seal_encode(payload, seal);
    frame->payload = (struct bytes_view){payload, sizeof payload};
    wal_frame_encode(batch->data + batch->size, writer->seed, frame);
    frame->payload.data = NULL;
    return ok;
}

/* Write the flight with its seal and cut the file behind it, all in one sync. */
static enum wf_status write_sealed(struct wal_writer *writer, const struct batch *batch,
                                   bool *written, uint64_t *sync_ns, struct wf_error *err) {
    struct io *io = writer->io;
    *written = false;
    io_point(io, "wal.before_seal");
    enum wf_status status =
        io_write_all(io, writer->file, batch->offset, batch->data, batch->size, err);
    if (status != WF_OK)
        return status;
    *written = true;
    status = io->ops->truncate(io, writer->file, batch->offset + batch->size, err);
    if (status != WF_OK)
        return status;
    uint64_t start = io->ops->monotonic_ns(io);
    /* The old segment is on the disk before the next one accepts a record. */
    status = io->ops->sync(io, writer->file, err);
    *sync_ns = io->ops->monotonic_ns(io) - start;
    if (status == WF_OK)
        io_point(io, "wal.after_seal");
    return status;
}

/* With the mutex held: the seal is durable. The next segment begins where this one ended. */
static void leave_segment(struct wal_writer *writer, uint32_t seal_crc) {
    writer->end = (struct boundary){WAL_SEGMENT_HEADER_SIZE, 0, seal_crc};
    publish(writer, &writer->end, writer->next_lsn - 1);
    writer->file = NULL;
    writer->segment_first = writer->next_lsn;
    writer->reserved = 0;
    pthread_mutex_lock(&writer->hash_mutex);
    writer->frontier.count = 0;
    pthread_mutex_unlock(&writer->hash_mutex);
    batch_clear(writer->flight);
    writer->flight = NULL;
    writer->leading = false;
    wake_everybody(writer);
}

/* With the mutex held: the seal failed. The frontier goes back to what is durable. */
static enum wf_status fail_seal(struct wal_writer *writer, const struct wal_frontier *before,
                                enum wf_status status, bool written, const struct wf_error *failure,
                                struct wf_error *err) {
    pthread_mutex_lock(&writer->hash_mutex);
    wal_frontier_copy(&writer->frontier, before);
    pthread_mutex_unlock(&writer->hash_mutex);
    fail_batch(writer, status, written, failure);
    if (atomic_load(&writer->halted))
        return halted_error(writer, err);
    return error_set(err, WF_FULL, "%s", failure->text);
}

enum wf_status wal_writer_seal(struct wal_writer *writer, uint64_t cuts,
                               struct wal_segment_info *info, struct wf_error *err) {
    struct batch *batch = NULL;
    enum wf_status status = lead_alone(writer, cuts, &batch, err);
    if (status != WF_OK)
        return status;
    if (batch->size == 0)
        batch->offset = writer->end.offset;
    struct wal_frame frame = {
        .kind = WAL_FRAME_SEAL,
        .previous = writer->end.previous,
        .lsn = writer->next_lsn,
        .durable_lsn = atomic_load(&writer->durable_lsn),
    };
    struct wal_frontier before;
    wal_frontier_copy(&before, &writer->frontier); /* only leaders change it */
    pthread_mutex_unlock(&writer->mutex);
    struct wal_seal seal;
    struct wf_error failure = {.status = WF_OK};
    bool written = true;
    uint64_t sync_ns = 0;
    struct batch sealed = *batch;
    sealed.size += WAL_SEAL_FRAME_SIZE;
    if (put_seal(writer, batch, &frame, &seal))
        status = write_sealed(writer, &sealed, &written, &sync_ns, &failure);
    else
        status = error_set(&failure, WF_NO_MEMORY, "libcrypto cannot hash");
    if (status == WF_OK)
        tell_durable(writer, frame.lsn - 1);
    pthread_mutex_lock(&writer->mutex);
    if (status != WF_OK) {
        status = fail_seal(writer, &before, status, written, &failure, err);
    } else {
        count_batch(writer, &sealed, sync_ns);
        writer->stats.rotations++;
        info->last_lsn = writer->next_lsn - 1;
        info->size = sealed.offset + sealed.size;
        info->sealed = true;
        memcpy(info->root, seal.root, WAL_HASH_SIZE);
        leave_segment(writer, frame.crc);
    }
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

void wal_writer_enter(struct wal_writer *writer, struct io_file *file) {
    pthread_mutex_lock(&writer->mutex);
    assert(writer->file == NULL && writer->end.offset == WAL_SEGMENT_HEADER_SIZE);
    writer->file = file;
    writer->reserved = WAL_SEGMENT_HEADER_SIZE;
    pthread_mutex_unlock(&writer->mutex);
}

void wal_writer_trim(struct wal_writer *writer) {
    pthread_mutex_lock(&writer->mutex);
    if (writer->file != NULL && writer->reserved > writer->end.offset) {
        /* Nothing depends on it, and zeros behind the end are as good: not synced, not checked. */
        writer->io->ops->truncate(writer->io, writer->file, writer->end.offset, NULL);
        writer->reserved = writer->end.offset;
    }
    pthread_mutex_unlock(&writer->mutex);
}

/* --- reading what is not written yet --- */

enum wf_status wal_writer_read(struct wal_writer *writer, uint64_t lsn, uint64_t offset,
                               struct bytes_buffer *buffer, struct wal_record *record,
                               bool *pending, struct wf_error *err) {
    enum wf_status status = WF_OK;
    *pending = false;
    pthread_mutex_lock(&writer->mutex);
    const struct batch *batches[] = {writer->flight, writer->filling};
    for (size_t i = 0; i < 2; i++) {
        const struct batch *batch = batches[i];
        if (batch == NULL || batch_empty(batch) || lsn < batch->first_lsn || lsn > batch->last_lsn)
            continue;
        *pending = true;
        struct wal_frame frame = {.lsn = 0};
        const uint8_t *at = batch->data + (offset - batch->offset);
        if (offset < batch->offset || offset - batch->offset >= batch->size ||
            wal_frame_decode_header(at, writer->seed, &frame) != NULL || frame.lsn != lsn) {
            status = error_set(err, WF_NOT_FOUND, "LSN %" PRIu64 " is not at offset %" PRIu64, lsn,
                               offset);
            break;
        }
        bytes_buffer_clear(buffer);
        bytes_write_run(buffer, at + WAL_FRAME_HEADER_SIZE, frame.payload.size);
        if (!bytes_buffer_ok(buffer))
            status = error_set(err, WF_NO_MEMORY, "no memory to read LSN %" PRIu64, lsn);
        *record = (struct wal_record){
            .lsn = lsn, .offset = offset, .payload = {buffer->data, buffer->size}};
        break;
    }
    pthread_mutex_unlock(&writer->mutex);
    return status;
}
