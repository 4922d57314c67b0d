/* wfbench: measures the figures (a) to (k) that the engine promises, each beside its raw baseline.
 */
#include "tools/wfbench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *figure, *name;
    void (*run)(struct bench *bench);
    const char *text;
} FIGURES[] = {
    {"a", "single", bench_single, "one thread, one durable transition at a time"},
    {"b", "groups", bench_groups, "groups of 1,024 from one thread"},
    {"b", "producer", bench_producer, "a producer that does not wait, a collector"},
    {"b", "threads", bench_threads, "64 threads that each wait for their own"},
    {"b", "exec", bench_exec, "wfctl exec fed from a file"},
    {"c", "replay", bench_replay, "replay of a log in the page cache"},
    {"d", "reopen", bench_reopen, "reopening, clean and after a kill"},
    {"e", "memory", bench_memory, "memory with 1,000,000 workflows"},
    {"f", "waiting", bench_waiting, "10,000 loans waiting, kill -9, reopen, answer"},
    {"g", "snapshots", bench_snapshots, "latency while snapshots run"},
    {"h", "archive", bench_archive, "archiving, beside pigz and zstd"},
    {"i", "ledger", bench_ledger, "transfers between accounts, beside SQLite"},
    {"j", "timers", bench_timers, "timers set, cancelled, and fired over thirty days"},
    {"k", "rollback", bench_rollback, "four stages undone, in groups"},
};
enum { FIGURE_COUNT = sizeof FIGURES / sizeof FIGURES[0] };

enum { EXIT_USAGE = 2 };

static void print_usage(FILE *out) {
    fputs("usage: wfbench [--only NAMES] [--runs N] [--quick] [-d DIR] [-o text|json] [--wfctl "
          "PATH]\n"
          "\n"
          "Measures wf on this machine, each figure beside its raw baseline: append + fdatasync of "
          "the\n"
          "same bytes on a preallocated file, in the same run. Values are medians.\n"
          "\n"
          "      --only NAMES   figures to measure, by letter or name, separated by commas\n"
          "      --runs N       runs of each (default 5)\n"
          "      --quick        small sizes and one run: a smoke test, not a measurement\n"
          "  -d, --dir DIR      an existing folder to work in; what is made there is removed\n"
          "                     afterwards (default: a new folder in the current one)\n"
          "  -o, --output FMT   text (default) or json\n"
          "      --wfctl PATH   the wfctl to measure (default: the one beside wfbench)\n"
          "  -h, --help         this text\n"
          "\n"
          "Figures:\n",
          out);
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        fprintf(out, "  %s  %-10s %s\n", FIGURES[i].figure, FIGURES[i].name, FIGURES[i].text);
}

/* Is figure `index` one of the names or letters in `only`? NULL means all. */
static bool is_chosen(const char *only, size_t index) {
    if (only == NULL)
        return true;
    for (const char *at = only; *at != '\0';) {
        size_t size = strcspn(at, ",");
        const char *names[] = {FIGURES[index].figure, FIGURES[index].name};
        for (size_t i = 0; i < 2; i++)
            if (strlen(names[i]) == size && strncmp(at, names[i], size) == 0)
                return true;
        at += size + (at[size] == ',');
    }
    return false;
}

static void find_programs(struct bench *bench, const char *wfctl) {
    ssize_t size = readlink("/proc/self/exe", bench->self, sizeof bench->self - 1);
    if (size < 0)
        bench_die("/proc/self/exe: %s", strerror(errno));
    bench->self[size] = '\0';
    if (wfctl != NULL) {
        snprintf(bench->wfctl, sizeof bench->wfctl, "%s", wfctl);
        return;
    }
    memcpy(bench->wfctl, bench->self, sizeof bench->wfctl);
    char *slash = strrchr(bench->wfctl, '/');
    size_t room = sizeof bench->wfctl - (size_t)(slash + 1 - bench->wfctl);
    snprintf(slash + 1, room, "wfctl");
}

