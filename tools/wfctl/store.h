/* Opens and closes the store that a command works on, makes new ones, and reads input files. */
#ifndef WFCTL_STORE_H
#define WFCTL_STORE_H

#include "tools/wfctl/cli.h"

/* Open cli->dir into cli->engine. `long_running`: a process of many commands; snapshots are then
 * written beside them. A failure leaves its words in cli->err. */
enum wf_status store_open(struct cli *cli, enum access access, bool long_running);
/* Close it, if it is open. Everything acknowledged is durable already: a failing last snapshot is
 * only a warning. */
void store_close(struct cli *cli);

/* What store_create() found or made. */
struct store_created {
    bool store;           /* it was made now */
    unsigned definitions; /* of the shipped ones, how many were added now */
};
/* Make the store in cli->dir where there is none, add the shipped definitions that it lacks, and
 * leave it closed. A complete store is not touched. `test_clock` NULL: the system's clock. */
enum wf_status store_create(struct cli *cli, const int64_t *test_clock_ms,
                            struct store_created *created);

/* A definition that ships with wfctl. */
struct shipped_definition {
    const char *name;
    const char *text;
};
extern const struct shipped_definition store_shipped[]; /* name NULL after the last */

/* All of a file, or of stdin for "-", terminated; the caller frees. WF_USAGE: it holds a NUL, or
 * more than a command may. */
enum wf_status store_read_file(struct cli *cli, const char *path, char **text);

#endif
