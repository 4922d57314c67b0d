/* What an event does to a workflow. Whatever can be wrong with a record is found while it is
 * reserved. */
#include "engine/core/workflow.h"

#include "engine/core/proposal.h"
#include "engine/core/rollback.h"
#include "engine/core/stage_money.h"
#include "engine/core/state_inner.h"
#include "engine/core/task.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bit(uint32_t index) {
    return UINT64_C(1) << index;
}

/* --- reserving --- */

static enum wf_status check_packed(const struct record *record, const struct field *fields,
                                   size_t count, struct wf_error *err) {
    bool fits = count <= COMMAND_FIELDS_MAX;
    for (size_t i = 0; fits && i < count; i++)
        fits = fields[i].name.size > 0 && fields[i].name.size <= COMMAND_FIELD_NAME_MAX &&
               fields[i].value.size <= COMMAND_FIELD_VALUE_MAX;
    return fits ? WF_OK
                : error_set(err, WF_DAMAGE, "a field of record %" PRIu64 " breaks a limit",
                            record->lsn);
}

static enum wf_status reserve_data(struct state *state, struct workflow_room *room,
                                   size_t data_bytes, struct wf_error *err) {
    struct workflow *workflow = state->reserved.workflow;
    room->data_bytes += data_bytes;
    if (workflow->data_size + room->data_bytes > WORKFLOW_DATA_MAX)
        return error_set(err, WF_DAMAGE, "workflow %s would have more than %d bytes of fields",
                         workflow->id, WORKFLOW_DATA_MAX);
    if (!workflow_reserve_data(workflow, room->data_bytes))
        return error_set(err, WF_NO_MEMORY, "no memory for the fields of workflow %s",
                         workflow->id);
    if (workflow != state->reserved.new_workflow)
        state_resize(state, &workflow->entity, workflow_bytes(workflow));
    return WF_OK;
}

static enum wf_status reserve_start(struct state *state, const struct record *record,
                                    const struct event *event, struct workflow_room *room,
                                    struct wf_error *err) {
    const struct field *fields = event->as.workflow_started.fields;
    size_t count = event->as.workflow_started.field_count;
    struct bytes_view type = event->as.workflow_started.type;
    if (state->reserved.workflow != NULL || record->subject.size == 0 ||
        type.size > DEFINITION_NAME_MAX)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " starts workflow %.*s, which is there already",
                         record->lsn, TEXT_ARGS(record->subject));
    const struct definition_entity *definition =
        state_definition(state, type, event->as.workflow_started.version);
    if (definition == NULL || event->as.workflow_started.version == 0)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " starts a workflow of %.*s version %" PRIu32
                         ", a definition that is not there",
                         record->lsn, TEXT_ARGS(type), event->as.workflow_started.version);
    if (check_packed(record, fields, count, err) != WF_OK)
        return WF_DAMAGE;
    state->reserved.new_workflow = workflow_create(&state->slab, definition, record->subject);
    state->reserved.workflow = state->reserved.new_workflow;
    if (state->reserved.workflow == NULL || !table_reserve(&state->workflows))
        return error_set(err, WF_NO_MEMORY, "no memory for another workflow");
    return reserve_data(
        state, room,
        workflow_fields_size(definition->definition, WORKFLOW_FIELD_AT_START, fields, count), err);
}

static enum wf_status reserve_step(struct state *state, const struct record *record,
                                   const struct event *event, struct workflow_room *room,
                                   struct wf_error *err) {
    const struct workflow *workflow = state->reserved.workflow;
    const struct field *fields = event->as.step_submitted.fields;
    size_t count = event->as.step_submitted.field_count;
    uint32_t step = event->as.step_submitted.step;
    if (step >= workflow->definition->step_count || workflow_step_in_force(workflow, step) ||
        (room->steps & bit(step)) != 0)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " submits step %" PRIu32
                         " to workflow %s, which does not take it",
                         record->lsn, step, workflow->id);
    room->steps |= bit(step);
    if (check_packed(record, fields, count, err) != WF_OK)
        return WF_DAMAGE;
    return reserve_data(state, room,
                        workflow_fields_size(workflow->definition, step, fields, count), err);
}

