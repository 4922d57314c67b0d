/* See lmdb_tree.h. The layout that is read here, facts of LMDB's data version 1 on a 64-bit
 * little-endian machine:
 *
 *   page    0 u64 its own number | 8 u16 - | 10 u16 flags | 12 u16 lower | 14 u16 upper | 16 u16[]
 * offsets nodes fill [upper, page size); lower is the end of the offsets, which are sorted by key
 *   node    branch: 0 u48 child page        | 6 u16 key size | 8 key
 *           leaf:   0 u32 size | 4 u16 flags | 6 u16 key size | 8 key | value, or u64 overflow
 * page; even length overflow page   12 u32 pages in the run | 16 the value meta    16 u32 magic |
 * 20 u32 version | 24 u64 - | 32 u64 map size | 40 free tree | 88 main tree | 136 u64 last page |
 * 144 u64 transaction tree    0 u32 page size (free tree only) | 4 u16 flags | 6 u16 depth | 8 u64
 * branch, 16 u64 leaf, 24 u64 overflow pages | 32 u64 entries | 40 u64 root page */
#include "store/lmdb_tree.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(sizeof(size_t) == 8,
               "LMDB's file layout follows the word size; 64 bits are assumed");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "LMDB's file layout follows the byte order");

enum {
    PAGE_HEADER_BYTES = 16,
    NODE_HEADER_BYTES = 8,
    FLAG_BRANCH = 0x01,
    FLAG_LEAF = 0x02,
    FLAG_OVERFLOW = 0x04,
    FLAG_META = 0x08,
    NODE_OVERFLOW = 0x01,
    DB_INTEGER_KEY = 0x08,
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 32768,
    FIRST_DATA_PAGE = 2,
};

static const uint32_t META_MAGIC = 0xBEEFC0DE;
static const uint32_t META_VERSION = 1;
static const uint64_t MAP_SIZE_MAX = (uint64_t)1 << 46; /* bytes; a mapping cannot be larger */
static const uint64_t NO_ROOT = UINT64_MAX;

static uint32_t load_u16(const uint8_t *at) {
    return (uint32_t)(at[0] | at[1] << 8);
}

static uint64_t page_number(const uint8_t *page) {
    return bytes_load_u64(page);
}

static enum wf_status page_damage(const uint8_t *page, struct wf_error *err, const char *what) {
    return error_set(err, WF_DAMAGE, "page %" PRIu64 ": %s", page_number(page), what);
}

/* ---- meta pages ---- */

static enum wf_status parse_root(const uint8_t *at, uint64_t last_page, struct lmdb_root *root,
                                 struct wf_error *err) {
    uint64_t branches = bytes_load_u64(at + 8);
    uint64_t leaves = bytes_load_u64(at + 16);
    uint64_t overflows = bytes_load_u64(at + 24);
    uint64_t page = bytes_load_u64(at + 40);
    root->depth = load_u16(at + 6);
    root->entries = bytes_load_u64(at + 32);
    root->page = page;
    root->pages = branches + leaves + overflows;
    if (root->depth > LMDB_DEPTH_MAX || branches > last_page || leaves > last_page ||
        overflows > last_page || root->pages > last_page)
        return error_set(err, WF_DAMAGE, "a tree's depth or page count is impossible");
    if (root->depth == 0) {
        if (page != NO_ROOT || root->entries != 0 || root->pages != 0)
            return error_set(err, WF_DAMAGE, "an empty tree has entries");
        return WF_OK;
    }
    if (page < FIRST_DATA_PAGE || page > last_page || root->entries == 0 || leaves == 0)
        return error_set(err, WF_DAMAGE, "a tree's root lies outside the file");
    return WF_OK;
}

