/* What a transaction of a session costs beside the same operation as one command, in the same run:
 * one thread that waits for each, and several, at each level; and what others pay for an open
 * snapshot. And what a transaction of many calls costs, by their number. Medians of RUNS. Usage:
 * bench_session [directory] */
#include "engine/wf.h"
#include "tests/lib/timing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 3, ACCOUNTS = 256, ONE_COUNT = 200, THREADS = 16, THREAD_COUNT = 100, GROUP = 1024 };

struct bench {
    struct wf_engine *engine;
    struct wf_pool *pool;
    enum wf_isolation isolation; /* 0: one command, no session */
};

static const char *name_account(char name[16], unsigned number) {
    snprintf(name, 16, "A%u", number % ACCOUNTS);
    return name;
}

/* --- the work --- */

struct worker {
    struct bench *bench;
    unsigned number, count;
    unsigned conflicts;
    pthread_t thread;
};

/* Each worker has accounts of its own: nobody conflicts. */
static struct wf_operation next_operation(const struct worker *worker, unsigned i, char from[16],
                                          char to[16]) {
    unsigned first = worker->number * (ACCOUNTS / THREADS);
    return (struct wf_operation){
        .type = "transfer",
        .from = name_account(from, first + i % (ACCOUNTS / THREADS)),
        .to = name_account(to, first + (i + 1) % (ACCOUNTS / THREADS)),
        .amount = "0.01",
        .currency = "USD",
    };
}

static void do_commands(struct worker *worker) {
    struct wf_error err;
    for (unsigned i = 0; i < worker->count; i++) {
        char from[16], to[16];
        const struct wf_operation operation = next_operation(worker, i, from, to);
        const struct wf_command command = {
            .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
        timing_must(wf_execute(worker->bench->engine, &command, NULL, &err), &err);
    }
}

static void do_transactions(struct worker *worker) {
    struct wf_error err;
    struct wf_session *session;
    timing_must(wf_pool_acquire(worker->bench->pool, &session, &err), &err);
    for (unsigned i = 0; i < worker->count; i++) {
        char from[16], to[16];
        struct wf_account *account;
        const struct wf_operation operation = next_operation(worker, i, from, to);
        timing_must(wf_session_begin(session, worker->bench->isolation, &err), &err);
        timing_must(wf_session_account(session, from, &account, &err), &err);
        wf_account_free(account);
        timing_must(wf_session_execute(session, &operation, 1, NULL, &err), &err);
        timing_must(wf_session_commit(session, NULL, NULL, NULL, &err), &err);
    }
    wf_session_release(session);
}

static void *work(void *ctx) {
    struct worker *worker = ctx;
    if (worker->bench->isolation == 0)
        do_commands(worker);
    else
        do_transactions(worker);
    return NULL;
}

/* Transactions a second. */
static double run(struct bench *bench, enum wf_isolation isolation, unsigned threads,
                  unsigned count) {
    struct worker workers[THREADS];
    bench->isolation = isolation;
    double start = timing_now_s();
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.bench = bench, .number = i, .count = count};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    return threads * count / (timing_now_s() - start);
}

