/* Progress of long work: a line on a terminal that is rewritten, or log lines, further and further
 * apart. Work that is over soon shows nothing. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

/* Embedded by whoever does the work; set up by progress_init(). One thread. */
struct progress {
    const char *command; /* which the line on a terminal begins with */
    struct clock *clock;
    int terminal;     /* a descriptor; -1: lines of the log */
    int64_t next_ns;  /* nothing is shown before */
    int64_t pause_ns; /* between two lines of the log */
    size_t shown;     /* characters that stand on the terminal */
};

/* Standard error if that is a terminal, else -1. */
int progress_terminal(void);

/* The command's name begins each line. `terminal` is a descriptor of progress_terminal(), or -1 for
 * log lines; it stays the caller's. */
void progress_init(struct progress *progress, const char *command, struct clock *clock,
                   int terminal);

/* Shows "DONE of ALL WHAT", as in "3 of 12 files read", if that is due; `all` is 0 if it is not
 * known. Cheap enough for every turn of a loop. `progress` may be NULL, also below. */
void progress_tell(struct progress *progress, const char *what, uint64_t done, uint64_t all);

/* Takes the line off the terminal, before something else is written there. */
void progress_end(struct progress *progress);
