/* The requests of exec about accounts that are answered at once. */
#include "tools/wfctl/exec_request.h"
#include "tools/wfctl/view.h"

#include <jansson.h>
#include <string.h>

enum wf_status answer_account_show(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    struct wf_account *account;
    enum wf_status status = wf_account_get(engine, request_id(request), &account, err);
    if (status != WF_OK)
        return status;
    view_account(json, account);
    wf_account_free(account);
    return WF_OK;
}

enum wf_status answer_account_list(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    emit_list_open(json, "accounts");
    enum wf_status status = wf_account_list(engine, json_is_true(request->members[MEMBER_ALL]),
                                            view_account, json, err);
    emit_list_close(json);
    return status;
}

static bool write_line(void *ctx, const struct wf_statement_line *line) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_statement_members(json, line);
    emit_close(json, '}');
    return true;
}

enum wf_status answer_account_statement(struct wf_engine *engine, const struct request *request,
                                        struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    char balance[32];
    uint64_t last = UINT64_MAX;
    enum wf_status status = request->members[MEMBER_AS_OF]
                                ? request_lsn(engine, request, MEMBER_AS_OF, &last, err)
                                : WF_OK;
    if (status != WF_OK)
        return status;
    emit_list_open(json, "lines");
    status =
        wf_account_statement(engine, request_id(request), last, write_line, json, balance, err);
    emit_close(json, ']');
    if (status == WF_OK)
        emit_member(json, "balance", balance);
    emit_close(json, '}');
    return status;
}

enum wf_status answer_account_history(struct wf_engine *engine, const struct request *request,
                                      struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    emit_list_open(json, "events");
    enum wf_status status = wf_account_history(engine, request_id(request), view_event, json, err);
    emit_list_close(json);
    return status;
}

enum wf_status answer_account_check(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)request, (void)lsn;
    struct wf_account_report report;
    struct bytes_buffer notes;
    bytes_buffer_init(&notes);
    struct emit note = {.to = &notes};
    enum wf_status status = wf_account_check_notes(engine, view_note_json, &note, &report, err);
    if (status == WF_OK) {
        emit_open(json, '{');
        view_account_report_members(json, &report, &notes);
        emit_close(json, '}');
    }
    bytes_buffer_deinit(&notes);
    return status;
}

static bool write_reference(void *ctx, const struct wf_reference *reference) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_reference_members(json, reference);
    emit_close(json, '}');
    return true;
}

/* "rate.list" lists the rates, and so on. */
enum wf_status answer_reference_list(struct wf_engine *engine, const struct request *request,
                                     struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    char kind[32];
    size_t size = strcspn(request->kind->name, ".");
    memcpy(kind, request->kind->name, size);
    kind[size] = '\0';
    emit_list_open(json, "references");
    enum wf_status status = wf_reference_list(engine, kind, write_reference, json, err);
    emit_list_close(json);
    return status;
}
