/* Every command comes in here: what all have in common is checked, then its machine decides. */
#include "engine/core/decide.h"

#include "engine/core/catalog.h"
#include "engine/core/clock.h"
#include "engine/core/decision.h"
#include "engine/core/keys.h"
#include "engine/core/ledger.h"
#include "engine/core/migrate.h"
#include "engine/core/reference.h"
#include "engine/core/retention.h"
#include "engine/core/rollback.h"
#include "engine/core/task.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct event *decision_add(struct decision *decision, enum event_kind kind) {
    assert(decision->event_count < RECORD_EVENTS_MAX);
    struct event *event = &decision->events[decision->event_count++];
    event->kind = kind;
    return event;
}

static void append_words(struct decision *decision, const char *format, va_list args) {
    size_t used = strlen(decision->message), room = sizeof decision->message - used;
    int size = vsnprintf(decision->message + used, room, format, args);
    if (size >= 0 && (size_t)size < room)
        return;
    struct bytes_view cut = text_view(decision->message);
    decision->message[text_whole_size(cut)] = '\0';
}

void decision_same_until(struct decision *decision, int64_t time_ms) {
    if (time_ms < decision->same_until_ms)
        decision->same_until_ms = time_ms;
}

void decision_append(struct decision *decision, const char *format, ...) {
    va_list args;
    va_start(args, format);
    append_words(decision, format, args);
    va_end(args);
}

void decision_fail(struct decision *decision, enum wf_status status, const char *format, ...) {
    decision->status = status;
    decision->event_count = 0;
    decision->message[0] = '\0';
    va_list args;
    va_start(args, format);
    append_words(decision, format, args);
    va_end(args);
}

void decision_refuse(struct decision *decision, const char *format, ...) {
    decision->status = WF_REFUSED;
    decision->event_count = 0;
    decision->message[0] = '\0';
    va_list args;
    va_start(args, format);
    append_words(decision, format, args);
    va_end(args);
    decision_add(decision, EVENT_COMMAND_REFUSED)->as.command_refused.status = WF_REFUSED;
}

/* The sentence of a refusal is complete: let the event have it. */
static void finish_refusal(struct decision *decision) {
    for (size_t i = 0; i < decision->event_count; i++)
        if (decision->events[i].kind == EVENT_COMMAND_REFUSED)
            decision->events[i].as.command_refused.message = text_view(decision->message);
}

static bool check_text(struct bytes_view text, const char *what, struct decision *decision) {
    if (text_is_name(text, COMMAND_ID_MAX))
        return true;
    decision_fail(decision, WF_USAGE,
                  "%s must have 1 to %d bytes of UTF-8 without control characters", what,
                  COMMAND_ID_MAX);
    return false;
}

static bool check_subject(const struct command *command, struct decision *decision) {
    switch (command_subject(command->kind)) {
    case SUBJECT_WORKFLOW:
        return check_text(command->subject, "the id of a workflow", decision);
    case SUBJECT_ACCOUNT:
        return check_text(command->subject, "the number of an account", decision);
    case SUBJECT_REFERENCE:
        return check_text(command->subject, "a name", decision);
    case SUBJECT_DEFINITION: /* it is read out of the definition, which is checked */
    case SUBJECT_NONE:
        return true;
    case SUBJECT_UNKNOWN:
        break;
    }
    decision_fail(decision, WF_USAGE, "there is no command of kind %d", (int)command->kind);
    return false;
}

static bool check_common(const struct state *state, const struct command *command,
                         struct decision *decision) {
    if (!check_subject(command, decision))
        return false;
    if (command->actor.size > 0 && !check_text(command->actor, "an actor", decision))
        return false;
    if (command->key.size > 0 && !check_text(command->key, "an idempotency key", decision))
        return false;
    if (!state->store.created && command->kind != COMMAND_STORE_CREATE &&
        command->kind != COMMAND_LOG_REPAIR) {
        decision_fail(decision, WF_USAGE, "the store was not created yet");
        return false;
    }
    return true;
}

static void dispatch(const struct state *state, const struct command *command,
                     struct decision *decision) {
    switch (command->kind) {
    case COMMAND_STORE_CREATE:
        clock_decide_create(state, command, decision);
        return;
    case COMMAND_CLOCK_ADVANCE:
        clock_decide_advance(state, command, decision);
        return;
    case COMMAND_LOG_REPAIR:
        clock_decide_repair(command, decision);
        return;
    case COMMAND_DEFINITION_ADD:
        catalog_decide_add(state, command, decision);
        return;
    case COMMAND_WORKFLOW_START:
        workflow_decide_start(state, command, decision);
        return;
    case COMMAND_WORKFLOW_SUBMIT:
        workflow_decide_submit(command, decision);
        return;
    case COMMAND_WORKFLOW_FAIL:
        workflow_decide_fail(command, decision);
        return;
    case COMMAND_WORKFLOW_CANCEL:
        workflow_decide_cancel(command, decision);
        return;
    case COMMAND_WORKFLOW_ROLLBACK:
        rollback_decide(command, decision);
        return;
    case COMMAND_REVIEW_APPROVE:
    case COMMAND_REVIEW_REJECT:
        review_decide(command, decision);
        return;
    case COMMAND_TIMER_FIRE:
        timer_decide_fire(command, decision);
        return;
    case COMMAND_CLOCK_JUMP:
        clock_decide_jump(command, decision);
        return;
    case COMMAND_WORKFLOW_MIGRATE:
        migrate_decide(state, command, decision);
        return;
    case COMMAND_TASK_CLAIM:
    case COMMAND_TASK_COMPLETE:
    case COMMAND_TASK_FAIL:
    case COMMAND_TASK_RETRY:
        task_decide(command, decision);
        return;
    case COMMAND_ACCOUNT_OPEN:
        ledger_decide_open(state, command, decision);
        return;
    case COMMAND_ACCOUNT_TRANSACT:
        ledger_decide_transact(state, command, decision);
        return;
    case COMMAND_HOLD_EXPIRE:
        ledger_decide_expire(state, command, decision);
        return;
    case COMMAND_ACCOUNT_REVERSE:
        ledger_decide_reverse(state, command, decision);
        return;
    case COMMAND_ACCOUNT_FREEZE:
    case COMMAND_ACCOUNT_UNFREEZE:
    case COMMAND_ACCOUNT_CLOSE:
        ledger_decide_status(state, command, decision);
        return;
    case COMMAND_RATE_SET:
    case COMMAND_INSTRUMENT_SET:
    case COMMAND_CALENDAR_SET:
    case COMMAND_FEE_RULE_SET:
        reference_decide_set(state, command, decision);
        return;
    case COMMAND_ARCHIVE_DROP:
        retention_decide_drop(state, command, decision);
        return;
    }
}

void decide(const struct state *state, const struct command *command, struct decision *decision) {
    decision->status = WF_OK;
    decision->repeated = false;
    decision->first = (struct record_link){0, 0};
    decision->event_count = 0;
    decision->touch_count = 0;
    decision->time_ms = clock_record_time(state, command);
    decision->same_until_ms = INT64_MAX;
    decision->message[0] = '\0';
    decision->state = state;
    decision->workflow = NULL;
    if (!check_common(state, command, decision) || keys_decide(state, command, decision))
        return;
    if (command_is_about_workflow(command->kind))
        decision->workflow = state_workflow(state, command->subject);
    dispatch(state, command, decision);
    if (decision->status == WF_REFUSED)
        finish_refusal(decision);
}
