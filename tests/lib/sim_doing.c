/* How every call of a simulated machine begins and ends. */
#include "tests/lib/sim_state.h"

struct sim_io *sim_machine_of(struct io *io) {
    return (struct sim_io *)io;
}

struct sim_doing sim_on_path(struct io *io, enum sim_op op, const char *path,
                             struct wf_error *err) {
    return (struct sim_doing){
        .sim = sim_machine_of(io), .call = {.op = op, .path = path, .to = ""}, .err = err};
}

struct sim_doing sim_on_file(struct io_file *file, enum sim_op op, uint64_t offset, uint64_t size,
                             struct wf_error *err) {
    return (struct sim_doing){.sim = file->sim,
                              .call = {.op = op,
                                       .handle = file->number,
                                       .path = sim_name_text(file->path),
                                       .to = "",
                                       .offset = offset,
                                       .size = size},
                              .err = err};
}

enum wf_status sim_fail(const struct sim_doing *doing, enum wf_status status, const char *reason) {
    return error_set(doing->err, status, "%s %s: %s", sim_op_name(doing->call.op), doing->call.path,
                     reason);
}

/* Number the call as a boundary and let the hook see the disk before it. */
static void cross_boundary(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t boundary = sim->dead ? 0 : ++sim->boundaries;
    sim->dead = sim->dead || (sim->stop_at != 0 && sim->boundaries >= sim->stop_at);
    sim_boundary_fn hook = sim->dead ? NULL : sim->on_boundary;
    void *ctx = sim->hook_ctx;
    pthread_mutex_unlock(&sim->mutex);
    if (hook != NULL) {
        hook(ctx, sim, boundary);
    }
}

/* Begin a call and take the lock. WF_OK: go on, with the fault's particulars in doing->fault. */
enum wf_status sim_enter(struct sim_doing *doing, bool is_boundary) {
    struct sim_io *sim = doing->sim;
    if (is_boundary) {
        cross_boundary(sim);
    }
    pthread_mutex_lock(&sim->mutex);
    if (!sim->dead) {
        doing->fault = sim_faults_match(&sim->faults, doing->call.op, doing->call.path);
        sim->dead = doing->fault != NULL && doing->fault->kind == SIM_FAULT_DEATH;
    }
    return sim->dead ? sim_fail(doing, WF_IO, "the process is dead") : WF_OK;
}

bool sim_meets(const struct sim_doing *doing, enum sim_fault_kind kind) {
    return doing->fault != NULL && doing->fault->kind == kind;
}

/* The status of a planned failure, WF_OK where none is planned. */
enum wf_status sim_planned(const struct sim_doing *doing) {
    if (sim_meets(doing, SIM_FAULT_EIO)) {
        return sim_fail(doing, WF_IO, "input/output error (planned)");
    }
    if (sim_meets(doing, SIM_FAULT_FULL)) {
        return sim_fail(doing, WF_FULL, "no space left on device (planned)");
    }
    return WF_OK;
}

/* sim_enter(), for a call that a planned failure leaves without effect. */
enum wf_status sim_enter_whole(struct sim_doing *doing, bool is_boundary) {
    enum wf_status status = sim_enter(doing, is_boundary);
    return status == WF_OK ? sim_planned(doing) : status;
}

enum wf_status sim_leave(struct sim_doing *doing, enum wf_status status) {
    struct sim_io *sim = doing->sim;
    doing->call.status = status;
    sim_trace_add(sim, &doing->call);
    pthread_mutex_unlock(&sim->mutex);
    return status;
}

enum wf_status sim_sync_node(struct sim_doing *doing, uint32_t node) {
    struct sim_disk *disk = &doing->sim->disk;
    enum wf_status status = sim_planned(doing);
    if (status != WF_OK) {
        sim_disk_sync_failed(disk, node, (size_t)doing->fault->amount);
    } else if (!sim_meets(doing, SIM_FAULT_LOST)) {
        sim_disk_sync(disk, node);
    }
    return status;
}
