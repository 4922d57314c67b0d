/* Fills and wraps the caller-owned error; owns no memory and prints nothing. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/status.h"

/* Set `err` (may be NULL) to `status` and the formatted text, cut at WF_ERROR_TEXT_MAX. Returns
 * `status`, so that a failing path is one line: return error_set(err, WF_USAGE, "…"); */
enum wf_status error_set(struct wf_error *err, enum wf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put context in front of the text that `err` already has: "context: text". Keeps and returns
 * err->status (WF_IO where `err` is NULL is wrong: so `status` is passed along and returned). */
enum wf_status error_wrap(struct wf_error *err, enum wf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The stable lower-case word for a status, as the JSON answers use it: "refused", "not_found", … */
const char *error_code(enum wf_status status);

#endif
