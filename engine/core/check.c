#include "engine/core/check.h"

#include "engine/core/ledger.h"
#include "engine/core/reference.h"
#include "engine/core/rollback.h"
#include "engine/core/stage_money.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>
#include <string.h>

/* --- one workflow --- */

static enum wf_status diverges(const struct workflow *workflow, const char *stage, const char *what,
                               struct wf_error *err) {
    return error_set(err, WF_DIVERGENCE, "workflow %s%s%s: %s", workflow->id,
                     stage != NULL ? ", stage " : "", stage != NULL ? stage : "", what);
}

static bool is_known(const struct definition_stage *stage, const struct stage_state *state) {
    return stage->name != NULL && stage_status_name(state->status) != NULL;
}

/* The stage's status; of one that a rollback waits for, what it was before. */
static enum stage_status status_behind(const struct workflow *workflow, size_t index) {
    const struct proposal *rollback = workflow_rollback(workflow);
    if (rollback != NULL && rollback->waiting == index)
        return rollback->waiting_before;
    return workflow->stages[index].status;
}

/* LSNs, attempts and deadlines of a stage fit its status. */
static const char *stage_figures(const struct workflow *workflow, size_t index) {
    const struct stage_state *stage = &workflow->stages[index];
    enum stage_status status = status_behind(workflow, index);
    bool was_active = stage->attempt > 0;
    if (was_active != (stage->activated_lsn != 0))
        return "it has an attempt without an activation, or the other way round";
    if (was_active &&
        (stage->activated_lsn < workflow->started_lsn || stage->activated_lsn > workflow->lsn))
        return "it became active before the start or after the last change";
    if (stage->status == STAGE_BLOCKED && stage->deadline_ms != 0)
        return "it is blocked and has a deadline";
    if (stage->status != STAGE_BLOCKED && !was_active)
        return "it was never active and is not blocked";
    if ((status == STAGE_COMPLETED) != (stage->completed_lsn != 0))
        return "its status and the LSN of its completion do not fit";
    if (status == STAGE_COMPLETED &&
        (stage->completed_lsn < stage->activated_lsn || stage->completed_lsn > workflow->lsn))
        return "it was completed before it became active or after the last change";
    bool may_have_deadline = status == STAGE_ACTIVE || status == STAGE_HELD;
    if (!may_have_deadline && stage->deadline_ms != 0)
        return status == STAGE_COMPLETED ? "it is completed and has a deadline"
                                         : "it is neither active nor held and has a deadline";
    if (workflow_has_ended(workflow) && stage->deadline_ms != 0)
        return "it has a deadline after the end";
    return NULL;
}

/* The stage's status fits its needs and the steps in force. */
static const char *stage_needs(const struct workflow *workflow, size_t index) {
    const struct definition_stage *stage = &workflow->definition->stages[index];
    enum stage_status status = status_behind(workflow, index);
    bool goes_on = !workflow_has_ended(workflow) && !workflow_stands_still(workflow);
    bool met = (stage->needs_stages & ~workflow_completed_stages(workflow)) == 0 &&
               (stage->needs_items & ~workflow_items(workflow)) == 0;
    bool waits = status == STAGE_BLOCKED || status == STAGE_ROLLED_BACK;
    if (!waits && !met)
        return "it went on without what it needs";
    if (waits && met && goes_on)
        return "it waits although its needs are met";
    bool submitted = false;
    for (size_t i = 0; i < workflow->step_count; i++)
        submitted |= workflow->definition->steps[workflow->steps[i]].completes == (int)index;
    if (submitted && status != STAGE_COMPLETED)
        return "the step that completes it is in force, and it is not completed";
    if (status == STAGE_COMPLETED && !submitted && !definition_handler_given(&stage->handler))
        return "it is completed, and no step in force completed it";
    return NULL;
}

