/* Sessions: made, and known to their engine. */
#include "engine/session.h"

#include <errno.h>
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

/* --- made and closed --- */

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

enum wf_status session_create(struct wf_engine *engine, int64_t timeout_ms, struct wf_session **out,
                              struct wf_error *err) {
    struct wf_session *session = calloc(1, sizeof(*session));
    *out = NULL;
    if (session == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a session");
    }
    session->engine = engine;
    if (!lock_in_time(&engine->mutex, timeout_ms)) {
        free(session);
        return error_set(err, WF_TIMED_OUT,
                         "a session could not be made in time: the engine was "
                         "busy all the while");
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
    free(session);
}

void session_reset(struct wf_session *session, enum wf_isolation isolation) {
    session->isolation = isolation;
}
