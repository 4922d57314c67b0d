#include "engine/core/retention.h"

#include "engine/core/decision.h"
#include "engine/core/text.h"

#include <inttypes.h>

/* Who dropped the past, and why, must be told for ever. */
static bool check_words(const struct command *command, struct decision *decision) {
    struct bytes_view reason = command->as.archive_drop.reason;
    if (command->actor.size == 0 || reason.size == 0) {
        decision_fail(decision, WF_USAGE, "to drop records takes an actor and a reason");
        return false;
    }
    if (reason.size > COMMAND_TEXT_MAX || !text_is_utf8(reason)) {
        decision_fail(decision, WF_USAGE, "a reason must be UTF-8 of at most %d bytes",
                      COMMAND_TEXT_MAX);
        return false;
    }
    return true;
}

/* Only from the beginning on, and without a gap; but a repair may have lost the record of an
 * earlier drop. */
static bool is_next(const struct state *state, const struct command *command) {
    uint64_t next = state->store.dropped_lsn + 1;
    uint64_t first = command->as.archive_drop.segments[0].first_lsn;
    if (state->store.repairs > 0 && first > next)
        next = first;
    for (size_t i = 0; i < command->as.archive_drop.count; i++) {
        const struct dropped_segment *segment = &command->as.archive_drop.segments[i];
        if (segment->first_lsn != next || segment->last_lsn < segment->first_lsn)
            return false;
        next = segment->last_lsn + 1;
    }
    return true;
}

void retention_decide_drop(const struct state *state, const struct command *command,
                           struct decision *decision) {
    const struct dropped_segment *segments = command->as.archive_drop.segments;
    size_t count = command->as.archive_drop.count;
    if (!check_words(command, decision))
        return;
    if (count == 0) {
        decision_fail(decision, WF_REFUSED, "no archive lies wholly before that");
        return;
    }
    if (count > RECORD_EVENTS_MAX - 1) {
        decision_fail(
            decision, WF_REFUSED,
            "%zu archives at once are too many: drop at most %d, those before LSN %" PRIu64, count,
            RECORD_EVENTS_MAX - 1, segments[RECORD_EVENTS_MAX - 1].first_lsn);
        return;
    }
    if (!is_next(state, command)) {
        decision_fail(decision, WF_REFUSED,
                      "the archives do not continue what was dropped, which ends at LSN %" PRIu64,
                      state->store.dropped_lsn);
        return;
    }
    struct event *event = decision_add(decision, EVENT_ARCHIVE_DROPPED);
    event->as.archive_dropped.first_lsn = segments[0].first_lsn;
    event->as.archive_dropped.last_lsn = segments[count - 1].last_lsn;
    event->as.archive_dropped.reason = command->as.archive_drop.reason;
    event->as.archive_dropped.peaks = command->as.archive_drop.peaks;
    event->as.archive_dropped.state_hash = command->as.archive_drop.state_hash;
    event->as.archive_dropped.fields = command->as.archive_drop.fields;
    event->as.archive_dropped.field_count = command->as.archive_drop.field_count;
    for (size_t i = 0; i < count; i++)
        decision_add(decision, EVENT_SEGMENT_DROPPED)->as.segment_dropped = segments[i];
}

enum wf_status retention_reserve(const struct state *state, const struct record *record,
                                 const struct event *event, struct wf_error *err) {
    uint64_t first = event->as.archive_dropped.first_lsn;
    uint64_t last = event->as.archive_dropped.last_lsn;
    if (first > state->store.dropped_lsn && first <= last &&
        (record->lsn == 0 || last < record->lsn))
        return WF_OK;
    return error_set(err, WF_DAMAGE,
                     "record %" PRIu64 " drops LSN %" PRIu64 " to %" PRIu64
                     ", and those up to %" PRIu64 " were dropped before",
                     record->lsn, first, last, state->store.dropped_lsn);
}

void retention_apply(struct state *state, const struct record *record, const struct event *event) {
    if (event->kind != EVENT_ARCHIVE_DROPPED)
        return;
    state->store.dropped_lsn = event->as.archive_dropped.last_lsn;
    state->store.drop_lsn = record->lsn;
}
