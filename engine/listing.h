/* Walks the names of all workflows or accounts in order, those in memory and those in the snapshot,
 * a page at a time without holding the mutex. */
#ifndef ENGINE_LISTING_H
#define ENGINE_LISTING_H

#include "engine/engine.h"

enum listing_of {
    LISTING_WORKFLOWS,
    LISTING_REVIEWS, /* workflows that wait for one */
    LISTING_TASKS,   /* workflows that have one */
    LISTING_ACCOUNTS,
};

/* Set `*stopped` to end the walk. Any status but WF_OK ends it too. */
typedef enum wf_status (*listing_fn)(void *ctx, const char *name, bool *stopped,
                                     struct wf_error *err);
/* Names greater than `after`, bytewise; NULL: all. */
enum wf_status listing_walk(struct wf_engine *engine, enum listing_of what, const char *after,
                            listing_fn on_name, void *ctx, struct wf_error *err);

#endif
