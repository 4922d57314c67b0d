#include "base/error.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <string.h>

/* --- status --- */

static bool segment_json(void *ctx, const struct wf_segment *segment) {
    struct out *out = ctx;
    out_item_open(out);
    view_segment_members(&out->json, segment);
    return out_item_close(out);
}

static bool segment_text(void *ctx, const struct wf_segment *segment) {
    struct text_table *table = ctx;
    char size[FORMAT_SIZE_SIZE];
    table_cell(table, STYLE_PLAIN, segment->name);
    table_cell_uint(table, segment->first_lsn);
    if (segment->last_lsn < segment->first_lsn)
        table_cell(table, STYLE_PLAIN, "-");
    else
        table_cell_uint(table, segment->last_lsn);
    table_cell(table, STYLE_PLAIN, format_size(size, segment->size));
    table_cell(table, segment->sealed ? STYLE_GOOD : STYLE_BUSY,
               segment->sealed ? "sealed" : "open");
    table_cell(table, STYLE_DIM, *segment->root ? segment->root : "-");
    return true;
}

enum wf_status cmd_wal_status(struct cli *cli) {
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "segments");
        enum wf_status status = wf_log_segments(cli->engine, segment_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    static const char *const headers[] = {"SEGMENT", ">FIRST", ">LAST", ">SIZE",
                                          "STATE",   "ROOT",   NULL};
    struct text_table table;
    table_begin(&table, &cli->out, headers);
    enum wf_status status = wf_log_segments(cli->engine, segment_text, &table, &cli->err);
    table_end(&table);
    return status;
}

/* --- dump: a line for each record --- */

struct dump {
    struct out *out;
    struct text_table table;
    struct bytes_buffer events; /* names of the record's events so far */
    uint64_t from, until;
};

static bool dump_json(struct dump *dump, const struct wf_event *event) {
    struct out *out = dump->out;
    if (event->index == 0) {
        out_item_open(out);
        emit_member_uint(&out->json, "lsn", event->lsn);
        view_event_time_member(&out->json, event);
        emit_member(&out->json, "command", event->command);
        emit_member(&out->json, "subject", event->subject);
        emit_member_if(&out->json, "actor", event->actor);
        emit_member_if(&out->json, "key", event->key);
        emit_key(&out->json, "events");
        emit_open(&out->json, '[');
    }
    emit_string(&out->json, event->event);
    if (event->index + 1 < event->count)
        return true;
    emit_close(&out->json, ']');
    return out_item_close(out);
}

static bool dump_text(struct dump *dump, const struct wf_event *event) {
    if (event->index > 0)
        bytes_write_run(&dump->events, ", ", 2);
    bytes_write_run(&dump->events, event->event, strlen(event->event));
    if (event->index + 1 < event->count)
        return true;
    bytes_write_u8(&dump->events, '\0');
    char time[FORMAT_TIME_SIZE];
    struct text_table *table = &dump->table;
    table_cell_uint(table, event->lsn);
    table_cell(table, STYLE_PLAIN, view_event_time(time, event));
    table_cell(table, STYLE_PLAIN, event->command ? event->command : "-");
    table_cell(table, STYLE_BOLD, event->subject && *event->subject ? event->subject : "-");
    table_cell(table, STYLE_PLAIN,
               bytes_buffer_ok(&dump->events) ? (const char *)dump->events.data : "");
    bytes_buffer_clear(&dump->events);
    return dump->out->write_errno == 0;
}

static bool dump_event(void *ctx, const struct wf_event *event) {
    struct dump *dump = ctx;
    if (event->lsn < dump->from || event->lsn > dump->until)
        return true;
    return out_is_json(dump->out) ? dump_json(dump, event) : dump_text(dump, event);
}

static enum wf_status dump_all(struct cli *cli, struct dump *dump) {
    static const char *const headers[] = {">RECORD", "TIME", "COMMAND", "ABOUT", "EVENTS", NULL};
    const char *file = cli->argument_count > 0 ? cli->arguments[0] : NULL;
    enum wf_status status = file ? WF_OK : store_open(cli, ACCESS_READ, false);
    if (status != WF_OK)
        return status;
    out_list_open(dump->out, "records");
    table_begin(&dump->table, dump->out, headers);
    bytes_buffer_init(&dump->events);
    if (file)
        status = wf_replay_file(file, NULL, dump_event, dump, &cli->err);
    else
        status = wf_replay(cli->engine, dump->from, dump->until, NULL, dump_event, dump, &cli->err);
    bytes_buffer_deinit(&dump->events);
    table_end(&dump->table);
    out_list_end(dump->out);
    return status;
}

enum wf_status cmd_wal_dump(struct cli *cli) {
    struct dump dump = {.out = &cli->out, .until = UINT64_MAX};
    enum wf_status status = cli_option_uint(cli, "from", &dump.from);
    if (status == WF_OK)
        status = cli_option_uint(cli, "until", &dump.until);
    return status == WF_OK ? dump_all(cli, &dump) : status;
}

/* --- verify, repair --- */

static bool print_finding(void *ctx, const struct wf_finding *finding) {
    struct out *out = ctx;
    if (!out_is_json(out)) {
        view_finding_text(out, finding);
        return out_flush_some(out);
    }
    out_item_open(out);
    view_finding_members(&out->json, finding);
    return out_item_close(out);
}

enum log_task { LOG_VERIFY, LOG_PLAN, LOG_REPAIR };

