/* Queries over workflows and definitions. Each reads under the mutex, copies, and waits until what
 * it read is durable before it shows it. */
#include "engine/engine.h"

#include "engine/core/ineffective.h"
#include "engine/core/keys.h"
#include "engine/listing.h"
#include "engine/workflow_out.h"

#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 16 /* each meets another cut of the log, or its halt */ };

/* Into memory, where it exists; a damaged snapshot is replaced. The mutex is held. */
static enum wf_status load(struct wf_engine *engine, enum entity_kind kind, struct bytes_view name,
                           struct wf_error *err) {
    enum wf_status status = engine_ensure_state(engine, err);
    if (status != WF_OK) {
        return status;
    }
    struct wf_error why = {0};
    status = cache_load(engine, kind, name, &why);
    if (status == WF_DAMAGE) {
        status = engine_replace_snapshot(engine, why.text, &why);
        if (status == WF_OK) {
            status = cache_load(engine, kind, name, &why);
        }
    }
    return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
}

enum wf_status engine_find_workflow(struct wf_engine *engine, struct bytes_view id,
                                    struct workflow **workflow, struct wf_error *err) {
    *workflow = NULL;
    enum wf_status status = load(engine, ENTITY_WORKFLOW, id, err);
    if (status != WF_OK) {
        return status;
    }
    struct workflow *found = state_workflow(&engine->state, id);
    if (found != NULL && !found->entity.deleted) {
        *workflow = found;
    }
    return WF_OK;
}

enum wf_status engine_find_account(struct wf_engine *engine, struct bytes_view number,
                                   struct account **account, struct wf_error *err) {
    enum wf_status status = load(engine, ENTITY_ACCOUNT, number, err);
    *account = status == WF_OK ? state_account(&engine->state, number) : NULL;
    return status;
}

enum wf_status engine_is_ineffective(struct wf_engine *engine, uint64_t lsn, bool *ineffective,
                                     struct wf_error *err) {
    uint8_t key[8];
    enum wf_status status = WF_OK;
    *ineffective = false;
    pthread_mutex_lock(&engine->mutex);
    if (engine->state.any_ineffective) { /* rarely: after a repair */
        status = load(engine, ENTITY_INEFFECTIVE, ineffective_key(lsn, key), err);
        *ineffective = status == WF_OK && state_ineffective(&engine->state, lsn) != NULL;
        cache_trim(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

enum wf_status engine_find_key(struct wf_engine *engine, struct bytes_view text,
                               const struct idempotency_key **key, struct wf_error *err) {
    enum wf_status status = load(engine, ENTITY_KEY, text, err);
    *key = status == WF_OK ? keys_find(&engine->state, text) : NULL;
    return status;
}

enum wf_status engine_not_found(struct wf_error *err, struct bytes_view id) {
    return error_set(err, WF_NOT_FOUND, "there is no workflow \"%.*s\"", (int)id.size,
                     (const char *)id.data);
}

enum wf_status engine_account_not_found(struct wf_error *err, struct bytes_view number) {
    return error_set(err, WF_NOT_FOUND, "there is no account \"%.*s\"", (int)number.size,
                     (const char *)number.data);
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
        status = get_workflow(engine, text_view(id), out, err);
    } while (engine_ask_again(status, &attempts));
    return status;
}

/* --- listing --- */

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

struct workflow_listing {
    struct wf_engine *engine;
    const struct wf_filter *filter;
    uint8_t pair; /* only those that have it: CHECKPOINT_REVIEW_ORDER, CHECKPOINT_TASK_ORDER */
    wf_workflow_fn on_workflow;
    void *ctx;
    uint64_t shown;
};

static enum wf_status show(void *ctx, const char *id, bool *stopped, struct wf_error *err) {
    struct workflow_listing *listing = ctx;
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
        *stopped =
            !more || (listing->filter->limit > 0 && listing->shown == listing->filter->limit);
    }
    wf_workflow_free(workflow);
    return WF_OK;
}

enum wf_status wf_workflow_list(struct wf_engine *engine, const struct wf_filter *filter,
                                wf_workflow_fn on_workflow, void *ctx, struct wf_error *err) {
    static const struct wf_filter everything = {0};
    struct workflow_listing listing = {.engine = engine,
                                       .filter = filter == NULL ? &everything : filter,
                                       .on_workflow = on_workflow,
                                       .ctx = ctx};
    return listing_walk(engine, LISTING_WORKFLOWS, listing.filter->after, show, &listing, err);
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
    static const struct wf_filter everything = {0};
    struct review_listing to = {on_review, ctx};
    struct workflow_listing listing = {
        .engine = engine, .filter = &everything, .on_workflow = show_reviews, .ctx = &to};
    return listing_walk(engine, LISTING_REVIEWS, after, show, &listing, err);
}

struct task_listing {
    wf_task_fn on_task;
    void *ctx;
};

static bool show_tasks(void *ctx, const struct wf_workflow *workflow) {
    const struct task_listing *to = ctx;
    for (size_t i = 0; i < workflow->task_count; i++) {
        if (!to->on_task(to->ctx, &workflow->tasks[i])) {
            return false;
        }
    }
    return true;
}

enum wf_status wf_task_list(struct wf_engine *engine, const char *after, wf_task_fn on_task,
                            void *ctx, struct wf_error *err) {
    static const struct wf_filter everything = {0};
    struct task_listing to = {on_task, ctx};
    struct workflow_listing listing = {
        .engine = engine, .filter = &everything, .on_workflow = show_tasks, .ctx = &to};
    return listing_walk(engine, LISTING_TASKS, after, show, &listing, err);
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
