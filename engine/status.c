/* What a store can say about itself: status, metrics, names. */
#include "engine/engine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *wf_workflow_status_name(unsigned status) {
    return workflow_status_name((enum workflow_status)status);
}

const char *wf_status_code(enum wf_status status) {
    return error_code(status);
}

const char *wf_version(void) {
    return WF_VERSION;
}

static void add_log_bytes(struct wf_engine *engine, struct wf_store_status *status) {
    struct wal_segment_info info;
    struct archive_entry entry;
    for (size_t i = 0; engine->archive != NULL && archive_at(engine->archive, i, &entry); i++) {
        status->archives += entry.dropped_lsn == 0;
        status->archive_bytes += entry.dropped_lsn == 0 ? entry.size : 0;
    }
    status->segments = wal_segment_count(engine->wal);
    for (size_t i = 0; wal_segment_at(engine->wal, i, &info); i++) {
        status->log_bytes += info.size;
    }
}

/* Everything that is read under the mutex. */
static enum wf_status fill_from_state(struct wf_engine *engine, bool with_hash,
                                      struct wf_store_status *out, struct wf_error *err) {
    const struct state *state = &engine->state;
    out->snapshot_lsn = engine->snapshot_lsn;
    out->replayed = engine->replayed;
    out->checked_from_lsn = engine->checked_from_lsn;
    out->repairs = state->store.repairs;
    out->replay_ms = engine->replay_ms;
    out->torn_bytes = engine->torn_bytes;
    out->definitions = table_count(&state->definitions);
    out->workflows_in_memory = table_count(&state->workflows);
    out->keys = state->store.key_next - state->store.key_first;
    for (size_t i = 1; i < WORKFLOW_STATUS_COUNT; i++) {
        out->counts[i] = state->store.workflow_counts[i];
    }
    out->refusals = state->store.refusals;
    out->dropped_lsn = state->store.dropped_lsn;
    out->drop_lsn = state->store.drop_lsn;
    out->memory_bytes = cache_memory(engine);
    out->test_clock = state->store.test_clock;
    out->now_ms = state->store.test_clock ? state->store.clock_ms : engine_now_ms(engine);
    out->read_only = engine->options.read_only;
    int64_t bound_ms = due_bound_ms(engine);
    out->next_due_ms = bound_ms == INT64_MAX || bound_ms == INT64_MIN ? 0 : bound_ms;
    if (engine->snapshot != NULL) {
        uint64_t entries;
        engine->snapshot->ops->sizes(engine->snapshot, &out->snapshot_bytes, &entries);
    }
    (void)snprintf(
        out->notes, sizeof(out->notes), "%s%s%s%s%s", engine->notes,
        engine->snapshot_status == WF_OK ? "" : "; snapshots pause: ", engine->snapshot_problem,
        engine->archive_status == WF_OK ? "" : "; archiving pauses: ", engine->archive_problem);
    if (!with_hash) {
        return WF_OK;
    }
    struct digest_sum sum;
    enum wf_status status = digest_state(state, &engine->digest_sum, &sum, err);
    if (status == WF_OK) {
        digest_hex(&sum, out->state_hash);
    }
    return status;
}

/* Counts, hash and LSN of one and the same durable state. */
static enum wf_status durable_status(struct wf_engine *engine, bool with_hash,
                                     struct wf_store_status *out, struct wf_error *err) {
    *out = (struct wf_store_status){0};
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_ensure_state(engine, err);
    if (status == WF_OK) {
        status = fill_from_state(engine, with_hash, out, err);
    }
    struct wal_ticket ticket = engine_last_ticket(engine);
    pthread_mutex_unlock(&engine->mutex);
    out->durable_lsn = ticket.lsn;
    return status == WF_OK ? engine_wait_durable(engine, &ticket, err) : status;
}

enum wf_status wf_status_get(struct wf_engine *engine, bool with_hash, struct wf_store_status *out,
                             struct wf_error *err) {
    enum wf_status status;
    unsigned attempts = 0;
    do {
        status = durable_status(engine, with_hash, out, err);
    } while (engine_ask_again(status, &attempts));
    out->halted = wal_halted(engine->wal); /* the wait may have found it out */
    add_log_bytes(engine, out);
    return status;
}

/* Append formatted text; a buffer that fails is noticed at the end. */
__attribute__((format(printf, 2, 3))) static void print(struct bytes_buffer *text,
                                                        const char *format, ...) {
    char line[400];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (size > 0) {
        bytes_write_run(text, line, (size_t)size < sizeof(line) ? (size_t)size : sizeof(line) - 1);
    }
}