/* What a handler without a step returned goes into the data; of a compensation it does not. */
static enum wf_status reserve_returned(struct state *state, const struct record *record,
                                       const struct event *event, struct workflow_room *room,
                                       struct wf_error *err) {
    const struct field *fields = event->as.task.fields;
    size_t count = event->as.task.field_count;
    if (check_packed(record, fields, count, err) != WF_OK)
        return WF_DAMAGE;
    if (event->as.task.compensate)
        return WF_OK;
    return reserve_data(state, room,
                        workflow_fields_size(state->reserved.workflow->definition,
                                             WORKFLOW_FIELD_OF_STAGE | event->as.task.stage, fields,
                                             count),
                        err);
}

enum wf_status workflow_check_stage(const struct workflow *workflow, const struct record *record,
                                    uint32_t stage, struct wf_error *err) {
    if (stage < workflow->definition->stage_count)
        return WF_OK;
    return error_set(err, WF_DAMAGE,
                     "record %" PRIu64 " names stage %" PRIu32 " of workflow %s, which has %zu",
                     record->lsn, stage, workflow->id, workflow->definition->stage_count);
}

static enum wf_status reserve_reason(struct state *state, const struct record *record,
                                     struct bytes_view reason, struct wf_error *err) {
    if (reason.size > COMMAND_TEXT_MAX || state->reserved.reason != NULL)
        return error_set(err, WF_DAMAGE, "the reason in record %" PRIu64 " breaks a limit",
                         record->lsn);
    if (reason.size == 0)
        return WF_OK;
    char *copy = malloc(reason.size + 1);
    if (copy == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a reason");
    memcpy(copy, reason.data, reason.size);
    copy[reason.size] = '\0';
    state->reserved.reason = copy;
    return WF_OK;
}

/* A record completes one stage with money at most. */
static enum wf_status reserve_money(struct state *state, const struct record *record,
                                    const struct event *event, struct wf_error *err) {
    uint32_t stage = event->as.money_bound.stage;
    if (workflow_check_stage(state->reserved.workflow, record, stage, err) != WF_OK)
        return WF_DAMAGE;
    if (state->reserved.money != NULL || event->as.money_bound.attempt == 0)
        return error_set(err, WF_DAMAGE, "record %" PRIu64 " binds money twice, or to no attempt",
                         record->lsn);
    enum wf_status status = stage_money_create(record, &state->reserved.money, err);
    if (status != WF_OK)
        return status;
    state->reserved.money->stage = (uint8_t)stage;
    state->reserved.money->epoch = event->as.money_bound.attempt;
    return WF_OK;
}

/* Of an event that needs its workflow to be there. */
static enum wf_status reserve_change(struct state *state, const struct record *record,
                                     const struct event *event, struct workflow_room *room,
                                     struct wf_error *err) {
    const struct workflow *workflow = state->reserved.workflow;
    switch (event->kind) {
    case EVENT_STEP_SUBMITTED:
        return reserve_step(state, record, event, room, err);
    case EVENT_STAGE_ACTIVATED:
        if (event->as.stage_activated.timeout_ms < 0 ||
            event->as.stage_activated.timeout_ms > DEFINITION_DURATION_MAX_MS)
            return error_set(err, WF_DAMAGE, "the timeout in record %" PRIu64 " breaks a limit",
                             record->lsn);
        return workflow_check_stage(workflow, record, event->as.stage_activated.stage, err);
    case EVENT_STAGE_COMPLETED:
        return workflow_check_stage(workflow, record, event->as.stage_completed.stage, err);
    case EVENT_STAGE_FAILED:
        return workflow_check_stage(workflow, record, event->as.stage_failed.stage, err);
    case EVENT_WORKFLOW_FAILED:
        return reserve_reason(state, record, event->as.workflow_failed.reason, err);
    case EVENT_WORKFLOW_CANCELLED:
        return reserve_reason(state, record, event->as.workflow_cancelled.reason, err);
    case EVENT_MONEY_BOUND:
        return reserve_money(state, record, event, err);
    case EVENT_WORKFLOW_COMPLETED:
    case EVENT_WORKFLOW_STARTED:
    case EVENT_STORE_CREATED:
    case EVENT_DEFINITION_ADDED:
    case EVENT_ACCOUNT_OPENED:
    case EVENT_OPERATION_POSTED:
    case EVENT_ACCOUNT_STATUS_SET:
    case EVENT_HOLD_PLACED:
    case EVENT_HOLD_ENDED:
    case EVENT_REFERENCE_SET:
    case EVENT_TRANSACTION_REVERSED:
    case EVENT_ARCHIVE_DROPPED:
    case EVENT_SEGMENT_DROPPED:
    case EVENT_COMMAND_REFUSED:
    case EVENT_CLOCK_ADVANCED:
    case EVENT_LOG_REPAIRED:
    case EVENT_CLOCK_ADVANCE_BEGUN:
    case EVENT_CLOCK_JUMPED:
    case EVENT_ROLLBACK_REQUESTED:
    case EVENT_CANCEL_REQUESTED:
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
    case EVENT_STAGE_UNDONE:
    case EVENT_STAGE_TIMED_OUT:
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
    case EVENT_WORKFLOW_MIGRATED:
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        break;
    }
    return WF_OK;
}

enum wf_status workflow_reserve(struct state *state, const struct record *record,
                                const struct event *event, struct workflow_room *room,
                                struct wf_error *err) {
    if (event->kind == EVENT_WORKFLOW_STARTED)
        return reserve_start(state, record, event, room, err);
    if (state->reserved.workflow == NULL)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " changes workflow %.*s, which is not there",
                         record->lsn, TEXT_ARGS(record->subject));
    if (rollback_is_event(event->kind))
        return rollback_reserve(state, record, event, err);
    if (task_is_event(event->kind)) {
        enum wf_status status = task_reserve(state, record, event, err);
        return status == WF_OK && event->kind == EVENT_TASK_DONE
                   ? reserve_returned(state, record, event, room, err)
                   : status;
    }
    return reserve_change(state, record, event, room, err);
}

