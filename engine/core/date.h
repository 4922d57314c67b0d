/* Days and times of the Gregorian calendar in UTC, from and to text. Knows no clock. */
#ifndef CORE_DATE_H
#define CORE_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATE_TIME_SIZE = 48, DATE_DAY_MS = 24 * 3600 * 1000 };

/* Days since 1970-01-01. */
int64_t date_days(int64_t year, int64_t month, int64_t day);
void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day);
/* 0: Sunday. `days` from 0. */
unsigned date_weekday(int64_t days);

/* Milliseconds since 1970 UTC as RFC 3339; the fraction only where there is one. Returns `text`. */
const char *date_time_print(char text[DATE_TIME_SIZE], int64_t time_ms);
/* An RFC 3339 time of the years 1970 to 9999, with any offset. False: it is none. */
bool date_time_parse(const char *text, int64_t *time_ms);
/* "2026-12-25" at the beginning of `*text`, which moves behind it. False: it is none. */
bool date_parse(const char **text, int64_t *days);
/* "09:30", likewise, as minutes of the day, to 24:00. */
bool date_minutes_parse(const char **text, int64_t *minutes);

#endif
