#include "tools/wfctl/exec_request.h"

#include "base/error.h"
#include "base/nearest.h"
#include "tools/wfctl/format.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- memory: jansson's small allocations, all given back at once when the next line comes --- */

enum { BLOCK_SIZE = 256 * 1024, ALIGNMENT = 16 };

/* One that did not fit. */
struct overflow {
    struct overflow *next;
    max_align_t data[];
};

static struct {
    char *block;
    size_t used;
    struct overflow *overflow;
} memory;

static void *take(size_t size) {
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size <= BLOCK_SIZE - memory.used) {
        void *at = memory.block + memory.used;
        memory.used += size;
        return at;
    }
    struct overflow *overflow = malloc(sizeof *overflow + size);
    if (!overflow)
        return NULL;
    overflow->next = memory.overflow;
    memory.overflow = overflow;
    return overflow->data;
}

static void give_back(void *data) {
    (void)data;
}

static void reset_memory(void) {
    memory.used = 0;
    while (memory.overflow) {
        struct overflow *next = memory.overflow->next;
        free(memory.overflow);
        memory.overflow = next;
    }
}

enum wf_status request_memory_init(struct wf_error *err) {
    memory.block = malloc(BLOCK_SIZE);
    if (!memory.block)
        return error_set(err, WF_NO_MEMORY, "no memory");
    json_set_alloc_funcs(take, give_back);
    return WF_OK;
}

void request_memory_deinit(void) {
    reset_memory();
    free(memory.block);
    memory.block = NULL;
    json_set_alloc_funcs(malloc, free); /* others may parse after us */
}

/* --- the table --- */

static const char *const member_names[MEMBER_COUNT] = {
    [MEMBER_CMD] = "cmd",
    [MEMBER_ID] = "id",
    [MEMBER_STEP] = "step",
    [MEMBER_DATA] = "data",
    [MEMBER_KEY] = "key",
    [MEMBER_TAG] = "tag",
    [MEMBER_TYPE] = "type",
    [MEMBER_WORKFLOW] = "workflow",
    [MEMBER_VERSION] = "version",
    [MEMBER_STAGE] = "stage",
    [MEMBER_REASON] = "reason",
    [MEMBER_ACTOR] = "actor",
    [MEMBER_TEXT] = "text",
    [MEMBER_NAME] = "name",
    [MEMBER_DURATION] = "duration",
    [MEMBER_AS_OF] = "as_of",
    [MEMBER_STATUS] = "status",
    [MEMBER_WHERE] = "where",
    [MEMBER_LIMIT] = "limit",
    [MEMBER_AFTER] = "after",
    [MEMBER_TO] = "to",
    [MEMBER_ROLE] = "role",
    [MEMBER_ATTEMPT] = "attempt",
    [MEMBER_ROLLBACK] = "rollback",
    [MEMBER_MAP] = "map",
    [MEMBER_WORKER] = "worker",
    [MEMBER_EPOCH] = "epoch",
    [MEMBER_LEASE] = "lease",
    [MEMBER_COMPENSATE] = "compensate",
    [MEMBER_DRY_RUN] = "dry_run",
    [MEMBER_NUMBER] = "number",
    [MEMBER_CURRENCY] = "currency",
    [MEMBER_BALANCE] = "balance",
    [MEMBER_MINIMUM] = "minimum",
    [MEMBER_OPS] = "ops",
    [MEMBER_ALL] = "all",
    [MEMBER_LSN] = "lsn",
    [MEMBER_BEFORE] = "before",
    [MEMBER_SESSION] = "session",
    [MEMBER_ISOLATION] = "isolation",
    [MEMBER_PREFIX] = "prefix",
    [MEMBER_BALANCE_MIN] = "balance_min",
    [MEMBER_BALANCE_MAX] = "balance_max",
    [MEMBER_MIN] = "min",
    [MEMBER_MAX] = "max",
    [MEMBER_ACQUIRE_TIMEOUT] = "acquire_timeout",
    [MEMBER_CREATE_TIMEOUT] = "create_timeout",
    [MEMBER_IDLE_TIMEOUT] = "idle_timeout",
    [MEMBER_TRANSACTION_TIMEOUT] = "transaction_timeout",
};

