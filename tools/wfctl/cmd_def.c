#include "base/error.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- add, validate --- */

/* The name under which the record `lsn` added a definition. */
struct added {
    uint64_t lsn;
    char name[WF_NAME_MAX + 1];
};

static bool note_added(void *ctx, const struct wf_definition *definition) {
    struct added *added = ctx;
    if (definition->added_lsn != added->lsn)
        return true;
    snprintf(added->name, sizeof added->name, "%s", definition->name);
    return false;
}

static enum wf_status tell_added(struct cli *cli, const struct wf_result *result) {
    struct added added = {.lsn = result->lsn};
    enum wf_status status = wf_definition_list(cli->engine, NULL, note_added, &added, &cli->err);
    if (status != WF_OK)
        return status;
    if (!out_is_json(&cli->out)) {
        out_text(&cli->out, added.name);
        out_printf(&cli->out, " version %u added in record %" PRIu64 "%s\n", result->version,
                   result->lsn, result->replayed ? " (before, by the same key)" : "");
        return WF_OK;
    }
    out_object_open(&cli->out);
    emit_member_uint(&cli->out.json, "lsn", result->lsn);
    if (result->replayed)
        emit_member_bool(&cli->out.json, "replayed", true);
    emit_member(&cli->out.json, "name", added.name);
    emit_member_uint(&cli->out.json, "version", result->version);
    out_object_close(&cli->out);
    return WF_OK;
}

static const char *file_name(const char *path) {
    return strcmp(path, "-") == 0 ? "stdin" : path;
}

enum wf_status cmd_def_add(struct cli *cli) {
    char *text;
    enum wf_status status = store_read_file(cli, cli->arguments[0], &text);
    if (status != WF_OK)
        return status;
    struct wf_command command = {
        .kind = WF_DEFINITION_ADD,
        .text = text,
        .text_name = file_name(cli->arguments[0]),
        .key = cli_option(cli, "key"),
        .actor = cli_option(cli, "actor"),
    };
    struct wf_result result;
    status = wf_execute(cli->engine, &command, &result, &cli->err);
    free(text);
    return status == WF_OK ? tell_added(cli, &result) : status;
}

enum wf_status cmd_def_validate(struct cli *cli) {
    char *text;
    enum wf_status status = store_read_file(cli, cli->arguments[0], &text);
    if (status != WF_OK)
        return status;
    status = wf_definition_validate(text, file_name(cli->arguments[0]), &cli->err);
    free(text);
    if (status != WF_OK)
        return status;
    if (out_is_json(&cli->out)) {
        out_object_open(&cli->out);
        emit_member_bool(&cli->out.json, "valid", true);
        out_object_close(&cli->out);
    } else {
        out_text(&cli->out, file_name(cli->arguments[0]));
        out_printf(&cli->out, ": a valid definition\n");
    }
    return WF_OK;
}

/* --- diff --- */

static bool diff_json(void *ctx, const struct wf_definition_change *change) {
    struct out *out = ctx;
    out_item_open(out);
    view_change_members(&out->json, change);
    return out_item_close(out);
}

/* A line for each stage or step, and below it one for each member. */
struct diff_text {
    struct out *out;
    char kind[16], name[WF_NAME_MAX + 1]; /* whose members are being told */
    size_t changes;
};

static void diff_mark(struct out *out, const char *change) {
    bool added = strcmp(change, "added") == 0, removed = strcmp(change, "removed") == 0;
    out_styled(out,
               added     ? STYLE_GOOD
               : removed ? STYLE_BAD
                         : STYLE_BUSY,
               added     ? "+ "
               : removed ? "- "
                         : "~ ");
}

static void diff_head(struct diff_text *diff, const struct wf_definition_change *change) {
    if (strcmp(diff->kind, change->kind) == 0 && strcmp(diff->name, change->name) == 0)
        return;
    snprintf(diff->kind, sizeof diff->kind, "%s", change->kind);
    snprintf(diff->name, sizeof diff->name, "%s", change->name);
    diff_mark(diff->out, change->change);
    out_printf(diff->out, "%s ", change->kind);
    out_styled(diff->out, STYLE_BOLD, change->name);
    out_printf(diff->out, "\n");
}

