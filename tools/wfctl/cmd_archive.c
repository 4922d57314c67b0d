/* Old segments: compressed, listed, checked. */
#include "tools/wfctl/cli.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <stdio.h>

/* --- run --- */

static enum wf_status take_options(struct cli *cli, struct wf_archive_options *options) {
    const char *age = cli_option(cli, "older-than");
    uint64_t threads = 0;
    wf_archive_options_init(options);
    options->snapshot = true;
    options->seal = cli_switch(cli, "seal");
    enum wf_status status = cli_option_uint(cli, "keep-segments", &options->keep_segments);
    if (status == WF_OK)
        status = cli_option_uint(cli, "max-bytes", &options->max_bytes);
    if (status == WF_OK)
        status = cli_option_uint(cli, "threads", &threads);
    if (status == WF_OK && age && !parse_duration(age, &options->older_than_ms))
        return cli_usage(cli, "--older-than '%s' is no duration such as 30d", age);
    if (status == WF_OK && threads > 1024)
        return cli_usage(cli, "--threads %" PRIu64 " are too many", threads);
    options->threads = (unsigned)threads;
    return status;
}

enum wf_status cmd_archive_run(struct cli *cli) {
    struct wf_archive_options options;
    struct wf_archive_report report;
    struct progress progress = {.what = "archiving"};
    enum wf_status status = take_options(cli, &options);
    if (status != WF_OK)
        return status;
    options.on_progress = progress_update;
    options.ctx = &progress;
    status = wf_archive_run(cli->engine, &options, &report, &cli->err);
    progress_clear(&progress);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    if (out_is_json(out)) {
        out_object_open(out);
        emit_member_uint(&out->json, "segments", report.segments);
        emit_member_uint(&out->json, "bytes_before", report.bytes_before);
        emit_member_uint(&out->json, "bytes_after", report.bytes_after);
        out_object_close(out);
        return WF_OK;
    }
    char before[FORMAT_SIZE_SIZE], after[FORMAT_SIZE_SIZE];
    if (report.segments == 0)
        out_printf(out, "nothing to archive\n");
    else
        out_printf(out, "archived %" PRIu64 " segment%s: %s became %s\n", report.segments,
                   report.segments == 1 ? "" : "s", format_size(before, report.bytes_before),
                   format_size(after, report.bytes_after));
    return WF_OK;
}

/* --- list --- */

static bool archive_json(void *ctx, const struct wf_archive *archive) {
    struct out *out = ctx;
    struct emit *json = &out->json;
    out_item_open(out);
    emit_member(json, "name", archive->name);
    emit_member_uint(json, "first_lsn", archive->first_lsn);
    emit_member_uint(json, "last_lsn", archive->last_lsn);
    emit_member_time(json, "first_time", archive->first_ms);
    emit_member_time(json, "last_time", archive->last_ms);
    emit_member_uint(json, "size", archive->size);
    emit_member_uint(json, "segment_size", archive->segment_size);
    emit_member(json, "root", archive->root);
    emit_member(json, "sha256", archive->sha256);
    if (archive->dropped_lsn) {
        emit_key(json, "dropped");
        emit_open(json, '{');
        emit_member_uint(json, "lsn", archive->dropped_lsn);
        emit_member_time(json, "time", archive->dropped_ms);
        emit_member(json, "actor", archive->dropped_by);
        emit_close(json, '}');
    }
    return out_item_close(out);
}

static bool archive_text(void *ctx, const struct wf_archive *archive) {
    struct text_table *table = ctx;
    char size[FORMAT_SIZE_SIZE], time[FORMAT_TIME_SIZE];
    table_cell(table, STYLE_PLAIN, archive->name);
    table_cell_uint(table, archive->first_lsn);
    table_cell_uint(table, archive->last_lsn);
    table_cell(table, STYLE_PLAIN, format_time(time, archive->first_ms));
    table_cell(table, STYLE_PLAIN, format_time(time, archive->last_ms));
    table_cell(table, STYLE_PLAIN, format_size(size, archive->segment_size));
    table_cell(table, STYLE_PLAIN, archive->dropped_lsn ? "-" : format_size(size, archive->size));
    char dropped[300] = "";
    if (archive->dropped_lsn)
        snprintf(dropped, sizeof dropped, "by %s, record %" PRIu64, archive->dropped_by,
                 archive->dropped_lsn);
    table_cell(table, STYLE_PLAIN, dropped);
    return true;
}

