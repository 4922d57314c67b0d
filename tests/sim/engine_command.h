/* The bytes of a model's command, as the engine is given it. */
#ifndef TESTS_SIM_ENGINE_COMMAND_H
#define TESTS_SIM_ENGINE_COMMAND_H

#include "tests/sim/engine_model.h"

enum { STORE_FIELDS_MAX = 8, STORE_OPERATIONS_MAX = 3 };

/* Owns what the command points to. Must not be moved while it is used. */
struct command_text {
    struct wf_command command;
    char id[24], key[24], actor[24];
    char fields_text[128];
    struct wf_field fields[STORE_FIELDS_MAX];
    char *value; /* the large one; NULL: none */
    struct wf_operation operations[STORE_OPERATIONS_MAX];
    char amounts[STORE_OPERATIONS_MAX][16];
};

void command_text_init(struct command_text *text, const struct store_command *command);
void command_text_deinit(struct command_text *text);
/* For a review; -1: none. */
int command_stage_that_waits(const struct workflow *loan);
/* Some command that makes sense now and then: the next step of a loan most often. */
struct store_command command_some(struct store_run *run, size_t value_size_max);

#endif
