/* A pool of sessions: lent out, waited for in turn, closed when they are idle for too long.
 *
 * Whoever finds neither an idle session nor room for a new one puts a ticket at the end of a queue
 * and sleeps on it. A release serves the first ticket, so that nobody who comes later overtakes:
 * while there is a queue, new callers join it. The room of a session that could not be made is
 * passed on in the same way. */
#include "engine/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SESSIONS_MAX = 10000,
    OVERDUE_LOOK_MS = 1000, /* how often the thread looks at transactions */
};

#define TIMEOUT_MAX_MS (INT64_C(1000) * 60 * 60 * 24 * 365)

/* One call that waits; lives on its stack. */
struct ticket {
    struct ticket *next;
    pthread_cond_t served;
    struct wf_session *session; /* handed over */
    bool may_create;            /* the room for a new one was handed over */
};

struct wf_pool {
    struct wf_engine *engine;
    struct wf_pool_options options;
    pthread_mutex_t mutex; /* guards everything below; taken before the engine's */
    struct ticket *first, *last;
    struct wf_session **idle; /* the one used last at the end; room for all */
    size_t idle_count;
    size_t total;    /* sessions, those that are being made included */
    size_t creating; /* of these */
    struct wf_pool_stats stats;
    pthread_cond_t changed; /* for the thread */
    bool running, stopping;
    pthread_t thread;
};

void wf_pool_options_init(struct wf_pool_options *options) {
    *options = (struct wf_pool_options){
        .size = sizeof(*options),
        .sessions_min = 5,
        .sessions_max = 50,
        .acquire_timeout_ms = INT64_C(30) * 1000,
        .create_timeout_ms = INT64_C(30) * 1000,
        .idle_timeout_ms = INT64_C(5) * 60 * 1000,
        .transaction_timeout_ms = INT64_C(300) * 1000,
        .isolation = WF_READ_COMMITTED,
        .background = true,
    };
}

/* --- time --- */

static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct timespec time_at(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
}

static bool make_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    bool ok = pthread_cond_init(condition, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return ok;
}

/* --- the queue; the mutex is held --- */

static void join_queue(struct wf_pool *pool, struct ticket *ticket) {
    if (pool->last == NULL) {
        pool->first = ticket;
    } else {
        pool->last->next = ticket;
    }
    pool->last = ticket;
    pool->stats.waiting++;
}

static struct ticket *serve_first(struct wf_pool *pool) {
    struct ticket *ticket = pool->first;
    pool->first = ticket->next;
    if (pool->first == NULL) {
        pool->last = NULL;
    }
    pool->stats.waiting--;
    return ticket;
}

static void leave_queue(struct wf_pool *pool, const struct ticket *ticket) {
    struct ticket *before = NULL;
    for (struct ticket *at = pool->first; at != ticket; at = at->next) {
        before = at;
    }
    if (before == NULL) {
        pool->first = ticket->next;
    } else {
        before->next = ticket->next;
    }
    if (pool->last == ticket) {
        pool->last = before;
    }
    pool->stats.waiting--;
}

/* --- idle ones --- */

/* When the one that is idle longest is to be closed; 0: never. */
static uint64_t idle_deadline_ns(const struct wf_pool *pool) {
    if (pool->options.idle_timeout_ms == 0 || pool->idle_count == 0 ||
        pool->total <= pool->options.sessions_min) {
        return 0;
    }
    return pool->idle[0]->idle_since_ns + (uint64_t)pool->options.idle_timeout_ms * 1000000;
}

/* Out of the pool, or NULL: none is idle for too long. */
static struct wf_session *take_idle_too_long(struct wf_pool *pool) {
    uint64_t deadline_ns = idle_deadline_ns(pool);
    if (deadline_ns == 0 || now_ns() < deadline_ns) {
        return NULL;
    }
    struct wf_session *session = pool->idle[0];
    pool->idle_count--;
    memmove(pool->idle, pool->idle + 1, pool->idle_count * sizeof(struct wf_session *));
    pool->total--;
    pool->stats.closed++;
    return session;
}

/* The mutex is given up meanwhile: the engine may be busy. */
static void close_idle(struct wf_pool *pool) {
    for (struct wf_session *session; (session = take_idle_too_long(pool)) != NULL;) {
        pthread_mutex_unlock(&pool->mutex);
        session_destroy(session);
        pthread_mutex_lock(&pool->mutex);
    }
}

/* --- sessions in and out --- */

static void count_use(struct wf_pool *pool) {
    pool->stats.acquired++;
    size_t in_use = pool->total - pool->creating - pool->idle_count;
    if (in_use > pool->stats.peak) {
        pool->stats.peak = in_use;
    }
}

/* Room for one was taken in pool->total and pool->creating. The mutex is held, and given up
 * meanwhile. */
