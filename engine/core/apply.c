/* Every record comes in here: what it needs is set aside first, then its events are applied one by
 * one. */
#include "engine/core/apply.h"

#include "engine/core/catalog.h"
#include "engine/core/clock.h"
#include "engine/core/ineffective.h"
#include "engine/core/keys.h"
#include "engine/core/ledger.h"
#include "engine/core/migrate.h"
#include "engine/core/retention.h"
#include "engine/core/state_inner.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <assert.h>
#include <inttypes.h>

/* As clock.c bounds the times that it decides: a deadline must not leave 64 bits. */
static const int64_t time_ms_max = INT64_C(1) << 53;

static enum wf_status reserve_event(struct state *state, const struct record *record,
                                    const struct event *event, struct workflow_room *room,
                                    struct wf_error *err) {
    switch (event_machine(event->kind)) {
    case MACHINE_STORE:
        return WF_OK;
    case MACHINE_CATALOG:
        return catalog_reserve(state, record, event, err);
    case MACHINE_WORKFLOW:
        return workflow_reserve(state, record, event, room, err);
    case MACHINE_MIGRATION:
        return migrate_reserve(state, record, event, err);
    case MACHINE_LEDGER:
        return ledger_reserve(state, record, event, err);
    case MACHINE_RETENTION:
        return event->kind == EVENT_ARCHIVE_DROPPED ? retention_reserve(state, record, event, err)
                                                    : WF_OK;
    case MACHINE_NONE:
        break;
    }
    return error_set(err, WF_DAMAGE, "record %" PRIu64 " holds an event of unknown kind %d",
                     record->lsn, (int)event->kind);
}

/* Look up what the record is about; NULLs where it is about the store, or begins the subject. */
static void find_subject(struct state *state, const struct record *record) {
    enum command_subject subject = command_subject(record->command);
    if (subject == SUBJECT_WORKFLOW)
        state->reserved.workflow = state_workflow(state, record->subject);
    else if (subject == SUBJECT_DEFINITION)
        state->reserved.definition = state_definition(state, record->subject, 0);
}

static enum wf_status check_head(const struct state *state, const struct record *record,
                                 struct wf_error *err) {
    if (command_kind_name(record->command) == NULL)
        return error_set(err, WF_DAMAGE, "record %" PRIu64 " is of unknown kind %d", record->lsn,
                         (int)record->command);
    if (record->time_ms < state->store.seen_ms || record->time_ms > time_ms_max)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " is of time %" PRId64 " ms, after a record of %" PRId64
                         " ms",
                         record->lsn, record->time_ms, state->store.seen_ms);
    if (record->subject.size > COMMAND_ID_MAX || record->key.size > COMMAND_ID_MAX ||
        record->event_count > RECORD_EVENTS_MAX)
        return error_set(err, WF_DAMAGE, "record %" PRIu64 " breaks a limit", record->lsn);
    return WF_OK;
}

/* A repair took what these events rest on: only the key and the link to the record are kept, and
 * that it is so. */
static enum wf_status ignore(struct state *state, struct wf_error *err) {
    struct state_reserved *reserved = &state->reserved;
    reserved->ignored = true;
    if (reserved->new_workflow != NULL)
        reserved->workflow = reserved->old_workflow;
    return ineffective_reserve(state, err);
}

/* Does it use an idempotency key, or forget some? */
static bool has_keys(const struct record *record) {
    return record->key.size > 0 || record->keys_forgotten > 0;
}

enum wf_status apply_reserve(struct state *state, const struct record *record,
                             struct wf_error *err) {
    state_reserved_release(state); /* of a record that was neither applied nor discarded */
    state->reserved.in_use = true;
    if (check_head(state, record, err) != WF_OK)
        return WF_DAMAGE;
    find_subject(state, record);
    struct wf_error why;
    enum wf_status status = WF_OK;
    if (record->touch_count > 0)
        status = ledger_reserve_touches(state, record, &why);
    struct workflow_room room = {0, 0};
    for (size_t i = 0; i < record->event_count && status == WF_OK; i++)
        status = reserve_event(state, record, &record->events[i], &room, &why);
    if (status == WF_OK && state->reserved.account_count > 0)
        status = ledger_reserve_end(state, record, &why);
    if (status == WF_DAMAGE && state->after_loss)
        status = ignore(state, &why);
    if (status != WF_OK)
        return error_set(err, status, "%s", why.text);
    if (state->reserved.workflow != NULL &&
        (!timers_reserve(&state->timers) || !timers_reserve(&state->tasks)))
        return error_set(err, WF_NO_MEMORY, "no memory for another deadline");
    return has_keys(record) ? keys_reserve(state, record, err) : WF_OK;
}

static void apply_event(struct state *state, const struct record *record, struct event *event) {
    switch (event_machine(event->kind)) {
    case MACHINE_STORE:
        clock_apply(state, event);
        return;
    case MACHINE_CATALOG:
        catalog_apply(state, record, event);
        return;
    case MACHINE_WORKFLOW:
        workflow_apply(state, record, event);
        return;
    case MACHINE_MIGRATION:
        migrate_apply(state, record, event);
        return;
    case MACHINE_LEDGER:
        ledger_apply(state, record, event);
        return;
    case MACHINE_RETENTION:
        retention_apply(state, record, event);
        return;
    case MACHINE_NONE:
        return;
    }
}

/* The subject's history goes on with this record. */
static void link_history(struct state *state, const struct record *record) {
    struct record_link link = {record->lsn, record->offset};
    if (state->reserved.workflow != NULL) {
        state_touch(state, &state->reserved.workflow->entity, record->lsn);
        state->reserved.workflow->history = link;
        timers_follow(&state->timers, state->reserved.workflow);
        if (state->reserved.workflow->tasks != NULL)
            timers_follow(&state->tasks, state->reserved.workflow);
    } else if (state->reserved.definition != NULL) {
        state_touch(state, &state->reserved.definition->entity, record->lsn);
        state->reserved.definition->history = link;
    }
}

void apply_lost(struct state *state, uint64_t lsn) {
    state->after_loss = true;
    state_touch(state, &state->store.entity, lsn);
    state->store.untold++;
}

void apply_discard(struct state *state) {
    state_reserved_release(state);
}

void apply(struct state *state, const struct record *record) {
    struct store_entity *store = &state->store;
    state_touch(state, &store->entity, record->lsn);
    if (record->time_ms > store->seen_ms)
        store->seen_ms = record->time_ms;
    /* On its way to where it was told to go, a test clock stands at each deadline. */
    if (store->test_clock && store->clock_target_ms != 0 && record->time_ms > store->clock_ms)
        store->clock_ms = record->time_ms;
    bool has_accounts = state->reserved.account_count > 0;
    if (has_accounts)
        ledger_apply_begin(state, record);
    for (size_t i = 0; i < record->event_count && !state->reserved.ignored; i++)
        apply_event(state, record, &record->events[i]);
    if (has_accounts)
        ledger_apply_end(state);
    if (state->reserved.ignored)
        ineffective_apply(state, record->lsn);
    link_history(state, record);
    if (has_keys(record))
        keys_apply(state, record);
    state_reserved_release(state);
}
