/* The core's workflow made into the host's. */
#include "engine/workflow_out.h"

#include <stdlib.h>
#include <string.h>

/* Hands out pieces of one block; with `base` NULL it only adds up what is needed. */
struct packer {
    uint8_t *base;
    size_t used;
};

static void *pack(struct packer *packer, size_t size) {
    size_t at = (packer->used + 7) & ~(size_t)7;
    packer->used = at + size;
    return packer->base == NULL ? NULL : packer->base + at;
}

static const char *pack_text(struct packer *packer, const void *text, size_t size) {
    size_t at = packer->used; /* strings need no alignment */
    packer->used += size + 1;
    if (packer->base == NULL) {
        return NULL;
    }
    char *copy = (char *)packer->base + at;
    if (size > 0) {
        memcpy(copy, text, size);
    }
    copy[size] = '\0';
    return copy;
}

static const char *pack_string(struct packer *packer, const char *text) {
    return text == NULL ? NULL : pack_text(packer, text, strlen(text));
}

static const struct wf_stage_info *pack_stages(struct packer *packer,
                                               const struct workflow *workflow) {
    const struct definition *definition = workflow->definition;
    struct wf_stage_info *stages = pack(packer, definition->stage_count * sizeof(*stages));
    for (size_t i = 0; i < definition->stage_count; i++) {
        const struct stage_state *stage = &workflow->stages[i];
        struct wf_stage_info info = {
            .name = pack_string(packer, definition->stages[i].name),
            .status = stage_status_name(stage->status),
            .attempt = stage->attempt,
            .deadline_ms = stage->deadline_ms,
        };
        if (stages != NULL) {
            stages[i] = info;
        }
    }
    return stages;
}

static const char *const *pack_steps(struct packer *packer, const struct workflow *workflow) {
    const char **steps = pack(packer, workflow->step_count * sizeof(*steps));
    for (size_t i = 0; i < workflow->step_count; i++) {
        const char *name =
            pack_string(packer, workflow->definition->steps[workflow->steps[i]].name);
        if (steps != NULL) {
            steps[i] = name;
        }
    }
    return steps;
}

/* Is this the field's value in force, or was it given again later? */
static bool is_in_force(const struct workflow *workflow, const struct field *field) {
    struct bytes_view value =
        workflow_field(workflow, (const char *)field->name.data, field->name.size);
    return value.data == field->value.data;
}

static const struct wf_field *pack_data(struct packer *packer, const struct workflow *workflow,
                                        size_t *count) {
    size_t total = 0;
    size_t at = 0;
    unsigned step;
    struct field field;
    while (workflow_field_next(workflow, &at, &step, &field)) {
        total += is_in_force(workflow, &field);
    }
    struct wf_field *data = pack(packer, total * sizeof(*data));
    *count = 0;
    at = 0;
    while (*count < total && workflow_field_next(workflow, &at, &step, &field)) {
        if (!is_in_force(workflow, &field)) {
            continue;
        }
        struct wf_field out = {.name = pack_text(packer, field.name.data, field.name.size),
                               .value = pack_text(packer, field.value.data, field.value.size)};
        if (data != NULL) {
            data[*count] = out;
        }
        (*count)++;
    }
    return data;
}

static struct wf_workflow *pack_workflow(struct packer *packer, const struct workflow *workflow) {
    struct wf_workflow *out = pack(packer, sizeof(*out));
    struct wf_workflow made = {
        .id = pack_text(packer, workflow->id, workflow->id_size),
        .type = pack_string(packer, workflow->definition->name),
        .version = workflow->definition->version,
        .status = workflow_status_name(workflow->status),
        .reason = pack_string(packer, workflow->reason),
        .lsn = workflow->lsn,
        .started_ms = workflow->started_ms,
        .changed_ms = workflow->changed_ms,
        .stage_count = workflow->definition->stage_count,
        .step_count = workflow->step_count,
    };
    made.stages = pack_stages(packer, workflow);
    made.steps = pack_steps(packer, workflow);
    made.data = pack_data(packer, workflow, &made.data_count);
    int stage = workflow_current_stage(workflow);
    if (out != NULL) {
        made.stage = stage < 0 ? NULL : made.stages[stage].name;
        *out = made;
    }
    return out;
}

enum wf_status workflow_out_make(const struct workflow *workflow, struct wf_workflow **out,
                                 struct wf_error *err) {
    struct packer packer = {0};
    (void)pack_workflow(&packer, workflow);
    uint8_t *base = malloc(packer.used);
    if (base == NULL) {
        *out = NULL;
        return error_set(err, WF_NO_MEMORY, "no memory for a workflow");
    }
    packer = (struct packer){.base = base};
    *out = pack_workflow(&packer, workflow);
    return WF_OK;
}

void wf_workflow_free(struct wf_workflow *workflow) {
    free(workflow); /* it begins the one block */
}
