#include "engine/core/reference.h"

#include "engine/core/date.h"
#include "engine/core/decision.h"
#include "engine/core/state_inner.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t default_max_age_ms = DATE_DAY_MS;
static const char weekday_names[7][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* --- fields --- */

static struct bytes_view value_of(const struct reference *reference, const char *name) {
    for (size_t i = 0; i < reference->field_count; i++)
        if (text_equal(reference->fields[i].name, name))
            return reference->fields[i].value;
    return (struct bytes_view){NULL, 0};
}

/* Packed values are terminated. */
static const char *text_of(const struct reference *reference, const char *name) {
    struct bytes_view value = value_of(reference, name);
    return value.data == NULL ? NULL : (const char *)value.data;
}

static enum wf_status wrong(const struct reference *reference, const char *name, const char *right,
                            struct wf_error *err) {
    const char *value = text_of(reference, name);
    if (value == NULL)
        return error_set(err, WF_USAGE, "%s %.*s: the field %s is missing: %s",
                         reference_kind_name(reference->kind), TEXT_ARGS(reference->name), name,
                         right);
    return error_set(err, WF_USAGE, "%s %.*s: %s \"%.60s\": it must be %s",
                     reference_kind_name(reference->kind), TEXT_ARGS(reference->name), name, value,
                     right);
}

/* --- the four kinds --- */

static enum wf_status parse_rate(struct reference *reference, struct wf_error *err) {
    struct rate_terms *terms = &reference->as.rate;
    struct bytes_view name = reference->name;
    bool shaped =
        name.size == 2 * CURRENCY_SIZE + 4 && memcmp(name.data + CURRENCY_SIZE, "_to_", 4) == 0;
    if (shaped) {
        terms->from = currency_find((struct bytes_view){name.data, CURRENCY_SIZE});
        terms->to =
            currency_find((struct bytes_view){name.data + CURRENCY_SIZE + 4, CURRENCY_SIZE});
    }
    if (terms->from == NULL || terms->to == NULL || terms->from == terms->to)
        return error_set(err, WF_USAGE, "\"%.*s\" is no pair of two currencies such as USD_to_EUR",
                         TEXT_ARGS(name));
    if (decimal_parse(value_of(reference, "rate"), RATE_SCALE, &terms->rate) != DECIMAL_OK ||
        terms->rate <= 0)
        return wrong(reference, "rate", "a decimal above 0 with at most 9 decimals", err);
    if (value_of(reference, "source").size == 0)
        return wrong(reference, "source", "who says so", err);
    terms->time_ms = reference->set_ms;
    const char *time = text_of(reference, "time");
    if (time != NULL &&
        (!date_time_parse(time, &terms->time_ms) || terms->time_ms > reference->set_ms))
        return wrong(reference, "time", "a time such as 2026-01-01T09:00:00Z, and not to come",
                     err);
    terms->max_age_ms = default_max_age_ms;
    struct bytes_view age = value_of(reference, "max_age");
    if (age.data != NULL &&
        !definition_duration_parse((const char *)age.data, age.size, &terms->max_age_ms))
        return wrong(reference, "max_age", "a duration such as 30s, 5m, 2h or 30d", err);
    struct bytes_view band = value_of(reference, "band");
    if (band.data != NULL &&
        (decimal_parse(band, PERCENT_SCALE, &terms->band) != DECIMAL_OK || terms->band < 0))
        return wrong(reference, "band", "a percentage from 0 with at most 4 decimals", err);
    return WF_OK;
}

static enum wf_status parse_instrument(struct reference *reference, struct wf_error *err) {
    struct instrument_terms *terms = &reference->as.instrument;
    terms->currency = currency_find(value_of(reference, "currency"));
    if (terms->currency == NULL)
        return wrong(reference, "currency", "a currency such as USD", err);
    terms->calendar = value_of(reference, "calendar");
    if (!text_is_name(terms->calendar, REFERENCE_NAME_MAX))
        return wrong(reference, "calendar", "the name of a calendar", err);
    struct bytes_view status = value_of(reference, "status");
    terms->available = status.data == NULL || text_equal(status, "available");
    if (!terms->available && !text_equal(status, "suspended"))
        return wrong(reference, "status", "available or suspended", err);
    return WF_OK;
}

static bool take_word(const char **at, const char *word) {
    size_t size = strlen(word);
    if (strncmp(*at, word, size) != 0)
        return false;
    *at += size;
    return true;
}

static bool parse_weekdays(const char *at, unsigned *weekdays) {
    *weekdays = 0;
    do {
        unsigned day = 0;
        while (day < 7 && !take_word(&at, weekday_names[day]))
            day++;
        if (day == 7)
            return false;
        *weekdays |= 1U << day;
    } while (take_word(&at, ","));
    return *at == '\0';
}

static bool parse_holidays(const char *at, struct calendar_terms *terms) {
    do {
        if (terms->holiday_count == REFERENCE_HOLIDAYS_MAX ||
            !date_parse(&at, &terms->holidays[terms->holiday_count++]))
            return false;
    } while (take_word(&at, ","));
    return *at == '\0';
}

static bool parse_minutes(const char *at, int64_t *minutes) {
    return at != NULL && date_minutes_parse(&at, minutes) && *at == '\0';
}

static enum wf_status parse_calendar(struct reference *reference, struct wf_error *err) {
    struct calendar_terms *terms = calloc(1, sizeof *terms);
    reference->as.calendar = terms;
    if (terms == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a calendar");
    if (!parse_minutes(text_of(reference, "open"), &terms->open_minutes))
        return wrong(reference, "open", "a time of day in UTC such as 09:30", err);
    if (!parse_minutes(text_of(reference, "close"), &terms->close_minutes) ||
        terms->close_minutes <= terms->open_minutes)
        return wrong(reference, "close", "a time of day in UTC after it opens, such as 16:00", err);
    const char *days = text_of(reference, "days");
    if (!parse_weekdays(days != NULL ? days : "mon,tue,wed,thu,fri", &terms->weekdays))
        return wrong(reference, "days", "days such as mon,tue,wed,thu,fri", err);
    const char *holidays = text_of(reference, "holidays");
    if (holidays != NULL && holidays[0] != '\0' && !parse_holidays(holidays, terms))
        return wrong(reference, "holidays", "at most 366 days such as 2026-12-25,2027-01-01", err);
    return WF_OK;
}

static enum wf_status parse_fee_rule(struct reference *reference, struct wf_error *err) {
    struct fee_rule_terms *terms = &reference->as.fee_rule;
    terms->currency = currency_find(value_of(reference, "currency"));
    if (terms->currency == NULL)
        return wrong(reference, "currency", "a currency such as USD", err);
    unsigned scale = terms->currency->scale;
    struct bytes_view minimum = value_of(reference, "minimum");
    if (minimum.data != NULL &&
        (decimal_parse(minimum, scale, &terms->minimum) != DECIMAL_OK || terms->minimum < 0))
        return wrong(reference, "minimum", "an amount from 0", err);
    if (decimal_parse(value_of(reference, "maximum"), scale, &terms->maximum) != DECIMAL_OK ||
        terms->maximum <= 0 || terms->maximum < terms->minimum)
        return wrong(reference, "maximum", "an amount above 0 and not below the minimum", err);
    return WF_OK;
}

/* NULL after the last. */
static const char *const known_fields[][REFERENCE_FIELDS_MAX] = {
    [REFERENCE_RATE] = {"rate", "source", "time", "max_age", "band", NULL},
    [REFERENCE_INSTRUMENT] = {"currency", "calendar", "status", NULL},
    [REFERENCE_CALENDAR] = {"open", "close", "days", "holidays", NULL},
    [REFERENCE_FEE_RULE] = {"currency", "minimum", "maximum", NULL},
};

static enum wf_status check_known(const struct reference *reference, struct wf_error *err) {
    for (size_t i = 0; i < reference->field_count; i++) {
        const char *const *known = known_fields[reference->kind];
        while (*known != NULL && !text_equal(reference->fields[i].name, *known))
            known++;
        if (*known == NULL)
            return error_set(err, WF_USAGE, "a %s has no field \"%.*s\"",
                             reference_kind_name(reference->kind),
                             TEXT_ARGS(reference->fields[i].name));
        for (size_t j = 0; j < i; j++)
            if (text_same(reference->fields[i].name, reference->fields[j].name))
                return error_set(err, WF_USAGE, "the field %s is given twice", *known);
    }
    return WF_OK;
}

static enum wf_status parse_terms(struct reference *reference, struct wf_error *err) {
    enum wf_status status = check_known(reference, err);
    if (status != WF_OK)
        return status;
    switch (reference->kind) {
    case REFERENCE_RATE:
        return parse_rate(reference, err);
    case REFERENCE_INSTRUMENT:
        return parse_instrument(reference, err);
    case REFERENCE_CALENDAR:
        return parse_calendar(reference, err);
    case REFERENCE_FEE_RULE:
        return parse_fee_rule(reference, err);
    }
    return error_set(err, WF_USAGE, "there is no reference data of kind %d", (int)reference->kind);
}

/* --- memory --- */

static enum wf_status check_shape(enum reference_kind kind, struct bytes_view name,
                                  const struct field *fields, size_t count, struct wf_error *err) {
    if (reference_kind_name(kind) == NULL || !text_is_name(name, REFERENCE_NAME_MAX))
        return error_set(err, WF_USAGE,
                         "a name must have 1 to %d bytes of UTF-8 without control characters",
                         REFERENCE_NAME_MAX);
    if (count > REFERENCE_FIELDS_MAX)
        return error_set(err, WF_USAGE, "more than %d fields", REFERENCE_FIELDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!text_is_name(fields[i].name, COMMAND_FIELD_NAME_MAX) ||
            fields[i].value.size > REFERENCE_VALUE_MAX || !text_is_utf8(fields[i].value))
            return error_set(err, WF_USAGE, "the field %.*s is malformed or longer than %d bytes",
                             TEXT_ARGS(fields[i].name), REFERENCE_VALUE_MAX);
    return WF_OK;
}

static struct bytes_view pack(char **at, struct bytes_view text) {
    struct bytes_view copy = {(const uint8_t *)*at, text.size};
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    (*at)[text.size] = '\0';
    *at += text.size + 1;
    return copy;
}

static struct reference *allocate(enum reference_kind kind, struct bytes_view name,
                                  const struct field *fields, size_t count) {
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        size += fields[i].name.size + fields[i].value.size + 2;
    struct reference *reference = calloc(1, sizeof *reference);
    char *at = malloc(size);
    if (reference == NULL || at == NULL) {
        free(reference);
        free(at);
        return NULL;
    }
    reference->entity.kind = ENTITY_REFERENCE;
    reference->entity.bytes = (uint32_t)(sizeof *reference + size);
    reference->kind = kind;
    reference->packed = at;
    reference->field_count = count;
    for (size_t i = 0; i < count; i++) {
        reference->fields[i].name = pack(&at, fields[i].name);
        reference->fields[i].value = pack(&at, fields[i].value);
    }
    int head = snprintf(reference->key, sizeof reference->key, "%s/", reference_kind_name(kind));
    memcpy(reference->key + head, name.data, name.size);
    reference->key_size = (size_t)head + name.size;
    reference->name = (struct bytes_view){(uint8_t *)reference->key + head, name.size};
    return reference;
}

enum wf_status reference_create(enum reference_kind kind, struct bytes_view name,
                                const struct field *fields, size_t count, int64_t set_ms,
                                struct reference **out, struct wf_error *err) {
    *out = NULL;
    enum wf_status status = check_shape(kind, name, fields, count, err);
    if (status != WF_OK)
        return status;
    struct reference *reference = allocate(kind, name, fields, count);
    if (reference == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for reference data");
    reference->set_ms = set_ms;
    status = parse_terms(reference, err);
    if (status != WF_OK) {
        reference_destroy(reference);
        return status;
    }
    *out = reference;
    return WF_OK;
}

void reference_destroy(struct reference *reference) {
    if (reference == NULL)
        return;
    if (reference->kind == REFERENCE_CALENDAR)
        free(reference->as.calendar);
    free(reference->packed);
    free(reference);
}

struct reference *state_reference(const struct state *state, enum reference_kind kind,
                                  struct bytes_view name) {
    char key[sizeof((struct reference *)0)->key];
    if (name.size > REFERENCE_NAME_MAX)
        return NULL;
    int head = snprintf(key, sizeof key, "%s/", reference_kind_name(kind));
    if (name.size > 0)
        memcpy(key + head, name.data, name.size);
    return table_find(&state->references, key, (size_t)head + name.size);
}

bool calendar_is_open(const struct calendar_terms *calendar, int64_t time_ms) {
    int64_t day = time_ms / DATE_DAY_MS, minute = time_ms % DATE_DAY_MS / 60000;
    if ((calendar->weekdays >> date_weekday(day) & 1) == 0)
        return false;
    for (size_t i = 0; i < calendar->holiday_count; i++)
        if (calendar->holidays[i] == day)
            return false;
    return minute >= calendar->open_minutes && minute < calendar->close_minutes;
}

int64_t calendar_closes_ms(const struct calendar_terms *calendar, int64_t time_ms) {
    return time_ms / DATE_DAY_MS * DATE_DAY_MS + calendar->close_minutes * INT64_C(60000);
}

/* --- the command and its event --- */

enum reference_kind reference_kind_of(enum command_kind kind) {
    return kind == COMMAND_RATE_SET         ? REFERENCE_RATE
           : kind == COMMAND_INSTRUMENT_SET ? REFERENCE_INSTRUMENT
           : kind == COMMAND_CALENDAR_SET   ? REFERENCE_CALENDAR
           : kind == COMMAND_FEE_RULE_SET   ? REFERENCE_FEE_RULE
                                            : (enum reference_kind)0;
}

/* A rate says of when it is, so that the records that use it do. */
static const struct field *with_time(struct decision *decision, const struct field *fields,
                                     size_t count) {
    for (size_t i = 0; i < count; i++)
        decision->notes[i] = fields[i];
    decision->notes[count] = (struct field){
        text_view("time"), text_view(date_time_print(decision->text, decision->time_ms))};
    return decision->notes;
}

void reference_decide_set(const struct state *state, const struct command *command,
                          struct decision *decision) {
    (void)state;
    const struct field *fields = command->as.reference_set.fields;
    size_t count = command->as.reference_set.field_count;
    enum reference_kind kind = reference_kind_of(command->kind);
    struct reference *parsed;
    struct wf_error err;
    enum wf_status status =
        reference_create(kind, command->subject, fields, count, decision->time_ms, &parsed, &err);
    if (status != WF_OK) {
        decision_fail(decision, status, "%s", err.text);
        return;
    }
    bool timeless = kind == REFERENCE_RATE && text_of(parsed, "time") == NULL;
    reference_destroy(parsed); /* it was good: apply makes it again */
    struct event *event = decision_add(decision, EVENT_REFERENCE_SET);
    event->as.reference_set.kind = kind;
    event->as.reference_set.fields = timeless ? with_time(decision, fields, count) : fields;
    event->as.reference_set.field_count = count + timeless;
}

enum wf_status reference_reserve(struct state *state, const struct record *record,
                                 const struct event *event, struct wf_error *err) {
    struct state_reserved *reserved = &state->reserved;
    struct wf_error why;
    if (reserved->new_reference != NULL)
        return error_set(err, WF_DAMAGE, "record %" PRIu64 " sets reference data twice",
                         record->lsn);
    enum wf_status status = reference_create(
        event->as.reference_set.kind, record->subject, event->as.reference_set.fields,
        event->as.reference_set.field_count, record->time_ms, &reserved->new_reference, &why);
    if (status != WF_OK)
        return error_set(err, status == WF_USAGE ? WF_DAMAGE : status, "record %" PRIu64 ": %s",
                         record->lsn, why.text);
    if (!table_reserve(&state->references))
        return error_set(err, WF_NO_MEMORY, "no memory for reference data");
    return WF_OK;
}

/* The new content takes the place of the old in the same entity: lists and digests go on. */
static void replace(struct state *state, struct reference *old, struct reference *fresh) {
    struct entity entity = old->entity;
    struct reference before = *old;
    *old = *fresh;
    old->entity = entity;
    old->name.data = (const uint8_t *)old->key + (old->key_size - old->name.size);
    fresh->as = before.as;
    fresh->packed = before.packed;
    state_resize(state, &old->entity, fresh->entity.bytes);
    reference_destroy(fresh);
}

void reference_apply(struct state *state, const struct record *record) {
    struct reference *fresh = state->reserved.new_reference;
    state->reserved.new_reference = NULL;
    fresh->lsn = record->lsn;
    struct reference *old = table_find(&state->references, fresh->key, fresh->key_size);
    if (old == NULL) {
        table_insert(&state->references, fresh);
        state_adopt(state, &fresh->entity);
        state_touch(state, &fresh->entity, record->lsn);
        return;
    }
    state_touch(state, &old->entity, record->lsn);
    replace(state, old, fresh);
}
