/* The ledger machine: what operations come to, that a transaction is all or nothing, each refusal's
 * words, holds, and the accounts as bytes. */
#include "engine/core/ledger.h"
#include "engine/core/reference.h"
#include "engine/core/text.h"
#include "tests/lib/core_bank.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* link: -Wl,--wrap=realloc,--wrap=free */

/* What is given back is overwritten, and everything that may move does: nobody reads it unnoticed.
 */
void __real_free(void *memory);
void __wrap_free(void *memory);
void *__wrap_realloc(void *memory, size_t size);

void __wrap_free(void *memory) {
    if (memory != NULL)
        memset(memory, 0x5a, malloc_usable_size(memory));
    __real_free(memory);
}

void *__wrap_realloc(void *memory, size_t size) {
    size_t before = memory == NULL ? 0 : malloc_usable_size(memory);
    void *moved = malloc(size);
    if (moved == NULL)
        return NULL;
    if (before > 0)
        memcpy(moved, memory, before < size ? before : size);
    __wrap_free(memory);
    return moved;
}

static int close_bank(void **state) {
    core_store_close(*state);
    return 0;
}

static const char *const feature[4] = {
    "transfer from=ACC001 to=ACC002 amount=1000.00 currency=USD "
    "rules=sufficient_funds,same_currency",
    "currency_exchange from=ACC002 to=ACC003 amount=500.00 currency=USD_to_EUR "
    "rules=exchange_rate_validation",
    "investment_purchase from=ACC004 to=MARKET amount=5000.00 currency=USD "
    "rules=market_hours,instrument_available",
    "fee_deduction from=ACC001 to=BANK amount=25.00 currency=USD rules=service_fee_rules",
};

static void test_ledger_feature_comes_to_its_figures(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_transact(store, feature, 4), WF_OK);
    bank_holds(store, "ACC001", "3975.00");
    bank_holds(store, "ACC002", "10500.00");
    bank_holds(store, "ACC003", "2950.00");
    bank_holds(store, "ACC004", "45000.00");
    bank_holds(store, "MARKET/USD", "5000.00");
    bank_holds(store, "BANK/USD", "25.00");
    bank_holds(store, "FX/USD", "500.00");
    bank_holds(store, "FX/EUR", "-450.00");
    bank_holds(store, "OPENING/USD", "-65000.00");
}

