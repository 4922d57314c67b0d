#include "tools/wfctl/cli.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <stdio.h>

static bool list_json(void *ctx, const struct wf_task *task) {
    struct out *out = ctx;
    out_item_open(out);
    view_task_members(&out->json, task);
    return out_item_close(out);
}

static bool list_text(void *ctx, const struct wf_task *task) {
    struct text_table *table = ctx;
    char attempts[32];
    snprintf(attempts, sizeof attempts, "%u of %u", task->attempt, task->attempts_max);
    table_cell(table, STYLE_BOLD, task->id);
    table_cell(table, STYLE_PLAIN, task->stage);
    table_cell(table, STYLE_PLAIN, task->compensate ? "compensate" : "handler");
    table_cell_uint(table, task->epoch);
    table_cell(table, out_status_style(task->status), task->status);
    table_cell(table, STYLE_PLAIN, attempts);
    table_cell_time(table, task->due_ms);
    table_cell(table, STYLE_PLAIN, task->worker ? task->worker : "-");
    table_cell(table, STYLE_PLAIN, task->reason ? task->reason : "-");
    return table->out->write_errno == 0;
}

enum wf_status cmd_task_list(struct cli *cli) {
    const char *after = cli_option(cli, "after");
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "tasks");
        enum wf_status status = wf_task_list(cli->engine, after, list_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    static const char *const headers[] = {"ID",       "STAGE", "WHAT",   ">EPOCH", "STATUS",
                                          "ATTEMPTS", "DUE",   "WORKER", "REASON", NULL};
    struct text_table table;
    table_begin(&table, &cli->out, headers);
    enum wf_status status = wf_task_list(cli->engine, after, list_text, &table, &cli->err);
    table_end(&table);
    return status;
}

enum wf_status cmd_task_retry(struct cli *cli) {
    struct wf_command command = {.kind = WF_TASK_RETRY,
                                 .id = cli->arguments[0],
                                 .stage = cli->arguments[1],
                                 .compensate = cli_switch(cli, "compensate")};
    return cli_execute(cli, &command);
}
