/* The tables and what is looked up in them. The lists of changed entities are in state_changes.c.
 */
#include "engine/core/state.h"

#include "engine/core/account.h"
#include "engine/core/ineffective.h"
#include "engine/core/reference.h"
#include "engine/core/reversal.h"
#include "engine/core/state_inner.h"
#include "engine/core/workflow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOCATION_OVERHEAD = 16 }; /* bytes: header and rounding, on average */

const char *workflow_status_name(enum workflow_status status) {
    switch (status) {
    case WORKFLOW_RUNNING:
        return "running";
    case WORKFLOW_HELD:
        return "held";
    case WORKFLOW_AWAITING_REVIEW:
        return "awaiting_review";
    case WORKFLOW_ROLLING_BACK:
        return "rolling_back";
    case WORKFLOW_COMPLETED:
        return "completed";
    case WORKFLOW_FAILED:
        return "failed";
    case WORKFLOW_CANCELLED:
        return "cancelled";
    case WORKFLOW_STATUS_COUNT:
        break;
    }
    return NULL;
}

enum workflow_status workflow_status_parse(const char *word) {
    for (int i = WORKFLOW_RUNNING; i < WORKFLOW_STATUS_COUNT; i++)
        if (strcmp(workflow_status_name((enum workflow_status)i), word) == 0)
            return (enum workflow_status)i;
    return (enum workflow_status)0;
}

const char *stage_status_name(enum stage_status status) {
    switch (status) {
    case STAGE_BLOCKED:
        return "blocked";
    case STAGE_ACTIVE:
        return "active";
    case STAGE_COMPLETED:
        return "completed";
    case STAGE_TIMED_OUT:
        return "timed_out";
    case STAGE_FAILED:
        return "failed";
    case STAGE_AWAITING_REVIEW:
        return "awaiting_review";
    case STAGE_HELD:
        return "held";
    case STAGE_ROLLED_BACK:
        return "rolled_back";
    }
    return NULL;
}

static struct table_key workflow_key(const void *entry) {
    const struct workflow *workflow = entry;
    return (struct table_key){workflow->id, workflow->id_size};
}

/* Who looks for a workflow or an account is going to read and write all of it, and its lines are
 * rarely in a cache where many take turns. */
static void fetch_lines(const void *entry, size_t size) {
    enum { LINE = 64 };
    for (size_t at = 0; at < size; at += LINE)
        __builtin_prefetch((const char *)entry + at, 1);
}

static void workflow_fetch(const void *entry) {
    enum { STAGES = 4 }; /* of most; their steps and the id stand behind them */
    fetch_lines(entry, sizeof(struct workflow) + STAGES * sizeof(struct stage_state));
}

static void account_fetch(const void *entry) {
    fetch_lines(entry, sizeof(struct account));
}

static struct table_key definition_key(const void *entry) {
    const struct definition_entity *entity = entry;
    return (struct table_key){entity->key, entity->key_size};
}

static struct table_key newest_key(const void *entry) {
    const struct definition_entity *entity = entry;
    return (struct table_key){entity->definition->name, strlen(entity->definition->name)};
}

static struct table_key key_text(const void *entry) {
    const struct idempotency_key *key = entry;
    return (struct table_key){key->text, key->size};
}

static struct table_key key_sequence(const void *entry) {
    const struct idempotency_key *key = entry;
    return (struct table_key){&key->sequence, sizeof key->sequence};
}

static struct table_key account_key(const void *entry) {
    const struct account *account = entry;
    return (struct table_key){account->number, account->number_size};
}

static struct table_key reference_key(const void *entry) {
    const struct reference *reference = entry;
    return (struct table_key){reference->key, reference->key_size};
}

static struct table_key reversal_of(const void *entry) {
    const struct reversal *reversal = entry;
    return (struct table_key){reversal->of, sizeof reversal->of};
}

static struct table_key ineffective_of(const void *entry) {
    const struct ineffective *ineffective = entry;
    return (struct table_key){ineffective->lsn, sizeof ineffective->lsn};
}