#define BIT(member) (UINT64_C(1) << MEMBER_##member)
#define COMMAND_BITS (BIT(KEY) | BIT(ACTOR))
#define REVIEW_BITS (COMMAND_BITS | BIT(ID) | BIT(STAGE) | BIT(ROLE) | BIT(REASON) | BIT(ATTEMPT))
#define ACCOUNT_BITS (BIT(ID) | BIT(NUMBER))
#define REFERENCE_BITS (COMMAND_BITS | BIT(ID) | BIT(DATA))

#define SESSION_BITS BIT(SESSION), BIT(SESSION)
#define FILTER_BITS                                                                                \
    (BIT(PREFIX) | BIT(TYPE) | BIT(CURRENCY) | BIT(STATUS) | BIT(BALANCE_MIN) | BIT(BALANCE_MAX))
#define POOL_BITS                                                                                  \
    (BIT(MIN) | BIT(MAX) | BIT(ISOLATION) | BIT(ACQUIRE_TIMEOUT) | BIT(CREATE_TIMEOUT) |           \
     BIT(IDLE_TIMEOUT) | BIT(TRANSACTION_TIMEOUT))

#define TASK_BITS (BIT(ID) | BIT(STAGE) | BIT(EPOCH) | BIT(ATTEMPT) | BIT(WORKER))

