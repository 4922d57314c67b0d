#include "engine/core/date.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS };

/* Days since 1970-01-01 of a date of the Gregorian calendar; counts in eras of 400 years from
 * March, so that the leap day is the last of its year. */
int64_t date_days(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

unsigned date_weekday(int64_t days) {
    return (unsigned)((days + 4) % 7); /* 1970-01-01 was a Thursday */
}

const char *date_time_print(char text[DATE_TIME_SIZE], int64_t time_ms) {
    int64_t days = time_ms / DATE_DAY_MS, rest = time_ms % DATE_DAY_MS, year, month, day;
    if (rest < 0) {
        rest += DATE_DAY_MS;
        days--;
    }
    date_of_days(days, &year, &month, &day);
    int size =
        snprintf(text, DATE_TIME_SIZE,
                 "%04" PRId64 "-%02" PRId64 "-%02" PRId64 "T%02" PRId64 ":%02" PRId64 ":%02" PRId64,
                 year, month, day, rest / HOUR_MS, rest / MINUTE_MS % 60, rest / SECOND_MS % 60);
    size_t used = (size_t)size;
    if (rest % SECOND_MS)
        snprintf(text + used, DATE_TIME_SIZE - used, ".%03" PRId64 "Z", rest % SECOND_MS);
    else
        snprintf(text + used, DATE_TIME_SIZE - used, "Z");
    return text;
}

/* Read exactly `digits` digits; false where there are fewer. */
static bool take_digits(const char **text, int digits, int64_t *value) {
    *value = 0;
    for (; digits > 0; digits--, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *value = *value * 10 + (**text - '0');
    }
    return true;
}

static bool take_char(const char **text, const char *any_of) {
    if (!**text || !strchr(any_of, **text))
        return false;
    (*text)++;
    return true;
}

bool date_parse(const char **text, int64_t *days) {
    static const int8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day;
    if (!take_digits(text, 4, &year) || !take_char(text, "-") || !take_digits(text, 2, &month) ||
        !take_char(text, "-") || !take_digits(text, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > month_days[month - 1] + (month == 2 && leap))
        return false;
    *days = date_days(year, month, day);
    return true;
}

/* The fraction of a second; digits beyond the millisecond are dropped. */
static bool take_fraction(const char **text, int64_t *ms) {
    *ms = 0;
    if (!take_char(text, "."))
        return true;
    if (**text < '0' || **text > '9')
        return false;
    for (int64_t weight = 100; **text >= '0' && **text <= '9'; (*text)++, weight /= 10)
        *ms += (**text - '0') * weight;
    return true;
}

static bool take_offset(const char **text, int64_t *offset_ms) {
    int64_t hours, minutes;
    *offset_ms = 0;
    if (take_char(text, "Zz"))
        return true;
    int64_t sign = **text == '-' ? -1 : 1;
    if (!take_char(text, "+-") || !take_digits(text, 2, &hours) || !take_char(text, ":") ||
        !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset_ms = sign * (hours * HOUR_MS + minutes * MINUTE_MS);
    return true;
}

bool date_time_parse(const char *text, int64_t *time_ms) {
    int64_t days, hour, minute, second, ms, offset_ms;
    if (!date_parse(&text, &days) || !take_char(&text, "Tt") || !take_digits(&text, 2, &hour) ||
        !take_char(&text, ":") || !take_digits(&text, 2, &minute) || !take_char(&text, ":") ||
        !take_digits(&text, 2, &second) || !take_fraction(&text, &ms) ||
        !take_offset(&text, &offset_ms) || *text)
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *time_ms = days * (int64_t)DATE_DAY_MS + hour * HOUR_MS + minute * MINUTE_MS +
               second * SECOND_MS + ms - offset_ms;
    return *time_ms >= 0;
}

bool date_minutes_parse(const char **text, int64_t *minutes) {
    int64_t hour, minute;
    if (!take_digits(text, 2, &hour) || !take_char(text, ":") || !take_digits(text, 2, &minute))
        return false;
    *minutes = hour * 60 + minute;
    return minute <= 59 && *minutes <= 24 * 60;
}
