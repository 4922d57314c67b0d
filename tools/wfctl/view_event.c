/* An event of a history or of the trail. */
#include "tools/wfctl/view.h"

#include "tools/wfctl/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool has_time(const struct wf_event *event) {
    return event->time_ms != 0 || (strcmp(event->event, "record_lost") != 0 &&
                                   strcmp(event->event, "records_dropped") != 0);
}

const char *view_event_time(char text[FORMAT_TIME_SIZE], const struct wf_event *event) {
    return has_time(event) ? format_time(text, event->time_ms) : "time unknown";
}

void view_event_time_member(struct emit *json, const struct wf_event *event) {
    emit_key(json, "time");
    if (has_time(event))
        emit_time(json, event->time_ms);
    else
        emit_null(json);
}

static void event_members(struct emit *json, const struct wf_event *event) {
    emit_member_uint(json, "lsn", event->lsn);
    view_event_time_member(json, event);
    emit_member(json, "event", event->event);
    emit_member_if(json, "stage", event->stage);
    emit_member_if(json, "step", event->step);
    emit_member_if(json, "actor", event->actor);
    if (event->data_count > 0 || event->step)
        view_data_member(json, event->data, event->data_count);
    emit_member_if(json, "command", event->command);
    if (event->subject && *event->subject)
        emit_member(json, "subject", event->subject);
    if (event->attempt)
        emit_member_uint(json, "attempt", event->attempt);
    if (event->version)
        emit_member_uint(json, "version", event->version);
    if (event->deadline_ms)
        emit_member_time(json, "deadline", event->deadline_ms);
    emit_member_if(json, "role", event->role);
    if (event->expected_ms)
        emit_member_time(json, "expected", event->expected_ms);
    emit_member_if(json, "worker", event->worker);
    if (event->tries)
        emit_member_uint(json, "tries", event->tries);
    if (event->compensate)
        emit_member_bool(json, "compensate", true);
    emit_member_if(json, "key", event->key);
    if (event->without_effect)
        emit_member_bool(json, "without_effect", true);
    emit_member_if(json, "reason", event->reason);
}

bool view_event(void *ctx, const struct wf_event *event) {
    struct emit *json = ctx;
    emit_open(json, '{');
    event_members(json, event);
    emit_close(json, '}');
    return true;
}

bool view_event_item(void *ctx, const struct wf_event *event) {
    struct out *out = ctx;
    out_item_open(out);
    event_members(&out->json, event);
    return out_item_close(out);
}

/* --- text --- */

static enum out_style event_style(const struct wf_event *event) {
    static const struct {
        const char *ending;
        enum out_style style;
    } styles[] = {{"_completed", STYLE_GOOD}, {"_failed", STYLE_BAD},     {"_lost", STYLE_BAD},
                  {"_refused", STYLE_BAD},    {"_activated", STYLE_BUSY}, {"_cancelled", STYLE_BAD},
                  {"_timed_out", STYLE_BAD},  {"_rejected", STYLE_BAD},   {"_approved", STYLE_GOOD},
                  {"_requested", STYLE_BUSY}};
    size_t size = strlen(event->event);
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        size_t ending = strlen(styles[i].ending);
        if (size >= ending && strcmp(event->event + size - ending, styles[i].ending) == 0)
            return styles[i].style;
    }
    return STYLE_PLAIN;
}

/* "stage_activated" with the stage's name reads "credit_check activated"; what has no name reads as
 * it stands. */
static void event_words(struct out *out, const struct wf_event *event) {
    const char *name = event->stage ? event->stage : event->step;
    const char *verb = event->event;
    if (name) {
        if (strncmp(verb, "rollback_", 9) == 0)
            out_printf(out, "rollback to ");
        else if (strncmp(verb, "review_", 7) == 0)
            out_printf(out, "review of ");
        else if (strncmp(verb, "money_", 6) == 0)
            out_printf(out, "money of ");
        out_text(out, name);
        out_printf(out, " ");
        const char *underscore = strchr(verb, '_');
        verb = underscore ? underscore + 1 : verb;
    }
    char words[64];
    size_t size = 0;
    for (; verb[size] && size + 1 < sizeof words; size++)
        words[size] = verb[size] == '_' ? ' ' : verb[size];
    words[size] = '\0';
    out_styled(out, event_style(event), words);
}

void view_event_text(struct out *out, const struct wf_event *event) {
    char time[FORMAT_TIME_SIZE];
    event_words(out, event);
    if (event->without_effect) {
        out_printf(out, ", ");
        out_styled(out, STYLE_BAD, "without effect");
    }
    if (event->attempt > 1)
        out_printf(out, ", attempt %u", event->attempt);
    if (event->version)
        out_printf(out, ", version %u", event->version);
    if (event->compensate)
        out_printf(out, ", compensation");
    if (event->tries)
        out_printf(out, ", try %u", event->tries);
    if (event->worker) {
        out_printf(out, " by ");
        out_text(out, event->worker);
    }
    if (event->deadline_ms)
        out_printf(out, ", until %s", format_time(time, event->deadline_ms));
    if (event->role) {
        out_printf(out, ", role ");
        out_text(out, event->role);
    }
    if (event->expected_ms)
        out_printf(out, ", from %s", format_time(time, event->expected_ms));
    if (event->clock_ms)
        out_printf(out, ", to %s", format_time(time, event->clock_ms));
    for (size_t i = 0; i < event->data_count; i++) {
        out_printf(out, i == 0 ? ": " : ", ");
        out_text(out, event->data[i].name);
        out_printf(out, "=");
        out_text(out, event->data[i].value);
    }
    if (event->reason) {
        out_printf(out, ": ");
        out_text(out, event->reason);
    }
}
