/* The inside of an open store: what the files of engine/ share. The core decides and applies, the
 * log keeps, the snapshot caches; the engine ties them together under one mutex.
 *
 *   open.c        make, open, close                recover.c   snapshot and log into state
 *                                                  cache.c     entities in and out of memory
 *   commit.c      a command's journey              checkpoint.c  snapshots without a pause
 *   due.c         timers that are due              jump.c        a clock that runs back or leaps
 *   plan.c        what a rollback would do
 *   query.c       workflows and definitions        history.c   records as events with names
 *   account_query.c  accounts, statements          account_check*.c  all postings added up
 *   listing.c     names in order, from memory and snapshot
 *   as_of.c       a record by its time               definition_diff.c  two versions compared
 *   task.c        tasks claimed                    handler.c   callbacks, and a worker's turn
 *   lock.c        one owner, and what it publishes   verify.c  replay and compare
 *   maintain.c    snapshots by hand, segments      status.c    status, metrics
 *   folder.c      is it a store, may it be one     identity.c  log and snapshot of one store
 *   backup.c      a verified copy of a store
 *   log_repair.c  log verify, repair               damage.c    who is concerned by damage
 *   repairs.c     earlier repairs, as told
 *   aftermath*.c  … and what goes with a loss      name_list.c a few names as text
 *   audit.c       roots and proofs                 audit_verify.c  the whole trail checked
 *   audit_show.c  what stands in the trail
 *   archive.c     old segments, compressed         drop.c      … and dropped for good
 *   archive_repair.c  its manifest, made anew      relay.c     a walk's records on a second thread
 *   origin.c      what a replay begins with        pool.c      sessions lent out, in turn
 *   session*.c    transactions of sessions         versions.c  what accounts were, for them
 *   signature.c   Ed25519 of roots                 hex.c       hashes as text
 *   thread.c      threads without signals
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/thread.h"
#include "engine/codec.h"
#include "engine/core/account.h"
#include "engine/core/apply.h"
#include "engine/core/decide.h"
#include "engine/core/text.h"
#include "engine/digest.h"
#include "engine/lock.h"
#include "engine/versions.h"
#include "engine/wf.h"
#include "store/archive.h"
#include "store/snapshot.h"
#include "wal/wal.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* A checkpoint under way: the entities of one freeze, encoded. Guarded by the engine's mutex until
 * all are. */
struct checkpoint {
    bool running;
    bool aborted; /* the state was rebuilt under it */
    uint64_t started_ns;
    struct record_link last; /* the snapshot is the state after this record */
    uint64_t key_first;      /* the number of the oldest idempotency key then */
    struct wal_ticket ticket;
    struct wal_position position;
    struct snapshot_meta meta;
    struct checkpoint_chunk *chunks; /* where keys and values lie; pointers into them stay valid */
    struct snapshot_change *changes;
    size_t change_count, change_capacity;
    size_t bytes;          /* of the changes, for the memory bound */
    enum wf_status status; /* of the encoding: a failed allocation */
};

/* Counters for status and metrics; written under the mutex. */
struct engine_counters {
    uint64_t commands, refused, repeated, conflicts, not_found;
    uint64_t loads, evictions, checkpoints, checkpoint_failures, reloads;
    uint64_t checkpoint_ns_sum, checkpoint_ns_max;
    uint64_t timers_fired;
    uint64_t transactions, transactions_committed, transaction_conflicts, transactions_given_up;
};

enum { DUE_KEY_HEAD = 9 }; /* bytes before the id */

/* A place in the snapshot's order of deadlines; see due.c. */
struct due_place {
    bool known; /* else nobody has looked into this snapshot yet */
    bool none;  /* nothing is left behind it */
    int64_t due_ms;
    size_t key_size;
    uint8_t key[DUE_KEY_HEAD + COMMAND_ID_MAX];
};

/* The clock's last reading; see jump.c. */
struct clock_watch {
    bool seen;
    int64_t now_ms;
    uint64_t monotonic_ns;
};

