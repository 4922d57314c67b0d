/* Runs a handler's program: the task as JSON on its stdin, what it returns as JSON on its stdout.
 * Never by way of a shell. Several threads may run one each. */
#ifndef WFCTL_PROGRAM_H
#define WFCTL_PROGRAM_H

#include "engine/wf.h"

enum {
    PROGRAM_OUTPUT_MAX = 1 << 20, /* bytes of stdout; more is a failure */
    PROGRAM_WORDS_MAX = 2048,     /* bytes of stderr that are kept, for the reason */
};

/* One at a time in each; zero it first. */
struct program {
    struct wf_field fields[WF_FIELDS_MAX];
    struct json_t *answer; /* that the fields borrow from */
    char numbers[WF_FIELDS_MAX][32];
    char reason[PROGRAM_WORDS_MAX + 256];
};

/* A wf_handler_fn over a struct program. Exit status 0 and `{"fields":{…}}`, or nothing, on stdout
 * is success. At the handler's timeout the program's whole process group is killed. */
void program_run(void *program, const struct wf_task *task, struct wf_handled *handled);
void program_deinit(struct program *program);

#endif
