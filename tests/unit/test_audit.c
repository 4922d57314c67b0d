/* The audit trail: tree heads, proofs, and every change to a small trail: audit.c, audit_tree.c,
 * audit_verify.c, signature.c. */
#include "tests/lib/engine_fixture.h"
#include "tests/lib/trail.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A small trail, closed, with the head that an auditor kept of it. */
struct audited {
    struct engine_fixture f;
    struct trail trail;
    struct wf_tree_head kept;
};

static int setup(void **state) {
    static struct audited audited;
    struct engine_fixture *f = &audited.f;
    fixture_init_disk(f);
    fixture_loan(f, "L1", 2);
    fixture_loan(f, "L2", 1);
    (void)fixture_submit(f, "L2", 0, NULL, NULL); /* refused */
    fixture_loan(f, "L3", 3);
    must(f, wf_audit_root(f->engine, 0, &audited.kept, &f->err));
    fixture_close(f);
    char path[FIXTURE_PATH_MAX + 100];
    (void)snprintf(path, sizeof path, "%s/wal/00000000000000000001.seg", f->dir);
    trail_load(&audited.trail, path);
    *state = &audited;
    return 0;
}

static int teardown(void **state) {
    struct audited *audited = *state;
    trail_deinit(&audited->trail);
    fixture_deinit(&audited->f);
    return 0;
}

static enum wf_status verify(struct audited *audited, bool against, uint64_t *first_bad) {
    struct wf_log_report report;
    return wf_audit_verify(audited->f.dir, against ? &audited->kept : NULL, NULL, NULL, &report,
                           NULL, first_bad, &audited->f.err);
}

/* The change is seen, its first LSN and whom it concerns named. */
static void expect_damage(struct audited *audited, bool against, uint64_t lsn, const char *what) {
    uint64_t first_bad = 0;
    if (verify(audited, against, &first_bad) != WF_DAMAGE)
        fail_msg("%s passed", what);
    if (first_bad != lsn)
        fail_msg("%s: LSN %" PRIu64 " is named in place of %" PRIu64 ": %s", what, first_bad, lsn,
                 audited->f.err.text);
}

static const char *subject_of(uint64_t lsn) {
    /* 1 the store, 2 the definition, then as setup() makes them */
    static const char *const subjects[] = {NULL, NULL, NULL, "L1", "L1", "L1", "L2",
                                           "L2", "L2", "L3", "L3", "L3", "L3"};
    return lsn < sizeof subjects / sizeof subjects[0] ? subjects[lsn] : NULL;
}

static void test_audit_verify_accepts_what_was_kept(void **state) {
    struct audited *audited = *state;
    uint64_t first_bad = 1;
    must(&audited->f, verify(audited, true, &first_bad));
    assert_int_equal(first_bad, 0);
    assert_true(audited->kept.size >= 12);
}

static void test_audit_verify_names_every_edited_record(void **state) {
    struct audited *audited = *state;
    const struct trail *trail = &audited->trail;
    uint8_t *bytes = malloc(trail->size);
    memcpy(bytes, trail->bytes, trail->size);
    size_t named = 0;
    for (size_t i = WAL_SEGMENT_HEADER_SIZE; i < trail->size; i++) {
        uint64_t lsn = trail_lsn_at(trail, i);
        bytes[i] ^= (uint8_t)(1 << i % 8);
        trail_write(trail, bytes, trail->size);
        char what[64];
        (void)snprintf(what, sizeof what, "bit %zu of byte %zu", i % 8, i);
        expect_damage(audited, false, lsn, what);
        if (subject_of(lsn) != NULL) {
            if (strstr(audited->f.err.text, subject_of(lsn)) == NULL)
                fail_msg("%s: %s is not named: %s", what, subject_of(lsn), audited->f.err.text);
            named++;
        }
        bytes[i] ^= (uint8_t)(1 << i % 8);
    }
    assert_true(named > 500);
    free(bytes);
}

/* Every drop, insertion of a copy, and swap of the trail's frames. */
typedef void (*order_fn)(struct audited *audited, const size_t *order, size_t count,
                         const char *what);

static void for_each_change(struct audited *audited, order_fn try) {
    size_t count = audited->trail.count;
    size_t order[TRAIL_FRAMES_MAX + 1];
    for (size_t a = 0; a < count; a++) {
        size_t used = 0;
        for (size_t i = 0; i < count; i++)
            if (i != a)
                order[used++] = i;
        try(audited, order, used, "a drop");
        for (size_t b = 0; b <= count; b++) { /* a copy of frame a before frame b */
            used = 0;
            for (size_t i = 0; i < count; i++) {
                if (i == b)
                    order[used++] = a;
                order[used++] = i;
            }
            if (b == count)
                order[used++] = a;
            try(audited, order, used, "an insertion");
        }
        for (size_t b = a + 1; b < count; b++) {
            for (size_t i = 0; i < count; i++)
                order[i] = i == a ? b : i == b ? a : i;
            try(audited, order, count, "a swap");
        }
    }
}