/* The thread of options.background_sync; see sync_ahead.c. */
struct sync_ahead {
    bool running;
    uint64_t bytes; /* appended since it was last asked */
    pthread_t thread;
    sem_t wanted;
    atomic_bool asked, stopping;
};

struct wf_engine {
    struct io *io;
    const struct snapshot_provider *provider;
    struct engine_io *own_io; /* where options.on_point is set; see open.c */
    struct wf_options options;
    char *dir, *wal_dir, *snapshot_dir, *archive_dir;
    struct lock_file *lock; /* NULL: read only */
    struct wal *wal;
    struct snapshot *snapshot;     /* NULL: there is none yet, or none can be had */
    struct archive *archive;       /* NULL: its manifest cannot be read */
    pthread_mutex_t archive_mutex; /* one archives at a time; taken before `mutex` */

    pthread_mutex_t mutex; /* guards everything below */
    struct state state;
    struct digest_sum digest_sum; /* of each entity's digest[] */
    uint64_t cuts;                /* wal_cuts() that the state is in step with */
    struct record_link last;      /* the last appended record */
    struct decision decision;
    struct codec_arena arena;
    struct bytes_buffer encoded;
    struct bytes_buffer scratch; /* keys */
    struct handler *handlers;    /* callbacks of the host; handler.c */
    struct definition **retired; /* of states that were rebuilt; see recover.c */
    size_t retired_count;
    bool stale; /* the state could not be rebuilt after a cut: try again at the next command */

    uint64_t snapshot_lsn;
    uint64_t origin_lsn; /* without a snapshot: the state begins with what stands for the records up
                            to here, which were dropped (origin.c); 0: with the first record */
    uint64_t snapshot_key_first;    /* the number of the oldest idempotency key in the snapshot */
    uint64_t log_bytes_at_snapshot; /* wal_stats().bytes when the last checkpoint began */
    uint64_t log_bytes;             /* appended since opening */
    struct checkpoint checkpoint;
    struct bytes_buffer checkpoint_buffer; /* one entity, encoded */
    pthread_cond_t checkpoint_wanted, checkpoint_done;
    bool background_running, stopping;
    pthread_t background;
    enum wf_status snapshot_status; /* of the last checkpoint */
    char snapshot_problem[256];
    uint64_t loads_since_trim;
    struct due_place due[TIMERS_OF_HOLDS + 1]; /* by enum timers_of */
    struct clock_watch clock_watch;
    pthread_cond_t timers_wanted;
    bool timers_running, timers_stopping;
    pthread_t timers_thread;
    enum wf_status archive_status; /* of archiving by policy */
    char archive_problem[256];
    struct sync_ahead sync_ahead;

    bool recovering; /* records are being replayed: all of them are durable, and the log may not be
                        open yet */
    uint64_t replayed;
    uint64_t checked_from_lsn; /* opening read the log from here on */
    double replay_ms;
    uint64_t torn_bytes;
    char notes[512];
    struct engine_counters counters;
    struct wf_session *sessions; /* of all pools; session.h */
    size_t pools;                /* that are open */
    struct versions versions;    /* what open transactions read of the past */
    _Atomic uint32_t waiters;    /* threads inside wf_wait; for metrics */
};

/* wf_open() over any disk and any snapshot store: what tests and crash runs use. */
enum wf_status engine_open(struct io *io, const struct snapshot_provider *provider, const char *dir,
                           const struct wf_options *options, struct wf_engine **out,
                           struct wf_error *err);
/* wf_log_repair() over the same. */
enum wf_status engine_log_repair(struct io *io, const struct snapshot_provider *provider,
                                 const char *dir, uint64_t skip_lsn, wf_finding_fn on_finding,
                                 void *ctx, struct wf_log_report *out, struct wf_error *err);
/* WF_NOT_FOUND where `dir` holds no store at all: that is no damage. WF_DAMAGE: one without its
 * log. */
enum wf_status engine_require_store(struct io *io, const char *dir, struct wf_error *err);
/* The names of files and folders in a store. */
extern const char *const engine_wal_name;
extern const char *const engine_snapshot_name;
extern const char *const engine_lock_name;
extern const char *const engine_archive_name;

