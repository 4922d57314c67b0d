#include "engine/aftermath.h"

#include "engine/core/account.h"
#include "engine/core/apply.h"
#include "engine/core/text.h"
#include "engine/name_list.h"
#include "engine/origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct concerned {
    size_t size;
    char name[];
};

static struct table_key name_of(const void *entry) {
    const struct concerned *concerned = entry;
    return (struct table_key){concerned->name, concerned->size};
}

enum wf_status aftermath_init(struct aftermath *aftermath, struct wf_error *err) {
    *aftermath = (struct aftermath){.last_lsn = 0};
    table_init(&aftermath->workflows, name_of);
    table_init(&aftermath->accounts, name_of);
    return state_init(&aftermath->state, err);
}

static void free_names(struct table *names) {
    size_t at = 0;
    void *entry;
    while ((entry = table_next(names, &at)) != NULL) {
        free(entry);
    }
    table_deinit(names);
}

void aftermath_deinit(struct aftermath *aftermath) {
    free_names(&aftermath->workflows);
    free_names(&aftermath->accounts);
    state_deinit(&aftermath->state);
}

enum wf_status aftermath_begin(struct aftermath *aftermath, struct archive *archive,
                               struct wf_error *err) {
    enum wf_status status = origin_load(archive, &aftermath->state, &aftermath->last_lsn, err);
    if (status == WF_DAMAGE) {
        aftermath_give_up(aftermath);
        return WF_OK;
    }
    return status;
}

void aftermath_give_up(struct aftermath *aftermath) {
    aftermath->lost.unknown = true;
}

/* --- whom it concerns --- */

static enum wf_status concern(struct table *names, struct bytes_view name, struct wf_error *err) {
    if (name.size == 0 || table_find(names, name.data, name.size) != NULL) {
        return WF_OK;
    }
    struct concerned *concerned = malloc(sizeof(*concerned) + name.size);
    if (concerned == NULL || !table_reserve(names)) {
        free(concerned);
        return error_set(err, WF_NO_MEMORY, "no memory for what a loss takes with it");
    }
    concerned->size = name.size;
    memcpy(concerned->name, name.data, name.size);
    table_insert(names, concerned);
    return WF_OK;
}

static void add_definition(struct wf_log_losses *lost, const char *name, size_t size,
                           uint32_t version) {
    char text[DEFINITION_NAME_MAX + 16];
    int length = snprintf(text, sizeof(text), "%.*s %" PRIu32, (int)size, name, version);
    if (length > 0 && (size_t)length < sizeof(text)) {
        name_list_add(lost->definitions, sizeof(lost->definitions),
                      (struct bytes_view){(const uint8_t *)text, (size_t)length});
    }
}

/* A definition that the event wants, and that is gone. */
static void see_event(struct aftermath *aftermath, const struct record *record,
                      const struct event *event) {
    const struct workflow *workflow;
    struct bytes_view name;
    uint32_t version;
    if (event->kind == EVENT_WORKFLOW_STARTED) {
        name = event->as.workflow_started.type;
        version = event->as.workflow_started.version;
    } else if (event->kind == EVENT_WORKFLOW_MIGRATED &&
               (workflow = state_workflow(&aftermath->state, record->subject)) != NULL) {
        name = text_view(workflow->definition->name);
        version = event->as.workflow_migrated.version;
    } else {
        return;
    }
    if (version != 0 && state_definition(&aftermath->state, name, version) == NULL) {
        add_definition(&aftermath->lost, (const char *)name.data, name.size, version);
    }
}

static enum wf_status see_whom(struct aftermath *aftermath, const struct record *record,
                               struct wf_error *err) {
    enum wf_status status = WF_OK;
    if (command_is_about_workflow(record->command)) {
        status = concern(&aftermath->workflows, record->subject, err);
    }
    for (size_t i = 0; status == WF_OK && i < record->touch_count; i++) {
        if (record->touches[i].kind == ENTITY_ACCOUNT) {
            status = concern(&aftermath->accounts, record->touches[i].name, err);
        }
    }
    return status;
}

/* Whoever's record before this one is not the last one seen has lost some, whether or not this one
 * can do without. */
static enum wf_status see_links(struct aftermath *aftermath, const struct record *record,
                                struct wf_error *err) {
    const struct state *state = &aftermath->state;
    const struct workflow *workflow =
        command_is_about_workflow(record->command) ? state_workflow(state, record->subject) : NULL;
    enum wf_status status = WF_OK;
    if (workflow != NULL && workflow->history.lsn != record->previous.lsn) {
        status = concern(&aftermath->workflows, record->subject, err);
    }
    for (size_t i = 0; status == WF_OK && i < record->touch_count; i++) {
        const struct record_touch *touch = &record->touches[i];
        const struct account *account =
            touch->kind == ENTITY_ACCOUNT ? state_account(state, touch->name) : NULL;
        if (account != NULL && account->history.lsn != touch->previous.lsn) {
            status = concern(&aftermath->accounts, touch->name, err);
        }
    }
    return status;
}

