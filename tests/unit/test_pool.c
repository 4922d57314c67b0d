/* The pool of sessions: its bounds, who is served first, what is closed when, what it counts. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SESSIONS = 8 };

static struct wf_pool_options small(size_t least, size_t most) {
    struct wf_pool_options options;
    wf_pool_options_init(&options);
    options.sessions_min = least;
    options.sessions_max = most;
    options.background = false;
    return options;
}

static struct wf_pool *open_pool(struct engine_fixture *f, const struct wf_pool_options *options) {
    struct wf_pool *pool = NULL;
    must(f, wf_pool_open(f->engine, options, &pool, &f->err));
    return pool;
}

static struct wf_pool_stats stats_of(struct wf_pool *pool) {
    struct wf_pool_stats stats;
    wf_pool_stats_get(pool, &stats);
    return stats;
}

static struct wf_session *acquire(struct engine_fixture *f, struct wf_pool *pool) {
    struct wf_session *session = NULL;
    must(f, wf_pool_acquire(pool, &session, &f->err));
    return session;
}

static void close_pool(struct engine_fixture *f, struct wf_pool *pool) {
    must(f, wf_pool_close(pool, &f->err));
}

static void test_pool_has_the_defaults_of_the_bank(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options;
    wf_pool_options_init(&options);
    assert_int_equal(options.acquire_timeout_ms, 30000);
    assert_int_equal(options.create_timeout_ms, 30000);
    assert_int_equal(options.idle_timeout_ms, 300000);
    struct wf_pool *pool = open_pool(f, NULL);
    struct wf_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.sessions_min, 5);
    assert_int_equal(stats.sessions_max, 50);
    assert_int_equal(stats.idle, 5);
    assert_int_equal(stats.created, 5);
    close_pool(f, pool);
}

static void test_pool_makes_sessions_up_to_its_maximum(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(1, 3);
    options.acquire_timeout_ms = 5;
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *sessions[3], *none;
    for (int i = 0; i < 3; i++)
        sessions[i] = acquire(f, pool);
    assert_int_equal(stats_of(pool).in_use, 3);
    assert_int_equal(wf_pool_acquire(pool, &none, &f->err), WF_TIMED_OUT);
    assert_null(none);
    assert_non_null(strstr(f->err.text, "all 3 sessions"));
    struct wf_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.timed_out, 1);
    assert_int_equal(stats.waiting, 0);
    assert_true(stats.longest_wait_ns >= 5000000);
    for (int i = 0; i < 3; i++)
        wf_session_release(sessions[i]);
    stats = stats_of(pool);
    assert_int_equal(stats.idle, 3);
    assert_int_equal(stats.in_use, 0);
    assert_int_equal(stats.peak, 3);
    assert_int_equal(stats.acquired, 3);
    assert_int_equal(stats.created, 3);
    close_pool(f, pool);
}

static void test_pool_lends_the_session_used_last(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(2, 2);
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *one = acquire(f, pool), *other = acquire(f, pool);
    wf_session_release(other);
    wf_session_release(one);
    assert_ptr_equal(acquire(f, pool), one);
    assert_ptr_equal(acquire(f, pool), other);
    wf_session_release(one);
    wf_session_release(other);
    close_pool(f, pool);
}

static void test_pool_that_is_in_use_is_not_closed(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(0, 2);
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *session = acquire(f, pool);
    assert_int_equal(wf_pool_close(pool, &f->err), WF_REFUSED);
    wf_session_release(session);
    close_pool(f, pool);
    must(f, wf_pool_close(NULL, &f->err));
    wf_session_release(NULL);
}

static void test_pool_refuses_options_that_make_no_sense(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool *pool;
    struct wf_pool_options options = small(3, 2);
    assert_int_equal(wf_pool_open(f->engine, &options, &pool, &f->err), WF_USAGE);
    options = small(0, 0);
    assert_int_equal(wf_pool_open(f->engine, &options, &pool, &f->err), WF_USAGE);
    options = small(0, 1);
    options.idle_timeout_ms = -1;
    assert_int_equal(wf_pool_open(f->engine, &options, &pool, &f->err), WF_USAGE);
    options = small(0, 1);
    options.isolation = (enum wf_isolation)4;
    assert_int_equal(wf_pool_open(f->engine, &options, &pool, &f->err), WF_USAGE);
    options = small(0, 1);
    options.size = 1;
    assert_int_equal(wf_pool_open(f->engine, &options, &pool, &f->err), WF_USAGE);
}

static void test_pool_closes_what_is_idle_for_too_long(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(1, SESSIONS);
    options.idle_timeout_ms = 30;
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *sessions[SESSIONS];
    for (int i = 0; i < SESSIONS; i++)
        sessions[i] = acquire(f, pool);
    for (int i = 0; i < SESSIONS; i++)
        wf_session_release(sessions[i]);
    assert_int_equal(stats_of(pool).idle, SESSIONS);
    usleep(40000);
    wf_pool_tidy(pool);
    struct wf_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.idle, 1);
    assert_int_equal(stats.closed, SESSIONS - 1);
    /* Those that are in use are not idle. */
    struct wf_session *session = acquire(f, pool);
    usleep(40000);
    wf_pool_tidy(pool);
    assert_int_equal(stats_of(pool).in_use, 1);
    wf_session_release(session);
    close_pool(f, pool);
}