static void try_moved(struct audited *audited, const size_t *order, size_t count,
                      const char *what) {
    uint64_t expected = 0; /* the first LSN that is not where it was */
    for (size_t i = 0; expected == 0 && i < audited->trail.count; i++)
        if (i >= count || order[i] != i)
            expected = i + 1;
    if (expected == 0)
        return; /* appended behind everything: see below */
    trail_write_frames(&audited->trail, order, count);
    expect_damage(audited, false, expected, what);
}

static void test_audit_verify_names_every_moved_record(void **state) {
    for_each_change(*state, try_moved);
}

static void test_audit_verify_sees_a_record_copied_to_the_end(void **state) {
    struct audited *audited = *state;
    size_t count = audited->trail.count;
    size_t order[TRAIL_FRAMES_MAX + 1];
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    uint64_t first_bad;
    for (size_t a = 0; a < count; a++) {
        order[count] = a;
        trail_write_frames(&audited->trail, order, count + 1);
        /* Above the durable mark it is a torn tail: told, and never taken for a record. */
        must(&audited->f, verify(audited, true, &first_bad));
    }
}

static void test_audit_verify_sees_cuts_anywhere(void **state) {
    struct audited *audited = *state;
    const struct trail *trail = &audited->trail;
    for (size_t size = WAL_SEGMENT_HEADER_SIZE; size < trail->size; size += 5) {
        uint64_t lsn = trail_lsn_at(trail, size);
        trail_write(trail, trail->bytes, size);
        expect_damage(audited, false, lsn, "a cut"); /* the snapshot knows better */
    }
}

/* Without a snapshot and the lock file nothing in the store says that there was more: only the kept
 * root does. */
static void test_audit_verify_sees_a_cut_end_by_the_kept_root(void **state) {
    struct audited *audited = *state;
    const struct trail *trail = &audited->trail;
    char command[2 * FIXTURE_PATH_MAX + 80];
    (void)snprintf(command, sizeof command, "rm -rf '%s/state' '%s/lock'", audited->f.dir,
                   audited->f.dir);
    assert_int_equal(system(command), 0);
    for (size_t i = 1; i < trail->count; i++) {
        uint64_t first_bad;
        trail_write(trail, trail->bytes, trail->frames[i].offset);
        must(&audited->f, verify(audited, false, &first_bad));
        expect_damage(audited, true, i + 1, "a cut end");
    }
}

/* Does the text of the damage lead to `lsn`? "… among LSN a to b". */
static bool range_holds(const char *text, uint64_t lsn) {
    const char *at = strstr(text, "among LSN ");
    uint64_t first;
    uint64_t last;
    return at != NULL && sscanf(at, "among LSN %" SCNu64 " to %" SCNu64, &first, &last) == 2 &&
           first <= lsn && lsn <= last;
}

static void try_forged(struct audited *audited, const size_t *order, size_t count,
                       const char *what) {
    uint64_t first_bad = 0;
    struct audited own = *audited;
    bool same = count >= audited->trail.count;
    uint64_t first = 0;
    for (size_t i = 0; i < audited->trail.count; i++) {
        bool here = i < count && order[i] == i;
        same &= here;
        if (!here && first == 0)
            first = i + 1;
    }
    if (same)
        return; /* appended with checksums that hold: the kept root says nothing of it */
    trail_forge_frames(&audited->trail, order, count);
    if (verify(&own, true, &first_bad) != WF_DAMAGE)
        fail_msg("%s with new checksums passed", what);
    /* Of a subtree that is not whole any more nobody can say where it differs, only where it ends.
     */
    uint64_t last_peak = own.kept.size & (own.kept.size - 1);
    bool ends_early = first > last_peak && first_bad == count + 1;
    if (first_bad != first && !ends_early && !range_holds(own.f.err.text, first))
        fail_msg("%s with new checksums: LSN %" PRIu64 " is not named: %s", what, first,
                 own.f.err.text);
}

static void test_audit_verify_sees_forged_orders_by_the_kept_root(void **state) {
    for_each_change(*state, try_forged);
}

