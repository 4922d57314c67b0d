/* What a command about a workflow comes to. Nothing here changes the state. */
#include "engine/core/workflow.h"

#include "engine/core/decision.h"
#include "engine/core/ledger.h"
#include "engine/core/rollback.h"
#include "engine/core/task.h"
#include "engine/core/text.h"

#include <inttypes.h>

/* --- fields --- */

static bool check_field(const struct field *field, struct decision *decision) {
    if (!text_is_name(field->name, COMMAND_FIELD_NAME_MAX))
        decision_fail(
            decision, WF_USAGE,
            "the name of a field must have 1 to %d bytes of UTF-8 without control characters",
            COMMAND_FIELD_NAME_MAX);
    else if (field->value.size > COMMAND_FIELD_VALUE_MAX)
        decision_fail(decision, WF_USAGE, "field %.*s has %zu bytes; a value has at most %d",
                      TEXT_ARGS(field->name), field->value.size, COMMAND_FIELD_VALUE_MAX);
    else if (!text_is_utf8(field->value))
        decision_fail(decision, WF_USAGE, "the value of field %.*s is not UTF-8 text",
                      TEXT_ARGS(field->name));
    else
        return true;
    return false;
}

bool workflow_check_fields(const struct field *fields, size_t count, struct decision *decision) {
    if (count > COMMAND_FIELDS_MAX) {
        decision_fail(decision, WF_USAGE, "%zu fields are too many; a command has at most %d",
                      count, COMMAND_FIELDS_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!check_field(&fields[i], decision))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (text_same(fields[i].name, fields[j].name)) {
                decision_fail(decision, WF_USAGE, "field %.*s is given twice",
                              TEXT_ARGS(fields[i].name));
                return false;
            }
        }
    }
    return true;
}

bool workflow_check_reason(struct bytes_view reason, struct decision *decision) {
    if (reason.size <= COMMAND_TEXT_MAX && text_is_utf8(reason))
        return true;
    decision_fail(decision, WF_USAGE, "a reason must be UTF-8 text of at most %d bytes",
                  COMMAND_TEXT_MAX);
    return false;
}

/* --- stages --- */

bool workflow_needs_met(const struct definition_stage *stage, uint64_t completed, uint64_t items) {
    return (stage->needs_stages & ~completed) == 0 && (stage->needs_items & ~items) == 0;
}

void workflow_decide_activation(const struct definition *definition, unsigned stage,
                                uint32_t attempt, struct decision *decision) {
    struct event *event = decision_add(decision, EVENT_STAGE_ACTIVATED);
    event->as.stage_activated.stage = stage;
    event->as.stage_activated.attempt = attempt;
    event->as.stage_activated.timeout_ms = definition->stages[stage].timeout_ms;
    if (definition_handler_given(&definition->stages[stage].handler))
        task_decide_due(stage, attempt, false, decision);
}

void workflow_activate_ready(const struct definition *definition, const struct stage_state *stages,
                             uint64_t completed, uint64_t items, struct decision *decision) {
    for (unsigned i = 0; i < definition->stage_count; i++) {
        enum stage_status status = stages != NULL ? stages[i].status : STAGE_BLOCKED;
        if (status != STAGE_BLOCKED && status != STAGE_ROLLED_BACK)
            continue;
        if ((completed & UINT64_C(1) << i) == 0 &&
            workflow_needs_met(&definition->stages[i], completed, items))
            workflow_decide_activation(definition, i, stages != NULL ? stages[i].attempt + 1 : 1,
                                       decision);
    }
}

/* --- start --- */

static const struct definition *find_type(const struct state *state, const struct command *command,
                                          struct decision *decision) {
    struct bytes_view type = command->as.workflow_start.type;
    uint32_t version = command->as.workflow_start.version;
    if (!text_is_name(type, DEFINITION_NAME_MAX)) {
        decision_fail(
            decision, WF_USAGE,
            "the type of a workflow must have 1 to %d bytes of UTF-8 without control characters",
            DEFINITION_NAME_MAX);
        return NULL;
    }
    const struct definition_entity *found = state_definition(state, type, version);
    if (found != NULL)
        return found->definition;
    const struct definition_entity *newest = state_definition(state, type, 0);
    if (newest != NULL)
        decision_fail(decision, WF_NOT_FOUND,
                      "workflow type %.*s has no version %" PRIu32
                      "; its newest version is %" PRIu32,
                      TEXT_ARGS(type), version, newest->definition->version);
    else
        decision_fail(decision, WF_NOT_FOUND,
                      "there is no workflow type \"%.*s\"; add its definition first",
                      TEXT_ARGS(type));
    return NULL;
}

