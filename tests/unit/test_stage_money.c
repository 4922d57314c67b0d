/* Operations that go with a stage's completion: both or neither, moved back when the stage is
 * undone, once for each attempt; what cannot go back refuses the command; the bytes. */
#include "engine/core/stage_money.h"
#include "tests/lib/core_bank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DISBURSEMENT "loan_disbursement from=LOAN1 to=ACC001 amount=800.00 currency=USD"
static const char *const disbursement[] = {
    DISBURSEMENT, "fee_deduction from=ACC001 to=BANK amount=20.00 currency=USD"};

/* The feature's first scenario. */
static const char *const feature[] = {
    "transfer from=ACC001 to=ACC002 amount=1000.00 currency=USD "
    "rules=sufficient_funds,same_currency",
    "currency_exchange from=ACC002 to=ACC003 amount=500.00 currency=USD_to_EUR "
    "rules=exchange_rate_validation",
    "investment_purchase from=ACC004 to=MARKET amount=5000.00 currency=USD "
    "rules=market_hours,instrument_available",
    "fee_deduction from=ACC001 to=BANK amount=25.00 currency=USD rules=service_fee_rules"};
enum { FEATURE = sizeof feature / sizeof feature[0] };

static int setup(void **state) {
    struct core_store *store = bank_make();
    assert_int_equal(bank_open_account(store, "LOAN1", "loan", "USD", "", ""), WF_OK);
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    assert_int_equal(core_start(store, "L1", "loan_application", NULL), WF_OK);
    *state = store;
    return 0;
}

static int teardown(void **state) {
    core_store_close(*state);
    return 0;
}

/* The loan's steps from `first` to before `last`, without money. */
static void steps(struct core_store *store, int first, int last) {
    for (int i = first; i < last; i++)
        assert_int_equal(core_submit(store, "L1", core_loan_steps[i][0], core_loan_steps[i][1]),
                         WF_OK);
}

static enum wf_status pay(struct core_store *store, int step, const char *const *ops,
                          size_t count) {
    return bank_submit(store, "L1", core_loan_steps[step][0], core_loan_steps[step][1], ops, count);
}

static enum wf_status approve(struct core_store *store, const char *stage, const char *role) {
    return core_review(store, COMMAND_REVIEW_APPROVE, "L1", stage, "Rita", role);
}

/* Back to the credit check, past the stage that it let begin, which its reviewer lets go. */
static enum wf_status go_back(struct core_store *store) {
    assert_int_equal(core_rollback(store, "L1", "credit_check", "Ann"), WF_OK);
    return approve(store, "income_verification", "reviewer");
}

/* What a store looks like to whoever cares for money. */
static void picture(struct core_store *store, char text[1024]) {
    static const char *const numbers[] = {"ACC001", "ACC002", "ACC003", "ACC004", "LOAN1"};
    char stages[512];
    int size = snprintf(text, 1024, "%s", core_stages(store, "L1", stages));
    for (size_t i = 0; i < 5; i++) {
        const struct account *account = bank_account(store, numbers[i]);
        size += snprintf(text + size, 1024 - (size_t)size, " %s=%lld/%llu", numbers[i],
                         (long long)account->balance, (unsigned long long)account->version);
    }
}

static size_t count_events(const struct core_store *store, enum event_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < store->decision.event_count; i++)
        count += store->decision.events[i].kind == kind;
    return count;
}

static void test_stage_and_its_money_are_one_record(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 4);
    uint64_t before = store->lsn;
    assert_int_equal(pay(store, 4, disbursement, 2), WF_OK);
    assert_int_equal(store->lsn, before + 1);
    assert_int_equal(count_events(store, EVENT_OPERATION_POSTED), 2);
    assert_int_equal(count_events(store, EVENT_STAGE_COMPLETED), 1);
    assert_int_equal(count_events(store, EVENT_MONEY_BOUND), 1);
    bank_holds(store, "LOAN1", "-800.00");
    bank_holds(store, "ACC001", "5780.00");
    assert_int_equal(core_workflow(store, "L1")->status, WORKFLOW_COMPLETED);
    assert_int_equal(stage_money_find(core_workflow(store, "L1"), 3)->lsn, store->lsn);
}