/* --- recovery (recover.c); the mutex is held or nobody else knows the engine --- */

/* Begin with what the snapshot says: store entity, definitions, digest sum. The state is empty
 * before. WF_DAMAGE: the snapshot cannot be used. `position` is left with size 0 where there is
 * none. */
enum wf_status engine_load_snapshot(struct wf_engine *engine, struct wal_position *position,
                                    struct wf_error *err);
/* Without a snapshot: begin with what stands for dropped records, if there are any. */
enum wf_status engine_load_origin(struct wf_engine *engine, struct wf_error *err);
/* The state in memory begins after this record: the snapshot's, or the last dropped one. */
uint64_t engine_begins_after(const struct wf_engine *engine);
/* Set up an empty state whose frozen entities go to this engine's checkpoint. */
enum wf_status engine_init_state(struct wf_engine *engine, struct wf_error *err);
/* A hint, some time before engine_load_for_command(): have memory fetch the places where it is
 * going to look. */
void engine_prefetch_for_command(const struct wf_engine *engine, const struct command *command);
/* What a command reads and changes, from the snapshot into memory. */
enum wf_status engine_load_for_command(struct wf_engine *engine, const struct command *command,
                                       struct wf_error *err);
/* What this record reads and changes, likewise. */
enum wf_status engine_load_for_record(struct wf_engine *engine, const struct record *record,
                                      struct wf_error *err);
/* Throw the state in memory away and build it again from snapshot and durable log. */
enum wf_status engine_reload(struct wf_engine *engine, struct wf_error *err);
/* The snapshot turned out to be damaged: set it aside and go on without. The state must be rebuilt
 * afterwards. */
enum wf_status engine_drop_snapshot(struct wf_engine *engine, const char *why,
                                    struct wf_error *err);

/* Both, at run time: set it aside and rebuild. The mutex is held, and may be given up for a while.
 */
enum wf_status engine_replace_snapshot(struct wf_engine *engine, const char *why,
                                       struct wf_error *err);
/* WF_DAMAGE where records between the snapshot and the log's beginning are missing. */
enum wf_status engine_check_reach(const struct wf_engine *engine, struct wf_error *err);

/* --- cache.c; the mutex is held --- */

/* Bring the entity into memory if it exists. WF_OK whether or not it does. WF_DAMAGE: the snapshot
 * is broken. */
enum wf_status cache_load(struct wf_engine *engine, enum entity_kind kind, struct bytes_view name,
                          struct wf_error *err);
/* Insert a pair of the snapshot as a clean entity. The value is its digest (16 bytes, what it
 * counts for in the state hash), then its encoding. */
enum wf_status cache_adopt(struct wf_engine *engine, struct bytes_view key, struct bytes_view value,
                           struct wf_error *err);
/* The `count` oldest idempotency keys. */
enum wf_status cache_load_oldest_keys(struct wf_engine *engine, uint64_t count,
                                      struct wf_error *err);
/* Evict clean entities until the cache is no longer full, as far as that goes. */
void cache_trim(struct wf_engine *engine);
uint64_t cache_memory(const struct wf_engine *engine);
/* Near the memory bound: what is left is kept for checkpoints. */
bool cache_is_full(const struct wf_engine *engine);
/* Are so many entities changed that a checkpoint should make them evictable? */
bool cache_wants_checkpoint(const struct wf_engine *engine);

/* --- sync_ahead.c --- */

/* A record of so many bytes was appended: have it synced when it is time. The mutex is held. */
void sync_ahead_appended(struct wf_engine *engine, uint64_t lsn, size_t size);
enum wf_status sync_ahead_start_thread(struct wf_engine *engine, struct wf_error *err);
void sync_ahead_stop_thread(struct wf_engine *engine);

/* --- checkpoint.c --- */

/* Beside each idempotency key the snapshot keeps a pair "order byte, sequence big-endian -> key",
 * so that the oldest can be found. The order byte is no entity_kind. */
