#include "base/error.h"
#include "tools/wfctl/cli.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/operations.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- commands --- */

enum wf_status cmd_account_open(struct cli *cli) {
    struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                 .id = cli->arguments[0],
                                 .type = cli_option(cli, "type"),
                                 .currency = cli_option(cli, "currency"),
                                 .amount = cli_option(cli, "balance"),
                                 .minimum = cli_option(cli, "minimum")};
    /* Empty ones would be as if they were not given. */
    if (command.amount && !*command.amount)
        return cli_usage(cli, "--balance is empty");
    if (command.minimum && !*command.minimum)
        return cli_usage(cli, "--minimum is empty");
    return cli_execute(cli, &command);
}

static enum wf_status set_status(struct cli *cli, enum wf_command_kind kind) {
    struct wf_command command = {
        .kind = kind, .id = cli->arguments[0], .reason = cli_option(cli, "reason")};
    return cli_execute(cli, &command);
}

enum wf_status cmd_account_freeze(struct cli *cli) {
    return set_status(cli, WF_ACCOUNT_FREEZE);
}

enum wf_status cmd_account_unfreeze(struct cli *cli) {
    return set_status(cli, WF_ACCOUNT_UNFREEZE);
}

enum wf_status cmd_account_close(struct cli *cli) {
    return set_status(cli, WF_ACCOUNT_CLOSE);
}

enum wf_status cmd_account_reverse(struct cli *cli) {
    struct wf_command command = {.kind = WF_ACCOUNT_REVERSE, .reason = cli_option(cli, "reason")};
    const char *text = cli->arguments[0];
    char *end = NULL;
    command.lsn = strtoull(text, &end, 10);
    if (command.lsn == 0 || *end != '\0' || *text == '-' || *text == '+')
        return cli_usage(cli, "'%s' is no LSN", text);
    return cli_execute(cli, &command);
}

enum wf_status operations_file_open(struct cli *cli, const char *path,
                                    struct operations_file *file) {
    *file = (struct operations_file){0};
    enum wf_status status = store_read_file(cli, path, &file->text);
    if (status != WF_OK)
        return status;
    json_error_t problem;
    file->root = json_loads(file->text, JSON_REJECT_DUPLICATES, &problem);
    file->operations = malloc(sizeof *file->operations);
    if (!file->root)
        return error_set(&cli->err, WF_USAGE, "%s:%d:%d: %s", path, problem.line, problem.column,
                         problem.text);
    if (!file->operations)
        return error_set(&cli->err, WF_NO_MEMORY, "no memory");
    const char *name;
    json_t *value;
    json_object_foreach(file->root, name, value) { /* none where it is the array alone */
        if (strcmp(name, "ops") != 0)
            return error_set(&cli->err, WF_USAGE, "%s: unknown member '%s'; there is 'ops' only",
                             path, name);
    }
    const json_t *ops =
        json_is_object(file->root) ? json_object_get(file->root, "ops") : file->root;
    return operations_read(file->operations, ops, &cli->err);
}

void operations_file_close(struct operations_file *file) {
    json_decref(file->root);
    free(file->operations);
    free(file->text);
}

enum wf_status cmd_account_transact(struct cli *cli) {
    struct operations_file file;
    enum wf_status status = operations_file_open(cli, cli->arguments[0], &file);
    if (status == WF_OK) {
        struct wf_command command = {.kind = WF_ACCOUNT_TRANSACT,
                                     .operations = file.operations->list,
                                     .operation_count = file.operations->count};
        status = cli_execute(cli, &command);
    }
    operations_file_close(&file);
    return status;
}

/* --- show and list --- */

