/* The whole trail checked: every byte of it, and its Merkle tree against a root that was kept. */
#include "engine/engine.h"

#include "engine/audit_tree.h"
#include "engine/damage.h"
#include "engine/hex.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Is the trail of another store, or does it end before the kept root? */
static enum wf_status judge_extent(const struct wf_tree_head *old, const struct wf_tree_head *head,
                                   uint64_t *first_bad, struct wf_error *err) {
    if (old->store[0] != '\0' && strcmp(old->store, head->store) != 0) {
        *first_bad = 1;
        return error_set(err, WF_DAMAGE,
                         "LSN 1: the root that was kept is of store %s, this is store %s",
                         old->store, head->store);
    }
    if (old->size > head->size) {
        *first_bad = head->size + 1;
        return error_set(err, WF_DAMAGE,
                         "LSN %" PRIu64 ": the log ends at LSN %" PRIu64
                         ", but the root that was kept stands for the records up to LSN %" PRIu64
                         ": the end was cut off",
                         head->size + 1, head->size, old->size);
    }
    return WF_OK;
}

/* The first thing that is wrong, by LSN: what the survey found, or what the kept root shows. */
static enum wf_status judge(struct audit_tree *tree, const struct damage_report *report,
                            const struct wf_tree_head *old, struct wf_tree_head *head,
                            uint64_t *first_bad, struct wf_error *err) {
    enum wf_status damaged = damage_first(report, first_bad, err);
    if (old == NULL) {
        return damaged;
    }
    uint64_t rewritten_lsn = 0;
    struct wf_error why;
    enum wf_status rewritten = audit_tree_judge(tree, &rewritten_lsn, &why);
    if (rewritten != WF_OK && (damaged == WF_OK || rewritten_lsn < *first_bad)) {
        *first_bad = rewritten_lsn;
        return error_set(err, rewritten, "%s", why.text);
    }
    return damaged == WF_OK ? judge_extent(old, head, first_bad, err) : damaged;
}

static enum wf_status read_store_id(struct io *io, const char *dir, char store[WF_STORE_HEX],
                                    struct wf_error *err) {
    char *wal_dir = io_path_join(dir, engine_wal_name);
    if (wal_dir == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    uint8_t id[WAL_STORE_ID_SIZE];
    enum wf_status status = wal_identify(io, wal_dir, id, err);
    free(wal_dir);
    if (status == WF_OK) {
        hex_encode(id, sizeof(id), store);
    }
    return status;
}

enum wf_status wf_audit_verify(const char *dir, const struct wf_tree_head *old,
                               wf_finding_fn on_finding, void *ctx, struct wf_log_report *out,
                               struct wf_tree_head *head, uint64_t *first_bad,
                               struct wf_error *err) {
    struct wf_tree_head own_head;
    uint64_t own_first_bad;
    head = head == NULL ? &own_head : head;
    first_bad = first_bad == NULL ? &own_first_bad : first_bad;
    *out = (struct wf_log_report){0};
    *head = (struct wf_tree_head){0};
    *first_bad = 0;
    enum wf_status status = engine_require_store(io_posix(), dir, err);
    struct audit_tree tree;
    if (status == WF_OK) {
        status = audit_tree_init(&tree, err);
    }
    if (status != WF_OK) {
        return status;
    }
    if (old != NULL && audit_tree_hold_against(&tree, old, err) != WF_OK) {
        audit_tree_deinit(&tree);
        return WF_USAGE;
    }
    struct damage_report report;
    damage_report_init(&report);
    report.tree = &tree;
    status = damage_survey(io_posix(), snapshot_lmdb(), dir, &report, err);
    char store[WF_STORE_HEX] = "";
    if (status == WF_OK) {
        damage_summary(&report, out);
        damage_tell_all(&report, on_finding, ctx);
        (void)read_store_id(io_posix(), dir, store, NULL); /* damage may hide it */
        status = audit_tree_head(&tree, &tree.whole, head, err);
    }
    if (status == WF_OK) {
        memcpy(head->store, store, sizeof(head->store));
        head->time_ms = io_posix()->ops->time_ms(io_posix());
        status = judge(&tree, &report, old, head, first_bad, err);
    }
    damage_report_deinit(&report);
    audit_tree_deinit(&tree);
    return status;
}
