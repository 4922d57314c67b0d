/* Sessions: made, and known to their engine; transactions begun and ended. */
#include "engine/session.h"

#include "engine/command_in.h"
#include "engine/result.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- isolation levels by name --- */

static const char *const isolation_names[] = {
    [WF_READ_COMMITTED] = "READ_COMMITTED",
    [WF_SNAPSHOT] = "SNAPSHOT",
    [WF_SERIALIZABLE] = "SERIALIZABLE",
};
enum { ISOLATION_COUNT = sizeof(isolation_names) / sizeof(isolation_names[0]) };

const char *wf_isolation_name(enum wf_isolation isolation) {
    return (unsigned)isolation < ISOLATION_COUNT ? isolation_names[isolation] : NULL;
}

enum wf_status wf_isolation_parse(const char *name, enum wf_isolation *isolation,
                                  struct wf_error *err) {
    for (unsigned i = WF_READ_COMMITTED; name != NULL && i < ISOLATION_COUNT; i++) {
        if (strcmp(name, isolation_names[i]) == 0) {
            *isolation = (enum wf_isolation)i;
            return WF_OK;
        }
    }
    return error_set(err, WF_USAGE,
                     "there is no isolation level \"%.64s\": there are READ_COMMITTED, SNAPSHOT "
                     "and SERIALIZABLE",
                     name == NULL ? "" : name);
}

static enum wf_status check_isolation(enum wf_isolation isolation, struct wf_error *err) {
    return wf_isolation_name(isolation) != NULL
               ? WF_OK
               : error_set(err, WF_USAGE, "there is no isolation level %d", (int)isolation);
}

/* --- made and closed --- */

static struct table_key view_key(const void *entry) {
    const struct account_view *view = entry;
    return (struct table_key){view->number, view->number_size};
}

/* The mutex, or not within the time. */
static bool lock_in_time(pthread_mutex_t *mutex, int64_t timeout_ms) {
    struct timespec deadline;
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += timeout_ms % 1000 * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return pthread_mutex_timedlock(mutex, &deadline) != ETIMEDOUT;
}

static void free_session(struct wf_session *session) {
    state_deinit(&session->view);
    table_deinit(&session->views);
    free(session->operations);
    free(session->savepoints);
    free(session->matches);
    free(session);
}

enum wf_status session_create(struct wf_engine *engine, int64_t timeout_ms, struct wf_session **out,
                              struct wf_error *err) {
    struct wf_session *session = calloc(1, sizeof(*session));
    *out = NULL;
    if (session == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a session");
    }
    session->engine = engine;
    session->pin.session = session;
    table_init(&session->views, view_key);
    enum wf_status status = state_init(&session->view, err);
    if (status == WF_OK && !table_reserve(&session->views)) {
        status = error_set(err, WF_NO_MEMORY, "no memory for a session");
    }
    if (status == WF_OK && !lock_in_time(&engine->mutex, timeout_ms)) {
        status = error_set(err, WF_TIMED_OUT,
                           "a session could not be made within %" PRId64
                           " ms: the engine was busy all the while",
                           timeout_ms);
    }
    if (status != WF_OK) {
        free_session(session);
        return status;
    }
    session->next = engine->sessions;
    if (session->next != NULL) {
        session->next->previous = session;
    }
    engine->sessions = session;
    pthread_mutex_unlock(&engine->mutex);
    *out = session;
    return WF_OK;
}

void session_destroy(struct wf_session *session) {
    struct wf_engine *engine = session->engine;
    pthread_mutex_lock(&engine->mutex);
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        engine->sessions = session->next;
    }
    pthread_mutex_unlock(&engine->mutex);
    free_session(session);
}

void session_reset(struct wf_session *session, enum wf_isolation isolation) {
    if (session->open) {
        (void)wf_session_rollback(session, NULL);
    }
    session->default_isolation = isolation;
}

/* --- transactions that cannot go on; the mutex is held --- */

void session_give_up(struct wf_session *session, enum wf_status status, const char *words) {
    versions_unpin(session->engine, &session->pin);
    if (session->given_up == WF_OK) {
        session->engine->counters.transactions_given_up++;
        session->given_up = status;
        (void)snprintf(session->given_up_words, sizeof(session->given_up_words), "%s", words);
    }
}

/* By the machine's clock, for a client that went away holds what it read; by a test clock too, for
 * whoever moves that moves all that waits. The machine's time of day does not count: it jumps. */
static void set_deadline(struct wf_session *session) {
    const struct wf_engine *engine = session->engine;
    const struct store_entity *store = &engine->state.store;
    int64_t timeout_ms = session->transaction_timeout_ms;
    session->deadline_ns = 0;
    session->deadline_ms = INT64_MAX;
    if (timeout_ms == 0) {
        return;
    }
    session->deadline_ns =
        engine->io->ops->monotonic_ns(engine->io) + (uint64_t)timeout_ms * 1000000;
    if (store->test_clock &&
        __builtin_add_overflow(store->clock_ms, timeout_ms, &session->deadline_ms)) {
        session->deadline_ms = INT64_MAX;
    }
}

