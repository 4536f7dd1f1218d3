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
    bool has_all_deletions;         /* the table of deletions was read completely */
    struct buf channels; /* names and numbers of lost events, as known: "a (12), b (3)" */
    /* For rescue_events() itself: */
    uint64_t refused_low, refused_high; /* range of ids of rows that cannot be right; 0: none */
    bool dry_run;                       /* nothing is copied */
    bool lacks_journal;                 /* the events of the journal are lost */
};

/* Copies the readable events of `from` to a new, unsealed file `to`; with NULL it only counts them.
 * The caller sets the first three fields of `rescue`, and frees its `channels`. Returns 0, or a
 * negative errno of the writing. A file without content is not kept. */
int rescue_events(const char *from, const char *to, struct rescue *rescue);

struct rescued_state {
    uint64_t trims; /* channels whose trimmed id is known */
    bool has_all_trims;
    uint64_t webhooks;
    bool has_all_webhooks; /* including their cursors and the delivery log */
};

/* The same for state.db. */
int rescue_state(const char *from, const char *to, struct rescued_state *ret_rescued);

/* Repairs names that stand for two numbers, which happens when state.db was incomplete: a channel
 * was forgotten, and another of the same name came later. The number with the newest event keeps
 * the name; the others are forgotten again. */
int rescue_numbers(struct state *state, char *const *paths, size_t count);

/* The newest event in a file; 0 if there is none or it cannot be read. */
uint64_t rescue_newest(const char *path);
