/* A session from the inside: what pool.c makes and lends out.
 *
 *   session.c       made, begun, ended; savepoints
 *   session_work.c  operations on a private view of the accounts
 *   session_write.c what they make of these accounts
 *   session_read.c  accounts, lists and counts, own writes included
 *
 * A transaction keeps the operations that it was given, and a view: copies of the accounts that it
 * met, as of its pin. Operations are decided on that view when they come; each account that they
 * change has a second copy with the changes, on which the next ones are decided. All of them are
 * decided anew, from the view as it was, only where they may come to something else: after a return
 * to a savepoint, when time has brought something (`same_until_ms`), when reference data has
 * changed, and under READ_COMMITTED, where each call begins with a new pin, when others changed an
 * account of the view. A commit decides the same operations on the state itself, as one command.
 *
 * One thread at a time uses a session. `given_up` and the pin may be changed by any, under the
 * engine's mutex. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "engine/core/isolation.h"
#include "engine/engine.h"

enum {
    SESSION_READS_MAX = 100000, /* accounts that one transaction keeps in its view */
    SESSION_MATCHES_MAX = 1024, /* lists and counts of a serializable one */
    SESSION_SAVEPOINTS_MAX = 256,
};

/* The operations of one call, with all their strings. */
struct statement {
    struct statement *before;
    size_t first; /* index of its first operation */
    max_align_t data[];
};

struct savepoint {
    char name[WF_NAME_MAX + 1];
    size_t operation_count;
};

/* An account as the transaction sees it. */
struct account_view {
    struct account_view *before;       /* the one met before */
    struct account *base;              /* as of the pin, in session->view; NULL: it was not there */
    struct account *own;               /* with the transaction's own writes; NULL: none */
    struct account_view *next_written; /* customers' accounts with writes, in order of the first */
    bool unread; /* one of the bank's own that only postings met: it need not be as it was */
    uint8_t number_size;
    char number[]; /* terminated */
};

struct wf_session {
    struct wf_pool *pool;
    struct wf_engine *engine;
    struct wf_session *next, *previous; /* of all of the engine; under its mutex */
    uint64_t idle_since_ns;             /* while it is idle; the pool's */
    enum wf_isolation default_isolation;
    int64_t transaction_timeout_ms;

    /* The transaction. */
    bool open;
    enum wf_isolation isolation;
    struct pin pin;
    struct wal_ticket ticket; /* of what the pin shows */
    uint64_t deadline_ns;     /* of the engine's monotonic clock; 0: none */
    int64_t deadline_ms;      /* likewise, of the store's test clock; INT64_MAX: it has none */
    enum wf_status given_up;  /* WF_OK: not */
    char given_up_words[256]; /* why */
    struct state view;        /* accounts as it sees them; other tables are empty or borrowed */
    struct table views;       /* struct account_view by number */
    struct account_view *newest_view;
    size_t view_count;
    struct account_view *first_written, *last_written;
    size_t written_count;
    struct statement *statements; /* the last one first */
    struct wf_operation *operations;
    size_t operation_count, operation_capacity;
    bool looked_at_references; /* an operation did, be it refused or undone */
    bool stale;                /* the copies with own writes do not show `operations` */
    bool forgotten;            /* the state was rebuilt: nothing tells what changed in it */
    int64_t same_until_ms;     /* see struct decision; of all of `operations` */
    uint64_t decided_lsn;      /* the last record when some of them were decided */
    struct savepoint *savepoints;
    size_t savepoint_count, savepoint_capacity;
    struct account_match *matches;
    size_t match_count, match_capacity;
    /* For the commit. */
    struct transaction_terms terms;
    struct account_seen *seen;
    struct account_change *changes;
};

/* --- session.c --- */

/* On the heap, known to the engine. WF_NO_MEMORY. WF_TIMED_OUT: the engine was busy for so long. */
enum wf_status session_create(struct wf_engine *engine, int64_t timeout_ms, struct wf_session **out,
                              struct wf_error *err);
/* No transaction is open. */
void session_destroy(struct wf_session *session);
/* Roll back what is open, and forget what the last owner set. */
void session_reset(struct wf_session *session, enum wf_isolation isolation);
/* Give up what is overdue. Takes the engine's mutex by itself. */
void sessions_give_up_overdue(struct wf_engine *engine);

/* The engine's mutex is held for all below. */

/* The transaction cannot be committed any more: its next call says why and ends it. */
void session_give_up(struct wf_session *session, enum wf_status status, const char *words);
/* Is there a transaction that is still good? Else why not. */
enum wf_status session_check(struct wf_session *session, struct wf_error *err);
/* Free what the transaction kept. */
void session_end(struct wf_session *session);
/* Its commit is about to be decided: is it still good? What must hold goes into the command. */
enum wf_status session_before_commit(struct wf_session *session, struct command *command,
                                     struct wf_error *err);

/* --- session_work.c --- */

/* Nothing is in the view. */
void session_forget_views(struct wf_session *session);
/* Nor the accounts that came behind this one, where only what is written must be kept. */
void session_forget_read(struct wf_session *session, const struct account_view *newest);
/* A call begins: under READ_COMMITTED with a new pin. Own writes are in the copies. WF_CONFLICT:
 * what it did before does not hold on what is committed now. */
enum wf_status session_begin_call(struct wf_session *session, struct wf_error *err);
/* A call ends: under READ_COMMITTED nothing of the past is needed any more. */
void session_end_call(struct wf_session *session);
/* Bring the account into the view. `*view` lives as long as the view does. */
enum wf_status session_see(struct wf_session *session, struct bytes_view number,
                           struct account_view **view, struct wf_error *err);
/* NULL: not in the view. */
struct account_view *session_find_view(const struct wf_session *session, struct bytes_view number);
/* Forget the operations from this one on; the copies may show them still. */
void session_drop_operations(struct wf_session *session, size_t count);

/* --- session_write.c --- */

/* The account as the transaction sees it; NULL: it is not there. */
const struct account *session_seen(const struct account_view *view);
/* Add what a decision on the view changes, all or nothing. */
enum wf_status session_take_writes(struct wf_session *session, const struct decision *decision,
                                   struct wf_error *err);
/* The view is as if nothing had been written. */
void session_forget_writes(struct wf_session *session);
/* Outcome and balances of the transaction so far. */
void session_set_result(const struct wf_session *session, struct wf_result *result);
/* False: the callback said that it has enough. */
bool session_each_balance(const struct wf_session *session, wf_balance_fn on_balance, void *ctx);

#endif
