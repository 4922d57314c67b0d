#include "engine/core/proposal.h"

#include "engine/core/text.h"

#include <stdlib.h>
#include <string.h>

enum { MALLOC_OVERHEAD = 16 };

/* The texts begin within the struct's last padding: they are written after everything else. */
static void set_texts(struct proposal *proposal, struct bytes_view actor,
                      struct bytes_view reason) {
    proposal->actor_size = (uint8_t)actor.size;
    proposal->reason_size = (uint16_t)reason.size;
    if (actor.size > 0)
        memcpy(proposal->text, actor.data, actor.size);
    if (reason.size > 0)
        memcpy(proposal->text + actor.size, reason.data, reason.size);
}

struct proposal *proposal_create(struct bytes_view actor, struct bytes_view reason) {
    struct proposal *proposal = calloc(1, sizeof *proposal + actor.size + reason.size);
    if (proposal == NULL)
        return NULL;
    proposal->waiting = STAGE_NONE;
    proposal->before = WORKFLOW_RUNNING;
    set_texts(proposal, actor, reason);
    return proposal;
}

static bool goes_before(const struct proposal *one, const struct proposal *other) {
    if (one->kind != other->kind)
        return one->kind < other->kind;
    return one->stage < other->stage;
}

void proposal_insert(struct workflow *workflow, struct proposal *proposal) {
    struct proposal **at = &workflow->proposals;
    while (*at != NULL && goes_before(*at, proposal))
        at = &(*at)->next;
    proposal->next = *at;
    *at = proposal;
}

void proposal_remove(struct workflow *workflow, struct proposal *proposal) {
    for (struct proposal **at = &workflow->proposals; *at != NULL; at = &(*at)->next) {
        if (*at != proposal)
            continue;
        *at = proposal->next;
        free(proposal);
        return;
    }
}

void proposal_remove_all(struct workflow *workflow) {
    while (workflow->proposals != NULL)
        proposal_remove(workflow, workflow->proposals);
}

size_t proposal_bytes(const struct workflow *workflow) {
    size_t bytes = 0;
    for (const struct proposal *p = workflow->proposals; p != NULL; p = p->next)
        bytes += sizeof *p + p->actor_size + p->reason_size + MALLOC_OVERHEAD;
    if (workflow->verdict != NULL)
        bytes += sizeof *workflow->verdict + workflow->verdict->actor_size + MALLOC_OVERHEAD;
    return bytes;
}

struct verdict *verdict_create(struct bytes_view actor) {
    struct verdict *verdict = calloc(1, sizeof *verdict + actor.size);
    if (verdict == NULL)
        return NULL;
    verdict->actor_size = (uint8_t)actor.size;
    if (actor.size > 0)
        memcpy(verdict->actor, actor.data, actor.size);
    return verdict;
}

struct bytes_view proposal_actor(const struct proposal *proposal) {
    return (struct bytes_view){(const uint8_t *)proposal->text, proposal->actor_size};
}

struct bytes_view proposal_reason(const struct proposal *proposal) {
    return (struct bytes_view){(const uint8_t *)proposal->text + proposal->actor_size,
                               proposal->reason_size};
}

struct proposal *workflow_rollback(const struct workflow *workflow) {
    struct proposal *first = workflow->proposals;
    return first != NULL && first->kind != PROPOSAL_REOPEN ? first : NULL;
}

struct proposal *workflow_reopening(const struct workflow *workflow, unsigned stage) {
    for (struct proposal *p = workflow->proposals; p != NULL; p = p->next)
        if (p->kind == PROPOSAL_REOPEN && p->stage == stage)
            return p;
    return NULL;
}

bool workflow_stands_still(const struct workflow *workflow) {
    return workflow->status == WORKFLOW_HELD || workflow_rollback(workflow) != NULL;
}

bool workflow_waits(const struct workflow *workflow) {
    const struct proposal *rollback = workflow_rollback(workflow);
    return rollback != NULL ? rollback->waiting != STAGE_NONE : workflow->proposals != NULL;
}

/* --- bytes --- */

bool proposal_any(const struct workflow *workflow) {
    return workflow->proposals != NULL || workflow->verdict != NULL;
}

static void encode_proposal(const struct workflow *workflow, const struct proposal *proposal,
                            struct bytes_buffer *value) {
    bytes_write_u8(value, (uint8_t)proposal->kind);
    bytes_write_u8(value, proposal->stage);
    if (proposal->kind == PROPOSAL_REOPEN) {
        bytes_write_u8(value, (uint8_t)proposal->outcome);
    } else {
        bytes_write_u8(value, proposal->waiting);
        bytes_write_u8(value, (uint8_t)proposal->waiting_before);
        bytes_write_u8(value, (uint8_t)proposal->before);
        bytes_write_u8(value, proposal->undone);
    }
    bytes_write_varint(value, proposal->lsn - workflow->started_lsn);
    bytes_write_zigzag(value, proposal->time_ms - workflow->started_ms);
    bytes_write_string(value, proposal->text, proposal->actor_size);
    bytes_write_string(value, proposal->text + proposal->actor_size, proposal->reason_size);
}

