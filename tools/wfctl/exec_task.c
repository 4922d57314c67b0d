/* The requests of exec about tasks that are answered at once. */
#include "base/error.h"
#include "tools/wfctl/exec_request.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/view.h"

enum wf_status answer_task_claim(struct wf_engine *engine, const struct request *request,
                                 struct emit *json, uint64_t *lsn, struct wf_error *err) {
    const char *lease = request_string(request, MEMBER_LEASE);
    int64_t lease_ms = 0, next_ms;
    if (lease && !parse_duration(lease, &lease_ms))
        return error_set(err, WF_USAGE, "'%s' is no duration such as 30s or 5m", lease);
    struct wf_workflow *workflow;
    const struct wf_task *task;
    enum wf_status status = wf_task_claim(engine, request_string(request, MEMBER_WORKER), lease_ms,
                                          &workflow, &task, &next_ms, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_key(json, "task");
    if (task) {
        *lsn = workflow->lsn;
        emit_open(json, '{');
        view_task_work_members(json, task);
        emit_member_time(json, "lease", task->due_ms);
        view_task_program_member(json, task);
        emit_close(json, '}');
    } else {
        emit_null(json);
        if (next_ms != 0)
            emit_member_time(json, "next", next_ms);
    }
    emit_close(json, '}');
    wf_workflow_free(workflow);
    return WF_OK;
}

static bool write_task(void *ctx, const struct wf_task *task) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_task_members(json, task);
    emit_close(json, '}');
    return true;
}

enum wf_status answer_task_list(struct wf_engine *engine, const struct request *request,
                                struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    emit_list_open(json, "tasks");
    enum wf_status status =
        wf_task_list(engine, request_string(request, MEMBER_AFTER), write_task, json, err);
    emit_list_close(json);
    return status;
}