/* Transfers a second in groups, beside a snapshot that is open, or none. */
static double run_groups(struct bench *bench, bool with_snapshot) {
    static struct wf_pending pendings[GROUP];
    struct worker worker = {.bench = bench};
    struct wf_session *session;
    struct wf_error err;
    timing_must(wf_pool_acquire(bench->pool, &session, &err), &err);
    if (with_snapshot)
        timing_must(wf_session_begin(session, WF_SNAPSHOT, &err), &err);
    double start = timing_now_s();
    for (unsigned group = 0; group < 20; group++) {
        for (unsigned i = 0; i < GROUP; i++) {
            char from[16], to[16];
            const struct wf_operation operation = next_operation(&worker, i, from, to);
            const struct wf_command command = {
                .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
            timing_must(wf_enqueue(bench->engine, &command, &pendings[i], &err), &err);
        }
        for (unsigned i = 0; i < GROUP; i++)
            timing_must(wf_wait(bench->engine, &pendings[i], NULL, &err), &err);
    }
    double rate = 20 * GROUP / (timing_now_s() - start);
    wf_session_release(session);
    return rate;
}

/* Milliseconds of one transaction of `calls` operations, each in a call of its own; `beside`: with
 * a commit of somebody else before each, on accounts of which it uses none. */
static double run_long(struct bench *bench, enum wf_isolation isolation, unsigned calls,
                       bool beside) {
    struct worker worker = {.bench = bench, .number = 0}, other = {.bench = bench, .number = 1};
    struct wf_session *session;
    struct wf_error err;
    double spent = 0;
    timing_must(wf_pool_acquire(bench->pool, &session, &err), &err);
    timing_must(wf_session_begin(session, isolation, &err), &err);
    for (unsigned i = 0; i < calls; i++) {
        char from[16], to[16];
        const struct wf_operation theirs = next_operation(&other, i, from, to);
        const struct wf_command command = {
            .kind = WF_ACCOUNT_TRANSACT, .operations = &theirs, .operation_count = 1};
        if (beside)
            timing_must(wf_execute(bench->engine, &command, NULL, &err), &err);
        const struct wf_operation operation = next_operation(&worker, i, from, to);
        double start = timing_now_s();
        timing_must(wf_session_execute(session, &operation, 1, NULL, &err), &err);
        spent += timing_now_s() - start;
    }
    double start = timing_now_s();
    timing_must(wf_session_commit(session, NULL, NULL, NULL, &err), &err);
    spent += timing_now_s() - start;
    wf_session_release(session);
    return spent * 1000;
}

static void show_long(struct bench *bench) {
    for (int level = WF_READ_COMMITTED; level <= WF_SERIALIZABLE; level++) {
        for (int beside = 0; beside < 2; beside++) {
            printf("one transaction, %-15s %s", wf_isolation_name((enum wf_isolation)level),
                   beside ? "beside commits" : "alone         ");
            for (unsigned calls = 256; calls <= WF_OPERATIONS_MAX; calls *= 2) {
                double ms[RUNS];
                for (int i = 0; i < RUNS; i++)
                    ms[i] = run_long(bench, (enum wf_isolation)level, calls, beside != 0);
                printf("  %4u calls %7.2f ms", calls, timing_median(ms, RUNS));
            }
            printf("\n");
        }
    }
}

static void show(struct bench *bench, unsigned threads, unsigned count) {
    for (int level = 0; level <= WF_SERIALIZABLE; level++) {
        double rates[RUNS];
        for (int i = 0; i < RUNS; i++)
            rates[i] = run(bench, (enum wf_isolation)level, threads, count);
        const char *name =
            level == 0 ? "account.transact" : wf_isolation_name((enum wf_isolation)level);
        printf("%2u threads  %-18s %9.0f a second\n", threads, name, timing_median(rates, RUNS));
    }
}

int main(int argc, char **argv) {
    char dir[600];
    struct wf_error err;
    struct wf_options options;
    struct bench bench = {0};
    snprintf(dir, sizeof dir, "%s/bench_session.%d", argc > 1 ? argv[1] : "/tmp", (int)getpid());
    wf_options_init(&options);
    options.create = true;
    timing_must(wf_open(dir, &options, &bench.engine, &err), &err);
    timing_must(wf_pool_open(bench.engine, NULL, &bench.pool, &err), &err);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char name[16];
        const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                           .id = name_account(name, i),
                                           .type = "checking",
                                           .currency = "USD",
                                           .amount = "1000.00"};
        timing_must(wf_execute(bench.engine, &command, NULL, &err), &err);
    }
    show(&bench, 1, ONE_COUNT);
    show(&bench, THREADS, THREAD_COUNT);
    for (int with = 0; with < 2; with++) {
        double rates[RUNS];
        for (int i = 0; i < RUNS; i++)
            rates[i] = run_groups(&bench, with != 0);
        printf("groups of %d, %s %9.0f a second\n", GROUP,
               with ? "beside a snapshot " : "nobody reads past", timing_median(rates, RUNS));
    }
    show_long(&bench);
    timing_must(wf_pool_close(bench.pool, &err), &err);
    timing_must(wf_close(bench.engine, &err), &err);
    char command[640];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1;
}