static const struct request_kind kinds[] = {
    {"workflow.submit", WF_WORKFLOW_SUBMIT, NULL,
     COMMAND_BITS | BIT(ID) | BIT(STEP) | BIT(DATA) | BIT(ATTEMPT) | BIT(OPS), BIT(ID) | BIT(STEP)},
    {"workflow.start", WF_WORKFLOW_START, NULL,
     COMMAND_BITS | BIT(ID) | BIT(TYPE) | BIT(WORKFLOW) | BIT(VERSION) | BIT(DATA), BIT(ID)},
    {"workflow.show", 0, answer_workflow_show, BIT(ID) | BIT(AS_OF), BIT(ID)},
    {"workflow.fail", WF_WORKFLOW_FAIL, NULL,
     COMMAND_BITS | BIT(ID) | BIT(STAGE) | BIT(REASON) | BIT(ATTEMPT),
     BIT(ID) | BIT(STAGE) | BIT(REASON)},
    {"workflow.cancel", WF_WORKFLOW_CANCEL, NULL,
     COMMAND_BITS | BIT(ID) | BIT(REASON) | BIT(ROLLBACK) | BIT(DRY_RUN), BIT(ID) | BIT(REASON)},
    {"workflow.rollback", WF_WORKFLOW_ROLLBACK, NULL,
     COMMAND_BITS | BIT(ID) | BIT(TO) | BIT(REASON) | BIT(DRY_RUN),
     BIT(ID) | BIT(TO) | BIT(REASON) | BIT(ACTOR)},
    {"review.list", 0, answer_review_list, BIT(AFTER), 0},
    {"review.approve", WF_REVIEW_APPROVE, NULL, REVIEW_BITS,
     BIT(ID) | BIT(STAGE) | BIT(ACTOR) | BIT(ROLE)},
    {"review.reject", WF_REVIEW_REJECT, NULL, REVIEW_BITS,
     BIT(ID) | BIT(STAGE) | BIT(ACTOR) | BIT(ROLE)},
    {"workflow.list", 0, answer_workflow_list,
     BIT(STATUS) | BIT(STAGE) | BIT(TYPE) | BIT(WHERE) | BIT(LIMIT) | BIT(AFTER), 0},
    {"workflow.history", 0, answer_workflow_history, BIT(ID), BIT(ID)},
    {"workflow.migrate", WF_WORKFLOW_MIGRATE, NULL,
     COMMAND_BITS | BIT(ID) | BIT(TO) | BIT(MAP) | BIT(DRY_RUN), BIT(ID) | BIT(TO)},
    {"task.claim", 0, answer_task_claim, BIT(WORKER) | BIT(LEASE), BIT(WORKER)},
    {"task.complete", WF_TASK_COMPLETE, NULL,
     COMMAND_BITS | TASK_BITS | BIT(DATA) | BIT(COMPENSATE), TASK_BITS},
    {"task.fail", WF_TASK_FAIL, NULL, COMMAND_BITS | TASK_BITS | BIT(REASON) | BIT(COMPENSATE),
     TASK_BITS | BIT(REASON)},
    {"task.retry", WF_TASK_RETRY, NULL, COMMAND_BITS | BIT(ID) | BIT(STAGE) | BIT(COMPENSATE),
     BIT(ID) | BIT(STAGE)},
    {"task.list", 0, answer_task_list, BIT(AFTER), 0},
    {"account.transact", WF_ACCOUNT_TRANSACT, NULL, COMMAND_BITS | BIT(OPS), BIT(OPS)},
    {"account.open", WF_ACCOUNT_OPEN, NULL,
     COMMAND_BITS | ACCOUNT_BITS | BIT(TYPE) | BIT(CURRENCY) | BIT(BALANCE) | BIT(MINIMUM),
     BIT(TYPE) | BIT(CURRENCY)},
    {"account.show", 0, answer_account_show, ACCOUNT_BITS, 0},
    {"account.list", 0, answer_account_list, BIT(ALL), 0},
    {"account.statement", 0, answer_account_statement, ACCOUNT_BITS | BIT(AS_OF), 0},
    {"account.history", 0, answer_account_history, ACCOUNT_BITS, 0},
    {"account.freeze", WF_ACCOUNT_FREEZE, NULL, COMMAND_BITS | ACCOUNT_BITS | BIT(REASON), 0},
    {"account.unfreeze", WF_ACCOUNT_UNFREEZE, NULL, COMMAND_BITS | ACCOUNT_BITS | BIT(REASON), 0},
    {"account.close", WF_ACCOUNT_CLOSE, NULL, COMMAND_BITS | ACCOUNT_BITS | BIT(REASON), 0},
    {"account.reverse", WF_ACCOUNT_REVERSE, NULL, COMMAND_BITS | BIT(LSN) | BIT(REASON),
     BIT(LSN) | BIT(REASON) | BIT(ACTOR)},
    {"account.check", 0, answer_account_check, 0, 0},
    {"session.execute", 0, answer_session_execute, BIT(SESSION) | BIT(OPS),
     BIT(SESSION) | BIT(OPS)},
    {"session.begin", 0, answer_session_begin, BIT(SESSION) | BIT(ISOLATION), BIT(SESSION)},
    {"session.commit", WF_ACCOUNT_TRANSACT, NULL, COMMAND_BITS | BIT(SESSION), BIT(SESSION)},
    {"session.rollback", 0, answer_session_rollback, SESSION_BITS},
    {"session.show", 0, answer_session_show, BIT(SESSION) | ACCOUNT_BITS, BIT(SESSION)},
    {"session.list", 0, answer_session_list, BIT(SESSION) | FILTER_BITS, BIT(SESSION)},
    {"session.count", 0, answer_session_count, BIT(SESSION) | FILTER_BITS, BIT(SESSION)},
    {"session.savepoint", 0, answer_session_savepoint, BIT(SESSION) | BIT(NAME),
     BIT(SESSION) | BIT(NAME)},
    {"session.rollback_to", 0, answer_session_savepoint, BIT(SESSION) | BIT(NAME),
     BIT(SESSION) | BIT(NAME)},
    {"session.release", 0, answer_session_savepoint, BIT(SESSION) | BIT(NAME),
     BIT(SESSION) | BIT(NAME)},
    {"session.open", 0, answer_session_open, BIT(SESSION) | BIT(ISOLATION), BIT(SESSION)},
    {"session.close", 0, answer_session_close, SESSION_BITS},
    {"session.pool", 0, answer_session_pool, POOL_BITS, 0},
    {"session.stats", 0, answer_session_stats, 0, 0},
    {"rate.set", WF_RATE_SET, NULL, REFERENCE_BITS, BIT(ID) | BIT(DATA)},
    {"instrument.set", WF_INSTRUMENT_SET, NULL, REFERENCE_BITS, BIT(ID) | BIT(DATA)},
    {"calendar.set", WF_CALENDAR_SET, NULL, REFERENCE_BITS, BIT(ID) | BIT(DATA)},
    {"fee_rule.set", WF_FEE_RULE_SET, NULL, REFERENCE_BITS, BIT(ID) | BIT(DATA)},
    {"rate.list", 0, answer_reference_list, 0, 0},
    {"instrument.list", 0, answer_reference_list, 0, 0},
    {"calendar.list", 0, answer_reference_list, 0, 0},
    {"fee_rule.list", 0, answer_reference_list, 0, 0},
    {"def.add", WF_DEFINITION_ADD, NULL, COMMAND_BITS | BIT(TEXT) | BIT(NAME), BIT(TEXT)},
    {"def.list", 0, answer_def_list, 0, 0},
    {"def.show", 0, answer_def_show, BIT(NAME) | BIT(VERSION), BIT(NAME)},
    {"def.diff", 0, answer_def_diff, BIT(NAME) | BIT(VERSION) | BIT(TO) | BIT(TEXT),
     BIT(NAME) | BIT(VERSION)},
    {"clock.show", 0, answer_clock_show, 0, 0},
    {"clock.advance", 0, answer_clock_advance, COMMAND_BITS | BIT(DURATION), BIT(DURATION)},
    {"clock.tick", 0, answer_clock_tick, 0, 0},
    {"status", 0, answer_status, 0, 0},
    {"snapshot.create", 0, answer_snapshot_create, 0, 0},
    {"archive.drop", 0, answer_archive_drop,
     COMMAND_BITS | BIT(BEFORE) | BIT(REASON) | BIT(DRY_RUN),
     BIT(BEFORE) | BIT(REASON) | BIT(ACTOR)},
};

