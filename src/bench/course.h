/* The course of `freshet bench`: opens subscribers, publishes, and measures. A single thread, so
 * that one core suffices beside a server that has the other. */
#pragma once

#include "bench/load.h"

/* Runs the load. Returns 0 if it ran to its end, even with losses; -ECANCELED if interrupted; else
 * a negative errno with a sentence in `load->why`. `interrupt_fd` becomes readable when the user
 * wants to end, or is -1. `progress` shows how far the run is. */
int course_run(struct load *load, const struct plan *plan, int interrupt_fd,
               struct progress *progress);
void course_deinit(struct load *load);
