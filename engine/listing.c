#include "engine/listing.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_PAGE = 128 };

/* Names of the entities whose newest state is in memory only, sorted; the rest stands in the
 * snapshot. */
struct id_list {
    enum listing_of what;
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

/* The entity's name where it is one of those that are listed; else NULL. */
static const char *name_of(const struct entity *entity, enum listing_of what) {
    if (what == LISTING_ACCOUNTS) {
        return entity->kind == ENTITY_ACCOUNT ? ((const struct account *)entity)->number : NULL;
    }
    const struct workflow *workflow = (const struct workflow *)entity;
    bool wanted = entity->kind == ENTITY_WORKFLOW && !entity->deleted &&
                  (what == LISTING_WORKFLOWS ||
                   (what == LISTING_TASKS ? workflow->tasks != NULL : workflow_waits(workflow)));
    return wanted ? workflow->id : NULL;
}

static bool collect_ids(struct id_list *list, const struct entity_list *from) {
    const struct entity *entity = from->first;
    for (size_t i = 0; i < from->count; i++, entity = entity->next) {
        const char *name = name_of(entity, list->what);
        if (name == NULL) {
            continue;
        }
        list->ids[list->count] = strdup(name);
        if (list->ids[list->count] == NULL) {
            return false;
        }
        list->count++;
    }
    return true;
}

/* Clean entities that are in memory while a checkpoint is under way may not be in the snapshot yet:
 * all lists count. */
static enum wf_status changed_ids(struct wf_engine *engine, enum listing_of what,
                                  struct id_list *list, struct wf_error *err) {
    const struct state *state = &engine->state;
    bool with_clean = engine->checkpoint.running || engine->snapshot_lsn == 0;
    size_t most = state->changed.count + state->frozen.count + state->clean.count;
    *list = (struct id_list){.what = what, .ids = malloc((most + 1) * sizeof(char *))};
    if (list->ids == NULL || !collect_ids(list, &state->changed) ||
        !collect_ids(list, &state->frozen) || (with_clean && !collect_ids(list, &state->clean))) {
        id_list_deinit(list);
        return error_set(err, WF_NO_MEMORY, "no memory for a list");
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

/* The first byte of the keys in the snapshot that the names stand in. */
static uint8_t key_byte(enum listing_of what) {
    switch (what) {
    case LISTING_WORKFLOWS:
        return ENTITY_WORKFLOW;
    case LISTING_REVIEWS:
        return CHECKPOINT_REVIEW_ORDER;
    case LISTING_TASKS:
        return CHECKPOINT_TASK_ORDER;
    case LISTING_ACCOUNTS:
        return ENTITY_ACCOUNT;
    }
    return 0;
}

static enum wf_status read_page(struct wf_engine *engine, enum listing_of what, const char *after,
                                struct id_page *page, struct wf_error *err) {
    *page = (struct id_page){.after = after};
    if (engine->snapshot == NULL || engine->snapshot_lsn == 0) {
        return WF_OK;
    }
    const uint8_t kind = key_byte(what);
    bytes_buffer_clear(&engine->scratch);
    /* What is longer than an id lies right behind its own beginning. */
    struct bytes_view from = text_view(after == NULL ? "" : after);
    from.size = from.size > COMMAND_ID_MAX ? COMMAND_ID_MAX : from.size;
    bytes_write_u8(&engine->scratch, kind);
    bytes_write_run(&engine->scratch, from.data, from.size);
    if (!bytes_buffer_ok(&engine->scratch)) {
        return error_set(err, WF_NO_MEMORY, "no memory for a list");
    }
    enum wf_status status = engine->snapshot->ops->walk(
        engine->snapshot, (struct bytes_view){engine->scratch.data, engine->scratch.size},
        (struct bytes_view){&kind, 1}, take_id, page, err);
    if (page->no_memory) {
        return error_set(err, WF_NO_MEMORY, "no memory for a list");
    }
    return status == WF_CONFLICT ? WF_OK : status;
}

/* A walk over both sources at once. */
struct listing {
    struct wf_engine *engine;
    enum listing_of what;
    listing_fn on_name;
    void *ctx;
    struct id_list changed;
    size_t changed_at;
    uint64_t reloads; /* of the engine, when `changed` was collected */
    struct id_page page;
    size_t page_at;
    bool page_last; /* the snapshot has no more */
    char *after;    /* the last id shown or passed over */
    bool stopped;
};

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
    status = changed_ids(engine, listing->what, &listing->changed, err);
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
    struct wf_error why = {0};
    enum wf_status status = follow_memory(listing, &why);
    if (status == WF_OK) {
        status = read_page(listing->engine, listing->what, listing->after, &listing->page, &why);
    }
    if (status == WF_DAMAGE) {
        free_page(&listing->page);
        status = engine_replace_snapshot(listing->engine, why.text, &why);
        if (status == WF_OK) {
            status = follow_memory(listing, &why);
        }
        if (status == WF_OK) {
            status =
                read_page(listing->engine, listing->what, listing->after, &listing->page, &why);
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
        if (listing->after != NULL && strcmp(id, listing->after) <= 0) {
            continue;
        }
        char *copy = strdup(id);
        if (copy == NULL) {
            return error_set(err, WF_NO_MEMORY, "no memory for a list");
        }
        free(listing->after);
        listing->after = copy;
        status = listing->on_name(listing->ctx, copy, &listing->stopped, err);
        if (status != WF_OK) {
            return status;
        }
    }
    return WF_OK;
}

enum wf_status listing_walk(struct wf_engine *engine, enum listing_of what, const char *after,
                            listing_fn on_name, void *ctx, struct wf_error *err) {
    struct listing listing = {
        .engine = engine, .what = what, .on_name = on_name, .ctx = ctx, .reloads = UINT64_MAX};
    if (after != NULL) {
        listing.after = strdup(after);
    }
    enum wf_status status = walk_both(&listing, err);
    id_list_deinit(&listing.changed);
    free_page(&listing.page);
    free(listing.after);
    return status;
}
