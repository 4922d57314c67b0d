/* The other side of the ledger's figures: the same transfers in SQLite, with the same two postings,
 * two balance updates and checks; WAL, synchronous=FULL, prepared statements. */
#ifndef WFBENCH_BENCH_SQLITE_H
#define WFBENCH_BENCH_SQLITE_H

#include <stdint.h>

struct bench_sqlite;

/* A new database in `dir` with these accounts, each with `balance` minor units. */
struct bench_sqlite *bench_sqlite_open(const char *dir, char (*numbers)[16], unsigned accounts,
                                       int64_t balance);
void bench_sqlite_close(struct bench_sqlite *bank);
/* Transfers between begin and commit are one transaction, durable when commit returns. */
void bench_sqlite_begin(struct bench_sqlite *bank);
void bench_sqlite_transfer(struct bench_sqlite *bank, const char *from, const char *to,
                           int64_t amount);
void bench_sqlite_commit(struct bench_sqlite *bank);

#endif
