/* The list that hosts choose from is what the log and the snapshot announce: points.c. */
#include "engine/wf.h"

#include "store/archive.h"
#include "store/snapshot.h"
#include "wal/wal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool is_listed(const char *name) {
    for (const char *const *point = wf_points(); *point != NULL; point++)
        if (strcmp(*point, name) == 0)
            return true;
    return false;
}

static void test_points_are_those_of_log_snapshot_and_archive(void **state) {
    (void)state;
    size_t log_count = 0;
    size_t count = 0;
    const char *const *log = wal_points(&log_count);
    for (size_t i = 0; i < log_count; i++, count++)
        if (!is_listed(log[i]))
            fail_msg("%s is missing", log[i]);
    for (const char *const *point = snapshot_points(); *point != NULL; point++, count++)
        if (!is_listed(*point))
            fail_msg("%s is missing", *point);
    for (const char *const *point = archive_points(); *point != NULL; point++, count++)
        if (!is_listed(*point))
            fail_msg("%s is missing", *point);
    size_t listed = 0;
    while (wf_points()[listed] != NULL)
        listed++;
    assert_int_equal(listed, count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_are_those_of_log_snapshot_and_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
