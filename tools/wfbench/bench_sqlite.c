#include "tools/wfbench/bench_sqlite.h"

#include "tools/wfbench/bench.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum statement { BEGIN, COMMIT, LOOK, POST, UPDATE, ADD, STATEMENTS };

/* An account is found by its number, as the ledger finds it. */
static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [LOOK] = "SELECT currency, status, minimum, balance FROM account WHERE number = ?1",
    [POST] = "INSERT INTO posting (account, amount, transfer) VALUES (?1, ?2, ?3)",
    [UPDATE] = "UPDATE account SET balance = balance + ?2, version = version + 1 WHERE number = ?1",
    [ADD] = "INSERT INTO account VALUES (?1, 'USD', 1, 0, ?2, 1)",
};

struct bench_sqlite {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    int64_t transfer; /* number of the last one */
};

static void check(struct bench_sqlite *bank, int result, const char *what) {
    if (result != SQLITE_OK && result != SQLITE_DONE && result != SQLITE_ROW)
        bench_die("sqlite: %s: %s", what, sqlite3_errmsg(bank->db));
}

static void run(struct bench_sqlite *bank, const char *text) {
    check(bank, sqlite3_exec(bank->db, text, NULL, NULL, NULL), text);
}

static void step(struct bench_sqlite *bank, enum statement which) {
    check(bank, sqlite3_step(bank->statements[which]), sql[which]);
    check(bank, sqlite3_reset(bank->statements[which]), sql[which]);
}

static void bind_number(struct bench_sqlite *bank, enum statement which, const char *number,
                        int size) {
    check(bank, sqlite3_bind_text(bank->statements[which], 1, number, size, SQLITE_STATIC), "bind");
}

static void bind_amount(struct bench_sqlite *bank, enum statement which, int64_t amount) {
    check(bank, sqlite3_bind_int64(bank->statements[which], 2, amount), "bind");
}

struct bench_sqlite *bench_sqlite_open(const char *dir, char (*numbers)[16], unsigned accounts,
                                       int64_t balance) {
    struct bench_sqlite *bank = calloc(1, sizeof *bank);
    char path[PATH_MAX];
    if (bank == NULL)
        bench_die("no memory");
    check(bank, sqlite3_open(bench_path(path, dir, "bank.sqlite"), &bank->db), "open");
    run(bank, "PRAGMA journal_mode = WAL");
    run(bank, "PRAGMA synchronous = FULL");
    run(bank, "CREATE TABLE account (number TEXT PRIMARY KEY, currency TEXT NOT NULL, status "
              "INTEGER NOT NULL, minimum INTEGER NOT NULL, balance INTEGER NOT NULL, version "
              "INTEGER NOT NULL) WITHOUT ROWID");
    run(bank, "CREATE TABLE posting (id INTEGER PRIMARY KEY, account TEXT NOT NULL, amount "
              "INTEGER NOT NULL, transfer INTEGER NOT NULL)");
    for (int i = 0; i < STATEMENTS; i++)
        check(bank,
              sqlite3_prepare_v3(bank->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                 &bank->statements[i], NULL),
              sql[i]);
    bench_sqlite_begin(bank);
    for (unsigned i = 0; i < accounts; i++) {
        bind_number(bank, ADD, numbers[i], (int)strlen(numbers[i]));
        bind_amount(bank, ADD, balance);
        step(bank, ADD);
    }
    bench_sqlite_commit(bank);
    return bank;
}

void bench_sqlite_close(struct bench_sqlite *bank) {
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(bank->statements[i]);
    check(bank, sqlite3_close(bank->db), "close");
    free(bank);
}

void bench_sqlite_begin(struct bench_sqlite *bank) {
    step(bank, BEGIN);
}

void bench_sqlite_commit(struct bench_sqlite *bank) {
    step(bank, COMMIT);
}

/* Active, in dollars, and (`least` > 0) with that much above its minimum. */
static void look(struct bench_sqlite *bank, const char *number, int size, int64_t least) {
    sqlite3_stmt *statement = bank->statements[LOOK];
    bind_number(bank, LOOK, number, size);
    if (sqlite3_step(statement) != SQLITE_ROW)
        bench_die("sqlite: there is no account %s", number);
    if (memcmp(sqlite3_column_text(statement, 0), "USD", 4) != 0 ||
        sqlite3_column_int(statement, 1) != 1 ||
        sqlite3_column_int64(statement, 3) - least < sqlite3_column_int64(statement, 2))
        bench_die("sqlite: account %s may not take part", number);
    check(bank, sqlite3_reset(statement), sql[LOOK]);
}

static void put(struct bench_sqlite *bank, const char *number, int size, int64_t amount) {
    bind_number(bank, POST, number, size);
    bind_amount(bank, POST, amount);
    check(bank, sqlite3_bind_int64(bank->statements[POST], 3, bank->transfer), "bind");
    step(bank, POST);
    bind_number(bank, UPDATE, number, size);
    bind_amount(bank, UPDATE, amount);
    step(bank, UPDATE);
}

void bench_sqlite_transfer(struct bench_sqlite *bank, const char *from, const char *to,
                           int64_t amount) {
    int from_size = (int)strlen(from), to_size = (int)strlen(to);
    bank->transfer++;
    look(bank, from, from_size, amount);
    look(bank, to, to_size, 0);
    put(bank, from, from_size, -amount);
    put(bank, to, to_size, amount);
}
