/* Reads the trail's records into the one Merkle tree over all of them (wal/proof.h), and notes on
 * the way what proofs need: the hashes of subtrees, and the tree as it was at an earlier size. */
#ifndef ENGINE_AUDIT_TREE_H
#define ENGINE_AUDIT_TREE_H

#include "engine/wf.h"
#include "store/archive.h"
#include "wal/proof.h"

struct audit_tree {
    struct wal_hasher *hasher;
    struct wal_frontier whole;                      /* all leaves so far */
    struct wal_frontier part;                       /* those of nodes[node_at] so far */
    struct wal_subtree *nodes[WAL_PROOF_NODES_MAX]; /* wanted, ascending; borrowed */
    size_t node_count, node_at;
    uint64_t old_size;       /* the earlier size that is wanted; 0: none */
    struct wal_frontier old; /* the tree then; count 0: not reached yet */

    const struct wf_tree_head *kept; /* to be held against; NULL: nothing. Borrowed */
    size_t peak_at;                  /* the next of its peaks … */
    uint64_t peak_end;               /* … and where that ends */
    uint64_t bad_first, bad_last;    /* the first subtree that differs; 0: none so far */
};

/* WF_NO_MEMORY. */
enum wf_status audit_tree_init(struct audit_tree *tree, struct wf_error *err);
void audit_tree_deinit(struct audit_tree *tree);
/* Want the hashes of the proof's subtrees, written into it as they become known. Once, first. */
void audit_tree_want(struct audit_tree *tree, struct wal_proof *proof);
/* Hold what comes against a head that was kept, peak by peak; its size becomes the old one. Once,
 * first. WF_USAGE: it is no head. */
enum wf_status audit_tree_hold_against(struct audit_tree *tree, const struct wf_tree_head *kept,
                                       struct wf_error *err);
/* Add a perfect subtree of 2^level leaves behind what is there; level 0: one leaf. No wanted
 * boundary may lie inside it. */
enum wf_status audit_tree_add(struct audit_tree *tree, unsigned level,
                              const uint8_t hash[WAL_HASH_SIZE], struct wf_error *err);
/* Add the next record. */
enum wf_status audit_tree_add_record(struct audit_tree *tree, const struct wal_record *record,
                                     struct wf_error *err);
/* Add what is archived behind what is there, up to LSN `end`, by its hashes where that is possible.
 */
enum wf_status audit_tree_add_archived(struct audit_tree *tree, struct archive *archive,
                                       uint64_t end, struct wf_error *err);
/* The first wanted boundary behind what is there; UINT64_MAX: none. */
uint64_t audit_tree_boundary(const struct audit_tree *tree);

/* Size, root and peaks of a tree. Store and time are left to the caller. */
enum wf_status audit_tree_head(struct audit_tree *tree, const struct wal_frontier *frontier,
                               struct wf_tree_head *head, struct wf_error *err);
/* What holding against the kept head came to, as far as the records went. WF_DAMAGE: they differ;
 * the text names the LSNs, as narrowly as the peaks tell, and `first_bad` is the first of them. */
enum wf_status audit_tree_judge(struct audit_tree *tree, uint64_t *first_bad, struct wf_error *err);

#endif