static enum wf_status parse_meta(const uint8_t *page, uint64_t index, struct lmdb_meta *meta,
                                 struct wf_error *err) {
    if (page_number(page) != index || load_u16(page + 10) != FLAG_META ||
        bytes_load_u32(page + 16) != META_MAGIC)
        return error_set(err, WF_DAMAGE, "not a meta page of LMDB");
    if (bytes_load_u32(page + 20) != META_VERSION)
        return error_set(err, WF_DAMAGE, "LMDB's data version is %" PRIu32 ", %" PRIu32 " is known",
                         bytes_load_u32(page + 20), META_VERSION);
    meta->page_size = bytes_load_u32(page + 40);
    meta->map_size = bytes_load_u64(page + 32);
    meta->last_page = bytes_load_u64(page + 136);
    meta->txn = bytes_load_u64(page + 144);
    if (meta->page_size < PAGE_SIZE_MIN || meta->page_size > PAGE_SIZE_MAX ||
        (meta->page_size & (meta->page_size - 1)) != 0)
        return error_set(err, WF_DAMAGE, "a page size of %zu bytes", meta->page_size);
    if (meta->map_size > MAP_SIZE_MAX || meta->last_page < 1 ||
        meta->last_page >= MAP_SIZE_MAX / meta->page_size)
        return error_set(err, WF_DAMAGE, "an impossible map size or last page");
    if (meta->txn > 1 && meta->txn % 2 != index)
        return error_set(err, WF_DAMAGE, "transaction %" PRIu64 " on the wrong page", meta->txn);
    if (load_u16(page + 44) != DB_INTEGER_KEY || load_u16(page + 92) != 0)
        return error_set(err, WF_DAMAGE, "flags that are never set here");
    return WF_OK;
}

enum wf_status lmdb_meta_parse(const uint8_t *page, uint64_t index, struct lmdb_meta *meta,
                               struct wf_error *err) {
    enum wf_status status = parse_meta(page, index, meta, err);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "meta page %" PRIu64, index);
}

enum wf_status lmdb_meta_parse_roots(const uint8_t *page, struct lmdb_meta *meta,
                                     struct wf_error *err) {
    enum wf_status status = parse_root(page + 40, meta->last_page, &meta->free, err);
    if (status == WF_OK)
        status = parse_root(page + 88, meta->last_page, &meta->main, err);
    return status == WF_OK ? WF_OK
                           : error_wrap(err, status, "meta page %" PRIu64, page_number(page));
}

/* ---- pages and nodes ---- */

static enum wf_status page_load(const struct lmdb_tree *tree, uint64_t number, bool leaf,
                                struct lmdb_level *level, struct wf_error *err) {
    if (number < FIRST_DATA_PAGE || number >= tree->pages)
        return error_set(err, WF_DAMAGE, "page %" PRIu64 " is named but lies outside the file",
                         number);
    const uint8_t *page = tree->map + number * tree->page_size;
    if (page_number(page) != number)
        return error_set(err, WF_DAMAGE, "page %" PRIu64 ": numbered %" PRIu64, number,
                         page_number(page));
    uint32_t lower = load_u16(page + 12);
    uint32_t upper = load_u16(page + 14);
    if (load_u16(page + 10) != (leaf ? FLAG_LEAF : FLAG_BRANCH))
        return page_damage(page, err, leaf ? "not a leaf" : "not a branch");
    if (lower <= PAGE_HEADER_BYTES || lower % 2 != 0 || lower > upper || upper > tree->page_size)
        return page_damage(page, err, "bounds of its free space are impossible");
    level->page = page;
    level->count = (lower - PAGE_HEADER_BYTES) / 2;
    level->index = 0;
    return WF_OK;
}

/* One node, its offsets checked. */
struct node {
    struct bytes_view key;
    uint64_t child;         /* on a branch */
    const uint8_t *payload; /* on a leaf: the value, or the overflow page's number */
    uint32_t value_size;
    bool overflow;
    size_t size; /* bytes in the page */
};

