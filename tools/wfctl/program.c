#include "tools/wfctl/program.h"

#include "tools/wfctl/view.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20 }; /* between looks for the program's end */

/* A child under way. The descriptors are -1 where they are closed. */
struct child {
    pid_t pid;
    int in, out, err; /* what we write to, and read from */
    struct bytes_buffer input, output;
    size_t written;
    char words[PROGRAM_WORDS_MAX + 1];
    size_t words_size;
    bool ended, timed_out, too_much;
    int status;
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- starting --- */

static int spawn(struct child *child, const struct wf_task *task, const int theirs[3]) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_adddup2(&files, theirs[fd], fd);
    posix_spawnattr_init(&attributes);
    /* A group of its own, so that all that it starts can be killed with it. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ignored);
    char *args[65] = {NULL};
    for (size_t i = 0; i < task->arg_count && i < 64; i++)
        args[i] = (char *)task->args[i]; /* posix_spawn() only reads them */
    int error = posix_spawnp(&child->pid, args[0], &files, &attributes, args, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* Three pipes: ours[0] to write to, ours[1] and ours[2] to read from. */
static bool open_pipes(int ours[3], int theirs[3]) {
    for (int i = 0; i < 3; i++)
        ours[i] = theirs[i] = -1;
    for (int i = 0; i < 3; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        ours[i] = ends[i == 0 ? 1 : 0];
        theirs[i] = ends[i == 0 ? 0 : 1];
        fcntl(ours[i], F_SETFL, O_NONBLOCK);
    }
    return true;
}

/* 0, or an errno. */
static int start(struct child *child, const struct wf_task *task) {
    int ours[3], theirs[3];
    int error = open_pipes(ours, theirs) ? spawn(child, task, theirs) : errno;
    for (int i = 0; i < 3; i++)
        close_fd(&theirs[i]);
    for (int i = 0; error != 0 && i < 3; i++)
        close_fd(&ours[i]);
    child->in = ours[0];
    child->out = ours[1];
    child->err = ours[2];
    return error;
}

/* --- while it runs --- */

/* A program that reads no input must not end us with a SIGPIPE, nor may we change what the signal
 * does in the whole process: it is blocked here, and taken away. */
static void write_input(struct child *child) {
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    sigpending(&pending);
    ssize_t size =
        write(child->in, child->input.data + child->written, child->input.size - child->written);
    int error = errno;
    if (size < 0 && error == EPIPE && sigismember(&pending, SIGPIPE) == 0)
        sigtimedwait(&pipe_signal, NULL, &(struct timespec){0, 0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (size > 0)
        child->written += (size_t)size;
    if ((size < 0 && error != EAGAIN && error != EINTR) || child->written == child->input.size)
        close_fd(&child->in);
}

static void read_output(struct child *child) {
    uint8_t block[16 * 1024];
    ssize_t size = read(child->out, block, sizeof block);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(&child->out);
        return;
    }
    if (size <= 0)
        return;
    child->too_much |= child->output.size + (size_t)size > PROGRAM_OUTPUT_MAX;
    if (!child->too_much)
        bytes_write_run(&child->output, block, (size_t)size);
}

/* The first words are kept, the rest is read and dropped, so that it does not stand still. */
static void read_words(struct child *child) {
    char block[4096];
    ssize_t size = read(child->err, block, sizeof block);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(&child->err);
        return;
    }
    size_t room = PROGRAM_WORDS_MAX - child->words_size;
    size_t kept = size > 0 ? ((size_t)size < room ? (size_t)size : room) : 0;
    memcpy(child->words + child->words_size, block, kept);
    child->words_size += kept;
}

static bool look(struct child *child, int wait_ms) {
    struct pollfd fds[] = {
        {child->in, POLLOUT, 0}, {child->out, POLLIN, 0}, {child->err, POLLIN, 0}};
    int ready = poll(fds, 3, wait_ms);
    if (ready <= 0)
        return false;
    if (child->in >= 0 && fds[0].revents != 0)
        write_input(child);
    if (child->out >= 0 && fds[1].revents != 0)
        read_output(child);
    if (child->err >= 0 && fds[2].revents != 0)
        read_words(child);
    return true;
}

static void attend(struct child *child, int64_t timeout_ms) {
    int64_t until_ms = now_ms() + timeout_ms;
    while (!child->ended) {
        look(child, POLL_MS);
        child->ended = waitpid(child->pid, &child->status, WNOHANG) == child->pid;
        child->timed_out = !child->ended && now_ms() >= until_ms;
        if (child->timed_out || child->too_much)
            break;
    }
    /* What it left in the pipes; what it left running goes with it. */
    while (child->ended && (child->out >= 0 || child->err >= 0) && !child->too_much &&
           look(child, 0)) {
    }
    kill(-child->pid, SIGKILL);
    while (!child->ended)
        child->ended = waitpid(child->pid, &child->status, 0) == child->pid || errno != EINTR;
    close_fd(&child->in);
    close_fd(&child->out);
    close_fd(&child->err);
}

/* --- what it came to --- */

static const char *value_text(const json_t *value, char number[32]) {
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(number, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(number, 32, "%.17g", json_real_value(value));
    else if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    else
        return NULL;
    return number;
}

static void take_fields(struct program *program, json_t *fields, struct wf_handled *handled) {
    const char *name;
    json_t *value;
    if (fields && (!json_is_object(fields) || json_object_size(fields) > WF_FIELDS_MAX)) {
        handled->reason = "the program's answer has \"fields\" that are no object, or too many";
        return;
    }
    json_object_foreach(fields, name, value) {
        const char *text = value_text(value, program->numbers[handled->field_count]);
        if (!text) {
            snprintf(program->reason, sizeof program->reason,
                     "the program's answer has a field '%.64s' that is no text or number", name);
            handled->reason = program->reason;
            return;
        }
        program->fields[handled->field_count++] = (struct wf_field){name, text};
    }
    handled->fields = program->fields;
    handled->ok = true;
}

static void take_answer(struct program *program, const struct child *child,
                        struct wf_handled *handled) {
    json_error_t problem;
    bool empty = true;
    for (size_t i = 0; i < child->output.size; i++)
        empty &= strchr(" \t\r\n", child->output.data[i]) != NULL;
    if (empty) {
        handled->ok = true;
        return;
    }
    program->answer = json_loadb((const char *)child->output.data, child->output.size,
                                 JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(program->answer)) {
        snprintf(program->reason, sizeof program->reason,
                 "the program's answer is no JSON object: %s",
                 program->answer ? "something else" : problem.text);
        handled->reason = program->reason;
        return;
    }
    take_fields(program, json_object_get(program->answer, "fields"), handled);
}

/* Why it failed, with the first line that it had to say about it. */
static void tell_failure(struct program *program, struct child *child, int64_t timeout_ms) {
    char what[64];
    if (child->timed_out)
        snprintf(what, sizeof what, "killed after its timeout of %" PRId64 " ms", timeout_ms);
    else if (child->too_much)
        snprintf(what, sizeof what, "killed: more than %d bytes of output", PROGRAM_OUTPUT_MAX);
    else if (WIFSIGNALED(child->status))
        snprintf(what, sizeof what, "ended by signal %d", WTERMSIG(child->status));
    else
        snprintf(what, sizeof what, "exit status %d", WEXITSTATUS(child->status));
    child->words[child->words_size] = '\0';
    size_t line = strcspn(child->words, "\r\n");
    for (size_t i = 0; i < line; i++)
        if ((unsigned char)child->words[i] < ' ' || (unsigned char)child->words[i] > '~')
            child->words[i] = '?'; /* a reason is text, whatever a program may print */
    snprintf(program->reason, sizeof program->reason, "%s%s%.*s", what, line > 0 ? ": " : "",
             (int)line, child->words);
}

void program_deinit(struct program *program) {
    json_decref(program->answer);
    program->answer = NULL;
}

void program_run(void *ctx, const struct wf_task *task, struct wf_handled *handled) {
    struct program *program = ctx;
    program_deinit(program);
    struct child child = {.in = -1, .out = -1, .err = -1};
    bytes_buffer_init(&child.input);
    bytes_buffer_init(&child.output);
    struct emit json = {.to = &child.input};
    emit_open(&json, '{');
    view_task_work_members(&json, task);
    emit_close(&json, '}');
    bytes_write_u8(&child.input, '\n');
    int error = bytes_buffer_ok(&child.input) ? start(&child, task) : ENOMEM;
    if (error != 0) {
        snprintf(program->reason, sizeof program->reason, "cannot run %s: %s", task->args[0],
                 strerror(error));
        handled->reason = program->reason;
    } else {
        attend(&child, task->timeout_ms);
        bool well = !child.timed_out && !child.too_much && WIFEXITED(child.status) &&
                    WEXITSTATUS(child.status) == 0 && bytes_buffer_ok(&child.output);
        if (well)
            take_answer(program, &child, handled);
        else
            tell_failure(program, &child, task->timeout_ms);
        if (!well)
            handled->reason = program->reason;
    }
    bytes_buffer_deinit(&child.input);
    bytes_buffer_deinit(&child.output);
}
