/* What the three files of the LMDB snapshot share: snapshot_lmdb.c (read), snapshot_lmdb_open.c
 * (open, close, set aside) and snapshot_lmdb_commit.c (write, grow). Nobody else includes this. */
#ifndef STORE_SNAPSHOT_LMDB_H
#define STORE_SNAPSHOT_LMDB_H

#include "store/snapshot_view.h"

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

struct lmdb_snapshot {
    struct snapshot base;
    struct io *io;
    char *dir;
    struct MDB_env *env;
    int fd; /* of data.mdb; LMDB's. -1 until it is open */
    pid_t pid;
    bool read_only;
    /* WF_OK, or how the last commit failed: what the file holds is not known, and a sync of the
     * same descriptor would prove nothing. After WF_FULL the next commit opens the environment
     * anew; after WF_IO commits wait for the next opening. Reads go on. */
    enum wf_status write_failed;

    pthread_mutex_t lock;
    struct MDB_txn *pin; /* keeps the pages of `seen` from being used again */
    bool broken;         /* the environment could not be brought back: only close() helps */
    const uint8_t *map;  /* of data.mdb, ours */
    uint64_t map_size;
    struct snapshot_view seen; /* by get() and walk() */
    uint64_t *checked;         /* seen.checked; ours to free */
    uint8_t *copy;             /* the value that get() handed out */
    size_t copy_capacity;
    uint8_t *lmdb_map; /* LMDB's map of the same file, NULL until known; only trim() needs it */
    uint64_t lmdb_map_size;

    struct snapshot_view newest; /* commit()'s own */

    dev_t device; /* of the directory */
    ino_t inode;
    struct lmdb_snapshot *next_open;
};

/* The status and text of a return code of LMDB, or an errno, in the call that `what` names. */
enum wf_status lmdb_fail(const struct lmdb_snapshot *snapshot, int rc, const char *what,
                         struct wf_error *err);
/* Put the snapshot's directory in front of the error's text. */
enum wf_status lmdb_wrap(const struct lmdb_snapshot *snapshot, enum wf_status status,
                         struct wf_error *err);
/* Take the lock. Without it: WF_USAGE in a forked child, WF_IO where the environment is lost. The
 * same thread may take it again, so that a walk's callback may look something up. */
enum wf_status lmdb_enter(struct lmdb_snapshot *snapshot, struct wf_error *err);
void lmdb_leave(struct lmdb_snapshot *snapshot);
bool lmdb_is_forked(const struct lmdb_snapshot *snapshot);
enum wf_status lmdb_file_size(const struct lmdb_snapshot *snapshot, uint64_t *size,
                              struct wf_error *err);
/* Map `size` bytes of the file in place of what is mapped now, which stays where that fails. */
enum wf_status lmdb_map_file(struct lmdb_snapshot *snapshot, uint64_t size, struct wf_error *err);
/* Pin the newest generation and read its record into `seen`, which is unusable on failure. The pin
 * must not be active. */
enum wf_status lmdb_move_to_newest(struct lmdb_snapshot *snapshot, struct wf_error *err);

/* A write past RLIMIT_FSIZE raises SIGXFSZ, which kills by default. LMDB writes with plain pwrite:
 * so hold the signal back in this thread meanwhile, and take it if it came; the write's EFBIG tells
 * the same. */
struct signal_guard {
    sigset_t before;
    bool was_pending;
};
void lmdb_hold_signal(struct signal_guard *guard);
void lmdb_release_signal(const struct signal_guard *guard);

const struct snapshot_ops *lmdb_ops(void);
/* Close the environment and open it again, on other descriptors, at the newest generation. Under
 * `lock`. Where that fails half way the snapshot is `broken`. */
enum wf_status lmdb_reopen(struct lmdb_snapshot *snapshot, struct wf_error *err);
/* Release everything that the snapshot holds, however far its opening came. */
void lmdb_destroy(struct lmdb_snapshot *snapshot);
/* snapshot_ops.commit */
enum wf_status lmdb_commit(struct snapshot *base, const struct snapshot_change *changes,
                           size_t count, const struct snapshot_meta *meta, struct wf_error *err);

#endif
