/* One workflow in memory: its allocation, its packed fields, and what can be read off it. */
#include "engine/core/workflow.h"

#include "engine/core/proposal.h"
#include "engine/core/stage_money.h"
#include "engine/core/task.h"
#include "engine/core/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_FOLLOWS = 0x80,  /* the field's name is spelled out; the low bits are its size */
    MALLOC_OVERHEAD = 16, /* of one allocation: header and rounding, on average */
};

struct workflow *workflow_create(struct slab *slab, const struct definition_entity *definition,
                                 struct bytes_view id) {
    size_t stages_size = definition->definition->stage_count * sizeof(struct stage_state);
    size_t steps_size = definition->definition->step_count;
    size_t size = sizeof(struct workflow) + stages_size + steps_size + id.size + 1;
    struct workflow *workflow = slab_alloc(slab, size);
    if (workflow == NULL)
        return NULL;
    memset(workflow, 0, size);
    workflow->entity.kind = ENTITY_WORKFLOW;
    workflow->definition = definition->definition;
    workflow->definition_number = definition->number;
    workflow->steps = (uint8_t *)workflow->stages + stages_size;
    workflow->id = (char *)workflow->steps + steps_size;
    memcpy(workflow->id, id.data, id.size);
    workflow->id_size = (uint8_t)id.size;
    workflow->entity.bytes = workflow_bytes(workflow);
    return workflow;
}

void workflow_destroy(struct workflow *workflow) {
    slab_free(workflow->data);
    free(workflow->reason);
    proposal_remove_all(workflow);
    task_remove_all(workflow);
    stage_money_remove_all(workflow);
    free(workflow->verdict);
    free(workflow->past);
    slab_free(workflow);
}

uint32_t workflow_bytes(const struct workflow *workflow) {
    size_t bytes = sizeof *workflow +
                   workflow->definition->stage_count * sizeof workflow->stages[0] +
                   workflow->definition->step_count + workflow->id_size + 1 + MALLOC_OVERHEAD;
    if (workflow->data != NULL)
        bytes += workflow->data_capacity + MALLOC_OVERHEAD;
    if (workflow->reason != NULL)
        bytes += strlen(workflow->reason) + MALLOC_OVERHEAD;
    if (workflow->past != NULL)
        bytes += workflow->past_count * sizeof workflow->past[0] + MALLOC_OVERHEAD;
    return (uint32_t)(bytes + proposal_bytes(workflow) + task_bytes(workflow) +
                      stage_money_bytes(workflow));
}

bool workflow_is_required(const struct definition_step *step, size_t index,
                          struct bytes_view name) {
    return name.size == step->requires_sizes[index] &&
           memcmp(name.data, step->requires[index], name.size) == 0;
}

/* The name's place among the fields that the step requires, or -1. It is most often the `likely`th.
 */
static int required_index(const struct definition *definition, unsigned step,
                          struct bytes_view name, size_t likely) {
    if (step >= definition->step_count)
        return -1; /* given at the start, or by a handler */
    const struct definition_step *from = &definition->steps[step];
    if (likely < from->requires_count && workflow_is_required(from, likely, name))
        return (int)likely;
    for (size_t i = 0; i < from->requires_count; i++)
        if (workflow_is_required(from, i, name))
            return (int)i;
    return -1;
}

static size_t varint_size(size_t value) {
    size_t size = 1;
    while ((value >>= 7) != 0)
        size++;
    return size;
}

size_t workflow_fields_size(const struct definition *definition, unsigned step,
                            const struct field *fields, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += 2 + varint_size(fields[i].value.size) + fields[i].value.size;
        if (required_index(definition, step, fields[i].name, i) < 0)
            size += fields[i].name.size;
    }
    return size;
}

bool workflow_fields_fit(size_t taken, const struct definition *definition, unsigned step,
                         const struct field *fields, size_t count) {
    size_t most = taken; /* as if all names were spelled out: almost always it is enough to know */
    for (size_t i = 0; i < count; i++)
        most += 2 + BYTES_VARINT_SIZE_MAX + fields[i].name.size + fields[i].value.size;
    return most <= WORKFLOW_DATA_MAX ||
           taken + workflow_fields_size(definition, step, fields, count) <= WORKFLOW_DATA_MAX;
}

bool workflow_reserve_data(struct workflow *workflow, size_t size) {
    size_t needed = workflow->data_size + size;
    if (needed <= workflow->data_capacity)
        return true;
    uint8_t *grown = workflow->data != NULL ? slab_realloc(workflow->data, needed)
                                            : slab_alloc(slab_of(workflow), needed);
    if (grown == NULL)
        return false;
    workflow->data = grown;
    workflow->data_capacity = (uint32_t)needed;
    return true;
}

