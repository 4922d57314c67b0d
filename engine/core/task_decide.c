/* Claims of tasks, their answers, and retries of parked ones. */
#include "engine/core/task.h"

#include "engine/core/decision.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>

static const struct bytes_view none = {(const uint8_t *)"", 0};

static const char *kind_word(bool compensate) {
    return compensate ? "compensation" : "handler";
}

static struct event *add(struct decision *decision, enum event_kind kind, const struct task *task,
                         uint32_t tries) {
    struct event *event = decision_add(decision, kind);
    event->as.task.stage = task->stage;
    event->as.task.epoch = task->epoch;
    event->as.task.compensate = task->compensate;
    event->as.task.tries = tries;
    event->as.task.delay_ms = 0;
    event->as.task.worker = event->as.task.reason = none;
    event->as.task.fields = NULL;
    event->as.task.field_count = 0;
    return event;
}

void task_decide_due(unsigned stage, uint32_t epoch, bool compensate, struct decision *decision) {
    const struct task task = {.stage = (uint8_t)stage, .epoch = epoch, .compensate = compensate};
    add(decision, EVENT_TASK_DUE, &task, 0);
}

bool task_wants_compensation(const struct workflow *workflow, unsigned stage, uint32_t epoch) {
    const struct definition_stage *of = &workflow->definition->stages[stage];
    if (!definition_handler_given(&of->compensate))
        return false;
    const struct task *run = task_find(workflow, stage, false, epoch);
    if (workflow->stages[stage].completed_lsn != 0)
        return true;
    /* A handler that was never claimed has done nothing; one that is over may have. */
    return definition_handler_given(&of->handler) && (run == NULL || run->tries > 0);
}

/* --- claim --- */

/* The one whose time has come first; NULL: none has. */
static const struct task *pick(const struct workflow *workflow, int64_t now_ms) {
    const struct task *picked = NULL;
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next)
        if (task_is_claimable(workflow, task) && task->due_ms <= now_ms &&
            (picked == NULL || task->due_ms < picked->due_ms))
            picked = task;
    return picked;
}

static void claim(const struct workflow *workflow, const struct command *command,
                  struct decision *decision) {
    int64_t lease_ms = command->as.task.lease_ms;
    const struct task *task = pick(workflow, decision->time_ms);
    if (command->as.task.worker.size == 0 || lease_ms < 0 ||
        lease_ms > DEFINITION_DURATION_MAX_MS) {
        decision_fail(decision, WF_USAGE,
                      "a claim needs a worker, and a lease of at most 100 years");
        return;
    }
    if (task == NULL) {
        decision_fail(decision, WF_NOT_FOUND, "no task of workflow %s is due", workflow->id);
        return;
    }
    const struct definition_handler *handler = task_handler(workflow->definition, task);
    if (task->tries >= handler->attempts) {
        decision_append(decision,
                        "attempt %" PRIu32 " of %" PRIu32
                        ", by worker %.*s, was not answered within its lease",
                        task->tries, handler->attempts, TEXT_ARGS(task_worker(task)));
        struct event *event = add(decision, EVENT_TASK_PARKED, task, task->tries);
        event->as.task.reason = text_view(decision->message);
        return;
    }
    struct event *event = add(decision, EVENT_TASK_CLAIMED, task, task->tries + 1);
    event->as.task.worker = command->as.task.worker;
    event->as.task.reason = task_reason(task);
    event->as.task.delay_ms = lease_ms > 0 ? lease_ms : handler->timeout_ms + TASK_LEASE_MARGIN_MS;
}

/* --- answers --- */

/* Only who holds the claim may answer: the worker, for this attempt. */
static const struct task *find_claimed(const struct workflow *workflow, unsigned stage,
                                       const struct command *command, struct decision *decision) {
    bool compensate = command->as.task.compensate;
    const char *name = workflow->definition->stages[stage].name;
    const struct task *task = task_find(workflow, stage, compensate, command->as.task.epoch);
    if (task == NULL)
        decision_refuse(decision,
                        "the %s of stage %s of workflow %s, epoch %" PRIu32
                        ", is over: the answer has no effect",
                        kind_word(compensate), name, workflow->id, command->as.task.epoch);
    else if (task->status != TASK_CLAIMED || task->tries != command->as.task.tries ||
             !text_same(task_worker(task), command->as.task.worker))
        decision_refuse(decision,
                        "attempt %" PRIu32 " of the %s of stage %s of workflow %s is no longer "
                        "claimed by worker %.*s: the answer has no effect",
                        command->as.task.tries, kind_word(compensate), name, workflow->id,
                        TEXT_ARGS(command->as.task.worker));
    else
        return task;
    return NULL;
}

/* The first step that completes the stage and is not in force; -1: its handler alone completes it.
 */
static int completing_step(const struct workflow *workflow, unsigned stage) {
    for (size_t i = 0; i < workflow->definition->step_count; i++)
        if (workflow->definition->steps[i].completes == (int)stage &&
            !workflow_step_in_force(workflow, (unsigned)i))
            return (int)i;
    return -1;
}

