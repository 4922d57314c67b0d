/* crash: kill a child of our own at a named instant, and see its workflows survive it. */
#include "base/error.h"
#include "tools/wfctl/crash.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The instant at which a batch is in the file and nobody was told: a torn tail is made there. */
static const char tear_point[] = "wal.before_sync";

enum verdict { SURVIVED, FAILED, NOT_REACHED };

struct campaign {
    struct cli *cli;
    char folder[PATH_MAX]; /* temporary; stays where something failed */
    char base[PATH_MAX + 16];
    uint64_t base_lsn;
    bool own_load;
    struct crash_stream stream;
    struct crash_watch *watch;
    uint64_t passings[CRASH_POINTS_MAX]; /* in a run that is not killed */
    size_t survived, failed, not_reached;
    uint64_t least_in_flight;
    struct text_table table;
    struct bytes_buffer reasons;
};

/* --- points --- */

enum wf_status cmd_crash_points(struct cli *cli) {
    static const char *const headers[] = {"point", "what has happened when it is passed", NULL};
    struct out *out = &cli->out;
    struct text_table table;
    out_list_open(out, "points");
    table_begin(&table, out, headers);
    for (size_t i = 0; i < crash_point_count(); i++) {
        if (out_is_json(out)) {
            out_item_open(out);
            emit_member(&out->json, "point", wf_points()[i]);
            emit_member(&out->json, "meaning", crash_point_meaning(i));
            out_item_close(out);
        } else {
            table_cell(&table, STYLE_BOLD, wf_points()[i]);
            table_cell(&table, STYLE_PLAIN, crash_point_meaning(i));
        }
    }
    table_end(&table);
    out_list_end(out);
    return WF_OK;
}

/* --- the store to die over --- */

static enum wf_status make_base(struct campaign *campaign) {
    struct cli *cli = campaign->cli;
    if (!campaign->own_load)
        return wf_backup(cli->dir, campaign->base, &campaign->base_lsn, &cli->err);
    const char *dir = cli->dir;
    struct store_created created;
    cli->dir = campaign->base;
    enum wf_status status = store_create(cli, NULL, &created);
    if (status == WF_OK)
        status = store_open(cli, ACCESS_WRITE, false);
    if (status == WF_OK)
        status = crash_stream_warm(cli->engine, &cli->err);
    struct wf_store_status now;
    if (status == WF_OK)
        status = wf_status_get(cli->engine, false, &now, &cli->err);
    campaign->base_lsn = status == WF_OK ? now.durable_lsn : 0;
    store_close(cli);
    cli->dir = dir;
    return status;
}

