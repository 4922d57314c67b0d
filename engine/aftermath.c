#include "engine/aftermath.h"

#include "engine/core/account.h"
#include "engine/core/apply.h"
#include "engine/core/reference.h"
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

static void free_names(struct table *names) {
    size_t at = 0;
    void *entry;
    while ((entry = table_next(names, &at)) != NULL) {
        free(entry);
    }
    table_deinit(names);
}

void aftermath_names_init(struct aftermath_names *names) {
    table_init(&names->workflows, name_of);
    table_init(&names->accounts, name_of);
    table_init(&names->definitions, name_of);
    table_init(&names->keys, name_of);
    table_init(&names->references, name_of);
}

void aftermath_names_deinit(struct aftermath_names *names) {
    free_names(&names->workflows);
    free_names(&names->accounts);
    free_names(&names->definitions);
    free_names(&names->keys);
    free_names(&names->references);
}

enum wf_status aftermath_init(struct aftermath *aftermath, struct wf_error *err) {
    *aftermath = (struct aftermath){.last_lsn = 0};
    aftermath_names_init(&aftermath->names);
    return state_init(&aftermath->state, err);
}

void aftermath_deinit(struct aftermath *aftermath) {
    aftermath_names_deinit(&aftermath->names);
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

static enum wf_status add_definition(struct aftermath_names *names, struct bytes_view name,
                                     uint32_t version, struct wf_error *err) {
    char text[DEFINITION_NAME_MAX + 16];
    int length = snprintf(text, sizeof(text), "%.*s %" PRIu32, (int)name.size,
                          (const char *)name.data, version);
    return length <= 0 || (size_t)length >= sizeof(text)
               ? WF_OK
               : concern(&names->definitions,
                         (struct bytes_view){(const uint8_t *)text, (size_t)length}, err);
}

enum wf_status aftermath_names_add_entity(struct aftermath_names *names,
                                          const struct entity *entity, struct wf_error *err) {
    switch (entity->kind) {
    case ENTITY_WORKFLOW: {
        const struct workflow *workflow = (const struct workflow *)entity;
        return concern(&names->workflows,
                       (struct bytes_view){(const uint8_t *)workflow->id, workflow->id_size}, err);
    }
    case ENTITY_ACCOUNT: {
        const struct account *account = (const struct account *)entity;
        return concern(&names->accounts,
                       (struct bytes_view){(const uint8_t *)account->number, account->number_size},
                       err);
    }
    case ENTITY_KEY: {
        const struct idempotency_key *key = (const struct idempotency_key *)entity;
        return concern(&names->keys, (struct bytes_view){(const uint8_t *)key->text, key->size},
                       err);
    }
    case ENTITY_DEFINITION: {
        const struct definition *definition =
            ((const struct definition_entity *)entity)->definition;
        return add_definition(names, text_view(definition->name), definition->version, err);
    }
    case ENTITY_REFERENCE: {
        const struct reference *reference = (const struct reference *)entity;
        return concern(&names->references,
                       (struct bytes_view){(const uint8_t *)reference->key, reference->key_size},
                       err);
    }
    case ENTITY_STORE:
    case ENTITY_REVERSAL:
    case ENTITY_INTERNAL_ACCOUNT:
    case ENTITY_INEFFECTIVE:
        return WF_OK;
    }
    return WF_OK;
}

/* A definition that the event wants, and that is gone. */
static enum wf_status see_event(struct aftermath *aftermath, const struct record *record,
                                const struct event *event, struct wf_error *err) {
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
        return WF_OK;
    }
    return version == 0 || state_definition(&aftermath->state, name, version) != NULL
               ? WF_OK
               : add_definition(&aftermath->names, name, version, err);
}

static bool is_refusal(const struct record *record) {
    return record->event_count > 0 && record->events[0].kind == EVENT_COMMAND_REFUSED;
}

