/* Callbacks of the host, and one turn of a worker: claim, do, record the answer. */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

struct handler {
    struct handler *next;
    char stage[WF_NAME_MAX + 1];
    bool compensate;
    wf_handler_fn call;
    void *ctx;
};

void engine_forget_handlers(struct wf_engine *engine) {
    while (engine->handlers != NULL) {
        struct handler *gone = engine->handlers;
        engine->handlers = gone->next;
        free(gone);
    }
}

static struct handler *find(const struct wf_engine *engine, const char *stage, bool compensate) {
    struct handler *handler = engine->handlers;
    while (handler != NULL &&
           (strcmp(handler->stage, stage) != 0 || handler->compensate != compensate)) {
        handler = handler->next;
    }
    return handler;
}

enum wf_status wf_handler_register(struct wf_engine *engine, const char *stage, bool compensate,
                                   wf_handler_fn handler, void *ctx, struct wf_error *err) {
    if (stage == NULL || stage[0] == '\0' || strlen(stage) > WF_NAME_MAX) {
        return error_set(err, WF_USAGE, "a handler is registered under the name of a stage");
    }
    pthread_mutex_lock(&engine->mutex);
    struct handler *entry = find(engine, stage, compensate);
    if (entry == NULL) {
        entry = calloc(1, sizeof(*entry));
        if (entry != NULL) {
            memcpy(entry->stage, stage, strlen(stage) + 1);
            entry->compensate = compensate;
            entry->next = engine->handlers;
            engine->handlers = entry;
        }
    }
    if (entry != NULL) {
        entry->call = handler;
        entry->ctx = ctx;
    }
    pthread_mutex_unlock(&engine->mutex);
    return entry != NULL ? WF_OK : error_set(err, WF_NO_MEMORY, "no memory for a handler");
}

/* Called without the mutex: it may use the engine itself. */
static void call_back(struct wf_engine *engine, const struct wf_task *task,
                      struct wf_handled *handled) {
    pthread_mutex_lock(&engine->mutex);
    const struct handler *entry = find(engine, task->stage, task->compensate);
    wf_handler_fn call = entry != NULL ? entry->call : NULL;
    void *ctx = entry != NULL ? entry->ctx : NULL;
    pthread_mutex_unlock(&engine->mutex);
    if (call == NULL) {
        handled->reason = "no callback is registered for the stage in this program";
        return;
    }
    call(ctx, task, handled);
}

/* A handler's answer that the rules refuse (a field is missing, say) is a failed attempt, unless
 * the claim itself is gone: then the refusal is all that is recorded. */
static enum wf_status answer(struct wf_engine *engine, const struct wf_worker *worker,
                             const struct wf_task *task, const struct wf_handled *handled,
                             struct wf_error *err) {
    struct wf_command command = {
        .kind = handled->ok ? WF_TASK_COMPLETE : WF_TASK_FAIL,
        .id = task->id,
        .stage = task->stage,
        .compensate = task->compensate,
        .attempt = task->epoch,
        .tries = task->attempt,
        .worker = worker->name,
        .fields = handled->fields,
        .field_count = handled->field_count,
        .reason =
            handled->reason != NULL && handled->reason[0] != '\0' ? handled->reason : "it failed",
    };
    struct wf_error why = {0};
    enum wf_status status = wf_execute(engine, &command, NULL, &why);
    if (handled->ok && (status == WF_REFUSED || status == WF_USAGE)) {
        command.kind = WF_TASK_FAIL;
        command.reason = why.text;
        status = wf_execute(engine, &command, NULL, &why);
    }
    if (status == WF_OK || status == WF_REFUSED) {
        return WF_OK; /* a refusal: somebody else has the task, or nobody needs it any more */
    }
    return error_set(err, status, "%s", why.text);
}

enum wf_status wf_worker_run(struct wf_engine *engine, const struct wf_worker *worker, bool *did,
                             int64_t *next_ms, struct wf_error *err) {
    struct wf_workflow *workflow = NULL;
    const struct wf_task *task = NULL;
    enum wf_status status =
        wf_task_claim(engine, worker->name, worker->lease_ms, &workflow, &task, next_ms, err);
    *did = task != NULL;
    if (status != WF_OK || task == NULL) {
        return status;
    }
    struct wf_handled handled = {0};
    if (task->arg_count == 0) {
        call_back(engine, task, &handled);
    } else if (worker->run_program != NULL) {
        worker->run_program(worker->program_ctx, task, &handled);
    } else {
        handled.reason = "this worker runs no programs";
    }
    status = answer(engine, worker, task, &handled, err);
    wf_workflow_free(workflow);
    return status;
}
