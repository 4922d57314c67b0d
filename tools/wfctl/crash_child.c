/* A child that works on a stream of commands as `wfctl exec` does, and the parent that feeds it. */
#include "base/error.h"
#include "tools/wfctl/crash.h"
#include "tools/wfctl/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SEGMENT_BYTES = 64 << 10,
    SNAPSHOT_BYTES = 24 << 10,
    WINDOW = 8, /* lines without an answer, at most: a group of commands */
    PATIENCE_MS = 60000,
    READ_BYTES = 64 << 10,
};

void crash_fail(struct crash_run *run, const char *format, ...) {
    if (run->failure[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->failure, sizeof run->failure, format, arguments);
    va_end(arguments);
}

void crash_options_init(struct wf_options *options) {
    wf_options_init(options);
    options->segment_size = SEGMENT_BYTES;
    options->snapshot_log_bytes = SNAPSHOT_BYTES;
    options->background_snapshots = true;
    options->archive_keep_segments = 1;
}

/* --- the child --- */

/* All full segments; the open one only where there is none, as after a short stream. */
static enum wf_status drop_archives(struct wf_engine *engine, struct wf_error *err) {
    static const struct wf_archive_drop drop = {
        .before_lsn = UINT64_MAX, .actor = "wfctl crash", .reason = "to die over it"};
    struct wf_archive_options options;
    wf_archive_options_init(&options);
    options.snapshot = true;
    enum wf_status status = WF_REFUSED; /* there is nothing to drop */
    for (int i = 0; i < 2 && status == WF_REFUSED; i++) {
        options.seal = i > 0;
        status = wf_archive_run(engine, &options, NULL, err);
        if (status == WF_OK)
            status = wf_archive_drop(engine, &drop, NULL, err);
    }
    return status;
}

static _Noreturn void be_child(const struct crash_run *run, int in, int out) {
    struct cli cli = {.dir = run->dir};
    struct wf_options options;
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(out_exit_status(WF_IO));
    out_init(&cli.out);
    crash_options_init(&options);
    options.on_point = crash_watch_pass;
    options.point_ctx = run->watch;
    enum wf_status status = wf_open(cli.dir, &options, &cli.engine, &cli.err);
    if (status == WF_OK) {
        status = exec_stream(&cli);
        if (status == WF_OK && run->drops)
            status = drop_archives(cli.engine, &cli.err);
        store_close(&cli);
    }
    if (status != WF_OK && !cli.reported)
        fprintf(stderr, "wfctl: the child: %s\n", cli.err.text);
    out_deinit(&cli.out);
    _exit(out_exit_status(status));
}

/* --- the parent --- */

struct feeder {
    struct crash_run *run;
    pid_t pid;
    int in, out;    /* -1: closed */
    size_t line_at; /* bytes of the next line that went out already, its end included */
    struct bytes_buffer answers;
    size_t scanned;
};

static void close_in(struct feeder *feeder) {
    if (feeder->in >= 0)
        close(feeder->in);
    feeder->in = -1;
}

/* Write until the window is full, the pipe is, or nothing is left: then the input ends. */
static void send_lines(struct feeder *feeder) {
    struct crash_run *run = feeder->run;
    while (feeder->in >= 0 && run->sent - run->answered < WINDOW) {
        if (!run->feeds || run->sent == run->stream->count) {
            close_in(feeder);
            return;
        }
        const struct crash_line *line = &run->stream->lines[run->sent];
        bool at_end = feeder->line_at == line->size;
        ssize_t put =
            at_end ? write(feeder->in, "\n", 1)
                   : write(feeder->in, line->text + feeder->line_at, line->size - feeder->line_at);
        if (put < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (put < 0) {
            close_in(feeder); /* it died */
            return;
        }
        feeder->line_at = at_end ? 0 : feeder->line_at + (size_t)put;
        run->sent += at_end;
    }
}

static void take_answer(struct crash_run *run, const char *text, size_t size) {
    json_t *answer = json_loadb(text, size, 0, NULL);
    if (!json_is_object(answer) || run->answered == run->sent) {
        crash_fail(run, "line %" PRIu64 " is answered with %.*s", run->answered + 1,
                   size < 200 ? (int)size : 200, text);
    } else {
        struct crash_line *line = &run->stream->lines[run->answered++];
        line->answered = true;
        line->ok = json_is_true(json_object_get(answer, "ok"));
        line->lsn = (uint64_t)json_integer_value(json_object_get(answer, "lsn"));
        run->acknowledged += line->ok;
    }
    json_decref(answer);
}

/* One read, and the answers that are whole. False: there will be no more. */
static bool take_answers(struct feeder *feeder) {
    struct bytes_buffer *bytes = &feeder->answers;
    uint8_t *at = bytes_buffer_extend(bytes, READ_BYTES);
    if (!at) {
        crash_fail(feeder->run, "no memory for the answers");
        return false;
    }
    ssize_t got = read(feeder->out, at, READ_BYTES);
    bytes->size -= READ_BYTES - (got > 0 ? (size_t)got : 0);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    size_t begin = 0;
    for (uint8_t *end; (end = memchr(bytes->data + begin, '\n', bytes->size - begin));) {
        size_t size = (size_t)(end - (bytes->data + begin));
        take_answer(feeder->run, (const char *)bytes->data + begin, size);
        begin += size + 1;
    }
    memmove(bytes->data, bytes->data + begin, bytes->size - begin);
    bytes->size -= begin;
    return true;
}

/* Feed and listen until the child closes its end, by dying or otherwise. */
static void talk(struct feeder *feeder) {
    bool more = true;
    while (more && !feeder->run->failure[0]) {
        send_lines(feeder);
        bool may_send = feeder->in >= 0 && feeder->run->sent - feeder->run->answered < WINDOW;
        struct pollfd polls[2] = {{feeder->out, POLLIN, 0},
                                  {may_send ? feeder->in : -1, POLLOUT, 0}};
        int ready = poll(polls, 2, PATIENCE_MS);
        if (ready == 0)
            crash_fail(feeder->run, "the child hangs: no answer for %d s", PATIENCE_MS / 1000);
        if (ready > 0 && polls[0].revents != 0)
            more = take_answers(feeder);
    }
}

static void note_end(struct crash_run *run, int status) {
    run->killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (WIFSIGNALED(status) && !run->killed)
        crash_fail(run, "the child died of signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
    else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        crash_fail(run, "the child ended with status %d", WEXITSTATUS(status));
}

static void feed_child(struct crash_run *run, pid_t pid, int in, int out) {
    struct feeder feeder = {.run = run, .pid = pid, .in = in, .out = out};
    bytes_buffer_init(&feeder.answers);
    (void)fcntl(in, F_SETFL, O_NONBLOCK);
    talk(&feeder);
    close_in(&feeder);
    close(out);
    bytes_buffer_deinit(&feeder.answers);
    if (run->failure[0]) /* it is of no use any more */
        (void)kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    note_end(run, status);
}

enum wf_status crash_child_run(struct crash_run *run, struct wf_error *err) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0)
        return error_set(err, WF_IO, "cannot make a pipe: %s", strerror(errno));
    if (pipe2(from, O_CLOEXEC) != 0) {
        close(to[0]);
        close(to[1]);
        return error_set(err, WF_IO, "cannot make a pipe: %s", strerror(errno));
    }
    for (size_t i = 0; run->feeds && i < run->stream->count; i++)
        run->stream->lines[i].answered = run->stream->lines[i].ok = false;
    pid_t pid = fork();
    if (pid == 0) {
        close(to[1]);
        close(from[0]);
        be_child(run, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    if (pid < 0) {
        close(to[1]);
        close(from[0]);
        return error_set(err, WF_IO, "cannot make a process: %s", strerror(errno));
    }
    feed_child(run, pid, to[1], from[0]);
    return WF_OK;
}
