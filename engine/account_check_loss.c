/* What repairs took, as `account check` walks past it: which records are gone, and until when those
 * that stand were written on balances that still had them. */
#include "engine/account_check.h"

#include <stdlib.h>

struct lost_range {
    uint64_t first_lsn, last_lsn;
};

void account_losses_deinit(struct account_losses *losses) {
    free(losses->ranges);
    *losses = (struct account_losses){0};
}

enum wf_status account_losses_add(struct account_losses *losses, uint64_t lsn,
                                  struct wf_error *err) {
    losses->untold++;
    if (losses->count > 0) {
        struct lost_range *last = &losses->ranges[losses->count - 1];
        if (last->last_lsn + 1 == lsn) {
            last->last_lsn = lsn;
            return WF_OK;
        }
    }
    if (losses->ranges == NULL || losses->count == losses->capacity) {
        size_t capacity = losses->capacity * 2 + 8;
        struct lost_range *ranges = realloc(losses->ranges, capacity * sizeof(*ranges));
        if (ranges == NULL) {
            return error_set(err, WF_NO_MEMORY, "no memory to check accounts");
        }
        losses->ranges = ranges;
        losses->capacity = capacity;
    }
    losses->ranges[losses->count++] = (struct lost_range){.first_lsn = lsn, .last_lsn = lsn};
    return WF_OK;
}

bool account_losses_have(const struct account_losses *losses, uint64_t lsn) {
    for (size_t i = 0; i < losses->count; i++) {
        if (losses->ranges[i].first_lsn <= lsn && lsn <= losses->ranges[i].last_lsn) {
            return true;
        }
    }
    return false;
}

void account_losses_see(struct account_losses *losses, const struct record *record) {
    for (size_t i = 0; losses->untold > 0 && i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        if (event->kind == EVENT_LOG_REPAIRED) {
            uint64_t told = event->as.log_repaired.last_lsn - event->as.log_repaired.first_lsn + 1;
            losses->untold -= told < losses->untold ? told : losses->untold;
        }
    }
}
