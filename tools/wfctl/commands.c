/* Everything wfctl can do: the nouns, and whose table their verbs are in. */
#include "tools/wfctl/commands.h"

#include <string.h>

static const struct option_spec dir_option = {
    "dir", 'd', "DIR", "the store's folder (default: $WF_DIR, then ./wf-data)", false};
static const struct option_spec output_option = {"output", 'o', "MODE",
                                                 "text, json or jsonl (default: text)", false};
static const struct option_spec help_option = {"help", 'h', NULL, "help on the command", false};
static const struct option_spec version_option = {"version", 'V', NULL, "wfctl's version", false};
const struct option_spec *const cli_global_options[] = {&dir_option, &output_option, &help_option,
                                                        &version_option, NULL};

/* --- options of several tables --- */

const struct option_spec key_option = {
    "key", 'k', "KEY", "idempotency key: the same command again answers as the first time", false};
const struct option_spec actor_option = {"actor", 'a', "ACTOR", "who asks; kept in the history",
                                         false};
const struct option_spec reason_option = {"reason", 'r', "REASON", "why; kept in the history",
                                          true};
const struct option_spec asker_option = {"actor", 'a', "ACTOR",
                                         "who asks, or decides; kept in the history", true};
const struct option_spec as_of_option = {
    "as-of", 0, "LSN|TIME",
    "as it was after this record, or at this time (RFC 3339; one to come is now)", false};

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

static const struct verb commands_help[] = {
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

static const struct verb *const tables[] = {commands_store, commands_workflow, commands_account,
                                            commands_audit, commands_help};

const struct verb *cli_verb_next(const char *noun, const struct verb *verb) {
    if (verb) {
        verb++;
        return verb->noun && strcmp(verb->noun, noun) == 0 ? verb : NULL;
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (verb = tables[i]; verb->noun; verb++)
            if (strcmp(verb->noun, noun) == 0)
                return verb;
    return NULL;
}
