/* Which entities changed since when. An entity's generation says which list it is in:
 *
 *     generation == 0                   clean  (what stays in memory: no list)
 *     generation == state->generation   changed
 *     any other                         frozen: the generation before
 */
#include "engine/core/ineffective.h"
#include "engine/core/reversal.h"
#include "engine/core/state.h"

#include "engine/core/account.h"
#include "engine/core/state_inner.h"
#include "engine/core/workflow.h"

#include <assert.h>
#include <stdlib.h>

static bool stays_in_memory(const struct entity *entity) {
    return entity->kind == ENTITY_STORE || entity->kind == ENTITY_DEFINITION ||
           entity->kind == ENTITY_INTERNAL_ACCOUNT || entity->kind == ENTITY_REFERENCE;
}

/* The list that the entity is in, or NULL. */
static struct entity_list *list_of(struct state *state, const struct entity *entity) {
    assert(state != NULL);
    if (entity->generation == 0)
        return stays_in_memory(entity) ? NULL : &state->clean;
    return entity->generation == state->generation ? &state->changed : &state->frozen;
}

static void unlink_entity(struct entity_list *list, struct entity *entity) {
    if (list == NULL)
        return;
    *(entity->previous != NULL ? &entity->previous->next : &list->first) = entity->next;
    *(entity->next != NULL ? &entity->next->previous : &list->last) = entity->previous;
    entity->next = entity->previous = NULL;
    list->count--;
    list->bytes -= entity->bytes;
}

static void append_entity(struct entity_list *list, struct entity *entity) {
    if (list == NULL)
        return;
    entity->next = NULL;
    entity->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = entity;
    list->last = entity;
    list->count++;
    list->bytes += entity->bytes;
}

/* Move it to the list of `generation`. */
static void move_entity(struct state *state, struct entity *entity, uint64_t generation) {
    unlink_entity(list_of(state, entity), entity);
    entity->generation = generation;
    append_entity(list_of(state, entity), entity);
}

void state_adopt(struct state *state, struct entity *entity) {
    entity->generation = 0;
    append_entity(list_of(state, entity), entity);
}

void state_replace(struct state *state, struct entity *from, struct entity *to) {
    struct entity_list *list = list_of(state, from);
    uint32_t bytes = to->bytes;
    *to = *from;
    if (list != NULL) {
        *(to->previous != NULL ? &to->previous->next : &list->first) = to;
        *(to->next != NULL ? &to->next->previous : &list->last) = to;
    }
    from->next = from->previous = NULL;
    state_resize(state, to, bytes);
}

void state_resize(struct state *state, struct entity *entity, uint32_t bytes) {
    struct entity_list *list = list_of(state, entity);
    if (list != NULL)
        list->bytes = list->bytes - entity->bytes + bytes;
    entity->bytes = bytes;
}

void state_touch(struct state *state, struct entity *entity, uint64_t lsn) {
    if (entity->generation != state->generation) {
        if (entity->generation != 0 && state->before_change != NULL)
            state->before_change(state->before_change_ctx, entity);
        move_entity(state, entity,
                    state->generation); /* the callback may have thawed it: look again */
    }
    entity->digest_current = false;
    entity->changed_lsn = lsn;
}

void state_freeze(struct state *state) {
    assert(state->frozen.count == 0);
    state->frozen = state->changed;
    state->changed = (struct entity_list){0};
    state->generation++;
}

void state_thaw(struct state *state, struct entity *entity) {
    assert(entity->generation != 0 && entity->generation != state->generation);
    move_entity(state, entity, 0);
}

void state_touch_again(struct state *state, struct entity *entity) {
    if (entity->generation != state->generation)
        move_entity(state, entity, state->generation);
}

void state_evict(struct state *state, struct entity *entity) {
    assert(entity->generation == 0 && !stays_in_memory(entity));
    unlink_entity(&state->clean, entity);
    if (entity->kind == ENTITY_WORKFLOW) {
        struct workflow *workflow = (struct workflow *)entity;
        table_remove(&state->workflows, workflow->id, workflow->id_size);
        timers_remove(&state->timers, workflow);
        timers_remove(&state->tasks, workflow);
        workflow_destroy(workflow);
        return;
    }
    if (entity->kind == ENTITY_ACCOUNT) {
        struct account *account = (struct account *)entity;
        timers_remove_account(&state->holds, account);
        table_remove(&state->accounts, account->number, account->number_size);
        account_destroy(account);
        return;
    }
    if (entity->kind == ENTITY_REVERSAL) {
        struct reversal *reversal = (struct reversal *)entity;
        table_remove(&state->reversals, reversal->of, sizeof reversal->of);
        free(reversal);
        return;
    }
    if (entity->kind == ENTITY_INEFFECTIVE) {
        struct ineffective *ineffective = (struct ineffective *)entity;
        table_remove(&state->ineffective, ineffective->lsn, sizeof ineffective->lsn);
        free(ineffective);
        return;
    }
    struct idempotency_key *key = (struct idempotency_key *)entity;
    table_remove(&state->keys, key->text, key->size);
    if (!entity->deleted) /* a tombstone left the order when its key was forgotten */
        table_remove(&state->key_order, &key->sequence, sizeof key->sequence);
    free(key);
}

void state_used(struct state *state, struct entity *entity) {
    if (entity->generation == 0 && !stays_in_memory(entity) && state->clean.last != entity)
        move_entity(state, entity, 0);
}