/* What waits, what stands still, and the status of the whole fit together. */
static const char *stage_waits(const struct workflow *workflow, size_t index) {
    enum stage_status status = workflow->stages[index].status;
    const struct proposal *rollback = workflow_rollback(workflow);
    bool reopening = workflow_reopening(workflow, (unsigned)index) != NULL;
    bool waits = reopening || (rollback != NULL && rollback->waiting == index);
    bool still = workflow_stands_still(workflow);
    if ((status == STAGE_AWAITING_REVIEW) != waits)
        return waits ? "something is proposed about it, and it does not wait for a review"
                     : "it waits for a review, and nothing is proposed";
    if (status == STAGE_HELD && !still)
        return "it is held in a workflow that goes on";
    if (status == STAGE_ACTIVE && still)
        return "it is active in a workflow that stands still";
    bool over = status == STAGE_TIMED_OUT || status == STAGE_FAILED;
    if (over && !workflow_has_ended(workflow) && rollback == NULL)
        return "it failed or timed out, and nobody decides what comes of it";
    return NULL;
}

static const char *proposals(const struct workflow *workflow) {
    if (workflow_has_ended(workflow))
        return workflow->proposals == NULL ? NULL : "something is proposed after its end";
    if (workflow->status != rollback_standing(workflow))
        return "its status and what is proposed do not fit";
    if (workflow->reason != NULL && workflow_rollback(workflow) == NULL)
        return "it has the reason of an end";
    return NULL;
}

static const char *packed_parts(const struct workflow *workflow) {
    uint64_t steps = 0;
    for (size_t i = 0; i < workflow->step_count; i++) {
        if (workflow->steps[i] >= workflow->definition->step_count ||
            (steps & UINT64_C(1) << workflow->steps[i]) != 0)
            return "its list of steps names an unknown one, or one twice";
        steps |= UINT64_C(1) << workflow->steps[i];
    }
    size_t at = 0;
    unsigned step;
    struct field field;
    while (workflow_field_next(workflow, &at, &step, &field))
        if (step < WORKFLOW_FIELD_OF_STAGE && (steps & UINT64_C(1) << step) == 0)
            return "it has a field of a step that is not in force";
    return at == workflow->data_size ? NULL : "its fields are malformed";
}

static const char *whole_workflow(const struct workflow *workflow) {
    uint64_t all = definition_all_stages(workflow->definition);
    bool completed = workflow_completed_stages(workflow) == all;
    if (workflow_status_name(workflow->status) == NULL)
        return "its status is unknown";
    /* Cancelled with all completed: while the way back from its completion waited for its first
     * review. */
    bool may_be = completed && workflow->status == WORKFLOW_CANCELLED;
    if (!may_be && completed != (workflow->status == WORKFLOW_COMPLETED))
        return completed ? "all its stages are completed, and it is not"
                         : "it is completed, and a stage is not";
    if (workflow->lsn < workflow->started_lsn || workflow->history.lsn < workflow->lsn)
        return "its LSNs are out of order";
    if (workflow->changed_ms < workflow->started_ms)
        return "it changed before it was started";
    const char *wrong = proposals(workflow);
    if (wrong == NULL)
        wrong = stage_money_check(workflow);
    return wrong != NULL ? wrong : packed_parts(workflow);
}

enum wf_status check_workflow(const struct workflow *workflow, struct wf_error *err) {
    const char *wrong = whole_workflow(workflow);
    if (wrong != NULL)
        return diverges(workflow, NULL, wrong, err);
    for (size_t i = 0; i < workflow->definition->stage_count; i++) {
        const struct definition_stage *stage = &workflow->definition->stages[i];
        if (!is_known(stage, &workflow->stages[i]))
            return diverges(workflow, NULL, "a stage is malformed", err);
        wrong = stage_figures(workflow, i);
        if (wrong == NULL)
            wrong = stage_needs(workflow, i);
        if (wrong == NULL)
            wrong = stage_waits(workflow, i);
        if (wrong != NULL)
            return diverges(workflow, stage->name, wrong, err);
    }
    return WF_OK;
}

/* --- the whole state --- */