enum { CHECKPOINT_KEY_ORDER = 0x80 };
void checkpoint_key_order(uint64_t sequence, uint8_t order[8]);
/* Likewise beside a workflow: "order byte, deadline big-endian, id" where it has one, and "order
 * byte, id" where it waits for a review. */
enum {
    CHECKPOINT_DUE_ORDER = 0x81,
    CHECKPOINT_REVIEW_ORDER = 0x82,
    CHECKPOINT_TASK_ORDER = 0x83,     /* "order byte, id": it has tasks */
    CHECKPOINT_TASK_DUE_ORDER = 0x84, /* "order byte, when one may be claimed, id" */
    CHECKPOINT_HOLD_DUE_ORDER = 0x85, /* "order byte, when a hold expires first, account" */
};
void checkpoint_due_order(int64_t due_ms, uint8_t order[8]); /* due.c */
int64_t checkpoint_due_ms(const uint8_t order[8]);           /* back */

/* Write a snapshot of the state as it is now; takes the mutex by itself, in short turns. Waits
 * where one is under way already. */
enum wf_status checkpoint_run(struct wf_engine *engine, struct wf_error *err);
/* In the middle of a replay, when nobody else knows the engine: encode the state as it is after
 * engine->last, which may have been read from a cache that the disk never saw. */
enum wf_status checkpoint_begin_in_replay(struct wf_engine *engine, struct wf_error *err);
/* Write out what was begun, if anything was; `durable`: the log has that record for certain. If
 * not, forget it: the state must be thrown away too. */
enum wf_status checkpoint_end_in_replay(struct wf_engine *engine, bool durable,
                                        struct wf_error *err);
/* Is one due by size of log or of memory? The mutex is held. */
bool checkpoint_due(const struct wf_engine *engine);
enum wf_status checkpoint_start_thread(struct wf_engine *engine, struct wf_error *err);
void checkpoint_stop_thread(struct wf_engine *engine);
/* The first byte of a snapshot's meta that was written before tasks, and before holds, stood in it
 * by time; before it said which records a repair left without effect. */
enum {
    CHECKPOINT_META_WITHOUT_TASK_ORDER = 2,
    CHECKPOINT_META_WITHOUT_HOLD_ORDER = 3,
    CHECKPOINT_META_WITHOUT_INEFFECTIVE = 4,
};
/* What a checkpoint left in the snapshot's meta: the log position, the digest sum, the last record.
 */
enum wf_status checkpoint_meta_decode(const struct snapshot_meta *meta,
                                      struct wal_position *position, struct digest_sum *sum,
                                      struct record_link *last, struct wf_error *err);

/* --- archive.c --- */

/* Open the archives of the open log, and have the log read through to them. Where they are damaged
 * the notes say so and the store opens without. */
enum wf_status engine_open_archive(struct wf_engine *engine, struct wf_error *err);
/* Open them before the log is open, where there are any. */
enum wf_status engine_open_archive_early(struct wf_engine *engine, struct wf_error *err);
/* Before the log is open: the archived records after `after_lsn`. `*last_lsn` is the last one, or
 * `after_lsn` where there are none. WF_DAMAGE: some were dropped. */
enum wf_status engine_replay_archive(struct wf_engine *engine, wal_record_fn on_record, void *ctx,
                                     uint64_t after_lsn, uint64_t *last_lsn, struct wf_error *err);
/* What the options of wf_open() ask for. Takes the mutex by itself. */
void engine_archive_by_policy(struct wf_engine *engine);

extern const struct archive_hints engine_archive_hints;
/* A reader cannot archive, nor can anybody whose manifest cannot be read. */
enum wf_status engine_refuse_archiving(const struct wf_engine *engine, struct wf_error *err);

/* --- drop.c --- */

