/* The requests of exec about sessions. A session is known by a name of the caller's; it, and the
 * pool that it comes from, belong to the process and end with it. */
#include "base/error.h"
#include "tools/wfctl/exec_request.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As request_memory: one stream for each process. */
struct named_session {
    struct named_session *next;
    struct wf_session *session;
    char name[];
};

static struct {
    struct wf_pool *pool; /* made by the first session.open, or by session.pool */
    struct named_session *first;
} sessions;

static struct named_session **place_of(const char *name) {
    struct named_session **at = &sessions.first;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static enum wf_status find(const struct request *request, struct wf_session **session,
                           struct wf_error *err) {
    const char *name = request_string(request, MEMBER_SESSION);
    const struct named_session *found = *place_of(name);
    if (!found)
        return error_set(err, WF_NOT_FOUND, "there is no session \"%.64s\": session.open makes one",
                         name);
    *session = found->session;
    return WF_OK;
}

static void drop(struct named_session **at) {
    struct named_session *named = *at;
    *at = named->next;
    wf_session_release(named->session);
    free(named);
}

void exec_sessions_end(void) {
    while (sessions.first)
        drop(&sessions.first);
    (void)wf_pool_close(sessions.pool, NULL);
    sessions.pool = NULL;
}

/* --- the pool --- */

static enum wf_status take_duration(const struct request *request, enum member member,
                                    const char *what, int64_t *ms, struct wf_error *err) {
    const char *text = request_string(request, member);
    if (!text || parse_duration(text, ms))
        return WF_OK;
    return error_set(err, WF_USAGE, "member '%s' must be a duration such as 30s", what);
}

static enum wf_status take_isolation(const struct request *request, enum wf_isolation *isolation,
                                     struct wf_error *err) {
    const char *name = request_string(request, MEMBER_ISOLATION);
    return name ? wf_isolation_parse(name, isolation, err) : WF_OK;
}

static enum wf_status read_options(const struct request *request, struct wf_pool_options *options,
                                   struct wf_error *err) {
    const struct {
        enum member member;
        const char *name;
        int64_t *ms;
    } timeouts[] = {
        {MEMBER_ACQUIRE_TIMEOUT, "acquire_timeout", &options->acquire_timeout_ms},
        {MEMBER_CREATE_TIMEOUT, "create_timeout", &options->create_timeout_ms},
        {MEMBER_IDLE_TIMEOUT, "idle_timeout", &options->idle_timeout_ms},
        {MEMBER_TRANSACTION_TIMEOUT, "transaction_timeout", &options->transaction_timeout_ms}};
    options->sessions_min = request_uint(request, MEMBER_MIN, options->sessions_min);
    options->sessions_max = request_uint(request, MEMBER_MAX, options->sessions_max);
    if (!request->members[MEMBER_MIN] && options->sessions_min > options->sessions_max)
        options->sessions_min = options->sessions_max;
    enum wf_status status = take_isolation(request, &options->isolation, err);
    for (size_t i = 0; status == WF_OK && i < sizeof timeouts / sizeof timeouts[0]; i++)
        status = take_duration(request, timeouts[i].member, timeouts[i].name, timeouts[i].ms, err);
    return status;
}

static void write_stats(struct emit *json) {
    struct wf_pool_stats stats;
    wf_pool_stats_get(sessions.pool, &stats);
    emit_open(json, '{');
    view_pool_members(json, &stats);
    emit_close(json, '}');
}

enum wf_status answer_session_pool(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    struct wf_pool_options options;
    wf_pool_options_init(&options);
    enum wf_status status = read_options(request, &options, err);
    if (status != WF_OK)
        return status;
    if (sessions.first)
        return error_set(err, WF_REFUSED, "sessions are open: close them first");
    struct wf_pool *pool;
    status = wf_pool_open(engine, &options, &pool, err);
    if (status != WF_OK)
        return status;
    (void)wf_pool_close(sessions.pool, NULL);
    sessions.pool = pool;
    write_stats(json);
    return WF_OK;
}

static enum wf_status need_pool(struct wf_engine *engine, struct wf_error *err) {
    return sessions.pool ? WF_OK : wf_pool_open(engine, NULL, &sessions.pool, err);
}

enum wf_status answer_session_stats(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)request, (void)lsn;
    enum wf_status status = need_pool(engine, err);
    if (status == WF_OK)
        write_stats(json);
    return status;
}

/* --- sessions --- */

static void write_session(struct emit *json, const char *name, const struct wf_session *session) {
    struct wf_session_info info;
    wf_session_info_get(session, &info);
    emit_open(json, '{');
    emit_member(json, "session", name);
    emit_member(json, "isolation", wf_isolation_name(info.isolation));
    if (info.snapshot_lsn)
        emit_member_uint(json, "snapshot_lsn", info.snapshot_lsn);
    emit_close(json, '}');
}

/* Take one from the pool under this name. */
static enum wf_status add_session(const char *name, enum wf_isolation isolation,
                                  struct wf_session **out, struct wf_error *err) {
    struct named_session *named = malloc(sizeof *named + strlen(name) + 1);
    if (!named)
        return error_set(err, WF_NO_MEMORY, "no memory for a session");
    enum wf_status status = wf_pool_acquire(sessions.pool, &named->session, err);
    if (status != WF_OK) {
        free(named);
        return status;
    }
    if (isolation)
        (void)wf_session_set_isolation(named->session, isolation, NULL); /* it is one that exists */
    memcpy(named->name, name, strlen(name) + 1);
    named->next = sessions.first;
    sessions.first = named;
    *out = named->session;
    return WF_OK;
}

