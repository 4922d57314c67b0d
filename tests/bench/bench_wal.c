/* What the log costs over the bare system calls, measured in the same run: the same bytes appended
 * and synced raw, and through wal/. Medians of RUNS. Usage: bench_wal [directory] */
#include "tests/lib/timing.h"
#include "wal/wal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RUNS = 5,
    PAYLOAD = 250, /* bytes of a record */
    FRAME = 296,   /* what it takes on the disk */
    ONE_COUNT = 1000,
    GROUP = 1024,
    GROUP_COUNT = 100,
    THREADS = 64,
    THREAD_COUNT = 1500, /* records of each thread */
    SCAN_COUNT = 800 * 1000,
};

struct bench {
    char dir[512];
    char path[640];
    struct wal *wal;
    pthread_mutex_t append_mutex;
    uint8_t payload[PAYLOAD];
};

/* --- the bare calls --- */

/* Seconds for `count` writes of `size` bytes, each followed by fdatasync. */
static double raw_run(struct bench *bench, bool preallocated, int count, size_t size) {
    snprintf(bench->path, sizeof bench->path, "%s/raw", bench->dir);
    int fd = open(bench->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *data = malloc(size);
    if (fd < 0 || data == NULL || (preallocated && fallocate(fd, 0, 0, 64 << 20) != 0)) {
        perror(bench->path);
        exit(1);
    }
    memset(data, 'r', size);
    fsync(fd);
    double start = timing_now_s();
    for (int i = 0; i < count; i++) {
        off_t offset = (off_t)((size_t)i * size % (60 << 20));
        if (pwrite(fd, data, size, offset) != (ssize_t)size || fdatasync(fd) != 0) {
            perror(bench->path);
            exit(1);
        }
    }
    double seconds = timing_now_s() - start;
    free(data);
    close(fd);
    unlink(bench->path);
    return seconds;
}

/* --- the log --- */

static void open_wal(struct bench *bench, wal_record_fn on_record, bool make) {
    static const uint8_t id[WAL_STORE_ID_SIZE] = "bench-wal-store";
    struct wf_error err;
    snprintf(bench->path, sizeof bench->path, "%s/wal", bench->dir);
    if (make)
        timing_must(wal_create(io_posix(), bench->path, id, NULL, &err), &err);
    timing_must(
        wal_open(io_posix(), bench->path, NULL, NULL, 0, on_record, NULL, NULL, &bench->wal, &err),
        &err);
}

static void close_wal(struct bench *bench, bool remove) {
    struct wf_error err;
    timing_must(wal_close(bench->wal, &err), &err);
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'", bench->path);
    if (remove && system(command) != 0)
        exit(1);
}

static struct wal_ticket append(struct bench *bench) {
    struct wal_ticket ticket;
    struct wf_error err;
    timing_must(wal_append(bench->wal, bench->payload, PAYLOAD, 0, &ticket, &err), &err);
    return ticket;
}

static void await(struct bench *bench, const struct wal_ticket *ticket) {
    struct wf_error err;
    timing_must(wal_wait(bench->wal, ticket, &err), &err);
}

static double group_run(struct bench *bench, int groups, int group) {
    open_wal(bench, NULL, true);
    double start = timing_now_s();
    for (int i = 0; i < groups; i++) {
        struct wal_ticket ticket = {.lsn = 0};
        for (int j = 0; j < group; j++)
            ticket = append(bench);
        await(bench, &ticket);
    }
    double seconds = timing_now_s() - start;
    close_wal(bench, true);
    return seconds;
}

static void *thread_main(void *arg) {
    struct bench *bench = arg;
    for (int i = 0; i < THREAD_COUNT; i++) {
        pthread_mutex_lock(&bench->append_mutex);
        struct wal_ticket ticket = append(bench);
        pthread_mutex_unlock(&bench->append_mutex);
        await(bench, &ticket);
    }
    return NULL;
}

static double threads_run(struct bench *bench, double *batch) {
    pthread_t threads[THREADS];
    open_wal(bench, NULL, true);
    double start = timing_now_s();
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, thread_main, bench) != 0)
            exit(1);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    double seconds = timing_now_s() - start;
    struct wal_stats stats;
    wal_stats(bench->wal, &stats);
    *batch = (double)stats.records / (double)stats.batches;
    close_wal(bench, true);
    return seconds;
}

