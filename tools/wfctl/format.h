/* Times and durations as people and the contract write them: RFC 3339 in UTC, "30s", "1h30m",
 * "30d". */
#ifndef WFCTL_FORMAT_H
#define WFCTL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FORMAT_TIME_SIZE = 48,     /* bytes of a time with its terminator */
    FORMAT_DURATION_SIZE = 64, /* likewise of a duration */
    FORMAT_SIZE_SIZE = 32,     /* likewise of a number of bytes */
};

/* Milliseconds since 1970 UTC; the fraction only where there is one. Returns `text`. */
const char *format_time(char text[FORMAT_TIME_SIZE], int64_t time_ms);
/* "2d4h", "1m30s", "450ms", "0s". Returns `text`. */
const char *format_duration(char text[FORMAT_DURATION_SIZE], int64_t duration_ms);
/* "312 B", "4.2 MiB". Returns `text`. */
const char *format_size(char text[FORMAT_SIZE_SIZE], uint64_t bytes);

/* An RFC 3339 time of the years 1970 to 9999, with any offset. False: it is none. */
bool parse_time(const char *text, int64_t *time_ms);
/* Numbers with the units ms, s, m, h, d, largest first: "30s", "1h30m". False: it is none, or too
 * long. */
bool parse_duration(const char *text, int64_t *duration_ms);
/* Decimal digits only. False: something else, or too large. */
bool parse_uint(const char *text, uint64_t *value);

#endif
