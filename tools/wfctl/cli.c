#include "tools/wfctl/cli.h"

#include "base/nearest.h"
#include "tools/wfctl/format.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum wf_status cli_usage(struct cli *cli, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cli->err.text, sizeof cli->err.text, format, arguments);
    va_end(arguments);
    cli->err.status = WF_USAGE;
    cli->usage_hint = true;
    return WF_USAGE;
}

const struct noun *cli_noun_find(const char *name) {
    for (const struct noun *noun = cli_nouns; noun->name; noun++)
        if (strcmp(noun->name, name) == 0)
            return noun;
    return NULL;
}

const struct verb *cli_verb_find(const char *noun, const char *name) {
    for (const struct verb *verb = NULL; (verb = cli_verb_next(noun, verb)) != NULL;) {
        if (!verb->name || (name && strcmp(verb->name, name) == 0))
            return verb;
    }
    return NULL;
}

static enum wf_status unknown(struct cli *cli, const char *what, const char *word,
                              const char *nearest) {
    if (nearest)
        return cli_usage(cli, "unknown %s '%s'; did you mean '%s'?", what, word, nearest);
    return cli_usage(cli, "unknown %s '%s'", what, word);
}

static enum wf_status unknown_noun(struct cli *cli, const char *word) {
    const char *names[32];
    size_t count = 0;
    for (const struct noun *noun = cli_nouns; noun->name; noun++)
        names[count++] = noun->name;
    return unknown(cli, "command", word, nearest_word(word, strlen(word), names, count));
}

static enum wf_status unknown_verb(struct cli *cli, const char *noun, const char *word) {
    const char *names[32];
    size_t count = 0;
    for (const struct verb *verb = NULL; (verb = cli_verb_next(noun, verb)) != NULL;)
        names[count++] = verb->name;
    char what[NEAREST_WORD_MAX + 16];
    snprintf(what, sizeof what, "verb of %s", noun);
    return unknown(cli, what, word, nearest_word(word, strlen(word), names, count));
}

static enum wf_status missing_verb(struct cli *cli, const char *noun) {
    char names[200];
    size_t used = 0;
    for (const struct verb *verb = NULL; (verb = cli_verb_next(noun, verb)) != NULL;)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                                 verb->name);
    return cli_usage(cli, "%s needs a verb: %s", noun, names);
}

/* --- options --- */

/* What one pass over the command line knows so far. */
struct parser {
    struct cli *cli;
    int argc;
    char **argv;
    int at; /* the argument under work */
    const char *noun;
    const char *verb_word;
    bool options_ended; /* "--" was seen */
};

static bool option_matches(const struct option_spec *option, const char *name, size_t size,
                           char letter) {
    if (letter)
        return option->letter == letter;
    return strlen(option->name) == size && strncmp(option->name, name, size) == 0;
}

/* The option of that name or letter: the verb's own first. `*index` is its place there, -1 for a
 * global one. */
static const struct option_spec *find_option(const struct cli *cli, const char *name, size_t size,
                                             char letter, int *index) {
    *index = -1;
    for (int i = 0; cli->verb && i < CLI_OPTIONS_MAX && cli->verb->options[i]; i++) {
        if (option_matches(cli->verb->options[i], name, size, letter)) {
            *index = i;
            return cli->verb->options[i];
        }
    }
    for (size_t i = 0; cli_global_options[i]; i++)
        if (option_matches(cli_global_options[i], name, size, letter))
            return cli_global_options[i];
    return NULL;
}

static enum wf_status take_global(struct cli *cli, const struct option_spec *option,
                                  const char *value) {
    switch (option->letter) {
    case 'd':
        if (!*value)
            return cli_usage(cli, "--dir needs the name of a folder");
        cli->dir = value;
        return WF_OK;
    case 'o':
        if (!out_mode_parse(value, &cli->out.mode))
            return cli_usage(cli, "unknown output mode '%s'; it is text, json or jsonl", value);
        return WF_OK;
    case 'h':
        cli->help = true;
        return WF_OK;
    default:
        cli->version = true;
        return WF_OK;
    }
}