static void print_metric(struct bytes_buffer *text, const char *name, const char *type,
                         const char *help, double value) {
    print(text, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

struct metric {
    const char *name, *type, *help;
    double value;
};

enum wf_status wf_metrics(struct wf_engine *engine, char **out, struct wf_error *err) {
    *out = NULL;
    struct wf_store_status now;
    enum wf_status status = wf_status_get(engine, false, &now, err);
    if (status != WF_OK) {
        return status;
    }
    struct wal_stats log;
    wal_stats(engine->wal, &log);
    pthread_mutex_lock(&engine->mutex);
    const struct engine_counters counters = engine->counters;
    const size_t versions_bytes = engine->versions.bytes;
    pthread_mutex_unlock(&engine->mutex);
    const struct metric metrics[] = {
        {"wf_durable_lsn", "gauge", "Highest LSN known durable.", (double)now.durable_lsn},
        {"wf_snapshot_lsn", "gauge", "LSN of the last snapshot.", (double)now.snapshot_lsn},
        {"wf_halted", "gauge", "1 where a failed sync halted the engine.", now.halted},
        {"wf_memory_bytes", "gauge", "Bytes of entities held in memory.", (double)now.memory_bytes},
        {"wf_log_bytes", "gauge", "Bytes of log segments in use.", (double)now.log_bytes},
        {"wf_archives", "gauge", "Segments that are archived.", (double)now.archives},
        {"wf_archive_bytes", "gauge", "Bytes of archives.", (double)now.archive_bytes},
        {"wf_snapshot_bytes", "gauge", "Bytes of the snapshot's file.", (double)now.snapshot_bytes},
        {"wf_waiters", "gauge", "Threads waiting for durability.",
         (double)atomic_load_explicit(&engine->waiters, memory_order_relaxed)},
        {"wf_commands_total", "counter", "Commands decided.", (double)counters.commands},
        {"wf_refused_total", "counter", "Commands refused by a rule.", (double)counters.refused},
        {"wf_repeated_total", "counter", "Commands answered by their idempotency key.",
         (double)counters.repeated},
        {"wf_conflicts_total", "counter", "Keys used again with another body.",
         (double)counters.conflicts},
        {"wf_log_records_total", "counter", "Records appended.", (double)log.records},
        {"wf_log_appended_bytes_total", "counter", "Bytes appended.", (double)log.bytes},
        {"wf_log_batches_total", "counter", "Groups of records written.", (double)log.batches},
        {"wf_log_syncs_total", "counter", "Syncs of the log.", (double)log.syncs},
        {"wf_log_sync_seconds_total", "counter", "Time in syncs.", (double)log.sync_ns_sum / 1e9},
        {"wf_log_sync_seconds_max", "gauge", "Longest sync.", (double)log.sync_ns_max / 1e9},
        {"wf_log_rotations_total", "counter", "Segments begun.", (double)log.rotations},
        {"wf_cache_loads_total", "counter", "Entities loaded from the snapshot.",
         (double)counters.loads},
        {"wf_cache_evictions_total", "counter", "Entities evicted from memory.",
         (double)counters.evictions},
        {"wf_checkpoints_total", "counter", "Snapshots written.", (double)counters.checkpoints},
        {"wf_checkpoint_failures_total", "counter", "Snapshots that failed.",
         (double)counters.checkpoint_failures},
        {"wf_checkpoint_seconds_total", "counter", "Time in snapshots.",
         (double)counters.checkpoint_ns_sum / 1e9},
        {"wf_timers_fired_total", "counter", "Stages that timed out.",
         (double)counters.timers_fired},
        {"wf_state_reloads_total", "counter", "Times that the state was rebuilt in place.",
         (double)counters.reloads},
        {"wf_transactions_total", "counter", "Transactions begun in sessions.",
         (double)counters.transactions},
        {"wf_transactions_committed_total", "counter", "Of these, committed with operations.",
         (double)counters.transactions_committed},
        {"wf_transaction_conflicts_total", "counter",
         "Commits refused because another transaction came first.",
         (double)counters.transaction_conflicts},
        {"wf_transactions_given_up_total", "counter",
         "Transactions that took too long, or whose snapshot was given up.",
         (double)counters.transactions_given_up},
        {"wf_versions_bytes", "gauge", "What accounts were, kept for open transactions.",
         (double)versions_bytes},
    };
    struct bytes_buffer text;
    bytes_buffer_init(&text);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        print_metric(&text, metrics[i].name, metrics[i].type, metrics[i].help, metrics[i].value);
    }
    print(&text, "# HELP wf_workflows Workflows by status.\n# TYPE wf_workflows gauge\n");
    for (unsigned i = 1; i < WORKFLOW_STATUS_COUNT; i++) {
        print(&text, "wf_workflows{status=\"%s\"} %" PRIu64 "\n", wf_workflow_status_name(i),
              now.counts[i]);
    }
    bytes_write_u8(&text, 0);
    if (!bytes_buffer_ok(&text)) {
        bytes_buffer_deinit(&text);
        return error_set(err, WF_NO_MEMORY, "no memory for metrics");
    }
    *out = (char *)text.data; /* from malloc, as bytes_buffer documents: the caller frees */
    return WF_OK;
}