/* Each operation of the feature's scenario failing, in each place of the list. */
static void test_stage_every_failing_variant_changes_nothing(void **state) {
    struct core_store *store = *state;
    static const char *const failing[] = {
        "transfer from=ACC001 to=ACC002 amount=6000.00 currency=USD rules=sufficient_funds",
        "currency_exchange from=ACC002 to=ACC003 amount=1.00 currency=USD_to_EUR rate=0.95 "
        "rules=exchange_rate_validation",
        "investment_purchase from=ACC004 to=MARKET amount=1.00 currency=USD instrument=NONE "
        "rules=instrument_available",
        "fee_deduction from=ACC001 to=BANK amount=75.00 currency=USD rules=service_fee_rules",
        "transfer from=ACC001 to=NOBODY amount=1.00 currency=USD"};
    steps(store, 0, 1);
    char before[1024], after[1024], words[40];
    picture(store, before);
    for (size_t which = 0; which < sizeof failing / sizeof failing[0]; which++) {
        for (size_t place = 0; place <= FEATURE; place++) {
            const char *ops[FEATURE + 1];
            for (size_t i = 0, from = 0; i <= FEATURE; i++)
                ops[i] = i == place ? failing[which] : feature[from++];
            uint64_t lsn = store->lsn;
            assert_int_equal(pay(store, 1, ops, FEATURE + 1), WF_REFUSED);
            snprintf(words, sizeof words, "operation %zu (", place + 1);
            bank_says(store, words);
            picture(store, after);
            assert_string_equal(after, before);
            assert_int_equal(store->lsn, lsn + 1); /* the refusal is audited */
            assert_int_equal(store->decision.event_count, 1);
        }
    }
    assert_int_equal(pay(store, 1, feature, FEATURE), WF_OK);
    bank_holds(store, "ACC001", "3975.00");
    bank_holds(store, "ACC003", "2950.00");
}

static void test_stage_submission_that_is_refused_moves_nothing(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 2, disbursement, 2), WF_REFUSED); /* too early */
    bank_holds(store, "LOAN1", "0.00");
    bank_holds(store, "ACC001", "5000.00");
}

static void test_stage_step_that_completes_none_takes_no_money(void **state) {
    struct core_store *store = *state;
    assert_int_equal(pay(store, 0, disbursement, 2), WF_USAGE);
    bank_says(store, "completes no stage");
    bank_holds(store, "ACC001", "5000.00");
}

static void test_stage_undone_moves_its_money_back_in_the_same_record(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, feature, FEATURE), WF_OK);
    /* What was the rate then is the rate of the way back. */
    assert_int_equal(
        bank_set_reference(store, COMMAND_RATE_SET, "USD_to_EUR", "rate=0.50 source=ECB"), WF_OK);
    uint64_t before = store->lsn;
    assert_int_equal(go_back(store), WF_OK);
    assert_int_equal(store->lsn, before + 2);
    assert_int_equal(count_events(store, EVENT_STAGE_UNDONE), 2);     /* and the one under way */
    assert_int_equal(count_events(store, EVENT_OPERATION_POSTED), 2); /* in USD, in EUR */
    bank_holds(store, "ACC001", "5000.00");
    bank_holds(store, "ACC002", "10000.00");
    bank_holds(store, "ACC003", "2500.00");
    bank_holds(store, "ACC004", "50000.00");
    bank_holds(store, "FX/EUR", "0.00");
    bank_holds(store, "BANK/USD", "0.00");
    assert_null(core_workflow(store, "L1")->money);
}

