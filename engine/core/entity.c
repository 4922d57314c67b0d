/* Entities as bytes. Every value begins with the version of its layout (u8). Numbers are varints
 * unless said otherwise; LSNs and times of a workflow, where marked "+", are differences from its
 * start, so that a small loan stays small. Square brackets: there if the flags say so.
 *
 *   store       created u8, test clock u8, clock ms zigzag, seen ms zigzag,
 *               oldest key, keys in force, 7 counts of workflows, refusals, repairs, accounts
 *               [test clock's target zigzag [dropped LSN, LSN of the record that says so]]
 *   definition  number, added LSN, the definition (definition_bytes.c)
 *               | history LSN, offset
 *   workflow    definition number, status u8, started LSN, +LSN, started ms zigzag,
 *               +changed ms zigzag, step count u8, steps u8 each,
 *               stages: status and flags u8 [attempt] [+activated LSN] [+completed LSN]
 *               [+deadline zigzag],
 *               size of the data, data, size of the reason + 1 (0: none), reason,
 *               [proposals] [tasks] [past versions u8, each: definition number, +LSN that ended it]
 *               [money: count, each stage u8, epoch, +LSN, size, data (stage_money.h)]
 *               | +history LSN, offset
 *   key         body hash 16 bytes, sequence, LSN
 *               | offset
 *   account     currency 3 bytes, status u8, type string, balance zigzag, minimum zigzag, version,
 *               opened LSN, LSN, opened ms zigzag, changed ms zigzag, holds: count, each amount,
 *               expires ms zigzag, LSN, name string, to string
 *               | history LSN, offset
 *   reversal    LSN of the record that reverses; the key is the LSN of the one reversed, 8 bytes
 *   reference   LSN, set ms zigzag, fields: count u8, each name string, value string
 *
 * What stands behind the bar does not count for the state hash: it says where in the log, not what.
 * An entity's key is a byte for its kind and its name. */
#include "engine/core/definition_bytes.h"
#include "engine/core/ineffective.h"
#include "engine/core/ledger.h"
#include "engine/core/proposal.h"
#include "engine/core/reference.h"
#include "engine/core/reversal.h"
#include "engine/core/stage_money.h"
#include "engine/core/state_inner.h"
#include "engine/core/task.h"
#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <stdlib.h>
#include <string.h>

enum {
    LAYOUT_VERSION = 2,
    NUMBERS_MAX = 1 << 20, /* definitions of one store, all versions */

    WORKFLOW_EXTENDED = 0x80, /* with the status: proposals or a verdict follow the reason */

    WORKFLOW_MIGRATED = 0x40, /* likewise: past versions follow these */
    WORKFLOW_TASKS = 0x20,    /* likewise: tasks follow these */
    WORKFLOW_MONEY = 0x10,    /* likewise: what stages moved on accounts, behind the versions */

    STAGE_STATUS_MASK = 0x0F,
    STAGE_HAS_ATTEMPT = 0x10,
    STAGE_HAS_ACTIVATED = 0x20,
    STAGE_HAS_COMPLETED = 0x40,
    STAGE_HAS_DEADLINE = 0x80,
};

/* --- store --- */

static void encode_store(const struct store_entity *store, struct bytes_buffer *value) {
    bytes_write_u8(value, store->created);
    bytes_write_u8(value, store->test_clock);
    bytes_write_zigzag(value, store->clock_ms);
    bytes_write_zigzag(value, store->seen_ms);
    bytes_write_varint(value, store->key_first);
    bytes_write_varint(value, store->key_next - store->key_first);
    for (int i = WORKFLOW_RUNNING; i < WORKFLOW_STATUS_COUNT; i++)
        bytes_write_varint(value, store->workflow_counts[i]);
    bytes_write_varint(value, store->refusals);
    bytes_write_varint(value, store->repairs);
    bytes_write_varint(value, store->accounts);
    bool untold = store->untold != 0;
    if (store->clock_target_ms != 0 || store->dropped_lsn != 0 || untold)
        bytes_write_zigzag(value, store->clock_target_ms);
    if (store->dropped_lsn != 0 || untold) {
        bytes_write_varint(value, store->dropped_lsn);
        bytes_write_varint(value, store->drop_lsn);
    }
    if (untold)
        bytes_write_varint(value, store->untold);
}