/* An operation of each kind that fails, put in each place of the feature's four. */
static void test_ledger_every_failing_variant_changes_nothing(void **state) {
    static const struct {
        const char *text, *words;
    } failing[] = {
        {"transfer from=ACC001 to=ACC002 amount=100000.00 currency=USD", "sufficient_funds"},
        {"transfer from=ACC001 to=ACC003 amount=1.00 currency=USD", "same_currency"},
        {"transfer from=ACC001 to=ACC001 amount=1.00 currency=USD", "the same account"},
        {"transfer from=ACC001 to=ACC999 amount=1.00 currency=USD", "no account \"ACC999\""},
        {"transfer from=ACC001 to=BANK amount=1.00 currency=USD", "no account \"BANK\""},
        {"transfer from=ACC001 to=MARKET/USD amount=1.00 currency=USD", "no account"},
        {"transfer to=ACC001 amount=1.00 currency=USD", "\"from\" is missing"},
        {"transfer from=ACC001 to=ACC002 amount=-1.00 currency=USD", "greater than zero"},
        {"transfer from=ACC001 to=ACC002 amount=0.00 currency=USD", "greater than zero"},
        {"transfer from=ACC001 to=ACC002 amount=1.001 currency=USD", "the 2 decimals of USD"},
        {"transfer from=ACC001 to=ACC002 amount=1e3 currency=USD", "is no decimal number"},
        {"transfer from=ACC001 to=ACC002 amount=99999999999999999999 currency=USD", "too large"},
        {"transfer from=ACC001 to=ACC002 currency=USD", "the amount is missing"},
        {"transfer from=ACC001 to=ACC002 amount=1.00 currency=XYZ", "\"XYZ\" is no currency"},
        {"transfer from=ACC001 to=ACC002 amount=1.00 currency=USD rules=luck", "no rule \"luck\""},
        {"transfer from=ACC001 to=ACC002 amount=1.00 currency=USD rules=market_hours",
         "market_hours is not one for this operation"},
        {"theft from=ACC001 to=ACC002 amount=1.00 currency=USD", "no operation of this type"},
        {"transfr from=ACC001 to=ACC002 amount=1.00 currency=USD",
         "no operation of this type; did you mean transfer?"},
        {"account.close account=ACC001", "did you mean account_close?"},
        {"opening from=ACC001 to=ACC002 amount=1.00 currency=USD", "no operation of this type"},
        {"currency_exchange from=ACC001 to=ACC003 amount=1.00 currency=USD_to_GBP",
         "same_currency: account ACC003 is in EUR"},
        {"currency_exchange from=ACC003 to=ACC001 amount=1.00 currency=EUR_to_USD",
         "no rate EUR_to_USD"},
        {"currency_exchange from=ACC001 to=ACC003 amount=1.00 currency=USD", "no pair"},
        {"currency_exchange from=ACC001 to=ACC003 amount=1.00 currency=USD_to_EUR rate=0.95 "
         "rules=exchange_rate_validation",
         "not within 1.0000 %"},
        {"currency_exchange from=ACC001 to=ACC003 amount=1.00 currency=USD_to_EUR rate=0",
         "the rate \"0\" must be greater than zero"},
        {"currency_exchange from=ACC001 to=ACC003 amount=0.01 currency=USD_to_EUR rate=0.1",
         "less than the smallest unit"},
        {"investment_purchase from=ACC004 amount=1.00 currency=USD instrument=ACME "
         "rules=instrument_available",
         "no instrument \"ACME\""},
        {"investment_purchase from=ACC004 to=BANK amount=1.00 currency=USD", "must be MARKET"},
        {"fee_deduction from=ACC001 amount=50.01 currency=USD rules=service_fee_rules",
         "not from 1.00 to 50.00"},
        {"fee_deduction from=ACC001 amount=1.00 currency=USD fee_rule=late rules=service_fee_rules",
         "no fee rule \"late\""},
        {"withdrawal from=ACC002 amount=10000000.00 currency=USD", "sufficient_funds"},
        {"loan_disbursement from=ACC001 to=ACC002 amount=1.00 currency=USD", "is no loan"},
        {"post from=ACC001 hold=none", "has no hold \"none\""},
        {"transfer from=ACC001 to=ACC002 amount=1.00 currency=USD rate=0.9",
         "it takes no \"rate\""},
        {"transfer from=ACC001 to=ACC002 amount=1.00 currency=USD expires_ms=1000",
         "it takes no \"expires_in\""},
        {"transfer from=ACC001 to=ACC002 amount=1.00 currency=USD account=ACC003",
         "it takes no \"account\""},
        {"deposit to=ACC001 amount=1.00 currency=USD hold=h", "it takes no \"hold\""},
        {"withdrawal from=ACC001 amount=1.00 currency=USD fee_rule=late",
         "it takes no \"fee_rule\""},
        {"fee_deduction from=ACC001 amount=1.00 currency=USD instrument=ACME",
         "it takes no \"instrument\""},
        {"currency_exchange from=ACC001 to=ACC003 amount=1.00 currency=USD_to_EUR minimum=1",
         "it takes no \"minimum\""},
        {"account_freeze account=ACC001 amount=1.00", "it takes no \"amount\""},
        {"account_open account=X account_type=savings currency=USD from=ACC001",
         "it takes no \"from\""},
        {"account_open account=X account_type=savings currency=USD reason=any",
         "it takes no \"reason\""},
        {"void from=ACC001 hold=none account_type=x", "it takes no \"account_type\""},
        {"void from=ACC001 hold=none", "has no hold \"none\""},
    };
    struct core_store *store = *state;
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        for (size_t place = 0; place <= 4; place++) {
            const char *operations[5];
            for (size_t j = 0; j < 5; j++)
                operations[j] = j == place ? failing[i].text : feature[j < place ? j : j - 1];
            uint64_t refusals = store->state.store.refusals;
            size_t accounts = table_count(&store->state.accounts);
            int64_t balances[4];
            uint64_t versions[4];
            for (int a = 0; a < 4; a++) {
                char number[16];
                snprintf(number, sizeof number, "ACC%03d", a + 1);
                balances[a] = bank_account(store, number)->balance;
                versions[a] = bank_account(store, number)->version;
            }
            assert_int_equal(bank_transact(store, operations, 5), WF_REFUSED);
            bank_says(store, failing[i].words);
            char which[32];
            snprintf(which, sizeof which, "operation %zu (", place + 1);
            bank_says(store, which);
            assert_int_equal(store->state.store.refusals, refusals + 1);
            assert_int_equal(table_count(&store->state.accounts), accounts);
            for (int a = 0; a < 4; a++) {
                char number[16];
                snprintf(number, sizeof number, "ACC%03d", a + 1);
                assert_int_equal(bank_account(store, number)->balance, balances[a]);
                assert_int_equal(bank_account(store, number)->version, versions[a]);
            }
        }
    }
}

static void test_ledger_refusal_stands_in_the_history_of_each_account(void **state) {
    struct core_store *store = *state;
    const char *const operations[] = {feature[0],
                                      "transfer from=ACC002 to=ACC009 amount=1.00 currency=USD"};
    assert_int_equal(bank_transact(store, operations, 2), WF_REFUSED);
    assert_int_equal(bank_account(store, "ACC001")->history.lsn, store->lsn);
    assert_int_equal(bank_account(store, "ACC002")->history.lsn, store->lsn);
    assert_true(bank_account(store, "ACC001")->lsn < store->lsn);
    assert_true(bank_account(store, "ACC003")->history.lsn < store->lsn);
}

static void test_ledger_operations_see_the_ones_before_them(void **state) {
    struct core_store *store = *state;
    const char *const through[] = {
        "transfer from=ACC002 to=ACC001 amount=10000.00 currency=USD",
        "transfer from=ACC001 to=ACC002 amount=15000.00 currency=USD",
    };
    assert_int_equal(bank_transact(store, through, 2), WF_OK);
    bank_holds(store, "ACC001", "0.00");
    bank_holds(store, "ACC002", "15000.00");
    assert_int_equal(bank_account(store, "ACC001")->version, 2); /* one record, one version */
}

static void test_ledger_keeps_the_minimum(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_open_account(store, "M", "checking", "USD", "100.00", "60.00"), WF_OK);
    assert_int_equal(bank_one(store, "withdrawal from=M amount=40.01 currency=USD"), WF_REFUSED);
    assert_int_equal(bank_one(store, "withdrawal from=M amount=40.00 currency=USD"), WF_OK);
    bank_holds(store, "M", "60.00");
    bank_holds(store, "CASH/USD", "40.00");
    assert_int_equal(bank_open_account(store, "O", "checking", "USD", "", "-50.00"), WF_OK);
    assert_int_equal(bank_one(store, "withdrawal from=O amount=50.00 currency=USD"), WF_OK);
    assert_int_equal(bank_one(store, "withdrawal from=O amount=0.01 currency=USD"), WF_REFUSED);
}