void workflow_decide_start(const struct state *state, const struct command *command,
                           struct decision *decision) {
    const struct field *fields = command->as.workflow_start.fields;
    size_t count = command->as.workflow_start.field_count;
    const struct definition *definition = find_type(state, command, decision);
    if (definition == NULL || !workflow_check_fields(fields, count, decision))
        return;
    const struct workflow *known = decision->workflow;
    if (known != NULL && !known->entity.deleted) {
        decision_refuse(decision, "workflow %.*s exists already: %s version %" PRIu32 ", %s",
                        TEXT_ARGS(command->subject), known->definition->name,
                        known->definition->version, workflow_status_name(known->status));
        return;
    }
    if (!workflow_fields_fit(0, definition, WORKFLOW_FIELD_AT_START, fields, count)) {
        decision_fail(decision, WF_USAGE, "the fields of a workflow have at most %d bytes together",
                      WORKFLOW_DATA_MAX);
        return;
    }
    struct event *event = decision_add(decision, EVENT_WORKFLOW_STARTED);
    event->as.workflow_started.type = text_view(definition->name);
    event->as.workflow_started.version = definition->version;
    event->as.workflow_started.fields = fields;
    event->as.workflow_started.field_count = count;
    workflow_activate_ready(definition, NULL, 0, 0, decision);
}

/* --- what submit, fail and cancel have in common --- */

const struct workflow *workflow_find(const struct command *command, struct decision *decision) {
    const struct workflow *workflow = decision->workflow;
    if (workflow != NULL && !workflow->entity.deleted)
        return workflow;
    decision_fail(decision, WF_NOT_FOUND, "there is no workflow \"%.*s\"",
                  TEXT_ARGS(command->subject));
    return NULL;
}

bool workflow_check_goes_on(const struct workflow *workflow, struct decision *decision) {
    if (!workflow_has_ended(workflow))
        return true;
    decision_refuse(decision, "workflow %s is %s: nothing more can happen to it", workflow->id,
                    workflow_status_name(workflow->status));
    return false;
}

/* --- submit --- */

static int find_step(const struct definition *definition, struct bytes_view name,
                     struct decision *decision) {
    int step = definition_step_index(definition, (const char *)name.data, name.size);
    if (step >= 0)
        return step;
    if (text_is_name(name, COMMAND_ID_MAX))
        decision_fail(decision, WF_NOT_FOUND, "%s has no step \"%.*s\"; its steps are",
                      definition->name, TEXT_ARGS(name));
    else
        decision_fail(decision, WF_NOT_FOUND, "%s has no such step; its steps are",
                      definition->name);
    for (size_t i = 0; i < definition->step_count; i++)
        decision_append(decision, "%s%s", i == 0 ? " " : ", ", definition->steps[i].name);
    return -1;
}

/* Say what a blocked stage still waits for. */
static void append_missing_needs(const struct workflow *workflow,
                                 const struct definition_stage *stage, struct decision *decision) {
    const struct definition *definition = workflow->definition;
    uint64_t items = stage->needs_items & ~workflow_items(workflow);
    uint64_t stages = stage->needs_stages & ~workflow_completed_stages(workflow);
    const char *separator = " ";
    for (size_t i = 0; i < definition->item_count; i++) {
        if ((items & UINT64_C(1) << i) == 0)
            continue;
        decision_append(decision, "%s%s", separator, definition->items[i]);
        separator = ", ";
    }
    for (size_t i = 0; i < definition->stage_count; i++) {
        if ((stages & UINT64_C(1) << i) == 0)
            continue;
        decision_append(decision, "%sstage %s", separator, definition->stages[i].name);
        separator = ", ";
    }
}

