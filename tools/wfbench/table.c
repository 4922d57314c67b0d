/* The table that a person reads. */
#include "tools/wfbench/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Columns on the screen, for text in UTF-8 without wide characters. */
static int width_of(const char *text) {
    int width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_right(FILE *out, const char *text, int width) {
    fprintf(out, "%*s%s", width > width_of(text) ? width - width_of(text) : 0, "", text);
}

static void print_left(FILE *out, const char *text, int width) {
    fprintf(out, "%s%*s", text, width > width_of(text) ? width - width_of(text) : 0, "");
}

/* Three digits that count, groups of thousands: "1,234,567", "132", "4.21", "0.083". */
static void format_number(char *text, size_t size, double value) {
    if (value < 1000) {
        int digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 || value == 0 ? 2 : 3;
        snprintf(text, size, "%.*f", digits, value);
        return;
    }
    char plain[32];
    int length = snprintf(plain, sizeof plain, "%.0f", value);
    size_t at = 0;
    for (int i = 0; i < length && at + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = plain[i];
    }
    text[at] = '\0';
}

static void format_value(char *text, size_t size, double value, const char *unit) {
    char number[40];
    format_number(number, sizeof number, value);
    snprintf(text, size, "%s%s%s", number, unit[0] == '/' ? "" : " ", unit);
}

/* "≤ 1.25 ×", "≥ 300,000/s", "" where there is no limit. */
static void format_limit(char *text, size_t size, const struct bench_row *row, double limit) {
    char value[48];
    text[0] = '\0';
    if (limit == 0 || row->judged == BENCH_NOT_JUDGED)
        return;
    format_value(value, sizeof value, limit, row->judged == BENCH_BY_RATIO ? "×" : row->unit);
    snprintf(text, size, "%s %s", row->better == BENCH_LOWER ? "≤" : "≥", value);
}

enum { TITLE = 36, VALUE = 14, SPREAD = 8, BASELINE = 18, RATIO = 9, LIMIT = 15 };

static void print_header(const struct bench *bench, FILE *out) {
    struct utsname host;
    char cpu[128] = "?", line[256];
    FILE *in = fopen("/proc/cpuinfo", "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
            snprintf(cpu, sizeof cpu, "%s", strchr(line, ':') + 2);
            cpu[strcspn(cpu, "\n")] = '\0';
        }
    }
    if (in != NULL)
        fclose(in);
    if (uname(&host) != 0)
        snprintf(host.release, sizeof host.release, "?");
    fprintf(out, "wfbench %s · %ld × %s · Linux %s · ", wf_version(), sysconf(_SC_NPROCESSORS_ONLN),
            cpu, host.release);
    double load = 0;
    if (getloadavg(&load, 1) == 1)
        fprintf(out, "load %.1f · ", load);
    if (bench->runs == 1)
        fputs("one run", out);
    else
        fprintf(out, "medians of %zu runs", bench->runs);
    fputs(bench->quick ? ", small sizes: not a measurement\n\n" : "\n\n", out);
    fputs("    ", out);
    print_left(out, "figure", TITLE);
    print_right(out, "value", VALUE);
    print_right(out, "spread", SPREAD);
    print_right(out, "baseline", BASELINE);
    print_right(out, "ratio", RATIO);
    print_right(out, "floor", LIMIT);
    print_right(out, "goal", LIMIT);
    fputs("  met\n", out);
}

static void print_verdict(const struct bench_row *row, FILE *out) {
    bool colour = isatty(fileno(out)) && getenv("NO_COLOR") == NULL;
    if (row->judged == BENCH_NOT_JUDGED)
        return;
    bool met = bench_row_reaches(row, row->floor);
    bool goal = met && row->goal != 0 && bench_row_reaches(row, row->goal);
    const char *word = goal ? "goal" : met ? "yes" : "NO";
    fprintf(out, "  %s%s%s",
            !colour ? ""
            : met   ? "\033[32m"
                    : "\033[1;31m",
            word, colour ? "\033[0m" : "");
}

static void print_row(const struct bench_row *row, const char *figure_before, FILE *out) {
    char text[64], baseline[48];
    if (strcmp(row->figure, figure_before) != 0)
        fprintf(out, "(%s) ", row->figure);
    else
        fputs("    ", out);
    print_left(out, row->title, TITLE);
    format_value(text, sizeof text, bench_row_value(row), row->unit);
    print_right(out, text, VALUE);
    snprintf(text, sizeof text, "%.0f %%", bench_row_spread(row) * 100);
    print_right(out, row->runs > 1 ? text : "", SPREAD);
    text[0] = '\0';
    if (row->baseline != NULL) {
        format_value(baseline, sizeof baseline, bench_row_baseline(row), row->unit);
        snprintf(text, sizeof text, "%s %s", row->baseline, baseline);
    }
    print_right(out, text, BASELINE);
    text[0] = '\0';
    if (row->baseline != NULL)
        format_value(text, sizeof text, bench_row_ratio(row), "×");
    print_right(out, text, RATIO);
    format_limit(text, sizeof text, row, row->floor);
    print_right(out, text, LIMIT);
    format_limit(text, sizeof text, row, row->goal);
    print_right(out, text, LIMIT);
    print_verdict(row, out);
    fputc('\n', out);
}

void bench_print_table(const struct bench *bench, FILE *out) {
    print_header(bench, out);
    const char *figure_before = "";
    for (size_t i = 0; i < bench->row_count; i++) {
        print_row(&bench->rows[i], figure_before, out);
        figure_before = bench->rows[i].figure;
    }
    fputs("\nraw: append + fdatasync of the same bytes on a preallocated file; read: read(2) of "
          "the same "
          "files;\nsync: one raw append of 4 KiB; spread: (largest - smallest) / median\n",
          out);
    for (size_t i = 0; i < bench->row_count; i++)
        if (bench->rows[i].note[0] != '\0')
            fprintf(out, "%s: %s\n", bench->rows[i].title, bench->rows[i].note);
}
