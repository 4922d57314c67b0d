/* (i) Transfers between accounts: one durable transaction at a time beside the raw disk and beside
 * SQLite; groups of 1,000, as one transaction and as so many that are synced together, beside
 * SQLite's transactions of 1,000; and the same where all money leaves one account. */
#include "tools/wfbench/bench.h"
#include "tools/wfbench/bench_sqlite.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    ACCOUNTS = 10000,
    ACCOUNTS_QUICK = 100,
    GROUP = 1000,
    GROUPS = 200,
    SQLITE_GROUPS = 40, /* it is slower: as long, about */
    GROUPS_QUICK = 3,
    SLICES = 8, /* of a run, as in bench_single.c */
    SLICE = 150,
    SLICE_QUICK = 5,
    CENTS = 100, /* of a transfer */
};
static const char balance[] = "10000000.00";
static const int64_t balance_cents = 1000000000;

/* One bank on either side, and the transfers that both make: from a seed, or from one account. */
struct banks {
    struct wf_engine *engine;
    struct bench_sqlite *sqlite;
    struct bench_raw raw;
    unsigned accounts;
    bool hot;
    uint64_t seed, sqlite_seed;
    char engine_dir[PATH_MAX];
    char (*numbers)[16]; /* of the accounts: made once, for either side */
};

static uint64_t next_number(uint64_t *seed) { /* splitmix64 */
    uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static void choose(const struct banks *banks, uint64_t *seed, unsigned *from, unsigned *to) {
    uint64_t number = next_number(seed);
    *from = banks->hot ? 0 : (unsigned)(number % banks->accounts);
    *to = (unsigned)((*from + 1 + (number >> 32) % (banks->accounts - 1)) % banks->accounts);
}

struct transfer {
    struct wf_operation operation;
    struct wf_command command;
};

static void choose_operation(struct banks *banks, struct wf_operation *operation) {
    unsigned from, to;
    choose(banks, &banks->seed, &from, &to);
    *operation = (struct wf_operation){.type = "transfer",
                                       .from = banks->numbers[from],
                                       .to = banks->numbers[to],
                                       .amount = "1.00",
                                       .currency = "USD"};
}

static void make_transfer(struct banks *banks, struct transfer *transfer) {
    choose_operation(banks, &transfer->operation);
    transfer->command = (struct wf_command){
        .kind = WF_ACCOUNT_TRANSACT, .operations = &transfer->operation, .operation_count = 1};
}

static void open_accounts(struct banks *banks) {
    struct wf_pending *group = malloc(GROUP * sizeof *group);
    struct wf_error err;
    if (group == NULL)
        bench_die("no memory");
    for (unsigned done = 0; done < banks->accounts; done += GROUP) {
        unsigned size = banks->accounts - done < GROUP ? banks->accounts - done : GROUP;
        for (unsigned i = 0; i < size; i++) {
            const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                               .id = banks->numbers[done + i],
                                               .type = "checking",
                                               .currency = "USD",
                                               .amount = balance};
            bench_check(wf_enqueue(banks->engine, &command, &group[i], &err), &err, "open");
        }
        for (unsigned i = 0; i < size; i++)
            bench_check(wf_wait(banks->engine, &group[i], NULL, &err), &err, "open");
    }
    free(group);
}

static void open_banks(struct bench *bench, struct banks *banks, bool hot) {
    struct wf_options options;
    *banks = (struct banks){.accounts = bench->quick ? ACCOUNTS_QUICK : ACCOUNTS,
                            .hot = hot,
                            .seed = 1,
                            .sqlite_seed = 1};
    banks->numbers = malloc(banks->accounts * sizeof *banks->numbers);
    if (banks->numbers == NULL)
        bench_die("no memory");
    for (unsigned i = 0; i < banks->accounts; i++)
        snprintf(banks->numbers[i], sizeof *banks->numbers, "ACC%06u", i);
    bench_options(&options);
    banks->engine =
        bench_store_create(bench_path(banks->engine_dir, bench->dir, "ledger"), &options);
    open_accounts(banks);
    banks->sqlite = bench_sqlite_open(bench->dir, banks->numbers, banks->accounts, balance_cents);
    bench_raw_open(&banks->raw, bench->dir, 64 << 20);
}

