#include "tests/sim/rollback_model.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* --- what happened --- */

static struct deed *add_deed(struct model *model, enum deed_kind kind, int of) {
    if (model->deed_count == MODEL_DEEDS_MAX)
        abort();
    struct deed *deed = &model->deeds[model->deed_count++];
    *deed =
        (struct deed){.kind = kind, .of = of, .command = model->command, .time_ms = model->now_ms};
    return deed;
}

unsigned model_attempt(const struct model *model, unsigned stage) {
    unsigned count = 0;
    for (size_t i = 0; i < model->deed_count; i++)
        count += model->deeds[i].kind == DEED_OPENED && model->deeds[i].of == (int)stage;
    return count;
}

unsigned model_field(const struct model *model, unsigned field) {
    for (size_t i = model->deed_count; i-- > 0;) {
        const struct deed *deed = &model->deeds[i];
        if (deed->kind == DEED_SUBMITTED && !deed->withdrawn && deed->value[field] != 0)
            return deed->value[field];
    }
    return 0;
}

size_t model_steps(const struct model *model, unsigned out[PLAN_STEPS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < model->deed_count; i++) {
        const struct deed *deed = &model->deeds[i];
        if (deed->kind == DEED_SUBMITTED && !deed->withdrawn && deed->of >= 0)
            out[count++] = (unsigned)deed->of;
    }
    return count;
}

int64_t model_deadline(const struct model *model, unsigned stage) {
    if (model->end != 0 || model->stage[stage] != STAGE_ACTIVE ||
        model->plan->stages[stage].timeout_ms == 0)
        return 0;
    bool stopped = false, runs = false;
    int64_t due_ms = 0, left_ms = 0;
    for (size_t i = 0; i < model->deed_count; i++) {
        const struct deed *deed = &model->deeds[i];
        if (deed->kind == DEED_OPENED && deed->of == (int)stage) {
            runs = true;
            left_ms = model->plan->stages[stage].timeout_ms;
            due_ms = deed->time_ms + left_ms;
        } else if (deed->kind == DEED_STOPPED) {
            stopped = true;
            left_ms = due_ms > deed->time_ms ? due_ms - deed->time_ms : 1;
        } else if (deed->kind == DEED_WENT_ON) {
            stopped = false;
            due_ms = deed->time_ms + left_ms;
        } else if (deed->kind == DEED_ENDED) {
            stopped = runs = false; /* nothing is due after the end, and nothing is again */
        }
    }
    if (!runs)
        return 0;
    return stopped ? left_ms : due_ms;
}

int model_due(const struct model *model, int64_t *due_ms) {
    int first = -1;
    for (unsigned i = 0; !model->stopped && i < model->plan->stage_count; i++) {
        int64_t at_ms = model_deadline(model, i);
        if (at_ms == 0 || (first >= 0 && at_ms >= *due_ms))
            continue;
        first = (int)i;
        *due_ms = at_ms;
    }
    return first;
}

/* --- where it stands --- */

static bool waits(const struct model *model, unsigned stage) {
    return model->reopening[stage] || (model->back.under_way && model->back.waiting == (int)stage);
}

enum stage_status model_stage(const struct model *model, unsigned stage) {
    if (model->end == 0 && waits(model, stage))
        return STAGE_AWAITING_REVIEW;
    if (model->stage[stage] == STAGE_ACTIVE && model->stopped)
        return STAGE_HELD;
    return model->stage[stage];
}

enum workflow_status model_status(const struct model *model) {
    const struct plan_stage *stages = model->plan->stages;
    if (model->end != 0)
        return model->end;
    enum workflow_status status = WORKFLOW_RUNNING;
    for (unsigned i = 0; i < model->plan->stage_count; i++) {
        /* A rollback under way is what it stands for, whatever else waits behind it. */
        bool counts = model->back.under_way ? model->back.waiting == (int)i : model->reopening[i];
        if (counts && stages[i].strategy == ROLLBACK_HOLD_FOR_REVIEW)
            return WORKFLOW_HELD;
        if (counts)
            status = WORKFLOW_AWAITING_REVIEW;
    }
    return status;
}

