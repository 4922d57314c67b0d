#include "tests/crash/wfctl_stream.h"

#include "engine/core/command.h"
#include "tests/crash/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool wfctl_find(char path[PATH_MAX], const char *program) {
    const char *given = getenv("WFCTL");
    if (given != NULL)
        snprintf(path, PATH_MAX, "%s", given);
    else {
        char here[PATH_MAX];
        snprintf(here, sizeof here, "%s", program);
        char *slash = strrchr(here, '/');
        if (slash == NULL)
            return false;
        *slash = '\0';
        scratch_join(path, here, "../../wfctl"); /* build/VARIANT/tests/crash/PROGRAM */
    }
    return access(path, X_OK) == 0;
}

static bool spawn(pid_t *pid, const char *const *args, int in, int out) {
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    bool good = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO) == 0 &&
                posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) == 0 &&
                posix_spawn(pid, args[0], &actions, NULL, (char **)(uintptr_t)args, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    return good;
}

int wfctl_run(const char *wfctl, const char *dir, const char *verb, const char *option) {
    const char *const args[] = {wfctl, "-d", dir, verb, option, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid;
    int status = 0;
    bool good = null >= 0 && spawn(&pid, args, null, null) && waitpid(pid, &status, 0) == pid &&
                WIFEXITED(status);
    if (null >= 0)
        close(null);
    return good ? WEXITSTATUS(status) : -1;
}

bool wfctl_stream_start(struct wfctl_stream *stream, const char *wfctl, const char *dir) {
    const char *const args[] = {wfctl, "-d", dir, "exec", NULL};
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0)
        return false;
    if (pipe2(from, O_CLOEXEC) != 0) {
        close(to[0]);
        close(to[1]);
        return false;
    }
    stream->answer_size = 0;
    stream->in = to[1];
    stream->out = from[0];
    bool good = spawn(&stream->pid, args, to[0], from[1]) &&
                fcntl(stream->in, F_SETFL, O_NONBLOCK) == 0 &&
                fcntl(stream->out, F_SETFL, O_NONBLOCK) == 0;
    close(to[0]);
    close(from[1]);
    return good;
}

/* ,"name":"value" where there is a value; the loans' strings need no escapes. */
static size_t add_member(char *at, size_t room, const char *name, const char *value) {
    return value == NULL ? 0 : (size_t)snprintf(at, room, ",\"%s\":\"%s\"", name, value);
}

size_t wfctl_request(const struct wf_command *command, const char *tag, char *line, size_t size) {
    size_t at = (size_t)snprintf(line, size, "{\"cmd\":\"%s\"",
                                 command_kind_name((enum command_kind)command->kind));
    at += add_member(line + at, size - at, "workflow", command->type);
    at += add_member(line + at, size - at, "id", command->id);
    at += add_member(line + at, size - at, "step", command->step);
    at += add_member(line + at, size - at, command->kind == WF_WORKFLOW_ROLLBACK ? "to" : "stage",
                     command->stage);
    at += add_member(line + at, size - at, "reason", command->reason);
    at += add_member(line + at, size - at, "actor", command->actor);
    at += add_member(line + at, size - at, "role", command->role);
    at += add_member(line + at, size - at, "key", command->key);
    at += add_member(line + at, size - at, "tag", tag);
    for (size_t i = 0; i < command->field_count; i++)
        at +=
            (size_t)snprintf(line + at, size - at, "%s\"%s\":\"%s\"", i == 0 ? ",\"data\":{" : ",",
                             command->fields[i].name, command->fields[i].value);
    at += (size_t)snprintf(line + at, size - at, "%s}\n", command->field_count > 0 ? "}" : "");
    return at;
}

/* What follows "name": in a line of JSON without nested names like it; NULL where it is not there.
 */
static const char *member(const char *line, const char *name) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *at = strstr(line, quoted);
    if (at == NULL)
        return NULL;
    at += strlen(quoted);
    return at + strspn(at, ": \"");
}

static void take_answer(const char *line, wfctl_answer_fn on_answer, void *ctx) {
    struct wfctl_answer answer = {.line = line};
    const char *ok = member(line, "ok");
    const char *lsn = member(line, "lsn");
    const char *tag = member(line, "tag");
    answer.ok = ok != NULL && strncmp(ok, "true", 4) == 0;
    answer.lsn = lsn != NULL ? strtoull(lsn, NULL, 10) : 0;
    if (tag != NULL) {
        char *dot;
        answer.loan = (unsigned)strtoul(tag, &dot, 10);
        answer.index = *dot == '.' ? (unsigned)strtoul(dot + 1, NULL, 10) : 0;
    }
    on_answer(ctx, &answer);
}

bool wfctl_stream_read(struct wfctl_stream *stream, wfctl_answer_fn on_answer, void *ctx) {
    for (;;) {
        ssize_t got = read(stream->out, stream->answer + stream->answer_size,
                           sizeof stream->answer - 1 - stream->answer_size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN;
        stream->answer_size += (size_t)got;
        stream->answer[stream->answer_size] = '\0';
        char *line = stream->answer;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            take_answer(line, on_answer, ctx);
        }
        stream->answer_size -= (size_t)(line - stream->answer);
        memmove(stream->answer, line, stream->answer_size);
    }
}
