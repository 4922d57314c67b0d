#include "engine/core/catalog.h"

#include "engine/core/decision.h"
#include "engine/core/state_inner.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Judge a definition whose name is known already: is it the next version, and a new one? */
static void decide_next(const struct state *state, struct definition *definition,
                        const struct definition *newest, struct decision *decision) {
    const struct definition_entity *named =
        state_definition(state, text_view(definition->name), definition->version);
    const struct definition *rival = named != NULL ? named->definition : newest;
    if (definition_equal(rival, definition))
        decision_refuse(decision, "nothing to add: %s version %" PRIu32 " is the same", rival->name,
                        rival->version);
    else if (named != NULL)
        decision_refuse(decision,
                        "%s version %" PRIu32
                        " is there with other content; the next version is %" PRIu32,
                        rival->name, rival->version, newest->version + 1);
    else if (definition->version != newest->version + 1)
        decision_refuse(decision,
                        "%s cannot have version %" PRIu32 " yet; the next version is %" PRIu32,
                        rival->name, definition->version, newest->version + 1);
    else
        decision_add(decision, EVENT_DEFINITION_ADDED)->as.definition_added.definition = definition;
}

void catalog_decide_add(const struct state *state, const struct command *command,
                        struct decision *decision) {
    struct definition *definition = command->as.definition_add.definition;
    struct wf_error why;
    if (definition_check(definition, &why) != WF_OK) {
        decision_fail(decision, WF_USAGE, "%s", why.text);
        return;
    }
    const struct definition_entity *newest =
        state_definition(state, text_view(definition->name), 0);
    if (newest != NULL)
        decide_next(state, definition, newest->definition, decision);
    else if (definition->version != 1)
        decision_fail(decision, WF_REFUSED, "%s is new here: its first version is 1, not %" PRIu32,
                      definition->name, definition->version);
    else
        decision_add(decision, EVENT_DEFINITION_ADDED)->as.definition_added.definition = definition;
}

enum wf_status catalog_reserve(struct state *state, const struct record *record,
                               const struct event *event, struct wf_error *err) {
    const struct definition *definition = event->as.definition_added.definition;
    struct wf_error why;
    if (state->reserved.new_definition != NULL || definition == NULL)
        return error_set(err, WF_DAMAGE, "record %" PRIu64 " does not hold one definition",
                         record->lsn);
    if (definition_check(definition, &why) != WF_OK)
        return error_set(err, WF_DAMAGE, "record %" PRIu64 ": %s", record->lsn, why.text);
    if (state_definition(state, text_view(definition->name), definition->version) != NULL)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " adds %s version %" PRIu32 ", which is there",
                         record->lsn, definition->name, definition->version);
    struct definition_entity *entity = calloc(1, sizeof *entity);
    state->reserved.new_definition = entity;
    if (entity == NULL || !table_reserve(&state->definitions) || !table_reserve(&state->newest) ||
        !state_reserve_number(state, (uint32_t)state->numbered_count + 1))
        return error_set(err, WF_NO_MEMORY, "no memory for definition %s", definition->name);
    return WF_OK;
}

void catalog_apply(struct state *state, const struct record *record, struct event *event) {
    struct definition_entity *entity = state->reserved.new_definition;
    state->reserved.new_definition = NULL;
    state->reserved.definition = entity;
    entity->definition = event->as.definition_added.definition;
    event->as.definition_added.definition = NULL;
    entity->entity.kind = ENTITY_DEFINITION;
    entity->added_lsn = record->lsn;
    entity->number = (uint32_t)state->numbered_count + 1;
    state_name_definition(entity);
    state_insert_definition(state, entity);
    state_touch(state, &entity->entity, record->lsn);
}
