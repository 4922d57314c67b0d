/* Transactions of sessions with kill -9 in between: what was committed and answered is there, what
 * was not committed is not, and nothing is there in part.
 *
 * Each of the child's threads works in sessions, at levels in turn. Its transaction number n
 * puts 1.00 on each of two accounts of its own, in two calls with reads and a savepoint between
 * them, moves money among accounts that all threads share, and is committed. Between two of them it
 * does one that puts 1000.00 on its account and never commits it. So after a kill both accounts of
 * a thread must hold the same number: that of its last transaction that was answered, or one more
 * where one was being committed.
 *
 * SESSION_KILLS (20; 400 in make test-long); CRASH_SEED repeats the choices. Fails where no kill
 * met a commit in flight. */
#include "engine/wf.h"
#include "tests/crash/scratch.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 4,
    SESSIONS = 3, /* fewer than threads: some wait */
    SHARED = 6,   /* accounts of all */
    KILLS = 20,
    KILLS_LONG = 400,
    LOAD_US_MAX = 60000,
    NAME_SIZE = 24,
};

/* Shared with the children. */
struct shared {
    _Atomic uint64_t answered[THREADS], committing[THREADS]; /* numbers of transactions */
    _Atomic uint64_t conflicts, refusals;
    _Atomic int loading;
    char error[600];
};

struct worker {
    struct shared *shared;
    struct wf_pool *pool;
    int number;
    struct choices choices;
    pthread_t thread;
};

static int fail(struct shared *shared, const char *what, const struct wf_error *err) {
    snprintf(shared->error, sizeof shared->error, "%s: %s", what, err != NULL ? err->text : "");
    return 1;
}

/* --- the work --- */

static const char *name_of(char name[NAME_SIZE], char kind, unsigned number) {
    snprintf(name, NAME_SIZE, "%c%u", kind, number);
    return name;
}

static enum wf_status deposit(struct wf_session *session, char kind, unsigned number,
                              const char *amount, struct wf_error *err) {
    char name[NAME_SIZE];
    const struct wf_operation operation = {
        .type = "deposit", .to = name_of(name, kind, number), .amount = amount, .currency = "USD"};
    return wf_session_execute(session, &operation, 1, NULL, err);
}

static enum wf_status move_shared(struct worker *worker, struct wf_session *session,
                                  struct wf_error *err) {
    char from[NAME_SIZE], to[NAME_SIZE];
    unsigned giver = (unsigned)choices_below(&worker->choices, SHARED);
    unsigned taker = (giver + 1 + (unsigned)choices_below(&worker->choices, SHARED - 1)) % SHARED;
    const struct wf_operation operation = {.type = "transfer",
                                           .from = name_of(from, 's', giver),
                                           .to = name_of(to, 's', taker),
                                           .amount = "0.01",
                                           .currency = "USD"};
    return wf_session_execute(session, &operation, 1, NULL, err);
}

static enum wf_status read_shared(struct worker *worker, struct wf_session *session,
                                  struct wf_error *err) {
    char name[NAME_SIZE];
    struct wf_account *account = NULL;
    enum wf_status status = wf_session_account(
        session, name_of(name, 's', (unsigned)choices_below(&worker->choices, SHARED)), &account,
        err);
    wf_account_free(account);
    return status;
}

/* All but the commit. */
static enum wf_status do_operations(struct worker *worker, struct wf_session *session,
                                    struct wf_error *err) {
    unsigned own = (unsigned)worker->number;
    enum wf_status status = deposit(session, 'a', own, "1.00", err);
    if (status == WF_OK)
        status = read_shared(worker, session, err);
    if (status == WF_OK)
        status = wf_session_savepoint(session, "p", err);
    if (status == WF_OK)
        status = deposit(session, 'b', own, "500.00", err);
    if (status == WF_OK)
        status = wf_session_rollback_to(session, "p", err);
    if (status == WF_OK)
        status = deposit(session, 'b', own, "1.00", err);
    return status == WF_OK ? move_shared(worker, session, err) : status;
}

