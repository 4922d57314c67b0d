/* What must be true of a store whose owner was killed. */
#include "tools/wfctl/crash.h"
#include "tools/wfctl/exec_request.h"
#include "tools/wfctl/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A definition and a workflow of our own: they fit into any store. */
static const char probe_yaml[] =
    "workflow: wfctl_crash_probe\n"
    "version: 1\n"
    "steps:\n"
    "  asked: {provides: [question]}\n"
    "  answered: {completes: survival}\n"
    "stages:\n"
    "  - {name: survival, needs: [question], timeout: 1d, outcome: alive}\n";
static const struct wf_command probe_definition = {
    .kind = WF_DEFINITION_ADD, .text = probe_yaml, .key = "wfctl crash probe: definition"};
static const struct wf_command probe_start = {.kind = WF_WORKFLOW_START,
                                              .id = "wfctl-crash-probe",
                                              .type = "wfctl_crash_probe",
                                              .key = "wfctl crash probe: start"};

static struct wf_engine *open_store(struct crash_run *run) {
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    crash_options_init(&options);
    if (wf_open(run->dir, &options, &engine, &err) != WF_OK)
        crash_fail(run, "it does not open: %s", err.text);
    return engine;
}

/* --- what was acknowledged --- */

/* Lines that were acknowledged with a record of their own, in order of it. */
struct acknowledged {
    struct crash_run *run;
    struct request request;
    const struct crash_line **lines;
    size_t count, next;
};

static int compare_lsn(const void *a, const void *b) {
    const struct crash_line *left = *(const struct crash_line *const *)a;
    const struct crash_line *right = *(const struct crash_line *const *)b;
    return left->lsn < right->lsn ? -1 : left->lsn > right->lsn;
}

static struct acknowledged *list_acknowledged(struct crash_run *run) {
    struct acknowledged *list = calloc(1, sizeof *list);
    const struct crash_line **lines = calloc(run->stream->count + 1, sizeof(struct crash_line *));
    if (!list || !lines) {
        crash_fail(run, "no memory to check the answers");
        free(lines);
        free(list);
        return NULL;
    }
    list->run = run;
    list->lines = lines;
    for (size_t i = 0; i < run->stream->count; i++) {
        const struct crash_line *line = &run->stream->lines[i];
        /* A smaller LSN: the key was used before, the record is of then. */
        if (line->answered && line->ok && line->lsn > run->base_lsn)
            list->lines[list->count++] = line;
    }
    qsort(lines, list->count, sizeof *lines, compare_lsn);
    return list;
}

static bool is_text(const char *wanted, const char *got) {
    return !wanted || (got && strcmp(wanted, got) == 0);
}

/* What it commits stands in the lines before it; the record is of a transaction. */
static bool is_session_commit(const struct request *request) {
    return strcmp(request->kind->name, "session.commit") == 0;
}

static const char *record_command(const struct request *request) {
    return is_session_commit(request) ? "account.transact" : request->kind->name;
}

/* Is this record the one that was acknowledged as such? */
static bool check_line(struct acknowledged *list, const struct crash_line *line,
                       const struct wf_event *event) {
    struct request *request = &list->request;
    struct wf_error err;
    if (request_decode(request, line->text, line->size, &err) != WF_OK) {
        crash_fail(list->run, "acknowledged, and no command: %s", err.text);
    } else if (!is_text(record_command(request), event->command) ||
               !is_text(request_string(request, MEMBER_ID), event->subject) ||
               !is_text(request_string(request, MEMBER_KEY), event->key)) {
        crash_fail(list->run,
                   "record %" PRIu64 " was acknowledged for %.*s, and is a %s of '%.200s'",
                   line->lsn, (int)(line->size < 300 ? line->size : 300), line->text,
                   event->command, event->subject);
    }
    return !list->run->failure[0];
}

static bool check_event(void *ctx, const struct wf_event *event) {
    struct acknowledged *list = ctx;
    while (list->next < list->count && list->lines[list->next]->lsn < event->lsn) {
        crash_fail(list->run, "record %" PRIu64 " was acknowledged and is LOST",
                   list->lines[list->next]->lsn);
        return false;
    }
    /* Two lines of one key have one record. */
    while (list->next < list->count && list->lines[list->next]->lsn == event->lsn)
        if (!check_line(list, list->lines[list->next++], event))
            return false;
    return true;
}

static void check_acknowledged(struct acknowledged *list, struct wf_engine *engine) {
    struct crash_run *run = list->run;
    struct wf_error err;
    uint64_t first = (run->dropped_lsn > run->base_lsn ? run->dropped_lsn : run->base_lsn) + 1;
    while (list->next < list->count && list->lines[list->next]->lsn < first)
        list->next++; /* dropped: only its key is left to ask for */
    if (list->next < list->count &&
        wf_replay(engine, first, run->durable_lsn, NULL, check_event, list, &err) != WF_OK)
        crash_fail(run, "its records cannot be read: %s", err.text);
    if (list->next < list->count)
        crash_fail(run, "record %" PRIu64 " was acknowledged and is LOST; the log ends at %" PRIu64,
                   list->lines[list->next]->lsn, run->durable_lsn);
}

