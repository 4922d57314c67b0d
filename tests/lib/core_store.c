#include "tests/lib/core_store.h"

#include "engine/definition_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char core_loan_yaml[] =
    "workflow: loan_application\n"
    "version: 1\n"
    "steps:\n"
    "  applicant_submission:   {provides: [applicant_data, employment_data, property_data], "
    "requires: [personal_info, ssn, employment]}\n"
    "  credit_bureau_response: {completes: credit_check, requires: [credit_score, history]}\n"
    "  employer_verification:  {completes: income_verification, requires: [salary, tenure]}\n"
    "  property_appraisal:     {completes: collateral_assessment, requires: [value, condition]}\n"
    "  approval_decision:      {completes: final_approval, requires: [decision]}\n"
    "stages:\n"
    "  - {name: credit_check, needs: [applicant_data], timeout: 30s, rollback: automatic, outcome: "
    "credit_check_initiated}\n"
    "  - {name: income_verification, needs: [employment_data, credit_check], timeout: 60s, "
    "rollback: manual_review, outcome: income_verification_triggered}\n"
    "  - {name: collateral_assessment, needs: [property_data, income_verification], timeout: 120s, "
    "rollback: hold_for_review, outcome: collateral_assessment_started}\n"
    "  - {name: final_approval, needs: [all_previous_stages], timeout: 300s, rollback: "
    "executive_review, outcome: final_approval_ready}\n";

const char core_loan_2_yaml[] =
    "workflow: loan_application\n"
    "version: 2\n"
    "steps:\n"
    "  applicant_submission:   {provides: [applicant_data, employment_data, property_data], "
    "requires: [personal_info, ssn]}\n"
    "  auditor_report:         {completes: audit, requires: [verdict]}\n"
    "  credit_bureau_response: {completes: credit_rating, requires: [credit_score, history]}\n"
    "  employer_verification:  {completes: income_verification, requires: [salary, tenure]}\n"
    "  property_appraisal:     {completes: collateral_assessment, requires: [value, condition]}\n"
    "  approval_decision:      {completes: final_approval, requires: [decision]}\n"
    "stages:\n"
    "  - {name: audit, needs: [credit_rating], timeout: 1h}\n"
    "  - {name: credit_rating, needs: [applicant_data], timeout: 30s}\n"
    "  - {name: income_verification, needs: [employment_data, credit_rating], timeout: 2m, "
    "rollback: manual_review, outcome: income_verification_triggered}\n"
    "  - {name: collateral_assessment, needs: [property_data, income_verification], timeout: 120s, "
    "rollback: hold_for_review, outcome: collateral_assessment_started}\n"
    "  - {name: final_approval, needs: [all_previous_stages], timeout: 300s, rollback: "
    "executive_review, outcome: final_approval_ready}\n";

const char *const core_loan_steps[5][2] = {
    {"applicant_submission", "personal_info=Jane ssn=123-45-6789 employment=ACME"},
    {"credit_bureau_response", "credit_score=750 history=good"},
    {"employer_verification", "salary=90000 tenure=5"},
    {"property_appraisal", "value=400000 condition=sound"},
    {"approval_decision", "decision=approved"},
};

static void require(bool condition, const char *what, const struct wf_error *err) {
    if (condition)
        return;
    fprintf(stderr, "core_store: %s: %s\n", what, err != NULL ? err->text : "");
    abort();
}

struct core_store *core_store_open(bool test_clock) {
    struct core_store *store = calloc(1, sizeof *store);
    require(store != NULL, "calloc", NULL);
    store->now_ms = INT64_C(1767225600000);
    require(state_init(&store->state, &store->err) == WF_OK, "state_init", &store->err);
    struct command create = {.kind = COMMAND_STORE_CREATE, .now_ms = store->now_ms};
    create.as.store_create.test_clock = test_clock;
    create.as.store_create.time_ms = store->now_ms;
    require(core_store_execute(store, &create) == WF_OK, "create", NULL);
    return store;
}