/* Carry on a drop that its record tells of, where it was cut short. */
enum wf_status engine_finish_drop(struct wf_engine *engine, struct wf_error *err);
/* Was this record dropped? Then `range` is what went with it. */
bool engine_dropped(struct wf_engine *engine, uint64_t lsn, struct archive_entry *range);
/* The event in place of records that cannot be read any more: dropped, or lost in a repair. */
bool engine_tell_missing(struct wf_engine *engine, uint64_t lsn, wf_event_fn on_event, void *ctx);
/* The same as an error: WF_NOT_FOUND where it was dropped, WF_DAMAGE where a repair lost it or its
 * archive is gone. `what` cannot be had therefore. */
/* as_of.c: WF_NOT_FOUND where the log has not come to the record yet; UINT64_MAX always has. */
enum wf_status engine_check_reached(struct wf_engine *engine, uint64_t lsn, struct wf_error *err);
enum wf_status engine_missing(struct wf_engine *engine, uint64_t lsn, const char *what,
                              struct wf_error *err);

/* --- records by place (history.c) --- */

/* Read and decode the record at `link`; all of it lives in `arena` and `bytes`. codec_release() it.
 * WF_NOT_FOUND: a repair dropped it, or its segment is gone. */
enum wf_status engine_read_record(struct wf_engine *engine, struct record_link link,
                                  struct codec_arena *arena, struct bytes_buffer *bytes,
                                  struct record *record, struct wf_error *err);
/* The links of all records about an account, or where that is empty about the subject of the record
 * `newest`, up to `last_lsn`, oldest first. The caller frees `*out`. `*lost_lsn`: where a repair
 * broke the chain, else 0. */
enum wf_status engine_collect_links(struct wf_engine *engine, struct bytes_view account,
                                    struct record_link newest, uint64_t last_lsn,
                                    struct record_link **out, size_t *count, uint64_t *lost_lsn,
                                    struct wf_error *err);
/* The definition that the record of a workflow names stages and steps of; NULL: not known. Takes
 * the mutex. */
const struct definition *engine_definition_of(struct wf_engine *engine,
                                              const struct record *record);
/* The workflow as it was after the record `lsn`, in a state of its own that the caller deinits.
 * `*workflow` NULL: it was not there yet. The mutex is not held. */
enum wf_status engine_state_as_of(struct wf_engine *engine, struct bytes_view id, uint64_t lsn,
                                  struct state *state, struct workflow **workflow,
                                  struct wf_error *err);

/* --- timers (due.c); the mutex is held --- */

/* The snapshot is another one: nothing is known of its deadlines. */
void due_forget(struct wf_engine *engine);
/* The workflow is about to leave memory: from now on the snapshot's pair stands for it. */
void due_evicted(struct wf_engine *engine, struct entity *entity);
/* No deadline is earlier than this; INT64_MAX: there is none. Costs nothing. */
int64_t due_bound_ms(const struct wf_engine *engine);
/* The first, in order of `timers` (the state's deadlines, or its tasks), in memory; NULL: none is
 * by `until_ms`. A damaged snapshot is dropped and the state rebuilt, once. */
enum wf_status due_find(struct wf_engine *engine, struct timers *timers, int64_t until_ms,
                        struct workflow **next, struct wf_error *err);
/* The earliest deadline; 0: there is none. */
enum wf_status due_next_ms(struct wf_engine *engine, int64_t *due_ms, struct wf_error *err);
/* Is there something for due_catch_up()? */
bool due_any(const struct wf_engine *engine, int64_t now_ms);
/* Fire all that is due, in order. May give the mutex up for a while. */
enum wf_status due_catch_up(struct wf_engine *engine, int64_t now_ms, struct wf_error *err);
enum wf_status due_start_thread(struct wf_engine *engine, struct wf_error *err);
void due_stop_thread(struct wf_engine *engine);
/* Write down that the clock jumped, if it did (jump.c). The mutex is held. */
enum wf_status jump_watch(struct wf_engine *engine, int64_t now_ms, struct wf_error *err);

/* --- commit.c --- */

/* As wf_enqueue(), for a command of the core's. With a session (else NULL) it is the commit of its
 * transaction: session_before_commit() has the last word before it is decided. */
enum wf_status engine_enqueue(struct wf_engine *engine, struct command *command,
                              struct wf_session *session, struct wf_pending *pending,
                              struct wf_error *err);
