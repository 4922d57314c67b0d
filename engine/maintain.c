/* Looking after a store: snapshots by hand, segments. */
#include "engine/engine.h"

#include "engine/definition_yaml.h"
#include "engine/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- snapshots and segments --- */

enum wf_status wf_snapshot(struct wf_engine *engine, struct wf_error *err) {
    return checkpoint_run(engine, err);
}

static enum wf_status count_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                 struct wf_error *err) {
    (void)key;
    (void)value;
    (void)err;
    (*(uint64_t *)ctx)++;
    return WF_OK;
}

enum wf_status wf_snapshot_verify(struct wf_engine *engine, uint64_t *entries,
                                  struct wf_error *err) {
    uint64_t count = 0;
    enum wf_status status = WF_OK;
    pthread_mutex_lock(&engine->mutex);
    if (engine->snapshot != NULL) {
        const struct bytes_view everything = {(const uint8_t *)"", 0};
        status = engine->snapshot->ops->walk(engine->snapshot, everything, everything, count_pair,
                                             &count, err);
    }
    pthread_mutex_unlock(&engine->mutex);
    if (entries != NULL) {
        *entries = count;
    }
    return status;
}

enum wf_status wf_log_segments(struct wf_engine *engine, wf_segment_fn on_segment, void *ctx,
                               struct wf_error *err) {
    (void)err;
    struct wal_segment_info info;
    for (size_t i = 0; wal_segment_at(engine->wal, i, &info); i++) {
        struct wf_segment segment = {.name = info.name,
                                     .first_lsn = info.first_lsn,
                                     .last_lsn = info.last_lsn,
                                     .size = info.size,
                                     .sealed = info.sealed};
        if (info.sealed) {
            hex_encode(info.root, sizeof(info.root), segment.root);
        }
        if (!on_segment(ctx, &segment)) {
            break;
        }
    }
    return WF_OK;
}

enum wf_status wf_definition_validate(const char *text, const char *text_name,
                                      struct wf_error *err) {
    struct definition *definition = NULL;
    enum wf_status status = definition_parse(
        text, strlen(text), text_name == NULL ? "definition" : text_name, &definition, err);
    definition_destroy(definition);
    return status;
}
