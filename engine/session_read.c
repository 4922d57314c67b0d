/* What a transaction reads: accounts, lists and counts, as its isolation level shows them, with its
 * own writes. */
#include "engine/core/text.h"
#include "engine/listing.h"
#include "engine/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- one account --- */

/* Others may have posted to one of the bank's own while nobody looked at it. */
static enum wf_status look_at_unread(struct wf_session *session, struct bytes_view number,
                                     struct wf_error *err) {
    const struct account_view *view = session_find_view(session, number);
    if (session->isolation != WF_READ_COMMITTED || view == NULL || !view->unread) {
        return WF_OK;
    }
    session_forget_views(session);
    session->stale = true;
    return session_begin_call(session, err);
}

static enum wf_status see_account(struct wf_session *session, struct bytes_view number,
                                  struct wf_account **out, struct wf_error *err) {
    struct account_view *view = NULL;
    enum wf_status status = session_begin_call(session, err);
    if (status == WF_OK) {
        status = look_at_unread(session, number, err);
    }
    const struct account_view *newest = session->newest_view;
    if (status == WF_OK) {
        status = session_see(session, number, &view, err);
    }
    if (status == WF_OK) {
        view->unread = false;
        const struct account *account = session_seen(view);
        status =
            account == NULL
                ? engine_account_not_found(err, number)
                : engine_copy_account(account, engine_record_time_ms(session->engine), out, err);
        session_forget_read(session, newest);
    }
    session_end_call(session);
    return status;
}

enum wf_status wf_session_account(struct wf_session *session, const char *number,
                                  struct wf_account **out, struct wf_error *err) {
    struct wf_engine *engine = session->engine;
    struct bytes_view name = text_view(number);
    *out = NULL;
    if (name.size == 0 || name.size > ACCOUNT_NUMBER_MAX) {
        return error_set(err, WF_USAGE, "the number of an account has 1 to %d bytes",
                         ACCOUNT_NUMBER_MAX);
    }
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = session_check(session, err);
    if (status == WF_OK) {
        status = see_account(session, name, out, err);
    }
    struct wal_ticket ticket = session->ticket;
    cache_trim(engine);
    pthread_mutex_unlock(&engine->mutex);
    bool looked = status == WF_OK || status == WF_NOT_FOUND;
    enum wf_status durable = looked ? engine_wait_durable(engine, &ticket, err) : WF_OK;
    if (durable != WF_OK) {
        wf_account_free(*out);
        *out = NULL;
    }
    return durable == WF_OK ? status : durable;
}

/* --- what the transaction wrote --- */

enum wf_status wf_session_balances(struct wf_session *session, wf_balance_fn on_balance, void *ctx,
                                   struct wf_error *err) {
    struct wf_engine *engine = session->engine;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = session_check(session, err);
    if (status == WF_OK) {
        status = session_begin_call(session, err);
        session_end_call(session);
    }
    struct wal_ticket ticket = session->ticket;
    cache_trim(engine);
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK) {
        status = engine_wait_durable(engine, &ticket, err);
    }
    if (status != WF_OK) {
        return status;
    }
    (void)session_each_balance(session, on_balance, ctx); /* the copies are the session's own */
    return WF_OK;
}

/* --- many --- */

static enum wf_status take_word(const char *text, const char *what, char *to, size_t size_max,
                                struct wf_error *err) {
    size_t size = text == NULL ? 0 : strnlen(text, size_max + 1);
    if (size > size_max) {
        return error_set(err, WF_USAGE, "%s is longer than %zu bytes", what, size_max);
    }
    memcpy(to, text == NULL ? "" : text, size);
    to[size] = '\0';
    return WF_OK;
}

static enum wf_status take_bound(const char *text, const char *what,
                                 const struct currency *currency, int64_t *to,
                                 struct wf_error *err) {
    if (text == NULL) {
        return WF_OK;
    }
    if (currency == NULL) {
        return error_set(err, WF_USAGE, "a bound of the balance needs a currency");
    }
    enum decimal_problem problem = decimal_parse(text_view(text), currency->scale, to);
    return problem == DECIMAL_OK ? WF_OK
                                 : error_set(err, WF_USAGE, "%s \"%.64s\" %s in %s", what, text,
                                             decimal_problem_words(problem), currency->code);
}

