/* Accounts that a transaction opens, freezes, unfreezes and closes among its other operations. */
#include "engine/core/text.h"
#include "tests/lib/core_bank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int close_bank(void **state) {
    core_store_close(*state);
    return 0;
}

#define OPEN(number) "account_open account=" number " account_type=savings currency=USD"
#define TRANSFER(from, to, amount) "transfer from=" from " to=" to " amount=" amount " currency=USD"

static enum wf_status transact(struct core_store *store, const char *const *texts) {
    size_t count = 0;
    while (texts[count] != NULL)
        count++;
    return bank_transact(store, texts, count);
}

static void test_transact_opens_an_account_and_pays_into_it(void **state) {
    struct core_store *store = *state;
    uint64_t accounts = store->state.store.accounts;
    const char *const texts[] = {OPEN("NEW") " amount=10.00 minimum=5.00",
                                 TRANSFER("ACC001", "NEW", "90.00"),
                                 TRANSFER("NEW", "ACC002", "95.00"), NULL};
    assert_int_equal(transact(store, texts), WF_OK);
    const struct account *account = bank_account(store, "NEW");
    bank_holds(store, "NEW", "5.00");
    bank_holds(store, "ACC001", "4910.00");
    assert_string_equal(account->type, "savings");
    assert_int_equal(account->opened_lsn, store->lsn);
    assert_int_equal(account->version, 1);
    assert_int_equal(store->state.store.accounts, accounts + 1);
    assert_int_equal(bank_one(store, TRANSFER("NEW", "ACC002", "0.01")), WF_REFUSED); /* minimum */
}

static void test_transact_opens_a_loan_and_disburses_it(void **state) {
    struct core_store *store = *state;
    const char *const texts[] = {"account_open account=LOAN account_type=loan currency=USD",
                                 "loan_disbursement from=LOAN to=ACC001 amount=700.00 currency=USD",
                                 "loan_payment from=ACC001 to=LOAN amount=200.00 currency=USD",
                                 NULL};
    assert_int_equal(transact(store, texts), WF_OK);
    bank_holds(store, "LOAN", "-500.00");
    const char *const too_much[] = {
        "account_open account=OTHER account_type=loan currency=USD",
        "loan_disbursement from=OTHER to=ACC001 amount=7.00 currency=USD",
        "loan_payment from=ACC001 to=OTHER amount=8.00 currency=USD", NULL};
    assert_int_equal(transact(store, too_much), WF_REFUSED);
    bank_says(store, "operation 3 (loan_payment): loan OTHER owes 7.00 USD");
}

static void test_transact_freezes_unfreezes_and_closes(void **state) {
    struct core_store *store = *state;
    const char *const texts[] = {"account_freeze account=ACC001 reason=fraud",
                                 "account_unfreeze account=ACC001",
                                 TRANSFER("ACC001", "ACC002", "5000.00"),
                                 "account_close account=ACC001 reason=moved",
                                 "account_freeze account=ACC004",
                                 NULL};
    assert_int_equal(transact(store, texts), WF_OK);
    assert_int_equal(bank_account(store, "ACC001")->status, ACCOUNT_CLOSED);
    assert_int_equal(bank_account(store, "ACC004")->status, ACCOUNT_FROZEN);
    assert_int_equal(bank_account(store, "ACC001")->version, 2);
    assert_int_equal(bank_one(store, TRANSFER("ACC002", "ACC001", "1.00")), WF_REFUSED);
    bank_says(store, "account ACC001 is closed");
}

static void test_transact_opens_and_closes_the_same_account(void **state) {
    struct core_store *store = *state;
    const char *const texts[] = {OPEN("NEW"), TRANSFER("ACC001", "NEW", "1.00"),
                                 TRANSFER("NEW", "ACC001", "1.00"), "account_close account=NEW",
                                 NULL};
    assert_int_equal(transact(store, texts), WF_OK);
    assert_int_equal(bank_account(store, "NEW")->status, ACCOUNT_CLOSED);
    bank_holds(store, "ACC001", "5000.00");
}

static void test_transact_places_a_hold_on_an_account_it_opens(void **state) {
    struct core_store *store = *state;
    const char *const texts[] = {
        OPEN("NEW") " amount=50.00",
        "hold from=NEW to=ACC002 amount=20.00 currency=USD hold=h expires_ms=60000", NULL};
    assert_int_equal(transact(store, texts), WF_OK);
    const struct account *account = bank_account(store, "NEW");
    assert_int_equal(account->hold_count, 1);
    assert_int_equal(account->entity.bytes, account_bytes(account));
    assert_int_equal(account_available(account, store->now_ms), 3000);
    assert_int_equal(bank_one(store, "post from=NEW hold=h"), WF_OK);
    bank_holds(store, "NEW", "30.00");
}

