/* Deaths on purpose: a process that kills itself at a named instant, a stream of commands that it
 * works on until then, and what must be true of its store afterwards. Owns the folder in which that
 * happens; the store of the command line is copied and never touched. */
#ifndef WFCTL_CRASH_H
#define WFCTL_CRASH_H

#include "tools/wfctl/cli.h"

#include <limits.h>
#include <stdatomic.h>

/* --- named instants, in crash_point.c --- */

enum { CRASH_POINTS_MAX = 64 };

/* Which instant, and its how-manieth passing. */
struct crash_point {
    size_t index; /* in wf_points() */
    uint64_t nth; /* from 1; 0: never */
};

/* Counts passings and dies at one of them. Lies in memory that outlives the process where somebody
 * wants to know the counts. */
struct crash_watch {
    _Atomic uint64_t passed[CRASH_POINTS_MAX]; /* by index */
    struct crash_point die_at;
};

size_t crash_point_count(void);
/* What has happened when it is passed, in words. */
const char *crash_point_meaning(size_t index);
/* Neither log nor snapshot passes it in ordinary work, only a recovery with a torn tail (or a full
 * disk). */
bool crash_point_is_cut(size_t index);
/* Only somebody who drops archives passes it; where he has passed it, is the drop on record? */
bool crash_point_is_drop(size_t index);
bool crash_point_is_dropped(size_t index);
/* "POINT:N", or "POINT" for its first passing. WF_USAGE: the text names what is near. */
enum wf_status crash_point_parse(struct cli *cli, const char *text, struct crash_point *point);
/* wf_options.on_point: count, and kill this process with SIGKILL where it is to die. `ctx` is a
 * struct crash_watch. */
void crash_watch_pass(void *ctx, const char *name);

/* --- commands to die over, in crash_stream.c --- */

struct crash_line {
    const char *text; /* without the line's end */
    size_t size;
    bool answered, ok; /* "ok": acknowledged */
    uint64_t lsn;      /* of its record; 0: none */
};

struct crash_stream {
    char *text;
    struct crash_line *lines;
    size_t count;
};

enum {
    CRASH_WARM_LOANS = 12, /* in the store before the stream begins, at every stage */
};

/* Lines of the file ("-": stdin), or loan applications where `path` is NULL. The caller frees, also
 * after a failure. */
enum wf_status crash_stream_load(struct cli *cli, const char *path, struct crash_stream *stream);
void crash_stream_free(struct crash_stream *stream);
/* Loan applications under way, so that every kill has some in flight. */
enum wf_status crash_stream_warm(struct wf_engine *engine, struct wf_error *err);

/* --- one death, in crash_child.c --- */

struct crash_run {
    const char *dir; /* of the store that the child owns */
    struct crash_stream *stream;
    struct crash_watch *watch; /* shared with the child */
    bool feeds;                /* false: it opens the store and closes it */
    bool drops;                /* at the end it archives what is full, and drops that … */
    bool dropped;              /* … and is dead only when this is on record */
    uint64_t base_lsn;         /* the last record before the stream */

    uint64_t sent, answered, acknowledged;
    bool killed; /* by itself, at its point */
    uint64_t durable_lsn, dropped_lsn, replayed, torn_bytes;
    uint64_t in_flight; /* workflows that are not at an end */
    char failure[1400]; /* "": it survived */
};

/* What a store is opened with here: small segments, frequent snapshots. */
void crash_options_init(struct wf_options *options);
/* Start a child that works on the stream as `wfctl exec` does, a few lines at a time, until it dies
 * or the stream ends. WF_OK: as far as this process is concerned; what became of the child stands
 * in `run`. */
enum wf_status crash_child_run(struct crash_run *run, struct wf_error *err);

/* --- what must hold, in crash_check.c --- */

/* Open the store that the child left, and hold it against the answers: all that was acknowledged is
 * there, or was dropped on record; the state is the one that the log leads to; keys answer again; a
 * new command works and is there after another opening. The first that does not hold goes to
 * run->failure. */
void crash_check_store(struct crash_run *run);
/* The first failure; later ones are dropped. */
void crash_fail(struct crash_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- folders, in crash_folder.c --- */

/* A new folder below $TMPDIR, else /tmp. */
enum wf_status crash_folder_make(char path[PATH_MAX], struct wf_error *err);
void crash_folder_remove(const char *path);
/* Cut the last frame of the log in `dir` in two, as a power cut may that no sync has followed. Only
 * for a log whose last records nobody was told of. */
enum wf_status crash_folder_tear(const char *dir, struct wf_error *err);

#endif
