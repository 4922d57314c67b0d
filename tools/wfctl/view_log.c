/* The log, what is wrong with it, and what repairs took from it. */
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
    }
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

/* A part of a sentence behind what is there. */
static void add_words(char text[VIEW_LOSSES_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_words(char text[VIEW_LOSSES_SIZE], const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0)
        used += (size_t)snprintf(text + used, VIEW_LOSSES_SIZE - used, "; ");
    vsnprintf(text + used, VIEW_LOSSES_SIZE - used, format, arguments);
    va_end(arguments);
}

static void add_count(char text[VIEW_LOSSES_SIZE], uint64_t count, const char *one,
                      const char *many) {
    if (count > 0)
        add_words(text, "%" PRIu64 " %s", count, count == 1 ? one : many);
}

const char *view_losses(char text[VIEW_LOSSES_SIZE], const struct wf_log_losses *lost) {
    *text = '\0';
    if (lost->unknown) {
        add_words(text, "whatever rested on them (not counted)");
        return text;
    }
    if (*lost->definitions)
        add_words(text, "%s %s", strchr(lost->definitions, ',') ? "definitions" : "definition",
                  lost->definitions);
    add_count(text, lost->workflows_gone, "workflow (gone)", "workflows (gone)");
    add_count(text, lost->workflows_behind, "workflow's later steps", "workflows' later steps");
    add_count(text, lost->accounts, "account's transactions", "accounts' transactions");
    if (lost->without_effect > 0)
        add_words(text, "in all %" PRIu64 " later record%s without effect", lost->without_effect,
                  lost->without_effect == 1 ? "" : "s");
    if (!*text)
        add_words(text, "nothing else");
    return text;
}