static uint8_t *put_bytes(uint8_t *at, struct bytes_view bytes) {
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *put_varint(uint8_t *at, size_t value) {
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

void workflow_append_fields(struct workflow *workflow, unsigned step, const struct field *fields,
                            size_t count) {
    if (count == 0)
        return;
    uint8_t *at = workflow->data + workflow->data_size;
    for (size_t i = 0; i < count; i++) {
        int index = required_index(workflow->definition, step, fields[i].name, i);
        *at++ = (uint8_t)step;
        if (index >= 0) {
            *at++ = (uint8_t)index;
        } else {
            *at++ = (uint8_t)(NAME_FOLLOWS | fields[i].name.size);
            at = put_bytes(at, fields[i].name);
        }
        at = put_varint(at, fields[i].value.size);
        at = put_bytes(at, fields[i].value);
    }
    workflow->data_size = (uint32_t)(at - workflow->data);
}

/* The name that a packed field gives, by reference or in full; an empty view where it is neither.
 */
static struct bytes_view read_field_name(struct bytes_reader *reader,
                                         const struct definition *definition, unsigned step) {
    uint8_t name = bytes_read_u8(reader);
    if ((name & NAME_FOLLOWS) != 0)
        return bytes_read_run(reader, name & ~(unsigned)NAME_FOLLOWS);
    if (step < definition->step_count && name < definition->steps[step].requires_count)
        return text_view(definition->steps[step].requires[name]);
    return (struct bytes_view){NULL, 0};
}

bool workflow_field_next(const struct workflow *workflow, size_t *at, unsigned *step,
                         struct field *field) {
    if (*at >= workflow->data_size)
        return false;
    struct bytes_reader reader = bytes_reader_make(workflow->data + *at, workflow->data_size - *at);
    *step = bytes_read_u8(&reader);
    field->name = read_field_name(&reader, workflow->definition, *step);
    field->value = bytes_read_run(&reader, (size_t)bytes_read_varint(&reader));
    bool known = *step < workflow->definition->step_count || *step == WORKFLOW_FIELD_AT_START ||
                 (*step >= WORKFLOW_FIELD_OF_STAGE &&
                  *step - WORKFLOW_FIELD_OF_STAGE < workflow->definition->stage_count);
    if (!bytes_reader_ok(&reader) || !known || field->name.size == 0)
        return false;
    *at = workflow->data_size - bytes_reader_left(&reader);
    return true;
}

struct bytes_view workflow_field(const struct workflow *workflow, const char *name, size_t size) {
    struct bytes_view sought = {(const uint8_t *)name, size}, found = {NULL, 0};
    struct field field;
    unsigned step;
    for (size_t at = 0; workflow_field_next(workflow, &at, &step, &field);)
        if (text_same(field.name, sought))
            found = field.value;
    return found;
}

/* How well a stage of this status says where the workflow stands: higher is better. */
static int prominence(enum stage_status status) {
    switch (status) {
    case STAGE_ACTIVE:
        return 3;
    case STAGE_TIMED_OUT:
    case STAGE_FAILED:
    case STAGE_AWAITING_REVIEW:
    case STAGE_HELD:
        return 2;
    case STAGE_COMPLETED:
        return 1;
    case STAGE_BLOCKED:
    case STAGE_ROLLED_BACK:
        return 0;
    }
    return 0;
}

int workflow_current_stage(const struct workflow *workflow) {
    int best = -1, best_prominence = 0;
    for (size_t i = 0; i < workflow->definition->stage_count; i++) {
        int here = prominence(workflow->stages[i].status);
        /* The first of those that go on, the last of those that are done. */
        if (here > best_prominence || (here == 1 && best_prominence == 1)) {
            best = (int)i;
            best_prominence = here;
        }
    }
    return best;
}

int64_t workflow_due(const struct workflow *workflow, unsigned *stage) {
    int64_t due_ms = 0;
    for (size_t i = 0; i < workflow->definition->stage_count; i++) {
        int64_t here = workflow->stages[i].deadline_ms;
        if (here == 0 || workflow->stages[i].status != STAGE_ACTIVE ||
            (due_ms != 0 && here >= due_ms))
            continue;
        due_ms = here;
        *stage = (unsigned)i;
    }
    return due_ms;
}

const struct definition *workflow_definition_at(const struct state *state,
                                                const struct workflow *workflow, uint64_t lsn) {
    for (size_t i = 0; i < workflow->past_count; i++) {
        if (lsn >= workflow->past[i].until_lsn)
            continue;
        const struct definition_entity *then =
            state_definition_numbered(state, workflow->past[i].definition_number);
        return then != NULL ? then->definition : workflow->definition;
    }
    return workflow->definition;
}

uint64_t workflow_items(const struct workflow *workflow) {
    uint64_t items = 0;
    for (size_t i = 0; i < workflow->step_count; i++)
        items |= workflow->definition->steps[workflow->steps[i]].provides;
    return items;
}

uint64_t workflow_completed_stages(const struct workflow *workflow) {
    uint64_t completed = 0;
    for (size_t i = 0; i < workflow->definition->stage_count; i++)
        if (workflow->stages[i].status == STAGE_COMPLETED)
            completed |= UINT64_C(1) << i;
    return completed;
}

bool workflow_step_in_force(const struct workflow *workflow, unsigned step) {
    for (size_t i = 0; i < workflow->step_count; i++)
        if (workflow->steps[i] == step)
            return true;
    return false;
}

void workflow_withdraw_step(struct workflow *workflow, unsigned step) {
    unsigned kept = 0;
    for (unsigned i = 0; i < workflow->step_count; i++)
        if (workflow->steps[i] != step)
            workflow->steps[kept++] = workflow->steps[i];
    workflow->step_count = (uint8_t)kept;
    size_t to = 0, from = 0, next = 0;
    unsigned of;
    struct field field;
    for (; workflow_field_next(workflow, &next, &of, &field); from = next) {
        if (of == step)
            continue;
        memmove(workflow->data + to, workflow->data + from, next - from);
        to += next - from;
    }
    workflow->data_size = (uint32_t)to;
}

bool workflow_has_ended(const struct workflow *workflow) {
    switch (workflow->status) {
    case WORKFLOW_COMPLETED:
    case WORKFLOW_FAILED:
    case WORKFLOW_CANCELLED:
        return true;
    case WORKFLOW_RUNNING:
    case WORKFLOW_HELD:
    case WORKFLOW_AWAITING_REVIEW:
    case WORKFLOW_ROLLING_BACK:
    case WORKFLOW_STATUS_COUNT:
        break;
    }
    return false;
}
