/* What the benches of one layer share: a clock, medians, and a call that must succeed. */
#ifndef TESTS_LIB_TIMING_H
#define TESTS_LIB_TIMING_H

#include "base/error.h"

#include <stddef.h>

double timing_now_s(void);
double timing_median(double *values, size_t count); /* sorts them */
/* Ends the program, with the text, where it is not WF_OK. */
void timing_must(enum wf_status status, const struct wf_error *err);

#endif
