#include "base/error.h"
#include "tools/wfctl/cli.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/operations.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- commands --- */

static void tell_result_text(struct out *out, struct wf_engine *engine, const char *id,
                             const struct wf_result *result) {
    if (id) {
        out_text(out, id);
        out_printf(out, ": ");
    }
    out_text(out, result->outcome ? result->outcome : "recorded");
    if (result->status) {
        out_printf(out, " (");
        out_styled(out, out_status_style(result->status), result->status);
        if (result->stage) {
            out_printf(out, " at ");
            out_text(out, result->stage);
        }
        out_printf(out, ")");
    }
    if (result->waits_stage) {
        out_printf(out, ", ");
        out_text(out, result->waits_stage);
        out_printf(out, " waits for role ");
        out_text(out, result->waits_role);
    }
    out_printf(out, ", record %" PRIu64 "%s\n", result->lsn,
               result->replayed ? "; this key was used before: the first outcome again" : "");
    view_balances_text(out, engine, result);
}

enum wf_status cli_execute(struct cli *cli, struct wf_command *command) {
    command->key = cli_option(cli, "key");
    command->actor = cli_option(cli, "actor");
    struct wf_result result;
    enum wf_status status = wf_execute(cli->engine, command, &result, &cli->err);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    if (!out_is_json(out)) {
        tell_result_text(out, cli->engine, command->id, &result);
        return WF_OK;
    }
    out_object_open(out);
    emit_member_uint(&out->json, "lsn", result.lsn);
    if (result.replayed)
        emit_member_bool(&out->json, "replayed", true);
    emit_key(&out->json, "result");
    view_result(&out->json, cli->engine, command->kind, &result);
    out_object_close(out);
    return WF_OK;
}

enum wf_status cmd_workflow_start(struct cli *cli) {
    struct wf_field fields[WF_FIELDS_MAX];
    struct wf_command command = {.kind = WF_WORKFLOW_START,
                                 .type = cli->arguments[0],
                                 .id = cli_option(cli, "id"),
                                 .fields = fields};
    uint64_t version = 0;
    enum wf_status status = cli_option_uint(cli, "def-version", &version);
    if (status == WF_OK && cli_option(cli, "def-version") && (version == 0 || version > UINT32_MAX))
        status = cli_usage(cli, "--def-version %" PRIu64 " is no version", version);
    if (status == WF_OK)
        status = cli_fields(cli, 1, fields, &command.field_count);
    if (status != WF_OK)
        return status;
    command.version = (uint32_t)version;
    return cli_execute(cli, &command);
}

enum wf_status cmd_workflow_submit(struct cli *cli) {
    struct wf_field fields[WF_FIELDS_MAX];
    struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                 .id = cli->arguments[0],
                                 .step = cli->arguments[1],
                                 .fields = fields};
    const char *path = cli_option(cli, "ops");
    struct operations_file file = {0};
    enum wf_status status = cli_option_attempt(cli, &command.attempt);
    if (status == WF_OK)
        status = cli_fields(cli, 2, fields, &command.field_count);
    if (status == WF_OK && path) {
        status = operations_file_open(cli, path, &file);
        command.operations = status == WF_OK ? file.operations->list : NULL;
        command.operation_count = status == WF_OK ? file.operations->count : 0;
    }
    if (status == WF_OK)
        status = cli_execute(cli, &command);
    operations_file_close(&file);
    return status;
}

enum wf_status cmd_workflow_fail(struct cli *cli) {
    struct wf_command command = {.kind = WF_WORKFLOW_FAIL,
                                 .id = cli->arguments[0],
                                 .stage = cli->arguments[1],
                                 .reason = cli_option(cli, "reason")};
    enum wf_status status = cli_option_attempt(cli, &command.attempt);
    return status == WF_OK ? cli_execute(cli, &command) : status;
}

/* --- migrate --- */

static void tell_dry_run(struct out *out, const struct wf_command *command,
                         const struct wf_result *result) {
    if (out_is_json(out)) {
        out_object_open(out);
        emit_key(&out->json, "result");
        view_dry_run(&out->json, command->kind, result);
        out_object_close(out);
        return;
    }
    out_text(out, command->id);
    out_printf(out, ": could go on under version %u", result->version);
    for (size_t i = 0; i < result->activated_count; i++) {
        out_printf(out, i == 0 ? "; these stages would become active: " : ", ");
        out_text(out, result->activated[i]);
    }
    if (strcmp(result->outcome, "completed") == 0)
        out_printf(out, "; it would be completed");
    out_printf(out, ". Nothing was written.\n");
}