static enum wf_status create_session(struct wf_pool *pool, struct wf_session **out,
                                     struct wf_error *err) {
    pthread_mutex_unlock(&pool->mutex);
    enum wf_status status = session_create(pool->engine, pool->options.create_timeout_ms, out, err);
    pthread_mutex_lock(&pool->mutex);
    if (status == WF_OK) {
        (*out)->pool = pool;
        (*out)->transaction_timeout_ms = pool->options.transaction_timeout_ms;
        session_reset(*out, pool->options.isolation);
        pool->creating--;
        pool->stats.created++;
        return WF_OK;
    }
    pool->stats.create_failures++;
    if (pool->first != NULL) {
        struct ticket *ticket = serve_first(pool);
        ticket->may_create = true;
        pthread_cond_signal(&ticket->served);
    } else {
        pool->total--;
        pool->creating--;
    }
    return status;
}

/* Sleep until served. WF_TIMED_OUT: nobody did. The mutex is held. */
static enum wf_status wait_in_queue(struct wf_pool *pool, struct ticket *ticket,
                                    struct wf_error *err) {
    uint64_t start_ns = now_ns();
    struct timespec deadline =
        time_at(start_ns + (uint64_t)pool->options.acquire_timeout_ms * 1000000);
    join_queue(pool, ticket);
    int result = 0;
    while (ticket->session == NULL && !ticket->may_create && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&ticket->served, &pool->mutex, &deadline);
    }
    uint64_t waited_ns = now_ns() - start_ns;
    if (waited_ns > pool->stats.longest_wait_ns) {
        pool->stats.longest_wait_ns = waited_ns;
    }
    if (ticket->session != NULL || ticket->may_create) {
        pool->stats.waited++;
        return WF_OK;
    }
    leave_queue(pool, ticket);
    pool->stats.timed_out++;
    return error_set(err, WF_TIMED_OUT,
                     "all %zu sessions of the pool are in use, and none was given back within "
                     "%" PRId64 " ms",
                     pool->options.sessions_max, pool->options.acquire_timeout_ms);
}

static enum wf_status acquire_in_turn(struct wf_pool *pool, struct wf_session **out,
                                      struct wf_error *err) {
    struct ticket ticket = {0};
    if (!make_condition(&ticket.served)) {
        return error_set(err, WF_NO_MEMORY, "no memory to wait for a session");
    }
    enum wf_status status = wait_in_queue(pool, &ticket, err);
    (void)pthread_cond_destroy(&ticket.served);
    *out = ticket.session;
    return status == WF_OK && ticket.may_create ? create_session(pool, out, err) : status;
}

enum wf_status wf_pool_acquire(struct wf_pool *pool, struct wf_session **out,
                               struct wf_error *err) {
    enum wf_status status = WF_OK;
    *out = NULL;
    pthread_mutex_lock(&pool->mutex);
    close_idle(pool);
    if (pool->first == NULL && pool->idle_count > 0) {
        *out = pool->idle[--pool->idle_count];
    } else if (pool->first == NULL && pool->total < pool->options.sessions_max) {
        pool->total++;
        pool->creating++;
        status = create_session(pool, out, err);
    } else {
        status = acquire_in_turn(pool, out, err);
    }
    if (status == WF_OK) {
        count_use(pool);
        pthread_cond_signal(&pool->changed);
    }
    pthread_mutex_unlock(&pool->mutex);
    return status;
}

void wf_session_release(struct wf_session *session) {
    if (session == NULL) {
        return;
    }
    struct wf_pool *pool = session->pool;
    session_reset(session, pool->options.isolation);
    pthread_mutex_lock(&pool->mutex);
    if (pool->first != NULL) {
        struct ticket *ticket = serve_first(pool);
        ticket->session = session;
        pthread_cond_signal(&ticket->served);
    } else {
        session->idle_since_ns = now_ns();
        pool->idle[pool->idle_count++] = session;
        pthread_cond_signal(&pool->changed);
    }
    pthread_mutex_unlock(&pool->mutex);
}

void wf_pool_tidy(struct wf_pool *pool) {
    sessions_give_up_overdue(pool->engine);
    pthread_mutex_lock(&pool->mutex);
    close_idle(pool);
    pthread_mutex_unlock(&pool->mutex);
}