/* The stage is completed with the fields, as if by its step. */
static void complete_stage(const struct workflow *workflow, const struct command *command,
                           struct event *done, struct decision *decision) {
    const struct definition *definition = workflow->definition;
    const struct field *fields = command->as.task.fields;
    size_t count = command->as.task.field_count;
    unsigned stage = done->as.task.stage;
    int step = completing_step(workflow, stage);
    uint64_t items = workflow_items(workflow);
    if (step >= 0 && !workflow_check_required(&definition->steps[step], fields, count, decision))
        return;
    unsigned of = step >= 0 ? (unsigned)step : WORKFLOW_FIELD_OF_STAGE | stage;
    if (!workflow_fields_fit(workflow->data_size, definition, of, fields, count)) {
        decision_refuse(decision,
                        "the fields of workflow %s would have more than %d bytes together",
                        workflow->id, WORKFLOW_DATA_MAX);
        return;
    }
    if (step < 0) {
        done->as.task.fields = fields;
        done->as.task.field_count = count;
    } else {
        struct event *event = decision_add(decision, EVENT_STEP_SUBMITTED);
        event->as.step_submitted.step = (uint32_t)step;
        event->as.step_submitted.fields = fields;
        event->as.step_submitted.field_count = count;
        items |= definition->steps[step].provides;
    }
    decision_add(decision, EVENT_STAGE_COMPLETED)->as.stage_completed.stage = stage;
    uint64_t completed = workflow_completed_stages(workflow) | UINT64_C(1) << stage;
    workflow_activate_ready(definition, workflow->stages, completed, items, decision);
    if (completed == definition_all_stages(definition))
        decision_add(decision, EVENT_WORKFLOW_COMPLETED);
}

static void complete(const struct workflow *workflow, const struct task *task,
                     const struct command *command, struct decision *decision) {
    if (!workflow_check_fields(command->as.task.fields, command->as.task.field_count, decision))
        return;
    if (!task->compensate && workflow->stages[task->stage].status != STAGE_ACTIVE) {
        decision_refuse(decision, "stage %s of workflow %s is %s: its handler cannot complete it",
                        workflow->definition->stages[task->stage].name, workflow->id,
                        stage_status_name(workflow->stages[task->stage].status));
        return;
    }
    struct event *done = add(decision, EVENT_TASK_DONE, task, task->tries);
    done->as.task.worker = command->as.task.worker;
    if (task->compensate) {
        done->as.task.fields = command->as.task.fields;
        done->as.task.field_count = command->as.task.field_count;
    } else {
        complete_stage(workflow, command, done, decision);
    }
}

static void fail(const struct workflow *workflow, const struct task *task,
                 const struct command *command, struct decision *decision) {
    const struct definition_handler *handler = task_handler(workflow->definition, task);
    if (!workflow_check_reason(command->as.task.reason, decision))
        return;
    bool parked = task->tries >= handler->attempts;
    struct event *event =
        add(decision, parked ? EVENT_TASK_PARKED : EVENT_TASK_FAILED, task, task->tries);
    event->as.task.worker = command->as.task.worker;
    event->as.task.reason = command->as.task.reason;
    uint32_t doublings = task->tries - 1;
    if (doublings > TASK_BACKOFF_DOUBLINGS)
        doublings = TASK_BACKOFF_DOUBLINGS;
    int64_t backoff_ms = handler->backoff_ms;
    for (; doublings > 0 && backoff_ms <= DEFINITION_DURATION_MAX_MS / 2; doublings--)
        backoff_ms *= 2;
    event->as.task.delay_ms = parked ? 0 : backoff_ms;
}

/* --- retry --- */

static void retry(const struct workflow *workflow, unsigned stage, const struct command *command,
                  struct decision *decision) {
    const struct task *parked = NULL;
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next)
        if (task->stage == stage && task->compensate == command->as.task.compensate &&
            task->status == TASK_PARKED && parked == NULL)
            parked = task;
    if (parked == NULL)
        decision_refuse(decision, "the %s of stage %s of workflow %s is not parked",
                        kind_word(command->as.task.compensate),
                        workflow->definition->stages[stage].name, workflow->id);
    else
        add(decision, EVENT_TASK_RETRIED, parked, 0);
}

void task_decide(const struct command *command, struct decision *decision) {
    const struct workflow *workflow = workflow_find(command, decision);
    if (workflow == NULL)
        return;
    if (command->kind == COMMAND_TASK_CLAIM) {
        claim(workflow, command, decision);
        return;
    }
    int stage = workflow_find_stage(workflow->definition, command->as.task.stage, decision);
    if (stage < 0)
        return;
    if (command->kind == COMMAND_TASK_RETRY) {
        retry(workflow, (unsigned)stage, command, decision);
        return;
    }
    const struct task *task = find_claimed(workflow, (unsigned)stage, command, decision);
    if (task == NULL)
        return;
    if (command->kind == COMMAND_TASK_COMPLETE)
        complete(workflow, task, command, decision);
    else
        fail(workflow, task, command, decision);
}
