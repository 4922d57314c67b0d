/* From the tree of a YAML document to a definition: members first, then the names that they use. */
#include "engine/core/text.h"
#include "engine/definition_yaml_loader.h"

#include <string.h>

enum { VERSION_MAX = 1000000000 };

#define MEMBERS(table) (table), sizeof(table) / sizeof((table)[0])
static const char all_previous[] = "all_previous_stages";

/* --- handlers --- */

static bool read_exec(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_handler *handler = target;
    const yaml_node_t *word;
    if (!loader_check_list(loader, value, "exec", DEFINITION_ARGS_MAX))
        return false;
    while ((word = loader_element(loader, value, handler->arg_count)) != NULL) {
        if (word->type != YAML_SCALAR_NODE)
            return loader_fail_at(loader, word, "a word of exec must be a single value, not %s",
                                  loader_type_name(word));
        if (!text_is_utf8(loader_text(word)) ||
            (handler->arg_count == 0 && loader_text(word).size == 0))
            return loader_fail_at(loader, word,
                                  "exec must name a program, and its words hold no NUL");
        if (!loader_copy(loader, loader_text(word), &handler->args[handler->arg_count]))
            return false;
        handler->arg_count++;
    }
    if (handler->arg_count == 0)
        return loader_fail_at(loader, value,
                              "exec is empty; it is a list of a program and its arguments");
    return true;
}

static bool read_handler_timeout(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_handler *handler = target;
    return loader_read_duration(loader, value, "timeout", 1, &handler->timeout_ms);
}

static bool read_handler_attempts(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_handler *handler = target;
    return loader_read_number(loader, value, "attempts", DEFINITION_ATTEMPTS_MAX,
                              &handler->attempts);
}

static bool read_backoff(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_handler *handler = target;
    return loader_read_duration(loader, value, "backoff", 0, &handler->backoff_ms);
}

static bool read_callback(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_handler *handler = target;
    return loader_read_bool(loader, value, "callback", &handler->callback);
}

/* {exec: [program, argument]}, {callback: true}, or the word callback for the latter with all
 * defaults. */
static bool read_handler(struct loader *loader, const yaml_node_t *value, const char *what,
                         struct definition_handler *handler) {
    static const struct loader_member members[] = {
        {"exec", read_exec, false},
        {"callback", read_callback, false},
        {"timeout", read_handler_timeout, false},
        {"attempts", read_handler_attempts, false},
        {"backoff", read_backoff, false},
    };
    handler->timeout_ms = DEFINITION_HANDLER_TIMEOUT_DEFAULT_MS;
    handler->attempts = DEFINITION_HANDLER_ATTEMPTS_DEFAULT;
    handler->backoff_ms = DEFINITION_HANDLER_BACKOFF_DEFAULT_MS;
    if (loader_is_plain(value, "callback")) {
        handler->callback = true;
        return true;
    }
    if (!loader_read_mapping(loader, value, what, MEMBERS(members), handler))
        return false;
    if (handler->callback == (handler->arg_count > 0))
        return loader_fail_at(loader, value,
                              "%s needs either exec: [program, argument] or callback: true", what);
    return true;
}

static bool read_stage_handler(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    return read_handler(loader, value, "a handler", &stage->handler);
}

static bool read_compensate(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    return read_handler(loader, value, "a compensation", &stage->compensate);
}

/* --- stages --- */

/* Which entry of the table this is: targets are handed around as void. */
static size_t stage_index(const struct loader *loader, const void *stage) {
    return (size_t)((const struct definition_stage *)stage - loader->definition->stages);
}

static bool read_stage_name(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    size_t index = stage_index(loader, stage);
    if (!loader_check_name(loader, value, "the name of a stage"))
        return false;
    struct bytes_view name = loader_text(value);
    if (text_equal(name, all_previous))
        return loader_fail_at(loader, value, "%s is a word of its own; name the stage otherwise",
                              all_previous);
    for (size_t i = 0; i < index; i++)
        if (text_equal(name, loader->definition->stages[i].name))
            return loader_fail_at(loader, value, "there is a stage named %.*s already, in line %zu",
                                  TEXT_ARGS(name), loader->stage_nodes[i]->start_mark.line + 1);
    return loader_copy(loader, name, &stage->name);
}

