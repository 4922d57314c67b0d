/* Recovery: what the snapshot says, then every record after it. Runs the same apply() as live
 * commands and never decide(), so that a changed rule does not change the past. */
#include "engine/engine.h"

#include "engine/core/reversal.h"
#include "engine/core/stage_money.h"
#include "engine/origin.h"
#include "engine/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_about_account(enum command_kind kind) {
    return kind >= COMMAND_ACCOUNT_OPEN && kind <= COMMAND_ACCOUNT_CLOSE;
}

static enum wf_status load_account(struct wf_engine *engine, struct bytes_view number,
                                   struct wf_error *err) {
    return number.size == 0 ? WF_OK : cache_load(engine, ENTITY_ACCOUNT, number, err);
}

/* The accounts that operations name, and those that their holds go to. */
static enum wf_status load_for_operations(struct wf_engine *engine,
                                          const struct operation *operations, size_t count,
                                          struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (size_t i = 0; i < count && status == WF_OK; i++) {
        const struct operation *operation = &operations[i];
        if (i + 1 < count) { /* the next one's come in while this one is looked at */
            state_account_prefetch(&engine->state, operations[i + 1].from);
            state_account_prefetch(&engine->state, operations[i + 1].to);
        }
        status = load_account(engine, operation->from, err);
        if (status == WF_OK) {
            status = load_account(engine, operation->to, err);
        }
        if (status == WF_OK) {
            status = load_account(engine, operation->account, err);
        }
        if (operation->hold.size == 0) {
            continue;
        }
        const struct account *from = state_account(&engine->state, operation->from);
        const struct account_hold *hold =
            from == NULL ? NULL : account_find_hold(from, operation->hold);
        if (status == WF_OK && hold != NULL) {
            status = load_account(engine, text_view(hold->to), err);
        }
    }
    return status;
}

static bool undoes_stages(const struct command *command) {
    return command->kind == COMMAND_WORKFLOW_ROLLBACK || command->kind == COMMAND_REVIEW_APPROVE ||
           (command->kind == COMMAND_WORKFLOW_CANCEL && command->as.workflow_cancel.rollback);
}

/* The accounts that it would go back to. */
static enum wf_status load_for_money(struct wf_engine *engine, const struct stage_money *money,
                                     struct wf_error *err) {
    struct stage_money_entry entry;
    enum wf_status status = WF_OK;
    size_t at = 0;
    while (status == WF_OK && stage_money_next(money, &at, &entry)) {
        if (entry.kind != ENTITY_INTERNAL_ACCOUNT) {
            status = load_account(engine, entry.account, err);
        }
    }
    return status;
}

/* The accounts that what the workflow's stages moved would go back to. */
static enum wf_status load_for_undoing(struct wf_engine *engine, struct bytes_view id,
                                       struct wf_error *err) {
    const struct workflow *workflow = state_workflow(&engine->state, id);
    enum wf_status status = WF_OK;
    if (workflow == NULL) {
        return WF_OK;
    }
    for (const struct stage_money *money = workflow->money; money != NULL; money = money->next) {
        if (status == WF_OK) {
            status = load_for_money(engine, money, err);
        }
    }
    return status;
}

static enum wf_status load_for_reversal(struct wf_engine *engine, const struct command *command,
                                        struct wf_error *err) {
    uint8_t key[8];
    struct bytes_view of = reversal_key(command->as.account_reverse.lsn, key);
    enum wf_status status = cache_load(engine, ENTITY_REVERSAL, of, err);
    const struct stage_money *money = command->as.account_reverse.money;
    return status == WF_OK && money != NULL ? load_for_money(engine, money, err) : status;
}

void engine_prefetch_for_command(const struct wf_engine *engine, const struct command *command) {
    if (command_is_about_workflow(command->kind)) {
        state_workflow_prefetch(&engine->state, command->subject);
    } else if (command->kind == COMMAND_ACCOUNT_TRANSACT &&
               command->as.account_transact.count > 0) {
        const struct operation *first = &command->as.account_transact.operations[0];
        state_account_prefetch(&engine->state, first->from);
        state_account_prefetch(&engine->state, first->to);
    }
}

