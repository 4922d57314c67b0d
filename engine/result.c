/* What a command came to. */
#include "engine/result.h"

#include "engine/record_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void result_clear(struct wf_result *result) {
    result->lsn = 0;
    result->replayed = false;
    result->outcome = NULL;
    result->stage = NULL;
    result->status = NULL;
    result->activated_count = 0;
    result->version = 0;
    result->waits_stage = NULL;
    result->waits_role = NULL;
    result->balance_count = 0;
    result->balances_total = 0;
    result->place = 0;
}

void result_copy(struct wf_result *to, const struct wf_result *from) {
    to->lsn = from->lsn;
    to->replayed = from->replayed;
    to->outcome = from->outcome;
    to->stage = from->stage;
    to->status = from->status;
    to->version = from->version;
    to->waits_stage = from->waits_stage;
    to->waits_role = from->waits_role;
    to->activated_count = from->activated_count;
    to->balance_count = from->balance_count;
    to->balances_total = from->balances_total;
    to->place = from->place;
    memcpy(to->balances, from->balances, from->balance_count * sizeof(to->balances[0]));
    memcpy(to->activated, from->activated, from->activated_count * sizeof(to->activated[0]));
}

/* The definition that the record's stages belong to; NULL where it concerns no workflow. */
static const struct definition *definition_of(const struct state *state,
                                              const struct workflow *workflow,
                                              const struct record *record) {
    const struct event *first = &record->events[0];
    if (record->event_count > 0 && first->kind == EVENT_WORKFLOW_STARTED) {
        const struct definition_entity *entity = state_definition(
            state, first->as.workflow_started.type, first->as.workflow_started.version);
        return entity == NULL ? NULL : entity->definition;
    }
    if (workflow != NULL && record->event_count > 0 && first->kind == EVENT_WORKFLOW_MIGRATED) {
        struct bytes_view type = text_view(workflow->definition->name);
        const struct definition_entity *to =
            state_definition(state, type, first->as.workflow_migrated.version);
        return to == NULL ? NULL : to->definition;
    }
    return workflow == NULL ? NULL : workflow_definition_at(state, workflow, record->lsn);
}

static void add_activated(const struct definition *definition, uint32_t stage,
                          struct wf_result *result) {
    const struct definition_stage *activated = &definition->stages[stage];
    if (result->activated_count == 0) {
        result->outcome = activated->outcome != NULL ? activated->outcome : activated->name;
    }
    if (result->activated_count < WF_STAGES_MAX) {
        result->activated[result->activated_count++] = activated->name;
    }
}

void result_set_balance(struct wf_balance *balance, struct bytes_view number,
                        const struct currency *currency, int64_t units) {
    memcpy(balance->account, number.data, number.size);
    balance->account[number.size] = '\0';
    memcpy(balance->currency, currency->code, sizeof(balance->currency));
    _Static_assert(sizeof(balance->balance) == MONEY_TEXT_SIZE, "it is printed in place");
    (void)money_print(balance->balance, units, currency);
}

/* A customer's account after the record, as that says itself. False: it is none. */
static bool balance_of(const struct record_touch *touch, struct wf_balance *balance) {
    const struct currency *currency = currency_find(touch->currency);
    if (touch->kind != ENTITY_ACCOUNT || currency == NULL || touch->name.size > WF_ACCOUNT_MAX) {
        return false;
    }
    result_set_balance(balance, touch->name, currency, touch->balance);
    return true;
}

static void add_balances(const struct record *record, struct wf_result *result) {
    for (size_t i = 0; i < record->touch_count; i++) {
        const struct record_touch *touch = &record->touches[i];
        if (touch->kind != ENTITY_ACCOUNT) {
            continue;
        }
        result->balances_total++;
        if (result->balance_count < WF_RESULT_BALANCES_MAX) {
            result->balance_count += balance_of(touch, &result->balances[result->balance_count]);
        }
    }
}

enum wf_status wf_result_balances(struct wf_engine *engine, const struct wf_result *result,
                                  wf_balance_fn on_balance, void *ctx, struct wf_error *err) {
    struct record_reader reader;
    struct wf_balance balance;
    if (result->lsn == 0) {
        return error_set(err, WF_NOT_FOUND, "the command has no record");
    }
    record_reader_init(&reader, engine);
    enum wf_status status =
        record_reader_read(&reader, (struct record_link){result->lsn, result->place}, err);
    for (size_t i = 0; status == WF_OK && i < reader.record.touch_count; i++) {
        if (balance_of(&reader.record.touches[i], &balance) && !on_balance(ctx, &balance)) {
            break;
        }
    }
    record_reader_deinit(&reader);
    return status;
}

