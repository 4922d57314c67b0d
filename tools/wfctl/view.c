#include "tools/wfctl/view.h"

#include "tools/wfctl/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- JSON --- */

void view_data_member(struct emit *json, const struct wf_field *fields, size_t count) {
    emit_key(json, "data");
    emit_open(json, '{');
    for (size_t i = 0; i < count; i++) {
        emit_string(json, fields[i].name);
        bytes_write_u8(json->to, ':');
        json->comma = false;
        emit_string(json, fields[i].value);
    }
    emit_close(json, '}');
}

static void stages_member(struct emit *json, const struct wf_workflow *workflow) {
    emit_key(json, "stages");
    emit_open(json, '[');
    for (size_t i = 0; i < workflow->stage_count; i++) {
        const struct wf_stage_info *stage = &workflow->stages[i];
        emit_open(json, '{');
        emit_member(json, "name", stage->name);
        emit_member(json, "status", stage->status);
        emit_member_uint(json, "attempt", stage->attempt);
        if (stage->deadline_ms)
            emit_member_time(json, "deadline", stage->deadline_ms);
        if (stage->remaining_ms)
            emit_member_uint(json, "remaining_ms", (uint64_t)stage->remaining_ms);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

void view_task_program_member(struct emit *json, const struct wf_task *task) {
    if (task->arg_count == 0)
        return; /* a callback */
    emit_key(json, "program");
    emit_open(json, '[');
    for (size_t i = 0; i < task->arg_count; i++)
        emit_string(json, task->args[i]);
    emit_close(json, ']');
}

void view_task_work_members(struct emit *json, const struct wf_task *task) {
    emit_member(json, "workflow", task->type);
    emit_member(json, "id", task->id);
    emit_member(json, "stage", task->stage);
    emit_member_uint(json, "epoch", task->epoch);
    emit_member_uint(json, "attempt", task->attempt);
    emit_member(json, "key", task->key);
    emit_member_bool(json, "compensate", task->compensate);
    view_data_member(json, task->data, task->data_count);
}

void view_task_members(struct emit *json, const struct wf_task *task) {
    emit_member(json, "id", task->id);
    emit_member(json, "stage", task->stage);
    emit_member_bool(json, "compensate", task->compensate);
    emit_member_uint(json, "epoch", task->epoch);
    emit_member(json, "status", task->status);
    emit_member_uint(json, "attempt", task->attempt);
    emit_member_uint(json, "attempts", task->attempts_max);
    emit_member_time(json, "due", task->due_ms);
    emit_member_if(json, "worker", task->worker);
    emit_member_if(json, "reason", task->reason);
    emit_member(json, "key", task->key);
    view_task_program_member(json, task);
}

static void tasks_member(struct emit *json, const struct wf_workflow *workflow) {
    if (workflow->task_count == 0)
        return;
    emit_key(json, "tasks");
    emit_open(json, '[');
    for (size_t i = 0; i < workflow->task_count; i++) {
        emit_open(json, '{');
        view_task_members(json, &workflow->tasks[i]);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

static void moved_member(struct emit *json, const struct wf_moved *moved, size_t count) {
    emit_key(json, "moved");
    emit_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        emit_open(json, '{');
        emit_member(json, "account", moved[i].account);
        emit_member(json, "amount", moved[i].amount);
        emit_member(json, "currency", moved[i].currency);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

static void money_member(struct emit *json, const struct wf_workflow *workflow) {
    if (workflow->money_count == 0)
        return;
    emit_key(json, "money");
    emit_open(json, '[');
    for (size_t i = 0; i < workflow->money_count; i++) {
        const struct wf_stage_money *money = &workflow->money[i];
        emit_open(json, '{');
        emit_member(json, "stage", money->stage);
        emit_member_uint(json, "attempt", money->attempt);
        emit_member_uint(json, "lsn", money->lsn);
        moved_member(json, money->moved, money->moved_count);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

static void head_members(struct emit *json, const struct wf_workflow *workflow) {
    emit_member(json, "id", workflow->id);
    emit_member(json, "workflow", workflow->type);
    emit_member_uint(json, "version", workflow->version);
    emit_member(json, "status", workflow->status);
    emit_member(json, "stage", workflow->stage);
    emit_member_uint(json, "lsn", workflow->lsn);
}

static void tail_members(struct emit *json, const struct wf_workflow *workflow) {
    emit_member_if(json, "reason", workflow->reason);
    emit_member_time(json, "started", workflow->started_ms);
    emit_member_time(json, "changed", workflow->changed_ms);
}

void view_review_members(struct emit *json, const struct wf_review *review) {
    emit_member(json, "id", review->id);
    emit_member(json, "workflow", review->type);
    emit_member_uint(json, "version", review->version);
    emit_member(json, "stage", review->stage);
    emit_member_uint(json, "attempt", review->attempt);
    emit_member(json, "role", review->role);
    if (review->four_eyes)
        emit_member_bool(json, "four_eyes", true);
    emit_member(json, "proposal", review->proposal);
    emit_member_if(json, "to", review->target);
    emit_member_if(json, "actor", review->actor);
    emit_member_if(json, "reason", review->reason);
    emit_member_time(json, "since", review->since_ms);
    emit_member_uint(json, "lsn", review->lsn);
}

/* A rollback under way, and what waits; nothing where there is none. */
static void going_back_members(struct emit *json, const struct wf_workflow *workflow) {
    if (workflow->going_back) {
        emit_key(json, "going_back");
        emit_open(json, '{');
        emit_member(json, "by", workflow->going_back);
        emit_member_if(json, "to", workflow->target);
        emit_close(json, '}');
    }
    if (workflow->review_count == 0)
        return;
    emit_key(json, "reviews");
    emit_open(json, '[');
    for (size_t i = 0; i < workflow->review_count; i++) {
        emit_open(json, '{');
        view_review_members(json, &workflow->reviews[i]);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

void view_plan_members(struct emit *json, const struct wf_plan *plan) {
    emit_member(json, "id", plan->id);
    emit_member_if(json, "to", plan->target);
    emit_key(json, "plan");
    emit_open(json, '[');
    for (size_t i = 0; i < plan->stage_count; i++) {
        const struct wf_plan_stage *stage = &plan->stages[i];
        emit_open(json, '{');
        emit_member(json, "stage", stage->stage);
        emit_member(json, "status", stage->status);
        emit_member_uint(json, "attempt", stage->attempt);
        emit_member(json, "strategy", stage->strategy);
        emit_member(json, "role", stage->role);
        if (stage->four_eyes)
            emit_member_bool(json, "four_eyes", true);
        emit_member(json, "step", stage->step);
        emit_key(json, "fields");
        emit_open(json, '[');
        for (size_t j = 0; j < stage->field_count; j++)
            emit_string(json, stage->fields[j]);
        emit_close(json, ']');
        if (stage->money_lsn) {
            emit_member_uint(json, "reverses", stage->money_lsn);
            moved_member(json, stage->moved, stage->moved_count);
        }
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

void view_workflow_members(struct emit *json, const struct wf_workflow *workflow) {
    head_members(json, workflow);
    stages_member(json, workflow);
    emit_key(json, "steps");
    emit_open(json, '[');
    for (size_t i = 0; i < workflow->step_count; i++)
        emit_string(json, workflow->steps[i]);
    emit_close(json, ']');
    view_data_member(json, workflow->data, workflow->data_count);
    money_member(json, workflow);
    tasks_member(json, workflow);
    going_back_members(json, workflow);
    tail_members(json, workflow);
}

void view_workflow_brief_members(struct emit *json, const struct wf_workflow *workflow) {
    head_members(json, workflow);
    tail_members(json, workflow);
}

/* When a record was written that was lost, or dropped, went with it. */
void view_definition_members(struct emit *json, const struct wf_definition *definition) {
    emit_member(json, "name", definition->name);
    emit_member_uint(json, "version", definition->version);
    emit_member_uint(json, "added_lsn", definition->added_lsn);
}

bool view_balance(void *ctx, const struct wf_balance *balance) {
    struct emit *json = ctx;
    emit_open(json, '{');
    emit_member(json, "account", balance->account);
    emit_member(json, "balance", balance->balance);
    emit_member(json, "currency", balance->currency);
    emit_close(json, '}');
    return true;
}

/* Most results have them all; else the record does, or, should that be gone, those that are here.
 */
static void each_balance(struct wf_engine *engine, const struct wf_result *result,
                         wf_balance_fn on_balance, void *ctx) {
    if (result->balances_total > result->balance_count &&
        wf_result_balances(engine, result, on_balance, ctx, NULL) == WF_OK)
        return;
    for (size_t i = 0; i < result->balance_count; i++)
        on_balance(ctx, &result->balances[i]);
}

void view_result(struct emit *json, struct wf_engine *engine, enum wf_command_kind kind,
                 const struct wf_result *result) {
    emit_open(json, '{');
    if (result->outcome)
        emit_member(json, "outcome", result->outcome);
    if (result->status) {
        emit_member(json, "stage", result->stage);
        emit_member(json, "status", result->status);
        emit_key(json, "activated");
        emit_open(json, '[');
        for (size_t i = 0; i < result->activated_count; i++)
            emit_string(json, result->activated[i]);
        emit_close(json, ']');
    }
    if (result->waits_stage) {
        emit_key(json, "waits");
        emit_open(json, '{');
        emit_member(json, "stage", result->waits_stage);
        emit_member(json, "role", result->waits_role);
        emit_close(json, '}');
    }
    if (result->balance_count > 0) {
        emit_key(json, "balances");
        emit_open(json, '[');
        each_balance(engine, result, view_balance, json);
        emit_close(json, ']');
    }
    if (kind == WF_WORKFLOW_START || kind == WF_DEFINITION_ADD || kind == WF_WORKFLOW_MIGRATE)
        emit_member_uint(json, "version", result->version);
    emit_close(json, '}');
}

void view_dry_run(struct emit *json, enum wf_command_kind kind, const struct wf_result *result) {
    emit_open(json, '{');
    emit_member_bool(json, "dry_run", true);
    emit_member(json, "outcome", result->outcome);
    emit_key(json, "activated");
    emit_open(json, '[');
    for (size_t i = 0; i < result->activated_count; i++)
        emit_string(json, result->activated[i]);
    emit_close(json, ']');
    if (kind == WF_WORKFLOW_MIGRATE)
        emit_member_uint(json, "version", result->version);
    emit_close(json, '}');
}

void view_change_members(struct emit *json, const struct wf_definition_change *change) {
    emit_member(json, "change", change->change);
    emit_member(json, "kind", change->kind);
    emit_member(json, "name", change->name);
    emit_member_if(json, "member", change->member);
    emit_member_if(json, "before", change->before);
    emit_member_if(json, "after", change->after);
}

/* --- text --- */

static const char *stage_mark(const struct out *out, const char *status) {
    static const struct {
        const char *status, *unicode, *ascii;
    } marks[] = {
        {"completed", "✔", "[x]"},       {"active", "▶", "[>]"},    {"blocked", "·", "[ ]"},
        {"failed", "✘", "[!]"},          {"timed_out", "✘", "[!]"}, {"rolled_back", "↶", "[<]"},
        {"awaiting_review", "?", "[?]"}, {"held", "‖", "[=]"},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strcmp(marks[i].status, status) == 0)
            return out->unicode ? marks[i].unicode : marks[i].ascii;
    return out->unicode ? "•" : "[*]";
}

static size_t longest_stage(const struct wf_workflow *workflow) {
    size_t longest = 0;
    for (size_t i = 0; i < workflow->stage_count; i++)
        if (strlen(workflow->stages[i].name) > longest)
            longest = strlen(workflow->stages[i].name);
    return longest;
}

static void stage_line(struct out *out, const struct wf_stage_info *stage, size_t name_width) {
    char time[FORMAT_TIME_SIZE], duration[FORMAT_DURATION_SIZE];
    enum out_style style = out_status_style(stage->status);
    out_printf(out, "  ");
    out_styled(out, style, stage_mark(out, stage->status));
    out_printf(out, " ");
    out_styled(out, strcmp(stage->status, "active") == 0 ? STYLE_BOLD : STYLE_PLAIN, stage->name);
    out_printf(out, "%*s  ", (int)(name_width - strlen(stage->name)), "");
    out_styled(out, style, stage->status);
    if (stage->attempt > 1)
        out_printf(out, ", attempt %u", stage->attempt);
    if (stage->deadline_ms)
        out_printf(out, ", until %s", format_time(time, stage->deadline_ms));
    if (stage->remaining_ms)
        out_printf(out, ", %s left", format_duration(duration, stage->remaining_ms));
    out_printf(out, "\n");
}

/* "undoing it", or what else waits for the reviewer. */
static void review_words(struct out *out, const struct wf_review *review) {
    out_printf(out, "waits    ");
    out_text(out, review->stage);
    out_printf(out, " for role ");
    out_styled(out, STYLE_BOLD, review->role);
    if (review->four_eyes)
        out_printf(out, " (another than who asked)");
    bool undo =
        strcmp(review->proposal, "rollback") == 0 || strcmp(review->proposal, "cancel") == 0;
    out_printf(out, undo ? ": to undo it, for a %s" : ": to open it again; it %s",
               strcmp(review->proposal, "timed_out") == 0 ? "timed out" : review->proposal);
    if (review->target) {
        out_printf(out, " to ");
        out_text(out, review->target);
    }
    if (review->actor) {
        out_printf(out, ", asked by ");
        out_text(out, review->actor);
    }
    if (review->reason) {
        out_printf(out, ": ");
        out_text(out, review->reason);
    }
    out_printf(out, "\n");
}

static void moved_words(struct out *out, const struct wf_moved *moved, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out_printf(out, "%s", i == 0 ? ": " : ", ");
        out_text(out, moved[i].account);
        out_printf(out, " %s%s %s", moved[i].amount[0] == '-' ? "" : "+", moved[i].amount,
                   moved[i].currency);
    }
    out_printf(out, "\n");
}

static bool balance_line(void *ctx, const struct wf_balance *balance) {
    struct out *out = ctx;
    out_printf(out, "  ");
    out_text(out, balance->account);
    out_printf(out, "  %s %s\n", balance->balance, balance->currency);
    return true;
}

void view_balances_text(struct out *out, struct wf_engine *engine, const struct wf_result *result) {
    each_balance(engine, result, balance_line, out);
}

void view_plan_text(struct out *out, const struct wf_plan *plan) {
    out_styled(out, STYLE_BOLD, plan->id);
    out_printf(out, plan->target ? "  back to " : "  to be cancelled");
    out_text(out, plan->target ? plan->target : "");
    out_printf(out, "; nothing is written\n");
    for (size_t i = 0; i < plan->stage_count; i++) {
        const struct wf_plan_stage *stage = &plan->stages[i];
        out_printf(out, "%3zu. undo ", i + 1);
        out_styled(out, STYLE_BOLD, stage->stage);
        out_printf(out, " (%s, attempt %u): ", stage->status, stage->attempt);
        if (stage->role) {
            out_printf(out, "%s, waits for role ", stage->strategy);
            out_text(out, stage->role);
        } else {
            out_printf(out, "%s, at once", stage->strategy);
        }
        if (stage->step) {
            out_printf(out, "; withdraws ");
            out_text(out, stage->step);
        }
        for (size_t j = 0; j < stage->field_count; j++) {
            out_printf(out, j == 0 ? " with " : ", ");
            out_text(out, stage->fields[j]);
        }
        out_printf(out, "\n");
        if (stage->money_lsn) {
            out_printf(out, "     moves back what record %" PRIu64 " moved", stage->money_lsn);
            moved_words(out, stage->moved, stage->moved_count);
        }
    }
}

static void task_line(struct out *out, const struct wf_task *task) {
    char time[FORMAT_TIME_SIZE];
    out_printf(out, "task     %s of ", task->compensate ? "compensation" : "handler");
    out_text(out, task->stage);
    out_printf(out, ": ");
    out_styled(out, out_status_style(task->status), task->status);
    out_printf(out, ", attempt %u of %u, %s %s", task->attempt, task->attempts_max,
               strcmp(task->status, "claimed") == 0  ? "until"
               : strcmp(task->status, "parked") == 0 ? "since"
                                                     : "from",
               format_time(time, task->due_ms));
    if (task->reason) {
        out_printf(out, ": ");
        out_text(out, task->reason);
    }
    out_printf(out, "\n");
}

static void workflow_facts(struct out *out, const struct wf_workflow *workflow) {
    for (size_t i = 0; i < workflow->task_count; i++)
        task_line(out, &workflow->tasks[i]);
    if (workflow->reason) {
        out_printf(out, "reason   ");
        out_text(out, workflow->reason);
        out_printf(out, "\n");
    }
    if (workflow->going_back) {
        out_printf(out, "going    ");
        out_printf(out, workflow->target ? "back to " : "back, to be cancelled");
        out_text(out, workflow->target ? workflow->target : "");
        out_printf(out, "\n");
    }
    for (size_t i = 0; i < workflow->money_count; i++) {
        const struct wf_stage_money *money = &workflow->money[i];
        out_printf(out, "money    ");
        out_text(out, money->stage);
        out_printf(out, ", record %" PRIu64, money->lsn);
        moved_words(out, money->moved, money->moved_count);
    }
    for (size_t i = 0; i < workflow->review_count; i++)
        review_words(out, &workflow->reviews[i]);
    for (size_t i = 0; i < workflow->step_count; i++) {
        out_printf(out, i == 0 ? "steps    " : ", ");
        out_text(out, workflow->steps[i]);
    }
    if (workflow->step_count > 0)
        out_printf(out, "\n");
    for (size_t i = 0; i < workflow->data_count; i++) {
        out_printf(out, i == 0 ? "data     " : "         ");
        out_text(out, workflow->data[i].name);
        out_printf(out, " = ");
        out_text(out, workflow->data[i].value);
        out_printf(out, "\n");
    }
}

void view_workflow_text(struct out *out, const struct wf_workflow *workflow) {
    char started[FORMAT_TIME_SIZE], changed[FORMAT_TIME_SIZE];
    out_styled(out, STYLE_BOLD, workflow->id);
    out_printf(out, "  ");
    out_text(out, workflow->type);
    out_printf(out, " version %u  ", workflow->version);
    out_styled(out, out_status_style(workflow->status), workflow->status);
    out_printf(out, "\nstarted  %s\nchanged  %s, record %" PRIu64 "\n\n",
               format_time(started, workflow->started_ms),
               format_time(changed, workflow->changed_ms), workflow->lsn);
    size_t width = longest_stage(workflow);
    for (size_t i = 0; i < workflow->stage_count; i++) {
        if (i > 0 && out->unicode)
            out_styled(out, STYLE_DIM, "  │"), out_printf(out, "\n");
        stage_line(out, &workflow->stages[i], width);
    }
    out_printf(out, "\n");
    workflow_facts(out, workflow);
}
