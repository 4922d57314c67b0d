/* Who is concerned by damage to the log. */
#include "engine/damage.h"

#include "engine/aftermath_compare.h"
#include "engine/core/account.h"
#include "engine/core/state.h"
#include "engine/engine.h"
#include "engine/name_list.h"
#include "engine/relay.h"
#include "store/archive_state.h"
#include "wal/directory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void damage_report_init(struct damage_report *report) {
    *report = (struct damage_report){0};
    report->end = report->archive_end = &report->findings;
    codec_arena_init(&report->arena);
    repairs_init(&report->repairs);
}

void damage_report_deinit(struct damage_report *report) {
    while (report->findings != NULL) {
        struct damage_finding *next = report->findings->next;
        free(report->findings);
        report->findings = next;
    }
    while (report->losses != NULL) {
        struct damage_loss *next = report->losses->next;
        free(report->losses);
        report->losses = next;
    }
    codec_arena_deinit(&report->arena);
    repairs_deinit(&report->repairs);
}

static void add_name(struct damage_finding *found, struct bytes_view name) {
    name_list_add(found->names, sizeof(found->names), name);
}

static void concern(struct damage_report *report, uint64_t lsn, struct bytes_view name) {
    if (lsn == 0) {
        return;
    }
    for (struct damage_finding *found = report->findings; found != NULL; found = found->next) {
        if (lsn >= found->finding.first_lsn && lsn <= found->finding.last_lsn) {
            add_name(found, name);
        }
    }
}

/* Something stands before a record that is good, as the seal of its segment: none is lost, and this
 * one is not where it was. In the next segment, where a seal is damaged, it is another's offset. */
static void concern_moved(struct damage_report *report, const struct wal_record *wal_record,
                          struct bytes_view name) {
    for (struct damage_finding *found = report->findings; found != NULL; found = found->next) {
        if (found->finding.first_lsn > found->finding.last_lsn &&
            found->finding.first_lsn == wal_record->lsn &&
            wal_record->offset > found->finding.offset) {
            add_name(found, name);
        }
    }
}

static enum wf_status lose_record(struct damage_report *report, const struct record *record,
                                  struct wf_error *err) {
    return report->aftermath == NULL ? WF_OK : aftermath_lose(report->aftermath, record, err);
}

static enum wf_status add_finding(struct damage_report *report, const struct wal_finding *finding,
                                  struct wf_error *err) {
    struct damage_finding *found = calloc(1, sizeof(*found));
    if (found == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a finding");
    }
    found->finding = *finding;
    found->finding.remains = (struct bytes_view){NULL, 0};
    *report->end = found;
    report->end = &found->next;
    report->count++;
    report->damaged += finding->kind != WAL_FINDING_TORN;
    /* The damaged bytes may still decode: a guess at who it was is better than none. */
    struct record record;
    codec_arena_reset(&report->arena);
    if (finding->remains.size > 0 &&
        codec_decode(&report->arena, finding->remains, &record, NULL) == WF_OK) {
        add_name(found, record.subject);
        codec_release(&record);
    }
    return WF_OK;
}

enum wf_status damage_add_finding(void *ctx, const struct wal_finding *finding,
                                  struct wf_error *err) {
    struct damage_report *report = ctx;
    if (report->aftermath != NULL && finding->kind != WAL_FINDING_TORN &&
        finding->first_lsn <= finding->last_lsn) {
        aftermath_lose_unread(report->aftermath, finding->last_lsn - finding->first_lsn + 1);
    }
    return add_finding(report, finding, err);
}

static enum wf_status add_loss(struct damage_report *report, const struct wal_record *record,
                               struct wf_error *err) {
    struct damage_loss *loss = report->losses;
    if (loss != NULL && loss->offset == record->offset && loss->last_lsn + 1 == record->lsn) {
        loss->last_lsn = record->lsn;
        return WF_OK;
    }
    loss = malloc(sizeof(*loss));
    if (loss == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for what was lost");
    }
    *loss = (struct damage_loss){.first_lsn = record->lsn,
                                 .last_lsn = record->lsn,
                                 .offset = record->offset,
                                 .next = report->losses};
    report->losses = loss;
    return WF_OK;
}

