/* A command's journey: load what it names, decide, encode, append to the log, apply, and wait until
 * it is durable. See engine/README.md for the crash points on the way. */
#include "engine/engine.h"

#include "engine/command_in.h"
#include "engine/core/keys.h"
#include "engine/result.h"
#include "engine/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What struct wf_pending.opaque holds. */
enum { PENDING_LSN, PENDING_OFFSET, PENDING_CUTS, PENDING_FLAGS };
enum {
    FLAG_ANSWER = 1, /* the first outcome of a repeated key is still to be read from the record at
                        LSN, OFFSET */
};

int64_t engine_now_ms(const struct wf_engine *engine) {
    if (engine->options.clock == WF_CLOCK_HOST && engine->options.now_ms != NULL) {
        return engine->options.now_ms(engine->options.now_ctx);
    }
    return engine->io->ops->time_ms(engine->io);
}

int64_t engine_record_time_ms(const struct wf_engine *engine) {
    const struct store_entity *store = &engine->state.store;
    /* A test clock is behind what was seen while it is on its way, and where a repair lost its
     * advance. */
    int64_t now_ms = store->test_clock ? store->clock_ms : engine_now_ms(engine);
    return now_ms > store->seen_ms ? now_ms : store->seen_ms;
}

struct wal_ticket engine_last_ticket(const struct wf_engine *engine) {
    return (struct wal_ticket){
        .lsn = engine->last.lsn, .offset = engine->last.offset, .cuts = engine->cuts};
}

enum wf_status engine_wait_durable(struct wf_engine *engine, const struct wal_ticket *ticket,
                                   struct wf_error *err) {
    if (ticket->lsn == 0 || engine->options.read_only) {
        return WF_OK; /* nothing was logged yet; a reader has durable records only */
    }
    return wal_wait(engine->wal, ticket, err);
}

/* How many of the oldest keys this record shall forget. Two at most: the bound is kept even where
 * it was lowered. */
static uint64_t keys_to_forget(const struct wf_engine *engine, const struct command *command) {
    const struct store_entity *store = &engine->state.store;
    uint64_t kept = store->key_next - store->key_first;
    if (command->key.size == 0 || kept < engine->options.keys_max) {
        return 0;
    }
    return kept > engine->options.keys_max ? 2 : 1;
}

static void fill_record(const struct wf_engine *engine, const struct command *command,
                        struct record *record) {
    const struct decision *decision = &engine->decision;
    *record = (struct record){
        .lsn = wal_next_lsn(engine->wal),
        .time_ms = decision->time_ms,
        .command = command->kind,
        .subject = command->subject,
        .actor = command->actor,
        .key = command->key,
        .keys_forgotten = keys_to_forget(engine, command),
        .events = (struct event *)(uintptr_t)decision->events,
        .event_count = decision->event_count,
        .touches = decision->touches,
        .touch_count = decision->touch_count,
    };
    memcpy(record->body_hash, command->body_hash, sizeof(record->body_hash));
    if (decision->workflow != NULL && !decision->workflow->entity.deleted) {
        record->previous = decision->workflow->history;
    }
}

/* Append the record and apply it: from here on the state includes it. */
static enum wf_status log_and_apply(struct wf_engine *engine, struct record *record,
                                    struct wal_ticket *ticket, struct wf_error *err) {
    bytes_buffer_clear(&engine->encoded);
    enum wf_status status = codec_encode(&engine->arena, record, &engine->encoded, err);
    if (status == WF_OK) {
        status = apply_reserve(&engine->state, record, err);
    }
    if (status == WF_OK) {
        status = versions_prepare(engine, record, err);
    }
    if (status == WF_OK) {
        status = wal_append(engine->wal, engine->encoded.data, engine->encoded.size, engine->cuts,
                            ticket, err);
    }
    if (status != WF_OK) {
        versions_discard(engine);
        /* What was set aside names entities that may leave memory before the next record. */
        apply_discard(&engine->state);
        return status;
    }
    record->lsn = ticket->lsn;
    record->offset = ticket->offset;
    apply(&engine->state, record);
    versions_publish(engine, ticket->lsn);
    engine->last = (struct record_link){ticket->lsn, ticket->offset};
    engine->log_bytes += engine->encoded.size;
    sync_ahead_appended(engine, ticket->lsn, engine->encoded.size);
    return WF_OK;
}

enum wf_status engine_append_record(struct wf_engine *engine, struct record *record,
                                    struct wf_error *err) {
    struct wal_ticket ticket;
    codec_arena_reset(&engine->arena);
    return log_and_apply(engine, record, &ticket, err);
}

