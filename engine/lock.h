/* One owner per store: a lock file that names its pid and publishes how far the log is durable, so
 * that readers in other processes show that much and no more. */
#ifndef ENGINE_LOCK_H
#define ENGINE_LOCK_H

#include "base/io.h"

struct lock_file;

/* Make or take the lock file at `path`. WF_LOCKED: the text names the owner's pid. */
enum wf_status lock_acquire(struct io *io, const char *path, struct lock_file **out,
                            struct wf_error *err);
/* What the owners before this one published, at the last: durable then, and so it must be there
 * now. 0: not known. Of the lock that is held. */
enum wf_status lock_published(struct lock_file *lock, uint64_t *durable_lsn, struct wf_error *err);
/* Takes NULL. The file stays, without an owner. */
void lock_release(struct lock_file *lock);
/* Tell readers that everything up to `durable_lsn` is durable. Failures are of no consequence:
 * readers then see less. Any thread, but not two at once. */
void lock_publish(struct lock_file *lock, uint64_t durable_lsn);

struct lock_view {
    bool owned;           /* somebody holds the lock now */
    uint64_t owner_pid;   /* 0: not known */
    uint64_t durable_lsn; /* as published by this owner or one before it; 0: not known */
};
/* Look without taking. A missing file is an unowned store. */
enum wf_status lock_look(struct io *io, const char *path, struct lock_view *view,
                         struct wf_error *err);

#endif
