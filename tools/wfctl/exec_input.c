#include "tools/wfctl/exec_input.h"

#include "base/error.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024, CAPACITY_MAX = EXEC_LINE_MAX + 2 * READ_SIZE };

static void skip_rest(struct exec_input *input) {
    char *newline = memchr(input->data + input->start, '\n', input->end - input->start);
    input->skipping = newline == NULL;
    input->start = newline ? (size_t)(newline + 1 - input->data) : input->end;
    input->scanned = input->start;
}

enum exec_line exec_input_next(struct exec_input *input, const char **line, size_t *size) {
    if (input->skipping)
        skip_rest(input);
    if (input->start == input->end)
        return EXEC_LINE_NONE;
    char *newline = memchr(input->data + input->scanned, '\n', input->end - input->scanned);
    *line = input->data + input->start;
    *size = newline ? (size_t)(newline - *line) : input->end - input->start;
    if (*size > EXEC_LINE_MAX) {
        skip_rest(input);
        return EXEC_LINE_TOO_LONG;
    }
    if (!newline && !input->at_end) {
        input->scanned = input->end;
        return EXEC_LINE_NONE;
    }
    input->start = newline ? input->start + *size + 1 : input->end;
    input->scanned = input->start;
    return EXEC_LINE;
}

bool exec_input_waiting(void) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

static enum wf_status make_room(struct exec_input *input, struct wf_error *err) {
    size_t held = input->end - input->start;
    if (input->start > 0 && input->capacity - input->end < READ_SIZE) {
        memmove(input->data, input->data + input->start, held);
        input->scanned -= input->start;
        input->start = 0;
        input->end = held;
    }
    if (input->capacity - input->end >= READ_SIZE)
        return WF_OK;
    size_t capacity = input->capacity ? input->capacity * 2 : 4 * READ_SIZE;
    if (capacity > CAPACITY_MAX)
        capacity = CAPACITY_MAX;
    char *data = realloc(input->data, capacity);
    if (!data)
        return error_set(err, WF_NO_MEMORY, "no memory for a line of %zu bytes", held);
    input->data = data;
    input->capacity = capacity;
    return WF_OK;
}

enum wf_status exec_input_fill(struct exec_input *input, struct wf_error *err) {
    enum wf_status status = make_room(input, err);
    if (status != WF_OK)
        return status;
    ssize_t got = read(STDIN_FILENO, input->data + input->end, input->capacity - input->end);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return WF_OK;
    if (got < 0)
        return error_set(err, WF_IO, "cannot read stdin: %s", strerror(errno));
    input->at_end = got == 0;
    input->end += (size_t)got;
    return WF_OK;
}
