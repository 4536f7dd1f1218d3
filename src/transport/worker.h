/* Running a worker: its thread, its turns, and its end. */
#pragma once

#include "net/tls_server.h"
#include "transport/worker_state.h"

/* Sets up everything but the thread; attaches the worker's hub to the log. */
int worker_init(struct worker *worker, const struct worker_config *config);

/* Listens on another address, and gives its connections these enum door_flags; a port of 0 is
 * replaced by the one that was found. Call before worker_start(). -ENOSPC beyond
 * WORKER_LISTENERS_MAX, or a negative errno. */
int worker_listen(struct worker *worker, struct sockaddr_storage *address, socklen_t size,
                  uint8_t door);

/* Speaks TLS at doors that say so, by these certificates and keys of tickets, from the next
 * connection on; it takes a reference and a copy. Before worker_start, or on the worker's thread.
 * Returns 0 or -ENOMEM. */
int worker_speak_tls(struct worker *worker, struct tls_server *server,
                     const struct tls_tickets *tickets);

/* The same while the worker runs, for any thread: it changes over before long. Connections that are
 * there keep what they began with. */
void worker_change_tls(struct worker *worker, struct tls_server *server,
                       const struct tls_tickets *tickets);

int worker_start(struct worker *worker);

/* Runs a turn: reads, publishes, answers what has come, and sends a slice of what is due. Waits
 * `wait_ms` at most (-1: without limit) if there is no work. For the worker's thread, and for tests
 * without one. */
void worker_step(struct worker *worker, int wait_ms);

/* Stops listening, ends streams with a goodbye, answers pending requests, then ends. Any thread,
 * once. */
void worker_drain(struct worker *worker);
void worker_join(struct worker *worker);

/* Opens the remaining mail and frees everything. Call after the log was closed. */
void worker_deinit(struct worker *worker);
