/* The oldest archives dropped for good. The order is what makes it safe: the state that stands for
 * the records is written first, then a record says what goes, by whom and why; when that is durable
 * the manifest marks the archives, and only then their files are removed. A drop that was cut short
 * behind its record is carried on at the next opening. */
#include "engine/engine.h"

#include "engine/core/date.h"
#include "engine/event_out.h"
#include "engine/hex.h"
#include "engine/origin.h"
#include "engine/record_reader.h"
#include "engine/repairs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is to go. */
struct chosen {
    struct dropped_segment *segments;
    uint8_t (*roots)[WAL_HASH_SIZE];
    size_t count;
    uint64_t bytes; /* of the files */
    uint8_t peaks[WF_PEAKS_MAX][WAL_HASH_SIZE];
    size_t peak_count;
    uint8_t state_hash[WAL_HASH_SIZE];
};

/* What the records that go tell of repairs. */
struct told {
    struct repairs repairs;
    struct repairs_fields fields;
    struct codec_arena arena;
};

static bool is_before(const struct wf_archive_drop *drop, const struct archive_entry *entry) {
    if (drop->before_lsn != 0) {
        return entry->last_lsn < drop->before_lsn;
    }
    return entry->last_ms < drop->before_ms;
}

/* What is beyond all that there is was hardly meant: it would drop whatever is archived. */
static enum wf_status check_bound(struct wf_engine *engine, const struct wf_archive_drop *drop,
                                  struct wf_error *err) {
    char text[DATE_TIME_SIZE];
    char now[DATE_TIME_SIZE];
    if ((drop->before_lsn == 0) == (drop->before_ms == 0)) {
        return error_set(err, WF_USAGE, "drop before which LSN, or before which time?");
    }
    pthread_mutex_lock(&engine->mutex);
    uint64_t last = wal_next_lsn(engine->wal) - 1;
    int64_t now_ms = engine_record_time_ms(engine);
    pthread_mutex_unlock(&engine->mutex);
    if (drop->before_lsn != UINT64_MAX && drop->before_lsn > last + 1) {
        return error_set(err, WF_REFUSED,
                         "LSN %" PRIu64 " is beyond the end of the log, record %" PRIu64
                         ": every archive would go. Those before LSN %" PRIu64 " are all that "
                         "there are",
                         drop->before_lsn, last, archive_last_lsn(engine->archive) + 1);
    }
    if (drop->before_ms > now_ms) {
        return error_set(err, WF_REFUSED,
                         "%s is later than the store's time, %s: every archive would go. Those "
                         "before LSN %" PRIu64 " are all that there are",
                         date_time_print(text, drop->before_ms), date_time_print(now, now_ms),
                         archive_last_lsn(engine->archive) + 1);
    }
    return WF_OK;
}

/* One more than a record holds is enough to be refused. */
static enum wf_status choose(struct wf_engine *engine, const struct wf_archive_drop *drop,
                             struct chosen *chosen, struct wf_error *err) {
    *chosen = (struct chosen){.count = 0};
    chosen->segments = calloc(RECORD_EVENTS_MAX, sizeof(*chosen->segments));
    chosen->roots = calloc(RECORD_EVENTS_MAX, sizeof(*chosen->roots));
    if (chosen->segments == NULL || chosen->roots == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to drop archives");
    }
    struct archive_entry entry;
    for (size_t i = 0; archive_at(engine->archive, i, &entry) && is_before(drop, &entry) &&
                       chosen->count < RECORD_EVENTS_MAX;
         i++) {
        if (entry.dropped_lsn != 0) {
            continue;
        }
        memcpy(chosen->roots[chosen->count], entry.root, WAL_HASH_SIZE);
        chosen->segments[chosen->count] =
            (struct dropped_segment){.first_lsn = entry.first_lsn,
                                     .last_lsn = entry.last_lsn,
                                     .root = {chosen->roots[chosen->count], WAL_HASH_SIZE}};
        chosen->bytes += entry.size;
        chosen->count++;
    }
    return WF_OK;
}

static void release(struct chosen *chosen) {
    free(chosen->segments);
    free(chosen->roots);
}

