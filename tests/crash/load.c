#include "tests/crash/load.h"
#include "tests/crash/scratch.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    WINDOW = 24, /* loans of one thread that advance side by side */
    GROUP_MAX = 512,
    ERRAND_TURNS = 2, /* about errands, between two about loans, at most */
};

struct load_thread {
    struct wf_engine *engine;
    struct oracle *oracle;
    const struct load_options *options;
    unsigned number;
    uint64_t sequence;
    struct choices choices;
    struct errand_worker errands;
    uint32_t window[WINDOW]; /* loans under way */
    uint32_t next, end;      /* loans that were not begun yet */
    pthread_t thread;
};

struct issued {
    struct wf_pending pending;
    uint32_t loan;
    unsigned index;
};

static bool is_open(const struct load_thread *thread, uint32_t loan) {
    return thread->oracle->loans[loan].issued < oracle_script_length(thread->oracle, loan);
}

/* A loan of this thread that has something left to do; false when there is none. */
static bool pick_loan(struct load_thread *thread, uint32_t *loan) {
    uint32_t *slot = &thread->window[choices_below(&thread->choices, WINDOW)];
    for (unsigned tries = 0; tries < WINDOW; tries++) {
        if (*slot < ORACLE_LOANS && is_open(thread, *slot)) {
            *loan = *slot;
            return true;
        }
        while (thread->next < thread->end && !is_open(thread, thread->next))
            thread->next++;
        if (thread->next < thread->end) {
            *loan = *slot = thread->next++;
            return true;
        }
        slot = slot + 1 == thread->window + WINDOW ? thread->window : slot + 1;
    }
    return false;
}

/* A step that was submitted already, once more and without its key: must be refused, and change
 * nothing. */
static bool try_refusal(struct load_thread *thread) {
    uint32_t loan;
    struct wf_error err;
    if (!pick_loan(thread, &loan) || thread->oracle->loans[loan].issued < 2)
        return true;
    struct loan_sample sample;
    loan_sample_command(&sample, "C", loan, 1);
    enum wf_status status = wf_execute(thread->engine, &sample.command, NULL, &err);
    return status == WF_REFUSED ||
           oracle_fail(thread->oracle, "loan %u: submitted twice, answered with %s", loan,
                       wf_status_code(status));
}

static bool execute_one(struct load_thread *thread) {
    uint32_t loan;
    struct wf_error err;
    struct wf_result result;
    struct oracle_command command;
    if (!pick_loan(thread, &loan))
        return false;
    unsigned index = oracle_issue(thread->oracle, loan, thread->number, ++thread->sequence);
    oracle_command(thread->oracle, loan, index, &command);
    enum wf_status status = wf_execute(thread->engine, &command.command, &result, &err);
    if (status != WF_OK)
        return oracle_fail(thread->oracle, "loan %u, command %u: %s", loan, index, err.text);
    oracle_ack(thread->oracle, loan, index, result.lsn);
    return true;
}

static bool enqueue_one(struct load_thread *thread, struct issued *issued) {
    struct wf_error err;
    struct oracle_command command;
    issued->index = oracle_issue(thread->oracle, issued->loan, thread->number, ++thread->sequence);
    oracle_command(thread->oracle, issued->loan, issued->index, &command);
    if (wf_enqueue(thread->engine, &command.command, &issued->pending, &err) == WF_OK)
        return true;
    return oracle_fail(thread->oracle, "loan %u, command %u, enqueue: %s", issued->loan,
                       issued->index, err.text);
}

static bool wait_one(struct load_thread *thread, struct issued *issued) {
    struct wf_error err;
    struct wf_result result;
    if (wf_wait(thread->engine, &issued->pending, &result, &err) != WF_OK)
        return oracle_fail(thread->oracle, "loan %u, command %u: %s", issued->loan, issued->index,
                           err.text);
    oracle_ack(thread->oracle, issued->loan, issued->index, result.lsn);
    return true;
}

/* Up to `group` commands enqueued, then waited for: from the first or from the last, as it comes.
 */
static bool execute_group(struct load_thread *thread, struct issued *group) {
    size_t count = 0;
    size_t wanted = 1 + choices_below(&thread->choices, thread->options->group);
    while (count < wanted && pick_loan(thread, &group[count].loan)) {
        if (!enqueue_one(thread, &group[count]))
            return false;
        count++;
    }
    bool backwards = choices_one_in(&thread->choices, 2);
    for (size_t i = 0; i < count; i++)
        if (!wait_one(thread, &group[backwards ? count - 1 - i : i]))
            return false;
    return count > 0;
}

static bool run_errands(struct load_thread *thread) {
    uint64_t turns = choices_below(&thread->choices, ERRAND_TURNS + 1);
    for (uint64_t i = 0; i < turns; i++)
        if (!errand_worker_turn(&thread->errands))
            return oracle_fail(thread->oracle, "%s", thread->errands.errands->failure);
    return true;
}

static void *run_thread(void *ctx) {
    struct load_thread *thread = ctx;
    struct issued *group = malloc(GROUP_MAX * sizeof *group);
    bool going = group != NULL;
    while (going) {
        if (choices_one_in(&thread->choices, 32) && !try_refusal(thread))
            break;
        if (!run_errands(thread))
            break;
        going = thread->options->group == 1 ? execute_one(thread) : execute_group(thread, group);
    }
    errand_worker_deinit(&thread->errands);
    free(group);
    return NULL;
}

bool load_run(struct wf_engine *engine, struct oracle *oracle, struct errands *errands,
              const struct load_options *options) {
    struct load_thread threads[ORACLE_THREADS];
    struct load_options used = *options;
    uint32_t share = ORACLE_LOANS / ORACLE_THREADS;
    used.group = used.group < GROUP_MAX ? used.group : GROUP_MAX;
    unsigned started = 0;
    /* All shares are worked on, whatever the number of threads: the last one takes what is left. */
    for (unsigned i = 0; i < used.threads; i++) {
        struct load_thread *thread = &threads[i];
        *thread = (struct load_thread){
            .engine = engine,
            .oracle = oracle,
            .options = &used,
            .number = i,
            .choices = {.state = used.seed + i},
            .next = i * share,
            .end = i + 1 == used.threads ? ORACLE_LOANS : (i + 1) * share,
        };
        thread->errands = (struct errand_worker){
            .errands = errands, .engine = engine, .choices = &thread->choices};
        errand_worker_init(&thread->errands, i, used.threads);
        for (size_t slot = 0; slot < WINDOW; slot++)
            thread->window[slot] = UINT32_MAX;
        if (pthread_create(&thread->thread, NULL, run_thread, thread) != 0) {
            oracle_fail(oracle, "a thread cannot be made");
            break;
        }
        started++;
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i].thread, NULL);
    return oracle->failure[0] == '\0';
}