enum wf_status answer_session_open(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    const char *name = request_string(request, MEMBER_SESSION);
    enum wf_isolation isolation = 0;
    struct wf_session *session = NULL;
    enum wf_status status = take_isolation(request, &isolation, err);
    if (status == WF_OK && (name[0] == '\0' || strlen(name) > WF_ID_MAX))
        status = error_set(err, WF_USAGE, "the name of a session has 1 to %d bytes", WF_ID_MAX);
    if (status == WF_OK && *place_of(name))
        status = error_set(err, WF_REFUSED, "the session \"%.64s\" is open already", name);
    if (status == WF_OK)
        status = need_pool(engine, err);
    if (status == WF_OK)
        status = add_session(name, isolation, &session, err);
    if (status == WF_OK)
        write_session(json, name, session);
    return status;
}

enum wf_status answer_session_close(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)engine, (void)lsn;
    const char *name = request_string(request, MEMBER_SESSION);
    struct wf_session *session;
    enum wf_status status = find(request, &session, err);
    if (status != WF_OK)
        return status;
    drop(place_of(name));
    emit_open(json, '{');
    emit_member(json, "session", name);
    emit_close(json, '}');
    return WF_OK;
}

/* --- transactions --- */

enum wf_status answer_session_begin(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)engine, (void)lsn;
    struct wf_session *session;
    enum wf_isolation isolation = 0;
    enum wf_status status = find(request, &session, err);
    if (status == WF_OK)
        status = take_isolation(request, &isolation, err);
    if (status == WF_OK)
        status = wf_session_begin(session, isolation, err);
    if (status == WF_OK)
        write_session(json, request_string(request, MEMBER_SESSION), session);
    return status;
}

enum wf_status answer_session_execute(struct wf_engine *engine, const struct request *request,
                                      struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)lsn;
    (void)engine;
    struct wf_session *session;
    enum wf_status status = find(request, &session, err);
    if (status == WF_OK)
        status = wf_session_execute(session, request->operations.list, request->operations.count,
                                    NULL, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_member(json, "outcome", "posted");
    emit_key(json, "balances");
    emit_open(json, '[');
    status = wf_session_balances(session, view_balance, json, err);
    emit_close(json, ']');
    emit_close(json, '}');
    return status;
}

enum wf_status answer_session_show(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)engine, (void)lsn;
    struct wf_session *session;
    struct wf_account *account = NULL;
    enum wf_status status = find(request, &session, err);
    if (status == WF_OK)
        status = wf_session_account(session, request_id(request), &account, err);
    if (status != WF_OK)
        return status;
    view_account(json, account);
    wf_account_free(account);
    return WF_OK;
}

static struct wf_account_filter filter_of(const struct request *request) {
    return (struct wf_account_filter){
        .prefix = request_string(request, MEMBER_PREFIX),
        .type = request_string(request, MEMBER_TYPE),
        .currency = request_string(request, MEMBER_CURRENCY),
        .status = request_string(request, MEMBER_STATUS),
        .balance_min = request_string(request, MEMBER_BALANCE_MIN),
        .balance_max = request_string(request, MEMBER_BALANCE_MAX),
    };
}

enum wf_status answer_session_list(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)engine, (void)lsn;
    struct wf_session *session;
    const struct wf_account_filter filter = filter_of(request);
    enum wf_status status = find(request, &session, err);
    if (status != WF_OK)
        return status;
    emit_list_open(json, "accounts");
    status = wf_session_list(session, &filter, view_account, json, err);
    emit_list_close(json);
    return status;
}

enum wf_status answer_session_count(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)engine, (void)lsn;
    struct wf_session *session;
    const struct wf_account_filter filter = filter_of(request);
    uint64_t count;
    enum wf_status status = find(request, &session, err);
    if (status == WF_OK)
        status = wf_session_count(session, &filter, &count, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_member_uint(json, "count", count);
    emit_close(json, '}');
    return WF_OK;
}

enum wf_status answer_session_savepoint(struct wf_engine *engine, const struct request *request,
                                        struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)engine, (void)lsn;
    const char *verb = request->kind->name + strlen("session.");
    const char *name = request_string(request, MEMBER_NAME);
    struct wf_session *session;
    enum wf_status status = find(request, &session, err);
    if (status == WF_OK)
        status = strcmp(verb, "savepoint") == 0 ? wf_session_savepoint(session, name, err)
                 : strcmp(verb, "rollback_to") == 0
                     ? wf_session_rollback_to(session, name, err)
                     : wf_session_release_savepoint(session, name, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_member(json, "savepoint", name);
    emit_close(json, '}');
    return WF_OK;
}

enum wf_status answer_session_rollback(struct wf_engine *engine, const struct request *request,
                                       struct emit *json, uint64_t *lsn, struct wf_error *err) {
    (void)engine, (void)lsn;
    struct wf_session *session;
    enum wf_status status = find(request, &session, err);
    if (status == WF_OK)
        status = wf_session_rollback(session, err);
    if (status != WF_OK)
        return status;
    emit_open(json, '{');
    emit_member(json, "outcome", "rolled_back");
    emit_close(json, '}');
    return WF_OK;
}

enum wf_status enqueue_session_commit(const struct request *request, struct wf_pending *pending,
                                      struct wf_error *err) {
    struct wf_session *session;
    enum wf_status status = find(request, &session, err);
    return status == WF_OK ? wf_session_enqueue(session, request_string(request, MEMBER_KEY),
                                                request_string(request, MEMBER_ACTOR), pending, err)
                           : status;
}