static void show_text(struct out *out, const struct wf_account *account) {
    char time[FORMAT_TIME_SIZE];
    out_styled(out, STYLE_BOLD, account->number);
    out_printf(out, "  ");
    out_text(out, account->type);
    out_printf(out, "  ");
    out_styled(out, strcmp(account->status, "active") == 0 ? STYLE_GOOD : STYLE_BAD,
               account->status);
    out_printf(out, "\nbalance    %s %s\n", account->balance, account->currency);
    out_printf(out, "held       %s\navailable  %s\nminimum    %s\n", account->held,
               account->available ? account->available : "no limit",
               account->minimum ? account->minimum : "none");
    out_printf(out, "opened     %s, record %" PRIu64 "\n", format_time(time, account->opened_ms),
               account->opened_lsn);
    out_printf(out, "changed    %s, record %" PRIu64 ", version %" PRIu64 "\n",
               format_time(time, account->changed_ms), account->lsn, account->version);
    for (size_t i = 0; i < account->hold_count; i++) {
        const struct wf_hold *hold = &account->holds[i];
        out_printf(out, "hold       ");
        out_text(out, hold->name);
        out_printf(out, ": %s to ", hold->amount);
        out_text(out, hold->to);
        if (hold->expires_ms)
            out_printf(out, ", until %s", format_time(time, hold->expires_ms));
        out_printf(out, "\n");
    }
}

enum wf_status cmd_account_show(struct cli *cli) {
    struct wf_account *account;
    enum wf_status status = wf_account_get(cli->engine, cli->arguments[0], &account, &cli->err);
    if (status != WF_OK)
        return status;
    if (out_is_json(&cli->out)) {
        out_object_open(&cli->out);
        view_account_members(&cli->out.json, account);
        out_object_close(&cli->out);
    } else {
        show_text(&cli->out, account);
    }
    wf_account_free(account);
    return WF_OK;
}

static bool list_json(void *ctx, const struct wf_account *account) {
    struct out *out = ctx;
    out_item_open(out);
    view_account_members(&out->json, account);
    return out_item_close(out);
}

static bool list_text(void *ctx, const struct wf_account *account) {
    struct text_table *table = ctx;
    table_cell(table, STYLE_BOLD, account->number);
    table_cell(table, STYLE_PLAIN, account->type);
    table_cell(table, strcmp(account->status, "active") == 0 ? STYLE_GOOD : STYLE_BAD,
               account->status);
    table_cell(table, STYLE_PLAIN, account->balance);
    table_cell(table, STYLE_PLAIN, account->currency);
    table_cell(table, STYLE_PLAIN, account->available ? account->available : "-");
    table_cell_uint(table, account->lsn);
    return table->out->write_errno == 0;
}

enum wf_status cmd_account_list(struct cli *cli) {
    bool all = cli_switch(cli, "all");
    if (out_is_json(&cli->out)) {
        out_list_open(&cli->out, "accounts");
        enum wf_status status = wf_account_list(cli->engine, all, list_json, &cli->out, &cli->err);
        out_list_end(&cli->out);
        return status;
    }
    static const char *const headers[] = {"NUMBER",   "TYPE",       "STATUS",  ">BALANCE",
                                          "CURRENCY", ">AVAILABLE", ">RECORD", NULL};
    struct text_table table;
    table_begin(&table, &cli->out, headers);
    enum wf_status status = wf_account_list(cli->engine, all, list_text, &table, &cli->err);
    table_end(&table);
    return status;
}

/* --- statement and history --- */

static bool statement_json(void *ctx, const struct wf_statement_line *line) {
    struct out *out = ctx;
    out_item_open(out);
    view_statement_members(&out->json, line);
    return out_item_close(out);
}

/* For a column whose amounts shall come to the balance: what is without effect has its own beside
 * the operation. */
enum { OPERATION_SIZE = 128 };
static const char *operation_words(char text[OPERATION_SIZE],
                                   const struct wf_statement_line *line) {
    if (!line->without_effect)
        return line->operation;
    snprintf(text, OPERATION_SIZE, "%s of %s without effect", line->operation, line->amount);
    return text;
}

static bool statement_text(void *ctx, const struct wf_statement_line *line) {
    struct text_table *table = ctx;
    table_cell_uint(table, line->lsn);
    table_cell_time(table, line->time_ms);
    char operation[OPERATION_SIZE];
    table_cell(table, STYLE_PLAIN, operation_words(operation, line));
    table_cell(table, STYLE_PLAIN, line->other ? line->other : "-");
    table_cell(table, line->amount[0] == '-' ? STYLE_BAD : STYLE_GOOD,
               line->without_effect ? "" : line->amount);
    table_cell(table, STYLE_BOLD, line->balance);
    return table->out->write_errno == 0;
}