static bool decode_store(struct store_entity *store, struct bytes_reader *reader) {
    store->created = bytes_read_u8(reader) != 0;
    store->test_clock = bytes_read_u8(reader) != 0;
    store->clock_ms = bytes_read_zigzag(reader);
    store->seen_ms = bytes_read_zigzag(reader);
    store->key_first = bytes_read_varint(reader);
    store->key_next = store->key_first + bytes_read_varint(reader);
    for (int i = WORKFLOW_RUNNING; i < WORKFLOW_STATUS_COUNT; i++)
        store->workflow_counts[i] = bytes_read_varint(reader);
    store->refusals = bytes_read_varint(reader);
    store->repairs = bytes_read_varint(reader);
    store->accounts = bytes_read_varint(reader);
    bool on_its_way = bytes_reader_left(reader) > 0;
    store->clock_target_ms = on_its_way ? bytes_read_zigzag(reader) : 0;
    bool dropped = bytes_reader_left(reader) > 0;
    store->dropped_lsn = dropped ? bytes_read_varint(reader) : 0;
    store->drop_lsn = dropped ? bytes_read_varint(reader) : 0;
    bool untold = bytes_reader_left(reader) > 0;
    store->untold = untold ? bytes_read_varint(reader) : 0;
    if (untold && store->untold == 0)
        return false;
    if (on_its_way && store->clock_target_ms == 0 && store->dropped_lsn == 0 && !untold)
        return false;
    if (untold && store->dropped_lsn == 0 && store->drop_lsn == 0)
        dropped = false; /* they only stand before it */
    if (dropped && (store->dropped_lsn == 0 || store->drop_lsn <= store->dropped_lsn))
        return false;
    return bytes_reader_done(reader) && store->key_next >= store->key_first;
}

static enum wf_status load_store(struct state *state, struct bytes_reader *reader,
                                 struct entity **out, struct wf_error *err) {
    struct store_entity read = state->store;
    if (!decode_store(&read, reader))
        return error_set(err, WF_DAMAGE, "the value of the store entity is malformed");
    state->store = read;
    state->after_loss |= read.untold != 0;
    *out = &state->store.entity;
    return WF_OK;
}

/* --- definition --- */

static void encode_definition(const struct definition_entity *entity, struct bytes_buffer *value,
                              size_t *hashed) {
    bytes_write_varint(value, entity->number);
    bytes_write_varint(value, entity->added_lsn);
    definition_write(value, entity->definition);
    *hashed = value->size;
    bytes_write_varint(value, entity->history.lsn);
    bytes_write_varint(value, entity->history.offset);
}

static enum wf_status decode_definition(struct definition_entity *entity, struct bytes_view name,
                                        struct bytes_reader *reader, struct wf_error *err) {
    uint64_t number = bytes_read_varint(reader);
    entity->number = number <= NUMBERS_MAX ? (uint32_t)number : 0;
    entity->added_lsn = bytes_read_varint(reader);
    enum wf_status status = definition_read(reader, &entity->definition, err);
    if (status != WF_OK)
        return error_wrap(err, status, "definition %.*s", TEXT_ARGS(name));
    entity->history.lsn = bytes_read_varint(reader);
    entity->history.offset = bytes_read_varint(reader);
    state_name_definition(entity);
    if (!bytes_reader_done(reader) || entity->number == 0 || !text_equal(name, entity->key))
        return error_set(err, WF_DAMAGE, "the value of definition %.*s is malformed",
                         TEXT_ARGS(name));
    return WF_OK;
}

