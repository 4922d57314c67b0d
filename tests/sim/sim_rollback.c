/* Random definitions under random commands: going forward, failing, timing out, going back,
 * reviews, cancellations, money that goes with stages, money beside them, and kills. After each
 * command the state's invariants hold, and the workflow and all accounts are where the model of
 * rollback_model.h says. A kill makes the state anew, from its
 * entities as a snapshot has them or from all records: it must be the same to the byte, and the
 * sequence goes on with it.
 *
 *   SEED=N           one sequence, every command of it printed
 *   PROPERTY_RUNS=N  how many sequences (20,000; WF_TEST_LONG=1: 1,000,000; a tenth under SAN) */
#include "engine/codec.h"
#include "engine/core/rollback.h"
#include "tests/lib/core_store.h"
#include "tests/lib/keep_memory.h"
#include "tests/lib/sim_memory.h"
#include "tests/sim/rollback_books.h"
#include "tests/sim/rollback_choice.h"
#include "tests/sim/rollback_report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 20000, RUNS_LONG = 1000000, COMMANDS_MAX = 60, RECORDS_MAX = 256 };

static const char *const actor_names[CHOICE_ACTORS] = {"", "ann", "bob", "eve"};

struct run {
    uint64_t random;
    bool told; /* print the commands */
    struct plan plan;
    struct model model;
    struct core_store *store;
    struct codec_arena arena;
    struct bytes_buffer records;
    size_t record_end[RECORDS_MAX];
    int command;
    char values[PLAN_FIELDS][16];
    struct books_text text;
    uint64_t *seen;
};

/* --- telling --- */

/* For the handler of an assertion that does not hold. */
static char last_words[64];

static void tell_seed(int number) {
    (void)number;
    if (write(STDERR_FILENO, last_words, strlen(last_words)) < 0)
        return; /* the process ends either way */
}

static void tell_state(const struct run *run) {
    const struct workflow *workflow = core_workflow(run->store, "W");
    if (workflow == NULL)
        return;
    fprintf(stderr, "      %s:", workflow_status_name(workflow->status));
    for (size_t i = 0; i < workflow->definition->stage_count; i++)
        fprintf(stderr, " s%zu %s/%" PRIu32 "/%" PRId64, i,
                stage_status_name(workflow->stages[i].status), workflow->stages[i].attempt,
                workflow->stages[i].deadline_ms);
    fprintf(stderr, "\n");
}

static void fail_run(const struct run *run, const char *what) {
    fprintf(stderr, "sim_rollback: command %d: %s\n", run->command, what);
    plan_tell(&run->plan);
    tell_state(run);
    fputs(last_words, stderr);
    exit(1);
}

static void expect(const struct run *run, const char *what, int64_t engine, int64_t model) {
    char text[200];
    if (engine == model)
        return;
    snprintf(text, sizeof text, "%s: the engine has %" PRId64 ", the model %" PRId64, what, engine,
             model);
    fail_run(run, text);
}

/* --- the engine's side --- */

/* Decide, keep the record's bytes, apply, check. */
static enum wf_status execute(struct run *run, struct command *command) {
    struct core_store *store = run->store;
    command->now_ms = store->now_ms;
    decide(&store->state, command, &store->decision);
    if (store->decision.event_count == 0)
        return store->decision.status;
    struct record record = core_store_record(store, command);
    codec_arena_reset(&run->arena);
    if (record.lsn >= RECORDS_MAX)
        fail_run(run, "too many records");
    if (codec_encode(&run->arena, &record, &run->records, &store->err) != WF_OK ||
        apply_reserve(&store->state, &record, &store->err) != WF_OK)
        fail_run(run, store->err.text);
    run->record_end[record.lsn] = run->records.size;
    apply(&store->state, &record);
    store->lsn = record.lsn;
    if (check_state(&store->state, true, &store->err) != WF_OK)
        fail_run(run, store->err.text);
    return store->decision.status;
}

static size_t make_fields(struct run *run, const unsigned value[PLAN_FIELDS],
                          struct field fields[PLAN_FIELDS]) {
    static const char *const names[PLAN_FIELDS] = {"f0", "f1", "f2", "f3", "f4", "f5"};
    size_t count = 0;
    for (unsigned i = 0; i < PLAN_FIELDS; i++) {
        if (value[i] == 0)
            continue;
        snprintf(run->values[i], sizeof run->values[i], "%u", value[i]);
        fields[count].name = text_view(names[i]);
        fields[count++].value = text_view(run->values[i]);
    }
    return count;
}

