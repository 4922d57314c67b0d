/* The scenarios of sim_engine: what an engine does while the machine below it crashes. */
#ifndef TESTS_SIM_ENGINE_SCENARIOS_H
#define TESTS_SIM_ENGINE_SCENARIOS_H

#include "tests/sim/campaign.h"
#include "tests/sim/engine_model.h"

enum { ENGINE_SCENARIOS = 20 };

extern const struct campaign_scenario engine_scenarios[ENGINE_SCENARIOS];
/* In the same order. */
extern void (*const engine_scenario_runs[ENGINE_SCENARIOS])(struct store_run *run);

/* --- for their sources --- */

uint64_t scenario_pick(struct store_run *run, uint64_t from, uint64_t to);
/* The definition of what the run is about. */
bool scenario_define(struct store_run *run);
/* `count` commands, each answered before the next. */
void scenario_commands(struct store_run *run, uint64_t count);
void scenario_repair(struct store_run *run); /* engine_damage.c */
void scenario_astray(struct store_run *run);

#endif
