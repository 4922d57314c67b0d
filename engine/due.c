/* Timers that are due: the next one in memory or in the snapshot, fired in order of (deadline, id,
 * stage), each as a record of its own. And tasks, in the order in which they may be claimed.
 *
 * The core keeps the workflows in memory in order of their deadlines, and in another order of their
 * tasks. Those that are not in memory stand in the snapshot as pairs "order byte, time big-endian,
 * id", so neither opening nor a tick nor a claim reads every workflow. `engine->due` (for tasks
 * `engine->task_due`) is the place in that order behind which nobody has looked yet: what is before
 * it is in memory. It is a lower bound, and moves on only when it is due. */
#include "engine/engine.h"

#include <inttypes.h>
#include <string.h>

enum {
    SLICE = 4096,          /* timers fired between two syncs */
    TICK_MS_MAX = 250,     /* the thread looks at the clock at least this often */
    WALK_STEP_MAX = 65536, /* pairs looked at in one walk */
};

void checkpoint_due_order(int64_t due_ms, uint8_t order[8]) {
    checkpoint_key_order((uint64_t)due_ms ^ (UINT64_C(1) << 63), order); /* negative ones first */
}

int64_t checkpoint_due_ms(const uint8_t order[8]) {
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | order[i];
    }
    return (int64_t)(number ^ (UINT64_C(1) << 63));
}

/* --- the snapshot's next pair --- */

static const uint8_t orders[] = {[TIMERS_OF_STAGES] = CHECKPOINT_DUE_ORDER,
                                 [TIMERS_OF_TASKS] = CHECKPOINT_TASK_DUE_ORDER,
                                 [TIMERS_OF_HOLDS] = CHECKPOINT_HOLD_DUE_ORDER};

static struct due_place *place_of(struct wf_engine *engine, const struct timers *timers) {
    return &engine->due[timers->of];
}

static uint8_t order_of(const struct timers *timers) {
    return orders[timers->of];
}

static bool is_resident(const struct wf_engine *engine, const struct timers *timers,
                        struct bytes_view id) {
    return timers->of == TIMERS_OF_HOLDS ? state_account(&engine->state, id) != NULL
                                         : state_workflow(&engine->state, id) != NULL;
}

static struct bytes_view id_of(const struct timers *timers, const struct timer *timer) {
    if (timers->of == TIMERS_OF_HOLDS) {
        return (struct bytes_view){(const uint8_t *)timer->account->number,
                                   timer->account->number_size};
    }
    return (struct bytes_view){(const uint8_t *)timer->workflow->id, timer->workflow->id_size};
}

struct pair_walk {
    struct wf_engine *engine;
    const struct timers *timers;
    struct due_place *due;
    bool skip_resident;
    bool found;
    size_t looked_at;
};

static enum wf_status see_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                               struct wf_error *err) {
    (void)value;
    struct pair_walk *walk = ctx;
    struct due_place *due = walk->due;
    if (key.size < DUE_KEY_HEAD + 1 || key.size > DUE_KEY_HEAD + COMMAND_ID_MAX) {
        return error_set(err, WF_DAMAGE, "snapshot: a deadline's key of %zu bytes", key.size);
    }
    struct bytes_view id = {key.data + DUE_KEY_HEAD, key.size - DUE_KEY_HEAD};
    bool passed = walk->skip_resident && is_resident(walk->engine, walk->timers, id) &&
                  ++walk->looked_at < WALK_STEP_MAX;
    memcpy(due->key, key.data, key.size);
    due->key_size = key.size;
    due->due_ms = checkpoint_due_ms(key.data + 1);
    walk->found = !passed;
    return passed ? WF_OK : WF_CONFLICT; /* any status but WF_OK ends the walk */
}

/* Move to the first pair at or behind the place, or (`skip_resident`) to the first one that is not
 * in memory. */
static enum wf_status walk_pairs(struct wf_engine *engine, const struct timers *timers,
                                 bool skip_resident, struct wf_error *err) {
    uint8_t prefix = order_of(timers);
    struct due_place *due = place_of(engine, timers);
    struct pair_walk walk = {
        .engine = engine, .timers = timers, .due = due, .skip_resident = skip_resident};
    uint8_t from[sizeof(due->key)];
    size_t size = due->key_size;
    memcpy(from, due->key, size);
    enum wf_status status = WF_OK;
    due->known = true;
    due->none = true;
    if (engine->snapshot != NULL && engine->snapshot_lsn > 0) {
        status = engine->snapshot->ops->walk(engine->snapshot, (struct bytes_view){from, size},
                                             (struct bytes_view){&prefix, 1}, see_pair, &walk, err);
    }
    due->none = !walk.found;
    if (status != WF_OK && status != WF_CONFLICT) {
        due->known = false;
        return error_wrap(err, status, "snapshot");
    }
    return WF_OK;
}

