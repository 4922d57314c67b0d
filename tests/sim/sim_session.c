/* Random histories of concurrent transactions, checked for what their isolation levels promise.
 *
 * Each history has accounts of its own, and three threads that each do transactions: reads, scans,
 * transfers, savepoints, commits, rollbacks. Nine in ten are scheduled: a seeded choice says whose
 * turn it is before each call, so that SEED=N runs the very same histories again (the fingerprint
 * says so); on a simulated disk. The others run freely, on the machine's.
 *
 * The levels in turn: all READ_COMMITTED, all SNAPSHOT, all SERIALIZABLE, mixed. So that nobody
 * takes a blind checker for a good engine: histories of the weaker levels must be found not to be
 * serializable.
 *
 *   SEED=N          HISTORIES=N (1,000; 50,000 with WF_TEST_LONG=1)    HISTORY=N: only that one */
#include "base/table.h"
#include "tests/lib/engine_fixture.h"
#include "tests/sim/history.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum {
    THREADS = 3,
    TRANSACTIONS = 5, /* of each thread */
    CALLS_MAX = 6,    /* of each transaction */
    HISTORIES = 1000,
    HISTORIES_LONG = 50000,
    FREE_EVERY = 10,
    LEVELS = 4,
    BALANCE = 100, /* of each account, in the beginning */
};

/* --- random --- */

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static unsigned below(uint64_t *state, unsigned limit) {
    return (unsigned)(next_random(state) % limit);
}

/* --- one history --- */

struct run {
    struct wf_engine *engine;
    struct wf_pool *pool;
    uint64_t number, seed;
    bool scheduled;
    int level; /* LEVELS - 1: mixed */
    struct history history;
    _Atomic uint64_t clock;
    /* Whose turn it is. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t schedule;
    int turn;
    bool ended[THREADS];
    /* What went wrong in a thread; under the mutex. */
    char problem[HISTORY_TEXT_MAX];
};

struct worker {
    struct run *run;
    int number;
    uint64_t random;
    struct wf_session *session;
    struct history_transaction *t;
    struct wf_error err;
    bool over;                      /* the transaction */
    int64_t kept[HISTORY_ACCOUNTS]; /* amounts at the savepoint */
    bool kept_wrote[HISTORY_ACCOUNTS];
    pthread_t thread;
};

static const enum wf_isolation levels[] = {WF_READ_COMMITTED, WF_SNAPSHOT, WF_SERIALIZABLE};

static void name_account(char name[32], uint64_t history, int account) {
    snprintf(name, 32, "h%06" PRIu64 "-%d", history, account);
}

static void pass_turn(struct run *run) {
    int left = 0;
    for (int i = 0; i < THREADS; i++)
        left += !run->ended[i];
    if (left == 0)
        return;
    unsigned choice = below(&run->schedule, (unsigned)left);
    int next = 0;
    while (run->ended[next] || choice-- > 0)
        next++;
    run->turn = next;
    pthread_cond_broadcast(&run->changed);
}

/* Around each call: wait for the turn, and give it away. */
static void take_turn(struct worker *worker) {
    struct run *run = worker->run;
    if (!run->scheduled)
        return;
    pthread_mutex_lock(&run->mutex);
    while (run->turn != worker->number)
        pthread_cond_wait(&run->changed, &run->mutex);
    pthread_mutex_unlock(&run->mutex);
}

static void give_turn(struct worker *worker) {
    struct run *run = worker->run;
    pthread_mutex_lock(&run->mutex);
    if (run->scheduled)
        pass_turn(run);
    pthread_mutex_unlock(&run->mutex);
}

static void complain(struct worker *worker, const char *what) {
    struct run *run = worker->run;
    pthread_mutex_lock(&run->mutex);
    if (run->problem[0] == '\0')
        snprintf(run->problem, sizeof run->problem, "%s: %.200s", what, worker->err.text);
    pthread_mutex_unlock(&run->mutex);
    worker->over = true;
}

