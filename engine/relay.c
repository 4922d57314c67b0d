#include "engine/relay.h"

#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCHES = 4,
    BATCH_ITEMS = 256,
    BATCH_BYTES = 256 * 1024,
    PIPE_AFTER_RECORDS = 4096, /* a thread costs more than it wins before */
};

struct item {
    struct wal_record record;    /* its payload and hash are in the arena … */
    struct wal_finding *finding; /* … and so is this; NULL: a record */
};

struct batch {
    struct codec_arena arena;
    struct item items[BATCH_ITEMS];
    size_t count, bytes;
};

struct relay_pipe {
    struct relay *relay;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the members up to `batches` */
    pthread_cond_t filled, emptied;
    uint64_t produced, consumed; /* batches so far; produced - consumed <= BATCHES */
    bool ended;
    enum wf_status status; /* the callbacks' first failure */
    struct wf_error err;
    struct batch batches[BATCHES]; /* batch n is at n % BATCHES, and belongs to one side */
};

/* --- the other side --- */

static enum wf_status give(const struct relay *relay, const struct batch *batch,
                           struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (size_t i = 0; status == WF_OK && i < batch->count; i++) {
        const struct item *item = &batch->items[i];
        status = item->finding != NULL ? relay->on_finding(relay->ctx, item->finding, err)
                                       : relay->on_record(relay->ctx, &item->record, err);
    }
    return status;
}

static void *give_main(void *ctx) {
    struct relay_pipe *pipe = ctx;
    pthread_mutex_lock(&pipe->mutex);
    for (;;) {
        while (pipe->consumed == pipe->produced && !pipe->ended) {
            pthread_cond_wait(&pipe->filled, &pipe->mutex);
        }
        if (pipe->consumed == pipe->produced) {
            break;
        }
        const struct batch *batch = &pipe->batches[pipe->consumed % BATCHES];
        bool failed = pipe->status != WF_OK;
        pthread_mutex_unlock(&pipe->mutex);
        struct wf_error err = {.status = WF_OK};
        enum wf_status status = failed ? WF_OK : give(pipe->relay, batch, &err);
        pthread_mutex_lock(&pipe->mutex);
        if (status != WF_OK) {
            pipe->status = status;
            pipe->err = err;
        }
        pipe->consumed++;
        pthread_cond_signal(&pipe->emptied);
    }
    pthread_mutex_unlock(&pipe->mutex);
    return NULL;
}

/* --- the walk's side --- */

static void destroy(struct relay_pipe *pipe) {
    for (size_t i = 0; i < BATCHES; i++) {
        codec_arena_deinit(&pipe->batches[i].arena);
    }
    pthread_cond_destroy(&pipe->emptied);
    pthread_cond_destroy(&pipe->filled);
    pthread_mutex_destroy(&pipe->mutex);
    free(pipe);
}

static struct relay_pipe *create(struct relay *relay) {
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        return NULL;
    }
    struct relay_pipe *pipe = malloc(sizeof(*pipe));
    if (pipe == NULL) {
        return NULL;
    }
    memset(pipe, 0, offsetof(struct relay_pipe, batches));
    pipe->relay = relay;
    for (size_t i = 0; i < BATCHES; i++) {
        codec_arena_init(&pipe->batches[i].arena);
        pipe->batches[i].count = pipe->batches[i].bytes = 0;
    }
    pthread_mutex_init(&pipe->mutex, NULL);
    pthread_cond_init(&pipe->filled, NULL);
    pthread_cond_init(&pipe->emptied, NULL);
    if (!thread_start(&pipe->thread, give_main, pipe)) {
        destroy(pipe);
        return NULL;
    }
    return pipe;
}

/* Give the batch that is being filled to the other side, and wait for an empty one. */
static enum wf_status hand_over(struct relay_pipe *pipe, struct wf_error *err) {
    pthread_mutex_lock(&pipe->mutex);
    pipe->produced++;
    pthread_cond_signal(&pipe->filled);
    while (pipe->produced - pipe->consumed == BATCHES) {
        pthread_cond_wait(&pipe->emptied, &pipe->mutex);
    }
    enum wf_status status = pipe->status;
    if (status != WF_OK && err != NULL) {
        *err = pipe->err;
    }
    pthread_mutex_unlock(&pipe->mutex);
    struct batch *batch = &pipe->batches[pipe->produced % BATCHES];
    codec_arena_reset(&batch->arena);
    batch->count = batch->bytes = 0;
    return status;
}