enum wf_status engine_load_for_command(struct wf_engine *engine, const struct command *command,
                                       struct wf_error *err) {
    enum wf_status status = WF_OK;
    if (command_is_about_workflow(command->kind)) {
        status = cache_load(engine, ENTITY_WORKFLOW, command->subject, err);
    } else if (is_about_account(command->kind)) {
        status = load_account(engine, command->subject, err);
    }
    if (status == WF_OK && command->kind == COMMAND_ACCOUNT_TRANSACT) {
        status = load_for_operations(engine, command->as.account_transact.operations,
                                     command->as.account_transact.count, err);
    } else if (status == WF_OK && command->kind == COMMAND_WORKFLOW_SUBMIT) {
        status = load_for_operations(engine, command->as.workflow_submit.operations,
                                     command->as.workflow_submit.operation_count, err);
    } else if (status == WF_OK && undoes_stages(command)) {
        status = load_for_undoing(engine, command->subject, err);
    } else if (status == WF_OK && command->kind == COMMAND_ACCOUNT_REVERSE) {
        status = load_for_reversal(engine, command, err);
    }
    return status != WF_OK || command->key.size == 0
               ? status
               : cache_load(engine, ENTITY_KEY, command->key, err);
}

enum wf_status engine_load_for_record(struct wf_engine *engine, const struct record *record,
                                      struct wf_error *err) {
    /* What a record starts or opens is new: there is nothing to look for. */
    bool is_start = record->event_count > 0 && record->events[0].kind == EVENT_WORKFLOW_STARTED;
    enum wf_status status = WF_OK;
    if (command_is_about_workflow(record->command) && !is_start) {
        status = cache_load(engine, ENTITY_WORKFLOW, record->subject, err);
    }
    for (size_t i = 0; i < record->touch_count && status == WF_OK; i++) {
        if (record->touches[i].kind == ENTITY_ACCOUNT && record->touches[i].previous.lsn != 0) {
            status = load_account(engine, record->touches[i].name, err);
        }
    }
    return status != WF_OK || record->key.size == 0
               ? status
               : cache_load(engine, ENTITY_KEY, record->key, err);
}

static enum wf_status adopt_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                 struct wf_error *err) {
    return cache_adopt(ctx, key, value, err);
}

/* What is small and always in memory. */
static enum wf_status load_fixed_entities(struct wf_engine *engine, struct wf_error *err) {
    static const uint8_t kinds[] = {ENTITY_STORE, ENTITY_DEFINITION, ENTITY_INTERNAL_ACCOUNT,
                                    ENTITY_REFERENCE};
    for (size_t i = 0; i < sizeof(kinds); i++) {
        struct bytes_view prefix = {&kinds[i], 1};
        enum wf_status status =
            engine->snapshot->ops->walk(engine->snapshot, prefix, prefix, adopt_pair, engine, err);
        if (status != WF_OK) {
            return status;
        }
    }
    if (!engine->state.store.created) {
        return error_set(err, WF_DAMAGE, "snapshot: the store's own entry is missing");
    }
    return WF_OK;
}

static enum wf_status see_any(void *ctx, struct bytes_view key, struct bytes_view value,
                              struct wf_error *err) {
    (void)key;
    (void)value;
    (void)err;
    *(bool *)ctx = true;
    return WF_CONFLICT; /* any status but WF_OK ends the walk */
}

/* An older snapshot does not say when its tasks may be claimed, when its holds expire, and which
 * records a repair left without effect: without any it is as good. */
static enum wf_status check_orders(struct wf_engine *engine, const struct snapshot_meta *meta,
                                   struct wf_error *err) {
    static const uint8_t order = CHECKPOINT_TASK_ORDER;
    struct bytes_view prefix = {&order, 1};
    bool found = false;
    if (meta->bytes[0] <= CHECKPOINT_META_WITHOUT_HOLD_ORDER && engine->state.store.accounts > 0) {
        return error_set(err, WF_DAMAGE, "snapshot: it was written before holds had an order");
    }
    if (meta->bytes[0] <= CHECKPOINT_META_WITHOUT_INEFFECTIVE && engine->state.store.repairs > 0) {
        return error_set(
            err, WF_DAMAGE,
            "snapshot: it was written before it said what repairs left without effect");
    }
    if (meta->bytes[0] != CHECKPOINT_META_WITHOUT_TASK_ORDER) {
        return WF_OK;
    }
    enum wf_status status =
        engine->snapshot->ops->walk(engine->snapshot, prefix, prefix, see_any, &found, err);
    return found ? error_set(err, WF_DAMAGE, "snapshot: it was written before tasks had an order")
                 : status;
}

