/* exec: a stream of requests on stdin, each answered on stdout once it is durable. What is waiting
 * is enqueued without waiting, then waited for as one group, and answered with one write. */
#include "base/error.h"
#include "tools/wfctl/crash.h"
#include "tools/wfctl/exec_input.h"
#include "tools/wfctl/exec_request.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/view.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    GROUP_COMMANDS = 1024,
    GROUP_BYTES = 8 << 20, /* of lines: bounds the memory of a group of large commands */
    ANSWERS_BYTES = 1 << 20,
};

/* A line that waits for its answer. Its tag and message stand in exec.texts. */
struct slot {
    bool enqueued; /* else it failed at once, with `status` and a message */
    enum wf_status status;
    enum wf_command_kind kind;
    size_t tag_at, tag_size;
    size_t message_at;
    struct wf_pending pending;
};

struct exec {
    struct cli *cli;
    struct exec_input input;
    struct request request;
    struct slot slots[GROUP_COMMANDS];
    size_t slot_count;
    size_t group_bytes;
    struct bytes_buffer texts;
    uint64_t answered;
    bool halted; /* a sync failed: commands are answered so until the end */
    bool full;   /* the last command that was to change something found no room on the disk */
};

static volatile sig_atomic_t stop_signal; /* 0: none came */

static void request_stop(int number) {
    stop_signal = number;
}

