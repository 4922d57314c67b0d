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
    case COMMAND_RATE_SET:
        return "rate.set";
    case COMMAND_INSTRUMENT_SET:
        return "instrument.set";
    case COMMAND_CALENDAR_SET:
        return "calendar.set";
    case COMMAND_FEE_RULE_SET:
        return "fee_rule.set";
    }
    return NULL;
}