static enum wf_status transact(struct worker *worker, struct wf_session *session, uint64_t number,
                               struct wf_error *err) {
    enum wf_isolation isolation = (enum wf_isolation)(1 + choices_below(&worker->choices, 3));
    enum wf_status status = wf_session_begin(session, isolation, err);
    if (status == WF_OK)
        status = do_operations(worker, session, err);
    if (status != WF_OK) {
        (void)wf_session_rollback(session, NULL);
        return status;
    }
    worker->shared->committing[worker->number] = number;
    status = wf_session_commit(session, NULL, NULL, NULL, err);
    if (status == WF_OK)
        worker->shared->answered[worker->number] = number;
    else
        worker->shared->committing[worker->number] = number - 1;
    return status;
}

static enum wf_status leave_behind(struct worker *worker, struct wf_session *session,
                                   struct wf_error *err) {
    enum wf_status status = wf_session_begin(session, WF_SNAPSHOT, err);
    return status == WF_OK ? deposit(session, 'a', (unsigned)worker->number, "1000.00", err)
                           : status;
}

static bool may_go_on(struct worker *worker, enum wf_status status, const struct wf_error *err) {
    worker->shared->conflicts += status == WF_CONFLICT;
    worker->shared->refusals += status == WF_REFUSED;
    if (status == WF_OK || status == WF_CONFLICT || status == WF_REFUSED)
        return true;
    fail(worker->shared, "transact", err);
    return false;
}

static void *work(void *ctx) {
    struct worker *worker = ctx;
    for (bool good = true; good;) {
        struct wf_session *session;
        struct wf_error err;
        if (wf_pool_acquire(worker->pool, &session, &err) != WF_OK) {
            fail(worker->shared, "acquire", &err);
            break;
        }
        uint64_t number = worker->shared->answered[worker->number] + 1;
        good = may_go_on(worker, transact(worker, session, number, &err), &err) &&
               may_go_on(worker, leave_behind(worker, session, &err), &err);
        wf_session_release(session);
    }
    _exit(1);
}

/* --- the bank --- */

static enum wf_status open_store(const char *dir, struct wf_engine **engine, struct wf_error *err) {
    struct wf_options options;
    wf_options_init(&options);
    options.create = true;
    options.segment_size = 256 << 10;
    options.snapshot_log_bytes = 200 << 10;
    options.memory_max = 256 << 10;
    options.background_snapshots = true;
    return wf_open(dir, &options, engine, err);
}

static enum wf_status open_accounts(struct wf_engine *engine, char kind, unsigned count,
                                    const char *balance, struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (unsigned i = 0; i < count && status == WF_OK; i++) {
        char name[NAME_SIZE], key[NAME_SIZE + 8];
        snprintf(key, sizeof key, "open %s", name_of(name, kind, i));
        const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                           .id = name,
                                           .type = "checking",
                                           .currency = "USD",
                                           .amount = balance,
                                           .key = key};
        status = wf_execute(engine, &command, NULL, err);
    }
    return status;
}

static int be_killed(struct shared *shared, const char *dir, uint64_t seed) {
    struct wf_engine *engine;
    struct wf_error err;
    struct worker workers[THREADS];
    struct wf_pool *pool;
    struct wf_pool_options options;
    wf_pool_options_init(&options);
    options.sessions_min = 1;
    options.sessions_max = SESSIONS;
    if (open_store(dir, &engine, &err) != WF_OK)
        return fail(shared, "open", &err);
    if (wf_pool_open(engine, &options, &pool, &err) != WF_OK)
        return fail(shared, "open a pool", &err);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){
            .shared = shared, .pool = pool, .number = i, .choices = {seed + (uint64_t)i * 7919}};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return fail(shared, "no thread", NULL);
    }
    shared->loading = 1;
    for (;;)
        pause();
}

/* --- what is left --- */

static bool balance_of(struct wf_engine *engine, char kind, unsigned number, double *balance) {
    char name[NAME_SIZE];
    struct wf_account *account = NULL;
    if (wf_account_get(engine, name_of(name, kind, number), &account, NULL) != WF_OK)
        return false;
    *balance = atof(account->balance);
    wf_account_free(account);
    return true;
}