enum wf_status aftermath_see(struct aftermath *aftermath, const struct record *record,
                             struct wf_error *err) {
    struct state *state = &aftermath->state;
    state->after_loss |= record->lsn != aftermath->last_lsn + 1;
    aftermath->last_lsn = record->lsn;
    if (aftermath->lost.unknown) {
        return WF_OK;
    }
    enum wf_status status = state->after_loss ? see_links(aftermath, record, err) : WF_OK;
    if (status != WF_OK) {
        return status;
    }
    struct wf_error why;
    status = apply_reserve(state, record, &why);
    if (status == WF_DAMAGE) { /* no loss explains it: the store will not open */
        aftermath_give_up(aftermath);
        return WF_OK;
    }
    if (status != WF_OK) {
        return error_set(err, status, "LSN %" PRIu64 ": %s", record->lsn, why.text);
    }
    bool ignored = state->reserved.ignored;
    apply(state, record);
    if (!ignored) {
        return WF_OK;
    }
    aftermath->lost.without_effect++;
    for (size_t i = 0; i < record->event_count; i++) {
        see_event(aftermath, record, &record->events[i]);
    }
    return see_whom(aftermath, record, err);
}

enum wf_status aftermath_lose(struct aftermath *aftermath, const struct record *record,
                              struct wf_error *err) {
    aftermath->state.after_loss = true;
    for (size_t i = 0; i < record->event_count; i++) {
        if (record->events[i].kind == EVENT_DEFINITION_ADDED) {
            const struct definition *definition = record->events[i].as.definition_added.definition;
            add_definition(&aftermath->lost, definition->name, strlen(definition->name),
                           definition->version);
        }
    }
    return see_whom(aftermath, record, err);
}

void aftermath_sum(const struct aftermath *aftermath, struct wf_log_losses *out) {
    *out = (struct wf_log_losses){.unknown = aftermath->lost.unknown};
    if (out->unknown) {
        return;
    }
    *out = aftermath->lost;
    size_t at = 0;
    const struct concerned *concerned;
    while ((concerned = table_next(&aftermath->workflows, &at)) != NULL) {
        struct bytes_view id = {(const uint8_t *)concerned->name, concerned->size};
        bool gone = state_workflow(&aftermath->state, id) == NULL;
        out->workflows_gone += gone;
        out->workflows_behind += !gone;
    }
    out->accounts = table_count(&aftermath->accounts);
}

/* --- as the record of a repair has it --- */

static const char *const names[] = {"records_without_effect", "workflows_gone", "workflows_behind",
                                    "accounts", "definitions"};

/* The numbers of the fields, in the order of `names`. */
static void numbers_of(struct wf_log_losses *lost, uint64_t *numbers[AFTERMATH_FIELDS - 1]) {
    numbers[0] = &lost->without_effect;
    numbers[1] = &lost->workflows_gone;
    numbers[2] = &lost->workflows_behind;
    numbers[3] = &lost->accounts;
}

void aftermath_to_fields(const struct wf_log_losses *lost, struct aftermath_fields *out) {
    struct wf_log_losses copy = *lost;
    uint64_t *numbers[AFTERMATH_FIELDS - 1];
    numbers_of(&copy, numbers);
    out->count = 0;
    for (size_t i = 0; !lost->unknown && i < AFTERMATH_FIELDS - 1; i++) {
        /* The first always: that it was counted. */
        if (i == 0 || *numbers[i] != 0) {
            char *text = out->numbers[out->count];
            (void)snprintf(text, AFTERMATH_TEXT_MAX, "%" PRIu64, *numbers[i]);
            out->fields[out->count++] = (struct field){text_view(names[i]), text_view(text)};
        }
    }
    if (!lost->unknown && lost->definitions[0] != '\0') {
        out->fields[out->count++] =
            (struct field){text_view(names[AFTERMATH_FIELDS - 1]), text_view(lost->definitions)};
    }
}

/* Add each of the names in `from` that is not in `without`. */
static void add_names(char *to, size_t size, struct bytes_view from, const char *without) {
    size_t at = 0;
    while (at < from.size) {
        const uint8_t *comma = memchr(from.data + at, ',', from.size - at);
        size_t end = comma == NULL ? from.size : (size_t)(comma - from.data);
        struct bytes_view name = {from.data + at, end - at};
        if (!name_list_has(without, name)) {
            name_list_add(to, size, name);
        }
        at = end + 1;
    }
}

void aftermath_add_fields(const struct field *fields, size_t count, struct wf_log_losses *sum) {
    uint64_t *numbers[AFTERMATH_FIELDS - 1];
    numbers_of(sum, numbers);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < AFTERMATH_FIELDS - 1; j++) {
            uint64_t number;
            if (text_equal(fields[i].name, names[j]) && text_number(fields[i].value, &number)) {
                *numbers[j] += number;
            }
        }
        if (text_equal(fields[i].name, names[AFTERMATH_FIELDS - 1])) {
            add_names(sum->definitions, sizeof(sum->definitions), fields[i].value, "");
        }
    }
}

void aftermath_subtract(struct wf_log_losses *lost, const struct wf_log_losses *told) {
    struct wf_log_losses earlier = *told;
    struct wf_log_losses all = *lost;
    uint64_t *from[AFTERMATH_FIELDS - 1];
    uint64_t *minus[AFTERMATH_FIELDS - 1];
    numbers_of(lost, from);
    numbers_of(&earlier, minus);
    for (size_t i = 0; i < AFTERMATH_FIELDS - 1; i++) {
        *from[i] -= *minus[i] < *from[i] ? *minus[i] : *from[i];
    }
    lost->definitions[0] = '\0';
    add_names(lost->definitions, sizeof(lost->definitions), text_view(all.definitions),
              told->definitions);
}