static void test_stage_money_goes_back_once_for_each_attempt(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pay(store, 1, disbursement, 2), WF_OK);
        bank_holds(store, "ACC001", "5780.00");
        assert_int_equal(go_back(store), WF_OK);
        bank_holds(store, "ACC001", "5000.00");
        /* The stage is active again: undone a second time, it has nothing to move back. */
        assert_int_equal(core_rollback(store, "L1", "credit_check", "Ann"), WF_OK);
        assert_int_equal(count_events(store, EVENT_OPERATION_POSTED), 0);
        bank_holds(store, "ACC001", "5000.00");
    }
    bank_holds(store, "LOAN1", "0.00");
}

static void test_stage_money_waits_for_the_reviewer(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 4);
    assert_int_equal(pay(store, 4, disbursement, 2), WF_OK);
    assert_int_equal(core_rollback(store, "L1", "final_approval", "Ann"), WF_OK);
    bank_holds(store, "ACC001", "5780.00");
    assert_int_equal(
        core_review(store, COMMAND_REVIEW_REJECT, "L1", "final_approval", "Rita", "executive"),
        WF_OK);
    bank_holds(store, "ACC001", "5780.00");
    assert_int_equal(core_rollback(store, "L1", "final_approval", "Ann"), WF_OK);
    assert_int_equal(approve(store, "final_approval", "executive"), WF_OK);
    bank_holds(store, "ACC001", "5000.00");
    assert_int_equal(pay(store, 4, disbursement, 2), WF_OK);
    bank_holds(store, "ACC001", "5780.00");
    assert_int_equal(core_workflow(store, "L1")->status, WORKFLOW_COMPLETED);
}

static void test_stage_money_that_is_not_there_refuses_the_approval(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 4);
    assert_int_equal(pay(store, 4, disbursement, 2), WF_OK);
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=5700.00 currency=USD"), WF_OK);
    assert_int_equal(core_rollback(store, "L1", "final_approval", "Ann"), WF_OK);
    char before[1024], after[1024];
    picture(store, before);
    assert_int_equal(approve(store, "final_approval", "executive"), WF_REFUSED);
    bank_says(store, "stage final_approval cannot be undone");
    bank_says(store, "sufficient_funds: account ACC001 holds 80.00 USD");
    picture(store, after);
    assert_string_equal(after, before); /* it still waits */
    assert_int_equal(core_workflow(store, "L1")->status, WORKFLOW_AWAITING_REVIEW);
    assert_int_equal(bank_one(store, "deposit to=ACC001 amount=700.00 currency=USD"), WF_OK);
    assert_int_equal(approve(store, "final_approval", "executive"), WF_OK);
    bank_holds(store, "ACC001", "0.00");
}

static void test_stage_money_does_not_pass_a_frozen_account(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, disbursement, 2), WF_OK);
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_FREEZE, "ACC001"), WF_OK);
    assert_int_equal(go_back(store), WF_REFUSED);
    bank_says(store, "account ACC001 is frozen");
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_UNFREEZE, "ACC001"), WF_OK);
    assert_int_equal(approve(store, "income_verification", "reviewer"), WF_OK);
    bank_holds(store, "ACC001", "5000.00");
}

static void test_stage_money_does_not_reopen_a_closed_account(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 2);
    assert_int_equal(pay(store, 2, disbursement, 2), WF_OK);
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=5780.00 currency=USD"), WF_OK);
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_CLOSE, "ACC001"), WF_OK);
    assert_int_equal(core_rollback(store, "L1", "income_verification", "Ann"), WF_OK);
    assert_int_equal(approve(store, "collateral_assessment", "reviewer"), WF_OK);
    assert_int_equal(approve(store, "income_verification", "reviewer"), WF_REFUSED);
    bank_says(store, "account ACC001 is closed");
    /* The way out: end it where it stands. */
    assert_int_equal(core_cancel(store, "L1", "the account is closed"), WF_OK);
    bank_holds(store, "LOAN1", "-800.00");
}

