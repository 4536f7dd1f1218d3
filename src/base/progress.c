#include "base/progress.h"

#include "base/say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S (1000 * NS_PER_MS)

/* The pause between log lines grows up to this. */
#define LOG_PAUSE_MOST_NS (10 * NS_PER_S)
#define TERMINAL_FIRST_NS (300 * NS_PER_MS)
#define TERMINAL_PAUSE_NS (100 * NS_PER_MS)

enum { LINE_MOST = 160 };

int progress_terminal(void)
{
    return isatty(STDERR_FILENO) ? STDERR_FILENO : -1;
}

void progress_init(struct progress *progress, const char *command, struct clock *clock,
                   int terminal)
{
    *progress = (struct progress){
        .command = command, .clock = clock, .terminal = terminal, .pause_ns = NS_PER_S};
    progress->next_ns =
        clock_now_ns(clock) + (terminal < 0 ? progress->pause_ns : TERMINAL_FIRST_NS);
}

/* Blanks cover the end of a longer line before. */
static void show(struct progress *progress, const char *what, uint64_t done, uint64_t all)
{
    char line[LINE_MOST + 2], of[32] = "";
    if (all)
        snprintf(of, sizeof(of), " of %" PRIu64, all);
    int len =
        snprintf(line, LINE_MOST, "\r%s: %" PRIu64 "%s %s", progress->command, done, of, what);
    size_t width = len < LINE_MOST ? (size_t)len : LINE_MOST - 1, before = progress->shown;
    progress->shown = width;
    while (width < before && width < LINE_MOST)
        line[width++] = ' ';
    (void)!write(progress->terminal, line, width);
}

static void log_line(const char *what, uint64_t done, uint64_t all)
{
    if (all)
        say(SAY_INFO, "progress", "what=\"%s\" done=%" PRIu64 " of=%" PRIu64, what, done, all);
    else
        say(SAY_INFO, "progress", "what=\"%s\" done=%" PRIu64, what, done);
}

void progress_tell(struct progress *progress, const char *what, uint64_t done, uint64_t all)
{
    int64_t now = progress ? clock_now_ns(progress->clock) : 0;
    if (!progress || now < progress->next_ns)
        return;
    if (progress->terminal >= 0) {
        progress->next_ns = now + TERMINAL_PAUSE_NS;
        show(progress, what, done, all);
        return;
    }
    progress->pause_ns *= 2;
    if (progress->pause_ns > LOG_PAUSE_MOST_NS)
        progress->pause_ns = LOG_PAUSE_MOST_NS;
    progress->next_ns = now + progress->pause_ns;
    log_line(what, done, all);
}

void progress_end(struct progress *progress)
{
    char line[LINE_MOST + 2];
    if (!progress || !progress->shown)
        return;
    memset(line, ' ', sizeof(line));
    line[0] = line[progress->shown] = '\r';
    (void)!write(progress->terminal, line, progress->shown + 1);
    progress->shown = 0;
}
