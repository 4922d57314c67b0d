/* Definitions as data: names, durations, and the rules that a whole one must meet. */
#include "engine/core/definition.h"
#include "engine/definition_yaml.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct definition *loan(void) {
    struct definition *definition;
    struct wf_error err;
    assert_int_equal(
        definition_parse(core_loan_yaml, strlen(core_loan_yaml), "loan", &definition, &err), WF_OK);
    return definition;
}

/* The loan breaks a rule: the error has these words. */
static void expect_broken(struct definition *definition, const char *words) {
    struct wf_error err = {WF_OK, ""};
    assert_int_equal(definition_check(definition, &err), WF_USAGE);
    if (strstr(err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    definition_destroy(definition);
}

static void replace(char **text, const char *with) {
    free(*text);
    *text = strdup(with);
}

static void test_definition_finds_names_by_their_exact_bytes(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    assert_int_equal(definition_stage_index(definition, "final_approval", 14), 3);
    assert_int_equal(definition_stage_index(definition, "final_approval", 13), -1);
    assert_int_equal(definition_stage_index(definition, "final_approvals", 15), -1);
    assert_int_equal(definition_step_index(definition, "employer_verification", 21), 2);
    assert_int_equal(definition_step_index(definition, "", 0), -1);
    assert_int_equal(definition_item_index(definition, "property_data", 13), 2);
    definition_destroy(definition);
}

static void test_definition_strategy_names_go_both_ways(void **unused) {
    (void)unused;
    for (int i = ROLLBACK_AUTOMATIC; i <= ROLLBACK_EXECUTIVE_REVIEW; i++) {
        const char *name = rollback_strategy_name((enum rollback_strategy)i);
        assert_int_equal(rollback_strategy_parse(name, strlen(name)), i);
    }
    assert_null(rollback_strategy_name((enum rollback_strategy)99));
    assert_int_equal(rollback_strategy_parse("automatically", 13), 0);
}

static void test_definition_roles_follow_strategy_or_stage(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    assert_null(definition_stage_role(&definition->stages[0]));
    assert_string_equal(definition_stage_role(&definition->stages[1]), "reviewer");
    assert_string_equal(definition_stage_role(&definition->stages[2]), "reviewer");
    assert_string_equal(definition_stage_role(&definition->stages[3]), "executive");
    replace(&definition->stages[3].reviewer_role, "board");
    assert_string_equal(definition_stage_role(&definition->stages[3]), "board");
    definition_destroy(definition);
}

static void test_definition_durations_have_a_unit_and_a_limit(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"30s", 30000},      {"5m", 300000}, {"2h", 7200000},
                {"30d", 2592000000}, {"0s", 0},      {"36500d", DEFINITION_DURATION_MAX_MS}};
    static const char *const bad[] = {"",       "s",     "30",   "30 s",
                                      "-1s",    "1.5h",  "30S",  "1w",
                                      "36501d", "30sec", "0x1s", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -1;
        assert_true(definition_duration_parse(good[i].text, strlen(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = -1;
        if (definition_duration_parse(bad[i], strlen(bad[i]), &ms))
            fail_msg("%s was taken as a duration", bad[i]);
    }
}

static void test_definition_equality_ignores_version_and_source_only(void **unused) {
    (void)unused;
    struct definition *one = loan(), *other = loan();
    other->version = 2;
    replace(&other->source, "# another text");
    assert_true(definition_equal(one, other));
    other->stages[2].timeout_ms++;
    assert_false(definition_equal(one, other));
    other->stages[2].timeout_ms--;
    replace(&other->steps[4].requires[0], "verdict");
    assert_false(definition_equal(one, other));
    definition_destroy(one);
    definition_destroy(other);
}

static void test_definition_check_takes_the_loan(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    assert_int_equal(definition_check(definition, NULL), WF_OK);
    assert_int_equal(definition_stuck_stage(definition), -1);
    definition_destroy(definition);
}

static void test_definition_check_refuses_bad_names(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    replace(&definition->stages[1].name, "credit_check");
    expect_broken(definition, "two stages named credit_check");
    definition = loan();
    replace(&definition->steps[1].name, "line\nbreak");
    expect_broken(definition, "the name of a step");
    definition = loan();
    replace(&definition->name, "");
    expect_broken(definition, "the name of a workflow");
    definition = loan();
    replace(&definition->items[0], "credit_check");
    expect_broken(definition, "names a stage and a data item");
    definition = loan();
    definition->version = 0;
    expect_broken(definition, "versions count from 1");
}

static void test_definition_check_refuses_indices_out_of_range(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    definition->steps[1].completes = 4;
    expect_broken(definition, "not there");
    definition = loan();
    definition->stages[0].needs_items |= UINT64_C(1) << 3;
    expect_broken(definition, "not there");
    definition = loan();
    definition->stage_count = DEFINITION_STAGES_MAX + 1;
    expect_broken(definition, "at most 64");
    definition = loan();
    definition->stages[3].needs_stages = 3;
    expect_broken(definition, "needs all stages before it");
}

static void test_definition_check_wants_every_stage_completable(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    definition->steps[4].completes = -1;
    definition->steps[4].provides = 1;
    expect_broken(definition, "no step completes it");
    definition = loan();
    definition->steps[4].completes = -1;
    definition->steps[4].provides = 1;
    definition->stages[3].handler = (struct definition_handler){
        .callback = true, .timeout_ms = 1000, .attempts = 1, .backoff_ms = 0};
    assert_int_equal(definition_check(definition, NULL), WF_OK);
    definition_destroy(definition);
}

static void test_definition_check_spells_out_a_cycle(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    definition->stages[0].needs_stages = 1U << 2;
    assert_int_equal(definition_stuck_stage(definition), 0);
    expect_broken(definition,
                  "credit_check needs collateral_assessment, collateral_assessment needs "
                  "income_verification, income_verification needs credit_check");
}

static void test_definition_check_sees_a_cycle_through_a_data_item(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    /* The only step that provides what credit_check needs comes after credit_check. */
    definition->steps[0].completes = 3;
    expect_broken(definition, "cycle");
    definition = loan();
    definition->steps[0].provides = 6;
    expect_broken(definition, "no step provides");
}

static void test_definition_check_bounds_figures(void **unused) {
    (void)unused;
    struct definition *definition = loan();
    definition->stages[0].timeout_ms = DEFINITION_DURATION_MAX_MS + 1;
    expect_broken(definition, "100 years");
    definition = loan();
    definition->stages[0].attempts = 0;
    expect_broken(definition, "attempts");
    definition = loan();
    definition->stages[0].rollback = (enum rollback_strategy)0;
    expect_broken(definition, "strategy");
    definition = loan();
    replace(&definition->stages[0].reviewer_role, "clerk");
    expect_broken(definition, "asks nobody");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition_finds_names_by_their_exact_bytes),
        cmocka_unit_test(test_definition_strategy_names_go_both_ways),
        cmocka_unit_test(test_definition_roles_follow_strategy_or_stage),
        cmocka_unit_test(test_definition_durations_have_a_unit_and_a_limit),
        cmocka_unit_test(test_definition_equality_ignores_version_and_source_only),
        cmocka_unit_test(test_definition_check_takes_the_loan),
        cmocka_unit_test(test_definition_check_refuses_bad_names),
        cmocka_unit_test(test_definition_check_refuses_indices_out_of_range),
        cmocka_unit_test(test_definition_check_wants_every_stage_completable),
        cmocka_unit_test(test_definition_check_spells_out_a_cycle),
        cmocka_unit_test(test_definition_check_sees_a_cycle_through_a_data_item),
        cmocka_unit_test(test_definition_check_bounds_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