static enum wf_status take_status(const char *text, enum account_status *to, struct wf_error *err) {
    static const enum account_status all[] = {ACCOUNT_ACTIVE, ACCOUNT_FROZEN, ACCOUNT_CLOSED};
    for (size_t i = 0; text != NULL && i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(text, account_status_name(all[i])) == 0) {
            *to = all[i];
            return WF_OK;
        }
    }
    return text == NULL ? WF_OK
                        : error_set(err, WF_USAGE, "\"%.64s\" is no status of an account", text);
}

static enum wf_status make_match(const struct wf_account_filter *filter,
                                 struct account_match *match, struct wf_error *err) {
    static const struct wf_account_filter everything = {0};
    filter = filter == NULL ? &everything : filter;
    *match = (struct account_match){.balance_min = INT64_MIN, .balance_max = INT64_MAX};
    if (filter->currency != NULL) {
        match->currency = currency_find(text_view(filter->currency));
        if (match->currency == NULL) {
            return error_set(err, WF_USAGE, "\"%.32s\" is no currency such as USD",
                             filter->currency);
        }
    }
    enum wf_status status =
        take_word(filter->prefix, "the prefix", match->prefix, ACCOUNT_NUMBER_MAX, err);
    if (status == WF_OK) {
        status = take_word(filter->type, "the type", match->type, ACCOUNT_TYPE_MAX, err);
    }
    if (status == WF_OK) {
        status = take_status(filter->status, &match->status, err);
    }
    if (status == WF_OK) {
        status = take_bound(filter->balance_min, "the least balance", match->currency,
                            &match->balance_min, err);
    }
    return status != WF_OK ? status
                           : take_bound(filter->balance_max, "the greatest balance",
                                        match->currency, &match->balance_max, err);
}

static bool same_match(const struct account_match *one, const struct account_match *other) {
    return strcmp(one->prefix, other->prefix) == 0 && strcmp(one->type, other->type) == 0 &&
           one->currency == other->currency && one->status == other->status &&
           one->balance_min == other->balance_min && one->balance_max == other->balance_max;
}

/* At commit, nothing that fits it may have changed. */
static enum wf_status keep_match(struct wf_session *session, const struct account_match *match,
                                 struct wf_error *err) {
    if (session->isolation != WF_SERIALIZABLE) {
        return WF_OK;
    }
    for (size_t i = 0; i < session->match_count; i++) {
        if (same_match(&session->matches[i], match)) {
            return WF_OK;
        }
    }
    if (session->match_count == SESSION_MATCHES_MAX) {
        return error_set(err, WF_REFUSED,
                         "a serializable transaction has at most %d lists and "
                         "counts that differ",
                         SESSION_MATCHES_MAX);
    }
    if (session->match_count == session->match_capacity) {
        size_t capacity = session->match_capacity * 2 + 4;
        struct account_match *grown = realloc(session->matches, capacity * sizeof(*grown));
        if (grown == NULL) {
            return error_set(err, WF_NO_MEMORY, "no memory for a list of a transaction");
        }
        session->matches = grown;
        session->match_capacity = capacity;
    }
    session->matches[session->match_count++] = *match;
    return WF_OK;
}

struct account_walk {
    struct wf_session *session;
    const struct account_match *match;
    wf_account_fn on_account; /* NULL: count only */
    void *ctx;
    uint64_t count;
    bool enough; /* the callback said so */
    /* Accounts that the transaction opened, in order: the listing does not know of them. */
    const char **opened;
    size_t opened_count, opened_at;
};

/* `*out` NULL: it does not fit. */
static enum wf_status look_at(struct account_walk *walk, struct bytes_view number,
                              struct wf_account **out, struct wf_error *err) {
    struct wf_session *session = walk->session;
    enum wf_status status = session_check(session, err);
    if (status != WF_OK) {
        return status;
    }
    const struct account_view *view = session_find_view(session, number);
    const struct account *account = view == NULL ? NULL : session_seen(view);
    if (view == NULL) {
        status = versions_find(session->engine, &session->pin, number, &account, err);
    }
    if (status == WF_OK && !session->pin.pinned) {
        status = session_check(session, err);
    }
    if (status != WF_OK || account == NULL || !account_matches(walk->match, account)) {
        return status;
    }
    walk->count++;
    return walk->on_account == NULL
               ? WF_OK
               : engine_copy_account(account, engine_record_time_ms(session->engine), out, err);
}

