/* What load to make, as the command line says it. */
#pragma once

#include "client/server_url.h"

#include <sys/types.h>

/* Whose URLs to speak: our own, or those of the servers that we are compared with as bench/ starts
 * them. */
enum bench_target { TARGET_FRESHET, TARGET_NCHAN, TARGET_PUSHPIN, TARGET_BARE };

enum bench_via { VIA_SSE, VIA_NDJSON, VIA_RAW, VIA_WS, VIA_POLL };

/* Kinds of subscribers, opened in this order; the late ones while the load runs. */
enum bench_group {
    GROUP_SINGLE,  /* one channel */
    GROUP_WIDE,    /* every channel by name */
    GROUP_PATTERN, /* every channel by one pattern */
    GROUP_SLEEPER, /* one channel, and never reads */
    GROUP_LATE,    /* the first channel from its beginning */
    GROUPS
};

/* How the subscribers of one channel are spread over the channels. */
enum bench_matching {
    MATCHING_TURN,     /* as many on each */
    MATCHING_NAMES,    /* one on the first, two on the second … ten on the tenth, and so on */
    MATCHING_PATTERNS, /* the same, each by a pattern of its own that matches no other channel */
};

enum { PLAN_PIDS_MAX = 32, PLAN_SIZE_LEAST = 40 };

struct plan {
    enum bench_target target;
    enum bench_via via;
    struct server_url url;
    struct server_url publish_url;
    const char *token; /* or NULL */
    uint64_t groups[GROUPS];
    uint64_t rate; /* events a second; 0: flat out */
    uint64_t size; /* bytes of data in an event */
    uint64_t channels;
    uint64_t publishers;
    uint64_t in_flight; /* of each publisher */
    uint64_t seconds;
    uint64_t warm_up_ms;
    uint64_t events; /* ends after so many; 0: by time */
    uint64_t waves;  /* one event at a time, each once all have the one before; 0: no */
    uint64_t first;  /* events on the first channel before anything else */
    bool prime;      /* and one on every channel */
    enum bench_matching matching;
    uint64_t settle_ms; /* between opening and load */
    uint64_t opening;   /* connections on their way at a time */
    uint64_t patience;  /* seconds without any progress until what is missing is lost */
    bool spin;          /* never sleeps: its own waking up is no part of the latency */
    bool random;        /* channels at random instead of in turn */
    bool json;
    pid_t pids[PLAN_PIDS_MAX]; /* the server's processes, to account for */
    size_t pid_count;
};

/* Reads `freshet bench`'s arguments. 0, COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`.
 * What it returns borrows from argv and the environment's texts. */
int plan_read(int argc, char **argv, const char *environment_url, const char *environment_token,
              struct plan *ret, struct buf *why);

const char *plan_via_name(enum bench_via via);

/* Which channel the group's nth subscriber reads, and as which of its subscribers. */
struct plan_seat {
    uint32_t channel;
    uint32_t nth;
};
struct plan_seat plan_seat(const struct plan *plan, enum bench_group group, uint64_t nth);

/* The first channel that is published to while the load runs: with late subscribers the first one
 * is history. */
uint32_t plan_first_live(const struct plan *plan);

/* How many subscribers all groups have together. */
uint64_t plan_subscribers(const struct plan *plan);