/* A transaction that cannot go on has rolled back, or is rolled back now. */
static void judge(struct worker *worker, const char *what, enum wf_status status) {
    if (status == WF_OK)
        return;
    if (status != WF_CONFLICT)
        complain(worker, what);
    worker->over = true;
    (void)wf_session_rollback(worker->session, NULL);
}

/* --- what a transaction does --- */

static struct history_step *add_step(struct worker *worker, enum history_step_kind kind) {
    struct history_step *step = &worker->t->steps[worker->t->step_count++];
    step->kind = kind;
    return step;
}

static int64_t minor(const char *balance) {
    return (int64_t)strtoll(balance, NULL, 10); /* whole dollars only */
}

static void see(struct history_seen *seen, const struct wf_account *account) {
    *seen = (struct history_seen){true, account->lsn, minor(account->balance)};
}

static void read_one(struct worker *worker) {
    char name[32];
    struct wf_account *account = NULL;
    int which = (int)below(&worker->random, HISTORY_ACCOUNTS);
    name_account(name, worker->run->number, which);
    enum wf_status status = wf_session_account(worker->session, name, &account, &worker->err);
    judge(worker, "read", status);
    if (status != WF_OK)
        return;
    struct history_step *step = add_step(worker, HISTORY_READ);
    step->account = which;
    see(&step->seen[which], account);
    wf_account_free(account);
}

static bool see_one(void *ctx, const struct wf_account *account) {
    struct history_step *step = ctx;
    see(&step->seen[account->number[strlen(account->number) - 1] - '0'], account);
    return true;
}

static void scan(struct worker *worker) {
    char prefix[32], least[16];
    struct history_step found = {.kind = HISTORY_SCAN, .least = 50 + below(&worker->random, 100)};
    name_account(prefix, worker->run->number, 0);
    prefix[strlen(prefix) - 1] = '\0';
    snprintf(least, sizeof least, "%" PRId64 ".00", found.least);
    const struct wf_account_filter filter = {
        .prefix = prefix, .currency = "USD", .balance_min = least};
    enum wf_status status =
        wf_session_list(worker->session, &filter, see_one, &found, &worker->err);
    judge(worker, "scan", status);
    if (status == WF_OK)
        *add_step(worker, HISTORY_SCAN) = found;
}

static void transfer(struct worker *worker) {
    char from[32], to[32], amount[16];
    int giver = (int)below(&worker->random, HISTORY_ACCOUNTS);
    int taker = (giver + 1 + (int)below(&worker->random, HISTORY_ACCOUNTS - 1)) % HISTORY_ACCOUNTS;
    int64_t dollars = 1 + below(&worker->random, 60);
    name_account(from, worker->run->number, giver);
    name_account(to, worker->run->number, taker);
    snprintf(amount, sizeof amount, "%" PRId64 ".00", dollars);
    const struct wf_operation operation = {
        .type = "transfer", .from = from, .to = to, .amount = amount, .currency = "USD"};
    enum wf_status status = wf_session_execute(worker->session, &operation, 1, NULL, &worker->err);
    if (status == WF_REFUSED)
        return; /* not enough there */
    judge(worker, "transfer", status);
    if (status != WF_OK)
        return;
    struct history_step *step = add_step(worker, HISTORY_WRITE);
    step->amounts[giver] = -dollars;
    step->amounts[taker] = dollars;
    worker->t->wrote[giver] = worker->t->wrote[taker] = true;
}

static void sum_writes(const struct history_transaction *t, int64_t sums[HISTORY_ACCOUNTS]) {
    memset(sums, 0, HISTORY_ACCOUNTS * sizeof sums[0]);
    for (size_t i = 0; i < t->step_count; i++)
        for (int j = 0; t->steps[i].kind == HISTORY_WRITE && j < HISTORY_ACCOUNTS; j++)
            sums[j] += t->steps[i].amounts[j];
}

