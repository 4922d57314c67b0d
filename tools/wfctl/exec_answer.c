/* The requests of exec that are answered at once: queries, and the few commands that tell what they
 * came to by one. */
#include "base/error.h"
#include "tools/wfctl/exec_request.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <jansson.h>

enum wf_status answer_workflow_show(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    const char *id = request_string(request, MEMBER_ID);
    struct wf_workflow *workflow;
    uint64_t as_of = 0;
    enum wf_status status = WF_OK;
    if (!request->members[MEMBER_AS_OF]) {
        status = wf_workflow_get(engine, id, &workflow, err);
    } else {
        status = request_lsn(engine, request, MEMBER_AS_OF, &as_of, err);
        if (status == WF_OK)
            status = wf_workflow_get_as_of(engine, id, as_of, &workflow, err);
    }
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    view_workflow_members(json, workflow);
    emit_close(json, '}');
    wf_workflow_free(workflow);
    return WF_OK;
}

enum wf_status answer_workflow_history(struct wf_engine *engine, const struct request *request,
                                       struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    emit_list_open(json, "events");
    enum wf_status status =
        wf_workflow_history(engine, request_string(request, MEMBER_ID), view_event, json, err);
    emit_list_close(json);
    return status;
}

static bool write_workflow(void *ctx, const struct wf_workflow *workflow) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_workflow_brief_members(json, workflow);
    emit_close(json, '}');
    return true;
}

enum wf_status answer_workflow_list(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    struct wf_filter filter = {
        .status = request_string(request, MEMBER_STATUS),
        .stage = request_string(request, MEMBER_STAGE),
        .type = request_string(request, MEMBER_TYPE),
        .after = request_string(request, MEMBER_AFTER),
        .limit = request_uint(request, MEMBER_LIMIT, 0),
    };
    void *where = json_object_iter(request->members[MEMBER_WHERE]);
    if (where) {
        filter.where_name = json_object_iter_key(where);
        filter.where_value = json_string_value(json_object_iter_value(where));
    }
    emit_list_open(json, "workflows");
    enum wf_status status = wf_workflow_list(engine, &filter, write_workflow, json, err);
    emit_list_close(json);
    return status;
}

enum wf_status answer_plan(struct wf_engine *engine, const struct request *request,
                           struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    struct wf_plan *plan;
    enum wf_status status = wf_rollback_plan(engine, &request->command, &plan, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    view_plan_members(json, plan);
    emit_close(json, '}');
    wf_plan_free(plan);
    return WF_OK;
}

static bool write_review(void *ctx, const struct wf_review *review) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_review_members(json, review);
    emit_close(json, '}');
    return true;
}

enum wf_status answer_review_list(struct wf_engine *engine, const struct request *request,
                                  struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    emit_list_open(json, "reviews");
    enum wf_status status =
        wf_review_list(engine, request_string(request, MEMBER_AFTER), write_review, json, err);
    emit_list_close(json);
    return status;
}

enum wf_status answer_dry_run(struct wf_engine *engine, const struct request *request,
                              struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    struct wf_result result;
    enum wf_status status = wf_dry_run(engine, &request->command, &result, err);
    if (status == WF_OK)
        view_dry_run(json, request->command.kind, &result);
    return status;
}

static bool write_change(void *ctx, const struct wf_definition_change *change) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_change_members(json, change);
    emit_close(json, '}');
    return true;
}

enum wf_status answer_def_diff(struct wf_engine *engine, const struct request *request,
                               struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    uint64_t version = request_uint(request, MEMBER_VERSION, 0);
    uint64_t to = request_uint(request, MEMBER_TO, 0);
    const char *text = request_string(request, MEMBER_TEXT);
    if (version > UINT32_MAX || to > UINT32_MAX)
        return error_set(err, WF_USAGE, "%" PRIu64 " is no version", version > to ? version : to);
    if (!text == !request->members[MEMBER_TO])
        return error_set(err, WF_USAGE, "def.diff needs either 'to', a version, or 'text'");
    emit_list_open(json, "changes");
    enum wf_status status =
        wf_definition_diff(engine, request_string(request, MEMBER_NAME), (uint32_t)version,
                           (uint32_t)to, text, "text", write_change, json, err);
    emit_list_close(json);
    return status;
}

static bool write_definition(void *ctx, const struct wf_definition *definition) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_definition_members(json, definition);
    emit_close(json, '}');
    return true;
}