void core_store_close(struct core_store *store) {
    state_deinit(&store->state);
    free(store);
}

struct record core_store_record(struct core_store *store, const struct command *command) {
    struct record record = {
        .lsn = store->lsn + 1,
        .offset = (store->lsn + 1) * 100,
        .time_ms = store->decision.time_ms,
        .command = command->kind,
        .subject = command->subject,
        .actor = command->actor,
        .key = command->key,
        .events = store->decision.events,
        .event_count = store->decision.event_count,
        .touches = store->decision.touches,
        .touch_count = store->decision.touch_count,
    };
    memcpy(record.body_hash, command->body_hash, sizeof record.body_hash);
    uint64_t live = store->state.store.key_next - store->state.store.key_first;
    if (store->keys_max > 0 && command->key.size > 0 && live + 1 > store->keys_max)
        record.keys_forgotten = live + 1 - store->keys_max;
    return record;
}

enum wf_status core_store_execute(struct core_store *store, const struct command *command) {
    decide(&store->state, command, &store->decision);
    if (store->decision.event_count == 0)
        return store->decision.status;
    struct record record = core_store_record(store, command);
    if (store->on_record != NULL)
        store->on_record(&record);
    require(apply_reserve(&store->state, &record, &store->err) == WF_OK, "reserve", &store->err);
    apply(&store->state, &record);
    store->lsn = record.lsn;
    require(check_state(&store->state, true, &store->err) == WF_OK, "check", &store->err);
    return store->decision.status;
}

size_t core_fields(char *text, struct field *fields) {
    size_t count = 0;
    for (char *at = strtok(text, " "); at != NULL && count < 16; at = strtok(NULL, " ")) {
        char *equals = strchr(at, '=');
        require(equals != NULL, "a field needs =", NULL);
        fields[count].name = (struct bytes_view){(uint8_t *)at, (size_t)(equals - at)};
        fields[count++].value = text_view(equals + 1);
    }
    return count;
}

