/* Running a worker: its thread, its turns, and its end. */
#pragma once

#include "net/tls_server.h"
#include "transport/worker_state.h"

/* Sets up everything but the thread; attaches the worker's hub to the log. */
int worker_init(struct worker *worker, const struct worker_config *config);

/* Listens on another address, and gives its connections these enum door_flags; a port of 0 is
 * replaced by the one that was found. With `joins` the process has the port already: see
 * listener_init(). Call before worker_start(). -ENOSPC beyond WORKER_LISTENERS_MAX, or a negative
 * errno. */
int worker_listen(struct worker *worker, struct sockaddr_storage *address, socklen_t size,
                  uint8_t door, bool joins);

/* The same for a descriptor that listens already, and that all workers share; it takes a copy. If
 * it was passed by the service manager, clients that wait there at the end are left to the next
 * server. */
int worker_listen_shared(struct worker *worker, int fd, uint8_t door, bool is_passed);

/* Speaks TLS at doors that say so, by these certificates and keys of tickets, from the next
 * connection on; it takes a reference and a copy. Before worker_start, or on the worker's thread.
 * Returns 0 or -ENOMEM. */
int worker_speak_tls(struct worker *worker, struct tls_server *server,
                     const struct tls_tickets *tickets);

/* Settings that may change while a worker runs, as in struct worker_config. */
struct worker_settings {
    struct worker_limits limits;
    const struct authority *authority;
    const struct rules *rules;
    const struct presence_settings *presence_settings;
    const struct trusted_proxies *proxies;
    void *app;
    struct tls_server *tls; /* for worker_speak_tls(); NULL: as before */
    const struct tls_tickets *tickets;
    bool keys_changed; /* callers may have other grants than before */
};

/* A change to other settings, lent to the worker until `done`. */
struct worker_change {
    struct mail mail;
    struct worker_settings settings;
    /* On the worker's thread: it uses the other settings alone from here on. NULL: nobody waits. */
    void (*done)(struct worker_change *change);
};

/* Changes all settings at once, between two turns. Connections go on: what credentials and rules do
 * not allow any more ends before long. Those that are there keep the keys of TLS that they began
 * with. Any thread; one change at a time. */
void worker_switch(struct worker *worker, struct worker_change *change);

/* Other keys of TLS tickets, lent to the worker until `done`, on its thread. */
struct worker_tickets {
    struct mail mail;
    const struct tls_tickets *keys;
    void (*done)(struct worker_tickets *tickets);
};

/* Connections that are made from now on get tickets by these keys, which the worker copies. Nothing
 * else changes. Any thread, once it is started. */
void worker_share_tickets(struct worker *worker, struct worker_tickets *tickets);

/* Starts the worker's thread. Returns 0 or a negative errno. */
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
