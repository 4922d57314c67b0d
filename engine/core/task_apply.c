/* What the events about tasks do. */
#include "engine/core/task.h"

#include "engine/core/state_inner.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>

bool task_is_event(enum event_kind kind) {
    return kind >= EVENT_TASK_DUE && kind <= EVENT_TASK_RETRIED;
}

enum wf_status task_reserve(struct state *state, const struct record *record,
                            const struct event *event, struct wf_error *err) {
    const struct workflow *workflow = state->reserved.workflow;
    if (event->as.task.stage >= workflow->definition->stage_count ||
        event->as.task.worker.size > COMMAND_ID_MAX ||
        event->as.task.reason.size > COMMAND_TEXT_MAX || event->as.task.delay_ms < 0 ||
        event->as.task.delay_ms > DEFINITION_DURATION_MAX_MS)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " holds a task that workflow %s cannot have",
                         record->lsn, workflow->id);
    if (event->kind == EVENT_TASK_DONE)
        return WF_OK; /* its fields are reserved with those of the workflow */
    struct task *task = task_create(event->as.task.worker, event->as.task.reason);
    if (task == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a task");
    struct task **last = &state->reserved.tasks;
    while (*last != NULL)
        last = &(*last)->next;
    *last = task;
    return WF_OK;
}

static enum task_status status_after(enum event_kind kind) {
    if (kind == EVENT_TASK_CLAIMED)
        return TASK_CLAIMED;
    return kind == EVENT_TASK_PARKED ? TASK_PARKED : TASK_DUE;
}

static void done(struct workflow *workflow, const struct event *event) {
    unsigned stage = event->as.task.stage;
    task_remove(workflow, stage, event->as.task.compensate, event->as.task.epoch);
    if (!event->as.task.compensate)
        workflow_append_fields(workflow, WORKFLOW_FIELD_OF_STAGE | stage, event->as.task.fields,
                               event->as.task.field_count);
}

void task_apply(struct state *state, const struct record *record, const struct event *event) {
    struct workflow *workflow = state->reserved.workflow;
    if (event->kind == EVENT_TASK_DONE) {
        done(workflow, event);
    } else {
        struct task *task = state->reserved.tasks;
        state->reserved.tasks = task->next;
        task->stage = (uint8_t)event->as.task.stage;
        task->compensate = event->as.task.compensate;
        task->epoch = event->as.task.epoch;
        task->tries = event->as.task.tries;
        task->status = status_after(event->kind);
        task->due_ms = record->time_ms + event->as.task.delay_ms;
        task->due_ms += task->due_ms == 0; /* 0 would mean that it has no time */
        task_put(workflow, task);
    }
    state_resize(state, &workflow->entity, workflow_bytes(workflow));
}
