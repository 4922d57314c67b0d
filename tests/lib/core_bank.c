#include "tests/lib/core_bank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MONDAY_15_UTC_DAYS = 4 }; /* the fixture's clock begins on Thursday 2026-01-01 */

struct operation bank_parse(const char *text, struct bank_written *written) {
    struct operation operation = {0};
    snprintf(written->text, sizeof written->text, "%s", text);
    char *save = NULL;
    operation.type = text_view(strtok_r(written->text, " ", &save));
    for (char *word; (word = strtok_r(NULL, " ", &save)) != NULL;) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        struct bytes_view *to = strcmp(word, "from") == 0           ? &operation.from
                                : strcmp(word, "to") == 0           ? &operation.to
                                : strcmp(word, "amount") == 0       ? &operation.amount
                                : strcmp(word, "currency") == 0     ? &operation.currency
                                : strcmp(word, "rate") == 0         ? &operation.rate
                                : strcmp(word, "instrument") == 0   ? &operation.instrument
                                : strcmp(word, "fee_rule") == 0     ? &operation.fee_rule
                                : strcmp(word, "hold") == 0         ? &operation.hold
                                : strcmp(word, "account") == 0      ? &operation.account
                                : strcmp(word, "account_type") == 0 ? &operation.account_type
                                : strcmp(word, "minimum") == 0      ? &operation.minimum
                                : strcmp(word, "reason") == 0       ? &operation.reason
                                                                    : NULL;
        if (to != NULL)
            *to = text_view(value);
        if (strcmp(word, "expires_ms") == 0)
            operation.expires_in_ms = atoll(value);
        char *save_rule = NULL;
        for (char *rule = strcmp(word, "rules") == 0 ? strtok_r(value, ",", &save_rule) : NULL;
             rule != NULL; rule = strtok_r(NULL, ",", &save_rule))
            written->rules[operation.rule_count++] = text_view(rule);
    }
    operation.rules = written->rules;
    return operation;
}

enum wf_status bank_transact(struct core_store *store, const char *const *texts, size_t count) {
    static struct bank_written written[16];
    struct operation operations[16];
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++)
        operations[i] = bank_parse(texts[i], &written[i]);
    struct command command = {.kind = COMMAND_ACCOUNT_TRANSACT, .now_ms = store->now_ms};
    command.as.account_transact.operations = operations;
    command.as.account_transact.count = count;
    return core_store_execute(store, &command);
}

enum wf_status bank_submit(struct core_store *store, const char *id, const char *step,
                           const char *fields, const char *const *texts, size_t count) {
    static struct bank_written written[16];
    struct operation operations[16];
    char text[512];
    struct field list[16];
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++)
        operations[i] = bank_parse(texts[i], &written[i]);
    snprintf(text, sizeof text, "%s", fields);
    struct command command = {.kind = COMMAND_WORKFLOW_SUBMIT, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.as.workflow_submit.step = text_view(step);
    command.as.workflow_submit.fields = list;
    command.as.workflow_submit.field_count = core_fields(text, list);
    command.as.workflow_submit.operations = operations;
    command.as.workflow_submit.operation_count = count;
    return core_store_execute(store, &command);
}

enum wf_status bank_one(struct core_store *store, const char *text) {
    return bank_transact(store, &text, 1);
}

enum wf_status bank_open_account(struct core_store *store, const char *number, const char *type,
                                 const char *currency, const char *balance, const char *minimum) {
    struct command command = {.kind = COMMAND_ACCOUNT_OPEN, .now_ms = store->now_ms};
    command.subject = text_view(number);
    command.as.account_open.type = text_view(type);
    command.as.account_open.currency = text_view(currency);
    command.as.account_open.balance = text_view(balance);
    command.as.account_open.minimum = text_view(minimum);
    return core_store_execute(store, &command);
}

enum wf_status bank_set_status(struct core_store *store, enum command_kind kind,
                               const char *number) {
    struct command command = {.kind = kind, .now_ms = store->now_ms};
    command.subject = text_view(number);
    return core_store_execute(store, &command);
}

enum wf_status bank_set_reference(struct core_store *store, enum command_kind kind,
                                  const char *name, const char *fields) {
    char text[512];
    struct field list[16];
    snprintf(text, sizeof text, "%s", fields);
    struct command command = {.kind = kind, .now_ms = store->now_ms};
    command.subject = text_view(name);
    command.as.reference_set.fields = list;
    command.as.reference_set.field_count = core_fields(text, list);
    return core_store_execute(store, &command);
}

const struct account *bank_account(struct core_store *store, const char *number) {
    const struct account *found = state_account(&store->state, text_view(number));
    if (found == NULL)
        fail_msg("there is no account %s", number);
    return found;
}

void bank_holds(struct core_store *store, const char *number, const char *balance) {
    char text[MONEY_TEXT_SIZE];
    const struct account *found = bank_account(store, number);
    assert_string_equal(money_print(text, found->balance, found->currency), balance);
}

void bank_says(const struct core_store *store, const char *words) {
    if (strstr(store->decision.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", store->decision.message, words);
}

struct core_store *bank_make(void) {
    struct core_store *store = core_store_open(false);
    store->now_ms += (MONDAY_15_UTC_DAYS * 24 + 15) * INT64_C(3600000);
    assert_int_equal(bank_open_account(store, "ACC001", "checking", "USD", "5000.00", ""), WF_OK);
    assert_int_equal(bank_open_account(store, "ACC002", "savings", "USD", "10000.00", ""), WF_OK);
    assert_int_equal(bank_open_account(store, "ACC003", "checking", "EUR", "2500.00", ""), WF_OK);
    assert_int_equal(bank_open_account(store, "ACC004", "investment", "USD", "50000.00", ""),
                     WF_OK);
    assert_int_equal(bank_set_reference(store, COMMAND_RATE_SET, "USD_to_EUR",
                                        "rate=0.90 source=ECB max_age=24h band=1"),
                     WF_OK);
    assert_int_equal(bank_set_reference(store, COMMAND_CALENDAR_SET, "NYSE",
                                        "open=14:30 close=21:00 holidays=2026-01-06,2026-12-25"),
                     WF_OK);
    assert_int_equal(
        bank_set_reference(store, COMMAND_INSTRUMENT_SET, "MARKET", "currency=USD calendar=NYSE"),
        WF_OK);
    assert_int_equal(bank_set_reference(store, COMMAND_FEE_RULE_SET, "service_fee",
                                        "currency=USD minimum=1.00 maximum=50.00"),
                     WF_OK);
    return store;
}

int bank_setup(void **state) {
    *state = bank_make();
    return 0;
}
