/* Decoding and applying side by side: the caller's thread reads, checks and decodes records into
 * batches, a second thread applies them. Each takes about half of a replay. Batches go round a ring
 * of fixed size, so memory is bounded. */
#include "engine/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BATCHES = 4,
    BATCH_RECORDS = 256,
    BATCH_BYTES = 1024 * 1024, /* of payload: a batch of huge records is handed on early */
    PREFETCH_PLACE = 6,        /* so many records before one is applied the place of its … */
    PREFETCH_RECORDS = 3,      /* … workflow is fetched; so many before, the workflow itself */
    GROWTH_BYTES = 120 * 1024, /* of the state in a batch, about; malloc gives a free block of
                                  128 KiB back to the system */
};

/* What the record's place holds where a repair dropped it. */
struct batch {
    struct codec_arena arena; /* payloads, and what is decoded from them */
    struct record records[BATCH_RECORDS];
    bool lost[BATCH_RECORDS];
    size_t count;
    size_t bytes;
};

struct replay_pipeline {
    struct replayer *replayer;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the members up to `batches` */
    pthread_cond_t filled, emptied;
    uint64_t produced, consumed; /* batches so far; produced - consumed <= BATCHES */
    bool ended;                  /* nothing more will be produced */
    enum wf_status status;       /* of the first record that could not be applied */
    struct wf_error err;
    struct batch
        batches[BATCHES]; /* batch n is at n % BATCHES, and belongs to one side at a time */
};

static struct batch *batch_at(struct replay_pipeline *pipeline, uint64_t number) {
    return &pipeline->batches[number % BATCHES];
}

/* Let malloc take from the system at once what a batch is going to need. It would take it page by
 * page in a thread that is not the first: two entries into the kernel for each page, a third of the
 * time of replaying 20,000 records into an empty state. */
static void grow_heap(void) {
    char *block = malloc(GROWTH_BYTES);
    if (block == NULL) {
        return;
    }
#ifdef MADV_POPULATE_WRITE
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)block + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)block + GROWTH_BYTES) / page * page;
    (void)madvise((void *)first, end - first, MADV_POPULATE_WRITE); /* later, one by one, without */
#endif
    free(block);
}

/* Have memory fetch what later records of the batch change: first the place where their workflows
 * are found, then these. */
static void prefetch(const struct state *state, const struct batch *batch, size_t at) {
    if (at + PREFETCH_PLACE < batch->count && !batch->lost[at + PREFETCH_PLACE]) {
        state_workflow_prefetch(state, batch->records[at + PREFETCH_PLACE].subject);
    }
    if (at + PREFETCH_RECORDS < batch->count && !batch->lost[at + PREFETCH_RECORDS]) {
        state_workflow_prefetch_all(state, batch->records[at + PREFETCH_RECORDS].subject);
    }
}

static enum wf_status apply_batch(struct replayer *replayer, struct batch *batch, size_t *done,
                                  struct wf_error *err) {
    grow_heap();
    for (*done = 0; *done < batch->count; (*done)++) {
        struct record *record = &batch->records[*done];
        prefetch(replayer->state, batch, *done);
        if (batch->lost[*done]) {
            apply_lost(replayer->state, record->lsn);
            replayer->last = (struct record_link){record->lsn, record->offset};
            continue;
        }
        enum wf_status status = replay_apply(replayer, record, err);
        if (status != WF_OK) {
            (*done)++; /* replay_apply() released it */
            return status;
        }
    }
    return WF_OK;
}

static void release_from(struct batch *batch, size_t first) {
    for (size_t i = first; i < batch->count; i++) {
        if (!batch->lost[i]) {
            codec_release(&batch->records[i]);
        }
    }
}

static void *apply_main(void *ctx) {
    struct replay_pipeline *pipeline = ctx;
    pthread_mutex_lock(&pipeline->mutex);
    for (;;) {
        while (pipeline->consumed == pipeline->produced && !pipeline->ended) {
            pthread_cond_wait(&pipeline->filled, &pipeline->mutex);
        }
        if (pipeline->consumed == pipeline->produced) {
            break;
        }
        struct batch *batch = batch_at(pipeline, pipeline->consumed);
        enum wf_status status = pipeline->status;
        pthread_mutex_unlock(&pipeline->mutex);
        size_t done = 0;
        struct wf_error err;
        bool failed_before = status != WF_OK;
        if (!failed_before) {
            status = apply_batch(pipeline->replayer, batch, &done, &err);
        }
        release_from(batch, done);
        pthread_mutex_lock(&pipeline->mutex);
        if (status != WF_OK && !failed_before) {
            pipeline->status = status;
            pipeline->err = err;
        }
        pipeline->consumed++;
        pthread_cond_signal(&pipeline->emptied);
    }
    pthread_mutex_unlock(&pipeline->mutex);
    return NULL;
}