static enum wf_status count_record(void *ctx, const struct wal_record *record,
                                   struct wf_error *err) {
    (void)ctx;
    (void)record;
    (void)err;
    return WF_OK;
}

/* --- the table --- */

static void bench_one(struct bench *bench) {
    double growing[RUNS];
    double reserved[RUNS];
    double wal[RUNS];
    for (int run = 0; run < RUNS; run++) {
        growing[run] = raw_run(bench, false, ONE_COUNT, FRAME) / ONE_COUNT;
        reserved[run] = raw_run(bench, true, ONE_COUNT, FRAME) / ONE_COUNT;
        wal[run] = group_run(bench, ONE_COUNT, 1) / ONE_COUNT;
    }
    double raw = timing_median(growing, RUNS);
    double best = timing_median(reserved, RUNS);
    double ours = timing_median(wal, RUNS);
    printf("one at a time       raw %6.1f us, preallocated %6.1f us   wal %6.1f us   %.2f x raw, "
           "%.2f x preallocated\n",
           raw * 1e6, best * 1e6, ours * 1e6, ours / raw, ours / best);
}

static void bench_groups(struct bench *bench) {
    double raw[RUNS];
    double wal[RUNS];
    double records = (double)GROUP * GROUP_COUNT;
    for (int run = 0; run < RUNS; run++) {
        raw[run] = records / raw_run(bench, true, GROUP_COUNT, (size_t)FRAME * GROUP);
        wal[run] = records / group_run(bench, GROUP_COUNT, GROUP);
    }
    printf("groups of %d      raw %9.0f/s   wal %9.0f/s\n", GROUP, timing_median(raw, RUNS),
           timing_median(wal, RUNS));
}

static void bench_threads(struct bench *bench) {
    double wal[RUNS];
    double batch = 0;
    for (int run = 0; run < RUNS; run++)
        wal[run] = THREADS * THREAD_COUNT / threads_run(bench, &batch);
    printf("%d threads waiting  wal %9.0f/s   %.1f records a batch\n", THREADS,
           timing_median(wal, RUNS), batch);
}

static void bench_scan(struct bench *bench) {
    double reader[RUNS];
    double owner[RUNS];
    struct wf_error err;
    open_wal(bench, NULL, true);
    for (int i = 0; i < SCAN_COUNT; i++)
        append(bench);
    close_wal(bench, false);
    for (int run = 0; run < RUNS; run++) {
        double start = timing_now_s();
        timing_must(wal_open_reader(io_posix(), bench->path, NULL, 0, UINT64_MAX, count_record,
                                    NULL, NULL, &bench->wal, &err),
                    &err);
        reader[run] = SCAN_COUNT / (timing_now_s() - start);
        timing_must(wal_close(bench->wal, &err), &err);
        start = timing_now_s();
        timing_must(
            wal_verify(io_posix(), bench->path, 0, UINT64_MAX, count_record, NULL, NULL, &err),
            &err);
        owner[run] = SCAN_COUNT / (timing_now_s() - start);
    }
    double plain = timing_median(reader, RUNS);
    double hashed = timing_median(owner, RUNS);
    printf("scan                %9.0f/s, %.2f GB/s   with Merkle hashing %9.0f/s, %.2f GB/s\n",
           plain, plain * FRAME / 1e9, hashed, hashed * FRAME / 1e9);
    open_wal(bench, NULL, false);
    close_wal(bench, true);
}

int main(int argc, char **argv) {
    struct bench bench = {.wal = NULL};
    const char *base = argc > 1 ? argv[1] : getenv("TMPDIR");
    snprintf(bench.dir, sizeof bench.dir, "%s/wf-bench-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(bench.dir) == NULL) {
        perror(bench.dir);
        return 1;
    }
    memset(bench.payload, 'p', PAYLOAD);
    pthread_mutex_init(&bench.append_mutex, NULL);
    bench_one(&bench);
    bench_groups(&bench);
    bench_threads(&bench);
    bench_scan(&bench);
    rmdir(bench.dir);
    return 0;
}
