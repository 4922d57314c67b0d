#include "tests/lib/session_bank.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const enum wf_isolation session_levels[SESSION_LEVELS] = {WF_READ_COMMITTED, WF_SNAPSHOT,
                                                          WF_SERIALIZABLE};

void session_bank_init(struct session_bank *bank) {
    *bank = (struct session_bank){.session_count = 0};
    fixture_init_sim(&bank->f);
}

void session_bank_deinit(struct session_bank *bank) {
    fixture_deinit(&bank->f);
}

void session_bank_open_sessions(struct session_bank *bank, size_t count) {
    struct wf_pool_options options;
    assert_true(count <= SESSION_BANK_MAX);
    wf_pool_options_init(&options);
    options.background = false;
    options.transaction_timeout_ms = 0;
    must(&bank->f, wf_pool_open(bank->f.engine, &options, &bank->pool, &bank->f.err));
    for (size_t i = 0; i < count; i++)
        must(&bank->f, wf_pool_acquire(bank->pool, &bank->sessions[i], &bank->f.err));
    bank->session_count = count;
}

void session_bank_close_sessions(struct session_bank *bank) {
    for (size_t i = 0; i < bank->session_count; i++)
        wf_session_release(bank->sessions[i]);
    bank->session_count = 0;
    must(&bank->f, wf_pool_close(bank->pool, &bank->f.err));
    bank->pool = NULL;
}

void session_bank_open_account(struct session_bank *bank, const char *number, const char *currency,
                               const char *balance) {
    const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                       .id = number,
                                       .type = "checking",
                                       .currency = currency,
                                       .amount = balance};
    must(&bank->f, wf_execute(bank->f.engine, &command, NULL, &bank->f.err));
}

void session_bank_begin(struct session_bank *bank, int who, enum wf_isolation isolation) {
    must(&bank->f, wf_session_begin(bank->sessions[who], isolation, &bank->f.err));
}

void session_anomalies_check(const struct session_anomaly *anomalies, size_t count,
                             int (*setup)(void **state), int (*teardown)(void **state)) {
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        for (int level = 0; level < SESSION_LEVELS; level++) {
            void *state = NULL;
            (void)setup(&state);
            bool happened = anomalies[i].happens(state, session_levels[level]);
            if (happened != anomalies[i].may[level]) {
                print_error("%s under %s: %s\n", anomalies[i].name,
                            wf_isolation_name(session_levels[level]),
                            happened ? "happens" : "does not happen");
                wrong++;
            }
            (void)teardown(&state);
        }
    }
    assert_int_equal(wrong, 0);
}
