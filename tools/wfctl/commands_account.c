/* Accounts and the money on them, and what rules about it look at. */
#include "tools/wfctl/commands.h"

static const struct option_spec account_type_option = {
    "type", 't', "TYPE", "checking, savings, investment, loan or another word", true};
static const struct option_spec currency_option = {"currency", 'c', "CURRENCY",
                                                   "such as USD (ISO 4217)", true};
static const struct option_spec balance_option = {
    "balance", 'b', "AMOUNT", "what it begins with, from the bank's account OPENING", false};
static const struct option_spec minimum_option = {
    "minimum", 'm', "AMOUNT", "what must remain (default: 0; of a loan no limit)", false};
static const struct option_spec all_option = {"all", 0, NULL, "the bank's own accounts too", false};
static const struct option_spec why_option = {"reason", 'r', "REASON", "why; kept in the history",
                                              false};

const struct verb commands_account[] = {
    {.noun = "account",
     .name = "open",
     .arguments = "NUMBER",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_account_open,
     .summary = "open an account",
     .details = "wfctl account open ACC001 --type checking --currency USD --balance 5000.00\n"
                "The balance of a loan is what its customer owes, below zero.",
     .options = {&account_type_option, &currency_option, &balance_option, &minimum_option,
                 &key_option, &actor_option}},
    {.noun = "account",
     .name = "transact",
     .arguments = "FILE",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_account_transact,
     .summary = "operations that succeed or fail as one (JSON); \"-\" is stdin",
     .details =
         "{\"ops\":[{\"type\":\"transfer\",\"from\":\"ACC001\",\"to\":\"ACC002\","
         "\"amount\":\"1000.00\",\n"
         "  \"currency\":\"USD\",\"rules\":[\"sufficient_funds\",\"same_currency\"]}]}\n"
         "Types: transfer, currency_exchange (currency USD_to_EUR), investment_purchase, "
         "fee_deduction, deposit,\nwithdrawal, loan_disbursement, loan_payment, hold, post, void; "
         "account_open (account, account_type,\ncurrency, amount, minimum), account_freeze, "
         "account_unfreeze, account_close (account, reason).\nRules: sufficient_funds, "
         "same_currency, exchange_rate_validation, market_hours,\ninstrument_available, "
         "service_fee_rules.",
     .options = {&key_option, &actor_option}},
    {.noun = "account",
     .name = "reverse",
     .arguments = "LSN",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_account_reverse,
     .summary = "post the opposite of a transaction, once",
     .details = "wfctl account reverse 41 --reason 'entered twice' --actor Eve\n"
                "LSN is that of its record. Nothing is erased; a second time is refused. The money "
                "of a workflow's\nstage goes back when the stage is undone (workflow rollback).",
     .options = {&reason_option, &asker_option, &key_option}},
    {.noun = "account",
     .name = "show",
     .arguments = "NUMBER",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_READ,
     .run = cmd_account_show,
     .summary = "balance, what is held and what is available"},
    {.noun = "account",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_account_list,
     .summary = "accounts in order of number",
     .options = {&all_option}},
    {.noun = "account",
     .name = "statement",
     .arguments = "NUMBER",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_READ,
     .run = cmd_account_statement,
     .csv = true,
     .summary = "every posting, added up from the log; -o csv too",
     .options = {&as_of_option}},
    {.noun = "account",
     .name = "history",
     .arguments = "NUMBER",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_READ,
     .run = cmd_account_history,
     .summary = "everything that happened to an account, refusals too"},
    {.noun = "account",
     .name = "freeze",
     .arguments = "NUMBER",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_account_freeze,
     .summary = "nothing comes in or goes out any more",
     .options = {&why_option, &key_option, &actor_option}},
    {.noun = "account",
     .name = "unfreeze",
     .arguments = "NUMBER",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_account_unfreeze,
     .summary = "the reverse",
     .options = {&why_option, &key_option, &actor_option}},
    {.noun = "account",
     .name = "close",
     .arguments = "NUMBER",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_account_close,
     .summary = "close an empty account for good",
     .options = {&why_option, &key_option, &actor_option}},
    {.noun = "account",
     .name = "check",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_account_check,
     .summary = "add all postings of the log up and compare",
     .details = "Exit status 5 where something differs; the first difference is named. Where "
                "repairs took records, notes tell which reversals take back what is not in force, "
                "and which accounts stand below their minimum."},

    {.noun = "rate",
     .name = "set",
     .arguments = "PAIR NAME=VALUE…",
     .required = 2,
     .at_most = CLI_MANY,
     .access = ACCESS_WRITE,
     .run = cmd_reference_set,
     .summary = "enter an exchange rate, PAIR such as USD_to_EUR",
     .details = "wfctl rate set USD_to_EUR rate=0.90 source=ECB band=1.5 max_age=24h\nFields: "
                "rate; source; time (RFC 3339, default now); max_age (default 24h); band: how many "
                "percent a\nquoted rate may be off (default 0).",
     .options = {&key_option, &actor_option}},
    {.noun = "rate",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_reference_list,
     .summary = "all that were entered"},

    {.noun = "instrument",
     .name = "set",
     .arguments = "NAME NAME=VALUE…",
     .required = 2,
     .at_most = CLI_MANY,
     .access = ACCESS_WRITE,
     .run = cmd_reference_set,
     .summary = "enter an instrument that can be bought",
     .details = "wfctl instrument set ACME currency=USD calendar=NYSE\nFields: currency; calendar "
                "(the name of one); status (available, suspended). A purchase that names "
                "no\ninstrument is one of MARKET.",
     .options = {&key_option, &actor_option}},
    {.noun = "instrument",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_reference_list,
     .summary = "all that were entered"},

    {.noun = "calendar",
     .name = "set",
     .arguments = "NAME NAME=VALUE…",
     .required = 2,
     .at_most = CLI_MANY,
     .access = ACCESS_WRITE,
     .run = cmd_reference_set,
     .summary = "enter a market's hours, in UTC",
     .details =
         "wfctl calendar set NYSE open=14:30 close=21:00 holidays=2026-12-25,2027-01-01\nFields: "
         "open; close; days (default mon,tue,wed,thu,fri); holidays. All of it is in UTC.",
     .options = {&key_option, &actor_option}},
    {.noun = "calendar",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_reference_list,
     .summary = "all that were entered"},

    {.noun = "fee_rule",
     .name = "set",
     .arguments = "NAME NAME=VALUE…",
     .required = 2,
     .at_most = CLI_MANY,
     .access = ACCESS_WRITE,
     .run = cmd_reference_set,
     .summary = "enter what a fee may be",
     .details = "wfctl fee_rule set service_fee currency=USD minimum=1.00 maximum=50.00\nFields: "
                "currency; minimum (default 0); maximum. A fee that names no rule falls under "
                "service_fee.",
     .options = {&key_option, &actor_option}},
    {.noun = "fee_rule",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_reference_list,
     .summary = "all that were entered"},
    {.noun = NULL},
};
