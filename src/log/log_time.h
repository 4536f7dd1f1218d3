/* Log time: the times that events get, and their ages, whatever the wall clock does. */
#pragma once

#include "base/steady.h"

enum { LOG_TIME_PIECES = 64 };

/* The pace of log time from a point of this run on. */
enum log_time_pace {
    LOG_TIME_WITH_CLOCK, /* the pace of the monotonic clock */
    LOG_TIME_SLOW,       /* ahead of the wall clock, and waiting for it */
    LOG_TIME_UNKNOWN,    /* two joined pieces: not before `time_us` */
};

struct log_time_piece {
    int64_t since_us; /* monotonic time */
    int64_t time_us;  /* log time at that moment */
    enum log_time_pace pace;
};

struct log_time {
    struct steady clock;
    int64_t started_us;     /* wall time at the start of this run */
    int64_t last_us;        /* log time at the last reading */
    int64_t quiet_until_us; /* no jump is logged before this time */
    struct log_time_piece pieces[LOG_TIME_PIECES];
    unsigned pieces_count;
};

/* Begins a run of a log whose newest event has the time `newest_us`; 0: no event. */
void log_time_init(struct log_time *time, struct clock *clock, int64_t newest_us);

/* Reads the clocks and returns the time for an event appended now. Never decreases. Logs a jump of
 * the wall clock. */
int64_t log_time_read(struct log_time *time);

/* The latest time at which events are at least `age_us` old, at the last reading. */
int64_t log_time_before(const struct log_time *time, int64_t age_us);
