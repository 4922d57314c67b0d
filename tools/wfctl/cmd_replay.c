#include "tools/wfctl/cli.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <string.h>

struct replay {
    struct out *out;
    uint64_t from, until;
};

static void record_head(struct out *out, const struct wf_event *event) {
    char time[FORMAT_TIME_SIZE];
    out_printf(out, "%8" PRIu64 "  %-24s  ", event->lsn, view_event_time(time, event));
    out_styled(out, STYLE_BOLD, event->command ? event->command : event->event);
    if (event->subject && *event->subject) {
        out_printf(out, "  ");
        out_text(out, event->subject);
    }
    if (event->actor) {
        out_printf(out, "  by ");
        out_text(out, event->actor);
    }
    if (event->key) {
        out_printf(out, "  key ");
        out_text(out, event->key);
    }
    out_printf(out, "\n");
}

static bool print_event(void *ctx, const struct wf_event *event) {
    struct replay *replay = ctx;
    struct out *out = replay->out;
    if (event->lsn < replay->from || event->lsn > replay->until)
        return true;
    if (out_is_json(out))
        return view_event_item(out, event);
    if (event->index == 0)
        record_head(out, event);
    out_printf(out, "%36s", "");
    view_event_text(out, event);
    out_printf(out, "\n");
    return out_flush_some(out);
}

static enum wf_status verify(struct cli *cli) {
    struct progress progress = {.what = "replaying"};
    char hash[65];
    enum wf_status status =
        wf_replay_verify(cli->engine, progress_update, &progress, hash, &cli->err);
    progress_clear(&progress);
    struct wf_store_status now;
    if (status == WF_OK)
        status = wf_status_get(cli->engine, false, &now, &cli->err);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    if (out_is_json(out)) {
        out_object_open(out);
        emit_member_bool(&out->json, "verified", true);
        emit_member_uint(&out->json, "from_lsn", now.dropped_lsn + 1);
        emit_member_uint(&out->json, "durable_lsn", now.durable_lsn);
        emit_member(&out->json, "state_hash", hash);
        out_object_close(out);
    } else {
        out_styled(out, STYLE_GOOD, "verified");
        if (now.dropped_lsn)
            out_printf(
                out,
                ": the state rebuilt from record %" PRIu64 " on is the state that is kept, up "
                "to record %" PRIu64
                "\nThe records before were dropped and cannot be verified any more: it began "
                "with the state that record %" PRIu64 " names for them.\nstate hash %s\n",
                now.dropped_lsn + 1, now.durable_lsn, now.drop_lsn, hash);
        else
            out_printf(out,
                       ": the state rebuilt from the first record is the state that is kept, up to "
                       "record %" PRIu64 "\nstate hash %s\n",
                       now.durable_lsn, hash);
    }
    return WF_OK;
}

static enum wf_status print(struct cli *cli, const char *file, const char *workflow) {
    struct replay replay = {.out = &cli->out, .until = UINT64_MAX};
    enum wf_status status = cli_option_uint(cli, "from", &replay.from);
    if (status == WF_OK)
        status = file ? cli_option_uint(cli, "until", &replay.until)
                      : store_open(cli, ACCESS_READ, false);
    if (status == WF_OK && !file)
        status = cli_option_lsn(cli, "until", &replay.until);
    if (status != WF_OK)
        return status;
    out_list_open(&cli->out, "events");
    if (file)
        status = wf_replay_file(file, workflow, print_event, &replay, &cli->err);
    else
        status = wf_replay(cli->engine, replay.from, replay.until, workflow, print_event, &replay,
                           &cli->err);
    out_list_end(&cli->out);
    return status;
}

enum wf_status cmd_replay(struct cli *cli) {
    const char *file = cli->argument_count > 0 ? cli->arguments[0] : NULL;
    const char *workflow = cli_option(cli, "workflow");
    if (!cli_switch(cli, "verify"))
        return print(cli, file, workflow);
    if (file || workflow || cli_option(cli, "from") || cli_option(cli, "until"))
        return cli_usage(cli, "--verify is about the whole store: it goes with no FILE, --from, "
                              "--until or --workflow");
    enum wf_status status = store_open(cli, ACCESS_READ, false);
    return status == WF_OK ? verify(cli) : status;
}