static const struct request_kind *find_kind(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* account_open is an operation, account.open a command. */
static enum wf_status unknown_kind(const char *name, struct wf_error *err) {
    const char *names[sizeof kinds / sizeof kinds[0]];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        names[i] = kinds[i].name;
    const char *nearest = nearest_word(name, strlen(name), names, sizeof names / sizeof names[0]);
    if (nearest)
        return error_set(err, WF_USAGE, "unknown cmd '%s'; did you mean '%s'?", name, nearest);
    return error_set(err, WF_USAGE, "unknown cmd '%s'", name);
}

/* --- members --- */

static enum member find_member(const char *name) {
    unsigned member = 0;
    while (member < MEMBER_COUNT && strcmp(member_names[member], name) != 0)
        member++;
    return (enum member)member;
}

static void collect_members(struct request *request, json_t *root) {
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value) {
        enum member member = find_member(name);
        if (member == MEMBER_COUNT)
            request->unknown = request->unknown ? request->unknown : name;
        else
            request->members[member] = value;
    }
}

static enum wf_status check_number(const json_t *value, enum member member, struct wf_error *err) {
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return WF_OK;
    return error_set(err, WF_USAGE, "member '%s' must be a number from 0", member_names[member]);
}

static enum wf_status check_string(const json_t *value, enum member member, struct wf_error *err) {
    if (json_is_string(value))
        return WF_OK;
    return error_set(err, WF_USAGE, "member '%s' must be a string", member_names[member]);
}

/* An empty amount would be 0, or no limit: who wrote it meant something else. */
static enum wf_status check_amount(const json_t *value, enum member member, struct wf_error *err) {
    enum wf_status status = check_string(value, member, err);
    if (status == WF_OK && json_string_length(value) == 0)
        return error_set(err, WF_USAGE, "member '%s' is empty: leave it out, or say what it is",
                         member_names[member]);
    return status;
}

/* "to" is the version to go to; elsewhere a stage. */
static bool takes_version(const struct request_kind *kind) {
    return kind->command == WF_WORKFLOW_MIGRATE || kind->answer == answer_def_diff;
}

