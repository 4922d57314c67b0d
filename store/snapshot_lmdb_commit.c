/* Writing the next generation: one LMDB transaction, retried on a larger map where it does not fit.
 */
#include "store/snapshot_lmdb.h"

#include <errno.h>
#include <lmdb.h>
#include <string.h>
#include <unistd.h>

enum {
    GROW_TRIES_MAX =
        40, /* each doubles the map at least: 2^40 times the first is beyond any disk */
    COST_FACTOR =
        4, /* room to ask for, in terms of the bytes of the changes: pages are split and copied */
};

static const char POINT_BEFORE_COMMIT[] = "snapshot.before_commit";
static const char POINT_AFTER_COMMIT[] = "snapshot.after_commit";

/* The const parts of one call. */
struct commit {
    struct lmdb_snapshot *snapshot;
    const struct snapshot_change *changes;
    size_t count;
    const struct snapshot_meta *meta;
    struct snapshot_totals totals; /* of the generation to write */
    size_t append_from;            /* changes from here on have keys behind all that are stored */
    uint64_t bytes;                /* of keys and values to put */
};

const char *const *snapshot_points(void) {
    static const char *const points[] = {POINT_BEFORE_COMMIT, POINT_AFTER_COMMIT, NULL};
    return points;
}

static enum wf_status check_changes(struct commit *commit, struct wf_error *err) {
    if (commit->meta->size > SNAPSHOT_META_MAX)
        return error_set(err, WF_USAGE, "a meta of %zu bytes", commit->meta->size);
    for (size_t i = 0; i < commit->count; i++) {
        const struct snapshot_change *change = &commit->changes[i];
        if (change->key.size > SNAPSHOT_KEY_MAX)
            return error_set(err, WF_USAGE, "a key of %zu bytes", change->key.size);
        if (change->value.data != NULL && change->value.size > SNAPSHOT_VALUE_MAX)
            return error_set(err, WF_USAGE, "a value of %zu bytes", change->value.size);
        if (i > 0 && snapshot_key_compare(commit->changes[i - 1].key, change->key) >= 0)
            return error_set(err, WF_USAGE, "change %zu of %zu is not in key order", i,
                             commit->count);
        if (change->value.data != NULL)
            commit->bytes += change->key.size + change->value.size;
    }
    return WF_OK;
}

/* Read the newest generation and check what LMDB is going to touch of it. */
static enum wf_status prepare(struct commit *commit, struct wf_error *err) {
    struct lmdb_snapshot *snapshot = commit->snapshot;
    uint64_t size = 0;
    enum wf_status status = lmdb_file_size(snapshot, &size, err);
    if (status == WF_OK)
        status =
            snapshot_view_load(&snapshot->newest, snapshot->map, snapshot->map_size, size, 0, err);
    if (status == WF_OK)
        status = snapshot_view_prepare(&snapshot->newest, commit->changes, commit->count,
                                       &commit->totals, &commit->append_from, err);
    return status;
}

/* ---- one transaction ---- */

static int put_record(const struct commit *commit, MDB_txn *txn, MDB_dbi dbi) {
    uint8_t bytes[SNAPSHOT_RECORD_MAX];
    struct bytes_view view = snapshot_record_key();
    MDB_val key = {.mv_size = view.size, .mv_data = (void *)(uintptr_t)view.data};
    MDB_val value = {
        .mv_size = snapshot_record_encode(bytes, commit->meta, &commit->totals, mdb_txn_id(txn)),
        .mv_data = bytes,
    };
    return mdb_put(txn, dbi, &key, &value, 0);
}

static int put_pair(MDB_cursor *cursor, MDB_val *key, struct bytes_view value, unsigned flags) {
    struct bytes_view stored_key = {.data = key->mv_data, .size = key->mv_size};
    MDB_val room = {.mv_size = SNAPSHOT_CHECKSUM_BYTES + value.size};
    int rc = mdb_cursor_put(cursor, key, &room, flags | MDB_RESERVE);
    if (rc != 0)
        return rc;
    uint8_t *out = room.mv_data;
    bytes_store_u32(out, snapshot_pair_checksum(stored_key, value));
    if (value.size > 0)
        memcpy(out + SNAPSHOT_CHECKSUM_BYTES, value.data, value.size);
    return 0;
}

