/* Going back: workflow rollback, workflow cancel --rollback, and what they would do. */
#include "tools/wfctl/cli.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/view.h"

static enum wf_status tell_plan(struct cli *cli, const struct wf_command *command) {
    struct wf_plan *plan;
    enum wf_status status = wf_rollback_plan(cli->engine, command, &plan, &cli->err);
    if (status != WF_OK)
        return status;
    if (out_is_json(&cli->out)) {
        out_object_open(&cli->out);
        view_plan_members(&cli->out.json, plan);
        out_object_close(&cli->out);
    } else {
        view_plan_text(&cli->out, plan);
    }
    wf_plan_free(plan);
    return WF_OK;
}

static enum wf_status go_back(struct cli *cli, struct wf_command *command) {
    bool dry_run = cli_switch(cli, "dry-run");
    enum wf_status status = store_open(cli, dry_run ? ACCESS_READ : ACCESS_WRITE, false);
    if (status != WF_OK || !dry_run)
        return status == WF_OK ? cli_execute(cli, command) : status;
    command->actor = cli_option(cli, "actor");
    return tell_plan(cli, command);
}

enum wf_status cmd_workflow_rollback(struct cli *cli) {
    struct wf_command command = {.kind = WF_WORKFLOW_ROLLBACK,
                                 .id = cli->arguments[0],
                                 .stage = cli_option(cli, "to"),
                                 .reason = cli_option(cli, "reason")};
    return go_back(cli, &command);
}

enum wf_status cmd_workflow_cancel(struct cli *cli) {
    struct wf_command command = {.kind = WF_WORKFLOW_CANCEL,
                                 .id = cli->arguments[0],
                                 .reason = cli_option(cli, "reason"),
                                 .rollback = cli_switch(cli, "rollback")};
    if (cli_switch(cli, "dry-run") && !command.rollback)
        return cli_usage(cli, "--dry-run goes with --rollback");
    return go_back(cli, &command);
}
