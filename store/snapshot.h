/* The snapshot: the state as of one LSN, kept in ordered key/value pairs. A derived cache: whatever
 * is wrong with it is answered by setting it aside and rebuilding from the log. Knows no workflow:
 * keys and values are opaque. snapshot_lmdb.c is the real one; tests/lib/sim_snapshot.c a model
 * that crashes with the simulated disk. */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "base/bytes.h"
#include "base/io.h"

enum {
    SNAPSHOT_KEY_MAX = 500,   /* bytes */
    SNAPSHOT_META_MAX = 4096, /* bytes of the caller's own header */
};

/* What stands beside the values, in the same transaction. */
struct snapshot_meta {
    uint64_t lsn;                     /* the state is the one after this record */
    uint8_t bytes[SNAPSHOT_META_MAX]; /* the caller's: log position, state hash, counters */
    size_t size;
};

/* One change: value.data NULL deletes the key, if it is there. Borrowed. */
struct snapshot_change {
    struct bytes_view key;
    struct bytes_view value;
};

typedef enum wf_status (*snapshot_pair_fn)(void *ctx, struct bytes_view key,
                                           struct bytes_view value, struct wf_error *err);

struct snapshot;

struct snapshot_ops {
    void (*close)(struct snapshot *snapshot);
    /* The value of `key` in the generation that was current at the last refresh(). The view is
     * valid until the next call of any function on this snapshot but commit(). WF_NOT_FOUND;
     * WF_DAMAGE where the checksum (which covers the key too) fails. Serialised by the caller with
     * refresh() and walk(). */
    enum wf_status (*get)(struct snapshot *snapshot, struct bytes_view key,
                          struct bytes_view *value, struct wf_error *err);
    /* Pairs in key order, from the first key >= `from`, while the key starts with `prefix`. The
     * callback returns WF_OK to go on, any other status ends the walk and is returned. Of this
     * snapshot's functions it may call get() only. A walk over everything (empty `from` and
     * `prefix`) is a verification: WF_DAMAGE also where pairs are missing. */
    enum wf_status (*walk)(struct snapshot *snapshot, struct bytes_view from,
                           struct bytes_view prefix, snapshot_pair_fn on_pair, void *ctx,
                           struct wf_error *err);
    /* The meta of the generation current at the last refresh(). False: the snapshot is empty. */
    bool (*meta)(struct snapshot *snapshot, struct snapshot_meta *meta);
    /* Write `changes` (sorted by key, each key once) and `meta` as the next generation: all or
     * nothing, synced. May run beside get() and walk() of other threads, which go on seeing the
     * generation they had. A map that is full is grown and the commit tried again (for that moment
     * it excludes readers itself, and where two commits were made without a refresh() between, they
     * come out of it at the newest generation). WF_FULL / WF_IO: the generation before stays. */
    enum wf_status (*commit)(struct snapshot *snapshot, const struct snapshot_change *changes,
                             size_t count, const struct snapshot_meta *meta, struct wf_error *err);
    /* Let get() and walk() see the newest generation. */
    enum wf_status (*refresh)(struct snapshot *snapshot, struct wf_error *err);
    /* Give clean cached pages of the file back to the system (the process's resident size shrinks).
     */
    void (*trim)(struct snapshot *snapshot);
    /* Bytes of the file, and of the values it holds. */
    void (*sizes)(struct snapshot *snapshot, uint64_t *file_bytes, uint64_t *entries);
};

/* An implementation embeds this first. */
struct snapshot {
    const struct snapshot_ops *ops;
};

/* Where snapshots come from: the engine is given one of these. */
struct snapshot_provider {
    /* Open, or with `create` make, the snapshot in the directory `dir`. Reads and checks the newest
     * meta. read_only: changes no file; another process may own and write it meanwhile.
     * WF_NOT_FOUND: none here. WF_DAMAGE: cut, corrupt or of another format: set it aside. */
    enum wf_status (*open)(const struct snapshot_provider *provider, struct io *io, const char *dir,
                           bool create, bool read_only, struct snapshot **out,
                           struct wf_error *err);
    /* Rename what is in `dir` to "<dir>.damaged-N" (the lowest free N from 1), so that a new one
     * can be made. */
    enum wf_status (*set_aside)(const struct snapshot_provider *provider, struct io *io,
                                const char *dir, struct wf_error *err);
};

/* The names of the instants that commit() announces through io_point(), ended by NULL. */
const char *const *snapshot_points(void);

/* LMDB: one environment in `dir` (data.mdb, lock.mdb), sync on, no WRITEMAP, never opened twice in
 * a process. */
const struct snapshot_provider *snapshot_lmdb(void);

#endif
