#include "tests/crash/errands.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDLER "handler: {callback: true, attempts: 2, backoff: 1s}, compensate: callback"

static const char yaml[] = "workflow: errand\nversion: 1\n"
                           "steps: {paid: {completes: pay}}\n"
                           "stages:\n"
                           "  - {name: fetch, " HANDLER "}\n"
                           "  - {name: carry, needs: [fetch], " HANDLER "}\n"
                           "  - {name: pay, needs: [carry]}\n";

enum { LEASE_MS = 3600000, NONE = -1 };

/* What must have happened before; the first one stands for itself. The task that a deed answers
 * is the claim before it. */
static const struct {
    const char *name;
    enum errand_deed after;
} deeds[ERRAND_DEEDS] = {
    [ERRAND_START] = {"start", ERRAND_START},
    [ERRAND_CLAIM_FETCH] = {"claim of fetch", ERRAND_START},
    [ERRAND_FETCHED] = {"fetch", ERRAND_CLAIM_FETCH},
    [ERRAND_CLAIM_CARRY] = {"claim of carry", ERRAND_FETCHED},
    [ERRAND_CARRIED] = {"carry", ERRAND_CLAIM_CARRY},
    [ERRAND_BACK] = {"rollback", ERRAND_CARRIED},
    [ERRAND_CLAIM_UNDO] = {"claim of the compensation", ERRAND_BACK},
    [ERRAND_UNDONE] = {"compensation", ERRAND_CLAIM_UNDO},
    [ERRAND_CLAIM_AGAIN] = {"second claim of carry", ERRAND_BACK},
    [ERRAND_CARRIED_AGAIN] = {"second carry", ERRAND_CLAIM_AGAIN},
    [ERRAND_PAY] = {"payment", ERRAND_CARRIED},
};

static bool is_claim(int deed) {
    return deed == ERRAND_CLAIM_FETCH || deed == ERRAND_CLAIM_CARRY || deed == ERRAND_CLAIM_UNDO ||
           deed == ERRAND_CLAIM_AGAIN;
}

static bool goes_back(unsigned number) {
    return number % 2 == 0;
}

static bool has_keys(unsigned number) {
    return number / 2 % 2 == 0;
}

