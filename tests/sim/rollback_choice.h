/* What is asked next: at random, and mostly what the model has a place for. */
#ifndef TESTS_ROLLBACK_CHOICE_H
#define TESTS_ROLLBACK_CHOICE_H

#include "tests/sim/rollback_model.h"

enum { CHOICE_ACTORS = 4 }; /* MODEL_NOBODY is one of them */

/* The clock may be moved to a deadline. */
void choice_make(const struct model *model, uint64_t *random, int64_t *now_ms, struct ask *ask);
/* A value for one field in `one_in`, 0 for the others. */
void choice_values(uint64_t *random, unsigned value[PLAN_FIELDS], unsigned one_in);

#endif
