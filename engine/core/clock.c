#include "engine/core/clock.h"

#include "engine/core/decision.h"
#include "engine/core/text.h"

/* Times stay within +-2^53 ms, so that no sum with a duration leaves 64 bits. */
static const int64_t time_ms_max = INT64_C(1) << 53;

static bool is_duration(int64_t ms) {
    return ms > 0 && ms <= DEFINITION_DURATION_MAX_MS;
}

/* Where an advance leads to; by way of deadlines it begins where the clock stands. */
static int64_t advance_target(const struct store_entity *store, const struct command *command) {
    int64_t target_ms = store->clock_ms + command->as.clock_advance.by_ms;
    int64_t due_ms = command->as.clock_advance.next_due_ms;
    return due_ms != 0 && due_ms <= target_ms ? store->clock_ms : target_ms;
}

/* A timer that fires while the test clock is on its way does so at its own deadline. */
static int64_t step_time(const struct store_entity *store, const struct command *command) {
    bool steps = (command->kind == COMMAND_TIMER_FIRE || command->kind == COMMAND_HOLD_EXPIRE) &&
                 store->clock_target_ms != 0;
    if (!steps || command->now_ms <= store->clock_ms)
        return store->clock_ms;
    return command->now_ms < store->clock_target_ms ? command->now_ms : store->clock_target_ms;
}

int64_t clock_record_time(const struct state *state, const struct command *command) {
    const struct store_entity *store = &state->store;
    int64_t now = command->now_ms;
    if (command->kind == COMMAND_STORE_CREATE && command->as.store_create.test_clock)
        now = command->as.store_create.time_ms;
    else if (store->test_clock && command->kind == COMMAND_CLOCK_ADVANCE &&
             is_duration(command->as.clock_advance.by_ms))
        now = advance_target(store, command);
    else if (store->test_clock)
        now = step_time(store, command);
    if (now > time_ms_max)
        now = time_ms_max;
    return now > store->seen_ms ? now : store->seen_ms;
}

void clock_decide_create(const struct state *state, const struct command *command,
                         struct decision *decision) {
    if (state->store.created) {
        decision_fail(decision, WF_REFUSED, "the store exists already");
        return;
    }
    int64_t time_ms = command->as.store_create.time_ms;
    if (command->as.store_create.test_clock && (time_ms < 0 || time_ms > time_ms_max)) {
        decision_fail(decision, WF_USAGE, "a test clock begins between 1970 and the year 287396");
        return;
    }
    struct event *event = decision_add(decision, EVENT_STORE_CREATED);
    event->as.store_created.test_clock = command->as.store_create.test_clock;
    event->as.store_created.time_ms = decision->time_ms;
}

void clock_decide_advance(const struct state *state, const struct command *command,
                          struct decision *decision) {
    if (!state->store.test_clock) {
        decision_fail(decision, WF_REFUSED,
                      "this store follows the real clock; only a store made with a test clock can "
                      "be advanced");
        return;
    }
    if (!is_duration(command->as.clock_advance.by_ms)) {
        decision_fail(decision, WF_USAGE,
                      "a clock is advanced by more than nothing and at most 100 years");
        return;
    }
    int64_t to_ms = state->store.clock_ms + command->as.clock_advance.by_ms;
    int64_t due_ms = command->as.clock_advance.next_due_ms;
    if (to_ms > time_ms_max)
        to_ms = time_ms_max;
    if (due_ms != 0 && due_ms <= to_ms && to_ms > state->store.clock_ms) {
        decision_add(decision, EVENT_CLOCK_ADVANCE_BEGUN)->as.clock_advance_begun.to_ms = to_ms;
        return;
    }
    if (decision->time_ms == state->store.clock_ms) {
        decision_fail(decision, WF_REFUSED, "the test clock has reached its end");
        return;
    }
    decision_add(decision, EVENT_CLOCK_ADVANCED)->as.clock_advanced.to_ms = decision->time_ms;
}

void clock_decide_jump(const struct command *command, struct decision *decision) {
    struct event *event = decision_add(decision, EVENT_CLOCK_JUMPED);
    event->as.clock_jumped.expected_ms = command->as.clock_jump.expected_ms;
    event->as.clock_jumped.to_ms = command->now_ms;
}

void clock_decide_repair(const struct command *command, struct decision *decision) {
    if (!text_is_utf8(command->as.log_repair.copy) ||
        command->as.log_repair.copy.size > COMMAND_TEXT_MAX) {
        decision_fail(decision, WF_USAGE, "the name of the copy must be UTF-8 of at most %d bytes",
                      COMMAND_TEXT_MAX);
        return;
    }
    struct event *event = decision_add(decision, EVENT_LOG_REPAIRED);
    event->as.log_repaired.first_lsn = command->as.log_repair.first_lsn;
    event->as.log_repaired.last_lsn = command->as.log_repair.last_lsn;
    event->as.log_repaired.copy = command->as.log_repair.copy;
    event->as.log_repaired.fields = NULL;
    event->as.log_repaired.field_count = 0;
}

void clock_apply(struct state *state, const struct event *event) {
    struct store_entity *store = &state->store;
    if (event->kind == EVENT_STORE_CREATED) {
        store->created = true;
        store->test_clock = event->as.store_created.test_clock;
        store->clock_ms = store->test_clock ? event->as.store_created.time_ms : 0;
    } else if (event->kind == EVENT_CLOCK_ADVANCED) {
        store->test_clock = true; /* so it is even where the store's first record was lost */
        store->clock_ms = event->as.clock_advanced.to_ms;
        store->clock_target_ms = 0;
    } else if (event->kind == EVENT_CLOCK_ADVANCE_BEGUN) {
        store->test_clock = true;
        store->clock_target_ms = event->as.clock_advance_begun.to_ms;
    } else if (event->kind == EVENT_LOG_REPAIRED) {
        uint64_t told = event->as.log_repaired.last_lsn - event->as.log_repaired.first_lsn + 1;
        store->created = true; /* likewise */
        store->repairs++;
        store->untold -= told < store->untold ? told : store->untold;
    } else if (event->kind == EVENT_COMMAND_REFUSED) {
        store->refusals++;
    }
}
