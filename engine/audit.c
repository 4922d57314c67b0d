/* The audit trail: tree heads and proofs. */
#include "engine/engine.h"

#include "engine/audit_tree.h"
#include "engine/event_out.h"
#include "engine/hex.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- reading the records into the tree --- */

static uint64_t next_boundary(void *ctx) {
    return audit_tree_boundary(ctx);
}

static enum wf_status add_subtree(void *ctx, unsigned level, const uint8_t hash[WAL_HASH_SIZE],
                                  struct wf_error *err) {
    return audit_tree_add(ctx, level, hash, err);
}

enum wf_status audit_tree_add_archived(struct audit_tree *tree, struct archive *archive,
                                       uint64_t end, struct wf_error *err) {
    const struct archive_tree sink = {.ctx = tree, .boundary = next_boundary, .add = add_subtree};
    return archive_hash(archive, tree->whole.count, end, &sink, err);
}

static enum wf_status walk_record(void *ctx, const struct wal_record *record,
                                  struct wf_error *err) {
    return audit_tree_add_record(ctx, record, err);
}

/* The tree of the records up to `size`: what is archived by its hashes. */
static enum wf_status build_tree(struct wf_engine *engine, struct audit_tree *tree, uint64_t size,
                                 struct wf_error *err) {
    uint64_t archived = engine->archive == NULL ? 0 : archive_last_lsn(engine->archive);
    archived = archived < size ? archived : size;
    if (archived == 0 && wal_first_lsn(engine->wal) > 1) {
        return engine_missing(engine, 1, "the root cannot be computed", err);
    }
    enum wf_status status =
        archived == 0 ? WF_OK : audit_tree_add_archived(tree, engine->archive, archived, err);
    return status == WF_OK ? wal_walk(engine->wal, archived + 1, size, walk_record, tree, err)
                           : status;
}

static enum wf_status keep_payload(void *ctx, const struct wal_record *record,
                                   struct wf_error *err) {
    struct wf_proof *proof = ctx;
    if (record->lost) {
        return WF_OK;
    }
    uint8_t *copy = malloc(record->payload.size);
    if (copy == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a record");
    }
    memcpy(copy, record->payload.data, record->payload.size);
    proof->payload = copy;
    proof->payload_size = record->payload.size;
    return WF_OK;
}

/* How many records are durable; `wanted` of them where that is not 0. */
static enum wf_status settle_size(struct wf_engine *engine, uint64_t wanted, uint64_t *size,
                                  struct wf_error *err) {
    /* So that what was enqueued is there too. Where it fails, what is durable counts. */
    (void)wf_sync(engine, NULL);
    uint64_t durable = wal_durable_lsn(engine->wal);
    *size = wanted == 0 ? durable : wanted;
    return *size <= durable ? WF_OK
                            : error_set(err, WF_NOT_FOUND,
                                        "there is no LSN %" PRIu64 ": the log ends at LSN %" PRIu64,
                                        wanted, durable);
}

static void name_store(struct wf_engine *engine, char store[WF_STORE_HEX]) {
    hex_encode(wal_store_id(engine->wal), WAL_STORE_ID_SIZE, store);
}

enum wf_status wf_audit_root(struct wf_engine *engine, uint64_t lsn, struct wf_tree_head *head,
                             struct wf_error *err) {
    struct audit_tree tree;
    uint64_t size = 0;
    enum wf_status status = settle_size(engine, lsn, &size, err);
    if (status == WF_OK) {
        status = audit_tree_init(&tree, err);
    }
    if (status != WF_OK) {
        return status;
    }
    status = build_tree(engine, &tree, size, err);
    if (status == WF_OK) {
        status = audit_tree_head(&tree, &tree.whole, head, err);
    }
    audit_tree_deinit(&tree);
    if (status == WF_OK) {
        name_store(engine, head->store);
        head->time_ms = engine->io->ops->time_ms(engine->io);
    }
    return status;
}

/* --- making proofs --- */

/* Build the tree and fill in what both kinds of proof have. */
static enum wf_status finish_proof(struct wf_engine *engine, struct audit_tree *tree,
                                   struct wf_proof *proof, struct wal_proof *path, uint64_t size,
                                   struct wf_error *err) {
    struct wf_tree_head head;
    audit_tree_want(tree, path);
    enum wf_status status = build_tree(engine, tree, size, err);
    if (status == WF_OK) {
        status = audit_tree_head(tree, &tree->whole, &head, err);
    }
    if (status != WF_OK) {
        return status;
    }
    name_store(engine, proof->store);
    proof->size = size;
    memcpy(proof->root, head.root, sizeof(proof->root));
    proof->path_count = path->count;
    for (size_t i = 0; i < path->count; i++) {
        hex_encode(path->nodes[i].hash, WAL_HASH_SIZE, proof->path[i]);
    }
    return WF_OK;
}