static enum wf_status take_maps(struct cli *cli, struct wf_field *maps, size_t *count) {
    const char *map = cli_option(cli, "map");
    enum wf_status status = cli_fields(cli, 1, maps, count);
    if (status != WF_OK || !map)
        return status;
    if (*count == WF_FIELDS_MAX)
        return cli_usage(cli, "more than %d mappings", WF_FIELDS_MAX);
    /* The words of main() may be written to. */
    return cli_split((char *)map, &maps[(*count)++])
               ? WF_OK
               : cli_usage(cli, "--map '%s' is no OLD=NEW", map);
}

enum wf_status cmd_workflow_migrate(struct cli *cli) {
    struct wf_field maps[WF_FIELDS_MAX];
    struct wf_command command = {
        .kind = WF_WORKFLOW_MIGRATE, .id = cli->arguments[0], .fields = maps};
    uint64_t version = 0;
    enum wf_status status = cli_option_uint(cli, "to", &version);
    if (status == WF_OK && (version == 0 || version > UINT32_MAX))
        status = cli_usage(cli, "--to %" PRIu64 " is no version", version);
    if (status == WF_OK)
        status = take_maps(cli, maps, &command.field_count);
    if (status != WF_OK)
        return status;
    command.version = (uint32_t)version;
    bool dry_run = cli_switch(cli, "dry-run");
    status = store_open(cli, dry_run ? ACCESS_READ : ACCESS_WRITE, false);
    if (status != WF_OK || !dry_run)
        return status == WF_OK ? cli_execute(cli, &command) : status;
    command.actor = cli_option(cli, "actor");
    struct wf_result result;
    status = wf_dry_run(cli->engine, &command, &result, &cli->err);
    if (status == WF_OK)
        tell_dry_run(&cli->out, &command, &result);
    return status;
}

/* --- show --- */

enum wf_status cmd_workflow_show(struct cli *cli) {
    struct wf_workflow *workflow;
    uint64_t as_of = 0;
    enum wf_status status = cli_option_lsn(cli, "as-of", &as_of);
    if (status != WF_OK)
        return status;
    if (cli_option(cli, "as-of"))
        status = wf_workflow_get_as_of(cli->engine, cli->arguments[0], as_of, &workflow, &cli->err);
    else
        status = wf_workflow_get(cli->engine, cli->arguments[0], &workflow, &cli->err);
    if (status != WF_OK)
        return status;
    if (out_is_json(&cli->out)) {
        out_object_open(&cli->out);
        view_workflow_members(&cli->out.json, workflow);
        out_object_close(&cli->out);
    } else {
        view_workflow_text(&cli->out, workflow);
    }
    wf_workflow_free(workflow);
    return WF_OK;
}

/* --- list --- */

static bool list_json(void *ctx, const struct wf_workflow *workflow) {
    struct out *out = ctx;
    out_item_open(out);
    view_workflow_brief_members(&out->json, workflow);
    return out_item_close(out);
}

static bool list_text(void *ctx, const struct wf_workflow *workflow) {
    struct text_table *table = ctx;
    table_cell(table, STYLE_BOLD, workflow->id);
    table_cell(table, STYLE_PLAIN, workflow->type);
    table_cell_uint(table, workflow->version);
    table_cell(table, out_status_style(workflow->status), workflow->status);
    table_cell(table, STYLE_PLAIN, workflow->stage ? workflow->stage : "-");
    table_cell_time(table, workflow->changed_ms);
    table_cell_uint(table, workflow->lsn);
    return table->out->write_errno == 0;
}

static enum wf_status list_filter(struct cli *cli, struct wf_filter *filter) {
    *filter = (struct wf_filter){
        .status = cli_option(cli, "status"),
        .stage = cli_option(cli, "stage"),
        .type = cli_option(cli, "type"),
        .after = cli_option(cli, "after"),
    };
    const char *where = cli_option(cli, "where");
    struct wf_field field;
    /* The words of main() may be written to. */
    if (where && !cli_split((char *)where, &field))
        return cli_usage(cli, "--where '%s' is no NAME=VALUE", where);
    if (where) {
        filter->where_name = field.name;
        filter->where_value = field.value;
    }
    bool known = !filter->status;
    for (unsigned i = 1; !known && wf_workflow_status_name(i); i++)
        known = strcmp(filter->status, wf_workflow_status_name(i)) == 0;
    if (!known)
        return cli_usage(cli, "unknown status '%s'", filter->status);
    enum wf_status status = cli_option_uint(cli, "limit", &filter->limit);
    if (status == WF_OK && cli_option(cli, "limit") && filter->limit == 0)
        return cli_usage(cli, "--limit must be at least 1");
    return status;
}

