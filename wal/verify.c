/* Reading the log without opening it: one segment file, or every frame with whatever is wrong. */
#include "wal/finding.h"
#include "wal/recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one segment file --- */

/* A directory that holds just this file. The strings are the caller's. */
static enum wf_status directory_of_file(struct wal_directory *directory, struct wal_entry *entry,
                                        struct io *io, char *dir, const char *name,
                                        struct wf_error *err) {
    if (strlen(name) >= sizeof entry->name)
        return error_set(err, WF_USAGE, "%s is no segment: its name is too long", name);
    strcpy(entry->name, name);
    enum wal_header_state state;
    enum wf_status status =
        wal_segment_read_header(io, dir, name, &entry->size, &entry->header, &state, err);
    if (status != WF_OK)
        return status;
    if (state == WAL_HEADER_BAD)
        return error_set(err, WF_DAMAGE, "segment %s, offset 0: no segment header", name);
    uint64_t name_lsn;
    entry->first_lsn = entry->header.first_lsn;
    entry->header_good = true;
    if (wal_segment_name_parse(name, &name_lsn) && name_lsn != entry->first_lsn)
        return error_set(err, WF_DAMAGE, "segment %s, offset 0: its header names another first LSN",
                         name);
    *directory = (struct wal_directory){.io = io, .path = dir, .entries = entry, .count = 1};
    memcpy(directory->store_id, entry->header.store_id, WAL_STORE_ID_SIZE);
    directory->seed = wal_frame_seed(directory->store_id);
    return WF_OK;
}

static enum wf_status walk_directory_of_file(const struct wal_directory *directory,
                                             wal_record_fn on_record, void *ctx,
                                             struct wf_error *err) {
    struct wal_hasher *hasher = wal_hasher_create();
    if (hasher == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to check the log");
    struct wal_scan scan;
    struct wal_item item = {.kind = WAL_ITEM_FRAME};
    enum wf_status status = WF_OK;
    wal_scan_init(&scan, directory, 0, UINT64_MAX, WAL_SCAN_HASH_ALL, hasher);
    while (status == WF_OK && item.kind != WAL_ITEM_END) {
        status = wal_scan_next(&scan, &item, err);
        uint64_t records = 0;
        char text[256];
        if (status == WF_OK && item.kind == WAL_ITEM_FRAME && item.frame.kind != WAL_FRAME_SEAL)
            status = wal_deliver(&item, 0, UINT64_MAX, on_record, ctx, &records, err);
        if (status == WF_OK && item.kind == WAL_ITEM_GAP && item.gap.kind != WAL_FINDING_TORN) {
            wal_gap_text(&item.gap, text, sizeof text);
            status = error_set(err, WF_DAMAGE, "%s", text);
        }
    }
    wal_scan_deinit(&scan);
    wal_hasher_destroy(hasher);
    return status;
}

enum wf_status wal_walk_file(struct io *io, const char *path, wal_record_fn on_record, void *ctx,
                             struct wf_error *err) {
    char *dir = strdup(path);
    if (dir == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    char here[] = ".";
    char *slash = strrchr(dir, '/');
    const char *name = slash != NULL ? path + (slash - dir) + 1 : path;
    if (slash != NULL)
        slash[slash == dir ? 1 : 0] = '\0';
    struct wal_directory directory;
    struct wal_entry entry = {.first_lsn = 0};
    enum wf_status status =
        directory_of_file(&directory, &entry, io, slash != NULL ? dir : here, name, err);
    if (status == WF_OK)
        status = walk_directory_of_file(&directory, on_record, ctx, err);
    free(dir);
    return status;
}

/* --- the whole log --- */

enum wf_status wal_identify(struct io *io, const char *dir, uint8_t store_id[WAL_STORE_ID_SIZE],
                            struct wf_error *err) {
    struct wal_directory directory;
    enum wf_status status = wal_directory_init(&directory, io, dir, err);
    if (status != WF_OK)
        return error_wrap(err, status, "look at the log %s", dir);
    memcpy(store_id, directory.store_id, WAL_STORE_ID_SIZE);
    wal_directory_deinit(&directory);
    return WF_OK;
}

/* No header of the log can be read, so no frame can be checked either: that is the one finding. */
static enum wf_status tell_unreadable(const struct wf_error *failure, wal_finding_fn on_finding,
                                      void *ctx, struct wf_error *err) {
    struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE, .first_lsn = 1};
    snprintf(finding.text, sizeof finding.text, "%.*s", (int)sizeof finding.text - 1,
             failure->text);
    return on_finding != NULL ? on_finding(ctx, &finding, err) : WF_OK;
}

static enum wf_status verify_item(const struct wal_directory *directory,
                                  const struct wal_item *item, uint64_t limit_lsn,
                                  wal_record_fn on_record, wal_finding_fn on_finding, void *ctx,
                                  struct wf_error *err) {
    uint64_t records = 0;
    switch (item->kind) {
    case WAL_ITEM_FRAME:
        if (item->frame.kind == WAL_FRAME_SEAL)
            return WF_OK;
        return wal_deliver(item, 0, limit_lsn, on_record, ctx, &records, err);
    case WAL_ITEM_GAP:
        return wal_finding_tell(directory, &item->gap, on_finding, ctx, err);
    case WAL_ITEM_END:
        break;
    }
    return WF_OK;
}

enum wf_status wal_verify(struct io *io, const char *dir, uint64_t minimum_lsn, uint64_t limit_lsn,
                          wal_record_fn on_record, wal_finding_fn on_finding, void *ctx,
                          struct wf_error *err) {
    struct wal_directory directory;
    struct wf_error failure;
    enum wf_status status = wal_directory_init(&directory, io, dir, &failure);
    if (status == WF_DAMAGE)
        return tell_unreadable(&failure, on_finding, ctx, err);
    if (limit_lsn != UINT64_MAX && limit_lsn > minimum_lsn)
        minimum_lsn = limit_lsn; /* the owner vouches for it */
    status = wal_directory_judge(status, dir, minimum_lsn, &failure);
    if (status != WF_OK)
        return error_set(err, status, "verify the log %s: %s", dir, failure.text);
    struct wal_hasher *hasher = wal_hasher_create();
    if (hasher == NULL)
        status = error_set(err, WF_NO_MEMORY, "no memory to verify the log");
    struct wal_scan scan;
    struct wal_item item = {.kind = WAL_ITEM_FRAME};
    wal_scan_init(&scan, &directory, minimum_lsn, limit_lsn, WAL_SCAN_HASH_ALL, hasher);
    while (status == WF_OK && item.kind != WAL_ITEM_END) {
        status = wal_scan_next(&scan, &item, err);
        if (status == WF_OK)
            status = verify_item(&directory, &item, limit_lsn, on_record, on_finding, ctx, err);
    }
    wal_scan_deinit(&scan);
    wal_hasher_destroy(hasher);
    wal_directory_deinit(&directory);
    return status;
}
