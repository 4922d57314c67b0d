/* wfctl's commands as data, and one invocation of one. From the table here come parsing, usage
 * errors, help and completion. */
#ifndef WFCTL_CLI_H
#define WFCTL_CLI_H

#include "engine/wf.h"
#include "tools/wfctl/out.h"

enum { CLI_OPTIONS_MAX = 10, CLI_MANY = 255 };

struct option_spec {
    const char *name;  /* without the dashes */
    char letter;       /* short form; 0: none */
    const char *value; /* what the value is called; NULL: a switch */
    const char *help;
    bool required;
};

/* What of the store is opened before the command runs, and closed after it. */
enum access {
    ACCESS_NONE,
    ACCESS_READ,  /* works beside a live owner, writes nothing */
    ACCESS_WRITE, /* owns the store meanwhile */
};

struct cli;
struct crash_watch;

struct verb {
    const char *noun;
    const char *name;           /* NULL: the noun is all of it */
    const char *arguments;      /* as the synopsis shows them; "" for none */
    unsigned required, at_most; /* arguments; CLI_MANY: no limit */
    enum access access;
    bool csv;                               /* "-o csv" is possible */
    enum wf_status (*run)(struct cli *cli); /* a failure leaves its words in cli->err */
    const char *summary;
    const char *details;                                /* more help, or NULL */
    const struct option_spec *options[CLI_OPTIONS_MAX]; /* NULL after the last */
};

struct noun {
    const char *name;
    const char *summary;
};

extern const struct noun cli_nouns[]; /* name NULL after the last */
/* A noun's verbs, one after the other: begin with NULL; NULL after the last, or where there is no
 * such noun. */
const struct verb *cli_verb_next(const char *noun, const struct verb *verb);
extern const struct option_spec *const cli_global_options[]; /* NULL after the last */

/* One invocation. Strings are those of main(). */
struct cli {
    const char *dir;
    struct out out;
    const struct verb *verb;
    const char
        *values[CLI_OPTIONS_MAX]; /* by index of verb->options; NULL: not given; "" for a switch */
    char **arguments;
    size_t argument_count;
    bool help, version;                /* asked for instead of a command */
    const char *help_noun, *help_verb; /* what is known of what help was asked for; may be NULL */
    struct wf_engine *engine;
    struct crash_watch *watch; /* dies at a named instant, see crash.h; NULL: nobody is watching */
    struct wf_error err;
    bool usage_hint; /* the failure is one of the command line: point to the help */
    bool reported;   /* the command told its failure itself */
    int stop_signal; /* ended the command before its time, in order; 0: none did */
};

/* Fill `cli` from the command line; `argv` is reordered. WF_USAGE: cli->err says why. */
enum wf_status cli_parse(struct cli *cli, int argc, char **argv);