static enum wf_status check_type(const struct request *request, enum member member,
                                 struct wf_error *err) {
    const json_t *value = request->members[member];
    switch (member) {
    case MEMBER_TAG:
        return WF_OK;
    case MEMBER_DATA:
        if (!json_is_object(value))
            return error_set(err, WF_USAGE, "member 'data' must be an object");
        return WF_OK;
    case MEMBER_WHERE:
        if (!json_is_object(value) || json_object_size(value) != 1 ||
            !json_is_string(json_object_iter_value(json_object_iter((json_t *)value))))
            return error_set(err, WF_USAGE, "member 'where' must be an object of one string");
        return WF_OK;
    case MEMBER_ROLLBACK:
    case MEMBER_COMPENSATE:
    case MEMBER_ALL:
    case MEMBER_DRY_RUN:
        if (!json_is_boolean(value))
            return error_set(err, WF_USAGE, "member '%s' must be true or false",
                             member_names[member]);
        return WF_OK;
    case MEMBER_MAP:
        if (!json_is_object(value))
            return error_set(err, WF_USAGE, "member 'map' must be an object");
        return WF_OK;
    case MEMBER_AS_OF:
    case MEMBER_BEFORE:
        if (json_is_string(value))
            return WF_OK; /* a time */
        return check_number(value, member, err);
    case MEMBER_TO:
        if (takes_version(request->kind))
            return check_number(value, member, err);
        return check_string(value, member, err);
    case MEMBER_MIN:
    case MEMBER_MAX:
    case MEMBER_VERSION:
    case MEMBER_ATTEMPT:
    case MEMBER_EPOCH:
    case MEMBER_LIMIT:
    case MEMBER_LSN:
        return check_number(value, member, err);
    case MEMBER_OPS: /* operations_read() looks closer */
        return WF_OK;
    case MEMBER_BALANCE:
    case MEMBER_MINIMUM:
    case MEMBER_BALANCE_MIN:
    case MEMBER_BALANCE_MAX:
        return check_amount(value, member, err);
    case MEMBER_CMD:
    case MEMBER_ID:
    case MEMBER_NUMBER:
    case MEMBER_CURRENCY:
    case MEMBER_STEP:
    case MEMBER_KEY:
    case MEMBER_TYPE:
    case MEMBER_WORKFLOW:
    case MEMBER_STAGE:
    case MEMBER_REASON:
    case MEMBER_ACTOR:
    case MEMBER_TEXT:
    case MEMBER_NAME:
    case MEMBER_DURATION:
    case MEMBER_STATUS:
    case MEMBER_AFTER:
    case MEMBER_ROLE:
    case MEMBER_WORKER:
    case MEMBER_LEASE:
    case MEMBER_SESSION:
    case MEMBER_ISOLATION:
    case MEMBER_PREFIX:
    case MEMBER_ACQUIRE_TIMEOUT:
    case MEMBER_CREATE_TIMEOUT:
    case MEMBER_IDLE_TIMEOUT:
    case MEMBER_TRANSACTION_TIMEOUT:
    case MEMBER_COUNT:
        return check_string(value, member, err);
    }
    return WF_OK;
}

