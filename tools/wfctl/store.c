#include "tools/wfctl/store.h"

#include "base/error.h"
#include "tools/wfctl/crash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Generated from the YAML at build time. */
extern const char workflows_loan_loan_application_yaml[];

const struct shipped_definition store_shipped[] = {
    {"loan_application", workflows_loan_loan_application_yaml},
    {NULL, NULL},
};

/* Could a store be made there? Where the folder holds something else, no. */
static bool is_vacant(const char *path) {
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT;
    bool vacant = true;
    for (struct dirent *entry = readdir(dir); entry && vacant; entry = readdir(dir))
        vacant = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return vacant;
}

static enum wf_status hint_at_init(struct cli *cli, enum wf_status status) {
    size_t used = strlen(cli->err.text);
    if (status == WF_NOT_FOUND && is_vacant(cli->dir))
        snprintf(cli->err.text + used, sizeof cli->err.text - used, " (wfctl -d %s init makes one)",
                 cli->dir);
    return status;
}

/* What every opening begins with; where the process is to die at a named instant, that. */
static void init_options(const struct cli *cli, struct wf_options *options) {
    wf_options_init(options);
    if (cli->watch) {
        options->on_point = crash_watch_pass;
        options->point_ctx = cli->watch;
    }
}

enum wf_status store_open(struct cli *cli, enum access access, bool long_running) {
    struct wf_options options;
    init_options(cli, &options);
    options.read_only = access == ACCESS_READ;
    options.background_snapshots = long_running;
    options.background_timers = long_running;
    options.background_sync = long_running;
    return hint_at_init(cli, wf_open(cli->dir, &options, &cli->engine, &cli->err));
}

void store_close(struct cli *cli) {
    struct wf_error err;
    if (cli->engine && wf_close(cli->engine, &err) != WF_OK)
        fprintf(stderr, "wfctl: closing the store: %s\n", err.text);
    cli->engine = NULL;
}

static bool note_found(void *ctx, const struct wf_definition *definition) {
    (void)definition;
    *(bool *)ctx = true;
    return false;
}

static enum wf_status is_shipped_there(struct cli *cli, const char *name, bool *there) {
    *there = false;
    enum wf_status status = wf_definition_list(cli->engine, name, note_found, there, &cli->err);
    return status == WF_NOT_FOUND ? WF_OK : status;
}

static enum wf_status count_missing(struct cli *cli, size_t *missing) {
    *missing = 0;
    for (const struct shipped_definition *shipped = store_shipped; shipped->name; shipped++) {
        bool there;
        enum wf_status status = is_shipped_there(cli, shipped->name, &there);
        if (status != WF_OK)
            return status;
        *missing += !there;
    }
    return WF_OK;
}

static enum wf_status add_missing(struct cli *cli, unsigned *added) {
    for (const struct shipped_definition *shipped = store_shipped; shipped->name; shipped++) {
        bool there;
        enum wf_status status = is_shipped_there(cli, shipped->name, &there);
        if (status == WF_OK && !there) {
            struct wf_command command = {
                .kind = WF_DEFINITION_ADD, .text = shipped->text, .text_name = shipped->name};
            status = wf_execute(cli->engine, &command, NULL, &cli->err);
            *added += status == WF_OK;
        }
        if (status != WF_OK)
            return status;
    }
    return WF_OK;
}

/* WF_OK: a complete store; WF_NOT_FOUND: none, or one that lacks definitions (a crash while it was
 * made). */
static enum wf_status look(struct cli *cli, const int64_t *test_clock_ms, bool *store_there) {
    *store_there = false;
    struct wf_options options;
    wf_options_init(&options);
    options.read_only = true;
    enum wf_status status = wf_open(cli->dir, &options, &cli->engine, &cli->err);
    if (status != WF_OK)
        return status;
    *store_there = true;
    struct wf_store_status now;
    status = wf_status_get(cli->engine, false, &now, &cli->err);
    if (status == WF_OK && test_clock_ms && !now.test_clock)
        status = error_set(&cli->err, WF_REFUSED,
                           "%s is a store already, and it goes by the system's clock", cli->dir);
    size_t missing = 0;
    if (status == WF_OK)
        status = count_missing(cli, &missing);
    store_close(cli);
    return status == WF_OK && missing > 0 ? WF_NOT_FOUND : status;
}

enum wf_status store_create(struct cli *cli, const int64_t *test_clock_ms,
                            struct store_created *created) {
    *created = (struct store_created){0};
    bool store_there;
    enum wf_status status = look(cli, test_clock_ms, &store_there);
    if (status != WF_NOT_FOUND)
        return status;
    struct wf_options options;
    init_options(cli, &options);
    options.create = true;
    options.test_clock = test_clock_ms && !store_there;
    options.test_clock_ms = test_clock_ms ? *test_clock_ms : 0;
    status = wf_open(cli->dir, &options, &cli->engine, &cli->err);
    if (status != WF_OK)
        return status;
    created->store = !store_there;
    status = add_missing(cli, &created->definitions);
    store_close(cli);
    return status;
}

/* --- input files --- */

static enum wf_status read_all(struct cli *cli, int fd, const char *path,
                               struct bytes_buffer *bytes) {
    for (;;) {
        uint8_t block[16 * 1024];
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(&cli->err, WF_IO, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            break;
        bytes_write_run(bytes, block, (size_t)got);
        if (bytes->size > WF_RECORD_MAX)
            return error_set(&cli->err, WF_USAGE, "%s is larger than %d MiB", path,
                             WF_RECORD_MAX >> 20);
    }
    if (bytes->size > 0 && memchr(bytes->data, '\0', bytes->size))
        return error_set(&cli->err, WF_USAGE, "%s is no text: it holds a NUL byte", path);
    bytes_write_u8(bytes, '\0');
    return bytes_buffer_ok(bytes)
               ? WF_OK
               : error_set(&cli->err, WF_NO_MEMORY, "no memory to read %s", path);
}

enum wf_status store_read_file(struct cli *cli, const char *path, char **text) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(&cli->err, errno == ENOENT ? WF_NOT_FOUND : WF_IO, "cannot read %s: %s",
                         path, strerror(errno));
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    enum wf_status status = read_all(cli, fd, is_stdin ? "stdin" : path, &bytes);
    if (!is_stdin)
        close(fd);
    if (status == WF_OK)
        *text = (char *)bytes.data;
    else
        bytes_buffer_deinit(&bytes);
    return status;
}
