/* (a) One thread, one durable transition at a time: what the engine adds to the disk's own latency.
 */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

/* Engine and disk take turns in slices within a run too: the disk's mood changes within seconds. A
 * run's value is the mean latency of its median slice. */
enum { SLICES = 10, SLICE = 250, SLICE_QUICK = 10 };

/* Execute `count` transitions from `*at` on; returns the nanoseconds. */
static uint64_t engine_slice(struct wf_engine *engine, uint64_t *at, uint64_t count) {
    struct wf_error err;
    uint64_t start = bench_now_ns();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t loan;
        unsigned index;
        struct loan_sample sample;
        bench_stream_at((*at)++, &loan, &index);
        loan_sample_command(&sample, "L", loan, index);
        bench_check(wf_execute(engine, &sample.command, NULL, &err), &err, "submit");
    }
    return bench_now_ns() - start;
}

static uint64_t raw_slice(struct bench_raw *raw, size_t size, uint64_t count) {
    uint64_t start = bench_now_ns();
    for (uint64_t i = 0; i < count; i++)
        bench_raw_append(raw, size);
    return bench_now_ns() - start;
}

void bench_single(struct bench *bench) {
    const uint64_t slice = bench->quick ? SLICE_QUICK : SLICE;
    const uint64_t transitions = slice * (SLICES * bench->runs + 1);
    struct wf_options options;
    char dir[PATH_MAX];
    bench_options(&options);
    struct wf_engine *engine = bench_store_create(bench_path(dir, bench->dir, "single"), &options);
    /* Whole blocks of the stream: all loans that the transitions touch. */
    uint64_t block = BENCH_GROUP * (LOAN_COMMANDS - 1);
    bench_load(engine, "L", 0, (transitions + block - 1) / block * BENCH_GROUP, 0, 1);

    /* The first slice warms up, and tells how long a record is. */
    uint64_t at = 0;
    uint64_t before = bench_log_bytes(engine);
    engine_slice(engine, &at, slice);
    size_t record = (size_t)((bench_log_bytes(engine) - before) / slice);

    struct bench_raw raw;
    bench_raw_open(&raw, bench->dir, 64 << 20);
    raw_slice(&raw, record, slice);

    struct bench_row *row = bench_row_add(bench, &(struct bench_row){
                                                     .figure = "a",
                                                     .name = "single",
                                                     .title = "one durable transition at a time",
                                                     .unit = "µs",
                                                     .baseline = "raw",
                                                     .better = BENCH_LOWER,
                                                     .judged = BENCH_BY_RATIO,
                                                     .floor = 1.25,
                                                     .goal = 1.1,
                                                 });
    snprintf(row->note, sizeof row->note, "%zu bytes a record", record);
    for (size_t run = 0; run < bench->runs; run++) {
        bench_progress("single", run + 1, bench->runs);
        double engine_us[SLICES], raw_us[SLICES];
        for (unsigned i = 0; i < SLICES; i++) {
            engine_us[i] = (double)engine_slice(engine, &at, slice) / (double)slice / 1e3;
            raw_us[i] = (double)raw_slice(&raw, record, slice) / (double)slice / 1e3;
        }
        bench_row_run(row, bench_percentile(engine_us, SLICES, 0.5),
                      bench_percentile(raw_us, SLICES, 0.5));
    }
    bench_raw_close(&raw);
    bench_store_close(engine);
    bench_remove(dir);
}
