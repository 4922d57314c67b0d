/* The store itself: made, looked at, checked, copied, fed and crashed. */
#include "tools/wfctl/commands.h"

static const struct option_spec test_clock_option = {
    "test-clock", 0, "TIME",
    "give the store a clock of its own that stands at TIME until it is advanced", false};
static const struct option_spec from_option = {"from", 0, "LSN",
                                               "the first record (default: the oldest)", false};
static const struct option_spec until_option = {
    "until", 0, "LSN|TIME", "the last record, or a time (RFC 3339) (default: the newest)", false};
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
static const struct option_spec point_option = {
    "at", 0, "POINT:N", "die when the point is passed for the N-th time", false};
static const struct option_spec sweep_option = {
    "sweep", 0, NULL, "die at every point, each time in the middle of the work", false};
static const struct option_spec exec_option = {
    "exec", 0, "FILE", "commands as exec takes them, for a copy of DIR; \"-\" is stdin", false};
static const struct option_spec crash_at_option = {
    "crash-at", 0, "POINT:N", "kill this process when it passes the point for the N-th time",
    false};

const struct verb commands_store[] = {
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
                "what repairs left; where they took records, all accounts too."},

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
    {.noun = NULL},
};
