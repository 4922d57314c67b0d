/* A host's command made into the core's: command_in.c. */
#include "engine/command_in.h"

#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wf_command submit(void) {
    return (struct wf_command){
        .kind = WF_WORKFLOW_SUBMIT, .id = "L1", .step = "go", .key = "k", .actor = "jane"};
}

static enum wf_status make(const struct wf_command *from, uint8_t hash[16], struct wf_error *err) {
    struct command_in in;
    enum wf_status status = command_in_make(&in, from, err);
    if (status == WF_OK) {
        memcpy(hash, in.command.body_hash, 16);
        command_in_deinit(&in);
    }
    return status;
}

static void assert_usage(const struct wf_command *from, const char *words) {
    uint8_t hash[16];
    struct wf_error err;
    assert_int_equal(make(from, hash, &err), WF_USAGE);
    if (strstr(err.text, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, err.text);
}

static void assert_same_body(const struct wf_command *a, const struct wf_command *b, bool same) {
    uint8_t left[16];
    uint8_t right[16];
    struct wf_error err;
    if (make(a, left, &err) != WF_OK || make(b, right, &err) != WF_OK)
        fail_msg("%s", err.text);
    assert_int_equal(memcmp(left, right, 16) == 0, same);
}

static void test_missing_and_overlong_strings_are_usage(void **state) {
    (void)state;
    static char text[WF_REASON_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    struct wf_command command = submit();
    command.id = NULL;
    assert_usage(&command, "id is missing");
    command.id = "";
    assert_usage(&command, "id is missing");
    command.id = text;
    assert_usage(&command, "longer than 200");
    command = submit();
    command.step = NULL;
    assert_usage(&command, "step is missing");
    command = submit();
    command.key = text;
    assert_usage(&command, "key is longer");
    command = submit();
    command.actor = text;
    assert_usage(&command, "actor is longer");
    command = (struct wf_command){.kind = WF_WORKFLOW_CANCEL, .id = "L1", .reason = text};
    assert_usage(&command, "reason is longer");
    command = (struct wf_command){.kind = WF_WORKFLOW_FAIL, .id = "L1", .reason = "r"};
    assert_usage(&command, "stage is missing");
    command = (struct wf_command){.kind = WF_CLOCK_ADVANCE};
    assert_usage(&command, "duration");
    command = (struct wf_command){.kind = WF_DEFINITION_ADD};
    assert_usage(&command, "text is missing");
    command = (struct wf_command){.kind = (enum wf_command_kind)1};
    assert_usage(&command, "unknown");
    command = (struct wf_command){.kind = WF_DEFINITION_ADD, .text = "workflow: [", .key = "k"};
    assert_usage(&command, "definition:");
}

static void test_limits_are_met_exactly(void **state) {
    (void)state;
    static char value[WF_VALUE_MAX + 2];
    static struct wf_field fields[WF_FIELDS_MAX + 1];
    static char names[WF_FIELDS_MAX + 1][8];
    uint8_t hash[16];
    struct wf_error err;
    memset(value, 'v', sizeof value - 1);
    for (size_t i = 0; i <= WF_FIELDS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%zu", i);
        fields[i] = (struct wf_field){names[i], "1"};
    }
    struct wf_command command = submit();
    command.fields = fields;
    command.field_count = WF_FIELDS_MAX + 1;
    assert_usage(&command, "257 fields");
    command.field_count = WF_FIELDS_MAX;
    assert_int_equal(make(&command, hash, &err), WF_OK);
    fields[3].value = value;
    assert_usage(&command, "f3 is longer");
    fields[3].value = value + 1;
    assert_int_equal(make(&command, hash, &err), WF_OK);
    fields[3].name = NULL;
    assert_usage(&command, "name of a field");
}

/* Stores of any version keep the hash of what was asked: it may not change for the same words. */
static void test_body_of_operations_keeps_its_hash(void **state) {
    (void)state;
    static const char *const rules[] = {"sufficient_funds", "same_currency"};
    const struct wf_operation operations[] = {{.type = "transfer",
                                               .from = "A",
                                               .to = "B",
                                               .amount = "1.00",
                                               .currency = "USD",
                                               .rules = rules,
                                               .rule_count = 2,
                                               .rate = "1.1",
                                               .instrument = "X",
                                               .fee_rule = "F",
                                               .hold = "H",
                                               .expires_in_ms = 1000},
                                              {.type = "account_freeze",
                                               .account = "A",
                                               .account_type = "checking",
                                               .minimum = "0.00",
                                               .reason = "lost"}};
    static const uint8_t expected[2][16] = {{0xcc, 0xf2, 0x4c, 0x1f, 0x41, 0x15, 0x04, 0xad, 0x35,
                                             0x5a, 0x8e, 0x77, 0x46, 0x19, 0x7f, 0xe8},
                                            {0xa5, 0x81, 0x9a, 0x56, 0x81, 0x20, 0x49, 0xd5, 0x84,
                                             0xae, 0x4b, 0x57, 0x8b, 0xa5, 0x7f, 0xcf}};
    for (size_t i = 0; i < 2; i++) {
        const struct wf_command command = {.kind = WF_ACCOUNT_TRANSACT,
                                           .operations = operations,
                                           .operation_count = i + 1,
                                           .key = "k"};
        uint8_t hash[16];
        struct wf_error err;
        assert_int_equal(make(&command, hash, &err), WF_OK);
        assert_memory_equal(hash, expected[i], sizeof hash);
    }
}

static void test_body_is_all_that_was_asked_but_key(void **state) {
    (void)state;
    struct wf_field fields[] = {{"a", "1"}, {"b", "2"}};
    struct wf_field swapped[] = {{"b", "2"}, {"a", "1"}};
    struct wf_field other[] = {{"a", "12"}, {"b", ""}};
    struct wf_command first = submit();
    first.fields = fields;
    first.field_count = 2;
    struct wf_command second = first;
    second.key = "another";
    assert_same_body(&first, &second, true);
    second.fields = swapped; /* an object of JSON has no order */
    assert_same_body(&first, &second, true);
    second.fields = other;
    assert_same_body(&first, &second, false);
    second = first;
    second.actor = "john";
    assert_same_body(&first, &second, false);
    second = first;
    second.step = "go2";
    assert_same_body(&first, &second, false);
    second = first;
    second.id = "L2";
    assert_same_body(&first, &second, false);
    struct wf_command start = {.kind = WF_WORKFLOW_START, .id = "L1", .type = "t", .key = "k"};
    struct wf_command versioned = start;
    versioned.version = 2;
    assert_same_body(&start, &versioned, false);
    struct wf_command fail = {
        .kind = WF_WORKFLOW_FAIL, .id = "L1", .stage = "s", .reason = "r", .key = "k"};
    struct wf_command fails = fail;
    fails.stage = "t";
    assert_same_body(&fail, &fails, false);
    fails = fail;
    fails.reason = "s";
    assert_same_body(&fail, &fails, false);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1, .key = "k"};
    struct wf_command further = advance;
    further.duration_ms = 2;
    assert_same_body(&advance, &further, false);
}

/* wf.h: members that the kind does not name are ignored. */
static void test_members_of_other_kinds_are_ignored(void **state) {
    (void)state;
    static struct wf_field many[2000];
    struct wf_command cancel = {
        .kind = WF_WORKFLOW_CANCEL, .id = "L1", .reason = "enough", .key = "k"};
    struct wf_command cluttered = cancel;
    cluttered.type = "t";
    cluttered.step = "s";
    cluttered.stage = "u";
    cluttered.text = "v";
    cluttered.version = 7;
    cluttered.duration_ms = 8;
    cluttered.fields = many; /* without names, and more than a command may have */
    cluttered.field_count = 2000;
    assert_same_body(&cancel, &cluttered, true);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 5, .key = "k"};
    cluttered = advance;
    cluttered.id = "L1";
    cluttered.reason = "r";
    cluttered.fields = many;
    cluttered.field_count = 2000;
    assert_same_body(&advance, &cluttered, true);
    struct wf_command define = {.kind = WF_DEFINITION_ADD, .text = core_loan_yaml, .key = "k"};
    cluttered = define;
    cluttered.id = "L1";
    cluttered.field_count = 2000;
    cluttered.fields = many;
    assert_same_body(&define, &cluttered, true);
    struct wf_command first = submit();
    cluttered = first;
    cluttered.reason = "r";
    cluttered.type = "t";
    assert_same_body(&first, &cluttered, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_and_overlong_strings_are_usage),
        cmocka_unit_test(test_limits_are_met_exactly),
        cmocka_unit_test(test_body_of_operations_keeps_its_hash),
        cmocka_unit_test(test_body_is_all_that_was_asked_but_key),
        cmocka_unit_test(test_members_of_other_kinds_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
