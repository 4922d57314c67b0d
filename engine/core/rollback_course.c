#include "engine/core/rollback_course.h"

#include "engine/core/decision.h"
#include "engine/core/stage_money.h"
#include "engine/core/task.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>
#include <stdio.h>

/* --- order --- */

/* When a stage last became what it is. In one record stages are completed before others become
 * active, each in the order of the definition. */
struct moment {
    uint64_t lsn;
    bool activated; /* else completed */
    unsigned stage;
};

static struct moment moment_of(const struct workflow *workflow, unsigned stage) {
    const struct stage_state *state = &workflow->stages[stage];
    if (state->completed_lsn != 0)
        return (struct moment){state->completed_lsn, false, stage};
    return (struct moment){state->activated_lsn, true, stage};
}

static bool is_later(struct moment one, struct moment other) {
    if (one.lsn != other.lsn)
        return one.lsn > other.lsn;
    if (one.activated != other.activated)
        return one.activated;
    return one.stage > other.stage;
}

/* Must the stage be undone on the way to `target`? What failed, timed out or waits is undone
 * wherever it stands: else nothing would ever come of it again. So is what a cancellation or a
 * failure stopped. */
static bool is_on_the_way(const struct workflow *workflow, const enum stage_status *status,
                          unsigned stage, unsigned target, bool had_ended) {
    switch (status[stage]) {
    case STAGE_BLOCKED:
    case STAGE_ROLLED_BACK:
        return false;
    case STAGE_TIMED_OUT:
    case STAGE_FAILED:
    case STAGE_AWAITING_REVIEW:
        return true;
    case STAGE_ACTIVE:
    case STAGE_HELD:
        if (had_ended)
            return true;
        break;
    case STAGE_COMPLETED:
        break;
    }
    return target == STAGE_NONE || stage == target ||
           is_later(moment_of(workflow, stage), moment_of(workflow, target));
}

static bool is_cut_short(enum workflow_status before) {
    return before == WORKFLOW_FAILED || before == WORKFLOW_CANCELLED;
}

/* The next stage to undo, the latest first and the target last; -1: none is left. */
static int next_to_undo(const struct workflow *workflow, const enum stage_status *status,
                        unsigned target, bool had_ended) {
    int next = -1;
    for (unsigned i = 0; i < workflow->definition->stage_count; i++) {
        if (!is_on_the_way(workflow, status, i, target, had_ended))
            continue;
        if (next < 0 || next == (int)target ||
            (i != target && is_later(moment_of(workflow, i), moment_of(workflow, (unsigned)next))))
            next = (int)i;
    }
    return next;
}

/* What a workflow's rollback began from; its own status where there is none. */
static enum workflow_status began_from(const struct workflow *workflow) {
    const struct proposal *under_way = workflow_rollback(workflow);
    if (under_way != NULL)
        return under_way->before;
    return workflow_has_ended(workflow) ? workflow->status : WORKFLOW_RUNNING;
}

size_t rollback_plan(const struct workflow *workflow, unsigned target,
                     unsigned order[DEFINITION_STAGES_MAX]) {
    enum stage_status status[DEFINITION_STAGES_MAX];
    for (size_t i = 0; i < workflow->definition->stage_count; i++)
        status[i] = workflow->stages[i].status;
    size_t count = 0;
    for (int next; (next = next_to_undo(workflow, status, target,
                                        is_cut_short(began_from(workflow)))) >= 0;) {
        order[count++] = (unsigned)next;
        status[next] = STAGE_ROLLED_BACK;
    }
    return count;
}

/* --- the course --- */

void course_begin(struct course *course, const struct workflow *workflow,
                  struct decision *decision) {
    *course =
        (struct course){.workflow = workflow, .decision = decision, .before = began_from(workflow)};
    ledger_begin(&course->ledger, decision->state, decision);
    for (unsigned i = 0; i < workflow->definition->stage_count; i++) {
        course->status[i] = workflow->stages[i].status;
        course->attempt[i] = workflow->stages[i].attempt;
        if (workflow_reopening(workflow, i) != NULL)
            course->reopen |= UINT64_C(1) << i;
    }
    for (size_t i = 0; i < workflow->step_count; i++)
        course->steps |= UINT64_C(1) << workflow->steps[i];
    const struct proposal *under_way = workflow_rollback(workflow);
    if (under_way == NULL)
        return;
    course->under_way = true;
    course->kind = under_way->kind;
    course->target = under_way->kind == PROPOSAL_CANCEL ? STAGE_NONE : under_way->stage;
    course->undone = under_way->undone;
    course->reason = proposal_reason(under_way);
}

void course_turn(struct course *course, unsigned target, struct bytes_view reason) {
    const struct proposal *under_way = workflow_rollback(course->workflow);
    if (under_way != NULL && under_way->waiting != STAGE_NONE)
        course->status[under_way->waiting] = under_way->waiting_before;
    course->under_way = true;
    course->kind = target == STAGE_NONE ? PROPOSAL_CANCEL : PROPOSAL_ROLLBACK;
    course->target = target;
    course->reason = reason;
    if (target == STAGE_NONE) {
        decision_add(course->decision, EVENT_CANCEL_REQUESTED)->as.cancel_requested.reason = reason;
        return;
    }
    struct event *event = decision_add(course->decision, EVENT_ROLLBACK_REQUESTED);
    event->as.rollback_requested.stage = target;
    event->as.rollback_requested.reason = reason;
}

