/* Rates, instruments, calendars and fee rules: what rules of operations look at. */
#include "tools/wfctl/cli.h"
#include "tools/wfctl/table.h"
#include "tools/wfctl/view.h"

#include <string.h>

enum wf_status cmd_reference_set(struct cli *cli) {
    static const struct {
        const char *noun;
        enum wf_command_kind kind;
    } kinds[] = {{"rate", WF_RATE_SET},
                 {"instrument", WF_INSTRUMENT_SET},
                 {"calendar", WF_CALENDAR_SET},
                 {"fee_rule", WF_FEE_RULE_SET}};
    struct wf_field fields[WF_FIELDS_MAX];
    struct wf_command command = {.id = cli->arguments[0], .fields = fields};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].noun, cli->verb->noun) == 0)
            command.kind = kinds[i].kind;
    enum wf_status status = cli_fields(cli, 1, fields, &command.field_count);
    return status == WF_OK ? cli_execute(cli, &command) : status;
}

static bool list_json(void *ctx, const struct wf_reference *reference) {
    struct out *out = ctx;
    out_item_open(out);
    view_reference_members(&out->json, reference);
    return out_item_close(out);
}

static bool list_text(void *ctx, const struct wf_reference *reference) {
    struct out *out = ctx;
    out_styled(out, STYLE_BOLD, reference->name);
    for (size_t i = 0; i < reference->field_count; i++) {
        out_printf(out, i == 0 ? "  " : ", ");
        out_text(out, reference->fields[i].name);
        out_printf(out, "=");
        out_text(out, reference->fields[i].value);
    }
    out_printf(out, "\n");
    return out_flush_some(out);
}

enum wf_status cmd_reference_list(struct cli *cli) {
    struct out *out = &cli->out;
    const char *kind = cli->verb->noun;
    if (!out_is_json(out))
        return wf_reference_list(cli->engine, kind, list_text, out, &cli->err);
    out_list_open(out, "references");
    enum wf_status status = wf_reference_list(cli->engine, kind, list_json, out, &cli->err);
    out_list_end(out);
    return status;
}
