/* See snapshot_view.h, and FORMAT.md for the bytes. */
#include "store/snapshot_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    KIND_RECORD = 0x00, /* one key, this byte alone: it sorts before every pair */
    KIND_PAIR = 0x01,
    META_PAGES = 2,
};

static const char RECORD_MAGIC[6] = {'w', 'f', 's', 'n', 'a', 'p'};

/* ---- stored keys, values, the record ---- */

int snapshot_key_compare(struct bytes_view a, struct bytes_view b) {
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

void snapshot_stored_key_make(struct snapshot_stored_key *stored, struct bytes_view key) {
    stored->bytes[0] = KIND_PAIR;
    if (key.size > 0)
        memcpy(stored->bytes + 1, key.data, key.size);
    stored->size = key.size + 1;
}

struct bytes_view snapshot_record_key(void) {
    static const uint8_t key[1] = {KIND_RECORD};
    return (struct bytes_view){.data = key, .size = sizeof key};
}

uint32_t snapshot_pair_checksum(struct bytes_view stored_key, struct bytes_view value) {
    /* The size is covered too: else a byte moved from the key to the value would not show. */
    uint8_t size[2] = {(uint8_t)(stored_key.size & 0xff), (uint8_t)(stored_key.size >> 8)};
    uint32_t crc = crc32c(0, size, sizeof size);
    crc = crc32c(crc, stored_key.data, stored_key.size);
    return value.size == 0 ? crc : crc32c(crc, value.data, value.size);
}

size_t snapshot_record_encode(uint8_t *out, const struct snapshot_meta *meta,
                              const struct snapshot_totals *totals, uint64_t txn) {
    uint8_t *body = out + SNAPSHOT_CHECKSUM_BYTES;
    memcpy(body, RECORD_MAGIC, sizeof RECORD_MAGIC);
    body[6] = SNAPSHOT_FORMAT_VERSION;
    body[7] = 0;
    bytes_store_u64(body + 8, txn);
    bytes_store_u64(body + 16, meta->lsn);
    bytes_store_u64(body + 24, totals->entries);
    bytes_store_u64(body + 32, totals->checksum_sum);
    if (meta->size > 0)
        memcpy(body + SNAPSHOT_RECORD_HEAD_BYTES, meta->bytes, meta->size);
    struct bytes_view value = {.data = body, .size = SNAPSHOT_RECORD_HEAD_BYTES + meta->size};
    bytes_store_u32(out, snapshot_pair_checksum(snapshot_record_key(), value));
    return SNAPSHOT_CHECKSUM_BYTES + value.size;
}

/* Check a stored value and take its checksum off. */
static enum wf_status open_value(struct bytes_view stored_key, struct bytes_view stored,
                                 struct bytes_view *value, uint32_t *checksum,
                                 struct wf_error *err) {
    if (stored.size < SNAPSHOT_CHECKSUM_BYTES)
        return error_set(err, WF_DAMAGE, "a value is too short to hold its checksum");
    *checksum = bytes_load_u32(stored.data);
    *value = (struct bytes_view){.data = stored.data + SNAPSHOT_CHECKSUM_BYTES,
                                 .size = stored.size - SNAPSHOT_CHECKSUM_BYTES};
    if (snapshot_pair_checksum(stored_key, *value) != *checksum)
        return error_set(err, WF_DAMAGE, "a value's checksum does not match");
    return WF_OK;
}

static enum wf_status decode_record(struct snapshot_view *view, struct bytes_view value,
                                    struct wf_error *err) {
    if (value.size < SNAPSHOT_RECORD_HEAD_BYTES ||
        memcmp(value.data, RECORD_MAGIC, sizeof RECORD_MAGIC) != 0)
        return error_set(err, WF_DAMAGE, "not a snapshot of wf");
    unsigned version = (unsigned)(value.data[6] | value.data[7] << 8);
    if (version != SNAPSHOT_FORMAT_VERSION)
        return error_set(err, WF_DAMAGE, "snapshot format %u, only %d is known", version,
                         SNAPSHOT_FORMAT_VERSION);
    size_t size = value.size - SNAPSHOT_RECORD_HEAD_BYTES;
    if (size > SNAPSHOT_META_MAX)
        return error_set(err, WF_DAMAGE, "the record's header has %zu bytes", size);
    /* An older root, reached through a flipped bit, checks in itself; its transaction gives it
     * away. */
    if (bytes_load_u64(value.data + 8) != view->pages.txn)
        return error_set(err, WF_DAMAGE, "the record is of another transaction than its meta page");
    view->meta.lsn = bytes_load_u64(value.data + 16);
    view->totals.entries = bytes_load_u64(value.data + 24);
    view->totals.checksum_sum = bytes_load_u64(value.data + 32);
    memcpy(view->meta.bytes, value.data + SNAPSHOT_RECORD_HEAD_BYTES, size);
    view->meta.size = size;
    if (view->totals.entries != view->pages.main.entries - 1)
        return error_set(err, WF_DAMAGE, "the record counts %" PRIu64 " pairs, the file %" PRIu64,
                         view->totals.entries, view->pages.main.entries - 1);
    return WF_OK;
}

/* ---- loading a generation ---- */

/* Choose the meta page of `txn`, or the newest for 0. The first page tells the page size. */
static enum wf_status pick_meta(const uint8_t *map, uint64_t map_size, uint64_t file_size,
                                uint64_t txn, struct lmdb_meta *picked, struct wf_error *err) {
    uint64_t readable = map_size < file_size ? map_size : file_size;
    if (readable < LMDB_META_BYTES)
        return error_set(err, WF_DAMAGE, "the file is cut: %" PRIu64 " bytes", file_size);
    struct lmdb_meta metas[META_PAGES];
    enum wf_status status = lmdb_meta_parse(map, 0, &metas[0], err);
    if (status != WF_OK)
        return status;
    if (readable < META_PAGES * metas[0].page_size)
        return error_set(err, WF_DAMAGE, "the file is cut: %" PRIu64 " bytes", file_size);
    status = lmdb_meta_parse(map + metas[0].page_size, 1, &metas[1], err);
    if (status != WF_OK)
        return status;
    if (metas[0].page_size != metas[1].page_size)
        return error_set(err, WF_DAMAGE, "the meta pages disagree about the page size");
    uint64_t index = metas[1].txn > metas[0].txn ? 1 : 0;
    if (txn != 0)
        index = txn % META_PAGES;
    *picked = metas[index];
    if (txn != 0 && picked->txn != txn)
        return error_set(err, WF_NOT_FOUND, "the meta page of transaction %" PRIu64 " is gone",
                         txn);
    status = lmdb_meta_parse_roots(map + index * picked->page_size, picked, err);
    if (status != WF_OK)
        return status;
    if (file_size / picked->page_size <= picked->last_page)
        return error_set(err, WF_DAMAGE,
                         "the file is cut: %" PRIu64 " bytes, its last page is %" PRIu64, file_size,
                         picked->last_page);
    return WF_OK;
}

static enum wf_status load_record(struct snapshot_view *view, struct wf_error *err) {
    struct bytes_view value;
    enum wf_status status = snapshot_view_get(view, snapshot_record_key(), &value, err);
    if (status == WF_NOT_FOUND)
        return error_set(err, WF_DAMAGE, "the snapshot's record is missing");
    return status == WF_OK ? decode_record(view, value, err) : status;
}

enum wf_status snapshot_view_load(struct snapshot_view *view, const uint8_t *map, uint64_t map_size,
                                  uint64_t file_size, uint64_t txn, struct wf_error *err) {
    memset(view, 0, sizeof *view);
    enum wf_status status = pick_meta(map, map_size, file_size, txn, &view->pages, err);
    if (status != WF_OK)
        return status;
    uint64_t pages = view->pages.last_page + 1;
    if (pages > map_size / view->pages.page_size)
        return error_set(err, WF_DAMAGE, "the last page lies outside the map");
    view->tree = (struct lmdb_tree){
        .map = map, .page_size = view->pages.page_size, .pages = pages, .root = view->pages.main};
    view->free = view->tree;
    view->free.root = view->pages.free;
    view->free.integer_keys = true;
    view->empty = view->pages.main.depth == 0;
    return view->empty ? WF_OK : load_record(view, err);
}

/* ---- lookups ---- */

/* The bit of the cursor's leaf among those that were checked; NULL where that is not kept. */
static uint64_t *checked_word(const struct snapshot_view *view, const struct lmdb_cursor *cursor,
                              uint64_t *bit) {
    size_t offset = (size_t)(lmdb_cursor_leaf(cursor)->page - view->tree.map);
    uint64_t page = offset / view->tree.page_size;
    *bit = UINT64_C(1) << (page % 64);
    return view->checked == NULL ? NULL : &view->checked[page / 64];
}

/* Check the cursor's pages and every pair on its leaf, once in a generation. */
static enum wf_status check_leaf(const struct snapshot_view *view, const struct lmdb_cursor *cursor,
                                 struct wf_error *err) {
    uint64_t bit;
    uint64_t *checked = checked_word(view, cursor, &bit);
    if (checked != NULL && (*checked & bit) != 0)
        return WF_OK;
    enum wf_status status = lmdb_cursor_check(cursor, err);
    for (unsigned i = 0; status == WF_OK && i < lmdb_cursor_leaf(cursor)->count; i++) {
        struct bytes_view key;
        struct bytes_view value;
        uint32_t checksum;
        status = lmdb_cursor_pair(cursor, i, &key, &value, err);
        if (status == WF_OK)
            status = open_value(key, value, &value, &checksum, err);
    }
    if (status == WF_OK && checked != NULL)
        *checked |= bit;
    return status;
}

typedef enum wf_status (*move_fn)(struct lmdb_cursor *cursor, bool *moved, struct wf_error *err);

/* Check the leaf beside `cursor`, where there is one. A damaged separator shows there: a key lies
 * on the wrong side of it. */
static enum wf_status check_beside(const struct snapshot_view *view,
                                   const struct lmdb_cursor *cursor, move_fn move,
                                   struct wf_error *err) {
    struct lmdb_cursor beside = *cursor;
    bool moved;
    enum wf_status status = move(&beside, &moved, err);
    return status == WF_OK && moved ? check_leaf(view, &beside, err) : status;
}

/* Prove that no pair stands where `cursor` was sent to in vain. */
static enum wf_status prove_absent(const struct snapshot_view *view,
                                   const struct lmdb_cursor *cursor, struct wf_error *err) {
    const struct lmdb_level *leaf = lmdb_cursor_leaf(cursor);
    enum wf_status status = check_leaf(view, cursor, err);
    if (status == WF_OK && leaf->index == 0)
        status = check_beside(view, cursor, lmdb_cursor_previous_leaf, err);
    if (status == WF_OK && leaf->index == leaf->count)
        status = check_beside(view, cursor, lmdb_cursor_next_leaf, err);
    return status;
}

/* Find a stored key; `*cursor` stays at it, or where it would be on WF_NOT_FOUND. */
static enum wf_status find(const struct snapshot_view *view, struct bytes_view stored_key,
                           struct lmdb_cursor *cursor, struct bytes_view *value, uint32_t *checksum,
                           struct wf_error *err) {
    bool exact;
    enum wf_status status = lmdb_cursor_seek(cursor, &view->tree, stored_key, &exact, err);
    if (status != WF_OK)
        return status;
    if (!exact) {
        status = prove_absent(view, cursor, err);
        return status == WF_OK ? error_set(err, WF_NOT_FOUND, "no such key") : status;
    }
    struct bytes_view key;
    status = lmdb_cursor_pair(cursor, lmdb_cursor_leaf(cursor)->index, &key, value, err);
    return status == WF_OK ? open_value(key, *value, value, checksum, err) : status;
}

enum wf_status snapshot_view_get(const struct snapshot_view *view, struct bytes_view stored_key,
                                 struct bytes_view *value, struct wf_error *err) {
    if (view->empty)
        return error_set(err, WF_NOT_FOUND, "no such key");
    struct lmdb_cursor cursor;
    uint32_t checksum;
    return find(view, stored_key, &cursor, value, &checksum, err);
}

/* ---- walks ---- */

struct walk {
    struct bytes_view prefix; /* of the stored key */
    bool whole;               /* nothing was left out: the totals can be compared */
    bool ended;               /* a key behind the prefix was seen */
    struct snapshot_totals totals;
    snapshot_pair_fn on_pair;
    void *ctx;
};

static bool starts_with(struct bytes_view key, struct bytes_view prefix) {
    return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

static enum wf_status walk_leaf(struct walk *walk, const struct lmdb_cursor *cursor,
                                struct wf_error *err) {
    const struct lmdb_level *leaf = lmdb_cursor_leaf(cursor);
    for (unsigned i = leaf->index; i < leaf->count; i++) {
        struct bytes_view key;
        struct bytes_view value;
        uint32_t checksum;
        enum wf_status status = lmdb_cursor_pair(cursor, i, &key, &value, err);
        if (status == WF_OK)
            status = open_value(key, value, &value, &checksum, err);
        if (status != WF_OK)
            return status;
        if (!starts_with(key, walk->prefix)) {
            walk->ended = true;
            return WF_OK;
        }
        walk->totals.entries++;
        walk->totals.checksum_sum += checksum;
        key = (struct bytes_view){.data = key.data + 1, .size = key.size - 1};
        status = walk->on_pair(walk->ctx, key, value, err);
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

static enum wf_status walk_tree(const struct snapshot_view *view, struct walk *walk,
                                struct bytes_view start, struct wf_error *err) {
    struct lmdb_cursor cursor;
    bool more;
    enum wf_status status = lmdb_cursor_seek(&cursor, &view->tree, start, &more, err);
    if (status == WF_OK && lmdb_cursor_leaf(&cursor)->index == 0)
        status = check_beside(view, &cursor, lmdb_cursor_previous_leaf, err);
    for (more = true; status == WF_OK && more && !walk->ended;) {
        status = lmdb_cursor_check(&cursor, err);
        if (status == WF_OK)
            status = walk_leaf(walk, &cursor, err);
        if (status == WF_OK && !walk->ended)
            status = lmdb_cursor_next_leaf(&cursor, &more, err);
    }
    return status;
}

enum wf_status snapshot_view_walk(const struct snapshot_view *view, struct bytes_view from,
                                  struct bytes_view prefix, snapshot_pair_fn on_pair, void *ctx,
                                  struct wf_error *err) {
    if (view->empty)
        return WF_OK;
    struct snapshot_stored_key stored_from;
    struct snapshot_stored_key stored_prefix;
    snapshot_stored_key_make(&stored_from, from);
    snapshot_stored_key_make(&stored_prefix, prefix);
    struct walk walk = {.prefix = {.data = stored_prefix.bytes, .size = stored_prefix.size},
                        .whole = from.size == 0 && prefix.size == 0,
                        .on_pair = on_pair,
                        .ctx = ctx};
    struct bytes_view start = {.data = stored_from.bytes, .size = stored_from.size};
    enum wf_status status = walk_tree(view, &walk, start, err);
    if (status == WF_OK && walk.whole &&
        (walk.totals.entries != view->totals.entries ||
         walk.totals.checksum_sum != view->totals.checksum_sum))
        return error_set(err, WF_DAMAGE,
                         "%" PRIu64 " pairs were found where %" PRIu64 " were written",
                         walk.totals.entries, view->totals.entries);
    return status;
}

/* ---- preparing a commit ---- */

struct prepare {
    const struct snapshot_view *view;
    struct snapshot_stored_key last; /* of the generation */
    const uint8_t *checked_leaf;     /* checked with the way to it: neighbouring changes share it */
    struct snapshot_totals totals;
};

/* Check what LMDB reads to change the leaf under `cursor`; a removal may merge with the leaves
 * beside. */
static enum wf_status check_change(struct prepare *prepare, const struct lmdb_cursor *cursor,
                                   bool removal, struct wf_error *err) {
    const struct lmdb_level *leaf = lmdb_cursor_leaf(cursor);
    enum wf_status status = WF_OK;
    if (removal) {
        status = check_beside(prepare->view, cursor, lmdb_cursor_previous_leaf, err);
        if (status == WF_OK)
            status = check_beside(prepare->view, cursor, lmdb_cursor_next_leaf, err);
    }
    if (status == WF_OK && leaf->page != prepare->checked_leaf) {
        status = lmdb_cursor_check(cursor, err);
        prepare->checked_leaf = leaf->page;
    }
    return status;
}

static enum wf_status prepare_change(struct prepare *prepare, const struct snapshot_change *change,
                                     struct bytes_view stored_key, struct wf_error *err) {
    struct lmdb_cursor cursor;
    struct bytes_view old;
    uint32_t checksum = 0;
    bool removal = change->value.data == NULL;
    enum wf_status status = find(prepare->view, stored_key, &cursor, &old, &checksum, err);
    bool present = status == WF_OK;
    if (status != WF_OK && status != WF_NOT_FOUND)
        return status;
    if (removal && !present)
        return WF_OK;
    if (present) {
        prepare->totals.entries--;
        prepare->totals.checksum_sum -= checksum;
    }
    return check_change(prepare, &cursor, removal, err);
}

/* Check the way to the record and to the end of the tree, and keep the last key. */
static enum wf_status prepare_ends(struct prepare *prepare, struct wf_error *err) {
    struct lmdb_cursor cursor;
    struct bytes_view value;
    struct bytes_view key;
    enum wf_status status = lmdb_cursor_first(&cursor, &prepare->view->tree, err);
    if (status == WF_OK)
        status = lmdb_cursor_pair(&cursor, 0, &key, &value, err);
    if (status == WF_OK)
        status = check_leaf(prepare->view, &cursor, err);
    if (status == WF_OK)
        status = lmdb_cursor_last(&cursor, &prepare->view->tree, err);
    if (status == WF_OK)
        status = check_leaf(prepare->view, &cursor, err);
    if (status == WF_OK)
        status = lmdb_cursor_pair(&cursor, lmdb_cursor_leaf(&cursor)->index, &key, &value, err);
    if (status != WF_OK)
        return status;
    if (key.size > SNAPSHOT_STORED_KEY_MAX)
        return error_set(err, WF_DAMAGE, "a key of %zu bytes", key.size);
    memcpy(prepare->last.bytes, key.data, key.size);
    prepare->last.size = key.size;
    return WF_OK;
}

static enum wf_status prepare_all(const struct snapshot_view *view,
                                  const struct snapshot_change *changes, size_t count,
                                  struct snapshot_totals *totals, size_t *append_from,
                                  struct wf_error *err) {
    struct prepare prepare = {.view = view, .totals = view->totals};
    uint64_t free_pages;
    enum wf_status status = lmdb_free_check(&view->free, view->pages.last_page, &free_pages, err);
    if (status == WF_OK && !view->empty)
        status = prepare_ends(&prepare, err);
    if (status != WF_OK)
        return status;
    *append_from = count;
    for (size_t i = 0; i < count; i++) {
        struct snapshot_stored_key stored;
        snapshot_stored_key_make(&stored, changes[i].key);
        struct bytes_view key = {.data = stored.bytes, .size = stored.size};
        if (*append_from == count &&
            (view->empty || snapshot_key_compare(key, (struct bytes_view){prepare.last.bytes,
                                                                          prepare.last.size}) > 0))
            *append_from = i;
        if (i < *append_from)
            status = prepare_change(&prepare, &changes[i], key, err);
        if (status != WF_OK)
            return status;
        if (changes[i].value.data != NULL) {
            prepare.totals.entries++;
            prepare.totals.checksum_sum += snapshot_pair_checksum(key, changes[i].value);
        }
    }
    *totals = prepare.totals;
    return WF_OK;
}

enum wf_status snapshot_view_prepare(const struct snapshot_view *view,
                                     const struct snapshot_change *changes, size_t count,
                                     struct snapshot_totals *totals, size_t *append_from,
                                     struct wf_error *err) {
    /* Pairs that are new come by the hundred to a leaf: it is checked for the first of them only.
     * Without memory it is for each. */
    struct snapshot_view own = *view;
    own.checked = calloc(view->tree.pages / 64 + 1, sizeof(uint64_t));
    enum wf_status status = prepare_all(&own, changes, count, totals, append_from, err);
    free(own.checked);
    return status;
}
