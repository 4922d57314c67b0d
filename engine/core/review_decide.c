#include "engine/core/decision.h"
#include "engine/core/rollback_course.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>
#include <stdio.h>

/* What a reviewer decides on. */
struct review {
    const struct workflow *workflow;
    const struct command *command;
    unsigned stage;
    bool approves;
    const struct proposal *proposal;
};

static bool check_members(const struct command *command, struct decision *decision) {
    if (command->actor.size == 0)
        decision_fail(decision, WF_USAGE, "who decides must be named (actor)");
    else if (!text_is_name(command->as.review.role, COMMAND_ID_MAX))
        decision_fail(
            decision, WF_USAGE,
            "the role of the reviewer must have 1 to %d bytes of UTF-8 without control characters",
            COMMAND_ID_MAX);
    else
        return workflow_check_reason(command->as.review.reason, decision);
    return false;
}

/* The proposal that the stage waits for; NULL: it waits for none. */
static const struct proposal *find_proposal(const struct workflow *workflow, unsigned stage) {
    const struct proposal *rollback = workflow_rollback(workflow);
    if (rollback != NULL && rollback->waiting != STAGE_NONE)
        return rollback->waiting == stage ? rollback : NULL;
    return workflow_reopening(workflow, stage);
}

/* Nothing waits: was the same decided an instant ago? Then that is the answer. */
static void decide_settled(const struct review *review, struct decision *decision) {
    const struct workflow *workflow = review->workflow;
    const struct verdict *verdict = workflow->verdict;
    const char *name = workflow->definition->stages[review->stage].name;
    const struct proposal *rollback = workflow_rollback(workflow);
    struct bytes_view decided_by = {NULL, 0};
    bool decided = verdict != NULL && verdict->stage == review->stage;
    if (decided)
        decided_by = (struct bytes_view){(const uint8_t *)verdict->actor, verdict->actor_size};
    if (decided && verdict->approved == review->approves &&
        text_same(decided_by, review->command->actor)) {
        decision->repeated = true;
        decision->first = verdict->link;
        return;
    }
    if (rollback != NULL && rollback->waiting != STAGE_NONE)
        decision_refuse(decision,
                        "workflow %s is on its way back: stage %s must be decided first, not %s",
                        workflow->id, workflow->definition->stages[rollback->waiting].name, name);
    else if (decided)
        decision_refuse(
            decision, "stage %s of workflow %s waits for no review: %.*s %s it in record %" PRIu64,
            name, workflow->id, TEXT_ARGS(decided_by), verdict->approved ? "approved" : "rejected",
            verdict->link.lsn);
    else
        decision_refuse(decision, "stage %s of workflow %s waits for no review: it is %s", name,
                        workflow->id, stage_status_name(workflow->stages[review->stage].status));
}

static bool check_authority(const struct review *review, struct decision *decision) {
    const struct definition_stage *stage = &review->workflow->definition->stages[review->stage];
    const struct command *command = review->command;
    const char *role = definition_stage_role(stage);
    if (role == NULL || !text_equal(command->as.review.role, role)) {
        decision_refuse(decision, "%.*s may not decide on stage %s as %.*s: that takes the role %s",
                        TEXT_ARGS(command->actor), stage->name, TEXT_ARGS(command->as.review.role),
                        role != NULL ? role : "of nobody");
        return false;
    }
    if (stage->four_eyes && text_same(command->actor, proposal_actor(review->proposal))) {
        decision_refuse(decision,
                        "%.*s asked for it, and may not decide on stage %s too: that takes another",
                        TEXT_ARGS(command->actor), stage->name);
        return false;
    }
    return true;
}

static bool check_attempt(const struct review *review, struct decision *decision) {
    uint32_t wanted = review->command->as.review.attempt;
    uint32_t attempt = review->workflow->stages[review->stage].attempt;
    if (wanted == 0 || wanted == attempt)
        return true;
    decision_refuse(
        decision, "stage %s of workflow %s waits for a review of attempt %" PRIu32 ", not %" PRIu32,
        review->workflow->definition->stages[review->stage].name, review->workflow->id, attempt,
        wanted);
    return false;
}

static void add_verdict(const struct review *review, struct decision *decision) {
    struct event *event =
        decision_add(decision, review->approves ? EVENT_REVIEW_APPROVED : EVENT_REVIEW_REJECTED);
    event->as.review.stage = review->stage;
    event->as.review.role = review->command->as.review.role;
    event->as.review.reason = review->command->as.review.reason;
}

static void approve(const struct review *review, struct decision *decision) {
    struct course course;
    course_begin(&course, review->workflow, decision);
    if (review->proposal->kind == PROPOSAL_REOPEN) {
        course.reopen &= ~(UINT64_C(1) << review->stage);
        course_activate(&course, review->stage);
        course_settle(&course);
    } else {
        if (course_undo(&course, review->stage))
            course_carry_on(&course);
    }
}

/* The words for a workflow that fails because its stage is not opened again. */
static struct bytes_view failure(const struct review *review, struct decision *decision) {
    struct bytes_view given = review->command->as.review.reason;
    struct bytes_view first = proposal_reason(review->proposal);
    if (given.size > 0 || first.size > 0)
        return given.size > 0 ? given : first;
    (void)snprintf(decision->reason, sizeof decision->reason,
                   "stage %s %s, and %.*s did not let it be opened again",
                   review->workflow->definition->stages[review->stage].name,
                   review->proposal->outcome == STAGE_FAILED ? "failed" : "timed out",
                   TEXT_ARGS(review->command->actor));
    return text_view(decision->reason);
}

static void reject(const struct review *review, struct decision *decision) {
    if (review->proposal->kind == PROPOSAL_REOPEN) {
        decision_add(decision, EVENT_WORKFLOW_FAILED)->as.workflow_failed.reason =
            failure(review, decision);
        return;
    }
    struct course course;
    course_begin(&course, review->workflow, decision);
    decision_add(decision, EVENT_ROLLBACK_STOPPED);
    /* What had ended is as it was: failed, cancelled, or completed where nothing was undone. */
    if (course.before == WORKFLOW_FAILED || course.before == WORKFLOW_CANCELLED ||
        (course.before == WORKFLOW_COMPLETED && !course.undone))
        return;
    course.under_way = false;
    course.status[review->stage] = review->proposal->waiting_before;
    course_settle(&course);
}

void review_decide(const struct command *command, struct decision *decision) {
    struct review review = {.command = command,
                            .approves = command->kind == COMMAND_REVIEW_APPROVE};
    review.workflow = workflow_find(command, decision);
    if (review.workflow == NULL)
        return;
    int stage =
        workflow_find_stage(review.workflow->definition, command->as.review.stage, decision);
    if (stage < 0 || !check_members(command, decision))
        return;
    review.stage = (unsigned)stage;
    review.proposal = find_proposal(review.workflow, review.stage);
    if (review.proposal == NULL) {
        decide_settled(&review, decision);
        return;
    }
    if (!check_authority(&review, decision) || !check_attempt(&review, decision))
        return;
    add_verdict(&review, decision);
    if (review.approves)
        approve(&review, decision);
    else
        reject(&review, decision);
}