static enum wf_status show_one(struct account_walk *walk, const char *name, struct wf_error *err) {
    struct wf_engine *engine = walk->session->engine;
    struct wf_account *account = NULL;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = look_at(walk, text_view(name), &account, err);
    cache_trim(engine); /* a walk over all of them must not outgrow the bound */
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK && account != NULL) {
        walk->enough = !walk->on_account(walk->ctx, account);
    }
    wf_account_free(account);
    return status;
}

/* Those that come before this name; NULL: all that are left. */
static enum wf_status show_opened(struct account_walk *walk, const char *name,
                                  struct wf_error *err) {
    enum wf_status status = WF_OK;
    while (status == WF_OK && !walk->enough && walk->opened_at < walk->opened_count) {
        const char *number = walk->opened[walk->opened_at];
        int order = name == NULL ? -1 : strcmp(number, name);
        if (order > 0) {
            break;
        }
        walk->opened_at++; /* at 0 somebody else opened it, and it is shown below that name */
        if (order < 0) {
            status = show_one(walk, number, err);
        }
    }
    return status;
}

static enum wf_status show(void *ctx, const char *name, bool *stopped, struct wf_error *err) {
    struct account_walk *walk = ctx;
    const char *prefix = walk->match->prefix;
    int order = strncmp(name, prefix, strlen(prefix));
    enum wf_status status = show_opened(walk, name, err);
    if (status == WF_OK && order == 0 && !walk->enough) {
        status = show_one(walk, name, err);
    }
    *stopped = walk->enough || order > 0; /* names come in order: none behind it begins so */
    return status;
}

static int compare_numbers(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static enum wf_status collect_opened(struct account_walk *walk, struct wf_error *err) {
    const struct account_view *view = walk->session->newest_view;
    walk->opened = malloc((walk->session->view_count + 1) * sizeof(const char *));
    if (walk->opened == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a list of a transaction");
    }
    for (; view != NULL; view = view->before) {
        if (view->base == NULL && view->own != NULL) {
            walk->opened[walk->opened_count++] = view->number;
        }
    }
    qsort(walk->opened, walk->opened_count, sizeof(const char *), compare_numbers);
    return WF_OK;
}

static enum wf_status begin_walk(struct account_walk *walk, struct wf_error *err) {
    struct wf_session *session = walk->session;
    enum wf_status status = session_check(session, err);
    if (status == WF_OK) {
        status = session_begin_call(session, err);
    }
    if (status == WF_OK) {
        status = keep_match(session, walk->match, err);
    }
    return status == WF_OK ? collect_opened(walk, err) : status;
}

static enum wf_status walk_accounts(struct account_walk *walk, struct wf_error *err) {
    struct wf_session *session = walk->session;
    struct wf_engine *engine = session->engine;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = begin_walk(walk, err);
    struct wal_ticket ticket = session->ticket;
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK) {
        status = engine_wait_durable(engine, &ticket, err);
    }
    if (status == WF_OK) {
        status = listing_walk(engine, LISTING_ACCOUNTS, NULL, show, walk, err);
    }
    if (status == WF_OK) {
        status = show_opened(walk, NULL, err);
    }
    free(walk->opened);
    pthread_mutex_lock(&engine->mutex);
    session_end_call(session);
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

enum wf_status wf_session_list(struct wf_session *session, const struct wf_account_filter *filter,
                               wf_account_fn on_account, void *ctx, struct wf_error *err) {
    struct account_match match;
    enum wf_status status = make_match(filter, &match, err);
    struct account_walk walk = {
        .session = session, .match = &match, .on_account = on_account, .ctx = ctx};
    return status == WF_OK ? walk_accounts(&walk, err) : status;
}

enum wf_status wf_session_count(struct wf_session *session, const struct wf_account_filter *filter,
                                uint64_t *count, struct wf_error *err) {
    struct account_match match;
    enum wf_status status = make_match(filter, &match, err);
    struct account_walk walk = {.session = session, .match = &match};
    if (status == WF_OK) {
        status = walk_accounts(&walk, err);
    }
    *count = walk.count;
    return status;
}

void wf_session_info_get(const struct wf_session *session, struct wf_session_info *info) {
    struct wf_engine *engine = session->engine;
    pthread_mutex_lock(&engine->mutex);
    *info = (struct wf_session_info){
        .open = session->open,
        .isolation = session->open ? session->isolation : session->default_isolation,
        .snapshot_lsn =
            session->open && session->isolation != WF_READ_COMMITTED ? session->pin.lsn : 0,
        .operations = session->operation_count,
        .savepoints = session->savepoint_count,
    };
    pthread_mutex_unlock(&engine->mutex);
}
