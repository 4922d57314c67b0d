#include "engine/core/command.h"

const char *command_kind_name(enum command_kind kind) {
    switch (kind) {
    case COMMAND_STORE_CREATE:
        return "store.create";
    case COMMAND_DEFINITION_ADD:
        return "def.add";
    case COMMAND_WORKFLOW_START:
        return "workflow.start";
    case COMMAND_WORKFLOW_SUBMIT:
        return "workflow.submit";
    case COMMAND_WORKFLOW_FAIL:
        return "workflow.fail";
    case COMMAND_WORKFLOW_CANCEL:
        return "workflow.cancel";
    case COMMAND_CLOCK_ADVANCE:
        return "clock.advance";
    case COMMAND_LOG_REPAIR:
        return "wal.repair";
    case COMMAND_WORKFLOW_ROLLBACK:
        return "workflow.rollback";
    case COMMAND_REVIEW_APPROVE:
        return "review.approve";
    case COMMAND_REVIEW_REJECT:
        return "review.reject";
    case COMMAND_TIMER_FIRE:
        return "timer.fire";
    case COMMAND_CLOCK_JUMP:
        return "clock.jump";
    case COMMAND_WORKFLOW_MIGRATE:
        return "workflow.migrate";
    case COMMAND_TASK_CLAIM:
        return "task.claim";
    case COMMAND_TASK_COMPLETE:
        return "task.complete";
    case COMMAND_TASK_FAIL:
        return "task.fail";
    case COMMAND_TASK_RETRY:
        return "task.retry";
    case COMMAND_ACCOUNT_OPEN:
        return "account.open";
    case COMMAND_ACCOUNT_TRANSACT:
        return "account.transact";
    case COMMAND_ACCOUNT_FREEZE:
        return "account.freeze";
    case COMMAND_ACCOUNT_UNFREEZE:
        return "account.unfreeze";
    case COMMAND_ACCOUNT_CLOSE:
        return "account.close";
    case COMMAND_HOLD_EXPIRE:
        return "hold.expire";
    case COMMAND_ACCOUNT_REVERSE:
        return "account.reverse";
    case COMMAND_RATE_SET:
        return "rate.set";
    case COMMAND_INSTRUMENT_SET:
        return "instrument.set";
    case COMMAND_CALENDAR_SET:
        return "calendar.set";
    case COMMAND_FEE_RULE_SET:
        return "fee_rule.set";
    case COMMAND_ARCHIVE_DROP:
        return "archive.drop";
    }
    return NULL;
}

enum command_subject command_subject(enum command_kind kind) {
    switch (kind) {
    case COMMAND_WORKFLOW_START:
    case COMMAND_WORKFLOW_SUBMIT:
    case COMMAND_WORKFLOW_FAIL:
    case COMMAND_WORKFLOW_CANCEL:
    case COMMAND_WORKFLOW_ROLLBACK:
    case COMMAND_REVIEW_APPROVE:
    case COMMAND_REVIEW_REJECT:
    case COMMAND_TIMER_FIRE:
    case COMMAND_WORKFLOW_MIGRATE:
    case COMMAND_TASK_CLAIM:
    case COMMAND_TASK_COMPLETE:
    case COMMAND_TASK_FAIL:
    case COMMAND_TASK_RETRY:
        return SUBJECT_WORKFLOW;
    case COMMAND_DEFINITION_ADD:
        return SUBJECT_DEFINITION;
    case COMMAND_ACCOUNT_OPEN:
    case COMMAND_ACCOUNT_FREEZE:
    case COMMAND_ACCOUNT_UNFREEZE:
    case COMMAND_ACCOUNT_CLOSE:
    case COMMAND_HOLD_EXPIRE:
        return SUBJECT_ACCOUNT;
    case COMMAND_RATE_SET:
    case COMMAND_INSTRUMENT_SET:
    case COMMAND_CALENDAR_SET:
    case COMMAND_FEE_RULE_SET:
        return SUBJECT_REFERENCE;
    case COMMAND_STORE_CREATE:
    case COMMAND_CLOCK_ADVANCE:
    case COMMAND_LOG_REPAIR:
    case COMMAND_CLOCK_JUMP:
    case COMMAND_ACCOUNT_TRANSACT:
    case COMMAND_ACCOUNT_REVERSE:
    case COMMAND_ARCHIVE_DROP:
        return SUBJECT_NONE;
    }
    return SUBJECT_UNKNOWN;
}

bool command_is_about_workflow(enum command_kind kind) {
    return command_subject(kind) == SUBJECT_WORKFLOW;
}
