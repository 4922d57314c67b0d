/* Runs the wfctl under test ($WFCTL, else build/wfctl) on a store in a temporary folder, and keeps
 * what it printed. Everything is released with the fixture. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <setjmp.h>

#include <cmocka.h>

struct fixture {
    char folder[256]; /* made for this test, removed after it */
    char store[300];  /* folder/store, which does not exist yet */
    int exit_status;  /* of the last run; 256 + the signal that ended it */
    char *out, *err;  /* what it printed, terminated */
    size_t out_size;
    json_t *answers[64]; /* kept to be released */
    size_t answer_count;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* The path of `name` in the fixture's folder, valid until the fourth call after this one. */
const char *fixture_path(const struct fixture *fixture, const char *name);
void fixture_write(const struct fixture *fixture, const char *name, const void *data, size_t size);
void fixture_init(struct fixture *fixture); /* make the store, with a test clock at 2026-01-01 */

/* Run `wfctl ARGUMENTS…` (the last is NULL) with WF_DIR naming the store. `input` NULL: an empty
 * stdin. `output` NULL: stdout is kept, else it goes to that file. Returns the exit status. */
int run(struct fixture *fixture, const char *input, size_t input_size, const char *output,
        const char *const *arguments);
/* Run in text mode, expect the exit status, return stdout. */
#define SAY(fixture, status, ...) say(fixture, status, (const char *const[]){__VA_ARGS__, NULL})
const char *say(struct fixture *fixture, int status, const char *const *arguments);
/* Run with -o json, expect the exit status and one object on stdout with "ok" to match; return it.
 */
#define ASK(fixture, status, ...)                                                                  \
    ask(fixture, status, (const char *const[]){"-o", "json", __VA_ARGS__, NULL})
json_t *ask(struct fixture *fixture, int status, const char *const *arguments);
/* Feed lines to `wfctl exec`, expect the exit status; the answers as an array. */
json_t *exec_lines(struct fixture *fixture, int status, const char *lines);
json_t *exec_bytes(struct fixture *fixture, int status, const void *bytes, size_t size);
/* Parse one object a line. */
json_t *parse_lines(struct fixture *fixture, const char *text);

/* Looking into answers: the path is "a.b.0.c". Fails the test where it leads nowhere. */
json_t *at(json_t *json, const char *path);
const char *text_at(json_t *json, const char *path);
long long number_at(json_t *json, const char *path);
bool true_at(json_t *json, const char *path);
bool false_at(json_t *json, const char *path);
bool null_at(json_t *json, const char *path);
void assert_code(json_t *answer, const char *code);
void assert_contains(const char *text, const char *part);

/* A running `wfctl exec` that is talked to. */
struct stream {
    pid_t pid;
    int in, out;
    char buffer[65536];
    size_t used;
};
void stream_open(struct fixture *fixture, struct stream *stream, const char *const *arguments);
void stream_send(struct stream *stream, const char *text);
/* The next answer, within ten seconds. */
json_t *stream_answer(struct fixture *fixture, struct stream *stream);
int stream_close(struct stream *stream); /* the end of its input; returns the exit status */
int stream_kill(struct stream *stream, int signal);

#endif
