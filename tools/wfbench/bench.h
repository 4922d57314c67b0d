/* The parts of wfbench: rows of its table, the raw disk that every figure is measured against,
 * stores full of loans, and workers (this program again, as a process of its own). Each figure is
 * one function in a file bench_<name>.c. What fails is told on stderr and ends the program: a
 * benchmark has nothing to save. */
#ifndef WFBENCH_BENCH_H
#define WFBENCH_BENCH_H

#include "engine/wf.h"

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    BENCH_RUNS_MAX = 99,
    BENCH_ROWS_MAX = 48,
    BENCH_GROUP = 1024, /* commands in a group */
};

/* --- rows --- */

enum bench_better { BENCH_LOWER, BENCH_HIGHER };
enum bench_judged { BENCH_NOT_JUDGED, BENCH_BY_VALUE, BENCH_BY_RATIO };

/* One line of the table. The strings are literals. */
struct bench_row {
    const char *figure;   /* letter of the figure, "a" */
    const char *name;     /* in JSON, "single" */
    const char *title;    /* in the table */
    const char *unit;     /* of values and baselines: "µs", "ms", "/s", "MiB", "B" */
    const char *baseline; /* what it is measured against, "raw"; NULL: nothing */
    enum bench_better better;
    enum bench_judged judged;
    double floor, goal; /* of the value or the ratio, see `judged`; 0: none */
    size_t runs;
    double values[BENCH_RUNS_MAX];
    double baselines[BENCH_RUNS_MAX];
    char note[160]; /* what a reader should know; "" for nothing */
};

/* What a worker printed (see below): lines "name=number". */
enum { BENCH_ANSWERS_MAX = 16 };

struct bench_answers {
    size_t count;
    struct {
        char name[32];
        double value;
    } items[BENCH_ANSWERS_MAX];
};

struct bench {
    size_t runs;
    bool quick;             /* small sizes: shows that everything works, measures nothing */
    const char *dir;        /* the folder to work in */
    char self[PATH_MAX];    /* this program */
    char wfctl[PATH_MAX];   /* wfctl, for `exec` */
    struct bench_row *rows; /* BENCH_ROWS_MAX */
    size_t row_count;
    struct bench_answers million; /* of the worker that made bench_million(); count 0: not yet */
    uint64_t million_used;        /* loans of it that are no longer in their first stage */
};

/* Add a row like `like`, whose runs are still empty. */
struct bench_row *bench_row_add(struct bench *bench, const struct bench_row *like);
/* Add a run to a row. `baseline` 0 where it has none. */
void bench_row_run(struct bench_row *row, double value, double baseline);
double bench_row_value(const struct bench_row *row);    /* median */
double bench_row_baseline(const struct bench_row *row); /* median; 0: none */
double bench_row_ratio(
    const struct bench_row *row); /* median of the runs' ratios; 0: no baseline */
double bench_row_ratio_at(const struct bench_row *row, size_t run);
double bench_row_spread(
    const struct bench_row *row); /* (largest - smallest) / median of the values */
/* What is judged reaches `limit` (the floor or the goal); true for a limit of 0. */
bool bench_row_reaches(const struct bench_row *row, double limit);

/* Sorts in place. `part` in 0..1: 0.5 is the median, 1 the largest. */
double bench_percentile(double *values, size_t count, double part);

void bench_print_table(const struct bench *bench, FILE *out);
void bench_print_json(const struct bench *bench, FILE *out);

/* --- time, failure, progress --- */

uint64_t bench_now_ns(void); /* CLOCK_MONOTONIC: the same in all processes */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Ends the program unless `status` is WF_OK. */
void bench_check(enum wf_status status, const struct wf_error *err, const char *what);
/* "what 3/5" on stderr, where that is a terminal; rubbed out by bench_progress_end(). */
void bench_progress(const char *what, size_t at, size_t of);
void bench_progress_end(void);

/* --- the raw disk --- */

