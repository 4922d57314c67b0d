/* Workflows whose stages have handlers: commands of workers, retries, rollbacks that bring
 * compensations, and migrations to a second version under way. */
#ifndef TESTS_SIM_ENGINE_ERRAND_H
#define TESTS_SIM_ENGINE_ERRAND_H

#include "tests/sim/engine_model.h"

enum { ERRAND_VERSIONS = 2 };

/* The definition's text, of version 1 or 2; the name of the stage that a command is about. */
const char *errand_yaml(unsigned version);
const char *errand_stage(unsigned stage);
extern const char errand_worker[];

/* Some command that makes sense now and then: an answer to a claim most often, or a claim. */
struct store_command errand_some(struct store_run *run);
/* Claim the task that is due first, as the engine's own call and no command. WF_OK also where none
 * is due. */
enum wf_status errand_claim(struct wf_engine *engine, struct wf_error *err);

#endif
