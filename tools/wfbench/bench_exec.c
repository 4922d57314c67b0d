/* (b) `wfctl exec` fed from a file: JSON in, JSON out, the start of the process included. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOANS = 40 * BENCH_GROUP, LOANS_QUICK = 20 };

/* The sample's ids and values need no escapes. */
static void write_line(FILE *out, const struct wf_command *command) {
    if (command->kind == WF_WORKFLOW_START)
        fprintf(out, "{\"cmd\":\"workflow.start\",\"workflow\":\"%s\",\"id\":\"%s\"", command->type,
                command->id);
    else
        fprintf(out, "{\"cmd\":\"workflow.submit\",\"id\":\"%s\",\"step\":\"%s\"", command->id,
                command->step);
    for (size_t i = 0; i < command->field_count; i++)
        fprintf(out, "%s\"%s\":\"%s\"", i == 0 ? ",\"data\":{" : ",", command->fields[i].name,
                command->fields[i].value);
    fputs(command->field_count > 0 ? "}}\n" : "}\n", out);
}

static void write_input(const char *path, uint64_t loans) {
    FILE *out = fopen(path, "w");
    if (out == NULL)
        bench_die("%s: %s", path, strerror(errno));
    struct loan_sample sample;
    for (uint64_t first = 0; first < loans; first += BENCH_GROUP)
        for (unsigned index = 0; index < LOAN_COMMANDS; index++)
            for (uint64_t i = first; i < first + BENCH_GROUP && i < loans; i++)
                write_line(out, loan_sample_command(&sample, "L", i, index));
    if (fclose(out) != 0)
        bench_die("%s: %s", path, strerror(errno));
}

/* Run a program to its end, which must be good; returns the nanoseconds. NULL: the standard stream
 * stays. */
static uint64_t run_program(const char *const *args, const char *input, const char *output) {
    posix_spawn_file_actions_t actions;
    bool ok = posix_spawn_file_actions_init(&actions) == 0 &&
              posix_spawn_file_actions_addopen(
                  &actions, STDIN_FILENO, input != NULL ? input : "/dev/null", O_RDONLY, 0) == 0 &&
              posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO,
                                               output != NULL ? output : "/dev/null",
                                               O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0;
    if (!ok)
        bench_die("no memory");
    pid_t pid;
    int status = 0;
    uint64_t start = bench_now_ns();
    int reason = posix_spawn(&pid, args[0], &actions, NULL, (char **)(uintptr_t)args, environ);
    if (reason != 0)
        bench_die("%s: %s", args[0], strerror(reason));
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        bench_die("%s %s %s %s failed with status %d", args[0], args[1], args[2], args[3],
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    uint64_t elapsed_ns = bench_now_ns() - start;
    posix_spawn_file_actions_destroy(&actions);
    return elapsed_ns;
}

/* Every line of the output must be a success: a stream of refusals would be fast too. */
static uint64_t count_successes(const char *path) {
    FILE *in = fopen(path, "r");
    if (in == NULL)
        bench_die("%s: %s", path, strerror(errno));
    char *line = NULL;
    size_t size = 0;
    uint64_t good = 0;
    while (getline(&line, &size, in) > 0) {
        if (strstr(line, "\"ok\":true") == NULL && strstr(line, "\"ok\": true") == NULL)
            bench_die("wfctl exec answered %s", line);
        good++;
    }
    free(line);
    fclose(in);
    return good;
}

static uint64_t wal_bytes(const char *dir) {
    struct wf_options options;
    bench_options(&options);
    options.read_only = true;
    struct wf_engine *engine = bench_store_open(dir, &options);
    uint64_t bytes = bench_log_bytes(engine);
    bench_store_close(engine);
    return bytes;
}

void bench_exec(struct bench *bench) {
    struct bench_row *row = bench_row_add(bench, &(struct bench_row){
                                                     .figure = "b",
                                                     .name = "exec",
                                                     .title = "wfctl exec fed from a file",
                                                     .unit = "/s",
                                                     .baseline = "raw",
                                                     .better = BENCH_HIGHER,
                                                     .judged = BENCH_BY_VALUE,
                                                     .floor = 100e3,
                                                     .note = "commands, starts included",
                                                 });
    const uint64_t loans = bench->quick ? LOANS_QUICK : LOANS;
    const uint64_t commands = loans * LOAN_COMMANDS;
    char dir[PATH_MAX], input[PATH_MAX], output[PATH_MAX];
    bench_path(dir, bench->dir, "run");
    write_input(bench_path(input, bench->dir, "input.jsonl"), loans);
    bench_path(output, bench->dir, "output.jsonl");
    const char *const init[] = {bench->wfctl, "-d", dir, "init", NULL};
    const char *const exec[] = {bench->wfctl, "-d", dir, "exec", NULL};
    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(row->name, i + 1, bench->runs);
        run_program(init, NULL, NULL);
        uint64_t engine_ns = run_program(exec, input, output);
        if (count_successes(output) != commands)
            bench_die("wfctl exec did not answer every line");
        uint64_t bytes = wal_bytes(dir);
        bench_remove(dir);

        uint64_t groups = (commands + BENCH_GROUP - 1) / BENCH_GROUP;
        uint64_t raw_ns = bench_raw_groups(bench, groups, (size_t)(bytes / groups));
        bench_row_run(row, (double)commands * 1e9 / (double)engine_ns,
                      (double)commands * 1e9 / (double)raw_ns);
    }
    unlink(input);
    unlink(output);
}
