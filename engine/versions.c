#include "engine/versions.h"

#include "engine/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct table_key chain_key(const void *entry) {
    const struct image_chain *chain = entry;
    return (struct table_key){chain->number, chain->number_size};
}

void versions_init(struct versions *versions) {
    memset(versions, 0, sizeof(*versions));
    table_init(&versions->chains, chain_key);
}

static struct image_chain *find_chain(const struct versions *versions, const void *number,
                                      size_t size) {
    return table_count(&versions->chains) == 0 ? NULL : table_find(&versions->chains, number, size);
}

/* --- images --- */

static void destroy_image(struct image *image) {
    account_destroy(image->account);
    free(image);
}

static void drop_chain_if_empty(struct versions *versions, struct image_chain *chain) {
    if (chain->oldest == NULL) {
        table_remove(&versions->chains, chain->number, chain->number_size);
        free(chain);
    }
}

/* The oldest of all: it is the oldest of its account too. */
static void drop_oldest(struct versions *versions) {
    struct image *image = versions->oldest;
    struct image_chain *chain = image->chain;
    versions->oldest = image->next;
    if (versions->oldest == NULL) {
        versions->newest = NULL;
    }
    assert(chain->oldest == image);
    chain->oldest = image->newer;
    if (chain->oldest == NULL) {
        chain->newest = NULL;
    }
    versions->bytes -= image->bytes;
    destroy_image(image);
    drop_chain_if_empty(versions, chain);
}

static void drop_unneeded(struct versions *versions) {
    while (versions->oldest != NULL &&
           (versions->first == NULL || versions->oldest->lsn <= versions->first->lsn)) {
        drop_oldest(versions);
    }
}

static void drop_prepared(struct versions *versions) {
    while (versions->prepared != NULL) {
        struct image *image = versions->prepared;
        versions->prepared = image->next;
        struct image_chain *chain = image->chain;
        destroy_image(image);
        drop_chain_if_empty(versions, chain);
    }
}

void versions_deinit(struct versions *versions) {
    drop_prepared(versions);
    versions->first = versions->last = NULL;
    drop_unneeded(versions);
    table_deinit(&versions->chains);
}

/* --- pins --- */

void versions_pin(struct wf_engine *engine, struct pin *pin) {
    struct versions *versions = &engine->versions;
    assert(!pin->pinned);
    pin->pinned = true;
    pin->lsn = engine->last.lsn;
    pin->next = NULL;
    pin->previous = versions->last;
    if (versions->last == NULL) {
        versions->first = pin;
    } else {
        versions->last->next = pin;
    }
    versions->last = pin;
}

void versions_unpin(struct wf_engine *engine, struct pin *pin) {
    struct versions *versions = &engine->versions;
    if (!pin->pinned) {
        return;
    }
    pin->pinned = false;
    if (pin->previous == NULL) {
        versions->first = pin->next;
    } else {
        pin->previous->next = pin->next;
    }
    if (pin->next == NULL) {
        versions->last = pin->previous;
    } else {
        pin->next->previous = pin->previous;
    }
    drop_unneeded(versions);
}

/* --- a record that changes accounts --- */

static struct image_chain *find_or_add_chain(struct versions *versions, const char *number,
                                             size_t size) {
    struct image_chain *chain = find_chain(versions, number, size);
    if (chain != NULL || !table_reserve(&versions->chains)) {
        return chain;
    }
    chain = calloc(1, sizeof(*chain) + size);
    if (chain != NULL) {
        chain->number_size = (uint8_t)size;
        memcpy(chain->number, number, size);
        table_insert(&versions->chains, chain);
    }
    return chain;
}

/* `is_new`: the record opens it. */
static bool prepare_image(struct versions *versions, const struct account *account, bool is_new) {
    struct image *image = calloc(1, sizeof(*image));
    if (image == NULL) {
        return false;
    }
    image->account = is_new ? NULL : account_copy(account, 0);
    image->chain = find_or_add_chain(versions, account->number, account->number_size);
    image->bytes = sizeof(*image) + sizeof(struct image_chain) + account->number_size +
                   (is_new ? 0 : account_bytes(account));
    if (image->chain == NULL || (image->account == NULL && !is_new)) {
        if (image->chain != NULL) {
            drop_chain_if_empty(versions, image->chain);
        }
        destroy_image(image);
        return false;
    }
    image->next = versions->prepared;
    versions->prepared = image;
    return true;
}

static void note_recent(struct versions *versions, const struct record *record) {
    for (size_t i = 0; i < record->touch_count; i++) {
        struct recent_change *change =
            &versions->recent[versions->recent_count++ % RECENT_CHANGES_MAX];
        change->lsn = record->lsn;
        change->number_size = (uint8_t)record->touches[i].name.size;
        memcpy(change->number, record->touches[i].name.data, record->touches[i].name.size);
    }
}