static void close_banks(struct bench *bench, struct banks *banks) {
    static const char *const files[] = {"bank.sqlite", "bank.sqlite-wal", "bank.sqlite-shm"};
    struct wf_account_report report;
    struct wf_error err;
    char path[PATH_MAX];
    bench_check(wf_account_check(banks->engine, &report, &err), &err, "account check");
    bench_store_close(banks->engine);
    bench_sqlite_close(banks->sqlite);
    bench_raw_close(&banks->raw);
    bench_remove(banks->engine_dir);
    free(banks->numbers);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        remove(bench_path(path, bench->dir, files[i]));
}

/* --- one at a time; each returns microseconds a transfer --- */

static double engine_slice(struct banks *banks, unsigned count) {
    struct wf_error err;
    uint64_t start = bench_now_ns();
    for (unsigned i = 0; i < count; i++) {
        struct transfer transfer;
        make_transfer(banks, &transfer);
        bench_check(wf_execute(banks->engine, &transfer.command, NULL, &err), &err, "transfer");
    }
    return (double)(bench_now_ns() - start) / count / 1e3;
}

static double sqlite_slice(struct banks *banks, unsigned count) {
    uint64_t start = bench_now_ns();
    for (unsigned i = 0; i < count; i++) {
        unsigned from, to;
        choose(banks, &banks->sqlite_seed, &from, &to);
        bench_sqlite_begin(banks->sqlite);
        bench_sqlite_transfer(banks->sqlite, banks->numbers[from], banks->numbers[to], CENTS);
        bench_sqlite_commit(banks->sqlite);
    }
    return (double)(bench_now_ns() - start) / count / 1e3;
}

static double raw_slice(struct banks *banks, size_t size, unsigned count) {
    uint64_t start = bench_now_ns();
    for (unsigned i = 0; i < count; i++)
        bench_raw_append(&banks->raw, size);
    return (double)(bench_now_ns() - start) / count / 1e3;
}

static void measure_single(struct bench *bench, struct banks *banks) {
    const unsigned slice = bench->quick ? SLICE_QUICK : SLICE;
    uint64_t before = bench_log_bytes(banks->engine);
    engine_slice(banks, slice);
    size_t record = (size_t)((bench_log_bytes(banks->engine) - before) / slice);
    sqlite_slice(banks, slice);
    raw_slice(banks, record, slice);
    struct bench_row *raw =
        bench_row_add(bench, &(struct bench_row){.figure = "i",
                                                 .name = "ledger_single",
                                                 .title = "one durable transfer at a time",
                                                 .unit = "µs",
                                                 .baseline = "raw",
                                                 .better = BENCH_LOWER,
                                                 .judged = BENCH_BY_RATIO,
                                                 .floor = 1.3,
                                                 .goal = 1.1});
    struct bench_row *sqlite =
        bench_row_add(bench, &(struct bench_row){.figure = "i",
                                                 .name = "ledger_single_sqlite",
                                                 .title = "the same, beside SQLite",
                                                 .unit = "µs",
                                                 .baseline = "sqlite",
                                                 .better = BENCH_LOWER});
    snprintf(raw->note, sizeof raw->note, "%zu bytes a record", record);
    for (size_t run = 0; run < bench->runs; run++) {
        double engine_us[SLICES], raw_us[SLICES], sqlite_us[SLICES];
        bench_progress("ledger_single", run + 1, bench->runs);
        for (unsigned i = 0; i < SLICES; i++) {
            engine_us[i] = engine_slice(banks, slice);
            raw_us[i] = raw_slice(banks, record, slice);
            sqlite_us[i] = sqlite_slice(banks, slice);
        }
        double value = bench_percentile(engine_us, SLICES, 0.5);
        bench_row_run(raw, value, bench_percentile(raw_us, SLICES, 0.5));
        bench_row_run(sqlite, value, bench_percentile(sqlite_us, SLICES, 0.5));
    }
}

/* --- groups; each returns transfers a second --- */

static double engine_groups(struct banks *banks, unsigned groups, struct wf_pending *pendings) {
    struct wf_error err;
    uint64_t start = bench_now_ns();
    for (unsigned group = 0; group < groups; group++) {
        for (unsigned i = 0; i < GROUP; i++) {
            struct transfer transfer;
            make_transfer(banks, &transfer);
            bench_check(wf_enqueue(banks->engine, &transfer.command, &pendings[i], &err), &err,
                        "transfer");
        }
        for (unsigned i = GROUP; i-- > 0;)
            bench_check(wf_wait(banks->engine, &pendings[i], NULL, &err), &err, "transfer");
    }
    return (double)groups * GROUP * 1e9 / (double)(bench_now_ns() - start);
}