static bool is_waiting_for_needs(const struct model *model, unsigned stage) {
    return model->stage[stage] == STAGE_BLOCKED || model->stage[stage] == STAGE_ROLLED_BACK;
}

static bool has_item(const struct model *model, unsigned item) {
    unsigned steps[PLAN_STEPS_MAX];
    size_t count = model_steps(model, steps);
    for (size_t i = 0; i < count; i++)
        if (model->plan->steps[steps[i]].provides[item])
            return true;
    return false;
}

static bool has_needs(const struct model *model, unsigned stage) {
    const struct plan_stage *plan = &model->plan->stages[stage];
    for (unsigned i = 0; i < model->plan->stage_count; i++)
        if (plan->needs_stage[i] && model->stage[i] != STAGE_COMPLETED)
            return false;
    for (unsigned i = 0; i < model->plan->item_count; i++)
        if (plan->needs_item[i] && !has_item(model, i))
            return false;
    return true;
}

/* --- going on --- */

static void open_stage(struct model *model, unsigned stage) {
    model->stage[stage] = STAGE_ACTIVE;
    model->reopening[stage] = false;
    add_deed(model, DEED_OPENED, (int)stage);
}

static void end(struct model *model, enum workflow_status status, bool has_reason) {
    model->end = status;
    model->has_reason = has_reason;
    model->stopped = false;
    model->back.under_way = false;
    memset(model->reopening, 0, sizeof model->reopening);
    add_deed(model, DEED_ENDED, 0);
}

/* What follows from what was done: timers stop or run, stages open, or all is completed. */
static void settle(struct model *model) {
    bool stop = model->back.under_way, all = true;
    for (unsigned i = 0; i < model->plan->stage_count; i++) {
        stop |= model->reopening[i] && model->plan->stages[i].strategy == ROLLBACK_HOLD_FOR_REVIEW;
        all &= model->stage[i] == STAGE_COMPLETED;
    }
    if (stop != model->stopped)
        add_deed(model, stop ? DEED_STOPPED : DEED_WENT_ON, 0);
    model->stopped = stop;
    for (unsigned i = 0; !stop && i < model->plan->stage_count; i++)
        if (is_waiting_for_needs(model, i) && has_needs(model, i))
            open_stage(model, i);
    if (all && !stop)
        end(model, WORKFLOW_COMPLETED, false);
}

void model_start(struct model *model, const struct plan *plan, int64_t now_ms,
                 const unsigned value[PLAN_FIELDS]) {
    memset(model, 0, offsetof(struct model, deeds));
    model->plan = plan;
    model->now_ms = model->seen_ms = now_ms;
    funds_start(&model->funds);
    memcpy(add_deed(model, DEED_SUBMITTED, -1)->value, value, sizeof model->deeds[0].value);
    settle(model);
}

/* --- going back --- */

/* The deed that made the stage what it is: its completion, else its last opening. */
static const struct deed *moment(const struct model *model, unsigned stage) {
    enum deed_kind kind = model->stage[stage] == STAGE_COMPLETED ? DEED_DONE : DEED_OPENED;
    for (size_t i = model->deed_count; i-- > 0;)
        if (model->deeds[i].kind == kind && model->deeds[i].of == (int)stage)
            return &model->deeds[i];
    abort();
}

/* Together: what is completed comes before what becomes active, then as the definition has it. */
static bool is_after(const struct model *model, unsigned stage, unsigned other) {
    const struct deed *one = moment(model, stage), *two = moment(model, other);
    if (one->command != two->command)
        return one->command > two->command;
    if (one->kind != two->kind)
        return one->kind == DEED_OPENED;
    return stage > other;
}

