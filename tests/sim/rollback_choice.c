#include "tests/sim/rollback_choice.h"

static const char *const role_names[] = {"reviewer", "executive", "auditor"};

void choice_values(uint64_t *random, unsigned value[PLAN_FIELDS], unsigned one_in) {
    for (unsigned i = 0; i < PLAN_FIELDS; i++)
        value[i] = plan_pick(random, one_in) == 0 ? 1 + plan_pick(random, 9999) : 0;
}

static void pick_attempt(const struct model *model, uint64_t *random, struct ask *ask, int stage) {
    if (stage < 0 || plan_pick(random, 3) != 0)
        return;
    unsigned attempt = model_attempt(model, (unsigned)stage);
    ask->attempt = plan_pick(random, 3) == 0 ? 1 + plan_pick(random, 4) : attempt;
}

/* A stage of this status, where luck finds one. */
static unsigned pick_stage(const struct model *model, uint64_t *random, enum stage_status wanted) {
    unsigned stage = 0;
    for (int tries = 0; tries < 12; tries++) {
        stage = plan_pick(random, model->plan->stage_count);
        if (model_stage(model, stage) == wanted)
            break;
    }
    return plan_pick(random, 100) == 0 ? model->plan->stage_count : stage;
}

/* Small beside what the accounts have, so that most of it can be done. */
static void pick_operation(uint64_t *random, struct funds_ask *ask) {
    static const unsigned char often[] = {
        FUNDS_DEPOSIT, FUNDS_WITHDRAWAL, FUNDS_TRANSFER,    FUNDS_TRANSFER, FUNDS_TRANSFER,
        FUNDS_FEE,     FUNDS_EXCHANGE,   FUNDS_HOLD,        FUNDS_HOLD,     FUNDS_POST,
        FUNDS_VOID,    FUNDS_PAYMENT,    FUNDS_DISBURSEMENT};
    bool sane = plan_pick(random, 40) != 0;
    *ask = (struct funds_ask){.type = (enum funds_type)often[plan_pick(random, sizeof often)]};
    ask->from = plan_pick(random, sane ? FUNDS_E : FUNDS_CUSTOMERS);
    ask->to = plan_pick(random, sane ? FUNDS_E : FUNDS_CUSTOMERS);
    if (sane && ask->to == ask->from)
        ask->to = (ask->from + 1) % FUNDS_E;
    ask->cents = 1 + plan_pick(random, sane ? 2000 : 30000);
    if (ask->type == FUNDS_EXCHANGE)
        ask->cents = 1000 * (1 + plan_pick(random, 3));
    if (ask->type == FUNDS_POST && plan_pick(random, 2) == 0)
        ask->cents = 0;
    ask->hold = plan_pick(random, FUNDS_HOLD_NAMES);
    if (plan_pick(random, 2) == 0)
        ask->expires_in_ms = 1 + plan_pick(random, 60000);
}

/* A hold that is there is what a post or a void is about, mostly. */
static void pick_hold(const struct funds *funds, uint64_t *random, struct funds_ask *ask) {
    if ((ask->type != FUNDS_POST && ask->type != FUNDS_VOID) || plan_pick(random, 20) == 0)
        return;
    if (funds->hold_count == 0) {
        ask->type = FUNDS_TRANSFER;
        ask->cents = 1 + plan_pick(random, 2000);
        return;
    }
    const struct funds_hold *hold = &funds->holds[plan_pick(random, (unsigned)funds->hold_count)];
    ask->from = hold->from;
    ask->hold = hold->name;
    if (ask->cents > hold->cents && plan_pick(random, 10) != 0)
        ask->cents = hold->cents;
}

static void pick_operations(const struct model *model, uint64_t *random, struct ask *ask) {
    ask->operation_count = 1 + plan_pick(random, 2) * plan_pick(random, FUNDS_OPERATIONS_MAX);
    for (size_t i = 0; i < ask->operation_count; i++) {
        pick_operation(random, &ask->operations[i]);
        pick_hold(&model->funds, random, &ask->operations[i]);
    }
}

static void pick_submission(const struct model *model, uint64_t *random, struct ask *ask) {
    for (int tries = 0; tries < 8; tries++) {
        ask->index = plan_pick(random, model->plan->step_count);
        int completes = model->plan->steps[ask->index].completes;
        if (completes < 0 ? plan_pick(random, 2) == 0
                          : model_stage(model, (unsigned)completes) == STAGE_ACTIVE)
            break;
    }
    choice_values(random, ask->value, 4);
    const struct plan_step *step = &model->plan->steps[ask->index];
    for (unsigned i = 0; i < PLAN_FIELDS && plan_pick(random, 20) != 0; i++)
        if (step->needs_field[i] && ask->value[i] == 0)
            ask->value[i] = 1 + plan_pick(random, 9999);
    if (plan_pick(random, 2) == 0 && (step->completes >= 0 || plan_pick(random, 10) == 0))
        pick_operations(model, random, ask);
    pick_attempt(model, random, ask, plan_pick(random, 30) == 0 ? 0 : step->completes);
    if (plan_pick(random, 200) == 0)
        ask->index = model->plan->step_count;
}

