/* The log, what is wrong with it, and what repairs took from it. */
#include "tools/wfctl/format.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- JSON --- */

void view_segment_members(struct emit *json, const struct wf_segment *segment) {
    emit_member(json, "name", segment->name);
    emit_member_uint(json, "first_lsn", segment->first_lsn);
    emit_member_uint(json, "last_lsn", segment->last_lsn);
    emit_member_uint(json, "size", segment->size);
    emit_member_bool(json, "sealed", segment->sealed);
    if (*segment->root)
        emit_member(json, "root", segment->root);
}

void view_finding_members(struct emit *json, const struct wf_finding *finding) {
    emit_member(json, "kind", finding->kind);
    emit_member(json, "segment", finding->segment);
    emit_member_uint(json, "offset", finding->offset);
    emit_member_uint(json, "size", finding->size);
    if (finding->first_lsn <= finding->last_lsn) {
        emit_member_uint(json, "first_lsn", finding->first_lsn);
        emit_member_uint(json, "last_lsn", finding->last_lsn);
    }
    emit_member(json, "text", finding->text);
    emit_member(json, "entities", finding->entities);
}

void view_log_report_members(struct emit *json, const struct wf_log_report *report) {
    emit_member_uint(json, "records", report->records);
    emit_member_uint(json, "first_lsn", report->first_lsn);
    emit_member_uint(json, "last_lsn", report->last_lsn);
    emit_member_uint(json, "bytes", report->bytes);
}

/* "order 1,loan 2" as an array of strings. */
static void names_member(struct emit *json, const char *key, const char *names) {
    emit_key(json, key);
    emit_open(json, '[');
    while (*names != '\0') {
        char name[WF_LOST_DEFINITIONS_MAX];
        int size = (int)strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s", size, names);
        emit_string(json, name);
        names += size + (names[size] == ',');
    }
    emit_close(json, ']');
}

