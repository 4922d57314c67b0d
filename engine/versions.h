/* What accounts were before they changed, kept while a snapshot that is open needs it.
 *
 * A pin says: somebody reads the accounts as they were after record S. When a record changes an
 * account, its image before that is kept where some pin may see it: where the account's change
 * before is not younger than the newest pin. So an account has at most as many images as there are
 * pins, and none where nobody reads the past. The state as of S is the oldest image that a record
 * after S made, else the account as it is. Images go when the oldest pin does.
 *
 * Everything here needs the engine's mutex. */
#ifndef ENGINE_VERSIONS_H
#define ENGINE_VERSIONS_H

#include "engine/core/account.h"

struct wf_engine;
struct wf_session;

/* A snapshot in use, in order of LSN. */
struct pin {
    bool pinned;
    uint64_t lsn;
    struct pin *next, *previous;
    struct wf_session *session; /* whose it is */
};

/* An account before a record changed it. */
struct image {
    struct image *next;  /* of all accounts, by LSN */
    struct image *newer; /* of the same account */
    struct image_chain *chain;
    uint64_t lsn;            /* of the record that changed it */
    struct account *account; /* NULL: it was not there */
    size_t bytes;
};

/* The images of one account, the oldest first. */
struct image_chain {
    struct image *oldest, *newest;
    uint8_t number_size;
    char number[];
};

/* An account that a record changed. */
struct recent_change {
    uint64_t lsn;
    uint8_t number_size;
    char number[ACCOUNT_NUMBER_MAX];
};
enum { RECENT_CHANGES_MAX = 1024 };

struct versions {
    struct pin *first, *last; /* the oldest, the newest */
    struct table chains;      /* struct image_chain by number */
    struct image *oldest, *newest;
    struct image *prepared; /* of the record that is about to be appended; by `next` */
    size_t bytes;
    /* The newest changes, for transactions that look at what is committed now. */
    size_t watchers;
    uint64_t recent_count; /* ever noted; the newest at (recent_count - 1) % RECENT_CHANGES_MAX */
    struct recent_change recent[RECENT_CHANGES_MAX];
};

void versions_init(struct versions *versions);
void versions_deinit(struct versions *versions);

/* Read the state as it is after the last record from now on. */
void versions_pin(struct wf_engine *engine, struct pin *pin);
/* No more. Where it is not pinned, nothing. */
void versions_unpin(struct wf_engine *engine, struct pin *pin);

/* Around the append of a record that is reserved: set its images aside; they count; they do not.
 * WF_NO_MEMORY. */
enum wf_status versions_prepare(struct wf_engine *engine, const struct record *record,
                                struct wf_error *err);
void versions_publish(struct wf_engine *engine, uint64_t lsn);
void versions_discard(struct wf_engine *engine);

/* The account as of the pin, loaded if need be; NULL: it was not there. Valid while the mutex is
 * held. May rebuild the state, which gives the pin up: look at pin->pinned afterwards. */
enum wf_status versions_find(struct wf_engine *engine, const struct pin *pin,
                             struct bytes_view number, const struct account **account,
                             struct wf_error *err);

/* The first image of each account that changed after `lsn`: start with `*at` NULL; NULL at the end.
 */
const struct image *versions_next_change(const struct versions *versions, uint64_t lsn,
                                         const struct image **at);

/* Somebody will ask for what changes from now on; nobody does any more. */
void versions_watch(struct versions *versions);
void versions_unwatch(struct versions *versions);
/* The accounts that records after `lsn` changed, the newest first, some perhaps twice: start with
 * `*at` 0; NULL at the end. `*all` false: there were more than are known here. */
const struct recent_change *versions_next_recent(const struct versions *versions, uint64_t lsn,
                                                 uint64_t *at, bool *all);

/* The state was rebuilt: transactions that read the past are given up, others look anew. */
void versions_forget(struct wf_engine *engine);

#endif
