/* Every figure, ratio and run, for programs. */
#include "tools/wfbench/bench.h"

#include <jansson.h>

static json_t *json_runs(const double *values, size_t count) {
    json_t *runs = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(runs, json_real(values[i]));
    return runs;
}

static json_t *json_limit(double limit) {
    return limit == 0 ? json_null() : json_real(limit);
}

static json_t *json_baseline(const struct bench_row *row) {
    if (row->baseline == NULL)
        return json_null();
    return json_pack("{s:s, s:f, s:o}", "name", row->baseline, "median", bench_row_baseline(row),
                     "runs", json_runs(row->baselines, row->runs));
}

static json_t *json_ratios(const struct bench_row *row) {
    double ratios[BENCH_RUNS_MAX];
    for (size_t i = 0; i < row->runs; i++)
        ratios[i] = bench_row_ratio_at(row, i);
    return json_runs(ratios, row->baseline != NULL ? row->runs : 0);
}

static json_t *json_row(const struct bench_row *row) {
    static const char *const JUDGED[] = {
        [BENCH_NOT_JUDGED] = "no", [BENCH_BY_VALUE] = "value", [BENCH_BY_RATIO] = "ratio"};
    bool judged = row->judged != BENCH_NOT_JUDGED;
    json_t *met = judged ? json_boolean(bench_row_reaches(row, row->floor)) : json_null();
    json_t *goal_met =
        judged && row->goal != 0 ? json_boolean(bench_row_reaches(row, row->goal)) : json_null();
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s}",
        "figure", row->figure, "name", row->name, "title", row->title, "unit", row->unit, "better",
        row->better == BENCH_LOWER ? "lower" : "higher", "median", bench_row_value(row), "spread",
        bench_row_spread(row), "runs", json_runs(row->values, row->runs), "baseline",
        json_baseline(row), "ratio",
        row->baseline != NULL ? json_real(bench_row_ratio(row)) : json_null(), "ratios",
        json_ratios(row), "judged_by", JUDGED[row->judged], "floor", json_limit(row->floor), "goal",
        json_limit(row->goal), "floor_met", met, "goal_met", goal_met, "note", row->note);
}

void bench_print_json(const struct bench *bench, FILE *out) {
    json_t *rows = json_array();
    for (size_t i = 0; i < bench->row_count; i++)
        json_array_append_new(rows, json_row(&bench->rows[i]));
    json_t *report = json_pack("{s:s, s:i, s:b, s:o}", "version", wf_version(), "runs",
                               (int)bench->runs, "quick", bench->quick, "figures", rows);
    if (report == NULL || json_dumpf(report, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0)
        bench_die("the report cannot be written");
    fputc('\n', out);
    json_decref(report);
}