/* What this record tells of repairs. */
static enum wf_status see_repair(struct damage_report *report, const struct record *record,
                                 struct wf_error *err) {
    size_t before = report->repairs.count;
    enum wf_status status = repairs_see(&report->repairs, record, err);
    for (size_t i = before; i < report->repairs.count; i++) {
        const struct wf_repair *repair = &report->repairs.at[i];
        for (struct damage_loss *loss = report->losses; loss != NULL; loss = loss->next) {
            loss->recorded |=
                repair->first_lsn <= loss->first_lsn && loss->last_lsn <= repair->last_lsn;
        }
    }
    return status;
}

/* It reads well, and is to go all the same. */
static enum wf_status drop_record(struct damage_report *report, const struct wal_record *wal_record,
                                  const struct record *record, struct wf_error *err) {
    struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE,
                                  .offset = wal_record->offset,
                                  .size = wal_record->payload.size,
                                  .first_lsn = wal_record->lsn,
                                  .last_lsn = wal_record->lsn};
    (void)snprintf(finding.text, sizeof(finding.text),
                   "LSN %" PRIu64 " reads well, and is dropped on command", wal_record->lsn);
    report->dropped = true;
    enum wf_status status = record == NULL ? damage_add_finding(report, &finding, err)
                                           : add_finding(report, &finding, err);
    if (status == WF_OK && record != NULL) {
        concern(report, wal_record->lsn, record->subject);
        status = lose_record(report, record, err);
    }
    return status;
}

/* What the snapshot stands for has been read, all but what is lost: what did that do? */
static enum wf_status compare_snapshot(struct damage_report *report, struct wf_error *err) {
    struct snapshot *snapshot = report->snapshot;
    report->snapshot = NULL;
    return snapshot == NULL || report->aftermath == NULL || report->aftermath->lost.unknown ||
                   !report->aftermath->state.after_loss
               ? WF_OK
               : aftermath_compare(report->aftermath, snapshot, err);
}

static enum wf_status take_record(struct damage_report *report, const struct wal_record *wal_record,
                                  struct record *record, struct wf_error *err) {
    if (wal_record->lsn == report->drop_lsn) {
        return drop_record(report, wal_record, record, err);
    }
    concern(report, record->previous.lsn, record->subject);
    concern_moved(report, wal_record, record->subject);
    for (size_t i = 0; i < record->touch_count; i++) {
        if (record->touches[i].kind == ENTITY_ACCOUNT) {
            concern(report, record->touches[i].previous.lsn, record->touches[i].name);
        }
    }
    record->lsn = wal_record->lsn;
    record->offset = wal_record->offset;
    enum wf_status status = see_repair(report, record, err);
    if (status != WF_OK) {
        return status;
    }
    return report->aftermath == NULL ? WF_OK : aftermath_see(report->aftermath, record, err);
}

static enum wf_status see_record(void *ctx, const struct wal_record *wal_record,
                                 struct wf_error *err) {
    struct damage_report *report = ctx;
    if (wal_record->lsn <= report->passed_lsn) {
        return WF_OK; /* a crash left the segment beside its archive */
    }
    report->records++;
    report->bytes += wal_record->payload.size;
    if (wal_record->lsn > report->snapshot_lsn && report->snapshot != NULL) {
        enum wf_status status = compare_snapshot(report, err);
        if (status != WF_OK) {
            return status;
        }
    }
    if (report->first_lsn == 0) {
        report->first_lsn = wal_record->lsn;
    }
    report->last_lsn = wal_record->lsn;
    if (report->tree != NULL && report->tree->whole.count + 1 == wal_record->lsn) {
        enum wf_status status = audit_tree_add_record(report->tree, wal_record, err);
        if (status != WF_OK) {
            return status;
        }
    }
    struct record record;
    codec_arena_reset(&report->arena);
    if (wal_record->lost) {
        return add_loss(report, wal_record, err);
    }
    struct wf_error why;
    enum wf_status status = codec_decode(&report->arena, wal_record->payload, &record, &why);
    if (status == WF_NO_MEMORY) {
        return error_set(err, status, "LSN %" PRIu64 ": %s", wal_record->lsn, why.text);
    }
    if (status != WF_OK && wal_record->lsn == report->drop_lsn) {
        return drop_record(report, wal_record, NULL, err);
    }
    if (status != WF_OK) {
        struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE,
                                      .offset = wal_record->offset,
                                      .size = wal_record->payload.size,
                                      .first_lsn = wal_record->lsn,
                                      .last_lsn = wal_record->lsn};
        (void)snprintf(finding.text, sizeof(finding.text), "%.*s", (int)sizeof(finding.text) - 1,
                       why.text);
        return damage_add_finding(report, &finding, err);
    }
    status = take_record(report, wal_record, &record, err);
    codec_release(&record);
    return status;
}

