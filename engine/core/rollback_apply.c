#include "engine/core/rollback.h"

#include "engine/core/proposal.h"
#include "engine/core/stage_money.h"
#include "engine/core/state_inner.h"
#include "engine/core/task.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- reserving --- */

/* A record asks for one thing of a kind at most. */
static enum wf_status reserve_proposal(const struct record *record, struct bytes_view reason,
                                       struct proposal **reserved, struct wf_error *err) {
    if (*reserved != NULL || reason.size > COMMAND_TEXT_MAX || record->actor.size > COMMAND_ID_MAX)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " proposes two things at once, or with a reason that "
                         "breaks a limit",
                         record->lsn);
    *reserved = proposal_create(record->actor, reason);
    return *reserved != NULL ? WF_OK : error_set(err, WF_NO_MEMORY, "no memory for a proposal");
}

static enum wf_status reserve_verdict(struct state *state, const struct record *record,
                                      struct wf_error *err) {
    struct state_reserved *reserved = &state->reserved;
    if (reserved->verdict != NULL || record->actor.size > COMMAND_ID_MAX)
        return error_set(err, WF_DAMAGE, "record %" PRIu64 " decides twice", record->lsn);
    reserved->verdict = verdict_create(record->actor);
    return reserved->verdict != NULL ? WF_OK
                                     : error_set(err, WF_NO_MEMORY, "no memory for a verdict");
}

enum wf_status rollback_reserve(struct state *state, const struct record *record,
                                const struct event *event, struct wf_error *err) {
    const struct workflow *workflow = state->reserved.workflow;
    enum wf_status status = WF_OK;
    if (event->kind == EVENT_ROLLBACK_REQUESTED) {
        status = workflow_check_stage(workflow, record, event->as.rollback_requested.stage, err);
        return status != WF_OK ? status
                               : reserve_proposal(record, event->as.rollback_requested.reason,
                                                  &state->reserved.request, err);
    }
    if (event->kind == EVENT_CANCEL_REQUESTED)
        return reserve_proposal(record, event->as.cancel_requested.reason, &state->reserved.request,
                                err);
    if (event->kind == EVENT_STAGE_UNDONE)
        return workflow_check_stage(workflow, record, event->as.stage_undone.stage, err);
    if (event->kind == EVENT_STAGE_TIMED_OUT)
        return workflow_check_stage(workflow, record, event->as.stage_timed_out.stage, err);
    if (event->kind != EVENT_REVIEW_REQUESTED && event->kind != EVENT_REVIEW_APPROVED &&
        event->kind != EVENT_REVIEW_REJECTED)
        return WF_OK;
    status = workflow_check_stage(workflow, record, event->as.review.stage, err);
    if (status != WF_OK)
        return status;
    return event->kind == EVENT_REVIEW_REQUESTED
               ? reserve_proposal(record, event->as.review.reason, &state->reserved.reopen, err)
               : reserve_verdict(state, record, err);
}

/* --- timers that stand still --- */

static void stop_timer(struct stage_state *stage, int64_t time_ms) {
    stage->status = STAGE_HELD;
    if (stage->deadline_ms == 0)
        return;
    int64_t left_ms = (int64_t)((uint64_t)stage->deadline_ms - (uint64_t)time_ms);
    stage->deadline_ms = left_ms > 0 ? left_ms : 1; /* 0 would mean that it has none */
}

static void resume_timer(struct stage_state *stage, int64_t time_ms) {
    stage->status = STAGE_ACTIVE;
    if (stage->deadline_ms != 0)
        stage->deadline_ms = (int64_t)((uint64_t)stage->deadline_ms + (uint64_t)time_ms);
}

/* --- proposals --- */

/* The stage that the rollback waits for is what it was. */
static void withdraw_wait(struct workflow *workflow, struct proposal *rollback) {
    if (rollback == NULL || rollback->waiting == STAGE_NONE)
        return;
    workflow->stages[rollback->waiting].status = rollback->waiting_before;
    rollback->waiting = STAGE_NONE;
}

