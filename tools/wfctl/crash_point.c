#include "tools/wfctl/crash.h"

#include "tools/wfctl/format.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* tests/cli/test_cli_crash.c holds this against wf_points(). */
static const struct {
    const char *name;
    const char *meaning;
} meanings[] = {
    {"wal.before_write", "a batch is gathered; nothing of it is in the file"},
    {"wal.after_write", "the batch is in the file, not synced"},
    {"wal.before_sync", "the same, just before the sync"},
    {"wal.after_sync", "the batch is durable; nobody was told yet"},
    {"wal.before_seal", "the segment is full; its seal is not written"},
    {"wal.after_seal", "the full segment is sealed and durable; there is no newer one"},
    {"wal.before_create", "the next segment is about to be made"},
    {"wal.after_create", "the next segment is there and empty, its name durable"},
    {"wal.before_cut", "a torn tail (or what a full disk left) is about to be cut off"},
    {"wal.after_cut", "the tail is cut off, and that is durable"},
    {"snapshot.before_commit", "a snapshot is about to be committed"},
    {"snapshot.after_commit", "the snapshot is committed"},
    {"archive.before_rename", "an archive is written aside and synced"},
    {"archive.after_rename", "the archive has its name, and nothing knows of it yet"},
    {"archive.after_manifest",
     "the archive is verified and in the manifest; its segment is there too"},
    {"archive.before_delete", "the segment is about to be removed"},
    {"archive.after_delete", "the segment is gone; the archive stands for it"},
    {"drop.before_record", "what stands for dropped records is written; nothing is dropped yet"},
    {"drop.after_record", "the drop is on record, durable; all files are there"},
    {"drop.after_manifest", "the manifest says what was dropped; its files are there"},
    {"drop.after_delete", "the dropped files are gone"},
};

size_t crash_point_count(void) {
    size_t count = 0;
    while (wf_points()[count])
        count++;
    return count;
}

const char *crash_point_meaning(size_t index) {
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strcmp(meanings[i].name, wf_points()[index]) == 0)
            return meanings[i].meaning;
    return "";
}

bool crash_point_is_cut(size_t index) {
    return strcmp(wf_points()[index], "wal.before_cut") == 0 ||
           strcmp(wf_points()[index], "wal.after_cut") == 0;
}

bool crash_point_is_drop(size_t index) {
    return strncmp(wf_points()[index], "drop.", strlen("drop.")) == 0;
}

bool crash_point_is_dropped(size_t index) {
    return crash_point_is_drop(index) && strcmp(wf_points()[index], "drop.before_record") != 0;
}

static bool find_point(const char *name, size_t size, size_t *index) {
    for (*index = 0; wf_points()[*index]; ++*index)
        if (strlen(wf_points()[*index]) == size && strncmp(wf_points()[*index], name, size) == 0)
            return true;
    return false;
}

enum wf_status crash_point_parse(struct cli *cli, const char *text, struct crash_point *point) {
    size_t size = strcspn(text, ":");
    point->nth = 1;
    if (!find_point(text, size, &point->index))
        return cli_usage(cli, "'%.*s' is no crash point; 'wfctl crash points' lists them",
                         (int)size, text);
    if (text[size] == ':' && (!parse_uint(text + size + 1, &point->nth) || point->nth == 0))
        return cli_usage(cli, "'%s' is no passing of %.*s: they count from 1", text + size + 1,
                         (int)size, text);
    return WF_OK;
}

void crash_watch_pass(void *ctx, const char *name) {
    struct crash_watch *watch = ctx;
    size_t index;
    if (!find_point(name, strlen(name), &index) || index >= CRASH_POINTS_MAX)
        return;
    uint64_t passed = atomic_fetch_add(&watch->passed[index], 1) + 1;
    if (index == watch->die_at.index && passed == watch->die_at.nth) {
        (void)kill(getpid(), SIGKILL);
        abort(); /* not reached: SIGKILL cannot be held off */
    }
}