/* A list holds entities of its generation, is linked both ways, and its sums are right. */
static enum wf_status check_list(const struct entity_list *list, const char *name,
                                 uint64_t generation_min, uint64_t generation_max,
                                 struct wf_error *err) {
    size_t count = 0, bytes = 0;
    const struct entity *previous = NULL;
    for (const struct entity *entity = list->first; entity != NULL; entity = entity->next) {
        if (entity->previous != previous || entity->generation < generation_min ||
            entity->generation > generation_max)
            return error_set(err, WF_DIVERGENCE,
                             "entry %zu of the list of %s entities does not belong there", count,
                             name);
        count++;
        bytes += entity->bytes;
        previous = entity;
    }
    if (list->last != previous || count != list->count || bytes != list->bytes)
        return error_set(err, WF_DIVERGENCE,
                         "the list of %s entities holds %zu of %zu bytes, and says %zu of %zu",
                         name, count, bytes, list->count, list->bytes);
    return WF_OK;
}

static enum wf_status check_lists(const struct state *state, struct wf_error *err) {
    uint64_t now = state->generation;
    if (check_list(&state->clean, "clean", 0, 0, err) != WF_OK ||
        check_list(&state->frozen, "frozen", 1, now - 1, err) != WF_OK ||
        check_list(&state->changed, "changed", now, now, err) != WF_OK)
        return WF_DIVERGENCE;
    size_t at = 0, unlisted = state->store.entity.generation == 0;
    for (const struct definition_entity *d; (d = table_next(&state->definitions, &at)) != NULL;)
        unlisted += d->entity.generation == 0;
    at = 0;
    for (const struct account *a; (a = table_next(&state->accounts, &at)) != NULL;)
        unlisted += a->entity.generation == 0 && account_is_internal(a);
    at = 0;
    for (const struct reference *r; (r = table_next(&state->references, &at)) != NULL;)
        unlisted += r->entity.generation == 0;
    size_t listed = state->clean.count + state->frozen.count + state->changed.count;
    size_t held = 1 + table_count(&state->definitions) + table_count(&state->workflows) +
                  table_count(&state->keys) + table_count(&state->accounts) +
                  table_count(&state->references) + table_count(&state->reversals) +
                  table_count(&state->ineffective);
    if (listed + unlisted != held)
        return error_set(err, WF_DIVERGENCE, "%zu entities are in the tables, %zu in the lists",
                         held, listed + unlisted);
    return WF_OK;
}

static enum wf_status check_definitions(const struct state *state, struct wf_error *err) {
    size_t at = 0;
    for (const struct definition_entity *d; (d = table_next(&state->definitions, &at)) != NULL;) {
        const struct definition_entity *newest =
            state_definition(state, text_view(d->definition->name), 0);
        if (newest == NULL || newest->definition->version < d->definition->version)
            return error_set(err, WF_DIVERGENCE,
                             "definition %s is newer than the newest of its name", d->key);
        if (state_definition_numbered(state, d->number) != d)
            return error_set(err, WF_DIVERGENCE,
                             "definition %s is not found by its number %" PRIu32, d->key,
                             d->number);
    }
    return WF_OK;
}

static enum wf_status check_keys(const struct state *state, bool whole, struct wf_error *err) {
    const struct store_entity *store = &state->store;
    size_t at = 0, live = 0;
    for (const struct idempotency_key *key; (key = table_next(&state->keys, &at)) != NULL;) {
        if (key->entity.deleted)
            continue;
        live++;
        if (key->sequence < store->key_first || key->sequence >= store->key_next)
            return error_set(err, WF_DIVERGENCE, "idempotency key %s is outside of those in force",
                             key->text);
        if (state_key_at(state, key->sequence) != key)
            return error_set(err, WF_DIVERGENCE, "idempotency key %s is not found by its sequence",
                             key->text);
    }
    if (live != table_count(&state->key_order))
        return error_set(err, WF_DIVERGENCE, "%zu idempotency keys are in force, %zu in order",
                         live, table_count(&state->key_order));
    if (whole && live != store->key_next - store->key_first)
        return error_set(err, WF_DIVERGENCE,
                         "%zu idempotency keys are in force, and the store counts %" PRIu64, live,
                         store->key_next - store->key_first);
    return WF_OK;
}

/* After a repair a workflow may lack what lost records said: its own invariants are not asked for
 * then. */