static bool read_needs(struct loader *loader, const yaml_node_t *value, void *target) {
    loader->stage_needs[stage_index(loader, target)] = value;
    return loader_check_list(loader, value, "needs", DEFINITION_STAGES_MAX + DEFINITION_ITEMS_MAX);
}

static bool read_timeout(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    return loader_read_duration(loader, value, "timeout", 1, &stage->timeout_ms);
}

static bool read_rollback(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    if (!loader_check_scalar(loader, value, "rollback"))
        return false;
    struct bytes_view word = loader_text(value);
    stage->rollback = rollback_strategy_parse((const char *)word.data, word.size);
    if (rollback_strategy_name(stage->rollback) == NULL)
        return loader_fail_at(
            loader, value,
            "there is no rollback strategy \"%.*s\"; there are automatic, manual_review, "
            "hold_for_review, executive_review",
            TEXT_ARGS(loader_quoted(value)));
    return true;
}

static bool read_outcome(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    return loader_read_name(loader, value, "outcome", &stage->outcome);
}

static bool read_role(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    return loader_read_name(loader, value, "reviewer_role", &stage->reviewer_role);
}

static bool read_attempts(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    return loader_read_number(loader, value, "attempts", DEFINITION_ATTEMPTS_MAX, &stage->attempts);
}

static bool read_four_eyes(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_stage *stage = target;
    return loader_read_bool(loader, value, "four_eyes", &stage->four_eyes);
}

static bool read_stage(struct loader *loader, const yaml_node_t *node,
                       struct definition_stage *stage) {
    static const struct loader_member members[] = {
        {"name", read_stage_name, true},        {"needs", read_needs, false},
        {"timeout", read_timeout, false},       {"rollback", read_rollback, false},
        {"outcome", read_outcome, false},       {"reviewer_role", read_role, false},
        {"attempts", read_attempts, false},     {"four_eyes", read_four_eyes, false},
        {"handler", read_stage_handler, false}, {"compensate", read_compensate, false},
    };
    stage->rollback = ROLLBACK_AUTOMATIC;
    stage->attempts = DEFINITION_ATTEMPTS_DEFAULT;
    stage->four_eyes = loader->four_eyes;
    loader->stage_nodes[stage_index(loader, stage)] = node;
    if (!loader_read_mapping(loader, node, "a stage", MEMBERS(members), stage))
        return false;
    if (stage->rollback == ROLLBACK_AUTOMATIC && stage->reviewer_role != NULL)
        return loader_fail_at(
            loader, node,
            "stage %s has a reviewer_role, and automatic rollback asks nobody; choose "
            "manual_review, hold_for_review or executive_review, or leave the role out",
            stage->name);
    return true;
}

static bool read_stages(struct loader *loader, const yaml_node_t *node) {
    struct definition *definition = loader->definition;
    if (!loader_check_list(loader, node, "stages", DEFINITION_STAGES_MAX))
        return false;
    const yaml_node_t *stage;
    while ((stage = loader_element(loader, node, definition->stage_count)) != NULL) {
        if (!read_stage(loader, stage, &definition->stages[definition->stage_count]))
            return false;
        definition->stage_count++;
    }
    if (definition->stage_count == 0)
        return loader_fail_at(loader, node, "stages is empty; a workflow has at least one stage");
    return true;
}

/* --- steps --- */

static bool read_provides(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition *definition = loader->definition;
    struct definition_step *step = target;
    if (!loader_check_list(loader, value, "provides", DEFINITION_ITEMS_MAX))
        return false;
    const yaml_node_t *item;
    for (size_t i = 0; (item = loader_element(loader, value, i)) != NULL; i++) {
        if (!loader_check_name(loader, item, "a data item"))
            return false;
        struct bytes_view name = loader_text(item);
        int index = definition_item_index(definition, (const char *)name.data, name.size);
        if (index < 0 && definition->item_count == DEFINITION_ITEMS_MAX)
            return loader_fail_at(loader, item, "a workflow has at most %d data items",
                                  DEFINITION_ITEMS_MAX);
        if (index < 0) {
            if (!loader_copy(loader, name, &definition->items[definition->item_count]))
                return false;
            index = (int)definition->item_count++;
        }
        if ((step->provides & UINT64_C(1) << index) != 0)
            return loader_fail_at(loader, item, "%.*s stands twice in this list", TEXT_ARGS(name));
        step->provides |= UINT64_C(1) << index;
    }
    return true;
}