static const char *transacted(const struct record *record, const char *otherwise) {
    return record->command == COMMAND_ACCOUNT_TRANSACT ? "posted" : otherwise;
}

void result_from_events(const struct state *state, const struct workflow *workflow,
                        const struct record *record, struct wf_result *result) {
    result_clear(result);
    const struct definition *definition = NULL;
    if (command_is_about_workflow(record->command)) {
        definition = definition_of(state, workflow, record);
    }
    add_balances(record, result);
    if (definition != NULL) {
        result->version = definition->version;
    }
    const char *end = "recorded";
    for (size_t i = 0; i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        switch (event->kind) {
        case EVENT_STAGE_ACTIVATED:
            if (definition != NULL && event->as.stage_activated.stage < definition->stage_count) {
                add_activated(definition, event->as.stage_activated.stage, result);
            }
            break;
        case EVENT_WORKFLOW_COMPLETED:
            end = "completed";
            break;
        case EVENT_WORKFLOW_FAILED:
            end = "failed";
            break;
        case EVENT_WORKFLOW_CANCELLED:
            end = "cancelled";
            break;
        case EVENT_DEFINITION_ADDED:
            if (event->as.definition_added.definition != NULL) {
                result->version = event->as.definition_added.definition->version;
            }
            break;
        case EVENT_TASK_CLAIMED:
            end = "claimed";
            break;
        case EVENT_TASK_PARKED:
            end = "parked";
            break;
        case EVENT_TASK_FAILED:
            end = "retry_later";
            break;
        case EVENT_ACCOUNT_OPENED:
            end = record->command == COMMAND_ACCOUNT_OPEN ? "opened" : transacted(record, end);
            break;
        case EVENT_ACCOUNT_STATUS_SET:
            end = transacted(record, account_status_name(event->as.account_status_set.status));
            break;
        case EVENT_OPERATION_POSTED:
        case EVENT_HOLD_PLACED:
        case EVENT_HOLD_ENDED:
            end = transacted(record, end);
            break;
        case EVENT_TRANSACTION_REVERSED:
            end = "reversed";
            break;
        case EVENT_REVIEW_REQUESTED:
            end = "awaiting_review";
            if (definition != NULL && event->as.review.stage < definition->stage_count) {
                const struct definition_stage *stage = &definition->stages[event->as.review.stage];
                result->waits_stage = stage->name;
                result->waits_role = definition_stage_role(stage);
            }
            break;
        case EVENT_ROLLBACK_REQUESTED:
        case EVENT_CANCEL_REQUESTED:
        case EVENT_REVIEW_APPROVED:
        case EVENT_REVIEW_REJECTED:
        case EVENT_STAGE_UNDONE:
        case EVENT_STAGE_TIMED_OUT:
        case EVENT_TIMERS_STOPPED:
        case EVENT_TIMERS_RESUMED:
        case EVENT_ROLLBACK_COMPLETED:
        case EVENT_ROLLBACK_STOPPED:
        case EVENT_CLOCK_ADVANCE_BEGUN:
        case EVENT_CLOCK_JUMPED:
        case EVENT_REFERENCE_SET:
        case EVENT_ARCHIVE_DROPPED:
        case EVENT_SEGMENT_DROPPED:
        case EVENT_MONEY_BOUND:
        case EVENT_STORE_CREATED:
        case EVENT_WORKFLOW_STARTED:
        case EVENT_STEP_SUBMITTED:
        case EVENT_STAGE_COMPLETED:
        case EVENT_STAGE_FAILED:
        case EVENT_COMMAND_REFUSED:
        case EVENT_CLOCK_ADVANCED:
        case EVENT_LOG_REPAIRED:
        case EVENT_TASK_DUE:
        case EVENT_TASK_DONE:
        case EVENT_TASK_RETRIED:
        case EVENT_WORKFLOW_MIGRATED:
            break;
        }
    }
    if (result->outcome == NULL) {
        result->outcome = end;
    }
}

