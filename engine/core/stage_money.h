/* What the operations of one record moved on accounts, kept so that it can be moved back: of a
 * workflow's stage that they went with until the stage is undone, or of a transaction that is to be
 * reversed. What it takes to move it back is ledger.h's matter. */
#ifndef CORE_STAGE_MONEY_H
#define CORE_STAGE_MONEY_H

#include "engine/core/state.h"

struct stage_money {
    struct stage_money *next; /* a workflow's are in order of stage */
    uint8_t stage;
    uint32_t epoch; /* the stage's attempt */
    uint64_t lsn;   /* of the record */
    size_t size;
    /* Packed, read by stage_money_next(): what the record put on each account altogether, in order
     * of its touches, then the holds that it placed. Each: kind u8 (of the account; 0: a hold),
     * account string, then currency 3 bytes and amount zigzag, or the hold's name string. */
    uint8_t data[];
};

struct stage_money_entry {
    enum entity_kind kind; /* 0: a hold */
    struct bytes_view account;
    struct bytes_view currency;
    int64_t amount; /* that was put on the account, never 0 */
    struct bytes_view hold;
};

/* Walk the entries: start with *at = 0. False at the end. */
bool stage_money_next(const struct stage_money *money, size_t *at, struct stage_money_entry *entry);
/* Made of a record's events and touches, on the heap, in no list. WF_NO_MEMORY; WF_DAMAGE: a
 * hostile record. */
enum wf_status stage_money_create(const struct record *record, struct stage_money **out,
                                  struct wf_error *err);
/* NULL: the stage's completion moved nothing. */
struct stage_money *stage_money_find(const struct workflow *workflow, unsigned stage);
/* Into the workflow's list, in place of the one of the same stage; it takes it over. */
void stage_money_put(struct workflow *workflow, struct stage_money *money);
void stage_money_remove(struct workflow *workflow, unsigned stage);
void stage_money_remove_all(struct workflow *workflow);
size_t stage_money_bytes(const struct workflow *workflow); /* heap bytes of all */
void stage_money_encode(const struct workflow *workflow, struct bytes_buffer *value);
/* False: malformed, or (then the reader has not failed) no memory. */
bool stage_money_decode(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory);
/* In words, what is wrong with what is kept; NULL: nothing. */
const char *stage_money_check(const struct workflow *workflow);

#endif
