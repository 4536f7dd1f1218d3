/* Running a worker: its thread, its turns, and its end. */
#pragma once

#include "transport/worker_state.h"

/* Sets up everything but the thread; attaches the worker's hub to the log. */
int worker_init(struct worker *worker, const struct worker_config *config);

/* Listens on one address more; a port of 0 is replaced. Before worker_start. -ENOSPC beyond
 * LISTEN_ADDRESSES_MAX, or a negative errno. */
int worker_listen(struct worker *worker, struct sockaddr_storage *address, socklen_t size);

int worker_start(struct worker *worker);

/* Runs a turn of the worker's thread: reads, publishes and answers what has come, and sends a slice
 * of what is due. Waits for at most `wait_ms` (-1: until something happens) if there is no work.
 * For that thread, and for tests that have none. */
void worker_step(struct worker *worker, int wait_ms);

/* Any thread, once: stop listening, end streams politely, answer what is in flight, then end. */
void worker_drain(struct worker *worker);
void worker_join(struct worker *worker);

/* After the log was closed: opens what mail is left and frees everything. */
void worker_deinit(struct worker *worker);