static int check_thread(struct shared *shared, struct wf_engine *engine, int number,
                        uint64_t *in_flight) {
    double one, other;
    char words[200];
    if (!balance_of(engine, 'a', (unsigned)number, &one) ||
        !balance_of(engine, 'b', (unsigned)number, &other))
        return fail(shared, "an account is missing", NULL);
    uint64_t answered = shared->answered[number], committing = shared->committing[number];
    *in_flight += committing > answered;
    if (one == other && one >= (double)answered && one <= (double)committing) {
        shared->answered[number] = shared->committing[number] = (uint64_t)one;
        return 0;
    }
    snprintf(words, sizeof words,
             "thread %d: %.2f and %.2f, of %" PRIu64 " answered and %" PRIu64 " committing", number,
             one, other, answered, committing);
    return fail(shared, words, NULL);
}

static int check(struct shared *shared, const char *dir, uint64_t *in_flight) {
    struct wf_engine *engine;
    struct wf_error err;
    struct wf_account_report report;
    double sum = 0, balance;
    int result = 0;
    if (open_store(dir, &engine, &err) != WF_OK)
        return fail(shared, "open", &err);
    for (int i = 0; i < THREADS && result == 0; i++)
        result = check_thread(shared, engine, i, in_flight);
    for (unsigned i = 0; i < SHARED && result == 0; i++) {
        if (!balance_of(engine, 's', i, &balance))
            result = fail(shared, "an account is missing", NULL);
        sum += balance;
    }
    if (result == 0 && (sum < 600 - 0.001 || sum > 600 + 0.001))
        result = fail(shared, "what the shared accounts hold is not what they held", NULL);
    if (result == 0 && wf_account_check(engine, &report, &err) != WF_OK)
        result = fail(shared, "account check", &err);
    wf_close(engine, NULL);
    return result;
}

static int make_bank(struct shared *shared, const char *dir) {
    struct wf_engine *engine;
    struct wf_error err;
    enum wf_status status = open_store(dir, &engine, &err);
    if (status == WF_OK)
        status = open_accounts(engine, 'a', THREADS, NULL, &err);
    if (status == WF_OK)
        status = open_accounts(engine, 'b', THREADS, NULL, &err);
    if (status == WF_OK)
        status = open_accounts(engine, 's', SHARED, "100.00", &err);
    if (status == WF_OK)
        status = wf_close(engine, &err);
    return status == WF_OK ? 0 : fail(shared, "make the bank", &err);
}

static bool run_child(struct shared *shared, const char *dir, uint64_t seed, uint64_t load_us) {
    int status;
    shared->loading = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(be_killed(shared, dir, seed));
    for (uint64_t start = 0; waitpid(child, &status, WNOHANG) == 0; usleep(200)) {
        if (start == 0 && shared->loading)
            start = scratch_now_us();
        if (start != 0 && scratch_now_us() - start > load_us)
            kill(child, SIGKILL);
    }
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int run(struct shared *shared, const char *root, uint64_t seed, uint64_t kills) {
    char dir[PATH_MAX];
    struct choices choices = {.state = seed};
    uint64_t in_flight = 0, committed = 0;
    scratch_join(dir, root, "bank");
    if (make_bank(shared, dir) != 0)
        return 1;
    /* On a slow machine it may take more of them until something is shown. */
    for (uint64_t i = 0;
         i < kills || (i < 10 * kills && (in_flight == 0 || shared->conflicts == 0)); i++) {
        if (!run_child(shared, dir, choices_next(&choices), choices_below(&choices, LOAD_US_MAX)) ||
            check(shared, dir, &in_flight) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++)
        committed += shared->answered[i];
    printf("%" PRIu64 " kills, %" PRIu64 " commits in flight; %" PRIu64 " transactions, %" PRIu64
           " conflicts\n",
           kills, in_flight, committed, (uint64_t)shared->conflicts);
    return in_flight > 0 && shared->conflicts > 0
               ? 0
               : fail(shared, "no commit was in flight, or none met another: nothing was shown",
                      NULL);
}

int main(void) {
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = scratch_setting("CRASH_SEED", scratch_now_us());
    uint64_t kills = scratch_setting("SESSION_KILLS", scratch_is_long() ? KILLS_LONG : KILLS);
    char root[PATH_MAX];
    setbuf(stdout, NULL);
    scratch_make(root, NULL, "crash_session");
    int result = run(shared, root, seed, kills);
    if (result != 0)
        printf("FAILED (CRASH_SEED=%" PRIu64 "): %s\n", seed, shared->error);
    scratch_remove(root);
    return result;
}
