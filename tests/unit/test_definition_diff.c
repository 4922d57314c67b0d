/* What differs between two definitions, in words: core/definition_diff.c. */
#include "engine/core/definition_diff.h"
#include "engine/definition_yaml.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One change a line: "~stage a needs: x -> y". */
static bool write_line(void *ctx, const struct definition_change *change) {
    char *text = ctx;
    size_t used = strlen(text);
    snprintf(text + used, 4096 - used, "%c%s %s %s: %s -> %s\n",
             strcmp(change->change, "added") == 0     ? '+'
             : strcmp(change->change, "removed") == 0 ? '-'
                                                      : '~',
             change->kind, change->name, change->member != NULL ? change->member : "itself",
             change->before != NULL ? change->before : "none",
             change->after != NULL ? change->after : "none");
    return true;
}

static struct definition *parse(const char *yaml) {
    struct definition *definition = NULL;
    struct wf_error err;
    if (definition_parse(yaml, strlen(yaml), "test", &definition, &err) != WF_OK)
        fail_msg("%s", err.text);
    return definition;
}

static void differs(const char *one, const char *other, const char *expected) {
    char text[4096] = "";
    struct definition *a = parse(one), *b = parse(other);
    assert_int_equal(definition_diff(a, b, write_line, text, NULL), WF_OK);
    assert_string_equal(text, expected);
    definition_destroy(a);
    definition_destroy(b);
}

static const char one[] = "workflow: w\nversion: 1\nsteps: {s: {provides: [d]}, t: {completes: a,"
                          " requires: [x]}, u: {completes: b}}\n"
                          "stages: [{name: a, needs: [d], timeout: 90s}, {name: b, needs: [a]}]\n";

static void test_diff_of_equal_definitions_is_empty(void **state) {
    (void)state;
    differs(one, one, "");
    differs(core_loan_yaml, core_loan_yaml, "");
}

static void test_diff_names_each_member_that_changed(void **state) {
    (void)state;
    differs(one,
            "workflow: w\nversion: 2\nsteps: {s: {provides: [d, e]}, t: {completes: a,"
            " requires: [x, y]}, u: {completes: b}}\n"
            "stages: [{name: a, needs: [d, e], timeout: 2m, rollback: manual_review,"
            " reviewer_role: boss, four_eyes: true, attempts: 7, outcome: begun},"
            " {name: b, needs: [all_previous_stages], handler: {exec: [/bin/true, -x],"
            " timeout: 1h, attempts: 2, backoff: 5s}, compensate: callback}]\n",
            "~stage a needs: d -> d, e\n"
            "~stage a timeout: 90s -> 2m\n"
            "~stage a rollback: automatic -> manual_review\n"
            "~stage a reviewer_role: none -> boss\n"
            "~stage a four_eyes: none -> true\n"
            "~stage a attempts: 3 -> 7\n"
            "~stage a outcome: none -> begun\n"
            "~stage b needs: a -> all_previous_stages\n"
            "~stage b handler: none -> exec [/bin/true, -x], timeout 1h, attempts 2, backoff 5s\n"
            "~stage b compensate: none -> callback, timeout 1m, attempts 5, backoff 1s\n"
            "~step s provides: d -> d, e\n"
            "~step t requires: x -> x, y\n");
}

static void test_diff_tells_what_was_added_and_removed_whole(void **state) {
    (void)state;
    differs(one,
            "workflow: w\nversion: 2\nsteps: {s: {provides: [d]}, t: {completes: a,"
            " requires: [x]}, v: {completes: c}}\n"
            "stages: [{name: a, needs: [d], timeout: 90s}, {name: c, needs: [a]}]\n",
            "-stage b itself: none -> none\n"
            "-stage b needs: a -> none\n"
            "-stage b rollback: automatic -> none\n"
            "-stage b attempts: 3 -> none\n"
            "+stage c itself: none -> none\n"
            "+stage c needs: none -> a\n"
            "+stage c rollback: none -> automatic\n"
            "+stage c attempts: none -> 3\n"
            "-step u itself: none -> none\n"
            "-step u completes: b -> none\n"
            "+step v itself: none -> none\n"
            "+step v completes: none -> c\n");
}

static void test_diff_tells_a_changed_order_of_stages(void **state) {
    (void)state;
    differs("workflow: w\nversion: 1\nsteps: {s: {completes: a}, t: {completes: b}}\n"
            "stages: [{name: a}, {name: b}]\n",
            "workflow: w\nversion: 2\nsteps: {s: {completes: a}, t: {completes: b}}\n"
            "stages: [{name: b}, {name: a}]\n",
            "~stage a place: 1 -> 2\n"
            "~stage b place: 2 -> 1\n");
}

static bool stop(void *ctx, const struct definition_change *change) {
    (void)change;
    ++*(int *)ctx;
    return false;
}

static void test_diff_stops_when_told(void **state) {
    (void)state;
    struct definition *a = parse(core_loan_yaml), *b = parse(core_loan_2_yaml);
    int told = 0;
    assert_int_equal(definition_diff(a, b, stop, &told, NULL), WF_OK);
    assert_int_equal(told, 1);
    definition_destroy(a);
    definition_destroy(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diff_of_equal_definitions_is_empty),
        cmocka_unit_test(test_diff_names_each_member_that_changed),
        cmocka_unit_test(test_diff_tells_what_was_added_and_removed_whole),
        cmocka_unit_test(test_diff_tells_a_changed_order_of_stages),
        cmocka_unit_test(test_diff_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
