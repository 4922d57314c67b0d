#include "tests/sim/campaign.h"

#include "base/table.h"
#include "tests/lib/keep_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SEED_DEFAULT = 20240229,
    NESTED_SHARE = 3,      /* states at all depths for one of the scenario itself, about */
    SAMPLES_MIN = 8,       /* at each boundary */
    STALE_ROUNDS_MAX = 20, /* runs in a row without a new state: then there are none */
    PLANTED_STATES = 2000,
    PLANTED_SAMPLES = 20,
};

static void explore_scenario(const struct campaign *campaign, struct explorer *explorer,
                             size_t scenario, uint64_t states) {
    const char *name = campaign->scenarios[scenario].name;
    uint64_t before = explorer->states;
    explorer->scenario = name;
    explorer->states_max = before + states;
    unsigned stale = 0;
    for (uint64_t round = 0; stale < STALE_ROUNDS_MAX && explorer->states < explorer->states_max;
         round++) {
        uint64_t seed = sim_random_mix(explorer->seed, table_hash(name, strlen(name)) + round);
        uint64_t seen = explorer->states;
        uint64_t failures = explorer->failures;
        uint64_t boundaries = campaign->run_once(explorer, scenario, seed, 0, NULL);
        uint64_t share = states / NESTED_SHARE / (boundaries + 1) / 4;
        campaign->run_once(explorer, scenario, seed,
                           (size_t)(share < SAMPLES_MIN ? SAMPLES_MIN : share), NULL);
        stale = explorer->states == seen ? stale + 1 : 0;
        if (explorer->failures != failures) {
            break; /* one is enough to mend first */
        }
    }
}

/* The explorer must notice a disk whose syncs do nothing, or the whole test proves nothing. */
static bool finds_planted(const struct campaign *campaign, uint64_t seed, enum sim_op op) {
    struct explorer explorer;
    struct sim_fault lie = {.op = op, .kind = SIM_FAULT_LOST, .persistent = true};
    explorer_init(&explorer, campaign->subject, seed);
    explorer.quiet = true;
    explorer.states_max = PLANTED_STATES;
    explorer.scenario = "planted";
    for (size_t i = 0; i < sizeof campaign->planted / sizeof campaign->planted[0]; i++) {
        campaign->run_once(&explorer, campaign->planted[i], seed, PLANTED_SAMPLES, &lie);
    }
    bool found = explorer.failures > 0;
    explorer_deinit(&explorer);
    printf("planted: every %s a lie: %s\n", sim_op_name(op), found ? "found" : "NOT FOUND");
    return found;
}

static uint64_t number_of(const char *name, uint64_t fallback) {
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? fallback : strtoull(text, NULL, 10);
}

static uint64_t states_wanted(const struct campaign *campaign) {
    const char *sanitizer = getenv("SAN");
    uint64_t states = campaign->states_default;
    states *= getenv("WF_TEST_LONG") != NULL ? campaign->long_factor : 1;
    states /= sanitizer != NULL && sanitizer[0] != '\0' ? 10 : 1;
    return number_of("SIM_STATES", states);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int campaign_main(const struct campaign *campaign, int argc, char **argv) {
    static const enum sim_op lies[] = {SIM_SYNC, SIM_SYNC_DIRECTORY};
    keep_memory();
    uint64_t seed = number_of("SEED", SEED_DEFAULT);
    uint64_t states = states_wanted(campaign);
    const char *only = argc > 1 ? argv[1] : NULL;
    unsigned weights = 0;
    for (size_t i = 0; i < campaign->count; i++) {
        bool wanted = only == NULL || strcmp(only, campaign->scenarios[i].name) == 0;
        weights += wanted ? campaign->scenarios[i].weight : 0;
    }
    if (weights == 0) {
        fprintf(stderr, "no scenario %s\n", only);
        return 2;
    }
    printf("SEED=%" PRIu64 " SIM_STATES=%" PRIu64 "\n", seed, states);
    double start = seconds();
    unsigned passed = 0;
    unsigned failed = 0;
    struct explorer explorer;
    explorer_init(&explorer, campaign->subject, seed);
    for (size_t i = 0; i < campaign->count; i++) {
        const struct campaign_scenario *scenario = &campaign->scenarios[i];
        if (only != NULL && strcmp(only, scenario->name) != 0) {
            continue;
        }
        uint64_t before = explorer.states;
        uint64_t failures = explorer.failures;
        double began = seconds();
        explore_scenario(campaign, &explorer, i, states * scenario->weight / weights);
        printf("%-14s %8" PRIu64 " crash states %6.1f s\n", scenario->name,
               explorer.states - before, seconds() - began);
        fflush(stdout);
        *(explorer.failures == failures ? &passed : &failed) += 1;
    }
    printf("%" PRIu64 " crash states (%" PRIu64 ", %" PRIu64 " in a recovery, %" PRIu64
           " in the recovery from that), %" PRIu64 " failures, %.1f s\n",
           explorer.states, explorer.at_depth[0], explorer.at_depth[1], explorer.at_depth[2],
           explorer.failures, seconds() - start);
    printf("fingerprint %016" PRIx64 "\n", explorer.fingerprint);
    explorer_deinit(&explorer);
    for (size_t i = 0; only == NULL && i < sizeof lies / sizeof lies[0]; i++) {
        *(finds_planted(campaign, seed, lies[i]) ? &passed : &failed) += 1;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