enum wf_status cmd_archive_list(struct cli *cli) {
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "archives");
        enum wf_status status = wf_archive_list(cli->engine, archive_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    static const char *const headers[] = {"ARCHIVE",  ">FIRST", ">LAST",   "FROM", "TO",
                                          ">SEGMENT", ">SIZE",  "DROPPED", NULL};
    struct text_table table;
    table_begin(&table, &cli->out, headers);
    enum wf_status status = wf_archive_list(cli->engine, archive_text, &table, &cli->err);
    table_end(&table);
    return status;
}

/* --- verify --- */

static bool print_finding(void *ctx, const struct wf_finding *finding) {
    struct out *out = ctx;
    if (!out_is_json(out))
        view_finding_text(out, finding);
    return true;
}

enum wf_status cmd_archive_verify(struct cli *cli) {
    struct out *out = &cli->out;
    struct wf_log_report report;
    enum wf_status status = wf_archive_verify(cli->dir, print_finding, out, &report, &cli->err);
    if (status != WF_OK)
        return status;
    if (out_is_json(out)) {
        out_object_open(out);
        view_log_report_members(&out->json, &report);
        out_object_close(out);
        return WF_OK;
    }
    out_printf(out, "%" PRIu64 " archived records: ", report.records);
    out_styled(out, STYLE_GOOD, "good");
    out_printf(out, "\n");
    return WF_OK;
}

/* --- drop --- */

static void tell_plan(struct out *out, const struct wf_archive_dropped *plan) {
    char size[FORMAT_SIZE_SIZE];
    uint64_t last = plan->last_lsn;
    out_printf(out,
               "would drop %" PRIu64 " archive%s (%s), LSN %" PRIu64 " to %" PRIu64 ": %" PRIu64
               " record%s; nothing was changed\n",
               plan->segments, plan->segments == 1 ? "" : "s", format_size(size, plan->bytes),
               plan->first_lsn, last, last - plan->first_lsn + 1,
               last == plan->first_lsn ? "" : "s");
    out_printf(out,
               "no longer readable  what happened up to record %" PRIu64
               ": history, statements, replay, --as-of;\n"
               "                    the first answer to a key that was used there: a command "
               "under it is refused\n"
               "no longer provable  that a record up to %" PRIu64
               " was there (audit prove); roots of fewer records,\n"
               "                    but those that end with an archive\n"
               "stays               all that is current; the hashes, so that every later record "
               "is proved as before;\n"
               "                    the state after record %" PRIu64
               ", in a file beside the archives\n",
               last, last, last);
}

static enum wf_status plan_drop(struct cli *cli, const struct wf_archive_drop *drop) {
    struct wf_archive_dropped plan;
    enum wf_status status = wf_archive_drop_plan(cli->engine, drop, &plan, &cli->err);
    progress_clear(drop->ctx);
    if (status != WF_OK)
        return status;
    if (!out_is_json(&cli->out)) {
        tell_plan(&cli->out, &plan);
        return WF_OK;
    }
    out_object_open(&cli->out);
    view_dropped_members(&cli->out.json, &plan);
    out_object_close(&cli->out);
    return WF_OK;
}

enum wf_status cmd_archive_drop(struct cli *cli) {
    bool is_plan = cli_switch(cli, "dry-run");
    struct progress progress = {.what = "reading what is to go"};
    struct wf_archive_drop drop = {.actor = cli_option(cli, "actor"),
                                   .reason = cli_option(cli, "reason"),
                                   .key = cli_option(cli, "key"),
                                   .on_progress = progress_update,
                                   .ctx = &progress};
    struct wf_archive_dropped dropped;
    enum wf_status status = cli_option_place(cli, "before", &drop.before_lsn, &drop.before_ms);
    if (status == WF_OK)
        status = store_open(cli, is_plan ? ACCESS_READ : ACCESS_WRITE, false);
    if (status == WF_OK && is_plan)
        return plan_drop(cli, &drop);
    if (status == WF_OK)
        status = wf_archive_drop(cli->engine, &drop, &dropped, &cli->err);
    progress_clear(&progress);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    if (out_is_json(out)) {
        out_object_open(out);
        view_dropped_members(&out->json, &dropped);
        out_object_close(out);
        return WF_OK;
    }
    out_printf(out, "dropped %" PRIu64 " archive%s, LSN %" PRIu64 " to %" PRIu64, dropped.segments,
               dropped.segments == 1 ? "" : "s", dropped.first_lsn, dropped.last_lsn);
    char size[FORMAT_SIZE_SIZE];
    if (!dropped.replayed) /* else the files were gone already */
        out_printf(out, " (%s)", format_size(size, dropped.bytes));
    out_printf(out, "; record %" PRIu64 " says so%s\n", dropped.lsn,
               dropped.replayed ? "; this key was used before: the first outcome again" : "");
    return WF_OK;
}