void due_forget(struct wf_engine *engine) {
    for (size_t i = 0; i < sizeof(orders); i++) {
        engine->due[i] = (struct due_place){.key = {orders[i]}, .key_size = 1};
    }
}

/* A lower bound, without looking further than the place. */
static enum wf_status know_place(struct wf_engine *engine, const struct timers *timers,
                                 struct wf_error *err) {
    return place_of(engine, timers)->known ? WF_OK : walk_pairs(engine, timers, false, err);
}

static struct bytes_view place_id(const struct due_place *due) {
    return (struct bytes_view){due->key + DUE_KEY_HEAD, due->key_size - DUE_KEY_HEAD};
}

/* Move on until the place is one that is not in memory, or none is left. */
static enum wf_status settle_place(struct wf_engine *engine, const struct timers *timers,
                                   struct wf_error *err) {
    const struct due_place *due = place_of(engine, timers);
    enum wf_status status = know_place(engine, timers, err);
    while (status == WF_OK && !due->none && is_resident(engine, timers, place_id(due))) {
        status = walk_pairs(engine, timers, true, err);
    }
    return status;
}

static void make_key(const struct timers *timers, int64_t due_ms, struct bytes_view id,
                     struct due_place *place) {
    place->key[0] = order_of(timers);
    checkpoint_due_order(due_ms, place->key + 1);
    memcpy(place->key + DUE_KEY_HEAD, id.data, id.size);
    place->key_size = DUE_KEY_HEAD + id.size;
    place->due_ms = due_ms;
}

static bool is_before(const struct due_place *one, const struct due_place *other) {
    size_t size = one->key_size < other->key_size ? one->key_size : other->key_size;
    int order = memcmp(one->key, other->key, size);
    return order != 0 ? order < 0 : one->key_size < other->key_size;
}

static void stand_in(struct wf_engine *engine, const struct timers *timers,
                     const struct timer *timer) {
    struct due_place *due = place_of(engine, timers);
    struct due_place place = {.known = true};
    int64_t due_ms = timers_due_ms(timers, timer);
    if (due_ms == 0 || !due->known) {
        return;
    }
    make_key(timers, due_ms, id_of(timers, timer), &place);
    if (due->none || is_before(&place, due)) {
        *due = place;
    }
}

void due_evicted(struct wf_engine *engine, struct entity *entity) {
    if (entity->kind == ENTITY_WORKFLOW) {
        const struct timer timer = {.workflow = (struct workflow *)entity};
        stand_in(engine, &engine->state.timers, &timer);
        stand_in(engine, &engine->state.tasks, &timer);
    } else if (entity->kind == ENTITY_ACCOUNT) {
        const struct timer timer = {.account = (struct account *)entity};
        stand_in(engine, &engine->state.holds, &timer);
    }
}

/* --- what is next --- */

static int64_t bound_ms_of(const struct wf_engine *engine, const struct timers *timers) {
    const struct due_place *due = &engine->due[timers->of];
    int64_t bound_ms = timers_bound_ms(timers);
    if (!due->known) {
        return engine->snapshot_lsn > 0 ? INT64_MIN : bound_ms;
    }
    return !due->none && due->due_ms < bound_ms ? due->due_ms : bound_ms;
}

int64_t due_bound_ms(const struct wf_engine *engine) {
    int64_t stages_ms = bound_ms_of(engine, &engine->state.timers);
    int64_t holds_ms = bound_ms_of(engine, &engine->state.holds);
    return stages_ms < holds_ms ? stages_ms : holds_ms;
}

/* Whose time is the earliest of all, in memory; due_ms 0: none is left. */
static enum wf_status find_next(struct wf_engine *engine, struct timers *timers, struct timer *next,
                                struct wf_error *err) {
    const struct due_place *due = place_of(engine, timers);
    *next = (struct timer){0};
    for (;;) {
        enum wf_status status = settle_place(engine, timers, err);
        if (status != WF_OK) {
            return status;
        }
        const struct timer *first = timers_first(timers);
        struct due_place place = {0};
        if (first != NULL) {
            make_key(timers, first->due_ms, id_of(timers, first), &place);
        }
        if (due->none || (first != NULL && is_before(&place, due))) {
            *next = first != NULL ? *first : (struct timer){0};
            return WF_OK;
        }
        struct due_place here = *due;
        status =
            cache_load(engine, timers->of == TIMERS_OF_HOLDS ? ENTITY_ACCOUNT : ENTITY_WORKFLOW,
                       place_id(&here), err);
        if (status != WF_OK) {
            return status;
        }
        if (!is_resident(engine, timers, place_id(&here))) {
            return error_set(err, WF_DAMAGE, "snapshot: a time of %s %.*s, which is not there",
                             timers->of == TIMERS_OF_HOLDS ? "account" : "workflow",
                             (int)place_id(&here).size, (const char *)place_id(&here).data);
        }
    }
}