static void *look_after(void *ctx) {
    struct wf_pool *pool = ctx;
    pthread_mutex_lock(&pool->mutex);
    while (!pool->stopping) {
        close_idle(pool);
        pthread_mutex_unlock(&pool->mutex);
        sessions_give_up_overdue(pool->engine);
        pthread_mutex_lock(&pool->mutex);
        if (pool->stopping) {
            break;
        }
        uint64_t wake_ns = idle_deadline_ns(pool);
        if (pool->total > pool->idle_count) {
            uint64_t look_ns = now_ns() + (uint64_t)OVERDUE_LOOK_MS * 1000000;
            wake_ns = wake_ns == 0 || look_ns < wake_ns ? look_ns : wake_ns;
        }
        struct timespec wake = time_at(wake_ns);
        if (wake_ns == 0) {
            pthread_cond_wait(&pool->changed, &pool->mutex);
        } else {
            pthread_cond_timedwait(&pool->changed, &pool->mutex, &wake);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* --- the pool --- */

static bool is_timeout(int64_t ms) {
    return ms >= 0 && ms <= TIMEOUT_MAX_MS;
}

static enum wf_status check_options(const struct wf_pool_options *options, struct wf_error *err) {
    if (options->size != sizeof(*options)) {
        return error_set(err, WF_USAGE, "the options were not made by wf_pool_options_init()");
    }
    if (options->sessions_max == 0 || options->sessions_max > SESSIONS_MAX ||
        options->sessions_min > options->sessions_max) {
        return error_set(err, WF_USAGE,
                         "a pool has 1 to %d sessions at most, and not more at least than at most: "
                         "%zu to %zu",
                         SESSIONS_MAX, options->sessions_min, options->sessions_max);
    }
    if (!is_timeout(options->acquire_timeout_ms) || !is_timeout(options->create_timeout_ms) ||
        !is_timeout(options->idle_timeout_ms) || !is_timeout(options->transaction_timeout_ms)) {
        return error_set(err, WF_USAGE, "a timeout of a pool is from 0 to a year");
    }
    if (wf_isolation_name(options->isolation) == NULL) {
        return error_set(err, WF_USAGE, "there is no isolation level %d", (int)options->isolation);
    }
    return WF_OK;
}

/* The engine does not close while there is one. */
static void count_pool(struct wf_engine *engine, bool open) {
    pthread_mutex_lock(&engine->mutex);
    engine->pools = open ? engine->pools + 1 : engine->pools - 1;
    pthread_mutex_unlock(&engine->mutex);
}

static void destroy_pool(struct wf_pool *pool) {
    for (size_t i = 0; i < pool->idle_count; i++) {
        session_destroy(pool->idle[i]);
    }
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool->idle);
    free(pool);
}

static struct wf_pool *create_pool(struct wf_engine *engine,
                                   const struct wf_pool_options *options) {
    struct wf_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        return NULL;
    }
    pool->engine = engine;
    pool->options = *options;
    pool->idle = calloc(options->sessions_max, sizeof(struct wf_session *));
    if (pool->idle == NULL || !make_condition(&pool->changed)) {
        free(pool->idle);
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    return pool;
}

/* Those that there always are. Nobody else knows the pool yet. */
static enum wf_status fill_pool(struct wf_pool *pool, struct wf_error *err) {
    enum wf_status status = WF_OK;
    pthread_mutex_lock(&pool->mutex);
    while (status == WF_OK && pool->total < pool->options.sessions_min) {
        struct wf_session *session = NULL;
        pool->total++;
        pool->creating++;
        status = create_session(pool, &session, err);
        if (status == WF_OK) {
            session->idle_since_ns = now_ns();
            pool->idle[pool->idle_count++] = session;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return status;
}

enum wf_status wf_pool_open(struct wf_engine *engine, const struct wf_pool_options *options,
                            struct wf_pool **out, struct wf_error *err) {
    struct wf_pool_options defaults;
    wf_pool_options_init(&defaults);
    options = options == NULL ? &defaults : options;
    *out = NULL;
    enum wf_status status = check_options(options, err);
    if (status != WF_OK) {
        return status;
    }
    struct wf_pool *pool = create_pool(engine, options);
    if (pool == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a pool of sessions");
    }
    status = fill_pool(pool, err);
    if (status == WF_OK && options->background) {
        pool->running = thread_start(&pool->thread, look_after, pool);
        status = pool->running ? WF_OK
                               : error_set(err, WF_NO_MEMORY, "no thread for a pool of sessions");
    }
    if (status != WF_OK) {
        destroy_pool(pool);
        return status;
    }
    count_pool(engine, true);
    *out = pool;
    return WF_OK;
}

enum wf_status wf_pool_close(struct wf_pool *pool, struct wf_error *err) {
    if (pool == NULL) {
        return WF_OK;
    }
    pthread_mutex_lock(&pool->mutex);
    size_t in_use = pool->total - pool->idle_count;
    if (in_use > 0 || pool->first != NULL) {
        pthread_mutex_unlock(&pool->mutex);
        return error_set(err, WF_REFUSED, "%zu sessions of the pool are in use", in_use);
    }
    pool->stopping = true;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
    if (pool->running) {
        pthread_join(pool->thread, NULL);
    }
    count_pool(pool->engine, false);
    destroy_pool(pool);
    return WF_OK;
}

void wf_pool_stats_get(struct wf_pool *pool, struct wf_pool_stats *stats) {
    pthread_mutex_lock(&pool->mutex);
    *stats = pool->stats;
    stats->sessions_min = pool->options.sessions_min;
    stats->sessions_max = pool->options.sessions_max;
    stats->idle = pool->idle_count;
    stats->in_use = pool->total - pool->creating - pool->idle_count;
    pthread_mutex_unlock(&pool->mutex);
}
