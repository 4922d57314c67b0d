/* Reading definitions from YAML: what is taken, and that every error says where and what. */
#include "engine/definition_yaml.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A definition that reads well, for cases that spoil one line of it. */
#define HEAD "workflow: w\nversion: 1\n"
#define STEPS "steps:\n  s: {completes: a}\n"
#define STAGES "stages:\n  - {name: a}\n"

static enum wf_status parse(const char *text, struct definition **out, struct wf_error *err) {
    return definition_parse(text, strlen(text), "f.yaml", out, err);
}

static void expect_error(const char *text, const char *where, const char *words) {
    struct definition *definition = NULL;
    struct wf_error err = {WF_OK, ""};
    if (parse(text, &definition, &err) != WF_USAGE)
        fail_msg("this was taken, or failed otherwise (%s):\n%s", err.text, text);
    assert_null(definition);
    if (strncmp(err.text, where, strlen(where)) != 0 || strstr(err.text, words) == NULL)
        fail_msg("\"%s\" is not \"%s … %s\"", err.text, where, words);
}

static struct definition *expect_good(const char *text) {
    struct definition *definition = NULL;
    struct wf_error err = {WF_OK, ""};
    if (parse(text, &definition, &err) != WF_OK)
        fail_msg("%s", err.text);
    return definition;
}

static void test_definition_yaml_reads_the_loan(void **unused) {
    (void)unused;
    struct definition *loan = expect_good(core_loan_yaml);
    assert_string_equal(loan->name, "loan_application");
    assert_int_equal(loan->version, 1);
    assert_int_equal(loan->item_count, 3);
    assert_int_equal(loan->step_count, 5);
    assert_int_equal(loan->stage_count, 4);
    assert_int_equal(loan->steps[0].provides, 7);
    assert_int_equal(loan->steps[0].completes, -1);
    assert_int_equal(loan->steps[3].completes, 2);
    assert_string_equal(loan->steps[3].requires[1], "condition");
    assert_int_equal(loan->stages[1].needs_stages, 1);
    assert_int_equal(loan->stages[1].needs_items, 2);
    assert_int_equal(loan->stages[1].timeout_ms, 60000);
    assert_int_equal(loan->stages[1].rollback, ROLLBACK_MANUAL_REVIEW);
    assert_int_equal(loan->stages[1].attempts, DEFINITION_ATTEMPTS_DEFAULT);
    assert_int_equal(loan->stages[3].needs_stages, 7);
    assert_true(loan->stages[3].needs_all_previous);
    assert_string_equal(loan->stages[3].outcome, "final_approval_ready");
    assert_string_equal(loan->source, core_loan_yaml);
    definition_destroy(loan);
}

static void test_definition_yaml_ships_the_same_loan(void **unused) {
    (void)unused;
    FILE *file = fopen("workflows/loan/loan_application.yaml", "rb");
    if (file == NULL)
        skip(); /* not started in the project's folder */
    char text[8192];
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    struct definition *shipped;
    struct wf_error err;
    if (definition_parse(text, size, "loan", &shipped, &err) != WF_OK)
        fail_msg("%s", err.text);
    struct definition *here = expect_good(core_loan_yaml);
    assert_true(definition_equal(shipped, here));
    definition_destroy(shipped);
    definition_destroy(here);
}