enum wf_status wf_audit_prove(struct wf_engine *engine, uint64_t lsn, uint64_t size,
                              struct wf_proof *proof, struct wf_error *err) {
    *proof = (struct wf_proof){.lsn = lsn};
    enum wf_status status = settle_size(engine, size, &size, err);
    if (status == WF_OK && (lsn == 0 || lsn > size)) {
        status =
            error_set(err, WF_NOT_FOUND,
                      "there is no LSN %" PRIu64 " in a tree of %" PRIu64 " records", lsn, size);
    }
    struct audit_tree tree;
    if (status == WF_OK) {
        status = audit_tree_init(&tree, err);
    }
    if (status != WF_OK) {
        return status;
    }
    struct wal_proof path;
    wal_proof_of_inclusion(lsn - 1, size, &path);
    status = finish_proof(engine, &tree, proof, &path, size, err);
    if (status == WF_OK) {
        status = wal_walk(engine->wal, lsn, lsn, keep_payload, proof, err);
    }
    audit_tree_deinit(&tree);
    if (status != WF_OK) {
        wf_proof_deinit(proof);
    }
    return status;
}

/* Is it a head of this store, and not of a longer log? */
static enum wf_status check_old_head(struct wf_engine *engine, const struct wf_tree_head *old,
                                     uint64_t size, struct wf_error *err) {
    char store[WF_STORE_HEX];
    name_store(engine, store);
    if (old->store[0] != '\0' && strcmp(old->store, store) != 0) {
        return error_set(err, WF_DAMAGE, "the root that was kept is of store %s, this is store %s",
                         old->store, store);
    }
    if (old->size == 0) {
        return error_set(err, WF_USAGE, "a tree of no records proves nothing");
    }
    if (old->size > size) {
        return error_set(err, WF_DAMAGE,
                         "LSN %" PRIu64 ": the log ends at LSN %" PRIu64
                         ", but the root that was kept stands for the records up to LSN %" PRIu64,
                         size + 1, size, old->size);
    }
    return WF_OK;
}

static enum wf_status prove_consistency(struct wf_engine *engine, const struct wf_tree_head *old,
                                        struct audit_tree *tree, struct wf_proof *proof,
                                        uint64_t size, struct wf_error *err) {
    struct wal_proof path;
    uint64_t first_bad = 0;
    enum wf_status status = audit_tree_hold_against(tree, old, err);
    if (status == WF_OK) {
        wal_proof_of_consistency(old->size, size, &path);
        status = finish_proof(engine, tree, proof, &path, size, err);
    }
    if (status == WF_OK) {
        status = audit_tree_judge(tree, &first_bad, err);
    }
    if (status == WF_OK) {
        proof->old_size = old->size;
        memcpy(proof->old_root, old->root, sizeof(proof->old_root));
    }
    return status;
}

enum wf_status wf_audit_prove_consistency(struct wf_engine *engine, const struct wf_tree_head *old,
                                          struct wf_proof *proof, struct wf_error *err) {
    *proof = (struct wf_proof){0};
    uint64_t size = 0;
    enum wf_status status = settle_size(engine, 0, &size, err);
    if (status == WF_OK) {
        status = check_old_head(engine, old, size, err);
    }
    struct audit_tree tree;
    if (status == WF_OK) {
        status = audit_tree_init(&tree, err);
    }
    if (status != WF_OK) {
        return status;
    }
    status = prove_consistency(engine, old, &tree, proof, size, err);
    audit_tree_deinit(&tree);
    return status;
}

void wf_proof_deinit(struct wf_proof *proof) {
    free((void *)(uintptr_t)proof->payload);
    proof->payload = NULL;
}

/* --- checking proofs --- */

struct checked_proof {
    struct wal_hasher *hasher;
    uint8_t root[WAL_HASH_SIZE];
    uint8_t old_root[WAL_HASH_SIZE];
    uint8_t trusted[WAL_HASH_SIZE];
    uint8_t path[WF_PROOF_PATH_MAX][WAL_HASH_SIZE];
};

