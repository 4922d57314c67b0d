/* Kill -9 of `wfctl exec` in the middle of a stream of JSON lines, again and again: what was
 * answered "ok":true is there, what was not is there wholly or not at all.
 *
 * EXEC_KILLS (40; 1,000 in make test-long) kills; CRASH_SEED repeats the choices. */
#include "tests/crash/scratch.h"
#include "tests/crash/wfctl_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KILLS = 40,
    KILLS_LONG = 1000,
    KILLS_PER_STORE = 20,
    LOANS_AT_ONCE = 32,
    LOAD_US_MAX = 8000, /* the kill comes that long after the first answer, at most */
    PATIENCE_MS = 60000,
    CLOSER_LOOKS = 40,
};

struct harness {
    struct oracle *oracle;
    struct choices choices;
    char wfctl[PATH_MAX];
    char dir[PATH_MAX];
    uint64_t sequence;
    uint32_t first; /* loans before it are at the end of their scripts */
    uint64_t answers;
    char line[2048]; /* a request that has not gone out whole yet */
    size_t line_size, line_at;
    uint64_t commands_in_flight, workflows_in_flight, acked, kept, lost;
};

static void note_answer(void *ctx, const struct wfctl_answer *answer) {
    struct harness *harness = ctx;
    harness->answers++;
    if (!answer->ok || answer->lsn == 0 || answer->loan >= ORACLE_LOANS ||
        answer->index >= ORACLE_SCRIPT_MAX)
        oracle_fail(harness->oracle, "answered with %s", answer->line);
    else
        oracle_ack(harness->oracle, answer->loan, answer->index, answer->lsn);
}

static bool is_open(const struct oracle *oracle, uint32_t loan) {
    return oracle->loans[loan].issued < oracle_script_length(oracle, loan);
}

/* The next command of one of the loans at hand becomes the line that goes out. False: all loans are
 * done. */
static bool next_line(struct harness *harness) {
    struct oracle *oracle = harness->oracle;
    while (harness->first < ORACLE_LOANS && !is_open(oracle, harness->first))
        harness->first++;
    if (harness->first == ORACLE_LOANS)
        return false;
    uint32_t loan = harness->first + (uint32_t)choices_below(&harness->choices, LOANS_AT_ONCE);
    if (loan >= ORACLE_LOANS || !is_open(oracle, loan))
        loan = harness->first;
    char tag[32];
    struct oracle_command command;
    unsigned index = oracle_issue(oracle, loan, 0, ++harness->sequence);
    oracle_command(oracle, loan, index, &command);
    snprintf(tag, sizeof tag, "%u.%u", loan, index);
    harness->line_size = wfctl_request(&command.command, tag, harness->line, sizeof harness->line);
    harness->line_at = 0;
    return true;
}

/* Write lines until the pipe is full. False: the reader is gone. */
static bool write_lines(struct harness *harness, struct wfctl_stream *stream) {
    for (;;) {
        if (harness->line_at == harness->line_size && !next_line(harness))
            return true;
        ssize_t put = write(stream->in, harness->line + harness->line_at,
                            harness->line_size - harness->line_at);
        if (put < 0)
            return errno == EAGAIN || errno == EINTR;
        harness->line_at += (size_t)put;
    }
}

/* Feed the stream until `deadline_us` (0: until the first answer). False: it ended by itself. */
static bool feed(struct harness *harness, struct wfctl_stream *stream, uint64_t deadline_us) {
    uint64_t start = scratch_now_us();
    for (;;) {
        uint64_t now = scratch_now_us();
        if (deadline_us != 0 ? now >= deadline_us : harness->answers > 0)
            return true;
        if (now - start > (uint64_t)PATIENCE_MS * 1000)
            return oracle_fail(harness->oracle, "wfctl exec does not answer");
        struct pollfd polls[2] = {{stream->in, POLLOUT, 0}, {stream->out, POLLIN, 0}};
        if (poll(polls, 2, 1) < 0 && errno != EINTR)
            return oracle_fail(harness->oracle, "poll: %s", strerror(errno));
        if ((polls[0].revents & POLLERR) != 0 || !write_lines(harness, stream) ||
            !wfctl_stream_read(stream, note_answer, harness))
            return oracle_fail(harness->oracle, "wfctl exec ended by itself");
        if (harness->oracle->failure[0] != '\0')
            return false;
    }
}

/* Open the store beside nobody and compare it with the oracle. Sometimes only for reading: then the
 * next wfctl finds it as the kill left it. */
