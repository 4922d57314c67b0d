#include "tests/sim/rollback_report.h"

#include "engine/core/state.h"

#include <inttypes.h>
#include <stdio.h>

/* 1: it never happened. */
static unsigned report(const uint64_t *seen, const char *what, const char *which) {
    printf("  %-34s %-18s %10" PRIu64 "%s\n", what, which, *seen, *seen == 0 ? "  NEVER" : "");
    return *seen == 0;
}

static unsigned report_commands(const uint64_t *seen) {
    static const enum command_kind kinds[] = {COMMAND_WORKFLOW_SUBMIT, COMMAND_WORKFLOW_FAIL,
                                              COMMAND_WORKFLOW_CANCEL, COMMAND_WORKFLOW_ROLLBACK,
                                              COMMAND_REVIEW_APPROVE,  COMMAND_REVIEW_REJECT,
                                              COMMAND_TIMER_FIRE};
    unsigned unseen = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *name = command_kind_name(kinds[i]);
        unseen += report(&seen[SEEN_COMMANDS + (int)kinds[i]], name, "accepted");
        unseen += report(&seen[SEEN_COMMANDS + (int)kinds[i] + SEEN_REFUSED], name, "refused");
    }
    return unseen;
}

static unsigned report_money(const uint64_t *seen) {
    static const enum command_kind back[] = {COMMAND_WORKFLOW_ROLLBACK, COMMAND_WORKFLOW_CANCEL,
                                             COMMAND_REVIEW_APPROVE};
    unsigned unseen = 0;
    for (int i = 0; i < 3; i++) {
        const char *name = command_kind_name((enum command_kind)(COMMAND_ACCOUNT_TRANSACT + i));
        unseen += report(&seen[SEEN_MONEY + 2 * i], name, "accepted");
        unseen += report(&seen[SEEN_MONEY + 2 * i + 1], name, "refused");
    }
    unseen += report(&seen[SEEN_STAGE_MONEY], "stage completed with money", "");
    unseen += report(&seen[SEEN_STAGE_MONEY_REFUSED], "submission refused for its money", "");
    for (size_t i = 0; i < sizeof back / sizeof back[0]; i++) {
        const char *name = command_kind_name(back[i]);
        unseen += report(&seen[SEEN_MONEY_BACK + (int)back[i]], "money went back by", name);
        unseen +=
            report(&seen[SEEN_MONEY_CANNOT + (int)back[i]], "money could not go back by", name);
    }
    unseen += report(&seen[SEEN_MONEY_SEVERAL], "money of several stages back", "in one record");
    unseen += report(&seen[SEEN_MONEY_AGAIN], "money of a later attempt back", "");
    unseen += report(&seen[SEEN_HOLD_FREED], "hold freed by an undone stage", "");
    return unseen;
}

unsigned rollback_report(const uint64_t seen[SEEN_COUNT]) {
    unsigned unseen = report_commands(seen);
    for (int i = ROLLBACK_AUTOMATIC; i <= ROLLBACK_EXECUTIVE_REVIEW; i++)
        unseen += report(&seen[SEEN_STRATEGIES + i], "undone or awaiting review",
                         rollback_strategy_name((enum rollback_strategy)i));
    for (int i = WORKFLOW_RUNNING; i < WORKFLOW_STATUS_COUNT; i++)
        if (i != WORKFLOW_ROLLING_BACK) /* one command goes on until somebody must decide */
            unseen += report(&seen[SEEN_FROM + i], "rollback accepted from",
                             workflow_status_name((enum workflow_status)i));
    for (int i = WORKFLOW_COMPLETED; i < WORKFLOW_STATUS_COUNT; i++)
        unseen +=
            report(&seen[SEEN_END + i], "ended as", workflow_status_name((enum workflow_status)i));
    unseen += report_money(seen);
    unseen += report(&seen[SEEN_CANCEL_BACK], "cancelled with rollback", "");
    unseen += report(&seen[SEEN_TURN], "rollback in place of another", "");
    unseen += report(&seen[SEEN_HELD_TIME], "stage held with time left", "");
    unseen += report(&seen[SEEN_LATE], "timer fired late", "");
    unseen += report(&seen[SEEN_CLOCK_BACK], "clock ran back", "");
    unseen += report(&seen[SEEN_AGAIN], "the same verdict again", "");
    unseen += report(&seen[SEEN_KILL_SNAPSHOT], "kill", "snapshot");
    unseen += report(&seen[SEEN_KILL_REPLAY], "kill", "replay");
    return unseen;
}
