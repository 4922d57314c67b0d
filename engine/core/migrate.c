#include "engine/core/migrate.h"

#include "engine/core/decision.h"
#include "engine/core/stage_money.h"
#include "engine/core/state_inner.h"
#include "engine/core/task.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* From a version to another; the maps as in the event: byte i is 1 + the new index, 0: dropped. */
struct migration {
    const struct workflow *workflow;
    const struct definition *from, *to;
    const uint8_t *stages, *steps;
};

static uint64_t bit(unsigned index) {
    return UINT64_C(1) << index;
}

static bool waits(const struct stage_state *stage) {
    return stage->status == STAGE_BLOCKED || stage->status == STAGE_ROLLED_BACK;
}

/* The stages as they are under the new version: what was kept, and new ones, blocked. */
static void map_stages(const struct migration *migration, struct stage_state *to) {
    for (size_t i = 0; i < migration->to->stage_count; i++)
        to[i] = (struct stage_state){.status = STAGE_BLOCKED};
    for (size_t i = 0; i < migration->from->stage_count; i++)
        if (migration->stages[i] != 0)
            to[migration->stages[i] - 1] = migration->workflow->stages[i];
}

/* Visit the workflow's fields as the new version packs them. */
static bool next_field(const struct migration *migration, size_t *at, unsigned *step,
                       struct field *field) {
    if (!workflow_field_next(migration->workflow, at, step, field))
        return false;
    unsigned stage = *step & ~(unsigned)WORKFLOW_FIELD_OF_STAGE;
    if (*step < WORKFLOW_FIELD_OF_STAGE)
        *step = migration->steps[*step] - 1U;
    else if (*step != WORKFLOW_FIELD_AT_START)
        *step = WORKFLOW_FIELD_OF_STAGE | (migration->stages[stage] - 1U);
    return true;
}

static size_t data_size(const struct migration *migration) {
    size_t at = 0, size = 0;
    unsigned step;
    struct field field;
    while (next_field(migration, &at, &step, &field))
        size += workflow_fields_size(migration->to, step, &field, 1);
    return size;
}

/* --- deciding: the maps --- */

static int find(const struct definition *definition, bool stage, struct bytes_view name) {
    return stage ? definition_stage_index(definition, (const char *)name.data, name.size)
                 : definition_step_index(definition, (const char *)name.data, name.size);
}

/* Fill one of the maps: by the command's words where it has some for the name, else by name. */
static void fill_map(const struct migration *migration, const struct command *command, bool stage,
                     uint8_t *map) {
    const struct field *maps = command->as.workflow_migrate.maps;
    size_t count = stage ? migration->from->stage_count : migration->from->step_count;
    for (size_t i = 0; i < count; i++) {
        struct bytes_view name =
            text_view(stage ? migration->from->stages[i].name : migration->from->steps[i].name);
        struct bytes_view to = name;
        for (size_t m = 0; m < command->as.workflow_migrate.map_count; m++)
            if (text_same(maps[m].name, name) && find(migration->to, stage, maps[m].value) >= 0)
                to = maps[m].value;
        map[i] = (uint8_t)(find(migration->to, stage, to) + 1);
    }
}

static bool check_map(const struct migration *migration, const struct field *map,
                      struct decision *decision) {
    if (!text_is_name(map->name, DEFINITION_NAME_MAX) ||
        !text_is_name(map->value, DEFINITION_NAME_MAX)) {
        decision_fail(decision, WF_USAGE, "a mapping is OLD=NEW, names of two stages or two steps");
        return false;
    }
    bool stage = find(migration->from, true, map->name) >= 0;
    bool step = find(migration->from, false, map->name) >= 0;
    const char *what = stage && step ? "stage or step" : stage ? "stage" : "step";
    if (!stage && !step)
        decision_fail(decision, WF_NOT_FOUND,
                      "%s version %" PRIu32 " has no stage or step \"%.*s\" to map",
                      migration->from->name, migration->from->version, TEXT_ARGS(map->name));
    else if (!(stage && find(migration->to, true, map->value) >= 0) &&
             !(step && find(migration->to, false, map->value) >= 0))
        decision_fail(decision, WF_NOT_FOUND,
                      "%s version %" PRIu32 " has no %s \"%.*s\" for %.*s to become",
                      migration->to->name, migration->to->version, what, TEXT_ARGS(map->value),
                      TEXT_ARGS(map->name));
    else
        return true;
    return false;
}