enum wf_status core_define(struct core_store *store, const char *yaml) {
    struct definition *definition;
    require(definition_parse(yaml, strlen(yaml), "test", &definition, &store->err) == WF_OK,
            "parse", &store->err);
    struct command command = {.kind = COMMAND_DEFINITION_ADD, .now_ms = store->now_ms};
    command.subject = text_view(definition->name);
    command.as.definition_add.definition = definition;
    char name[DEFINITION_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", definition->name);
    enum wf_status status = core_store_execute(store, &command);
    if (status != WF_OK)
        definition_destroy(definition);
    return status;
}

enum wf_status core_start(struct core_store *store, const char *id, const char *type,
                          const char *fields) {
    char text[512];
    struct field list[16];
    snprintf(text, sizeof text, "%s", fields != NULL ? fields : "");
    struct command command = {.kind = COMMAND_WORKFLOW_START, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.as.workflow_start.type = text_view(type);
    command.as.workflow_start.fields = list;
    command.as.workflow_start.field_count = core_fields(text, list);
    return core_store_execute(store, &command);
}

static enum wf_status submit(struct core_store *store, const char *id, const char *step,
                             const char *fields, const char *key, uint8_t body) {
    char text[512];
    struct field list[16];
    snprintf(text, sizeof text, "%s", fields != NULL ? fields : "");
    struct command command = {.kind = COMMAND_WORKFLOW_SUBMIT, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.key = text_view(key);
    memset(command.body_hash, body, sizeof command.body_hash);
    command.as.workflow_submit.step = text_view(step);
    command.as.workflow_submit.fields = list;
    command.as.workflow_submit.field_count = core_fields(text, list);
    return core_store_execute(store, &command);
}

enum wf_status core_submit(struct core_store *store, const char *id, const char *step,
                           const char *fields) {
    return submit(store, id, step, fields, NULL, 0);
}

enum wf_status core_submit_keyed(struct core_store *store, const char *id, const char *step,
                                 const char *fields, const char *key, uint8_t body) {
    return submit(store, id, step, fields, key, body);
}

enum wf_status core_fail(struct core_store *store, const char *id, const char *stage,
                         const char *reason) {
    struct command command = {.kind = COMMAND_WORKFLOW_FAIL, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.as.workflow_fail.stage = text_view(stage);
    command.as.workflow_fail.reason = text_view(reason);
    return core_store_execute(store, &command);
}

enum wf_status core_cancel(struct core_store *store, const char *id, const char *reason) {
    struct command command = {.kind = COMMAND_WORKFLOW_CANCEL, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.as.workflow_cancel.reason = text_view(reason);
    return core_store_execute(store, &command);
}

enum wf_status core_cancel_back(struct core_store *store, const char *id, const char *reason,
                                const char *actor) {
    struct command command = {.kind = COMMAND_WORKFLOW_CANCEL, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.actor = text_view(actor);
    command.as.workflow_cancel.reason = text_view(reason);
    command.as.workflow_cancel.rollback = true;
    return core_store_execute(store, &command);
}

enum wf_status core_rollback(struct core_store *store, const char *id, const char *stage,
                             const char *actor) {
    struct command command = {.kind = COMMAND_WORKFLOW_ROLLBACK, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.actor = text_view(actor);
    command.as.workflow_rollback.stage = text_view(stage);
    command.as.workflow_rollback.reason = text_view("because");
    return core_store_execute(store, &command);
}

enum wf_status core_review(struct core_store *store, enum command_kind verdict, const char *id,
                           const char *stage, const char *actor, const char *role) {
    struct command command = {.kind = verdict, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.actor = text_view(actor);
    command.as.review.stage = text_view(stage);
    command.as.review.role = text_view(role);
    command.as.review.reason = text_view("");
    return core_store_execute(store, &command);
}

size_t core_fire_due(struct core_store *store) {
    const struct timer *first;
    size_t fired = 0;
    for (; (first = timers_first(&store->state.timers)) != NULL && first->due_ms <= store->now_ms;
         fired++) {
        char id[COMMAND_ID_MAX + 1];
        unsigned stage = 0;
        snprintf(id, sizeof id, "%s", first->workflow->id);
        workflow_due(first->workflow, &stage);
        struct command command = {.kind = COMMAND_TIMER_FIRE, .now_ms = store->now_ms};
        command.subject = text_view(id);
        command.as.timer_fire.stage = stage;
        require(core_store_execute(store, &command) == WF_OK, "fire", NULL);
    }
    return fired;
}

enum wf_status core_migrate(struct core_store *store, const char *id, uint32_t version,
                            const char *maps) {
    char text[512];
    struct field list[16];
    snprintf(text, sizeof text, "%s", maps != NULL ? maps : "");
    struct command command = {.kind = COMMAND_WORKFLOW_MIGRATE, .now_ms = store->now_ms};
    command.subject = text_view(id);
    command.as.workflow_migrate.version = version;
    command.as.workflow_migrate.maps = list;
    command.as.workflow_migrate.map_count = core_fields(text, list);
    return core_store_execute(store, &command);
}

enum wf_status core_advance(struct core_store *store, int64_t by_ms) {
    struct command command = {.kind = COMMAND_CLOCK_ADVANCE, .now_ms = store->now_ms};
    command.as.clock_advance.by_ms = by_ms;
    return core_store_execute(store, &command);
}

struct workflow *core_workflow(struct core_store *store, const char *id) {
    return state_workflow(&store->state, text_view(id));
}

const char *core_stages(struct core_store *store, const char *id, char out[512]) {
    const struct workflow *workflow = core_workflow(store, id);
    out[0] = '\0';
    for (size_t i = 0; i < workflow->definition->stage_count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, 512 - used, "%s%s", i > 0 ? " " : "",
                 stage_status_name(workflow->stages[i].status));
    }
    return out;
}
