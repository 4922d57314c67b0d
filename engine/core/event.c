#include "engine/core/event.h"

#include "base/nearest.h"

#include <string.h>

const char *event_kind_name(enum event_kind kind) {
    switch (kind) {
    case EVENT_STORE_CREATED:
        return "store_created";
    case EVENT_DEFINITION_ADDED:
        return "definition_added";
    case EVENT_WORKFLOW_STARTED:
        return "workflow_started";
    case EVENT_STEP_SUBMITTED:
        return "step_submitted";
    case EVENT_STAGE_ACTIVATED:
        return "stage_activated";
    case EVENT_STAGE_COMPLETED:
        return "stage_completed";
    case EVENT_WORKFLOW_COMPLETED:
        return "workflow_completed";
    case EVENT_STAGE_FAILED:
        return "stage_failed";
    case EVENT_WORKFLOW_FAILED:
        return "workflow_failed";
    case EVENT_WORKFLOW_CANCELLED:
        return "workflow_cancelled";
    case EVENT_COMMAND_REFUSED:
        return "command_refused";
    case EVENT_CLOCK_ADVANCED:
        return "clock_advanced";
    case EVENT_LOG_REPAIRED:
        return "log_repaired";
    case EVENT_ROLLBACK_REQUESTED:
        return "rollback_requested";
    case EVENT_CANCEL_REQUESTED:
        return "cancel_requested";
    case EVENT_REVIEW_REQUESTED:
        return "review_requested";
    case EVENT_REVIEW_APPROVED:
        return "review_approved";
    case EVENT_REVIEW_REJECTED:
        return "review_rejected";
    case EVENT_STAGE_UNDONE:
        return "stage_undone";
    case EVENT_STAGE_TIMED_OUT:
        return "stage_timed_out";
    case EVENT_TIMERS_STOPPED:
        return "timers_stopped";
    case EVENT_TIMERS_RESUMED:
        return "timers_resumed";
    case EVENT_ROLLBACK_COMPLETED:
        return "rollback_completed";
    case EVENT_ROLLBACK_STOPPED:
        return "rollback_stopped";
    case EVENT_CLOCK_ADVANCE_BEGUN:
        return "clock_advance_begun";
    case EVENT_CLOCK_JUMPED:
        return "clock_jumped";
    case EVENT_WORKFLOW_MIGRATED:
        return "workflow_migrated";
    case EVENT_TASK_DUE:
        return "task_due";
    case EVENT_TASK_CLAIMED:
        return "task_claimed";
    case EVENT_TASK_FAILED:
        return "task_failed";
    case EVENT_TASK_PARKED:
        return "task_parked";
    case EVENT_TASK_DONE:
        return "task_done";
    case EVENT_TASK_RETRIED:
        return "task_retried";
    case EVENT_ACCOUNT_OPENED:
        return "account_opened";
    case EVENT_OPERATION_POSTED:
        return "operation_posted";
    case EVENT_ACCOUNT_STATUS_SET:
        return "account_status_set";
    case EVENT_HOLD_PLACED:
        return "hold_placed";
    case EVENT_HOLD_ENDED:
        return "hold_ended";
    case EVENT_MONEY_BOUND:
        return "money_bound";
    case EVENT_TRANSACTION_REVERSED:
        return "transaction_reversed";
    case EVENT_REFERENCE_SET:
        return "reference_set";
    case EVENT_ARCHIVE_DROPPED:
        return "archive_dropped";
    case EVENT_SEGMENT_DROPPED:
        return "segment_dropped";
    }
    return NULL;
}

const char *operation_kind_name(enum operation_kind kind) {
    switch (kind) {
    case OPERATION_TRANSFER:
        return "transfer";
    case OPERATION_CURRENCY_EXCHANGE:
        return "currency_exchange";
    case OPERATION_INVESTMENT_PURCHASE:
        return "investment_purchase";
    case OPERATION_FEE_DEDUCTION:
        return "fee_deduction";
    case OPERATION_DEPOSIT:
        return "deposit";
    case OPERATION_WITHDRAWAL:
        return "withdrawal";
    case OPERATION_LOAN_DISBURSEMENT:
        return "loan_disbursement";
    case OPERATION_LOAN_PAYMENT:
        return "loan_payment";
    case OPERATION_HOLD:
        return "hold";
    case OPERATION_POST:
        return "post";
    case OPERATION_VOID:
        return "void";
    case OPERATION_OPENING:
        return "opening";
    case OPERATION_REVERSAL:
        return "reversal";
    case OPERATION_ACCOUNT_OPEN:
        return "account_open";
    case OPERATION_ACCOUNT_FREEZE:
        return "account_freeze";
    case OPERATION_ACCOUNT_UNFREEZE:
        return "account_unfreeze";
    case OPERATION_ACCOUNT_CLOSE:
        return "account_close";
    }
    return NULL;
}

bool operation_kind_posts(enum operation_kind kind) {
    return kind >= OPERATION_TRANSFER && kind <= OPERATION_REVERSAL;
}

static bool is_word(struct bytes_view word, enum operation_kind kind) {
    const char *name = operation_kind_name(kind);
    return strlen(name) == word.size && memcmp(name, word.data, word.size) == 0;
}

enum operation_kind operation_kind_parse(struct bytes_view word) {
    for (int i = OPERATION_TRANSFER; i <= OPERATION_REVERSAL; i++)
        if (is_word(word, (enum operation_kind)i))
            return (enum operation_kind)i;
    for (int i = OPERATION_ACCOUNT_OPEN; i <= OPERATION_ACCOUNT_CLOSE; i++)
        if (is_word(word, (enum operation_kind)i))
            return (enum operation_kind)i;
    return (enum operation_kind)0;
}

bool operation_may_be_asked_for(enum operation_kind kind) {
    return operation_kind_name(kind) != NULL && kind != OPERATION_OPENING &&
           kind != OPERATION_REVERSAL;
}

const char *operation_kind_nearest(struct bytes_view word) {
    const char *names[OPERATION_REVERSAL + OPERATION_ACCOUNT_CLOSE - OPERATION_ACCOUNT_OPEN + 1];
    size_t count = 0;
    for (int kind = OPERATION_TRANSFER; kind <= OPERATION_ACCOUNT_CLOSE; kind++)
        if (operation_may_be_asked_for((enum operation_kind)kind))
            names[count++] = operation_kind_name((enum operation_kind)kind);
    return word.size == 0 ? NULL : nearest_word((const char *)word.data, word.size, names, count);
}

const char *account_status_name(enum account_status status) {
    switch (status) {
    case ACCOUNT_ACTIVE:
        return "active";
    case ACCOUNT_FROZEN:
        return "frozen";
    case ACCOUNT_CLOSED:
        return "closed";
    }
    return NULL;
}

const char *hold_end_name(enum hold_end end) {
    switch (end) {
    case HOLD_POSTED:
        return "posted";
    case HOLD_VOIDED:
        return "voided";
    case HOLD_EXPIRED:
        return "expired";
    }
    return NULL;
}

const char *reference_kind_name(enum reference_kind kind) {
    switch (kind) {
    case REFERENCE_RATE:
        return "rate";
    case REFERENCE_INSTRUMENT:
        return "instrument";
    case REFERENCE_CALENDAR:
        return "calendar";
    case REFERENCE_FEE_RULE:
        return "fee_rule";
    }
    return NULL;
}