static void test_stage_money_does_not_pay_a_loan_beyond_what_is_owed(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, disbursement, 2), WF_OK);
    assert_int_equal(
        bank_one(store, "loan_payment from=ACC002 to=LOAN1 amount=100.00 currency=USD"), WF_OK);
    assert_int_equal(go_back(store), WF_REFUSED);
    bank_says(store, "loan LOAN1 owes 700.00 USD");
    bank_holds(store, "LOAN1", "-700.00");
    bank_holds(store, "ACC001", "5780.00");
}

static void test_stage_money_goes_back_with_a_cancellation_that_undoes(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, disbursement, 2), WF_OK);
    assert_int_equal(core_cancel_back(store, "L1", "changed her mind", "Ann"), WF_OK);
    if (core_workflow(store, "L1")->status != WORKFLOW_CANCELLED)
        assert_int_equal(approve(store, "income_verification", "reviewer"), WF_OK);
    assert_int_equal(core_workflow(store, "L1")->status, WORKFLOW_CANCELLED);
    bank_holds(store, "ACC001", "5000.00");
    bank_holds(store, "LOAN1", "0.00");
}

static void test_stage_money_stays_with_a_cancellation_that_does_not(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, disbursement, 2), WF_OK);
    assert_int_equal(core_cancel(store, "L1", "lost"), WF_OK);
    bank_holds(store, "ACC001", "5780.00");
}

static void test_stage_hold_is_voided_unless_it_was_posted(void **state) {
    struct core_store *store = *state;
    static const char *const two[] = {
        "hold from=ACC001 to=ACC002 amount=10.00 currency=USD hold=deposit",
        "hold from=ACC001 to=ACC002 amount=7.00 currency=USD hold=fee"};
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, two, 2), WF_OK);
    assert_int_equal(bank_one(store, "post from=ACC001 hold=fee"), WF_OK);
    assert_int_equal(
        bank_one(store, "hold from=ACC001 to=ACC002 amount=1.00 currency=USD hold=fee"), WF_OK);
    assert_int_equal(go_back(store), WF_OK);
    assert_int_equal(count_events(store, EVENT_HOLD_ENDED), 1);
    assert_int_equal(bank_account(store, "ACC001")->hold_count, 1); /* the later one of that name */
    bank_holds(store, "ACC001", "4993.00");
}

/* Undone together, the latest first: what one stage put there, an earlier one takes. */
static void test_stages_undone_in_one_record_move_back_one_after_the_other(void **state) {
    struct core_store *store = *state;
    static const char yaml[] =
        "workflow: chain\nversion: 1\nsteps:\n  one: {completes: first}\n"
        "  two: {completes: second}\nstages:\n  - {name: first, timeout: 1h}\n"
        "  - {name: second, needs: [first], timeout: 1h}\n";
    static const char *const out[] = {"transfer from=ACC001 to=ACC002 amount=5000.00 currency=USD"};
    static const char *const onward[] = {
        "transfer from=ACC002 to=ACC004 amount=15000.00 currency=USD"};
    assert_int_equal(core_define(store, yaml), WF_OK);
    assert_int_equal(core_start(store, "C1", "chain", NULL), WF_OK);
    assert_int_equal(bank_submit(store, "C1", "one", "", out, 1), WF_OK);
    assert_int_equal(bank_submit(store, "C1", "two", "", onward, 1), WF_OK);
    bank_holds(store, "ACC002", "0.00");
    uint64_t before = store->lsn;
    assert_int_equal(core_rollback(store, "C1", "first", "Ann"), WF_OK);
    assert_int_equal(store->lsn, before + 1);
    bank_holds(store, "ACC001", "5000.00");
    bank_holds(store, "ACC002", "10000.00");
    bank_holds(store, "ACC004", "50000.00");
}

static void test_stage_money_follows_a_migration(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, disbursement, 2), WF_OK);
    assert_int_equal(core_define(store, core_loan_2_yaml), WF_OK);
    assert_int_equal(core_migrate(store, "L1", 2, "credit_check=credit_rating"), WF_OK);
    assert_int_equal(core_rollback(store, "L1", "credit_rating", "Ann"), WF_OK);
    assert_int_equal(approve(store, "income_verification", "reviewer"), WF_OK);
    bank_holds(store, "ACC001", "5000.00");
}

