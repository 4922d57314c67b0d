/* Entities as bytes: they come back as they were, equal content gives equal bytes, and no bytes do
 * harm. */
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct pair {
    struct bytes_buffer key, value;
    size_t hashed;
};

static struct pair encode(const struct entity *entity) {
    struct pair pair;
    bytes_buffer_init(&pair.key);
    bytes_buffer_init(&pair.value);
    entity_encode_key(entity, &pair.key);
    entity_encode(entity, &pair.value, &pair.hashed);
    assert_true(bytes_buffer_ok(&pair.key) && bytes_buffer_ok(&pair.value));
    return pair;
}

static void release(struct pair *pair) {
    bytes_buffer_deinit(&pair->key);
    bytes_buffer_deinit(&pair->value);
}

static enum wf_status decode(struct state *state, const struct pair *pair, struct entity **out,
                             struct wf_error *err) {
    return entity_decode(state, (struct bytes_view){pair->key.data, pair->key.size},
                         (struct bytes_view){pair->value.data, pair->value.size}, out, err);
}

/* A loan at its second stage, a key, a refusal, a failed loan, one that was migrated twice. */
static int open_loans(void **state) {
    struct core_store *store = core_store_open(false);
    core_define(store, core_loan_yaml);
    core_start(store, "L1", "loan_application", NULL);
    core_submit_keyed(store, "L1", core_loan_steps[0][0], core_loan_steps[0][1], "first key", 1);
    core_submit(store, "L1", core_loan_steps[1][0], core_loan_steps[1][1]);
    core_submit(store, "L1", core_loan_steps[4][0], core_loan_steps[4][1]);
    core_start(store, "L2", "loan_application", "branch=north");
    core_submit(store, "L2", core_loan_steps[0][0], core_loan_steps[0][1]);
    for (int i = 0; i < 3; i++) /* as often as it may be attempted */
        core_fail(store, "L2", "credit_check", "score too low");
    core_define(store, core_loan_2_yaml);
    core_start(store, "L3", "loan_application", NULL);
    core_migrate(store, "L3", 1, NULL);
    core_submit(store, "L3", core_loan_steps[0][0], core_loan_steps[0][1]);
    core_migrate(store, "L3", 2, "credit_check=credit_rating");
    *state = store;
    return 0;
}

static int close_loans(void **state) {
    core_store_close(*state);
    return 0;
}

/* All entities of the store, definitions before the workflows that use them. */
static size_t entities_of(struct core_store *store, struct entity *out[16]) {
    size_t count = 0;
    out[count++] = &store->state.store.entity;
    size_t at = 0;
    for (struct entity *e; (e = table_next(&store->state.definitions, &at)) != NULL;)
        out[count++] = e;
    at = 0;
    for (struct entity *e; (e = table_next(&store->state.workflows, &at)) != NULL;)
        out[count++] = e;
    at = 0;
    for (struct entity *e; (e = table_next(&store->state.keys, &at)) != NULL;)
        out[count++] = e;
    return count;
}

static void test_entity_comes_back_as_it_was(void **state) {
    struct core_store *store = *state;
    struct entity *entities[16];
    size_t count = entities_of(store, entities);
    struct state loaded;
    struct wf_error err;
    assert_int_equal(state_init(&loaded, NULL), WF_OK);
    for (size_t i = 0; i < count; i++) {
        struct pair pair = encode(entities[i]);
        struct entity *entity = NULL;
        if (decode(&loaded, &pair, &entity, &err) != WF_OK)
            fail_msg("%s", err.text);
        assert_int_equal(entity->kind, entities[i]->kind);
        assert_int_equal(entity->generation, 0);
        struct pair again = encode(entity);
        assert_int_equal(again.value.size, pair.value.size);
        assert_memory_equal(again.value.data, pair.value.data, pair.value.size);
        assert_int_equal(again.key.size, pair.key.size);
        assert_memory_equal(again.key.data, pair.key.data, pair.key.size);
        release(&pair);
        release(&again);
    }
    if (check_state(&loaded, true, &err) != WF_OK)
        fail_msg("%s", err.text);
    const struct workflow *failed = state_workflow(&loaded, text_view("L2"));
    assert_string_equal(failed->reason, "score too low");
    assert_int_equal(failed->status, WORKFLOW_FAILED);
    assert_int_equal(state_key(&loaded, text_view("first key"))->link.lsn, 4);
    assert_string_equal(
        state_definition(&loaded, text_view("loan_application"), 1)->definition->source,
        core_loan_yaml);
    state_deinit(&loaded);
}