static enum wf_status find_timer(struct wf_engine *engine, struct timers *timers, int64_t until_ms,
                                 struct timer *next, struct wf_error *err) {
    *next = (struct timer){0};
    for (int attempt = 0;; attempt++) {
        struct wf_error why = {0};
        enum wf_status status = know_place(engine, timers, &why);
        if (status == WF_OK && bound_ms_of(engine, timers) <= until_ms) {
            status = find_next(engine, timers, next, &why);
        }
        if (status == WF_DAMAGE && attempt == 0) {
            status = engine_replace_snapshot(engine, why.text, &why);
            if (status == WF_OK) {
                continue;
            }
        }
        if (next->due_ms > until_ms) {
            *next = (struct timer){0};
        }
        return status == WF_OK ? WF_OK : error_set(err, status, "%s", why.text);
    }
}

enum wf_status due_find(struct wf_engine *engine, struct timers *timers, int64_t until_ms,
                        struct workflow **next, struct wf_error *err) {
    struct timer timer;
    enum wf_status status = find_timer(engine, timers, until_ms, &timer, err);
    *next = timer.due_ms != 0 ? timer.workflow : NULL;
    return status;
}

/* The first of a stage or a hold: of several at the same time stages, then holds. `holds`: it is a
 * hold's. */
static enum wf_status find_due(struct wf_engine *engine, int64_t until_ms, struct timer *next,
                               bool *holds, struct wf_error *err) {
    struct timer hold = {0};
    enum wf_status status = find_timer(engine, &engine->state.timers, until_ms, next, err);
    if (status == WF_OK) {
        uint64_t reloads = engine->counters.reloads;
        int64_t first_ms = next->due_ms != 0 ? next->due_ms - 1 : until_ms;
        status = find_timer(engine, &engine->state.holds, first_ms, &hold, err);
        if (status == WF_OK && reloads != engine->counters.reloads) {
            return find_due(engine, until_ms, next, holds, err); /* it was another state */
        }
    }
    *holds = hold.due_ms != 0;
    if (*holds) {
        *next = hold;
    }
    return status;
}

enum wf_status due_next_ms(struct wf_engine *engine, int64_t *due_ms, struct wf_error *err) {
    struct timer next;
    bool holds;
    enum wf_status status = find_due(engine, INT64_MAX, &next, &holds, err);
    *due_ms = next.due_ms;
    return status;
}

/* --- firing --- */

/* How far the deadlines have passed: a test clock on its way has passed all up to its target. */
static int64_t passed_ms(const struct wf_engine *engine, int64_t now_ms) {
    const struct store_entity *store = &engine->state.store;
    if (store->test_clock) {
        return store->clock_target_ms != 0 ? store->clock_target_ms : store->clock_ms;
    }
    return now_ms > store->seen_ms ? now_ms : store->seen_ms;
}

static enum wf_status fire(struct wf_engine *engine, const struct timer *timer, bool holds,
                           int64_t now_ms, struct wf_error *err) {
    char id[COMMAND_ID_MAX];
    struct bytes_view name = id_of(holds ? &engine->state.holds : &engine->state.timers, timer);
    memcpy(id, name.data, name.size);
    struct command command = {
        .kind = holds ? COMMAND_HOLD_EXPIRE : COMMAND_TIMER_FIRE,
        .now_ms = engine->state.store.test_clock ? timer->due_ms : now_ms,
        .subject = {(const uint8_t *)id, name.size},
    };
    if (!holds) {
        unsigned stage = 0;
        (void)workflow_due(timer->workflow, &stage);
        command.as.timer_fire.stage = stage;
    }
    decide(&engine->state, &command, &engine->decision);
    if (engine->decision.status != WF_OK) {
        return error_set(err, WF_DIVERGENCE, "a timer that is due cannot fire: %s",
                         engine->decision.message);
    }
    struct wal_ticket ticket;
    enum wf_status status = engine_append_decision(engine, &command, &ticket, err);
    engine->counters.timers_fired += status == WF_OK;
    return status;
}

/* Every deadline on the way has fired: the test clock arrives. */
static enum wf_status arrive(struct wf_engine *engine, struct wf_error *err) {
    struct event event = {.kind = EVENT_CLOCK_ADVANCED};
    event.as.clock_advanced.to_ms = engine->state.store.clock_target_ms;
    struct record record = {
        .time_ms = engine->state.store.clock_target_ms,
        .command = COMMAND_CLOCK_ADVANCE,
        .events = &event,
        .event_count = 1,
    };
    return engine_append_record(engine, &record, err);
}