static void pick_review(const struct model *model, uint64_t *random, struct ask *ask) {
    ask->kind = plan_pick(random, 4) == 0 ? COMMAND_REVIEW_REJECT : COMMAND_REVIEW_APPROVE;
    ask->index = pick_stage(model, random, STAGE_AWAITING_REVIEW);
    ask->role = role_names[plan_pick(random, 3)];
    if (ask->index >= model->plan->stage_count)
        return;
    if (model->verdict.given && plan_pick(random, 8) == 0) { /* the same again */
        ask->kind = model->verdict.approved ? COMMAND_REVIEW_APPROVE : COMMAND_REVIEW_REJECT;
        ask->index = model->verdict.stage;
        ask->actor = model->verdict.actor;
    }
    const char *role = model->plan->stages[ask->index].role;
    if (role != NULL && plan_pick(random, 8) != 0)
        ask->role = role;
    pick_attempt(model, random, ask, (int)ask->index);
}

static void pick_timer(const struct model *model, uint64_t *random, int64_t *now_ms,
                       struct ask *ask) {
    int64_t due_ms = 0;
    int due = model_due(model, &due_ms);
    ask->kind = COMMAND_TIMER_FIRE;
    ask->actor = MODEL_NOBODY;
    ask->index = plan_pick(random, model->plan->stage_count);
    if (due < 0 || plan_pick(random, 10) == 0)
        return;
    ask->index = (unsigned)due;
    /* On time; late, where the clock has passed it already. */
    if (due_ms > *now_ms)
        *now_ms = due_ms;
}

static bool anything_waits(const struct model *model) {
    for (unsigned i = 0; i < model->plan->stage_count; i++)
        if (model_stage(model, i) == STAGE_AWAITING_REVIEW)
            return true;
    return false;
}

static void pick_bank(const struct model *model, uint64_t *random, struct ask *ask) {
    ask->kind = COMMAND_ACCOUNT_TRANSACT;
    pick_operations(model, random, ask);
    if (plan_pick(random, 4) != 0)
        return;
    ask->index = plan_pick(random, FUNDS_CUSTOMERS);
    ask->kind = COMMAND_ACCOUNT_FREEZE;
    for (unsigned i = 0; i < FUNDS_CUSTOMERS; i++) { /* not for long */
        if (!model->funds.frozen[i])
            continue;
        ask->index = i;
        ask->kind = COMMAND_ACCOUNT_UNFREEZE;
    }
    if (plan_pick(random, 6) == 0) { /* for nothing, mostly */
        ask->index = plan_pick(random, FUNDS_CUSTOMERS);
        ask->kind = plan_pick(random, 2) == 0 ? COMMAND_ACCOUNT_FREEZE : COMMAND_ACCOUNT_UNFREEZE;
    }
}

void choice_make(const struct model *model, uint64_t *random, int64_t *now_ms, struct ask *ask) {
    ask->actor = plan_pick(random, CHOICE_ACTORS);
    ask->reason = plan_pick(random, 2) == 0;
    if (plan_pick(random, 7) == 0) {
        pick_bank(model, random, ask);
        return;
    }
    unsigned choice = plan_pick(random, 100);
    int64_t due_ms = 0;
    if (model_status(model) != WORKFLOW_RUNNING && choice < 45)
        choice = 50 + choice; /* wait less than go on */
    bool idle = choice < 90 ? !anything_waits(model) : model_due(model, &due_ms) < 0;
    if (choice >= 72 && idle && plan_pick(random, 4) != 0)
        choice = 0; /* nothing waits for it */
    if (choice < 55) {
        ask->kind = COMMAND_WORKFLOW_SUBMIT;
        pick_submission(model, random, ask);
    } else if (choice < 62) {
        ask->kind = COMMAND_WORKFLOW_FAIL;
        ask->index = pick_stage(model, random, STAGE_ACTIVE);
        pick_attempt(model, random, ask,
                     ask->index < model->plan->stage_count ? (int)ask->index : -1);
    } else if (choice < 64) {
        ask->kind = COMMAND_WORKFLOW_CANCEL;
        ask->rollback = plan_pick(random, 2) == 0;
    } else if (choice < 72) {
        ask->kind = COMMAND_WORKFLOW_ROLLBACK;
        ask->index = pick_stage(model, random, STAGE_COMPLETED);
    } else if (choice < 90) {
        pick_review(model, random, ask);
    } else {
        pick_timer(model, random, now_ms, ask);
    }
}