static void request(struct state *state, const struct record *record, enum proposal_kind kind,
                    uint32_t target) {
    struct workflow *workflow = state->reserved.workflow;
    struct proposal *proposal = state->reserved.request, *before = workflow_rollback(workflow);
    state->reserved.request = NULL;
    proposal->kind = kind;
    proposal->stage = (uint8_t)target;
    proposal->lsn = record->lsn;
    proposal->time_ms = record->time_ms;
    if (workflow_has_ended(workflow))
        proposal->before = workflow->status;
    if (before != NULL) { /* it takes the place of one that is under way */
        withdraw_wait(workflow, before);
        proposal->before = before->before;
        proposal->undone = before->undone;
        proposal_remove(workflow, before);
    }
    proposal_insert(workflow, proposal);
}

static void await(struct state *state, const struct record *record, uint32_t index) {
    struct workflow *workflow = state->reserved.workflow;
    struct stage_state *stage = &workflow->stages[index];
    struct proposal *rollback = workflow_rollback(workflow);
    if (stage->status == STAGE_ACTIVE)
        stop_timer(stage, record->time_ms);
    if (rollback != NULL) {
        withdraw_wait(workflow, rollback);
        rollback->waiting = (uint8_t)index;
        rollback->waiting_before = stage->status;
    } else if (workflow_reopening(workflow, index) == NULL && state->reserved.reopen != NULL) {
        struct proposal *proposal = state->reserved.reopen;
        state->reserved.reopen = NULL;
        proposal->kind = PROPOSAL_REOPEN;
        proposal->stage = (uint8_t)index;
        proposal->outcome = stage->status == STAGE_FAILED ? STAGE_FAILED : STAGE_TIMED_OUT;
        proposal->lsn = record->lsn;
        proposal->time_ms = record->time_ms;
        proposal_insert(workflow, proposal);
    }
    stage->status = STAGE_AWAITING_REVIEW;
}

/* A reviewer decided: what was decided on is taken away, and the stage is what it was before. The
 * events behind say what comes of it. */
static void judge(struct state *state, const struct record *record, uint32_t index, bool approved) {
    struct workflow *workflow = state->reserved.workflow;
    struct proposal *rollback = workflow_rollback(workflow);
    struct proposal *reopening = workflow_reopening(workflow, index);
    if (rollback != NULL && rollback->waiting == index) {
        withdraw_wait(workflow, rollback);
    } else if (reopening != NULL) {
        workflow->stages[index].status = reopening->outcome;
        proposal_remove(workflow, reopening);
    }
    free(workflow->verdict);
    workflow->verdict = state->reserved.verdict;
    state->reserved.verdict = NULL;
    workflow->verdict->stage = (uint8_t)index;
    workflow->verdict->approved = approved;
    workflow->verdict->link = (struct record_link){record->lsn, record->offset};
}

static void undo(struct workflow *workflow, uint32_t index) {
    struct stage_state *stage = &workflow->stages[index];
    struct proposal *rollback = workflow_rollback(workflow);
    if (rollback != NULL) {
        if (rollback->waiting == index)
            rollback->waiting = STAGE_NONE;
        rollback->undone = true;
    }
    proposal_remove(workflow, workflow_reopening(workflow, index));
    stage->status = STAGE_ROLLED_BACK;
    stage->deadline_ms = 0;
    stage->completed_lsn = 0;
    for (unsigned i = 0; i < workflow->definition->step_count; i++)
        if (workflow->definition->steps[i].completes == (int)index &&
            workflow_step_in_force(workflow, i))
            workflow_withdraw_step(workflow, i);
    workflow_withdraw_step(workflow, WORKFLOW_FIELD_OF_STAGE | index);
    stage_money_remove(workflow, index); /* the record moved it back */
    task_remove_runs(workflow, index);
}

static void time_out(struct workflow *workflow, uint32_t index) {
    workflow->stages[index].status = STAGE_TIMED_OUT;
    workflow->stages[index].deadline_ms = 0;
    task_remove_runs(workflow, index);
}