/* All of them. */
static void lost_names_member(struct emit *json, const struct wf_log_losses *lost) {
    emit_key(json, "names");
    emit_open(json, '[');
    for (size_t i = 0; i < lost->name_count; i++) {
        emit_open(json, '{');
        emit_member(json, "kind", lost->names[i].kind);
        emit_member(json, "name", lost->names[i].name);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

/* The newest. */
static void repairs_member(struct emit *json, const struct wf_log_losses *lost) {
    emit_member_uint(json, "repair_count", lost->repair_count);
    emit_key(json, "repairs");
    emit_open(json, '[');
    for (size_t i = 0; i < lost->repair_count && i < WF_REPAIRS_MAX; i++) {
        char time[FORMAT_TIME_SIZE];
        emit_open(json, '{');
        emit_member_uint(json, "first_lsn", lost->repairs[i].first_lsn);
        emit_member_uint(json, "last_lsn", lost->repairs[i].last_lsn);
        emit_member(json, "time", format_time(time, lost->repairs[i].time_ms));
        emit_member_uint(json, "lsn", lost->repairs[i].lsn);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

void view_losses_member(struct emit *json, const struct wf_log_losses *lost) {
    emit_key(json, "lost");
    emit_open(json, '{');
    emit_member_uint(json, "records", lost->records);
    if (!lost->unknown) {
        emit_member_uint(json, "records_without_effect", lost->without_effect);
        emit_member_uint(json, "workflows_gone", lost->workflows_gone);
        emit_member_uint(json, "workflows_behind", lost->workflows_behind);
        emit_member_uint(json, "accounts", lost->accounts);
        names_member(json, "definitions", lost->definitions);
        emit_member_uint(json, "keys", lost->keys);
        emit_member_uint(json, "references", lost->references);
        emit_member_uint(json, "records_untold", lost->untold);
    }
    if (lost->name_count > 0)
        lost_names_member(json, lost);
    if (lost->repair_count > 0)
        repairs_member(json, lost);
    emit_close(json, '}');
}

/* --- text --- */

static void finding_place(struct out *out, const struct wf_finding *finding) {
    out_text(out, finding->segment);
    out_printf(out, ", offset %" PRIu64 ", %" PRIu64 " bytes", finding->offset, finding->size);
    if (finding->first_lsn < finding->last_lsn)
        out_printf(out, ", LSN %" PRIu64 " to %" PRIu64, finding->first_lsn, finding->last_lsn);
    else if (finding->first_lsn == finding->last_lsn)
        out_printf(out, ", LSN %" PRIu64, finding->first_lsn);
    out_printf(out, ": ");
}

void view_finding_text(struct out *out, const struct wf_finding *finding) {
    out_styled(out, strcmp(finding->kind, "torn") == 0 ? STYLE_BUSY : STYLE_BAD, finding->kind);
    out_printf(out, "  ");
    if (!strstr(finding->text, finding->segment))
        finding_place(out, finding);
    out_text(out, finding->text);
    if (*finding->entities) {
        out_printf(out, "; concerns ");
        out_text(out, finding->entities);
    }
    out_printf(out, "\n");
}

/* Behind what is there. */
static void add_text(char text[VIEW_LOSSES_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_text(char text[VIEW_LOSSES_SIZE], const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, VIEW_LOSSES_SIZE - used, format, arguments);
    va_end(arguments);
}

/* ": a, b and 2 more", where the names are known. */
static void add_names(char text[VIEW_LOSSES_SIZE], const struct wf_log_losses *lost,
                      const char *kind) {
    uint64_t count = 0;
    for (size_t i = 0; i < lost->name_count; i++) {
        if (strcmp(lost->names[i].kind, kind) != 0)
            continue;
        if (count++ < VIEW_NAMES_MAX)
            add_text(text, count == 1 ? ": %s" : ", %s", lost->names[i].name);
    }
    if (count > VIEW_NAMES_MAX)
        add_text(text, " and %" PRIu64 " more", count - VIEW_NAMES_MAX);
}

static void add_count(char text[VIEW_LOSSES_SIZE], const struct wf_log_losses *lost, uint64_t count,
                      const char *kind, const char *one, const char *many) {
    if (count == 0)
        return;
    add_text(text, "%s%" PRIu64 " %s", *text ? "; " : "", count, count == 1 ? one : many);
    add_names(text, lost, kind);
}

const char *view_losses(char text[VIEW_LOSSES_SIZE], const struct wf_log_losses *lost) {
    *text = '\0';
    if (lost->unknown) {
        add_text(text, "whatever rested on them (not counted)");
        return text;
    }
    if (*lost->definitions)
        add_text(text, "%s %s", strchr(lost->definitions, ',') ? "definitions" : "definition",
                 lost->definitions);
    add_count(text, lost, lost->workflows_gone, "workflow_gone", "workflow (gone)",
              "workflows (gone)");
    add_count(text, lost, lost->workflows_behind, "workflow_behind", "workflow's later steps",
              "workflows' later steps");
    add_count(text, lost, lost->accounts, "account", "account's transactions",
              "accounts' transactions");
    add_count(text, lost, lost->references, "reference", "rate, market or rule",
              "rates, markets or rules");
    add_count(text, lost, lost->keys, "key", "key", "keys");
    if (lost->without_effect > 0)
        add_text(text, "%sin all %" PRIu64 " later record%s without effect", *text ? "; " : "",
                 lost->without_effect, lost->without_effect == 1 ? "" : "s");
    if (lost->untold > 0)
        add_text(text,
                 "%swhat %" PRIu64 " of the lost records did can be read nowhere, and no snapshot "
                 "knew it",
                 *text ? "; " : "nothing else that the other records tell of; ", lost->untold);
    if (!*text)
        add_text(text, "nothing else");
    return text;
}

const char *view_repairs(char text[VIEW_REPAIRS_SIZE], const struct wf_log_losses *lost) {
    size_t used = 0;
    *text = '\0';
    if (lost->repair_count > WF_REPAIRS_MAX)
        used += (size_t)snprintf(text, VIEW_REPAIRS_SIZE, "%" PRIu64 " earlier repairs; ",
                                 lost->repair_count - WF_REPAIRS_MAX);
    for (size_t i = 0; i < lost->repair_count && i < WF_REPAIRS_MAX; i++) {
        const struct wf_repair *repair = &lost->repairs[i];
        char time[FORMAT_TIME_SIZE], last[32] = "";
        if (repair->last_lsn > repair->first_lsn)
            snprintf(last, sizeof last, " to %" PRIu64, repair->last_lsn);
        used += (size_t)snprintf(text + used, VIEW_REPAIRS_SIZE - used,
                                 "%sLSN %" PRIu64 "%s, on %s, record %" PRIu64, i == 0 ? "" : "; ",
                                 repair->first_lsn, last, format_time(time, repair->time_ms),
                                 repair->lsn);
    }
    return lost->repair_count == 0 ? "no record tells of it yet" : text;
}
