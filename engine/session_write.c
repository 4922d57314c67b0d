/* What a transaction wrote: copies of accounts in its view, which go on from call to call. */
#include "engine/result.h"
#include "engine/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct account *session_seen(const struct account_view *view) {
    return view->own != NULL ? view->own : view->base;
}

/* What decisions find of it from now on. Room for one that is found for the first time was
 * reserved. */
static void show(struct wf_session *session, struct account_view *view, struct account *own) {
    struct table *accounts = &session->view.accounts;
    (void)table_remove(accounts, view->number, view->number_size);
    account_destroy(view->own);
    view->own = own;
    struct account *seen = own != NULL ? own : view->base;
    if (seen != NULL) {
        table_insert(accounts, seen);
    }
}

void session_forget_writes(struct wf_session *session) {
    for (struct account_view *view = session->newest_view; view != NULL; view = view->before) {
        if (view->own != NULL) {
            show(session, view, NULL);
        }
    }
    session->first_written = session->last_written = NULL;
    session->written_count = 0;
}

static void add_written(struct wf_session *session, struct account_view *view) {
    view->next_written = NULL;
    if (session->last_written == NULL) {
        session->first_written = view;
    } else {
        session->last_written->next_written = view;
    }
    session->last_written = view;
    session->written_count++;
}

/* --- taking a decision in --- */

/* What the decision makes of one account: its touch. */
struct write {
    struct account_view *view;
    struct account *next;       /* as it will be: the copy that there is, or a new one */
    const struct event *opened; /* by this event; NULL: not */
    size_t placed;              /* holds */
    bool holds_change;
    bool is_new; /* `next` is */
};

static void collect(const struct decision *decision, struct write *writes) {
    for (size_t i = 0; i < decision->event_count; i++) {
        const struct event *event = &decision->events[i];
        if (event->kind == EVENT_ACCOUNT_OPENED) {
            writes[event->as.account_opened.account].opened = event;
        } else if (event->kind == EVENT_HOLD_PLACED) {
            writes[event->as.hold_placed.account].placed++;
            writes[event->as.hold_placed.account].holds_change = true;
        } else if (event->kind == EVENT_HOLD_ENDED) {
            writes[event->as.hold_ended.account].holds_change = true;
        }
    }
}

/* One that the transaction opens; no record has it yet. */
static struct account *open_account(const struct decision *decision, size_t touch,
                                    const struct event *event) {
    struct bytes_view type = event->as.account_opened.type;
    struct account *account =
        account_create(decision->touches[touch].kind, decision->touches[touch].name);
    if (account != NULL) {
        account->currency = decision->lines[touch].currency;
        account->minimum = event->as.account_opened.minimum;
        account->opened_ms = account->changed_ms = decision->time_ms;
        memcpy(account->type, type.data, type.size);
    }
    return account;
}

/* Names of holds in the decision's events may stand in the copy that there is: one whose holds
 * change is made anew, and the old one goes when all is done. */
static enum wf_status prepare(struct wf_session *session, const struct decision *decision,
                              size_t touch, struct write *write, struct wf_error *err) {
    struct bytes_view number = decision->touches[touch].name;
    write->view = session_find_view(session, number);
    if (write->view == NULL) { /* one of the bank's own: nobody looked at it */
        enum wf_status status = session_see(session, number, &write->view, err);
        if (status != WF_OK) {
            return status;
        }
        write->view->unread = true;
    }
    struct account_view *view = write->view;
    const struct account *seen = session_seen(view);
    if (view->own != NULL && !write->holds_change) {
        write->next = view->own;
        return WF_OK;
    }
    write->is_new = true;
    assert(seen != NULL || write->opened != NULL);
    write->next = seen != NULL ? account_copy(seen, write->placed)
                               : open_account(decision, touch, write->opened);
    return write->next != NULL && account_reserve_holds(write->next, write->placed)
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "no memory for what a transaction wrote");
}

static void place_hold(struct account *account, const struct event *event) {
    struct account_hold *hold = &account->holds[account->hold_count++];
    *hold = (struct account_hold){.amount = event->as.hold_placed.amount,
                                  .expires_ms = event->as.hold_placed.expires_ms};
    memcpy(hold->name, event->as.hold_placed.name.data, event->as.hold_placed.name.size);
    memcpy(hold->to, event->as.hold_placed.to.data, event->as.hold_placed.to.size);
}

