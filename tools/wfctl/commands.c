/* The table of everything wfctl can do. */
#include "tools/wfctl/cli.h"

static const struct option_spec dir_option = {
    "dir", 'd', "DIR", "the store's folder (default: $WF_DIR, then ./wf-data)", false};
static const struct option_spec output_option = {"output", 'o', "MODE",
                                                 "text, json or jsonl (default: text)", false};
static const struct option_spec help_option = {"help", 'h', NULL, "help on the command", false};
static const struct option_spec version_option = {"version", 'V', NULL, "wfctl's version", false};
const struct option_spec *const cli_global_options[] = {&dir_option, &output_option, &help_option,
                                                        &version_option, NULL};

static const struct option_spec test_clock_option = {
    "test-clock", 0, "TIME",
    "give the store a clock of its own that stands at TIME until it is advanced", false};
static const struct option_spec id_option = {"id", 'i', "ID", "the new workflow's id", true};
static const struct option_spec key_option = {
    "key", 'k', "KEY", "idempotency key: the same command again answers as the first time", false};
static const struct option_spec actor_option = {"actor", 'a', "ACTOR",
                                                "who asks; kept in the history", false};
static const struct option_spec reason_option = {"reason", 'r', "REASON",
                                                 "why; kept in the history", true};
static const struct option_spec asker_option = {"actor", 'a', "ACTOR",
                                                "who asks, or decides; kept in the history", true};
static const struct option_spec role_option = {"role", 0, "ROLE", "in which the actor decides",
                                               true};
static const struct option_spec to_option = {"to", 0, "STAGE", "the stage to go back to", true};
static const struct option_spec dry_run_option = {
    "dry-run", 0, NULL, "say what would be undone, and write nothing", false};
static const struct option_spec rollback_option = {
    "rollback", 0, NULL, "undo all stages first, the latest first, each by its strategy", false};
static const struct option_spec verdict_reason_option = {"reason", 'r', "REASON",
                                                         "why; kept in the history", false};
static const struct option_spec attempt_option = {
    "attempt", 0, "N", "the stage's attempt that this belongs to; one that is over is refused",
    false};
static const struct option_spec ops_option = {
    "ops", 0, "FILE", "operations on accounts that go with the stage (JSON); \"-\" is stdin",
    false};
static const struct option_spec def_version_option = {
    "def-version", 0, "N", "version of the definition (default: the newest)", false};
static const struct option_spec as_of_option = {
    "as-of", 0, "LSN|TIME",
    "as it was after this record, or at this time (RFC 3339; one to come is now)", false};
static const struct option_spec status_option = {
    "status", 's', "STATUS", "only workflows of this status (running, completed, …)", false};
static const struct option_spec stage_option = {"stage", 0, "STAGE",
                                                "only workflows that stand at this stage", false};
static const struct option_spec type_option = {"type", 't', "TYPE", "only workflows of this type",
                                               false};
static const struct option_spec where_option = {"where", 'w', "NAME=VALUE",
                                                "only workflows whose data has this value", false};
static const struct option_spec limit_option = {"limit", 'n', "N", "at most N workflows", false};
static const struct option_spec after_option = {"after", 0, "ID",
                                                "only ids that sort after this one", false};
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
static const struct option_spec from_option = {"from", 0, "LSN",
                                               "the first record (default: the oldest)", false};
static const struct option_spec until_option = {
    "until", 0, "LSN|TIME", "the last record, or a time (RFC 3339) (default: the newest)", false};
static const struct option_spec to_version_option = {
    "to", 0, "VERSION", "the version of its type to go on under", true};
static const struct option_spec map_option = {
    "map", 'm', "OLD=NEW", "what a stage or step is called there; more OLD=NEW may follow", false};
static const struct option_spec workflow_option = {"workflow", 'w', "ID",
                                                   "only what concerns this workflow", false};
static const struct option_spec verify_option = {
    "verify", 0, NULL,
    "rebuild the state from the first record and compare it with the one that is kept", false};
static const struct option_spec skip_option = {
    "skip", 0, "LSN", "also drop this record, which reads well but cannot be understood", false};
static const struct option_spec repair_plan_option = {
    "dry-run", 0, NULL, "say what would be lost, and write nothing", false};
static const struct option_spec create_option = {"create", 'c', NULL,
                                                 "make the store where there is none", false};