/* Did a repair leave any record without effect? They come in when somebody asks about one. */
static enum wf_status find_ineffective(struct wf_engine *engine, struct wf_error *err) {
    static const uint8_t kind = ENTITY_INEFFECTIVE;
    struct bytes_view prefix = {&kind, 1};
    bool *found = &engine->state.any_ineffective;
    enum wf_status status =
        engine->snapshot->ops->walk(engine->snapshot, prefix, prefix, see_any, found, err);
    return *found ? WF_OK : status;
}

enum wf_status engine_load_snapshot(struct wf_engine *engine, struct wal_position *position,
                                    struct wf_error *err) {
    *position = (struct wal_position){0};
    engine->snapshot_lsn = 0;
    due_forget(engine);
    engine->digest_sum = (struct digest_sum){0};
    engine->last = (struct record_link){0};
    engine->origin_lsn = 0;
    struct snapshot_meta meta;
    if (engine->snapshot == NULL || !engine->snapshot->ops->meta(engine->snapshot, &meta)) {
        return engine_load_origin(engine, err);
    }
    enum wf_status status =
        checkpoint_meta_decode(&meta, position, &engine->digest_sum, &engine->last, err);
    if (status == WF_OK) {
        engine->snapshot_lsn = meta.lsn;
        status = load_fixed_entities(engine, err);
        status = status == WF_OK ? find_ineffective(engine, err) : status;
        engine->snapshot_key_first = engine->state.store.key_first;
    }
    return status == WF_OK ? check_orders(engine, &meta, err) : status;
}

enum wf_status engine_load_origin(struct wf_engine *engine, struct wf_error *err) {
    enum wf_status status = engine_open_archive_early(engine, err);
    if (status == WF_OK) {
        status = origin_load(engine->archive, &engine->state, &engine->origin_lsn, err);
    }
    if (status == WF_OK && engine->origin_lsn != 0) {
        engine->last = (struct record_link){engine->origin_lsn, 0};
    }
    return status;
}

uint64_t engine_begins_after(const struct wf_engine *engine) {
    return engine->snapshot_lsn != 0 ? engine->snapshot_lsn : engine->origin_lsn;
}

enum wf_status engine_drop_snapshot(struct wf_engine *engine, const char *why,
                                    struct wf_error *err) {
    if (engine->snapshot != NULL) {
        engine->snapshot->ops->close(engine->snapshot);
        engine->snapshot = NULL;
    }
    engine->snapshot_lsn = 0;
    due_forget(engine);
    size_t used = strlen(engine->notes);
    (void)snprintf(engine->notes + used, sizeof(engine->notes) - used,
                   "%sthe snapshot could not be used and was rebuilt from the log (%s)",
                   used > 0 ? "; " : "", why);
    if (engine->options.read_only) {
        return WF_OK; /* leave the files as they are */
    }
    enum wf_status status =
        engine->provider->set_aside(engine->provider, engine->io, engine->snapshot_dir, err);
    if (status != WF_OK) {
        return error_wrap(err, status, "set the damaged snapshot aside");
    }
    status = engine->provider->open(engine->provider, engine->io, engine->snapshot_dir, true, false,
                                    &engine->snapshot, err);
    return status;
}

/* Results that were handed out point to names of definitions: these live as long as the engine
 * does. */
static enum wf_status retire_definitions(struct wf_engine *engine, struct wf_error *err) {
    size_t count = table_count(&engine->state.definitions);
    struct definition **retired =
        realloc(engine->retired, (engine->retired_count + count + 1) * sizeof(struct definition *));
    if (retired == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to rebuild the state");
    }
    engine->retired = retired;
    size_t at = 0;
    struct definition_entity *entity;
    while ((entity = table_next(&engine->state.definitions, &at)) != NULL) {
        retired[engine->retired_count++] = entity->definition;
        entity->definition = NULL;
    }
    return WF_OK;
}

