/* Rows and their statistics; time, failure and progress. */
#include "tools/wfbench/bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double part) {
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare_doubles);
    if (part == 0.5 && count % 2 == 0)
        return (values[count / 2 - 1] + values[count / 2]) / 2;
    size_t index = (size_t)(part * (double)count);
    return values[index < count ? index : count - 1];
}

static double median(const double *values, size_t count) {
    double copy[BENCH_RUNS_MAX];
    memcpy(copy, values, count * sizeof *copy);
    return bench_percentile(copy, count, 0.5);
}

struct bench_row *bench_row_add(struct bench *bench, const struct bench_row *like) {
    if (bench->row_count == BENCH_ROWS_MAX)
        bench_die("more than %d rows", BENCH_ROWS_MAX);
    struct bench_row *row = &bench->rows[bench->row_count++];
    *row = *like;
    return row;
}

void bench_row_run(struct bench_row *row, double value, double baseline) {
    if (row->runs == BENCH_RUNS_MAX)
        bench_die("more than %d runs", BENCH_RUNS_MAX);
    row->values[row->runs] = value;
    row->baselines[row->runs] = baseline;
    row->runs++;
}

double bench_row_value(const struct bench_row *row) {
    return median(row->values, row->runs);
}

double bench_row_baseline(const struct bench_row *row) {
    return row->baseline != NULL ? median(row->baselines, row->runs) : 0;
}

double bench_row_ratio_at(const struct bench_row *row, size_t run) {
    return row->baselines[run] > 0 ? row->values[run] / row->baselines[run] : 0;
}

double bench_row_ratio(const struct bench_row *row) {
    if (row->baseline == NULL)
        return 0;
    double ratios[BENCH_RUNS_MAX];
    for (size_t i = 0; i < row->runs; i++)
        ratios[i] = bench_row_ratio_at(row, i);
    return median(ratios, row->runs);
}

double bench_row_spread(const struct bench_row *row) {
    double copy[BENCH_RUNS_MAX];
    memcpy(copy, row->values, row->runs * sizeof *copy);
    double middle = bench_percentile(copy, row->runs, 0.5);
    return row->runs > 1 && middle > 0 ? (copy[row->runs - 1] - copy[0]) / middle : 0;
}

bool bench_row_reaches(const struct bench_row *row, double limit) {
    if (limit == 0 || row->judged == BENCH_NOT_JUDGED)
        return true;
    double value = row->judged == BENCH_BY_RATIO ? bench_row_ratio(row) : bench_row_value(row);
    return row->better == BENCH_LOWER ? value <= limit : value >= limit;
}

uint64_t bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    bench_progress_end();
    fputs("wfbench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void bench_check(enum wf_status status, const struct wf_error *err, const char *what) {
    if (status != WF_OK)
        bench_die("%s: %s (%s)", what, err->text, wf_status_code(status));
}

void bench_progress(const char *what, size_t at, size_t of) {
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s %zu/%zu", what, at, of);
}

void bench_progress_end(void) {
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}
