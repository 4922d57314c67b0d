#include "tools/wfctl/cli.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>

static bool list_json(void *ctx, const struct wf_review *review) {
    struct out *out = ctx;
    out_item_open(out);
    view_review_members(&out->json, review);
    return out_item_close(out);
}

static bool list_text(void *ctx, const struct wf_review *review) {
    struct text_table *table = ctx;
    table_cell(table, STYLE_BOLD, review->id);
    table_cell(table, STYLE_PLAIN, review->stage);
    table_cell(table, STYLE_PLAIN, review->role);
    table_cell(table, STYLE_PLAIN, review->proposal);
    table_cell(table, STYLE_PLAIN, review->target ? review->target : "-");
    table_cell(table, STYLE_PLAIN, review->actor ? review->actor : "-");
    table_cell_time(table, review->since_ms);
    table_cell(table, STYLE_PLAIN, review->reason ? review->reason : "-");
    return table->out->write_errno == 0;
}

enum wf_status cmd_review_list(struct cli *cli) {
    const char *after = cli_option(cli, "after");
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "reviews");
        enum wf_status status = wf_review_list(cli->engine, after, list_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    static const char *const headers[] = {"ID",       "STAGE", "ROLE",   "PROPOSAL", "TO",
                                          "ASKED BY", "SINCE", "REASON", NULL};
    struct text_table table;
    table_begin(&table, &cli->out, headers);
    enum wf_status status = wf_review_list(cli->engine, after, list_text, &table, &cli->err);
    table_end(&table);
    return status;
}

static enum wf_status decide(struct cli *cli, enum wf_command_kind kind) {
    struct wf_command command = {.kind = kind,
                                 .id = cli->arguments[0],
                                 .stage = cli->arguments[1],
                                 .role = cli_option(cli, "role"),
                                 .reason = cli_option(cli, "reason")};
    enum wf_status status = cli_option_attempt(cli, &command.attempt);
    return status == WF_OK ? cli_execute(cli, &command) : status;
}

enum wf_status cmd_review_approve(struct cli *cli) {
    return decide(cli, WF_REVIEW_APPROVE);
}

enum wf_status cmd_review_reject(struct cli *cli) {
    return decide(cli, WF_REVIEW_REJECT);
}