static enum wf_status start(struct campaign *campaign) {
    struct cli *cli = campaign->cli;
    const char *path = cli_option(cli, "exec");
    campaign->own_load = path == NULL;
    campaign->least_in_flight = UINT64_MAX;
    bytes_buffer_init(&campaign->reasons);
    campaign->watch = mmap(NULL, sizeof *campaign->watch, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (campaign->watch == MAP_FAILED)
        return error_set(&cli->err, WF_NO_MEMORY, "no memory to share: %s", strerror(errno));
    enum wf_status status = crash_stream_load(cli, path, &campaign->stream);
    if (status == WF_OK)
        status = crash_folder_make(campaign->folder, &cli->err);
    if (status != WF_OK)
        return status;
    snprintf(campaign->base, sizeof campaign->base, "%s/base", campaign->folder);
    return make_base(campaign);
}

static void finish(struct campaign *campaign) {
    if (campaign->folder[0] && campaign->failed == 0)
        crash_folder_remove(campaign->folder);
    if (campaign->watch != MAP_FAILED)
        munmap(campaign->watch, sizeof *campaign->watch);
    crash_stream_free(&campaign->stream);
    bytes_buffer_deinit(&campaign->reasons);
}

/* --- one run --- */

/* Work in a child that dies at this instant (nth 0: never), if the log's stream gets that far. */
static enum wf_status die_at(struct campaign *campaign, struct crash_run *run,
                             struct crash_point point, bool feeds) {
    *campaign->watch = (struct crash_watch){.die_at = point};
    run->watch = campaign->watch;
    run->feeds = feeds;
    run->drops = point.nth > 0 && crash_point_is_drop(point.index);
    run->dropped = run->drops && crash_point_is_dropped(point.index);
    enum wf_status status = crash_child_run(run, &campaign->cli->err);
    uint64_t passed = campaign->watch->passed[point.index];
    if (status == WF_OK && point.nth > 0 && !run->killed)
        crash_fail(run, "it passed %s %" PRIu64 " times only: nobody was killed",
                   wf_points()[point.index], passed);
    return status;
}

static size_t index_of(const char *name) {
    size_t index = 0;
    while (strcmp(wf_points()[index], name) != 0)
        index++;
    return index;
}

static uint64_t middle(uint64_t passings) {
    return (passings + 1) / 2;
}

/* A child dies with a batch half written; another one dies while it recovers from that. */
static enum wf_status die_cutting(struct campaign *campaign, struct crash_run *run,
                                  struct crash_point point) {
    size_t before = index_of(tear_point);
    struct crash_point tear = {before, middle(campaign->passings[before])};
    if (tear.nth == 0) {
        crash_fail(run, "the stream writes nothing: there is no tail to cut");
        return WF_OK;
    }
    enum wf_status status = die_at(campaign, run, tear, true);
    if (status == WF_OK && !run->failure[0])
        status = crash_folder_tear(run->dir, &campaign->cli->err);
    return status == WF_OK && !run->failure[0] ? die_at(campaign, run, point, false) : status;
}

static enum wf_status run_point(struct campaign *campaign, struct crash_run *run,
                                struct crash_point point) {
    struct wf_error *err = &campaign->cli->err;
    enum wf_status status = wf_backup(campaign->base, run->dir, NULL, err);
    if (status == WF_OK)
        status = crash_point_is_cut(point.index) ? die_cutting(campaign, run, point)
                                                 : die_at(campaign, run, point, true);
    if (status == WF_OK && run->killed && !run->failure[0])
        crash_check_store(run);
    if (status == WF_OK && !run->failure[0] && run->in_flight == 0)
        crash_fail(run, "no workflow was in flight: this kill proves nothing");
    return status;
}

/* Once without a kill, to count how often each instant is passed. */
static enum wf_status rehearse(struct campaign *campaign) {
    char dir[PATH_MAX + 32];
    snprintf(dir, sizeof dir, "%s/rehearsal", campaign->folder);
    struct crash_run run = {
        .dir = dir, .stream = &campaign->stream, .base_lsn = campaign->base_lsn};
    struct wf_error *err = &campaign->cli->err;
    enum wf_status status = wf_backup(campaign->base, dir, NULL, err);
    if (status == WF_OK)
        status = die_at(campaign, &run, (struct crash_point){0}, true);
    if (status == WF_OK && run.failure[0])
        status = error_set(err, WF_REFUSED, "the stream fails without any crash: %s", run.failure);
    for (size_t i = 0; i < crash_point_count(); i++)
        campaign->passings[i] = campaign->watch->passed[i];
    crash_folder_remove(dir);
    return status;
}

/* --- telling --- */

static const char *const verdict_words[] = {
    [SURVIVED] = "survived", [FAILED] = "failed", [NOT_REACHED] = "not_reached"};

static void tell_json(struct campaign *campaign, const struct crash_run *run,
                      struct crash_point point, enum verdict verdict) {
    struct out *out = &campaign->cli->out;
    out_item_open(out);
    emit_member(&out->json, "point", wf_points()[point.index]);
    emit_member_uint(&out->json, "at", point.nth);
    emit_member(&out->json, "result", verdict_words[verdict]);
    emit_member_uint(&out->json, "workflows_in_flight", run->in_flight);
    emit_member_uint(&out->json, "acknowledged", run->acknowledged);
    emit_member_uint(&out->json, "unanswered", run->sent - run->answered);
    emit_member_uint(&out->json, "durable_lsn", run->durable_lsn);
    emit_member_uint(&out->json, "replayed", run->replayed);
    emit_member_uint(&out->json, "torn_bytes", run->torn_bytes);
    if (verdict == FAILED) {
        emit_member(&out->json, "reason", run->failure);
        emit_member(&out->json, "store", run->dir);
    }
    out_item_close(out);
}

static void tell_text(struct campaign *campaign, const struct crash_run *run,
                      struct crash_point point, enum verdict verdict) {
    static const enum out_style styles[] = {
        [SURVIVED] = STYLE_GOOD, [FAILED] = STYLE_BAD, [NOT_REACHED] = STYLE_DIM};
    static const char *const words[] = {
        [SURVIVED] = "survived", [FAILED] = "FAILED", [NOT_REACHED] = "not reached"};
    struct text_table *table = &campaign->table;
    table_cell(table, STYLE_PLAIN, wf_points()[point.index]);
    table_cell_uint(table, point.nth);
    table_cell_uint(table, run->acknowledged);
    table_cell_uint(table, run->sent - run->answered);
    table_cell_uint(table, run->replayed);
    table_cell_uint(table, run->in_flight);
    table_cell(table, styles[verdict], words[verdict]);
    if (verdict == FAILED) {
        char reason[sizeof run->failure + PATH_MAX + 128];
        int size = snprintf(reason, sizeof reason, "%s:%" PRIu64 ": %s (the store is left in %s)\n",
                            wf_points()[point.index], point.nth, run->failure, run->dir);
        bytes_write_run(&campaign->reasons, reason, (size_t)size);
    }
}

static void note(struct campaign *campaign, const struct crash_run *run, struct crash_point point,
                 enum verdict verdict) {
    campaign->survived += verdict == SURVIVED;
    campaign->failed += verdict == FAILED;
    campaign->not_reached += verdict == NOT_REACHED;
    if (verdict == SURVIVED && run->in_flight < campaign->least_in_flight)
        campaign->least_in_flight = run->in_flight;
    if (out_is_json(&campaign->cli->out))
        tell_json(campaign, run, point, verdict);
    else
        tell_text(campaign, run, point, verdict);
}

static void tell_sum(struct campaign *campaign) {
    struct out *out = &campaign->cli->out;
    bytes_write_run(&out->bytes, campaign->reasons.data, campaign->reasons.size);
    out_printf(out, "%zu survived, %zu failed", campaign->survived, campaign->failed);
    if (campaign->not_reached > 0)
        out_printf(out, ", %zu not reached by this stream", campaign->not_reached);
    if (campaign->survived > 0)
        out_printf(out, "; workflows in flight: %" PRIu64 " or more at every kill",
                   campaign->least_in_flight);
    out_printf(out, "\n");
}

/* --- all of it --- */

static enum wf_status run_and_note(struct campaign *campaign, struct crash_point point) {
    char dir[PATH_MAX + 128];
    snprintf(dir, sizeof dir, "%s/%s", campaign->folder, wf_points()[point.index]);
    struct crash_run run = {
        .dir = dir, .stream = &campaign->stream, .base_lsn = campaign->base_lsn};
    enum wf_status status = run_point(campaign, &run, point);
    if (status != WF_OK)
        return status;
    note(campaign, &run, point, run.failure[0] ? FAILED : SURVIVED);
    if (!run.failure[0])
        crash_folder_remove(dir);
    return WF_OK;
}

static enum wf_status sweep(struct campaign *campaign) {
    struct progress progress = {.what = "kills"};
    enum wf_status status = WF_OK;
    size_t count = crash_point_count();
    for (size_t i = 0; i < count && status == WF_OK; i++) {
        progress_update(&progress, i, count);
        struct crash_point point = {i, middle(campaign->passings[i])};
        if (crash_point_is_cut(i) || (crash_point_is_drop(i) && point.nth == 0))
            point.nth = 1;
        struct crash_run none = {.dir = ""};
        if (point.nth > 0)
            status = run_and_note(campaign, point);
        else if (campaign->own_load)
            status = error_set(&campaign->cli->err, WF_REFUSED, "the load never passes %s",
                               wf_points()[i]);
        else
            note(campaign, &none, point, NOT_REACHED);
    }
    progress_clear(&progress);
    return status;
}

static enum wf_status run_all(struct campaign *campaign, const char *at) {
    struct crash_point point = {0};
    enum wf_status status = at ? crash_point_parse(campaign->cli, at, &point) : WF_OK;
    if (status == WF_OK)
        status = start(campaign);
    if (status == WF_OK && (!at || crash_point_is_cut(point.index)))
        status = rehearse(campaign);
    if (status != WF_OK)
        return status;
    return at ? run_and_note(campaign, point) : sweep(campaign);
}

/* The list of runs is made first, then put behind what only the end of the work can tell. */
static void tell_all_json(struct campaign *campaign, enum wf_status status,
                          const struct bytes_buffer *runs) {
    struct cli *cli = campaign->cli;
    struct out *out = &cli->out;
    out_outcome_open(out, status, cli->err.text);
    emit_member_uint(&out->json, "survived", campaign->survived);
    emit_member_uint(&out->json, "failed", campaign->failed);
    emit_member_uint(&out->json, "not_reached", campaign->not_reached);
    out_outcome_items(out, "runs", runs);
    out_object_close(out);
    cli->reported = true;
}

static enum wf_status judge(struct campaign *campaign) {
    struct wf_error *err = &campaign->cli->err;
    if (campaign->failed > 0)
        return error_set(err, WF_REFUSED, "%zu of %zu kills did not end well; see %s",
                         campaign->failed, campaign->failed + campaign->survived, campaign->folder);
    if (campaign->survived == 0)
        return error_set(err, WF_REFUSED, "the stream reaches no crash point");
    return WF_OK;
}

enum wf_status cmd_crash_run(struct cli *cli) {
    static const char *const headers[] = {"point",     ">at",        ">acknowledged", ">unanswered",
                                          ">replayed", ">in flight", "result",        NULL};
    struct campaign campaign = {.cli = cli, .watch = MAP_FAILED};
    const char *at = cli_option(cli, "at");
    struct out *out = &cli->out;
    if (cli_switch(cli, "sweep") == (at != NULL))
        return cli_usage(cli, "give either --at POINT:N or --sweep");
    table_begin(&campaign.table, out, headers);
    enum wf_status status = run_all(&campaign, at);
    bool ran = status == WF_OK;
    if (ran)
        status = judge(&campaign);
    table_end(&campaign.table);
    if (ran && out_is_json(out)) {
        struct bytes_buffer runs;
        bytes_buffer_init(&runs);
        if (out->mode == OUT_JSON) {
            runs = out->bytes;
            bytes_buffer_init(&out->bytes);
        }
        tell_all_json(&campaign, status, &runs);
        bytes_buffer_deinit(&runs);
    } else if (ran) {
        tell_sum(&campaign);
    }
    finish(&campaign);
    return status;
}
