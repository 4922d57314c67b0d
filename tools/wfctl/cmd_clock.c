#include "tools/wfctl/cli.h"
#include "tools/wfctl/format.h"

#include <inttypes.h>

/* What time it is; `fired` (may be NULL): how many timers did. */
static enum wf_status tell(struct cli *cli, const struct wf_result *advanced,
                           const uint64_t *fired) {
    struct wf_store_status now;
    enum wf_status status = wf_status_get(cli->engine, false, &now, &cli->err);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    char time[FORMAT_TIME_SIZE];
    if (!out_is_json(out)) {
        out_printf(out, "%s (%s clock)\n", format_time(time, now.now_ms),
                   now.test_clock ? "test" : "system");
        return WF_OK;
    }
    out_object_open(out);
    if (advanced)
        emit_member_uint(&out->json, "lsn", advanced->lsn);
    if (advanced && advanced->replayed)
        emit_member_bool(&out->json, "replayed", true);
    emit_member(&out->json, "clock", now.test_clock ? "test" : "system");
    emit_member_time(&out->json, "now", now.now_ms);
    if (now.next_due_ms)
        emit_member_time(&out->json, "next_due", now.next_due_ms);
    if (fired)
        emit_member_uint(&out->json, "fired", *fired);
    out_object_close(out);
    return WF_OK;
}

enum wf_status cmd_clock_show(struct cli *cli) {
    return tell(cli, NULL, NULL);
}

enum wf_status cmd_clock_advance(struct cli *cli) {
    struct wf_command command = {
        .kind = WF_CLOCK_ADVANCE, .key = cli_option(cli, "key"), .actor = cli_option(cli, "actor")};
    if (!parse_duration(cli->arguments[0], &command.duration_ms))
        return cli_usage(cli, "'%s' is no duration such as 30s, 5m, 2h, 30d or 1h30m",
                         cli->arguments[0]);
    struct wf_result result;
    enum wf_status status = wf_execute(cli->engine, &command, &result, &cli->err);
    return status == WF_OK ? tell(cli, &result, NULL) : status;
}

enum wf_status cmd_clock_tick(struct cli *cli) {
    uint64_t fired = 0;
    enum wf_status status = wf_tick(cli->engine, &fired, &cli->err);
    if (status != WF_OK)
        return status;
    if (!out_is_json(&cli->out)) {
        out_printf(&cli->out, "%" PRIu64 " timer%s fired; ", fired, fired == 1 ? "" : "s");
        return tell(cli, NULL, NULL);
    }
    return tell(cli, NULL, &fired);
}
