/* Log time, and the age of events.
 *
 * An event's time is wall time, for people. Its age decides what retention deletes and which keys
 * are forgotten, so a wall clock that jumps must not change it. Within a run, age is therefore
 * elapsed monotonic time. Events store only their time, so this module remembers how log time ran:
 * a list of pieces, each with a point in monotonic time, the log time there, and the pace from
 * there on. To ask what is older than an hour is to ask for the log time of an hour ago.
 *
 *     log time  |                 /          jump believed: a new piece
 *               |      ___/------
 *               |   /
 *               | /                          before the run: the wall clock at its start decides
 *               +-----------------------> monotonic time
 *
 * A jump is logged at once, and believed after it has lasted for ten seconds (base/steady.h): until
 * then log time goes on by the monotonic clock. A clock that jumps ten years ahead for a second
 * thus leaves no event of that time behind, which all later events would have to follow.
 *
 * A jump back that is believed leaves log time ahead of the clock. Log time then goes on slowly,
 * at one part in SLOW, until the clock has caught up: times still differ, and still rise.
 *
 * Events of an earlier run have only their stored time. They are as old as the wall clock says at
 * the start; those that claim to be of the future count from the start. Hence a time in the future
 * neither keeps an event for ever nor deletes the others.
 *
 * Everything here runs under the log's lock. Nothing can fail: a list that is full joins the two
 * neighbours that lasted the shortest, and says of both only when they began. */
#include "log/log_time.h"

#include "base/say.h"

#include <stddef.h>
#include <string.h>

#define BEHIND_US INT64_C(1000000) /* is worth a line */
#define QUIET_US INT64_C(1000000)  /* between two lines */
enum { SLOW = 16 };

static struct log_time_piece *last_piece(struct log_time *time)
{
    return &time->pieces[time->pieces_count - 1];
}

/* Joins the two neighbours that lasted the shortest together. The last piece, whose end is open, is
 * left alone. */
static void join_two(struct log_time *time)
{
    struct log_time_piece *pieces = time->pieces;
    unsigned best = 0;
    for (unsigned i = 1; i + 2 < time->pieces_count; i++)
        if (pieces[i + 2].since_us - pieces[i].since_us <
            pieces[best + 2].since_us - pieces[best].since_us)
            best = i;
    pieces[best].pace = LOG_TIME_UNKNOWN;
    memmove(&pieces[best + 1], &pieces[best + 2],
            (time->pieces_count - best - 2) * sizeof(*pieces));
    time->pieces_count--;
}

static void begin_piece(struct log_time *time, int64_t wall_us)
{
    bool ahead = time->last_us > wall_us;
    if (time->pieces_count == LOG_TIME_PIECES)
        join_two(time);
    time->pieces[time->pieces_count++] =
        (struct log_time_piece){time->clock.read_us, ahead ? time->last_us : wall_us,
                                ahead ? LOG_TIME_SLOW : LOG_TIME_WITH_CLOCK};
}

void log_time_init(struct log_time *time, struct clock *clock, int64_t newest_us)
{
    *time = (struct log_time){.quiet_until_us = INT64_MIN};
    steady_init(&time->clock, clock);
    int64_t wall_us = time->clock.wall_us;
    time->started_us = wall_us;
    time->last_us = newest_us > wall_us ? newest_us : wall_us;
    begin_piece(time, wall_us);
    if (newest_us > wall_us + BEHIND_US)
        say(SAY_WARN, "clock_behind_log", "by_ms=%lld times=go_on_slowly",
            (long long)((newest_us - wall_us) / 1000));
}

/* Brings log time up to date, which is wall time unless it is ahead of that. */
static void advance(struct log_time *time, int64_t wall_us)
{
    const struct log_time_piece *piece = last_piece(time);
    if (piece->pace == LOG_TIME_SLOW) {
        int64_t slow_us = piece->time_us + (time->clock.read_us - piece->since_us) / SLOW;
        if (wall_us < slow_us)
            wall_us = slow_us;
        else
            begin_piece(time, wall_us);
    }
    if (wall_us > time->last_us)
        time->last_us = wall_us;
}

static void tell_jump(struct log_time *time)
{
    if (time->clock.read_us < time->quiet_until_us)
        return;
    time->quiet_until_us = time->clock.read_us + QUIET_US;
    say(SAY_WARN, "clock_jumped", "by_ms=%lld ages=unchanged times=go_on",
        (long long)(time->clock.jump_us / 1000));
}

/* What was appended until now went by the old offset. */
static void follow(struct log_time *time)
{
    say(SAY_WARN, "clock_believed", "by_ms=%lld ages=unchanged",
        (long long)(time->clock.jump_us / 1000));
    advance(time, time->clock.wall_us - time->clock.jump_us);
    begin_piece(time, time->clock.wall_us);
}

int64_t log_time_read(struct log_time *time)
{
    enum steady_event event = steady_read(&time->clock);
    if (event == STEADY_DOUBTED)
        tell_jump(time);
    else if (event == STEADY_BELIEVED)
        follow(time);
    advance(time, time->clock.wall_us);
    return time->last_us;
}

static int64_t time_in(const struct log_time_piece *piece, int64_t at_us)
{
    int64_t elapsed_us = at_us - piece->since_us;
    if (piece->pace == LOG_TIME_UNKNOWN)
        return piece->time_us;
    return piece->time_us + (piece->pace == LOG_TIME_SLOW ? elapsed_us / SLOW : elapsed_us);
}

/* The pieces' ends are the next one's beginning: an event there is younger, so its time does not
 * count as reached. */
int64_t log_time_before(const struct log_time *time, int64_t age_us)
{
    int64_t at_us = time->clock.read_us - age_us;
    const struct log_time_piece *piece = &time->pieces[time->pieces_count - 1];
    if (at_us < time->pieces[0].since_us)
        return time->started_us + (at_us - time->pieces[0].since_us);
    while (piece->since_us > at_us)
        piece--;
    int64_t us = time_in(piece, at_us);
    if (piece < &time->pieces[time->pieces_count - 1] && us >= piece[1].time_us)
        us = piece[1].time_us - 1;
    return us;
}