static enum wf_status take_value(struct parser *parser, const struct option_spec *option, int index,
                                 const char *value) {
    struct cli *cli = parser->cli;
    if (option->value && !value) {
        if (parser->at + 1 >= parser->argc)
            return cli_usage(cli, "--%s needs a value: %s", option->name, option->value);
        value = parser->argv[++parser->at];
    }
    if (!option->value && value)
        return cli_usage(cli, "--%s takes no value", option->name);
    if (index < 0)
        return take_global(cli, option, value ? value : "");
    if (cli->values[index])
        return cli_usage(cli, "--%s is given twice", option->name);
    cli->values[index] = value ? value : "";
    return WF_OK;
}

static enum wf_status unknown_option(struct parser *parser, const char *word) {
    if (parser->noun && !parser->cli->verb)
        return cli_usage(parser->cli, "unknown option '%s' before the verb of %s", word,
                         parser->noun);
    if (!parser->noun)
        return cli_usage(parser->cli, "unknown option '%s' before the command", word);
    const struct verb *verb = parser->cli->verb;
    return cli_usage(parser->cli, "unknown option '%s' for %s%s%s", word, verb->noun,
                     verb->name ? " " : "", verb->name ? verb->name : "");
}

static enum wf_status take_long(struct parser *parser, const char *word) {
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    int index;
    const struct option_spec *option = find_option(parser->cli, name, size, 0, &index);
    if (!option)
        return unknown_option(parser, word);
    return take_value(parser, option, index, equals ? equals + 1 : NULL);
}