/* What stands for the records once they are gone: the hashes of their tree, and the state after the
 * last of them. Nothing is made for a drop that will be refused. */
static enum wf_status make_stand_ins(struct wf_engine *engine, const struct wf_archive_drop *drop,
                                     struct chosen *chosen, struct wf_error *err) {
    struct wf_tree_head head;
    if (chosen->count == 0 || chosen->count == RECORD_EVENTS_MAX ||
        text_view(drop->actor).size == 0 || text_view(drop->reason).size == 0) {
        return WF_OK;
    }
    uint64_t last = chosen->segments[chosen->count - 1].last_lsn;
    enum wf_status status = wf_audit_root(engine, last, &head, err);
    for (size_t i = 0; status == WF_OK && i < head.peak_count; i++) {
        (void)hex_decode(head.peaks[i], chosen->peaks[i], WAL_HASH_SIZE);
    }
    chosen->peak_count = status == WF_OK ? head.peak_count : 0;
    return status == WF_OK
               ? origin_write(engine, last, drop->on_progress, drop->ctx, chosen->state_hash, err)
               : status;
}

static enum wf_status see_one_repair(void *ctx, const struct wal_record *wal_record,
                                     struct wf_error *err) {
    struct told *told = ctx;
    struct record record;
    codec_arena_reset(&told->arena);
    if (wal_record->lost ||
        codec_decode(&told->arena, wal_record->payload, &record, NULL) != WF_OK) {
        return WF_OK; /* the state that stands for it was made of it: it can be read */
    }
    record.lsn = wal_record->lsn;
    enum wf_status status = repairs_see(&told->repairs, &record, err);
    codec_release(&record);
    return status;
}

/* That records were lost in repairs must be known when the records that say so are gone. */
static enum wf_status look_for_repairs(struct wf_engine *engine, const struct chosen *chosen,
                                       struct told *told, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    uint64_t count = engine->state.store.repairs;
    pthread_mutex_unlock(&engine->mutex);
    if (chosen->count == 0 || chosen->count == RECORD_EVENTS_MAX || count == 0) {
        return WF_OK;
    }
    enum wf_status status =
        archive_walk(engine->archive, chosen->segments[0].first_lsn,
                     chosen->segments[chosen->count - 1].last_lsn, see_one_repair, told, err);
    repairs_to_fields(&told->repairs, &told->fields);
    return status;
}

static void hash_body(const struct wf_archive_drop *drop, struct command *command, bool *ok) {
    const char *const texts[] = {drop->reason, drop->actor};
    struct bytes_buffer body;
    bytes_buffer_init(&body);
    bytes_write_u8(&body, COMMAND_ARCHIVE_DROP);
    bytes_write_varint(&body, drop->before_lsn);
    bytes_write_zigzag(&body, drop->before_ms);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bytes_view text = text_view(texts[i]);
        bytes_write_string(&body, (const char *)text.data, text.size);
    }
    *ok = bytes_buffer_ok(&body);
    if (*ok) {
        digest_body((struct bytes_view){body.data, body.size}, command->body_hash);
    }
    bytes_buffer_deinit(&body);
}

static enum wf_status record_drop(struct wf_engine *engine, const struct wf_archive_drop *drop,
                                  const struct chosen *chosen, const struct told *told,
                                  struct wf_result *result, struct wf_error *err) {
    struct command command = {
        .kind = COMMAND_ARCHIVE_DROP, .actor = text_view(drop->actor), .key = text_view(drop->key)};
    command.as.archive_drop.segments = chosen->segments;
    command.as.archive_drop.count = chosen->count;
    command.as.archive_drop.peaks =
        (struct bytes_view){chosen->peaks[0], chosen->peak_count * WAL_HASH_SIZE};
    command.as.archive_drop.state_hash = (struct bytes_view){chosen->state_hash, WAL_HASH_SIZE};
    command.as.archive_drop.reason = text_view(drop->reason);
    command.as.archive_drop.fields = told->fields.fields;
    command.as.archive_drop.field_count = told->fields.count;
    bool ok = true;
    hash_body(drop, &command, &ok);
    if (!ok) {
        return error_set(err, WF_NO_MEMORY, "no memory to hash a command");
    }
    struct wf_pending pending;
    enum wf_status status = engine_enqueue(engine, &command, NULL, &pending, err);
    return status == WF_OK ? wf_wait(engine, &pending, result, err) : status;
}

