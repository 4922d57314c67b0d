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
    }
    return NULL;
}