/* The object begins with what only the end of the work can tell: so the findings are made first,
 * then put behind it. */
static void tell_json(struct cli *cli, enum wf_status status, enum log_task task,
                      const struct wf_log_report *report, const struct bytes_buffer *findings) {
    struct out *out = &cli->out;
    out_outcome_open(out, status, cli->err.text);
    if (task == LOG_PLAN)
        emit_member_bool(&out->json, "dry_run", true);
    view_log_report_members(&out->json, report);
    view_losses_member(&out->json, &report->lost);
    out_outcome_items(out, "findings", findings);
    if (out->mode != OUT_JSON)
        emit_member_uint(&out->json, "findings", report->findings);
    out_object_close(out);
    cli->reported = true;
}

/* Behind a sum that ends in ": ". */
static void tell_verdict(struct out *out, enum wf_status status, enum log_task task,
                         const struct wf_log_report *report) {
    bool work = report->findings > 0 || report->lost.records > 0;
    if (status != WF_OK)
        out_styled(out, STYLE_BAD, "damaged");
    else if (task == LOG_VERIFY)
        out_styled(out, STYLE_GOOD, "good");
    else if (!work)
        out_styled(out, STYLE_GOOD, "nothing to repair");
    else if (task == LOG_PLAN)
        out_styled(out, STYLE_BUSY, "a repair would do what stands above; nothing was changed");
    else if (report->lost.records == 0)
        out_styled(out, STYLE_GOOD,
                   "repaired; no record was lost of which it is known that it was "
                   "durable");
    else
        out_styled(out, STYLE_GOOD, "repaired; what was lost stands above and in the log");
    out_printf(out, "\n");
}

/* What repairs took, or this one would. */
static void tell_losses(struct out *out, enum log_task task, const struct wf_log_losses *lost) {
    char text[VIEW_LOSSES_SIZE];
    if (lost->records == 0)
        return;
    out_styled(out, STYLE_BAD, task == LOG_PLAN ? "would be lost" : "lost");
    out_printf(out, "  %" PRIu64 " record%s%s, and with %s: ", lost->records,
               lost->records == 1 ? "" : "s", task == LOG_VERIFY ? ", in repairs" : "",
               lost->records == 1 ? "it" : "them");
    out_text(out, view_losses(text, lost));
    out_printf(out, "\n");
}

static void tell_text(struct cli *cli, enum wf_status status, enum log_task task,
                      const struct wf_log_report *report) {
    struct out *out = &cli->out;
    tell_losses(out, task, &report->lost);
    out_printf(out, "%" PRIu64 " records", report->records);
    if (report->records > 0)
        out_printf(out, " (LSN %" PRIu64 " to %" PRIu64 ")", report->first_lsn, report->last_lsn);
    char size[FORMAT_SIZE_SIZE];
    out_printf(out, ", %s: ", format_size(size, report->bytes));
    tell_verdict(out, status, task, report);
}

/* Does the status mean that the work was done, so that there is a report? */
static bool is_outcome(enum wf_status status) {
    return status == WF_OK || status == WF_DAMAGE;
}

static enum wf_status do_task(struct cli *cli, enum log_task task, uint64_t skip_lsn,
                              struct wf_log_report *report) {
    switch (task) {
    case LOG_VERIFY:
        return wf_log_verify(cli->dir, print_finding, &cli->out, report, &cli->err);
    case LOG_PLAN:
        return wf_log_repair_plan(cli->dir, skip_lsn, print_finding, &cli->out, report, &cli->err);
    case LOG_REPAIR:
        return wf_log_repair(cli->dir, skip_lsn, print_finding, &cli->out, report, &cli->err);
    }
    return WF_USAGE;
}

static enum wf_status tell_work(struct cli *cli, enum wf_status status, enum log_task task,
                                const struct wf_log_report *report) {
    struct out *out = &cli->out;
    if (!is_outcome(status))
        return status;
    if (!out_is_json(out)) {
        tell_text(cli, status, task, report);
        return status;
    }
    struct bytes_buffer findings;
    bytes_buffer_init(&findings);
    if (out->mode == OUT_JSON) {
        findings = out->bytes;
        bytes_buffer_init(&out->bytes);
    }
    tell_json(cli, status, task, report, &findings);
    bytes_buffer_deinit(&findings);
    return status;
}

static enum wf_status work_on_log(struct cli *cli, enum log_task task, uint64_t skip_lsn) {
    struct wf_log_report report = {0};
    enum wf_status status = do_task(cli, task, skip_lsn, &report);
    status = tell_work(cli, status, task, &report);
    wf_log_report_deinit(&report);
    return status;
}

enum wf_status cmd_wal_verify(struct cli *cli) {
    return work_on_log(cli, LOG_VERIFY, 0);
}

enum wf_status cmd_wal_repair(struct cli *cli) {
    uint64_t skip_lsn = 0;
    enum wf_status status = cli_option_uint(cli, "skip", &skip_lsn);
    if (status == WF_OK && cli_option(cli, "skip") && skip_lsn == 0)
        return cli_usage(cli, "--skip 0: records count from 1; it takes the LSN of a record that "
                              "'wal verify' says cannot be understood");
    enum log_task task = cli_switch(cli, "dry-run") ? LOG_PLAN : LOG_REPAIR;
    return status == WF_OK ? work_on_log(cli, task, skip_lsn) : status;
}