enum wf_status state_init(struct state *state, struct wf_error *err) {
    *state = (struct state){
        .generation = 1, .tasks = {.of = TIMERS_OF_TASKS}, .holds = {.of = TIMERS_OF_HOLDS}};
    table_init(&state->workflows, workflow_key);
    table_init(&state->definitions, definition_key);
    table_init(&state->newest, newest_key);
    table_init(&state->keys, key_text);
    table_init(&state->key_order, key_sequence);
    table_init(&state->accounts, account_key);
    table_init(&state->references, reference_key);
    table_init(&state->reversals, reversal_of);
    table_init(&state->ineffective, ineffective_of);
    state->workflows.fetch = workflow_fetch;
    state->accounts.fetch = account_fetch;
    state->store.entity.kind = ENTITY_STORE;
    state->store.entity.bytes = sizeof state->store;
    state->store.key_first = state->store.key_next = 1;
    /* The first inserts after an open must not be the ones that meet a full memory. */
    if (!table_reserve(&state->workflows) || !table_reserve(&state->definitions) ||
        !table_reserve(&state->newest) || !table_reserve(&state->keys) ||
        !table_reserve(&state->key_order) || !table_reserve(&state->accounts) ||
        !table_reserve(&state->references) || !table_reserve(&state->reversals) ||
        !table_reserve(&state->ineffective)) {
        state_deinit(state);
        return error_set(err, WF_NO_MEMORY, "no memory for an empty state");
    }
    return WF_OK;
}

static bool is_any_left(const struct state_reserved *reserved) {
    return reserved->new_workflow != NULL || reserved->new_definition != NULL ||
           reserved->new_key != NULL || reserved->reason != NULL || reserved->request != NULL ||
           reserved->reopen != NULL || reserved->verdict != NULL || reserved->tasks != NULL ||
           reserved->money != NULL || reserved->reversal != NULL || reserved->ineffective != NULL ||
           reserved->new_reference != NULL;
}

static void free_reserved(struct state_reserved *reserved) {
    if (reserved->new_workflow != NULL)
        workflow_destroy(reserved->new_workflow);
    free(reserved->new_definition);
    free(reserved->new_key);
    free(reserved->reason);
    free(reserved->request);
    free(reserved->reopen);
    free(reserved->verdict);
    free(reserved->money);
    free(reserved->reversal);
    free(reserved->ineffective);
    while (reserved->tasks != NULL) {
        struct task *task = reserved->tasks;
        reserved->tasks = task->next;
        free(task);
    }
    reference_destroy(reserved->new_reference);
}

void state_reserved_release(struct state *state) {
    struct state_reserved *reserved = &state->reserved;
    if (!reserved->in_use)
        return;
    if (is_any_left(reserved)) /* most records need nothing, or took it all */
        free_reserved(reserved);
    for (size_t i = 0; i < reserved->account_count; i++)
        if (reserved->accounts[i] != NULL && reserved->accounts[i]->opened_lsn == 0)
            account_destroy(reserved->accounts[i]); /* new, and in no table */
    *reserved = (struct state_reserved){.accounts = reserved->accounts,
                                        .balances = reserved->balances,
                                        .account_capacity = reserved->account_capacity};
}

void state_deinit(struct state *state) {
    state_reserved_release(state);
    size_t at = 0;
    for (struct workflow *w; (w = table_next(&state->workflows, &at)) != NULL;)
        workflow_destroy(w);
    at = 0;
    for (struct definition_entity *d; (d = table_next(&state->definitions, &at)) != NULL;) {
        definition_destroy(d->definition);
        free(d);
    }
    at = 0;
    for (struct idempotency_key *k; (k = table_next(&state->keys, &at)) != NULL;)
        free(k);
    at = 0;
    for (struct account *a; (a = table_next(&state->accounts, &at)) != NULL;)
        account_destroy(a);
    at = 0;
    for (struct reference *r; (r = table_next(&state->references, &at)) != NULL;)
        reference_destroy(r);
    free(state->reserved.accounts);
    free(state->reserved.balances);
    table_deinit(&state->accounts);
    table_deinit(&state->references);
    at = 0;
    for (struct reversal *r; (r = table_next(&state->reversals, &at)) != NULL;)
        free(r);
    table_deinit(&state->reversals);
    at = 0;
    for (struct ineffective *i; (i = table_next(&state->ineffective, &at)) != NULL;)
        free(i);
    table_deinit(&state->ineffective);
    table_deinit(&state->workflows);
    table_deinit(&state->definitions);
    table_deinit(&state->newest);
    table_deinit(&state->keys);
    table_deinit(&state->key_order);
    free(state->numbered);
    timers_deinit(&state->timers);
    timers_deinit(&state->tasks);
    timers_deinit(&state->holds);
    slab_empty(&state->slab);
    *state = (struct state){0};
}