static bool check_store(struct harness *harness, bool read_only, bool verify) {
    struct oracle *oracle = harness->oracle;
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    wf_options_init(&options);
    options.read_only = read_only;
    if (wf_open(harness->dir, &options, &engine, &err) != WF_OK)
        return oracle_fail(oracle, "open: %s", err.text);
    bool good = oracle_settle(oracle, engine);
    for (unsigned i = 0; good && i < CLOSER_LOOKS; i++) {
        uint32_t loan = (uint32_t)choices_below(&harness->choices, ORACLE_LOANS);
        good = oracle_check_history(oracle, engine, loan) &&
               (read_only || oracle_check_key(oracle, engine, loan));
    }
    good = good && (!verify || oracle_check_replay(oracle, engine));
    if (wf_close(engine, &err) != WF_OK && good)
        good = oracle_fail(oracle, "close: %s", err.text);
    return good;
}

static bool kill_once(struct harness *harness, bool verify) {
    struct wfctl_stream stream;
    harness->answers = 0;
    harness->line_at = harness->line_size = 0;
    if (!wfctl_stream_start(&stream, harness->wfctl, harness->dir))
        return oracle_fail(harness->oracle, "%s cannot be started: %s", harness->wfctl,
                           strerror(errno));
    uint64_t delay_us = 1 + choices_below(&harness->choices, LOAD_US_MAX);
    bool good = feed(harness, &stream, 0) && feed(harness, &stream, scratch_now_us() + delay_us);
    int status = 0;
    kill(stream.pid, SIGKILL);
    waitpid(stream.pid, &status, 0);
    /* Answers that were in the pipe when it died count: somebody could have read them before. */
    wfctl_stream_read(&stream, note_answer, harness);
    close(stream.in);
    close(stream.out);
    if (!good)
        return oracle_fail(harness->oracle, "wfctl: status 0x%x", status);

    struct oracle_flight flight = oracle_in_flight(harness->oracle);
    harness->commands_in_flight += flight.commands;
    harness->workflows_in_flight += flight.workflows;
    good = check_store(harness, choices_one_in(&harness->choices, 2), verify);
    harness->kept += harness->oracle->unacked_kept;
    harness->lost += harness->oracle->unacked_lost;
    return good && harness->oracle->failure[0] == '\0';
}

static bool run(struct harness *harness, const char *root, uint64_t kills) {
    for (uint64_t done = 0; done < kills; done++) {
        /* A store whose loans are nearly used up has too little to feed until a kill. */
        bool fresh = done % KILLS_PER_STORE == 0 || harness->first > ORACLE_LOANS / 2;
        if (fresh) {
            char name[32];
            scratch_remove(harness->dir);
            snprintf(name, sizeof name, "store-%" PRIu64, done);
            scratch_join(harness->dir, root, name);
            oracle_init(harness->oracle, choices_next(&harness->choices));
            harness->first = 0;
            int status = wfctl_run(harness->wfctl, harness->dir, "init",
                                   "--test-clock=2026-01-01T00:00:00Z"); /* no stage times out */
            if (status != 0)
                return oracle_fail(harness->oracle, "wfctl init: exit status %d", status);
        }
        bool last = done % KILLS_PER_STORE == KILLS_PER_STORE - 1 || done + 1 == kills;
        if (!kill_once(harness, last || done % 5 == 0))
            return false;
        if (last)
            for (uint32_t loan = 0; loan < ORACLE_LOANS; loan++)
                harness->acked += harness->oracle->loans[loan].acked;
    }
    return true;
}

int main(int argc, char **argv) {
    static struct harness harness;
    uint64_t kills = scratch_setting("EXEC_KILLS", scratch_is_long() ? KILLS_LONG : KILLS);
    uint64_t seed = scratch_setting("CRASH_SEED", scratch_now_us() ^ (uint64_t)getpid() << 32);
    char root[PATH_MAX];
    harness.choices.state = seed;
    harness.oracle = calloc(1, sizeof *harness.oracle);
    if (argc < 1 || harness.oracle == NULL || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return 1;
    if (!wfctl_find(harness.wfctl, argv[0])) {
        printf("FAILED: no wfctl at \"%s\"; set WFCTL\n", harness.wfctl);
        return 1;
    }
    printf("seed %" PRIu64 " (CRASH_SEED repeats it)\n", seed);
    scratch_make(root, NULL, "wf-exec");
    scratch_join(harness.dir, root, "none");
    bool good = run(&harness, root, kills);
    if (good && (harness.commands_in_flight == 0 || harness.workflows_in_flight == 0))
        good = oracle_fail(harness.oracle, "nothing was in flight at any kill");
    if (good) {
        printf("%" PRIu64
               " kills of wfctl exec; in flight: %.1f commands, %.1f workflows; there at "
               "the end: %" PRIu64 "; not acknowledged: %" PRIu64 " kept, %" PRIu64 " lost\n",
               kills, (double)harness.commands_in_flight / (double)kills,
               (double)harness.workflows_in_flight / (double)kills, harness.acked, harness.kept,
               harness.lost);
        scratch_remove(root);
    } else
        printf("FAILED: %s\nseed %" PRIu64 "; the store is left in %s\n", harness.oracle->failure,
               seed, harness.dir);
    free(harness.oracle);
    return good ? 0 : 1;
}