static enum wf_status decode_proof(const struct wf_proof *proof, const char *trusted,
                                   struct checked_proof *checked, struct wf_error *err) {
    bool ok = proof->path_count <= WF_PROOF_PATH_MAX && proof->size >> WAL_MERKLE_LEVELS == 0 &&
              hex_decode(proof->root, checked->root, WAL_HASH_SIZE) &&
              (proof->lsn != 0 || hex_decode(proof->old_root, checked->old_root, WAL_HASH_SIZE));
    for (size_t i = 0; ok && i < proof->path_count; i++) {
        ok = hex_decode(proof->path[i], checked->path[i], WAL_HASH_SIZE);
    }
    if (!ok) {
        return error_set(err, WF_USAGE, "this is no proof: a hash is not %d bytes in hex",
                         WAL_HASH_SIZE);
    }
    if (!hex_decode(trusted, checked->trusted, WAL_HASH_SIZE)) {
        return error_set(err, WF_USAGE, "the root to check against is not %d bytes in hex",
                         WAL_HASH_SIZE);
    }
    return WF_OK;
}

static enum wf_status check_inclusion(const struct wf_proof *proof,
                                      const struct checked_proof *checked, struct wf_error *err) {
    uint8_t leaf[WAL_HASH_SIZE];
    struct bytes_view payload = {proof->payload, proof->payload_size};
    if (memcmp(checked->root, checked->trusted, WAL_HASH_SIZE) != 0) {
        return error_set(err, WF_DAMAGE, "LSN %" PRIu64 ": the proof is for another root",
                         proof->lsn);
    }
    if (!wal_merkle_leaf(checked->hasher, proof->lsn, payload, leaf)) {
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    }
    if (!wal_proof_check_inclusion(checked->hasher, leaf, proof->lsn - 1, proof->size,
                                   checked->path, proof->path_count, checked->root)) {
        return error_set(err, WF_DAMAGE,
                         "LSN %" PRIu64 ": the record is not the one that the root stands for",
                         proof->lsn);
    }
    return WF_OK;
}

static enum wf_status check_consistency(const struct wf_proof *proof,
                                        const struct checked_proof *checked, struct wf_error *err) {
    if (memcmp(checked->root, checked->trusted, WAL_HASH_SIZE) != 0 &&
        memcmp(checked->old_root, checked->trusted, WAL_HASH_SIZE) != 0) {
        return error_set(err, WF_DAMAGE, "the proof is for other roots");
    }
    if (!wal_proof_check_consistency(checked->hasher, proof->old_size, checked->old_root,
                                     proof->size, checked->root, checked->path,
                                     proof->path_count)) {
        return error_set(err, WF_DAMAGE,
                         "the records up to LSN %" PRIu64 " are not the beginning of those up to "
                         "LSN %" PRIu64,
                         proof->old_size, proof->size);
    }
    return WF_OK;
}

enum wf_status wf_audit_check(const struct wf_proof *proof, const char *root, uint64_t size,
                              struct wf_error *err) {
    struct checked_proof checked = {.hasher = wal_hasher_create()};
    if (checked.hasher == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to check a proof");
    }
    enum wf_status status = decode_proof(proof, root, &checked, err);
    if (status == WF_OK && size != 0 && size != proof->size &&
        (proof->lsn != 0 || size != proof->old_size)) {
        status = error_set(err, WF_DAMAGE,
                           "the root stands for %" PRIu64 " records, the proof is about %" PRIu64,
                           size, proof->size);
    }
    if (status == WF_OK) {
        status = proof->lsn != 0 ? check_inclusion(proof, &checked, err)
                                 : check_consistency(proof, &checked, err);
    }
    wal_hasher_destroy(checked.hasher);
    return status;
}

enum wf_status wf_record_show(uint64_t lsn, const uint8_t *payload, size_t payload_size,
                              wf_event_fn on_event, void *ctx, struct wf_error *err) {
    struct codec_arena arena;
    struct record record;
    bool more = true;
    if (payload == NULL) {
        (void)event_out_lost(lsn, on_event, ctx);
        return WF_OK;
    }
    codec_arena_init(&arena);
    enum wf_status status =
        codec_decode(&arena, (struct bytes_view){payload, payload_size}, &record, err);
    if (status == WF_OK) {
        record.lsn = lsn;
        status = event_out_record(&arena, &record, NULL, false, on_event, ctx, &more, err);
        codec_release(&record);
    }
    codec_arena_deinit(&arena);
    return status;
}