static const struct option_spec entity_option = {
    "entity", 'e', "ID", "only what is about this workflow, definition, …", false};
static const struct option_spec by_actor_option = {"actor", 'a', "ACTOR",
                                                   "only what ACTOR asked for", false};
static const struct option_spec event_option = {
    "event", 0, "EVENT", "only events of this kind (stage_activated, command_refused, …)", false};
static const struct option_spec audit_from_option = {"from", 0, "LSN|TIME",
                                                     "the first record, or its time", false};
static const struct option_spec audit_to_option = {"to", 0, "LSN|TIME",
                                                   "the last record, or its time", false};
static const struct option_spec against_option = {
    "against", 0, "ROOT-FILE", "a root that was kept: is the trail still the one it stands for?",
    false};
static const struct option_spec public_option = {
    "public", 0, "KEY", "the root must be signed by the owner of this public key (Ed25519, PEM)",
    false};
static const struct option_spec sign_option = {
    "sign", 0, "KEY", "sign the root with this private key (Ed25519, PEM)", false};
static const struct option_spec at_option = {"at", 0, "LSN",
                                             "as of this record (default: the newest)", false};
static const struct option_spec consistency_option = {
    "consistency", 0, "ROOT-FILE", "prove that the log begins as it was when that root was made",
    false};
static const struct option_spec root_option = {
    "root", 0, "ROOT", "the root that you trust: a file that audit root wrote, or its hex", true};
static const struct option_spec point_option = {
    "at", 0, "POINT:N", "die when the point is passed for the N-th time", false};
static const struct option_spec sweep_option = {
    "sweep", 0, NULL, "die at every point, each time in the middle of the work", false};
static const struct option_spec exec_option = {
    "exec", 0, "FILE", "commands as exec takes them, for a copy of DIR; \"-\" is stdin", false};
static const struct option_spec crash_at_option = {
    "crash-at", 0, "POINT:N", "kill this process when it passes the point for the N-th time",
    false};
static const struct option_spec compensate_option = {
    "compensate", 0, NULL, "the stage's compensation, not its handler", false};
static const struct option_spec once_option = {"once", 0, NULL, "one task, if one is due", false};
static const struct option_spec until_idle_option = {"until-idle", 0, NULL, "until none is due",
                                                     false};
static const struct option_spec concurrency_option = {"concurrency", 'j', "N",
                                                      "so many at a time (default: 1)", false};

static const struct option_spec keep_segments_option = {
    "keep-segments", 0, "N", "archive what is beyond the N newest segments", false};
static const struct option_spec older_than_option = {
    "older-than", 0, "DURATION", "archive segments whose newest record is older", false};
static const struct option_spec max_bytes_option = {
    "max-bytes", 0, "N", "archive the oldest until no more bytes of log are left", false};
static const struct option_spec before_option = {"before", 0, "LSN|TIME",
                                                 "drop the archives that end before this", true};
static const struct option_spec seal_option = {
    "seal", 0, NULL, "seal the open segment first, so that it can go too", false};
static const struct option_spec threads_option = {
    "threads", 0, "N", "how many compress (default: one for each processor)", false};

const struct noun cli_nouns[] = {
    {"init", "make a store"},
    {"status", "how the store is"},
    {"doctor", "check everything, and say what to do"},
    {"def", "workflow definitions"},
    {"workflow", "loan applications, and any other workflow"},
    {"review", "what waits for a person's decision"},
    {"task", "what handlers have to do"},
    {"worker", "run handlers"},
    {"account", "accounts and the money on them"},
    {"rate", "exchange rates"},
    {"instrument", "what can be bought"},
    {"calendar", "hours of markets"},
    {"fee_rule", "what fees may be"},
    {"clock", "the store's clock"},
    {"replay", "print the log's records, or prove them"},
    {"wal", "the log itself"},
    {"snapshot", "snapshots of the state"},
    {"audit", "the audit trail, and proofs that nobody changed it"},
    {"archive", "old segments, compressed and still readable"},
    {"exec", "a stream of commands, one JSON object a line"},
    {"crash", "kill a process at a named instant, and see its workflows survive"},
    {"backup", "copy the store while it runs"},
    {"restore", "make the store from a copy"},
    {"metrics", "counters for Prometheus"},
    {"help", "help on a command"},
    {NULL, NULL},
};