/* A rewritten payload under checksums that hold: a field's value, changed so that it decodes. */
static void test_audit_verify_sees_a_forged_payload_by_the_kept_root(void **state) {
    struct audited *audited = *state;
    struct trail *trail = &audited->trail;
    size_t order[TRAIL_FRAMES_MAX];
    size_t passed = 0;
    for (size_t i = 0; i < trail->count; i++)
        order[i] = i;
    for (size_t i = 0; i < trail->count; i++) {
        struct bytes_view original = trail->frames[i].payload;
        uint8_t *copy = malloc(original.size);
        memcpy(copy, original.data, original.size);
        copy[original.size - 1] ^= 1;
        trail->frames[i].payload.data = copy;
        trail_forge_frames(trail, order, trail->count);
        uint64_t first_bad = 0;
        passed += verify(audited, false, &first_bad) == WF_OK;
        assert_int_equal(verify(audited, true, &first_bad), WF_DAMAGE);
        assert_true(first_bad == i + 1 || range_holds(audited->f.err.text, i + 1));
        trail->frames[i].payload = original;
        free(copy);
    }
    assert_true(passed > 0); /* such as only the root shows */
}

/* --- heads and proofs --- */

static int setup_open(void **state) {
    (void)setup(state);
    struct audited *audited = *state;
    fixture_open(&audited->f);
    return 0;
}

static void test_audit_root_of_the_past_does_not_change(void **state) {
    struct audited *audited = *state;
    struct engine_fixture *f = &audited->f;
    struct wf_tree_head now;
    fixture_loan(f, "L9", 2);
    must(f, wf_audit_root(f->engine, audited->kept.size, &now, &f->err));
    assert_string_equal(now.root, audited->kept.root);
    assert_string_equal(now.store, audited->kept.store);
    must(f, wf_audit_root(f->engine, 0, &now, &f->err));
    assert_string_not_equal(now.root, audited->kept.root);
    assert_int_equal(now.size, audited->kept.size + 3);
    assert_int_equal(wf_audit_root(f->engine, now.size + 1, &now, &f->err), WF_NOT_FOUND);
}

static void test_audit_proves_every_record(void **state) {
    struct audited *audited = *state;
    struct engine_fixture *f = &audited->f;
    for (uint64_t size = 1; size <= audited->kept.size; size++) {
        struct wf_tree_head head;
        must(f, wf_audit_root(f->engine, size, &head, &f->err));
        for (uint64_t lsn = 1; lsn <= size; lsn++) {
            struct wf_proof proof;
            must(f, wf_audit_prove(f->engine, lsn, size, &proof, &f->err));
            must(f, wf_audit_check(&proof, head.root, size, &f->err));
            ((uint8_t *)(uintptr_t)proof.payload)[0] ^= 1;
            assert_int_equal(wf_audit_check(&proof, head.root, size, &f->err), WF_DAMAGE);
            ((uint8_t *)(uintptr_t)proof.payload)[0] ^= 1;
            proof.lsn = proof.lsn % size + 1;
            assert_true(size == 1 || wf_audit_check(&proof, head.root, size, &f->err) == WF_DAMAGE);
            wf_proof_deinit(&proof);
        }
    }
}

static void test_audit_proves_that_the_past_is_the_same(void **state) {
    struct audited *audited = *state;
    struct engine_fixture *f = &audited->f;
    for (uint64_t size = 1; size <= audited->kept.size; size++) {
        struct wf_tree_head old;
        struct wf_proof proof;
        must(f, wf_audit_root(f->engine, size, &old, &f->err));
        must(f, wf_audit_prove_consistency(f->engine, &old, &proof, &f->err));
        must(f, wf_audit_check(&proof, old.root, size, &f->err));
        must(f, wf_audit_check(&proof, audited->kept.root, audited->kept.size, &f->err));
        proof.old_root[7] = proof.old_root[7] == '0' ? '1' : '0';
        assert_int_equal(wf_audit_check(&proof, audited->kept.root, 0, &f->err), WF_DAMAGE);
        old.root[7] = old.root[7] == '0' ? '1' : '0';
        assert_int_equal(wf_audit_prove_consistency(f->engine, &old, &proof, &f->err), WF_DAMAGE);
    }
}

static void test_audit_check_refuses_what_is_no_proof(void **state) {
    struct audited *audited = *state;
    struct engine_fixture *f = &audited->f;
    struct wf_proof proof;
    must(f, wf_audit_prove(f->engine, 3, 0, &proof, &f->err));
    assert_int_equal(wf_audit_check(&proof, "abc", 0, &f->err), WF_USAGE);
    assert_int_equal(wf_audit_check(&proof, audited->kept.root, 5, &f->err), WF_DAMAGE);
    proof.path[0][3] = 'x';
    assert_int_equal(wf_audit_check(&proof, audited->kept.root, 0, &f->err), WF_USAGE);
    proof.path_count = WF_PROOF_PATH_MAX + 1;
    assert_int_equal(wf_audit_check(&proof, audited->kept.root, 0, &f->err), WF_USAGE);
    wf_proof_deinit(&proof);
    assert_int_equal(wf_audit_prove(f->engine, 0, 0, &proof, &f->err), WF_NOT_FOUND);
    assert_int_equal(wf_audit_prove(f->engine, 99, 0, &proof, &f->err), WF_NOT_FOUND);
}

