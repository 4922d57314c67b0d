#include "engine/archive_repair.h"

#include "engine/engine.h"
#include "store/archive_rebuild.h"
#include "wal/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the log's last record of a drop says: the manifest has nothing else of what is gone. */
struct last_drop {
    struct damage_report *report;
    struct codec_arena arena;
    struct archive_entry entry; /* all that was dropped, as one */
};

static enum wf_status see_drop(void *ctx, const struct wal_record *wal_record,
                               struct wf_error *err) {
    struct last_drop *drop = ctx;
    struct record record;
    (void)err;
    codec_arena_reset(&drop->arena);
    if (wal_record->lost ||
        codec_decode(&drop->arena, wal_record->payload, &record, NULL) != WF_OK) {
        return WF_OK;
    }
    const struct event *event = &record.events[0];
    struct archive_entry *entry = &drop->entry;
    if (record.event_count > 0 && event->kind == EVENT_ARCHIVE_DROPPED &&
        event->as.archive_dropped.last_lsn >= 1 && record.actor.size < ARCHIVE_ACTOR_SIZE) {
        uint64_t last = event->as.archive_dropped.last_lsn;
        struct bytes_view peaks = event->as.archive_dropped.peaks;
        size_t count = wal_cover_count(0, last);
        *entry = (struct archive_entry){.first_lsn = 1,
                                        .last_lsn = last,
                                        .dropped_lsn = wal_record->lsn,
                                        .dropped_ms = record.time_ms};
        memcpy(entry->dropped_by, record.actor.data, record.actor.size);
        entry->cover_count = peaks.size == count * WAL_HASH_SIZE ? count : 0;
        memcpy(entry->cover, peaks.data, entry->cover_count * WAL_HASH_SIZE);
        (void)snprintf(entry->name, sizeof(entry->name), "dropped");
    }
    codec_release(&record);
    return WF_OK;
}

static enum wf_status add_finding(void *ctx, const struct wal_finding *finding,
                                  struct wf_error *err) {
    const struct last_drop *drop = ctx;
    return damage_add_finding(drop->report, finding, err);
}

/* The chain before the first segment of the log. */
static enum wf_status chain_before(struct io *io, const char *wal_dir, uint64_t live_lsn,
                                   uint32_t *chain, struct wf_error *err) {
    char name[WAL_SEGMENT_NAME_SIZE];
    struct wal_segment_header header;
    enum wal_header_state state;
    uint64_t size;
    wal_segment_name(name, live_lsn);
    enum wf_status status = wal_segment_read_header(io, wal_dir, name, &size, &header, &state, err);
    if (status == WF_OK && state == WAL_HEADER_BAD) {
        return error_set(err, WF_DAMAGE, "segment %s: its header is damaged", name);
    }
    *chain = status == WF_OK ? header.previous : 0;
    return status;
}

/* What was dropped goes before what is there. */
static enum wf_status put_dropped_first(struct io *io, const char *wal_dir, uint64_t live_lsn,
                                        const struct last_drop *drop,
                                        struct archive_manifest *manifest, struct wf_error *err) {
    struct archive_entry *entry = malloc(sizeof(*entry));
    if (entry == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for the archives' manifest");
    }
    *entry = drop->entry;
    uint64_t next = manifest->count > 0 ? manifest->entries[0].first_lsn : live_lsn;
    enum wf_status status = WF_OK;
    if (entry->cover_count > 0 && entry->last_lsn + 1 == next) {
        if (manifest->count > 0) {
            entry->chain = manifest->entries[0].previous;
        } else {
            status = chain_before(io, wal_dir, live_lsn, &entry->chain, err);
        }
        if (status == WF_OK) {
            status = archive_manifest_add(manifest, entry, err);
        }
        for (size_t i = manifest->count; status == WF_OK && --i > 0;) {
            manifest->entries[i] = manifest->entries[i - 1];
        }
        if (status == WF_OK) {
            manifest->entries[0] = *entry;
        }
    }
    free(entry);
    return status;
}