static void test_definition_yaml_reads_handlers_and_options(void **unused) {
    (void)unused;
    struct definition *d = expect_good(
        HEAD
        "four_eyes: true\n"
        "stages:\n"
        "  - name: a\n"
        "    handler: {exec: [./score, \"--fast mode\"], timeout: 10s, attempts: 7, backoff: 0s}\n"
        "    compensate: {callback: true, timeout: 2h}\n"
        "    attempts: 9\n"
        "  - {name: b, handler: callback, rollback: manual_review, reviewer_role: board, "
        "four_eyes: false}\n");
    const struct definition_handler *handler = &d->stages[0].handler;
    assert_int_equal(handler->arg_count, 2);
    assert_string_equal(handler->args[1], "--fast mode");
    assert_int_equal(handler->timeout_ms, 10000);
    assert_int_equal(handler->attempts, 7);
    assert_int_equal(handler->backoff_ms, 0);
    assert_true(d->stages[0].compensate.callback);
    assert_int_equal(d->stages[0].compensate.attempts, DEFINITION_HANDLER_ATTEMPTS_DEFAULT);
    assert_int_equal(d->stages[0].attempts, 9);
    assert_true(d->stages[0].four_eyes);
    assert_true(d->stages[1].handler.callback);
    assert_false(d->stages[1].four_eyes);
    assert_string_equal(definition_stage_role(&d->stages[1]), "board");
    definition_destroy(d);
}

static void test_definition_yaml_lets_steps_name_later_stages_in_any_order(void **unused) {
    (void)unused;
    struct definition *d =
        expect_good("stages:\n  - {name: b, needs: [a]}\n  - {name: a}\n"
                    "version: 1\nsteps: {s: {completes: a}, t: {completes: b}}\nworkflow: w\n");
    assert_int_equal(d->stages[0].needs_stages, 2);
    definition_destroy(d);
}

static void test_definition_yaml_names_unknown_and_double_members(void **unused) {
    (void)unused;
    expect_error(HEAD STEPS STAGES "colour: red\n", "f.yaml:7:1: ", "no member \"colour\"");
    expect_error(HEAD STEPS "stages:\n  - {name: a, timout: 3s}\n",
                 "f.yaml:6:15: ", "no member \"timout\"");
    expect_error(HEAD "steps:\n  s: {completes: a, need: [x]}\n" STAGES,
                 "f.yaml:4:21: ", "no member \"need\"");
    expect_error(HEAD STEPS STAGES "version: 2\n", "f.yaml:7:1: ", "version twice");
    expect_error(HEAD STEPS "stages:\n  - {name: a, name: b}\n", "f.yaml:6:15: ", "name twice");
    expect_error("version: 1\n" STEPS STAGES, "f.yaml:1:1: ", "lacks the member workflow");
    expect_error(HEAD STEPS "stages:\n  - {outcome: o}\n", "f.yaml:6:5: ", "lacks the member name");
}

static void test_definition_yaml_names_wrong_types(void **unused) {
    (void)unused;
    expect_error("- a\n", "f.yaml:1:1: ", "must be a mapping");
    expect_error("workflow: [w]\nversion: 1\n" STEPS STAGES, "f.yaml:1:11: ", "not a list");
    expect_error("workflow: ~\nversion: 1\n" STEPS STAGES, "f.yaml:1:11: ", "empty");
    expect_error("workflow: w\nversion: one\n" STEPS STAGES, "f.yaml:2:10: ", "whole number");
    expect_error("workflow: w\nversion: \"1\"\n" STEPS STAGES, "f.yaml:2:10: ", "whole number");
    expect_error("workflow: w\nversion: 0\n" STEPS STAGES, "f.yaml:2:10: ", "from 1");
    expect_error("workflow: w\nversion: 99999999999\n" STEPS STAGES,
                 "f.yaml:2:10: ", "whole number");
    expect_error(HEAD "steps: [s]\n" STAGES, "f.yaml:3:8: ", "not a list");
    expect_error(HEAD STEPS "stages: {a: {}}\n", "f.yaml:5:9: ", "not a mapping");
    expect_error(HEAD STEPS "stages: []\n", "f.yaml:5:9: ", "empty");
    expect_error(HEAD STEPS "stages:\n  - a\n", "f.yaml:6:5: ", "not a single value");
    expect_error(HEAD STEPS "stages:\n  - {name: a, needs: x}\n",
                 "f.yaml:6:22: ", "not a single value");
    expect_error(HEAD STEPS "stages:\n  - {name: a, four_eyes: maybe}\n",
                 "f.yaml:6:26: ", "true or false");
    expect_error(HEAD STEPS "stages:\n  - {name: a, rollback: manual_review, reviewer_role: [x]}\n",
                 "f.yaml:6:55: ", "reviewer_role must be a single value");
    expect_error(HEAD STEPS "stages:\n  - {name: a, handler: {exec: ls}}\n",
                 "f.yaml:6:31: ", "must be a list");
    expect_error(HEAD STEPS "stages:\n  - {name: a, handler: {exec: [[x]]}}\n",
                 "f.yaml:6:32: ", "a word of exec");
    expect_error(HEAD STEPS "stages:\n  - {name: a, handler: {timeout: 3s}}\n",
                 "f.yaml:6:24: ", "either exec");
    expect_error(HEAD STEPS "stages:\n  - {name: a, attempts: 0}\n", "f.yaml:6:25: ", "from 1");
    expect_error(HEAD "steps:\n  ? [a, b]\n  : {}\n" STAGES, "f.yaml:4:5: ", "name of a step");
}

