/* doctor: every check there is, one after the other, each with what it found and what to do about
 * it. Writes nothing. */
#include "base/error.h"
#include "base/io.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SPACE_LOW_BYTES = 256 << 20, SPACE_LOW_FILES = 100, WORDS_MAX = 4000 };

enum verdict { GOOD, NOTE, BAD };

struct doctor {
    struct cli *cli;
    enum wf_status worst; /* of the first bad check */
    char worst_text[WORDS_MAX];
    unsigned bad, notes;
    uint64_t lost;      /* records that repairs took */
    uint64_t repairs;   /* of which the log tells */
    uint64_t untold;    /* … and does not */
    const char *way_on; /* where what is damaged must be put back; else NULL */
};

static const char *path_of(const struct doctor *doctor, const char *name, char path[4200]) {
    snprintf(path, 4200, "%s/%s", doctor->cli->dir, name);
    return path;
}

static void tell_text(struct doctor *doctor, const char *name, enum verdict verdict,
                      const char *found, const char *advice) {
    static const char *const words[] = {[GOOD] = "good", [NOTE] = "note", [BAD] = "BAD "};
    static const enum out_style styles[] = {
        [GOOD] = STYLE_GOOD, [NOTE] = STYLE_BUSY, [BAD] = STYLE_BAD};
    struct out *out = &doctor->cli->out;
    out_styled(out, styles[verdict], words[verdict]);
    out_printf(out, "  %-9s ", name);
    out_text(out, found);
    out_printf(out, "\n");
    if (advice)
        out_printf(out, "                -> %s\n", advice);
    out_flush(out); /* the next check may take long */
}