/* What the stage's completion moved goes back in the record that undoes it. */
static bool move_back(struct course *course, unsigned stage) {
    const struct stage_money *money = stage_money_find(course->workflow, stage);
    struct decision *decision = course->decision;
    if (money == NULL)
        return true;
    char *lsn = decision->reversed[stage];
    (void)snprintf(lsn, sizeof decision->reversed[stage], "%" PRIu64, money->lsn);
    (void)snprintf(course->ledger.what, sizeof course->ledger.what,
                   "stage %s cannot be undone, what record %s moved cannot go back: ",
                   course->workflow->definition->stages[stage].name, lsn);
    if (!ledger_reverse(&course->ledger, money, lsn)) {
        ledger_drop_new(decision);
        return false;
    }
    ledger_finish(&course->ledger);
    return true;
}

bool course_undo(struct course *course, unsigned stage) {
    const struct definition *definition = course->workflow->definition;
    struct event *event = decision_add(course->decision, EVENT_STAGE_UNDONE);
    event->as.stage_undone.stage = stage;
    event->as.stage_undone.attempt = course->attempt[stage];
    if (task_wants_compensation(course->workflow, stage, course->attempt[stage]))
        task_decide_due(stage, course->attempt[stage], true, course->decision);
    course->status[stage] = STAGE_ROLLED_BACK;
    course->reopen &= ~(UINT64_C(1) << stage);
    course->undone = true;
    for (size_t i = 0; i < definition->step_count; i++)
        if (definition->steps[i].completes == (int)stage)
            course->steps &= ~(UINT64_C(1) << i);
    return move_back(course, stage);
}

void course_wait(struct course *course, unsigned stage, struct bytes_view reason) {
    struct event *event = decision_add(course->decision, EVENT_REVIEW_REQUESTED);
    const char *role = definition_stage_role(&course->workflow->definition->stages[stage]);
    event->as.review.stage = stage;
    event->as.review.role = text_view(role != NULL ? role : "");
    event->as.review.reason = reason;
    course->status[stage] = STAGE_AWAITING_REVIEW;
    if (!course->under_way)
        course->reopen |= UINT64_C(1) << stage;
}

void course_activate(struct course *course, unsigned stage) {
    course->status[stage] = STAGE_ACTIVE;
    workflow_decide_activation(course->workflow->definition, stage, ++course->attempt[stage],
                               course->decision);
}

/* Nothing is left to undo. */
static void arrive(struct course *course) {
    course->under_way = false;
    decision_add(course->decision, EVENT_ROLLBACK_COMPLETED);
    if (course->kind != PROPOSAL_CANCEL) {
        course_settle(course);
        return;
    }
    struct event *event = decision_add(course->decision, EVENT_WORKFLOW_CANCELLED);
    event->as.workflow_cancelled.reason = course->reason;
}

void course_carry_on(struct course *course) {
    const struct workflow *workflow = course->workflow;
    static const struct bytes_view none = {(const uint8_t *)"", 0};
    for (;;) {
        int next =
            next_to_undo(workflow, course->status, course->target, is_cut_short(course->before));
        if (next < 0) {
            arrive(course);
            return;
        }
        if (workflow->definition->stages[next].rollback != ROLLBACK_AUTOMATIC) {
            course_wait(course, (unsigned)next, none);
            course_settle(course);
            return;
        }
        if (!course_undo(course, (unsigned)next))
            return;
    }
}

/* --- the last events --- */

static bool stands_still(const struct course *course) {
    if (course->under_way)
        return true;
    const struct definition *definition = course->workflow->definition;
    for (size_t i = 0; i < definition->stage_count; i++)
        if ((course->reopen & UINT64_C(1) << i) != 0 &&
            definition->stages[i].rollback == ROLLBACK_HOLD_FOR_REVIEW)
            return true;
    return false;
}

/* All stages of one status take another; was there any? */
static bool change_all(struct course *course, enum stage_status from, enum stage_status to) {
    bool any = false;
    for (size_t i = 0; i < course->workflow->definition->stage_count; i++) {
        if (course->status[i] != from)
            continue;
        course->status[i] = to;
        any = true;
    }
    return any;
}

static uint64_t items_in_force(const struct course *course) {
    const struct definition *definition = course->workflow->definition;
    uint64_t items = 0;
    for (size_t i = 0; i < definition->step_count; i++)
        if ((course->steps & UINT64_C(1) << i) != 0)
            items |= definition->steps[i].provides;
    return items;
}

static void activate_ready(struct course *course) {
    const struct definition *definition = course->workflow->definition;
    uint64_t completed = 0, items = items_in_force(course);
    for (unsigned i = 0; i < definition->stage_count; i++)
        if (course->status[i] == STAGE_COMPLETED)
            completed |= UINT64_C(1) << i;
    for (unsigned i = 0; i < definition->stage_count; i++)
        if ((course->status[i] == STAGE_BLOCKED || course->status[i] == STAGE_ROLLED_BACK) &&
            workflow_needs_met(&definition->stages[i], completed, items))
            course_activate(course, i);
}

void course_settle(struct course *course) {
    if (stands_still(course)) {
        if (change_all(course, STAGE_ACTIVE, STAGE_HELD))
            decision_add(course->decision, EVENT_TIMERS_STOPPED);
        return;
    }
    if (change_all(course, STAGE_HELD, STAGE_ACTIVE))
        decision_add(course->decision, EVENT_TIMERS_RESUMED);
    activate_ready(course);
}
