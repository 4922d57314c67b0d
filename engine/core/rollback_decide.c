#include "engine/core/rollback.h"

#include "engine/core/decision.h"
#include "engine/core/rollback_course.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>
#include <stdio.h>

/* --- rollback and cancellation --- */

static bool check_actor(const struct command *command, struct decision *decision) {
    if (command->actor.size > 0)
        return true;
    decision_fail(decision, WF_USAGE, "who asks for the rollback must be named (actor)");
    return false;
}

static bool check_target(const struct workflow *workflow, unsigned stage,
                         struct decision *decision) {
    enum stage_status status = workflow->stages[stage].status;
    if (status != STAGE_BLOCKED && status != STAGE_ROLLED_BACK)
        return true;
    decision_refuse(decision, "stage %s of workflow %s is %s: there is nothing to go back to",
                    workflow->definition->stages[stage].name, workflow->id,
                    stage_status_name(status));
    return false;
}

void rollback_decide(const struct command *command, struct decision *decision) {
    struct bytes_view reason = command->as.workflow_rollback.reason;
    const struct workflow *workflow = workflow_find(command, decision);
    if (workflow == NULL)
        return;
    int stage =
        workflow_find_stage(workflow->definition, command->as.workflow_rollback.stage, decision);
    if (stage < 0 || !check_actor(command, decision) || !workflow_check_reason(reason, decision) ||
        !check_target(workflow, (unsigned)stage, decision))
        return;
    struct course course;
    course_begin(&course, workflow, decision);
    course_turn(&course, (unsigned)stage, reason);
    course_carry_on(&course);
}

void rollback_decide_cancel(const struct workflow *workflow, struct bytes_view reason,
                            struct decision *decision) {
    struct course course;
    course_begin(&course, workflow, decision);
    course_turn(&course, STAGE_NONE, reason);
    course_carry_on(&course);
}

/* --- time-out and failure --- */

static void fail_workflow(const struct workflow *workflow, unsigned stage,
                          enum stage_status outcome, struct bytes_view reason,
                          struct decision *decision) {
    const struct definition_stage *of = &workflow->definition->stages[stage];
    if (outcome == STAGE_TIMED_OUT) {
        (void)snprintf(decision->reason, sizeof decision->reason,
                       "stage %s timed out in attempt %" PRIu32 " of %" PRIu32, of->name,
                       workflow->stages[stage].attempt, of->attempts);
        reason = text_view(decision->reason);
    }
    decision_add(decision, EVENT_WORKFLOW_FAILED)->as.workflow_failed.reason = reason;
}

void rollback_decide_outcome(const struct workflow *workflow, unsigned stage,
                             enum stage_status outcome, struct bytes_view reason,
                             struct decision *decision) {
    const struct definition_stage *of = &workflow->definition->stages[stage];
    struct course course;
    if (of->rollback == ROLLBACK_AUTOMATIC && workflow->stages[stage].attempt >= of->attempts) {
        fail_workflow(workflow, stage, outcome, reason, decision);
        return;
    }
    course_begin(&course, workflow, decision);
    course.status[stage] = outcome;
    if (of->rollback == ROLLBACK_AUTOMATIC)
        course_activate(&course, stage);
    else
        course_wait(&course, stage, reason);
    course_settle(&course);
}

bool rollback_check_attempt(const struct workflow *workflow, unsigned stage, uint32_t attempt,
                            struct decision *decision) {
    const struct stage_state *now = &workflow->stages[stage];
    bool under_way = now->status == STAGE_ACTIVE || now->status == STAGE_HELD;
    if (under_way && now->attempt == attempt)
        return true;
    decision_refuse(decision,
                    "attempt %" PRIu32 " of stage %s of workflow %s is over (it is %s, attempt "
                    "%" PRIu32 "): what comes of it is recorded and has no effect",
                    attempt, workflow->definition->stages[stage].name, workflow->id,
                    stage_status_name(now->status), now->attempt);
    return false;
}

void timer_decide_fire(const struct command *command, struct decision *decision) {
    uint32_t index = command->as.timer_fire.stage;
    const struct workflow *workflow = workflow_find(command, decision);
    if (workflow == NULL)
        return;
    const struct stage_state *stage =
        index < workflow->definition->stage_count ? &workflow->stages[index] : NULL;
    if (stage == NULL || stage->status != STAGE_ACTIVE || stage->deadline_ms == 0 ||
        stage->deadline_ms > decision->time_ms) {
        decision_fail(decision, WF_REFUSED, "no deadline of workflow %s has passed", workflow->id);
        return;
    }
    struct event *event = decision_add(decision, EVENT_STAGE_TIMED_OUT);
    event->as.stage_timed_out.stage = index;
    event->as.stage_timed_out.attempt = stage->attempt;
    rollback_decide_outcome(workflow, index, STAGE_TIMED_OUT, text_view(""), decision);
}