/* No two may become one. */
static bool check_distinct(const struct migration *migration, bool stage,
                           struct decision *decision) {
    const uint8_t *map = stage ? migration->stages : migration->steps;
    size_t count = stage ? migration->from->stage_count : migration->from->step_count;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (map[i] == 0 || map[i] != map[j])
                continue;
            decision_refuse(
                decision, "%s %s and %s would both become %s", stage ? "stages" : "steps",
                stage ? migration->from->stages[j].name : migration->from->steps[j].name,
                stage ? migration->from->stages[i].name : migration->from->steps[i].name,
                stage ? migration->to->stages[map[i] - 1].name
                      : migration->to->steps[map[i] - 1].name);
            return false;
        }
    }
    return true;
}

static bool make_maps(const struct migration *migration, const struct command *command,
                      struct decision *decision) {
    const struct field *maps = command->as.workflow_migrate.maps;
    for (size_t i = 0; i < command->as.workflow_migrate.map_count; i++) {
        if (!check_map(migration, &maps[i], decision))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (!text_same(maps[i].name, maps[j].name))
                continue;
            decision_fail(decision, WF_USAGE, "%.*s is mapped twice", TEXT_ARGS(maps[i].name));
            return false;
        }
    }
    fill_map(migration, command, true, decision->stage_map);
    fill_map(migration, command, false, decision->step_map);
    return check_distinct(migration, true, decision) && check_distinct(migration, false, decision);
}

/* --- deciding: what must hold there --- */

/* Whatever happened must have its place in the new version. */
static bool check_kept(const struct migration *migration, struct decision *decision) {
    const struct workflow *workflow = migration->workflow;
    for (size_t i = 0; i < migration->from->stage_count; i++) {
        if (waits(&workflow->stages[i]) || migration->stages[i] != 0)
            continue;
        decision_refuse(decision,
                        "stage %s of workflow %s is %s, and version %" PRIu32
                        " has none of that name; map it to the one that it becomes",
                        migration->from->stages[i].name, workflow->id,
                        stage_status_name(workflow->stages[i].status), migration->to->version);
        return false;
    }
    for (size_t i = 0; i < workflow->step_count; i++) {
        unsigned step = workflow->steps[i];
        if (migration->steps[step] != 0)
            continue;
        decision_refuse(decision,
                        "step %s was submitted to workflow %s, and version %" PRIu32
                        " has none of that name; map it to the one that it becomes",
                        migration->from->steps[step].name, workflow->id, migration->to->version);
        return false;
    }
    return true;
}

/* A step in force has what the new version requires of it, and completed what it completes there.
 */
static bool check_step(const struct migration *migration, const struct definition_step *step,
                       const struct stage_state *stages, struct decision *decision) {
    for (size_t i = 0; i < step->requires_count; i++) {
        const char *name = step->requires[i];
        if (workflow_field(migration->workflow, name, strlen(name)).data != NULL)
            continue;
        decision_refuse(decision,
                        "step %s is in force in workflow %s, and version %" PRIu32
                        " requires the field %s of it, which was not given",
                        step->name, migration->workflow->id, migration->to->version, name);
        return false;
    }
    if (step->completes < 0 || stages[step->completes].status == STAGE_COMPLETED)
        return true;
    decision_refuse(decision,
                    "step %s is in force in workflow %s; in version %" PRIu32
                    " it completes stage %s, which is %s here",
                    step->name, migration->workflow->id, migration->to->version,
                    migration->to->stages[step->completes].name,
                    stage_status_name(stages[step->completes].status));
    return false;
}

