/* What stands in the audit trail, filtered. Of one workflow or account only its own records are
 * read, along their links; of anything else all of them. */
#include "engine/engine.h"

#include "engine/core/reference.h"
#include "engine/event_out.h"
#include "engine/record_reader.h"

#include <stdlib.h>
#include <string.h>

struct show {
    const struct wf_audit_filter *filter;
    uint64_t first_lsn, last_lsn;
    wf_event_fn on_event;
    void *ctx;
};

static bool differs(const char *wanted, const char *found) {
    return wanted != NULL && (found == NULL || strcmp(wanted, found) != 0);
}

static bool show_event(void *ctx, const struct wf_event *event) {
    const struct show *show = ctx;
    const struct wf_audit_filter *filter = show->filter;
    if (filter->last_ms != 0 && event->time_ms > filter->last_ms) {
        return false; /* records never go back in time */
    }
    if (differs(filter->actor, event->actor) || differs(filter->event, event->event) ||
        (filter->first_ms != 0 && event->time_ms < filter->first_ms)) {
        return true;
    }
    return show->on_event(show->ctx, event);
}

/* --- by links --- */

/* Where the records about one name end. */
struct ends {
    struct record_link workflow, account; /* lsn 0: there is none of the name */
    bool others;                          /* or may be: only the whole log knows */
};

/* The mutex is held. */
static enum wf_status find_ends(struct wf_engine *engine, struct bytes_view name, struct ends *ends,
                                struct wf_error *err) {
    struct workflow *workflow = NULL;
    struct account *account = NULL;
    *ends = (struct ends){.others = state_definition(&engine->state, name, 0) != NULL};
    for (int kind = REFERENCE_RATE; kind <= REFERENCE_FEE_RULE; kind++) {
        ends->others |= state_reference(&engine->state, (enum reference_kind)kind, name) != NULL;
    }
    enum wf_status status = engine_find_workflow(engine, name, &workflow, err);
    if (status == WF_OK && workflow != NULL) {
        ends->workflow = workflow->history;
    }
    if (status == WF_OK) {
        status = engine_find_account(engine, name, &account, err);
    }
    if (status == WF_OK && account != NULL) {
        ends->account = account->history;
    }
    ends->others |= workflow == NULL && account == NULL;
    cache_trim(engine);
    return status;
}

static enum wf_status find_durable_ends(struct wf_engine *engine, struct bytes_view name,
                                        struct ends *ends, struct wf_error *err) {
    enum wf_status status;
    unsigned attempts = 0;
    do {
        pthread_mutex_lock(&engine->mutex);
        status = find_ends(engine, name, ends, err);
        struct wal_ticket ticket = engine_last_ticket(engine);
        pthread_mutex_unlock(&engine->mutex);
        if (status == WF_OK) {
            status = engine_wait_durable(engine, &ticket, err);
        }
    } while (engine_ask_again(status, &attempts));
    return status;
}

struct chain {
    struct record_link *links; /* oldest first */
    size_t count, at;
    uint64_t lost_lsn;
};

static enum wf_status collect(struct wf_engine *engine, const struct show *show,
                              struct bytes_view account, struct record_link newest,
                              struct chain *chain, struct wf_error *err) {
    *chain = (struct chain){.links = NULL};
    return newest.lsn == 0
               ? WF_OK
               : engine_collect_links(engine, account, newest, show->last_lsn, &chain->links,
                                      &chain->count, &chain->lost_lsn, err);
}

/* The next of both, once where it is in both; lsn 0: none is left. */
static struct record_link next_link(struct chain chains[2]) {
    struct record_link next = {0};
    for (int i = 0; i < 2; i++) {
        const struct chain *chain = &chains[i];
        if (chain->at < chain->count && (next.lsn == 0 || chain->links[chain->at].lsn < next.lsn)) {
            next = chain->links[chain->at];
        }
    }
    for (int i = 0; i < 2; i++) {
        chains[i].at +=
            chains[i].at < chains[i].count && chains[i].links[chains[i].at].lsn == next.lsn;
    }
    return next;
}

