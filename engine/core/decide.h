/* decide(state, command) -> events or a refusal. Pure: reads the state, changes nothing, allocates
 * nothing but what `scratch` owns. */
#ifndef CORE_DECIDE_H
#define CORE_DECIDE_H

#include "engine/core/state.h"

enum {
    DECISION_MESSAGE_MAX = 480,
    DECISION_REASON_MAX = 400,
    DECISION_NOTES_MAX = 8, /* fields of one operation's event */
    DECISION_SLOTS = 8192,  /* at least twice RECORD_TOUCHES_MAX, a power of two */
};

/* An account while a transaction is decided: what the operations so far made of it. The record's
 * touch of the same index names it. */
struct ledger_line {
    const struct account *account; /* NULL: opened by this record */
    const struct currency *currency;
    int64_t balance, held, minimum;
    size_t hold_count; /* in force */
    enum account_status status;
    bool is_loan;
};

/* Reused from command to command by its owner. Events borrow from it, from the command and from the
 * state: use them before any of these changes. */
struct decision {
    enum wf_status status; /* WF_OK: events to apply. WF_REFUSED: `message`; events hold one
                              EVENT_COMMAND_REFUSED where the refusal is worth a record (the subject
                              exists). Else: `message`, no events */
    bool repeated; /* the idempotency key was used before with the same body: `first` is where the
                      first outcome stands, no events */
    struct record_link first;
    const struct state *state;       /* that it is decided on */
    const struct workflow *workflow; /* that the command is about, as it was before it; NULL: it is
                                        about none, or none is there */
    /* What every command uses stands together, before the long lists. */
    int64_t time_ms;       /* the record's time: max(seen, now), or the test clock */
    int64_t same_until_ms; /* before this time the same operations on the same accounts come to the
                              same: no hold expires, no rate is too old, no market closes */
    size_t event_count, touch_count, posting_count, note_count, name_count;
    char message[DECISION_MESSAGE_MAX];
    char reason[DECISION_REASON_MAX]; /* of an end that nobody gave words for */
    struct event events[RECORD_EVENTS_MAX];
    uint8_t stage_map[DEFINITION_STAGES_MAX]; /* what a migration's event points to */
    uint8_t step_map[DEFINITION_STEPS_MAX];
    /* The accounts that the record is about, refused or not. */
    struct record_touch touches[RECORD_TOUCHES_MAX];
    struct ledger_line lines[RECORD_TOUCHES_MAX];
    uint16_t slots[DECISION_SLOTS]; /* of touches + 1 by hash of the name, where there are many */
    struct posting postings[RECORD_POSTINGS_MAX];
    struct field notes[COMMAND_OPERATIONS_MAX * DECISION_NOTES_MAX];
    char names[384][16]; /* numbers of the bank's own accounts that are opened: five a currency */
    char text[64];       /* of a time that a decision adds */
    char reversed[DEFINITION_STAGES_MAX][24]; /* LSNs, of what undone stages moved */
};

/* Whatever entities the command names are in memory already, if they exist. WF_USAGE for malformed
 * input (empty or overlong id, bad field name), WF_NOT_FOUND for an unknown workflow, definition,
 * step or stage, WF_CONFLICT for a key with another body. Messages name what is wrong and what
 * would be right. */
void decide(const struct state *state, const struct command *command, struct decision *decision);

#endif