static void tell(struct doctor *doctor, const char *name, enum verdict verdict, const char *advice,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
static void tell(struct doctor *doctor, const char *name, enum verdict verdict, const char *advice,
                 const char *format, ...) {
    static const char *const words[] = {[GOOD] = "good", [NOTE] = "note", [BAD] = "bad"};
    char found[WORDS_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found, sizeof found, format, arguments);
    va_end(arguments);
    doctor->bad += verdict == BAD;
    doctor->notes += verdict == NOTE;
    if (!out_is_json(&doctor->cli->out)) {
        tell_text(doctor, name, verdict, found, advice);
        return;
    }
    struct out *out = &doctor->cli->out;
    out_item_open(out);
    emit_member(&out->json, "check", name);
    emit_member(&out->json, "verdict", words[verdict]);
    emit_member(&out->json, "found", found);
    emit_member_if(&out->json, "advice", advice);
    out_item_close(out);
}

/* A check failed with what is in cli->err. */
static void tell_failure(struct doctor *doctor, const char *name, enum wf_status status,
                         const char *advice) {
    if (doctor->worst == WF_OK) {
        doctor->worst = status;
        snprintf(doctor->worst_text, sizeof doctor->worst_text, "%s: %s", name,
                 doctor->cli->err.text);
    }
    tell(doctor, name, BAD, advice, "%s", doctor->cli->err.text);
}

static const char *advice_for(struct doctor *doctor, enum wf_status status) {
    if (doctor->way_on && (status == WF_DAMAGE || status == WF_NOT_FOUND)) {
        const char *way_on = doctor->way_on;
        doctor->way_on = "as above";
        return way_on;
    }
    switch (status) {
    case WF_DAMAGE:
        return "look with 'wfctl wal verify'; restore a backup, or 'wfctl wal repair' tells and "
               "records what is lost";
    case WF_DIVERGENCE:
        return "keep a copy of the folder and report this; the log is the truth, the state was "
               "computed wrongly";
    case WF_IO:
        return "look at the system's log for errors of the disk";
    case WF_FULL:
        return "make room on the disk";
    case WF_HALTED:
    case WF_UNKNOWN:
        return "close the store and open it again";
    case WF_LOCKED:
        return "try again when the owner is gone";
    case WF_OK:
    case WF_NOT_FOUND: /* a folder without a store is not examined */
    case WF_REFUSED:
    case WF_CONFLICT:
    case WF_USAGE:
    case WF_NO_MEMORY:
    case WF_TIMED_OUT:
        return NULL;
    }
    return NULL;
}

/* --- the checks --- */

/* The pid that the lock file names; 0 where it cannot be read. */
static long owner_pid(int fd) {
    char text[33] = "";
    if (pread(fd, text, sizeof text - 1, 0) <= 4 || strncmp(text, "pid ", 4) != 0)
        return 0;
    return strtol(text + 4, NULL, 10);
}

static void check_owner(struct doctor *doctor) {
    char path[4200];
    int fd = open(path_of(doctor, "lock", path), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        tell(doctor, "owner", GOOD, NULL, "nobody has the store open");
        return;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool owned = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (owned)
        tell(doctor, "owner", GOOD, NULL, "process %ld owns the store; readers work beside it",
             owner_pid(fd));
    else
        tell(doctor, "owner", GOOD, NULL, "nobody owns the store; the last was process %ld",
             owner_pid(fd));
    close(fd);
}

static void check_space(struct doctor *doctor) {
    struct statvfs space;
    if (statvfs(doctor->cli->dir, &space) != 0) {
        tell_failure(
            doctor, "space",
            error_set(&doctor->cli->err, WF_IO, "cannot ask the file system: %s", strerror(errno)),
            NULL);
        return;
    }
    uint64_t free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    char size[FORMAT_SIZE_SIZE];
    bool low =
        free_bytes < SPACE_LOW_BYTES || (space.f_files > 0 && space.f_favail < SPACE_LOW_FILES);
    if (low)
        tell(doctor, "space", NOTE, "make room before commands are answered with \"full\"",
             "only %s and %" PRIu64 " files are left", format_size(size, free_bytes),
             (uint64_t)space.f_favail);
    else
        tell(doctor, "space", GOOD, NULL, "%s free", format_size(size, free_bytes));
    if (space.f_flag & ST_RDONLY)
        tell(doctor, "space", NOTE, "mount it writable before commands are to work",
             "the file system is read-only");
}

static const char origin_advice[] =
    "no repair can make it anew, but every backup made since the drop has it: put it back, or "
    "restore the backup. Until then the store answers as ever, and cannot do what begins with "
    "that state: backup, replay --verify, --as-of, another drop, an opening without its snapshot; "
    "copy the whole folder while nobody owns it";
static const char archive_advice[] =
    "no repair can make archived records anew: put the archive's file back from a backup, or "
    "restore the backup. What is in the snapshot and in the log works on";

static const char no_log_advice[] =
    "bring wal/ back from where it went, or restore a backup into another folder; without a log "
    "there is nothing to repair";

static const char missing_advice[] =
    "where the archives' files are there and their manifest is not, 'wfctl wal repair' makes that "
    "anew; else put archive/ back from where it went or from a backup, or restore the backup. "
    "What is in the snapshot and in the log works on";

/* Not for what the repair of the log mends. */
static const char *way_on_from(const struct wf_finding *finding) {
    if (io_name_ends_in(finding->segment, ".state.gz"))
        return origin_advice;
    if (!*finding->segment)
        return missing_advice;
    return io_name_ends_in(finding->segment, ".gz") ? archive_advice : NULL;
}

/* What the findings come to. */
struct findings {
    struct doctor *doctor;
    struct wf_finding sum;
};

static bool first_finding(void *ctx, const struct wf_finding *finding) {
    struct findings *findings = ctx;
    struct wf_finding *first = &findings->sum;
    if (!findings->doctor->way_on)
        findings->doctor->way_on = way_on_from(finding);
    if (!first->kind || strcmp(finding->kind, "torn") != 0)
        first->kind = strcmp(finding->kind, "torn") == 0 ? "torn" : "damage";
    first->size += finding->size;
    return true;
}

/* Also of repairs whose own records were dropped since: the record of the drop tells of them. */
static void tell_repairs(struct doctor *doctor, const struct wf_log_losses *lost) {
    char losses[VIEW_LOSSES_SIZE], ranges[VIEW_REPAIRS_SIZE];
    tell(doctor, "repaired", NOTE,
         "a backup from before has more; 'wfctl audit show --event log_repaired' tells of each, "
         "--event archive_dropped of those from before a drop",
         "repairs took %" PRIu64 " record%s from the log (%s), and with %s: %s", lost->records,
         lost->records == 1 ? "" : "s", view_repairs(ranges, lost),
         lost->records == 1 ? "it" : "them", view_losses(losses, lost));
}

static void check_log(struct doctor *doctor) {
    struct findings findings = {.doctor = doctor};
    const struct wf_finding *sum = &findings.sum;
    struct wf_log_report report = {0};
    struct cli *cli = doctor->cli;
    enum wf_status status = wf_log_verify(cli->dir, first_finding, &findings, &report, &cli->err);
    char size[FORMAT_SIZE_SIZE];
    doctor->lost = report.lost.records;
    if (status != WF_OK)
        tell_failure(doctor, "log", status, advice_for(doctor, status));
    else if (sum->kind)
        tell(doctor, "log", NOTE,
             "the next owner cuts it off. If a later record was answered, this is damage: keep a "
             "copy of the folder first",
             "%" PRIu64 " records are good, the last is %" PRIu64
             "; %s behind it do not check, and "
             "nothing confirms that they ever were durable: a process that died while it wrote "
             "leaves that",
             report.records, report.last_lsn, format_size(size, sum->size));
    else
        tell(doctor, "log", GOOD, NULL, "every byte of %" PRIu64 " records checks (%s)",
             report.records, format_size(size, report.bytes));
    doctor->repairs = report.lost.repair_count;
    if (doctor->lost > 0)
        tell_repairs(doctor, &report.lost);
}

static bool check_open(struct doctor *doctor) {
    struct cli *cli = doctor->cli;
    enum wf_status status = store_open(cli, ACCESS_READ, false);
    struct wf_store_status now;
    if (status == WF_OK)
        status = wf_status_get(cli->engine, false, &now, &cli->err);
    if (status != WF_OK) {
        tell_failure(doctor, "opening", status, advice_for(doctor, status));
        return false;
    }
    tell(doctor, "opening", *now.notes ? NOTE : GOOD, NULL,
         "up to record %" PRIu64 ", %" PRIu64 " of them replayed in %.1f ms%s%s", now.durable_lsn,
         now.replayed, now.replay_ms, *now.notes ? "; " : "", now.notes);
    return true;
}

static void check_dropped(struct doctor *doctor) {
    struct cli *cli = doctor->cli;
    struct wf_store_status now;
    if (wf_status_get(cli->engine, false, &now, &cli->err) == WF_OK && now.dropped_lsn)
        tell(doctor, "dropped", GOOD, NULL,
             "the records up to %" PRIu64 " were dropped; record %" PRIu64 " says by whom and why",
             now.dropped_lsn, now.drop_lsn);
}

/* Counted in the state, and told by no record: one of before a drop that did not keep it. */
static void check_untold_repairs(struct doctor *doctor) {
    struct cli *cli = doctor->cli;
    struct wf_store_status now;
    if (wf_status_get(cli->engine, false, &now, &cli->err) != WF_OK ||
        now.repairs <= doctor->repairs)
        return;
    doctor->untold = now.repairs - doctor->repairs;
    tell(doctor, "repaired", NOTE, "a backup from before has more",
         "%" PRIu64
         " more repair%s took records from the log; what told of %s was dropped with the "
         "archives",
         doctor->untold, doctor->untold == 1 ? "" : "s", doctor->untold == 1 ? "it" : "them");
}

static void check_snapshot(struct doctor *doctor) {
    uint64_t entries = 0;
    struct cli *cli = doctor->cli;
    enum wf_status status = wf_snapshot_verify(cli->engine, &entries, &cli->err);
    if (status == WF_OK)
        tell(doctor, "snapshot", GOOD, NULL, "every value of %" PRIu64 " entries checks", entries);
    else if (status == WF_NOT_FOUND)
        tell(doctor, "snapshot", GOOD, NULL, "there is none yet");
    else
        tell_failure(doctor, "snapshot", status,
                     "nothing is lost: the next owner sets it aside and rebuilds it from the log");
}

static void check_state(struct doctor *doctor) {
    struct cli *cli = doctor->cli;
    struct progress progress = {.what = "replaying"};
    char hash[65];
    enum wf_status status =
        wf_replay_verify(cli->engine, progress_update, &progress, hash, &cli->err);
    progress_clear(&progress);
    if (status == WF_OK)
        tell(doctor, "state", GOOD, NULL,
             "the same as rebuilt from the first record that is here, "
             "hash %.16s",
             hash);
    else
        tell_failure(doctor, "state", status, advice_for(doctor, status));
}

static bool tell_note(void *doctor, const struct wf_account_note *note) {
    tell(doctor, "accounts", NOTE,
         "'wfctl account statement' shows how it came; another transaction sets it right", "%s",
         note->text);
    return true;
}

/* Where repairs took records: do the accounts stand as the rest of them come to, and can they? */
static void check_accounts(struct doctor *doctor) {
    struct cli *cli = doctor->cli;
    struct wf_account_report report;
    enum wf_status status =
        wf_account_check_notes(cli->engine, tell_note, doctor, &report, &cli->err);
    if (status == WF_OK && report.notes == 0)
        tell(doctor, "accounts", GOOD, NULL,
             "%" PRIu64 " accounts hold what the records that are left come to", report.accounts);
    else if (status != WF_OK)
        tell_failure(doctor, "accounts", status, advice_for(doctor, status));
}

static bool is_leftover(const char *name) {
    return strstr(name, ".damaged") != NULL;
}

static unsigned leftovers_in(struct doctor *doctor, const char *folder) {
    char path[4200];
    unsigned count = 0;
    path_of(doctor, folder, path);
    path[strlen(path) - (*folder ? 0 : 1)] = '\0'; /* the store's own folder: no slash at the end */
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (!is_leftover(entry->d_name))
            continue;
        tell(doctor, "leftover", NOTE, "once nobody wants to look into it, remove it",
             "%s/%s was set aside as damaged", path, entry->d_name);
        count++;
    }
    closedir(dir);
    return count;
}

static void check_leftovers(struct doctor *doctor) {
    unsigned count =
        leftovers_in(doctor, "") + leftovers_in(doctor, "wal") + leftovers_in(doctor, "archive");
    if (count == 0)
        tell(doctor, "leftover", GOOD, NULL, "nothing was set aside by a repair");
}

static void check_all(struct doctor *doctor) {
    check_owner(doctor);
    check_space(doctor);
    check_log(doctor);
    if (check_open(doctor)) {
        check_dropped(doctor);
        check_untold_repairs(doctor);
        check_snapshot(doctor);
        check_state(doctor);
        if (doctor->lost > 0)
            check_accounts(doctor);
    }
    check_leftovers(doctor);
}

/* --- the end --- */

static void conclude_text(struct doctor *doctor) {
    struct out *out = &doctor->cli->out;
    if (doctor->bad)
        out_styled(out, STYLE_BAD, "The store needs care: see above what to do.");
    else if (doctor->lost || doctor->untold)
        out_styled(out, STYLE_BUSY,
                   "The store is in order, but repairs took something from it: see the notes.");
    else
        out_styled(out, STYLE_GOOD,
                   doctor->notes ? "The store is well; see the notes." : "The store is well.");
    out_printf(out, "\n");
}

/* The checks were written first, "ok" goes before them. */
static void conclude_json(struct doctor *doctor, struct bytes_buffer *checks) {
    struct out *out = &doctor->cli->out;
    out_outcome_open(out, doctor->worst, doctor->worst_text);
    out_outcome_items(out, "checks", checks);
    emit_member_uint(&out->json, "bad", doctor->bad);
    emit_member_uint(&out->json, "notes", doctor->notes);
    emit_member_uint(&out->json, "lost_records", doctor->lost);
    out_object_close(out);
}

/* A segment with anything in it. */
static bool has_log(const struct doctor *doctor) {
    char path[4200];
    struct stat info;
    DIR *dir = opendir(path_of(doctor, "wal", path));
    bool found = false;
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry && !found; entry = readdir(dir))
        found = io_name_ends_in(entry->d_name, ".seg") &&
                fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 && info.st_size > 0;
    if (dir)
        closedir(dir);
    return found;
}

enum wf_status cmd_doctor(struct cli *cli) {
    struct doctor doctor = {.cli = cli};
    /* A folder that is no store at all is not a patient. */
    enum wf_status status = store_open(cli, ACCESS_READ, false);
    store_close(cli);
    if (status == WF_NOT_FOUND || status == WF_REFUSED)
        return status;
    if (!has_log(&doctor))
        doctor.way_on = no_log_advice;
    check_all(&doctor);
    struct bytes_buffer checks;
    bytes_buffer_init(&checks);
    if (cli->out.mode == OUT_JSON) {
        checks = cli->out.bytes;
        bytes_buffer_init(&cli->out.bytes);
    }
    if (out_is_json(&cli->out))
        conclude_json(&doctor, &checks);
    else
        conclude_text(&doctor);
    bytes_buffer_deinit(&checks);
    cli->reported = true;
    return doctor.worst;
}
