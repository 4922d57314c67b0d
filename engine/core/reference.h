/* Reference data that rules are checked against: exchange rates, instruments, market calendars, fee
 * rules. Each is a named set of fields, entered by command and kept as text; here it is parsed. */
#ifndef CORE_REFERENCE_H
#define CORE_REFERENCE_H

#include "engine/core/decide.h"
#include "engine/core/money.h"

enum {
    REFERENCE_FIELDS_MAX = 16,
    REFERENCE_VALUE_MAX = 4096, /* bytes of a value */
    REFERENCE_NAME_MAX = 64,
    REFERENCE_HOLIDAYS_MAX = 366,
};

/* rate: how many units of the second currency one of the first is worth. Fields: rate; source; time
 * (RFC 3339, default: when it was entered); max_age (30s, 5m, 2h, 30d; default 24h); band (percent
 * that a quoted rate may be off; default 0). The name is "USD_to_EUR". */
struct rate_terms {
    const struct currency *from, *to;
    int64_t rate; /* in 10^-RATE_SCALE */
    int64_t time_ms, max_age_ms;
    int64_t band; /* in 10^-PERCENT_SCALE percent */
};

/* instrument: currency; calendar (a calendar's name); status (available, suspended). */
struct instrument_terms {
    const struct currency *currency;
    struct bytes_view calendar;
    bool available;
};

/* calendar: open, close ("09:30"); days ("mon,tue,…", default mon to fri); holidays
 * ("2026-12-25,…"). All of it in UTC. */
struct calendar_terms {
    int64_t open_minutes, close_minutes;
    unsigned weekdays; /* bit 0: Sunday */
    size_t holiday_count;
    int64_t holidays[REFERENCE_HOLIDAYS_MAX]; /* days since 1970 */
};

/* fee_rule: currency; minimum, maximum (of one fee). */
struct fee_rule_terms {
    const struct currency *currency;
    int64_t minimum, maximum;
};

struct reference {
    struct entity entity;
    uint64_t lsn; /* of the record that set it */
    int64_t set_ms;
    enum reference_kind kind;
    struct bytes_view name;                    /* in `key` */
    struct field fields[REFERENCE_FIELDS_MAX]; /* in `packed` */
    size_t field_count;
    char *packed;
    union {
        struct rate_terms rate;
        struct instrument_terms instrument;
        struct calendar_terms *calendar; /* large: on the heap */
        struct fee_rule_terms fee_rule;
    } as;
    size_t key_size;
    char key[REFERENCE_NAME_MAX + 16]; /* "kind/name" */
};

/* Copy and parse; a new one on the heap, in no table. WF_USAGE: names the field and what would be
 * right. WF_NO_MEMORY. */
enum wf_status reference_create(enum reference_kind kind, struct bytes_view name,
                                const struct field *fields, size_t count, int64_t set_ms,
                                struct reference **out, struct wf_error *err);
void reference_destroy(struct reference *reference);
struct reference *state_reference(const struct state *state, enum reference_kind kind,
                                  struct bytes_view name);
/* 0 where the command sets none. */
enum reference_kind reference_kind_of(enum command_kind kind);

/* Is the market open? */
bool calendar_is_open(const struct calendar_terms *calendar, int64_t time_ms);
/* When it closes, of one that is open at that time. */
int64_t calendar_closes_ms(const struct calendar_terms *calendar, int64_t time_ms);

void reference_decide_set(const struct state *state, const struct command *command,
                          struct decision *decision);
/* For EVENT_REFERENCE_SET. WF_NO_MEMORY, WF_DAMAGE. */
enum wf_status reference_reserve(struct state *state, const struct record *record,
                                 const struct event *event, struct wf_error *err);
void reference_apply(struct state *state, const struct record *record);

#endif
