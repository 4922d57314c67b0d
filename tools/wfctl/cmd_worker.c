/* worker: runs handlers and compensations. It owns the store while it works; workers in other
 * languages work over the stream of an exec, with task.claim, task.complete and task.fail. */
#include "base/error.h"
#include "tools/wfctl/program.h"
#include "tools/wfctl/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CONCURRENCY_MAX = 64, IDLE_MS = 100 };

static volatile sig_atomic_t stop_requested;

static void request_stop(int number) {
    (void)number;
    stop_requested = 1;
}

/* What the threads of one worker share. */
struct crew {
    struct cli *cli;
    bool once, until_idle;
    _Atomic uint64_t done;
    _Atomic unsigned busy; /* who is at a task: it may make others due */
    _Atomic bool failed;
    pthread_mutex_t mutex; /* guards cli->err */
};

struct hand {
    struct crew *crew;
    char name[96];
    struct program program;
    pthread_t thread;
};

static void fail(struct crew *crew, const struct wf_error *err) {
    pthread_mutex_lock(&crew->mutex);
    if (!atomic_exchange(&crew->failed, true))
        crew->cli->err = *err;
    pthread_mutex_unlock(&crew->mutex);
}

static void rest(void) {
    nanosleep(&(struct timespec){0, IDLE_MS * 1000000L}, NULL);
}

/* One task, if one is due. */
static bool turn(struct hand *hand) {
    struct crew *crew = hand->crew;
    const struct wf_worker worker = {
        .name = hand->name, .run_program = program_run, .program_ctx = &hand->program};
    struct wf_error err;
    bool did = false;
    int64_t next_ms;
    atomic_fetch_add(&crew->busy, 1);
    if (wf_worker_run(crew->cli->engine, &worker, &did, &next_ms, &err) != WF_OK)
        fail(crew, &err);
    crew->done += did;
    atomic_fetch_sub(&crew->busy, 1);
    return did;
}

static void *work(void *ctx) {
    struct hand *hand = ctx;
    struct crew *crew = hand->crew;
    while (!stop_requested && !atomic_load(&crew->failed)) {
        bool did = turn(hand);
        if (crew->once || (!did && crew->until_idle && atomic_load(&crew->busy) == 0))
            break;
        if (!did)
            rest();
    }
    program_deinit(&hand->program);
    return NULL;
}

static void tell(struct cli *cli, const struct crew *crew) {
    uint64_t done = atomic_load(&crew->done);
    if (out_is_json(&cli->out)) {
        out_object_open(&cli->out);
        emit_member_uint(&cli->out.json, "attempts", done);
        out_object_close(&cli->out);
    } else {
        out_printf(&cli->out, "%" PRIu64 " attempt%s made\n", done, done == 1 ? "" : "s");
    }
}

static enum wf_status run_crew(struct cli *cli, struct crew *crew, struct hand *hands,
                               size_t count) {
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    size_t started = 0;
    for (; started < count; started++) {
        struct hand *hand = &hands[started];
        hand->crew = crew;
        snprintf(hand->name, sizeof hand->name, "%s-%ld-%zu", host, (long)getpid(), started + 1);
        if (started > 0 && pthread_create(&hand->thread, NULL, work, hand) != 0)
            break;
    }
    work(&hands[0]); /* this thread is one of them */
    for (size_t i = 1; i < started; i++)
        pthread_join(hands[i].thread, NULL);
    if (atomic_load(&crew->failed))
        return cli->err.status;
    tell(cli, crew);
    return WF_OK;
}

enum wf_status cmd_worker(struct cli *cli) {
    uint64_t count = 1;
    enum wf_status status = cli_option_uint(cli, "concurrency", &count);
    if (status == WF_OK && (count < 1 || count > CONCURRENCY_MAX))
        status = cli_usage(cli, "--concurrency is 1 to %d", CONCURRENCY_MAX);
    if (status == WF_OK)
        status = store_open(cli, ACCESS_WRITE, true);
    if (status != WF_OK)
        return status;
    struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct crew crew = {.cli = cli,
                        .once = cli_switch(cli, "once"),
                        .until_idle = cli_switch(cli, "until-idle"),
                        .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct hand *hands = calloc(count, sizeof *hands);
    if (!hands)
        return error_set(&cli->err, WF_NO_MEMORY, "no memory for %" PRIu64 " at a time", count);
    status = run_crew(cli, &crew, hands, (size_t)count);
    free(hands);
    return status;
}