/* --- behind the record --- */

/* What the record of the drop says. */
struct story {
    int64_t time_ms;
    char actor[ARCHIVE_ACTOR_SIZE];
    uint64_t first_lsn, last_lsn, segments;
};

/* All zeros where the record was lost in a repair. */
static enum wf_status read_story(struct wf_engine *engine, uint64_t lsn, struct story *story,
                                 struct wf_error *err) {
    struct record_reader reader;
    bool found;
    *story = (struct story){0};
    record_reader_init(&reader, engine);
    enum wf_status status = record_reader_find(&reader, lsn, &found, err);
    const struct record *record = &reader.record;
    if (status == WF_OK && found && record->event_count > 0 &&
        record->events[0].kind == EVENT_ARCHIVE_DROPPED) {
        story->time_ms = record->time_ms;
        memcpy(story->actor, record->actor.data, record->actor.size);
        story->first_lsn = record->events[0].as.archive_dropped.first_lsn;
        story->last_lsn = record->events[0].as.archive_dropped.last_lsn;
        story->segments = record->event_count - 1;
    }
    record_reader_deinit(&reader);
    return status;
}

enum wf_status engine_finish_drop(struct wf_engine *engine, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    uint64_t dropped = engine->state.store.dropped_lsn;
    uint64_t lsn = engine->state.store.drop_lsn;
    pthread_mutex_unlock(&engine->mutex);
    if (engine->archive == NULL || dropped == 0) {
        return WF_OK;
    }
    if (archive_dropped_lsn(engine->archive) >= dropped) {
        return archive_tidy(engine->archive, wal_first_live_lsn(engine->wal), err);
    }
    struct story story;
    enum wf_status status = read_story(engine, lsn, &story, err);
    const struct archive_drop why = {.lsn = lsn, .time_ms = story.time_ms, .actor = story.actor};
    return status == WF_OK ? archive_drop(engine->archive, dropped + 1, &why, err) : status;
}

bool engine_dropped(struct wf_engine *engine, uint64_t lsn, struct archive_entry *range) {
    return engine->archive != NULL && archive_dropped(engine->archive, lsn, range);
}

bool engine_tell_missing(struct wf_engine *engine, uint64_t lsn, wf_event_fn on_event, void *ctx) {
    struct archive_entry range;
    return engine_dropped(engine, lsn, &range) ? event_out_dropped(&range, lsn, on_event, ctx)
                                               : event_out_lost(lsn, on_event, ctx);
}

enum wf_status engine_missing(struct wf_engine *engine, uint64_t lsn, const char *what,
                              struct wf_error *err) {
    struct archive_entry range;
    if (!engine_dropped(engine, lsn, &range) && lsn < wal_first_lsn(engine->wal)) {
        return error_set(err, WF_DAMAGE,
                         "%s: LSN %" PRIu64 " is in no segment and no archive: put %s/ back as it "
                         "was, or restore a backup",
                         what, lsn, engine_archive_name);
    }
    if (!engine_dropped(engine, lsn, &range)) {
        return error_set(err, WF_DAMAGE, "%s: LSN %" PRIu64 " was lost in a repair", what, lsn);
    }
    return error_set(err, WF_NOT_FOUND,
                     "%s: LSN %" PRIu64 " to %" PRIu64 " were dropped from the archive by %s; "
                     "record %" PRIu64 " says when and why",
                     what, range.first_lsn, range.last_lsn, range.dropped_by, range.dropped_lsn);
}

/* --- all of it --- */

