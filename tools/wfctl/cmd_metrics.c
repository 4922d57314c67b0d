#include "tools/wfctl/cli.h"

#include <stdlib.h>
#include <string.h>

/* `name{labels} value`, a line of the Prometheus text format, as an object. */
static void metric_json(struct out *out, const char *line, size_t size) {
    const char *space = memrchr(line, ' ', size);
    if (!space)
        return;
    out_item_open(out);
    emit_key(&out->json, "name");
    emit_bytes(&out->json, line, (size_t)(space - line));
    emit_key(&out->json, "value");
    const char *value = space + 1;
    size_t value_size = size - (size_t)(value - line);
    /* "NaN" and "+Inf" are no JSON numbers. */
    if (value_size > 0 && strspn(value, "0123456789.eE+-") >= value_size && *value != '+')
        emit_raw(&out->json, value, value_size);
    else
        emit_bytes(&out->json, value, value_size);
    out_item_close(out);
}

static void metrics_json(struct out *out, const char *text) {
    out_list_open(out, "metrics");
    while (*text) {
        size_t size = strcspn(text, "\n");
        if (size > 0 && text[0] != '#')
            metric_json(out, text, size);
        text += size + (text[size] == '\n');
    }
    out_list_end(out);
}

enum wf_status cmd_metrics(struct cli *cli) {
    char *text;
    enum wf_status status = wf_metrics(cli->engine, &text, &cli->err);
    if (status != WF_OK)
        return status;
    if (out_is_json(&cli->out))
        metrics_json(&cli->out, text);
    else
        bytes_write_run(&cli->out.bytes, text, strlen(text));
    free(text);
    return WF_OK;
}