static void end_hold(struct account *account, struct bytes_view name) {
    struct account_hold *hold = account_find_hold(account, name);
    if (hold != NULL) {
        size_t index = (size_t)(hold - account->holds);
        account->hold_count--;
        memmove(hold, hold + 1, (account->hold_count - index) * sizeof(*hold));
    }
}

/* One of the bank's own that was not in the view was decided on as if it began at zero. */
static bool set_balance(const struct decision *decision, size_t touch, struct write *write) {
    int64_t balance = decision->lines[touch].balance;
    bool as_new = write->opened != NULL && write->view->base != NULL && write->view->own == NULL;
    return !__builtin_add_overflow(balance, as_new ? write->view->base->balance : 0,
                                   &write->next->balance);
}

static enum wf_status prepare_all(struct wf_session *session, const struct decision *decision,
                                  struct write *writes, struct wf_error *err) {
    collect(decision, writes);
    for (size_t i = 0; i < decision->touch_count; i++) {
        enum wf_status status = prepare(session, decision, i, &writes[i], err);
        if (status != WF_OK) {
            return status;
        }
    }
    return table_reserve_many(&session->view.accounts, decision->touch_count)
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "no memory for what a transaction wrote");
}

static void change_holds(const struct decision *decision, struct write *writes) {
    for (size_t i = 0; i < decision->event_count; i++) {
        const struct event *event = &decision->events[i];
        if (event->kind == EVENT_HOLD_PLACED) {
            place_hold(writes[event->as.hold_placed.account].next, event);
        } else if (event->kind == EVENT_HOLD_ENDED) {
            end_hold(writes[event->as.hold_ended.account].next, event->as.hold_ended.name);
        }
    }
}

static void finish(struct wf_session *session, const struct decision *decision,
                   struct write *writes) {
    change_holds(decision, writes);
    for (size_t i = 0; i < decision->touch_count; i++) {
        struct account_view *view = writes[i].view;
        bool first = view->own == NULL;
        if (!set_balance(decision, i, &writes[i])) {
            writes[i].next->balance = INT64_MAX; /* the commit says that it cannot be */
        }
        writes[i].next->status = decision->lines[i].status;
        if (writes[i].is_new) {
            show(session, view, writes[i].next);
        }
        if (first && !account_is_internal(view->own)) {
            add_written(session, view);
        }
    }
}

static void give_back(const struct decision *decision, struct write *writes) {
    for (size_t i = 0; i < decision->touch_count; i++) {
        account_destroy(writes[i].is_new ? writes[i].next : NULL);
    }
}

enum wf_status session_take_writes(struct wf_session *session, const struct decision *decision,
                                   struct wf_error *err) {
    struct write *writes = calloc(decision->touch_count + 1, sizeof(*writes));
    if (writes == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for what a transaction wrote");
    }
    enum wf_status status = prepare_all(session, decision, writes, err);
    if (status == WF_OK) {
        finish(session, decision, writes);
    } else {
        give_back(decision, writes); /* the view may be gone, and the transaction with it */
    }
    free(writes);
    return status;
}

/* --- told --- */

static void fill_balance(const struct account *account, struct wf_balance *balance) {
    struct bytes_view number = {(const uint8_t *)account->number, account->number_size};
    result_set_balance(balance, number, account->currency, account->balance);
}

void session_set_result(const struct wf_session *session, struct wf_result *result) {
    result->outcome = "posted";
    result->balances_total = session->written_count;
    const struct account_view *view = session->first_written;
    for (; view != NULL && result->balance_count < WF_RESULT_BALANCES_MAX;
         view = view->next_written) {
        fill_balance(view->own, &result->balances[result->balance_count++]);
    }
}

bool session_each_balance(const struct wf_session *session, wf_balance_fn on_balance, void *ctx) {
    bool more = true;
    for (const struct account_view *view = session->first_written; more && view != NULL;
         view = view->next_written) {
        struct wf_balance balance;
        fill_balance(view->own, &balance);
        more = on_balance(ctx, &balance);
    }
    return more;
}
