/* Accounts, their statements, what is kept beside them. JSON. */
#include "tools/wfctl/view.h"

#include "tools/wfctl/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void view_account_members(struct emit *json, const struct wf_account *account) {
    emit_member(json, "number", account->number);
    emit_member(json, "type", account->type);
    emit_member(json, "currency", account->currency);
    emit_member(json, "status", account->status);
    emit_member(json, "balance", account->balance);
    emit_member(json, "held", account->held);
    emit_member(json, "available", account->available);
    emit_member(json, "minimum", account->minimum);
    emit_member_uint(json, "version", account->version);
    emit_member_uint(json, "lsn", account->lsn);
    if (account->internal)
        emit_member_bool(json, "internal", true);
    emit_key(json, "holds");
    emit_open(json, '[');
    for (size_t i = 0; i < account->hold_count; i++) {
        const struct wf_hold *hold = &account->holds[i];
        emit_open(json, '{');
        emit_member(json, "hold", hold->name);
        emit_member(json, "amount", hold->amount);
        emit_member(json, "to", hold->to);
        if (hold->expires_ms)
            emit_member_time(json, "expires", hold->expires_ms);
        emit_close(json, '}');
    }
    emit_close(json, ']');
    emit_member_time(json, "opened", account->opened_ms);
    emit_member_time(json, "changed", account->changed_ms);
}

bool view_account(void *ctx, const struct wf_account *account) {
    struct emit *json = ctx;
    emit_open(json, '{');
    view_account_members(json, account);
    emit_close(json, '}');
    return true;
}

void view_statement_members(struct emit *json, const struct wf_statement_line *line) {
    emit_member_uint(json, "lsn", line->lsn);
    emit_member_time(json, "time", line->time_ms);
    emit_member(json, "operation", line->operation);
    emit_member_if(json, "other", line->other);
    emit_member(json, "amount", line->amount);
    emit_member(json, "balance", line->balance);
    emit_member_if(json, "actor", line->actor);
    if (line->without_effect)
        emit_member_bool(json, "without_effect", true);
}

bool view_note_json(void *ctx, const struct wf_account_note *note) {
    struct emit *json = ctx;
    emit_open(json, '{');
    emit_member_uint(json, "lsn", note->lsn);
    emit_member(json, "accounts", note->accounts);
    emit_member(json, "text", note->text);
    emit_close(json, '}');
    return true;
}

void view_account_report_members(struct emit *json, const struct wf_account_report *report,
                                 const struct bytes_buffer *notes) {
    emit_member_uint(json, "records", report->records);
    emit_member_uint(json, "postings", report->postings);
    emit_member_uint(json, "accounts", report->accounts);
    emit_member_uint(json, "last_lsn", report->last_lsn);
    emit_member_uint(json, "lost", report->lost);
    emit_member_uint(json, "without_effect", report->without_effect);
    emit_key(json, "notes");
    emit_open(json, '[');
    emit_raw(json, (const char *)notes->data, notes->size);
    emit_close(json, ']');
}

void view_reference_members(struct emit *json, const struct wf_reference *reference) {
    emit_member(json, "kind", reference->kind);
    emit_member(json, "id", reference->name);
    emit_member_uint(json, "lsn", reference->lsn);
    view_data_member(json, reference->fields, reference->field_count);
}
