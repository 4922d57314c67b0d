/* Sample loan applications: the commands that take loan number N from its submission to the final
 * approval, with data like that of real ones. For benchmarks, demonstrations and tests; owns no
 * memory. */
#ifndef LOAN_SAMPLE_H
#define LOAN_SAMPLE_H

#include "engine/wf.h"

enum {
    LOAN_COMMANDS = 6, /* 0 starts the application, 1..5 submit its steps in order */
    LOAN_ID_SIZE = 24, /* bytes of an id, terminator included */
};

/* One command and the bytes it points to that are its own. Must not be moved while it is used. */
struct loan_sample {
    struct wf_command command;
    char id[LOAN_ID_SIZE];
};

/* Fill in command `index` (0..LOAN_COMMANDS - 1) of the loan `number`: no key, no actor. `prefix`
 * (at most 8 bytes) keeps apart the loans of several makers. The same arguments give the same
 * command. */
const struct wf_command *loan_sample_command(struct loan_sample *sample, const char *prefix,
                                             uint64_t number, unsigned index);

/* Name of the step that command `index` (1..5) submits. */
const char *loan_sample_step(unsigned index);

/* The label that command `index` (0..5) is answered with. */
const char *loan_sample_outcome(unsigned index);

/* The definition "loan_application" version 1 as YAML, and its size without the terminator:
 * generated from loan_application.yaml when the project is built. */
extern const char workflows_loan_loan_application_yaml[];
extern const size_t workflows_loan_loan_application_yaml_size;

#endif