static void savepoint(struct worker *worker) {
    judge(worker, "savepoint", wf_session_savepoint(worker->session, "s", &worker->err));
    sum_writes(worker->t, worker->kept);
    memcpy(worker->kept_wrote, worker->t->wrote, sizeof worker->kept_wrote);
}

/* As a write that takes all back. */
static void roll_back_to(struct worker *worker) {
    enum wf_status status = wf_session_rollback_to(worker->session, "s", &worker->err);
    if (status == WF_NOT_FOUND)
        return;
    judge(worker, "rollback to", status);
    int64_t sums[HISTORY_ACCOUNTS];
    sum_writes(worker->t, sums);
    struct history_step *step = add_step(worker, HISTORY_WRITE);
    for (int i = 0; i < HISTORY_ACCOUNTS; i++)
        step->amounts[i] = worker->kept[i] - sums[i];
    memcpy(worker->t->wrote, worker->kept_wrote, sizeof worker->kept_wrote);
}

static void do_call(struct worker *worker) {
    unsigned choice = below(&worker->random, 100);
    if (choice < 35)
        read_one(worker);
    else if (choice < 50)
        scan(worker);
    else if (choice < 90)
        transfer(worker);
    else if (choice < 95)
        savepoint(worker);
    else
        roll_back_to(worker);
}

static void end(struct worker *worker) {
    struct wf_result result;
    if (below(&worker->random, 10) == 0) {
        judge(worker, "roll back", wf_session_rollback(worker->session, &worker->err));
        return;
    }
    enum wf_status status = wf_session_commit(worker->session, NULL, NULL, &result, &worker->err);
    if (status == WF_OK) {
        worker->t->committed = true;
        worker->t->lsn = result.lsn;
    } else if (status != WF_CONFLICT && status != WF_REFUSED) {
        complain(worker, "commit");
    }
}

static enum wf_isolation choose_level(struct worker *worker) {
    unsigned level = worker->run->level == LEVELS - 1 ? below(&worker->random, LEVELS - 1)
                                                      : (unsigned)worker->run->level;
    return levels[level];
}

static void transact(struct worker *worker) {
    struct run *run = worker->run;
    struct wf_session_info info;
    take_turn(worker);
    worker->over = false;
    worker->t->isolation = choose_level(worker);
    worker->t->begin = atomic_fetch_add(&run->clock, 1);
    if (wf_session_begin(worker->session, worker->t->isolation, &worker->err) != WF_OK)
        complain(worker, "begin");
    wf_session_info_get(worker->session, &info);
    worker->t->snapshot_lsn = info.snapshot_lsn;
    give_turn(worker);
    unsigned calls = 1 + below(&worker->random, CALLS_MAX);
    for (unsigned i = 0; i < calls && !worker->over; i++) {
        take_turn(worker);
        do_call(worker);
        give_turn(worker);
    }
    take_turn(worker);
    if (!worker->over)
        end(worker);
    worker->t->end = atomic_fetch_add(&run->clock, 1);
    give_turn(worker);
}

static void *work(void *ctx) {
    struct worker *worker = ctx;
    struct run *run = worker->run;
    take_turn(worker);
    if (wf_pool_acquire(run->pool, &worker->session, &worker->err) != WF_OK)
        complain(worker, "acquire");
    give_turn(worker);
    for (int i = 0; i < TRANSACTIONS && worker->session != NULL; i++) {
        worker->t = &run->history.transactions[worker->number * TRANSACTIONS + i];
        transact(worker);
    }
    take_turn(worker);
    wf_session_release(worker->session);
    pthread_mutex_lock(&run->mutex);
    run->ended[worker->number] = true;
    if (run->scheduled)
        pass_turn(run);
    pthread_mutex_unlock(&run->mutex);
    return NULL;
}

/* --- around it --- */