/* A stage that went on has its needs met, and if it is completed something completed it. */
static bool check_stage(const struct migration *migration, unsigned index,
                        const struct stage_state *stages, uint64_t completed, uint64_t items,
                        uint64_t completing, struct decision *decision) {
    const struct definition_stage *stage = &migration->to->stages[index];
    const char *status = stage_status_name(stages[index].status);
    for (unsigned i = 0; i < migration->to->stage_count; i++) {
        if ((stage->needs_stages & ~completed & bit(i)) == 0)
            continue;
        decision_refuse(decision,
                        "stage %s of workflow %s is %s; in version %" PRIu32
                        " it needs stage %s, which is %s",
                        stage->name, migration->workflow->id, status, migration->to->version,
                        migration->to->stages[i].name, stage_status_name(stages[i].status));
        return false;
    }
    for (unsigned i = 0; i < migration->to->item_count; i++) {
        if ((stage->needs_items & ~items & bit(i)) == 0)
            continue;
        decision_refuse(decision,
                        "stage %s of workflow %s is %s; in version %" PRIu32
                        " it needs %s, which no step in force provides",
                        stage->name, migration->workflow->id, status, migration->to->version,
                        migration->to->items[i]);
        return false;
    }
    if (stages[index].status != STAGE_COMPLETED || (completing & bit(index)) != 0 ||
        definition_handler_given(&stage->handler))
        return true;
    decision_refuse(decision,
                    "stage %s of workflow %s is completed; in version %" PRIu32
                    " no step in force completes it",
                    stage->name, migration->workflow->id, migration->to->version);
    return false;
}

/* What stands in the new version: stages, and masks of what was done. */
struct outcome {
    struct stage_state stages[DEFINITION_STAGES_MAX];
    uint64_t completed, items;
};

static bool check_outcome(const struct migration *migration, struct outcome *outcome,
                          struct decision *decision) {
    uint64_t completing = 0;
    *outcome = (struct outcome){.completed = 0};
    map_stages(migration, outcome->stages);
    for (size_t i = 0; i < migration->to->stage_count; i++)
        if (outcome->stages[i].status == STAGE_COMPLETED)
            outcome->completed |= bit((unsigned)i);
    for (size_t i = 0; i < migration->workflow->step_count; i++) {
        const struct definition_step *step =
            &migration->to->steps[migration->steps[migration->workflow->steps[i]] - 1];
        outcome->items |= step->provides;
        completing |= step->completes >= 0 ? bit((unsigned)step->completes) : 0;
        if (!check_step(migration, step, outcome->stages, decision))
            return false;
    }
    for (unsigned i = 0; i < migration->to->stage_count; i++)
        if (!waits(&outcome->stages[i]) &&
            !check_stage(migration, i, outcome->stages, outcome->completed, outcome->items,
                         completing, decision))
            return false;
    if (data_size(migration) <= WORKFLOW_DATA_MAX)
        return true;
    decision_refuse(decision, "the fields of workflow %s would have more than %d bytes together",
                    migration->workflow->id, WORKFLOW_DATA_MAX);
    return false;
}

static const struct definition *find_version(const struct state *state,
                                             const struct workflow *workflow, uint32_t version,
                                             struct decision *decision) {
    struct bytes_view type = text_view(workflow->definition->name);
    const struct definition_entity *found = state_definition(state, type, version);
    if (found != NULL && version != 0)
        return found->definition;
    decision_fail(decision, version == 0 ? WF_USAGE : WF_NOT_FOUND,
                  "workflow type %s has no version %" PRIu32 "; its newest version is %" PRIu32,
                  workflow->definition->name, version,
                  state_definition(state, type, 0)->definition->version);
    return NULL;
}

static bool compensates(const struct workflow *workflow) {
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next)
        if (task->compensate)
            return true;
    return false;
}

/* Only a workflow that goes its ordinary way: reviews and rollbacks are about the version that they
 * began under. */
static bool check_may_migrate(const struct workflow *workflow, uint32_t version,
                              struct decision *decision) {
    if (!workflow_check_goes_on(workflow, decision))
        return false;
    if (workflow->status != WORKFLOW_RUNNING)
        decision_refuse(decision, "workflow %s is %s: it can be migrated when that is decided",
                        workflow->id, workflow_status_name(workflow->status));
    else if (workflow->definition->version == version)
        decision_refuse(decision, "workflow %s runs on version %" PRIu32 " already", workflow->id,
                        version);
    else if (compensates(workflow))
        decision_refuse(decision, "workflow %s has compensations to run first", workflow->id);
    else if (workflow->past_count == MIGRATE_TIMES_MAX)
        decision_refuse(decision, "workflow %s was migrated %d times; that is the most",
                        workflow->id, MIGRATE_TIMES_MAX);
    else
        return true;
    return false;
}

/* Does what is now a stage of the new version have a handler's task already? */
static bool has_run(const struct migration *migration, unsigned stage) {
    for (unsigned i = 0; i < migration->from->stage_count; i++)
        if (migration->stages[i] == stage + 1)
            return task_find(migration->workflow, i, false,
                             migration->workflow->stages[i].attempt) != NULL;
    return false;
}

