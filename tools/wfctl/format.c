#include "tools/wfctl/format.h"

#include "engine/core/date.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS };

const char *format_time(char text[FORMAT_TIME_SIZE], int64_t time_ms) {
    return date_time_print(text, time_ms);
}

static const struct {
    const char *name;
    int64_t ms;
} units[] = {
    {"d", 24 * (int64_t)HOUR_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", SECOND_MS}, {"ms", 1}};
enum { UNIT_COUNT = sizeof units / sizeof units[0] };

const char *format_duration(char text[FORMAT_DURATION_SIZE], int64_t duration_ms) {
    size_t used = 0;
    if (duration_ms <= 0) {
        snprintf(text, FORMAT_DURATION_SIZE, "0s");
        return text;
    }
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (duration_ms >= units[i].ms)
            used += (size_t)snprintf(text + used, FORMAT_DURATION_SIZE - used, "%" PRId64 "%s",
                                     duration_ms / units[i].ms, units[i].name);
        duration_ms %= units[i].ms;
    }
    return text;
}

const char *format_size(char text[FORMAT_SIZE_SIZE], uint64_t bytes) {
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(text, FORMAT_SIZE_SIZE, "%" PRIu64 " B", bytes);
        return text;
    }
    size_t unit = 0;
    double value = (double)bytes / 1024;
    for (; value >= 1024; value /= 1024)
        unit++;
    snprintf(text, FORMAT_SIZE_SIZE, "%.1f %s", value, names[unit]);
    return text;
}

bool parse_time(const char *text, int64_t *time_ms) {
    return date_time_parse(text, time_ms);
}

/* One number and its unit, which must be smaller than the one before it. */
static bool take_duration_part(const char **text, size_t *next_unit, int64_t *sum_ms) {
    int64_t value = 0;
    const char *start = *text;
    for (; **text >= '0' && **text <= '9'; (*text)++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, **text - '0', &value))
            return false;
    if (*text == start)
        return false;
    size_t name_size = strspn(*text, "dhms");
    size_t i = *next_unit;
    while (i < UNIT_COUNT &&
           (strlen(units[i].name) != name_size || strncmp(units[i].name, *text, name_size) != 0))
        i++;
    if (i == UNIT_COUNT)
        return false;
    *text += name_size;
    *next_unit = i + 1;
    return !__builtin_mul_overflow(value, units[i].ms, &value) &&
           !__builtin_add_overflow(*sum_ms, value, sum_ms);
}

bool parse_duration(const char *text, int64_t *duration_ms) {
    size_t next_unit = 0;
    int64_t sum_ms = 0;
    do {
        if (!take_duration_part(&text, &next_unit, &sum_ms))
            return false;
    } while (*text);
    *duration_ms = sum_ms;
    return true;
}

bool parse_uint(const char *text, uint64_t *value) {
    *value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value))
            return false;
    }
    return true;
}
