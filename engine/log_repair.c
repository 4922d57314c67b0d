/* Check and repair of the log. The check reads all of it; the repair closes the gaps that the check
 * finds, and leaves a record of what was lost and of what went with it. */
#include "engine/aftermath.h"
#include "engine/archive_repair.h"
#include "engine/damage.h"
#include "engine/engine.h"
#include "engine/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum wf_status wf_log_verify(const char *dir, wf_finding_fn on_finding, void *ctx,
                             struct wf_log_report *out, struct wf_error *err) {
    struct damage_report report;
    *out = (struct wf_log_report){0};
    enum wf_status status = engine_require_store(io_posix(), dir, err);
    if (status != WF_OK) {
        return status;
    }
    damage_report_init(&report);
    status = damage_survey(io_posix(), snapshot_lmdb(), dir, &report, err);
    if (status == WF_OK) {
        status = damage_conclude(&report, on_finding, ctx, out, err);
    }
    damage_report_deinit(&report);
    return status;
}

/* --- repair --- */

/* The snapshot's LSN: what it covers was durable. 0 where there is none that can be read; not where
 * it could not be looked at, for then a lost record might pass for a torn tail. */
static enum wf_status snapshot_lsn_of(struct io *io, const struct snapshot_provider *provider,
                                      const char *dir, uint64_t *lsn, struct wf_error *err) {
    struct snapshot *snapshot = NULL;
    struct snapshot_meta meta = {0};
    char *path = io_path_join(dir, engine_snapshot_name);
    if (path == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    enum wf_status status = provider->open(provider, io, path, false, true, &snapshot, err);
    free(path);
    if (status == WF_OK) {
        (void)snapshot->ops->meta(snapshot, &meta);
        snapshot->ops->close(snapshot);
    }
    *lsn = meta.lsn;
    return status == WF_NOT_FOUND || status == WF_DAMAGE ? WF_OK : status;
}

/* What the log lost, it lost from the state too: a snapshot that still has it would be a state that
 * no log leads to, and no replay could verify. It is set aside, not removed: whoever repairs can
 * look up in it what the lost records had done. */
static enum wf_status drop_richer_snapshot(struct io *io, const struct snapshot_provider *provider,
                                           const char *dir, uint64_t snapshot_lsn,
                                           const struct damage_report *repaired,
                                           struct wf_error *err) {
    bool richer = false;
    for (const struct damage_loss *loss = repaired->losses; loss != NULL; loss = loss->next) {
        richer |= !loss->recorded && loss->first_lsn <= snapshot_lsn;
    }
    if (!richer) {
        return WF_OK;
    }
    char *path = io_path_join(dir, engine_snapshot_name);
    enum wf_status status = path == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                                         : provider->set_aside(provider, io, path, err);
    free(path);
    return status;
}

/* Mend the log, and read it again into `repaired`. */
static enum wf_status repair_log(struct io *io, const struct snapshot_provider *provider,
                                 const char *dir, uint64_t published_lsn, uint64_t skip_lsn,
                                 struct damage_report *report, struct damage_report *repaired,
                                 struct wf_error *err) {
    char *wal_dir = io_path_join(dir, engine_wal_name);
    if (wal_dir == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    uint64_t snapshot_lsn = 0;
    enum wf_status status = snapshot_lsn_of(io, provider, dir, &snapshot_lsn, err);
    uint64_t minimum_lsn = published_lsn > snapshot_lsn ? published_lsn : snapshot_lsn;
    if (status == WF_OK) {
        status = wal_repair(io, wal_dir, minimum_lsn, skip_lsn, damage_add_finding, report, err);
    }
    if (status == WF_OK) {
        status = damage_read_log(io, wal_dir, minimum_lsn, repaired, err);
    }
    if (status == WF_OK) {
        status = drop_richer_snapshot(io, provider, dir, snapshot_lsn, repaired, err);
    }
    free(wal_dir);
    return status;
}

static enum wf_status repair_files(struct io *io, const struct snapshot_provider *provider,
                                   const char *dir, uint64_t skip_lsn, struct damage_report *report,
                                   struct damage_report *repaired, struct wf_error *err) {
    char *lock_path = io_path_join(dir, engine_lock_name);
    if (lock_path == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    struct lock_file *lock = NULL;
    enum wf_status status = lock_acquire(io, lock_path, &lock, err);
    uint64_t published_lsn = 0;
    if (status == WF_OK) {
        status = lock_published(lock, &published_lsn, err);
    }
    if (status == WF_OK) {
        status = repair_log(io, provider, dir, published_lsn, skip_lsn, report, repaired, err);
    }
    if (status == WF_OK) {
        status = archive_repair(io, dir, report, err);
    }
    lock_release(lock);
    free(lock_path);
    return status;
}

/* The file that keeps the damaged bytes of what was lost. */
static void name_copy(struct wf_engine *engine, uint64_t lsn, char *copy, size_t size) {
    struct wal_segment_info info;
    copy[0] = '\0';
    for (size_t i = 0; wal_segment_at(engine->wal, i, &info); i++) {
        if (info.first_lsn <= lsn) {
            (void)snprintf(copy, size, "%s.damaged", info.name);
        }
    }
}

/* `with` (may be NULL) went with it. */
static enum wf_status record_loss(struct wf_engine *engine, const struct damage_loss *loss,
                                  const struct aftermath_fields *with, struct wf_error *err) {
    char copy[96];
    name_copy(engine, loss->first_lsn, copy, sizeof(copy));
    struct event event = {.kind = EVENT_LOG_REPAIRED};
    event.as.log_repaired.first_lsn = loss->first_lsn;
    event.as.log_repaired.last_lsn = loss->last_lsn;
    event.as.log_repaired.copy = text_view(copy);
    event.as.log_repaired.fields = with == NULL ? NULL : with->fields;
    event.as.log_repaired.field_count = with == NULL ? 0 : with->count;
    struct record record = {.command = COMMAND_LOG_REPAIR, .events = &event, .event_count = 1};
    pthread_mutex_lock(&engine->mutex);
    record.time_ms = engine_record_time_ms(engine);
    enum wf_status status = engine_log_record(engine, &record, err);
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

/* One record per loss, so that the history says what is missing and where the bytes are: those of a
 * repair that was killed before it came to this too. The first of them says what went with all. */
static enum wf_status record_losses(struct io *io, const struct snapshot_provider *provider,
                                    const char *dir, const struct damage_report *repaired,
                                    const struct wf_log_losses *lost, struct wf_error *err) {
    struct wf_engine *engine = NULL;
    struct aftermath_fields fields;
    const struct aftermath_fields *with = &fields;
    aftermath_to_fields(lost, &fields);
    enum wf_status status = engine_open(io, provider, dir, NULL, &engine, err);
    if (status != WF_OK) {
        return error_wrap(err, status, "open %s", dir);
    }
    for (const struct damage_loss *loss = repaired->losses; status == WF_OK && loss != NULL;
         loss = loss->next) {
        if (!loss->recorded) {
            status = record_loss(engine, loss, with, err);
            with = NULL;
        }
    }
    enum wf_status closed = wf_close(engine, status == WF_OK ? err : NULL);
    return status == WF_OK ? closed : status;
}

/* What is damaged still, and is to stay so until something is put back. */
static enum wf_status tell_beyond(struct io *io, const struct snapshot_provider *provider,
                                  const char *dir, wf_finding_fn on_finding, void *ctx,
                                  uint64_t *count, struct wf_error *err) {
    struct damage_report now;
    damage_report_init(&now);
    enum wf_status status = damage_survey(io, provider, dir, &now, err);
    if (status == WF_OK) {
        status = damage_beyond(&now, on_finding, ctx, count, err);
    }
    damage_report_deinit(&now);
    return status;
}

/* Look at everything: for the names of those concerned, and for what rests on the lost records. The
 * repair itself sees only frames. */
static enum wf_status survey_all(struct io *io, const struct snapshot_provider *provider,
                                 const char *dir, struct damage_report *survey,
                                 struct wf_log_losses *lost, struct wf_error *err) {
    struct aftermath aftermath;
    enum wf_status status = aftermath_init(&aftermath, err);
    if (status != WF_OK) {
        return status;
    }
    survey->aftermath = &aftermath;
    status = damage_survey(io, provider, dir, survey, err);
    if (status == WF_OK) {
        status = aftermath_sum(&aftermath, lost, err);
    }
    for (const struct damage_loss *loss = survey->losses; status == WF_OK && loss != NULL;
         loss = loss->next) { /* a repair that was cut short has taken these */
        lost->untold +=
            loss->recorded || aftermath.compared ? 0 : loss->last_lsn - loss->first_lsn + 1;
    }
    if (status == WF_OK && !aftermath.compared && survey->repairs.counted) {
        aftermath_subtract(lost, &survey->repairs.told);
    }
    survey->aftermath = NULL;
    aftermath_deinit(&aftermath);
    return status;
}

static void take_names(struct damage_report *report, const struct damage_report *survey) {
    for (struct damage_finding *found = report->findings; found != NULL; found = found->next) {
        for (const struct damage_finding *seen = survey->findings; seen != NULL;
             seen = seen->next) {
            if (seen->finding.first_lsn == found->finding.first_lsn) {
                memcpy(found->names, seen->names, sizeof(found->names));
            }
        }
    }
}

enum wf_status engine_log_repair(struct io *io, const struct snapshot_provider *provider,
                                 const char *dir, uint64_t skip_lsn, wf_finding_fn on_finding,
                                 void *ctx, struct wf_log_report *out, struct wf_error *err) {
    *out = (struct wf_log_report){0};
    enum wf_status status = engine_require_store(io, dir, err);
    if (status != WF_OK) {
        return status;
    }
    struct damage_report survey;
    struct damage_report report;
    struct damage_report repaired;
    struct wf_log_losses lost = {0};
    uint64_t beyond = 0;
    damage_report_init(&survey);
    damage_report_init(&report);
    damage_report_init(&repaired);
    survey.drop_lsn = skip_lsn;
    status = identity_check(io, provider, dir, err); /* else it would be made the other store */
    if (status == WF_OK) {
        status = survey_all(io, provider, dir, &survey, &lost, err);
    }
    if (status == WF_OK) {
        status = repair_files(io, provider, dir, skip_lsn, &report, &repaired, err);
    }
    if (status == WF_OK) {
        take_names(&report, &survey);
        damage_summary(&survey, out);
        out->findings = report.count;
        out->lost = lost;
        out->lost.records = damage_lost_records(&repaired);
        damage_tell_all(&report, on_finding, ctx);
        status = record_losses(io, provider, dir, &repaired, &lost, err);
    }
    if (status == WF_OK && damage_beyond(&survey, NULL, NULL, &beyond, err) != WF_OK) {
        status = tell_beyond(io, provider, dir, on_finding, ctx, &out->findings, err);
    }
    if (out->lost.names == NULL) {
        free(lost.names); /* it came to no report */
    }
    damage_report_deinit(&repaired);
    damage_report_deinit(&report);
    damage_report_deinit(&survey);
    return status;
}

/* A log without a single readable header is beyond a repair: its frames cannot be checked. */
static enum wf_status require_header(struct io *io, const char *dir, struct wf_error *err) {
    uint8_t store_id[WAL_STORE_ID_SIZE];
    char *wal_dir = io_path_join(dir, engine_wal_name);
    enum wf_status status = wal_dir == NULL ? error_set(err, WF_NO_MEMORY, "no memory for a path")
                                            : wal_identify(io, wal_dir, store_id, err);
    free(wal_dir);
    return status;
}

static enum wf_status plan_repair(struct io *io, const struct snapshot_provider *provider,
                                  const char *dir, uint64_t skip_lsn, wf_finding_fn on_finding,
                                  void *ctx, struct wf_log_report *out, struct wf_error *err) {
    struct damage_report survey;
    struct wf_log_losses lost = {0};
    bool rebuilds = false;
    uint64_t beyond = 0;
    damage_report_init(&survey);
    survey.drop_lsn = skip_lsn;
    enum wf_status status = identity_check(io, provider, dir, err);
    if (status == WF_OK) {
        status = survey_all(io, provider, dir, &survey, &lost, err);
    }
    if (status == WF_OK) {
        status = require_header(io, dir, err);
    }
    if (status == WF_OK) {
        status = archive_repair_plan(io, dir, &survey, &rebuilds, err);
    }
    if (status == WF_OK) {
        damage_summary(&survey, out);
        out->lost = lost;
        out->lost.records = damage_lost_records(&survey);
        damage_tell_all(&survey, on_finding, ctx);
    }
    if (status == WF_OK && skip_lsn != 0 && !survey.dropped) {
        status = error_set(err, WF_NOT_FOUND, "the log holds no record of LSN %" PRIu64, skip_lsn);
    }
    if (status == WF_OK &&
        !rebuilds) { /* a manifest made anew may bring back what is missing now */
        status = damage_beyond(&survey, NULL, NULL, &beyond, err);
    }
    if (out->lost.names == NULL) {
        free(lost.names);
    }
    damage_report_deinit(&survey);
    return status;
}

enum wf_status wf_log_repair(const char *dir, uint64_t skip_lsn, wf_finding_fn on_finding,
                             void *ctx, struct wf_log_report *out, struct wf_error *err) {
    return engine_log_repair(io_posix(), snapshot_lmdb(), dir, skip_lsn, on_finding, ctx, out, err);
}

enum wf_status wf_log_repair_plan(const char *dir, uint64_t skip_lsn, wf_finding_fn on_finding,
                                  void *ctx, struct wf_log_report *out, struct wf_error *err) {
    *out = (struct wf_log_report){0};
    enum wf_status status = engine_require_store(io_posix(), dir, err);
    return status == WF_OK
               ? plan_repair(io_posix(), snapshot_lmdb(), dir, skip_lsn, on_finding, ctx, out, err)
               : status;
}