static enum wf_status ask_engine(struct run *run, const struct ask *ask) {
    struct command command = {.kind = ask->kind};
    struct field fields[PLAN_FIELDS];
    char name[16];
    struct bytes_view reason = text_view(ask->reason ? "because" : "");
    snprintf(name, sizeof name, "%c%u", ask->kind == COMMAND_WORKFLOW_SUBMIT ? 'p' : 's',
             ask->index);
    command.subject = text_view("W");
    command.actor = text_view(actor_names[ask->actor]);
    if (ask->kind == COMMAND_WORKFLOW_SUBMIT) {
        command.as.workflow_submit.step = text_view(name);
        command.as.workflow_submit.attempt = ask->attempt;
        command.as.workflow_submit.fields = fields;
        command.as.workflow_submit.field_count = make_fields(run, ask->value, fields);
        books_write(ask->operations, ask->operation_count, &run->text);
        command.as.workflow_submit.operations = run->text.operations;
        command.as.workflow_submit.operation_count = ask->operation_count;
    } else if (ask->kind == COMMAND_WORKFLOW_FAIL) {
        command.as.workflow_fail.stage = text_view(name);
        command.as.workflow_fail.attempt = ask->attempt;
        command.as.workflow_fail.reason = reason;
    } else if (ask->kind == COMMAND_WORKFLOW_CANCEL) {
        command.as.workflow_cancel.rollback = ask->rollback;
        command.as.workflow_cancel.reason = reason;
    } else if (ask->kind == COMMAND_WORKFLOW_ROLLBACK) {
        command.as.workflow_rollback.stage = text_view(name);
        command.as.workflow_rollback.reason = reason;
    } else if (ask->kind == COMMAND_TIMER_FIRE) {
        command.as.timer_fire.stage = ask->index;
    } else if (ask->kind == COMMAND_ACCOUNT_TRANSACT) {
        books_write(ask->operations, ask->operation_count, &run->text);
        command.subject = text_view("");
        command.as.account_transact.operations = run->text.operations;
        command.as.account_transact.count = ask->operation_count;
    } else if (ask->kind == COMMAND_ACCOUNT_FREEZE || ask->kind == COMMAND_ACCOUNT_UNFREEZE) {
        command.subject = text_view(books_account_name(ask->index));
    } else {
        command.as.review.stage = text_view(name);
        command.as.review.role = text_view(ask->role);
        command.as.review.attempt = ask->attempt;
        command.as.review.reason = reason;
    }
    return execute(run, &command);
}

/* --- engine and model agree --- */

static void compare_stage(const struct run *run, const struct workflow *workflow, unsigned i) {
    char what[40];
    snprintf(what, sizeof what, "status of s%u", i);
    expect(run, what, workflow->stages[i].status, model_stage(&run->model, i));
    snprintf(what, sizeof what, "attempt of s%u", i);
    expect(run, what, workflow->stages[i].attempt, model_attempt(&run->model, i));
    snprintf(what, sizeof what, "deadline of s%u", i);
    expect(run, what, workflow->stages[i].deadline_ms, model_deadline(&run->model, i));
}

