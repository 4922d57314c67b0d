/* Queries over workflows and definitions. Each reads under the mutex, copies, and waits until what
 * it read is durable before it shows it. */
#include "engine/engine.h"

#include "engine/workflow_out.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_PAGE = 128,
    ATTEMPTS_MAX = 16, /* each meets another cut of the log, or its halt */
};

struct bytes_view engine_view(const char *text) {
    return (struct bytes_view){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

enum wf_status engine_find_workflow(struct wf_engine *engine, struct bytes_view id,
                                    struct workflow **workflow, struct wf_error *err) {
    *workflow = NULL;
    enum wf_status status = engine_ensure_state(engine, err);
    struct wf_error why = {0};
    if (status == WF_OK) {
        status = cache_load(engine, ENTITY_WORKFLOW, id, &why);
        if (status == WF_DAMAGE) {
            status = engine_replace_snapshot(engine, why.text, &why);
            if (status == WF_OK) {
                status = cache_load(engine, ENTITY_WORKFLOW, id, &why);
            }
        }
        if (status != WF_OK) {
            return error_set(err, status, "%s", why.text);
        }
    }
    if (status != WF_OK) {
        return status;
    }
    struct workflow *found = state_workflow(&engine->state, id);
    if (found != NULL && !found->entity.deleted) {
        *workflow = found;
    }
    return WF_OK;
}

enum wf_status engine_not_found(struct wf_error *err, struct bytes_view id) {
    return error_set(err, WF_NOT_FOUND, "there is no workflow \"%.*s\"", (int)id.size,
                     (const char *)id.data);
}

bool engine_ask_again(enum wf_status status, unsigned *attempts) {
    return (status == WF_FULL || status == WF_UNKNOWN) && ++*attempts < ATTEMPTS_MAX;
}

static enum wf_status get_workflow(struct wf_engine *engine, struct bytes_view name,
                                   struct wf_workflow **out, struct wf_error *err) {
    struct workflow *workflow = NULL;
    struct wf_workflow *copy = NULL;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_find_workflow(engine, name, &workflow, err);
    if (status == WF_OK) {
        status = workflow == NULL ? engine_not_found(err, name)
                                  : workflow_out_make(workflow, &copy, err);
    }
    struct wal_ticket ticket = {0};
    if (copy != NULL) {
        ticket = (struct wal_ticket){workflow->history.lsn, workflow->history.offset, engine->cuts};
        cache_trim(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK) {
        status = engine_wait_durable(engine, &ticket, err);
    }
    if (status != WF_OK) {
        wf_workflow_free(copy);
        return status;
    }
    *out = copy;
    return WF_OK;
}

enum wf_status wf_workflow_get(struct wf_engine *engine, const char *id, struct wf_workflow **out,
                               struct wf_error *err) {
    enum wf_status status;
    unsigned attempts = 0;
    *out = NULL;
    do {
        status = get_workflow(engine, engine_view(id), out, err);
    } while (engine_ask_again(status, &attempts));
    return status;
}

/* --- listing --- */

/* Ids of the workflows whose newest state is in memory only, sorted; the rest stands in the
 * snapshot. */
struct id_list {
    char **ids;
    size_t count;
};

static void id_list_deinit(struct id_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->ids[i]);
    }
    free(list->ids);
    *list = (struct id_list){0};
}

static int compare_ids(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool collect_ids(struct id_list *list, const struct entity_list *from, bool waiting) {
    const struct entity *entity = from->first;
    for (size_t i = 0; i < from->count; i++, entity = entity->next) {
        const struct workflow *workflow = (const struct workflow *)entity;
        if (entity->kind != ENTITY_WORKFLOW || entity->deleted ||
            (waiting && !workflow_waits(workflow))) {
            continue;
        }
        list->ids[list->count] = strdup(workflow->id);
        if (list->ids[list->count] == NULL) {
            return false;
        }
        list->count++;
    }
    return true;
}

/* Clean entities that are in memory while a checkpoint is under way may not be in the snapshot yet:
 * all lists count. */
static enum wf_status changed_ids(struct wf_engine *engine, bool waiting, struct id_list *list,
                                  struct wf_error *err) {
    const struct state *state = &engine->state;
    bool with_clean = engine->checkpoint.running || engine->snapshot_lsn == 0;
    size_t most = state->changed.count + state->frozen.count + state->clean.count;
    *list = (struct id_list){.ids = malloc((most + 1) * sizeof(char *))};
    if (list->ids == NULL || !collect_ids(list, &state->changed, waiting) ||
        !collect_ids(list, &state->frozen, waiting) ||
        (with_clean && !collect_ids(list, &state->clean, waiting))) {
        id_list_deinit(list);
        return error_set(err, WF_NO_MEMORY, "no memory to list workflows");
    }
    return WF_OK;
}

/* One page of the snapshot's ids after `after`. */
struct id_page {
    char *ids[LIST_PAGE];
    size_t count;
    const char *after;
    bool no_memory;
};

static enum wf_status take_id(void *ctx, struct bytes_view key, struct bytes_view value,
                              struct wf_error *err) {
    (void)value;
    (void)err;
    struct id_page *page = ctx;
    char *id = strndup((const char *)key.data + 1, key.size - 1);
    if (id == NULL) {
        page->no_memory = true;
        return WF_NO_MEMORY;
    }
    if (page->after != NULL && strcmp(id, page->after) <= 0) {
        free(id);
        return WF_OK;
    }
    page->ids[page->count++] = id;
    return page->count == LIST_PAGE ? WF_CONFLICT : WF_OK; /* any status but WF_OK ends the walk */
}

static enum wf_status read_page(struct wf_engine *engine, uint8_t kind, const char *after,
                                struct id_page *page, struct wf_error *err) {
    *page = (struct id_page){.after = after};
    if (engine->snapshot == NULL || engine->snapshot_lsn == 0) {
        return WF_OK;
    }
    bytes_buffer_clear(&engine->scratch);
    /* What is longer than an id lies right behind its own beginning. */
    struct bytes_view from = engine_view(after == NULL ? "" : after);
    from.size = from.size > COMMAND_ID_MAX ? COMMAND_ID_MAX : from.size;
    bytes_write_u8(&engine->scratch, kind);
    bytes_write_run(&engine->scratch, from.data, from.size);
    if (!bytes_buffer_ok(&engine->scratch)) {
        return error_set(err, WF_NO_MEMORY, "no memory to list workflows");
    }
    enum wf_status status = engine->snapshot->ops->walk(
        engine->snapshot, (struct bytes_view){engine->scratch.data, engine->scratch.size},
        (struct bytes_view){&kind, 1}, take_id, page, err);
    if (page->no_memory) {
        return error_set(err, WF_NO_MEMORY, "no memory to list workflows");
    }
    return status == WF_CONFLICT ? WF_OK : status;
}

static bool field_matches(const struct wf_workflow *workflow, const struct wf_filter *filter) {
    for (size_t i = 0; i < workflow->data_count; i++) {
        if (strcmp(workflow->data[i].name, filter->where_name) == 0) {
            return filter->where_value == NULL ||
                   strcmp(workflow->data[i].value, filter->where_value) == 0;
        }
    }
    return false;
}

static bool matches(const struct wf_workflow *workflow, const struct wf_filter *filter) {
    if (filter->status != NULL && strcmp(workflow->status, filter->status) != 0) {
        return false;
    }
    if (filter->stage != NULL &&
        (workflow->stage == NULL || strcmp(workflow->stage, filter->stage) != 0)) {
        return false;
    }
    if (filter->type != NULL && strcmp(workflow->type, filter->type) != 0) {
        return false;
    }
    return filter->where_name == NULL || field_matches(workflow, filter);
}

/* A walk over both sources at once. */
struct listing {
    struct wf_engine *engine;
    const struct wf_filter *filter;
    bool waiting; /* only what waits for a review */
    wf_workflow_fn on_workflow;
    void *ctx;
    struct id_list changed;
    size_t changed_at;
    uint64_t reloads; /* of the engine, when `changed` was collected */
    struct id_page page;
    size_t page_at;
    bool page_last; /* the snapshot has no more */
    char *after;    /* the last id shown or passed over */
    uint64_t shown;
    bool stopped;
};

static enum wf_status show(struct listing *listing, const char *id, struct wf_error *err) {
    struct wf_workflow *workflow = NULL;
    enum wf_status status = wf_workflow_get(listing->engine, id, &workflow, err);
    if (status == WF_NOT_FOUND) {
        return WF_OK; /* cut off by a full disk meanwhile */
    }
    if (status != WF_OK) {
        return status;
    }
    if (matches(workflow, listing->filter)) {
        listing->shown++;
        bool more = listing->on_workflow(listing->ctx, workflow);
        listing->stopped =
            !more || (listing->filter->limit > 0 && listing->shown == listing->filter->limit);
    }
    wf_workflow_free(workflow);
    return WF_OK;
}

static void free_page(struct id_page *page) {
    for (size_t i = 0; i < page->count; i++) {
        free(page->ids[i]);
    }
    *page = (struct id_page){0};
}

/* What is in memory only, behind what was shown. Once, and again whenever the state was rebuilt:
 * what stood in a snapshot that broke is in memory only now. The mutex is held. */
static enum wf_status follow_memory(struct listing *listing, struct wf_error *err) {
    struct wf_engine *engine = listing->engine;
    enum wf_status status = engine_ensure_state(engine, err);
    if (status != WF_OK || listing->reloads == engine->counters.reloads) {
        return status;
    }
    id_list_deinit(&listing->changed);
    listing->changed_at = 0;
    status = changed_ids(engine, listing->waiting, &listing->changed, err);
    if (status != WF_OK) {
        return status;
    }
    listing->reloads = engine->counters.reloads;
    const struct id_list *changed = &listing->changed;
    qsort(changed->ids, changed->count, sizeof(char *), compare_ids);
    while (listing->after != NULL && listing->changed_at < changed->count &&
           strcmp(changed->ids[listing->changed_at], listing->after) <= 0) {
        listing->changed_at++;
    }
    return WF_OK;
}

/* The mutex is held. */
static enum wf_status read_next(struct listing *listing, struct wf_error *err) {
    uint8_t kind = listing->waiting ? CHECKPOINT_REVIEW_ORDER : ENTITY_WORKFLOW;
    struct wf_error why = {0};
    enum wf_status status = follow_memory(listing, &why);
    if (status == WF_OK) {
        status = read_page(listing->engine, kind, listing->after, &listing->page, &why);
    }
    if (status == WF_DAMAGE) {
        free_page(&listing->page);
        status = engine_replace_snapshot(listing->engine, why.text, &why);
        if (status == WF_OK) {
            status = follow_memory(listing, &why);
        }
        if (status == WF_OK) {
            status = read_page(listing->engine, kind, listing->after, &listing->page, &why);
        }
    }
    return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
}

static enum wf_status fill_page(struct listing *listing, struct wf_error *err) {
    if (listing->page_at < listing->page.count || listing->page_last) {
        return WF_OK;
    }
    free_page(&listing->page);
    listing->page_at = 0;
    pthread_mutex_lock(&listing->engine->mutex);
    enum wf_status status = read_next(listing, err);
    pthread_mutex_unlock(&listing->engine->mutex);
    listing->page_last = listing->page.count < LIST_PAGE;
    return status;
}

/* The smaller of the two next ids; NULL at the end. */
static const char *next_id(struct listing *listing) {
    const char *changed = listing->changed_at < listing->changed.count
                              ? listing->changed.ids[listing->changed_at]
                              : NULL;
    const char *kept =
        listing->page_at < listing->page.count ? listing->page.ids[listing->page_at] : NULL;
    int order = changed == NULL ? 1 : kept == NULL ? -1 : strcmp(changed, kept);
    if (order <= 0) {
        listing->changed_at++;
    }
    if (order >= 0 && kept != NULL) {
        listing->page_at++;
    }
    return order <= 0 ? changed : kept;
}

static enum wf_status walk_both(struct listing *listing, struct wf_error *err) {
    while (!listing->stopped) {
        enum wf_status status = fill_page(listing, err);
        if (status != WF_OK) {
            return status;
        }
        const char *id = next_id(listing);
        if (id == NULL) {
            return WF_OK;
        }
        if (listing->filter->after != NULL && strcmp(id, listing->filter->after) <= 0) {
            continue;
        }
        char *copy = strdup(id);
        if (copy == NULL) {
            return error_set(err, WF_NO_MEMORY, "no memory to list workflows");
        }
        free(listing->after);
        listing->after = copy;
        status = show(listing, copy, err);
        if (status != WF_OK) {
            return status;
        }
    }
    return WF_OK;
}

static enum wf_status run_listing(struct listing *listing, struct wf_error *err) {
    listing->reloads = UINT64_MAX;
    if (listing->filter->after != NULL) {
        listing->after = strdup(listing->filter->after);
    }
    enum wf_status status = walk_both(listing, err);
    id_list_deinit(&listing->changed);
    free_page(&listing->page);
    free(listing->after);
    return status;
}

enum wf_status wf_workflow_list(struct wf_engine *engine, const struct wf_filter *filter,
                                wf_workflow_fn on_workflow, void *ctx, struct wf_error *err) {
    static const struct wf_filter everything = {0};
    struct listing listing = {.engine = engine,
                              .filter = filter == NULL ? &everything : filter,
                              .on_workflow = on_workflow,
                              .ctx = ctx};
    return run_listing(&listing, err);
}

struct review_listing {
    wf_review_fn on_review;
    void *ctx;
};

static bool show_reviews(void *ctx, const struct wf_workflow *workflow) {
    const struct review_listing *to = ctx;
    for (size_t i = 0; i < workflow->review_count; i++) {
        if (!to->on_review(to->ctx, &workflow->reviews[i])) {
            return false;
        }
    }
    return true;
}

enum wf_status wf_review_list(struct wf_engine *engine, const char *after, wf_review_fn on_review,
                              void *ctx, struct wf_error *err) {
    const struct wf_filter filter = {.after = after};
    struct review_listing to = {on_review, ctx};
    struct listing listing = {.engine = engine,
                              .filter = &filter,
                              .waiting = true,
                              .on_workflow = show_reviews,
                              .ctx = &to};
    return run_listing(&listing, err);
}

/* --- definitions --- */

static int compare_definitions(const void *left, const void *right) {
    const struct wf_definition *a = left;
    const struct wf_definition *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->version > b->version) - (a->version < b->version);
}

/* Copies of the fixed part; the strings live as long as the engine. The mutex is held. */
static enum wf_status copy_definitions(struct wf_engine *engine, const char *name,
                                       struct wf_definition **out, size_t *count,
                                       struct wf_error *err) {
    const struct table *table = &engine->state.definitions;
    struct wf_definition *all = malloc((table_count(table) + 1) * sizeof(*all));
    if (all == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to list definitions");
    }
    size_t at = 0;
    const struct definition_entity *entity;
    *count = 0;
    while ((entity = table_next(table, &at)) != NULL) {
        const struct definition *definition = entity->definition;
        if (name == NULL || strcmp(definition->name, name) == 0) {
            all[(*count)++] = (struct wf_definition){
                .name = definition->name,
                .version = definition->version,
                .source = definition->source == NULL ? "" : definition->source,
                .added_lsn = entity->added_lsn};
        }
    }
    *out = all;
    return WF_OK;
}

/* The same once they are durable; `*out` is the caller's to free, whatever the status. */
static enum wf_status durable_definitions(struct wf_engine *engine, const char *name,
                                          struct wf_definition **out, size_t *count,
                                          struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_ensure_state(engine, err);
    if (status == WF_OK) {
        status = copy_definitions(engine, name, out, count, err);
    }
    struct wal_ticket ticket = engine_last_ticket(engine);
    pthread_mutex_unlock(&engine->mutex);
    return status == WF_OK ? engine_wait_durable(engine, &ticket, err) : status;
}

enum wf_status wf_definition_list(struct wf_engine *engine, const char *name,
                                  wf_definition_fn on_definition, void *ctx, struct wf_error *err) {
    struct wf_definition *all = NULL;
    size_t count = 0;
    enum wf_status status;
    unsigned attempts = 0;
    do {
        free(all);
        all = NULL;
        status = durable_definitions(engine, name, &all, &count, err);
    } while (engine_ask_again(status, &attempts));
    if (status == WF_OK && name != NULL && count == 0) {
        status = error_set(err, WF_NOT_FOUND, "there is no definition \"%s\"", name);
    }
    if (status == WF_OK) {
        qsort(all, count, sizeof(*all), compare_definitions);
        for (size_t i = 0; i < count && on_definition(ctx, &all[i]); i++) {
        }
    }
    free(all);
    return status;
}
