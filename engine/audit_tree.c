#include "engine/audit_tree.h"

#include "engine/hex.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum wf_status audit_tree_init(struct audit_tree *tree, struct wf_error *err) {
    *tree = (struct audit_tree){.hasher = wal_hasher_create()};
    return tree->hasher != NULL ? WF_OK
                                : error_set(err, WF_NO_MEMORY, "no memory for a Merkle tree");
}

void audit_tree_deinit(struct audit_tree *tree) {
    wal_hasher_destroy(tree->hasher);
    tree->hasher = NULL;
}

void audit_tree_want(struct audit_tree *tree, struct wal_proof *proof) {
    for (size_t i = 0; i < proof->count; i++) {
        size_t at = tree->node_count++;
        for (; at > 0 && tree->nodes[at - 1]->first > proof->nodes[i].first; at--) {
            tree->nodes[at] = tree->nodes[at - 1];
        }
        tree->nodes[at] = &proof->nodes[i];
    }
}

/* Hex digits in either case. */
static bool same_hash(const char *a, const char *b) {
    uint8_t left[WAL_HASH_SIZE];
    uint8_t right[WAL_HASH_SIZE];
    return hex_decode(a, left, sizeof(left)) && hex_decode(b, right, sizeof(right)) &&
           memcmp(left, right, sizeof(left)) == 0;
}

/* The end of the kept head's next peak: the largest power of two that is left of its size. */
static void next_peak(struct audit_tree *tree) {
    uint64_t left = tree->kept->size - tree->peak_end;
    if (tree->peak_at < tree->kept->peak_count && left > 0) {
        tree->peak_end += (uint64_t)1 << (63 - __builtin_clzll(left));
    } else {
        tree->peak_end = 0; /* no more */
    }
}

enum wf_status audit_tree_hold_against(struct audit_tree *tree, const struct wf_tree_head *kept,
                                       struct wf_error *err) {
    uint8_t root[WAL_HASH_SIZE];
    bool peaks_fit =
        kept->peak_count == 0 || kept->peak_count == (size_t)__builtin_popcountll(kept->size);
    if (kept->size == 0 || kept->size >> WAL_MERKLE_LEVELS != 0 || !peaks_fit ||
        !hex_decode(kept->root, root, sizeof(root))) {
        return error_set(err, WF_USAGE,
                         "the root that was kept is none: its size, root or peaks are impossible");
    }
    tree->kept = kept;
    tree->old_size = kept->size;
    next_peak(tree);
    return WF_OK;
}

/* As many records are there as the kept head had up to the end of a peak: then the smallest of the
 * perfect subtrees is that peak. */
static void compare_peak(struct audit_tree *tree) {
    unsigned level = (unsigned)__builtin_ctzll(tree->whole.count);
    char now[WF_HASH_HEX];
    hex_encode(tree->whole.node[level], WAL_HASH_SIZE, now);
    if (tree->bad_first == 0 && !same_hash(tree->kept->peaks[tree->peak_at], now)) {
        tree->bad_first = tree->whole.count - ((uint64_t)1 << level) + 1;
        tree->bad_last = tree->whole.count;
    }
    tree->peak_at++;
    next_peak(tree);
}

uint64_t audit_tree_boundary(const struct audit_tree *tree) {
    uint64_t count = tree->whole.count;
    uint64_t boundary = tree->old_size > count ? tree->old_size : UINT64_MAX;
    if (tree->peak_end > count && tree->peak_end < boundary) {
        boundary = tree->peak_end;
    }
    if (tree->node_at < tree->node_count) {
        const struct wal_subtree *node = tree->nodes[tree->node_at];
        uint64_t next = node->first > count ? node->first : node->end;
        boundary = next < boundary ? next : boundary;
    }
    return boundary;
}

/* The part of the wanted subtree that this belongs to, if any. */
static bool add_to_part(struct audit_tree *tree, unsigned level, const uint8_t *hash) {
    if (tree->node_at == tree->node_count) {
        return true;
    }
    struct wal_subtree *node = tree->nodes[tree->node_at];
    if (tree->whole.count < node->first) {
        return true;
    }
    if (!wal_frontier_add_subtree(&tree->part, tree->hasher, level, hash)) {
        return false;
    }
    if (node->first + tree->part.count == node->end) {
        if (!wal_frontier_root(&tree->part, tree->hasher, node->hash)) {
            return false;
        }
        tree->part.count = 0;
        tree->node_at++;
    }
    return true;
}

enum wf_status audit_tree_add(struct audit_tree *tree, unsigned level,
                              const uint8_t hash[WAL_HASH_SIZE], struct wf_error *err) {
    assert(((uint64_t)1 << level) <= audit_tree_boundary(tree) - tree->whole.count);
    if (!add_to_part(tree, level, hash) ||
        !wal_frontier_add_subtree(&tree->whole, tree->hasher, level, hash)) {
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    }
    if (tree->whole.count == tree->peak_end) {
        compare_peak(tree);
    }
    if (tree->whole.count == tree->old_size) {
        wal_frontier_copy(&tree->old, &tree->whole);
    }
    return WF_OK;
}

enum wf_status audit_tree_add_record(struct audit_tree *tree, const struct wal_record *record,
                                     struct wf_error *err) {
    uint8_t leaf[WAL_HASH_SIZE];
    assert(record->lsn == tree->whole.count + 1);
    if (record->leaf != NULL) {
        return audit_tree_add(tree, 0, record->leaf, err);
    }
    if (!wal_merkle_leaf(tree->hasher, record->lsn, record->payload, leaf)) {
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    }
    return audit_tree_add(tree, 0, leaf, err);
}

enum wf_status audit_tree_head(struct audit_tree *tree, const struct wal_frontier *frontier,
                               struct wf_tree_head *head, struct wf_error *err) {
    uint8_t root[WAL_HASH_SIZE];
    if (!wal_frontier_root(frontier, tree->hasher, root)) {
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    }
    *head = (struct wf_tree_head){.size = frontier->count};
    hex_encode(root, sizeof(root), head->root);
    for (unsigned level = WAL_MERKLE_LEVELS; level-- > 0;) {
        if ((frontier->count >> level & 1) != 0) {
            hex_encode(frontier->node[level], WAL_HASH_SIZE, head->peaks[head->peak_count++]);
        }
    }
    return WF_OK;
}

enum wf_status audit_tree_judge(struct audit_tree *tree, uint64_t *first_bad,
                                struct wf_error *err) {
    const struct wf_tree_head *kept = tree->kept;
    struct wf_tree_head then = {.size = 0};
    if (tree->bad_first == 0 && tree->old.count > 0) {
        enum wf_status status = audit_tree_head(tree, &tree->old, &then, err);
        if (status != WF_OK) {
            return status;
        }
        if (!same_hash(kept->root, then.root)) {
            tree->bad_first = 1;
            tree->bad_last = kept->size;
        }
    }
    if (tree->bad_first == 0) {
        return WF_OK;
    }
    *first_bad = tree->bad_first;
    return error_set(err, WF_DAMAGE,
                     "LSN %" PRIu64 ": the past was rewritten: the records up to LSN %" PRIu64
                     " are not those of the root that was kept; the first difference is among LSN "
                     "%" PRIu64 " to %" PRIu64,
                     tree->bad_first, kept->size, tree->bad_first, tree->bad_last);
}
