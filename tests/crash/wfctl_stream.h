/* `wfctl exec` as a process: JSON lines in, answers out. */
#ifndef CRASH_WFCTL_STREAM_H
#define CRASH_WFCTL_STREAM_H

#include "tests/crash/oracle.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct wfctl_stream {
    pid_t pid;
    int in, out;       /* our ends: to its stdin, from its stdout */
    char answer[8192]; /* a line that has not come whole yet */
    size_t answer_size;
};

/* $WFCTL, or the wfctl of the same build: beside this program's folder. False: there is none. */
bool wfctl_find(char path[PATH_MAX], const char *program);
/* Run `wfctl -d DIR VERB OPTION` (NULL: none) to its end; returns the exit status, -1 where it was
 * killed or is not there. */
int wfctl_run(const char *wfctl, const char *dir, const char *verb, const char *option);
bool wfctl_stream_start(struct wfctl_stream *stream, const char *wfctl, const char *dir);
/* The request of one command, with its newline, into `line`; returns its bytes. */
size_t wfctl_request(const struct wf_command *command, const char *tag, char *line, size_t size);

/* An answer: `tag` and `lsn` are 0 where it has none. */
struct wfctl_answer {
    bool ok;
    uint64_t lsn;
    unsigned loan, index; /* from the tag "LOAN.INDEX" */
    const char *line;     /* valid during the callback */
};
typedef void (*wfctl_answer_fn)(void *ctx, const struct wfctl_answer *answer);
/* Read what is there without waiting; calls back for each whole line. False at the end of the
 * stream. */
bool wfctl_stream_read(struct wfctl_stream *stream, wfctl_answer_fn on_answer, void *ctx);

#endif
