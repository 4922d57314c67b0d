/* A session from the inside: what pool.c makes and lends out, and session*.c work with. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "engine/engine.h"

struct wf_session {
    struct wf_pool *pool;
    struct wf_engine *engine;
    struct wf_session *next, *previous; /* of all of the engine; under its mutex */
    uint64_t idle_since_ns;             /* while it is idle; the pool's */
    enum wf_isolation isolation;        /* of transactions that ask for none */
    int64_t transaction_timeout_ms;
};

/* On the heap, known to the engine. WF_NO_MEMORY. WF_TIMED_OUT: the engine was busy for so long. */
enum wf_status session_create(struct wf_engine *engine, int64_t timeout_ms, struct wf_session **out,
                              struct wf_error *err);
/* No transaction is open. */
void session_destroy(struct wf_session *session);
/* Roll back what is open, and forget what the last owner set. */
void session_reset(struct wf_session *session, enum wf_isolation isolation);

#endif
