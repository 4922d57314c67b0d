/* Tasks for workers: the one that is due first, claimed. */
#include "engine/core/task.h"

#include "engine/engine.h"
#include "engine/workflow_out.h"

#include <stdlib.h>
#include <string.h>

/* --- in memory from the beginning --- */

static enum wf_status note_id(void *ctx, struct bytes_view key, struct bytes_view value,
                              struct wf_error *err) {
    (void)value;
    if (key.size < 2 || key.size > 1 + COMMAND_ID_MAX) {
        return error_set(err, WF_DAMAGE, "snapshot: a task's key of %zu bytes", key.size);
    }
    bytes_write_string(ctx, (const char *)key.data + 1, key.size - 1);
    return WF_OK;
}

enum wf_status engine_load_tasks(struct wf_engine *engine, struct wf_error *err) {
    static const uint8_t order = CHECKPOINT_TASK_ORDER;
    struct bytes_view prefix = {&order, 1};
    struct bytes_buffer ids;
    bytes_buffer_init(&ids);
    enum wf_status status =
        engine->snapshot->ops->walk(engine->snapshot, prefix, prefix, note_id, &ids, err);
    if (status == WF_OK && !bytes_buffer_ok(&ids)) {
        status = error_set(err, WF_NO_MEMORY, "no memory for the tasks of a store");
    }
    struct bytes_reader reader = bytes_reader_make(ids.data, ids.size);
    while (status == WF_OK && bytes_reader_left(&reader) > 0) {
        status = cache_load(engine, ENTITY_WORKFLOW, bytes_read_string(&reader), err);
    }
    bytes_buffer_deinit(&ids);
    return status;
}

/* --- claiming --- */

/* The workflow of the first task, where that is due; NULL: none is. */
static const struct workflow *first_due(struct wf_engine *engine, int64_t *next_ms) {
    const struct timer *first = timers_first(&engine->state.tasks);
    *next_ms = first != NULL ? first->due_ms : 0;
    return first != NULL && first->due_ms <= engine_record_time_ms(engine) ? first->workflow : NULL;
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
        const struct workflow *workflow = first_due(engine, next_ms);
        if (workflow == NULL) {
            *ticket = engine_last_ticket(engine);
            return WF_OK;
        }
        struct event event = {.kind = EVENT_TASK_DUE};
        const char *stage = NULL;
        struct bytes_view id = {(const uint8_t *)workflow->id, workflow->id_size};
        enum wf_status status =
            claim_in(engine, workflow, worker, lease_ms, &stage, &event, ticket, err);
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
        status = claim(engine, engine_view(worker), lease_ms, workflow, task,
                       next_ms != NULL ? next_ms : &ignored, err);
    }
    return status;
}
