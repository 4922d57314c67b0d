/* For clang-tidy only (make lint): tells the analyzer, which sees one file at a time, that
 * error_set() and error_wrap() return the status they are given. Without it every failing path
 * seems to go on. */
#ifndef TOOLS_LINT_ERRORS_H
#define TOOLS_LINT_ERRORS_H

#include "base/error.h"

void lint_error_text(struct wf_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline enum wf_status lint_error_status(enum wf_status status) {
    return status;
}

#define error_set(err, status, ...) (lint_error_text((err), __VA_ARGS__), lint_error_status(status))
#define error_wrap(err, status, ...)                                                               \
    (lint_error_text((err), __VA_ARGS__), lint_error_status(status))

#endif
