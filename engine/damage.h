/* Who is concerned by damage to the log: found from the records that link back into the damaged
 * range, and from the snapshot. */
#ifndef ENGINE_DAMAGE_H
#define ENGINE_DAMAGE_H

#include "engine/aftermath.h"
#include "engine/audit_tree.h"
#include "engine/codec.h"
#include "engine/repairs.h"
#include "engine/wf.h"
#include "store/snapshot.h"
#include "wal/wal.h"

enum { DAMAGE_NAMES_MAX = 400 };

/* One place that is not as it should be. */
struct damage_finding {
    struct wal_finding finding;   /* `remains` is not kept */
    bool beyond;                  /* no repair can mend it: something is to be put back */
    char names[DAMAGE_NAMES_MAX]; /* of workflows, comma-separated */
    struct damage_finding *next;
};

/* Records that a repair dropped: what one frame stands for. */
struct damage_loss {
    uint64_t first_lsn, last_lsn, offset;
    bool recorded; /* a later record of the log tells of it */
    struct damage_loss *next;
};

struct damage_report {
    struct damage_finding *findings; /* in the order of the log */
    struct damage_loss *losses;      /* the newest first */
    struct damage_finding **end;
    uint64_t records, first_lsn, last_lsn, bytes, count, damaged;
    uint64_t passed_lsn; /* up to here the records were seen already, in the archive */
    struct codec_arena arena;
    struct repairs repairs;    /* earlier ones, as records tell */
    uint64_t drop_lsn;         /* a record that would be dropped on command; 0: none */
    bool dropped;              /* it is there */
    struct snapshot *snapshot; /* NULL: there is none, or it was asked already */
    uint64_t snapshot_lsn;
    struct aftermath *aftermath;         /* NULL: nobody asks what would go with what is lost */
    struct damage_finding **archive_end; /* the first finding of the live log */
    struct audit_tree *tree; /* NULL: none is wanted; else the records go into it, as long as they
                                are dense and good */
};

void damage_report_init(struct damage_report *report);
void damage_report_deinit(struct damage_report *report);
/* Read the whole log in `dir` (the store's folder), and the snapshot where one can be opened.
 * Changes nothing. */
enum wf_status damage_survey(struct io *io, const struct snapshot_provider *provider,
                             const char *dir, struct damage_report *report, struct wf_error *err);
/* By the names: a segment that is damaged is not missing. UINT64_MAX: there is none. */
enum wf_status damage_first_live_lsn(struct io *io, const char *wal_dir, uint64_t *lsn,
                                     struct wf_error *err);
/* The folders of the archives and of the log of the store in `dir`, to be freed, whatever the
 * status; NULL where it has no archives. */
enum wf_status damage_archive_folders(struct io *io, const char *dir, char **archive_dir,
                                      char **wal_dir, struct wf_error *err);
/* Read the archives of the store in `dir`, and find what is missing between them and the log, which
 * is not read. */
enum wf_status damage_read_past(struct io *io, const char *dir, struct damage_report *report,
                                struct wf_error *err);
/* Read the whole log in `wal_dir`, which nobody else owns, and nothing else. */
enum wf_status damage_read_log(struct io *io, const char *wal_dir, uint64_t minimum_lsn,
                               struct damage_report *report, struct wf_error *err);
/* Collect one finding; a wal_finding_fn over a struct damage_report. */
enum wf_status damage_add_finding(void *ctx, const struct wal_finding *finding,
                                  struct wf_error *err);
/* Tell the host. False: it asked to stop. */
bool damage_tell(const struct damage_finding *found, wf_finding_fn on_finding, void *ctx);
void damage_tell_all(const struct damage_report *report, wf_finding_fn on_finding, void *ctx);
void damage_summary(const struct damage_report *report, struct wf_log_report *out);
/* Of a survey: WF_DAMAGE where something is such that no repair can mend it, and must be put back
 * from elsewhere; the text names the first. All of it is told. */
enum wf_status damage_beyond(const struct damage_report *report, wf_finding_fn on_finding,
                             void *ctx, uint64_t *count, struct wf_error *err);
/* Of a survey: the records that a repair would drop from the live log, or that one which was cut
 * short dropped and did not record. */
uint64_t damage_lost_records(const struct damage_report *report);
/* WF_DAMAGE where there is any: the text names the first, by LSN, and whom it concerns; `first_lsn`
 * (may be NULL) is that LSN. */
enum wf_status damage_first(const struct damage_report *report, uint64_t *first_lsn,
                            struct wf_error *err);

/* The end of a check: tell all findings, sum them up, and judge as damage_first(). */
enum wf_status damage_conclude(const struct damage_report *report, wf_finding_fn on_finding,
                               void *ctx, struct wf_log_report *out, struct wf_error *err);

#endif
