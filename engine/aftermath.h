/* What a loss takes with it. The records of a log that stay, applied to a state of their own: those
 * that rest on lost ones have no effect, and whom they are about is counted. Holds the whole state
 * in memory. */
#ifndef ENGINE_AFTERMATH_H
#define ENGINE_AFTERMATH_H

#include "engine/core/state.h"
#include "engine/wf.h"
#include "store/archive.h"

/* Whom a loss concerns, by name. */
struct aftermath_names {
    struct table workflows, accounts, definitions, keys, references;
};
void aftermath_names_init(struct aftermath_names *names);
void aftermath_names_deinit(struct aftermath_names *names);
/* Once each; the store and the bank's own accounts have no name here. WF_NO_MEMORY. */
enum wf_status aftermath_names_add_entity(struct aftermath_names *names,
                                          const struct entity *entity, struct wf_error *err);

struct aftermath {
    struct state state;
    struct aftermath_names names;
    struct wf_log_losses lost; /* `records` is not counted here, nor is whoever has a name */
    uint64_t last_lsn;
    bool compared; /* a snapshot told what was before: nothing that an earlier repair told is in it
                    */
};

enum wf_status aftermath_init(struct aftermath *aftermath, struct wf_error *err);
void aftermath_deinit(struct aftermath *aftermath);
/* Begin with the state that stands for the records that were dropped from the archive, if any. */
enum wf_status aftermath_begin(struct aftermath *aftermath, struct archive *archive,
                               struct wf_error *err);
/* Nothing can be told: a part of the log cannot be read, and will not be dropped. */
void aftermath_give_up(struct aftermath *aftermath);
/* The next record that stays, in the order of the log; its `lsn` is set. WF_NO_MEMORY. */
enum wf_status aftermath_see(struct aftermath *aftermath, const struct record *record,
                             struct wf_error *err);
/* The next record is lost, and this is what it was. WF_NO_MEMORY. */
enum wf_status aftermath_lose(struct aftermath *aftermath, const struct record *record,
                              struct wf_error *err);
/* The next `count` records are lost, and nobody can say what they were. */
void aftermath_lose_unread(struct aftermath *aftermath, uint64_t count);
/* The sum, when all records were seen. Its names are on the heap: wf_log_report_deinit().
 * WF_NO_MEMORY. */
enum wf_status aftermath_sum(const struct aftermath *aftermath, struct wf_log_losses *out,
                             struct wf_error *err);

/* --- as the record of a repair has it --- */

enum {
    AFTERMATH_COUNTS = 7,
    AFTERMATH_FIELDS = 13,
    AFTERMATH_TEXT_MAX = 24,
    AFTERMATH_NAMES_MAX = 10
};
struct aftermath_fields {
    struct field fields[AFTERMATH_FIELDS];
    char numbers[AFTERMATH_COUNTS][AFTERMATH_TEXT_MAX];
    char names[AFTERMATH_COUNTS][AFTERMATH_NAMES_MAX * 204]; /* the first of each */
    size_t count;
};
/* `out` borrows from `lost`. */
void aftermath_to_fields(const struct wf_log_losses *lost, struct aftermath_fields *out);
/* Add what the record of one repair says. */
void aftermath_add_fields(const struct field *fields, size_t count, struct wf_log_losses *sum);
/* Take off what the records of earlier repairs told. */
void aftermath_subtract(struct wf_log_losses *lost, const struct wf_log_losses *told);

#endif
