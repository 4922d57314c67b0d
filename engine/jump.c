/* The host's clock, watched: where it runs back, or leaps ahead of the time that went by, the log
 * says so. Nothing depends on it: order is by LSN, and no record is older than the one before. */
#include "engine/engine.h"

#include <stdlib.h>

/* A clock that is disciplined slews by less than this; one that was set, or a machine that slept,
 * is off by more. */
enum { JUMP_MS_MIN = 10 * 1000 };

/* What the clock should read by what it read last. Before the first reading: not less than the
 * log's last time. */
static int64_t expected_ms(const struct wf_engine *engine, int64_t now_ms, uint64_t monotonic_ns) {
    const struct clock_watch *watch = &engine->clock_watch;
    if (!watch->seen) {
        return now_ms < engine->state.store.seen_ms ? engine->state.store.seen_ms : now_ms;
    }
    if (engine->options.clock == WF_CLOCK_HOST) {
        return now_ms < watch->now_ms ? watch->now_ms : now_ms; /* a host may leap as it likes */
    }
    return watch->now_ms + (int64_t)((monotonic_ns - watch->monotonic_ns) / 1000000);
}

enum wf_status jump_watch(struct wf_engine *engine, int64_t now_ms, struct wf_error *err) {
    struct clock_watch *watch = &engine->clock_watch;
    if (engine->state.store.test_clock || (watch->seen && now_ms == watch->now_ms)) {
        return WF_OK;
    }
    uint64_t monotonic_ns = engine->io->ops->monotonic_ns(engine->io);
    int64_t expected = expected_ms(engine, now_ms, monotonic_ns);
    const struct clock_watch reading = {
        .seen = true, .now_ms = now_ms, .monotonic_ns = monotonic_ns};
    if (llabs(now_ms - expected) < JUMP_MS_MIN) {
        *watch = reading;
        return WF_OK;
    }
    struct command command = {.kind = COMMAND_CLOCK_JUMP, .now_ms = now_ms};
    command.as.clock_jump.expected_ms = expected;
    decide(&engine->state, &command, &engine->decision);
    struct wal_ticket ticket;
    enum wf_status status = WF_OK;
    if (engine->decision.status == WF_OK) {
        status = engine_append_decision(engine, &command, &ticket, err);
    }
    if (status == WF_OK) {
        *watch = reading;
    }
    return status;
}