/* One loan at each place where something waits or stands still. */
static void test_entity_with_proposals_comes_back_as_it_was(void **state) {
    struct core_store *store = *state;
    static const char *const ids[] = {"W1", "W2", "W3", "W4"};
    for (size_t i = 0; i < 4; i++) {
        core_start(store, ids[i], "loan_application", NULL);
        for (size_t step = 0; step < 3; step++)
            core_submit(store, ids[i], core_loan_steps[step][0], core_loan_steps[step][1]);
    }
    store->now_ms += 7000;
    core_rollback(store, "W1", "credit_check", "eve");
    core_fail(store, "W2", "collateral_assessment", "no answer");
    core_cancel_back(store, "W3", "withdrawn", "eve");
    core_review(store, COMMAND_REVIEW_APPROVE, "W3", "collateral_assessment", "bob", "reviewer");
    core_rollback(store, "W4", "income_verification", "eve");
    core_review(store, COMMAND_REVIEW_REJECT, "W4", "collateral_assessment", "bob", "reviewer");
    state_freeze(&store->state);
    while (store->state.frozen.first != NULL)
        state_thaw(&store->state, store->state.frozen.first);
    for (size_t i = 0; i < 4; i++) {
        struct entity *entity = &core_workflow(store, ids[i])->entity;
        struct pair pair = encode(entity);
        state_evict(&store->state, entity);
        if (decode(&store->state, &pair, &entity, &store->err) != WF_OK)
            fail_msg("%s: %s", ids[i], store->err.text);
        struct pair again = encode(entity);
        assert_int_equal(again.value.size, pair.value.size);
        assert_memory_equal(again.value.data, pair.value.data, pair.value.size);
        release(&pair);
        release(&again);
    }
    if (check_state(&store->state, true, &store->err) != WF_OK)
        fail_msg("%s", store->err.text);
    struct bytes_view reason = proposal_reason(core_workflow(store, "W2")->proposals);
    assert_int_equal(reason.size, 9);
    assert_memory_equal(reason.data, "no answer", 9);
}

static void test_entity_loaded_loan_goes_on(void **state) {
    struct core_store *store = *state;
    state_freeze(&store->state);
    while (store->state.frozen.first != NULL)
        state_thaw(&store->state, store->state.frozen.first);
    struct pair pair = encode(&core_workflow(store, "L1")->entity);
    state_evict(&store->state, &core_workflow(store, "L1")->entity);
    struct entity *entity;
    assert_int_equal(decode(&store->state, &pair, &entity, &store->err), WF_OK);
    release(&pair);
    for (size_t i = 2; i < 5; i++)
        assert_int_equal(core_submit(store, "L1", core_loan_steps[i][0], core_loan_steps[i][1]),
                         WF_OK);
    assert_int_equal(core_workflow(store, "L1")->status, WORKFLOW_COMPLETED);
}

static void test_entity_waiting_loan_is_small(void **state) {
    struct core_store *store = *state;
    struct pair pair = encode(&core_workflow(store, "L1")->entity);
    assert_in_range(pair.value.size, 60, 110);
    release(&pair);
}

static void test_entity_links_do_not_count_for_the_hash(void **state) {
    struct core_store *store = *state;
    struct entity *entities[16];
    size_t count = entities_of(store, entities);
    for (size_t i = 0; i < count; i++) {
        struct pair before = encode(entities[i]);
        if (entities[i]->kind == ENTITY_WORKFLOW) {
            ((struct workflow *)entities[i])->history = (struct record_link){900, 1};
        } else if (entities[i]->kind == ENTITY_DEFINITION) {
            ((struct definition_entity *)entities[i])->history = (struct record_link){900, 1};
        } else if (entities[i]->kind == ENTITY_KEY) {
            ((struct idempotency_key *)entities[i])->link.offset = 1;
        }
        struct pair after = encode(entities[i]);
        assert_int_equal(before.hashed, after.hashed);
        assert_memory_equal(before.value.data, after.value.data, before.hashed);
        release(&before);
        release(&after);
    }
}

