#include "tests/sim/history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NOBODY = -1 };

struct version {
    uint64_t lsn;
    int writer; /* NOBODY: it was opened so */
    int64_t balance;
};

struct graph {
    uint64_t edges[HISTORY_TRANSACTIONS_MAX]; /* bit j of i: i -> j */
};

struct checker {
    const struct history *history;
    struct version versions[HISTORY_ACCOUNTS][HISTORY_TRANSACTIONS_MAX + 1];
    size_t version_count[HISTORY_ACCOUNTS];
    struct graph ww, wr, rw, rt;
    char *text;
};

static bool complain(struct checker *checker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool complain(struct checker *checker, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(checker->text, HISTORY_TEXT_MAX, format, args);
    va_end(args);
    return false;
}

/* --- versions --- */

static int64_t amount_of(const struct history_transaction *t, size_t steps, int account) {
    int64_t sum = 0;
    for (size_t i = 0; i < steps; i++)
        if (t->steps[i].kind == HISTORY_WRITE)
            sum += t->steps[i].amounts[account];
    return sum;
}

/* The committed writer of the account whose record is the next one after `lsn`. */
static int next_writer(const struct history *h, int account, uint64_t lsn) {
    int next = NOBODY;
    for (size_t i = 0; i < h->count; i++) {
        const struct history_transaction *t = &h->transactions[i];
        if (t->committed && t->wrote[account] && t->lsn > lsn &&
            (next == NOBODY || t->lsn < h->transactions[next].lsn))
            next = (int)i;
    }
    return next;
}

static void list_versions(struct checker *checker) {
    const struct history *h = checker->history;
    for (int account = 0; account < HISTORY_ACCOUNTS; account++) {
        struct version version = {h->first_lsn[account], NOBODY, h->first_balance[account]};
        size_t count = 0;
        for (;;) {
            checker->versions[account][count++] = version;
            int writer = next_writer(h, account, version.lsn);
            if (writer == NOBODY)
                break;
            const struct history_transaction *t = &h->transactions[writer];
            version.lsn = t->lsn;
            version.writer = writer;
            version.balance += amount_of(t, t->step_count, account);
        }
        checker->version_count[account] = count;
    }
}

/* Index of the version of that LSN; -1: there is none. */
static int find_version(const struct checker *checker, int account, uint64_t lsn) {
    for (size_t i = 0; i < checker->version_count[account]; i++)
        if (checker->versions[account][i].lsn == lsn)
            return (int)i;
    return -1;
}

static int version_as_of(const struct checker *checker, int account, uint64_t lsn) {
    int found = -1;
    for (size_t i = 0; i < checker->version_count[account]; i++)
        if (checker->versions[account][i].lsn <= lsn)
            found = (int)i;
    return found;
}

void history_end(const struct history *history, int64_t balances[HISTORY_ACCOUNTS]) {
    struct checker checker = {.history = history};
    list_versions(&checker);
    for (int account = 0; account < HISTORY_ACCOUNTS; account++)
        balances[account] = checker.versions[account][checker.version_count[account] - 1].balance;
}

/* --- what was seen --- */

static bool check_seen(struct checker *checker, size_t number, size_t step, int account) {
    const struct history_transaction *t = &checker->history->transactions[number];
    const struct history_seen *seen = &t->steps[step].seen[account];
    int version = find_version(checker, account, seen->lsn);
    if (version < 0)
        return complain(checker,
                        "G1a: transaction %zu saw version %" PRIu64
                        " of account %d, which nobody committed",
                        number, seen->lsn, account);
    int64_t balance = checker->versions[account][version].balance + amount_of(t, step, account);
    if (balance != seen->balance)
        return complain(checker,
                        "G1b: transaction %zu saw %" PRId64 " in version %" PRIu64
                        " of account %d, which holds %" PRId64 " with its own writes",
                        number, seen->balance, seen->lsn, account, balance);
    return true;
}

/* Is the scan what there was after the record `lsn`? */
static bool scan_is_as_of(const struct checker *checker, size_t number, size_t step, uint64_t lsn) {
    const struct history_transaction *t = &checker->history->transactions[number];
    for (int account = 0; account < HISTORY_ACCOUNTS; account++) {
        const struct history_seen *seen = &t->steps[step].seen[account];
        int version = version_as_of(checker, account, lsn);
        if (version < 0)
            return false;
        const struct version *then = &checker->versions[account][version];
        bool fits = then->balance + amount_of(t, step, account) >= t->steps[step].least;
        if (fits != seen->found || (fits && seen->lsn != then->lsn))
            return false;
    }
    return true;
}

static bool scan_is_of_an_instant(const struct checker *checker, size_t number, size_t step) {
    for (int account = 0; account < HISTORY_ACCOUNTS; account++)
        for (size_t i = 0; i < checker->version_count[account]; i++)
            if (scan_is_as_of(checker, number, step, checker->versions[account][i].lsn))
                return true;
    return false;
}

static bool check_scan(struct checker *checker, size_t number, size_t step) {
    const struct history_transaction *t = &checker->history->transactions[number];
    for (int account = 0; account < HISTORY_ACCOUNTS; account++)
        if (t->steps[step].seen[account].found && !check_seen(checker, number, step, account))
            return false;
    bool good = t->isolation == WF_READ_COMMITTED
                    ? scan_is_of_an_instant(checker, number, step)
                    : scan_is_as_of(checker, number, step, t->snapshot_lsn);
    return good ||
           complain(checker, "scan: transaction %zu, step %zu: what it found was never so%s",
                    number, step, t->isolation == WF_READ_COMMITTED ? "" : " at its snapshot");
}

static bool check_read(struct checker *checker, size_t number, size_t step) {
    const struct history_transaction *t = &checker->history->transactions[number];
    int account = t->steps[step].account;
    if (!check_seen(checker, number, step, account))
        return false;
    if (t->isolation == WF_READ_COMMITTED)
        return true;
    int version = version_as_of(checker, account, t->snapshot_lsn);
    if (version >= 0 && checker->versions[account][version].lsn == t->steps[step].seen[account].lsn)
        return true;
    return complain(checker,
                    "snapshot: transaction %zu, of snapshot %" PRIu64 ", saw version %" PRIu64
                    " of account %d",
                    number, t->snapshot_lsn, t->steps[step].seen[account].lsn, account);
}

/* A snapshot has all that had ended before it began. */
static bool check_snapshot(struct checker *checker, size_t number) {
    const struct history *h = checker->history;
    const struct history_transaction *t = &h->transactions[number];
    for (size_t i = 0; t->isolation != WF_READ_COMMITTED && i < h->count; i++) {
        const struct history_transaction *other = &h->transactions[i];
        if (other->committed && other->end < t->begin && other->lsn > t->snapshot_lsn)
            return complain(checker,
                            "stale: transaction %zu began after %zu had ended, and its snapshot "
                            "is older",
                            number, i);
    }
    return true;
}

static bool check_steps(struct checker *checker) {
    for (size_t i = 0; i < checker->history->count; i++) {
        const struct history_transaction *t = &checker->history->transactions[i];
        if (!check_snapshot(checker, i))
            return false;
        for (size_t step = 0; step < t->step_count; step++) {
            if (t->steps[step].kind == HISTORY_READ && !check_read(checker, i, step))
                return false;
            if (t->steps[step].kind == HISTORY_SCAN && !check_scan(checker, i, step))
                return false;
        }
    }
    return true;
}

/* --- edges --- */

static void add_edge(struct graph *graph, int from, int to) {
    if (from != NOBODY && to != NOBODY && from != to)
        graph->edges[from] |= UINT64_C(1) << to;
}

static bool has_edge(const struct graph *graph, size_t from, size_t to) {
    return (graph->edges[from] >> to & 1) != 0;
}

static void add_item(struct checker *checker, int reader, int account, uint64_t lsn) {
    int version = find_version(checker, account, lsn);
    if (version < 0)
        return;
    add_edge(&checker->wr, checker->versions[account][version].writer, reader);
    if ((size_t)version + 1 < checker->version_count[account])
        add_edge(&checker->rw, reader, checker->versions[account][version + 1].writer);
}

/* What the scan did not find, and would have found later: the first version that fits. */
static void add_missed(struct checker *checker, int reader, size_t step, int account) {
    const struct history_transaction *t = &checker->history->transactions[reader];
    int64_t own = amount_of(t, step, account);
    int version = version_as_of(checker, account, t->snapshot_lsn);
    for (size_t i = (size_t)version + 1; i < checker->version_count[account]; i++) {
        const struct version *later = &checker->versions[account][i];
        if (later->balance + own >= t->steps[step].least) {
            add_edge(&checker->rw, reader, later->writer);
            return;
        }
    }
}

static void add_reads(struct checker *checker, int reader) {
    const struct history_transaction *t = &checker->history->transactions[reader];
    for (size_t step = 0; step < t->step_count; step++) {
        for (int account = 0; account < HISTORY_ACCOUNTS; account++) {
            const struct history_seen *seen = &t->steps[step].seen[account];
            bool read = t->steps[step].kind == HISTORY_READ && t->steps[step].account == account;
            bool scanned = t->steps[step].kind == HISTORY_SCAN;
            if (read || (scanned && seen->found))
                add_item(checker, reader, account, seen->lsn);
            else if (scanned && t->isolation != WF_READ_COMMITTED)
                add_missed(checker, reader, step, account);
        }
    }
}

static void add_edges(struct checker *checker) {
    const struct history *h = checker->history;
    for (int account = 0; account < HISTORY_ACCOUNTS; account++)
        for (size_t i = 1; i < checker->version_count[account]; i++)
            add_edge(&checker->ww, checker->versions[account][i - 1].writer,
                     checker->versions[account][i].writer);
    for (size_t i = 0; i < h->count; i++) {
        if (!h->transactions[i].committed)
            continue;
        add_reads(checker, (int)i);
        for (size_t j = 0; j < h->count; j++)
            if (h->transactions[j].committed && h->transactions[i].end < h->transactions[j].begin)
                add_edge(&checker->rt, (int)i, (int)j);
    }
}

/* --- cycles --- */

static void add_graph(struct graph *to, const struct graph *from) {
    for (size_t i = 0; i < HISTORY_TRANSACTIONS_MAX; i++)
        to->edges[i] |= from->edges[i];
}

/* From each to all that can be reached. */
static struct graph close_graph(const struct graph *graph) {
    struct graph closed = *graph;
    for (size_t k = 0; k < HISTORY_TRANSACTIONS_MAX; k++)
        for (size_t i = 0; i < HISTORY_TRANSACTIONS_MAX; i++)
            if (has_edge(&closed, i, k))
                closed.edges[i] |= closed.edges[k];
    return closed;
}

static const char *kind_of(const struct checker *checker, size_t from, size_t to) {
    return has_edge(&checker->ww, from, to)   ? "ww"
           : has_edge(&checker->wr, from, to) ? "wr"
           : has_edge(&checker->rw, from, to) ? "rw"
           : has_edge(&checker->rt, from, to) ? "rt"
                                              : "start";
}

/* The shortest way along the edges, in words behind what is there. */
static void tell_way(struct checker *checker, const struct graph *graph, size_t from, size_t to) {
    int before[HISTORY_TRANSACTIONS_MAX];
    size_t queue[HISTORY_TRANSACTIONS_MAX], first = 0, last = 0;
    memset(before, -1, sizeof before);
    queue[last++] = from;
    while (first < last && before[to] < 0) {
        size_t at = queue[first++];
        for (size_t next = 0; next < HISTORY_TRANSACTIONS_MAX; next++) {
            if (has_edge(graph, at, next) && before[next] < 0) {
                before[next] = (int)at;
                if (next != from)
                    queue[last++] = next;
            }
        }
    }
    size_t way[HISTORY_TRANSACTIONS_MAX + 1], count = 0;
    way[count++] = to;
    for (size_t at = to; before[at] >= 0 && count <= HISTORY_TRANSACTIONS_MAX;) {
        at = (size_t)before[at];
        way[count++] = at;
        if (at == from)
            break;
    }
    for (; count > 1; count--) {
        size_t used = strlen(checker->text);
        snprintf(checker->text + used, HISTORY_TEXT_MAX - used, " %zu -%s-> %zu", way[count - 1],
                 kind_of(checker, way[count - 1], way[count - 2]), way[count - 2]);
    }
}

static bool is_acyclic(struct checker *checker, const struct graph *graph, const char *name) {
    struct graph closed = close_graph(graph);
    for (size_t i = 0; i < HISTORY_TRANSACTIONS_MAX; i++) {
        if (has_edge(&closed, i, i)) {
            complain(checker, "%s: a cycle:", name);
            tell_way(checker, graph, i, i);
            return false;
        }
    }
    return true;
}

/* --- SNAPSHOT --- */

static bool starts_after(const struct history_transaction *t,
                         const struct history_transaction *other) {
    return t->isolation != WF_READ_COMMITTED && other->lsn != 0 && other->lsn <= t->snapshot_lsn;
}

/* What it depends on was committed when it began. */
static bool check_interference(struct checker *checker) {
    const struct history *h = checker->history;
    struct graph depends = checker->ww;
    add_graph(&depends, &checker->wr);
    for (size_t i = 0; i < h->count; i++)
        for (size_t j = 0; j < h->count; j++)
            if (has_edge(&depends, i, j) && h->transactions[j].isolation != WF_READ_COMMITTED &&
                !starts_after(&h->transactions[j], &h->transactions[i]))
                return complain(checker,
                                "G-SIa: %zu -%s-> %zu, which began before that was committed", i,
                                kind_of(checker, i, j), j);
    return true;
}

/* A cycle with exactly one rw, which begins at a transaction that has a snapshot. */
static bool check_missed_effects(struct checker *checker) {
    const struct history *h = checker->history;
    struct graph rest = checker->ww;
    add_graph(&rest, &checker->wr);
    for (size_t i = 0; i < h->count; i++)
        for (size_t j = 0; j < h->count; j++)
            if (i != j && h->transactions[i].committed && h->transactions[j].committed &&
                starts_after(&h->transactions[j], &h->transactions[i]))
                add_edge(&rest, (int)i, (int)j);
    struct graph closed = close_graph(&rest);
    for (size_t i = 0; i < h->count; i++) {
        for (size_t j = 0; j < h->count; j++) {
            if (h->transactions[i].isolation == WF_READ_COMMITTED ||
                !has_edge(&checker->rw, i, j) || !has_edge(&closed, j, i))
                continue;
            complain(checker, "G-SIb: %zu -rw-> %zu, and back:", i, j);
            tell_way(checker, &rest, j, i);
            return false;
        }
    }
    return true;
}

/* --- all of it --- */

static void begin_check(struct checker *checker, const struct history *history, char *text) {
    memset(checker, 0, sizeof *checker);
    checker->history = history;
    checker->text = text;
    text[0] = '\0';
    list_versions(checker);
}

bool history_is_serializable(const struct history *history, char text[HISTORY_TEXT_MAX]) {
    struct checker checker;
    begin_check(&checker, history, text);
    add_edges(&checker);
    struct graph all = checker.ww;
    add_graph(&all, &checker.wr);
    add_graph(&all, &checker.rw);
    add_graph(&all, &checker.rt);
    return is_acyclic(&checker, &all, "not serializable");
}

bool history_check(const struct history *history, char text[HISTORY_TEXT_MAX]) {
    struct checker checker;
    begin_check(&checker, history, text);
    if (!check_steps(&checker))
        return false;
    add_edges(&checker);
    struct graph graph = checker.ww;
    add_graph(&graph, &checker.wr);
    add_graph(&graph, &checker.rt);
    if (!is_acyclic(&checker, &graph, "G1c") || !check_interference(&checker) ||
        !check_missed_effects(&checker))
        return false;
    for (size_t i = 0; i < history->count; i++)
        if (history->transactions[i].isolation == WF_SERIALIZABLE)
            graph.edges[i] |= checker.rw.edges[i];
    return is_acyclic(&checker, &graph, "not serializable");
}

void history_print(const struct history *h) {
    for (size_t i = 0; i < h->count; i++) {
        const struct history_transaction *t = &h->transactions[i];
        printf("%zu: %s of %" PRIu64 ", %" PRIu64 " to %" PRIu64 ", %s %" PRIu64 ":", i,
               wf_isolation_name(t->isolation), t->snapshot_lsn, t->begin, t->end,
               t->committed ? "committed as" : "not committed", t->lsn);
        for (size_t s = 0; s < t->step_count; s++) {
            const struct history_step *step = &t->steps[s];
            printf(" %s", step->kind == HISTORY_READ   ? "r"
                          : step->kind == HISTORY_SCAN ? "s"
                                                       : "w");
            if (step->kind == HISTORY_SCAN)
                printf(">=%" PRId64, step->least);
            for (int a = 0; a < HISTORY_ACCOUNTS; a++) {
                if (step->seen[a].found)
                    printf("(%d v%" PRIu64 " %" PRId64 ")", a, step->seen[a].lsn,
                           step->seen[a].balance);
                if (step->amounts[a] != 0)
                    printf("(%d %+" PRId64 ")", a, step->amounts[a]);
            }
        }
        printf("\n");
    }
}
