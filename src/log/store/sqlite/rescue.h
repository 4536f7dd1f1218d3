/* Makes files anew from what can be read of damaged ones: a file of events, and state.db. */
#pragma once

#include "base/buf.h"
#include "log/store/sqlite/state.h"

/* A damaged file of events, and what became of it. */
struct rescue {
    const char *dir;                /* the log's folder, where names of channels may be found */
    uint64_t first;                 /* the least id that its events may have */
    uint64_t last;                  /* the greatest */
    uint64_t kept;                  /* events that could be read, and are in the new file */
    uint64_t expected;              /* events by the file's own count; 0: unknown */
    uint64_t lost_first, lost_last; /* range of ids whose events may be lost; 0: nothing */
    bool has_all_deletions;         /* the file's table of deletions was read whole */
    struct buf channels; /* names and numbers of lost events, as known: "a (12), b (3)" */
    /* For rescue_events() itself: */
    uint64_t refused_low,
        refused_high;   /* range of ids of rows that make no sense; 0: no such row */
    bool dry_run;       /* nothing is copied */
    bool lacks_journal; /* the events of the journal are lost */
};

/* Copies the events of `from` to a new file `to`, which is not sealed; with NULL only finds out
 * what could be copied. `rescue` comes with its first three fields set; free its `channels`. 0, or
 * a negative errno of what was written. A file without anything in it is not left. */
int rescue_events(const char *from, const char *to, struct rescue *rescue);

struct rescued_state {
    uint64_t trims; /* channels whose trimmed id is known */
    bool has_all_trims;
    uint64_t webhooks;
    bool has_all_webhooks; /* also their cursors and the delivery log */
};

/* The same for state.db. */
int rescue_state(const char *from, const char *to, struct rescued_state *ret_rescued);

/* Without all of state.db a name may stand for two numbers in the files: a channel was forgotten,
 * and one of that name came later. The one with the newest event is the channel; the others are
 * forgotten once more. */
int rescue_numbers(struct state *state, char *const *paths, size_t count);

/* The newest event in a file; 0 when there is none, or if it cannot be read. */
uint64_t rescue_newest(const char *path);
