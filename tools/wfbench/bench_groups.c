/* (b) Durable transitions a second: groups of 1,024 from one thread, and one producer that submits
 * without waiting while a second thread collects the completions. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <pthread.h>
#include <stdlib.h>

enum { GROUPS = 400, GROUPS_QUICK = 5 };

/* A store of a run of its own, so that each starts alike: its loans have only been started. */
static struct wf_engine *open_run(struct bench *bench, uint64_t transitions, char dir[PATH_MAX]) {
    struct wf_options options;
    bench_options(&options);
    struct wf_engine *engine = bench_store_create(bench_path(dir, bench->dir, "run"), &options);
    uint64_t block = BENCH_GROUP * (LOAN_COMMANDS - 1);
    bench_load(engine, "L", 0, (transitions + block - 1) / block * BENCH_GROUP, 0, 1);
    return engine;
}

static void enqueue_at(struct wf_engine *engine, uint64_t index, struct wf_pending *pending) {
    uint64_t loan;
    unsigned command;
    struct loan_sample sample;
    struct wf_error err;
    bench_stream_at(index, &loan, &command);
    loan_sample_command(&sample, "L", loan, command);
    bench_check(wf_enqueue(engine, &sample.command, pending, &err), &err, "enqueue");
}

static void run_groups(struct wf_engine *engine, uint64_t transitions) {
    struct wf_pending *group = malloc(BENCH_GROUP * sizeof *group);
    if (group == NULL)
        bench_die("no memory");
    struct wf_error err;
    for (uint64_t at = 0; at < transitions; at += BENCH_GROUP) {
        for (size_t i = 0; i < BENCH_GROUP; i++)
            enqueue_at(engine, at + i, &group[i]);
        /* The last one's wait makes all durable; the others' only tell what they came to. */
        for (size_t i = BENCH_GROUP; i-- > 0;)
            bench_check(wf_wait(engine, &group[i], NULL, &err), &err, "submit");
    }
    free(group);
}

/* A ring between producer and collector. Both publish their places in steps, so that they rarely
 * meet at the lock. */
enum { RING = 8192, STEP = 128 };
struct ring {
    struct wf_engine *engine;
    struct wf_pending *slots; /* RING */
    uint64_t transitions;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t produced, collected; /* under the lock */
};

static void publish(struct ring *ring, uint64_t *place, uint64_t value) {
    pthread_mutex_lock(&ring->lock);
    *place = value;
    pthread_cond_signal(&ring->moved);
    pthread_mutex_unlock(&ring->lock);
}

static void *collect(void *ctx) {
    struct ring *ring = ctx;
    struct wf_error err;
    uint64_t at = 0;
    while (at < ring->transitions) {
        pthread_mutex_lock(&ring->lock);
        while (ring->produced == at)
            pthread_cond_wait(&ring->moved, &ring->lock);
        uint64_t end = ring->produced;
        pthread_mutex_unlock(&ring->lock);
        while (at < end) {
            bench_check(wf_wait(ring->engine, &ring->slots[at % RING], NULL, &err), &err, "submit");
            if (++at % STEP == 0 || at == end)
                publish(ring, &ring->collected, at);
        }
    }
    return NULL;
}

static void produce(struct ring *ring) {
    for (uint64_t at = 0; at < ring->transitions;) {
        pthread_mutex_lock(&ring->lock);
        while (at + STEP > ring->collected + RING)
            pthread_cond_wait(&ring->moved, &ring->lock);
        pthread_mutex_unlock(&ring->lock);
        for (uint64_t end = at + STEP; at < end; at++)
            enqueue_at(ring->engine, at, &ring->slots[at % RING]);
        publish(ring, &ring->produced, at);
    }
}

static void run_producer(struct wf_engine *engine, uint64_t transitions) {
    struct ring ring = {
        .engine = engine,
        .transitions = transitions,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .moved = PTHREAD_COND_INITIALIZER,
        .slots = malloc(RING * sizeof *ring.slots),
    };
    pthread_t collector;
    if (ring.slots == NULL || pthread_create(&collector, NULL, collect, &ring) != 0)
        bench_die("no memory");
    produce(&ring);
    pthread_join(collector, NULL);
    free(ring.slots);
}

static void measure(struct bench *bench, struct bench_row *row,
                    void (*run)(struct wf_engine *engine, uint64_t transitions)) {
    const uint64_t groups = bench->quick ? GROUPS_QUICK : GROUPS;
    const uint64_t transitions = groups * BENCH_GROUP;
    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(row->name, i + 1, bench->runs);
        char dir[PATH_MAX];
        struct wf_engine *engine = open_run(bench, transitions, dir);
        uint64_t before = bench_log_bytes(engine);
        uint64_t start = bench_now_ns();
        run(engine, transitions);
        uint64_t engine_ns = bench_now_ns() - start;
        size_t group_bytes = (size_t)((bench_log_bytes(engine) - before) / groups);
        bench_store_close(engine);
        bench_remove(dir);

        uint64_t raw_ns = bench_raw_groups(bench, groups, group_bytes);
        bench_row_run(row, (double)transitions * 1e9 / (double)engine_ns,
                      (double)transitions * 1e9 / (double)raw_ns);
        snprintf(row->note, sizeof row->note, "%zu bytes a record; raw in groups of %d",
                 group_bytes / BENCH_GROUP, BENCH_GROUP);
    }
}

static struct bench_row *add_row(struct bench *bench, const char *name, const char *title) {
    return bench_row_add(bench, &(struct bench_row){
                                    .figure = "b",
                                    .name = name,
                                    .title = title,
                                    .unit = "/s",
                                    .baseline = "raw",
                                    .better = BENCH_HIGHER,
                                    .judged = BENCH_BY_VALUE,
                                    .floor = 300e3,
                                    .goal = 1e6,
                                });
}

void bench_groups(struct bench *bench) {
    measure(bench, add_row(bench, "groups", "groups of 1,024, one thread"), run_groups);
}

void bench_producer(struct bench *bench) {
    measure(bench, add_row(bench, "producer", "one producer, one collector"), run_producer);
}
