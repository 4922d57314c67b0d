#include "tests/crash/damage_run.h"
#include "tests/lib/keep_memory.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORKERS = 2,
    FAILURES_SHOWN = 12, /* DAMAGE_SHOWN */
    CASE_SECONDS_MAX = 60,
};

/* Between the workers and their parent. */
struct shared {
    _Atomic uint64_t running[WORKERS]; /* the case at hand, + 1; 0: none */
    _Atomic uint64_t next[WORKERS];
    _Atomic uint64_t outcomes[3], failures;
    uint64_t shown; /* failures that are described */
};

struct plan {
    const struct damage_suite *suite;
    struct shared *shared;
    uint64_t *numbers; /* NULL: every number below `count` */
    uint64_t count;
};

static void tell(const struct plan *plan, uint64_t number, const char *what) {
    char text[DAMAGE_TEXT_MAX];
    if (plan->shared->failures++ >= plan->shared->shown)
        return;
    plan->suite->describe(plan->suite->ctx, number, text);
    printf("case %" PRIu64 ": %s:\n    %s\n", number, text, what);
    fflush(stdout);
}

static void work(const struct plan *plan, unsigned worker) {
    const struct damage_suite *suite = plan->suite;
    struct shared *shared = plan->shared;
    char name[16], dir[PATH_MAX];
    snprintf(name, sizeof name, "worker-%u", worker);
    scratch_join(dir, suite->root, name);
    for (uint64_t at; (at = shared->next[worker]) < plan->count; shared->next[worker] += WORKERS) {
        uint64_t number = plan->numbers != NULL ? plan->numbers[at] : at;
        struct damage_verdict verdict = {.text = ""};
        shared->running[worker] = number + 1;
        alarm(CASE_SECONDS_MAX);
        suite->run(suite->ctx, number, dir, &verdict);
        if (verdict.text[0] != '\0')
            tell(plan, number, verdict.text);
        else
            shared->outcomes[verdict.outcome]++;
    }
    shared->running[worker] = 0;
}

static pid_t make_worker(const struct plan *plan, unsigned worker) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        work(plan, worker);
        _exit(0);
    }
    return pid;
}

/* A worker died in the middle of a case: that case fails. */
static void note_death(const struct plan *plan, unsigned worker, int status) {
    char text[64];
    const char *how = !WIFSIGNALED(status)          ? "exits with"
                      : WTERMSIG(status) == SIGALRM ? "HANGS, signal"
                                                    : "CRASHES, signal";
    snprintf(text, sizeof text, "%s %d", how,
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    tell(plan, plan->shared->running[worker] - 1, text);
    plan->shared->next[worker] += WORKERS;
}

/* Run all cases in workers; where one dies another goes on behind its case. */
static void run_plan(const struct plan *plan) {
    pid_t pids[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        plan->shared->next[i] = i;
        pids[i] = make_worker(plan, i);
    }
    int status;
    for (pid_t ended; (ended = wait(&status)) > 0;) {
        unsigned worker = 0;
        while (worker < WORKERS && pids[worker] != ended)
            worker++;
        if (worker == WORKERS || (status == 0 && plan->shared->running[worker] == 0))
            continue;
        note_death(plan, worker, status);
        pids[worker] = make_worker(plan, worker);
    }
}

/* The numbers to run: one, all, or a draw. */
static bool choose(struct plan *plan, uint64_t seed) {
    const struct damage_suite *suite = plan->suite;
    bool full = scratch_is_long() || scratch_setting("DAMAGE_FULL", 0) != 0;
    uint64_t one = scratch_setting("DAMAGE_CASE", UINT64_MAX);
    uint64_t wanted = scratch_setting("DAMAGE_CASES", suite->wanted);
    plan->count = one != UINT64_MAX ? 1 : full || wanted >= suite->count ? suite->count : wanted;
    if (plan->count == suite->count && one == UINT64_MAX)
        return true;
    struct choices choices = {.state = seed};
    plan->numbers = malloc(plan->count * sizeof *plan->numbers);
    for (uint64_t i = 0; plan->numbers != NULL && i < plan->count; i++)
        plan->numbers[i] =
            one != UINT64_MAX ? one % suite->count : suite->draw(suite->ctx, &choices);
    return plan->numbers != NULL;
}

bool damage_run(const struct damage_suite *suite) {
    uint64_t seed = scratch_setting("DAMAGE_SEED", scratch_now_us());
    struct plan plan = {.suite = suite};
    keep_memory();
    plan.shared =
        mmap(NULL, sizeof *plan.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (plan.shared == MAP_FAILED || !choose(&plan, seed))
        return false;
    plan.shared->shown = scratch_setting("DAMAGE_SHOWN", FAILURES_SHOWN);
    printf("%" PRIu64 " of %" PRIu64 " cases, seed %" PRIu64 " (DAMAGE_SEED)\n", plan.count,
           suite->count, seed);
    run_plan(&plan);
    printf("%" PRIu64 " opened whole, %" PRIu64 " on a prefix, %" PRIu64 " refused, %" PRIu64
           " wrong\n",
           plan.shared->outcomes[DAMAGE_WHOLE], plan.shared->outcomes[DAMAGE_PREFIX],
           plan.shared->outcomes[DAMAGE_REFUSED], plan.shared->failures);
    bool good = plan.shared->failures == 0;
    munmap(plan.shared, sizeof *plan.shared);
    free(plan.numbers);
    return good;
}