static bool must_go(const struct model *model, unsigned stage) {
    bool cut_short = model->back.from == WORKFLOW_FAILED || model->back.from == WORKFLOW_CANCELLED;
    int target = model->back.target;
    if (is_waiting_for_needs(model, stage))
        return false;
    if (model->stage[stage] == STAGE_FAILED || model->stage[stage] == STAGE_TIMED_OUT ||
        (model->stage[stage] == STAGE_ACTIVE && cut_short))
        return true;
    return target == MODEL_ALL || (int)stage == target || is_after(model, stage, (unsigned)target);
}

/* The latest of all that must go, the target when nothing else is left; -1: it is done. */
static int next_to_go(const struct model *model) {
    int next = -1;
    if (model->back.target >= 0 && is_waiting_for_needs(model, (unsigned)model->back.target))
        return -1;
    for (unsigned i = 0; i < model->plan->stage_count; i++)
        if ((int)i != model->back.target && must_go(model, i) &&
            (next < 0 || is_after(model, i, (unsigned)next)))
            next = (int)i;
    if (next < 0 && model->back.target >= 0 && must_go(model, (unsigned)model->back.target))
        next = model->back.target;
    return next;
}

static void undo(struct model *model, unsigned stage) {
    model->stage[stage] = STAGE_ROLLED_BACK;
    model->reopening[stage] = false;
    model->back.undone = true;
    if (model->funds.stage[stage].command != 0 && model_attempt(model, stage) > 1)
        model->funds.given_again++;
    if (!funds_undo(&model->funds, stage, model->now_ms))
        model->cannot_give_back = true;
    for (size_t i = 0; i < model->deed_count; i++) {
        struct deed *deed = &model->deeds[i];
        if (deed->kind == DEED_SUBMITTED && deed->of >= 0 &&
            model->plan->steps[deed->of].completes == (int)stage)
            deed->withdrawn = true;
    }
}

static void go_back(struct model *model) {
    model->back.waiting = -1;
    for (int next; (next = next_to_go(model)) >= 0;) {
        if (model->plan->stages[next].strategy != ROLLBACK_AUTOMATIC) {
            model->back.waiting = next;
            settle(model);
            return;
        }
        undo(model, (unsigned)next);
    }
    if (model->back.target == MODEL_ALL) {
        end(model, WORKFLOW_CANCELLED, model->back.has_reason);
        return;
    }
    model->back.under_way = false;
    model->has_reason = false;
    settle(model);
}

static void turn(struct model *model, int target, unsigned actor) {
    if (!model->back.under_way) {
        model->back.from = model->end;
        model->back.undone = false;
    }
    model->end = 0;
    model->back.under_way = true;
    model->back.target = target;
    model->back.actor = actor;
    go_back(model);
}

size_t model_plan(struct model *model, unsigned target, unsigned out[PLAN_STAGES_MAX]) {
    enum stage_status stage[PLAN_STAGES_MAX];
    enum workflow_status from = model->back.from;
    int before = model->back.target;
    size_t count = 0;
    memcpy(stage, model->stage, sizeof stage);
    if (!model->back.under_way)
        model->back.from = model->end;
    model->back.target = (int)target;
    for (int next; (next = next_to_go(model)) >= 0; out[count++] = (unsigned)next)
        model->stage[next] = STAGE_ROLLED_BACK;
    memcpy(model->stage, stage, sizeof stage);
    model->back.from = from;
    model->back.target = before;
    return count;
}

/* --- what is asked --- */

static bool is_in_force(const struct model *model, unsigned step) {
    unsigned steps[PLAN_STEPS_MAX];
    size_t count = model_steps(model, steps);
    for (size_t i = 0; i < count; i++)
        if (steps[i] == step)
            return true;
    return false;
}

/* An attempt that is named must be the one under way. */
static bool is_of_now(const struct model *model, unsigned stage, unsigned attempt) {
    enum stage_status status = model_stage(model, stage);
    return attempt == 0 || ((status == STAGE_ACTIVE || status == STAGE_HELD) &&
                            attempt == model_attempt(model, stage));
}

