/* (k) Durable rollbacks a second: four completed stages undone by one command each, in groups of
 * 1,024. */
#include "tools/wfbench/bench.h"

#include <stdlib.h>

enum { GROUPS = 100, GROUPS_QUICK = 2 };

static const char yaml[] = "workflow: four\nversion: 1\n"
                           "steps:\n"
                           "  s1: {completes: a}\n  s2: {completes: b}\n"
                           "  s3: {completes: c}\n  s4: {completes: d}\n"
                           "stages:\n"
                           "  - {name: a, timeout: 1d}\n"
                           "  - {name: b, needs: [a], timeout: 1d}\n"
                           "  - {name: c, needs: [b], timeout: 1d}\n"
                           "  - {name: d, needs: [c], timeout: 1d}\n";

static void run_group(struct wf_engine *engine, const struct wf_command *like, uint64_t first,
                      struct wf_pending *group) {
    struct wf_error err;
    for (size_t i = 0; i < BENCH_GROUP; i++) {
        char id[24];
        snprintf(id, sizeof id, "W%llu", (unsigned long long)(first + i));
        struct wf_command command = *like;
        command.id = id;
        bench_check(wf_enqueue(engine, &command, &group[i], &err), &err, "enqueue");
    }
    for (size_t i = BENCH_GROUP; i-- > 0;)
        bench_check(wf_wait(engine, &group[i], NULL, &err), &err, "wait");
}

/* All of them completed. */
static struct wf_engine *create(const struct bench *bench, uint64_t groups, char dir[PATH_MAX],
                                struct wf_pending *group) {
    static const char *const steps[] = {"s1", "s2", "s3", "s4"};
    struct wf_options options;
    struct wf_error err;
    bench_options(&options);
    struct wf_engine *engine =
        bench_store_create(bench_path(dir, bench->dir, "rollback"), &options);
    struct wf_command add = {.kind = WF_DEFINITION_ADD, .text = yaml};
    bench_check(wf_execute(engine, &add, NULL, &err), &err, "definition");
    for (uint64_t at = 0; at < groups; at++) {
        run_group(engine, &(struct wf_command){.kind = WF_WORKFLOW_START, .type = "four"},
                  at * BENCH_GROUP, group);
        for (size_t i = 0; i < 4; i++)
            run_group(engine, &(struct wf_command){.kind = WF_WORKFLOW_SUBMIT, .step = steps[i]},
                      at * BENCH_GROUP, group);
    }
    return engine;
}

void bench_rollback(struct bench *bench) {
    struct bench_row *row =
        bench_row_add(bench, &(struct bench_row){.figure = "k",
                                                 .name = "rollback",
                                                 .title = "rollbacks of four stages, groups",
                                                 .unit = "/s",
                                                 .baseline = "raw",
                                                 .better = BENCH_HIGHER,
                                                 .judged = BENCH_BY_VALUE,
                                                 .floor = 100e3});
    static const struct wf_command back = {
        .kind = WF_WORKFLOW_ROLLBACK, .stage = "a", .reason = "again", .actor = "bench"};
    const uint64_t groups = bench->quick ? GROUPS_QUICK : GROUPS;
    struct wf_pending *group = malloc(BENCH_GROUP * sizeof *group);
    if (group == NULL)
        bench_die("no memory");
    for (size_t i = 0; i < bench->runs; i++) {
        char dir[PATH_MAX];
        bench_progress(row->name, i + 1, bench->runs);
        struct wf_engine *engine = create(bench, groups, dir, group);
        uint64_t before = bench_log_bytes(engine);
        uint64_t start = bench_now_ns();
        for (uint64_t at = 0; at < groups; at++)
            run_group(engine, &back, at * BENCH_GROUP, group);
        double engine_s = (double)(bench_now_ns() - start) / 1e9;
        size_t group_bytes = (size_t)((bench_log_bytes(engine) - before) / groups);
        bench_store_close(engine);
        bench_remove(dir);

        double raw_s = (double)bench_raw_groups(bench, groups, group_bytes) / 1e9;
        double count = (double)(groups * BENCH_GROUP);
        bench_row_run(row, count / engine_s, count / raw_s);
        snprintf(row->note, sizeof row->note, "%zu bytes a record; raw in groups of %d",
                 group_bytes / BENCH_GROUP, BENCH_GROUP);
    }
    free(group);
}