static void test_entity_every_change_counts_for_the_hash(void **state) {
    struct core_store *store = *state;
    struct workflow *loan = core_workflow(store, "L1");
    struct pair before = encode(&loan->entity);
    uint64_t *const words[] = {&loan->lsn, &loan->stages[0].completed_lsn,
                               &loan->stages[1].activated_lsn};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ++*words[i];
        struct pair after = encode(&loan->entity);
        assert_true(after.hashed != before.hashed ||
                    memcmp(after.value.data, before.value.data, before.hashed) != 0);
        --*words[i];
        release(&after);
    }
    loan->stages[1].deadline_ms++;
    struct pair after = encode(&loan->entity);
    assert_true(memcmp(after.value.data, before.value.data, before.hashed) != 0);
    loan->stages[1].deadline_ms--;
    release(&after);
    release(&before);
}

static void test_entity_reason_counts_for_the_hash(void **state) {
    struct core_store *store = *state;
    struct workflow *failed = core_workflow(store, "L2");
    struct pair before = encode(&failed->entity);
    failed->reason[0] ^= 1;
    struct pair after = encode(&failed->entity);
    failed->reason[0] ^= 1;
    assert_int_equal(after.hashed, before.hashed);
    assert_memory_not_equal(after.value.data, before.value.data, before.hashed);
    release(&after);
    release(&before);
}

static void test_entity_encode_appends_to_what_is_there(void **state) {
    struct core_store *store = *state;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    bytes_write_u32(&buffer, 7);
    size_t hashed;
    entity_encode(&core_workflow(store, "L1")->entity, &buffer, &hashed);
    assert_true(hashed < buffer.size - 4);
    bytes_buffer_deinit(&buffer);
}

static void test_entity_keys_begin_with_their_kind(void **state) {
    struct core_store *store = *state;
    struct bytes_buffer key;
    bytes_buffer_init(&key);
    entity_key(ENTITY_WORKFLOW, text_view("L1"), &key);
    struct pair pair = encode(&core_workflow(store, "L1")->entity);
    assert_int_equal(key.size, 3);
    assert_int_equal(key.data[0], ENTITY_WORKFLOW);
    assert_int_equal(pair.key.size, key.size);
    assert_memory_equal(pair.key.data, key.data, key.size);
    bytes_buffer_deinit(&key);
    release(&pair);
}

static void test_entity_decode_wants_the_definition_first(void **state) {
    struct core_store *store = *state;
    struct state empty;
    struct entity *entity;
    struct wf_error err;
    assert_int_equal(state_init(&empty, NULL), WF_OK);
    struct pair pair = encode(&core_workflow(store, "L1")->entity);
    assert_int_equal(decode(&empty, &pair, &entity, &err), WF_DAMAGE);
    release(&pair);
    state_deinit(&empty);
}

static void test_entity_decode_refuses_what_is_there_already(void **state) {
    struct core_store *store = *state;
    struct entity *entities[16], *entity;
    size_t count = entities_of(store, entities);
    for (size_t i = 1; i < count; i++) { /* the store entity is read in place */
        struct pair pair = encode(entities[i]);
        assert_int_equal(decode(&store->state, &pair, &entity, &store->err), WF_DAMAGE);
        release(&pair);
    }
    assert_int_equal(check_state(&store->state, true, &store->err), WF_OK);
}

/* A state that knows the definition, for decoding one workflow or key into it. */
static void init_with_definition(struct state *state, struct core_store *store) {
    struct entity *entity;
    assert_int_equal(state_init(state, NULL), WF_OK);
    size_t at = 0;
    struct pair pair = encode(table_next(&store->state.definitions, &at));
    assert_int_equal(decode(state, &pair, &entity, NULL), WF_OK);
    release(&pair);
}

