/* Two versions of a definition compared for the host. */
#include "engine/core/definition_diff.h"

#include "engine/definition_yaml.h"
#include "engine/engine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct diff_out {
    wf_definition_change_fn on_change;
    void *ctx;
};

static bool pass_on(void *ctx, const struct definition_change *change) {
    const struct diff_out *out = ctx;
    const struct wf_definition_change told = {.change = change->change,
                                              .kind = change->kind,
                                              .name = change->name,
                                              .member = change->member,
                                              .before = change->before,
                                              .after = change->after};
    return out->on_change(out->ctx, &told);
}

/* A definition of the state: definitions never change and live until the engine is closed. */
static enum wf_status find_version(struct wf_engine *engine, const char *name, uint32_t version,
                                   const struct definition **out, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_ensure_state(engine, err);
    const struct definition_entity *found = NULL;
    const struct definition_entity *newest = NULL;
    if (status == WF_OK) {
        found = state_definition(&engine->state, text_view(name), version);
        newest = state_definition(&engine->state, text_view(name), 0);
    }
    struct wal_ticket ticket = engine_last_ticket(engine);
    pthread_mutex_unlock(&engine->mutex);
    if (status != WF_OK) {
        return status;
    }
    if (newest == NULL) {
        return error_set(err, WF_NOT_FOUND, "there is no definition \"%s\"", name);
    }
    if (found == NULL) {
        return error_set(err, WF_NOT_FOUND,
                         "definition %s has no version %" PRIu32 "; its newest is %" PRIu32, name,
                         version, newest->definition->version);
    }
    *out = found->definition;
    return engine_wait_durable(engine, &ticket, err);
}

static enum wf_status read_other(const char *name, const char *text, const char *text_name,
                                 struct definition **out, struct wf_error *err) {
    if (text_name == NULL) {
        text_name = "definition";
    }
    enum wf_status status = definition_parse(text, strlen(text), text_name, out, err);
    if (status == WF_OK && strcmp((*out)->name, name) != 0) {
        status = error_set(err, WF_USAGE, "%s defines %s, not %s", text_name, (*out)->name, name);
        definition_destroy(*out);
        *out = NULL;
    }
    return status;
}

enum wf_status wf_definition_diff(struct wf_engine *engine, const char *name, uint32_t version,
                                  uint32_t other_version, const char *text, const char *text_name,
                                  wf_definition_change_fn on_change, void *ctx,
                                  struct wf_error *err) {
    struct diff_out out = {on_change, ctx};
    const struct definition *one = NULL;
    const struct definition *other = NULL;
    struct definition *parsed = NULL;
    enum wf_status status = find_version(engine, name, version, &one, err);
    if (status == WF_OK && text != NULL) {
        status = read_other(name, text, text_name, &parsed, err);
        other = parsed;
    } else if (status == WF_OK) {
        status = find_version(engine, name, other_version, &other, err);
    }
    if (status == WF_OK) {
        status = definition_diff(one, other, pass_on, &out, err);
    }
    definition_destroy(parsed);
    return status;
}