static void test_definition_yaml_names_what_stands_twice(void **unused) {
    (void)unused;
    expect_error(HEAD STEPS "stages:\n  - {name: a}\n  - {name: a}\n",
                 "f.yaml:7:12: ", "already, in line 6");
    expect_error(HEAD "steps:\n  s: {completes: a}\n  s: {completes: a}\n" STAGES,
                 "f.yaml:5:3: ", "already, in line 4");
    expect_error(HEAD "steps:\n  s: {completes: a, provides: [x, x]}\n" STAGES,
                 "f.yaml:4:35: ", "x stands twice");
    expect_error(HEAD "steps:\n  s: {completes: a, requires: [x, x]}\n" STAGES,
                 "f.yaml:4:35: ", "x stands twice");
    expect_error(HEAD "steps:\n  s: {completes: a, provides: [a]}\n" STAGES,
                 "f.yaml:6:5: ", "a stage and a data item");
    expect_error(HEAD "steps:\n  s: {completes: a}\n  p: {provides: [x]}\nstages:\n  - {name: a, "
                      "needs: [x, x]}\n",
                 "f.yaml:7:26: ", "needs x twice");
}

static void test_definition_yaml_names_needs_that_cannot_be_met(void **unused) {
    (void)unused;
    expect_error(HEAD STEPS "stages:\n  - {name: a, needs: [ghost]}\n",
                 "f.yaml:6:23: ", "needs ghost");
    expect_error(HEAD STEPS "stages:\n  - {name: a, needs: [a]}\n",
                 "f.yaml:6:23: ", "needs itself");
    expect_error(HEAD "steps: {s: {completes: a}, t: {completes: b}}\n"
                      "stages:\n  - {name: a, needs: [b]}\n  - {name: b, needs: [a]}\n",
                 "f.yaml:5:5: ", "cycle: a needs b, b needs a");
    expect_error(HEAD "steps: {s: {completes: ghost}}\n" STAGES,
                 "f.yaml:3:24: ", "ghost, which is no stage");
    expect_error(HEAD "steps: {s: {requires: [x]}}\n" STAGES, "f.yaml:3:9: ", "does nothing");
    expect_error(HEAD "steps: {s: {provides: [x]}}\n" STAGES,
                 "f.yaml:5:5: ", "no step completes it");
    expect_error(HEAD STEPS "stages:\n  - {name: all_previous_stages}\n",
                 "f.yaml:6:12: ", "a word of its own");
}