static void test_ledger_loan_is_owed_and_paid_back(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_open_account(store, "LOAN", "loan", "USD", "", "-1000.00"), WF_OK);
    assert_int_equal(
        bank_one(store, "loan_disbursement from=LOAN to=ACC001 amount=1000.00 currency=USD"),
        WF_OK);
    bank_holds(store, "LOAN", "-1000.00");
    bank_holds(store, "ACC001", "6000.00");
    assert_int_equal(
        bank_one(store, "loan_disbursement from=LOAN to=ACC001 amount=0.01 currency=USD"),
        WF_REFUSED);
    assert_int_equal(bank_one(store, "transfer from=LOAN to=ACC001 amount=1.00 currency=USD"),
                     WF_REFUSED);
    bank_says(store, "account LOAN is a loan");
    assert_int_equal(
        bank_one(store, "loan_payment from=ACC001 to=LOAN amount=1000.01 currency=USD"),
        WF_REFUSED);
    bank_says(store, "loan LOAN owes 1000.00 USD, and not more");
    assert_int_equal(
        bank_one(store, "loan_payment from=ACC001 to=LOAN amount=1000.00 currency=USD"), WF_OK);
    bank_holds(store, "LOAN", "0.00");
}

static void test_ledger_frozen_and_closed_accounts_move_nothing(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_FREEZE, "ACC001"), WF_OK);
    assert_int_equal(bank_one(store, "deposit to=ACC001 amount=1.00 currency=USD"), WF_REFUSED);
    bank_says(store, "account ACC001 is frozen");
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=1.00 currency=USD"),
                     WF_REFUSED);
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_CLOSE, "ACC001"), WF_REFUSED);
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_UNFREEZE, "ACC001"), WF_OK);
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_CLOSE, "ACC001"), WF_REFUSED);
    bank_says(store, "must be empty");
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=5000.00 currency=USD"), WF_OK);
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_CLOSE, "ACC001"), WF_OK);
    assert_int_equal(bank_one(store, "deposit to=ACC001 amount=1.00 currency=USD"), WF_REFUSED);
    bank_says(store, "account ACC001 is closed");
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_FREEZE, "ACC999"), WF_NOT_FOUND);
}

static void test_ledger_rate_must_be_fresh(void **state) {
    struct core_store *store = *state;
    store->now_ms += INT64_C(24) * 3600000;
    assert_int_equal(bank_one(store, feature[1]), WF_OK);
    store->now_ms++;
    assert_int_equal(bank_one(store, feature[1]), WF_REFUSED);
    bank_says(store, "exchange_rate_validation: the rate USD_to_EUR is of 2026-01-05T15:00:00Z");
    assert_int_equal(
        bank_set_reference(store, COMMAND_RATE_SET, "USD_to_EUR", "rate=0.80 source=ECB"), WF_OK);
    assert_int_equal(bank_one(store, feature[1]), WF_OK);
    bank_holds(store, "ACC003", "3350.00");
}

static void test_ledger_rate_stands_in_the_record(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_one(store,
                              "currency_exchange from=ACC001 to=ACC003 amount=100.00 "
                              "currency=USD_to_EUR rate=0.909 rules=exchange_rate_validation"),
                     WF_OK);
    const struct event *posted = &store->decision.events[store->decision.event_count - 1];
    bool rate = false, source = false, time = false;
    for (size_t i = 0; i < posted->as.operation_posted.field_count; i++) {
        const struct field *field = &posted->as.operation_posted.fields[i];
        rate |= text_equal(field->name, "rate") && text_equal(field->value, "0.909");
        source |= text_equal(field->name, "source");
        time |= text_equal(field->name, "time");
    }
    assert_true(rate && source && time);
    bank_holds(store, "ACC003", "2590.90");
}

static void test_ledger_market_has_hours_and_holidays(void **state) {
    struct core_store *store = *state;
    store->now_ms += INT64_C(6) * 3600000; /* 21:00 */
    assert_int_equal(bank_one(store, feature[2]), WF_REFUSED);
    bank_says(store, "market_hours: NYSE is closed at 2026-01-05T21:00:00Z");
    store->now_ms += INT64_C(18) * 3600000; /* Tuesday 15:00, a holiday */
    assert_int_equal(bank_one(store, feature[2]), WF_REFUSED);
    store->now_ms += INT64_C(24) * 3600000 - 30 * 60000 - 1; /* Wednesday, just before 14:30 */
    assert_int_equal(bank_one(store, feature[2]), WF_REFUSED);
    store->now_ms++;
    assert_int_equal(bank_one(store, feature[2]), WF_OK);
    store->now_ms += INT64_C(3) * 24 * 3600000; /* Saturday */
    assert_int_equal(bank_one(store, feature[2]), WF_REFUSED);
}