static void test_pool_thread_closes_what_is_idle_by_itself(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(0, 2);
    options.idle_timeout_ms = 10;
    options.background = true;
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *one = acquire(f, pool), *other = acquire(f, pool);
    wf_session_release(one);
    wf_session_release(other);
    for (int i = 0; i < 2000 && stats_of(pool).closed < 2; i++)
        usleep(1000);
    assert_int_equal(stats_of(pool).closed, 2);
    assert_int_equal(stats_of(pool).idle, 0);
    close_pool(f, pool);
}

static void test_pool_session_that_cannot_be_made_in_time_is_told(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(0, 1);
    options.create_timeout_ms = 5;
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *session;
    pthread_mutex_lock(&f->engine->mutex);
    assert_int_equal(wf_pool_acquire(pool, &session, &f->err), WF_TIMED_OUT);
    pthread_mutex_unlock(&f->engine->mutex);
    assert_null(session);
    assert_int_equal(stats_of(pool).create_failures, 1);
    /* Its room is free again. */
    session = acquire(f, pool);
    wf_session_release(session);
    close_pool(f, pool);
}

/* --- waiting --- */

struct waiter {
    struct wf_pool *pool;
    pthread_t thread;
    enum wf_status status;
    struct wf_session *session;
    _Atomic int *turns;
    int turn; /* when it was served */
};

static void *wait_for_session(void *ctx) {
    struct waiter *waiter = ctx;
    waiter->status = wf_pool_acquire(waiter->pool, &waiter->session, NULL);
    waiter->turn = atomic_fetch_add(waiter->turns, 1);
    if (waiter->status == WF_OK)
        wf_session_release(waiter->session);
    return NULL;
}

static void await_waiting(struct wf_pool *pool, size_t count) {
    for (int i = 0; i < 5000 && stats_of(pool).waiting != count; i++)
        usleep(1000);
    assert_int_equal(stats_of(pool).waiting, count);
}

static void test_pool_serves_those_who_wait_in_turn(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(1, 1);
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *session = acquire(f, pool);
    struct waiter waiters[SESSIONS];
    _Atomic int turns = 0;
    for (size_t i = 0; i < SESSIONS; i++) {
        waiters[i] = (struct waiter){.pool = pool, .turns = &turns};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_session, &waiters[i]),
                         0);
        await_waiting(pool, i + 1);
    }
    wf_session_release(session); /* each hands it on to the next */
    for (int i = 0; i < SESSIONS; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].status, WF_OK);
        assert_int_equal(waiters[i].turn, i);
    }
    struct wf_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.waited, SESSIONS);
    assert_int_equal(stats.acquired, SESSIONS + 1);
    assert_int_equal(stats.peak, 1);
    assert_int_equal(stats.created, 1);
    close_pool(f, pool);
}