/* --- what the snapshot knows: whose last record is in the damaged range --- */

struct snapshot_walk {
    struct damage_report *report;
    struct state state;
};

static enum wf_status see_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                               struct wf_error *err) {
    struct snapshot_walk *walk = ctx;
    struct entity *entity = NULL;
    if (value.size < sizeof(entity->digest)) {
        return WF_OK;
    }
    struct bytes_view image = {value.data + sizeof(entity->digest),
                               value.size - sizeof(entity->digest)};
    if (entity_decode(&walk->state, key, image, &entity, err) != WF_OK) {
        return WF_OK; /* the snapshot only helps here */
    }
    if (entity->kind == ENTITY_WORKFLOW) {
        const struct workflow *workflow = (const struct workflow *)entity;
        struct bytes_view id = {(const uint8_t *)workflow->id, workflow->id_size};
        concern(walk->report, workflow->history.lsn, id);
        concern(walk->report, workflow->lsn, id);
        state_evict(&walk->state, entity);
    } else if (entity->kind == ENTITY_ACCOUNT) {
        const struct account *account = (const struct account *)entity;
        struct bytes_view number = {(const uint8_t *)account->number, account->number_size};
        concern(walk->report, account->history.lsn, number);
        concern(walk->report, account->lsn, number);
        state_evict(&walk->state, entity);
    } else if (entity->kind == ENTITY_DEFINITION) {
        const struct definition_entity *definition = (const struct definition_entity *)entity;
        concern(walk->report, definition->added_lsn, text_view(definition->definition->name));
    }
    return WF_OK;
}

static void ask_snapshot(struct snapshot *snapshot, struct damage_report *report) {
    struct snapshot_walk walk = {.report = report};
    if (state_init(&walk.state, NULL) != WF_OK) {
        return;
    }
    static const uint8_t kinds[] = {ENTITY_DEFINITION, ENTITY_WORKFLOW, ENTITY_ACCOUNT};
    for (size_t i = 0; i < sizeof(kinds); i++) {
        struct bytes_view prefix = {&kinds[i], 1};
        (void)snapshot->ops->walk(snapshot, prefix, prefix, see_pair, &walk, NULL);
    }
    state_deinit(&walk.state);
}

/* All that was found from `from` on. */
static void set_beyond(struct damage_finding *from) {
    for (struct damage_finding *found = from; found != NULL; found = found->next) {
        found->beyond = true;
    }
}

static enum wf_status miss(struct damage_report *report, uint64_t first_lsn, uint64_t last_lsn,
                           struct wf_error *err) {
    struct damage_finding **at = report->end;
    struct wal_finding finding = {
        .kind = WAL_FINDING_DAMAGE, .first_lsn = first_lsn, .last_lsn = last_lsn};
    (void)snprintf(finding.text, sizeof(finding.text),
                   "LSN %" PRIu64 " to %" PRIu64 " are in no segment and no archive", first_lsn,
                   last_lsn);
    enum wf_status status = damage_add_finding(report, &finding, err);
    set_beyond(*at);
    return status;
}

enum wf_status damage_first_live_lsn(struct io *io, const char *wal_dir, uint64_t *lsn,
                                     struct wf_error *err) {
    char(*names)[WAL_SEGMENT_NAME_SIZE] = NULL;
    size_t count = 0;
    *lsn = UINT64_MAX;
    enum wf_status status = wal_directory_names(io, wal_dir, &names, &count, err);
    for (size_t i = 0; status == WF_OK && *lsn == UINT64_MAX && i < count; i++) {
        if (!wal_segment_name_parse(names[i], lsn)) {
            *lsn = UINT64_MAX;
        }
    }
    free(names);
    return status;
}

/* What was dropped cannot be read any more; its hashes stand for it. */
static enum wf_status pass_dropped(struct damage_report *report, struct archive *archive,
                                   struct wf_error *err) {
    struct archive_entry entry;
    uint64_t dropped = 0;
    for (size_t i = 0; archive_at(archive, i, &entry) && entry.dropped_lsn != 0; i++) {
        dropped = entry.last_lsn;
    }
    report->last_lsn = dropped;
    report->passed_lsn = dropped;
    return dropped == 0 || report->tree == NULL
               ? WF_OK
               : audit_tree_add_archived(report->tree, archive, dropped, err);
}