static void test_definition_yaml_names_bad_durations_and_strategies(void **unused) {
    (void)unused;
    expect_error(HEAD STEPS "stages:\n  - {name: a, timeout: 30_seconds}\n",
                 "f.yaml:6:24: ", "\"30_seconds\"");
    expect_error(HEAD STEPS "stages:\n  - {name: a, timeout: 0s}\n", "f.yaml:6:24: ", "duration");
    expect_error(HEAD STEPS "stages:\n  - {name: a, timeout: [30s]}\n",
                 "f.yaml:6:24: ", "not a list");
    expect_error(HEAD STEPS "stages:\n  - {name: a, rollback: magic}\n",
                 "f.yaml:6:25: ", "hold_for_review");
    expect_error(HEAD STEPS "stages:\n  - {name: a, reviewer_role: board}\n",
                 "f.yaml:6:5: ", "asks nobody");
}

static void test_definition_yaml_refuses_anchors_aliases_and_tags(void **unused) {
    (void)unused;
    expect_error("a: &x [1]\nb: [*x, *x]\n", "f.yaml:1:4: ", "anchors");
    expect_error("b: [*x]\n", "f.yaml:1:5: ", "aliases");
    expect_error("workflow: !!str w\n", "f.yaml:1:11: ", "tags");
}

static void test_definition_yaml_wants_one_document(void **unused) {
    (void)unused;
    expect_error("", "f.yaml:1:1: ", "nothing here");
    expect_error("# only a comment\n", "f.yaml:1:1: ", "nothing here");
    expect_error("---\n...\n", "f.yaml:", "");
    expect_error(HEAD STEPS STAGES "---\na: b\n", "f.yaml:7:1: ", "second document");
    definition_destroy(expect_good("---\n" HEAD STEPS STAGES "...\n"));
}

static void test_definition_yaml_names_the_place_of_bad_bytes(void **unused) {
    (void)unused;
    expect_error("workflow: w\nversion: \xff\n", "f.yaml:2:10: ", "UTF-8");
    expect_error("workflow: w\xc3\n", "f.yaml:1:12: ", "UTF-8");
    expect_error("workflow: \xed\xa0\x80\n", "f.yaml:1:11: ", "UTF-8");
    expect_error("workflow: \x01\n", "f.yaml:1:11: ", "control");
    expect_error("# \xc3\xa4\xc3\xb6\xc3\xbc \x02\n", "f.yaml:1:7: ", "control");
    expect_error("workflow: \xef\xbf\xbf\n", "f.yaml:1:11: ", "");
    struct definition *definition;
    struct wf_error err;
    assert_int_equal(definition_parse("a\0b", 3, "f.yaml", &definition, &err), WF_USAGE);
    assert_non_null(strstr(err.text, "f.yaml:1:2: "));
    assert_int_equal(definition_parse("a\0b", 3, "f.yaml", &definition, NULL), WF_USAGE);
}

static void test_definition_yaml_names_the_place_of_bad_syntax(void **unused) {
    (void)unused;
    expect_error("workflow: [w\nversion: 1\n", "f.yaml:", "not YAML");
    expect_error("workflow: w\n\tversion: 1\n", "f.yaml:2:1: ", "not YAML");
    expect_error("workflow: \"w\n", "f.yaml:", "not YAML");
    expect_error("}\n", "f.yaml:1:1: ", "not YAML");
    expect_error("a: [[[[[[[[[[[[1]]]]]]]]]]]]\n", "f.yaml:1:11: ", "too deep");
}

static void test_definition_yaml_bounds_sizes(void **unused) {
    (void)unused;
    char *large = malloc(DEFINITION_SOURCE_MAX + 2);
    assert_non_null(large);
    memset(large, ' ', DEFINITION_SOURCE_MAX + 1);
    large[DEFINITION_SOURCE_MAX + 1] = '\0';
    expect_error(large, "f.yaml:1:1: ", "at most");
    const char *small = HEAD STEPS STAGES;
    memset(large, '\n', DEFINITION_SOURCE_MAX + 1);
    memcpy(large, small, strlen(small));
    large[DEFINITION_SOURCE_MAX] = '\0'; /* at the limit */
    definition_destroy(expect_good(large));
    free(large);
    char name[DEFINITION_NAME_MAX + 2];
    char text[1000];
    memset(name, 'n', sizeof name);
    name[DEFINITION_NAME_MAX + 1] = '\0';
    snprintf(text, sizeof text, "workflow: %s\nversion: 1\n" STEPS STAGES, name);
    expect_error(text, "f.yaml:1:11: ", "1 to 64 bytes");
    name[DEFINITION_NAME_MAX] = '\0';
    snprintf(text, sizeof text, "workflow: %s\nversion: 1\n" STEPS STAGES, name);
    definition_destroy(expect_good(text));
}