static void test_ledger_instrument_must_be_available(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_set_reference(store, COMMAND_INSTRUMENT_SET, "MARKET",
                                        "currency=USD calendar=NYSE status=suspended"),
                     WF_OK);
    assert_int_equal(bank_one(store, feature[2]), WF_REFUSED);
    bank_says(store, "instrument_available: the instrument MARKET is suspended");
    assert_int_equal(
        bank_set_reference(store, COMMAND_INSTRUMENT_SET, "MARKET", "currency=USD calendar=LSE"),
        WF_OK);
    assert_int_equal(bank_one(store, feature[2]), WF_REFUSED);
    bank_says(store, "market_hours: there is no calendar \"LSE\"; enter it first (calendar set)");
}

static void test_ledger_hold_takes_from_what_is_available(void **state) {
    struct core_store *store = *state;
    assert_int_equal(
        bank_one(store, "hold from=ACC001 to=ACC002 amount=4000.00 currency=USD hold=h1"), WF_OK);
    bank_holds(store, "ACC001", "5000.00");
    assert_int_equal(account_available(bank_account(store, "ACC001"), store->now_ms), 100000);
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=1000.01 currency=USD"),
                     WF_REFUSED);
    bank_says(store, "of which 4000.00 are held");
    assert_int_equal(bank_one(store, "hold from=ACC001 to=ACC002 amount=1.00 currency=USD hold=h1"),
                     WF_REFUSED);
    bank_says(store, "has a hold \"h1\" already");
    assert_int_equal(bank_one(store, "post from=ACC001 hold=h1 amount=4000.01"), WF_REFUSED);
    assert_int_equal(bank_one(store, "post from=ACC001 hold=h1 amount=1500.00"), WF_OK);
    bank_holds(store, "ACC001", "3500.00");
    bank_holds(store, "ACC002", "11500.00");
    assert_int_equal(account_available(bank_account(store, "ACC001"), store->now_ms), 350000);
    assert_int_equal(bank_one(store, "post from=ACC001 hold=h1"), WF_REFUSED);
}

/* It is a promise about later: what would be posted at once is a transfer. */
static void test_ledger_hold_of_the_same_transaction_is_not_posted(void **state) {
    static const char hold[] = "hold from=ACC001 to=ACC002 amount=1.00 currency=USD hold=h";
    static const char *const ends[] = {"post from=ACC001 hold=h", "void from=ACC001 hold=h"};
    struct core_store *store = *state;
    for (int i = 0; i < 2; i++) {
        const char *const texts[] = {hold, ends[i]};
        assert_int_equal(bank_transact(store, texts, 2), WF_REFUSED);
        bank_says(store, i == 0 ? "operation 2 (post)" : "operation 2 (void)");
        bank_says(store, "the hold \"h\" is placed by this transaction");
        assert_int_equal(bank_account(store, "ACC001")->hold_count, 0);
    }
    /* Likewise where one of that name is voided before it. */
    assert_int_equal(bank_one(store, hold), WF_OK);
    const char *const again[] = {ends[1], hold, ends[0]};
    assert_int_equal(bank_transact(store, again, 3), WF_REFUSED);
    bank_says(store, "operation 3 (post): the hold \"h\" is placed by this transaction");
    assert_int_equal(bank_one(store, ends[0]), WF_OK);
    bank_holds(store, "ACC001", "4999.00");
}

/* Where the money goes was said when it was held: a post that names another end is a mistake. */
static void test_ledger_hold_is_posted_only_as_it_was_placed(void **state) {
    static const struct {
        const char *text;
        const char *why;
    } mistaken[] = {
        {"post from=ACC001 to=ACC004 hold=h1 amount=5.00",
         "the hold \"h1\" is for account ACC002, not for \"ACC004\""},
        {"post from=ACC001 to=ACC002 hold=h1 amount=5.00 currency=EUR",
         "the hold \"h1\" is in USD, not in \"EUR\""},
        {"void from=ACC001 to=ACC004 hold=h1",
         "the hold \"h1\" is for account ACC002, not for \"ACC004\""},
        {"void from=ACC001 hold=h1 currency=EUR", "the hold \"h1\" is in USD, not in \"EUR\""},
        {"void from=ACC001 hold=h1 amount=5.00", "a hold is voided as a whole"},
    };
    struct core_store *store = *state;
    assert_int_equal(
        bank_one(store, "hold from=ACC001 to=ACC002 amount=20.00 currency=USD hold=h1"), WF_OK);
    for (size_t i = 0; i < sizeof mistaken / sizeof mistaken[0]; i++) {
        assert_int_equal(bank_one(store, mistaken[i].text), WF_REFUSED);
        bank_says(store, mistaken[i].why);
    }
    assert_int_equal(bank_one(store, "post from=ACC001 to=ACC002 hold=h1 amount=5.00 currency=USD"),
                     WF_OK);
    bank_holds(store, "ACC002", "10005.00");
}

static void test_ledger_hold_is_voided(void **state) {
    struct core_store *store = *state;
    assert_int_equal(
        bank_one(store, "hold from=ACC001 to=ACC002 amount=5000.00 currency=USD hold=h1"), WF_OK);
    assert_int_equal(bank_one(store, "void from=ACC001 hold=h1"), WF_OK);
    assert_int_equal(bank_account(store, "ACC001")->hold_count, 0);
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=5000.00 currency=USD"), WF_OK);
}

