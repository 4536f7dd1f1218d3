/* The log's lock: records for how long it is held, and goes to waiting threads in their order. */
#pragma once

#include "log/log_internal.h"

/* Take and release the log's lock, and record how long it was held. */
void log_lock(struct log *log);
void log_unlock(struct log *log);

/* Gives the lock to a waiting thread, if there is one, and takes it again. */
void log_give_way(struct log *log);

/* Waits for `cond`, until a monotonic time if `until` is not NULL. The caller holds the lock, which
 * is free meanwhile. */
void log_wait(struct log *log, pthread_cond_t *cond, const struct timespec *until);

/* A condition whose timed waits use the monotonic clock. */
void cond_init_monotonic(pthread_cond_t *cond);
