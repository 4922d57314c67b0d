/* Help and completion, made from the table of commands. */
#include "tools/wfctl/cli.h"

#include <stdio.h>
#include <string.h>

static void print_option(struct out *out, const struct option_spec *option) {
    char left[64];
    int letters = option->letter ? snprintf(left, sizeof left, "-%c, ", option->letter)
                                 : snprintf(left, sizeof left, "    ");
    snprintf(left + letters, sizeof left - (size_t)letters, "--%s%s%s", option->name,
             option->value ? " " : "", option->value ? option->value : "");
    out_printf(out, "  %-28s %s%s\n", left, option->help, option->required ? " (required)" : "");
}

static void print_synopsis(struct out *out, const struct verb *verb) {
    out_printf(out, "wfctl %s%s%s%s%s", verb->noun, verb->name ? " " : "",
               verb->name ? verb->name : "", *verb->arguments ? " " : "", verb->arguments);
    bool optional = false;
    for (size_t i = 0; i < CLI_OPTIONS_MAX && verb->options[i]; i++) {
        const struct option_spec *option = verb->options[i];
        if (option->required)
            out_printf(out, " --%s %s", option->name, option->value);
        optional |= !option->required;
    }
    out_printf(out, optional ? " [OPTION…]\n" : "\n");
}

static void print_global_options(struct out *out) {
    out_styled(out, STYLE_BOLD, "Everywhere");
    out_printf(out, "\n");
    for (size_t i = 0; cli_global_options[i]; i++)
        print_option(out, cli_global_options[i]);
}

static void show_verb(struct out *out, const struct verb *verb) {
    print_synopsis(out, verb);
    out_printf(out, "\n  %s\n", verb->summary);
    if (verb->details) {
        out_printf(out, "\n");
        for (const char *line = verb->details; *line;) {
            size_t size = strcspn(line, "\n");
            out_printf(out, "  %.*s\n", (int)size, line);
            line += size + (line[size] == '\n');
        }
    }
    if (verb->options[0]) {
        out_printf(out, "\n");
        out_styled(out, STYLE_BOLD, "Options");
        out_printf(out, "\n");
        for (size_t i = 0; i < CLI_OPTIONS_MAX && verb->options[i]; i++)
            print_option(out, verb->options[i]);
    }
    out_printf(out, "\n");
    print_global_options(out);
}

static void show_noun(struct out *out, const struct noun *noun) {
    out_printf(out, "wfctl %s VERB: %s\n\n", noun->name, noun->summary);
    for (const struct verb *verb = NULL; (verb = cli_verb_next(noun->name, verb)) != NULL;) {
        out_printf(out, "  ");
        print_synopsis(out, verb);
        out_printf(out, "      %s\n", verb->summary);
    }
    out_printf(out, "\n");
    print_global_options(out);
}

static void print_noun_line(struct out *out, const struct noun *noun) {
    char words[120];
    size_t used = (size_t)snprintf(words, sizeof words, "%s", noun->name);
    const char *separator = " ";
    for (const struct verb *verb = NULL; (verb = cli_verb_next(noun->name, verb)) != NULL;) {
        if (!verb->name)
            continue;
        used += (size_t)snprintf(words + used, sizeof words - used, "%s%s", separator, verb->name);
        separator = "|";
    }
    if (used > 24)
        out_printf(out, "  %s\n  %-24s %s\n", words, "", noun->summary);
    else
        out_printf(out, "  %-24s %s\n", words, noun->summary);
}

static void show_all(struct out *out) {
    out_printf(
        out,
        "wfctl [-d DIR] [-o text|json|jsonl] NOUN VERB …: drive and look after a wf store\n\n");
    for (const struct noun *noun = cli_nouns; noun->name; noun++)
        print_noun_line(out, noun);
    out_printf(out, "\n");
    print_global_options(out);
    out_printf(out, "\n");
    out_styled(out, STYLE_BOLD, "Exit status");
    out_printf(
        out, "\n  0 done · 1 refused or failed · 2 usage · 3 not found · 4 damage in the store ·\n"
             "  5 replay diverges · 6 locked by another process · 7 disk full or I/O error ·\n"
             "  130, 143 stopped by SIGINT, SIGTERM (exec: in order)\n\n"
             "wfctl help NOUN VERB tells more.\n");
}

enum wf_status help_show(struct cli *cli, const char *noun_name, const char *verb_name) {
    if (!noun_name) {
        show_all(&cli->out);
        return WF_OK;
    }
    const struct noun *noun = cli_noun_find(noun_name);
    const struct verb *verb = cli_verb_find(noun_name, verb_name);
    if (!noun && !verb)
        return cli_usage(cli, "unknown command '%s'", noun_name);
    if (verb_name && (!verb || !verb->name))
        return cli_usage(cli, "unknown verb of %s '%s'", noun_name, verb_name);
    if (verb)
        show_verb(&cli->out, verb);
    else
        show_noun(&cli->out, noun);
    return WF_OK;
}