static void test_pool_waiter_that_gave_up_is_passed_over(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(1, 1);
    options.acquire_timeout_ms = 60;
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *session = acquire(f, pool);
    struct waiter first = {.pool = pool}, second = {.pool = pool};
    _Atomic int turns = 0;
    first.turns = second.turns = &turns;
    assert_int_equal(pthread_create(&first.thread, NULL, wait_for_session, &first), 0);
    await_waiting(pool, 1);
    usleep(40000);
    assert_int_equal(pthread_create(&second.thread, NULL, wait_for_session, &second), 0);
    pthread_join(first.thread, NULL);
    assert_int_equal(first.status, WF_TIMED_OUT);
    wf_session_release(session);
    pthread_join(second.thread, NULL);
    assert_int_equal(second.status, WF_OK);
    close_pool(f, pool);
}

static void test_pool_that_somebody_waits_for_lets_nobody_overtake(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(1, 1);
    struct wf_pool *pool = open_pool(f, &options);
    struct wf_session *session = acquire(f, pool);
    struct waiter waiter = {.pool = pool};
    _Atomic int turns = 0;
    waiter.turns = &turns;
    assert_int_equal(pthread_create(&waiter.thread, NULL, wait_for_session, &waiter), 0);
    await_waiting(pool, 1);
    wf_session_release(session);
    session = acquire(f, pool); /* only once the one before has had it */
    assert_int_equal(atomic_load(&turns), 1);
    pthread_join(waiter.thread, NULL);
    wf_session_release(session);
    close_pool(f, pool);
}

static enum wf_status open_account(struct engine_fixture *f, const char *number) {
    const struct wf_command command = {
        .kind = WF_ACCOUNT_OPEN, .id = number, .type = "checking", .currency = "USD"};
    return wf_execute(f->engine, &command, NULL, &f->err);
}

static void test_pool_that_is_open_keeps_the_engine_open(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool_options options = small(1, 1);
    struct wf_pool *one = open_pool(f, &options);
    options.background = true;
    struct wf_pool *other = open_pool(f, &options);
    struct wf_session *session = acquire(f, one);
    const struct wf_operation operation = {
        .type = "account_open", .account = "B", .account_type = "savings", .currency = "USD"};
    must(f, wf_session_begin(session, WF_SNAPSHOT, &f->err));
    must(f, wf_session_execute(session, &operation, 1, NULL, &f->err));
    assert_int_equal(wf_close(f->engine, &f->err), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "2 open pools of sessions: close them first"));
    must(f, open_account(f, "A")); /* everything goes on */
    must(f, wf_session_commit(session, NULL, NULL, NULL, &f->err));
    wf_session_release(session);
    close_pool(f, other);
    assert_int_equal(wf_close(f->engine, NULL), WF_REFUSED);
    must(f, open_account(f, "C"));
    close_pool(f, one);
    fixture_close(f);
    fixture_open(f);
    struct wf_account *account;
    must(f, wf_account_get(f->engine, "B", &account, &f->err));
    wf_account_free(account);
}

/* One that could not be made does not count. */
static void test_pool_that_failed_lets_the_engine_close(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pool *pool;
    struct wf_pool_options options = small(2, 1);
    assert_int_equal(wf_pool_open(f->engine, &options, &pool, &f->err), WF_USAGE);
    fixture_close(f);
    fixture_open(f);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_sim, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_pool_has_the_defaults_of_the_bank),
        TEST(test_pool_makes_sessions_up_to_its_maximum),
        TEST(test_pool_lends_the_session_used_last),
        TEST(test_pool_that_is_in_use_is_not_closed),
        TEST(test_pool_refuses_options_that_make_no_sense),
        TEST(test_pool_closes_what_is_idle_for_too_long),
        TEST(test_pool_thread_closes_what_is_idle_by_itself),
        TEST(test_pool_session_that_cannot_be_made_in_time_is_told),
        TEST(test_pool_serves_those_who_wait_in_turn),
        TEST(test_pool_waiter_that_gave_up_is_passed_over),
        TEST(test_pool_that_somebody_waits_for_lets_nobody_overtake),
        TEST(test_pool_that_is_open_keeps_the_engine_open),
        TEST(test_pool_that_failed_lets_the_engine_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
