/* What account.reverse has to know of the record that it names: read from the log, for the core has
 * no log. A record never changes, so it may be read before the engine's mutex is taken. Not where
 * the command's key was used before: then its first outcome is the answer (commit.c). */
#include "engine/engine.h"

#include "engine/command_in.h"
#include "engine/core/stage_money.h"
#include "engine/record_reader.h"

#include <inttypes.h>
#include <string.h>

static enum wf_status take_record(struct wf_engine *engine, struct command_in *in,
                                  const struct record *record, struct wf_error *err) {
    struct command *command = &in->command;
    enum wf_status status =
        engine_is_ineffective(engine, record->lsn, &command->as.account_reverse.ineffective, err);
    if (status != WF_OK) {
        return status;
    }
    if (record->subject.size > 0) { /* a transaction of its own has none */
        memcpy(in->subject, record->subject.data, record->subject.size);
    }
    command->as.account_reverse.subject =
        (struct bytes_view){(const uint8_t *)in->subject, record->subject.size};
    command->as.account_reverse.of = record->command;
    command->as.account_reverse.refused =
        record->event_count > 0 && record->events[0].kind == EVENT_COMMAND_REFUSED;
    status = stage_money_create(record, &in->money, err);
    command->as.account_reverse.money = in->money;
    return status;
}

enum wf_status engine_read_reversed(struct wf_engine *engine, struct command_in *in,
                                    struct wf_error *err) {
    if (in->command.kind != COMMAND_ACCOUNT_REVERSE) {
        return WF_OK;
    }
    uint64_t lsn = in->command.as.account_reverse.lsn;
    struct record_reader reader;
    bool found = false;
    record_reader_init(&reader, engine);
    uint64_t newest = wal_durable_lsn(engine->wal);
    enum wf_status status = WF_OK;
    if (lsn > newest) { /* it may have been enqueued just now */
        status = wf_sync(engine, err);
        newest = wal_durable_lsn(engine->wal);
    }
    if (status == WF_OK && lsn > newest) {
        status = error_set(err, WF_NOT_FOUND,
                           "there is no record %" PRIu64 "; the newest is %" PRIu64, lsn, newest);
    }
    if (status == WF_OK) {
        status = record_reader_find(&reader, lsn, &found, err);
    }
    if (status == WF_OK && found) {
        status = take_record(engine, in, &reader.record, err);
    }
    record_reader_deinit(&reader);
    if (status != WF_OK || found) {
        return status;
    }
    return engine_missing(engine, lsn, "there is nothing to reverse", err);
}
