/* The work of a transaction: its operations, and the accounts as it sees them. */
#include "engine/command_in.h"
#include "engine/core/operation_texts.h"
#include "engine/core/reference.h"
#include "engine/result.h"
#include "engine/session.h"

#include <stdlib.h>
#include <string.h>

/* --- the operations that it was given --- */

static size_t text_size(const char *text) {
    return text == NULL ? 0 : strlen(text) + 1;
}

static size_t operation_size(const struct wf_operation *from) {
    size_t size = from->rule_count * sizeof(const char *);
#define ADD(name, words, size_max, kinds) size += text_size(from->name);
    OPERATION_TEXTS(ADD)
#undef ADD
    for (size_t i = 0; i < from->rule_count; i++) {
        size += text_size(from->rules[i]);
    }
    return size;
}

static const char *copy_text(char **at, const char *text) {
    if (text == NULL) {
        return NULL;
    }
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

static struct wf_operation copy_operation(const struct wf_operation *from, const char ***rules,
                                          char **at) {
    struct wf_operation to = {
        .rules = *rules,
        .rule_count = from->rule_count,
        .expires_in_ms = from->expires_in_ms,
    };
#define COPY(name, words, size_max, kinds) to.name = copy_text(at, from->name);
    OPERATION_TEXTS(COPY)
#undef COPY
    for (size_t i = 0; i < from->rule_count; i++) {
        *(*rules)++ = copy_text(at, from->rules[i]);
    }
    return to;
}

static bool reserve_operations(struct wf_session *session, size_t count) {
    size_t needed = session->operation_count + count;
    if (needed <= session->operation_capacity) {
        return true;
    }
    size_t capacity = needed * 2;
    struct wf_operation *grown = realloc(session->operations, capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    session->operations = grown;
    session->operation_capacity = capacity;
    return true;
}

static enum wf_status keep_operations(struct wf_session *session,
                                      const struct wf_operation *operations, size_t count,
                                      struct wf_error *err) {
    size_t size = 0, rule_count = 0;
    for (size_t i = 0; i < count; i++) {
        size += operation_size(&operations[i]);
        rule_count += operations[i].rule_count;
    }
    struct statement *statement = malloc(sizeof(*statement) + size);
    if (statement == NULL || !reserve_operations(session, count)) {
        free(statement);
        return error_set(err, WF_NO_MEMORY, "no memory for the operations of a transaction");
    }
    const char **rules = (const char **)statement->data;
    char *at = (char *)(rules + rule_count);
    statement->before = session->statements;
    statement->first = session->operation_count;
    session->statements = statement;
    for (size_t i = 0; i < count; i++) {
        session->operations[session->operation_count++] =
            copy_operation(&operations[i], &rules, &at);
    }
    return WF_OK;
}

void session_drop_operations(struct wf_session *session, size_t count) {
    while (session->statements != NULL && session->statements->first >= count) {
        struct statement *statement = session->statements;
        session->statements = statement->before;
        free(statement);
    }
    session->operation_count = count;
}

/* --- the view --- */

struct account_view *session_find_view(const struct wf_session *session, struct bytes_view number) {
    return table_find(&session->views, number.data, number.size);
}

static void forget_newest_view(struct wf_session *session) {
    struct account_view *view = session->newest_view;
    session->newest_view = view->before;
    session->view_count--;
    (void)table_remove(&session->views, view->number, view->number_size);
    (void)table_remove(&session->view.accounts, view->number, view->number_size);
    account_destroy(view->base);
    account_destroy(view->own);
    free(view);
}

void session_forget_views(struct wf_session *session) {
    while (session->newest_view != NULL) {
        forget_newest_view(session);
    }
    session->first_written = session->last_written = NULL;
    session->written_count = 0;
}

void session_forget_read(struct wf_session *session, const struct account_view *newest) {
    while (session->isolation == WF_READ_COMMITTED && session->newest_view != newest) {
        forget_newest_view(session);
    }
}

static enum wf_status add_view(struct wf_session *session, struct bytes_view number,
                               const struct account *account, struct account_view **out,
                               struct wf_error *err) {
    struct account_view *view = calloc(1, sizeof(*view) + number.size + 1);
    bool ok =
        view != NULL && table_reserve(&session->views) && table_reserve(&session->view.accounts);
    if (ok && account != NULL) {
        view->base = account_copy(account, 0);
        ok = view->base != NULL;
    }
    if (!ok) {
        free(view);
        return error_set(err, WF_NO_MEMORY, "no memory for an account of a transaction");
    }
    view->number_size = (uint8_t)number.size;
    memcpy(view->number, number.data, number.size);
    view->before = session->newest_view;
    session->newest_view = view;
    session->view_count++;
    table_insert(&session->views, view);
    if (view->base != NULL) {
        table_insert(&session->view.accounts, view->base);
    }
    *out = view;
    return WF_OK;
}

enum wf_status session_see(struct wf_session *session, struct bytes_view number,
                           struct account_view **view, struct wf_error *err) {
    *view = session_find_view(session, number);
    if (*view != NULL) {
        return WF_OK;
    }
    if (session->view_count == SESSION_READS_MAX) {
        return error_set(err, WF_REFUSED, "a transaction looks at %d accounts at most",
                         SESSION_READS_MAX);
    }
    const struct account *account = NULL;
    enum wf_status status = versions_find(session->engine, &session->pin, number, &account, err);
    if (status == WF_OK && !session->pin.pinned) {
        status = session_check(session, err);
    }
    return status == WF_OK ? add_view(session, number, account, view, err) : status;
}

/* One that an operation names. Too long a name is no account's: the refusal says so. */
static enum wf_status see_named(struct wf_session *session, struct bytes_view number,
                                struct account_view **view, struct wf_error *err) {
    *view = NULL;
    if (number.size == 0 || number.size > ACCOUNT_NUMBER_MAX) {
        return WF_OK;
    }
    return session_see(session, number, view, err);
}

/* The accounts that the operations name, and those that their holds go to. */
static enum wf_status see_all_named(struct wf_session *session, const struct command *command,
                                    struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (size_t i = 0; i < command->as.account_transact.count && status == WF_OK; i++) {
        const struct operation *operation = &command->as.account_transact.operations[i];
        struct account_view *view = NULL, *other;
        session->looked_at_references |= operation_looks_at_references(operation);
        status = see_named(session, operation->to, &other, err);
        if (status == WF_OK) {
            status = see_named(session, operation->account, &other, err);
        }
        if (status == WF_OK) {
            status = see_named(session, operation->from, &view, err);
        }
        const struct account *from = view == NULL ? NULL : session_seen(view);
        const struct account_hold *hold = from == NULL || operation->hold.size == 0
                                              ? NULL
                                              : account_find_hold(from, operation->hold);
        if (status == WF_OK && hold != NULL) {
            status = see_named(session, text_view(hold->to), &other, err);
        }
    }
    return status;
}

/* --- deciding on the view --- */

/* The decision is the engine's. What it changes is in the view afterwards. */
static enum wf_status decide_command(struct wf_session *session, struct command *command,
                                     struct wf_error *err) {
    struct wf_engine *engine = session->engine;
    struct transaction_terms terms = {.snapshot_lsn = session->pin.lsn};
    enum wf_status status = see_all_named(session, command, err);
    if (status != WF_OK) {
        return status;
    }
    struct state *view = &session->view;
    const struct table own_references = view->references;
    view->store = engine->state.store;
    view->references = engine->state.references; /* borrowed for the decision */
    command->now_ms = engine_now_ms(engine);
    command->as.account_transact.terms = session->isolation == WF_READ_COMMITTED ? NULL : &terms;
    decide(view, command, &engine->decision);
    view->references = own_references;
    const struct decision *decision = &engine->decision;
    if (decision->status != WF_OK) {
        return error_set(err, decision->status, "%s", decision->message);
    }
    return session_take_writes(session, decision, err);
}

/* The operations from `before` on; the view shows those that came before. */
static enum wf_status decide_from(struct wf_session *session, size_t before, struct wf_error *err) {
    const struct wf_command command = {.kind = WF_ACCOUNT_TRANSACT,
                                       .operations = session->operations + before,
                                       .operation_count = session->operation_count - before};
    struct command_in in;
    enum wf_status status = command_in_make(&in, &command, err);
    if (status != WF_OK) {
        return status;
    }
    in.command.as.account_transact.before = before;
    status = decide_command(session, &in.command, err);
    command_in_deinit(&in);
    if (status == WF_OK) {
        session->decided_lsn = session->engine->last.lsn;
        if (session->engine->decision.same_until_ms < session->same_until_ms) {
            session->same_until_ms = session->engine->decision.same_until_ms;
        }
    }
    return status;
}

/* What was done before is done again: on what is committed now, at another time, or after a return
 * to a savepoint. */
static enum wf_status decide_again(struct wf_session *session, struct wf_error *err) {
    struct wf_error why;
    session_forget_writes(session);
    session->same_until_ms = INT64_MAX;
    session->stale = true;
    enum wf_status status = session->operation_count == 0 ? WF_OK : decide_from(session, 0, &why);
    session->stale = status != WF_OK;
    if (status == WF_REFUSED) {
        return error_set(err, WF_CONFLICT,
                         "conflict: what this transaction did does not hold on what is committed "
                         "now: %s",
                         why.text);
    }
    return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
}

/* Did others change an account that is in the view, since it was pinned at `lsn`? One of the bank's
 * own that nobody looked at does not count: postings to it only add. */
static bool others_changed_view(const struct wf_session *session, uint64_t lsn) {
    const struct versions *versions = &session->engine->versions;
    const struct recent_change *change;
    bool all;
    uint64_t at = 0;
    while ((change = versions_next_recent(versions, lsn, &at, &all)) != NULL) {
        struct bytes_view number = {(const uint8_t *)change->number, change->number_size};
        const struct account_view *view = session_find_view(session, number);
        if (view != NULL && !view->unread) {
            return true;
        }
    }
    return !all;
}

static bool references_changed(const struct wf_session *session) {
    size_t at = 0;
    const struct table *references = &session->engine->state.references;
    for (const struct reference *reference; (reference = table_next(references, &at)) != NULL;) {
        if (reference->lsn > session->decided_lsn) {
            return true;
        }
    }
    return false;
}

/* Might what was done come to something else by now? */
static bool is_outdated(const struct wf_session *session) {
    return session->operation_count > 0 &&
           (engine_record_time_ms(session->engine) >= session->same_until_ms ||
            (session->looked_at_references && references_changed(session)));
}

/* READ_COMMITTED: what is committed now is what counts. Where nobody changed an account of the
 * view, that is the view as it is. */
static void renew_view(struct wf_session *session) {
    struct wf_engine *engine = session->engine;
    uint64_t lsn = session->pin.lsn;
    versions_unpin(engine, &session->pin);
    if (session->view_count > 0 && (session->forgotten || others_changed_view(session, lsn))) {
        session_forget_views(session);
        session->stale = true;
    }
    session->forgotten = false;
    versions_pin(engine, &session->pin);
    session->ticket = engine_last_ticket(engine);
    session->stale |= is_outdated(session);
}

enum wf_status session_begin_call(struct wf_session *session, struct wf_error *err) {
    if (session->isolation == WF_READ_COMMITTED) {
        renew_view(session);
    }
    return session->stale ? decide_again(session, err) : WF_OK;
}

void session_end_call(struct wf_session *session) {
    if (session->isolation == WF_READ_COMMITTED) {
        versions_unpin(session->engine, &session->pin);
    }
}

/* --- execute --- */

/* Malformed ones are told before they are copied. */
static enum wf_status check_operations(const struct wf_session *session,
                                       const struct wf_operation *operations, size_t count,
                                       struct wf_error *err) {
    const struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = operations, .operation_count = count};
    struct command_in in;
    if (count == 0 || count > WF_OPERATIONS_MAX - session->operation_count) {
        return error_set(
            err, WF_USAGE,
            "a transaction has 1 to %d operations: not %zu more beside the %zu that it has",
            WF_OPERATIONS_MAX, count, session->operation_count);
    }
    enum wf_status status = command_in_make(&in, &command, err);
    if (status == WF_OK) {
        command_in_deinit(&in);
    }
    return status;
}

/* Do these behind the others, or leave all as it was. */
static enum wf_status add_operations(struct wf_session *session,
                                     const struct wf_operation *operations, size_t count,
                                     struct wf_error *err) {
    size_t before = session->operation_count;
    const struct account_view *newest = session->newest_view;
    enum wf_status status = check_operations(session, operations, count, err);
    if (status == WF_OK) {
        status = keep_operations(session, operations, count, err);
    }
    if (status == WF_OK) {
        status = decide_from(session, before, err);
    }
    if (status != WF_OK && session->open) {
        session_drop_operations(session, before);
        session_forget_read(session, newest);
    }
    return status;
}

static enum wf_status execute(struct wf_session *session, const struct wf_operation *operations,
                              size_t count, struct wf_result *result, struct wf_error *err) {
    session->stale |= is_outdated(session);
    enum wf_status status = session_begin_call(session, err);
    if (status == WF_OK) {
        status = add_operations(session, operations, count, err);
    }
    if (status == WF_OK && result != NULL) {
        session_set_result(session, result);
    }
    session_end_call(session);
    return status;
}

enum wf_status wf_session_execute(struct wf_session *session, const struct wf_operation *operations,
                                  size_t count, struct wf_result *result, struct wf_error *err) {
    struct wf_engine *engine = session->engine;
    if (result != NULL) {
        result_clear(result);
    }
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = session_check(session, err);
    if (status == WF_OK) {
        status = execute(session, operations, count, result, err);
    }
    struct wal_ticket ticket = session->ticket;
    cache_trim(engine);
    pthread_mutex_unlock(&engine->mutex);
    /* What it was decided on must not turn out to have never been. */
    bool looked = status == WF_OK || status == WF_REFUSED || status == WF_CONFLICT;
    enum wf_status durable = looked ? engine_wait_durable(engine, &ticket, err) : WF_OK;
    return durable == WF_OK ? status : durable;
}
