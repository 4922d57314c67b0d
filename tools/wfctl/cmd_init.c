#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"

#include <inttypes.h>

static bool write_definition(void *ctx, const struct wf_definition *definition) {
    struct out *out = ctx;
    emit_open(&out->json, '{');
    emit_member(&out->json, "name", definition->name);
    emit_member_uint(&out->json, "version", definition->version);
    emit_close(&out->json, '}');
    return true;
}

static enum wf_status tell_json(struct cli *cli, const struct store_created *created,
                                const struct wf_store_status *now) {
    struct out *out = &cli->out;
    out_object_open(out);
    emit_member(&out->json, "dir", cli->dir);
    emit_member_bool(&out->json, "created", created->store);
    emit_member(&out->json, "clock", now->test_clock ? "test" : "system");
    emit_member_time(&out->json, "now", now->now_ms);
    emit_key(&out->json, "definitions");
    emit_open(&out->json, '[');
    enum wf_status status = wf_definition_list(cli->engine, NULL, write_definition, out, &cli->err);
    emit_close(&out->json, ']');
    out_object_close(out);
    return status;
}

static enum wf_status tell(struct cli *cli, const struct store_created *created) {
    struct wf_store_status now;
    enum wf_status status = wf_status_get(cli->engine, false, &now, &cli->err);
    if (status != WF_OK)
        return status;
    if (out_is_json(&cli->out))
        return tell_json(cli, created, &now);
    char time[FORMAT_TIME_SIZE];
    out_printf(&cli->out,
               created->store ? "Made a store in %s"
                              : "%s is a store already; nothing was lost or changed",
               cli->dir);
    if (created->definitions)
        out_printf(&cli->out, ", with %u shipped definition%s", created->definitions,
                   created->definitions == 1 ? "" : "s");
    if (now.test_clock)
        out_printf(&cli->out, "; its test clock stands at %s", format_time(time, now.now_ms));
    out_printf(&cli->out, ".\n");
    return WF_OK;
}

enum wf_status cmd_init(struct cli *cli) {
    int64_t test_clock_ms = 0;
    const char *text = cli_option(cli, "test-clock");
    if (text && !parse_time(text, &test_clock_ms))
        return cli_usage(cli, "--test-clock '%s' is no RFC 3339 time such as 2026-01-01T00:00:00Z",
                         text);
    struct store_created created;
    enum wf_status status = store_create(cli, text ? &test_clock_ms : NULL, &created);
    if (status == WF_OK)
        status = store_open(cli, ACCESS_READ, false);
    return status == WF_OK ? tell(cli, &created) : status;
}