struct workflow *state_workflow(const struct state *state, struct bytes_view id) {
    return table_find(&state->workflows, id.data, id.size);
}

void state_workflow_prefetch(const struct state *state, struct bytes_view id) {
    table_prefetch(&state->workflows, id.data, id.size);
}

void state_workflow_prefetch_all(const struct state *state, struct bytes_view id) {
    table_prefetch_entry(&state->workflows, id.data, id.size);
}

struct idempotency_key *state_key(const struct state *state, struct bytes_view text) {
    return table_find(&state->keys, text.data, text.size);
}

struct idempotency_key *state_key_at(const struct state *state, uint64_t sequence) {
    return table_find(&state->key_order, &sequence, sizeof sequence);
}

struct definition_entity *state_definition(const struct state *state, struct bytes_view name,
                                           uint32_t version) {
    if (name.size == 0 || name.size > DEFINITION_NAME_MAX)
        return NULL;
    struct definition_entity *newest = table_find(&state->newest, name.data, name.size);
    if (newest == NULL || version == 0 || newest->definition->version == version)
        return newest;
    char key[DEFINITION_NAME_MAX + 12];
    memcpy(key, name.data, name.size);
    int size = snprintf(key + name.size, sizeof key - name.size, "/%u", version);
    return table_find(&state->definitions, key, name.size + (size_t)size);
}

struct definition_entity *state_definition_numbered(const struct state *state, uint32_t number) {
    return number == 0 || number > state->numbered_count ? NULL : state->numbered[number - 1];
}

struct idempotency_key *state_create_key(struct bytes_view text) {
    struct idempotency_key *key = calloc(1, sizeof *key + text.size + 1);
    if (key == NULL)
        return NULL;
    key->entity.kind = ENTITY_KEY;
    key->entity.bytes = (uint32_t)(sizeof *key + text.size + 1 + ALLOCATION_OVERHEAD);
    key->size = (uint8_t)text.size;
    memcpy(key->text, text.data, text.size);
    return key;
}

bool state_reserve_number(struct state *state, uint32_t number) {
    if (number <= state->numbered_capacity)
        return true;
    size_t capacity = (size_t)number + 16;
    struct definition_entity **grown =
        realloc(state->numbered, capacity * sizeof(struct definition_entity *));
    if (grown == NULL)
        return false;
    state->numbered = grown;
    state->numbered_capacity = capacity;
    return true;
}

void state_name_definition(struct definition_entity *entity) {
    const struct definition *definition = entity->definition;
    int size =
        snprintf(entity->key, sizeof entity->key, "%s/%u", definition->name, definition->version);
    entity->key_size = (size_t)size;
    size_t source = definition->source != NULL ? strlen(definition->source) : 0;
    entity->entity.bytes = (uint32_t)(sizeof *entity + sizeof *definition + source);
}

void state_insert_definition(struct state *state, struct definition_entity *entity) {
    while (state->numbered_count < entity->number)
        state->numbered[state->numbered_count++] = NULL;
    state->numbered[entity->number - 1] = entity;
    table_insert(&state->definitions, entity);
    const char *name = entity->definition->name;
    struct definition_entity *newest = table_find(&state->newest, name, strlen(name));
    if (newest == NULL) {
        table_insert(&state->newest, entity);
    } else if (newest->definition->version < entity->definition->version) {
        /* The table's slot borrows the name of its entry: take one out before the other goes in. */
        table_remove(&state->newest, name, strlen(name));
        table_insert(&state->newest, entity);
    }
}
