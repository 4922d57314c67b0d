/* Lines from stdin: large reads of what is there, split here, so that nothing waits for more than
 * there is. */
#ifndef WFCTL_EXEC_INPUT_H
#define WFCTL_EXEC_INPUT_H

#include "engine/wf.h"

/* A line may hold the largest command, with JSON around it. */
enum { EXEC_LINE_MAX = WF_RECORD_MAX + (1 << 20) };

struct exec_input {
    char *data;
    size_t start, end, capacity;
    size_t scanned; /* no line ends between `start` and here */
    bool at_end;    /* of the input */
    bool skipping;  /* the rest of a line that was too long */
};

enum exec_line { EXEC_LINE, EXEC_LINE_TOO_LONG, EXEC_LINE_NONE };

/* The next whole line without its end; at the end of the input also a last one that has none. Valid
 * until the next fill. EXEC_LINE_NONE: more must be read first. */
enum exec_line exec_input_next(struct exec_input *input, const char **line, size_t *size);
/* Is there something to read at once? */
bool exec_input_waiting(void);
/* One read. WF_IO, WF_NO_MEMORY: the text says why. */
enum wf_status exec_input_fill(struct exec_input *input, struct wf_error *err);

#endif