enum wf_status engine_check_reach(const struct wf_engine *engine, struct wf_error *err) {
    uint64_t live = wal_first_live_lsn(engine->wal);
    uint64_t archived = engine->archive == NULL ? 0 : archive_last_lsn(engine->archive);
    uint64_t next = engine_begins_after(engine) + 1;
    /* From the snapshot on, or from the archive on where that reaches back to the snapshot. */
    if (live <= next || (wal_first_lsn(engine->wal) <= next && live <= archived + 1)) {
        return WF_OK;
    }
    return error_set(err, WF_DAMAGE,
                     "the log begins at LSN %" PRIu64 ", but the snapshot ends at LSN %" PRIu64
                     ": the records between them are missing",
                     wal_first_lsn(engine->wal), next - 1);
}

static enum wf_status rebuild(struct wf_engine *engine, struct wf_error *err) {
    enum wf_status status = retire_definitions(engine, err);
    if (status != WF_OK) {
        return status;
    }
    state_deinit(&engine->state);
    status = engine_init_state(engine, err);
    struct wal_position position;
    if (status == WF_OK) {
        status = engine_load_snapshot(engine, &position, err);
    }
    if (status == WF_OK) {
        status = engine_check_reach(engine, err);
    }
    if (status != WF_OK) {
        return status;
    }
    struct replayer replayer = {.engine = engine,
                                .state = &engine->state,
                                .arena = &engine->arena,
                                .after_lsn = engine_begins_after(engine),
                                .last = engine->last};
    engine->recovering = true;
    status = wal_walk(engine->wal, engine_begins_after(engine) + 1, wal_durable_lsn(engine->wal),
                      replay_record, &replayer, err);
    status = replay_finish(&replayer, status, err);
    engine->recovering = false;
    engine->last = replayer.last;
    return status;
}

/* A checkpoint that is being written has no use for the entities any more, but it holds the
 * snapshot. While it ends, others must not go on with the state that is about to be replaced. */
static void stop_checkpoint(struct wf_engine *engine) {
    while (engine->checkpoint.running) {
        engine->checkpoint.aborted = true;
        engine->stale = true;
        pthread_cond_wait(&engine->checkpoint_done, &engine->mutex);
    }
}

enum wf_status engine_reload(struct wf_engine *engine, struct wf_error *err) {
    uint64_t reloads = engine->counters.reloads;
    stop_checkpoint(engine);
    if (reloads != engine->counters.reloads && !engine->stale) {
        return WF_OK; /* another thread did it meanwhile */
    }
    engine->counters.reloads++;
    uint64_t cuts = wal_cuts(engine->wal);
    versions_forget(engine);
    enum wf_status status = wf_sync(engine, err);
    /* On a full or a failing disk the state is what the durable records say. */
    if (status != WF_OK && status != WF_FULL && !wal_halted(engine->wal)) {
        return status;
    }
    struct wf_error why = {0};
    status = rebuild(engine, &why);
    if (status == WF_DAMAGE && engine->snapshot != NULL) {
        /* Most likely the snapshot: the log says more. */
        status = engine_drop_snapshot(engine, why.text, err);
        if (status == WF_OK) {
            status = rebuild(engine, &why);
        }
    }
    if (status != WF_OK) {
        engine->stale = true;
        return error_set(err, status, "rebuild the state in memory: %s", why.text);
    }
    engine->stale = false;
    engine->cuts = cuts;
    return WF_OK;
}

enum wf_status engine_replace_snapshot(struct wf_engine *engine, const char *why,
                                       struct wf_error *err) {
    stop_checkpoint(engine);
    enum wf_status status = engine_drop_snapshot(engine, why, err);
    if (status != WF_OK) {
        engine->stale = true;
        return status;
    }
    return engine_reload(engine, err);
}

enum wf_status engine_ensure_state(struct wf_engine *engine, struct wf_error *err) {
    /* What a halted log did not get to the disk is of unknown outcome: not to be shown. */
    bool ahead = wal_halted(engine->wal) && engine->last.lsn > wal_durable_lsn(engine->wal);
    if (!engine->stale && !ahead && wal_cuts(engine->wal) == engine->cuts) {
        return WF_OK;
    }
    return engine_reload(engine, err);
}