static enum wf_status check_members(const struct request *request, struct wf_error *err) {
    const struct request_kind *kind = request->kind;
    if (request->unknown)
        return error_set(err, WF_USAGE, "unknown member '%s' for %s", request->unknown, kind->name);
    uint64_t allowed = kind->takes | BIT(CMD) | BIT(TAG);
    bool by_id = request->members[MEMBER_ID], by_number = request->members[MEMBER_NUMBER];
    if ((kind->takes & BIT(NUMBER)) && by_id && by_number)
        return error_set(err, WF_USAGE, "'id' and 'number' mean the same; give one");
    if ((kind->takes & BIT(NUMBER)) && !by_id && !by_number)
        return error_set(err, WF_USAGE,
                         "%s needs the member 'number' (or 'id', which means the same)",
                         kind->name);
    for (unsigned i = 0; i < MEMBER_COUNT; i++) {
        if (!request->members[i]) {
            if (kind->needs >> i & 1)
                return error_set(err, WF_USAGE, "%s needs the member '%s'", kind->name,
                                 member_names[i]);
            continue;
        }
        if (!(allowed >> i & 1))
            return error_set(err, WF_USAGE, "unknown member '%s' for %s", member_names[i],
                             kind->name);
        enum wf_status status = check_type(request, (enum member)i, err);
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

const char *request_id(const struct request *request) {
    const char *id = request_string(request, MEMBER_ID);
    return id ? id : request_string(request, MEMBER_NUMBER);
}

const char *request_string(const struct request *request, enum member member) {
    return json_string_value(request->members[member]); /* NULL for NULL */
}

uint64_t request_uint(const struct request *request, enum member member, uint64_t otherwise) {
    const json_t *value = request->members[member];
    return value ? (uint64_t)json_integer_value(value) : otherwise;
}

enum wf_status request_place(const struct request *request, enum member member, uint64_t *lsn,
                             int64_t *time_ms, struct wf_error *err) {
    const char *time = request_string(request, member);
    uint64_t number;
    if (!time) {
        *lsn = request_uint(request, member, 0);
        return WF_OK;
    }
    if (parse_time(time, time_ms))
        return WF_OK;
    if (parse_uint(time, &number))
        return error_set(err, WF_USAGE,
                         "member '%s' is the string \"%s\": an LSN is a number, without quotes; a "
                         "string is an RFC 3339 time",
                         member_names[member], time);
    return error_set(err, WF_USAGE, "'%s' is no RFC 3339 time such as 2026-01-01T00:00:00Z", time);
}

enum wf_status request_lsn(struct wf_engine *engine, const struct request *request,
                           enum member member, uint64_t *lsn, struct wf_error *err) {
    const int64_t none = INT64_MIN;
    int64_t time_ms = none;
    enum wf_status status = request_place(request, member, lsn, &time_ms, err);
    return status == WF_OK && time_ms != none ? wf_lsn_at(engine, time_ms, lsn, err) : status;
}

/* --- the command --- */

/* The shortest digits that read back as the same number. */
static void real_text(char text[32], double value) {
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, 32, "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

/* A field's value as text: strings as they are, numbers and booleans as JSON writes them. NULL:
 * none of these. */
static const char *value_text(const json_t *value, char number[32]) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_string_value(value);
    case JSON_INTEGER:
        snprintf(number, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return number;
    case JSON_REAL:
        real_text(number, json_real_value(value));
        return number;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
        return NULL;
    }
    return NULL;
}

static enum wf_status take_fields(struct request *request, struct wf_error *err) {
    json_t *data =
        request->members[request->kind->command == WF_WORKFLOW_MIGRATE ? MEMBER_MAP : MEMBER_DATA];
    if (!data)
        return WF_OK;
    if (json_object_size(data) > WF_FIELDS_MAX)
        return error_set(err, WF_USAGE, "more than %d members in an object", WF_FIELDS_MAX);
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(data, name, value) {
        const char *text = value_text(value, request->numbers[count]);
        if (!text)
            return error_set(err, WF_USAGE, "field '%s' must be a string", name);
        request->fields[count++] = (struct wf_field){.name = name, .value = text};
    }
    request->command.fields = request->fields;
    request->command.field_count = count;
    return WF_OK;
}

static enum wf_status take_version(struct request *request, enum member member,
                                   struct wf_error *err) {
    uint64_t version = request_uint(request, member, 0);
    if (version > UINT32_MAX)
        return error_set(err, WF_USAGE, "%" PRIu64 " is no version", version);
    request->command.version = (uint32_t)version;
    return WF_OK;
}

static enum wf_status take_type(struct request *request, struct wf_error *err) {
    struct wf_command *command = &request->command;
    const char *type = request_string(request, MEMBER_TYPE),
               *workflow = request_string(request, MEMBER_WORKFLOW);
    if (command->kind == WF_ACCOUNT_OPEN)
        command->type = type;
    if (command->kind == WF_WORKFLOW_MIGRATE)
        return take_version(request, MEMBER_TO, err);
    if (command->kind != WF_WORKFLOW_START)
        return WF_OK;
    if (!type && !workflow)
        return error_set(err, WF_USAGE, "workflow.start needs the member 'type'");
    if (type && workflow)
        return error_set(err, WF_USAGE, "'type' and 'workflow' mean the same; give one");
    command->type = type ? type : workflow;
    return take_version(request, MEMBER_VERSION, err);
}

static enum wf_status make_command(struct request *request, struct wf_error *err) {
    request->command = (struct wf_command){
        .kind = request->kind->command,
        .id = request_id(request),
        .step = request_string(request, MEMBER_STEP),
        .stage = request_string(request, MEMBER_STAGE),
        .reason = request_string(request, MEMBER_REASON),
        .actor = request_string(request, MEMBER_ACTOR),
        .text = request_string(request, MEMBER_TEXT),
        .text_name = request_string(request, MEMBER_NAME),
        .key = request_string(request, MEMBER_KEY),
        .role = request_string(request, MEMBER_ROLE),
        .rollback = json_is_true(request->members[MEMBER_ROLLBACK]),
        .worker = request_string(request, MEMBER_WORKER),
        .compensate = json_is_true(request->members[MEMBER_COMPENSATE]),
        .currency = request_string(request, MEMBER_CURRENCY),
        .amount = request_string(request, MEMBER_BALANCE),
        .minimum = request_string(request, MEMBER_MINIMUM),
        .lsn = request_uint(request, MEMBER_LSN, 0),
    };
    if (request->members[MEMBER_TO])
        request->command.stage = request_string(request, MEMBER_TO);
    uint64_t attempt = request_uint(request, MEMBER_ATTEMPT, 0);
    if (attempt > UINT32_MAX)
        return error_set(err, WF_USAGE, "%" PRIu64 " is no attempt", attempt);
    request->command.attempt = (uint32_t)attempt;
    if (request->members[MEMBER_EPOCH]) { /* of tasks: the stage's attempt, and the task's own */
        uint64_t epoch = request_uint(request, MEMBER_EPOCH, 0);
        if (epoch > UINT32_MAX)
            return error_set(err, WF_USAGE, "%" PRIu64 " is no epoch", epoch);
        request->command.tries = request->command.attempt;
        request->command.attempt = (uint32_t)epoch;
    }
    enum wf_status status = take_type(request, err);
    if (status == WF_OK && request->members[MEMBER_OPS]) {
        status = operations_read(&request->operations, request->members[MEMBER_OPS], err);
        request->command.operations = request->operations.list;
        request->command.operation_count = request->operations.count;
    }
    return status == WF_OK ? take_fields(request, err) : status;
}

enum wf_status request_decode(struct request *request, const char *line, size_t size,
                              struct wf_error *err) {
    reset_memory();
    request->kind = NULL;
    request->unknown = NULL;
    request->dry_run = false;
    memset(request->members, 0, sizeof request->members);
    if (size == 0)
        return error_set(err, WF_USAGE, "the line is empty");
    json_error_t problem;
    json_t *root = json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (!root)
        return error_set(err, WF_USAGE, "the line is no JSON: %s, at byte %d", problem.text,
                         problem.position);
    if (!json_is_object(root))
        return error_set(err, WF_USAGE, "the line is no JSON object");
    collect_members(request, root);
    if (!request->members[MEMBER_CMD])
        return error_set(err, WF_USAGE, "the member 'cmd' is missing");
    const char *name = request_string(request, MEMBER_CMD);
    if (!name)
        return error_set(err, WF_USAGE, "member 'cmd' must be a string");
    request->kind = find_kind(name);
    if (!request->kind)
        return unknown_kind(name, err);
    enum wf_status status = check_members(request, err);
    request->dry_run = json_is_true(request->members[MEMBER_DRY_RUN]);
    bool has_command = request->kind->command || request->members[MEMBER_OPS];
    return status == WF_OK && has_command ? make_command(request, err) : status;
}

/* --- the tag --- */

static int append(const char *data, size_t size, void *to) {
    bytes_write_run(to, data, size);
    return 0;
}

void request_write_tag(const struct request *request, struct bytes_buffer *to) {
    const json_t *tag = request->members[MEMBER_TAG];
    if (!tag)
        return;
    struct emit json = {.to = to};
    if (json_is_string(tag))
        emit_bytes(&json, json_string_value(tag), json_string_length(tag));
    else
        json_dump_callback(tag, append, to, JSON_ENCODE_ANY | JSON_COMPACT);
}