/* A preallocated file that is appended to with plain system calls. */
struct bench_raw {
    int fd;
    uint64_t offset, size; /* bytes written, reserved */
    char *data;
    size_t data_size;
    char path[PATH_MAX];
};
void bench_raw_open(struct bench_raw *raw, const char *dir, uint64_t size);
/* Append that many bytes with one pwrite and one fdatasync; begins anew at the file's end. */
void bench_raw_append(struct bench_raw *raw, size_t size);
void bench_raw_close(struct bench_raw *raw); /* removes the file */
/* Nanoseconds for so many appends of `size` bytes each, to a new file with room for all. */
uint64_t bench_raw_groups(const struct bench *bench, uint64_t groups, size_t size);
/* Read every file of a folder with read(2); returns the bytes. */
uint64_t bench_raw_read_all(const char *dir);

/* --- stores --- */

/* Options of every figure, unless it says otherwise: the defaults, snapshots in the background. */
void bench_options(struct wf_options *options);
/* A new store with the loan application's definition. */
struct wf_engine *bench_store_create(const char *dir, const struct wf_options *options);
struct wf_engine *bench_store_open(const char *dir, const struct wf_options *options);
void bench_store_close(struct wf_engine *engine);
/* Execute the commands `from`..`to` - 1 (see loan_sample_command) of `count` loans, in groups. */
void bench_load(struct wf_engine *engine, const char *prefix, uint64_t first, uint64_t count,
                unsigned from, unsigned to);
/* Transition `index` of a stream of them in which groups of BENCH_GROUP loans advance side by side.
 */
void bench_stream_at(uint64_t index, uint64_t *loan, unsigned *command);
uint64_t bench_log_bytes(struct wf_engine *engine);
uint64_t bench_snapshot_lsn(struct wf_engine *engine);
struct bench_disk {
    uint64_t allocated, apparent; /* bytes of st_blocks, of st_size */
};
struct bench_disk bench_disk_usage(const char *dir);
void bench_remove(const char *dir); /* with all that is in it */
/* "dir/name" in a buffer of PATH_MAX. */
char *bench_path(char path[PATH_MAX], const char *dir, const char *name);

/* The store of 1,000,000 loans that wait for the credit bureau, closed. Made at the first call, by
 * a worker with a bound of 256 MiB. Returns its size in loans; `path` receives the folder. */
uint64_t bench_million(struct bench *bench, char path[PATH_MAX]);
/* `count` of its loans that are still in their first stage; returns the first's number. Never
 * hands out a loan twice. */
uint64_t bench_million_take(struct bench *bench, uint64_t count);

/* --- workers --- */

struct bench_worker {
    const char *name;
    pid_t pid;
    FILE *out;
    uint64_t started_ns; /* before the process was made */
};
/* Run this program as `wfbench --worker NAME ARGS…`; `args` ends with NULL. */
void bench_worker_start(const struct bench *bench, struct bench_worker *worker, const char *name,
                        const char *const *args);
/* Wait for the line "ready". */
void bench_worker_ready(struct bench_worker *worker);
void bench_worker_kill(struct bench_worker *worker); /* SIGKILL */
/* Read what it prints until it exits; ends the program when it failed. */
void bench_worker_finish(struct bench_worker *worker, struct bench_answers *answers);
void bench_worker_run(const struct bench *bench, const char *name, const char *const *args,
                      struct bench_answers *answers);
double bench_answer(const struct bench_answers *answers, const char *name);
/* The worker's side. */
void bench_answer_print(const char *name, double value);
int bench_worker_main(const char *name, int argc, char **argv);

/* Bodies of workers, beside the figures that use them. argv[0] is the store's folder. */
int bench_worker_million(int argc, char **argv);
int bench_worker_open(int argc, char **argv);
int bench_worker_tail(int argc, char **argv);
int bench_worker_memory(int argc, char **argv);
int bench_worker_wait(int argc, char **argv);
int bench_worker_answer(int argc, char **argv);
int bench_worker_raw(int argc, char **argv);
int bench_worker_trail(int argc, char **argv);
int bench_worker_archive(int argc, char **argv);

/* --- figures --- */

void bench_single(struct bench *bench);
void bench_groups(struct bench *bench);
void bench_producer(struct bench *bench);
void bench_threads(struct bench *bench);
void bench_exec(struct bench *bench);
void bench_replay(struct bench *bench);
void bench_reopen(struct bench *bench);
void bench_memory(struct bench *bench);
void bench_waiting(struct bench *bench);
void bench_snapshots(struct bench *bench);
void bench_archive(struct bench *bench);
void bench_ledger(struct bench *bench);
void bench_timers(struct bench *bench);
void bench_rollback(struct bench *bench);

#endif