/* The step completes a stage: is it the time for it? */
static bool check_stage_awaits(const struct workflow *workflow, const struct definition_step *step,
                               struct decision *decision) {
    const struct definition_stage *stage = &workflow->definition->stages[step->completes];
    enum stage_status status = workflow->stages[step->completes].status;
    if (status == STAGE_ACTIVE)
        return true;
    if (status == STAGE_BLOCKED || status == STAGE_ROLLED_BACK) {
        decision_refuse(decision,
                        "step %s comes too early: stage %s of workflow %s is %s and still needs",
                        step->name, stage->name, workflow->id, stage_status_name(status));
        append_missing_needs(workflow, stage, decision);
    } else {
        decision_refuse(decision, "step %s cannot complete stage %s of workflow %s, which is %s",
                        step->name, stage->name, workflow->id, stage_status_name(status));
    }
    return false;
}

/* Is the step's required field of this index among them? Most often it is the one of that index. */
static bool is_given(const struct definition_step *step, size_t index, const struct field *fields,
                     size_t count) {
    if (index < count && workflow_is_required(step, index, fields[index].name))
        return true;
    for (size_t i = 0; i < count; i++)
        if (workflow_is_required(step, index, fields[i].name))
            return true;
    return false;
}

bool workflow_check_required(const struct definition_step *step, const struct field *fields,
                             size_t count, struct decision *decision) {
    bool complete = true;
    for (size_t i = 0; i < step->requires_count; i++) {
        if (is_given(step, i, fields, count))
            continue;
        if (complete)
            decision_refuse(decision, "step %s lacks the required field %s", step->name,
                            step->requires[i]);
        else
            decision_append(decision, ", %s", step->requires[i]);
        complete = false;
    }
    return complete;
}

/* Nothing can be submitted to what goes back, or is held. */
static bool check_moves(const struct workflow *workflow, struct decision *decision) {
    if (!workflow_stands_still(workflow))
        return true;
    decision_refuse(decision, "workflow %s is %s: nothing can be submitted until that is decided",
                    workflow->id, workflow_status_name(workflow->status));
    return false;
}

/* What belongs to an attempt that is over comes too late: it is recorded, and has no effect. */
static bool check_attempt(const struct workflow *workflow, const struct definition_step *step,
                          uint32_t attempt, struct decision *decision) {
    if (attempt == 0)
        return true;
    if (step->completes < 0) {
        decision_fail(decision, WF_USAGE, "step %s completes no stage: it belongs to no attempt",
                      step->name);
        return false;
    }
    return rollback_check_attempt(workflow, (unsigned)step->completes, attempt, decision);
}

static bool check_submission(const struct workflow *workflow, unsigned index,
                             const struct command *command, struct decision *decision) {
    const struct definition_step *step = &workflow->definition->steps[index];
    const struct field *fields = command->as.workflow_submit.fields;
    size_t count = command->as.workflow_submit.field_count;
    if (!workflow_check_goes_on(workflow, decision))
        return false;
    if (!check_moves(workflow, decision))
        return false;
    if (!check_attempt(workflow, step, command->as.workflow_submit.attempt, decision))
        return false;
    if (workflow_step_in_force(workflow, index)) {
        decision_refuse(decision, "step %s was submitted to workflow %s already", step->name,
                        workflow->id);
        return false;
    }
    if (step->completes >= 0 && !check_stage_awaits(workflow, step, decision))
        return false;
    if (!workflow_check_required(step, fields, count, decision))
        return false;
    if (!workflow_fields_fit(workflow->data_size, workflow->definition, index, fields, count)) {
        decision_refuse(decision,
                        "the fields of workflow %s would have more than %d bytes together",
                        workflow->id, WORKFLOW_DATA_MAX);
        return false;
    }
    return true;
}

/* The operations that go with the completion: one that is refused refuses the submission. */
static bool decide_money(const struct workflow *workflow, const struct definition_step *step,
                         const struct command *command, struct decision *decision) {
    size_t count = command->as.workflow_submit.operation_count;
    if (count == 0)
        return true;
    if (step->completes < 0) {
        decision_fail(decision, WF_USAGE,
                      "step %s of workflow %s completes no stage: no operations go with it",
                      step->name, workflow->id);
        return false;
    }
    return ledger_decide_operations(decision->state, command->as.workflow_submit.operations, count,
                                    0, decision);
}

/* Undoing the stage moves back what this record moved. */
static void bind_money(const struct workflow *workflow, uint32_t stage, struct decision *decision) {
    struct event *event = decision_add(decision, EVENT_MONEY_BOUND);
    event->as.money_bound.stage = stage;
    event->as.money_bound.attempt = workflow->stages[stage].attempt;
}