/* The state that stands for what was dropped: can it be read? What is in it a replay shows. */
static enum wf_status check_stand_in(struct damage_report *report, struct archive *archive,
                                     struct wf_error *err) {
    uint64_t dropped = archive_dropped_lsn(archive);
    struct wf_error why;
    enum wf_status status = dropped == 0 ? WF_OK : archive_state_check(archive, dropped, &why);
    if (status != WF_DAMAGE) {
        return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
    }
    struct wal_finding finding = {.kind = WAL_FINDING_DAMAGE, .first_lsn = 1, .last_lsn = dropped};
    archive_state_name(dropped, finding.segment);
    (void)snprintf(finding.text, sizeof(finding.text),
                   "%.150s (it is the state that stands for the dropped records)", why.text);
    return damage_add_finding(report, &finding, err);
}

static enum wf_status read_archives(struct damage_report *report, struct archive *archive,
                                    struct wf_error *err) {
    struct damage_finding **at = report->end;
    struct archive_entry entry;
    enum wf_status status = WF_OK;
    if (archive_at(archive, 0, &entry) && entry.first_lsn > 1) {
        status = miss(report, 1, entry.first_lsn - 1, err);
    }
    if (status == WF_OK) {
        status = pass_dropped(report, archive, err);
    }
    if (status == WF_OK) {
        status = check_stand_in(report, archive, err);
    }
    if (status == WF_OK && report->aftermath != NULL) {
        status = aftermath_begin(report->aftermath, archive, err);
    }
    if (status == WF_OK) {
        struct relay relay;
        relay_init(&relay, see_record, damage_add_finding, report);
        status = archive_verify(archive, relay_record, relay_finding, &relay, err);
        status = relay_finish(&relay, status, err);
    }
    set_beyond(*at);
    report->passed_lsn = archive_last_lsn(archive);
    return status;
}

/* A manifest that cannot be read is damage like any other. */
static enum wf_status tell_no_archives(struct damage_report *report, const char *why,
                                       struct wf_error *err) {
    struct wal_finding finding = {
        .kind = WAL_FINDING_DAMAGE, .segment = "archive/manifest", .first_lsn = 1};
    (void)snprintf(finding.text, sizeof(finding.text), "%.*s", (int)sizeof(finding.text) - 1, why);
    return damage_add_finding(report, &finding, err);
}

enum wf_status damage_archive_folders(struct io *io, const char *dir, char **archive_dir,
                                      char **wal_dir, struct wf_error *err) {
    enum io_kind kind = IO_MISSING;
    uint64_t size;
    *archive_dir = io_path_join(dir, engine_archive_name);
    *wal_dir = io_path_join(dir, engine_wal_name);
    enum wf_status status = *archive_dir == NULL || *wal_dir == NULL
                                ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                                : io->ops->stat(io, *archive_dir, &kind, &size, err);
    if (status != WF_OK || kind != IO_DIRECTORY) {
        free(*archive_dir);
        free(*wal_dir);
        *archive_dir = *wal_dir = NULL;
    }
    return status;
}

/* The archives of the store in `dir`, and nothing else. Where the log does not say whose they must
 * be they are left alone, and none is missing; the log tells of that itself. */
static enum wf_status read_all_archives(struct io *io, const char *dir, uint64_t live_lsn,
                                        struct damage_report *report, struct wf_error *err) {
    char *archive_dir, *wal_dir;
    uint8_t store_id[WAL_STORE_ID_SIZE];
    struct archive *archive = NULL;
    struct wf_error why = {.status = WF_OK};
    enum wf_status status = damage_archive_folders(io, dir, &archive_dir, &wal_dir, err);
    if (status == WF_OK && archive_dir != NULL) {
        status = wal_identify(io, wal_dir, store_id, &why);
        bool known = status != WF_DAMAGE;
        if (status == WF_OK) {
            status = archive_open(io, archive_dir, store_id, &archive, &why);
        }
        if (!known) {
            report->passed_lsn = live_lsn - 1;
            status = WF_OK;
        } else if (status == WF_OK) {
            status = read_archives(report, archive, err);
        } else {
            status = status == WF_DAMAGE ? tell_no_archives(report, why.text, err)
                                         : error_set(err, status, "%s", why.text);
        }
        archive_close(archive);
    }
    free(archive_dir);
    free(wal_dir);
    return status;
}

