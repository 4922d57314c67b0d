/* What a store says of itself, and a pool of sessions. JSON. */
#include "tools/wfctl/view.h"

#include "tools/wfctl/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void counts_member(struct emit *json, const struct wf_store_status *status) {
    emit_key(json, "workflows");
    emit_open(json, '{');
    for (unsigned i = 1; i < sizeof status->counts / sizeof status->counts[0]; i++)
        if (status->counts[i] > 0 && wf_workflow_status_name(i))
            emit_member_uint(json, wf_workflow_status_name(i), status->counts[i]);
    emit_close(json, '}');
}

static void replay_ms_member(struct emit *json, double replay_ms) {
    uint64_t microseconds = replay_ms > 0 ? (uint64_t)(replay_ms * 1000 + 0.5) : 0;
    char text[40];
    int size = snprintf(text, sizeof text, "%" PRIu64 ".%03" PRIu64, microseconds / 1000,
                        microseconds % 1000);
    emit_key(json, "replay_ms");
    emit_raw(json, text, (size_t)size);
}

void view_status_members(struct emit *json, const struct wf_store_status *status) {
    emit_member_uint(json, "durable_lsn", status->durable_lsn);
    emit_member_uint(json, "snapshot_lsn", status->snapshot_lsn);
    emit_member_uint(json, "replayed", status->replayed);
    replay_ms_member(json, status->replay_ms);
    if (*status->state_hash)
        emit_member(json, "state_hash", status->state_hash);
    emit_member_uint(json, "segments", status->segments);
    emit_member_uint(json, "archives", status->archives);
    if (status->dropped_lsn) {
        emit_member_uint(json, "dropped_lsn", status->dropped_lsn);
        emit_member_uint(json, "drop_lsn", status->drop_lsn);
    }
    counts_member(json, status);
    emit_key(json, "schema_version");
    emit_null(json);
    emit_member_bool(json, "halted", status->halted);
    emit_member_uint(json, "definitions", status->definitions);
    emit_member_uint(json, "keys", status->keys);
    emit_member_uint(json, "refusals", status->refusals);
    emit_member_uint(json, "torn_bytes", status->torn_bytes);
    emit_member_uint(json, "checked_from_lsn", status->checked_from_lsn);
    emit_member_uint(json, "repairs", status->repairs);
    emit_member_uint(json, "log_bytes", status->log_bytes);
    emit_member_uint(json, "snapshot_bytes", status->snapshot_bytes);
    emit_member_uint(json, "memory_bytes", status->memory_bytes);
    emit_member(json, "clock", status->test_clock ? "test" : "system");
    emit_member_time(json, "now", status->now_ms);
    if (*status->notes)
        emit_member(json, "notes", status->notes);
}

void view_dropped_members(struct emit *json, const struct wf_archive_dropped *dropped) {
    if (dropped->lsn) /* else it is a plan */
        emit_member_uint(json, "lsn", dropped->lsn);
    else
        emit_member_bool(json, "dry_run", true);
    if (dropped->replayed)
        emit_member_bool(json, "replayed", true);
    emit_member_uint(json, "segments", dropped->segments);
    emit_member_uint(json, "first_lsn", dropped->first_lsn);
    emit_member_uint(json, "last_lsn", dropped->last_lsn);
    emit_member_uint(json, "records", dropped->last_lsn - dropped->first_lsn + 1);
    emit_member_uint(json, "bytes", dropped->bytes);
}

void view_pool_members(struct emit *json, const struct wf_pool_stats *stats) {
    emit_member_uint(json, "min", stats->sessions_min);
    emit_member_uint(json, "max", stats->sessions_max);
    emit_member_uint(json, "in_use", stats->in_use);
    emit_member_uint(json, "idle", stats->idle);
    emit_member_uint(json, "waiting", stats->waiting);
    emit_member_uint(json, "peak", stats->peak);
    emit_member_uint(json, "acquired", stats->acquired);
    emit_member_uint(json, "waited", stats->waited);
    emit_member_uint(json, "timed_out", stats->timed_out);
    emit_member_uint(json, "longest_wait_us", stats->longest_wait_ns / 1000);
    emit_member_uint(json, "created", stats->created);
    emit_member_uint(json, "closed", stats->closed);
    emit_member_uint(json, "create_failures", stats->create_failures);
}