/* Each in each place behind an opening and a payment: nothing of any of them is left. */
static void test_transact_every_failing_variant_changes_nothing(void **state) {
    static const struct {
        const char *text, *words;
    } failing[] = {
        {OPEN("ACC002"), "account \"ACC002\" is there already"},
        {OPEN("NEW"), "account \"NEW\" is there already"},
        {"account_open account_type=savings currency=USD", "the number of an account must have"},
        {"account_open account=A/B account_type=savings currency=USD", "without \"/\""},
        {"account_open account=X currency=USD", "the type of an account must be a word"},
        {"account_open account=X account_type=internal currency=USD", "the type of an account"},
        {"account_open account=X account_type=savings currency=XYZ", "\"XYZ\" is no currency"},
        {"account_open account=X account_type=savings", "\"\" is no currency"},
        {OPEN("BANK"), "\"BANK\" is the bank's own"},
        {OPEN("X") " amount=-1", "may not be below zero"},
        {OPEN("X") " amount=1.001", "the balance \"1.001\""},
        {OPEN("X") " amount=1 minimum=2", "the balance is below the minimum"},
        {"account_open account=X account_type=loan currency=USD amount=1", "may not be above zero"},
        {OPEN("X") " rules=sufficient_funds", "not one for this operation"},
        {"account_freeze account=NONE", "there is no account \"NONE\""},
        {"account_freeze account=OPENING/USD", "there is no account"},
        {"account_freeze", "the \"account\" is missing"},
        {"account_unfreeze account=ACC001", "account ACC001 is active"},
        {"account_close account=NEW", "account NEW holds 7.00 USD: it must be empty"},
        {"account_close account=ACC004", "account ACC004 holds 50000.00 USD"},
        {"post from=NEW hold=h", "account NEW has no hold \"h\""},
        {TRANSFER("NEW", "ACC001", "7.01"), "sufficient_funds: account NEW holds 7.00 USD"},
        {TRANSFER("ACC003", "NEW", "1.00"), "same_currency: account ACC003"},
        {"loan_payment from=ACC001 to=NEW amount=1.00 currency=USD", "account NEW is no loan"},
    };
    struct core_store *store = *state;
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        const char *const texts[] = {OPEN("NEW"), TRANSFER("ACC001", "NEW", "7.00"),
                                     failing[i].text, TRANSFER("ACC001", "NEW", "1.00"), NULL};
        size_t accounts = table_count(&store->state.accounts);
        uint64_t opened = store->state.store.accounts, lsn = store->lsn;
        uint64_t version = bank_account(store, "ACC001")->version;
        assert_int_equal(transact(store, texts), WF_REFUSED);
        bank_says(store, failing[i].words);
        bank_says(store, "operation 3 (");
        assert_int_equal(store->lsn, lsn + 1); /* the refusal, in the history of ACC001 */
        assert_int_equal(bank_account(store, "ACC001")->history.lsn, lsn + 1);
        assert_int_equal(table_count(&store->state.accounts), accounts);
        assert_int_equal(store->state.store.accounts, opened);
        assert_int_equal(bank_account(store, "ACC001")->version, version);
        bank_holds(store, "ACC001", "5000.00");
    }
}

static void test_transact_operations_meet_the_status_before_them(void **state) {
    struct core_store *store = *state;
    const char *const frozen[] = {"account_freeze account=ACC001",
                                  TRANSFER("ACC001", "ACC002", "1.00"), NULL};
    assert_int_equal(transact(store, frozen), WF_REFUSED);
    bank_says(store, "operation 2 (transfer): account ACC001 is frozen");
    assert_int_equal(bank_account(store, "ACC001")->status, ACCOUNT_ACTIVE);
    const char *const twice[] = {"account_freeze account=ACC001", "account_freeze account=ACC001",
                                 NULL};
    assert_int_equal(transact(store, twice), WF_REFUSED);
    bank_says(store, "operation 2 (account_freeze): account ACC001 is frozen");
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_FREEZE, "ACC002"), WF_OK);
    const char *const thawed[] = {"account_unfreeze account=ACC002",
                                  TRANSFER("ACC002", "ACC001", "1.00"),
                                  "account_freeze account=ACC002", NULL};
    assert_int_equal(transact(store, thawed), WF_OK);
    bank_holds(store, "ACC001", "5001.00");
    assert_int_equal(bank_account(store, "ACC002")->status, ACCOUNT_FROZEN);
}

/* What a stage did must be able to go back with it. */
static void test_transact_of_a_stage_only_moves_money(void **state) {
    static const char *const texts[] = {OPEN("NEW"), "account_freeze account=ACC001",
                                        "account_unfreeze account=ACC001",
                                        "account_close account=ACC001"};
    struct core_store *store = *state;
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    assert_int_equal(core_start(store, "L", "loan_application", NULL), WF_OK);
    assert_int_equal(core_submit(store, "L", core_loan_steps[0][0], core_loan_steps[0][1]), WF_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(
            bank_submit(store, "L", core_loan_steps[1][0], core_loan_steps[1][1], &texts[i], 1),
            WF_REFUSED);
        bank_says(store, "it does not go with a stage");
        assert_int_equal(core_workflow(store, "L")->stages[0].status, STAGE_ACTIVE);
    }
    assert_null(state_account(&store->state, text_view("NEW")));
    assert_int_equal(bank_account(store, "ACC001")->status, ACCOUNT_ACTIVE);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bank_setup, close_bank)
    const struct CMUnitTest tests[] = {
        TEST(test_transact_opens_an_account_and_pays_into_it),
        TEST(test_transact_opens_a_loan_and_disburses_it),
        TEST(test_transact_freezes_unfreezes_and_closes),
        TEST(test_transact_opens_and_closes_the_same_account),
        TEST(test_transact_places_a_hold_on_an_account_it_opens),
        TEST(test_transact_every_failing_variant_changes_nothing),
        TEST(test_transact_operations_meet_the_status_before_them),
        TEST(test_transact_of_a_stage_only_moves_money),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