static enum wf_status submit(struct model *model, const struct ask *ask) {
    if (ask->index >= model->plan->step_count)
        return WF_NOT_FOUND;
    const struct plan_step *step = &model->plan->steps[ask->index];
    if (model->end != 0 || model->stopped)
        return WF_REFUSED;
    if (ask->attempt != 0 && step->completes < 0)
        return WF_USAGE;
    if (step->completes >= 0 && (!is_of_now(model, (unsigned)step->completes, ask->attempt) ||
                                 model_stage(model, (unsigned)step->completes) != STAGE_ACTIVE))
        return WF_REFUSED;
    if (is_in_force(model, ask->index))
        return WF_REFUSED;
    for (unsigned i = 0; i < PLAN_FIELDS; i++)
        if (step->needs_field[i] && ask->value[i] == 0)
            return WF_REFUSED;
    if (ask->operation_count > 0 && step->completes < 0)
        return WF_USAGE;
    if (ask->operation_count > 0 &&
        !funds_take(&model->funds, ask->operations, ask->operation_count, model->command,
                    model->now_ms, step->completes))
        return WF_REFUSED;
    memcpy(add_deed(model, DEED_SUBMITTED, (int)ask->index)->value, ask->value, sizeof ask->value);
    if (step->completes >= 0) {
        add_deed(model, DEED_DONE, step->completes);
        model->stage[step->completes] = STAGE_COMPLETED;
    }
    settle(model);
    return WF_OK;
}

static void miss(struct model *model, unsigned stage, enum stage_status outcome, unsigned actor,
                 bool has_reason) {
    const struct plan_stage *plan = &model->plan->stages[stage];
    model->stage[stage] = outcome;
    if (plan->strategy != ROLLBACK_AUTOMATIC) {
        model->reopening[stage] = true;
        model->reopening_for[stage] = actor;
    } else if (model_attempt(model, stage) < plan->attempts) {
        open_stage(model, stage);
    } else {
        end(model, WORKFLOW_FAILED, has_reason);
        return;
    }
    settle(model);
}

static enum wf_status fail(struct model *model, const struct ask *ask) {
    if (ask->index >= model->plan->stage_count)
        return WF_NOT_FOUND;
    if (model->end != 0 || !is_of_now(model, ask->index, ask->attempt) ||
        model_stage(model, ask->index) != STAGE_ACTIVE)
        return WF_REFUSED;
    miss(model, ask->index, STAGE_FAILED, ask->actor, ask->reason);
    return WF_OK;
}

static enum wf_status time_out(struct model *model, const struct ask *ask) {
    if (ask->index >= model->plan->stage_count || model_stage(model, ask->index) != STAGE_ACTIVE)
        return WF_REFUSED;
    int64_t due_ms = model_deadline(model, ask->index);
    if (due_ms == 0 || due_ms > model->now_ms)
        return WF_REFUSED;
    miss(model, ask->index, STAGE_TIMED_OUT, MODEL_NOBODY, true);
    return WF_OK;
}

static enum wf_status cancel(struct model *model, const struct ask *ask) {
    if (model->end != 0)
        return WF_REFUSED;
    model->back.has_reason = ask->reason;
    if (ask->rollback)
        turn(model, MODEL_ALL, ask->actor);
    else
        end(model, WORKFLOW_CANCELLED, ask->reason);
    return WF_OK;
}

static enum wf_status roll_back(struct model *model, const struct ask *ask) {
    if (ask->index >= model->plan->stage_count)
        return WF_NOT_FOUND;
    if (ask->actor == MODEL_NOBODY)
        return WF_USAGE;
    if (is_waiting_for_needs(model, ask->index))
        return WF_REFUSED;
    turn(model, (int)ask->index, ask->actor);
    return WF_OK;
}

static void decide_rollback(struct model *model, unsigned stage, bool approved) {
    enum workflow_status from = model->back.from;
    if (approved) {
        undo(model, stage);
        go_back(model);
        return;
    }
    model->back.under_way = false;
    if (from == WORKFLOW_FAILED || from == WORKFLOW_CANCELLED ||
        (from == WORKFLOW_COMPLETED && !model->back.undone)) {
        end(model, from, model->has_reason);
        return;
    }
    model->has_reason = false;
    settle(model);
}

