#include "engine/core/task.h"

#include "engine/core/text.h"
#include "engine/core/workflow.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MALLOC_OVERHEAD = 16, COMPENSATES = 0x80, STATUS_MASK = 0x0F };

const char *task_status_name(enum task_status status) {
    switch (status) {
    case TASK_DUE:
        return "due";
    case TASK_CLAIMED:
        return "claimed";
    case TASK_PARKED:
        return "parked";
    }
    return NULL;
}

struct task *task_create(struct bytes_view worker, struct bytes_view reason) {
    struct task *task = calloc(1, sizeof *task + worker.size + reason.size);
    if (task == NULL)
        return NULL;
    task->worker_size = (uint8_t)worker.size;
    task->reason_size = (uint16_t)reason.size;
    if (worker.size > 0)
        memcpy(task->text, worker.data, worker.size);
    if (reason.size > 0)
        memcpy(task->text + worker.size, reason.data, reason.size);
    return task;
}

struct bytes_view task_worker(const struct task *task) {
    return (struct bytes_view){(const uint8_t *)task->text, task->worker_size};
}

struct bytes_view task_reason(const struct task *task) {
    return (struct bytes_view){(const uint8_t *)task->text + task->worker_size, task->reason_size};
}

/* In order of stage, then handlers before compensations, then epoch. */
static int compare(const struct task *task, unsigned stage, bool compensate, uint32_t epoch) {
    if (task->stage != stage)
        return task->stage < stage ? -1 : 1;
    if (task->compensate != compensate)
        return task->compensate ? 1 : -1;
    return (task->epoch > epoch) - (task->epoch < epoch);
}

struct task *task_find(const struct workflow *workflow, unsigned stage, bool compensate,
                       uint32_t epoch) {
    for (struct task *task = workflow->tasks; task != NULL; task = task->next)
        if (compare(task, stage, compensate, epoch) == 0)
            return task;
    return NULL;
}

void task_put(struct workflow *workflow, struct task *task) {
    task_remove(workflow, task->stage, task->compensate, task->epoch);
    struct task **at = &workflow->tasks;
    while (*at != NULL && compare(*at, task->stage, task->compensate, task->epoch) < 0)
        at = &(*at)->next;
    task->next = *at;
    *at = task;
}

void task_remove(struct workflow *workflow, unsigned stage, bool compensate, uint32_t epoch) {
    for (struct task **at = &workflow->tasks; *at != NULL; at = &(*at)->next) {
        if (compare(*at, stage, compensate, epoch) != 0)
            continue;
        struct task *gone = *at;
        *at = gone->next;
        free(gone);
        return;
    }
}

void task_remove_runs(struct workflow *workflow, unsigned stage) {
    struct task **at = &workflow->tasks;
    while (*at != NULL) {
        struct task *task = *at;
        if (task->compensate || (stage != DEFINITION_STAGES_MAX && task->stage != stage)) {
            at = &task->next;
            continue;
        }
        *at = task->next;
        free(task);
    }
}

void task_remove_all(struct workflow *workflow) {
    while (workflow->tasks != NULL) {
        struct task *gone = workflow->tasks;
        workflow->tasks = gone->next;
        free(gone);
    }
}

size_t task_bytes(const struct workflow *workflow) {
    size_t bytes = 0;
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next)
        bytes += sizeof *task + task->worker_size + task->reason_size + MALLOC_OVERHEAD;
    return bytes;
}

const struct definition_handler *task_handler(const struct definition *definition,
                                              const struct task *task) {
    const struct definition_stage *stage = &definition->stages[task->stage];
    return task->compensate ? &stage->compensate : &stage->handler;
}

bool task_is_claimable(const struct workflow *workflow, const struct task *task) {
    return task->status != TASK_PARKED &&
           (task->compensate || workflow->stages[task->stage].status == STAGE_ACTIVE);
}

int64_t workflow_task_due(const struct workflow *workflow) {
    int64_t due_ms = 0;
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next)
        if (task_is_claimable(workflow, task) && (due_ms == 0 || task->due_ms < due_ms))
            due_ms = task->due_ms;
    return due_ms;
}

/* --- bytes: count u8, then each: stage u8, status and flag u8, epoch, tries, +due zigzag, worker,
 * reason --- */

void task_encode(const struct workflow *workflow, struct bytes_buffer *value) {
    size_t count = 0;
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next)
        count++;
    bytes_write_varint(value, count);
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next) {
        bytes_write_u8(value, task->stage);
        bytes_write_u8(value,
                       (uint8_t)((unsigned)task->status | (task->compensate ? COMPENSATES : 0U)));
        bytes_write_varint(value, task->epoch);
        bytes_write_varint(value, task->tries);
        bytes_write_zigzag(value, task->due_ms - workflow->started_ms);
        bytes_write_string(value, task->text, task->worker_size);
        bytes_write_string(value, task->text + task->worker_size, task->reason_size);
    }
}

static bool decode_task(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory) {
    unsigned stage = bytes_read_u8(reader), flags = bytes_read_u8(reader);
    uint64_t epoch = bytes_read_varint(reader), tries = bytes_read_varint(reader);
    int64_t due_ms =
        (int64_t)((uint64_t)workflow->started_ms + (uint64_t)bytes_read_zigzag(reader));
    struct bytes_view worker = bytes_read_string(reader), reason = bytes_read_string(reader);
    enum task_status status = (enum task_status)(flags & ~(unsigned)COMPENSATES);
    bool compensate = (flags & COMPENSATES) != 0;
    if (!bytes_reader_ok(reader) || stage >= workflow->definition->stage_count ||
        task_status_name(status) == NULL || epoch > UINT32_MAX || tries > UINT32_MAX ||
        due_ms == 0 || worker.size > COMMAND_ID_MAX || reason.size > COMMAND_TEXT_MAX ||
        task_find(workflow, stage, compensate, (uint32_t)epoch) != NULL)
        return false;
    struct task *task = task_create(worker, reason);
    *no_memory = task == NULL;
    if (task == NULL)
        return false;
    task->stage = (uint8_t)stage;
    task->status = status;
    task->compensate = compensate;
    task->epoch = (uint32_t)epoch;
    task->tries = (uint32_t)tries;
    task->due_ms = due_ms;
    task_put(workflow, task);
    return true;
}

bool task_decode(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory) {
    uint64_t count = bytes_read_varint(reader);
    if (count == 0)
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!decode_task(workflow, reader, no_memory))
            return false;
    return true;
}