static void test_stage_money_is_in_the_bytes_and_in_the_hash(void **state) {
    struct core_store *store = *state;
    static const char *const hold[] = {
        "hold from=ACC001 to=ACC002 amount=10.00 currency=USD hold=deposit", DISBURSEMENT};
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, hold, 2), WF_OK);
    struct workflow *workflow = core_workflow(store, "L1");
    struct bytes_buffer key, value, again;
    bytes_buffer_init(&key), bytes_buffer_init(&value), bytes_buffer_init(&again);
    size_t hashed = 0;
    entity_encode_key(&workflow->entity, &key);
    entity_encode(&workflow->entity, &value, &hashed);
    struct core_store *other = core_store_open(false);
    assert_int_equal(core_define(other, core_loan_yaml), WF_OK);
    struct entity *entity = NULL;
    struct bytes_view named = {key.data, key.size}, whole = {value.data, value.size};
    assert_int_equal(entity_decode(&other->state, named, whole, &entity, &other->err), WF_OK);
    entity_encode(entity, &again, NULL);
    assert_int_equal(again.size, value.size);
    assert_memory_equal(again.data, value.data, value.size);
    /* Without it the image is shorter within what is hashed. */
    stage_money_remove_all(workflow);
    bytes_buffer_clear(&again);
    size_t without = 0;
    entity_encode(&workflow->entity, &again, &without);
    assert_true(without + 40 < hashed);
    core_store_close(other);
    bytes_buffer_deinit(&key), bytes_buffer_deinit(&value), bytes_buffer_deinit(&again);
}

static void test_stage_money_that_does_not_add_up_is_found(void **state) {
    struct core_store *store = *state;
    steps(store, 0, 1);
    assert_int_equal(pay(store, 1, disbursement, 2), WF_OK);
    struct workflow *workflow = core_workflow(store, "L1");
    assert_int_equal(check_workflow(workflow, &store->err), WF_OK);
    workflow->money->epoch++;
    assert_int_equal(check_workflow(workflow, &store->err), WF_DIVERGENCE);
    workflow->money->epoch--;
    workflow->money->lsn--;
    assert_int_equal(check_workflow(workflow, &store->err), WF_DIVERGENCE);
    workflow->money->lsn++;
    workflow->money->data[workflow->money->size - 1] ^= 1; /* of the last amount */
    assert_int_equal(check_workflow(workflow, &store->err), WF_DIVERGENCE);
    workflow->money->data[workflow->money->size - 1] ^= 1;
    assert_int_equal(check_workflow(workflow, &store->err), WF_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_stage_and_its_money_are_one_record),
        TEST(test_stage_every_failing_variant_changes_nothing),
        TEST(test_stage_submission_that_is_refused_moves_nothing),
        TEST(test_stage_step_that_completes_none_takes_no_money),
        TEST(test_stage_undone_moves_its_money_back_in_the_same_record),
        TEST(test_stage_money_goes_back_once_for_each_attempt),
        TEST(test_stage_money_waits_for_the_reviewer),
        TEST(test_stage_money_that_is_not_there_refuses_the_approval),
        TEST(test_stage_money_does_not_pass_a_frozen_account),
        TEST(test_stage_money_does_not_reopen_a_closed_account),
        TEST(test_stage_money_does_not_pay_a_loan_beyond_what_is_owed),
        TEST(test_stage_money_goes_back_with_a_cancellation_that_undoes),
        TEST(test_stage_money_stays_with_a_cancellation_that_does_not),
        TEST(test_stage_hold_is_voided_unless_it_was_posted),
        TEST(test_stages_undone_in_one_record_move_back_one_after_the_other),
        TEST(test_stage_money_follows_a_migration),
        TEST(test_stage_money_is_in_the_bytes_and_in_the_hash),
        TEST(test_stage_money_that_does_not_add_up_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