enum wf_status answer_def_list(struct wf_engine *engine, const struct request *request,
                               struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)request, (void)lsn;
    emit_list_open(json, "definitions");
    enum wf_status status = wf_definition_list(engine, NULL, write_definition, json, err);
    emit_list_close(json);
    return status;
}

struct wanted {
    struct emit *json;
    uint64_t version; /* 0: the newest, which comes last */
    size_t start;     /* of the answer, to write a newer version over it */
    bool found;
};

static bool show_definition(void *ctx, const struct wf_definition *definition) {
    struct wanted *wanted = ctx;
    struct emit *json = wanted->json;
    if (wanted->version && wanted->version != definition->version)
        return true;
    wanted->found = true;
    json->to->size = wanted->start;
    json->comma = false;
    emit_open(json, '{');
    view_definition_members(json, definition);
    emit_member(json, "source", definition->source);
    emit_close(json, '}');
    return true;
}

enum wf_status answer_def_show(struct wf_engine *engine, const struct request *request,
                               struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    const char *name = request_string(request, MEMBER_NAME);
    struct wanted wanted = {
        .json = json, .version = request_uint(request, MEMBER_VERSION, 0), .start = json->to->size};
    enum wf_status status = wf_definition_list(engine, name, show_definition, &wanted, err);
    if (status == WF_OK && !wanted.found)
        return error_set(err, WF_NOT_FOUND, "definition %s has no version %" PRIu64, name,
                         wanted.version);
    return status;
}

static enum wf_status write_clock(struct wf_engine *engine, struct emit *json,
                                  struct wf_error *err) {
    struct wf_store_status now;
    enum wf_status status = wf_status_get(engine, false, &now, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_member(json, "clock", now.test_clock ? "test" : "system");
    emit_member_time(json, "now", now.now_ms);
    emit_close(json, '}');
    return WF_OK;
}

enum wf_status answer_clock_show(struct wf_engine *engine, const struct request *request,
                                 struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)request, (void)lsn;
    return write_clock(engine, json, err);
}

enum wf_status answer_clock_advance(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    const char *duration = request_string(request, MEMBER_DURATION);
    struct wf_command command = {.kind = WF_CLOCK_ADVANCE,
                                 .key = request_string(request, MEMBER_KEY),
                                 .actor = request_string(request, MEMBER_ACTOR)};
    if (!parse_duration(duration, &command.duration_ms))
        return error_set(err, WF_USAGE, "'%s' is no duration such as 30s, 5m, 2h, 30d or 1h30m",
                         duration);
    struct wf_result result;
    enum wf_status status = wf_execute(engine, &command, &result, err);
    if (status != WF_OK)
        return status;
    *lsn = result.lsn;
    return write_clock(engine, json, err);
}

enum wf_status answer_clock_tick(struct wf_engine *engine, const struct request *request,
                                 struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)request, (void)lsn;
    uint64_t fired = 0;
    enum wf_status status = wf_tick(engine, &fired, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_member_uint(json, "fired", fired);
    emit_close(json, '}');
    return WF_OK;
}

enum wf_status answer_status(struct wf_engine *engine, const struct request *request,
                             struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)request, (void)lsn;
    struct wf_store_status now;
    enum wf_status status = wf_status_get(engine, true, &now, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    view_status_members(json, &now);
    emit_close(json, '}');
    return WF_OK;
}

enum wf_status answer_snapshot_create(struct wf_engine *engine, const struct request *request,
                                      struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)request, (void)lsn;
    enum wf_status status = wf_snapshot(engine, err);
    struct wf_store_status now;
    if (status == WF_OK)
        status = wf_status_get(engine, false, &now, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_member_uint(json, "snapshot_lsn", now.snapshot_lsn);
    emit_close(json, '}');
    return WF_OK;
}

enum wf_status answer_archive_drop(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err) {
    struct wf_archive_drop drop = {.actor = request_string(request, MEMBER_ACTOR),
                                   .reason = request_string(request, MEMBER_REASON),
                                   .key = request_string(request, MEMBER_KEY)};
    struct wf_archive_dropped dropped;
    enum wf_status status =
        request_place(request, MEMBER_BEFORE, &drop.before_lsn, &drop.before_ms, err);
    if (status != WF_OK)
        return status;
    status = request->dry_run ? wf_archive_drop_plan(engine, &drop, &dropped, err)
                              : wf_archive_drop(engine, &drop, &dropped, err);
    if (status != WF_OK)
        return status;
    *lsn = dropped.lsn;
    emit_open(json, '{');
    view_dropped_members(json, &dropped);
    emit_close(json, '}');
    return WF_OK;
}