static int delete_pair(MDB_cursor *cursor, MDB_val *key) {
    MDB_val value;
    int rc = mdb_cursor_get(cursor, key, &value, MDB_SET);
    if (rc == MDB_NOTFOUND)
        return 0;
    return rc == 0 ? mdb_cursor_del(cursor, 0) : rc;
}

/* Keys behind the last one are appended: LMDB then fills pages to the brim instead of halving them.
 */
static int put_changes(const struct commit *commit, MDB_cursor *cursor) {
    int rc = 0;
    for (size_t i = 0; i < commit->count && rc == 0; i++) {
        const struct snapshot_change *change = &commit->changes[i];
        struct snapshot_stored_key stored;
        snapshot_stored_key_make(&stored, change->key);
        MDB_val key = {.mv_size = stored.size, .mv_data = stored.bytes};
        if (change->value.data == NULL)
            rc = delete_pair(cursor, &key);
        else
            rc = put_pair(cursor, &key, change->value, i >= commit->append_from ? MDB_APPEND : 0);
    }
    return rc;
}

/* Note where LMDB's map lies: a clean pair has the same offset there as in ours. Must run before
 * the transaction changes the record's page. */
static void locate_map(const struct commit *commit, MDB_txn *txn, MDB_dbi dbi) {
    struct lmdb_snapshot *snapshot = commit->snapshot;
    struct bytes_view view = snapshot_record_key();
    MDB_val key = {.mv_size = view.size, .mv_data = (void *)(uintptr_t)view.data};
    MDB_val value;
    MDB_envinfo info;
    struct bytes_view ours;
    if (snapshot->newest.empty ||
        snapshot_view_get(&snapshot->newest, view, &ours, NULL) != WF_OK ||
        mdb_env_info(snapshot->env, &info) != 0 || mdb_get(txn, dbi, &key, &value) != 0)
        return;
    size_t offset = (size_t)(ours.data - snapshot->map) - SNAPSHOT_CHECKSUM_BYTES;
    pthread_mutex_lock(&snapshot->lock);
    snapshot->lmdb_map = (uint8_t *)value.mv_data - offset;
    snapshot->lmdb_map_size = info.me_mapsize;
    pthread_mutex_unlock(&snapshot->lock);
}

static int fill_transaction(const struct commit *commit, MDB_txn *txn) {
    MDB_dbi dbi;
    MDB_cursor *cursor;
    int rc = mdb_dbi_open(txn, NULL, 0, &dbi);
    if (rc != 0)
        return rc;
    locate_map(commit, txn, dbi);
    rc = put_record(commit, txn,
                    dbi); /* first: it is the lowest key, so that pairs can be appended */
    if (rc == 0)
        rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0)
        return rc;
    rc = put_changes(commit, cursor);
    mdb_cursor_close(cursor);
    return rc;
}