static enum wf_status node_load(const struct lmdb_tree *tree, const struct lmdb_level *level,
                                unsigned index, bool leaf, struct node *node,
                                struct wf_error *err) {
    const uint8_t *page = level->page;
    size_t offset = load_u16(page + PAGE_HEADER_BYTES + 2 * (size_t)index);
    if (offset < load_u16(page + 14) || offset + NODE_HEADER_BYTES > tree->page_size)
        return page_damage(page, err, "a node lies outside its page");
    const uint8_t *at = page + offset;
    uint32_t low = bytes_load_u32(at);
    uint32_t flags = load_u16(at + 4);
    node->key = (struct bytes_view){.data = at + NODE_HEADER_BYTES, .size = load_u16(at + 6)};
    node->child = low | (uint64_t)flags << 32;
    node->value_size = low;
    node->overflow = leaf && flags == NODE_OVERFLOW;
    node->payload = node->key.data + node->key.size;
    if (leaf && flags > NODE_OVERFLOW)
        return page_damage(page, err, "a node has flags that are never set here");
    size_t payload_size = !leaf ? 0 : node->overflow ? sizeof(uint64_t) : node->value_size;
    size_t size = NODE_HEADER_BYTES + node->key.size + payload_size;
    node->size = size + size % 2;
    if (node->size > tree->page_size - offset)
        return page_damage(page, err, "a node reaches past its page");
    return WF_OK;
}

static enum wf_status overflow_load(const struct lmdb_tree *tree, const struct node *node,
                                    struct bytes_view *value, struct wf_error *err) {
    uint64_t number = bytes_load_u64(node->payload);
    uint64_t run = ((uint64_t)node->value_size + PAGE_HEADER_BYTES - 1) / tree->page_size + 1;
    if (number < FIRST_DATA_PAGE || number >= tree->pages || run > tree->pages - number)
        return error_set(err, WF_DAMAGE, "page %" PRIu64 " is named but lies outside the file",
                         number);
    const uint8_t *page = tree->map + number * tree->page_size;
    if (page_number(page) != number || load_u16(page + 10) != FLAG_OVERFLOW ||
        bytes_load_u32(page + 12) != run)
        return error_set(err, WF_DAMAGE, "page %" PRIu64 ": not the overflow page it should be",
                         number);
    *value = (struct bytes_view){.data = page + PAGE_HEADER_BYTES, .size = node->value_size};
    return WF_OK;
}