/* The key pair of RFC 8032, section 7.1, test 1. */
static const char private_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char public_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                                 "-----END PUBLIC KEY-----\n";

static void test_audit_signature_is_of_the_whole_head(void **state) {
    struct audited *audited = *state;
    struct wf_tree_head head = audited->kept;
    char signature[WF_SIGNATURE_HEX];
    char key[WF_HASH_HEX];
    struct wf_error err;
    assert_int_equal(wf_audit_sign(&head, private_pem, signature, key, &err), WF_OK);
    assert_string_equal(key, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_int_equal(wf_audit_check_signature(&head, signature, public_pem, &err), WF_OK);
    head.size++;
    assert_int_equal(wf_audit_check_signature(&head, signature, public_pem, &err), WF_DAMAGE);
    head.size--;
    head.time_ms++;
    assert_int_equal(wf_audit_check_signature(&head, signature, public_pem, &err), WF_DAMAGE);
    head.time_ms--;
    head.root[0] = head.root[0] == 'a' ? 'b' : 'a';
    assert_int_equal(wf_audit_check_signature(&head, signature, public_pem, &err), WF_DAMAGE);
    assert_int_equal(wf_audit_check_signature(&head, "00", public_pem, &err), WF_USAGE);
    assert_int_equal(wf_audit_check_signature(&head, signature, private_pem, &err), WF_USAGE);
    assert_int_equal(wf_audit_sign(&head, public_pem, signature, NULL, &err), WF_USAGE);
}

/* --- showing --- */

struct seen {
    size_t count;
    uint64_t first_lsn, last_lsn;
};

static bool see(void *ctx, const struct wf_event *event) {
    struct seen *seen = ctx;
    seen->first_lsn = seen->count == 0 ? event->lsn : seen->first_lsn;
    seen->last_lsn = event->lsn;
    seen->count++;
    return true;
}

static struct seen show(struct engine_fixture *f, struct wf_audit_filter filter) {
    struct seen seen = {0};
    must(f, wf_audit_show(f->engine, &filter, see, &seen, &f->err));
    return seen;
}

static void test_audit_show_filters(void **state) {
    struct audited *audited = *state;
    struct engine_fixture *f = &audited->f;
    struct wf_command advance = {
        .kind = WF_CLOCK_ADVANCE, .duration_ms = 1000, .actor = "operator"};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    fixture_loan(f, "L9", 1);
    struct seen all = show(f, (struct wf_audit_filter){0});
    assert_int_equal(all.first_lsn, 1);
    struct seen seen = show(f, (struct wf_audit_filter){.entity = "L2"});
    assert_int_equal(seen.first_lsn, 6);
    assert_int_equal(seen.last_lsn, 8); /* the refusal */
    seen = show(f, (struct wf_audit_filter){.event = "command_refused"});
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.first_lsn, 8);
    seen = show(f, (struct wf_audit_filter){.actor = "operator"});
    assert_int_equal(seen.count, 1);
    uint64_t advanced = seen.first_lsn;
    seen = show(f, (struct wf_audit_filter){.first_lsn = 4, .last_lsn = 6});
    assert_int_equal(seen.first_lsn, 4);
    assert_int_equal(seen.last_lsn, 6);
    int64_t start_ms = f->options.test_clock_ms;
    seen = show(f, (struct wf_audit_filter){.first_ms = start_ms + 1});
    assert_true(seen.first_lsn >= advanced);
    seen = show(f, (struct wf_audit_filter){.last_ms = start_ms});
    assert_true(seen.count > 0 && seen.last_lsn <= advanced);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_audit_verify_accepts_what_was_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_names_every_edited_record, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_names_every_moved_record, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_sees_a_record_copied_to_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_sees_cuts_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_sees_a_cut_end_by_the_kept_root, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_sees_forged_orders_by_the_kept_root,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_verify_sees_a_forged_payload_by_the_kept_root,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_root_of_the_past_does_not_change, setup_open,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_proves_every_record, setup_open, teardown),
        cmocka_unit_test_setup_teardown(test_audit_proves_that_the_past_is_the_same, setup_open,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_check_refuses_what_is_no_proof, setup_open,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_signature_is_of_the_whole_head, setup_open,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_audit_show_filters, setup_open, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