void proposal_encode(const struct workflow *workflow, struct bytes_buffer *value) {
    size_t count = 0;
    for (const struct proposal *p = workflow->proposals; p != NULL; p = p->next)
        count++;
    bytes_write_u8(value, (uint8_t)count);
    for (const struct proposal *p = workflow->proposals; p != NULL; p = p->next)
        encode_proposal(workflow, p, value);
    const struct verdict *verdict = workflow->verdict;
    bytes_write_u8(value, verdict == NULL ? STAGE_NONE : verdict->stage);
    if (verdict == NULL)
        return;
    bytes_write_u8(value, verdict->approved);
    bytes_write_varint(value, verdict->link.lsn - workflow->started_lsn);
    bytes_write_string(value, verdict->actor, verdict->actor_size);
}

void proposal_encode_links(const struct workflow *workflow, struct bytes_buffer *value) {
    if (workflow->verdict != NULL)
        bytes_write_varint(value, workflow->verdict->link.offset);
}

/* What a rollback or cancellation has and a re-opening has not. */
static bool decode_progress(const struct workflow *workflow, struct proposal *read,
                            struct bytes_reader *reader) {
    size_t stages = workflow->definition->stage_count;
    read->waiting = bytes_read_u8(reader);
    read->waiting_before = (enum stage_status)bytes_read_u8(reader);
    read->before = (enum workflow_status)bytes_read_u8(reader);
    uint8_t undone = bytes_read_u8(reader);
    read->undone = undone != 0;
    return (read->waiting == STAGE_NONE || read->waiting < stages) && undone <= 1 &&
           stage_status_name(read->waiting_before) != NULL &&
           workflow_status_name(read->before) != NULL;
}

static bool decode_head(const struct workflow *workflow, struct proposal *read,
                        struct bytes_reader *reader) {
    *read = (struct proposal){.waiting = STAGE_NONE, .before = WORKFLOW_RUNNING};
    read->kind = (enum proposal_kind)bytes_read_u8(reader);
    read->stage = bytes_read_u8(reader);
    if (read->kind < PROPOSAL_ROLLBACK || read->kind > PROPOSAL_REOPEN ||
        read->stage >= workflow->definition->stage_count)
        return false;
    if (read->kind != PROPOSAL_REOPEN)
        return decode_progress(workflow, read, reader);
    read->outcome = (enum stage_status)bytes_read_u8(reader);
    return read->outcome == STAGE_TIMED_OUT || read->outcome == STAGE_FAILED;
}

static bool decode_proposal(struct workflow *workflow, struct bytes_reader *reader,
                            bool *no_memory) {
    struct proposal read;
    if (!decode_head(workflow, &read, reader))
        return false;
    read.lsn = workflow->started_lsn + bytes_read_varint(reader);
    read.time_ms = (int64_t)((uint64_t)workflow->started_ms + (uint64_t)bytes_read_zigzag(reader));
    struct bytes_view actor = bytes_read_string(reader), reason = bytes_read_string(reader);
    bool known = read.kind == PROPOSAL_REOPEN ? workflow_reopening(workflow, read.stage) != NULL
                                              : workflow_rollback(workflow) != NULL;
    if (!bytes_reader_ok(reader) || actor.size > COMMAND_ID_MAX || reason.size > COMMAND_TEXT_MAX ||
        known)
        return false;
    struct proposal *proposal = proposal_create(actor, reason);
    if (proposal == NULL) {
        *no_memory = true;
        return false;
    }
    *proposal = read;
    set_texts(proposal, actor, reason);
    proposal_insert(workflow, proposal);
    return true;
}

static bool decode_verdict(struct workflow *workflow, struct bytes_reader *reader,
                           bool *no_memory) {
    uint8_t stage = bytes_read_u8(reader);
    if (stage == STAGE_NONE)
        return true;
    uint8_t approved = bytes_read_u8(reader);
    uint64_t lsn = workflow->started_lsn + bytes_read_varint(reader);
    struct bytes_view actor = bytes_read_string(reader);
    if (!bytes_reader_ok(reader) || actor.size > COMMAND_ID_MAX || approved > 1 ||
        stage >= workflow->definition->stage_count)
        return false;
    workflow->verdict = verdict_create(actor);
    *no_memory = workflow->verdict == NULL;
    if (*no_memory)
        return false;
    workflow->verdict->stage = stage;
    workflow->verdict->approved = approved != 0;
    workflow->verdict->link.lsn = lsn;
    return true;
}

bool proposal_decode(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory) {
    *no_memory = false;
    size_t count = bytes_read_u8(reader);
    for (size_t i = 0; i < count; i++)
        if (!decode_proposal(workflow, reader, no_memory))
            return false;
    return decode_verdict(workflow, reader, no_memory) && proposal_any(workflow);
}

void proposal_decode_links(struct workflow *workflow, struct bytes_reader *reader) {
    if (workflow->verdict != NULL)
        workflow->verdict->link.offset = bytes_read_varint(reader);
}
