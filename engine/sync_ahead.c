/* Records on their way to the disk before anybody waits for them, on a thread of the engine's own:
 * who appends many and then waits finds most of them durable, and what is hashed for the audit tree
 * was hashed on the other processor. The thread is one more that waits for the log's end: who leads
 * a batch, and what a failure means for whom, is the log's business (wal/flight.c). */
#include "engine/engine.h"

/* Bytes appended since the last request that are worth one. A sync costs as much as about 30 KiB
 * more in it do, but on another processor: what counts is how little is left to sync, and how
 * little of a flight to sit out, for whoever then waits. Measured with groups of 150 KiB: 16 KiB
 * give 5 to 10 % more than 48, and 8 no more than 16. */
enum { WORTH_BYTES = 16 * 1024 };

static void *sync_ahead_main(void *ctx) {
    struct wf_engine *engine = ctx;
    struct sync_ahead *ahead = &engine->sync_ahead;
    for (;;) {
        while (sem_wait(&ahead->wanted) != 0) {
            /* interrupted */
        }
        if (atomic_load(&ahead->stopping)) {
            return NULL;
        }
        atomic_store(&ahead->asked, false);
        (void)wal_sync(engine->wal, NULL); /* a failure reaches those whose records it concerns */
    }
}

void sync_ahead_appended(struct wf_engine *engine, uint64_t lsn, size_t size) {
    struct sync_ahead *ahead = &engine->sync_ahead;
    if (!ahead->running) {
        return;
    }
    if (wal_durable_lsn(engine->wal) + 1 >= lsn) {
        ahead->bytes = 0;
    }
    ahead->bytes += size;
    if (ahead->bytes >= WORTH_BYTES && !atomic_exchange(&ahead->asked, true)) {
        ahead->bytes = 0;
        sem_post(&ahead->wanted);
    }
}

enum wf_status sync_ahead_start_thread(struct wf_engine *engine, struct wf_error *err) {
    struct sync_ahead *ahead = &engine->sync_ahead;
    if (sem_init(&ahead->wanted, 0, 0) == 0) {
        ahead->running = thread_start(&ahead->thread, sync_ahead_main, engine);
        if (!ahead->running) {
            sem_destroy(&ahead->wanted);
        }
    }
    return ahead->running
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "the thread that syncs ahead cannot be started");
}

void sync_ahead_stop_thread(struct wf_engine *engine) {
    struct sync_ahead *ahead = &engine->sync_ahead;
    if (!ahead->running) {
        return;
    }
    atomic_store(&ahead->stopping, true);
    sem_post(&ahead->wanted);
    pthread_join(ahead->thread, NULL);
    sem_destroy(&ahead->wanted);
    ahead->running = false;
}
