/* The server's figures as events: one a second on FIGURES_CHANNEL, only while somebody listens.
 *
 *     a view of the channel ──▶ figures_wanted() ──▶ mail ──▶ the first worker: a timer
 *                                                                 │ each second: an event, and
 *     every worker: does anybody listen here? ◀── mail ───────────┘
 *
 * The events are ephemeral, and made on the first worker's thread from counters that all threads
 * may read. Once nobody has listened for a few seconds, the timer is not set again: an idle server
 * does nothing for this. */
#pragma once

#include "transport/worker.h"

struct figures;

/* Figures of these workers. NULL if there is no memory. */
struct figures *figures_new(struct worker *workers, unsigned count);

/* After the workers have ended. NULL is fine. */
void figures_free(struct figures *figures);

/* worker_config.figures_wanted, with a struct api as worker_config.app. Any worker's thread. */
void figures_wanted(void *app);
