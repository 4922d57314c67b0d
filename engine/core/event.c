#include "engine/core/event.h"

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
    }
    return NULL;
}