/* The folder that is removed at the end, however it comes. */
static char scratch[PATH_MAX];
static pid_t scratch_owner;

static void remove_scratch(void) {
    if (scratch[0] != '\0' && getpid() == scratch_owner)
        bench_remove(scratch);
}

static void on_interrupt(int signal_number) {
    (void)signal_number;
    exit(130); /* not safe in every handler; here the worst is a folder that is left */
}

static const char *make_scratch(const char *dir) {
    snprintf(scratch, sizeof scratch, "%s/wfbench-XXXXXX", dir != NULL ? dir : ".");
    if (mkdtemp(scratch) == NULL) {
        int reason = errno;
        scratch[0] = '\0';
        bench_die("a folder in %s: %s", dir != NULL ? dir : ".", strerror(reason));
    }
    scratch_owner = getpid();
    if (atexit(remove_scratch) != 0)
        bench_die("atexit failed");
    const struct sigaction action = {.sa_handler = on_interrupt};
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
        bench_die("sigaction: %s", strerror(errno));
    return scratch;
}

struct choices {
    const char *only, *dir, *wfctl;
    bool json, quick;
    size_t runs; /* 0: not given */
};

/* False: said why on stderr. */
static bool check_choices(const struct choices *choices) {
    for (const char *at = choices->only; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, ",");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)size, at);
        bool known = false;
        for (size_t i = 0; i < FIGURE_COUNT && !known; i++)
            known = is_chosen(name, i);
        if (!known) {
            fprintf(stderr, "wfbench: there is no figure \"%s\"; see wfbench --help\n", name);
            return false;
        }
        at += size + (at[size] == ',');
    }
    return true;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct choices *choices) {
    enum { ONLY = 256, RUNS, QUICK, WFCTL };
    static const struct option OPTIONS[] = {
        {"only", required_argument, NULL, ONLY},  {"runs", required_argument, NULL, RUNS},
        {"quick", no_argument, NULL, QUICK},      {"dir", required_argument, NULL, 'd'},
        {"output", required_argument, NULL, 'o'}, {"wfctl", required_argument, NULL, WFCTL},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "d:o:h", OPTIONS, NULL)) != -1) {
        switch (option) {
        case ONLY:
            choices->only = optarg;
            break;
        case RUNS:
            choices->runs = strtoul(optarg, NULL, 10);
            if (choices->runs < 1 || choices->runs > BENCH_RUNS_MAX) {
                fprintf(stderr, "wfbench: --runs takes 1 to %d\n", BENCH_RUNS_MAX);
                return EXIT_USAGE;
            }
            break;
        case QUICK:
            choices->quick = true;
            break;
        case 'd':
            choices->dir = optarg;
            break;
        case 'o':
            if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0) {
                fputs("wfbench: -o takes text or json\n", stderr);
                return EXIT_USAGE;
            }
            choices->json = strcmp(optarg, "json") == 0;
            break;
        case WFCTL:
            choices->wfctl = optarg;
            break;
        case 'h':
            print_usage(stdout);
            return 0;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "wfbench: what is \"%s\"? See wfbench --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return check_choices(choices) ? -1 : EXIT_USAGE;
}

int main(int argc, char **argv) {
    if (argc >= 4 && strcmp(argv[1], "--worker") == 0)
        return bench_worker_main(argv[2], argc - 3, argv + 3);

    struct choices choices = {0};
    int status = parse_options(argc, argv, &choices);
    if (status >= 0)
        return status;

    static struct bench_row rows[BENCH_ROWS_MAX];
    struct bench bench = {.quick = choices.quick, .rows = rows};
    bench.runs = choices.runs != 0 ? choices.runs : choices.quick ? 1 : 5;
    find_programs(&bench, choices.wfctl);
    bench.dir = make_scratch(choices.dir);
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        if (is_chosen(choices.only, i))
            FIGURES[i].run(&bench);
    bench_progress_end();
    if (choices.json)
        bench_print_json(&bench, stdout);
    else
        bench_print_table(&bench, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
