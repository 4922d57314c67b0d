/* Tasks for workers: the one that is due first, claimed. */
#include "engine/core/task.h"

#include "engine/engine.h"
#include "engine/workflow_out.h"

#include <stdlib.h>
#include <string.h>

/* --- claiming --- */

/* The workflow of the first task, where that is due; NULL: none is, and `*next_ms` is when one will
 * be. */
static enum wf_status first_due(struct wf_engine *engine, struct workflow **first, int64_t *next_ms,
                                struct wf_error *err) {
    struct timers *tasks = &engine->state.tasks;
    *next_ms = 0;
    enum wf_status status = due_find(engine, tasks, engine_record_time_ms(engine), first, err);
    if (status == WF_OK && *first == NULL) {
        struct workflow *later = NULL;
        status = due_find(engine, tasks, INT64_MAX, &later, err);
        *next_ms = later != NULL ? workflow_task_due(later) : 0;
    }
    return status;
}

/* Claim in this workflow. `event`: what became of it; the task may have been parked instead. */
static enum wf_status claim_in(struct wf_engine *engine, const struct workflow *workflow,
                               struct bytes_view worker, int64_t lease_ms, const char **stage,
                               struct event *event, struct wal_ticket *ticket,
                               struct wf_error *err) {
    char id[COMMAND_ID_MAX];
    memcpy(id, workflow->id, workflow->id_size);
    struct command command = {
        .kind = COMMAND_TASK_CLAIM,
        .now_ms = engine_now_ms(engine),
        .subject = {(const uint8_t *)id, workflow->id_size},
    };
    command.as.task.worker = worker;
    command.as.task.lease_ms = lease_ms;
    decide(&engine->state, &command, &engine->decision);
    if (engine->decision.status != WF_OK) {
        return error_set(err, engine->decision.status, "%s", engine->decision.message);
    }
    *event = engine->decision.events[0];
    *stage = workflow->definition->stages[event->as.task.stage].name;
    return engine_append_decision(engine, &command, ticket, err);
}

/* The mutex is held. Parks on the way what has no attempt left. */
static enum wf_status claim_next(struct wf_engine *engine, struct bytes_view worker,
                                 int64_t lease_ms, struct wf_workflow **out,
                                 const struct wf_task **task, int64_t *next_ms,
                                 struct wal_ticket *ticket, struct wf_error *err) {
    for (;;) {
        struct workflow *workflow = NULL;
        enum wf_status status = first_due(engine, &workflow, next_ms, err);
        if (status != WF_OK || workflow == NULL) {
            *ticket = engine_last_ticket(engine);
            return status;
        }
        *next_ms = workflow_task_due(workflow);
        struct event event = {.kind = EVENT_TASK_DUE};
        const char *stage = NULL;
        struct bytes_view id = {(const uint8_t *)workflow->id, workflow->id_size};
        status = claim_in(engine, workflow, worker, lease_ms, &stage, &event, ticket, err);
        if (status != WF_OK) {
            return status;
        }
        if (event.kind != EVENT_TASK_CLAIMED) {
            continue;
        }
        workflow = state_workflow(&engine->state, id);
        status = workflow_out_make(workflow, out, err);
        for (size_t i = 0; status == WF_OK && i < (*out)->task_count; i++) {
            const struct wf_task *here = &(*out)->tasks[i];
            if (strcmp(here->stage, stage) == 0 && here->compensate == event.as.task.compensate &&
                here->epoch == event.as.task.epoch) {
                *task = here;
            }
        }
        return status;
    }
}

static enum wf_status claim(struct wf_engine *engine, struct bytes_view worker, int64_t lease_ms,
                            struct wf_workflow **out, const struct wf_task **task, int64_t *next_ms,
                            struct wf_error *err) {
    struct wal_ticket ticket = {0};
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_refuse_commands(engine, err);
    if (status == WF_OK) {
        status = engine_ensure_state(engine, err);
    }
    if (status == WF_OK) {
        status = engine_let_time_pass(engine, engine_now_ms(engine), err);
    }
    if (status == WF_OK) {
        status = claim_next(engine, worker, lease_ms, out, task, next_ms, &ticket, err);
    }
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK) {
        status = engine_wait_durable(engine, &ticket, err);
    }
    if (status != WF_OK) {
        wf_workflow_free(*out);
        *out = NULL;
        *task = NULL;
    }
    return status;
}

enum wf_status wf_task_claim(struct wf_engine *engine, const char *worker, int64_t lease_ms,
                             struct wf_workflow **workflow, const struct wf_task **task,
                             int64_t *next_ms, struct wf_error *err) {
    int64_t ignored;
    *workflow = NULL;
    *task = NULL;
    if (worker == NULL || worker[0] == '\0' || strlen(worker) > COMMAND_ID_MAX || lease_ms < 0) {
        return error_set(err, WF_USAGE, "a claim needs the name of a worker, of at most %d bytes",
                         COMMAND_ID_MAX);
    }
    /* A cut in between: what was decided is gone. */
    enum wf_status status = WF_CONFLICT;
    for (int attempt = 0; status == WF_CONFLICT && attempt < 2; attempt++) {
        status = claim(engine, text_view(worker), lease_ms, workflow, task,
                       next_ms != NULL ? next_ms : &ignored, err);
    }
    return status;
}
