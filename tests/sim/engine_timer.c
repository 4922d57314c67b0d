#include "tests/sim/engine_timer.h"

#include "tests/sim/engine_command.h"

enum { SECOND_MS = 1000, SKIP_CHANCE = 5, BEGIN_S = 1700000000 };

static int64_t clock_ms;

static int64_t read_clock(void *ctx) {
    (void)ctx;
    return clock_ms;
}

void timer_restart(void) {
    clock_ms = (int64_t)BEGIN_S * SECOND_MS;
}

void timer_begin(struct store_run *run) {
    run->timers = true;
    timer_restart();
    store_run_use_clock(run, read_clock);
}

void timer_set_clock(const struct store_command *command) {
    if (command->now_ms != 0)
        clock_ms = command->now_ms;
}

/* INT64_MAX: there is none. */
static int64_t first_deadline(struct store_run *run) {
    int64_t due_ms = 0;
    struct wf_error err;
    if (run->engine == NULL)
        return INT64_MAX;
    enum wf_status status = due_next_ms(run->engine, &due_ms, &err);
    store_run_check(run, status == WF_OK, "the first deadline: %s", err.text);
    return due_ms == 0 ? INT64_MAX : due_ms;
}

struct store_command timer_some(struct store_run *run) {
    int64_t due_ms = first_deadline(run);
    int64_t next_ms = (clock_ms / SECOND_MS + 1) * SECOND_MS + run->next_number % SECOND_MS;
    bool skip = due_ms != INT64_MAX && sim_random_next(&run->random) % SKIP_CHANCE == 0;
    if (due_ms <= next_ms || skip)
        return (struct store_command){.tick = true, .now_ms = due_ms};
    struct store_command command = command_some(run, 0);
    command.now_ms = next_ms;
    return command;
}

void timer_settle(struct store_run *run) {
    if (run->timers && first_deadline(run) <= clock_ms) {
        const struct store_command tick = {.tick = true, .now_ms = clock_ms};
        store_run_execute(run, &tick);
    }
}
