/* What account.reverse has to know of the record that it names: read from the log, for the core has
 * no log. A record never changes, so it may be read before the engine's mutex is taken. */
#include "engine/engine.h"

#include "engine/command_in.h"
#include "engine/core/stage_money.h"

#include <inttypes.h>
#include <string.h>

struct reverse_walk {
    struct command_in *in;
    struct codec_arena arena;
    bool found;
};

static enum wf_status take_record(struct command_in *in, const struct record *record,
                                  struct wf_error *err) {
    struct command *command = &in->command;
    if (record->subject.size > 0) { /* a transaction of its own has none */
        memcpy(in->subject, record->subject.data, record->subject.size);
    }
    command->as.account_reverse.subject =
        (struct bytes_view){(const uint8_t *)in->subject, record->subject.size};
    command->as.account_reverse.of = record->command;
    command->as.account_reverse.refused =
        record->event_count > 0 && record->events[0].kind == EVENT_COMMAND_REFUSED;
    enum wf_status status = stage_money_create(record, &in->money, err);
    command->as.account_reverse.money = in->money;
    return status;
}

static enum wf_status look(void *ctx, const struct wal_record *wal_record, struct wf_error *err) {
    struct reverse_walk *walk = ctx;
    struct record record;
    if (wal_record->lost) {
        return WF_OK;
    }
    enum wf_status status = codec_decode(&walk->arena, wal_record->payload, &record, err);
    if (status != WF_OK) {
        return error_wrap(err, status, "LSN %" PRIu64, wal_record->lsn);
    }
    record.lsn = wal_record->lsn;
    status = take_record(walk->in, &record, err);
    codec_release(&record);
    walk->found = status == WF_OK;
    return status;
}

enum wf_status engine_read_reversed(struct wf_engine *engine, struct command_in *in,
                                    struct wf_error *err) {
    if (in->command.kind != COMMAND_ACCOUNT_REVERSE) {
        return WF_OK;
    }
    uint64_t lsn = in->command.as.account_reverse.lsn;
    struct reverse_walk walk = {.in = in};
    codec_arena_init(&walk.arena);
    enum wf_status status = wf_sync(engine, err); /* it may have been enqueued just now */
    uint64_t newest = wal_durable_lsn(engine->wal);
    if (status == WF_OK && lsn > newest) {
        status = error_set(err, WF_NOT_FOUND,
                           "there is no record %" PRIu64 "; the newest is %" PRIu64, lsn, newest);
    }
    if (status == WF_OK) {
        status = wal_walk(engine->wal, lsn, lsn, look, &walk, err);
    }
    codec_arena_deinit(&walk.arena);
    if (status != WF_OK || walk.found) {
        return status;
    }
    return engine_missing(engine, lsn, "there is nothing to reverse", err);
}
