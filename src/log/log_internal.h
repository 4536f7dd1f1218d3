/* The log's inside, shared by log.c, readers.c and retention.c and by nobody else. */
#pragma once

#include "log/log.h"

#include <pthread.h>

struct log {
    struct log_config config;
    struct store *store;
    uint64_t floor;

    pthread_mutex_t lock; /* guards `apply` and `pending` */
    pthread_cond_t work;
    struct apply apply;
    struct append *pending; /* decided, not safe */
    struct append **pending_last;
    bool stopping;

    struct log_port *ports[LOG_PORTS_MAX];
    unsigned ports_count;

    _Atomic uint64_t newest;
    _Atomic uint64_t pending_bytes;

    pthread_t writer;
    uint64_t since_house; /* bytes committed since the writer last called the janitor */

    pthread_mutex_t jobs_lock;
    pthread_cond_t jobs_work;
    struct log_job *jobs;
    struct log_job **jobs_last;
    pthread_t *readers;
    bool jobs_stop;

    pthread_mutex_t janitor_lock;
    pthread_cond_t janitor_work;
    pthread_t janitor;
    bool janitor_stop;
    bool janitor_now;

    _Atomic uint64_t events;
    _Atomic uint64_t event_bytes;
    _Atomic uint64_t commits;
    _Atomic uint64_t failures;
    atomic_bool writable;
    struct hist commit_ns;
};

int readers_start(struct log *log);
void readers_stop(struct log *log);

int janitor_start(struct log *log);
void janitor_stop(struct log *log);

/* One turn of retention and the store's housekeeping. Janitor's thread, or a test that has none. */
void retention_turn(struct log *log);