static bool fail(struct errands *errands, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool fail(struct errands *errands, const char *format, ...) {
    if (errands->failure[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(errands->failure, sizeof errands->failure, format, args);
        va_end(args);
    }
    return false;
}

void errands_init(struct errands *errands) {
    memset(errands, 0, sizeof *errands);
}

bool errands_define(struct errands *errands, struct wf_engine *engine) {
    struct wf_error err;
    const struct wf_command add = {.kind = WF_DEFINITION_ADD, .text = yaml, .key = "errand"};
    if (!errands->defined && wf_execute(engine, &add, NULL, &err) != WF_OK)
        return fail(errands, "add the definition of errands: %s", err.text);
    errands->defined = true;
    return true;
}

/* --- what is asked --- */

/* The bytes of one command. */
struct text {
    struct wf_command command;
    char id[16], key[32];
};

/* A start, a rollback or a payment. */
static void make_command(struct text *text, unsigned number, enum errand_deed deed) {
    memset(text, 0, sizeof *text);
    struct wf_command *command = &text->command;
    snprintf(text->id, sizeof text->id, "E%u", number);
    command->id = text->id;
    command->actor = "ann";
    if (deed == ERRAND_START) {
        command->kind = WF_WORKFLOW_START;
        command->type = "errand";
    } else if (deed == ERRAND_BACK) {
        command->kind = WF_WORKFLOW_ROLLBACK;
        command->stage = "carry";
        command->reason = "the wrong door";
    } else {
        command->kind = WF_WORKFLOW_SUBMIT;
        command->step = "paid";
    }
    if (has_keys(number)) {
        snprintf(text->key, sizeof text->key, "errand-%u-%u", number, (unsigned)deed);
        command->key = text->key;
    }
}

/* The deed that answers the task, by what identifies it; NONE: there is no such task. */
static int deed_of_task(const char *stage, uint32_t epoch, bool compensate) {
    if (stage == NULL)
        return NONE;
    if (strcmp(stage, "fetch") == 0)
        return epoch == 1 && !compensate ? ERRAND_FETCHED : NONE;
    if (strcmp(stage, "carry") != 0)
        return NONE;
    if (compensate)
        return epoch == 1 ? ERRAND_UNDONE : NONE;
    return epoch == 1 ? ERRAND_CARRIED : epoch == 2 ? ERRAND_CARRIED_AGAIN : NONE;
}

static int number_of(const char *id) {
    char *end;
    unsigned long number = id[0] == 'E' ? strtoul(id + 1, &end, 10) : ERRANDS;
    return number < ERRANDS && *end == '\0' ? (int)number : NONE;
}

static bool answer(struct errands *errands, struct wf_engine *engine, const char *id,
                   const struct wf_task *task) {
    int number = number_of(id), deed = deed_of_task(task->stage, task->epoch, task->compensate);
    if (number == NONE || deed == NONE)
        return fail(errands, "%s: a task of %s, epoch %u", id, task->stage, task->epoch);
    struct wf_error err;
    struct wf_result result;
    const struct wf_command command = {.kind = WF_TASK_COMPLETE,
                                       .id = id,
                                       .stage = task->stage,
                                       .worker = task->worker,
                                       .attempt = task->epoch,
                                       .tries = task->attempt,
                                       .compensate = task->compensate};
    errands->all[number].issued[deed] = true;
    if (wf_execute(engine, &command, &result, &err) != WF_OK)
        return fail(errands, "%s, %s: %s", id, deeds[deed].name, err.text);
    errands->all[number].lsn[deed] = result.lsn;
    return true;
}

/* --- comparing with the store --- */

struct view {
    struct errands *errands;
    struct wf_engine *engine;
    unsigned number, claims;
    uint64_t found[ERRAND_DEEDS];
    bool there[ERRANDS];
};

static int deed_of_event(const struct wf_event *event) {
    if (strcmp(event->event, "workflow_started") == 0)
        return ERRAND_START;
    if (strcmp(event->event, "rollback_requested") == 0)
        return ERRAND_BACK;
    if (strcmp(event->event, "step_submitted") == 0)
        return ERRAND_PAY;
    bool claimed = strcmp(event->event, "task_claimed") == 0;
    if (!claimed && strcmp(event->event, "task_done") != 0)
        return NONE;
    int deed = deed_of_task(event->stage, event->attempt, event->compensate);
    return deed == NONE ? ERRAND_DEEDS : claimed ? (int)deeds[deed].after : deed;
}

static bool note_event(void *ctx, const struct wf_event *event) {
    struct view *view = ctx;
    int deed = deed_of_event(event);
    if (deed == NONE)
        return true;
    if (deed == ERRAND_DEEDS)
        return fail(view->errands, "E%u: %s of %s, epoch %u, which it has not", view->number,
                    event->event, event->stage, event->attempt);
    if (view->found[deed] != 0)
        return fail(view->errands, "E%u: DOUBLED: %s in records %" PRIu64 " and %" PRIu64,
                    view->number, deeds[deed].name, view->found[deed], event->lsn);
    view->found[deed] = event->lsn;
    return true;
}

/* One deed of the errand: acknowledged is there, there is asked for, and after what it follows. */
static bool settle_deed(struct view *view, int deed) {
    struct errands *errands = view->errands;
    struct errand *errand = &errands->all[view->number];
    uint64_t found = view->found[deed], acked = errand->lsn[deed];
    uint64_t before = view->found[deeds[deed].after];
    if (acked != 0 && found != acked)
        return fail(errands,
                    "E%u: LOST: %s acknowledged as record %" PRIu64 ", it is record %" PRIu64,
                    view->number, deeds[deed].name, acked, found);
    if (found != 0 && !is_claim(deed) && !errand->issued[deed])
        return fail(errands, "E%u: %s in record %" PRIu64 ", and nobody asked for it", view->number,
                    deeds[deed].name, found);
    if (found != 0 && deed != ERRAND_START && (before == 0 || before > found))
        return fail(errands, "E%u: %s in record %" PRIu64 ", before %s", view->number,
                    deeds[deed].name, found, deeds[deeds[deed].after].name);
    bool unacked = found != 0 && acked == 0;
    view->claims += unacked && is_claim(deed);
    errands->unacked_kept += unacked;
    errands->unacked_lost += found == 0 && errand->issued[deed];
    errand->lsn[deed] = found;
    errand->issued[deed] = found != 0;
    return true;
}

/* The tasks that are there are those whose claim, or whose cause, is there, and not their answer.
 */
static bool check_task(struct view *view, const struct wf_task *task) {
    int deed = deed_of_task(task->stage, task->epoch, task->compensate);
    bool claimed = strcmp(task->status, "claimed") == 0;
    view->errands->claimed += claimed;
    if (deed == NONE || view->found[deed] != 0 ||
        claimed != (view->found[deeds[deed].after] != 0) || task->attempt != claimed)
        return fail(view->errands, "E%u: a task of %s, epoch %u, is %s after %u claims",
                    view->number, task->stage, task->epoch, task->status, task->attempt);
    return true;
}

static size_t tasks_expected(const uint64_t found[ERRAND_DEEDS]) {
    size_t count = found[ERRAND_START] != 0 && found[ERRAND_FETCHED] == 0;
    count += found[ERRAND_FETCHED] != 0 && found[ERRAND_CARRIED] == 0;
    count += found[ERRAND_BACK] != 0 && found[ERRAND_UNDONE] == 0;
    return count + (found[ERRAND_BACK] != 0 && found[ERRAND_CARRIED_AGAIN] == 0);
}

static bool settle_errand(struct view *view, const struct wf_workflow *workflow) {
    struct errands *errands = view->errands;
    struct wf_error err;
    memset(view->found, 0, sizeof view->found);
    if (wf_workflow_history(view->engine, workflow->id, note_event, view, &err) != WF_OK)
        return fail(errands, "history of %s: %s", workflow->id, err.text);
    for (int i = 0; i < ERRAND_DEEDS && errands->failure[0] == '\0'; i++)
        settle_deed(view, i);
    bool paid = view->found[ERRAND_PAY] != 0;
    if (strcmp(workflow->status, paid ? "completed" : "running") != 0)
        return fail(errands, "%s is %s", workflow->id, workflow->status);
    if (workflow->task_count != tasks_expected(view->found))
        return fail(errands, "%s has %zu tasks, should have %zu", workflow->id,
                    workflow->task_count, tasks_expected(view->found));
    for (size_t i = 0; i < workflow->task_count; i++)
        check_task(view, &workflow->tasks[i]);
    return errands->failure[0] == '\0';
}

static bool note_errand(void *ctx, const struct wf_workflow *workflow) {
    struct view *view = ctx;
    int number = number_of(workflow->id);
    if (number == NONE)
        return fail(view->errands, "%s: nobody started it", workflow->id);
    view->number = (unsigned)number;
    view->there[number] = true;
    return settle_errand(view, workflow);
}

uint64_t errands_in_flight(const struct errands *errands) {
    uint64_t count = errands->claiming;
    for (unsigned i = 0; i < ERRANDS; i++)
        for (int j = 0; j < ERRAND_DEEDS; j++)
            count += errands->all[i].issued[j] && errands->all[i].lsn[j] == 0;
    return count;
}

bool errands_settle(struct errands *errands, struct wf_engine *engine) {
    static struct view view;
    const struct wf_filter filter = {.type = "errand"};
    struct wf_error err;
    view = (struct view){.errands = errands, .engine = engine};
    errands->claimed = errands->unacked_kept = errands->unacked_lost = 0;
    if (wf_workflow_list(engine, &filter, note_errand, &view, &err) != WF_OK)
        return fail(errands, "list of errands: %s", err.text);
    memset(view.found, 0, sizeof view.found);
    for (view.number = 0; view.number < ERRANDS && errands->failure[0] == '\0'; view.number++)
        for (int i = 0; i < ERRAND_DEEDS && !view.there[view.number]; i++)
            if (!settle_deed(&view, i))
                break;
    if (view.claims > errands->claiming)
        return fail(errands, "%u claims that nobody was told of, %u were under way", view.claims,
                    errands->claiming);
    errands->claiming = 0;
    return errands->failure[0] == '\0';
}

/* --- asked again --- */

static bool check_key(struct errands *errands, struct wf_engine *engine, unsigned number,
                      enum errand_deed deed) {
    uint64_t lsn = errands->all[number].lsn[deed];
    struct text text;
    struct wf_error err;
    struct wf_result result;
    if (lsn == 0 || !has_keys(number))
        return true;
    make_command(&text, number, deed);
    if (wf_execute(engine, &text.command, &result, &err) != WF_OK)
        return fail(errands, "E%u, %s again: %s", number, deeds[deed].name, err.text);
    return (result.replayed && result.lsn == lsn) ||
           fail(errands, "E%u, %s again: %s, record %" PRIu64 ", was %" PRIu64, number,
                deeds[deed].name, result.replayed ? "replayed" : "EXECUTED TWICE", result.lsn, lsn);
}

bool errands_check_again(struct errands *errands, struct wf_engine *engine, unsigned number) {
    static const enum errand_deed keyed[] = {ERRAND_START, ERRAND_BACK, ERRAND_PAY};
    for (size_t i = 0; i < sizeof keyed / sizeof keyed[0]; i++)
        if (!check_key(errands, engine, number, keyed[i]))
            return false;
    if (errands->all[number].lsn[ERRAND_FETCHED] == 0)
        return true;
    char id[16];
    snprintf(id, sizeof id, "E%u", number);
    const struct wf_command command = {.kind = WF_TASK_COMPLETE,
                                       .id = id,
                                       .stage = "fetch",
                                       .worker = "of before",
                                       .attempt = 1,
                                       .tries = 1};
    enum wf_status status = wf_execute(engine, &command, NULL, NULL);
    return status == WF_REFUSED ||
           fail(errands, "%s: fetched again: %s", id, wf_status_code(status));
}

/* --- the load --- */

struct held {
    size_t count;
    struct {
        char id[16], stage[16], worker[32];
        struct wf_task task;
    } all[ERRANDS_HELD_MAX];
};

static bool note_held(void *ctx, const struct wf_task *task) {
    struct held *held = ctx;
    if (strcmp(task->status, "claimed") != 0)
        return true;
    snprintf(held->all[held->count].id, sizeof held->all[0].id, "%s", task->id);
    snprintf(held->all[held->count].stage, sizeof held->all[0].stage, "%s", task->stage);
    snprintf(held->all[held->count].worker, sizeof held->all[0].worker, "%s", task->worker);
    held->all[held->count].task = *task;
    return ++held->count < ERRANDS_HELD_MAX;
}

bool errands_resume(struct errands *errands, struct wf_engine *engine) {
    static struct held held;
    struct wf_error err;
    held.count = 0;
    if (wf_task_list(engine, NULL, note_held, &held, &err) != WF_OK)
        return fail(errands, "list of tasks: %s", err.text);
    for (size_t i = 0; i < held.count; i++) {
        held.all[i].task.stage = held.all[i].stage;
        held.all[i].task.worker = held.all[i].worker;
        if (!answer(errands, engine, held.all[i].id, &held.all[i].task))
            return false;
    }
    return true;
}

void errand_worker_init(struct errand_worker *worker, unsigned number, unsigned count) {
    snprintf(worker->name, sizeof worker->name, "carrier-%u", number);
    worker->first = ERRANDS / count * number;
    worker->end = number + 1 == count ? ERRANDS : ERRANDS / count * (number + 1);
    worker->holds = NULL;
    worker->task = NULL;
}

void errand_worker_deinit(struct errand_worker *worker) {
    wf_workflow_free(worker->holds);
    worker->holds = NULL;
}

/* The next thing that the owner of an errand has to do; NONE: it waits for its tasks, or is done.
 */
static int next_of(const struct errand *errand, unsigned number) {
    if (!errand->issued[ERRAND_START])
        return ERRAND_START;
    if (errand->lsn[ERRAND_CARRIED] == 0 || errand->issued[ERRAND_PAY])
        return NONE;
    if (goes_back(number) && !errand->issued[ERRAND_BACK])
        return ERRAND_BACK;
    bool again = errand->lsn[ERRAND_UNDONE] != 0 && errand->lsn[ERRAND_CARRIED_AGAIN] != 0;
    return !goes_back(number) || again ? ERRAND_PAY : NONE;
}

/* The first of its own errands that has something left to do, a new one where none has. */
static bool take_own(struct errand_worker *worker) {
    struct errands *errands = worker->errands;
    unsigned number = worker->first;
    while (number < worker->end && next_of(&errands->all[number], number) == NONE)
        number++;
    if (number == worker->end)
        return true;
    struct text text;
    struct wf_error err;
    struct wf_result result;
    enum errand_deed deed = (enum errand_deed)next_of(&errands->all[number], number);
    make_command(&text, number, deed);
    errands->all[number].issued[deed] = true;
    if (wf_execute(worker->engine, &text.command, &result, &err) != WF_OK)
        return fail(errands, "E%u, %s: %s", number, deeds[deed].name, err.text);
    errands->all[number].lsn[deed] = result.lsn;
    return true;
}

static bool claim(struct errand_worker *worker) {
    struct wf_error err;
    worker->errands->claiming++;
    if (wf_task_claim(worker->engine, worker->name, LEASE_MS, &worker->holds, &worker->task, NULL,
                      &err) != WF_OK)
        return fail(worker->errands, "claim: %s", err.text);
    if (worker->task == NULL) {
        worker->errands->claiming--;
        errand_worker_deinit(worker);
        return take_own(worker);
    }
    int number = number_of(worker->holds->id);
    int deed = deed_of_task(worker->task->stage, worker->task->epoch, worker->task->compensate);
    if (number == NONE || deed == NONE)
        return fail(worker->errands, "%s: claimed %s, epoch %u", worker->holds->id,
                    worker->task->stage, worker->task->epoch);
    enum errand_deed claimed = deeds[deed].after;
    if (worker->errands->all[number].lsn[claimed] != 0)
        return fail(worker->errands, "E%d: %s was given twice", number, deeds[claimed].name);
    worker->errands->all[number].lsn[claimed] = worker->holds->lsn;
    worker->errands->claiming--;
    return true;
}

bool errand_worker_turn(struct errand_worker *worker) {
    if (choices_one_in(worker->choices, 4))
        return take_own(worker);
    if (worker->holds == NULL)
        return claim(worker);
    bool good = answer(worker->errands, worker->engine, worker->holds->id, worker->task);
    errand_worker_deinit(worker);
    return good;
}
