/* backup and restore: both are a verified copy of what is durable. */
#include "base/error.h"
#include "tools/wfctl/store.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum wf_status copy(struct cli *cli, const char *from, const char *to) {
    uint64_t lsn = 0;
    enum wf_status status = wf_backup(from, to, &lsn, &cli->err);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    if (!out_is_json(out)) {
        out_printf(out, "%s is a verified copy of %s up to record %" PRIu64 "\n", to, from, lsn);
        return WF_OK;
    }
    out_object_open(out);
    emit_member_uint(&out->json, "lsn", lsn);
    emit_member(&out->json, "from", from);
    emit_member(&out->json, "to", to);
    out_object_close(out);
    return WF_OK;
}

static bool is_same_folder(const char *one, const char *other) {
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

enum wf_status cmd_backup(struct cli *cli) {
    if (!*cli->arguments[0])
        return cli_usage(cli, "backup needs the name of the folder to make");
    return copy(cli, cli->dir, cli->arguments[0]);
}

enum wf_status cmd_restore(struct cli *cli) {
    const char *from = cli->arguments[0];
    /* Look at the source first: a wrong name must not cost the empty folder. */
    struct wf_options options;
    wf_options_init(&options);
    options.read_only = true;
    enum wf_status status = wf_open(from, &options, &cli->engine, &cli->err);
    store_close(cli);
    if (status != WF_OK)
        return status;
    if (is_same_folder(from, cli->dir))
        return error_set(&cli->err, WF_REFUSED,
                         "%s is the store to restore from, and the folder to make as well: name "
                         "the one to make with -d",
                         from);
    if (rmdir(cli->dir) != 0 && errno != ENOENT)
        return error_set(&cli->err, WF_REFUSED,
                         "%s is there, and restore makes a new folder: move it away, or name "
                         "another with -d (%s)",
                         cli->dir, strerror(errno));
    return copy(cli, from, cli->dir);
}
