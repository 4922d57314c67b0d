/* Workers: this program again, as a process that can be killed, or whose memory is looked at. */
#include "tools/wfbench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} WORKERS[] = {
    {"million", bench_worker_million}, {"open", bench_worker_open},
    {"tail", bench_worker_tail},       {"memory", bench_worker_memory},
    {"wait", bench_worker_wait},       {"answer", bench_worker_answer},
    {"raw", bench_worker_raw},         {"trail", bench_worker_trail},
    {"archive", bench_worker_archive},
};

int bench_worker_main(const char *name, int argc, char **argv) {
    for (size_t i = 0; i < sizeof WORKERS / sizeof WORKERS[0]; i++)
        if (strcmp(WORKERS[i].name, name) == 0)
            return WORKERS[i].run(argc, argv);
    bench_die("there is no worker \"%s\"", name);
}

enum { WORKER_ARGS_MAX = 8 };

void bench_worker_start(const struct bench *bench, struct bench_worker *worker, const char *name,
                        const char *const *args) {
    char *argv[WORKER_ARGS_MAX + 4] = {(char *)(uintptr_t)bench->self,
                                       (char *)(uintptr_t) "--worker", (char *)(uintptr_t)name};
    for (size_t i = 0; args[i] != NULL && i < WORKER_ARGS_MAX; i++)
        argv[3 + i] = (char *)(uintptr_t)args[i];

    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        bench_die("pipe: %s", strerror(errno));
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) != 0)
        bench_die("no memory");
    worker->name = name;
    worker->started_ns = bench_now_ns();
    int reason = posix_spawn(&worker->pid, bench->self, &actions, NULL, argv, environ);
    if (reason != 0)
        bench_die("%s: %s", bench->self, strerror(reason));
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    worker->out = fdopen(ends[0], "r");
    if (worker->out == NULL)
        bench_die("fdopen: %s", strerror(errno));
}

void bench_worker_ready(struct bench_worker *worker) {
    char line[128];
    if (fgets(line, sizeof line, worker->out) == NULL || strcmp(line, "ready\n") != 0)
        bench_die("the worker \"%s\" ended before it was ready", worker->name);
}

void bench_worker_kill(struct bench_worker *worker) {
    int status;
    kill(worker->pid, SIGKILL);
    waitpid(worker->pid, &status, 0);
    fclose(worker->out);
}

void bench_worker_finish(struct bench_worker *worker, struct bench_answers *answers) {
    char line[128];
    *answers = (struct bench_answers){0};
    while (fgets(line, sizeof line, worker->out) != NULL) {
        char *equals = strchr(line, '=');
        if (equals == NULL || answers->count == BENCH_ANSWERS_MAX)
            continue;
        *equals = '\0';
        snprintf(answers->items[answers->count].name, sizeof answers->items[0].name, "%.31s", line);
        answers->items[answers->count++].value = strtod(equals + 1, NULL);
    }
    fclose(worker->out);
    int status = 0;
    if (waitpid(worker->pid, &status, 0) < 0 || status != 0)
        bench_die("the worker \"%s\" ended with %s %d", worker->name,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void bench_worker_run(const struct bench *bench, const char *name, const char *const *args,
                      struct bench_answers *answers) {
    struct bench_worker worker;
    bench_worker_start(bench, &worker, name, args);
    bench_worker_finish(&worker, answers);
}

double bench_answer(const struct bench_answers *answers, const char *name) {
    for (size_t i = 0; i < answers->count; i++)
        if (strcmp(answers->items[i].name, name) == 0)
            return answers->items[i].value;
    bench_die("a worker did not say its %s", name);
}

void bench_answer_print(const char *name, double value) {
    printf("%s=%.6f\n", name, value);
    fflush(stdout);
}
