#include "tests/crash/damage_open.h"
#include "workflows/loan/loan_sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WRONG(verdict, ...) snprintf((verdict)->text, sizeof(verdict)->text, __VA_ARGS__)

static void judge_refusal(const struct damage_opening *opening, const struct wf_error *err,
                          struct damage_verdict *verdict) {
    if (!opening->may_refuse)
        WRONG(verdict, "refused: %s", err->text);
    else if (err->status != WF_DAMAGE)
        WRONG(verdict, "refused as %s: %s", wf_status_code(err->status), err->text);
    else if (opening->file != NULL &&
             (strstr(err->text, opening->file) == NULL || strstr(err->text, "offset") == NULL))
        WRONG(verdict, "refused without file and offset: %s", err->text);
}

static void judge_status(const struct damage_opening *opening, const struct wf_store_status *status,
                         struct damage_verdict *verdict) {
    const struct subject *subject = opening->subject;
    uint64_t lsn = status->durable_lsn;
    uint64_t least = opening->least;
    if (opening->keep_snapshot && least < subject->snapshot_lsn)
        least = subject->snapshot_lsn;
    if (lsn < least || lsn > opening->most)
        WRONG(verdict, "opened at record %" PRIu64 ", must be in %" PRIu64 "..%" PRIu64, lsn, least,
              opening->most);
    else if (lsn > 1 && strcmp(status->state_hash, subject->hashes[lsn]) != 0)
        WRONG(verdict, "a WRONG STATE at record %" PRIu64, lsn);
}

/* The store that was opened takes a command, and has it after being opened again. */
static void judge_new_command(struct wf_engine *engine, const char *dir,
                              const struct wf_options *options, uint64_t lsn,
                              struct damage_verdict *verdict) {
    struct wf_error err;
    struct loan_sample sample;
    struct wf_result result;
    struct wf_workflow *workflow;
    loan_sample_command(&sample, "N", 1, 0);
    enum wf_status status = wf_execute(engine, &sample.command, &result, &err);
    if (status == WF_NOT_FOUND && lsn <= 2) { /* the definition itself was cut off */
        wf_close(engine, NULL);
        return;
    }
    if (status != WF_OK || result.lsn != lsn + 1) {
        WRONG(verdict, "a new command after opening: %s",
              status != WF_OK ? err.text : "has a wrong LSN");
        wf_close(engine, NULL);
        return;
    }
    wf_close(engine, NULL);
    if (wf_open(dir, options, &engine, &err) != WF_OK) {
        WRONG(verdict, "opened again: %s", err.text);
        return;
    }
    if (wf_workflow_get(engine, sample.command.id, &workflow, &err) != WF_OK)
        WRONG(verdict, "opened again: the new command is LOST: %s", err.text);
    else
        wf_workflow_free(workflow);
    wf_close(engine, NULL);
}

static void judge_files(const struct damage_opening *opening, struct damage_verdict *verdict) {
    const char *skip = opening->keep_snapshot ? NULL : "state";
    const char *changed = image_difference(&opening->subject->image, opening->dir, skip);
    if (changed != NULL)
        WRONG(verdict, "opened for reading, it CHANGED %s", changed);
}

void damage_open(const struct damage_opening *opening, struct damage_verdict *verdict) {
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    struct wf_store_status status;
    wf_options_init(&options);
    options.read_only = opening->read_only;
    options.segment_size = SUBJECT_SEGMENT_SIZE;
    options.snapshot_log_bytes = 0;
    options.snapshot_on_close = false;
    if (wf_open(opening->dir, &options, &engine, &err) != WF_OK) {
        verdict->outcome = DAMAGE_REFUSED;
        judge_refusal(opening, &err, verdict);
    } else if (wf_status_get(engine, true, &status, &err) != WF_OK) {
        WRONG(verdict, "status: %s", err.text);
        wf_close(engine, NULL);
    } else {
        verdict->outcome =
            status.durable_lsn == opening->subject->last_lsn ? DAMAGE_WHOLE : DAMAGE_PREFIX;
        judge_status(opening, &status, verdict);
        if (verdict->text[0] == '\0' && !opening->read_only && opening->closer)
            judge_new_command(engine, opening->dir, &options, status.durable_lsn, verdict);
        else
            wf_close(engine, NULL);
    }
    if (verdict->text[0] == '\0' && opening->read_only && opening->closer)
        judge_files(opening, verdict);
}