enum wf_status engine_append_decision(struct wf_engine *engine, const struct command *command,
                                      struct wal_ticket *ticket, struct wf_error *err) {
    struct record record;
    fill_record(engine, command, &record);
    codec_arena_reset(&engine->arena);
    return log_and_apply(engine, &record, ticket, err);
}

enum wf_status engine_log_record(struct wf_engine *engine, struct record *record,
                                 struct wf_error *err) {
    struct wal_ticket ticket;
    codec_arena_reset(&engine->arena);
    enum wf_status status = log_and_apply(engine, record, &ticket, err);
    return status == WF_OK ? wal_wait(engine->wal, &ticket, err) : status;
}

/* Load what the command names; a damaged snapshot is dropped and the state rebuilt, once. */
static enum wf_status load_for_command(struct wf_engine *engine, const struct command *command,
                                       struct wf_error *err) {
    for (int attempt = 0;; attempt++) {
        struct wf_error why; /* set where the status is no success */
        enum wf_status status = engine_load_for_command(engine, command, &why);
        if (status == WF_OK) {
            uint64_t forget = keys_to_forget(engine, command);
            status = forget == 0 ? WF_OK : cache_load_oldest_keys(engine, forget, &why);
        }
        if (status != WF_DAMAGE || attempt > 0) {
            return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
        }
        status = engine_replace_snapshot(engine, why.text, err);
        if (status != WF_OK) {
            return status;
        }
    }
}

static void remember(struct wf_pending *pending, const struct wal_ticket *ticket, uint64_t flags) {
    pending->opaque[PENDING_LSN] = ticket->lsn;
    pending->opaque[PENDING_OFFSET] = ticket->offset;
    pending->opaque[PENDING_CUTS] = ticket->cuts;
    pending->opaque[PENDING_FLAGS] = flags;
}

void engine_pending_settle(struct wf_pending *pending, const struct wal_ticket *ticket) {
    pending->status = WF_OK;
    result_clear(&pending->result);
    remember(pending, ticket, 0);
}

static void count_decision(struct wf_engine *engine, const struct decision *decision) {
    engine->counters.commands++;
    engine->counters.repeated += decision->repeated;
    engine->counters.refused += decision->status == WF_REFUSED;
    engine->counters.conflicts += decision->status == WF_CONFLICT;
    engine->counters.not_found += decision->status == WF_NOT_FOUND;
}

/* A key that was used answers by itself: what was reversed under it may be gone by now. */
static bool reverse_needs_record(const struct state *state, const struct command *command) {
    if (command->kind != COMMAND_ACCOUNT_REVERSE || command->as.account_reverse.of != 0) {
        return false;
    }
    return keys_find(state, command->key) == NULL;
}

/* The mutex is held, the state is in step with the log. */
static enum wf_status decide_and_log(struct wf_engine *engine, struct command *command,
                                     struct wf_session *session, struct wf_pending *pending,
                                     struct wf_error *err) {
    enum wf_status status = load_for_command(engine, command, err);
    if (status == WF_OK && session != NULL) {
        status = session_before_commit(session, command, err);
    }
    if (status == WF_OK && reverse_needs_record(&engine->state, command)) {
        return error_set(err, WF_NOT_FOUND, "the record to be reversed was not read");
    }
    if (status != WF_OK) {
        return status;
    }
    struct decision *decision = &engine->decision;
    decide(&engine->state, command, decision);
    count_decision(engine, decision);
    pending->status = decision->status;
    if (decision->repeated) {
        struct wal_ticket first = {decision->first.lsn, decision->first.offset, engine->cuts};
        remember(pending, &first, FLAG_ANSWER);
        return WF_OK;
    }
    if (decision->status != WF_OK) {
        (void)snprintf(pending->text, sizeof(pending->text), "%s", decision->message);
    }
    if (decision->event_count == 0) {
        /* The answer depends on what is decided but not durable yet: it waits for that. */
        struct wal_ticket last = engine_last_ticket(engine);
        remember(pending, &last, 0);
        return WF_OK;
    }
    struct record record;
    fill_record(engine, command, &record);
    struct wal_ticket ticket;
    codec_arena_reset(&engine->arena);
    result_from_events(&engine->state, decision->workflow, &record, &pending->result);
    status = log_and_apply(engine, &record, &ticket, err);
    if (status != WF_OK) {
        return status;
    }
    if (command->kind == COMMAND_DEFINITION_ADD && decision->status == WF_OK) {
        command->as.definition_add.definition = NULL; /* the state owns it now */
    }
    result_from_state(&engine->state, decision->workflow, &record, &pending->result);
    remember(pending, &ticket, 0);
    return WF_OK;
}