static void test_ledger_hold_expires(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_one(store,
                              "hold from=ACC001 to=ACC002 amount=5000.00 currency=USD hold=h1 "
                              "expires_ms=1000"),
                     WF_OK);
    store->now_ms += 999;
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=1.00 currency=USD"),
                     WF_REFUSED);
    store->now_ms++;
    assert_int_equal(bank_one(store, "post from=ACC001 hold=h1"), WF_REFUSED);
    assert_int_equal(bank_account(store, "ACC001")->hold_count, 1); /* a refusal changes nothing */
    assert_int_equal(bank_one(store, "withdrawal from=ACC001 amount=1.00 currency=USD"), WF_OK);
    assert_int_equal(bank_account(store, "ACC001")->hold_count, 0);
    bool told = false;
    for (size_t i = 0; i < store->decision.event_count; i++)
        told |= store->decision.events[i].kind == EVENT_HOLD_ENDED &&
                store->decision.events[i].as.hold_ended.end == HOLD_EXPIRED;
    assert_true(told);
}

static void test_ledger_holds_have_a_limit(void **state) {
    struct core_store *store = *state;
    char text[120];
    for (int i = 0; i <= ACCOUNT_HOLDS_MAX; i++) {
        snprintf(text, sizeof text, "hold from=ACC001 to=ACC002 amount=1.00 currency=USD hold=h%d",
                 i);
        assert_int_equal(bank_one(store, text), i < ACCOUNT_HOLDS_MAX ? WF_OK : WF_REFUSED);
    }
    bank_says(store, "has 64 holds already");
}

static void test_ledger_balances_stay_in_64_bits(void **state) {
    struct core_store *store = *state;
    assert_int_equal(
        bank_open_account(store, "RICH", "checking", "USD", "92233720368547758.07", ""),
        WF_REFUSED);
    bank_says(store, "the balance of OPENING/USD would leave 64 bits");
    assert_null(state_account(&store->state, text_view("RICH")));
    assert_int_equal(
        bank_open_account(store, "RICH", "checking", "GBP", "92233720368547758.07", ""), WF_OK);
    assert_int_equal(bank_one(store, "deposit to=RICH amount=0.01 currency=GBP"), WF_REFUSED);
    bank_says(store, "the balance of RICH would leave 64 bits");
}

static void test_ledger_takes_as_many_operations_as_the_limit(void **state) {
    struct core_store *store = *state;
    struct operation *operations = calloc(COMMAND_OPERATIONS_MAX + 1, sizeof *operations);
    struct bank_written *written = calloc(COMMAND_OPERATIONS_MAX + 1, sizeof *written);
    char text[100];
    for (int i = 0; i <= COMMAND_OPERATIONS_MAX; i++) {
        snprintf(text, sizeof text, "T%04d", i);
        assert_int_equal(bank_open_account(store, text, "checking", "USD", "1.00", ""), WF_OK);
    }
    for (int i = 0; i <= COMMAND_OPERATIONS_MAX; i++) {
        snprintf(text, sizeof text, "transfer from=T%04d to=T%04d amount=0.25 currency=USD", i,
                 (i + 1) % (COMMAND_OPERATIONS_MAX + 1));
        operations[i] = bank_parse(text, &written[i]);
    }
    struct command command = {.kind = COMMAND_ACCOUNT_TRANSACT, .now_ms = store->now_ms};
    command.as.account_transact.operations = operations;
    command.as.account_transact.count = COMMAND_OPERATIONS_MAX + 1;
    assert_int_equal(core_store_execute(store, &command), WF_USAGE);
    command.as.account_transact.count = 0;
    assert_int_equal(core_store_execute(store, &command), WF_USAGE);
    command.as.account_transact.count = COMMAND_OPERATIONS_MAX;
    assert_int_equal(core_store_execute(store, &command), WF_OK);
    assert_int_equal(store->decision.touch_count, COMMAND_OPERATIONS_MAX + 1);
    bank_holds(store, "T0000", "0.75");
    bank_holds(store, "T0500", "1.00");
    bank_holds(store, "T1024", "1.25");
    free(operations);
    free(written);
}

static void test_ledger_opening_refuses_what_makes_no_sense(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_open_account(store, "ACC001", "checking", "USD", "", ""), WF_REFUSED);
    bank_says(store, "account \"ACC001\" is there already");
    assert_int_equal(bank_open_account(store, "X/USD", "checking", "USD", "", ""), WF_USAGE);
    assert_int_equal(bank_open_account(store, "N", "checking", "XYZ", "", ""), WF_USAGE);
    assert_int_equal(bank_open_account(store, "N", "", "USD", "", ""), WF_USAGE);
    assert_int_equal(bank_open_account(store, "N", "internal", "USD", "", ""), WF_USAGE);
    assert_int_equal(bank_open_account(store, "N", "checking", "USD", "1.001", ""), WF_USAGE);
    assert_int_equal(bank_open_account(store, "N", "checking", "USD", "-1.00", ""), WF_USAGE);
    assert_int_equal(bank_open_account(store, "N", "loan", "USD", "1.00", ""), WF_USAGE);
    assert_int_equal(bank_open_account(store, "N", "checking", "USD", "1.00", "2.00"), WF_REFUSED);
    assert_null(state_account(&store->state, text_view("N")));
}

static void test_ledger_names_of_the_banks_own_accounts_are_not_given_away(void **state) {
    static const char *const own[] = {"CASH", "MARKET", "BANK", "FX", "OPENING"};
    struct core_store *store = *state;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_int_equal(bank_open_account(store, own[i], "checking", "USD", "1.00", ""),
                         WF_REFUSED);
        bank_says(store, own[i]);
        bank_says(store, "is the bank's own");
        assert_null(state_account(&store->state, text_view(own[i])));
    }
    assert_int_equal(bank_open_account(store, "CASHIER", "checking", "USD", "1.00", ""), WF_OK);
    assert_int_equal(bank_open_account(store, "CAS", "checking", "USD", "1.00", ""), WF_OK);
}