static void open_accounts(struct run *run) {
    struct wf_error err;
    for (int i = 0; i < HISTORY_ACCOUNTS; i++) {
        char name[32];
        struct wf_result result;
        name_account(name, run->number, i);
        const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                           .id = name,
                                           .type = "checking",
                                           .currency = "USD",
                                           .amount = "100.00"};
        if (wf_execute(run->engine, &command, &result, &err) != WF_OK)
            fail_msg("open: %s", err.text);
        run->history.first_lsn[i] = result.lsn;
        run->history.first_balance[i] = BALANCE;
    }
}

static void run_threads(struct run *run) {
    struct worker workers[THREADS];
    run->history.count = THREADS * TRANSACTIONS;
    pthread_mutex_init(&run->mutex, NULL);
    pthread_cond_init(&run->changed, NULL);
    run->turn = (int)below(&run->schedule, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i] =
            (struct worker){.run = run,
                            .number = i,
                            .random = run->seed + (uint64_t)i * UINT64_C(0x5851F42D4C957F2D)};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->mutex);
}

/* The accounts hold what the committed transactions come to. */
static bool check_end(struct run *run, char text[HISTORY_TEXT_MAX]) {
    int64_t balances[HISTORY_ACCOUNTS];
    history_end(&run->history, balances);
    for (int i = 0; i < HISTORY_ACCOUNTS; i++) {
        char name[32];
        struct wf_account *account = NULL;
        name_account(name, run->number, i);
        if (wf_account_get(run->engine, name, &account, NULL) != WF_OK)
            return false;
        int64_t balance = minor(account->balance);
        wf_account_free(account);
        if (balance != balances[i]) {
            snprintf(text, HISTORY_TEXT_MAX,
                     "account %d holds %" PRId64 ", and what was committed comes to %" PRId64, i,
                     balance, balances[i]);
            return false;
        }
    }
    return true;
}

/* --- many of them --- */

struct campaign {
    uint64_t seed, histories, only;
    uint64_t fingerprint;
    uint64_t by_level[LEVELS], not_serializable[LEVELS];
    uint64_t committed, not_committed;
};

/* Positions in the log belong to a run of many: only differences are part of the fingerprint. */
static void add_to_fingerprint(struct campaign *campaign, const struct history *h) {
    for (size_t i = 0; i < h->count; i++) {
        const struct history_transaction *t = &h->transactions[i];
        uint64_t words[4 + HISTORY_STEPS_MAX] = {campaign->fingerprint, t->committed,
                                                 t->lsn == 0 ? 0 : t->lsn - h->first_lsn[0],
                                                 (uint64_t)t->isolation << 32 | t->step_count};
        for (size_t s = 0; s < t->step_count; s++)
            words[4 + s] =
                table_hash(t->steps[s].amounts, sizeof t->steps[s].amounts) ^ t->steps[s].kind;
        campaign->fingerprint = table_hash(words, sizeof words);
    }
}

static void run_history(struct campaign *campaign, struct engine_fixture *f, struct wf_pool *pool,
                        uint64_t number, bool scheduled) {
    static struct run run;
    char text[HISTORY_TEXT_MAX];
    memset(&run, 0, sizeof run);
    run.engine = f->engine;
    run.pool = pool;
    run.number = number;
    run.scheduled = scheduled;
    run.level = (int)(number % LEVELS);
    uint64_t mix = campaign->seed ^ number * UINT64_C(0x2545F4914F6CDD1D);
    run.seed = next_random(&mix);
    run.schedule = next_random(&mix);
    open_accounts(&run);
    run_threads(&run);
    bool good = run.problem[0] == '\0';
    snprintf(text, sizeof text, "%s", run.problem);
    good = good && history_check(&run.history, text) && check_end(&run, text);
    if (!good) {
        history_print(&run.history);
        fail_msg("SEED=%" PRIu64 " HISTORY=%" PRIu64 " (%s): %s", campaign->seed, number,
                 scheduled ? "scheduled" : "free", text);
    }
    campaign->by_level[run.level]++;
    campaign->not_serializable[run.level] += !history_is_serializable(&run.history, text);
    for (size_t i = 0; i < run.history.count; i++) {
        campaign->committed += run.history.transactions[i].committed;
        campaign->not_committed += !run.history.transactions[i].committed;
    }
    if (scheduled)
        add_to_fingerprint(campaign, &run.history);
}