static enum wf_status tell_rebuilt(struct damage_report *report,
                                   const struct archive_manifest *manifest, struct wf_error *err) {
    struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE, .segment = "archive/manifest"};
    if (manifest->count > 0) {
        finding.first_lsn = manifest->entries[0].first_lsn;
        finding.last_lsn = manifest->entries[manifest->count - 1].last_lsn;
    }
    (void)snprintf(finding.text, sizeof(finding.text),
                   "it did not say what is there, and was made anew from %zu archive%s; what was "
                   "there before is kept as manifest.damaged",
                   manifest->count, manifest->count == 1 ? "" : "s");
    return damage_add_finding(report, &finding, err);
}

static enum wf_status rebuild(struct io *io, const char *archive_dir, const char *wal_dir,
                              const uint8_t store_id[WAL_STORE_ID_SIZE], uint64_t live_lsn,
                              struct damage_report *report, struct wf_error *err) {
    struct archive_manifest manifest;
    struct last_drop *drop = calloc(1, sizeof(*drop));
    if (drop == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to repair the archives");
    }
    drop->report = report;
    codec_arena_init(&drop->arena);
    enum wf_status status =
        archive_describe(io, archive_dir, store_id, live_lsn, &engine_archive_hints, see_drop,
                         add_finding, drop, &manifest, err);
    if (status == WF_OK) {
        status = wal_verify(io, wal_dir, 0, UINT64_MAX, see_drop, NULL, drop, err);
        if (status == WF_OK) {
            status = put_dropped_first(io, wal_dir, live_lsn, drop, &manifest, err);
        }
        if (status == WF_OK) {
            status = archive_replace_manifest(io, archive_dir, &manifest, err);
        }
        if (status == WF_OK) {
            status = tell_rebuilt(report, &manifest, err);
        }
        archive_manifest_deinit(&manifest);
    }
    codec_arena_deinit(&drop->arena);
    free(drop);
    return status;
}

static enum wf_status tell_plan(struct damage_report *report, struct wf_error *err) {
    struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE, .segment = "archive/manifest"};
    (void)snprintf(finding.text, sizeof(finding.text),
                   "it does not say what is there, and would be made anew from the archives");
    finding.first_lsn = 1;
    return damage_add_finding(report, &finding, err);
}

/* `needed` not NULL: only find out. */
static enum wf_status repair(struct io *io, const char *archive_dir, const char *wal_dir,
                             bool *needed, struct damage_report *report, struct wf_error *err) {
    uint8_t store_id[WAL_STORE_ID_SIZE];
    uint64_t live_lsn = 0;
    bool needs = false;
    enum wf_status status = wal_identify(io, wal_dir, store_id, err);
    if (status == WF_OK) {
        status = damage_first_live_lsn(io, wal_dir, &live_lsn, err);
    }
    if (status == WF_OK) {
        status = archive_needs_rebuild(io, archive_dir, store_id, live_lsn, &needs, err);
    }
    if (needed != NULL) {
        *needed = status == WF_OK && needs;
        return *needed ? tell_plan(report, err) : status;
    }
    return status == WF_OK && needs
               ? rebuild(io, archive_dir, wal_dir, store_id, live_lsn, report, err)
               : status;
}

static enum wf_status look_at_archive(struct io *io, const char *dir, bool *needed,
                                      struct damage_report *report, struct wf_error *err) {
    char *archive_dir, *wal_dir;
    enum wf_status status = damage_archive_folders(io, dir, &archive_dir, &wal_dir, err);
    if (status == WF_OK && archive_dir != NULL) {
        status = repair(io, archive_dir, wal_dir, needed, report, err);
    }
    free(archive_dir);
    free(wal_dir);
    return status;
}

enum wf_status archive_repair(struct io *io, const char *dir, struct damage_report *report,
                              struct wf_error *err) {
    return look_at_archive(io, dir, NULL, report, err);
}

enum wf_status archive_repair_plan(struct io *io, const char *dir, struct damage_report *report,
                                   bool *needed, struct wf_error *err) {
    *needed = false;
    enum wf_status status = look_at_archive(io, dir, needed, report, err);
    return status == WF_DAMAGE ? WF_OK : status; /* the log is to be repaired first */
}