static void test_reference_refuses_malformed_fields(void **state) {
    static const struct {
        enum command_kind kind;
        const char *name, *fields, *words;
    } bad[] = {
        {COMMAND_RATE_SET, "USD", "rate=1 source=x", "no pair"},
        {COMMAND_RATE_SET, "USD_to_USD", "rate=1 source=x", "no pair"},
        {COMMAND_RATE_SET, "USD_to_EUR", "source=x", "rate is missing"},
        {COMMAND_RATE_SET, "USD_to_EUR", "rate=0 source=x", "above 0"},
        {COMMAND_RATE_SET, "USD_to_EUR", "rate=1", "source is missing"},
        {COMMAND_RATE_SET, "USD_to_EUR", "rate=1 source=x band=-1", "percentage"},
        {COMMAND_RATE_SET, "USD_to_EUR", "rate=1 source=x max_age=soon", "duration"},
        {COMMAND_RATE_SET, "USD_to_EUR", "rate=1 source=x time=2027-01-01T00:00:00Z", "to come"},
        {COMMAND_RATE_SET, "USD_to_EUR", "rate=1 source=x spread=2", "no field \"spread\""},
        {COMMAND_RATE_SET, "USD_to_EUR", "rate=1 rate=2 source=x", "given twice"},
        {COMMAND_CALENDAR_SET, "C", "open=14:30 close=14:30", "after it opens"},
        {COMMAND_CALENDAR_SET, "C", "open=25:00 close=26:00", "time of day"},
        {COMMAND_CALENDAR_SET, "C", "open=01:00 close=02:00 days=mon,someday", "days such as"},
        {COMMAND_CALENDAR_SET, "C", "open=01:00 close=02:00 holidays=2026-02-30", "days such as"},
        {COMMAND_INSTRUMENT_SET, "I", "currency=XXX calendar=C", "currency such as"},
        {COMMAND_INSTRUMENT_SET, "I", "currency=USD", "calendar is missing"},
        {COMMAND_INSTRUMENT_SET, "I", "currency=USD calendar=C status=odd", "suspended"},
        {COMMAND_FEE_RULE_SET, "F", "currency=USD maximum=1.001", "above 0"},
        {COMMAND_FEE_RULE_SET, "F", "currency=USD minimum=2.00 maximum=1.00", "not below"},
    };
    struct core_store *store = *state;
    uint64_t lsn = store->lsn;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(bank_set_reference(store, bad[i].kind, bad[i].name, bad[i].fields),
                         WF_USAGE);
        bank_says(store, bad[i].words);
    }
    assert_int_equal(store->lsn, lsn);
}

/* --- hostile records --- */

static enum wf_status reserve(struct core_store *store, struct event *event,
                              const struct record_touch *touches, size_t count) {
    struct record record = {.lsn = store->lsn + 1,
                            .time_ms = store->now_ms,
                            .command = COMMAND_ACCOUNT_TRANSACT,
                            .events = event,
                            .event_count = 1,
                            .touches = touches,
                            .touch_count = count};
    return apply_reserve(&store->state, &record, &store->err);
}

static void test_apply_refuses_postings_that_do_not_sum_to_zero(void **state) {
    struct core_store *store = *state;
    struct posting postings[] = {{0, -100}, {1, 99}};
    struct event event = {.kind = EVENT_OPERATION_POSTED};
    event.as.operation_posted.operation = OPERATION_TRANSFER;
    event.as.operation_posted.postings = postings;
    event.as.operation_posted.posting_count = 2;
    struct record_touch touches[] = {
        {ENTITY_ACCOUNT, text_view("ACC001"), {1, 8}, 500000 - 100, text_view("USD")},
        {ENTITY_ACCOUNT, text_view("ACC002"), {1, 8}, 1000000 + 99, text_view("USD")}};
    assert_int_equal(reserve(store, &event, touches, 2), WF_DAMAGE);
    assert_non_null(strstr(store->err.text, "do not sum to zero"));
    postings[1].amount = 100;
    assert_int_equal(reserve(store, &event, touches, 2), WF_DAMAGE);
    assert_non_null(strstr(store->err.text, "leaves 10001.00 USD on account ACC002, and says"));
    touches[1].balance = 1000000 + 100;
    assert_int_equal(reserve(store, &event, touches, 2), WF_OK);
    touches[1].currency = text_view("EUR");
    assert_int_equal(reserve(store, &event, touches, 2), WF_DAMAGE);
    touches[1].currency = text_view("USD");
    touches[1].name = text_view("ACC009");
    assert_int_equal(reserve(store, &event, touches, 2), WF_DAMAGE);
    postings[1].account = 7;
    assert_int_equal(reserve(store, &event, touches, 2), WF_DAMAGE);
}

/* In each currency for itself: what one has too much, another one lacks. */
static void test_apply_sums_each_currency_on_its_own(void **state) {
    struct core_store *store = *state;
    struct posting postings[] = {{0, -100}, {1, 100}};
    struct event event = {.kind = EVENT_OPERATION_POSTED};
    event.as.operation_posted.operation = OPERATION_CURRENCY_EXCHANGE;
    event.as.operation_posted.postings = postings;
    event.as.operation_posted.posting_count = 2;
    struct record_touch touches[] = {
        {ENTITY_ACCOUNT, text_view("ACC001"), {1, 8}, 500000 - 100, text_view("USD")},
        {ENTITY_ACCOUNT, text_view("ACC003"), {1, 8}, 250000 + 100, text_view("EUR")}};
    assert_int_equal(reserve(store, &event, touches, 2), WF_DAMAGE);
    assert_non_null(strstr(store->err.text, "do not sum to zero"));
}

