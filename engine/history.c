/* The past: records read by their place, the history of one workflow along its links, a workflow as
 * of an LSN, and the whole log as events. */
#include "engine/engine.h"

#include "engine/core/text.h"
#include "engine/event_out.h"
#include "engine/origin.h"
#include "engine/record_reader.h"
#include "engine/workflow_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum wf_status engine_read_record(struct wf_engine *engine, struct record_link link,
                                  struct codec_arena *arena, struct bytes_buffer *bytes,
                                  struct record *record, struct wf_error *err) {
    struct wal_record found;
    *record = (struct record){0};
    enum wf_status status = wal_read(engine->wal, link.lsn, link.offset, bytes, &found, err);
    if (status == WF_OK && found.lost) {
        return error_set(err, WF_NOT_FOUND, "LSN %" PRIu64 " was lost in a repair", link.lsn);
    }
    return status == WF_OK ? codec_decode_logged(arena, &found, record, err)
                           : error_wrap(err, status, "LSN %" PRIu64, link.lsn);
}

static void reverse(struct record_link *links, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        struct record_link swap = links[i];
        links[i] = links[count - 1 - i];
        links[count - 1 - i] = swap;
    }
}

static bool append_link(struct record_link **links, size_t *count, size_t *capacity,
                        struct record_link link) {
    if (*count == *capacity) {
        size_t grown = *capacity * 2 + 16;
        struct record_link *more = realloc(*links, grown * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        *links = more;
        *capacity = grown;
    }
    (*links)[(*count)++] = link;
    return true;
}

/* Where the record before this one about the same entity stands. */
static struct record_link previous_of(const struct record *record, struct bytes_view account) {
    if (account.size == 0) {
        return record->previous;
    }
    for (size_t i = 0; i < record->touch_count; i++) {
        if (text_same(record->touches[i].name, account)) {
            return record->touches[i].previous;
        }
    }
    return (struct record_link){0, 0};
}

enum wf_status engine_collect_links(struct wf_engine *engine, struct bytes_view account,
                                    struct record_link newest, uint64_t last_lsn,
                                    struct record_link **out, size_t *count, uint64_t *lost_lsn,
                                    struct wf_error *err) {
    *lost_lsn = 0;
    struct record_reader reader;
    record_reader_init(&reader, engine);
    struct record_link *links = NULL;
    size_t capacity = 0;
    *count = 0;
    enum wf_status status = WF_OK;
    for (struct record_link link = newest, previous; link.lsn != 0; link = previous) {
        status = record_reader_read(&reader, link, err);
        if (status == WF_NOT_FOUND) {
            *lost_lsn = link.lsn; /* what is before it cannot be reached */
            status = WF_OK;
            break;
        }
        if (status != WF_OK) {
            break;
        }
        if (link.lsn <= last_lsn && !append_link(&links, count, &capacity, link)) {
            status = error_set(err, WF_NO_MEMORY, "no memory for a history");
            break;
        }
        previous = previous_of(&reader.record, account);
        if (previous.lsn >= link.lsn) {
            status = error_set(err, WF_DAMAGE,
                               "LSN %" PRIu64 ": its link leads forward, to LSN %" PRIu64, link.lsn,
                               previous.lsn);
            break;
        }
    }
    record_reader_deinit(&reader);
    if (status != WF_OK) {
        free(links);
        links = NULL;
        *count = 0;
    } else {
        reverse(links, *count);
    }
    *out = links;
    return status;
}

static enum wf_status find_newest_link(struct wf_engine *engine, struct bytes_view id,
                                       struct record_link *link,
                                       const struct definition **definition, struct wf_error *err) {
    struct workflow *workflow = NULL;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_find_workflow(engine, id, &workflow, err);
    struct wal_ticket ticket = {0};
    if (workflow != NULL) {
        *link = workflow->history;
        *definition = workflow_definition_at(&engine->state, workflow, 0);
        ticket = (struct wal_ticket){link->lsn, link->offset, engine->cuts};
        cache_trim(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
    if (status != WF_OK) {
        return status;
    }
    if (workflow == NULL) {
        (void)engine_not_found(err, id);
        return WF_NOT_FOUND;
    }
    return engine_wait_durable(engine, &ticket, err);
}

/* The newest link of a workflow, once it is durable, and the definition that it began with. */
static enum wf_status newest_link(struct wf_engine *engine, struct bytes_view id,
                                  struct record_link *link, const struct definition **definition,
                                  struct wf_error *err) {
    enum wf_status status;
    unsigned attempts = 0;
    do {
        status = find_newest_link(engine, id, link, definition, err);
    } while (engine_ask_again(status, &attempts));
    return status;
}

/* What the record's events name, where `before` is what those of the record before it did. */
static const struct definition *definition_of(struct wf_engine *engine, const struct record *record,
                                              const struct definition *before) {
    const struct event *first = &record->events[0];
    if (record->event_count == 0 || first->kind != EVENT_WORKFLOW_MIGRATED) {
        return before;
    }
    pthread_mutex_lock(&engine->mutex);
    const struct definition_entity *now = state_definition(&engine->state, text_view(before->name),
                                                           first->as.workflow_migrated.version);
    pthread_mutex_unlock(&engine->mutex);
    return now == NULL ? before : now->definition;
}

enum wf_status wf_workflow_history(struct wf_engine *engine, const char *id, wf_event_fn on_event,
                                   void *ctx, struct wf_error *err) {
    struct record_link newest = {0};
    const struct definition *definition = NULL;
    struct record_link *links = NULL;
    size_t count = 0;
    uint64_t lost_lsn = 0;
    enum wf_status status = newest_link(engine, text_view(id), &newest, &definition, err);
    if (status == WF_OK) {
        status = engine_collect_links(engine, text_view(""), newest, UINT64_MAX, &links, &count,
                                      &lost_lsn, err);
    }
    struct record_reader reader;
    record_reader_init(&reader, engine);
    bool more =
        status != WF_OK || lost_lsn == 0 || engine_tell_missing(engine, lost_lsn, on_event, ctx);
    for (size_t i = 0; status == WF_OK && more && i < count; i++) {
        status = record_reader_read(&reader, links[i], err);
        bool ineffective = false;
        if (status == WF_OK) {
            status = engine_is_ineffective(engine, links[i].lsn, &ineffective, err);
        }
        if (status == WF_OK) {
            definition = definition_of(engine, &reader.record, definition);
            status = event_out_record(&reader.arena, &reader.record, definition, ineffective,
                                      on_event, ctx, &more, err);
        }
    }
    record_reader_deinit(&reader);
    free(links);
    return status;
}

/* --- as of an LSN --- */

/* The definitions of this name, by value. */
static enum wf_status copy_definitions(struct wf_engine *engine, const char *name, struct state *to,
                                       struct wf_error *err) {
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    enum wf_status status = WF_OK;
    pthread_mutex_lock(&engine->mutex);
    size_t at = 0;
    const struct definition_entity *entity;
    while (status == WF_OK && (entity = table_next(&engine->state.definitions, &at)) != NULL) {
        if (strcmp(entity->definition->name, name) != 0) {
            continue;
        }
        bytes_buffer_clear(&bytes);
        entity_encode_key(&entity->entity, &bytes);
        size_t key_size = bytes.size;
        entity_encode(&entity->entity, &bytes, NULL);
        struct entity *copy = NULL;
        status =
            bytes_buffer_ok(&bytes)
                ? entity_decode(to, (struct bytes_view){bytes.data, key_size},
                                (struct bytes_view){bytes.data + key_size, bytes.size - key_size},
                                &copy, err)
                : error_set(err, WF_NO_MEMORY, "no memory for a definition");
    }
    pthread_mutex_unlock(&engine->mutex);
    bytes_buffer_deinit(&bytes);
    return status;
}

static enum wf_status apply_links(struct wf_engine *engine, const struct record_link *links,
                                  size_t count, struct state *state, struct wf_error *err) {
    struct record_reader reader;
    record_reader_init(&reader, engine);
    enum wf_status status = WF_OK;
    for (size_t i = 0; status == WF_OK && i < count; i++) {
        bool ineffective = false;
        status = engine_is_ineffective(engine, links[i].lsn, &ineffective, err);
        if (status == WF_OK && ineffective) {
            continue;
        }
        if (status == WF_OK) {
            status = record_reader_read(&reader, links[i], err);
        }
        if (status != WF_OK) {
            break;
        }
        reader.record.key = (struct bytes_view){NULL, 0}; /* keys are no part of a workflow */
        reader.record.keys_forgotten = 0;
        status = apply_reserve(state, &reader.record, err);
        if (status == WF_OK) {
            apply(state, &reader.record);
        }
    }
    record_reader_deinit(&reader);
    return status;
}

/* The links end at a record that cannot be read. Where it was dropped, and the wanted LSN was not,
 * the workflow begins as it was after the last dropped record. */
static enum wf_status begin_behind(struct wf_engine *engine, struct bytes_view id,
                                   uint64_t lost_lsn, uint64_t lsn, struct state *state,
                                   struct wf_error *err) {
    struct archive_entry range;
    if (engine_dropped(engine, lost_lsn, &range) && lsn >= archive_dropped_lsn(engine->archive)) {
        return origin_load_workflow(engine->archive, id, state, err);
    }
    char what[COMMAND_ID_MAX + 64];
    (void)snprintf(what, sizeof(what), "the past of \"%.*s\" cannot be rebuilt", (int)id.size,
                   (const char *)id.data);
    return engine_missing(engine, lost_lsn, what, err);
}

enum wf_status engine_state_as_of(struct wf_engine *engine, struct bytes_view id, uint64_t lsn,
                                  struct state *state, struct workflow **workflow,
                                  struct wf_error *err) {
    *workflow = NULL;
    struct record_link newest = {0};
    const struct definition *definition = NULL;
    enum wf_status status = newest_link(engine, id, &newest, &definition, err);
    if (status != WF_OK) {
        return status;
    }
    status = state_init(state, err);
    if (status != WF_OK) {
        return status;
    }
    state->without_accounts = true;
    struct record_link *links = NULL;
    size_t count = 0;
    uint64_t lost_lsn = 0;
    status = copy_definitions(engine, definition->name, state, err);
    if (status == WF_OK) {
        status = engine_collect_links(engine, text_view(""), newest, lsn, &links, &count, &lost_lsn,
                                      err);
    }
    if (status == WF_OK && lost_lsn != 0) {
        status = begin_behind(engine, id, lost_lsn, lsn, state, err);
    }
    if (status == WF_OK) {
        status = apply_links(engine, links, count, state, err);
    }
    free(links);
    if (status != WF_OK) {
        state_deinit(state);
        return status;
    }
    *workflow = state_workflow(state, id);
    return WF_OK;
}

enum wf_status wf_workflow_get_as_of(struct wf_engine *engine, const char *id, uint64_t lsn,
                                     struct wf_workflow **out, struct wf_error *err) {
    *out = NULL;
    struct state state;
    struct workflow *workflow = NULL;
    enum wf_status status = engine_check_reached(engine, lsn, err);
    if (status == WF_OK) {
        status = engine_state_as_of(engine, text_view(id), lsn, &state, &workflow, err);
    }
    if (status != WF_OK) {
        return status;
    }
    status = workflow != NULL
                 ? workflow_out_make(workflow, out, err)
                 : error_set(err, WF_NOT_FOUND, "workflow \"%s\" was not there yet at LSN %" PRIu64,
                             id, lsn);
    state_deinit(&state);
    return status;
}

/* --- the whole log --- */

/* A walk that turns records into events. `engine` NULL: names come from `names`, a state of the
 * file's own. */
struct event_walk {
    struct wf_engine *engine;
    struct state *names;
    struct codec_arena arena;
    const char *id;
    wf_event_fn on_event;
    void *ctx;
    bool stopped;
};

const struct definition *engine_definition_of(struct wf_engine *engine,
                                              const struct record *record) {
    struct workflow *workflow = NULL;
    pthread_mutex_lock(&engine->mutex);
    (void)engine_find_workflow(engine, record->subject, &workflow, NULL);
    const struct definition *definition =
        workflow == NULL ? NULL : workflow_definition_at(&engine->state, workflow, record->lsn);
    cache_trim(engine);
    pthread_mutex_unlock(&engine->mutex);
    return definition;
}

/* Follow the file's own records as far as they can be followed without what was before them. */
static const struct definition *definition_in_file(struct state *names, struct record *record) {
    bool is_definition = record->command == COMMAND_DEFINITION_ADD;
    bool is_workflow = command_is_about_workflow(record->command);
    if (!is_definition && apply_reserve(names, record, NULL) == WF_OK) {
        apply(names, record);
    }
    const struct workflow *workflow = is_workflow ? state_workflow(names, record->subject) : NULL;
    return workflow == NULL ? NULL : workflow->definition;
}

static enum wf_status walk_record(void *ctx, const struct wal_record *wal_record,
                                  struct wf_error *err) {
    struct event_walk *walk = ctx;
    if (wal_record->lost) {
        walk->stopped = !event_out_lost(wal_record->lsn, walk->on_event, walk->ctx);
        return walk->stopped ? WF_CONFLICT : WF_OK;
    }
    struct record record;
    enum wf_status status = codec_decode_logged(&walk->arena, wal_record, &record, err);
    if (status != WF_OK) {
        return status;
    }
    bool wanted =
        walk->id == NULL || (record.subject.size == strlen(walk->id) &&
                             memcmp(record.subject.data, walk->id, record.subject.size) == 0);
    const struct definition *definition = NULL;
    if (walk->engine == NULL) {
        definition = definition_in_file(walk->names, &record);
    } else if (wanted && command_is_about_workflow(record.command)) {
        definition = engine_definition_of(walk->engine, &record);
    }
    bool more = true;
    bool ineffective = false;
    if (wanted && walk->engine != NULL) { /* one file alone does not tell */
        status = engine_is_ineffective(walk->engine, record.lsn, &ineffective, err);
    }
    if (wanted && status == WF_OK) {
        status = event_out_record(&walk->arena, &record, definition, ineffective, walk->on_event,
                                  walk->ctx, &more, err);
    }
    if (status == WF_OK && walk->engine == NULL && record.command == COMMAND_DEFINITION_ADD &&
        apply_reserve(walk->names, &record, NULL) == WF_OK) {
        apply(walk->names, &record); /* shown first: it takes the definition over */
    }
    codec_release(&record);
    walk->stopped = !more;
    return status == WF_OK && !more ? WF_CONFLICT : status; /* any status but WF_OK ends the walk */
}

/* One event for each drop that took some of the wanted records. False: the host asked to stop. */
static bool tell_dropped(struct wf_engine *engine, uint64_t first_lsn, uint64_t last_lsn,
                         wf_event_fn on_event, void *ctx) {
    struct archive_entry range;
    uint64_t lsn = first_lsn == 0 ? 1 : first_lsn;
    bool more = true;
    while (more && lsn <= last_lsn && engine_dropped(engine, lsn, &range)) {
        more = event_out_dropped(&range, lsn, on_event, ctx);
        lsn = range.last_lsn + 1;
    }
    return more;
}

enum wf_status wf_replay(struct wf_engine *engine, uint64_t first_lsn, uint64_t last_lsn,
                         const char *id, wf_event_fn on_event, void *ctx, struct wf_error *err) {
    struct event_walk walk = {.engine = engine, .id = id, .on_event = on_event, .ctx = ctx};
    codec_arena_init(&walk.arena);
    /* So that what was enqueued is there too. Where it fails, what is durable is shown all the
     * same.
     */
    (void)wf_sync(engine, NULL);
    enum wf_status status = WF_OK;
    walk.stopped = !tell_dropped(engine, first_lsn, last_lsn, on_event, ctx);
    if (!walk.stopped) {
        status = wal_walk(engine->wal, first_lsn, last_lsn, walk_record, &walk, err);
    }
    codec_arena_deinit(&walk.arena);
    return walk.stopped ? WF_OK : status;
}

/* Definitions that were added before this file began, from the store that it lies in, if it lies in
 * one. */
static void borrow_names(const char *path, struct state *names) {
    char *dir = strdup(path);
    if (dir == NULL) {
        return;
    }
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(dir, '/');
        if (slash == NULL) {
            free(dir);
            return;
        }
        *slash = '\0';
    }
    struct wf_options options;
    wf_options_init(&options);
    options.read_only = true;
    struct wf_engine *engine = NULL;
    if (wf_open(dir, &options, &engine, NULL) == WF_OK) {
        size_t at = 0;
        const struct definition_entity *entity;
        while ((entity = table_next(&engine->state.newest, &at)) != NULL) {
            (void)copy_definitions(engine, entity->definition->name, names, NULL);
        }
        (void)wf_close(engine, NULL);
    }
    free(dir);
}

enum wf_status wf_replay_file(const char *path, const char *id, wf_event_fn on_event, void *ctx,
                              struct wf_error *err) {
    struct state names;
    enum wf_status status = state_init(&names, err);
    if (status != WF_OK) {
        return status;
    }
    names.without_accounts = true;
    names.after_loss = true; /* what rests on earlier segments is passed over */
    borrow_names(path, &names);
    struct event_walk walk = {.names = &names, .id = id, .on_event = on_event, .ctx = ctx};
    codec_arena_init(&walk.arena);
    bool is_archive = false;
    status = archive_walk_file(io_posix(), path, &is_archive, walk_record, &walk, err);
    if (status == WF_OK && !is_archive) {
        status = wal_walk_file(io_posix(), path, walk_record, &walk, err);
    }
    codec_arena_deinit(&walk.arena);
    state_deinit(&names);
    return walk.stopped ? WF_OK : status;
}