static void test_definition_yaml_bounds_counts(void **unused) {
    (void)unused;
    static char text[32 * 1024];
    for (int count = DEFINITION_STAGES_MAX; count <= DEFINITION_STAGES_MAX + 1; count++) {
        size_t used = (size_t)snprintf(text, sizeof text, HEAD "stages:\n");
        for (int i = 0; i < count; i++)
            used += (size_t)snprintf(
                text + used, sizeof text - used,
                "  - {name: s%d, handler: callback, needs: [all_previous_stages]}\n", i);
        if (count == DEFINITION_STAGES_MAX)
            definition_destroy(expect_good(text));
        else
            expect_error(text, "f.yaml:68:5: ", "more than 64 entries");
    }
    size_t used = (size_t)snprintf(text, sizeof text, HEAD "stages: [{name: a}]\nsteps:\n");
    for (int i = 0; i <= DEFINITION_STEPS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "  s%d: {completes: a}\n", i);
    expect_error(text, "f.yaml:69:3: ", "at most 64 steps");
}

/* Whatever is cut off or changed in the loan: a definition or an error with a place, never a crash.
 */
static void test_definition_yaml_survives_every_cut_and_change(void **unused) {
    (void)unused;
    size_t size = strlen(core_loan_yaml);
    char *text = malloc(size);
    assert_non_null(text);
    static const char changes[] = {'\0', ' ', '\n', ':', '[', '}', '"', '&', '*', '!', '\xc3', '#'};
    for (size_t at = 0; at < size; at++) {
        for (size_t i = 0; i <= sizeof changes; i++) {
            memcpy(text, core_loan_yaml, size);
            size_t given = i < sizeof changes ? size : at;
            if (i < sizeof changes)
                text[at] = changes[i];
            struct definition *definition;
            struct wf_error err = {WF_OK, ""};
            enum wf_status status = definition_parse(text, given, "f.yaml", &definition, &err);
            if (status == WF_OK)
                definition_destroy(definition);
            else if (strncmp(err.text, "f.yaml:", 7) != 0)
                fail_msg("%s", err.text);
        }
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition_yaml_reads_the_loan),
        cmocka_unit_test(test_definition_yaml_ships_the_same_loan),
        cmocka_unit_test(test_definition_yaml_reads_handlers_and_options),
        cmocka_unit_test(test_definition_yaml_lets_steps_name_later_stages_in_any_order),
        cmocka_unit_test(test_definition_yaml_names_unknown_and_double_members),
        cmocka_unit_test(test_definition_yaml_names_wrong_types),
        cmocka_unit_test(test_definition_yaml_names_what_stands_twice),
        cmocka_unit_test(test_definition_yaml_names_needs_that_cannot_be_met),
        cmocka_unit_test(test_definition_yaml_names_bad_durations_and_strategies),
        cmocka_unit_test(test_definition_yaml_refuses_anchors_aliases_and_tags),
        cmocka_unit_test(test_definition_yaml_wants_one_document),
        cmocka_unit_test(test_definition_yaml_names_the_place_of_bad_bytes),
        cmocka_unit_test(test_definition_yaml_names_the_place_of_bad_syntax),
        cmocka_unit_test(test_definition_yaml_bounds_sizes),
        cmocka_unit_test(test_definition_yaml_bounds_counts),
        cmocka_unit_test(test_definition_yaml_survives_every_cut_and_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
