/* The controls of a simulated machine: making, crashing, planning faults, the clock. */
#include "tests/lib/sim_io.h"

#include "tests/lib/sim_state.h"

#include <stdlib.h>

enum { SIM_START_MS_THOUSANDS = 1700000000 }; /* the clock's first value, in seconds */

/* A machine around a disk that the caller fills. */
static struct sim_io *make(uint64_t seed) {
    struct sim_io *sim = sim_allocate(1, sizeof *sim);
    sim->io.ops = &sim_io_ops;
    pthread_mutex_init(&sim->mutex, NULL);
    sim->seed = seed;
    sim->random = seed;
    sim->time_ms = (int64_t)SIM_START_MS_THOUSANDS * 1000;
    sim->monotonic_ns = 1;
    sim->preallocates = true;
    return sim;
}

struct sim_io *sim_io_create(uint64_t seed) {
    struct sim_io *sim = make(seed);
    sim_disk_init(&sim->disk);
    return sim;
}

void sim_io_destroy(struct sim_io *sim) {
    if (sim == NULL) {
        return;
    }
    while (sim->files != NULL) {
        struct io_file *file = sim->files;
        sim->files = file->next;
        sim_name_release(file->path);
        free(file);
    }
    sim_trace_clear(sim);
    sim_faults_deinit(&sim->faults);
    sim_disk_deinit(&sim->disk);
    pthread_mutex_destroy(&sim->mutex);
    free(sim);
}

struct io *sim_io_of(struct sim_io *sim) {
    return &sim->io;
}

/* A machine with the same settings, without a disk. The lock of `sim` is held. */
static struct sim_io *twin(const struct sim_io *sim, uint64_t seed) {
    struct sim_io *other = make(seed);
    other->time_ms = sim->time_ms;
    other->monotonic_ns = sim->monotonic_ns;
    other->preallocates = sim->preallocates;
    return other;
}

struct sim_io *sim_io_clone(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    struct sim_io *clone = twin(sim, sim->seed);
    clone->random = sim->random;
    sim_disk_copy(&clone->disk, &sim->disk);
    pthread_mutex_unlock(&sim->mutex);
    return clone;
}

size_t sim_crash_choices(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    size_t choices = sim_disk_choices(&sim->disk);
    pthread_mutex_unlock(&sim->mutex);
    return choices;
}

size_t sim_crash_choice(struct sim_io *sim, size_t index, bool keeps) {
    pthread_mutex_lock(&sim->mutex);
    size_t choice = sim_disk_choice(&sim->disk, index, keeps);
    pthread_mutex_unlock(&sim->mutex);
    return choice;
}

struct sim_io *sim_crash_into(struct sim_io *sim, size_t choice, uint64_t rubbish) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t seed = sim_random_mix(sim->seed, sim_random_mix(choice, rubbish));
    struct sim_io *after = twin(sim, seed);
    sim_disk_crash(&after->disk, &sim->disk, choice, rubbish);
    pthread_mutex_unlock(&sim->mutex);
    return after;
}

size_t sim_pending_count(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    size_t count = sim->disk.pending_count;
    pthread_mutex_unlock(&sim->mutex);
    return count;
}

uint64_t sim_boundaries(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t boundaries = sim->boundaries;
    pthread_mutex_unlock(&sim->mutex);
    return boundaries;
}

void sim_stop_at(struct sim_io *sim, uint64_t nth) {
    pthread_mutex_lock(&sim->mutex);
    sim->stop_at = nth;
    pthread_mutex_unlock(&sim->mutex);
}

bool sim_is_dead(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    bool dead = sim->dead;
    pthread_mutex_unlock(&sim->mutex);
    return dead;
}

void sim_on_boundary(struct sim_io *sim, sim_boundary_fn on_boundary, void *ctx) {
    pthread_mutex_lock(&sim->mutex);
    sim->on_boundary = on_boundary;
    sim->hook_ctx = ctx;
    pthread_mutex_unlock(&sim->mutex);
}

void sim_fault_add(struct sim_io *sim, const struct sim_fault *fault) {
    pthread_mutex_lock(&sim->mutex);
    sim_faults_add(&sim->faults, fault);
    pthread_mutex_unlock(&sim->mutex);
}

void sim_fault_clear(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    sim_faults_deinit(&sim->faults);
    pthread_mutex_unlock(&sim->mutex);
}

uint64_t sim_fault_hits(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t hits = sim->faults.hits;
    pthread_mutex_unlock(&sim->mutex);
    return hits;
}

void sim_set_free_bytes(struct sim_io *sim, uint64_t free_bytes) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t used = sim_disk_used(&sim->disk);
    sim->disk.space = free_bytes > UINT64_MAX - used ? UINT64_MAX : used + free_bytes;
    pthread_mutex_unlock(&sim->mutex);
}

void sim_set_preallocation(struct sim_io *sim, bool works) {
    pthread_mutex_lock(&sim->mutex);
    sim->preallocates = works;
    pthread_mutex_unlock(&sim->mutex);
}

bool sim_rot(struct sim_io *sim, const char *path, uint64_t offset, uint8_t mask) {
    pthread_mutex_lock(&sim->mutex);
    uint32_t node;
    bool found = sim_disk_find(&sim->disk, path, &node) &&
                 sim->disk.nodes[node].kind == IO_REGULAR &&
                 offset < sim->disk.nodes[node].durable.size;
    if (found) {
        sim_disk_rot(&sim->disk, node, offset, mask);
    }
    pthread_mutex_unlock(&sim->mutex);
    return found;
}

void sim_drop_caches(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    sim_disk_drop_caches(&sim->disk);
    pthread_mutex_unlock(&sim->mutex);
}

void sim_set_time_ms(struct sim_io *sim, int64_t time_ms) {
    pthread_mutex_lock(&sim->mutex);
    sim->time_ms = time_ms;
    pthread_mutex_unlock(&sim->mutex);
}

void sim_advance_ms(struct sim_io *sim, int64_t ms) {
    pthread_mutex_lock(&sim->mutex);
    sim->time_ms += ms;
    sim->monotonic_ns += ms > 0 ? (uint64_t)ms * 1000000 : 0;
    pthread_mutex_unlock(&sim->mutex);
}

size_t sim_open_files(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    size_t count = 0;
    for (const struct io_file *file = sim->files; file != NULL; file = file->next) {
        count++;
    }
    pthread_mutex_unlock(&sim->mutex);
    return count;
}

uint64_t sim_hash(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t hash = sim_disk_hash(&sim->disk);
    pthread_mutex_unlock(&sim->mutex);
    return hash;
}
