/* The plan of a load, as the command line describes it. */
#pragma once

#include "client/lib/server_url.h"
#include "client/lib/credential.h"
#include "client/lib/trust.h"

#include <sys/types.h>

/* The server whose URLs to use: our own, or those that we compare with, as bench/ starts them. */
enum bench_target { TARGET_FRESHET, TARGET_NCHAN, TARGET_PUSHPIN, TARGET_BARE };

enum bench_mechanism {
    MECHANISM_SSE,
    MECHANISM_NDJSON,
    MECHANISM_RAW,
    MECHANISM_WS,
    MECHANISM_POLL
};

/* Kinds of subscribers, opened in this order; late subscribers are opened while the load runs. */
enum bench_group {
    GROUP_SINGLE,  /* a channel each */
    GROUP_WIDE,    /* all channels by name */
    GROUP_PATTERN, /* all channels by one pattern */
    GROUP_SLEEPER, /* a channel each, but never reads */
    GROUP_LATE,    /* the first channel, from its beginning */
    GROUPS
};

/* How the subscribers of a channel are spread over the channels. */
enum bench_matching {
    MATCHING_TURN,  /* the same number on each channel */
    MATCHING_NAMES, /* 1 subscriber on the first channel, 2 on the second … 10 on the tenth, and
                     * so on */
    MATCHING_PATTERNS, /* the same, each by its own pattern, which matches no other channel */
};

enum { PLAN_PIDS_MAX = 32, PLAN_SIZE_LEAST = 40, PLAN_OBJECT_LEAST = 64, PLAN_BATCH_MAX = 10000 };

struct plan {
    enum bench_target target;
    enum bench_mechanism mechanism;
    struct server_url url;
    struct server_url publish_url;
    struct trust trust;
    struct credential credential; /* to be ended by the caller, in any case */
    const char *token;            /* may be NULL */
    uint64_t groups[GROUPS];
    uint64_t rate; /* events a second; 0: as fast as possible */
    uint64_t size; /* bytes of data in an event */
    uint64_t channels;
    uint64_t publishers;
    uint64_t in_flight; /* requests, for each publisher */
    uint64_t batch;     /* events in a request */
    uint64_t seconds;
    uint64_t warm_up_ms;
    uint64_t events;  /* ends after this many events; 0: by time */
    uint64_t waves;   /* number of events published singly, each once all subscribers have the one
                       * before; 0: none */
    uint64_t first;   /* number of events on the first channel before anything else */
    bool prime;       /* and an event on every channel */
    uint64_t streams; /* subscribers of an HTTP/2 connection; 0: each has one of HTTP/1.1 */
    enum bench_matching matching;
    uint64_t settle_ms; /* pause between opening and load */
    uint64_t opening;   /* connections that are opened at the same time */
    uint64_t patience;  /* seconds without progress after which missing events count as lost */
    bool spin;          /* do not sleep, to keep the time of waking up out of the latency */
    bool random;        /* channels at random instead of in turn */
    bool json;
    pid_t pids[PLAN_PIDS_MAX]; /* processes of the server, for CPU and memory */
    size_t pid_count;
};

/* Reads the arguments of `freshet bench`. Returns 0, COMMAND_LINE_HELP, or -EINVAL with a sentence
 * in `why`. The result borrows from argv and the environment's texts. */
int plan_read(int argc, char **argv, const char *environment_url, const char *environment_token,
              struct plan *ret, struct buf *why);

const char *plan_mechanism_name(enum bench_mechanism mechanism);

/* The channel that a group's nth subscriber reads, and its index among the channel's
 * subscribers. */
struct plan_seat {
    uint32_t channel;
    uint32_t nth;
};
/* The seat of the nth subscriber of a group. */
struct plan_seat plan_seat(const struct plan *plan, enum bench_group group, uint64_t nth);

/* The first channel that is published to while the load runs: with late subscribers channel 0 is
 * history. */
uint32_t plan_first_live(const struct plan *plan);

/* The number of subscribers in all groups. */
uint64_t plan_subscribers(const struct plan *plan);