static void stand(const struct workflow *workflow, const struct definition *names,
                  struct wf_result *result) {
    result->status = workflow_status_name(workflow->status);
    int stage = workflow_current_stage(workflow);
    result->stage = stage < 0 ? NULL : names->stages[stage].name;
}

/* These put another struct workflow in the place of the one that was there, or of none. */
static bool replaces_workflow(enum event_kind kind) {
    return kind == EVENT_WORKFLOW_STARTED || kind == EVENT_WORKFLOW_MIGRATED;
}

void result_from_state(const struct state *state, const struct workflow *workflow,
                       const struct record *record, struct wf_result *result) {
    result->lsn = record->lsn;
    result->place = record->offset;
    if (!command_is_about_workflow(record->command)) {
        return;
    }
    if (record->event_count > 0 && replaces_workflow(record->events[0].kind)) {
        workflow = state_workflow(state, record->subject);
    }
    if (workflow != NULL) {
        stand(workflow, workflow->definition, result);
    }
}

/* Where the workflow stood right after the record. */
static enum wf_status stand_as_of(struct wf_engine *engine, const struct record *record,
                                  struct wf_result *result, struct wf_error *err) {
    struct state past;
    struct workflow *workflow = NULL;
    enum wf_status status =
        engine_state_as_of(engine, record->subject, record->lsn, &past, &workflow, err);
    if (status != WF_OK) {
        return status;
    }
    if (workflow != NULL) {
        /* The names must outlive the past state: take them from the live one. */
        const struct definition *then = workflow->definition;
        struct bytes_view name = text_view(then->name);
        pthread_mutex_lock(&engine->mutex);
        const struct definition_entity *now = state_definition(&engine->state, name, then->version);
        if (now != NULL) {
            stand(workflow, now->definition, result);
        }
        pthread_mutex_unlock(&engine->mutex);
    }
    state_deinit(&past);
    return WF_OK;
}

static bool was_repaired(struct wf_engine *engine) {
    pthread_mutex_lock(&engine->mutex);
    bool repaired = engine->state.store.repairs > 0;
    pthread_mutex_unlock(&engine->mutex);
    return repaired;
}

/* What was answered is not so any more, and is not to be done a second time by itself either. */
static void refuse_ineffective(const struct record *record, struct wf_pending *pending) {
    uint64_t lsn = record->lsn;
    uint64_t place = record->offset;
    result_clear(&pending->result);
    pending->result.lsn = lsn;
    pending->result.place = place;
    pending->result.replayed = true;
    pending->status = WF_REFUSED;
    (void)snprintf(pending->text, sizeof(pending->text),
                   "the key was used in record %" PRIu64
                   ", which a repair left without effect: it rests on records that were lost. "
                   "Nothing of it is in force; take a new key to have it done anew",
                   lsn);
}

enum wf_status result_of_record(struct wf_engine *engine, const struct record *record,
                                bool ineffective, struct wf_pending *pending,
                                struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    struct record without_key = *record;
    without_key.key = (struct bytes_view){NULL, 0};
    (void)engine_load_for_record(engine, &without_key, NULL);
    const struct workflow *workflow = command_is_about_workflow(record->command)
                                          ? state_workflow(&engine->state, record->subject)
                                          : NULL;
    result_from_events(&engine->state, workflow, record, &pending->result);
    pthread_mutex_unlock(&engine->mutex);
    pending->result.lsn = record->lsn;
    pending->result.place = record->offset;
    pending->result.replayed = true;
    pending->status = WF_OK;
    for (size_t i = 0; i < record->event_count; i++) {
        if (record->events[i].kind == EVENT_COMMAND_REFUSED) {
            const struct bytes_view message = record->events[i].as.command_refused.message;
            pending->status = record->events[i].as.command_refused.status;
            (void)snprintf(pending->text, sizeof(pending->text), "%.*s", (int)message.size,
                           (const char *)message.data);
        }
    }
    if (ineffective && pending->status == WF_OK) { /* a refusal promised nothing */
        refuse_ineffective(record, pending);
    }
    if (ineffective || !command_is_about_workflow(record->command)) {
        return WF_OK;
    }
    enum wf_status status = stand_as_of(engine, record, &pending->result, err);
    /* Where a repair broke the chain, the outcome is told without where the workflow stood. */
    return status == WF_DAMAGE && was_repaired(engine) ? WF_OK : status;
}