static enum wf_status fire_slice(struct wf_engine *engine, int64_t now_ms, bool *more,
                                 struct wf_error *err) {
    for (int i = 0; i < SLICE; i++) {
        struct timer next;
        bool holds = false;
        *more = false;
        enum wf_status status = find_due(engine, passed_ms(engine, now_ms), &next, &holds, err);
        if (status != WF_OK) {
            return status;
        }
        if (next.due_ms == 0) {
            return engine->state.store.clock_target_ms != 0 ? arrive(engine, err) : WF_OK;
        }
        status = fire(engine, &next, holds, now_ms, err);
        if (status != WF_OK) {
            return status;
        }
    }
    *more = true;
    return WF_OK;
}

bool due_any(const struct wf_engine *engine, int64_t now_ms) {
    return engine->state.store.clock_target_ms != 0 ||
           due_bound_ms(engine) <= passed_ms(engine, now_ms);
}

enum wf_status due_catch_up(struct wf_engine *engine, int64_t now_ms, struct wf_error *err) {
    bool more = due_any(engine, now_ms);
    enum wf_status status = WF_OK;
    while (more && status == WF_OK) {
        status = engine_ensure_state(engine, err);
        if (status == WF_OK) {
            status = fire_slice(engine, now_ms, &more, err);
        }
        if (status == WF_OK && more) {
            /* The log's buffer and the memory stay bounded, however many are due. */
            struct wal_ticket ticket = engine_last_ticket(engine);
            status = wal_wait(engine->wal, &ticket, err);
            engine_look_after_memory(engine);
        }
    }
    return status;
}

enum wf_status wf_tick(struct wf_engine *engine, uint64_t *fired, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    uint64_t before = engine->counters.timers_fired;
    enum wf_status status = engine_refuse_commands(engine, err);
    for (int attempt = 0; status == WF_OK; attempt++) {
        status = engine_ensure_state(engine, err);
        if (status == WF_OK) {
            status = engine_let_time_pass(engine, engine_now_ms(engine), err);
        }
        /* A cut in between: what was decided is gone. */
        if (status != WF_CONFLICT || attempt > 0) {
            break;
        }
        status = WF_OK;
    }
    if (fired != NULL) {
        *fired = engine->counters.timers_fired - before;
    }
    struct wal_ticket ticket = engine_last_ticket(engine);
    pthread_mutex_unlock(&engine->mutex);
    return status == WF_OK ? engine_wait_durable(engine, &ticket, err) : status;
}

/* --- the optional thread --- */

/* One look at the clock; how long until the next one. The mutex is held, and may be given up for a
 * while. */
static int64_t look(struct wf_engine *engine) {
    int64_t now_ms = engine_now_ms(engine);
    if (wal_halted(engine->wal) || engine->state.store.test_clock) {
        return TICK_MS_MAX;
    }
    if (due_any(engine, now_ms)) {
        enum wf_status status = due_catch_up(engine, now_ms, NULL);
        struct wal_ticket ticket = engine_last_ticket(engine);
        pthread_mutex_unlock(&engine->mutex);
        if (status == WF_OK) {
            (void)wal_wait(engine->wal, &ticket,
                           NULL); /* a failure halts the log: others tell it */
        }
        pthread_mutex_lock(&engine->mutex);
        if (status != WF_OK) {
            return TICK_MS_MAX; /* a full disk, say: again later */
        }
    }
    int64_t bound_ms = due_bound_ms(engine);
    int64_t wait_ms = bound_ms > now_ms + TICK_MS_MAX ? TICK_MS_MAX : bound_ms - now_ms;
    return wait_ms < 1 ? 1 : wait_ms;
}

static void *timers_main(void *ctx) {
    struct wf_engine *engine = ctx;
    pthread_mutex_lock(&engine->mutex);
    while (!engine->timers_stopping) {
        int64_t wait_ms = look(engine);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ns = until.tv_nsec + wait_ms * 1000000;
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        if (!engine->timers_stopping) {
            pthread_cond_timedwait(&engine->timers_wanted, &engine->mutex, &until);
        }
    }
    pthread_mutex_unlock(&engine->mutex);
    return NULL;
}

enum wf_status due_start_thread(struct wf_engine *engine, struct wf_error *err) {
    if (!thread_start(&engine->timers_thread, timers_main, engine)) {
        return error_set(err, WF_NO_MEMORY, "the timers' thread cannot be started");
    }
    engine->timers_running = true;
    return WF_OK;
}

void due_stop_thread(struct wf_engine *engine) {
    if (!engine->timers_running) {
        return;
    }
    pthread_mutex_lock(&engine->mutex);
    engine->timers_stopping = true;
    pthread_cond_signal(&engine->timers_wanted);
    pthread_mutex_unlock(&engine->mutex);
    pthread_join(engine->timers_thread, NULL);
    engine->timers_running = false;
}
