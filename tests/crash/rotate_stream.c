/* A stream of loans through a store with tiny segments and frequent snapshots, so that rotations
 * and snapshots come within a hundred commands: test_syscalls.sh makes its system calls fail one by
 * one.
 *
 * `rotate_stream DIR` makes the store where there is none and answers like `wfctl exec`, a line for
 * each command once it is durable; every command has an idempotency key. Exit status 0; 7 disk full
 * or I/O error; 1 anything else. Without an argument: does it twice in a temporary folder, the
 * second time all from the keys. */
#include "tests/crash/scratch.h"
#include "workflows/loan/loan_sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    LOANS = 100,
    GROUP = 24,
    SEGMENT_BYTES = 64 << 10,
    SNAPSHOT_BYTES = 32 << 10,
    EXIT_DISK = 7,
};

struct item {
    struct loan_sample sample;
    char key[32];
    struct wf_pending pending;
};

/* As wfctl's, as far as they can come here. */
static int exit_status(enum wf_status status) {
    switch (status) {
    case WF_OK:
        return 0;
    case WF_IO:
    case WF_FULL:
    case WF_HALTED:
    case WF_UNKNOWN:
        return EXIT_DISK;
    case WF_REFUSED:
    case WF_CONFLICT:
    case WF_USAGE:
    case WF_NOT_FOUND:
    case WF_DAMAGE:
    case WF_DIVERGENCE:
    case WF_LOCKED:
    case WF_NO_MEMORY:
    case WF_TIMED_OUT:
        return 1;
    }
    return 1;
}

static enum wf_status complain(const char *what, const struct wf_error *err) {
    fprintf(stderr, "%s: %s\n", what, err->text);
    return err->status;
}

/* Enqueue a group, wait for it, answer. Stops at the first command that is not taken: those behind
 * it would be refused for its sake, and their keys would keep the refusal. Returns the first
 * failure. */
static enum wf_status run_group(struct wf_engine *engine, uint64_t first, uint64_t *replayed) {
    static struct item items[GROUP];
    struct wf_error err;
    enum wf_status failure = WF_OK;
    size_t count = 0;
    while (count < GROUP && failure == WF_OK) {
        struct item *item = &items[count];
        uint64_t at = first + count;
        loan_sample_command(&item->sample, "R", at / LOAN_COMMANDS, (unsigned)(at % LOAN_COMMANDS));
        snprintf(item->key, sizeof item->key, "key-%" PRIu64, at);
        item->sample.command.key = item->key;
        if (wf_enqueue(engine, &item->sample.command, &item->pending, &err) == WF_OK)
            count++;
        else
            failure = complain("enqueue", &err);
    }
    for (size_t i = 0; i < count; i++) {
        struct wf_result result;
        if (wf_wait(engine, &items[i].pending, &result, &err) == WF_OK) {
            *replayed += result.replayed;
            printf("{\"ok\":true,\"lsn\":%" PRIu64 ",\"tag\":\"%" PRIu64 "\"%s}\n", result.lsn,
                   first + i, result.replayed ? ",\"replayed\":true" : "");
        } else if (failure == WF_OK)
            failure = complain("wait", &err);
    }
    fflush(stdout);
    return failure;
}

static enum wf_status run_stream(const char *dir, uint64_t *replayed) {
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    wf_options_init(&options);
    options.create = true;
    options.segment_size = SEGMENT_BYTES;
    options.snapshot_log_bytes = SNAPSHOT_BYTES;
    if (wf_open(dir, &options, &engine, &err) != WF_OK)
        return complain("open", &err);
    const struct wf_command define = {
        .kind = WF_DEFINITION_ADD,
        .text = workflows_loan_loan_application_yaml,
        .key = "definition",
    };
    enum wf_status status = wf_execute(engine, &define, NULL, &err);
    if (status != WF_OK)
        complain("define", &err);
    for (uint64_t at = 0; status == WF_OK && at < LOANS * LOAN_COMMANDS; at += GROUP)
        status = run_group(engine, at, replayed);
    enum wf_status closed = wf_close(engine, &err);
    if (closed != WF_OK)
        complain("close", &err);
    return status != WF_OK ? status : closed;
}

int main(int argc, char **argv) {
    uint64_t replayed = 0;
    if (argc == 2)
        return exit_status(run_stream(argv[1], &replayed));

    char root[PATH_MAX], dir[PATH_MAX];
    scratch_make(root, NULL, "wf-rotate");
    scratch_join(dir, root, "store");
    /* The answers are for whoever names a store. */
    if (freopen("/dev/null", "w", stdout) == NULL)
        return 1;
    bool good = run_stream(dir, &replayed) == WF_OK && replayed == 0;
    good =
        good && run_stream(dir, &replayed) == WF_OK && replayed == (uint64_t)LOANS * LOAN_COMMANDS;
    scratch_remove(root);
    return good ? 0 : 1;
}
