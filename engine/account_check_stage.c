/* Does the money of a stage go back where the stage is undone? What is bound to stages is followed
 * through the log, by the events alone. */
#include "engine/account_check.h"

#include "engine/core/stage_money.h"
#include "engine/core/text.h"
#include "engine/record_reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of one stage: it moved something in this record. */
struct bound {
    struct bound *next;
    uint64_t lsn;
    uint32_t stage;
};

struct bound_workflow {
    struct bound *first;
    size_t id_size;
    uint8_t id[];
};

static struct table_key id_of(const void *entry) {
    const struct bound_workflow *workflow = entry;
    return (struct table_key){workflow->id, workflow->id_size};
}

void account_check_stages_init(struct table *stages) {
    table_init(stages, id_of);
}

static void forget_all(struct bound_workflow *workflow) {
    while (workflow->first != NULL) {
        struct bound *next = workflow->first->next;
        free(workflow->first);
        workflow->first = next;
    }
}

void account_check_stages_deinit(struct table *stages) {
    size_t at = 0;
    for (struct bound_workflow *workflow; (workflow = table_next(stages, &at)) != NULL;) {
        forget_all(workflow);
        free(workflow);
    }
    table_deinit(stages);
}

static struct bound_workflow *find(const struct table *stages, struct bytes_view id) {
    return table_find(stages, id.data, id.size);
}

static enum wf_status no_memory(struct wf_error *err) {
    return error_set(err, WF_NO_MEMORY, "no memory to check what stages moved");
}

static enum wf_status find_or_add(struct table *stages, struct bytes_view id,
                                  struct bound_workflow **out, struct wf_error *err) {
    *out = find(stages, id);
    if (*out != NULL) {
        return WF_OK;
    }
    struct bound_workflow *workflow = calloc(1, sizeof(*workflow) + id.size);
    if (workflow == NULL || !table_reserve(stages)) {
        free(workflow);
        return no_memory(err);
    }
    workflow->id_size = id.size;
    memcpy(workflow->id, id.data, id.size);
    table_insert(stages, workflow);
    *out = workflow;
    return WF_OK;
}

/* Take what is bound to the stage out of the list; the caller frees it. */
static struct bound *take(struct bound_workflow *workflow, uint32_t stage) {
    struct bound **at = &workflow->first;
    while (*at != NULL && (*at)->stage != stage) {
        at = &(*at)->next;
    }
    struct bound *found = *at;
    if (found != NULL) {
        *at = found->next;
    }
    return found;
}

static enum wf_status bind(struct table *stages, struct bytes_view id, uint32_t stage, uint64_t lsn,
                           struct wf_error *err) {
    struct bound_workflow *workflow = NULL;
    enum wf_status status = find_or_add(stages, id, &workflow, err);
    if (status != WF_OK) {
        return status;
    }
    struct bound *bound = take(workflow, stage);
    if (bound == NULL && (bound = malloc(sizeof(*bound))) == NULL) {
        return no_memory(err);
    }
    *bound = (struct bound){.next = workflow->first, .lsn = lsn, .stage = stage};
    workflow->first = bound;
    return WF_OK;
}

enum wf_status account_check_stages_begin(struct table *stages, const struct state *state,
                                          struct wf_error *err) {
    size_t at = 0;
    enum wf_status status = WF_OK;
    for (const struct workflow *w; (w = table_next(&state->workflows, &at)) != NULL;) {
        for (const struct stage_money *money = w->money; money != NULL; money = money->next) {
            if (status == WF_OK) {
                status = bind(stages, text_view(w->id), money->stage, money->lsn, err);
            }
        }
    }
    return status;
}

/* What is bound to a stage of the old version is bound to the same one of the new. */
static void migrate(struct bound_workflow *workflow, struct bytes_view map) {
    struct bound *before = workflow->first;
    workflow->first = NULL;
    while (before != NULL) {
        struct bound *bound = before;
        before = bound->next;
        unsigned kept = bound->stage < map.size ? map.data[bound->stage] : 0;
        if (kept == 0) {
            free(bound);
            continue;
        }
        *bound = (struct bound){.next = workflow->first, .lsn = bound->lsn, .stage = kept - 1};
        workflow->first = bound;
    }
}

static bool reverses(const struct record *record, uint64_t lsn) {
    size_t at = 0;
    uint64_t reversed;
    while ((reversed = account_check_next_reversed(record, &at)) != 0 && reversed != lsn) {
    }
    return reversed == lsn;
}

/* Did the record move anything altogether? Holds that it placed are only freed. */
static enum wf_status moved_anything(struct record_reader *reader, uint64_t lsn, bool *moved,
                                     struct wf_error *err) {
    struct stage_money *money = NULL;
    struct stage_money_entry entry;
    bool found = false;
    *moved = false;
    enum wf_status status = record_reader_find(reader, lsn, &found, err);
    if (status == WF_OK && found) {
        status = stage_money_create(&reader->record, &money, err);
    }
    for (size_t at = 0; status == WF_OK && money != NULL && stage_money_next(money, &at, &entry);) {
        *moved |= entry.kind != 0;
    }
    free(money);
    return status;
}

static enum wf_status undo(struct record_reader *reader, const struct record *record,
                           struct bound_workflow *workflow, uint32_t stage, struct wf_error *err) {
    struct bound *bound = take(workflow, stage);
    uint64_t lsn = bound == NULL ? 0 : bound->lsn;
    bool moved = false;
    free(bound);
    enum wf_status status = WF_OK;
    if (lsn != 0 && !reverses(record, lsn)) {
        status = moved_anything(reader, lsn, &moved, err);
    }
    if (status != WF_OK || !moved) {
        return status;
    }
    const struct definition *definition = engine_definition_of(reader->engine, record);
    bool named = definition != NULL && stage < definition->stage_count;
    return error_set(err, WF_DIVERGENCE,
                     "first difference at LSN %" PRIu64
                     ": workflow %.*s: stage %s is undone, and what record %" PRIu64
                     " moved for it does not go back",
                     record->lsn, TEXT_ARGS(record->subject),
                     named ? definition->stages[stage].name : "(of a definition that is not here)",
                     lsn);
}

enum wf_status account_check_stages(struct table *stages, struct record_reader *reader,
                                    const struct record *record, struct wf_error *err) {
    struct bound_workflow *workflow =
        command_is_about_workflow(record->command) ? find(stages, record->subject) : NULL;
    enum wf_status status = WF_OK;
    for (size_t i = 0; i < record->event_count && status == WF_OK; i++) {
        const struct event *event = &record->events[i];
        if (event->kind == EVENT_MONEY_BOUND) {
            status = bind(stages, record->subject, event->as.money_bound.stage, record->lsn, err);
        } else if (workflow == NULL) {
            continue;
        } else if (event->kind == EVENT_WORKFLOW_STARTED) {
            forget_all(workflow); /* another of the same id */
        } else if (event->kind == EVENT_WORKFLOW_MIGRATED) {
            migrate(workflow, event->as.workflow_migrated.stages);
        } else if (event->kind == EVENT_STAGE_UNDONE) {
            status = undo(reader, record, workflow, event->as.stage_undone.stage, err);
        }
    }
    return status;
}