/* Behind a loss one of the bank's own opens by itself: once in a record. */
static void test_apply_behind_a_loss_opens_no_account_twice(void **state) {
    struct core_store *store = *state;
    struct posting postings[] = {{0, -100}, {1, 60}, {2, 40}};
    struct event event = {.kind = EVENT_OPERATION_POSTED};
    event.as.operation_posted.operation = OPERATION_TRANSFER;
    event.as.operation_posted.postings = postings;
    event.as.operation_posted.posting_count = 3;
    struct record_touch touches[] = {
        {ENTITY_ACCOUNT, text_view("ACC001"), {1, 8}, 500000 - 100, text_view("USD")},
        {ENTITY_INTERNAL_ACCOUNT, text_view("MARKET/USD"), {0, 0}, 60, text_view("USD")},
        {ENTITY_INTERNAL_ACCOUNT, text_view("MARKET/USD"), {0, 0}, 40, text_view("USD")}};
    assert_int_equal(reserve(store, &event, touches, 3), WF_DAMAGE);
    store->state.after_loss = true;
    assert_int_equal(reserve(store, &event, touches, 3), WF_OK);
    assert_true(store->state.reserved.ignored);
    touches[2].name = text_view("BANK/USD");
    assert_int_equal(reserve(store, &event, touches, 3), WF_OK);
    assert_false(store->state.reserved.ignored);
}

static void test_check_sees_a_wrong_balance(void **state) {
    struct core_store *store = *state;
    struct account *wrong = state_account(&store->state, text_view("ACC001"));
    wrong->balance++;
    assert_int_equal(check_state(&store->state, true, &store->err), WF_DIVERGENCE);
    assert_non_null(strstr(store->err.text, "the balances in USD do not sum to zero"));
    wrong->balance = -1;
    assert_int_equal(check_state(&store->state, false, &store->err), WF_DIVERGENCE);
    assert_non_null(strstr(store->err.text, "below its minimum"));
    wrong->balance = 500000;
    assert_int_equal(check_state(&store->state, true, &store->err), WF_OK);
}

/* --- bytes --- */

static void copy_entity(const struct entity *entity, struct state *to, struct wf_error *err) {
    struct bytes_buffer key, value, again;
    struct entity *copy = NULL;
    bytes_buffer_init(&key);
    bytes_buffer_init(&value);
    bytes_buffer_init(&again);
    entity_encode_key(entity, &key);
    entity_encode(entity, &value, NULL);
    if (entity_decode(to, (struct bytes_view){key.data, key.size},
                      (struct bytes_view){value.data, value.size}, &copy, err) != WF_OK)
        fail_msg("%s", err->text);
    entity_encode(copy, &again, NULL);
    assert_int_equal(again.size, value.size);
    assert_memory_equal(again.data, value.data, value.size);
    bytes_buffer_deinit(&key);
    bytes_buffer_deinit(&value);
    bytes_buffer_deinit(&again);
}

static void test_entity_accounts_and_reference_data_come_back_as_they_were(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_transact(store, feature, 4), WF_OK);
    assert_int_equal(bank_one(store, "hold from=ACC001 to=ACC002 amount=5.00 currency=USD hold=h1 "
                                     "expires_ms=1000"),
                     WF_OK);
    assert_int_equal(bank_set_status(store, COMMAND_ACCOUNT_FREEZE, "ACC004"), WF_OK);
    struct state other;
    assert_int_equal(state_init(&other, &store->err), WF_OK);
    size_t at = 0;
    for (const struct account *a; (a = table_next(&store->state.accounts, &at)) != NULL;)
        copy_entity(&a->entity, &other, &store->err);
    at = 0;
    for (const struct reference *r; (r = table_next(&store->state.references, &at)) != NULL;)
        copy_entity(&r->entity, &other, &store->err);
    assert_int_equal(table_count(&other.accounts), table_count(&store->state.accounts));
    assert_int_equal(state_account(&other, text_view("ACC001"))->holds[0].amount, 500);
    assert_int_equal(state_account(&other, text_view("ACC004"))->status, ACCOUNT_FROZEN);
    state_deinit(&other);
}

static void test_entity_account_survives_every_cut_and_flip(void **state) {
    struct core_store *store = *state;
    assert_int_equal(bank_one(store, "hold from=ACC001 to=ACC002 amount=5.00 currency=USD hold=h1"),
                     WF_OK);
    const struct entity *entities[] = {
        &bank_account(store, "ACC001")->entity,
        &state_reference(&store->state, REFERENCE_CALENDAR, text_view("NYSE"))->entity};
    for (size_t e = 0; e < 2; e++) {
        struct bytes_buffer key, value;
        bytes_buffer_init(&key);
        bytes_buffer_init(&value);
        entity_encode_key(entities[e], &key);
        entity_encode(entities[e], &value, NULL);
        for (size_t i = 0; i < value.size * 9; i++) {
            struct state fresh;
            struct entity *copy;
            assert_int_equal(state_init(&fresh, &store->err), WF_OK);
            size_t size = i < value.size ? i : value.size;
            if (i >= value.size)
                value.data[(i - value.size) / 8] ^= (uint8_t)(1 << i % 8);
            enum wf_status status =
                entity_decode(&fresh, (struct bytes_view){key.data, key.size},
                              (struct bytes_view){value.data, size}, &copy, &store->err);
            assert_true(status == WF_DAMAGE || (status == WF_OK && i >= value.size));
            if (i >= value.size)
                value.data[(i - value.size) / 8] ^= (uint8_t)(1 << i % 8);
            state_deinit(&fresh);
        }
        bytes_buffer_deinit(&key);
        bytes_buffer_deinit(&value);
    }
}

