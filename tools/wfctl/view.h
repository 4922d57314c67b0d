/* How a workflow, an event and a result look, in JSON and to a person: shared by the commands and
 * exec. */
#ifndef WFCTL_VIEW_H
#define WFCTL_VIEW_H

#include "engine/wf.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/out.h"

/* Members of an open object. In view.c what is about workflows and results, in view_account.c,
 * view_event.c, view_log.c and view_store.c what their names say. */
void view_data_member(struct emit *json, const struct wf_field *fields, size_t count); /* "data" */
void view_workflow_members(struct emit *json, const struct wf_workflow *workflow);
void view_workflow_brief_members(struct emit *json,
                                 const struct wf_workflow *workflow); /* a list's item */
void view_review_members(struct emit *json, const struct wf_review *review);
void view_plan_members(struct emit *json, const struct wf_plan *plan);
void view_plan_text(struct out *out, const struct wf_plan *plan);
/* A line for each account; the engine is asked where there are many. */
void view_balances_text(struct out *out, struct wf_engine *engine, const struct wf_result *result);
/* A wf_event_fn over a struct emit. */
bool view_event(void *json, const struct wf_event *event);
/* One item of a list in JSON: a wf_event_fn over a struct out. */
bool view_event_item(void *out, const struct wf_event *event);
/* The event's time, as "time" or as text; nobody knows that of a record that was lost. */
void view_event_time_member(struct emit *json, const struct wf_event *event);
const char *view_event_time(char text[FORMAT_TIME_SIZE], const struct wf_event *event);
void view_account_members(struct emit *json, const struct wf_account *account);
/* The same as an object; `json` is a struct emit, as wf_account_list() hands it on. True. */
bool view_account(void *json, const struct wf_account *account);
void view_statement_members(struct emit *json, const struct wf_statement_line *line);
/* Of a pool of sessions. */
void view_pool_members(struct emit *json, const struct wf_pool_stats *stats);
/* `notes`: what view_note_json() wrote. */
void view_account_report_members(struct emit *json, const struct wf_account_report *report,
                                 const struct bytes_buffer *notes);
/* A wf_account_note_fn over a struct emit: an element of "notes". */
bool view_note_json(void *json, const struct wf_account_note *note);
void view_reference_members(struct emit *json, const struct wf_reference *reference);
void view_definition_members(struct emit *json, const struct wf_definition *definition);
void view_status_members(struct emit *json, const struct wf_store_status *status);
void view_dropped_members(struct emit *json, const struct wf_archive_dropped *dropped);
void view_segment_members(struct emit *json, const struct wf_segment *segment);
void view_finding_members(struct emit *json, const struct wf_finding *finding);
void view_log_report_members(struct emit *json, const struct wf_log_report *report);
/* {"account":…,"balance":…,"currency":…}: a wf_balance_fn over a struct emit. */
bool view_balance(void *json, const struct wf_balance *balance);
/* "lost": what repairs took. */
void view_losses_member(struct emit *json, const struct wf_log_losses *lost);
/* The value of "result": {"outcome":…,"stage":…,"status":…,"activated":[…]}, of accounts
 * {"outcome":…,"balances":[…]}. */
void view_result(struct emit *json, struct wf_engine *engine, enum wf_command_kind kind,
                 const struct wf_result *result);

/* What a command that was only tried would come to. */
void view_dry_run(struct emit *json, enum wf_command_kind kind, const struct wf_result *result);
void view_change_members(struct emit *json, const struct wf_definition_change *change);

/* Of a list of tasks. */
void view_task_members(struct emit *json, const struct wf_task *task);
/* What whoever does the work is told: workflow, id, stage, epoch, attempt, key, data. */
void view_task_work_members(struct emit *json, const struct wf_task *task);
void view_task_program_member(struct emit *json, const struct wf_task *task); /* "program" */

/* A small picture of the stages. */
void view_workflow_text(struct out *out, const struct wf_workflow *workflow);
/* What the event says, as the rest of a line without its end. */
void view_event_text(struct out *out, const struct wf_event *event);
void view_finding_text(struct out *out, const struct wf_finding *finding);
/* What went with records that were lost, as a part of a sentence. Returns `text`. */
enum { VIEW_LOSSES_SIZE = 16384, VIEW_NAMES_MAX = 10 };
enum { VIEW_REPAIRS_SIZE = 1600 };
/* "LSN 5 to 7, on 2026-…, record 25; …": which records repairs took, when, which record says so. */
const char *view_repairs(char text[VIEW_REPAIRS_SIZE], const struct wf_log_losses *lost);
const char *view_losses(char text[VIEW_LOSSES_SIZE], const struct wf_log_losses *lost);

#endif