static bool read_completes(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_step *step = target;
    loader->step_completes[step - loader->definition->steps] = value;
    return loader_check_name(loader, value, "completes");
}

static bool read_requires(struct loader *loader, const yaml_node_t *value, void *target) {
    struct definition_step *step = target;
    if (!loader_check_list(loader, value, "requires", DEFINITION_REQUIRES_MAX))
        return false;
    const yaml_node_t *field;
    while ((field = loader_element(loader, value, step->requires_count)) != NULL) {
        if (!loader_check_name(loader, field, "a required field"))
            return false;
        for (size_t i = 0; i < step->requires_count; i++)
            if (text_equal(loader_text(field), step->requires[i]))
                return loader_fail_at(loader, field, "%s stands twice in this list",
                                      step->requires[i]);
        if (!loader_copy(loader, loader_text(field), &step->requires[step->requires_count]))
            return false;
        step->requires_count++;
    }
    return true;
}

static bool read_step(struct loader *loader, const yaml_node_t *name, const yaml_node_t *node) {
    static const struct loader_member members[] = {
        {"provides", read_provides, false},
        {"completes", read_completes, false},
        {"requires", read_requires, false},
    };
    struct definition *definition = loader->definition;
    struct definition_step *step = &definition->steps[definition->step_count];
    if (!loader_check_name(loader, name, "the name of a step"))
        return false;
    struct bytes_view text = loader_text(name);
    int known = definition_step_index(definition, (const char *)text.data, text.size);
    if (known >= 0)
        return loader_fail_at(loader, name, "there is a step named %.*s already, in line %zu",
                              TEXT_ARGS(text), loader->step_nodes[known]->start_mark.line + 1);
    loader->step_nodes[definition->step_count] = name;
    if (!loader_copy(loader, text, &step->name) ||
        !loader_read_mapping(loader, node, "a step", MEMBERS(members), step))
        return false;
    if (step->provides == 0 && loader->step_completes[definition->step_count] == NULL)
        return loader_fail_at(loader, name, "step %s does nothing; it needs provides or completes",
                              step->name);
    definition->step_count++;
    return true;
}

static bool read_steps(struct loader *loader, const yaml_node_t *node, void *target) {
    (void)target;
    if (node->type != YAML_MAPPING_NODE)
        return loader_fail_at(loader, node, "steps must be a mapping of names to steps, not %s",
                              loader_type_name(node));
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(&loader->document, pair->key);
        if (loader->definition->step_count == DEFINITION_STEPS_MAX)
            return loader_fail_at(loader, name, "a workflow has at most %d steps",
                                  DEFINITION_STEPS_MAX);
        if (!read_step(loader, name, yaml_document_get_node(&loader->document, pair->value)))
            return false;
    }
    return true;
}

/* --- names that are used --- */

/* One entry of `needs`. */
static bool resolve_need(struct loader *loader, size_t index, const yaml_node_t *node) {
    struct definition *definition = loader->definition;
    struct definition_stage *stage = &definition->stages[index];
    if (!loader_check_name(loader, node, "a need"))
        return false;
    struct bytes_view name = loader_text(node);
    if (text_equal(name, all_previous)) {
        stage->needs_all_previous = true;
        stage->needs_stages |= (UINT64_C(1) << index) - 1;
        return true;
    }
    int needed = definition_stage_index(definition, (const char *)name.data, name.size);
    int item = definition_item_index(definition, (const char *)name.data, name.size);
    if (needed < 0 && item < 0)
        return loader_fail_at(loader, node,
                              "stage %s needs %.*s, which is no stage and which no step provides",
                              stage->name, TEXT_ARGS(name));
    if (needed == (int)index)
        return loader_fail_at(loader, node, "stage %s needs itself", stage->name);
    uint64_t *mask = needed >= 0 ? &stage->needs_stages : &stage->needs_items;
    uint64_t bit = UINT64_C(1) << (needed >= 0 ? needed : item);
    if ((*mask & bit) != 0)
        return loader_fail_at(loader, node, "stage %s needs %.*s twice", stage->name,
                              TEXT_ARGS(name));
    *mask |= bit;
    return true;
}

