/* The record of the calls that a simulated machine was asked for. */
#include "tests/lib/sim_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_trace_clear(struct sim_io *sim) {
    for (size_t i = 0; i < sim->trace_count; i++) {
        sim_name_release(sim->trace[i].path);
        sim_name_release(sim->trace[i].to);
    }
    free(sim->trace);
    sim->trace = NULL;
    sim->trace_count = sim->trace_capacity = 0;
}

void sim_trace_add(struct sim_io *sim, const struct sim_call *call) {
    if (!sim->traces) {
        return;
    }
    struct sim_record record = {.call = *call};
    record.path = sim_name_make(call->path, strlen(call->path));
    record.to = sim_name_make(call->to, strlen(call->to));
    record.call.path = sim_name_text(record.path);
    record.call.to = sim_name_text(record.to);
    sim->trace = sim_grow(sim->trace, sim->trace_count, &sim->trace_capacity, sizeof record);
    sim->trace[sim->trace_count++] = record;
}

void sim_trace_start(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    sim_trace_clear(sim);
    sim->traces = true;
    pthread_mutex_unlock(&sim->mutex);
}

size_t sim_trace_count(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    size_t count = sim->trace_count;
    pthread_mutex_unlock(&sim->mutex);
    return count;
}

struct sim_call sim_trace_at(struct sim_io *sim, size_t index) {
    pthread_mutex_lock(&sim->mutex);
    struct sim_call call = sim->trace[index].call;
    pthread_mutex_unlock(&sim->mutex);
    return call;
}

size_t sim_trace_find(struct sim_io *sim, size_t from, enum sim_op op, const char *path) {
    size_t count = sim_trace_count(sim);
    for (size_t i = from; i < count; i++) {
        struct sim_call call = sim_trace_at(sim, i);
        if (call.op == op && sim_path_ends(call.path, path)) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool sim_trace_resynced(struct sim_io *sim) {
    size_t count = sim_trace_count(sim);
    for (size_t i = 0; i < count; i++) {
        struct sim_call failed = sim_trace_at(sim, i);
        if (failed.op != SIM_SYNC || failed.status == WF_OK) {
            continue;
        }
        for (size_t j = i + 1; j < count; j++) {
            struct sim_call later = sim_trace_at(sim, j);
            if (later.op == SIM_SYNC && later.handle == failed.handle) {
                return true;
            }
        }
    }
    return false;
}

void sim_trace_print(struct sim_io *sim) {
    size_t count = sim_trace_count(sim);
    for (size_t i = 0; i < count; i++) {
        struct sim_call call = sim_trace_at(sim, i);
        fprintf(stderr, "%5zu %s %s%s%s", i, sim_op_name(call.op), call.path,
                call.to[0] == '\0' ? "" : " -> ", call.to);
        if (call.handle != 0) {
            fprintf(stderr, " handle %" PRIu64 " offset %" PRIu64 " size %" PRIu64, call.handle,
                    call.offset, call.size);
        }
        fprintf(stderr, ": %s\n", error_code(call.status));
    }
}