enum wf_status versions_prepare(struct wf_engine *engine, const struct record *record,
                                struct wf_error *err) {
    struct versions *versions = &engine->versions;
    const struct state_reserved *reserved = &engine->state.reserved;
    bool refused = record->event_count == 1 && record->events[0].kind == EVENT_COMMAND_REFUSED;
    if (refused || reserved->ignored) {
        return WF_OK;
    }
    if (versions->watchers > 0) {
        note_recent(versions, record); /* that it may still fail makes nobody see anything wrong */
    }
    if (versions->last == NULL) {
        return WF_OK;
    }
    for (size_t i = 0; i < reserved->account_count; i++) {
        const struct account *account = reserved->accounts[i];
        bool is_new = account->opened_lsn == 0;
        if (!is_new && account->lsn > versions->last->lsn) {
            continue; /* nobody reads it as it is now */
        }
        if (!prepare_image(versions, account, is_new)) {
            drop_prepared(versions);
            return error_set(err, WF_NO_MEMORY,
                             "no memory for what an open snapshot needs of the past");
        }
    }
    return WF_OK;
}

void versions_discard(struct wf_engine *engine) {
    drop_prepared(&engine->versions);
}

/* Where what is kept becomes too much, the oldest snapshot goes. */
static void keep_bound(struct wf_engine *engine) {
    struct versions *versions = &engine->versions;
    while (versions->bytes > engine->options.versions_max && versions->first != NULL) {
        session_give_up(versions->first->session, WF_CONFLICT,
                        "conflict: the transaction's snapshot is too old: what others changed "
                        "since would take more memory than versions_max; begin again");
    }
}

void versions_publish(struct wf_engine *engine, uint64_t lsn) {
    struct versions *versions = &engine->versions;
    while (versions->prepared != NULL) {
        struct image *image = versions->prepared;
        versions->prepared = image->next;
        image->next = NULL;
        image->lsn = lsn;
        if (versions->newest == NULL) {
            versions->oldest = image;
        } else {
            versions->newest->next = image;
        }
        versions->newest = image;
        if (image->chain->newest == NULL) {
            image->chain->oldest = image;
        } else {
            image->chain->newest->newer = image;
        }
        image->chain->newest = image;
        versions->bytes += image->bytes;
    }
    keep_bound(engine);
}

/* --- reading the past --- */

enum wf_status versions_find(struct wf_engine *engine, const struct pin *pin,
                             struct bytes_view number, const struct account **account,
                             struct wf_error *err) {
    struct account *now = NULL;
    *account = NULL;
    enum wf_status status = engine_find_account(engine, number, &now, err);
    if (status != WF_OK || !pin->pinned) {
        return status;
    }
    const struct image_chain *chain = find_chain(&engine->versions, number.data, number.size);
    const struct image *image = chain == NULL ? NULL : chain->oldest;
    while (image != NULL && image->lsn <= pin->lsn) {
        image = image->newer;
    }
    *account = image == NULL ? now : image->account;
    assert(*account == NULL || (*account)->lsn <= pin->lsn);
    return WF_OK;
}

const struct image *versions_next_change(const struct versions *versions, uint64_t lsn,
                                         const struct image **at) {
    const struct image *image = *at == NULL ? versions->oldest : (*at)->next;
    for (; image != NULL; image = image->next) {
        if (image->lsn <= lsn) {
            continue;
        }
        const struct image *first = image->chain->oldest;
        while (first->lsn <= lsn) {
            first = first->newer;
        }
        if (first == image) {
            break;
        }
    }
    *at = image;
    return image;
}

void versions_watch(struct versions *versions) {
    versions->watchers++;
}

void versions_unwatch(struct versions *versions) {
    versions->watchers--;
}

const struct recent_change *versions_next_recent(const struct versions *versions, uint64_t lsn,
                                                 uint64_t *at, bool *all) {
    uint64_t left = versions->recent_count - *at;
    *all = true;
    if (left == 0) {
        return NULL;
    }
    if (*at == RECENT_CHANGES_MAX) {
        *all = false; /* the oldest one here was younger */
        return NULL;
    }
    ++*at;
    const struct recent_change *change = &versions->recent[(left - 1) % RECENT_CHANGES_MAX];
    return change->lsn > lsn ? change : NULL;
}

void versions_forget(struct wf_engine *engine) {
    engine->versions.recent_count = 0; /* LSNs may come again */
    for (struct wf_session *session = engine->sessions; session != NULL; session = session->next) {
        session->forgotten = true;
    }
    while (engine->versions.first != NULL) {
        session_give_up(engine->versions.first->session, WF_CONFLICT,
                        "conflict: the state was rebuilt after a failed write, and the "
                        "transaction's snapshot with it; begin again");
    }
}
