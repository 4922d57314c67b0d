#include "engine/repairs.h"

#include "base/error.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAX = 96 };

static const char repaired_name[] = "repaired";

void repairs_init(struct repairs *repairs) {
    *repairs = (struct repairs){.at = NULL};
}

void repairs_deinit(struct repairs *repairs) {
    free(repairs->at);
    repairs_init(repairs);
}

static enum wf_status add(struct repairs *repairs, const struct wf_repair *repair,
                          struct wf_error *err) {
    struct wf_repair *more = realloc(repairs->at, (repairs->count + 1) * sizeof(*more));
    if (more == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for what was repaired");
    }
    repairs->at = more;
    repairs->at[repairs->count++] = *repair;
    repairs->told.records += repair->last_lsn - repair->first_lsn + 1;
    return WF_OK;
}

/* A number that ends at `end`, which is passed. False: there is none. */
static bool read_number(struct bytes_view text, size_t *at, char end, uint64_t *number) {
    size_t size = 0;
    while (*at + size < text.size && text.data[*at + size] >= '0' && text.data[*at + size] <= '9') {
        size++;
    }
    struct bytes_view digits = {text.data + *at, size};
    *at += size;
    bool ended = *at < text.size ? text.data[*at] == (uint8_t)end : end == ',';
    *at += 1;
    return ended && text_number(digits, number);
}

/* "FIRST-LAST@MS#LSN,…"; what is malformed ends it. */
static enum wf_status read_text(struct repairs *repairs, struct bytes_view text,
                                struct wf_error *err) {
    size_t at = 0;
    enum wf_status status = WF_OK;
    while (status == WF_OK && at < text.size) {
        struct wf_repair repair;
        uint64_t time_ms;
        if (!read_number(text, &at, '-', &repair.first_lsn) ||
            !read_number(text, &at, '@', &repair.last_lsn) ||
            !read_number(text, &at, '#', &time_ms) || !read_number(text, &at, ',', &repair.lsn) ||
            repair.last_lsn < repair.first_lsn || time_ms > INT64_MAX) {
            return WF_OK;
        }
        repair.time_ms = (int64_t)time_ms;
        status = add(repairs, &repair, err);
    }
    return status;
}

static enum wf_status see_fields(struct repairs *repairs, const struct field *fields, size_t count,
                                 struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (size_t i = 0; status == WF_OK && i < count; i++) {
        if (text_equal(fields[i].name, repaired_name)) {
            status = read_text(repairs, fields[i].value, err);
        } else {
            repairs->counted = true;
        }
    }
    aftermath_add_fields(fields, count, &repairs->told);
    return status;
}

enum wf_status repairs_see(struct repairs *repairs, const struct record *record,
                           struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (size_t i = 0; status == WF_OK && i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        if (event->kind == EVENT_LOG_REPAIRED) {
            const struct wf_repair repair = {.first_lsn = event->as.log_repaired.first_lsn,
                                             .last_lsn = event->as.log_repaired.last_lsn,
                                             .lsn = record->lsn,
                                             .time_ms = record->time_ms};
            status = add(repairs, &repair, err);
            if (status == WF_OK) {
                status = see_fields(repairs, event->as.log_repaired.fields,
                                    event->as.log_repaired.field_count, err);
            }
        } else if (event->kind == EVENT_ARCHIVE_DROPPED) {
            status = see_fields(repairs, event->as.archive_dropped.fields,
                                event->as.archive_dropped.field_count, err);
        }
    }
    return status;
}

void repairs_to_fields(const struct repairs *repairs, struct repairs_fields *out) {
    out->count = 0;
    out->text[0] = '\0';
    size_t first = repairs->count > REPAIRS_TEXT_MAX / ENTRY_MAX
                       ? repairs->count - REPAIRS_TEXT_MAX / ENTRY_MAX
                       : 0;
    size_t used = 0;
    for (size_t i = first; i < repairs->count; i++) {
        const struct wf_repair *repair = &repairs->at[i];
        used +=
            (size_t)snprintf(out->text + used, sizeof(out->text) - used,
                             "%s%" PRIu64 "-%" PRIu64 "@%" PRId64 "#%" PRIu64, used == 0 ? "" : ",",
                             repair->first_lsn, repair->last_lsn, repair->time_ms, repair->lsn);
    }
    if (repairs->count == 0) {
        return;
    }
    out->fields[out->count++] = (struct field){text_view(repaired_name), text_view(out->text)};
    if (repairs->counted) {
        aftermath_to_fields(&repairs->told, &out->sums);
        memcpy(out->fields + 1, out->sums.fields, out->sums.count * sizeof(out->fields[0]));
        out->count += out->sums.count;
    }
}