/* --- applying --- */

void workflow_set_status(struct state *state, struct workflow *workflow,
                         enum workflow_status status) {
    state->store.workflow_counts[workflow->status]--;
    state->store.workflow_counts[status]++;
    workflow->status = status;
}

/* What waited for a reviewer is what it was before. */
static void withdraw_proposals(struct workflow *workflow) {
    const struct proposal *rollback = workflow_rollback(workflow);
    if (rollback != NULL && rollback->waiting != STAGE_NONE)
        workflow->stages[rollback->waiting].status = rollback->waiting_before;
    for (const struct proposal *p = workflow->proposals; p != NULL; p = p->next)
        if (p->kind == PROPOSAL_REOPEN)
            workflow->stages[p->stage].status = p->outcome;
    proposal_remove_all(workflow);
}

void workflow_end(struct state *state, struct workflow *workflow, enum workflow_status status) {
    workflow_set_status(state, workflow, status);
    withdraw_proposals(workflow);
    task_remove_runs(workflow, DEFINITION_STAGES_MAX); /* compensations stay */
    for (size_t i = 0; i < workflow->definition->stage_count; i++) {
        workflow->stages[i].deadline_ms = 0;
        if (workflow->stages[i].status == STAGE_HELD)
            workflow->stages[i].status = STAGE_ACTIVE;
    }
    free(workflow->reason);
    workflow->reason = state->reserved.reason;
    state->reserved.reason = NULL;
    state_resize(state, &workflow->entity, workflow_bytes(workflow));
}

static void start(struct state *state, const struct record *record, const struct event *event) {
    struct workflow *workflow = state->reserved.new_workflow;
    state->reserved.new_workflow = NULL;
    workflow->status = WORKFLOW_RUNNING;
    workflow->started_lsn = record->lsn;
    workflow->started_ms = record->time_ms;
    workflow->entity.bytes = workflow_bytes(workflow);
    table_insert(&state->workflows, workflow);
    state_adopt(state, &workflow->entity);
    state->store.workflow_counts[WORKFLOW_RUNNING]++;
    workflow_append_fields(workflow, WORKFLOW_FIELD_AT_START, event->as.workflow_started.fields,
                           event->as.workflow_started.field_count);
}

