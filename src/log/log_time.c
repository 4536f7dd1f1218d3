/* Log time, and the age of events.
 *
 * An event's time is wall time, for people. Its age decides which events retention trims and which
 * keys expire, so a wall clock that jumps must not change it. Within a run, age is therefore
 * elapsed monotonic time. Events store only their time, so this module remembers how log time ran:
 * a list of pieces, each with a point in monotonic time, the log time there, and the pace from
 * there on. The question "what is older than an hour" becomes "what was the log time an hour ago".
 *
 *     log time  |                 /          jump believed: a new piece
 *               |      ___/------
 *               |   /
 *               | /                          before the run: the wall clock at its start decides
 *               +-----------------------> monotonic time
 *
 * A jump is logged at once, and believed after it has lasted for ten seconds (base/steady.h). Until
 * then log time follows the monotonic clock. So a clock that jumps ten years ahead for a second
 * leaves no event with such a time, which all later events would have to exceed.
 *
 * After a jump back that is believed, log time is ahead of the clock. It then runs slowly, at one
 * part in SLOW, until the clock has caught up: times still differ, and still rise.
 *
 * Events of an earlier run have only their stored time. Their age is what the wall clock at the
 * start of this run says; events from the future count from the start. So an event with a time in
 * the future is neither kept for ever nor does it delete the others.
 *
 * All functions run under the log's lock and none can fail: a full list joins the two neighbours
 * that lasted the shortest, and remembers only when both began. */
#include "log/log_time.h"

#include "base/say.h"

#include <stddef.h>
#include <string.h>

#define BEHIND_US INT64_C(1000000) /* the lag that is worth a log line */
#define QUIET_US INT64_C(1000000)  /* the least time between two lines */
enum { SLOW = 16 };

static struct log_time_piece *last_piece(struct log_time *time)
{
    return &time->pieces[time->pieces_count - 1];
}

/* Joins the two neighbours that lasted the shortest together, except the last piece, which has no
 * end yet. */
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

/* Brings log time up to date: to wall time, unless log time is ahead. */
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

/* Follows a jump. Events until now were given times by the old offset. */
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

/* A piece ends where the next one begins. An event of that time is younger, so the time itself does
 * not count. */
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
