/* The records and findings of a walk over a whole trail, handed in order to a second thread: one
 * reads, checks and hashes, the other does what the caller wants with them. A short walk, and one
 * where no thread can be had, stays on the caller's thread. */
#ifndef ENGINE_RELAY_H
#define ENGINE_RELAY_H

#include "wal/wal.h"

struct relay_pipe;

struct relay {
    wal_record_fn on_record;
    wal_finding_fn on_finding;
    void *ctx;
    uint64_t records;
    struct relay_pipe *pipe; /* NULL: on the caller's thread, so far */
};

/* The callbacks, and what `ctx` leads to, belong to the other thread until relay_finish(). */
void relay_init(struct relay *relay, wal_record_fn on_record, wal_finding_fn on_finding, void *ctx);
/* For the walk: a wal_record_fn and a wal_finding_fn over a struct relay. A failure of a callback
 * is returned later, by one of these or by relay_finish(). */
enum wf_status relay_record(void *relay, const struct wal_record *record, struct wf_error *err);
enum wf_status relay_finding(void *relay, const struct wal_finding *finding, struct wf_error *err);
/* Wait until the callbacks have had everything; always call it. `status` is that of the walk; the
 * first failure is returned. */
enum wf_status relay_finish(struct relay *relay, enum wf_status status, struct wf_error *err);

#endif