enum wf_status engine_refuse_commands(const struct wf_engine *engine, struct wf_error *err) {
    if (engine->options.read_only) {
        return error_set(err, WF_REFUSED, "the store is open for reading only");
    }
    if (wal_halted(engine->wal)) {
        return error_set(err, WF_HALTED,
                         "the engine is halted because a sync failed: close it and open it again");
    }
    return WF_OK;
}

/* After a command: keep the memory bound, and see to snapshots. True: one is due and this thread
 * must write it. */
static bool look_after_memory(struct wf_engine *engine) {
    if (cache_is_full(engine)) {
        cache_trim(engine);
        /* What is left was changed, and leaves when the snapshot has it: commands wait rather than
         * outgrow the bound. */
        while (cache_memory(engine) > engine->options.memory_max && engine->checkpoint.running) {
            pthread_cond_wait(&engine->checkpoint_done, &engine->mutex);
        }
    }
    if (!checkpoint_due(engine)) {
        return false;
    }
    if (engine->background_running) {
        pthread_cond_signal(&engine->checkpoint_wanted);
        return false;
    }
    return true;
}

void engine_look_after_memory(struct wf_engine *engine) {
    if (!look_after_memory(engine)) {
        return;
    }
    pthread_mutex_unlock(&engine->mutex);
    (void)checkpoint_run(engine, NULL); /* a failure stands in the status; the log goes on */
    pthread_mutex_lock(&engine->mutex);
}

/* What the clock has brought comes before the command: a jump is written down, timers fire. */
enum wf_status engine_let_time_pass(struct wf_engine *engine, int64_t now_ms,
                                    struct wf_error *err) {
    enum wf_status status = jump_watch(engine, now_ms, err);
    if (status == WF_OK && due_any(engine, now_ms)) {
        status = due_catch_up(engine, now_ms, err);
    }
    return status;
}

static enum wf_status let_time_pass(struct wf_engine *engine, struct command *command,
                                    struct wf_error *err) {
    command->now_ms = engine_now_ms(engine);
    enum wf_status status = engine_let_time_pass(engine, command->now_ms, err);
    if (status == WF_OK && command->kind == COMMAND_CLOCK_ADVANCE &&
        engine->state.store.test_clock) {
        status = due_next_ms(engine, &command->as.clock_advance.next_due_ms, err);
    }
    return status;
}

/* A test clock was sent on its way: it arrives before anybody else goes on. */
static enum wf_status let_clock_arrive(struct wf_engine *engine, const struct command *command,
                                       struct wf_pending *pending, struct wf_error *err) {
    if (engine->state.store.clock_target_ms == 0 || pending->opaque[PENDING_FLAGS] != 0) {
        return WF_OK;
    }
    enum wf_status status = due_catch_up(engine, command->now_ms, err);
    if (status == WF_OK) {
        struct wal_ticket last = engine_last_ticket(engine);
        remember(pending, &last, 0);
    }
    return status;
}

enum wf_status engine_enqueue(struct wf_engine *engine, struct command *command,
                              struct wf_session *session, struct wf_pending *pending,
                              struct wf_error *err) {
    pending->status = WF_OK; /* its text is for another status only */
    result_clear(&pending->result);
    pthread_mutex_lock(&engine->mutex);
    engine_prefetch_for_command(engine, command);
    enum wf_status status = engine_refuse_commands(engine, err);
    for (int attempt = 0; status == WF_OK; attempt++) {
        status = engine_ensure_state(engine, err);
        if (status == WF_OK) {
            status = let_time_pass(engine, command, err);
        }
        if (status == WF_OK) {
            status = decide_and_log(engine, command, session, pending, err);
        }
        if (status == WF_OK) {
            status = let_clock_arrive(engine, command, pending, err);
        }
        /* A cut in between: the state it was decided on is gone. */
        if (status != WF_CONFLICT || attempt > 0) {
            break;
        }
        status = WF_OK;
    }
    bool checkpoint = status == WF_OK && look_after_memory(engine);
    pthread_mutex_unlock(&engine->mutex);
    if (checkpoint) {
        (void)checkpoint_run(engine, NULL); /* a failure stands in the status; the log goes on */
    }
    return status;
}

enum wf_status wf_enqueue(struct wf_engine *engine, const struct wf_command *command,
                          struct wf_pending *pending, struct wf_error *err) {
    struct command_in in;
    enum wf_status status = command_in_make(&in, command, err);
    if (status != WF_OK) {
        return status;
    }
    status = engine_enqueue(engine, &in.command, NULL, pending, err);
    if (status == WF_NOT_FOUND && in.command.kind == COMMAND_ACCOUNT_REVERSE) {
        status = engine_read_reversed(engine, &in, err);
        if (status == WF_OK) {
            status = engine_enqueue(engine, &in.command, NULL, pending, err);
        }
    }
    command_in_deinit(&in);
    return status;
}

