/* Any line as a request of `wfctl exec`: it is refused as malformed, or names a command and has
 * what that command needs; then an engine executes it, and answers with one of the words that the
 * contract has. */
#include "engine/engine.h"
#include "tests/fuzz/seeds.h"
#include "tests/lib/core_store.h"
#include "tests/lib/sim_io.h"
#include "tests/lib/sim_snapshot.h"
#include "tools/wfctl/exec_request.h"

#include <string.h>

enum { LINES_PER_STORE = 500 };

static struct sim_io *sim;
static struct sim_snapshots *snapshots;
static struct wf_engine *engine;
static unsigned lines;

static void execute(struct wf_command command) {
    (void)wf_execute(engine, &command, NULL, NULL);
}

/* Sessions that somebody waits for in vain are told at once. */
static void open_pool(void) {
    static const char line[] =
        "{\"cmd\":\"session.pool\",\"min\":0,\"max\":3,\"acquire_timeout\":\"0s\"}";
    static struct request request;
    struct bytes_buffer answer;
    bytes_buffer_init(&answer);
    struct emit json = {.to = &answer};
    uint64_t lsn;
    fuzz_require(request_decode(&request, line, strlen(line), NULL) == WF_OK &&
                     answer_session_pool(engine, &request, &json, &lsn, NULL) == WF_OK,
                 "a pool of sessions opens");
    bytes_buffer_deinit(&answer);
}

static void open_store(void) {
    struct wf_options options;
    wf_options_init(&options);
    options.create = true;
    options.test_clock = true;
    options.segment_size = WAL_SEGMENT_SIZE_MIN;
    sim = sim_io_create(1);
    snapshots = sim_snapshot_create();
    fuzz_require(engine_open(sim_io_of(sim), sim_snapshot_provider(snapshots), "store", &options,
                             &engine, NULL) == WF_OK,
                 "a new store opens");
    execute((struct wf_command){.kind = WF_DEFINITION_ADD, .text = core_loan_yaml});
    execute((struct wf_command){.kind = WF_WORKFLOW_START, .id = "L1", .type = "loan_application"});
    execute((struct wf_command){
        .kind = WF_ACCOUNT_OPEN, .id = "A", .type = "checking", .currency = "USD", .amount = "9"});
    execute((struct wf_command){
        .kind = WF_ACCOUNT_OPEN, .id = "B", .type = "checking", .currency = "USD"});
    open_pool();
}

static void close_store(void) {
    exec_sessions_end();
    fuzz_require(wf_close(engine, NULL) == WF_OK, "the store closes");
    sim_snapshot_destroy(snapshots);
    sim_io_destroy(sim);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_require(request_memory_init(NULL) == WF_OK, "memory for requests");
    open_store();
    return 0;
}

static bool has_needs(const struct request *request) {
    for (int member = 0; member < MEMBER_COUNT; member++) {
        bool needed = (request->kind->needs >> member & 1) != 0;
        bool taken = (request->kind->takes >> member & 1) != 0 || member == MEMBER_CMD ||
                     member == MEMBER_TAG || needed;
        bool given = request->members[member] != NULL;
        if ((needed && !given) || (given && !taken))
            return false;
    }
    return true;
}

static bool is_answer(enum wf_status status) {
    return status == WF_OK || status == WF_REFUSED || status == WF_CONFLICT || status == WF_USAGE ||
           status == WF_NOT_FOUND || status == WF_TIMED_OUT;
}

/* A request about a session; what it would answer is well-formed enough to be thrown away. */
static void ask_session(const struct request *request) {
    struct wf_error err;
    struct wf_pending pending;
    struct bytes_buffer answer;
    bytes_buffer_init(&answer);
    struct emit json = {.to = &answer};
    uint64_t lsn = 0;
    enum wf_status status;
    if (request->kind->answer == answer_session_pool) {
        status = WF_OK; /* it might wait */
    } else if (request->kind->answer != NULL) {
        status = request->kind->answer(engine, request, &json, &lsn, &err);
    } else {
        status = enqueue_session_commit(request, &pending, &err);
        status = status == WF_OK ? wf_wait(engine, &pending, NULL, &err) : status;
    }
    fuzz_require(is_answer(status), "a session answers");
    bytes_buffer_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct request request;
    struct wf_error err = {0};
    struct bytes_buffer tag;
    bytes_buffer_init(&tag);
    enum wf_status status = request_decode(&request, (const char *)data, size, &err);
    fuzz_require(status == WF_OK || (status == WF_USAGE && err.text[0] != '\0'),
                 "a line is a request or malformed");
    request_write_tag(&request, &tag);
    if (status == WF_OK) {
        fuzz_require(request.kind != NULL && has_needs(&request),
                     "a request has what its command needs, and nothing else");
        if (strncmp(request.kind->name, "session.", strlen("session.")) == 0) {
            ask_session(&request);
        } else if (request.kind->command != 0) {
            struct wf_result result;
            status = wf_execute(engine, &request.command, &result, &err);
            fuzz_require(is_answer(status), "a healthy store answers");
        }
    }
    bytes_buffer_deinit(&tag);
    if (++lines % LINES_PER_STORE == 0) {
        close_store();
        open_store();
    }
    return 0;
}
