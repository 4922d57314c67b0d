#include "tests/cli/cli_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, ANSWER_TIMEOUT_MS = 10000 };

static const char *program(void) {
    const char *path = getenv("WFCTL");
    return path ? path : "build/wfctl";
}

int fixture_setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    const char *base = getenv("TMPDIR");
    snprintf(fixture->folder, sizeof fixture->folder, "%s/wfctl-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->store, sizeof fixture->store, "%s/store", fixture->folder);
    setenv("WF_DIR", fixture->store, 1);
    signal(SIGPIPE, SIG_IGN); /* a test may write to a program that has gone */
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at_path) {
    (void)info, (void)type, (void)at_path;
    return remove(path);
}

int fixture_teardown(void **state) {
    struct fixture *fixture = *state;
    for (size_t i = 0; i < fixture->answer_count; i++)
        json_decref(fixture->answers[i]);
    free(fixture->out);
    free(fixture->err);
    nftw(fixture->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

const char *fixture_path(const struct fixture *fixture, const char *name) {
    static char paths[4][400];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", fixture->folder, name);
    return path;
}

void fixture_write(const struct fixture *fixture, const char *name, const void *data, size_t size) {
    FILE *file = fopen(fixture_path(fixture, name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void fixture_init(struct fixture *fixture) {
    SAY(fixture, 0, "init", "--test-clock", "2026-01-01T00:00:00Z");
}

/* --- one run --- */

static char *read_whole(const char *path, size_t *size) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = NULL;
    *size = 0;
    for (;;) {
        text = realloc(text, *size + 65536);
        assert_non_null(text);
        size_t got = fread(text + *size, 1, 65535, file);
        *size += got;
        if (got == 0)
            break;
    }
    text[*size] = '\0';
    fclose(file);
    return text;
}

static void exec_program(const char *const *arguments) {
    const char *argv[ARGUMENTS_MAX] = {program()};
    for (size_t i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    execv(argv[0], (char *const *)argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void redirect(const char *path, int flags, int fd) {
    int file = open(path, flags, 0600);
    if (file < 0 || dup2(file, fd) < 0)
        _exit(126);
    close(file);
}

static int wait_status(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int run(struct fixture *fixture, const char *input, size_t input_size, const char *output,
        const char *const *arguments) {
    fixture_write(fixture, "in", input ? input : "", input ? input_size : 0);
    char in_path[400], out_path[400], err_path[400];
    snprintf(in_path, sizeof in_path, "%s/in", fixture->folder);
    snprintf(out_path, sizeof out_path, "%s/out", fixture->folder);
    snprintf(err_path, sizeof err_path, "%s/err", fixture->folder);
    fixture_write(fixture, "out", "", 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        redirect(in_path, O_RDONLY, STDIN_FILENO);
        redirect(output ? output : out_path, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
        redirect(err_path, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
        exec_program(arguments);
    }
    fixture->exit_status = wait_status(pid);
    free(fixture->out);
    free(fixture->err);
    size_t err_size;
    fixture->out = read_whole(out_path, &fixture->out_size);
    fixture->err = read_whole(err_path, &err_size);
    return fixture->exit_status;
}

static void assert_exit(struct fixture *fixture, int status, const char *const *arguments) {
    if (fixture->exit_status == status)
        return;
    for (size_t i = 0; arguments[i]; i++)
        print_error("%s ", arguments[i]);
    fail_msg("exit status %d, not %d; stdout: %s; stderr: %s", fixture->exit_status, status,
             fixture->out, fixture->err);
}

const char *say(struct fixture *fixture, int status, const char *const *arguments) {
    run(fixture, NULL, 0, NULL, arguments);
    assert_exit(fixture, status, arguments);
    return fixture->out;
}

static json_t *keep(struct fixture *fixture, json_t *json) {
    assert_true(fixture->answer_count < sizeof fixture->answers / sizeof fixture->answers[0]);
    fixture->answers[fixture->answer_count++] = json;
    return json;
}

json_t *ask(struct fixture *fixture, int status, const char *const *arguments) {
    run(fixture, NULL, 0, NULL, arguments);
    assert_exit(fixture, status, arguments);
    json_error_t problem;
    json_t *answer = json_loads(fixture->out, JSON_REJECT_DUPLICATES, &problem);
    if (!answer)
        fail_msg("no JSON (%s): %s", problem.text, fixture->out);
    keep(fixture, answer);
    assert_int_equal(json_is_true(json_object_get(answer, "ok")), status == 0);
    if (status == 0)
        assert_int_equal(strncmp(fixture->out, "{\"ok\":true", 10), 0);
    return answer;
}

json_t *parse_lines(struct fixture *fixture, const char *text) {
    json_t *lines = keep(fixture, json_array());
    while (*text) {
        size_t size = strcspn(text, "\n");
        json_error_t problem;
        json_t *line = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
        if (!line)
            fail_msg("no JSON (%s): %.*s", problem.text, (int)size, text);
        json_array_append_new(lines, line);
        text += size + (text[size] == '\n');
    }
    return lines;
}

json_t *exec_bytes(struct fixture *fixture, int status, const void *bytes, size_t size) {
    static const char *const arguments[] = {"exec", NULL};
    run(fixture, bytes, size, NULL, arguments);
    assert_exit(fixture, status, arguments);
    return parse_lines(fixture, fixture->out);
}

json_t *exec_lines(struct fixture *fixture, int status, const char *lines) {
    return exec_bytes(fixture, status, lines, strlen(lines));
}

/* --- looking into answers --- */

json_t *at(json_t *json, const char *path) {
    char name[100];
    for (const char *step = path; *step && json;) {
        size_t size = strcspn(step, ".");
        assert_true(size < sizeof name);
        memcpy(name, step, size);
        name[size] = '\0';
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(name))
                                   : json_object_get(json, name);
        step += size + (step[size] == '.');
    }
    if (!json)
        fail_msg("there is no %s", path);
    return json;
}

const char *text_at(json_t *json, const char *path) {
    json_t *value = at(json, path);
    if (!json_is_string(value))
        fail_msg("%s is no string", path);
    return json_string_value(value);
}

long long number_at(json_t *json, const char *path) {
    json_t *value = at(json, path);
    if (!json_is_integer(value))
        fail_msg("%s is no number", path);
    return json_integer_value(value);
}

bool true_at(json_t *json, const char *path) {
    return json_is_true(at(json, path));
}

bool false_at(json_t *json, const char *path) {
    return json_is_false(at(json, path));
}

bool null_at(json_t *json, const char *path) {
    return json_is_null(at(json, path));
}

void assert_code(json_t *answer, const char *code) {
    assert_true(false_at(answer, "ok"));
    assert_string_equal(text_at(answer, "error.code"), code);
    assert_true(strlen(text_at(answer, "error.message")) > 0);
}

void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("no '%s' in: %s", part, text);
}

/* --- a running exec --- */

void stream_open(struct fixture *fixture, struct stream *stream, const char *const *arguments) {
    (void)fixture;
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fflush(NULL);
    *stream = (struct stream){.pid = fork(), .in = in[1], .out = out[0]};
    assert_true(stream->pid >= 0);
    if (stream->pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        exec_program(arguments);
    }
    close(in[0]);
    close(out[1]);
}

void stream_send(struct stream *stream, const char *text) {
    for (size_t left = strlen(text); left > 0;) {
        ssize_t put = write(stream->in, text, left);
        assert_true(put > 0);
        text += put;
        left -= (size_t)put;
    }
}

json_t *stream_answer(struct fixture *fixture, struct stream *stream) {
    char *newline;
    while (!(newline = memchr(stream->buffer, '\n', stream->used))) {
        struct pollfd out = {.fd = stream->out, .events = POLLIN};
        if (poll(&out, 1, ANSWER_TIMEOUT_MS) <= 0)
            fail_msg("no answer within %d ms", ANSWER_TIMEOUT_MS);
        ssize_t got =
            read(stream->out, stream->buffer + stream->used, sizeof stream->buffer - stream->used);
        if (got <= 0)
            fail_msg("the stream ended");
        stream->used += (size_t)got;
    }
    size_t size = (size_t)(newline - stream->buffer);
    json_t *answer = json_loadb(stream->buffer, size, 0, NULL);
    assert_non_null(answer);
    stream->used -= size + 1;
    memmove(stream->buffer, newline + 1, stream->used);
    return keep(fixture, answer);
}

int stream_close(struct stream *stream) {
    close(stream->in);
    int status = wait_status(stream->pid);
    close(stream->out);
    return status;
}

int stream_kill(struct stream *stream, int number) {
    kill(stream->pid, number);
    int status = wait_status(stream->pid);
    close(stream->in);
    close(stream->out);
    return status;
}
