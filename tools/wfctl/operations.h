/* Operations on accounts from JSON: what account.transact takes, from a file or from exec. */
#ifndef WFCTL_OPERATIONS_H
#define WFCTL_OPERATIONS_H

#include "engine/wf.h"

struct json_t;

/* Strings are those of the JSON. Reuse it for many. */
struct operations {
    struct wf_operation list[WF_OPERATIONS_MAX];
    size_t count;
    const char *rules[WF_OPERATIONS_MAX * 4]; /* of all of them */
    size_t rule_count;
};

/* `json`: an array of objects with the members of struct wf_operation: type, from, to, amount,
 * currency, rules, rate, instrument, fee_rule, hold, expires_in ("30m"), account, account_type,
 * minimum, reason. None of them is empty. WF_USAGE: names the operation and the member. */
enum wf_status operations_read(struct operations *operations, const struct json_t *json,
                               struct wf_error *err);

struct cli;

/* A file of them, "-" for stdin: {"ops":[…]} or the array alone. Close it, whatever came of opening
 * it. In cmd_account.c. */
struct operations_file {
    char *text;
    struct json_t *root;
    struct operations *operations;
};
enum wf_status operations_file_open(struct cli *cli, const char *path,
                                    struct operations_file *file);
void operations_file_close(struct operations_file *file);

#endif