static enum wf_status show_chains(struct wf_engine *engine, struct show *show,
                                  struct chain chains[2], uint64_t lost_lsn, struct wf_error *err) {
    struct record_reader reader;
    struct record_link link;
    record_reader_init(&reader, engine);
    enum wf_status status = WF_OK;
    bool more = lost_lsn < show->first_lsn || lost_lsn > show->last_lsn ||
                engine_tell_missing(engine, lost_lsn, show_event, show);
    while (status == WF_OK && more && (link = next_link(chains)).lsn != 0) {
        if (link.lsn < show->first_lsn) {
            continue;
        }
        status = record_reader_read(&reader, link, err);
        bool ineffective = false;
        if (status == WF_OK) {
            status = engine_is_ineffective(engine, link.lsn, &ineffective, err);
        }
        if (status == WF_OK) {
            const struct definition *definition = command_is_about_workflow(reader.record.command)
                                                      ? engine_definition_of(engine, &reader.record)
                                                      : NULL;
            status = event_out_record(&reader.arena, &reader.record, definition, ineffective,
                                      show_event, show, &more, err);
        }
    }
    record_reader_deinit(&reader);
    return status;
}

/* `*done` false: links do not lead to all of it. */
static enum wf_status show_by_links(struct wf_engine *engine, struct show *show, bool *done,
                                    struct wf_error *err) {
    struct bytes_view name = text_view(show->filter->entity);
    struct archive_entry range;
    struct ends ends;
    struct chain chains[2] = {{.links = NULL}, {.links = NULL}};
    enum wf_status status = find_durable_ends(engine, name, &ends, err);
    *done = false;
    if (status == WF_OK && !ends.others) {
        status = collect(engine, show, text_view(""), ends.workflow, &chains[0], err);
    }
    if (status == WF_OK && !ends.others) {
        status = collect(engine, show, name, ends.account, &chains[1], err);
    }
    uint64_t lost_lsn =
        chains[0].lost_lsn > chains[1].lost_lsn ? chains[0].lost_lsn : chains[1].lost_lsn;
    /* What is before a dropped record was dropped too; before a lost one the log has more. */
    bool whole = lost_lsn == 0 || engine_dropped(engine, lost_lsn, &range);
    if (status == WF_OK && !ends.others && whole) {
        *done = true;
        status = show_chains(engine, show, chains, lost_lsn, err);
    }
    free(chains[0].links);
    free(chains[1].links);
    return status;
}

/* A name that no event has lets nothing through, which would look as if nothing had happened. */
static bool is_event(const char *name) {
    bool found = strcmp(name, EVENT_OUT_LOST) == 0 || strcmp(name, EVENT_OUT_DROPPED) == 0;
    for (int kind = 0; !found && kind <= UINT8_MAX; kind++) {
        const char *known = event_kind_name((enum event_kind)kind);
        found = known != NULL && strcmp(name, known) == 0;
    }
    return found;
}

enum wf_status wf_audit_show(struct wf_engine *engine, const struct wf_audit_filter *filter,
                             wf_event_fn on_event, void *ctx, struct wf_error *err) {
    struct show show = {.filter = filter,
                        .first_lsn = filter->first_lsn == 0 ? 1 : filter->first_lsn,
                        .last_lsn = filter->last_lsn == 0 ? UINT64_MAX : filter->last_lsn,
                        .on_event = on_event,
                        .ctx = ctx};
    bool done = false;
    enum wf_status status = WF_OK;
    if (filter->event != NULL && !is_event(filter->event)) {
        return error_set(err, WF_USAGE, "there is no event \"%.64s\"; one is stage_activated",
                         filter->event);
    }
    if (filter->entity != NULL) {
        status = show_by_links(engine, &show, &done, err);
    }
    return status != WF_OK || done ? status
                                   : wf_replay(engine, show.first_lsn, show.last_lsn,
                                               filter->entity, show_event, &show, err);
}