/* "-o json", "-ojson", and switches in a row. */
static enum wf_status take_short(struct parser *parser, const char *word) {
    for (const char *letter = word + 1; *letter; letter++) {
        int index;
        const struct option_spec *option = find_option(parser->cli, NULL, 0, *letter, &index);
        if (!option)
            return unknown_option(parser, word);
        if (option->value)
            return take_value(parser, option, index, letter[1] ? letter + 1 : NULL);
        enum wf_status status = take_value(parser, option, index, NULL);
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

/* --- words --- */

static enum wf_status take_word(struct parser *parser, char *word) {
    struct cli *cli = parser->cli;
    if (!parser->noun) {
        parser->noun = word;
        cli->verb = cli_verb_find(word, NULL);
        if (!cli->verb && !cli_noun_find(word))
            return unknown_noun(cli, word);
        cli->help_noun = word;
        return WF_OK;
    }
    if (!cli->verb) {
        cli->verb = cli_verb_find(parser->noun, word);
        if (!cli->verb)
            return unknown_verb(cli, parser->noun, word);
        cli->help_verb = word;
        return WF_OK;
    }
    cli->arguments[cli->argument_count++] = word;
    return WF_OK;
}

static enum wf_status take_argument(struct parser *parser) {
    char *word = parser->argv[parser->at];
    if (parser->options_ended || word[0] != '-' || !word[1])
        return take_word(parser, word);
    if (strcmp(word, "--") == 0) {
        parser->options_ended = true;
        return WF_OK;
    }
    return word[1] == '-' ? take_long(parser, word) : take_short(parser, word);
}

static enum wf_status check_complete(struct cli *cli, const struct parser *parser) {
    if (cli->help || cli->version)
        return WF_OK;
    if (!parser->noun)
        return cli_usage(cli, "what is to be done? Give a command");
    const struct verb *verb = cli->verb;
    if (!verb)
        return missing_verb(cli, parser->noun);
    if (cli->out.mode == OUT_CSV && !verb->csv) {
        cli->out.mode = OUT_TEXT;
        return cli_usage(cli, "only account statement and audit show have the output mode csv");
    }
    if (cli->argument_count < verb->required ||
        (verb->at_most != CLI_MANY && cli->argument_count > verb->at_most))
        return cli_usage(cli, "%s arguments: wfctl %s%s%s%s%s",
                         cli->argument_count < verb->required ? "missing" : "too many", verb->noun,
                         verb->name ? " " : "", verb->name ? verb->name : "",
                         *verb->arguments ? " " : "", verb->arguments);
    for (size_t i = 0; i < CLI_OPTIONS_MAX && verb->options[i]; i++)
        if (verb->options[i]->required && !cli->values[i])
            return cli_usage(cli, "missing --%s %s", verb->options[i]->name,
                             verb->options[i]->value);
    return WF_OK;
}

/* The mode of a failing command line is asked for somewhere on it: errors before that place obey it
 * too. */
static void find_mode(struct cli *cli, int argc, char **argv) {
    for (int i = 1; i < argc && argv[i] && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i], *value = NULL;
        if (strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0)
            value = i + 1 < argc ? argv[i + 1] : NULL;
        else if (strncmp(word, "--output=", 9) == 0)
            value = word + 9;
        else if (strncmp(word, "-o", 2) == 0)
            value = word + 2;
        if (value)
            out_mode_parse(value, &cli->out.mode);
    }
}

enum wf_status cli_parse(struct cli *cli, int argc, char **argv) {
    const char *dir = getenv("WF_DIR");
    cli->dir = dir && *dir ? dir : "wf-data";
    cli->arguments = argv; /* words move to the front, never past the place that is read */
    find_mode(cli, argc, argv);
    struct parser parser = {.cli = cli, .argc = argc, .argv = argv, .at = 1};
    for (; parser.at < argc; parser.at++) {
        /* The words to complete are no options of ours. */
        if (cli->verb && cli->verb->run == cmd_complete)
            parser.options_ended = true;
        enum wf_status status = take_argument(&parser);
        if (status != WF_OK)
            return status;
    }
    return check_complete(cli, &parser);
}

/* --- what commands ask --- */

const char *cli_option(const struct cli *cli, const char *name) {
    for (size_t i = 0; i < CLI_OPTIONS_MAX && cli->verb->options[i]; i++)
        if (strcmp(cli->verb->options[i]->name, name) == 0)
            return cli->values[i];
    assert(false); /* no option of this verb: our mistake */
    return NULL;
}

bool cli_switch(const struct cli *cli, const char *name) {
    return cli_option(cli, name) != NULL;
}

enum wf_status cli_option_uint(struct cli *cli, const char *name, uint64_t *value) {
    const char *text = cli_option(cli, name);
    if (text && !parse_uint(text, value))
        return cli_usage(cli, "--%s '%s' is no number", name, text);
    return WF_OK;
}

enum wf_status cli_option_place(struct cli *cli, const char *name, uint64_t *lsn,
                                int64_t *time_ms) {
    const char *text = cli_option(cli, name);
    uint64_t number;
    if (!text || parse_time(text, time_ms))
        return WF_OK;
    if (parse_uint(text, &number)) {
        *lsn = number;
        return WF_OK;
    }
    return cli_usage(cli,
                     "--%s '%s' is neither an LSN nor an RFC 3339 time such as "
                     "2026-01-01T00:00:00Z",
                     name, text);
}

enum wf_status cli_option_lsn(struct cli *cli, const char *name, uint64_t *lsn) {
    const int64_t none = INT64_MIN;
    int64_t time_ms = none;
    enum wf_status status = cli_option_place(cli, name, lsn, &time_ms);
    return status == WF_OK && time_ms != none ? wf_lsn_at(cli->engine, time_ms, lsn, &cli->err)
                                              : status;
}

bool cli_split(char *text, struct wf_field *field) {
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return false;
    *equals = '\0';
    *field = (struct wf_field){.name = text, .value = equals + 1};
    return true;
}

enum wf_status cli_option_attempt(struct cli *cli, uint32_t *attempt) {
    uint64_t value = *attempt;
    enum wf_status status = cli_option_uint(cli, "attempt", &value);
    if (status == WF_OK && (value > UINT32_MAX || (value == 0 && cli_option(cli, "attempt"))))
        return cli_usage(cli, "--attempt '%s' is no attempt: they count from 1",
                         cli_option(cli, "attempt"));
    *attempt = (uint32_t)value;
    return status;
}

enum wf_status cli_fields(struct cli *cli, size_t first, struct wf_field *fields, size_t *count) {
    *count = 0;
    for (size_t i = first; i < cli->argument_count; i++) {
        if (*count == WF_FIELDS_MAX)
            return cli_usage(cli, "more than %d fields", WF_FIELDS_MAX);
        if (!cli_split(cli->arguments[i], &fields[*count]))
            return cli_usage(cli, "'%s' is no NAME=VALUE", cli->arguments[i]);
        (*count)++;
    }
    return WF_OK;
}