/* The rollback is over: a reviewer said no, or all is undone. */
static void finish(struct state *state, bool stopped) {
    struct workflow *workflow = state->reserved.workflow;
    struct proposal *rollback = workflow_rollback(workflow);
    if (rollback == NULL)
        return;
    enum workflow_status before = rollback->before;
    bool as_before = before == WORKFLOW_FAILED || before == WORKFLOW_CANCELLED ||
                     (before == WORKFLOW_COMPLETED && !rollback->undone);
    withdraw_wait(workflow, rollback);
    proposal_remove(workflow, rollback);
    if (stopped && as_before) {
        free(state->reserved.reason);
        state->reserved.reason = workflow->reason; /* the end keeps the one it had */
        workflow->reason = NULL;
        workflow_end(state, workflow, before);
        return;
    }
    free(workflow->reason);
    workflow->reason = NULL;
}

enum workflow_status rollback_standing(const struct workflow *workflow) {
    const struct proposal *rollback = workflow_rollback(workflow);
    const struct definition_stage *stages = workflow->definition->stages;
    if (rollback != NULL && rollback->waiting == STAGE_NONE)
        return WORKFLOW_ROLLING_BACK;
    if (rollback != NULL)
        return stages[rollback->waiting].rollback == ROLLBACK_HOLD_FOR_REVIEW
                   ? WORKFLOW_HELD
                   : WORKFLOW_AWAITING_REVIEW;
    for (const struct proposal *p = workflow->proposals; p != NULL; p = p->next)
        if (stages[p->stage].rollback == ROLLBACK_HOLD_FOR_REVIEW)
            return WORKFLOW_HELD;
    return workflow->proposals != NULL ? WORKFLOW_AWAITING_REVIEW : WORKFLOW_RUNNING;
}

bool rollback_is_event(enum event_kind kind) {
    return kind >= EVENT_ROLLBACK_REQUESTED && kind <= EVENT_ROLLBACK_STOPPED;
}

static void apply_event(struct state *state, const struct record *record,
                        const struct event *event) {
    struct workflow *workflow = state->reserved.workflow;
    if (event->kind == EVENT_ROLLBACK_REQUESTED)
        request(state, record, PROPOSAL_ROLLBACK, event->as.rollback_requested.stage);
    else if (event->kind == EVENT_CANCEL_REQUESTED)
        request(state, record, PROPOSAL_CANCEL, 0);
    else if (event->kind == EVENT_REVIEW_REQUESTED)
        await(state, record, event->as.review.stage);
    else if (event->kind == EVENT_REVIEW_APPROVED || event->kind == EVENT_REVIEW_REJECTED)
        judge(state, record, event->as.review.stage, event->kind == EVENT_REVIEW_APPROVED);
    else if (event->kind == EVENT_STAGE_UNDONE)
        undo(workflow, event->as.stage_undone.stage);
    else if (event->kind == EVENT_STAGE_TIMED_OUT)
        time_out(workflow, event->as.stage_timed_out.stage);
    else
        finish(state, event->kind == EVENT_ROLLBACK_STOPPED);
}

static void apply_to_timers(struct workflow *workflow, int64_t time_ms, bool stop) {
    for (size_t i = 0; i < workflow->definition->stage_count; i++) {
        struct stage_state *stage = &workflow->stages[i];
        if (stop && stage->status == STAGE_ACTIVE)
            stop_timer(stage, time_ms);
        else if (!stop && stage->status == STAGE_HELD)
            resume_timer(stage, time_ms);
    }
}

void rollback_apply(struct state *state, const struct record *record, const struct event *event) {
    struct workflow *workflow = state->reserved.workflow;
    if (event->kind == EVENT_TIMERS_STOPPED || event->kind == EVENT_TIMERS_RESUMED)
        apply_to_timers(workflow, record->time_ms, event->kind == EVENT_TIMERS_STOPPED);
    else
        apply_event(state, record, event);
    /* A rollback begins from an end too; nothing else goes on behind one. */
    if (!workflow_has_ended(workflow) || workflow_rollback(workflow) != NULL)
        workflow_set_status(state, workflow, rollback_standing(workflow));
    state_resize(state, &workflow->entity, workflow_bytes(workflow));
}
