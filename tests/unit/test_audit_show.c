/* What stands in the trail about one name: the same as a walk over all of it tells, and only its
 * own records are read: engine/audit_show.c. */
#include "tests/lib/engine_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LOANS = 400 };

struct seen {
    const char *subject; /* only these; NULL: all */
    char text[3000];
};

static bool see(void *ctx, const struct wf_event *event) {
    struct seen *seen = ctx;
    size_t used = strlen(seen->text);
    if (seen->subject == NULL || strcmp(event->subject, seen->subject) == 0)
        (void)snprintf(seen->text + used, sizeof seen->text - used, "%" PRIu64 ":%s:%s:%s ",
                       event->lsn, event->event, event->stage == NULL ? "" : event->stage,
                       event->actor == NULL ? "" : event->actor);
    return true;
}

static void show(struct engine_fixture *f, const struct wf_audit_filter *filter,
                 struct seen *seen) {
    *seen = (struct seen){.subject = NULL};
    must(f, wf_audit_show(f->engine, filter, see, seen, &f->err));
}

static void test_audit_show_of_a_workflow_is_what_the_log_has(void **state) {
    struct engine_fixture *f = *state;
    struct seen all = {.subject = "L0001"};
    struct seen own;
    fixture_loans(f, 0, 3, 2);
    (void)fixture_submit(f, "L0001", 0, NULL, NULL); /* refused */
    must(f, fixture_submit(f, "L0001", 2, NULL, NULL));
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, see, &all, &f->err));
    show(f, &(struct wf_audit_filter){.entity = "L0001"}, &own);
    assert_true(strlen(own.text) > 100);
    assert_string_equal(own.text, all.text);
    char expected[200];
    (void)snprintf(expected, sizeof expected, "%.*s", (int)strcspn(all.text, " ") + 1, all.text);
    show(f, &(struct wf_audit_filter){.entity = "L0001", .event = "workflow_started"}, &own);
    assert_string_equal(own.text, expected);
    show(f, &(struct wf_audit_filter){.entity = "L0001", .first_lsn = 1, .last_lsn = 6}, &own);
    assert_string_equal(own.text, expected);
    show(f, &(struct wf_audit_filter){.entity = "loan_application"}, &own);
    assert_non_null(strstr(own.text, "2:definition_added"));
    show(f, &(struct wf_audit_filter){.entity = "nobody"}, &own);
    assert_string_equal(own.text, "");
}

static void test_audit_show_of_an_account_has_its_transactions(void **state) {
    struct engine_fixture *f = *state;
    struct seen own;
    static const struct wf_operation operations[] = {{.type = "transfer",
                                                      .from = "ACC001",
                                                      .to = "ACC002",
                                                      .amount = "1.00",
                                                      .currency = "USD"}};
    for (int i = 1; i <= 3; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "ACC00%d", i);
        struct wf_command open = {.kind = WF_ACCOUNT_OPEN,
                                  .id = number,
                                  .type = "checking",
                                  .currency = "USD",
                                  .amount = "100.00"};
        must(f, wf_execute(f->engine, &open, NULL, &f->err));
    }
    struct wf_command transact = {.kind = WF_ACCOUNT_TRANSACT,
                                  .operations = operations,
                                  .operation_count = 1,
                                  .actor = "teller"};
    must(f, wf_execute(f->engine, &transact, NULL, &f->err));
    show(f, &(struct wf_audit_filter){.entity = "ACC002", .event = "operation_posted"}, &own);
    assert_non_null(strstr(own.text, ":operation_posted::teller"));
    show(f, &(struct wf_audit_filter){.entity = "ACC003", .actor = "teller"}, &own);
    assert_string_equal(own.text, "");
}

static void flip_byte(const char *path, long at) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 8, file), byte ^ 8);
    assert_int_equal(fclose(file), 0);
}

static void test_audit_show_reads_no_other_archive(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_options options;
    struct archive_entry entry;
    struct seen own;
    char path[FIXTURE_PATH_MAX + 200];
    wf_archive_options_init(&options);
    options.snapshot = true;
    fixture_loans(f, 0, LOANS, 3);
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
    assert_true(archive_at(f->engine->archive, 1, &entry));
    (void)snprintf(path, sizeof path, "%s/archive/%s", f->dir, entry.name);
    flip_byte(path, (long)entry.index_offset / 2);
    assert_int_equal(
        wf_replay(f->engine, 1, UINT64_MAX, "L0001", see, &(struct seen){.subject = ""}, &f->err),
        WF_DAMAGE);
    show(f, &(struct wf_audit_filter){.entity = "L0001"}, &own);
    assert_non_null(strstr(own.text, "workflow_started"));
}

static void test_audit_show_says_what_was_dropped(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_options options;
    const struct wf_archive_drop drop = {.before_lsn = UINT64_MAX, .actor = "ann", .reason = "old"};
    struct seen own;
    wf_archive_options_init(&options);
    options.snapshot = options.seal = true;
    fixture_loans(f, 0, 3, 1);
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
    must(f, wf_archive_drop(f->engine, &drop, NULL, &f->err));
    must(f, fixture_submit(f, "L0001", 1, NULL, NULL));
    show(f, &(struct wf_audit_filter){.entity = "L0001"}, &own);
    assert_non_null(strstr(own.text, "records_dropped::ann"));
    assert_non_null(strstr(own.text, "step_submitted"));
    assert_true(strstr(own.text, "records_dropped") < strstr(own.text, "step_submitted"));
}

#define SHOWN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_disk, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SHOWN(test_audit_show_of_a_workflow_is_what_the_log_has),
        SHOWN(test_audit_show_of_an_account_has_its_transactions),
        SHOWN(test_audit_show_reads_no_other_archive),
        SHOWN(test_audit_show_says_what_was_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
