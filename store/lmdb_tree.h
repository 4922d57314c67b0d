/* Reads the pages of an LMDB data file (data version 1, 64-bit, little-endian) with every offset
 * checked, so that a corrupt page is an answer and not a crash. LMDB itself trusts its pages; so
 * lookups go through here, and a path is checked here before LMDB is let onto it. Knows the B+tree,
 * not what the pairs mean. Writes nothing.
 *
 * All functions return WF_DAMAGE, naming the page, where the bytes cannot be what LMDB wrote. */
#ifndef STORE_LMDB_TREE_H
#define STORE_LMDB_TREE_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    LMDB_META_BYTES = 152, /* of a meta page, from its start */
    LMDB_DEPTH_MAX = 16,   /* levels; 2^48 pages need fewer */
};

/* Where one of the two trees of a file starts. */
struct lmdb_root {
    uint64_t page; /* meaningless where depth is 0: the tree is empty */
    uint64_t entries;
    uint64_t pages; /* branch, leaf and overflow pages */
    unsigned depth;
};

/* One of the two meta pages. */
struct lmdb_meta {
    size_t page_size;  /* bytes */
    uint64_t map_size; /* bytes */
    uint64_t last_page;
    uint64_t txn;          /* the transaction that wrote it; it lies on page txn % 2 */
    struct lmdb_root free; /* the pages that may be used again */
    struct lmdb_root main; /* the pairs */
};

/* Decode meta page `index` (0 or 1) from its first LMDB_META_BYTES bytes, but for the roots. */
enum wf_status lmdb_meta_parse(const uint8_t *page, uint64_t index, struct lmdb_meta *meta,
                               struct wf_error *err);
/* Decode the roots of the same page; for the generation that is going to be used. The other page's
 * need not fit: where LMDB failed to write a meta page, it puts back its last page and transaction,
 * and leaves the roots of the generation that failed. */
enum wf_status lmdb_meta_parse_roots(const uint8_t *page, struct lmdb_meta *meta,
                                     struct wf_error *err);

/* A tree in mapped memory. Borrows the map. */
struct lmdb_tree {
    const uint8_t *map;
    size_t page_size;
    uint64_t pages; /* that may be read: no more than the file has */
    struct lmdb_root root;
    bool integer_keys; /* keys are native uint64_t (the tree of free pages), otherwise bytes */
};

/* A place in a tree: a page and an index per level, the root first. On the leaf the index may be
 * one past the last pair. */
struct lmdb_cursor {
    const struct lmdb_tree *tree;
    struct lmdb_level {
        const uint8_t *page;
        unsigned index;
        unsigned count;
    } levels[LMDB_DEPTH_MAX];
};

/* Go to the first pair whose key is >= `key` on the leaf where `key` belongs; `*exact` tells
 * whether it is equal. The tree must not be empty. */
enum wf_status lmdb_cursor_seek(struct lmdb_cursor *cursor, const struct lmdb_tree *tree,
                                struct bytes_view key, bool *exact, struct wf_error *err);
/* Go to the first or the last pair of a tree that is not empty. */
enum wf_status lmdb_cursor_first(struct lmdb_cursor *cursor, const struct lmdb_tree *tree,
                                 struct wf_error *err);
enum wf_status lmdb_cursor_last(struct lmdb_cursor *cursor, const struct lmdb_tree *tree,
                                struct wf_error *err);
/* Go to the first pair of the next leaf, or the last pair of the leaf before. `*moved` is false,
 * and the cursor unusable, where there is none. */
enum wf_status lmdb_cursor_next_leaf(struct lmdb_cursor *cursor, bool *moved, struct wf_error *err);
enum wf_status lmdb_cursor_previous_leaf(struct lmdb_cursor *cursor, bool *moved,
                                         struct wf_error *err);

const struct lmdb_level *lmdb_cursor_leaf(const struct lmdb_cursor *cursor);
/* The pair at `index` on the cursor's leaf; index < count. Views into the map. */
enum wf_status lmdb_cursor_pair(const struct lmdb_cursor *cursor, unsigned index,
                                struct bytes_view *key, struct bytes_view *value,
                                struct wf_error *err);
/* Check the pages from the root to the leaf whole: nodes fill their page without gap or overlap,
 * keys ascend, and each page's keys lie between the separators that lead to it. */
enum wf_status lmdb_cursor_check(const struct lmdb_cursor *cursor, struct wf_error *err);

/* Check the tree of free pages: every number in it is a page of the file that may be free. */
enum wf_status lmdb_free_check(const struct lmdb_tree *tree, uint64_t last_page,
                               uint64_t *free_pages, struct wf_error *err);

#endif