/* Refused with words, or an entity that can be read, checked and encoded like any other. */
static void try_bytes(struct state *state, const struct pair *pair) {
    struct entity *entity = NULL;
    struct wf_error err = {WF_OK, ""};
    enum wf_status status = decode(state, pair, &entity, &err);
    if (status != WF_OK) {
        assert_int_equal(status, WF_DAMAGE);
        assert_true(strlen(err.text) > 0);
        return;
    }
    if (entity->kind == ENTITY_WORKFLOW) {
        struct workflow *workflow = (struct workflow *)entity;
        (void)check_workflow(workflow, NULL); /* may find it senseless, must not stumble */
        (void)workflow_current_stage(workflow);
        (void)workflow_field(workflow, "ssn", 3);
    }
    struct pair again = encode(entity);
    release(&again);
    if (entity->kind == ENTITY_WORKFLOW || entity->kind == ENTITY_KEY)
        state_evict(state, entity);
}

static void test_entity_decode_survives_every_cut_and_flip(void **state) {
    struct core_store *store = *state;
    struct entity *entities[16];
    size_t count = entities_of(store, entities);
    for (size_t i = 0; i < count; i++) {
        if (entities[i]->kind == ENTITY_DEFINITION)
            continue; /* below: each try needs a state of its own */
        struct state fresh;
        init_with_definition(&fresh, store);
        struct pair pair = encode(entities[i]);
        size_t size = pair.value.size;
        for (pair.value.size = 0; pair.value.size < size; pair.value.size++)
            try_bytes(&fresh, &pair);
        for (size_t bit = 0; bit < size * 8; bit++) {
            pair.value.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            try_bytes(&fresh, &pair);
            pair.value.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        release(&pair);
        state_deinit(&fresh);
    }
}

static void test_entity_decode_survives_damaged_definitions(void **state) {
    struct core_store *store = *state;
    size_t at = 0;
    struct pair pair = encode(table_next(&store->state.definitions, &at));
    size_t size = pair.value.size;
    for (size_t i = 0; i < 2 * size; i++) {
        struct state fresh;
        assert_int_equal(state_init(&fresh, NULL), WF_OK);
        if (i < size)
            pair.value.size = i;
        else
            pair.value.data[i - size] ^= (uint8_t)(1U << i % 8);
        try_bytes(&fresh, &pair);
        if (i >= size)
            pair.value.data[i - size] ^= (uint8_t)(1U << i % 8);
        pair.value.size = size;
        state_deinit(&fresh);
    }
    release(&pair);
}

static void test_entity_decode_refuses_other_layouts_and_kinds(void **state) {
    struct core_store *store = *state;
    struct pair pair = encode(&store->state.store.entity);
    struct entity *entity;
    uint8_t layout = pair.value.data[0];
    pair.value.data[0] = (uint8_t)(layout + 1);
    assert_int_equal(decode(&store->state, &pair, &entity, &store->err), WF_DAMAGE);
    pair.value.data[0] = layout;
    pair.key.data[0] = 9;
    assert_int_equal(decode(&store->state, &pair, &entity, &store->err), WF_DAMAGE);
    pair.key.size = 0;
    assert_int_equal(decode(&store->state, &pair, &entity, &store->err), WF_DAMAGE);
    pair.key.size = 1;
    release(&pair);
}

#define LOANS_TEST(name) cmocka_unit_test_setup_teardown(name, open_loans, close_loans)

int main(void) {
    const struct CMUnitTest tests[] = {
        LOANS_TEST(test_entity_comes_back_as_it_was),
        LOANS_TEST(test_entity_with_proposals_comes_back_as_it_was),
        LOANS_TEST(test_entity_loaded_loan_goes_on),
        LOANS_TEST(test_entity_waiting_loan_is_small),
        LOANS_TEST(test_entity_links_do_not_count_for_the_hash),
        LOANS_TEST(test_entity_every_change_counts_for_the_hash),
        LOANS_TEST(test_entity_reason_counts_for_the_hash),
        LOANS_TEST(test_entity_encode_appends_to_what_is_there),
        LOANS_TEST(test_entity_keys_begin_with_their_kind),
        LOANS_TEST(test_entity_decode_wants_the_definition_first),
        LOANS_TEST(test_entity_decode_refuses_what_is_there_already),
        LOANS_TEST(test_entity_decode_survives_every_cut_and_flip),
        LOANS_TEST(test_entity_decode_survives_damaged_definitions),
        LOANS_TEST(test_entity_decode_refuses_other_layouts_and_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
