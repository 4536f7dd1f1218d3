/* Publishes what presence has to tell, from the thread of a worker. */
#pragma once

#include "presence/bundle.h"
#include "transport/worker_state.h"

/* For presence_config.publish; `worker` is the worker that submits all of its notes, so that they
 * keep their order. Any thread. */
void presence_notes_publish(void *worker, struct presence_bundle *bundle);
