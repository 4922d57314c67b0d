/* One generation of a snapshot, read from the mapped bytes of an LMDB file: the record about it,
 * lookups, walks. Knows the format of store/FORMAT.md; does not call LMDB, owns neither map nor
 * lock, writes nothing. */
#ifndef STORE_SNAPSHOT_VIEW_H
#define STORE_SNAPSHOT_VIEW_H

#include "store/lmdb_tree.h"
#include "store/snapshot.h"

enum {
    SNAPSHOT_FORMAT_VERSION = 1,
    SNAPSHOT_CHECKSUM_BYTES = 4,                    /* in front of each stored value */
    SNAPSHOT_STORED_KEY_MAX = SNAPSHOT_KEY_MAX + 1, /* bytes, with the leading kind */
    SNAPSHOT_RECORD_HEAD_BYTES = 40,                /* of the record before the caller's bytes */
    SNAPSHOT_VALUE_MAX = 1 << 30,                   /* bytes of a caller's value */
    SNAPSHOT_RECORD_MAX = SNAPSHOT_CHECKSUM_BYTES + SNAPSHOT_RECORD_HEAD_BYTES + SNAPSHOT_META_MAX,
};

/* What the generation says about itself, beside the caller's meta. */
struct snapshot_totals {
    uint64_t entries;      /* pairs */
    uint64_t checksum_sum; /* of the checksums of all pairs, modulo 2^64 */
};

struct snapshot_view {
    struct lmdb_meta pages;
    struct lmdb_tree tree;
    struct lmdb_tree free;
    bool empty; /* nothing was committed yet; `meta` and `totals` are zero */
    struct snapshot_meta meta;
    struct snapshot_totals totals;
    /* A bit for each page of the file: leaves that lookups in vain have checked already. The owner
     * of the view gives and frees it; NULL: each lookup checks anew. */
    uint64_t *checked;
};

/* A key as it is stored: the kind, then the caller's key. */
struct snapshot_stored_key {
    uint8_t bytes[SNAPSHOT_STORED_KEY_MAX];
    size_t size;
};

/* Byte order; a key sorts before what it is a prefix of. */
int snapshot_key_compare(struct bytes_view a, struct bytes_view b);
/* The stored form of a caller's key; size at most SNAPSHOT_KEY_MAX. */
void snapshot_stored_key_make(struct snapshot_stored_key *stored, struct bytes_view key);
/* The stored key of the record about the generation. */
struct bytes_view snapshot_record_key(void);
/* The checksum of a stored pair: CRC32C over the stored key's size (u16), the stored key and the
 * value. */
uint32_t snapshot_pair_checksum(struct bytes_view stored_key, struct bytes_view value);
/* Write the record's stored value into `out` (SNAPSHOT_RECORD_MAX bytes); returns its size. */
size_t snapshot_record_encode(uint8_t *out, const struct snapshot_meta *meta,
                              const struct snapshot_totals *totals, uint64_t txn);

/* Read and check the generation that the meta page of `txn` starts, or with txn 0 the newest, from
 * the map of a file of `file_size` bytes. `map_size` bounds what may be touched. WF_DAMAGE, and
 * WF_NOT_FOUND where that generation's meta page has been overwritten since. */
enum wf_status snapshot_view_load(struct snapshot_view *view, const uint8_t *map, uint64_t map_size,
                                  uint64_t file_size, uint64_t txn, struct wf_error *err);

/* The value of a stored key, its checksum verified; a view into the map. WF_NOT_FOUND only where
 * the neighbours prove that no corruption on the way hides it. */
enum wf_status snapshot_view_get(const struct snapshot_view *view, struct bytes_view stored_key,
                                 struct bytes_view *value, struct wf_error *err);
/* As snapshot_ops.walk. A walk over everything compares the totals too. */
enum wf_status snapshot_view_walk(const struct snapshot_view *view, struct bytes_view from,
                                  struct bytes_view prefix, snapshot_pair_fn on_pair, void *ctx,
                                  struct wf_error *err);
/* Before LMDB writes `changes` onto this generation: check every page that it will read on the way,
 * and work out the totals of the next generation. `*append_from` is the first change whose key is
 * behind all stored ones. */
enum wf_status snapshot_view_prepare(const struct snapshot_view *view,
                                     const struct snapshot_change *changes, size_t count,
                                     struct snapshot_totals *totals, size_t *append_from,
                                     struct wf_error *err);

#endif