const struct verb cli_verbs[] = {
    {.noun = "init",
     .arguments = "",
     .run = cmd_init,
     .summary = "make a store in DIR, with the shipped definitions",
     .details =
         "Where DIR is a store already nothing changes. A folder of something else is refused, and "
         "so are\n"
         "the remains of a store whose log is gone (exit 4).\n"
         "TIME is RFC 3339, such as 2026-01-01T00:00:00Z.",
     .options = {&test_clock_option}},
    {.noun = "status",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_status,
     .summary = "what is durable, what opening had to do, counts"},
    {.noun = "doctor",
     .arguments = "",
     .run = cmd_doctor,
     .summary = "check everything that can be checked, in words",
     .details = "Reads only. Checks the owner, the log, the snapshot, the state, the space on the "
                "disk and "
                "what repairs left."},

    {.noun = "def",
     .name = "add",
     .arguments = "FILE",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_def_add,
     .summary = "add a definition (YAML); \"-\" is stdin",
     .options = {&key_option, &actor_option}},
    {.noun = "def",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_def_list,
     .summary = "all definitions and their versions"},
    {.noun = "def",
     .name = "show",
     .arguments = "NAME",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_READ,
     .run = cmd_def_show,
     .summary = "a definition as it was added",
     .options = {&def_version_option}},
    {.noun = "def",
     .name = "diff",
     .arguments = "NAME VERSION VERSION|FILE",
     .required = 3,
     .at_most = 3,
     .access = ACCESS_READ,
     .run = cmd_def_diff,
     .summary = "what differs between two versions, or a version and a file",
     .details = "wfctl def diff loan_application 1 2"},
    {.noun = "def",
     .name = "validate",
     .arguments = "FILE",
     .required = 1,
     .at_most = 1,
     .run = cmd_def_validate,
     .summary = "check a definition without a store",
     .details = "Errors name line and column."},

    {.noun = "workflow",
     .name = "start",
     .arguments = "TYPE [NAME=VALUE…]",
     .required = 1,
     .at_most = CLI_MANY,
     .access = ACCESS_WRITE,
     .run = cmd_workflow_start,
     .summary = "start a workflow",
     .details = "wfctl workflow start loan_application --id L1 applicant=Ann",
     .options = {&id_option, &def_version_option, &key_option, &actor_option}},
    {.noun = "workflow",
     .name = "submit",
     .arguments = "ID STEP [NAME=VALUE…]",
     .required = 2,
     .at_most = CLI_MANY,
     .access = ACCESS_WRITE,
     .run = cmd_workflow_submit,
     .summary = "submit a step with its fields",
     .details = "wfctl workflow submit L1 credit_bureau_response credit_score=750 history=clean\n"
                "wfctl workflow submit L1 final_decision approved=yes --ops disbursement.json\n"
                "With --ops the stage that the step completes and the operations (as account "
                "transact\ntakes them) are one record: both, or neither. Undoing the stage moves "
                "the money back.",
     .options = {&ops_option, &attempt_option, &key_option, &actor_option}},
    {.noun = "workflow",
     .name = "show",
     .arguments = "ID",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_READ,
     .run = cmd_workflow_show,
     .summary = "where a workflow stands",
     .options = {&as_of_option}},
    {.noun = "workflow",
     .name = "history",
     .arguments = "ID",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_READ,
     .run = cmd_workflow_history,
     .summary = "everything that happened to a workflow"},
    {.noun = "workflow",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_workflow_list,
     .summary = "workflows in order of id",
     .options = {&status_option, &stage_option, &type_option, &where_option, &limit_option,
                 &after_option}},
    {.noun = "workflow",
     .name = "fail",
     .arguments = "ID STAGE",
     .required = 2,
     .at_most = 2,
     .access = ACCESS_WRITE,
     .run = cmd_workflow_fail,
     .summary = "an external verdict: the stage failed; its strategy is followed",
     .options = {&reason_option, &attempt_option, &key_option, &actor_option}},
    {.noun = "workflow",
     .name = "cancel",
     .arguments = "ID",
     .required = 1,
     .at_most = 1,
     .run = cmd_workflow_cancel,
     .summary = "end a workflow where it stands",
     .options = {&reason_option, &rollback_option, &dry_run_option, &key_option, &actor_option}},
    {.noun = "workflow",
     .name = "rollback",
     .arguments = "ID",
     .required = 1,
     .at_most = 1,
     .run = cmd_workflow_rollback,
     .summary = "go back to a stage; nothing is erased",
     .details =
         "Undoes what was completed or became active after the stage, the latest first, then the\n"
         "stage itself, which becomes active again. Each is undone by its own strategy; where a\n"
         "person must agree the rollback waits (see wfctl review).\n"
         "wfctl workflow rollback L1 --to credit_check --reason 'wrong file' --actor Eve",
     .options = {&to_option, &reason_option, &asker_option, &dry_run_option, &key_option}},

    {.noun = "review",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_review_list,
     .summary = "what waits for a decision, and for whose",
     .options = {&after_option}},
    {.noun = "review",
     .name = "approve",
     .arguments = "ID STAGE",
     .required = 2,
     .at_most = 2,
     .access = ACCESS_WRITE,
     .run = cmd_review_approve,
     .summary = "carry on what is proposed: undo the stage, or open it again",
     .options = {&asker_option, &role_option, &verdict_reason_option, &attempt_option,
                 &key_option}},
    {.noun = "review",
     .name = "reject",
     .arguments = "ID STAGE",
     .required = 2,
     .at_most = 2,
     .access = ACCESS_WRITE,
     .run = cmd_review_reject,
     .summary = "stop the rollback; where the stage failed or timed out, fail the workflow",
     .options = {&asker_option, &role_option, &verdict_reason_option, &attempt_option,
                 &key_option}},

    {.noun = "workflow",
     .name = "migrate",
     .arguments = "ID [OLD=NEW…]",
     .required = 1,
     .at_most = CLI_MANY,
     .run = cmd_workflow_migrate,
     .summary = "go on under another version of its definition",
     .details =
         "wfctl workflow migrate L1 --to 2 --map credit_check=credit_rating\n"
         "Stages and steps keep their names unless they are mapped. Refused, with the "
         "reason, where what\nhappened has no place in the version. --dry-run works beside a "
         "live owner.",
     .options = {&to_version_option, &map_option, &dry_run_option, &key_option, &actor_option}},

    {.noun = "task",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_task_list,
     .summary = "handlers and compensations that are due, claimed or parked",
     .options = {&after_option}},
    {.noun = "task",
     .name = "retry",
     .arguments = "ID STAGE",
     .required = 2,
     .at_most = 2,
     .access = ACCESS_WRITE,
     .run = cmd_task_retry,
     .summary = "a parked task is due again, with all its attempts",
     .options = {&compensate_option, &key_option, &actor_option}},
    {.noun = "worker",
     .arguments = "",
     .run = cmd_worker,
     .summary = "run the handlers of stages, and compensations, as they become due",
     .details = "Owns the store meanwhile. A program gets its task as JSON on stdin and answers "
                "with\n{\"fields\":{...}} on stdout; another exit status than 0 is a failed "
                "attempt.\n"
                "SIGINT or SIGTERM ends it in order: the tasks at hand are finished, and the exit "
                "status is 0.",
     .options = {&once_option, &until_idle_option, &concurrency_option}},
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
     .details = "Exit status 5 where something differs; the first difference is named."},

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

    {.noun = "clock",
     .name = "show",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_clock_show,
     .summary = "what time it is for the store"},
    {.noun = "clock",
     .name = "advance",
     .arguments = "DURATION",
     .required = 1,
     .at_most = 1,
     .access = ACCESS_WRITE,
     .run = cmd_clock_advance,
     .summary = "move a test clock forward",
     .details =
         "DURATION is 30s, 5m, 2h, 30d, 1h30m and the like. Every deadline on the way fires, in "
         "order.",
     .options = {&key_option, &actor_option}},
    {.noun = "clock",
     .name = "tick",
     .arguments = "",
     .access = ACCESS_WRITE,
     .run = cmd_clock_tick,
     .summary = "fire the timers whose deadline has passed"},

    {.noun = "replay",
     .arguments = "[FILE]",
     .at_most = 1,
     .run = cmd_replay,
     .summary = "print the records, or prove them with --verify",
     .details = "Writes nothing. Works on the store of a live process, of a killed one, and on one "
                "segment "
                "FILE without its store.",
     .options = {&from_option, &until_option, &workflow_option, &verify_option}},

    {.noun = "wal",
     .name = "status",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_wal_status,
     .summary = "the log's segments"},
    {.noun = "wal",
     .name = "dump",
     .arguments = "[FILE]",
     .at_most = 1,
     .run = cmd_wal_dump,
     .summary = "a line for each record of the log or of one segment FILE",
     .options = {&from_option, &until_option}},
    {.noun = "wal",
     .name = "verify",
     .arguments = "",
     .run = cmd_wal_verify,
     .summary = "check every byte; damage is named with its place",
     .details = "Reads only; works beside a live owner and on a store that does not open. Exit "
                "status 4 on "
                "damage."},
    {.noun = "wal",
     .name = "repair",
     .arguments = "",
     .run = cmd_wal_repair,
     .summary = "make a damaged log usable, telling every loss",
     .details =
         "Damaged files are copied aside first. What was lost is recorded in the log.\n"
         "What rests on a lost record leaves the state with it: with a definition, or a start,\n"
         "the workflows built on it. --dry-run says beforehand what that would be; the repair "
         "says\n"
         "it again, and so does its record. A backup has more.\n"
         "A manifest of the archives that is damaged or lost is made anew from them. Exit status 4 "
         "where\n"
         "something must be put back from a backup: an archive, or the state that stands for "
         "dropped records.",
     .options = {&skip_option, &repair_plan_option}},

    {.noun = "snapshot",
     .name = "create",
     .arguments = "",
     .access = ACCESS_WRITE,
     .run = cmd_snapshot_create,
     .summary = "write a snapshot now"},
    {.noun = "snapshot",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_snapshot_list,
     .summary = "the snapshots that are kept"},
    {.noun = "snapshot",
     .name = "verify",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_snapshot_verify,
     .summary = "read and check every value of the snapshot"},

    {.noun = "audit",
     .name = "show",
     .arguments = "",
     .csv = true,
     .run = cmd_audit_show,
     .summary = "every event, or those that all filters let through",
     .details = "-o csv is possible here. A TIME is RFC 3339, such as 2026-01-01T00:00:00Z.",
     .options = {&entity_option, &by_actor_option, &event_option, &audit_from_option,
                 &audit_to_option}},
    {.noun = "audit",
     .name = "verify",
     .arguments = "",
     .run = cmd_audit_verify,
     .summary = "check every byte of the trail; the first bad record is named",
     .details =
         "Reads only; works beside a live owner and on a store that does not open. Exit "
         "status 4 where\nanything was changed. What was rewritten with new checksums, or cut "
         "off at the end, only a root\nthat was kept elsewhere can show: --against.",
     .options = {&against_option, &public_option}},
    {.noun = "audit",
     .name = "root",
     .arguments = "",
     .run = cmd_audit_root,
     .summary = "the Merkle root of all records: keep it elsewhere",
     .details =
         "With -o json the output is the file that --against, --consistency and --root take.",
     .options = {&at_option, &sign_option}},
    {.noun = "audit",
     .name = "prove",
     .arguments = "[LSN]",
     .at_most = 1,
     .run = cmd_audit_prove,
     .summary = "a proof, as JSON: of one record, or that the past was not rewritten",
     .options = {&at_option, &consistency_option}},
    {.noun = "audit",
     .name = "check",
     .arguments = "PROOF-FILE",
     .required = 1,
     .at_most = 1,
     .run = cmd_audit_check,
     .summary = "does the proof hold against a root? Needs no store",
     .details = "Exit status 4 where it does not.",
     .options = {&root_option, &public_option}},

    {.noun = "archive",
     .name = "run",
     .arguments = "",
     .access = ACCESS_WRITE,
     .run = cmd_archive_run,
     .summary = "compress old segments; everything that reads them goes on as before",
     .details = "Writes a snapshot first: only sealed segments behind one are archived, and the "
                "newest stays.\n"
                "With several limits a segment goes that is beyond any of them; without one, all "
                "go that can.\n"
                "A crash at any instant leaves the segment or its verified archive; run it again.",
     .options = {&keep_segments_option, &older_than_option, &max_bytes_option, &seal_option,
                 &threads_option}},
    {.noun = "archive",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_archive_list,
     .summary = "the archives, with LSNs, times and sizes"},
    {.noun = "archive",
     .name = "verify",
     .arguments = "",
     .run = cmd_archive_verify,
     .summary = "decompress and check every archive",
     .details = "Exit status 4 on damage; wal verify and audit verify check the archives too."},
    {.noun = "archive",
     .name = "drop",
     .arguments = "",
     .access = ACCESS_WRITE,
     .run = cmd_archive_drop,
     .summary = "drop the oldest archives for good; the rest stays provable",
     .details =
         "A record says which, by whom and why, and is durable before anything goes.\n"
         "What is gone is known to be gone: history, replay and audit show say so. Roots and "
         "proofs of what remains hold as before; a root that was kept must be of at least as "
         "many records as were dropped.\n"
         "replay --verify begins with the state that stands for the dropped records, and "
         "checks that it is the one that the record names.",
     .options = {&before_option, &reason_option, &asker_option, &key_option}},

    {.noun = "exec",
     .arguments = "",
     .run = cmd_exec,
     .summary = "answer commands from stdin, each once it is durable",
     .details =
         "One JSON object a line, one answer a line, in order; what is waiting is committed as a "
         "group:\n"
         "  "
         "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L1\",\"data\":{"
         "\"applicant\":\"Ann\"}}\n"
         "  "
         "{\"cmd\":\"workflow.submit\",\"id\":\"L1\",\"step\":\"S\",\"data\":{\"k\":\"v\"},\"key\":"
         "\"k-"
         "17\",\"tag\":\"any\"}\n"
         "Commands, with their members in wfctl(1):\n"
         "  workflow.start|submit|fail|cancel|rollback|migrate|show|history|list\n"
         "  task.claim|complete|fail|retry|list\n"
         "  review.list|approve|reject\n"
         "  account.open|transact|reverse|show|list|statement|history|freeze|unfreeze|close|check\n"
         "  session.pool|open|begin|execute|show|list|count|savepoint|rollback_to|release|commit|"
         "rollback|close|stats\n"
         "  rate|instrument|calendar|fee_rule.set|list\n"
         "  def.add|list|show|diff\n"
         "  clock.show|advance|tick\n"
         "  status, snapshot.create, archive.drop\n"
         "\"key\" is the idempotency key, \"tag\" is echoed. A bad line gets an error answer.\n"
         "Exit status: 0 at the end of the input, whatever the answers say; 130 or 143 where "
         "SIGINT\n"
         "or SIGTERM stopped it: what was answered is durable, no line after that was executed. 7 "
         "where\n"
         "the disk was full to the end, or the store halted.",
     .options = {&create_option, &crash_at_option}},
    {.noun = "crash",
     .name = "points",
     .arguments = "",
     .run = cmd_crash_points,
     .summary = "the named instants at which a process can be killed"},
    {.noun = "crash",
     .name = "run",
     .arguments = "",
     .run = cmd_crash_run,
     .summary = "kill a child at a point, open its store again, and check everything",
     .details =
         "The child works on loan applications in a store of its own, or on the commands of FILE "
         "in a\n"
         "copy of DIR, and kills itself with SIGKILL. Then all that was acknowledged must be "
         "there, "
         "replay\n"
         "must come to the same state, and new commands must work. A kill without a workflow in "
         "flight\n"
         "fails too: it would prove nothing. Exit status 1 where something failed; its store is "
         "kept.",
     .options = {&point_option, &sweep_option, &exec_option}},
    {.noun = "backup",
     .arguments = "DIR2",
     .required = 1,
     .at_most = 1,
     .run = cmd_backup,
     .summary = "a consistent, verified copy in DIR2, which must not exist",
     .details =
         "Works while another process owns and writes the store. DIR2 must not be inside the "
         "store.\nIt is made as DIR2.partial, which is taken away where it fails; what a "
         "backup that\nwas killed left there, the next one removes."},
    {.noun = "restore",
     .arguments = "FROM",
     .required = 1,
     .at_most = 1,
     .run = cmd_restore,
     .summary = "make DIR a verified copy of the store or backup FROM",
     .details = "DIR must not exist, or be empty: wfctl -d NEW restore FROM."},
    {.noun = "metrics",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_metrics,
     .summary = "counters in the Prometheus text format"},
    {.noun = "help",
     .arguments = "[NOUN [VERB]]",
     .at_most = 2,
     .run = cmd_help,
     .summary = "help on everything, a noun or a verb"},
    /* No noun of the list above: for the shell's completion only. */
    {.noun = "complete",
     .arguments = "[WORD…]",
     .at_most = CLI_MANY,
     .run = cmd_complete,
     .summary = "what the last of the words may become, one a line"},
    {.noun = NULL},
};