/* Is this how a key answers that was used for this line? */
static bool is_repeated(const struct crash_run *run, const struct crash_line *line,
                        enum wf_status status, const struct wf_result *result) {
    if (line->lsn <= run->dropped_lsn)
        return status == WF_REFUSED; /* its first answer went with its record */
    return status == WF_OK && result->replayed && result->lsn == line->lsn;
}

/* Only timers that fire meanwhile have written anything. */
static bool check_keyless(void *ctx, const struct wf_event *event) {
    struct crash_run *run = ctx;
    if (event->key != NULL)
        crash_fail(run, "key '%s' was used for a command, and record %" PRIu64 " did it again",
                   event->key, event->lsn);
    return !run->failure[0];
}

/* Under its key each command answers as the first time, and nothing is done again. */
static void check_keys(struct acknowledged *list, struct wf_engine *engine) {
    struct crash_run *run = list->run;
    for (size_t i = 0; i < list->count && !run->failure[0]; i++) {
        const struct crash_line *line = list->lines[i];
        struct request *request = &list->request;
        struct wf_result result = {0};
        struct wf_error err;
        if (request_decode(request, line->text, line->size, &err) != WF_OK ||
            !request->kind->command || !request->command.key || is_session_commit(request))
            continue;
        enum wf_status status = wf_execute(engine, &request->command, &result, &err);
        if (!is_repeated(run, line, status, &result))
            crash_fail(run, "key '%s' answered with record %" PRIu64 ", now %s",
                       request->command.key, line->lsn,
                       status == WF_OK ? "with another" : err.text);
    }
    struct wf_error err;
    if (wf_replay(engine, run->durable_lsn + 1, UINT64_MAX, NULL, check_keyless, run, &err) !=
        WF_OK)
        crash_fail(run, "what its keys led to cannot be read: %s", err.text);
}

/* --- the state --- */

static void note_status(struct crash_run *run, struct wf_engine *engine) {
    struct wf_store_status now;
    struct wf_error err;
    if (wf_status_get(engine, false, &now, &err) != WF_OK) {
        crash_fail(run, "its status cannot be read: %s", err.text);
        return;
    }
    run->durable_lsn = now.durable_lsn;
    run->replayed = now.replayed;
    run->torn_bytes = now.torn_bytes;
    run->dropped_lsn = now.dropped_lsn;
    if (run->dropped && now.drop_lsn <= run->base_lsn)
        crash_fail(run, "its archives were dropped on record, and that is LOST");
    for (unsigned i = 1; wf_workflow_status_name(i); i++) {
        const char *name = wf_workflow_status_name(i);
        bool ended = strcmp(name, "completed") == 0 || strcmp(name, "failed") == 0 ||
                     strcmp(name, "cancelled") == 0;
        run->in_flight += ended ? 0 : now.counts[i];
    }
}

/* Opening carries on a drop that is on record: what it says is gone, and nothing else. */
static bool check_archive(void *ctx, const struct wf_archive *archive) {
    struct crash_run *run = ctx;
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/archive/%s", run->dir, archive->name);
    bool gone = archive->last_lsn <= run->dropped_lsn;
    if ((archive->dropped_lsn != 0) != gone ||
        (size < (int)sizeof path && (access(path, F_OK) != 0) != gone))
        crash_fail(run, "records up to %" PRIu64 " were dropped, and %s is%s there",
                   run->dropped_lsn, archive->name, gone ? "" : " not");
    return !run->failure[0];
}

static void check_archives(struct crash_run *run, struct wf_engine *engine) {
    struct wf_error err;
    if (wf_archive_list(engine, check_archive, run, &err) != WF_OK)
        crash_fail(run, "its archives cannot be told: %s", err.text);
}

static void check_replay(struct crash_run *run, struct wf_engine *engine) {
    struct wf_error err;
    char hash[65];
    if (wf_replay_verify(engine, NULL, NULL, hash, &err) != WF_OK)
        crash_fail(run, "replay comes to another state: %s", err.text);
}

/* It works: something new is taken, and there after another opening. */
static void check_new_command(struct crash_run *run, struct wf_engine *engine) {
    struct wf_error err;
    struct wf_workflow *workflow;
    if (wf_execute(engine, &probe_definition, NULL, &err) != WF_OK ||
        wf_execute(engine, &probe_start, NULL, &err) != WF_OK)
        crash_fail(run, "it takes no new command: %s", err.text);
    if (wf_close(engine, &err) != WF_OK)
        crash_fail(run, "it does not close: %s", err.text);
    engine = run->failure[0] ? NULL : open_store(run);
    if (!engine)
        return;
    if (wf_workflow_get(engine, probe_start.id, &workflow, &err) != WF_OK)
        crash_fail(run, "a new command is LOST after another opening: %s", err.text);
    else
        wf_workflow_free(workflow);
    wf_close(engine, NULL);
}

void crash_check_store(struct crash_run *run) {
    struct wf_engine *engine = open_store(run);
    if (!engine)
        return;
    struct acknowledged *list = list_acknowledged(run);
    struct wf_error err = {0};
    note_status(run, engine);
    if (list && request_memory_init(&err) == WF_OK) {
        check_acknowledged(list, engine);
        check_keys(list, engine);
        request_memory_deinit();
    } else {
        crash_fail(run, "%s", err.text);
    }
    if (list)
        free(list->lines);
    free(list);
    if (!run->failure[0])
        check_archives(run, engine);
    if (!run->failure[0])
        check_replay(run, engine);
    check_new_command(run, engine);
}