/* The first outcome of a repeated key, from its record. */
static enum wf_status answer_again(struct wf_engine *engine, struct wf_pending *pending,
                                   struct wf_error *err) {
    struct record_link link = {pending->opaque[PENDING_LSN], pending->opaque[PENDING_OFFSET]};
    struct codec_arena arena;
    codec_arena_init(&arena);
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    struct record record;
    enum wf_status status = engine_read_record(engine, link, &arena, &bytes, &record, err);
    if (status == WF_NOT_FOUND) {
        status = engine_missing(engine, link.lsn,
                                "the key was used, but its first answer cannot be told", err);
        /* The command is not to be taken for one that was never done. */
        status = status == WF_NOT_FOUND ? WF_REFUSED : status;
    }
    bool ineffective = false;
    if (status == WF_OK) {
        status = engine_is_ineffective(engine, link.lsn, &ineffective, err);
    }
    if (status == WF_OK) {
        status = result_of_record(engine, &record, ineffective, pending, err);
    }
    codec_release(&record);
    bytes_buffer_deinit(&bytes);
    codec_arena_deinit(&arena);
    return status;
}

enum wf_status wf_wait(struct wf_engine *engine, struct wf_pending *pending,
                       struct wf_result *result, struct wf_error *err) {
    struct wal_ticket ticket = {pending->opaque[PENDING_LSN], pending->opaque[PENDING_OFFSET],
                                pending->opaque[PENDING_CUTS]};
    enum wf_status status = WF_OK;
    /* Of a group the first wait makes all durable: the others need not be counted. */
    if (ticket.lsn > wal_durable_lsn(engine->wal) || ticket.cuts != wal_cuts(engine->wal)) {
        atomic_fetch_add_explicit(&engine->waiters, 1, memory_order_relaxed);
        status = engine_wait_durable(engine, &ticket, err);
        atomic_fetch_sub_explicit(&engine->waiters, 1, memory_order_relaxed);
    }
    if (status == WF_OK && (pending->opaque[PENDING_FLAGS] & FLAG_ANSWER) != 0) {
        status = answer_again(engine, pending, err);
        pending->opaque[PENDING_FLAGS] &= ~(uint64_t)FLAG_ANSWER;
    }
    if (status != WF_OK) {
        return status;
    }
    if (result != NULL) {
        result_copy(result, &pending->result);
    }
    return pending->status == WF_OK ? WF_OK : error_set(err, pending->status, "%s", pending->text);
}

enum wf_status wf_dry_run(struct wf_engine *engine, const struct wf_command *command,
                          struct wf_result *result, struct wf_error *err) {
    struct command_in in;
    enum wf_status status = command_in_make(&in, command, err);
    if (status != WF_OK) {
        return status;
    }
    in.command.key = (struct bytes_view){NULL, 0};
    status = engine_read_reversed(engine, &in, err);
    pthread_mutex_lock(&engine->mutex);
    if (status == WF_OK) {
        status = engine_ensure_state(engine, err);
    }
    if (status == WF_OK) {
        in.command.now_ms = engine_now_ms(engine);
        status = load_for_command(engine, &in.command, err);
    }
    if (status == WF_OK) {
        const struct decision *decision = &engine->decision;
        decide(&engine->state, &in.command, &engine->decision);
        struct record record;
        fill_record(engine, &in.command, &record);
        result_from_events(&engine->state, decision->workflow, &record, result);
        status = decision->status == WF_OK
                     ? WF_OK
                     : error_set(err, decision->status, "%s", decision->message);
        cache_trim(engine);
    }
    struct wal_ticket last = engine_last_ticket(engine);
    pthread_mutex_unlock(&engine->mutex);
    command_in_deinit(&in);
    /* What it was decided on must not turn out to have never been. */
    enum wf_status durable = engine_wait_durable(engine, &last, err);
    return durable == WF_OK ? status : durable;
}

bool wf_is_done(struct wf_engine *engine, const struct wf_pending *pending) {
    return pending->opaque[PENDING_LSN] <= wal_durable_lsn(engine->wal) ||
           pending->opaque[PENDING_CUTS] != wal_cuts(engine->wal) || wal_halted(engine->wal);
}

enum wf_status wf_execute(struct wf_engine *engine, const struct wf_command *command,
                          struct wf_result *result, struct wf_error *err) {
    struct wf_pending pending;
    enum wf_status status = wf_enqueue(engine, command, &pending, err);
    return status == WF_OK ? wf_wait(engine, &pending, result, err) : status;
}

enum wf_status wf_sync(struct wf_engine *engine, struct wf_error *err) {
    return engine->options.read_only ? WF_OK : wal_sync(engine->wal, err);
}