void workflow_decide_submit(const struct command *command, struct decision *decision) {
    const struct workflow *workflow = workflow_find(command, decision);
    if (workflow == NULL)
        return;
    const struct definition *definition = workflow->definition;
    int index = find_step(definition, command->as.workflow_submit.step, decision);
    if (index < 0 || !workflow_check_fields(command->as.workflow_submit.fields,
                                            command->as.workflow_submit.field_count, decision))
        return;
    if (!check_submission(workflow, (unsigned)index, command, decision))
        return;
    const struct definition_step *step = &definition->steps[index];
    struct event *event = decision_add(decision, EVENT_STEP_SUBMITTED);
    event->as.step_submitted.step = (uint32_t)index;
    event->as.step_submitted.fields = command->as.workflow_submit.fields;
    event->as.step_submitted.field_count = command->as.workflow_submit.field_count;
    if (!decide_money(workflow, step, command, decision))
        return;
    uint64_t completed = workflow_completed_stages(workflow);
    if (step->completes >= 0) {
        completed |= UINT64_C(1) << step->completes;
        decision_add(decision, EVENT_STAGE_COMPLETED)->as.stage_completed.stage =
            (uint32_t)step->completes;
    }
    if (command->as.workflow_submit.operation_count > 0)
        bind_money(workflow, (uint32_t)step->completes, decision);
    workflow_activate_ready(definition, workflow->stages, completed,
                            workflow_items(workflow) | step->provides, decision);
    if (completed == definition_all_stages(definition))
        decision_add(decision, EVENT_WORKFLOW_COMPLETED);
}

/* --- fail and cancel --- */

int workflow_find_stage(const struct definition *definition, struct bytes_view name,
                        struct decision *decision) {
    int stage = definition_stage_index(definition, (const char *)name.data, name.size);
    if (stage >= 0)
        return stage;
    if (text_is_name(name, COMMAND_ID_MAX))
        decision_fail(decision, WF_NOT_FOUND, "%s has no stage \"%.*s\"; its stages are",
                      definition->name, TEXT_ARGS(name));
    else
        decision_fail(decision, WF_NOT_FOUND, "%s has no such stage; its stages are",
                      definition->name);
    for (size_t i = 0; i < definition->stage_count; i++)
        decision_append(decision, "%s%s", i == 0 ? " " : ", ", definition->stages[i].name);
    return -1;
}

void workflow_decide_fail(const struct command *command, struct decision *decision) {
    struct bytes_view reason = command->as.workflow_fail.reason;
    uint32_t attempt = command->as.workflow_fail.attempt;
    const struct workflow *workflow = workflow_find(command, decision);
    if (workflow == NULL)
        return;
    int found =
        workflow_find_stage(workflow->definition, command->as.workflow_fail.stage, decision);
    unsigned stage = (unsigned)found;
    if (found < 0 || !workflow_check_reason(reason, decision) ||
        !workflow_check_goes_on(workflow, decision) ||
        (attempt != 0 && !rollback_check_attempt(workflow, stage, attempt, decision)))
        return;
    if (workflow->stages[stage].status != STAGE_ACTIVE) {
        decision_refuse(decision, "stage %s of workflow %s is %s; only an active stage can fail",
                        workflow->definition->stages[stage].name, workflow->id,
                        stage_status_name(workflow->stages[stage].status));
        return;
    }
    struct event *event = decision_add(decision, EVENT_STAGE_FAILED);
    event->as.stage_failed.stage = stage;
    event->as.stage_failed.reason = reason;
    rollback_decide_outcome(workflow, stage, STAGE_FAILED, reason, decision);
}

void workflow_decide_cancel(const struct command *command, struct decision *decision) {
    struct bytes_view reason = command->as.workflow_cancel.reason;
    const struct workflow *workflow = workflow_find(command, decision);
    if (workflow == NULL || !workflow_check_reason(reason, decision) ||
        !workflow_check_goes_on(workflow, decision))
        return;
    if (command->as.workflow_cancel.rollback)
        rollback_decide_cancel(workflow, reason, decision);
    else
        decision_add(decision, EVENT_WORKFLOW_CANCELLED)->as.workflow_cancelled.reason = reason;
}