/* The group as one transaction, as SQLite has it. */
static double engine_batches(struct banks *banks, unsigned groups, struct wf_pending *pendings) {
    static struct wf_operation operations[GROUP];
    struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = operations, .operation_count = GROUP};
    struct wf_error err;
    (void)pendings;
    uint64_t start = bench_now_ns();
    for (unsigned group = 0; group < groups; group++) {
        for (unsigned i = 0; i < GROUP; i++)
            choose_operation(banks, &operations[i]);
        bench_check(wf_execute(banks->engine, &command, NULL, &err), &err, "transaction");
    }
    return (double)groups * GROUP * 1e9 / (double)(bench_now_ns() - start);
}

static double sqlite_groups(struct banks *banks, unsigned groups) {
    uint64_t start = bench_now_ns();
    for (unsigned group = 0; group < groups; group++) {
        bench_sqlite_begin(banks->sqlite);
        for (unsigned i = 0; i < GROUP; i++) {
            unsigned from, to;
            choose(banks, &banks->sqlite_seed, &from, &to);
            bench_sqlite_transfer(banks->sqlite, banks->numbers[from], banks->numbers[to], CENTS);
        }
        bench_sqlite_commit(banks->sqlite);
    }
    return (double)groups * GROUP * 1e9 / (double)(bench_now_ns() - start);
}

static double raw_groups(struct banks *banks, unsigned groups, size_t size) {
    uint64_t start = bench_now_ns();
    for (unsigned group = 0; group < groups; group++)
        bench_raw_append(&banks->raw, size);
    return (double)groups * GROUP * 1e9 / (double)(bench_now_ns() - start);
}

typedef double (*groups_fn)(struct banks *banks, unsigned groups, struct wf_pending *pendings);

static void measure_groups(struct bench *bench, struct banks *banks, groups_fn run_groups,
                           const char *name, const char *title) {
    const unsigned groups = bench->quick ? GROUPS_QUICK : GROUPS;
    const unsigned of_sqlite = bench->quick ? GROUPS_QUICK : SQLITE_GROUPS;
    struct wf_pending *pendings = malloc(GROUP * sizeof *pendings);
    if (pendings == NULL)
        bench_die("no memory");
    struct bench_row *row = bench_row_add(bench, &(struct bench_row){.figure = "i",
                                                                     .name = name,
                                                                     .title = title,
                                                                     .unit = "/s",
                                                                     .baseline = "sqlite",
                                                                     .better = BENCH_HIGHER,
                                                                     .judged = BENCH_BY_RATIO,
                                                                     .floor = 5});
    for (size_t run = 0; run < bench->runs; run++) {
        bench_progress(name, run + 1, bench->runs);
        uint64_t before = bench_log_bytes(banks->engine);
        double value = run_groups(banks, groups, pendings);
        size_t size = (size_t)((bench_log_bytes(banks->engine) - before) / groups);
        bench_row_run(row, value, sqlite_groups(banks, of_sqlite));
        double raw = raw_groups(banks, of_sqlite, size);
        snprintf(row->note, sizeof row->note,
                 "transactions of 1,000 there; goal 500,000/s; the disk alone takes %.0f/s", raw);
    }
    free(pendings);
}

void bench_ledger(struct bench *bench) {
    struct banks *banks = malloc(sizeof *banks);
    if (banks == NULL)
        bench_die("no memory");
    open_banks(bench, banks, false);
    measure_single(bench, banks);
    measure_groups(bench, banks, engine_batches, "ledger_batch", "transactions of 1,000 transfers");
    measure_groups(bench, banks, engine_groups, "ledger_groups",
                   "1,000 transactions of one, synced together");
    close_banks(bench, banks);
    open_banks(bench, banks, true);
    measure_groups(bench, banks, engine_batches, "ledger_hot_batch",
                   "transactions of 1,000, all from one account");
    measure_groups(bench, banks, engine_groups, "ledger_hot", "1,000 of one, all from one account");
    close_banks(bench, banks);
    free(banks);
}