static void submit(struct workflow *workflow, const struct event *event) {
    uint32_t step = event->as.step_submitted.step;
    workflow->steps[workflow->step_count++] = (uint8_t)step;
    workflow_append_fields(workflow, step, event->as.step_submitted.fields,
                           event->as.step_submitted.field_count);
}

static void activate(struct workflow *workflow, const struct record *record,
                     const struct event *event) {
    struct stage_state *stage = &workflow->stages[event->as.stage_activated.stage];
    int64_t timeout_ms = event->as.stage_activated.timeout_ms;
    stage->status = STAGE_ACTIVE;
    stage->attempt = event->as.stage_activated.attempt;
    stage->deadline_ms = timeout_ms > 0 ? record->time_ms + timeout_ms : 0;
    stage->activated_lsn = record->lsn;
    stage->completed_lsn = 0;
}

/* It is over: its handler's task too. */
static void leave(struct workflow *workflow, uint32_t index, enum stage_status status) {
    struct stage_state *stage = &workflow->stages[index];
    stage->status = status;
    stage->deadline_ms = 0;
    task_remove_runs(workflow, index);
}

static void bind_money(struct state *state, const struct record *record) {
    struct workflow *workflow = state->reserved.workflow;
    state->reserved.money->lsn = record->lsn;
    stage_money_put(workflow, state->reserved.money);
    state->reserved.money = NULL;
    state_resize(state, &workflow->entity, workflow_bytes(workflow));
}

void workflow_apply(struct state *state, const struct record *record, const struct event *event) {
    struct workflow *workflow = state->reserved.workflow;
    if (event->kind == EVENT_WORKFLOW_STARTED)
        start(state, record, event);
    state_touch(state, &workflow->entity, record->lsn);
    workflow->lsn = record->lsn;
    workflow->changed_ms = record->time_ms;
    if (rollback_is_event(event->kind)) {
        rollback_apply(state, record, event);
        return;
    }
    if (task_is_event(event->kind)) {
        task_apply(state, record, event);
        return;
    }
    switch (event->kind) {
    case EVENT_STEP_SUBMITTED:
        submit(workflow, event);
        return;
    case EVENT_STAGE_ACTIVATED:
        activate(workflow, record, event);
        return;
    case EVENT_STAGE_COMPLETED:
        leave(workflow, event->as.stage_completed.stage, STAGE_COMPLETED);
        workflow->stages[event->as.stage_completed.stage].completed_lsn = record->lsn;
        return;
    case EVENT_MONEY_BOUND:
        bind_money(state, record);
        return;
    case EVENT_STAGE_FAILED:
        leave(workflow, event->as.stage_failed.stage, STAGE_FAILED);
        return;
    case EVENT_WORKFLOW_COMPLETED:
        workflow_end(state, workflow, WORKFLOW_COMPLETED);
        return;
    case EVENT_WORKFLOW_FAILED:
        workflow_end(state, workflow, WORKFLOW_FAILED);
        return;
    case EVENT_WORKFLOW_CANCELLED:
        workflow_end(state, workflow, WORKFLOW_CANCELLED);
        return;
    case EVENT_WORKFLOW_STARTED:
    case EVENT_STORE_CREATED:
    case EVENT_DEFINITION_ADDED:
    case EVENT_ACCOUNT_OPENED:
    case EVENT_OPERATION_POSTED:
    case EVENT_ACCOUNT_STATUS_SET:
    case EVENT_HOLD_PLACED:
    case EVENT_HOLD_ENDED:
    case EVENT_REFERENCE_SET:
    case EVENT_TRANSACTION_REVERSED:
    case EVENT_ARCHIVE_DROPPED:
    case EVENT_SEGMENT_DROPPED:
    case EVENT_COMMAND_REFUSED:
    case EVENT_CLOCK_ADVANCED:
    case EVENT_LOG_REPAIRED:
    case EVENT_CLOCK_ADVANCE_BEGUN:
    case EVENT_CLOCK_JUMPED:
    case EVENT_ROLLBACK_REQUESTED:
    case EVENT_CANCEL_REQUESTED:
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
    case EVENT_STAGE_UNDONE:
    case EVENT_STAGE_TIMED_OUT:
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
    case EVENT_WORKFLOW_MIGRATED:
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        return;
    }
}