enum wf_status cmd_workflow_list(struct cli *cli) {
    struct wf_filter filter;
    enum wf_status status = list_filter(cli, &filter);
    if (status != WF_OK)
        return status;
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "workflows");
        status = wf_workflow_list(cli->engine, &filter, list_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    static const char *const headers[] = {"ID",    "WORKFLOW", ">VERSION", "STATUS",
                                          "STAGE", "CHANGED",  ">RECORD",  NULL};
    struct text_table table;
    table_begin(&table, &cli->out, headers);
    status = wf_workflow_list(cli->engine, &filter, list_text, &table, &cli->err);
    table_end(&table);
    return status;
}

/* --- history --- */

/* The timeline: a line for each record with its time, how long after the one before, and who; below
 * it what it came to, with how long a stage took. */
struct timeline {
    struct out *out;
    int64_t last_ms; /* of the record before; 0: none */
    struct {
        char name[WF_NAME_MAX + 1];
        int64_t since_ms;
    } active[WF_STAGES_MAX];
    size_t active_count;
};

static void note_activated(struct timeline *timeline, const struct wf_event *event) {
    size_t i = 0;
    while (i < timeline->active_count && strcmp(timeline->active[i].name, event->stage) != 0)
        i++;
    if (i == WF_STAGES_MAX || strlen(event->stage) > WF_NAME_MAX)
        return;
    if (i == timeline->active_count)
        timeline->active_count++;
    strcpy(timeline->active[i].name, event->stage);
    timeline->active[i].since_ms = event->time_ms;
}

static void tell_stage_time(struct timeline *timeline, const struct wf_event *event) {
    if (!event->stage || strncmp(event->event, "stage_", 6) != 0)
        return;
    if (strcmp(event->event, "stage_activated") == 0) {
        note_activated(timeline, event);
        return;
    }
    char duration[FORMAT_DURATION_SIZE];
    for (size_t i = 0; i < timeline->active_count; i++)
        if (strcmp(timeline->active[i].name, event->stage) == 0)
            out_printf(timeline->out, " (after %s)",
                       format_duration(duration, event->time_ms - timeline->active[i].since_ms));
}

/* In the place of what is not there any more: whose command it was is not known. The events say
 * why.
 */
static void gap_head(struct out *out, const struct wf_event *event) {
    out_styled(out, STYLE_BOLD, "not here any more");
    out_printf(out,
               strcmp(event->event, "records_dropped") == 0 ? "  (record %" PRIu64
                                                              " and what was before it)\n"
                                                            : "  (record %" PRIu64 ")\n",
               event->lsn);
}

static bool is_gap(const struct wf_event *event) {
    return strcmp(event->event, "records_dropped") == 0 || strcmp(event->event, "record_lost") == 0;
}

static void timeline_head(struct timeline *timeline, const struct wf_event *event) {
    struct out *out = timeline->out;
    char time[FORMAT_TIME_SIZE], duration[FORMAT_DURATION_SIZE],
        lead[FORMAT_DURATION_SIZE + 4] = "";
    if (timeline->last_ms && event->time_ms)
        snprintf(lead, sizeof lead, "+%s",
                 format_duration(duration, event->time_ms - timeline->last_ms));
    timeline->last_ms = event->time_ms;
    out_printf(out, "%-24s  ", view_event_time(time, event));
    out_printf(out, "%10s  ", lead);
    if (is_gap(event)) {
        gap_head(out, event);
        return;
    }
    out_styled(out, STYLE_BOLD, event->command ? event->command : "");
    if (event->actor) {
        out_printf(out, " by ");
        out_text(out, event->actor);
    }
    if (event->key) {
        out_printf(out, ", key ");
        out_text(out, event->key);
    }
    out_printf(out, "  ");
    char record[40];
    snprintf(record, sizeof record, "(record %" PRIu64 ")", event->lsn);
    out_styled(out, STYLE_DIM, record);
    out_printf(out, "\n");
}

static bool history_text(void *ctx, const struct wf_event *event) {
    struct timeline *timeline = ctx;
    struct out *out = timeline->out;
    if (event->index == 0)
        timeline_head(timeline, event);
    bool last = event->index + 1 >= event->count;
    out_printf(out, "%38s", "");
    out_styled(out, STYLE_DIM, out->unicode ? (last ? "└ " : "├ ") : "- ");
    view_event_text(out, event);
    tell_stage_time(timeline, event);
    out_printf(out, "\n");
    return out_flush_some(out);
}

enum wf_status cmd_workflow_history(struct cli *cli) {
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "events");
        enum wf_status status = wf_workflow_history(cli->engine, cli->arguments[0], view_event_item,
                                                    &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    struct timeline timeline = {.out = &cli->out};
    return wf_workflow_history(cli->engine, cli->arguments[0], history_text, &timeline, &cli->err);
}