/* What the events name stands in the account that they change. */
static void test_ledger_several_holds_of_an_account_end_in_one_record(void **state) {
    struct core_store *store = *state;
    static const char *const three[] = {
        "hold from=ACC001 to=ACC002 amount=1.00 currency=USD hold=h1",
        "hold from=ACC001 to=ACC002 amount=2.00 currency=USD hold=h2",
        "hold from=ACC001 to=ACC002 amount=4.00 currency=USD hold=h3"};
    static const char *const two[] = {"post from=ACC001 hold=h1", "post from=ACC001 hold=h2"};
    assert_int_equal(bank_transact(store, three, 3), WF_OK);
    assert_int_equal(bank_transact(store, two, 2), WF_OK);
    assert_int_equal(bank_account(store, "ACC001")->hold_count, 1);
    assert_string_equal(bank_account(store, "ACC001")->holds[0].name, "h3");
    bank_holds(store, "ACC001", "4997.00");
}

/* The holds move to where there is room for the new one, and the events still name what ended. */
static void test_ledger_hold_ends_beside_a_new_one_in_one_record(void **state) {
    struct core_store *store = *state;
    static const char *const both[] = {
        "hold from=ACC001 to=ACC002 amount=2.00 currency=USD hold=h2", "void from=ACC001 hold=h1",
        "hold from=ACC001 to=ACC002 amount=3.00 currency=USD hold=h3"};
    assert_int_equal(bank_one(store, "hold from=ACC001 to=ACC002 amount=1.00 currency=USD hold=h1"),
                     WF_OK);
    assert_int_equal(bank_transact(store, both, 3), WF_OK);
    assert_int_equal(bank_account(store, "ACC001")->hold_count, 2);
    assert_string_equal(bank_account(store, "ACC001")->holds[0].name, "h2");
}

/* However many accounts are there: a record that opens several of the bank's own finds room. */
static void test_ledger_opens_several_accounts_of_the_bank_in_one_record(void **state) {
    (void)state;
    for (int more = 0; more < 12; more++) {
        struct core_store *store = bank_make();
        char number[16];
        for (int i = 0; i < more; i++) {
            snprintf(number, sizeof number, "MORE%d", i);
            assert_int_equal(bank_open_account(store, number, "checking", "USD", "", ""), WF_OK);
        }
        static const char *const opening[] = {
            "currency_exchange from=ACC002 to=ACC003 amount=500.00 currency=USD_to_EUR",
            "investment_purchase from=ACC004 amount=5000.00 currency=USD",
            "fee_deduction from=ACC001 amount=25.00 currency=USD",
            "deposit to=ACC001 amount=25.00 currency=USD",
            "deposit to=ACC003 amount=25.00 currency=EUR"};
        assert_int_equal(bank_transact(store, opening, 5), WF_OK);
        core_store_close(store);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bank_setup, close_bank)
        TEST(test_ledger_feature_comes_to_its_figures),
        TEST(test_ledger_every_failing_variant_changes_nothing),
        TEST(test_ledger_refusal_stands_in_the_history_of_each_account),
        TEST(test_ledger_operations_see_the_ones_before_them),
        TEST(test_ledger_keeps_the_minimum),
        TEST(test_ledger_loan_is_owed_and_paid_back),
        TEST(test_ledger_frozen_and_closed_accounts_move_nothing),
        TEST(test_ledger_rate_must_be_fresh),
        TEST(test_ledger_rate_stands_in_the_record),
        TEST(test_ledger_market_has_hours_and_holidays),
        TEST(test_ledger_instrument_must_be_available),
        TEST(test_ledger_hold_takes_from_what_is_available),
        TEST(test_ledger_hold_of_the_same_transaction_is_not_posted),
        TEST(test_ledger_hold_is_posted_only_as_it_was_placed),
        TEST(test_ledger_hold_is_voided),
        TEST(test_ledger_hold_expires),
        TEST(test_ledger_holds_have_a_limit),
        TEST(test_ledger_balances_stay_in_64_bits),
        TEST(test_ledger_takes_as_many_operations_as_the_limit),
        TEST(test_ledger_opening_refuses_what_makes_no_sense),
        TEST(test_ledger_names_of_the_banks_own_accounts_are_not_given_away),
        TEST(test_reference_refuses_malformed_fields),
        TEST(test_apply_refuses_postings_that_do_not_sum_to_zero),
        TEST(test_apply_sums_each_currency_on_its_own),
        TEST(test_apply_behind_a_loss_opens_no_account_twice),
        TEST(test_check_sees_a_wrong_balance),
        TEST(test_entity_accounts_and_reference_data_come_back_as_they_were),
        TEST(test_entity_account_survives_every_cut_and_flip),
        TEST(test_ledger_several_holds_of_an_account_end_in_one_record),
        TEST(test_ledger_hold_ends_beside_a_new_one_in_one_record),
        cmocka_unit_test(test_ledger_opens_several_accounts_of_the_bank_in_one_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
