#include "tests/crash/oracle.h"
#include "tests/crash/scratch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PREFIX_SIZE = 1,
    CANCEL_AT = 3, /* a cancelled loan: start, two steps, cancel */
    /* One that goes back: start, two steps, rollback, approval; then on from the first stage. */
    ROLLBACK_AT = 3,
    APPROVE_AT,
    AGAIN_AT,
    BACK_AT_STEP = 2, /* the submission that is made again */
};

bool oracle_fail(struct oracle *oracle, const char *format, ...) {
    if (oracle->failure[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(oracle->failure, sizeof oracle->failure, format, args);
        va_end(args);
    }
    return false;
}

void oracle_init(struct oracle *oracle, uint64_t seed) {
    memset(oracle, 0, sizeof *oracle);
    oracle->seed = seed;
}

/* The choices of one loan, the same whenever they are asked for. */
static uint64_t character(const struct oracle *oracle, uint32_t loan) {
    struct choices choices = {.state = oracle->seed ^ ((uint64_t)loan << 20)};
    return choices_next(&choices);
}

static bool is_cancelled(const struct oracle *oracle, uint32_t loan) {
    return (character(oracle, loan) & 7) == 0;
}

static bool goes_back(const struct oracle *oracle, uint32_t loan) {
    return (character(oracle, loan) & 7) == 1 || (character(oracle, loan) & 7) == 2;
}

static bool has_keys(const struct oracle *oracle, uint32_t loan) {
    return (character(oracle, loan) & 8) != 0;
}

unsigned oracle_script_length(const struct oracle *oracle, uint32_t loan) {
    if (is_cancelled(oracle, loan))
        return CANCEL_AT + 1;
    return goes_back(oracle, loan) ? ORACLE_SCRIPT_MAX : LOAN_COMMANDS;
}

/* Which command of the sample it is. */
static unsigned sample_index(const struct oracle *oracle, uint32_t loan, unsigned index) {
    if (is_cancelled(oracle, loan) && index == CANCEL_AT)
        return 0;
    if (!goes_back(oracle, loan) || index < ROLLBACK_AT)
        return index;
    return index < AGAIN_AT ? 0 : index - AGAIN_AT + BACK_AT_STEP;
}

/* The credit check was wrong: back to it, which undoes the stage after it where a reviewer agrees.
 */
static void make_way_back(struct wf_command *command, unsigned index) {
    command->type = NULL;
    command->fields = NULL;
    command->field_count = 0;
    command->kind = index == ROLLBACK_AT ? WF_WORKFLOW_ROLLBACK : WF_REVIEW_APPROVE;
    command->stage = index == ROLLBACK_AT ? "credit_check" : "income_verification";
    command->actor = index == ROLLBACK_AT ? "ann" : "bob";
    command->role = index == ROLLBACK_AT ? NULL : "reviewer";
    command->reason = "the file of another";
}

const struct wf_command *oracle_command(const struct oracle *oracle, uint32_t loan, unsigned index,
                                        struct oracle_command *out) {
    bool cancel = is_cancelled(oracle, loan) && index == CANCEL_AT;
    out->command = *loan_sample_command(&out->sample, "C", loan, sample_index(oracle, loan, index));
    if (cancel) {
        out->command.kind = WF_WORKFLOW_CANCEL;
        out->command.reason = "the applicant withdrew";
        out->command.type = NULL;
    }
    if (goes_back(oracle, loan) && index >= ROLLBACK_AT && index < AGAIN_AT)
        make_way_back(&out->command, index);
    if (has_keys(oracle, loan)) {
        snprintf(out->key, sizeof out->key, "key-%u-%u", loan, index);
        out->command.key = out->key;
    }
    return &out->command;
}

enum { TICKET_BITS = 48 };

unsigned oracle_issue(struct oracle *oracle, uint32_t loan, unsigned thread, uint64_t sequence) {
    struct oracle_loan *entry = &oracle->loans[loan];
    unsigned index = entry->issued;
    entry->tickets[index] = (uint64_t)thread << TICKET_BITS | sequence;
    entry->lsns[index] = 0;
    entry->issued = index + 1;
    return index;
}

void oracle_ack(struct oracle *oracle, uint32_t loan, unsigned index, uint64_t lsn) {
    struct oracle_loan *entry = &oracle->loans[loan];
    entry->lsns[index] = lsn;
    /* Durable in the order of the log: what came before is acknowledged with it. */
    if (entry->acked < index + 1)
        entry->acked = index + 1;
}

struct oracle_flight oracle_in_flight(const struct oracle *oracle) {
    struct oracle_flight flight = {0};
    for (uint32_t loan = 0; loan < ORACLE_LOANS; loan++) {
        const struct oracle_loan *entry = &oracle->loans[loan];
        uint32_t issued = entry->issued, acked = entry->acked;
        flight.commands += issued > acked ? issued - acked : 0;
        flight.workflows += issued > 0 && acked < oracle_script_length(oracle, loan);
    }
    return flight;
}

/* --- comparing with the store --- */

struct comparison {
    struct oracle *oracle;
    uint8_t *places; /* of each loan: how many commands of its script the store shows */
    uint64_t lsn_max;
};

/* Every field of the first `place` commands is there with its value, and no other. */
static bool check_data(struct oracle *oracle, const struct wf_workflow *workflow, uint32_t loan,
                       unsigned submissions) {
    size_t expected = 0;
    for (unsigned index = 0; index <= submissions; index++) {
        struct loan_sample sample;
        loan_sample_command(&sample, "C", loan, index);
        for (size_t i = 0; i < sample.command.field_count; i++, expected++) {
            const struct wf_field *field = &sample.command.fields[i];
            bool found = false;
            for (size_t j = 0; j < workflow->data_count && !found; j++)
                found = strcmp(workflow->data[j].name, field->name) == 0 &&
                        strcmp(workflow->data[j].value, field->value) == 0;
            if (!found)
                return oracle_fail(oracle, "%s: the field %s is lost or changed", workflow->id,
                                   field->name);
        }
    }
    if (workflow->data_count != expected)
        return oracle_fail(oracle, "%s: %zu fields, should have %zu", workflow->id,
                           workflow->data_count, expected);
    return true;
}

static const char *stage_status(const struct wf_workflow *workflow, const char *name,
                                unsigned *attempt) {
    for (size_t i = 0; i < workflow->stage_count; i++) {
        if (strcmp(workflow->stages[i].name, name) != 0)
            continue;
        *attempt = workflow->stages[i].attempt;
        return workflow->stages[i].status;
    }
    *attempt = 0;
    return "none";
}

/* How many commands of its script a loan shows that may go back; 0: it is at no place of it. */
static unsigned place_on_the_way(const struct wf_workflow *workflow) {
    unsigned steps = (unsigned)workflow->step_count, first, second;
    const char *check = stage_status(workflow, "credit_check", &first);
    const char *income = stage_status(workflow, "income_verification", &second);
    bool waits = strcmp(workflow->status, "awaiting_review") == 0;
    bool completed = strcmp(workflow->status, "completed") == 0;
    if (waits)
        return steps == BACK_AT_STEP && first == 1 && second == 1 &&
                       strcmp(check, "completed") == 0 && strcmp(income, "awaiting_review") == 0
                   ? ROLLBACK_AT + 1
                   : 0;
    if (completed != (steps + 1 == LOAN_COMMANDS) ||
        (!completed && strcmp(workflow->status, "running") != 0))
        return 0;
    if (first <= 1)
        return steps <= BACK_AT_STEP && first == (steps > 0) && second == (steps > 1) ? steps + 1
                                                                                      : 0;
    /* The stage after it is of its second attempt as soon as it is there again. */
    return first == 2 && second == (steps >= BACK_AT_STEP ? 2 : 1) && steps >= 1
               ? APPROVE_AT + steps
               : 0;
}

static unsigned place_ahead(const struct oracle *oracle, const struct wf_workflow *workflow,
                            uint32_t loan) {
    unsigned steps = (unsigned)workflow->step_count;
    bool cancelled = strcmp(workflow->status, "cancelled") == 0;
    const char *expected = cancelled                    ? "cancelled"
                           : steps + 1 == LOAN_COMMANDS ? "completed"
                                                        : "running";
    if (strcmp(workflow->status, expected) != 0 ||
        (cancelled && (!is_cancelled(oracle, loan) || steps + 1 != CANCEL_AT)))
        return 0;
    return 1 + steps + (cancelled ? 1 : 0);
}

/* Where in its script a workflow is; 0, and a failure, where it is at no place of it. */
static unsigned place_of(struct oracle *oracle, const struct wf_workflow *workflow, uint32_t loan) {
    unsigned steps = (unsigned)workflow->step_count, place = 0;
    if (steps + 1 <= LOAN_COMMANDS)
        place = goes_back(oracle, loan) ? place_on_the_way(workflow)
                                        : place_ahead(oracle, workflow, loan);
    if (place == 0) {
        oracle_fail(oracle, "%s: %s after %u steps", workflow->id, workflow->status, steps);
        return 0;
    }
    for (unsigned i = 0; i < steps; i++) {
        if (strcmp(workflow->steps[i], loan_sample_step(i + 1)) != 0) {
            oracle_fail(oracle, "%s: step %u is %s, should be %s", workflow->id, i + 1,
                        workflow->steps[i], loan_sample_step(i + 1));
            return 0;
        }
    }
    return check_data(oracle, workflow, loan, steps) ? place : 0;
}

static bool note_workflow(void *ctx, const struct wf_workflow *workflow) {
    struct comparison *comparison = ctx;
    struct oracle *oracle = comparison->oracle;
    uint64_t loan = strtoull(workflow->id + PREFIX_SIZE, NULL, 10);
    if (workflow->id[0] != 'C' || loan >= ORACLE_LOANS)
        return oracle_fail(oracle, "%s: nobody started it", workflow->id);
    if (comparison->places[loan] != 0)
        return oracle_fail(oracle, "%s: listed twice", workflow->id);
    unsigned place = place_of(oracle, workflow, (uint32_t)loan);
    if (place == 0)
        return false;
    comparison->places[loan] = (uint8_t)place;
    if (goes_back(oracle, (uint32_t)loan)) {
        oracle->going_back += place == ROLLBACK_AT + 1;
        oracle->gone_back += place > ROLLBACK_AT + 1;
    }
    const struct oracle_loan *entry = &oracle->loans[loan];
    uint64_t acked_lsn = entry->lsns[place - 1];
    if (acked_lsn != 0 && place <= entry->acked && workflow->lsn != acked_lsn)
        return oracle_fail(oracle,
                           "%s: changed last by record %" PRIu64 ", acknowledged as %" PRIu64,
                           workflow->id, workflow->lsn, acked_lsn);
    return true;
}

/* What each thread issued last of what is there, and first of what is not. */
struct thread_order {
    uint64_t last_present, first_missing;
};

static bool settle_loan(struct oracle *oracle, uint32_t loan, uint32_t place,
                        struct thread_order *orders) {
    struct oracle_loan *entry = &oracle->loans[loan];
    uint32_t issued = entry->issued, acked = entry->acked;
    if (place < acked)
        return oracle_fail(oracle,
                           "loan %u: LOST: %u commands of its script acknowledged, %u there "
                           "(record %" PRIu64 ")",
                           loan, acked, place, (uint64_t)entry->lsns[place]);
    if (place > issued)
        return oracle_fail(oracle, "loan %u: %u commands there, only %u were ever issued", loan,
                           place, issued);
    for (uint32_t index = acked; index < issued; index++) {
        uint64_t ticket = entry->tickets[index];
        struct thread_order *order = &orders[(ticket >> TICKET_BITS) % ORACLE_THREADS];
        ticket &= (UINT64_C(1) << TICKET_BITS) - 1;
        if (index < place && ticket > order->last_present)
            order->last_present = ticket;
        if (index >= place && ticket < order->first_missing)
            order->first_missing = ticket;
    }
    oracle->unacked_kept += place - acked;
    oracle->unacked_lost += issued - place;
    entry->acked = place;
    entry->issued = place;
    return true;
}

static bool settle_all(struct oracle *oracle, const uint8_t *places) {
    struct thread_order orders[ORACLE_THREADS];
    for (size_t i = 0; i < ORACLE_THREADS; i++)
        orders[i] = (struct thread_order){0, UINT64_MAX};
    oracle->unacked_kept = oracle->unacked_lost = 0;
    for (uint32_t loan = 0; loan < ORACLE_LOANS; loan++)
        if (!settle_loan(oracle, loan, places[loan], orders))
            return false;
    for (size_t i = 0; i < ORACLE_THREADS; i++)
        if (orders[i].last_present > orders[i].first_missing)
            return oracle_fail(oracle,
                               "thread %zu: its command %" PRIu64
                               " is missing, the later one %" PRIu64 " is there",
                               i, orders[i].first_missing, orders[i].last_present);
    return true;
}

bool oracle_settle(struct oracle *oracle, struct wf_engine *engine) {
    struct wf_error err;
    oracle->going_back = oracle->gone_back = 0;
    struct comparison comparison = {.oracle = oracle, .places = calloc(ORACLE_LOANS, 1)};
    if (comparison.places == NULL)
        return oracle_fail(oracle, "no memory");
    const struct wf_filter loans = {.type = "loan_application"};
    enum wf_status status = wf_workflow_list(engine, &loans, note_workflow, &comparison, &err);
    bool good = oracle->failure[0] == '\0';
    if (status != WF_OK)
        good = oracle_fail(oracle, "list: %s", err.text);
    good = good && settle_all(oracle, comparison.places);
    free(comparison.places);
    return good;
}

/* --- closer looks --- */

struct history_view {
    struct oracle *oracle;
    uint32_t loan;
    unsigned place;  /* commands seen */
    uint64_t lsn;    /* of the record seen last */
    unsigned undone; /* stages */
};

static bool note_event(void *ctx, const struct wf_event *event) {
    struct history_view *view = ctx;
    view->undone += strcmp(event->event, "stage_undone") == 0;
    /* Each record is a command of the script, but for those of refusals. */
    if (strcmp(event->event, "command_refused") == 0 || event->lsn == view->lsn)
        return true;
    const struct oracle_loan *entry = &view->oracle->loans[view->loan];
    if (view->place >= entry->acked)
        return oracle_fail(view->oracle,
                           "loan %u: its history has %s at record %" PRIu64
                           " after all of its %u commands",
                           view->loan, event->event, event->lsn, view->place);
    uint64_t acked_lsn = entry->lsns[view->place];
    if (acked_lsn != 0 && acked_lsn != event->lsn)
        return oracle_fail(view->oracle,
                           "loan %u: command %u acknowledged as record %" PRIu64
                           ", in the history as %" PRIu64,
                           view->loan, view->place, acked_lsn, event->lsn);
    if (event->lsn < view->lsn)
        return oracle_fail(view->oracle, "loan %u: its history is not in order", view->loan);
    view->lsn = event->lsn;
    view->place++;
    return true;
}

bool oracle_check_history(struct oracle *oracle, struct wf_engine *engine, uint32_t loan) {
    struct wf_error err;
    struct oracle_command first;
    struct history_view view = {.oracle = oracle, .loan = loan};
    if (oracle->loans[loan].acked == 0)
        return true;
    oracle_command(oracle, loan, 0, &first);
    if (wf_workflow_history(engine, first.command.id, note_event, &view, &err) != WF_OK)
        return oracle_fail(oracle, "history of loan %u: %s", loan, err.text);
    if (oracle->failure[0] == '\0' && view.place != oracle->loans[loan].acked)
        return oracle_fail(oracle, "loan %u: its history has %u of %u commands", loan, view.place,
                           (unsigned)oracle->loans[loan].acked);
    bool back = goes_back(oracle, loan) && view.place > APPROVE_AT;
    if (oracle->failure[0] == '\0' && view.undone != (back ? 2 : 0))
        return oracle_fail(oracle, "loan %u: %u stages undone in its history", loan, view.undone);
    return oracle->failure[0] == '\0';
}

bool oracle_check_key(struct oracle *oracle, struct wf_engine *engine, uint32_t loan) {
    const struct oracle_loan *entry = &oracle->loans[loan];
    uint32_t acked = entry->acked;
    if (acked == 0 || !has_keys(oracle, loan))
        return true;
    struct wf_error err;
    struct wf_result result;
    struct oracle_command again;
    oracle_command(oracle, loan, acked - 1, &again);
    if (wf_execute(engine, &again.command, &result, &err) != WF_OK)
        return oracle_fail(oracle, "loan %u: its last command again with its key: %s", loan,
                           err.text);
    uint64_t lsn = entry->lsns[acked - 1];
    if (!result.replayed || (lsn != 0 && result.lsn != lsn))
        return oracle_fail(oracle,
                           "loan %u: its last command again with its key: %s, record %" PRIu64
                           ", first acknowledged as %" PRIu64,
                           loan, result.replayed ? "replayed" : "EXECUTED TWICE", result.lsn, lsn);
    return true;
}

bool oracle_check_replay(struct oracle *oracle, struct wf_engine *engine) {
    struct wf_error err;
    struct wf_store_status status;
    char hash[65];
    if (wf_replay_verify(engine, NULL, NULL, hash, &err) != WF_OK)
        return oracle_fail(oracle, "replay from the first record: %s", err.text);
    if (wf_status_get(engine, true, &status, &err) != WF_OK)
        return oracle_fail(oracle, "status: %s", err.text);
    if (strcmp(status.state_hash, hash) != 0)
        return oracle_fail(oracle, "state hash %s, replayed from the first record %s",
                           status.state_hash, hash);
    return true;
}

bool oracle_define(struct oracle *oracle, struct wf_engine *engine) {
    if (oracle->definition_acked)
        return true;
    struct wf_error err;
    const struct wf_command add = {
        .kind = WF_DEFINITION_ADD,
        .text = workflows_loan_loan_application_yaml,
        .text_name = "loan_application.yaml",
        .key = "definition", /* a kill may come between its record and this process knowing of it */
    };
    if (wf_execute(engine, &add, NULL, &err) != WF_OK)
        return oracle_fail(oracle, "add the definition: %s", err.text);
    oracle->definition_acked = 1;
    return true;
}