static enum wf_status drop_archives(struct wf_engine *engine, const struct wf_archive_drop *drop,
                                    struct chosen *chosen, struct told *told,
                                    struct wf_archive_dropped *report, struct wf_error *err) {
    struct wf_result result = {.lsn = 0};
    struct story story;
    enum wf_status status = engine_finish_drop(engine, err);
    if (status == WF_OK) {
        status = choose(engine, drop, chosen, err);
    }
    if (status == WF_OK) {
        status = make_stand_ins(engine, drop, chosen, err);
    }
    if (status == WF_OK) {
        status = look_for_repairs(engine, chosen, told, err);
    }
    if (status == WF_OK) {
        io_point(engine->io, "drop.before_record");
        status = record_drop(engine, drop, chosen, told, &result, err);
    }
    if (status == WF_OK) {
        io_point(engine->io, "drop.after_record");
        status = engine_finish_drop(engine, err);
    }
    if (status == WF_OK) {
        status = read_story(engine, result.lsn, &story, err);
    }
    if (status == WF_OK) {
        *report = (struct wf_archive_dropped){.lsn = result.lsn,
                                              .replayed = result.replayed,
                                              .segments = story.segments,
                                              .first_lsn = story.first_lsn,
                                              .last_lsn = story.last_lsn,
                                              .bytes = result.replayed ? 0 : chosen->bytes};
    }
    return status;
}

enum wf_status wf_archive_drop(struct wf_engine *engine, const struct wf_archive_drop *drop,
                               struct wf_archive_dropped *report, struct wf_error *err) {
    struct wf_archive_dropped own;
    struct chosen chosen = {.count = 0};
    report = report == NULL ? &own : report;
    *report = (struct wf_archive_dropped){0};
    enum wf_status status = engine_refuse_archiving(engine, err);
    if (status == WF_OK) {
        status = check_bound(engine, drop, err);
    }
    if (status != WF_OK) {
        return status;
    }
    struct told *told = calloc(1, sizeof(*told));
    if (told == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to drop archives");
    }
    repairs_init(&told->repairs);
    codec_arena_init(&told->arena);
    pthread_mutex_lock(&engine->archive_mutex);
    status = drop_archives(engine, drop, &chosen, told, report, err);
    pthread_mutex_unlock(&engine->archive_mutex);
    codec_arena_deinit(&told->arena);
    repairs_deinit(&told->repairs);
    free(told);
    release(&chosen);
    return status;
}

static enum wf_status plan_drop(struct wf_engine *engine, const struct wf_archive_drop *drop,
                                struct chosen *chosen, struct wf_archive_dropped *report,
                                struct wf_error *err) {
    enum wf_status status = archive_refresh(engine->archive, err);
    if (status == WF_OK) {
        status = check_bound(engine, drop, err);
    }
    if (status == WF_OK) {
        status = choose(engine, drop, chosen, err);
    }
    if (status != WF_OK) {
        return status;
    }
    if (chosen->count == 0 || chosen->count == RECORD_EVENTS_MAX) {
        return error_set(err, WF_REFUSED,
                         chosen->count == 0 ? "no archive lies wholly before that"
                                            : "these are too many archives for one drop");
    }
    uint64_t last = chosen->segments[chosen->count - 1].last_lsn;
    struct wf_tree_head head;
    status = wf_audit_root(engine, last, &head, err); /* as make_stand_ins() */
    if (status == WF_OK) {
        status = origin_try(engine, last, drop->on_progress, drop->ctx, err);
    }
    if (status == WF_OK) {
        *report = (struct wf_archive_dropped){.segments = chosen->count,
                                              .first_lsn = chosen->segments[0].first_lsn,
                                              .last_lsn = last,
                                              .bytes = chosen->bytes};
    }
    return status;
}

enum wf_status wf_archive_drop_plan(struct wf_engine *engine, const struct wf_archive_drop *drop,
                                    struct wf_archive_dropped *report, struct wf_error *err) {
    struct chosen chosen = {.count = 0};
    *report = (struct wf_archive_dropped){0};
    if (engine->archive == NULL) {
        return error_set(err, WF_DAMAGE, "%s", engine->notes);
    }
    pthread_mutex_lock(&engine->archive_mutex);
    enum wf_status status = plan_drop(engine, drop, &chosen, report, err);
    pthread_mutex_unlock(&engine->archive_mutex);
    release(&chosen);
    return status;
}
