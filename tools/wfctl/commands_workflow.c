/* Workflows: definitions, their instances, reviews, tasks. */
#include "tools/wfctl/commands.h"

static const struct option_spec id_option = {"id", 'i', "ID", "the new workflow's id", true};
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
static const struct option_spec to_version_option = {
    "to", 0, "VERSION", "the version of its type to go on under", true};
static const struct option_spec map_option = {
    "map", 'm', "OLD=NEW", "what a stage or step is called there; more OLD=NEW may follow", false};
static const struct option_spec compensate_option = {
    "compensate", 0, NULL, "the stage's compensation, not its handler", false};
static const struct option_spec once_option = {"once", 0, NULL, "one task, if one is due", false};
static const struct option_spec until_idle_option = {"until-idle", 0, NULL, "until none is due",
                                                     false};
static const struct option_spec concurrency_option = {"concurrency", 'j', "N",
                                                      "so many at a time (default: 1)", false};

const struct verb commands_workflow[] = {
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
    {.noun = NULL},
};