static void *copy(struct batch *batch, const void *from, size_t size) {
    void *to = codec_arena_alloc(&batch->arena, size + 1);
    if (to != NULL && size > 0) {
        memcpy(to, from, size);
    }
    batch->bytes += size;
    return to;
}

static enum wf_status no_memory(struct wf_error *err) {
    return error_set(err, WF_NO_MEMORY, "no memory to read the trail");
}

static struct batch *filling(struct relay_pipe *pipe) {
    return &pipe->batches[pipe->produced % BATCHES]; /* only this side raises it */
}

static enum wf_status added(struct relay_pipe *pipe, struct wf_error *err) {
    struct batch *batch = filling(pipe);
    batch->count++;
    return batch->count == BATCH_ITEMS || batch->bytes >= BATCH_BYTES ? hand_over(pipe, err)
                                                                      : WF_OK;
}

static enum wf_status push_record(struct relay_pipe *pipe, const struct wal_record *record,
                                  struct wf_error *err) {
    struct batch *batch = filling(pipe);
    struct item *item = &batch->items[batch->count];
    const uint8_t *payload = copy(batch, record->payload.data, record->payload.size);
    const uint8_t *leaf = record->leaf == NULL ? NULL : copy(batch, record->leaf, WAL_HASH_SIZE);
    if (payload == NULL || (record->leaf != NULL && leaf == NULL)) {
        return no_memory(err);
    }
    *item = (struct item){.record = *record};
    item->record.payload.data = payload;
    item->record.leaf = leaf;
    return added(pipe, err);
}

static enum wf_status push_finding(struct relay_pipe *pipe, const struct wal_finding *finding,
                                   struct wf_error *err) {
    struct batch *batch = filling(pipe);
    struct wal_finding *kept = copy(batch, finding, sizeof(*finding));
    const uint8_t *remains = copy(batch, finding->remains.data, finding->remains.size);
    if (kept == NULL || remains == NULL) {
        return no_memory(err);
    }
    kept->remains.data = remains;
    batch->items[batch->count] = (struct item){.finding = kept};
    return added(pipe, err);
}

void relay_init(struct relay *relay, wal_record_fn on_record, wal_finding_fn on_finding,
                void *ctx) {
    *relay = (struct relay){.on_record = on_record, .on_finding = on_finding, .ctx = ctx};
}

enum wf_status relay_record(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct relay *relay = ctx;
    if (relay->pipe != NULL) {
        return push_record(relay->pipe, record, err);
    }
    if (++relay->records == PIPE_AFTER_RECORDS) {
        relay->pipe = create(relay);
        if (relay->pipe != NULL) {
            return push_record(relay->pipe, record, err);
        }
    }
    return relay->on_record(relay->ctx, record, err);
}

enum wf_status relay_finding(void *ctx, const struct wal_finding *finding, struct wf_error *err) {
    struct relay *relay = ctx;
    return relay->pipe != NULL ? push_finding(relay->pipe, finding, err)
                               : relay->on_finding(relay->ctx, finding, err);
}

enum wf_status relay_finish(struct relay *relay, enum wf_status status, struct wf_error *err) {
    struct relay_pipe *pipe = relay->pipe;
    if (pipe == NULL) {
        return status;
    }
    pthread_mutex_lock(&pipe->mutex);
    pipe->produced++; /* the last batch, full or not */
    pipe->ended = true;
    pthread_cond_signal(&pipe->filled);
    pthread_mutex_unlock(&pipe->mutex);
    pthread_join(pipe->thread, NULL);
    if (status == WF_OK && pipe->status != WF_OK) {
        status = pipe->status;
        if (err != NULL) {
            *err = pipe->err;
        }
    }
    destroy(pipe);
    relay->pipe = NULL;
    return status;
}