static bool diff_text(void *ctx, const struct wf_definition_change *change) {
    struct diff_text *diff = ctx;
    struct out *out = diff->out;
    diff->changes++;
    diff_head(diff, change);
    if (!change->member)
        return out_flush_some(out);
    out_printf(out, "    %s: ", change->member);
    if (change->before)
        out_text(out, change->before);
    if (strcmp(change->change, "changed") == 0)
        out_printf(out, out->unicode ? "%s → " : "%s -> ", change->before ? "" : "none");
    if (change->after)
        out_text(out, change->after);
    else if (strcmp(change->change, "changed") == 0)
        out_printf(out, "none");
    out_printf(out, "\n");
    return out_flush_some(out);
}

static enum wf_status tell_diff(struct cli *cli, uint32_t version, uint32_t other,
                                const char *text) {
    const char *name = cli->arguments[0], *file = text ? file_name(cli->arguments[2]) : NULL;
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "changes");
        enum wf_status status = wf_definition_diff(cli->engine, name, version, other, text, file,
                                                   diff_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    struct diff_text diff = {.out = &cli->out};
    enum wf_status status = wf_definition_diff(cli->engine, name, version, other, text, file,
                                               diff_text, &diff, &cli->err);
    if (status == WF_OK && diff.changes == 0)
        out_printf(&cli->out, "no difference\n");
    return status;
}

static bool parse_version(const char *text, uint32_t *version) {
    uint64_t number;
    if (!parse_uint(text, &number) || number == 0 || number > UINT32_MAX)
        return false;
    *version = (uint32_t)number;
    return true;
}

enum wf_status cmd_def_diff(struct cli *cli) {
    uint32_t version, other = 0;
    if (!parse_version(cli->arguments[1], &version))
        return cli_usage(cli, "'%s' is no version", cli->arguments[1]);
    if (parse_version(cli->arguments[2], &other))
        return tell_diff(cli, version, other, NULL);
    char *text;
    enum wf_status status = store_read_file(cli, cli->arguments[2], &text);
    if (status != WF_OK)
        return status;
    status = tell_diff(cli, version, 0, text);
    free(text);
    return status;
}

/* --- list --- */

static bool list_json(void *ctx, const struct wf_definition *definition) {
    struct out *out = ctx;
    out_item_open(out);
    view_definition_members(&out->json, definition);
    return out_item_close(out);
}

static bool list_text(void *ctx, const struct wf_definition *definition) {
    struct text_table *table = ctx;
    table_cell(table, STYLE_PLAIN, definition->name);
    table_cell_uint(table, definition->version);
    table_cell_uint(table, definition->added_lsn);
    return table->out->write_errno == 0;
}

enum wf_status cmd_def_list(struct cli *cli) {
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "definitions");
        enum wf_status status =
            wf_definition_list(cli->engine, NULL, list_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    static const char *const headers[] = {"NAME", ">VERSION", ">ADDED IN RECORD", NULL};
    struct text_table table;
    table_begin(&table, &cli->out, headers);
    enum wf_status status = wf_definition_list(cli->engine, NULL, list_text, &table, &cli->err);
    table_end(&table);
    return status;
}

/* --- show --- */

struct wanted {
    struct out *out;
    uint64_t version; /* 0: the newest, which comes last */
    bool found;
};

static bool show_one(void *ctx, const struct wf_definition *definition) {
    struct wanted *wanted = ctx;
    struct out *out = wanted->out;
    if (wanted->version && wanted->version != definition->version)
        return true;
    wanted->found = true;
    bytes_buffer_clear(&out->bytes);
    if (out_is_json(out)) {
        out_object_open(out);
        view_definition_members(&out->json, definition);
        emit_member(&out->json, "source", definition->source);
        out_object_close(out);
    } else {
        /* As it was added, byte by byte, so that it can be stored in a file again. */
        bytes_write_run(&out->bytes, definition->source, strlen(definition->source));
    }
    return true;
}

enum wf_status cmd_def_show(struct cli *cli) {
    struct wanted wanted = {.out = &cli->out};
    enum wf_status status = cli_option_uint(cli, "def-version", &wanted.version);
    if (status == WF_OK && cli_option(cli, "def-version") && wanted.version == 0)
        status = cli_usage(cli, "--def-version 0 is no version");
    if (status == WF_OK)
        status = wf_definition_list(cli->engine, cli->arguments[0], show_one, &wanted, &cli->err);
    if (status == WF_OK && !wanted.found)
        return error_set(&cli->err, WF_NOT_FOUND, "definition %s has no version %" PRIu64,
                         cli->arguments[0], wanted.version);
    return status;
}