static void compare_data(const struct run *run, const struct workflow *workflow) {
    unsigned steps[PLAN_STEPS_MAX];
    size_t count = model_steps(&run->model, steps);
    expect(run, "steps in force", workflow->step_count, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        expect(run, "a step in force", workflow->steps[i], steps[i]);
    for (unsigned i = 0; i < PLAN_FIELDS; i++) {
        char name[4], text[16] = "0";
        snprintf(name, sizeof name, "f%u", i);
        struct bytes_view value = workflow_field(workflow, name, strlen(name));
        if (value.data != NULL && value.size < sizeof text) {
            memcpy(text, value.data, value.size);
            text[value.size] = '\0';
        }
        expect(run, "a field", strtoll(text, NULL, 10), model_field(&run->model, i));
    }
}

/* What a rollback that is only looked at would undo. */
static void compare_plan(struct run *run, const struct workflow *workflow, unsigned target) {
    unsigned mine[PLAN_STAGES_MAX], order[DEFINITION_STAGES_MAX];
    if (run->model.stage[target] == STAGE_BLOCKED || run->model.stage[target] == STAGE_ROLLED_BACK)
        return;
    size_t count = model_plan(&run->model, target, mine);
    expect(run, "stages in the plan", (int64_t)rollback_plan(workflow, target, order),
           (int64_t)count);
    for (size_t i = 0; i < count; i++)
        expect(run, "a stage in the plan", order[i], mine[i]);
}

static void compare(struct run *run) {
    const struct workflow *workflow = core_workflow(run->store, "W");
    unsigned stage = 0;
    int64_t due_ms = 0;
    expect(run, "status", workflow->status, model_status(&run->model));
    for (unsigned i = 0; i < run->plan.stage_count; i++)
        compare_stage(run, workflow, i);
    compare_data(run, workflow);
    expect(run, "reason", workflow->reason != NULL, run->model.has_reason);
    int due = model_due(&run->model, &due_ms);
    expect(run, "next deadline", workflow_due(workflow, &stage), due_ms);
    if (due >= 0)
        expect(run, "stage of the next deadline", stage, due);
    compare_plan(run, workflow, plan_pick(&run->random, run->plan.stage_count));
    char words[200];
    if (books_differ(run->store, &run->model.funds, run->model.now_ms, words))
        fail_run(run, words);
}

/* --- kills --- */

static struct core_store *empty_store(const struct run *run) {
    struct core_store *store = sim_allocate(1, sizeof *store);
    if (state_init(&store->state, &store->err) != WF_OK)
        fail_run(run, store->err.text);
    store->now_ms = run->store->now_ms;
    store->lsn = run->store->lsn;
    return store;
}

static void encode_entity(const struct entity *entity, struct bytes_buffer *key,
                          struct bytes_buffer *value) {
    bytes_buffer_clear(key);
    bytes_buffer_clear(value);
    entity_encode_key(entity, key);
    entity_encode(entity, value, NULL);
}

enum { ENTITIES_MAX = 3 + BOOKS_ENTITIES };

/* The store, the definition and the workflow; the bank. */
static size_t entities_of(struct core_store *store, struct entity *out[ENTITIES_MAX]) {
    size_t count = 0;
    out[count++] = &store->state.store.entity;
    out[count++] = &state_definition(&store->state, text_view("w"), 0)->entity;
    out[count++] = &core_workflow(store, "W")->entity;
    return count + books_entities(store, &out[count]);
}

static void load_snapshot(struct run *run, struct core_store *store) {
    struct bytes_buffer key, value;
    struct entity *entities[ENTITIES_MAX], *loaded;
    size_t count = entities_of(run->store, entities);
    bytes_buffer_init(&key);
    bytes_buffer_init(&value);
    for (size_t i = 0; i < count; i++) {
        encode_entity(entities[i], &key, &value);
        if (entity_decode(&store->state, (struct bytes_view){key.data, key.size},
                          (struct bytes_view){value.data, value.size}, &loaded,
                          &store->err) != WF_OK)
            fail_run(run, store->err.text);
    }
    bytes_buffer_deinit(&key);
    bytes_buffer_deinit(&value);
}

static void replay(struct run *run, struct core_store *store) {
    size_t begin = 0;
    for (uint64_t lsn = 1; lsn <= store->lsn; lsn++) {
        struct record record;
        struct bytes_view bytes = {run->records.data + begin, run->record_end[lsn] - begin};
        codec_arena_reset(&run->arena);
        if (codec_decode(&run->arena, bytes, &record, &store->err) != WF_OK)
            fail_run(run, store->err.text);
        record.lsn = lsn;
        record.offset = lsn * 100; /* as core_store_record() has it */
        if (apply_reserve(&store->state, &record, &store->err) != WF_OK)
            fail_run(run, store->err.text);
        apply(&store->state, &record);
        begin = run->record_end[lsn];
    }
}

static void compare_stores(struct run *run, struct core_store *store) {
    struct entity *before[ENTITIES_MAX], *after[ENTITIES_MAX];
    struct bytes_buffer key[2], value[2];
    size_t count = entities_of(run->store, before);
    if (entities_of(store, after) != count)
        fail_run(run, "after a kill there are other entities");
    for (size_t i = 0; i < 2; i++) {
        bytes_buffer_init(&key[i]);
        bytes_buffer_init(&value[i]);
    }
    for (size_t i = 0; i < count; i++) {
        encode_entity(before[i], &key[0], &value[0]);
        encode_entity(after[i], &key[1], &value[1]);
        if (key[0].size != key[1].size || value[0].size != value[1].size ||
            memcmp(key[0].data, key[1].data, key[0].size) != 0 ||
            memcmp(value[0].data, value[1].data, value[0].size) != 0)
            fail_run(run, "after a kill an entity has other bytes");
    }
    for (size_t i = 0; i < 2; i++) {
        bytes_buffer_deinit(&key[i]);
        bytes_buffer_deinit(&value[i]);
    }
}

static void kill_store(struct run *run) {
    struct core_store *store = empty_store(run);
    bool replays = plan_pick(&run->random, 2) == 0;
    if (run->told)
        fprintf(stderr, "%3d kill, %s\n", run->command, replays ? "replay" : "snapshot");
    if (replays)
        replay(run, store);
    else
        load_snapshot(run, store);
    run->seen[replays ? SEEN_KILL_REPLAY : SEEN_KILL_SNAPSHOT]++;
    compare_stores(run, store);
    core_store_close(run->store);
    run->store = store;
    if (check_state(&store->state, true, &store->err) != WF_OK)
        fail_run(run, store->err.text);
}

/* --- a sequence --- */

static void count_money(struct run *run, const struct ask *ask, enum wf_status status,
                        const struct funds *before) {
    const struct funds *now = &run->model.funds;
    uint64_t *seen = run->seen;
    bool of_money = strncmp(run->store->decision.message, "operation ", 10) == 0;
    if (ask->kind == COMMAND_WORKFLOW_SUBMIT && ask->operation_count > 0)
        seen[status == WF_OK ? SEEN_STAGE_MONEY : SEEN_STAGE_MONEY_REFUSED] +=
            status == WF_OK || of_money;
    if ((int)ask->kind < SEEN_REFUSED) {
        seen[SEEN_MONEY_BACK + (int)ask->kind] += now->given_back > before->given_back;
        seen[SEEN_MONEY_CANNOT + (int)ask->kind] += run->model.cannot_give_back;
    }
    seen[SEEN_MONEY_SEVERAL] += now->given_back > before->given_back + 1;
    seen[SEEN_MONEY_AGAIN] += now->given_again > before->given_again;
    seen[SEEN_HOLD_FREED] += now->freed > before->freed;
}

static void count(struct run *run, const struct ask *ask, enum wf_status status,
                  enum workflow_status before, bool turned, bool late) {
    uint64_t *seen = run->seen;
    if ((int)ask->kind >= SEEN_REFUSED) {
        seen[SEEN_MONEY + 2 * (int)(ask->kind - COMMAND_ACCOUNT_TRANSACT) + (status != WF_OK)]++;
        return;
    }
    seen[SEEN_COMMANDS + (int)ask->kind + (status == WF_OK ? 0 : SEEN_REFUSED)]++;
    if (run->store->decision.repeated)
        seen[SEEN_AGAIN]++;
    if (status != WF_OK)
        return;
    if (ask->kind == COMMAND_WORKFLOW_ROLLBACK) {
        seen[SEEN_FROM + (int)before]++;
        seen[SEEN_TURN] += turned;
    }
    if (ask->kind == COMMAND_TIMER_FIRE)
        seen[SEEN_LATE] += late;
    if (ask->kind == COMMAND_WORKFLOW_CANCEL && ask->rollback)
        seen[SEEN_CANCEL_BACK]++;
    if (before != run->model.end && run->model.end != 0)
        seen[SEEN_END + (int)run->model.end]++;
    for (unsigned i = 0; i < run->plan.stage_count; i++) {
        enum stage_status stage = model_stage(&run->model, i);
        if (stage == STAGE_ROLLED_BACK || stage == STAGE_AWAITING_REVIEW)
            seen[SEEN_STRATEGIES + (int)run->plan.stages[i].strategy]++;
        if (stage == STAGE_HELD && model_deadline(&run->model, i) != 0)
            seen[SEEN_HELD_TIME]++;
    }
}

static void take_step(struct run *run) {
    struct ask ask = {.role = ""};
    if (plan_pick(&run->random, 3) == 0)
        run->store->now_ms += plan_pick(&run->random, 20000);
    choice_make(&run->model, &run->random, &run->store->now_ms, &ask);
    if (plan_pick(&run->random, 25) == 0) { /* no record is older than the one before it */
        run->store->now_ms -= plan_pick(&run->random, 20000);
        run->seen[SEEN_CLOCK_BACK]++;
    }
    enum workflow_status before = model_status(&run->model);
    bool turned = run->model.back.under_way;
    struct funds funds = run->model.funds;
    int64_t due_ms = 0;
    bool late = model_due(&run->model, &due_ms) >= 0 && due_ms < run->store->now_ms;
    enum wf_status engine = ask_engine(run, &ask);
    enum wf_status model = model_take(&run->model, &ask, run->store->now_ms);
    if (run->told) {
        fprintf(stderr, "%3d at %" PRId64 ": %s %u attempt %u by %s as %s%s: %s %s\n", run->command,
                run->store->now_ms, command_kind_name(ask.kind), ask.index, ask.attempt,
                actor_names[ask.actor], ask.role, ask.rollback ? " with rollback" : "",
                engine == WF_OK ? "done" : "not done:", run->store->decision.message);
        books_tell(ask.operations, ask.operation_count);
        tell_state(run);
    }
    expect(run, "the answer", engine, model);
    compare(run);
    count(run, &ask, engine, before, turned, late);
    count_money(run, &ask, engine, &funds);
    if (plan_pick(&run->random, 12) == 0) {
        kill_store(run);
        compare(run);
    }
}

static void begin(struct run *run) {
    struct command create = {.kind = COMMAND_STORE_CREATE};
    struct command add = {.kind = COMMAND_DEFINITION_ADD};
    struct command start = {.kind = COMMAND_WORKFLOW_START};
    struct field fields[PLAN_FIELDS];
    unsigned value[PLAN_FIELDS];
    run->store = sim_allocate(1, sizeof *run->store);
    run->store->now_ms = INT64_C(1767225600000);
    if (state_init(&run->store->state, &run->store->err) != WF_OK)
        fail_run(run, run->store->err.text);
    add.subject = text_view("w");
    add.as.definition_add.definition = plan_definition(&run->plan);
    start.subject = text_view("W");
    start.as.workflow_start.type = text_view("w");
    choice_values(&run->random, value, 3);
    start.as.workflow_start.fields = fields;
    start.as.workflow_start.field_count = make_fields(run, value, fields);
    if (execute(run, &create) != WF_OK || execute(run, &add) != WF_OK ||
        execute(run, &start) != WF_OK)
        fail_run(run, run->store->decision.message);
    for (unsigned i = 0; i < BOOKS_SETUP; i++) {
        struct command setup = books_setup(i, &run->text, fields);
        if (execute(run, &setup) != WF_OK)
            fail_run(run, run->store->decision.message);
    }
    model_start(&run->model, &run->plan, run->store->now_ms, value);
    compare(run);
}

static void run_sequence(struct run *run, uint64_t seed) {
    snprintf(last_words, sizeof last_words, "repeat it with SEED=%" PRIu64 "\n", seed);
    run->random = sim_random_mix(seed, 4);
    run->command = 0;
    bytes_buffer_clear(&run->records);
    plan_make(&run->plan, &run->random);
    if (run->told)
        plan_tell(&run->plan);
    begin(run);
    int commands = 10 + (int)plan_pick(&run->random, COMMANDS_MAX - 10);
    for (run->command = 1; run->command <= commands; run->command++)
        take_step(run);
    core_store_close(run->store);
}

/* --- the program --- */

static uint64_t number_of(const char *name, uint64_t fallback) {
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? fallback : strtoull(text, NULL, 10);
}

static uint64_t runs_wanted(void) {
    const char *sanitizer = getenv("SAN");
    uint64_t runs = getenv("WF_TEST_LONG") != NULL ? RUNS_LONG : RUNS;
    return number_of("PROPERTY_RUNS", sanitizer != NULL && sanitizer[0] != '\0' ? runs / 10 : runs);
}

int main(void) {
    static struct run run;
    static uint64_t seen[SEEN_COUNT];
    uint64_t seed = number_of("SEED", 0), runs = seed != 0 ? 1 : runs_wanted();
    keep_memory();
    signal(SIGABRT, tell_seed);
    run.seen = seen;
    run.told = seed != 0;
    codec_arena_init(&run.arena);
    bytes_buffer_init(&run.records);
    for (uint64_t i = 0; i < runs; i++)
        run_sequence(&run, seed != 0 ? seed : i + 1);
    codec_arena_deinit(&run.arena);
    bytes_buffer_deinit(&run.records);
    printf("%" PRIu64 " sequences\n", runs);
    unsigned unseen = rollback_report(seen);
    if (seed == 0 && unseen > 0) {
        fprintf(stderr, "sim_rollback: %u things never happened\n", unseen);
        return 1;
    }
    return 0;
}