static int compare_bytes(struct bytes_view a, struct bytes_view b) {
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_keys(const struct lmdb_tree *tree, struct bytes_view a, struct bytes_view b) {
    if (!tree->integer_keys || a.size != sizeof(uint64_t) || b.size != sizeof(uint64_t))
        return compare_bytes(a, b);
    uint64_t left = bytes_load_u64(a.data);
    uint64_t right = bytes_load_u64(b.data);
    return (left > right) - (left < right);
}

/* ---- moving ---- */

static unsigned leaf_level(const struct lmdb_cursor *cursor) {
    return cursor->tree->root.depth - 1;
}

const struct lmdb_level *lmdb_cursor_leaf(const struct lmdb_cursor *cursor) {
    return &cursor->levels[leaf_level(cursor)];
}

/* Load the page that level `depth` - 1 points to (the root for 0) into level `depth`. */
static enum wf_status enter(struct lmdb_cursor *cursor, unsigned depth, struct wf_error *err) {
    const struct lmdb_tree *tree = cursor->tree;
    uint64_t number = tree->root.page;
    if (depth > 0) {
        const struct lmdb_level *parent = &cursor->levels[depth - 1];
        struct node node;
        enum wf_status status = node_load(tree, parent, parent->index, false, &node, err);
        if (status != WF_OK)
            return status;
        number = node.child;
    }
    return page_load(tree, number, depth == leaf_level(cursor), &cursor->levels[depth], err);
}

/* Place the index of one level: on a branch at the last key <= `key` (the first key is below all),
 * on the leaf at the first key >= `key`. */
static enum wf_status search_level(struct lmdb_cursor *cursor, unsigned depth,
                                   struct bytes_view key, bool *exact, struct wf_error *err) {
    struct lmdb_level *level = &cursor->levels[depth];
    bool leaf = depth == leaf_level(cursor);
    unsigned low = leaf ? 0 : 1;
    unsigned high = level->count;
    *exact = false;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        struct node node;
        enum wf_status status = node_load(cursor->tree, level, middle, leaf, &node, err);
        if (status != WF_OK)
            return status;
        int order = compare_keys(cursor->tree, node.key, key);
        if (order == 0) {
            *exact = leaf;
            level->index = middle;
            return WF_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    level->index = leaf ? low : low - 1;
    return WF_OK;
}

enum wf_status lmdb_cursor_seek(struct lmdb_cursor *cursor, const struct lmdb_tree *tree,
                                struct bytes_view key, bool *exact, struct wf_error *err) {
    cursor->tree = tree;
    enum wf_status status = WF_OK;
    for (unsigned depth = 0; depth < tree->root.depth && status == WF_OK; depth++) {
        status = enter(cursor, depth, err);
        if (status == WF_OK)
            status = search_level(cursor, depth, key, exact, err);
    }
    return status;
}

/* Load the levels from `depth` down to the leaf, at their first or last index. */
static enum wf_status descend(struct lmdb_cursor *cursor, unsigned depth, bool last,
                              struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (; depth < cursor->tree->root.depth && status == WF_OK; depth++) {
        status = enter(cursor, depth, err);
        if (status == WF_OK && last)
            cursor->levels[depth].index = cursor->levels[depth].count - 1;
    }
    return status;
}

enum wf_status lmdb_cursor_first(struct lmdb_cursor *cursor, const struct lmdb_tree *tree,
                                 struct wf_error *err) {
    cursor->tree = tree;
    return descend(cursor, 0, false, err);
}

enum wf_status lmdb_cursor_last(struct lmdb_cursor *cursor, const struct lmdb_tree *tree,
                                struct wf_error *err) {
    cursor->tree = tree;
    return descend(cursor, 0, true, err);
}

enum wf_status lmdb_cursor_next_leaf(struct lmdb_cursor *cursor, bool *moved,
                                     struct wf_error *err) {
    *moved = false;
    for (unsigned depth = leaf_level(cursor); depth > 0; depth--) {
        struct lmdb_level *parent = &cursor->levels[depth - 1];
        if (parent->index + 1 >= parent->count)
            continue;
        parent->index++;
        *moved = true;
        return descend(cursor, depth, false, err);
    }
    return WF_OK;
}

enum wf_status lmdb_cursor_previous_leaf(struct lmdb_cursor *cursor, bool *moved,
                                         struct wf_error *err) {
    *moved = false;
    for (unsigned depth = leaf_level(cursor); depth > 0; depth--) {
        struct lmdb_level *parent = &cursor->levels[depth - 1];
        if (parent->index == 0)
            continue;
        parent->index--;
        *moved = true;
        return descend(cursor, depth, true, err);
    }
    return WF_OK;
}

enum wf_status lmdb_cursor_pair(const struct lmdb_cursor *cursor, unsigned index,
                                struct bytes_view *key, struct bytes_view *value,
                                struct wf_error *err) {
    struct node node;
    enum wf_status status =
        node_load(cursor->tree, lmdb_cursor_leaf(cursor), index, true, &node, err);
    if (status != WF_OK)
        return status;
    *key = node.key;
    if (node.overflow)
        return overflow_load(cursor->tree, &node, value, err);
    *value = (struct bytes_view){.data = node.payload, .size = node.value_size};
    return WF_OK;
}

/* ---- checking ---- */

/* The keys that a page may hold: lower <= key < upper, where data is not NULL. */
struct range {
    struct bytes_view lower;
    struct bytes_view upper;
};

static enum wf_status check_level(const struct lmdb_cursor *cursor, unsigned depth,
                                  const struct range *range, struct wf_error *err) {
    const struct lmdb_tree *tree = cursor->tree;
    const struct lmdb_level *level = &cursor->levels[depth];
    bool leaf = depth == leaf_level(cursor);
    struct bytes_view before = {0};
    size_t used = 0;
    for (unsigned i = 0; i < level->count; i++) {
        struct node node;
        enum wf_status status = node_load(tree, level, i, leaf, &node, err);
        if (status != WF_OK)
            return status;
        used += node.size;
        if (!leaf && i == 0)
            continue; /* the first key of a branch counts as below all and may be empty */
        if (before.data != NULL && compare_keys(tree, before, node.key) >= 0)
            return page_damage(level->page, err, "keys do not ascend");
        if (before.data == NULL && range->lower.data != NULL &&
            compare_keys(tree, node.key, range->lower) < 0)
            return page_damage(level->page, err, "a key lies before the page's range");
        before = node.key;
    }
    if (before.data != NULL && range->upper.data != NULL &&
        compare_keys(tree, before, range->upper) >= 0)
        return page_damage(level->page, err, "a key lies behind the page's range");
    if (used != tree->page_size - load_u16(level->page + 14))
        return page_damage(level->page, err, "nodes do not fill the page");
    return WF_OK;
}

/* Narrow `range` to the child that a branch's index points to. Its nodes were checked. */
static enum wf_status narrow(const struct lmdb_cursor *cursor, unsigned depth, struct range *range,
                             struct wf_error *err) {
    const struct lmdb_level *level = &cursor->levels[depth];
    enum wf_status status = WF_OK;
    struct node node;
    if (level->index > 0) {
        status = node_load(cursor->tree, level, level->index, false, &node, err);
        range->lower = status == WF_OK ? node.key : range->lower;
    }
    if (status == WF_OK && level->index + 1 < level->count) {
        status = node_load(cursor->tree, level, level->index + 1, false, &node, err);
        range->upper = status == WF_OK ? node.key : range->upper;
    }
    return status;
}

enum wf_status lmdb_cursor_check(const struct lmdb_cursor *cursor, struct wf_error *err) {
    struct range range = {{0}, {0}};
    for (unsigned depth = 0; depth < cursor->tree->root.depth; depth++) {
        enum wf_status status = check_level(cursor, depth, &range, err);
        if (status == WF_OK && depth < leaf_level(cursor))
            status = narrow(cursor, depth, &range, err);
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

/* One record of free pages: a count, then that many page numbers, descending. */
static enum wf_status check_free_record(struct bytes_view value, uint64_t last_page,
                                        uint64_t *count, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(value.data, value.size);
    *count = bytes_read_u64(&reader);
    if (!bytes_reader_ok(&reader) || *count > bytes_reader_left(&reader) / sizeof(uint64_t))
        return error_set(err, WF_DAMAGE, "a list of free pages is cut");
    uint64_t bound = last_page + 1;
    for (uint64_t i = 0; i < *count; i++) {
        uint64_t number = bytes_read_u64(&reader);
        if (number < FIRST_DATA_PAGE || number >= bound)
            return error_set(err, WF_DAMAGE, "a list of free pages names page %" PRIu64, number);
        bound = number;
    }
    return WF_OK;
}

static enum wf_status check_free_leaf(const struct lmdb_cursor *cursor, uint64_t last_page,
                                      uint64_t *free_pages, struct wf_error *err) {
    enum wf_status status = lmdb_cursor_check(cursor, err);
    for (unsigned i = 0; status == WF_OK && i < lmdb_cursor_leaf(cursor)->count; i++) {
        struct bytes_view key;
        struct bytes_view value;
        uint64_t count = 0;
        status = lmdb_cursor_pair(cursor, i, &key, &value, err);
        if (status == WF_OK && key.size != sizeof(uint64_t))
            status = page_damage(lmdb_cursor_leaf(cursor)->page, err, "a key that is no number");
        if (status == WF_OK)
            status = check_free_record(value, last_page, &count, err);
        *free_pages += count;
    }
    return status;
}

enum wf_status lmdb_free_check(const struct lmdb_tree *tree, uint64_t last_page,
                               uint64_t *free_pages, struct wf_error *err) {
    struct lmdb_cursor cursor = {.tree = tree};
    bool more = tree->root.depth > 0;
    *free_pages = 0;
    enum wf_status status = more ? lmdb_cursor_first(&cursor, tree, err) : WF_OK;
    while (status == WF_OK && more) {
        status = check_free_leaf(&cursor, last_page, free_pages, err);
        if (status == WF_OK)
            status = lmdb_cursor_next_leaf(&cursor, &more, err);
    }
    return status == WF_OK ? WF_OK : error_wrap(err, status, "free pages");
}
