/* What a loss takes with it. The records of a log that stay, applied to a state of their own: those
 * that rest on lost ones have no effect, and whom they are about is counted. Holds the whole state
 * in memory. */
#ifndef ENGINE_AFTERMATH_H
#define ENGINE_AFTERMATH_H

#include "engine/core/state.h"
#include "engine/wf.h"
#include "store/archive.h"

struct aftermath {
    struct state state;
    struct table workflows, accounts; /* concerned, by name */
    struct wf_log_losses lost;        /* `records` is not counted here */
    uint64_t last_lsn;
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
/* The next record is lost, and this is what it was, as far as it can be told. WF_NO_MEMORY. */
enum wf_status aftermath_lose(struct aftermath *aftermath, const struct record *record,
                              struct wf_error *err);
/* The sum, when all records were seen. */
void aftermath_sum(const struct aftermath *aftermath, struct wf_log_losses *out);

/* --- as the record of a repair has it --- */

enum { AFTERMATH_FIELDS = 5, AFTERMATH_TEXT_MAX = 24 };
struct aftermath_fields {
    struct field fields[AFTERMATH_FIELDS];
    char numbers[AFTERMATH_FIELDS][AFTERMATH_TEXT_MAX];
    size_t count;
};
/* `out` borrows from `lost`. */
void aftermath_to_fields(const struct wf_log_losses *lost, struct aftermath_fields *out);
/* Add what the record of one repair says. */
void aftermath_add_fields(const struct field *fields, size_t count, struct wf_log_losses *sum);
/* Take off what the records of earlier repairs told. */
void aftermath_subtract(struct wf_log_losses *lost, const struct wf_log_losses *told);

#endif