static void destroy(struct replay_pipeline *pipeline) {
    for (size_t i = 0; i < BATCHES; i++) {
        codec_arena_deinit(&pipeline->batches[i].arena);
    }
    pthread_cond_destroy(&pipeline->emptied);
    pthread_cond_destroy(&pipeline->filled);
    pthread_mutex_destroy(&pipeline->mutex);
    free(pipeline);
}

struct replay_pipeline *replay_pipeline_create(struct replayer *replayer) {
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        return NULL;
    }
    struct replay_pipeline *pipeline = malloc(sizeof(*pipeline));
    if (pipeline == NULL) {
        return NULL;
    }
    memset(pipeline, 0, offsetof(struct replay_pipeline, batches));
    pipeline->replayer = replayer;
    for (size_t i = 0; i < BATCHES; i++) {
        struct batch *batch = &pipeline->batches[i];
        codec_arena_init(&batch->arena);
        batch->count = 0;
        batch->bytes = 0;
    }
    pthread_mutex_init(&pipeline->mutex, NULL);
    pthread_cond_init(&pipeline->filled, NULL);
    pthread_cond_init(&pipeline->emptied, NULL);
    if (!thread_start(&pipeline->thread, apply_main, pipeline)) {
        destroy(pipeline);
        return NULL;
    }
    return pipeline;
}

/* Give the batch that is being filled to the other side, and wait for an empty one. */
static enum wf_status hand_over(struct replay_pipeline *pipeline, struct wf_error *err) {
    pthread_mutex_lock(&pipeline->mutex);
    pipeline->produced++;
    pthread_cond_signal(&pipeline->filled);
    while (pipeline->produced - pipeline->consumed == BATCHES) {
        pthread_cond_wait(&pipeline->emptied, &pipeline->mutex);
    }
    enum wf_status status = pipeline->status;
    if (status != WF_OK && err != NULL) {
        *err = pipeline->err;
    }
    struct batch *batch = batch_at(pipeline, pipeline->produced);
    pthread_mutex_unlock(&pipeline->mutex);
    codec_arena_reset(&batch->arena);
    batch->count = 0;
    batch->bytes = 0;
    return status;
}

static enum wf_status decode_into(struct replayer *replayer, struct batch *batch,
                                  const struct wal_record *wal_record, struct wf_error *err) {
    struct record *record = &batch->records[batch->count];
    batch->lost[batch->count] = wal_record->lost;
    if (!wal_record->lost) {
        size_t size = wal_record->payload.size;
        uint8_t *copy = codec_arena_alloc(&batch->arena, size);
        if (copy == NULL) {
            return error_set(err, WF_NO_MEMORY, "no memory to replay");
        }
        memcpy(copy, wal_record->payload.data, size);
        batch->bytes += size;
        enum wf_status status =
            codec_decode(&batch->arena, (struct bytes_view){copy, size}, record, err);
        if (status != WF_OK) {
            replayer->undecodable_lsn = wal_record->lsn; /* no other thread looks at it */
            return error_wrap(err, status, "LSN %" PRIu64, wal_record->lsn);
        }
    }
    record->lsn = wal_record->lsn;
    record->offset = wal_record->offset;
    batch->count++;
    return WF_OK;
}

enum wf_status replay_pipeline_push(struct replay_pipeline *pipeline,
                                    const struct wal_record *wal_record, struct wf_error *err) {
    struct batch *batch = batch_at(pipeline, pipeline->produced); /* only this thread raises it */
    enum wf_status status = decode_into(pipeline->replayer, batch, wal_record, err);
    if (status == WF_OK && (batch->count == BATCH_RECORDS || batch->bytes >= BATCH_BYTES)) {
        status = hand_over(pipeline, err);
    }
    return status;
}

enum wf_status replay_pipeline_finish(struct replay_pipeline *pipeline, struct wf_error *err) {
    pthread_mutex_lock(&pipeline->mutex);
    pipeline->produced++; /* the last batch, full or not */
    pipeline->ended = true;
    pthread_cond_signal(&pipeline->filled);
    pthread_mutex_unlock(&pipeline->mutex);
    pthread_join(pipeline->thread, NULL);
    enum wf_status status = pipeline->status;
    if (status != WF_OK && err != NULL) {
        *err = pipeline->err;
    }
    destroy(pipeline);
    return status;
}
