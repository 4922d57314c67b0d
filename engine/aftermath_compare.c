#include "engine/aftermath_compare.h"

#include "engine/core/account.h"
#include "engine/core/ineffective.h"
#include "engine/core/reference.h"
#include "engine/core/text.h"

#include <stdlib.h>

enum { DIGEST_SIZE = 16 };

struct comparison {
    struct aftermath *aftermath;
    struct state before; /* definitions, and the entity under way */
    struct aftermath_names found;
    struct bytes_buffer left, right;
    uint64_t ineffective; /* records that were without effect already */
};

/* Do the two mean the same? Where in the log they stand does not count. */
static bool same(struct comparison *comparison, const struct entity *a, const struct entity *b) {
    bool equal = false;
    return entity_same(a, b, &comparison->left, &comparison->right, &equal) && equal;
}

/* A lost definition changes the numbers of those behind it, which mean nothing by themselves. */
static uint32_t number_now(const struct comparison *comparison, uint32_t number) {
    const struct definition_entity *was = state_definition_numbered(&comparison->before, number);
    const struct definition *definition = was == NULL ? NULL : was->definition;
    if (definition == NULL) {
        return 0;
    }
    struct bytes_view name = text_view(definition->name);
    const struct definition_entity *now =
        state_definition(&comparison->aftermath->state, name, definition->version);
    return now == NULL ? 0 : now->number;
}

static bool same_workflow(struct comparison *comparison, struct workflow *was) {
    struct bytes_view id = {(const uint8_t *)was->id, was->id_size};
    const struct workflow *now = state_workflow(&comparison->aftermath->state, id);
    was->definition_number = number_now(comparison, was->definition_number);
    for (size_t i = 0; i < was->past_count; i++) {
        was->past[i].definition_number = number_now(comparison, was->past[i].definition_number);
    }
    return now != NULL && same(comparison, &was->entity, &now->entity);
}

/* A key whose record is without effect promises nothing. */
static bool same_key(const struct comparison *comparison, struct bytes_view name,
                     const struct idempotency_key *was) {
    const struct state *state = &comparison->aftermath->state;
    const struct idempotency_key *now = state_key(state, name);
    return now != NULL && now->link.lsn == was->link.lsn &&
           (state_ineffective(state, now->link.lsn) == NULL ||
            state_ineffective(&comparison->before, was->link.lsn) != NULL);
}

/* Is it as it was? Keys are not of the same order where one before them was lost. */
static bool is_same(struct comparison *comparison, struct bytes_view key, struct entity *was) {
    const struct state *state = &comparison->aftermath->state;
    struct bytes_view name = {key.data + 1, key.size - 1};
    switch (was->kind) {
    case ENTITY_DEFINITION: {
        const struct definition *definition = ((const struct definition_entity *)was)->definition;
        struct bytes_view text = text_view(definition->name);
        return state_definition(state, text, definition->version) != NULL;
    }
    case ENTITY_WORKFLOW:
        return same_workflow(comparison, (struct workflow *)was);
    case ENTITY_KEY:
        return same_key(comparison, name, (const struct idempotency_key *)was);
    case ENTITY_ACCOUNT: {
        const struct account *now = state_account(state, name);
        return now != NULL && same(comparison, was, &now->entity);
    }
    case ENTITY_REFERENCE: {
        const struct reference *now = table_find(&state->references, name.data, name.size);
        return now != NULL && same(comparison, was, &now->entity);
    }
    case ENTITY_STORE:
    case ENTITY_REVERSAL:
    case ENTITY_INTERNAL_ACCOUNT: /* the bank's own follow its customers' */
    case ENTITY_INEFFECTIVE:
        return true;
    }
    return true;
}

static enum wf_status compare_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                   struct wf_error *err) {
    struct comparison *comparison = ctx;
    struct entity *was = NULL;
    if (key.size == 0 || value.size < DIGEST_SIZE) {
        return error_set(err, WF_DAMAGE, "a value of the snapshot is too short");
    }
    struct bytes_view image = {value.data + DIGEST_SIZE, value.size - DIGEST_SIZE};
    enum wf_status status = entity_decode(&comparison->before, key, image, &was, err);
    if (status != WF_OK) {
        return status;
    }
    comparison->ineffective += was->kind == ENTITY_INEFFECTIVE;
    if (!is_same(comparison, key, was)) {
        status = aftermath_names_add_entity(&comparison->found, was, err);
    }
    if (was->kind == ENTITY_WORKFLOW || was->kind == ENTITY_KEY || was->kind == ENTITY_ACCOUNT) {
        state_evict(&comparison->before, was);
    }
    return status;
}

static enum wf_status walk(struct comparison *comparison, struct snapshot *snapshot,
                           struct wf_error *err) {
    static const uint8_t kinds[] = {ENTITY_DEFINITION, ENTITY_INEFFECTIVE, ENTITY_WORKFLOW,
                                    ENTITY_KEY,        ENTITY_ACCOUNT,     ENTITY_REFERENCE};
    enum wf_status status = WF_OK;
    for (size_t i = 0; status == WF_OK && i < sizeof(kinds); i++) {
        struct bytes_view prefix = {&kinds[i], 1};
        status = snapshot->ops->walk(snapshot, prefix, prefix, compare_pair, comparison, err);
    }
    return status;
}

enum wf_status aftermath_compare(struct aftermath *aftermath, struct snapshot *snapshot,
                                 struct wf_error *err) {
    struct comparison comparison = {.aftermath = aftermath};
    struct wf_error why;
    enum wf_status status = state_init(&comparison.before, err);
    if (status != WF_OK) {
        return status;
    }
    aftermath_names_init(&comparison.found);
    bytes_buffer_init(&comparison.left);
    bytes_buffer_init(&comparison.right);
    status = walk(&comparison, snapshot, &why);
    if (status == WF_OK) {
        uint64_t now = table_count(&aftermath->state.ineffective);
        struct aftermath_names old = aftermath->names;
        aftermath->names = comparison.found;
        comparison.found = old;
        aftermath->lost.without_effect =
            now > comparison.ineffective ? now - comparison.ineffective : 0;
        aftermath->lost.untold = 0;
        aftermath->compared = true;
    }
    bytes_buffer_deinit(&comparison.left);
    bytes_buffer_deinit(&comparison.right);
    aftermath_names_deinit(&comparison.found);
    state_deinit(&comparison.before);
    return status == WF_NO_MEMORY ? error_set(err, status, "%s", why.text) : WF_OK;
}
