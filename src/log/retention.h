/* Retention: a thread that decides which events are past their age, or beyond a bound of their
 * channel or of the log, and appends that as TRIM entries. */
#pragma once

#include "log/log_internal.h"

/* The thread. 0 or a negative errno. */
int retention_start(struct log *log);
void retention_stop(struct log *log);

/* Wakes the thread if bounds are exceeded so far that it must not wait for its second. Under the
 * lock. */
void retention_call_if_urgent(struct log *log);

/* Trims the oldest events if the log is beyond its bound. Any thread, without the log's lock. */
void retention_make_room(struct log *log);

/* Trims everything past its retention; with `urgent` only what cannot wait. On the thread, or on
 * that of a test whose log has none. */
void retention_trim(struct log *log, bool urgent);