/* The first signal ends the stream in order; a second one, where something hangs, the process. */
static void catch_stop_signals(void) {
    struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* --- answers --- */

static void write_raw_member(struct emit *json, const char *name, const uint8_t *text,
                             size_t size) {
    if (size == 0)
        return;
    emit_key(json, name);
    emit_raw(json, (const char *)text, size);
}

static struct emit *answer_open(struct exec *exec) {
    struct emit *json = &exec->cli->out.json;
    json->comma = false;
    emit_open(json, '{');
    return json;
}

static void answer_close(struct exec *exec) {
    emit_close(&exec->cli->out.json, '}');
    bytes_write_u8(&exec->cli->out.bytes, '\n');
    exec->answered++;
}

static void answer_error(struct exec *exec, const struct slot *slot, enum wf_status status,
                         const char *message, bool replayed) {
    struct emit *json = answer_open(exec);
    emit_member_bool(json, "ok", false);
    write_raw_member(json, "tag", exec->texts.data + slot->tag_at, slot->tag_size);
    if (replayed)
        emit_member_bool(json, "replayed", true);
    out_error_member(json, status, message);
    answer_close(exec);
    exec->halted |= status == WF_HALTED || status == WF_UNKNOWN;
    exec->full |= status == WF_FULL;
}

static void answer_result(struct exec *exec, const struct slot *slot,
                          const struct wf_result *result) {
    struct emit *json = answer_open(exec);
    emit_member_bool(json, "ok", true);
    if (result->lsn) /* a transaction that did nothing has none */
        emit_member_uint(json, "lsn", result->lsn);
    write_raw_member(json, "tag", exec->texts.data + slot->tag_at, slot->tag_size);
    if (result->replayed)
        emit_member_bool(json, "replayed", true);
    emit_key(json, "result");
    view_result(json, exec->cli->engine, slot->kind, result);
    answer_close(exec);
    exec->full &= result->replayed; /* it found room */
}

/* Wait for the group and answer it, in order. The answers go out with the next flush. */
static void settle(struct exec *exec) {
    for (size_t i = 0; i < exec->slot_count; i++) {
        struct slot *slot = &exec->slots[i];
        if (!slot->enqueued) {
            answer_error(exec, slot, slot->status,
                         (const char *)exec->texts.data + slot->message_at, false);
            continue;
        }
        struct wf_result result = {0};
        struct wf_error err;
        enum wf_status status = wf_wait(exec->cli->engine, &slot->pending, &result, &err);
        if (status == WF_OK)
            answer_result(exec, slot, &result);
        else
            answer_error(exec, slot, status, err.text, result.replayed);
    }
    exec->slot_count = 0;
    exec->group_bytes = 0;
    /* Without the memory for an answer nothing can be told any more: the flush notices. */
    if (exec->texts.failed)
        exec->cli->out.bytes.failed = true;
    bytes_buffer_clear(&exec->texts);
}

/* --- requests --- */

static struct slot *take_slot(struct exec *exec, bool with_tag) {
    struct slot *slot = &exec->slots[exec->slot_count++];
    slot->enqueued = false;
    slot->tag_at = exec->texts.size;
    if (with_tag)
        request_write_tag(&exec->request, &exec->texts);
    slot->tag_size = exec->texts.size - slot->tag_at;
    return slot;
}

static void fail_slot(struct exec *exec, struct slot *slot, enum wf_status status,
                      const char *message) {
    slot->status = status;
    slot->message_at = exec->texts.size;
    bytes_write_run(&exec->texts, message, strlen(message) + 1);
}

static void enqueue(struct exec *exec) {
    struct slot *slot = take_slot(exec, true);
    struct wf_error err;
    slot->kind = exec->request.command.kind;
    enum wf_status status =
        exec->request.members[MEMBER_SESSION]
            ? enqueue_session_commit(&exec->request, &slot->pending, &err)
            : wf_enqueue(exec->cli->engine, &exec->request.command, &slot->pending, &err);
    slot->enqueued = status == WF_OK;
    if (status != WF_OK)
        fail_slot(exec, slot, status, err.text);
}

/* What was asked before it must be seen by it: so the group is settled first. */
static void answer_now(struct exec *exec) {
    settle(exec);
    struct slot *slot = take_slot(exec, true);
    struct bytes_buffer *bytes = &exec->cli->out.bytes;
    size_t start = bytes->size;
    uint64_t lsn = 0;
    struct wf_error err;
    /* The LSN stands before the result, and is known after it. */
    struct bytes_buffer result;
    bytes_buffer_init(&result);
    struct emit result_json = {.to = &result};
    request_answer_fn answer = exec->request.kind->answer ? exec->request.kind->answer
                               : exec->request.kind->command == WF_WORKFLOW_MIGRATE ? answer_dry_run
                                                                                    : answer_plan;
    enum wf_status status = answer(exec->cli->engine, &exec->request, &result_json, &lsn, &err);
    if (status == WF_OK && result.failed)
        status = error_set(&err, WF_NO_MEMORY, "no memory for the answer");
    if (status == WF_OK) {
        struct emit *json = answer_open(exec);
        emit_member_bool(json, "ok", true);
        if (lsn)
            emit_member_uint(json, "lsn", lsn);
        write_raw_member(json, "tag", exec->texts.data + slot->tag_at, slot->tag_size);
        write_raw_member(json, "result", result.data, result.size);
        answer_close(exec);
    } else {
        bytes->size = start;
        answer_error(exec, slot, status, err.text, false);
    }
    bytes_buffer_deinit(&result);
    exec->slot_count = 0;
    bytes_buffer_clear(&exec->texts);
}

static void take_line(struct exec *exec, const char *line, size_t size) {
    struct wf_error err;
    enum wf_status status = request_decode(&exec->request, line, size, &err);
    if (status != WF_OK)
        fail_slot(exec, take_slot(exec, true), status, err.text);
    else if (exec->request.kind->answer || exec->request.dry_run)
        answer_now(exec);
    else
        enqueue(exec);
    exec->group_bytes += size;
}

/* All whole lines that are there, unless a signal asks to stop. False: the answers cannot be
 * written any more. */
static bool take_lines(struct exec *exec) {
    struct out *out = &exec->cli->out;
    while (!stop_signal) {
        const char *line;
        size_t size;
        enum exec_line found = exec_input_next(&exec->input, &line, &size);
        if (found == EXEC_LINE_NONE)
            return true;
        if (found == EXEC_LINE)
            take_line(exec, line, size);
        else
            fail_slot(exec, take_slot(exec, false), WF_USAGE,
                      "the line is longer than 17 MiB; it is skipped");
        if (exec->slot_count < GROUP_COMMANDS && exec->group_bytes < GROUP_BYTES &&
            out->bytes.size < ANSWERS_BYTES)
            continue;
        settle(exec);
        if (!out_flush(out))
            return false;
    }
    return true;
}

/* Sleep until there is input, or a signal asks to stop. */
static void wait_for_input(void) {
    sigset_t stop_signals, before;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGINT);
    sigaddset(&stop_signals, SIGTERM);
    /* Only inside ppoll() they may arrive: between the look at the flag and the sleep one would be
     * lost. */
    sigprocmask(SIG_BLOCK, &stop_signals, &before);
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (!stop_signal)
        ppoll(&in, 1, NULL, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static enum wf_status run_stream(struct exec *exec) {
    struct cli *cli = exec->cli;
    enum wf_status status = WF_OK;
    for (;;) {
        if (!take_lines(exec))
            return WF_OK; /* the output failed; that is told at the end */
        if (exec->input.at_end || stop_signal || status != WF_OK)
            break;
        if (!exec_input_waiting()) {
            settle(exec);
            if (!out_flush(&cli->out))
                return WF_OK;
            wait_for_input();
            if (stop_signal)
                continue;
        }
        status = exec_input_fill(&exec->input, &cli->err);
    }
    settle(exec);
    out_flush(&cli->out);
    return status;
}

/* How it ended, where not by the end of the input with all well. To stderr, in every mode: stdout
 * carries answers only. */
static enum wf_status tell_end(struct cli *cli, const struct exec *exec, enum wf_status status) {
    if (status == WF_OK && exec->halted)
        status = error_set(&cli->err, WF_HALTED,
                           "a sync failed and the store halted; open it again to recover");
    if (status == WF_OK && stop_signal && cli->out.write_errno == 0) {
        cli->stop_signal = stop_signal;
        fprintf(stderr,
                "wfctl: stopped by %s; %" PRIu64 " line%s answered, and what they did is durable; "
                "no line after them was executed\n",
                stop_signal == SIGINT ? "SIGINT" : "SIGTERM", exec->answered,
                exec->answered == 1 ? " was" : "s were");
        return WF_OK;
    }
    if (status == WF_OK && exec->full)
        status = error_set(&cli->err, WF_FULL,
                           "the disk is full: what was answered with \"full\" has not happened; "
                           "make room, and send it again");
    if (status != WF_OK) {
        fprintf(stderr, "wfctl: %s\n", cli->err.text);
        cli->reported = true;
    }
    return status;
}

static enum wf_status run_exec(struct cli *cli, struct exec *exec) {
    exec->cli = cli;
    cli->out.mode = OUT_JSONL; /* whatever was asked for: answers are lines of JSON */
    bytes_buffer_init(&exec->texts);
    enum wf_status status = request_memory_init(&cli->err);
    if (status == WF_OK) {
        catch_stop_signals();
        status = run_stream(exec);
    }
    exec_sessions_end();
    request_memory_deinit();
    bytes_buffer_deinit(&exec->texts);
    free(exec->input.data);
    return tell_end(cli, exec, status);
}

enum wf_status exec_stream(struct cli *cli) {
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return error_set(&cli->err, WF_NO_MEMORY, "no memory");
    enum wf_status status = run_exec(cli, exec);
    free(exec);
    return status;
}

enum wf_status cmd_exec(struct cli *cli) {
    static struct crash_watch watch;
    const char *crash_at = cli_option(cli, "crash-at");
    if (crash_at) {
        enum wf_status status = crash_point_parse(cli, crash_at, &watch.die_at);
        if (status != WF_OK)
            return status;
        cli->watch = &watch;
    }
    if (cli_switch(cli, "create")) {
        struct store_created created;
        enum wf_status status = store_create(cli, NULL, &created);
        if (status != WF_OK)
            return status;
    }
    enum wf_status status = store_open(cli, ACCESS_WRITE, true);
    return status == WF_OK ? exec_stream(cli) : status;
}
