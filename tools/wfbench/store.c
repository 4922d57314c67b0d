/* Stores full of loans, and the room they take on the disk. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *bench_path(char path[PATH_MAX], const char *dir, const char *name) {
    if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
        bench_die("%s/%s: the path is too long", dir, name);
    return path;
}

/* A clock that goes on from one process to the next and is a hundred times slower than the
 * machine's: on that one a stage's 30 seconds pass while a million loans are made, it times out,
 * and the loan takes no further step. Deadlines are kept in order all the same. */
static int64_t slow_now_ms(void *ctx) {
    static const int64_t begin_ms = INT64_C(1767225600000); /* 2026-01-01 */
    struct timespec now;
    (void)ctx;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return begin_ms + ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000) / 100;
}

void bench_options(struct wf_options *options) {
    wf_options_init(options);
    options->background_snapshots = true;
    options->background_sync = true;
    options->clock = WF_CLOCK_HOST;
    options->now_ms = slow_now_ms;
}

struct wf_engine *bench_store_open(const char *dir, const struct wf_options *options) {
    struct wf_error err;
    struct wf_engine *engine;
    bench_check(wf_open(dir, options, &engine, &err), &err, dir);
    return engine;
}

struct wf_engine *bench_store_create(const char *dir, const struct wf_options *options) {
    struct wf_options create = *options;
    create.create = true;
    struct wf_engine *engine = bench_store_open(dir, &create);
    struct wf_command command = {
        .kind = WF_DEFINITION_ADD,
        .text = workflows_loan_loan_application_yaml,
        .text_name = "loan_application.yaml",
    };
    struct wf_error err;
    bench_check(wf_execute(engine, &command, NULL, &err), &err, "loan_application");
    return engine;
}

void bench_store_close(struct wf_engine *engine) {
    struct wf_error err;
    bench_check(wf_close(engine, &err), &err, "close");
}

void bench_load(struct wf_engine *engine, const char *prefix, uint64_t first, uint64_t count,
                unsigned from, unsigned to) {
    struct wf_pending *group = malloc(BENCH_GROUP * sizeof *group);
    if (group == NULL)
        bench_die("no memory");
    struct wf_error err;
    for (uint64_t done = 0; done < count; done += BENCH_GROUP) {
        size_t size = count - done < BENCH_GROUP ? (size_t)(count - done) : BENCH_GROUP;
        for (unsigned index = from; index < to; index++) {
            for (size_t i = 0; i < size; i++) {
                struct loan_sample sample;
                loan_sample_command(&sample, prefix, first + done + i, index);
                bench_check(wf_enqueue(engine, &sample.command, &group[i], &err), &err, "enqueue");
            }
            for (size_t i = 0; i < size; i++)
                bench_check(wf_wait(engine, &group[i], NULL, &err), &err,
                            index == 0 ? "start" : loan_sample_step(index));
        }
    }
    free(group);
}

void bench_stream_at(uint64_t index, uint64_t *loan, unsigned *command) {
    enum { BLOCK = BENCH_GROUP * (LOAN_COMMANDS - 1) };
    uint64_t in_block = index % BLOCK;
    *loan = index / BLOCK * BENCH_GROUP + in_block % BENCH_GROUP;
    *command = 1 + (unsigned)(in_block / BENCH_GROUP);
}

static void read_status(struct wf_engine *engine, struct wf_store_status *status) {
    struct wf_error err;
    bench_check(wf_status_get(engine, false, status, &err), &err, "status");
}

uint64_t bench_log_bytes(struct wf_engine *engine) {
    struct wf_store_status status;
    read_status(engine, &status);
    return status.log_bytes;
}

uint64_t bench_snapshot_lsn(struct wf_engine *engine) {
    struct wf_store_status status;
    read_status(engine, &status);
    return status.snapshot_lsn;
}

typedef void (*visit_fn)(void *ctx, const char *path, const struct stat *info);

/* Everything below `dir`, children before their folder. */
static void walk(const char *dir, visit_fn visit, void *ctx) {
    DIR *names = opendir(dir);
    if (names == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(names)) != NULL;) {
        char path[PATH_MAX];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            lstat(bench_path(path, dir, entry->d_name), &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            walk(path, visit, ctx);
        visit(ctx, path, &info);
    }
    closedir(names);
}

static void add_usage(void *ctx, const char *path, const struct stat *info) {
    struct bench_disk *disk = ctx;
    (void)path;
    disk->allocated += (uint64_t)info->st_blocks * 512;
    disk->apparent += S_ISREG(info->st_mode) ? (uint64_t)info->st_size : 0;
}

struct bench_disk bench_disk_usage(const char *dir) {
    struct bench_disk disk = {0};
    walk(dir, add_usage, &disk);
    return disk;
}

static void remove_one(void *ctx, const char *path, const struct stat *info) {
    (void)ctx;
    if (S_ISDIR(info->st_mode))
        rmdir(path);
    else
        unlink(path);
}

void bench_remove(const char *dir) {
    walk(dir, remove_one, NULL);
    rmdir(dir);
}

enum { MILLION = 1000000, MILLION_QUICK = 5000 };

uint64_t bench_million(struct bench *bench, char path[PATH_MAX]) {
    uint64_t loans = bench->quick ? MILLION_QUICK : MILLION;
    bench_path(path, bench->dir, "million");
    if (bench->million.count > 0)
        return loans;
    bench_progress("a store of many workflows", 1, 1);
    char count[24];
    snprintf(count, sizeof count, "%llu", (unsigned long long)loans);
    bench_worker_run(bench, "million", (const char *const[]){path, count, NULL}, &bench->million);
    return loans;
}

uint64_t bench_million_take(struct bench *bench, uint64_t count) {
    uint64_t first = bench->million_used;
    bench->million_used += count;
    if (bench->million_used > (bench->quick ? MILLION_QUICK : MILLION))
        bench_die("too many runs for one store of a million workflows; take fewer with --runs");
    return first;
}
