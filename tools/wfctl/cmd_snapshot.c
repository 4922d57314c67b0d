#include "tools/wfctl/cli.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/table.h"

#include <inttypes.h>

static enum wf_status tell(struct cli *cli, const char *text_format, uint64_t entries,
                           bool with_entries) {
    struct wf_store_status now;
    enum wf_status status = wf_status_get(cli->engine, false, &now, &cli->err);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    char size[FORMAT_SIZE_SIZE];
    if (!out_is_json(out)) {
        out_printf(out, "%s up to record %" PRIu64 ", %s", text_format, now.snapshot_lsn,
                   format_size(size, now.snapshot_bytes));
        if (with_entries)
            out_printf(out, ", %" PRIu64 " entries", entries);
        out_printf(out, "\n");
        return WF_OK;
    }
    out_object_open(out);
    emit_member_uint(&out->json, "snapshot_lsn", now.snapshot_lsn);
    emit_member_uint(&out->json, "bytes", now.snapshot_bytes);
    if (with_entries)
        emit_member_uint(&out->json, "entries", entries);
    out_object_close(out);
    return WF_OK;
}

enum wf_status cmd_snapshot_create(struct cli *cli) {
    enum wf_status status = wf_snapshot(cli->engine, &cli->err);
    return status == WF_OK ? tell(cli, "snapshot written", 0, false) : status;
}

enum wf_status cmd_snapshot_verify(struct cli *cli) {
    uint64_t entries = 0;
    enum wf_status status = wf_snapshot_verify(cli->engine, &entries, &cli->err);
    return status == WF_OK ? tell(cli, "snapshot good", entries, true) : status;
}

enum wf_status cmd_snapshot_list(struct cli *cli) {
    struct wf_store_status now;
    enum wf_status status = wf_status_get(cli->engine, false, &now, &cli->err);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    bool any = now.snapshot_lsn > 0;
    if (out_is_json(out)) {
        out_list_open(out, "snapshots");
        if (any) {
            out_item_open(out);
            emit_member_uint(&out->json, "lsn", now.snapshot_lsn);
            emit_member_uint(&out->json, "bytes", now.snapshot_bytes);
            out_item_close(out);
        }
        out_list_end(out);
        return WF_OK;
    }
    static const char *const headers[] = {">RECORD", ">SIZE", NULL};
    struct text_table table;
    table_begin(&table, out, headers);
    char size[FORMAT_SIZE_SIZE];
    if (any) {
        table_cell_uint(&table, now.snapshot_lsn);
        table_cell(&table, STYLE_PLAIN, format_size(size, now.snapshot_bytes));
    }
    table_end(&table);
    return WF_OK;
}