/* What is answered well as soon as what the ticket names is durable. */
void engine_pending_settle(struct wf_pending *pending, const struct wal_ticket *ticket);

/* Below, the mutex is held. */

/* Log and apply what was decided, without waiting. */
enum wf_status engine_append_decision(struct wf_engine *engine, const struct command *command,
                                      struct wal_ticket *ticket, struct wf_error *err);
/* Log and apply a record of the engine's own making, without waiting. */
enum wf_status engine_append_record(struct wf_engine *engine, struct record *record,
                                    struct wf_error *err);
/* What the clock has brought: a jump is written down, timers fire. May give the mutex up. */
enum wf_status engine_let_time_pass(struct wf_engine *engine, int64_t now_ms, struct wf_error *err);
/* A reader and a halted engine take no commands. */
enum wf_status engine_refuse_commands(const struct wf_engine *engine, struct wf_error *err);
/* Keep the memory bound and see to snapshots; gives the mutex up while one is written. */
void engine_look_after_memory(struct wf_engine *engine);

/* --- task.c --- */

void engine_forget_handlers(struct wf_engine *engine); /* handler.c */

/* --- query.c --- */

/* Find a workflow, loading it if need be. `*workflow` NULL: there is none. The mutex is held. */
enum wf_status engine_find_workflow(struct wf_engine *engine, struct bytes_view id,
                                    struct workflow **workflow, struct wf_error *err);
enum wf_status engine_not_found(struct wf_error *err, struct bytes_view id);
/* The same for an account; NULL: there is none. */
enum wf_status engine_find_account(struct wf_engine *engine, struct bytes_view number,
                                   struct account **account, struct wf_error *err);
/* Likewise for an idempotency key; NULL: it was not used, or is forgotten. */
enum wf_status engine_find_key(struct wf_engine *engine, struct bytes_view text,
                               const struct idempotency_key **key, struct wf_error *err);
enum wf_status engine_account_not_found(struct wf_error *err, struct bytes_view number);
/* Did a repair leave this record without effect? Takes the mutex by itself. */
enum wf_status engine_is_ineffective(struct wf_engine *engine, uint64_t lsn, bool *ineffective,
                                     struct wf_error *err);
/* As the host sees it; freed with wf_account_free(). account_query.c */
enum wf_status engine_copy_account(const struct account *account, int64_t now_ms,
                                   struct wf_account **out, struct wf_error *err);

/* --- reverse.c; the mutex is not held --- */

struct command_in;
/* Of account.reverse: what the record that it names moved. Nothing for other commands.
 * WF_NOT_FOUND: no such record. */
enum wf_status engine_read_reversed(struct wf_engine *engine, struct command_in *in,
                                    struct wf_error *err);

/* --- small things that several files need --- */

/* The clock's reading for a command of this engine; the mutex is held. */
int64_t engine_now_ms(const struct wf_engine *engine);
/* The time that a record written now bears: never less than the one before it. The mutex is held.
 */
int64_t engine_record_time_ms(const struct wf_engine *engine);
/* A ticket for the last appended record. The mutex is held. */
struct wal_ticket engine_last_ticket(const struct wf_engine *engine);
/* Wait until what the ticket names is durable, so that it may be shown. */
enum wf_status engine_wait_durable(struct wf_engine *engine, const struct wal_ticket *ticket,
                                   struct wf_error *err);
/* Log and apply a record of the engine's own making, and wait until it is durable. The mutex is
 * held, or nobody else knows the engine. */
enum wf_status engine_log_record(struct wf_engine *engine, struct record *record,
                                 struct wf_error *err);
/* A query read what then was cut off by a full disk, or is of unknown outcome: true where it should
 * look again, at what is durable. `*attempts` begins with 0. */
bool engine_ask_again(enum wf_status status, unsigned *attempts);
/* After a cut or a halt of the log: rebuild the state if need be. The mutex is held. */
enum wf_status engine_ensure_state(struct wf_engine *engine, struct wf_error *err);

#endif