/* Fail with WF_USAGE and a pointer to the help. */
enum wf_status cli_usage(struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The value of the option, NULL where it was not given. `name` is one of cli->verb's. */
const char *cli_option(const struct cli *cli, const char *name);
bool cli_switch(const struct cli *cli, const char *name);
/* A number; keeps `*value` where the option is not given. */
enum wf_status cli_option_uint(struct cli *cli, const char *name, uint64_t *value);
/* An LSN or an RFC 3339 time, as it was given; what is not given is kept. */
enum wf_status cli_option_place(struct cli *cli, const char *name, uint64_t *lsn, int64_t *time_ms);
/* A place in the log: an LSN, or an RFC 3339 time, which is that of the last record at or before
 * it. The store is open. `*lsn` is kept where the option is not given. */
enum wf_status cli_option_lsn(struct cli *cli, const char *name, uint64_t *lsn);
/* NAME=VALUE arguments from index `first` on, split in place. `fields` has room for WF_FIELDS_MAX.
 */
enum wf_status cli_fields(struct cli *cli, size_t first, struct wf_field *fields, size_t *count);
/* Cut NAME=VALUE in two, in place. False: there is no "=" or no name. */
bool cli_split(char *text, struct wf_field *field);

/* --attempt N; keeps `*attempt` where it is not given. */
enum wf_status cli_option_attempt(struct cli *cli, uint32_t *attempt);
/* Execute the command with the options --key and --actor, and tell what it came to. In
 * cmd_workflow.c. */
enum wf_status cli_execute(struct cli *cli, struct wf_command *command);

const struct noun *cli_noun_find(const char *name);
/* `name` NULL: the noun on its own. */
const struct verb *cli_verb_find(const char *noun, const char *name);

/* --- help, in help.c --- */

/* Help on everything, on a noun or on a verb. WF_USAGE where there is no such thing. */
enum wf_status help_show(struct cli *cli, const char *noun, const char *verb);
enum wf_status help_version(struct cli *cli);

/* --- the commands, each in cmd_<noun>.c --- */

enum wf_status cmd_init(struct cli *cli);
enum wf_status cmd_status(struct cli *cli);
enum wf_status cmd_doctor(struct cli *cli);
enum wf_status cmd_def_add(struct cli *cli);
enum wf_status cmd_def_list(struct cli *cli);
enum wf_status cmd_def_show(struct cli *cli);
enum wf_status cmd_def_diff(struct cli *cli);
enum wf_status cmd_def_validate(struct cli *cli);
enum wf_status cmd_workflow_start(struct cli *cli);
enum wf_status cmd_workflow_submit(struct cli *cli);
enum wf_status cmd_workflow_show(struct cli *cli);
enum wf_status cmd_workflow_history(struct cli *cli);
enum wf_status cmd_workflow_list(struct cli *cli);
enum wf_status cmd_workflow_fail(struct cli *cli);
enum wf_status cmd_workflow_migrate(struct cli *cli);
enum wf_status cmd_workflow_cancel(struct cli *cli);
enum wf_status cmd_workflow_rollback(struct cli *cli);
enum wf_status cmd_review_list(struct cli *cli);
enum wf_status cmd_review_approve(struct cli *cli);
enum wf_status cmd_review_reject(struct cli *cli);
enum wf_status cmd_task_list(struct cli *cli);
enum wf_status cmd_task_retry(struct cli *cli);
enum wf_status cmd_worker(struct cli *cli);
enum wf_status cmd_account_open(struct cli *cli);
enum wf_status cmd_account_transact(struct cli *cli);
enum wf_status cmd_account_show(struct cli *cli);
enum wf_status cmd_account_list(struct cli *cli);
enum wf_status cmd_account_statement(struct cli *cli);
enum wf_status cmd_account_history(struct cli *cli);
enum wf_status cmd_account_freeze(struct cli *cli);
enum wf_status cmd_account_unfreeze(struct cli *cli);
enum wf_status cmd_account_close(struct cli *cli);
enum wf_status cmd_account_reverse(struct cli *cli);
enum wf_status cmd_account_check(struct cli *cli);
enum wf_status cmd_reference_set(struct cli *cli); /* of the noun's kind: rate, … */
enum wf_status cmd_reference_list(struct cli *cli);
enum wf_status cmd_clock_show(struct cli *cli);
enum wf_status cmd_clock_advance(struct cli *cli);
enum wf_status cmd_clock_tick(struct cli *cli);
enum wf_status cmd_replay(struct cli *cli);
enum wf_status cmd_wal_status(struct cli *cli);
enum wf_status cmd_wal_dump(struct cli *cli);
enum wf_status cmd_wal_verify(struct cli *cli);
enum wf_status cmd_wal_repair(struct cli *cli);
enum wf_status cmd_snapshot_create(struct cli *cli);
enum wf_status cmd_snapshot_list(struct cli *cli);
enum wf_status cmd_snapshot_verify(struct cli *cli);
enum wf_status cmd_exec(struct cli *cli);
/* The stream itself, on a store that is open. */
enum wf_status exec_stream(struct cli *cli);
enum wf_status cmd_crash_points(struct cli *cli);
enum wf_status cmd_crash_run(struct cli *cli);
enum wf_status cmd_backup(struct cli *cli);
enum wf_status cmd_restore(struct cli *cli);
enum wf_status cmd_audit_show(struct cli *cli);
enum wf_status cmd_audit_verify(struct cli *cli);
enum wf_status cmd_audit_root(struct cli *cli);
enum wf_status cmd_audit_prove(struct cli *cli);
enum wf_status cmd_audit_check(struct cli *cli);
enum wf_status cmd_archive_run(struct cli *cli);
enum wf_status cmd_archive_list(struct cli *cli);
enum wf_status cmd_archive_verify(struct cli *cli);
enum wf_status cmd_archive_drop(struct cli *cli);
enum wf_status cmd_metrics(struct cli *cli);
enum wf_status cmd_help(struct cli *cli);
enum wf_status cmd_complete(struct cli *cli);

#endif
