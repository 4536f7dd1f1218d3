/* The parts of a server: the log, the courier, presence, the workers and what they share. Opened in
 * this file, before any thread of theirs runs; started and stopped by serve.c. */
#pragma once

#include "api/api.h"
#include "api/figures.h"
#include "server/reload.h"
#include "server/watchdog.h"

struct server {
    struct reloading reloading; /* with the settings in force */
    struct api api;             /* the parts that handlers use, whatever the settings */
    struct log *log;
    struct courier *courier;
    struct presence *presence;
    struct key_table keys;
    struct revocations revocations;
    struct changes *changes; /* of both */
    struct audit audit;
    struct worker *workers;
    uint32_t webhook_requests;    /* requests under way at once */
    uint32_t refusing_max;        /* connections over connections_max that are heard */
    _Atomic uint32_t connections; /* of all workers */
    _Atomic uint32_t undrained;   /* workers that have not drained */
    struct quota addresses;       /* that have them, */
    struct quota subjects;        /* and streams */
    struct memory_mark memory;    /* whether it is past memory_max */
    struct rates *rates;          /* at which events are published */
    struct figures *figures;      /* figures as events */
    struct conn_names names;      /* of connections, for their clients */
    struct tls_tickets tickets;
    int64_t tickets_ns; /* when their newest key was made */
    struct watchdog watchdog;
};

/* The settings in force. */
static inline struct settings *settings_of(const struct server *server)
{
    return server->reloading.current;
}

static inline struct config *config_of(const struct server *server)
{
    return &server->reloading.current->config;
}

const char *data_dir(const struct server *server);

/* Opens all parts, of which the workers share so many descriptors. Returns 0, or a negative errno
 * after saying on standard error what is wrong. */
int parts_open(struct server *server, uint64_t descriptors);