/* Of a record that is lost, or without effect: a refusal had none. */
static enum wf_status see_whom(struct aftermath *aftermath, const struct record *record,
                               struct wf_error *err) {
    struct aftermath_names *names = &aftermath->names;
    enum wf_status status = concern(&names->keys, record->key, err);
    if (status != WF_OK || is_refusal(record)) {
        return status;
    }
    if (command_is_about_workflow(record->command)) {
        status = concern(&names->workflows, record->subject, err);
    }
    for (size_t i = 0; status == WF_OK && i < record->touch_count; i++) {
        if (record->touches[i].kind == ENTITY_ACCOUNT) {
            status = concern(&names->accounts, record->touches[i].name, err);
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
        status = concern(&aftermath->names.workflows, record->subject, err);
    }
    for (size_t i = 0; status == WF_OK && i < record->touch_count; i++) {
        const struct record_touch *touch = &record->touches[i];
        const struct account *account =
            touch->kind == ENTITY_ACCOUNT ? state_account(state, touch->name) : NULL;
        if (account != NULL && account->history.lsn != touch->previous.lsn) {
            status = concern(&aftermath->names.accounts, touch->name, err);
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
    for (size_t i = 0; status == WF_OK && i < record->event_count; i++) {
        status = see_event(aftermath, record, &record->events[i], err);
    }
    return status == WF_OK ? see_whom(aftermath, record, err) : status;
}

enum wf_status aftermath_lose(struct aftermath *aftermath, const struct record *record,
                              struct wf_error *err) {
    enum wf_status status = WF_OK;
    aftermath->state.after_loss = true;
    for (size_t i = 0; status == WF_OK && i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        if (event->kind == EVENT_DEFINITION_ADDED) {
            const struct definition *definition = event->as.definition_added.definition;
            status = add_definition(&aftermath->names, text_view(definition->name),
                                    definition->version, err);
        }
    }
    return status == WF_OK ? see_whom(aftermath, record, err) : status;
}

void aftermath_lose_unread(struct aftermath *aftermath, uint64_t count) {
    aftermath->state.after_loss = true;
    aftermath->lost.untold += count;
}

/* --- the sum --- */

/* Filled twice: first to find out how much room it takes. */
struct sum {
    struct wf_lost *lost;
    char *text;
    size_t count, size;
};

static void sum_add(struct sum *sum, const char *kind, const struct concerned *concerned) {
    if (sum->lost != NULL) {
        sum->lost[sum->count] = (struct wf_lost){kind, sum->text + sum->size};
        memcpy(sum->text + sum->size, concerned->name, concerned->size);
        sum->text[sum->size + concerned->size] = '\0';
    }
    sum->count++;
    sum->size += concerned->size + 1;
}

/* Who is in `state` (`there`) or is not; NULL: all. Returns how many. */
static uint64_t sum_names(struct sum *sum, const char *kind, const struct table *names,
                          const struct state *state, bool there) {
    uint64_t before = sum->count;
    size_t at = 0;
    const struct concerned *concerned;
    while ((concerned = table_next(names, &at)) != NULL) {
        struct bytes_view id = {(const uint8_t *)concerned->name, concerned->size};
        if (state == NULL || (state_workflow(state, id) != NULL) == there) {
            sum_add(sum, kind, concerned);
        }
    }
    return sum->count - before;
}

static void sum_all(const struct aftermath *aftermath, struct sum *sum, struct wf_log_losses *out) {
    const struct aftermath_names *names = &aftermath->names;
    const struct state *state = &aftermath->state;
    sum->count = sum->size = 0;
    out->workflows_gone = sum_names(sum, "workflow_gone", &names->workflows, state, false);
    out->workflows_behind = sum_names(sum, "workflow_behind", &names->workflows, state, true);
    out->accounts = sum_names(sum, "account", &names->accounts, NULL, true);
    (void)sum_names(sum, "definition", &names->definitions, NULL, true);
    out->keys = sum_names(sum, "key", &names->keys, NULL, true);
    out->references = sum_names(sum, "reference", &names->references, NULL, true);
}

static int compare_lost(const void *left, const void *right) {
    const struct wf_lost *a = left;
    const struct wf_lost *b = right;
    int kinds = strcmp(a->kind, b->kind);
    return kinds != 0 ? kinds : strcmp(a->name, b->name);
}

enum wf_status aftermath_sum(const struct aftermath *aftermath, struct wf_log_losses *out,
                             struct wf_error *err) {
    struct sum sum = {.count = 0};
    *out = (struct wf_log_losses){.unknown = aftermath->lost.unknown};
    if (out->unknown) {
        return WF_OK;
    }
    *out = aftermath->lost;
    sum_all(aftermath, &sum, out);
    if (sum.count == 0) {
        return WF_OK;
    }
    sum.lost = malloc(sum.count * sizeof(*sum.lost) + sum.size);
    if (sum.lost == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for what a loss takes with it");
    }
    sum.text = (char *)(sum.lost + sum.count);
    sum_all(aftermath, &sum, out);
    qsort(sum.lost, sum.count, sizeof(*sum.lost), compare_lost);
    out->names = sum.lost;
    out->name_count = sum.count;
    for (size_t i = 0; i < sum.count; i++) {
        if (strcmp(sum.lost[i].kind, "definition") == 0) {
            name_list_add(out->definitions, sizeof(out->definitions), text_view(sum.lost[i].name));
        }
    }
    return WF_OK;
}

void wf_log_report_deinit(struct wf_log_report *report) {
    free(report->lost.names);
    report->lost.names = NULL;
    report->lost.name_count = 0;
}

/* --- as the record of a repair has it --- */

static const char *const names[AFTERMATH_COUNTS] = {"records_without_effect",
                                                    "workflows_gone",
                                                    "workflows_behind",
                                                    "accounts",
                                                    "keys",
                                                    "references",
                                                    "records_untold"};
/* What the names of each are in a sum, and in the record; NULL: they have none. */
static const char *const kinds[AFTERMATH_COUNTS] = {
    NULL, "workflow_gone", "workflow_behind", "account", "key", "reference", NULL};
static const char *const first_names[AFTERMATH_COUNTS] = {NULL,
                                                          "first_workflows_gone",
                                                          "first_workflows_behind",
                                                          "first_accounts",
                                                          "first_keys",
                                                          "first_references",
                                                          NULL};
static const char definitions_name[] = "definitions";

/* The numbers of the fields, in the order of `names`. */
static void numbers_of(struct wf_log_losses *lost, uint64_t *numbers[AFTERMATH_COUNTS]) {
    numbers[0] = &lost->without_effect;
    numbers[1] = &lost->workflows_gone;
    numbers[2] = &lost->workflows_behind;
    numbers[3] = &lost->accounts;
    numbers[4] = &lost->keys;
    numbers[5] = &lost->references;
    numbers[6] = &lost->untold;
}

static void put_field(struct aftermath_fields *out, const char *name, const char *value) {
    if (*value != '\0') {
        out->fields[out->count++] = (struct field){text_view(name), text_view(value)};
    }
}

static void put_first_names(const struct wf_log_losses *lost, size_t kind,
                            struct aftermath_fields *out) {
    size_t count = 0;
    out->names[kind][0] = '\0';
    for (size_t i = 0; kinds[kind] != NULL && count < AFTERMATH_NAMES_MAX && i < lost->name_count;
         i++) {
        if (strcmp(lost->names[i].kind, kinds[kind]) == 0) {
            name_list_add(out->names[kind], sizeof(out->names[kind]),
                          text_view(lost->names[i].name));
            count++;
        }
    }
    if (count > 0) {
        put_field(out, first_names[kind], out->names[kind]);
    }
}

void aftermath_to_fields(const struct wf_log_losses *lost, struct aftermath_fields *out) {
    struct wf_log_losses copy = *lost;
    uint64_t *numbers[AFTERMATH_COUNTS];
    numbers_of(&copy, numbers);
    out->count = 0;
    for (size_t i = 0; !lost->unknown && i < AFTERMATH_COUNTS; i++) {
        /* The first always: that it was counted. */
        if (i == 0 || *numbers[i] != 0) {
            (void)snprintf(out->numbers[i], AFTERMATH_TEXT_MAX, "%" PRIu64, *numbers[i]);
            put_field(out, names[i], out->numbers[i]);
        }
    }
    if (!lost->unknown) {
        put_field(out, definitions_name, lost->definitions);
    }
    for (size_t i = 0; !lost->unknown && i < AFTERMATH_COUNTS; i++) {
        put_first_names(lost, i, out);
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
    uint64_t *numbers[AFTERMATH_COUNTS];
    numbers_of(sum, numbers);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < AFTERMATH_COUNTS; j++) {
            uint64_t number;
            if (text_equal(fields[i].name, names[j]) && text_number(fields[i].value, &number)) {
                *numbers[j] += number;
            }
        }
        if (text_equal(fields[i].name, definitions_name)) {
            add_names(sum->definitions, sizeof(sum->definitions), fields[i].value, "");
        }
    }
}

void aftermath_subtract(struct wf_log_losses *lost, const struct wf_log_losses *told) {
    struct wf_log_losses earlier = *told;
    struct wf_log_losses all = *lost;
    uint64_t *from[AFTERMATH_COUNTS];
    uint64_t *minus[AFTERMATH_COUNTS];
    numbers_of(lost, from);
    numbers_of(&earlier, minus);
    for (size_t i = 0; i < AFTERMATH_COUNTS; i++) {
        *from[i] -= *minus[i] < *from[i] ? *minus[i] : *from[i];
    }
    /* The names would be those of all repairs. */
    free(lost->names);
    lost->names = NULL;
    lost->name_count = 0;
    lost->definitions[0] = '\0';
    add_names(lost->definitions, sizeof(lost->definitions), text_view(all.definitions),
              told->definitions);
}