static bool is_overdue(const struct wf_session *session) {
    const struct wf_engine *engine = session->engine;
    return session->deadline_ns != 0 &&
           (engine->state.store.clock_ms >= session->deadline_ms ||
            engine->io->ops->monotonic_ns(engine->io) >= session->deadline_ns);
}

static void give_up_if_overdue(struct wf_session *session) {
    if (!session->open || session->given_up != WF_OK || !is_overdue(session)) {
        return;
    }
    char words[128];
    (void)snprintf(words, sizeof(words),
                   "the transaction took longer than %" PRId64 " ms and was rolled back",
                   session->transaction_timeout_ms);
    session_give_up(session, WF_TIMED_OUT, words);
}

void sessions_give_up_overdue(struct wf_engine *engine) {
    pthread_mutex_lock(&engine->mutex);
    for (struct wf_session *session = engine->sessions; session != NULL; session = session->next) {
        give_up_if_overdue(session);
    }
    pthread_mutex_unlock(&engine->mutex);
}

/* Is there a transaction that is still good? Changes nothing of what it kept. */
static enum wf_status judge(struct wf_session *session, struct wf_error *err) {
    if (!session->open) {
        return error_set(err, WF_REFUSED, "no transaction is open in this session: begin one");
    }
    enum wf_status status = engine_ensure_state(session->engine, err);
    if (status != WF_OK) {
        return status;
    }
    give_up_if_overdue(session);
    return session->given_up == WF_OK
               ? WF_OK
               : error_set(err, session->given_up, "%s", session->given_up_words);
}

enum wf_status session_check(struct wf_session *session, struct wf_error *err) {
    enum wf_status status = judge(session, err);
    if (session->given_up != WF_OK) {
        session_end(session);
    }
    return status;
}

void session_end(struct wf_session *session) {
    versions_unpin(session->engine, &session->pin);
    if (session->open && session->isolation == WF_READ_COMMITTED) {
        versions_unwatch(&session->engine->versions);
    }
    session_forget_views(session);
    session_drop_operations(session, 0);
    session->savepoint_count = session->match_count = 0;
    session->open = session->stale = session->looked_at_references = false;
    session->given_up = WF_OK;
}

/* --- begun and ended --- */

enum wf_status wf_session_set_isolation(struct wf_session *session, enum wf_isolation isolation,
                                        struct wf_error *err) {
    enum wf_status status = check_isolation(isolation, err);
    if (status == WF_OK) {
        session->default_isolation = isolation;
    }
    return status;
}