enum wf_status damage_read_past(struct io *io, const char *dir, struct damage_report *report,
                                struct wf_error *err) {
    uint64_t live = UINT64_MAX;
    char *wal_dir = io_path_join(dir, engine_wal_name);
    if (wal_dir == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    /* Before the archives: what a live owner archives meanwhile is found in them. */
    enum wf_status status = damage_first_live_lsn(io, wal_dir, &live, err);
    free(wal_dir);
    if (status == WF_OK) {
        status = read_all_archives(io, dir, live, report, err);
    }
    if (status == WF_OK && live != UINT64_MAX && live > report->passed_lsn + 1) {
        status = miss(report, report->passed_lsn + 1, live - 1, err);
    }
    return status;
}

static enum wf_status survey_log(struct io *io, const char *wal_dir, const char *lock_path,
                                 uint64_t snapshot_lsn, struct damage_report *report,
                                 struct wf_error *err) {
    struct lock_view owner;
    enum wf_status status = lock_look(io, lock_path, &owner, err);
    if (status != WF_OK) {
        return status;
    }
    uint64_t limit = owner.owned ? owner.durable_lsn : UINT64_MAX;
    struct relay relay;
    relay_init(&relay, see_record, damage_add_finding, report);
    /* What an owner that is gone announced as durable must be there still. */
    uint64_t minimum = owner.durable_lsn > snapshot_lsn ? owner.durable_lsn : snapshot_lsn;
    status = wal_verify(io, wal_dir, minimum, limit < snapshot_lsn ? snapshot_lsn : limit,
                        relay_record, relay_finding, &relay, err);
    return relay_finish(&relay, status, err);
}

enum wf_status damage_read_log(struct io *io, const char *wal_dir, uint64_t minimum_lsn,
                               struct damage_report *report, struct wf_error *err) {
    return wal_verify(io, wal_dir, minimum_lsn, UINT64_MAX, see_record, damage_add_finding, report,
                      err);
}

enum wf_status damage_survey(struct io *io, const struct snapshot_provider *provider,
                             const char *dir, struct damage_report *report, struct wf_error *err) {
    char *wal_dir = io_path_join(dir, engine_wal_name);
    char *snapshot_dir = io_path_join(dir, engine_snapshot_name);
    char *lock_path = io_path_join(dir, engine_lock_name);
    enum wf_status status = WF_OK;
    struct snapshot *snapshot = NULL;
    struct snapshot_meta meta = {0};
    if (wal_dir == NULL || snapshot_dir == NULL || lock_path == NULL) {
        status = error_set(err, WF_NO_MEMORY, "no memory for a path");
    } else {
        if (provider->open(provider, io, snapshot_dir, false, true, &snapshot, NULL) == WF_OK) {
            (void)snapshot->ops->meta(snapshot, &meta);
            report->snapshot = snapshot;
            report->snapshot_lsn = meta.lsn;
        }
        uint64_t drop_lsn = report->drop_lsn;
        report->drop_lsn = 0; /* nothing is dropped from an archive */
        status = damage_read_past(io, dir, report, err);
        report->drop_lsn = drop_lsn > report->passed_lsn ? drop_lsn : 0;
        if (report->aftermath != NULL && report->damaged > 0) {
            aftermath_give_up(report->aftermath); /* a repair leaves the archives' records alone */
        }
        report->archive_end = report->end;
        if (status == WF_OK) {
            status = survey_log(io, wal_dir, lock_path, meta.lsn, report, err);
        }
        if (status == WF_OK) {
            status = compare_snapshot(report, err); /* the log ends with it, or before */
        }
    }
    report->snapshot = NULL;
    if (snapshot != NULL) {
        if (status == WF_OK && report->damaged > 0) {
            ask_snapshot(snapshot, report);
        }
        snapshot->ops->close(snapshot);
    }
    free(wal_dir);
    free(snapshot_dir);
    free(lock_path);
    return status;
}

bool damage_tell(const struct damage_finding *found, wf_finding_fn on_finding, void *ctx) {
    static const char *const kinds[] = {[WAL_FINDING_DAMAGE] = "damage",
                                        [WAL_FINDING_TORN] = "torn",
                                        [WAL_FINDING_FOREIGN] = "foreign"};
    const struct wf_finding out = {
        .kind = kinds[found->finding.kind],
        .segment = found->finding.segment,
        .offset = found->finding.offset,
        .size = found->finding.size,
        .first_lsn = found->finding.first_lsn,
        .last_lsn = found->finding.last_lsn,
        .text = found->finding.text,
        .entities = found->names,
    };
    return on_finding == NULL || on_finding(ctx, &out);
}

void damage_tell_all(const struct damage_report *report, wf_finding_fn on_finding, void *ctx) {
    const struct damage_finding *found = report->findings;
    while (found != NULL && damage_tell(found, on_finding, ctx)) {
        found = found->next;
    }
}

/* The newest of the repairs. */
static void sum_repairs(const struct repairs *repairs, struct wf_log_losses *lost) {
    size_t count = repairs->count;
    size_t first = count > WF_REPAIRS_MAX ? count - WF_REPAIRS_MAX : 0;
    lost->repair_count = count;
    for (size_t i = first; i < count; i++) {
        lost->repairs[i - first] = repairs->at[i];
    }
}

void damage_summary(const struct damage_report *from, struct wf_log_report *to) {
    *to = (struct wf_log_report){.records = from->records,
                                 .first_lsn = from->first_lsn,
                                 .last_lsn = from->last_lsn,
                                 .bytes = from->bytes,
                                 .findings = from->count,
                                 .lost = from->repairs.told};
    sum_repairs(&from->repairs, &to->lost);
    for (const struct damage_loss *loss = from->losses; loss != NULL; loss = loss->next) {
        to->lost.records += loss->recorded ? 0 : loss->last_lsn - loss->first_lsn + 1;
    }
    /* One of long ago, or one that was cut short. */
    to->lost.unknown = to->lost.records > 0 && !from->repairs.counted;
}

uint64_t damage_lost_records(const struct damage_report *report) {
    uint64_t count = 0;
    for (const struct damage_finding *found = *report->archive_end; found != NULL;
         found = found->next) {
        if (found->finding.kind != WAL_FINDING_TORN && !found->beyond &&
            found->finding.first_lsn <= found->finding.last_lsn) {
            count += found->finding.last_lsn - found->finding.first_lsn + 1;
        }
    }
    for (const struct damage_loss *loss = report->losses; loss != NULL; loss = loss->next) {
        count += loss->recorded ? 0 : loss->last_lsn - loss->first_lsn + 1;
    }
    return count;
}

enum wf_status damage_beyond(const struct damage_report *report, wf_finding_fn on_finding,
                             void *ctx, uint64_t *count, struct wf_error *err) {
    const struct damage_finding *first = NULL;
    for (const struct damage_finding *found = report->findings; found != NULL;
         found = found->next) {
        if (found->beyond) {
            first = first == NULL ? found : first;
            (*count)++;
            (void)damage_tell(found, on_finding, ctx);
        }
    }
    return first == NULL
               ? WF_OK
               : error_set(err, WF_DAMAGE,
                           "%s: a repair cannot make that anew; put it back from a backup, or "
                           "restore the backup",
                           first->finding.text);
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

enum wf_status damage_first(const struct damage_report *report, uint64_t *first_lsn,
                            struct wf_error *err) {
    const struct damage_finding *first = NULL;
    for (const struct damage_finding *found = report->findings; found != NULL;
         found = found->next) {
        if (found->finding.kind != WAL_FINDING_TORN &&
            (first == NULL || found->finding.first_lsn < first->finding.first_lsn)) {
            first = found;
        }
    }
    if (first == NULL) {
        return WF_OK;
    }
    if (first_lsn != NULL) {
        *first_lsn = first->finding.first_lsn;
    }
    const char *concerned = first->names[0] == '\0' ? "" : "; concerned: ";
    if (first->finding.segment[0] == '\0' || starts_with(first->finding.text, "segment ") ||
        starts_with(first->finding.text, "archive ")) { /* says where */
        return error_set(err, WF_DAMAGE, "%s%s%s", first->finding.text, concerned, first->names);
    }
    return error_set(err, WF_DAMAGE, "segment %s, offset %" PRIu64 ", LSN %" PRIu64 ": %s%s%s",
                     first->finding.segment, first->finding.offset, first->finding.first_lsn,
                     first->finding.text, concerned, first->names);
}

enum wf_status damage_conclude(const struct damage_report *report, wf_finding_fn on_finding,
                               void *ctx, struct wf_log_report *out, struct wf_error *err) {
    damage_summary(report, out);
    damage_tell_all(report, on_finding, ctx);
    return damage_first(report, NULL, err);
}