static bool resolve_stage(struct loader *loader, size_t index) {
    struct definition *definition = loader->definition;
    const struct definition_stage *stage = &definition->stages[index];
    if (definition_item_index(definition, stage->name, strlen(stage->name)) >= 0)
        return loader_fail_at(loader, loader->stage_nodes[index],
                              "%s names a stage and a data item; a need could not tell them apart",
                              stage->name);
    const yaml_node_t *need;
    for (size_t i = 0; loader->stage_needs[index] != NULL &&
                       (need = loader_element(loader, loader->stage_needs[index], i)) != NULL;
         i++)
        if (!resolve_need(loader, index, need))
            return false;
    for (size_t i = 0; i < definition->step_count; i++)
        if (definition->steps[i].completes == (int)index)
            return true;
    if (!definition_handler_given(&stage->handler))
        return loader_fail_at(
            loader, loader->stage_nodes[index],
            "stage %s can never be completed: no step completes it and it has no handler",
            stage->name);
    return true;
}

static bool resolve_step(struct loader *loader, size_t index) {
    struct definition *definition = loader->definition;
    const yaml_node_t *node = loader->step_completes[index];
    if (node == NULL)
        return true;
    struct bytes_view name = loader_text(node);
    int stage = definition_stage_index(definition, (const char *)name.data, name.size);
    if (stage < 0)
        return loader_fail_at(loader, node, "step %s completes %.*s, which is no stage",
                              definition->steps[index].name, TEXT_ARGS(name));
    definition->steps[index].completes = stage;
    return true;
}

static bool resolve_names(struct loader *loader) {
    struct definition *definition = loader->definition;
    for (size_t i = 0; i < definition->step_count; i++)
        if (!resolve_step(loader, i))
            return false;
    for (size_t i = 0; i < definition->stage_count; i++)
        if (!resolve_stage(loader, i))
            return false;
    return true;
}

/* --- the whole --- */

static bool read_workflow(struct loader *loader, const yaml_node_t *value, void *target) {
    (void)target;
    return loader_read_name(loader, value, "workflow", &loader->definition->name);
}

static bool read_version(struct loader *loader, const yaml_node_t *value, void *target) {
    (void)target;
    return loader_read_number(loader, value, "version", VERSION_MAX, &loader->definition->version);
}

static bool read_all_four_eyes(struct loader *loader, const yaml_node_t *value, void *target) {
    (void)target;
    return loader_read_bool(loader, value, "four_eyes", &loader->four_eyes);
}

static bool keep_stages(struct loader *loader, const yaml_node_t *value, void *target) {
    (void)loader;
    *(const yaml_node_t **)target = value; /* read when four_eyes is known, wherever it stands */
    return true;
}

bool loader_read_definition(struct loader *loader, const yaml_node_t *root) {
    static const struct loader_member members[] = {
        {"workflow", read_workflow, true},
        {"version", read_version, true},
        {"steps", read_steps, false},
        {"stages", keep_stages, true},
        {"four_eyes", read_all_four_eyes, false},
    };
    const yaml_node_t *stages = NULL;
    if (root == NULL)
        return loader_fail(loader, 1, 1,
                           "there is nothing here; a definition begins with \"workflow: NAME\"");
    if (!loader_read_mapping(loader, root, "a definition", MEMBERS(members), &stages) ||
        !read_stages(loader, stages) || !resolve_names(loader))
        return false;
    struct wf_error why;
    definition_measure(loader->definition);
    if (definition_check(loader->definition, &why) == WF_OK)
        return true;
    int stuck = definition_stuck_stage(loader->definition);
    const yaml_node_t *where = stuck < 0 ? root : loader->stage_nodes[stuck];
    return loader_fail_at(loader, where, "%s", why.text);
}