static bool is_free(uint64_t number) {
    return number / LEVELS % FREE_EVERY == FREE_EVERY - 1;
}

static void run_all(struct campaign *campaign, bool scheduled) {
    static struct engine_fixture f;
    struct wf_pool_options options;
    struct wf_pool *pool = NULL;
    if (scheduled)
        fixture_prepare_sim(&f);
    else
        fixture_prepare_disk(&f);
    /* Accounts leave memory and come back, snapshots are written beside the work. */
    f.options.memory_max = 128 << 10;
    f.options.snapshot_log_bytes = 100 << 10;
    f.options.background_snapshots = !scheduled;
    fixture_open(&f);
    wf_pool_options_init(&options);
    options.sessions_min = 1;
    options.sessions_max = THREADS;
    options.transaction_timeout_ms = 0;
    assert_int_equal(wf_pool_open(f.engine, &options, &pool, &f.err), WF_OK);
    for (uint64_t i = 0; i < campaign->histories; i++)
        if (is_free(i) != scheduled && (campaign->only == UINT64_MAX || campaign->only == i))
            run_history(campaign, &f, pool, i, scheduled);
    assert_int_equal(f.engine->versions.bytes, 0);
    assert_true(f.engine->counters.evictions > 0 || campaign->histories < HISTORIES);
    assert_int_equal(wf_pool_close(pool, &f.err), WF_OK);
    struct wf_account_report report;
    if (wf_account_check(f.engine, &report, &f.err) != WF_OK)
        fail_msg("%s", f.err.text);
    fixture_verify(&f);
    fixture_deinit(&f);
}

static uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static struct campaign campaign;

static void test_histories_that_are_scheduled(void **state) {
    (void)state;
    run_all(&campaign, true);
}

static void test_histories_that_run_freely(void **state) {
    (void)state;
    run_all(&campaign, false);
}

/* What the weaker levels let happen does happen, and the checker sees it. */
static void test_histories_of_weaker_levels_are_not_serializable(void **state) {
    (void)state;
    if (campaign.only != UINT64_MAX || campaign.histories < HISTORIES)
        return;
    assert_true(campaign.not_serializable[0] > 0);
    assert_true(campaign.not_serializable[1] > 0);
    assert_int_equal(campaign.not_serializable[2], 0);
    assert_true(campaign.not_serializable[3] > 0);
    assert_true(campaign.not_serializable[0] < campaign.by_level[0]);
    assert_true(campaign.not_committed > campaign.committed / 20);
}

int main(void) {
    const char *is_long = getenv("WF_TEST_LONG");
    campaign.seed = setting("SEED", (uint64_t)time(NULL));
    campaign.only = setting("HISTORY", UINT64_MAX);
    campaign.histories =
        setting("HISTORIES", is_long != NULL && is_long[0] != '\0' ? HISTORIES_LONG : HISTORIES);
    if (campaign.only != UINT64_MAX && campaign.only >= campaign.histories)
        campaign.histories = campaign.only + 1;
    printf("SEED=%" PRIu64 "\n", campaign.seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories_that_are_scheduled),
        cmocka_unit_test(test_histories_that_run_freely),
        cmocka_unit_test(test_histories_of_weaker_levels_are_not_serializable),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const names[LEVELS] = {"READ_COMMITTED", "SNAPSHOT", "SERIALIZABLE",
                                              "mixed"};
    for (int i = 0; i < LEVELS; i++)
        printf("%" PRIu64 " histories %s, %" PRIu64 " of them not serializable\n",
               campaign.by_level[i], names[i], campaign.not_serializable[i]);
    printf("%" PRIu64 " transactions committed, %" PRIu64 " not\n", campaign.committed,
           campaign.not_committed);
    printf("fingerprint %016" PRIx64 "\n", campaign.fingerprint);
    return result;
}
