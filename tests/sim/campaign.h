/* The program around an explorer: scenarios run again and again, each time with other sizes and
 * choices, until each had its share of crash states. Owns the command line and the report.
 *
 *   SEED=N        repeats a run exactly (the seed is printed, and a fingerprint of all states)
 *   SIM_STATES=N  crash states to explore in all; see states_default
 *   PROGRAM NAME  one scenario only */
#ifndef TESTS_SIM_CAMPAIGN_H
#define TESTS_SIM_CAMPAIGN_H

#include "tests/sim/explore.h"

struct campaign_scenario {
    const char *name;
    unsigned weight; /* its part of all states */
};

struct campaign {
    const struct explore_subject *subject;
    const struct campaign_scenario *scenarios;
    size_t count;
    uint64_t states_default; /* a tenth of it under a sanitizer (SAN is set) */
    uint64_t long_factor;    /* times as many with WF_TEST_LONG */
    /* Run a scenario once, `samples` crash states at each boundary; `planted` (NULL: none) is a
     * fault of its disk from the start. Returns its boundaries. */
    uint64_t (*run_once)(struct explorer *explorer, size_t scenario, uint64_t seed, size_t samples,
                         const struct sim_fault *planted);
    size_t planted[2]; /* the scenarios in which a lying disk must be noticed */
};

/* The body of main(). */
int campaign_main(const struct campaign *campaign, int argc, char **argv);

#endif