void migrate_decide(const struct state *state, const struct command *command,
                    struct decision *decision) {
    uint32_t version = command->as.workflow_migrate.version;
    const struct workflow *workflow = workflow_find(command, decision);
    if (workflow == NULL)
        return;
    const struct definition *to = find_version(state, workflow, version, decision);
    if (to == NULL || !check_may_migrate(workflow, version, decision))
        return;
    struct migration migration = {workflow, workflow->definition, to, decision->stage_map,
                                  decision->step_map};
    struct outcome outcome;
    if (!make_maps(&migration, command, decision) || !check_kept(&migration, decision) ||
        !check_outcome(&migration, &outcome, decision))
        return;
    struct event *event = decision_add(decision, EVENT_WORKFLOW_MIGRATED);
    event->as.workflow_migrated.version = version;
    event->as.workflow_migrated.stages =
        (struct bytes_view){decision->stage_map, migration.from->stage_count};
    event->as.workflow_migrated.steps =
        (struct bytes_view){decision->step_map, migration.from->step_count};
    for (unsigned i = 0; i < to->stage_count; i++)
        if (outcome.stages[i].status == STAGE_ACTIVE &&
            definition_handler_given(&to->stages[i].handler) && !has_run(&migration, i))
            task_decide_due(i, outcome.stages[i].attempt, false, decision);
    workflow_activate_ready(to, outcome.stages, outcome.completed, outcome.items, decision);
    if (outcome.completed == definition_all_stages(to))
        decision_add(decision, EVENT_WORKFLOW_COMPLETED);
}

/* --- reserving --- */

/* Indices in range, none twice: what map_stages() and next_field() rely on. */
static bool is_sound(struct bytes_view map, size_t from_count, size_t to_count) {
    uint64_t taken = 0;
    for (size_t i = 0; i < map.size; i++) {
        if (map.data[i] == 0)
            continue;
        if (map.data[i] > to_count || (taken & bit(map.data[i] - 1U)) != 0)
            return false;
        taken |= bit(map.data[i] - 1U);
    }
    return map.size == from_count;
}

static bool keeps_steps(const struct migration *migration) {
    for (size_t i = 0; i < migration->from->stage_count; i++)
        if (!waits(&migration->workflow->stages[i]) && migration->stages[i] == 0)
            return false;
    for (size_t i = 0; i < migration->workflow->step_count; i++)
        if (migration->steps[migration->workflow->steps[i]] == 0)
            return false;
    return true;
}

/* The list of versions with the one that ends here; false: no memory. */
static bool add_past(const struct workflow *from, struct workflow *to, uint64_t lsn) {
    to->past_count = (uint8_t)(from->past_count + 1);
    to->past = calloc(to->past_count, sizeof to->past[0]);
    if (to->past == NULL)
        return false;
    if (from->past_count > 0)
        memcpy(to->past, from->past, from->past_count * sizeof to->past[0]);
    to->past[from->past_count] = (struct workflow_past){lsn, from->definition_number};
    return true;
}

static bool copy_data(const struct migration *migration, struct workflow *to) {
    if (!workflow_reserve_data(to, data_size(migration)))
        return false;
    size_t at = 0;
    unsigned step;
    struct field field;
    while (next_field(migration, &at, &step, &field))
        workflow_append_fields(to, step, &field, 1);
    return true;
}

/* The workflow under the new version, as it will be; what has memory of its own moves over when it
 * is applied. */
static struct workflow *make(const struct migration *migration,
                             const struct definition_entity *definition, uint64_t lsn) {
    const struct workflow *from = migration->workflow;
    struct bytes_view id = {(const uint8_t *)from->id, from->id_size};
    struct workflow *to = workflow_create(slab_of(from), definition, id);
    if (to == NULL)
        return NULL;
    to->started_lsn = from->started_lsn;
    to->started_ms = from->started_ms;
    to->history = from->history;
    to->status = from->status;
    for (size_t i = 0; i < from->step_count; i++)
        to->steps[to->step_count++] = (uint8_t)(migration->steps[from->steps[i]] - 1);
    map_stages(migration, to->stages);
    to->pair_due_ms = from->pair_due_ms;
    to->pair_task_ms = from->pair_task_ms;
    to->pair_waits = from->pair_waits;
    to->pair_tasks = from->pair_tasks;
    if (!copy_data(migration, to) || !add_past(from, to, lsn)) {
        workflow_destroy(to);
        return NULL;
    }
    return to;
}