enum wf_status help_version(struct cli *cli) {
    if (!out_is_json(&cli->out)) {
        out_printf(&cli->out, "wfctl %s\n", wf_version());
        return WF_OK;
    }
    out_object_open(&cli->out);
    emit_member(&cli->out.json, "version", wf_version());
    out_object_close(&cli->out);
    return WF_OK;
}

enum wf_status cmd_help(struct cli *cli) {
    return help_show(cli, cli->argument_count > 0 ? cli->arguments[0] : NULL,
                     cli->argument_count > 1 ? cli->arguments[1] : NULL);
}

/* --- completion --- */

static void offer(struct out *out, const char *dashes, const char *word, const char *typed) {
    char whole[64];
    snprintf(whole, sizeof whole, "%s%s", dashes, word);
    if (strncmp(whole, typed, strlen(typed)) == 0)
        out_printf(out, "%s\n", whole);
}

static void offer_options(struct out *out, const struct option_spec *const *options, size_t count,
                          const char *typed) {
    for (size_t i = 0; i < count && options[i]; i++)
        offer(out, "--", options[i]->name, typed);
}

static const struct option_spec *option_of_word(const struct verb *verb, const char *word) {
    const struct option_spec *const *lists[] = {verb ? verb->options : NULL, cli_global_options};
    for (size_t list = 0; list < 2; list++) {
        for (size_t i = 0; lists[list] && (list || i < CLI_OPTIONS_MAX) && lists[list][i]; i++) {
            const struct option_spec *option = lists[list][i];
            bool is_long = strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0;
            bool is_short =
                word[0] == '-' && option->letter && word[1] == option->letter && !word[2];
            if (is_long || is_short)
                return option;
        }
    }
    return NULL;
}

/* What may follow an option that takes a value; nothing: the shell offers files. */
static void offer_values(struct out *out, const struct option_spec *option, const char *typed) {
    static const char *const modes[] = {"text", "json", "jsonl"};
    if (strcmp(option->name, "output") == 0)
        for (size_t i = 0; i < 3; i++)
            offer(out, "", modes[i], typed);
    if (strcmp(option->name, "status") == 0)
        for (unsigned i = 1; wf_workflow_status_name(i); i++)
            offer(out, "", wf_workflow_status_name(i), typed);
    if (strcmp(option->value, "POINT:N") == 0)
        for (size_t i = 0; wf_points()[i]; i++)
            offer(out, "", wf_points()[i], typed);
}

static void offer_nouns(struct out *out, const char *typed) {
    for (const struct noun *noun = cli_nouns; noun->name; noun++)
        offer(out, "", noun->name, typed);
}

static void offer_verbs(struct out *out, const char *noun, const char *typed) {
    for (const struct verb *verb = NULL; (verb = cli_verb_next(noun, verb)) != NULL;)
        if (verb->name)
            offer(out, "", verb->name, typed);
}

/* What the words before the one to complete amount to. */
struct place {
    const char *noun;
    const struct verb *verb;
    const struct option_spec *pending; /* waits for its value */
};

static void pass_word(struct place *place, const char *word) {
    if (place->pending) {
        place->pending = NULL;
        return;
    }
    const struct option_spec *option = option_of_word(place->verb, word);
    if (option || word[0] == '-') {
        place->pending = option && option->value ? option : NULL;
    } else if (!place->noun || strcmp(place->noun, "help") == 0) {
        place->noun = word;
        place->verb = cli_verb_find(word, NULL);
    } else if (!place->verb) {
        place->verb = cli_verb_find(place->noun, word);
    }
}

enum wf_status cmd_complete(struct cli *cli) {
    struct place place = {0};
    for (size_t i = 0; i + 1 < cli->argument_count; i++)
        pass_word(&place, cli->arguments[i]);
    const char *typed = cli->argument_count > 0 ? cli->arguments[cli->argument_count - 1] : "";
    struct out *out = &cli->out;
    if (place.pending) {
        offer_values(out, place.pending, typed);
    } else if (typed[0] == '-') {
        if (place.verb)
            offer_options(out, place.verb->options, CLI_OPTIONS_MAX, typed);
        offer_options(out, cli_global_options, CLI_OPTIONS_MAX, typed);
    } else if (!place.noun || strcmp(place.noun, "help") == 0) {
        offer_nouns(out, typed);
    } else if (!place.verb) {
        offer_verbs(out, place.noun, typed);
    }
    return WF_OK;
}