static enum wf_status load_definition(struct state *state, struct bytes_view name,
                                      struct bytes_reader *reader, struct entity **out,
                                      struct wf_error *err) {
    struct definition_entity *entity = calloc(1, sizeof *entity);
    if (entity == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for definition %.*s", TEXT_ARGS(name));
    entity->entity.kind = ENTITY_DEFINITION;
    enum wf_status status = decode_definition(entity, name, reader, err);
    if (status == WF_OK && (state_definition_numbered(state, entity->number) != NULL ||
                            table_find(&state->definitions, entity->key, entity->key_size) != NULL))
        status = error_set(err, WF_DAMAGE, "definition %.*s or its number is there twice",
                           TEXT_ARGS(name));
    if (status == WF_OK && (!state_reserve_number(state, entity->number) ||
                            !table_reserve(&state->definitions) || !table_reserve(&state->newest)))
        status = error_set(err, WF_NO_MEMORY, "no memory for definition %.*s", TEXT_ARGS(name));
    if (status != WF_OK) {
        definition_destroy(entity->definition);
        free(entity);
        return status;
    }
    entity->entity.changed_lsn = entity->history.lsn;
    state_insert_definition(state, entity);
    *out = &entity->entity;
    return WF_OK;
}

/* --- workflow --- */

/* A deadline is written as a difference from the start; what remains of one as it is. */
static int64_t deadline_base(const struct workflow *workflow, enum stage_status status) {
    return status == STAGE_HELD || status == STAGE_AWAITING_REVIEW ? 0 : workflow->started_ms;
}

static void encode_stage(const struct workflow *workflow, const struct stage_state *stage,
                         struct bytes_buffer *value) {
    bytes_write_u8(value, (uint8_t)((unsigned)stage->status |
                                    (stage->attempt != 0 ? STAGE_HAS_ATTEMPT : 0U) |
                                    (stage->activated_lsn != 0 ? STAGE_HAS_ACTIVATED : 0U) |
                                    (stage->completed_lsn != 0 ? STAGE_HAS_COMPLETED : 0U) |
                                    (stage->deadline_ms != 0 ? STAGE_HAS_DEADLINE : 0U)));
    if (stage->attempt != 0)
        bytes_write_varint(value, stage->attempt);
    if (stage->activated_lsn != 0)
        bytes_write_varint(value, stage->activated_lsn - workflow->started_lsn);
    if (stage->completed_lsn != 0)
        bytes_write_varint(value, stage->completed_lsn - workflow->started_lsn);
    if (stage->deadline_ms != 0)
        bytes_write_zigzag(value, stage->deadline_ms - deadline_base(workflow, stage->status));
}

static int64_t add_ms(int64_t time_ms, int64_t delta_ms) {
    return (int64_t)((uint64_t)time_ms +
                     (uint64_t)delta_ms); /* hostile sums wrap, they do not trap */
}

/* Only what encode_stage() writes is taken: a flag with a zero behind it would be a second form of
 * the same content. */
static bool decode_stage(const struct workflow *workflow, struct stage_state *stage,
                         struct bytes_reader *reader) {
    unsigned byte = bytes_read_u8(reader);
    stage->status = (enum stage_status)(byte & STAGE_STATUS_MASK);
    uint64_t attempt = (byte & STAGE_HAS_ATTEMPT) != 0 ? bytes_read_varint(reader) : 0;
    stage->attempt = (uint32_t)attempt;
    if ((byte & STAGE_HAS_ACTIVATED) != 0)
        stage->activated_lsn = workflow->started_lsn + bytes_read_varint(reader);
    if ((byte & STAGE_HAS_COMPLETED) != 0)
        stage->completed_lsn = workflow->started_lsn + bytes_read_varint(reader);
    if ((byte & STAGE_HAS_DEADLINE) != 0)
        stage->deadline_ms =
            add_ms(deadline_base(workflow, stage->status), bytes_read_zigzag(reader));
    return stage_status_name(stage->status) != NULL && attempt <= UINT32_MAX &&
           ((byte & STAGE_HAS_ATTEMPT) == 0 || stage->attempt != 0) &&
           ((byte & STAGE_HAS_ACTIVATED) == 0 || stage->activated_lsn != 0) &&
           ((byte & STAGE_HAS_COMPLETED) == 0 || stage->completed_lsn != 0) &&
           ((byte & STAGE_HAS_DEADLINE) == 0 || stage->deadline_ms != 0);
}

static void encode_workflow(const struct workflow *workflow, struct bytes_buffer *value,
                            size_t *hashed) {
    bytes_write_varint(value, workflow->definition_number);
    bool extended = proposal_any(workflow);
    bytes_write_u8(value,
                   (uint8_t)((unsigned)workflow->status | (extended ? WORKFLOW_EXTENDED : 0U) |
                             (workflow->past_count > 0 ? WORKFLOW_MIGRATED : 0U) |
                             (workflow->tasks != NULL ? WORKFLOW_TASKS : 0U) |
                             (workflow->money != NULL ? WORKFLOW_MONEY : 0U)));
    bytes_write_varint(value, workflow->started_lsn);
    bytes_write_varint(value, workflow->lsn - workflow->started_lsn);
    bytes_write_zigzag(value, workflow->started_ms);
    bytes_write_zigzag(value, workflow->changed_ms - workflow->started_ms);
    bytes_write_u8(value, workflow->step_count);
    bytes_write_run(value, workflow->steps, workflow->step_count);
    for (size_t i = 0; i < workflow->definition->stage_count; i++)
        encode_stage(workflow, &workflow->stages[i], value);
    bytes_write_varint(value, workflow->data_size);
    bytes_write_run(value, workflow->data, workflow->data_size);
    size_t reason_size = workflow->reason != NULL ? strlen(workflow->reason) : 0;
    bytes_write_varint(value, workflow->reason != NULL ? reason_size + 1 : 0);
    bytes_write_run(value, workflow->reason, reason_size);
    if (extended)
        proposal_encode(workflow, value);
    if (workflow->tasks != NULL)
        task_encode(workflow, value);
    if (workflow->past_count > 0)
        bytes_write_u8(value, workflow->past_count);
    for (size_t i = 0; i < workflow->past_count; i++) {
        bytes_write_varint(value, workflow->past[i].definition_number);
        bytes_write_varint(value, workflow->past[i].until_lsn - workflow->started_lsn);
    }
    if (workflow->money != NULL)
        stage_money_encode(workflow, value);
    *hashed = value->size;
    bytes_write_varint(value, workflow->history.lsn - workflow->started_lsn);
    bytes_write_varint(value, workflow->history.offset);
    proposal_encode_links(workflow, value);
}

static bool decode_head(struct workflow *workflow, struct bytes_reader *reader, unsigned *flags) {
    unsigned status = bytes_read_u8(reader);
    *flags = status &
             (unsigned)(WORKFLOW_EXTENDED | WORKFLOW_MIGRATED | WORKFLOW_TASKS | WORKFLOW_MONEY);
    workflow->status = (enum workflow_status)(status & ~*flags);
    workflow->started_lsn = bytes_read_varint(reader);
    workflow->lsn = workflow->started_lsn + bytes_read_varint(reader);
    workflow->started_ms = bytes_read_zigzag(reader);
    workflow->changed_ms = add_ms(workflow->started_ms, bytes_read_zigzag(reader));
    return workflow_status_name(workflow->status) != NULL;
}

static bool decode_steps(struct workflow *workflow, struct bytes_reader *reader) {
    size_t count = bytes_read_u8(reader);
    if (count > workflow->definition->step_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint8_t step = bytes_read_u8(reader);
        if (step >= workflow->definition->step_count || workflow_step_in_force(workflow, step))
            return false;
        workflow->steps[workflow->step_count++] = step;
    }
    return true;
}

/* Copy the packed fields and walk them once, so that no reader ever meets malformed ones. */
static enum wf_status decode_data(struct workflow *workflow, struct bytes_reader *reader,
                                  struct wf_error *err) {
    uint64_t size = bytes_read_varint(reader);
    struct bytes_view data =
        bytes_read_run(reader, size <= WORKFLOW_DATA_MAX ? (size_t)size : SIZE_MAX);
    if (data.size == 0)
        return WF_OK;
    if (!workflow_reserve_data(workflow, data.size))
        return error_set(err, WF_NO_MEMORY, "no memory for the fields of workflow %s",
                         workflow->id);
    memcpy(workflow->data, data.data, data.size);
    workflow->data_size = (uint32_t)data.size;
    size_t at = 0;
    unsigned step;
    struct field field;
    while (workflow_field_next(workflow, &at, &step, &field)) {
    }
    return at == workflow->data_size
               ? WF_OK
               : error_set(err, WF_DAMAGE, "the fields of workflow %s are malformed", workflow->id);
}

static enum wf_status decode_reason(struct workflow *workflow, struct bytes_reader *reader,
                                    struct wf_error *err) {
    uint64_t size = bytes_read_varint(reader);
    if (size == 0)
        return WF_OK;
    struct bytes_view reason =
        bytes_read_run(reader, size <= COMMAND_TEXT_MAX + 1 ? (size_t)size - 1 : SIZE_MAX);
    if (!bytes_reader_ok(reader) || !text_is_utf8(reason))
        return error_set(err, WF_DAMAGE, "the reason of workflow %s is malformed", workflow->id);
    workflow->reason = malloc(reason.size + 1);
    if (workflow->reason == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for the reason of workflow %s",
                         workflow->id);
    if (reason.size > 0)
        memcpy(workflow->reason, reason.data, reason.size);
    workflow->reason[reason.size] = '\0';
    return WF_OK;
}

static enum wf_status decode_past(struct workflow *workflow, struct bytes_reader *reader,
                                  struct wf_error *err) {
    workflow->past_count = bytes_read_u8(reader);
    if (workflow->past_count == 0) /* a flag for nothing would be a second form of the same */
        return error_set(err, WF_DAMAGE, "the versions of workflow %s are malformed", workflow->id);
    workflow->past = calloc(workflow->past_count, sizeof workflow->past[0]);
    if (workflow->past == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for the versions of workflow %s",
                         workflow->id);
    uint64_t last_lsn = workflow->started_lsn;
    for (size_t i = 0; i < workflow->past_count; i++) {
        struct workflow_past *past = &workflow->past[i];
        uint64_t number = bytes_read_varint(reader);
        past->definition_number = number <= NUMBERS_MAX ? (uint32_t)number : 0;
        past->until_lsn = workflow->started_lsn + bytes_read_varint(reader);
        if (past->definition_number == 0 || past->until_lsn <= last_lsn)
            return error_set(err, WF_DAMAGE, "the versions of workflow %s are malformed",
                             workflow->id);
        last_lsn = past->until_lsn;
    }
    return WF_OK;
}

static enum wf_status decode_workflow(struct workflow *workflow, struct bytes_reader *reader,
                                      struct wf_error *err) {
    unsigned flags = 0;
    bool no_memory = false;
    bool sound = decode_head(workflow, reader, &flags) && decode_steps(workflow, reader);
    for (size_t i = 0; sound && i < workflow->definition->stage_count; i++)
        sound = decode_stage(workflow, &workflow->stages[i], reader);
    enum wf_status status = WF_OK;
    if (sound)
        status = decode_data(workflow, reader, err);
    if (sound && status == WF_OK)
        status = decode_reason(workflow, reader, err);
    if (sound && status == WF_OK && (flags & WORKFLOW_EXTENDED) != 0)
        sound = proposal_decode(workflow, reader, &no_memory);
    if (sound && status == WF_OK && (flags & WORKFLOW_TASKS) != 0)
        sound = task_decode(workflow, reader, &no_memory);
    if (sound && status == WF_OK && (flags & WORKFLOW_MIGRATED) != 0)
        status = decode_past(workflow, reader, err);
    if (sound && status == WF_OK && (flags & WORKFLOW_MONEY) != 0)
        sound = stage_money_decode(workflow, reader, &no_memory);
    if (no_memory)
        status =
            error_set(err, WF_NO_MEMORY, "no memory for the parts of workflow %s", workflow->id);
    if (status != WF_OK)
        return status;
    workflow->history.lsn = workflow->started_lsn + bytes_read_varint(reader);
    workflow->history.offset = bytes_read_varint(reader);
    proposal_decode_links(workflow, reader);
    if (!sound || !bytes_reader_done(reader))
        return error_set(err, WF_DAMAGE, "the value of workflow %s is malformed", workflow->id);
    return WF_OK;
}

static enum wf_status load_workflow(struct state *state, struct bytes_view id,
                                    struct bytes_reader *reader, struct entity **out,
                                    struct wf_error *err) {
    uint64_t number = bytes_read_varint(reader);
    const struct definition_entity *definition =
        state_definition_numbered(state, number <= NUMBERS_MAX ? (uint32_t)number : 0);
    if (definition == NULL || !text_is_name(id, COMMAND_ID_MAX) ||
        state_workflow(state, id) != NULL)
        return error_set(err, WF_DAMAGE,
                         "workflow %.*s: no definition has its number, or it is there twice",
                         TEXT_ARGS(id));
    struct workflow *workflow = workflow_create(&state->slab, definition, id);
    if (workflow == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for workflow %.*s", TEXT_ARGS(id));
    enum wf_status status = decode_workflow(workflow, reader, err);
    if (status == WF_OK && (!table_reserve(&state->workflows) || !timers_reserve(&state->timers) ||
                            !timers_reserve(&state->tasks)))
        status = error_set(err, WF_NO_MEMORY, "no memory for workflow %.*s", TEXT_ARGS(id));
    if (status != WF_OK) {
        workflow_destroy(workflow);
        return status;
    }
    workflow->entity.bytes = workflow_bytes(workflow);
    workflow->entity.changed_lsn = workflow->history.lsn;
    unsigned stage;
    workflow->pair_due_ms = workflow_due(workflow, &stage);
    workflow->pair_task_ms = workflow_task_due(workflow);
    workflow->pair_waits = workflow_waits(workflow);
    workflow->pair_tasks = workflow->tasks != NULL;
    table_insert(&state->workflows, workflow);
    timers_follow(&state->timers, workflow);
    timers_follow(&state->tasks, workflow);
    state_adopt(state, &workflow->entity);
    *out = &workflow->entity;
    return WF_OK;
}

/* --- key --- */

static void encode_idempotency_key(const struct idempotency_key *key, struct bytes_buffer *value,
                                   size_t *hashed) {
    bytes_write_run(value, key->body_hash, sizeof key->body_hash);
    bytes_write_varint(value, key->sequence);
    bytes_write_varint(value, key->link.lsn);
    *hashed = value->size;
    bytes_write_varint(value, key->link.offset);
}

static enum wf_status load_idempotency_key(struct state *state, struct bytes_view text,
                                           struct bytes_reader *reader, struct entity **out,
                                           struct wf_error *err) {
    if (!text_is_name(text, COMMAND_ID_MAX) || state_key(state, text) != NULL)
        return error_set(err, WF_DAMAGE, "an idempotency key is malformed or there twice");
    struct idempotency_key *key = state_create_key(text);
    if (key == NULL || !table_reserve(&state->keys) || !table_reserve(&state->key_order)) {
        free(key);
        return error_set(err, WF_NO_MEMORY, "no memory for an idempotency key");
    }
    struct bytes_view hash = bytes_read_run(reader, sizeof key->body_hash);
    key->sequence = bytes_read_varint(reader);
    key->link.lsn = bytes_read_varint(reader);
    key->link.offset = bytes_read_varint(reader);
    if (!bytes_reader_done(reader) || state_key_at(state, key->sequence) != NULL) {
        free(key);
        return error_set(err, WF_DAMAGE, "the value of idempotency key %.*s is malformed",
                         TEXT_ARGS(text));
    }
    memcpy(key->body_hash, hash.data, hash.size);
    key->entity.changed_lsn = key->link.lsn;
    table_insert(&state->keys, key);
    table_insert(&state->key_order, key);
    state_adopt(state, &key->entity);
    *out = &key->entity;
    return WF_OK;
}

/* --- all kinds --- */

void entity_encode(const struct entity *entity, struct bytes_buffer *value, size_t *hashed) {
    size_t begin = value->size, end = 0;
    bytes_write_u8(value, LAYOUT_VERSION);
    switch (entity->kind) {
    case ENTITY_STORE:
        encode_store((const struct store_entity *)entity, value);
        end = value->size;
        break;
    case ENTITY_DEFINITION:
        encode_definition((const struct definition_entity *)entity, value, &end);
        break;
    case ENTITY_WORKFLOW:
        encode_workflow((const struct workflow *)entity, value, &end);
        break;
    case ENTITY_KEY:
        encode_idempotency_key((const struct idempotency_key *)entity, value, &end);
        break;
    case ENTITY_ACCOUNT:
    case ENTITY_INTERNAL_ACCOUNT:
        ledger_encode_account((const struct account *)entity, value, &end);
        break;
    case ENTITY_REFERENCE:
        ledger_encode_reference((const struct reference *)entity, value);
        end = value->size;
        break;
    case ENTITY_REVERSAL:
        reversal_encode((const struct reversal *)entity, value);
        end = value->size;
        break;
    case ENTITY_INEFFECTIVE: /* its key says it */
        end = value->size;
        break;
    }
    if (hashed != NULL)
        *hashed = end - begin;
}

void entity_key(enum entity_kind kind, struct bytes_view name, struct bytes_buffer *key) {
    bytes_write_u8(key, (uint8_t)kind);
    bytes_write_run(key, name.data, name.size);
}

bool entity_same(const struct entity *a, const struct entity *b, struct bytes_buffer *left,
                 struct bytes_buffer *right, bool *same) {
    size_t left_size = 0, right_size = 0;
    bytes_buffer_clear(left);
    bytes_buffer_clear(right);
    entity_encode(a, left, &left_size);
    entity_encode(b, right, &right_size);
    if (!bytes_buffer_ok(left) || !bytes_buffer_ok(right))
        return false;
    *same = left_size == right_size && memcmp(left->data, right->data, left_size) == 0;
    return true;
}

void entity_encode_key(const struct entity *entity, struct bytes_buffer *key) {
    struct bytes_view name = {NULL, 0};
    if (entity->kind == ENTITY_DEFINITION) {
        const struct definition_entity *definition = (const struct definition_entity *)entity;
        name = (struct bytes_view){(const uint8_t *)definition->key, definition->key_size};
    } else if (entity->kind == ENTITY_WORKFLOW) {
        const struct workflow *workflow = (const struct workflow *)entity;
        name = (struct bytes_view){(const uint8_t *)workflow->id, workflow->id_size};
    } else if (entity->kind == ENTITY_KEY) {
        const struct idempotency_key *used = (const struct idempotency_key *)entity;
        name = (struct bytes_view){(const uint8_t *)used->text, used->size};
    } else if (entity->kind == ENTITY_ACCOUNT || entity->kind == ENTITY_INTERNAL_ACCOUNT) {
        const struct account *account = (const struct account *)entity;
        name = (struct bytes_view){(const uint8_t *)account->number, account->number_size};
    } else if (entity->kind == ENTITY_REFERENCE) {
        const struct reference *reference = (const struct reference *)entity;
        name = (struct bytes_view){(const uint8_t *)reference->key, reference->key_size};
    } else if (entity->kind == ENTITY_REVERSAL) {
        const struct reversal *reversal = (const struct reversal *)entity;
        name = (struct bytes_view){reversal->of, sizeof reversal->of};
    } else if (entity->kind == ENTITY_INEFFECTIVE) {
        const struct ineffective *ineffective = (const struct ineffective *)entity;
        name = (struct bytes_view){ineffective->lsn, sizeof ineffective->lsn};
    }
    entity_key(entity->kind, name, key);
}

enum wf_status entity_decode(struct state *state, struct bytes_view key, struct bytes_view value,
                             struct entity **out, struct wf_error *err) {
    struct bytes_reader name = bytes_reader_make(key.data, key.size);
    struct bytes_reader reader = bytes_reader_make(value.data, value.size);
    unsigned kind = bytes_read_u8(&name);
    struct bytes_view rest = bytes_read_run(&name, bytes_reader_left(&name));
    *out = NULL;
    if (bytes_read_u8(&reader) != LAYOUT_VERSION)
        return error_set(err, WF_DAMAGE, "an entity's value has an unknown layout");
    switch ((enum entity_kind)kind) {
    case ENTITY_STORE:
        return load_store(state, &reader, out, err);
    case ENTITY_DEFINITION:
        return load_definition(state, rest, &reader, out, err);
    case ENTITY_WORKFLOW:
        return load_workflow(state, rest, &reader, out, err);
    case ENTITY_KEY:
        return load_idempotency_key(state, rest, &reader, out, err);
    case ENTITY_ACCOUNT:
    case ENTITY_INTERNAL_ACCOUNT:
        return ledger_load_account(state, (enum entity_kind)kind, rest, &reader, out, err);
    case ENTITY_REFERENCE:
        return ledger_load_reference(state, rest, &reader, out, err);
    case ENTITY_REVERSAL:
        return reversal_load(state, rest, &reader, out, err);
    case ENTITY_INEFFECTIVE:
        return ineffective_load(state, rest, &reader, out, err);
    }
    return error_set(err, WF_DAMAGE, "an entity's key names no kind: %u", kind);
}