enum wf_status migrate_reserve(struct state *state, const struct record *record,
                               const struct event *event, struct wf_error *err) {
    struct workflow *workflow = state->reserved.workflow;
    uint32_t version = event->as.workflow_migrated.version;
    if (workflow == NULL || state->reserved.new_workflow != NULL || event != record->events)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " migrates workflow %.*s, which is not there",
                         record->lsn, TEXT_ARGS(record->subject));
    const struct definition *from = workflow->definition;
    const struct definition_entity *to = state_definition(state, text_view(from->name), version);
    struct migration migration = {workflow, from, to != NULL ? to->definition : NULL,
                                  event->as.workflow_migrated.stages.data,
                                  event->as.workflow_migrated.steps.data};
    if (to == NULL || version == 0 || workflow->past_count == MIGRATE_TIMES_MAX ||
        !is_sound(event->as.workflow_migrated.stages, from->stage_count,
                  migration.to->stage_count) ||
        !is_sound(event->as.workflow_migrated.steps, from->step_count, migration.to->step_count) ||
        !keeps_steps(&migration) || workflow->proposals != NULL ||
        data_size(&migration) > WORKFLOW_DATA_MAX)
        return error_set(err, WF_DAMAGE,
                         "record %" PRIu64 " migrates workflow %s to %s version %" PRIu32
                         ", which it does not fit",
                         record->lsn, workflow->id, from->name, version);
    state->reserved.new_workflow = make(&migration, to, record->lsn);
    if (state->reserved.new_workflow == NULL || !table_reserve(&state->workflows))
        return error_set(err, WF_NO_MEMORY, "no memory to migrate workflow %s", workflow->id);
    state->reserved.old_workflow = workflow;
    state->reserved.workflow = state->reserved.new_workflow;
    return WF_OK;
}

/* --- applying --- */

/* What handlers are at goes on, unless the version has none there. */
static void take_tasks(const struct event *event, struct workflow *from, struct workflow *to) {
    struct task *task;
    while ((task = from->tasks) != NULL) {
        unsigned kept = event->as.workflow_migrated.stages.data[task->stage];
        from->tasks = task->next;
        task->stage = (uint8_t)(kept - (kept != 0));
        if (kept != 0 && definition_handler_given(task_handler(to->definition, task)))
            task_put(to, task);
        else
            free(task);
    }
}

/* What a completed stage moved goes with it. */
static void take_money(const struct event *event, struct workflow *from, struct workflow *to) {
    struct stage_money *money;
    while ((money = from->money) != NULL) {
        unsigned kept = event->as.workflow_migrated.stages.data[money->stage];
        from->money = money->next;
        money->stage = (uint8_t)(kept - (kept != 0));
        if (kept != 0)
            stage_money_put(to, money);
        else
            free(money);
    }
}

/* The last decision of a reviewer is kept with its stage. */
static void take_verdict(const struct event *event, struct workflow *from, struct workflow *to) {
    struct bytes_view map = event->as.workflow_migrated.stages;
    struct verdict *verdict = from->verdict;
    if (verdict == NULL || verdict->stage >= map.size || map.data[verdict->stage] == 0)
        return;
    verdict->stage = (uint8_t)(map.data[verdict->stage] - 1);
    to->verdict = verdict;
    from->verdict = NULL;
}

void migrate_apply(struct state *state, const struct record *record, const struct event *event) {
    struct workflow *from = state->reserved.old_workflow, *to = state->reserved.new_workflow;
    state->reserved.new_workflow = state->reserved.old_workflow = NULL;
    state_touch(state, &from->entity, record->lsn);
    to->reason = from->reason;
    from->reason = NULL;
    take_verdict(event, from, to);
    take_tasks(event, from, to);
    take_money(event, from, to);
    to->lsn = record->lsn;
    to->changed_ms = record->time_ms;
    to->entity.bytes = workflow_bytes(to);
    state_replace(state, &from->entity, &to->entity);
    timers_remove(&state->timers, from);
    timers_remove(&state->tasks, from);
    table_remove(&state->workflows, from->id, from->id_size);
    table_insert(&state->workflows, to);
    workflow_destroy(from);
}