static bool statement_csv(void *ctx, const struct wf_statement_line *line) {
    struct out *out = ctx;
    char time[FORMAT_TIME_SIZE];
    out_printf(out, "%" PRIu64 ",%s", line->lsn, format_time(time, line->time_ms));
    char operation[OPERATION_SIZE];
    const char *const cells[] = {operation_words(operation, line), line->other,
                                 line->without_effect ? "" : line->amount, line->balance,
                                 line->actor};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        out_csv_cell(out, cells[i], ",");
    out_printf(out, "\r\n");
    return out_flush_some(out);
}

enum wf_status cmd_account_statement(struct cli *cli) {
    const char *number = cli->arguments[0];
    struct out *out = &cli->out;
    uint64_t last = UINT64_MAX;
    enum wf_status status = cli_option_lsn(cli, "as-of", &last);
    if (status != WF_OK)
        return status;
    if (out_is_json(out)) {
        out_list_open(out, "lines");
        status =
            wf_account_statement(cli->engine, number, last, statement_json, out, NULL, &cli->err);
        out_list_end(out);
        return status;
    }
    if (out->mode == OUT_CSV) {
        out_printf(out, "lsn,time,operation,other,amount,balance,actor\r\n");
        return wf_account_statement(cli->engine, number, last, statement_csv, out, NULL, &cli->err);
    }
    static const char *const headers[] = {">RECORD", "TIME",     "OPERATION", "OTHER",
                                          ">AMOUNT", ">BALANCE", NULL};
    struct text_table table;
    table_begin(&table, out, headers);
    status =
        wf_account_statement(cli->engine, number, last, statement_text, &table, NULL, &cli->err);
    table_end(&table);
    return status;
}

static bool history_text(void *ctx, const struct wf_event *event) {
    struct out *out = ctx;
    char time[FORMAT_TIME_SIZE];
    out_printf(out, "%8" PRIu64 "  %s  ", event->lsn, view_event_time(time, event));
    view_event_text(out, event);
    out_printf(out, "\n");
    return out_flush_some(out);
}

enum wf_status cmd_account_history(struct cli *cli) {
    struct out *out = &cli->out;
    const char *number = cli->arguments[0];
    if (!out_is_json(out))
        return wf_account_history(cli->engine, number, history_text, out, &cli->err);
    out_list_open(out, "events");
    enum wf_status status =
        wf_account_history(cli->engine, number, view_event_item, out, &cli->err);
    out_list_end(out);
    return status;
}

/* --- check --- */

static bool note_text(void *ctx, const struct wf_account_note *note) {
    struct out *out = ctx;
    out_styled(out, STYLE_BUSY, "note");
    out_printf(out, "  ");
    out_text(out, note->text);
    out_printf(out, "\n");
    return out_flush_some(out);
}

static enum wf_status check_json(struct cli *cli) {
    struct wf_account_report report;
    struct out *out = &cli->out;
    struct bytes_buffer notes;
    bytes_buffer_init(&notes);
    struct emit note = {.to = &notes};
    enum wf_status status =
        wf_account_check_notes(cli->engine, view_note_json, &note, &report, &cli->err);
    if (status == WF_OK) {
        out_object_open(out);
        view_account_report_members(&out->json, &report, &notes);
        out_object_close(out);
    }
    bytes_buffer_deinit(&notes);
    return status;
}

enum wf_status cmd_account_check(struct cli *cli) {
    struct wf_account_report report;
    struct out *out = &cli->out;
    if (out_is_json(out))
        return check_json(cli);
    enum wf_status status = wf_account_check_notes(cli->engine, note_text, out, &report, &cli->err);
    if (status != WF_OK)
        return status;
    out_printf(out,
               "%" PRIu64 " postings of %" PRIu64 " records add up: %" PRIu64
               " accounts hold what they say, and each currency sums to zero\n",
               report.postings, report.records, report.accounts);
    if (report.lost > 0 || report.without_effect > 0)
        out_printf(out,
                   "records that are not in it: %" PRIu64 " lost in repairs, %" PRIu64
                   " left without effect by them\n",
                   report.lost, report.without_effect);
    return WF_OK;
}