static enum wf_status review(struct model *model, const struct ask *ask) {
    bool approved = ask->kind == COMMAND_REVIEW_APPROVE;
    if (ask->index >= model->plan->stage_count)
        return WF_NOT_FOUND;
    if (ask->actor == MODEL_NOBODY)
        return WF_USAGE;
    const struct plan_stage *plan = &model->plan->stages[ask->index];
    bool of_rollback = model->back.under_way;
    if (of_rollback ? model->back.waiting != (int)ask->index : !model->reopening[ask->index]) {
        model->again = model->verdict.given && model->verdict.stage == ask->index &&
                       model->verdict.actor == ask->actor && model->verdict.approved == approved;
        return model->again ? WF_OK : WF_REFUSED;
    }
    unsigned asked = of_rollback ? model->back.actor : model->reopening_for[ask->index];
    if (strcmp(plan->role, ask->role) != 0 || (plan->four_eyes && asked == ask->actor) ||
        (ask->attempt != 0 && ask->attempt != model_attempt(model, ask->index)))
        return WF_REFUSED;
    model->verdict.given = true;
    model->verdict.approved = approved;
    model->verdict.stage = ask->index;
    model->verdict.actor = ask->actor;
    if (of_rollback) {
        decide_rollback(model, ask->index, approved);
    } else if (approved) {
        open_stage(model, ask->index);
        settle(model);
    } else {
        end(model, WORKFLOW_FAILED, true);
    }
    return WF_OK;
}

/* Beside the workflow. */
static enum wf_status bank(struct model *model, const struct ask *ask) {
    bool done =
        ask->kind == COMMAND_ACCOUNT_TRANSACT
            ? funds_take(&model->funds, ask->operations, ask->operation_count, model->command,
                         model->now_ms, -1)
            : funds_set_frozen(&model->funds, ask->index, ask->kind == COMMAND_ACCOUNT_FREEZE);
    return done ? WF_OK : WF_REFUSED;
}

static enum wf_status take(struct model *model, const struct ask *ask) {
    if (ask->kind == COMMAND_ACCOUNT_TRANSACT || ask->kind == COMMAND_ACCOUNT_FREEZE ||
        ask->kind == COMMAND_ACCOUNT_UNFREEZE)
        return bank(model, ask);
    if (ask->kind == COMMAND_WORKFLOW_SUBMIT)
        return submit(model, ask);
    if (ask->kind == COMMAND_WORKFLOW_FAIL)
        return fail(model, ask);
    if (ask->kind == COMMAND_WORKFLOW_CANCEL)
        return cancel(model, ask);
    if (ask->kind == COMMAND_WORKFLOW_ROLLBACK)
        return roll_back(model, ask);
    if (ask->kind == COMMAND_TIMER_FIRE)
        return time_out(model, ask);
    return review(model, ask);
}

enum wf_status model_take(struct model *model, const struct ask *ask, int64_t now_ms) {
    model->now_ms = now_ms > model->seen_ms ? now_ms : model->seen_ms;
    model->command++;
    model->again = model->cannot_give_back = false;
    static struct model before;
    memcpy(&before, model,
           offsetof(struct model, deeds) + model->deed_count * sizeof before.deeds[0]);
    enum wf_status status = take(model, ask);
    if (model->cannot_give_back) { /* and so nothing has happened */
        memcpy(model, &before,
               offsetof(struct model, deeds) + before.deed_count * sizeof before.deeds[0]);
        model->cannot_give_back = true;
        status = WF_REFUSED;
    }
    /* A refusal is a record too; that a timer has nothing to do is none. */
    bool is_refusal = status == WF_REFUSED && ask->kind != COMMAND_TIMER_FIRE;
    if ((status == WF_OK && !model->again) || is_refusal)
        model->seen_ms = model->now_ms;
    return status;
}
