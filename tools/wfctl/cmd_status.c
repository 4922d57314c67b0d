#include "tools/wfctl/cli.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>

static void tell_counts(struct out *out, const struct wf_store_status *status) {
    out_printf(out, "workflows    ");
    bool any = false;
    for (unsigned i = 1; i < sizeof status->counts / sizeof status->counts[0]; i++) {
        if (status->counts[i] == 0 || !wf_workflow_status_name(i))
            continue;
        out_printf(out, any ? ", %" PRIu64 " " : "%" PRIu64 " ", status->counts[i]);
        out_styled(out, out_status_style(wf_workflow_status_name(i)), wf_workflow_status_name(i));
        any = true;
    }
    out_printf(out, any ? "\n" : "none\n");
}

/* From where on the log was read, now or by an opening before. What was dropped nobody reads. */
static void tell_checked(struct out *out, const struct wf_store_status *status) {
    uint64_t first = status->dropped_lsn + 1;
    if (status->checked_from_lsn <= 1)
        return;
    if (status->checked_from_lsn <= first)
        out_printf(out, "checked      all records that are here, from %" PRIu64 " on\n", first);
    else if (status->dropped_lsn)
        out_printf(out,
                   "checked      records from %" PRIu64 " on; of those from %" PRIu64
                   " on before, the snapshot: 'wfctl wal verify' reads them too\n",
                   status->checked_from_lsn, first);
    else
        out_printf(out,
                   "checked      records from %" PRIu64 " on; of those before, the snapshot: "
                   "'wfctl wal verify' reads all\n",
                   status->checked_from_lsn);
}

static void tell_text(struct cli *cli, const struct wf_store_status *status) {
    struct out *out = &cli->out;
    char time[FORMAT_TIME_SIZE], size[FORMAT_SIZE_SIZE];
    out_printf(out, "store        %s\n", cli->dir);
    out_printf(out, "durable      record %" PRIu64 "\n", status->durable_lsn);
    out_printf(out, "snapshot     record %" PRIu64 ", %s\n", status->snapshot_lsn,
               format_size(size, status->snapshot_bytes));
    out_printf(out, "log          %s in %" PRIu64 " segment%s, %" PRIu64 " archived\n",
               format_size(size, status->log_bytes), status->segments,
               status->segments == 1 ? "" : "s", status->archives);
    if (status->dropped_lsn)
        out_printf(out,
                   "dropped      records up to %" PRIu64 ", for good; record %" PRIu64
                   " says by whom and why: 'wfctl audit show --event archive_dropped'\n",
                   status->dropped_lsn, status->drop_lsn);
    out_printf(out, "this open    replayed %" PRIu64 " records in %.3f ms\n", status->replayed,
               status->replay_ms);
    tell_checked(out, status);
    if (status->repairs)
        out_printf(out, "repairs      %" PRIu64 ", which took records: 'wfctl doctor' says what\n",
                   status->repairs);
    if (status->torn_bytes)
        out_printf(out,
                   "torn tail    %" PRIu64 " bytes did not check, and nothing confirms that they "
                   "ever were durable\n",
                   status->torn_bytes);
    tell_counts(out, status);
    out_printf(out, "definitions  %" PRIu64 "\n", status->definitions);
    out_printf(out, "keys         %" PRIu64 "\n", status->keys);
    out_printf(out, "refusals     %" PRIu64 "\n", status->refusals);
    out_printf(out, "clock        %s, %s\n", status->test_clock ? "test" : "system",
               format_time(time, status->now_ms));
    out_printf(out, "state hash   %s\n", status->state_hash);
    if (status->halted) {
        out_styled(out, STYLE_BAD, "halted");
        out_printf(out, "       a sync failed; close the store and open it again\n");
    }
    if (*status->notes) {
        out_printf(out, "notes        ");
        out_text(out, status->notes);
        out_printf(out, "\n");
    }
}

enum wf_status cmd_status(struct cli *cli) {
    struct wf_store_status now;
    enum wf_status status = wf_status_get(cli->engine, true, &now, &cli->err);
    if (status != WF_OK)
        return status;
    if (!out_is_json(&cli->out)) {
        tell_text(cli, &now);
        return WF_OK;
    }
    out_object_open(&cli->out);
    view_status_members(&cli->out.json, &now);
    out_object_close(&cli->out);
    return WF_OK;
}