/* 0, or LMDB's code with nothing changed. */
static int write_generation(const struct commit *commit) {
    struct lmdb_snapshot *snapshot = commit->snapshot;
    MDB_txn *txn;
    int rc = mdb_txn_begin(snapshot->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = fill_transaction(commit, txn);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    io_point(snapshot->io, POINT_BEFORE_COMMIT);
    rc = mdb_txn_commit(txn);
    if (rc == 0)
        io_point(snapshot->io, POINT_AFTER_COMMIT);
    return rc;
}

/* LMDB does not write pages that it took from the end of the file and dropped again in the same
 * transaction; the file is then shorter than its meta page says. Make it as long: so that a file
 * that is shorter was cut. */
static enum wf_status extend_file(struct lmdb_snapshot *snapshot, bool *extended,
                                  struct wf_error *err) {
    MDB_envinfo info;
    uint64_t size = 0;
    int rc = mdb_env_info(snapshot->env, &info);
    enum wf_status status =
        rc == 0 ? lmdb_file_size(snapshot, &size, err) : lmdb_fail(snapshot, rc, "info", err);
    uint64_t wanted = ((uint64_t)info.me_last_pgno + 1) * snapshot->newest.pages.page_size;
    *extended = status == WF_OK && size < wanted;
    if (*extended && ftruncate(snapshot->fd, (off_t)wanted) != 0)
        return lmdb_fail(snapshot, errno, "extend", err);
    return status;
}

static enum wf_status fill_file(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    bool extended = false;
    enum wf_status status = extend_file(snapshot, &extended, err);
    if (extended && status == WF_OK && fdatasync(snapshot->fd) != 0)
        status = lmdb_fail(snapshot, errno, "extend", err);
    return status;
}

/* ---- growing ---- */

static uint64_t grown_size(const struct commit *commit) {
    uint64_t wanted = commit->snapshot->map_size * 2;
    uint64_t used = (commit->snapshot->newest.pages.last_page + 1) *
                    (uint64_t)commit->snapshot->newest.pages.page_size;
    while (wanted < used + COST_FACTOR * commit->bytes)
        wanted *= 2;
    return wanted;
}

/* LMDB's map may only change while no transaction of this process is active: so the pin is let go
 * meanwhile, which loses nothing, for the only writer is here. It comes back at the newest
 * generation. Our own map is made first: where the address space does not suffice, nothing has
 * changed yet. */
static enum wf_status grow(struct commit *commit, struct wf_error *err) {
    struct lmdb_snapshot *snapshot = commit->snapshot;
    uint64_t size = grown_size(commit);
    pthread_mutex_lock(&snapshot->lock);
    enum wf_status status = lmdb_map_file(snapshot, size, err);
    if (status == WF_OK) {
        snapshot->lmdb_map = NULL;
        mdb_txn_reset(snapshot->pin);
        int rc = mdb_env_set_mapsize(snapshot->env, size);
        status = rc == 0 ? lmdb_move_to_newest(snapshot, err)
                         : lmdb_fail(snapshot, rc, "grow the map", err);
        snapshot->broken = status != WF_OK;
    }
    pthread_mutex_unlock(&snapshot->lock);
    return status;
}

static enum wf_status write_growing(struct commit *commit, struct wf_error *err) {
    struct lmdb_snapshot *snapshot = commit->snapshot;
    int rc = write_generation(commit);
    for (unsigned i = 0; rc == MDB_MAP_FULL && i < GROW_TRIES_MAX; i++) {
        enum wf_status status = grow(commit, err);
        /* The views in `newest` point into the map that was. */
        if (status == WF_OK)
            status = prepare(commit, err);
        if (status != WF_OK)
            return status;
        rc = write_generation(commit);
    }
    return rc == 0 ? fill_file(snapshot, err) : lmdb_fail(snapshot, rc, "commit", err);
}

/* Space may have returned. LMDB takes no transaction any more where it was its meta page that found
 * the disk full; and it may have been a sync, which must not be asked of the same descriptor again:
 * so begin anew. */
static enum wf_status resume(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    bool extended;
    pthread_mutex_lock(&snapshot->lock);
    enum wf_status status = extend_file(snapshot, &extended, err);
    if (status == WF_OK)
        status = lmdb_reopen(snapshot, err);
    pthread_mutex_unlock(&snapshot->lock);
    snapshot->write_failed = status == WF_OK || status == WF_FULL ? status : WF_IO;
    return status;
}

static enum wf_status check_writable(struct lmdb_snapshot *snapshot, struct wf_error *err) {
    if (snapshot->read_only)
        return error_set(err, WF_USAGE, "snapshot %s: opened for reading only", snapshot->dir);
    if (snapshot->write_failed == WF_IO)
        return error_set(err, WF_IO, "snapshot %s: a write failed earlier; open the store again",
                         snapshot->dir);
    return snapshot->write_failed == WF_OK ? WF_OK : resume(snapshot, err);
}

enum wf_status lmdb_commit(struct snapshot *base, const struct snapshot_change *changes,
                           size_t count, const struct snapshot_meta *meta, struct wf_error *err) {
    struct lmdb_snapshot *snapshot = (struct lmdb_snapshot *)base;
    struct commit commit = {.snapshot = snapshot, .changes = changes, .count = count, .meta = meta};
    enum wf_status status = lmdb_enter(snapshot, err);
    if (status != WF_OK)
        return status;
    lmdb_leave(snapshot); /* readers go on; only growing the map shuts them out */
    status = check_writable(snapshot, err);
    if (status != WF_OK)
        return status;
    status = check_changes(&commit, err);
    if (status == WF_OK)
        status = prepare(&commit, err);
    if (status != WF_OK)
        return lmdb_wrap(snapshot, status, err);
    struct signal_guard guard;
    lmdb_hold_signal(&guard);
    status = write_growing(&commit, err);
    lmdb_release_signal(&guard);
    if (status == WF_IO || status == WF_FULL)
        snapshot->write_failed = status;
    return status;
}