enum wf_status wf_session_begin(struct wf_session *session, enum wf_isolation isolation,
                                struct wf_error *err) {
    struct wf_engine *engine = session->engine;
    isolation = isolation == 0 ? session->default_isolation : isolation;
    enum wf_status status = check_isolation(isolation, err);
    if (status == WF_OK && session->open) {
        status = error_set(err, WF_REFUSED,
                           "a transaction is open in this session: commit it or roll it back");
    }
    if (status != WF_OK) {
        return status;
    }
    pthread_mutex_lock(&engine->mutex);
    status = engine_ensure_state(engine, err);
    if (status == WF_OK) {
        engine->counters.transactions++;
        session->open = true;
        session->isolation = isolation;
        session->given_up = WF_OK;
        set_deadline(session);
        session->forgotten = false;
        session->same_until_ms = INT64_MAX;
        if (isolation == WF_READ_COMMITTED) {
            versions_watch(&engine->versions);
        } else {
            versions_pin(engine, &session->pin);
            session->ticket = engine_last_ticket(engine);
        }
    }
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

enum wf_status wf_session_rollback(struct wf_session *session, struct wf_error *err) {
    struct wf_engine *engine = session->engine;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = session_check(session, err);
    if (status == WF_OK) {
        session_end(session);
    }
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

/* --- commit --- */

static bool must_be_as_seen(const struct wf_session *session, const struct account_view *view) {
    return !view->unread && (session->isolation == WF_SERIALIZABLE ||
                             (view->own != NULL && !account_is_internal(view->own)));
}

/* Into memory, if it is anywhere. Rebuilding the state, if need be, gives the transaction up. */
static enum wf_status load(struct wf_session *session, struct bytes_view number,
                           struct wf_error *err) {
    struct account *account;
    enum wf_status status = engine_find_account(session->engine, number, &account, err);
    return status == WF_OK ? judge(session, err) : status;
}

static enum wf_status collect_seen(struct wf_session *session, struct wf_error *err) {
    session->seen = calloc(session->view_count + 1, sizeof(*session->seen));
    if (session->seen == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to commit");
    }
    session->terms.seen = session->seen;
    for (const struct account_view *view = session->newest_view; view != NULL;
         view = view->before) {
        struct bytes_view number = {(const uint8_t *)view->number, view->number_size};
        if (!must_be_as_seen(session, view)) {
            continue;
        }
        enum wf_status status = load(session, number, err);
        if (status != WF_OK) {
            return status;
        }
        session->seen[session->terms.seen_count++] = (struct account_seen){
            .number = number, .lsn = view->base == NULL ? 0 : view->base->lsn};
    }
    return WF_OK;
}

/* What changed since the snapshot, to be compared with what was listed. */
static enum wf_status collect_changes(struct wf_session *session, struct wf_error *err) {
    const struct versions *versions = &session->engine->versions;
    const struct image *at = NULL;
    size_t count = 0;
    while (versions_next_change(versions, session->pin.lsn, &at) != NULL) {
        count++;
    }
    session->changes = calloc(count + 1, sizeof(*session->changes));
    if (session->changes == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to commit");
    }
    session->terms.changes = session->changes;
    while (versions_next_change(versions, session->pin.lsn, &at) != NULL) {
        struct bytes_view number = {(const uint8_t *)at->chain->number, at->chain->number_size};
        enum wf_status status = load(session, number, err);
        if (status != WF_OK) {
            return status; /* the images may be gone */
        }
        session->changes[session->terms.change_count++] =
            (struct account_change){.number = number, .was = at->account};
    }
    return WF_OK;
}

enum wf_status session_before_commit(struct wf_session *session, struct command *command,
                                     struct wf_error *err) {
    free(session->seen);
    free(session->changes);
    session->seen = NULL;
    session->changes = NULL;
    session->terms = (struct transaction_terms){.snapshot_lsn = session->pin.lsn};
    enum wf_status status = judge(session, err);
    if (status != WF_OK || session->isolation == WF_READ_COMMITTED) {
        return status;
    }
    status = collect_seen(session, err);
    if (status == WF_OK && session->match_count > 0) {
        status = collect_changes(session, err);
    }
    session->terms.references =
        session->isolation == WF_SERIALIZABLE && session->looked_at_references;
    session->terms.matches = session->matches;
    session->terms.match_count = session->match_count;
    command->as.account_transact.terms = &session->terms;
    return status;
}

/* After a call of the commit: it is over, whatever it came to. */
static void end_after_commit(struct wf_session *session) {
    pthread_mutex_lock(&session->engine->mutex);
    free(session->seen);
    free(session->changes);
    session->seen = NULL;
    session->changes = NULL;
    session_end(session);
    pthread_mutex_unlock(&session->engine->mutex);
}

static enum wf_status enqueue_operations(struct wf_session *session, const char *key,
                                         const char *actor, struct wf_pending *pending,
                                         struct wf_error *err) {
    const struct wf_command command = {.kind = WF_ACCOUNT_TRANSACT,
                                       .operations = session->operations,
                                       .operation_count = session->operation_count,
                                       .key = key,
                                       .actor = actor};
    struct command_in in;
    enum wf_status status = command_in_make(&in, &command, err);
    if (status == WF_OK) {
        status = engine_enqueue(session->engine, &in.command, session, pending, err);
        command_in_deinit(&in);
    }
    enum wf_status outcome = status == WF_OK ? pending->status : status;
    pthread_mutex_lock(&session->engine->mutex);
    session->engine->counters.transactions_committed += outcome == WF_OK;
    session->engine->counters.transaction_conflicts += outcome == WF_CONFLICT;
    pthread_mutex_unlock(&session->engine->mutex);
    return status;
}

/* The copies with own writes say which accounts are written. */
static enum wf_status begin_commit(struct wf_session *session, struct wf_error *err) {
    pthread_mutex_lock(&session->engine->mutex);
    enum wf_status status = session_check(session, err);
    if (status == WF_OK && session->isolation != WF_READ_COMMITTED) {
        status = session_begin_call(session, err);
    }
    if (status != WF_OK && session->open) {
        session_end(session);
    }
    pthread_mutex_unlock(&session->engine->mutex);
    return status;
}

/* A commit of no operations. With a key that was used it is no repetition: the first time there was
 * something to commit, and whoever asks must not take this for the same. */
static enum wf_status settle_nothing(struct wf_session *session, const char *key,
                                     struct wf_pending *pending, struct wf_error *err) {
    struct wf_engine *engine = session->engine;
    /* What it saw must be durable, and nothing else. */
    const struct wal_ticket nothing = {0};
    bool looked = session->isolation != WF_READ_COMMITTED;
    engine_pending_settle(pending, looked ? &session->ticket : &nothing);
    pending->result.outcome = "nothing";
    if (key == NULL || key[0] == '\0') {
        return WF_OK;
    }
    pthread_mutex_lock(&engine->mutex);
    const struct idempotency_key *used;
    enum wf_status status = engine_find_key(engine, text_view(key), &used, err);
    if (used != NULL) {
        pending->status = WF_CONFLICT;
        (void)snprintf(pending->text, sizeof(pending->text),
                       "the idempotency key \"%s\" was used in record %" PRIu64
                       ", and this transaction has no operations",
                       key, used->link.lsn);
    }
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

enum wf_status wf_session_enqueue(struct wf_session *session, const char *key, const char *actor,
                                  struct wf_pending *pending, struct wf_error *err) {
    enum wf_status status = begin_commit(session, err);
    if (status != WF_OK) {
        return status;
    }
    if (session->operation_count > 0) {
        status = enqueue_operations(session, key, actor, pending, err);
    } else {
        status = settle_nothing(session, key, pending, err);
    }
    end_after_commit(session);
    return status;
}

enum wf_status wf_session_commit(struct wf_session *session, const char *key, const char *actor,
                                 struct wf_result *result, struct wf_error *err) {
    struct wf_pending pending;
    enum wf_status status = wf_session_enqueue(session, key, actor, &pending, err);
    if (status == WF_OK) {
        return wf_wait(session->engine, &pending, result, err);
    }
    if (result != NULL) {
        result_clear(result);
    }
    return status;
}

/* --- savepoints --- */

/* The newest of this name; -1: none. */
static long find_savepoint(const struct wf_session *session, const char *name) {
    for (size_t i = session->savepoint_count; i > 0; i--) {
        if (strcmp(session->savepoints[i - 1].name, name) == 0) {
            return (long)(i - 1);
        }
    }
    return -1;
}

static enum wf_status add_savepoint(struct wf_session *session, const char *name,
                                    struct wf_error *err) {
    size_t size = name == NULL ? 0 : strnlen(name, WF_NAME_MAX + 1);
    if (size == 0 || size > WF_NAME_MAX) {
        return error_set(err, WF_USAGE, "the name of a savepoint has 1 to %d bytes", WF_NAME_MAX);
    }
    if (session->savepoint_count == SESSION_SAVEPOINTS_MAX) {
        return error_set(err, WF_REFUSED, "a transaction has at most %d savepoints",
                         SESSION_SAVEPOINTS_MAX);
    }
    if (session->savepoint_count == session->savepoint_capacity) {
        size_t capacity = session->savepoint_capacity * 2 + 4;
        struct savepoint *grown = realloc(session->savepoints, capacity * sizeof(*grown));
        if (grown == NULL) {
            return error_set(err, WF_NO_MEMORY, "no memory for a savepoint");
        }
        session->savepoints = grown;
        session->savepoint_capacity = capacity;
    }
    struct savepoint *savepoint = &session->savepoints[session->savepoint_count++];
    memcpy(savepoint->name, name, size + 1);
    savepoint->operation_count = session->operation_count;
    return WF_OK;
}

enum wf_status wf_session_savepoint(struct wf_session *session, const char *name,
                                    struct wf_error *err) {
    pthread_mutex_lock(&session->engine->mutex);
    enum wf_status status = session_check(session, err);
    if (status == WF_OK) {
        status = add_savepoint(session, name, err);
    }
    pthread_mutex_unlock(&session->engine->mutex);
    return status;
}

static enum wf_status to_savepoint(struct wf_session *session, const char *name, bool roll_back,
                                   struct wf_error *err) {
    pthread_mutex_lock(&session->engine->mutex);
    enum wf_status status = session_check(session, err);
    long at = status == WF_OK && name != NULL ? find_savepoint(session, name) : -1;
    if (status == WF_OK && at < 0) {
        status = error_set(err, WF_NOT_FOUND, "there is no savepoint \"%.64s\" in this transaction",
                           name == NULL ? "" : name);
    }
    if (status == WF_OK && roll_back) {
        session->stale |= session->operation_count > session->savepoints[at].operation_count;
        session_drop_operations(session, session->savepoints[at].operation_count);
        session->savepoint_count = (size_t)at + 1;
    } else if (status == WF_OK) {
        session->savepoint_count = (size_t)at;
    }
    pthread_mutex_unlock(&session->engine->mutex);
    return status;
}

enum wf_status wf_session_rollback_to(struct wf_session *session, const char *name,
                                      struct wf_error *err) {
    return to_savepoint(session, name, true, err);
}

enum wf_status wf_session_release_savepoint(struct wf_session *session, const char *name,
                                            struct wf_error *err) {
    return to_savepoint(session, name, false, err);
}