static enum wf_status check_workflows(const struct state *state, bool whole, struct wf_error *err) {
    const struct store_entity *store = &state->store;
    bool repaired = state->after_loss || store->repairs > 0;
    uint64_t counts[WORKFLOW_STATUS_COUNT] = {0};
    size_t at = 0;
    for (const struct workflow *w; (w = table_next(&state->workflows, &at)) != NULL;) {
        if (w->entity.deleted)
            continue;
        if (!repaired && check_workflow(w, err) != WF_OK)
            return WF_DIVERGENCE;
        if (workflow_status_name(w->status) == NULL)
            return diverges(w, NULL, "its status is unknown", err);
        counts[w->status]++;
    }
    for (int i = WORKFLOW_RUNNING; i < WORKFLOW_STATUS_COUNT; i++)
        if (whole ? counts[i] != store->workflow_counts[i] : counts[i] > store->workflow_counts[i])
            return error_set(err, WF_DIVERGENCE,
                             "%" PRIu64 " workflows are %s, and the store counts %" PRIu64,
                             counts[i], workflow_status_name((enum workflow_status)i),
                             store->workflow_counts[i]);
    return WF_OK;
}

/* Each workflow in memory that has a deadline stands among the timers, not later than it, none
 * stands before what it comes after, and nothing else is there. */
static enum wf_status check_timers(const struct state *state, const struct timers *timers,
                                   struct wf_error *err) {
    size_t at = 0, placed = 0;
    for (const struct workflow *w; (w = table_next(&state->workflows, &at)) != NULL;) {
        unsigned stage;
        int64_t due_ms =
            timers->of == TIMERS_OF_TASKS ? workflow_task_due(w) : workflow_due(w, &stage);
        uint32_t place = timers->of == TIMERS_OF_TASKS ? w->task_at : w->timer_at;
        placed += place != 0;
        if (place > timers->count || (place == 0 && due_ms != 0) ||
            (place != 0 && timers->heap[place - 1].workflow != w) ||
            (due_ms != 0 && timers->heap[place - 1].due_ms > due_ms))
            return diverges(w, NULL, "its place among the timers is wrong", err);
    }
    for (size_t i = 1; i < timers->count; i++)
        if (timers->heap[i].due_ms < timers->heap[(i - 1) / TIMERS_CHILDREN].due_ms)
            return diverges(timers->heap[i].workflow, NULL, "it stands too late among the timers",
                            err);
    return placed == timers->count
               ? WF_OK
               : error_set(err, WF_DIVERGENCE, "%zu workflows have a timer, %zu are in order",
                           placed, timers->count);
}

/* Likewise each account of a customer with a hold that expires, by the first one. */
static enum wf_status check_holds(const struct state *state, struct wf_error *err) {
    const struct timers *holds = &state->holds;
    size_t at = 0;
    for (const struct account *a; (a = table_next(&state->accounts, &at)) != NULL;) {
        int64_t due_ms = account_is_internal(a) ? 0 : account_due(a);
        bool is_there = a->timer_at != 0 && a->timer_at <= holds->count &&
                        holds->heap[a->timer_at - 1].account == a;
        if ((a->timer_at != 0) != is_there ||
            (due_ms != 0 && (!is_there || holds->heap[a->timer_at - 1].due_ms > due_ms)))
            return error_set(err, WF_DIVERGENCE,
                             "account %s: its place among the holds that expire is wrong",
                             a->number);
    }
    return WF_OK;
}

enum wf_status check_state(const struct state *state, bool whole, struct wf_error *err) {
    if (check_lists(state, err) != WF_OK || check_definitions(state, err) != WF_OK ||
        check_keys(state, whole, err) != WF_OK || check_workflows(state, whole, err) != WF_OK)
        return WF_DIVERGENCE;
    if (ledger_check(state, whole, err) != WF_OK)
        return WF_DIVERGENCE;
    if (check_timers(state, &state->timers, err) != WF_OK ||
        check_timers(state, &state->tasks, err) != WF_OK)
        return WF_DIVERGENCE;
    return check_holds(state, err);
}
