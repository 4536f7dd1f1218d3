/* The state of a freshet.v1 connection: its terms, and the parts that hold them. */
#pragma once

#include "subscribe/start.h"
#include "transport/websocket.h"

enum {
    FRESHET_V1_REF_MAX = 64,
    FRESHET_V1_JOINING_MAX = SELECTION_TERMS_MAX, /* subscriptions that are not live yet */
    FRESHET_V1_ADMITTED_MAX = 8, /* subscriptions that catch up at the same time; others wait as a
                                  * position */
    FRESHET_V1_EXCEPT_MAX = 16,  /* most selections in a chain of excluded ones */
};

struct freshet_v1;
struct freshet_v1_asks;
struct group;

/* A subscriber: for the terms of one `subscribe`, or, as the main part of a group, for all terms of
 * the group that have caught up. */
struct part {
    struct list node;
    struct freshet_v1 *v1;
    struct group *group;
    struct sub sub;
    /* the part's selection, or that of its search; NULL while the part waits */
    struct selection *selection;
    struct position *waits;      /* where to begin, until it is admitted */
    struct start_search *search; /* while its start is searched for */
    uint32_t serial;             /* parts are admitted and merged in this order; main has 0 */
    bool answered;               /* the start was reported to the client */
    uint8_t ref_len;
    char ref[];
};

/* All terms with the same types. */
struct group {
    struct list node;
    struct selection *types; /* a selection of these types without channels */
    struct part *main;
};

/* A channel or pattern that was asked for. */
struct term {
    struct list node;
    struct part *part;
    bool leaving; /* unsubscribed, but kept while a joining part wants some of its events */
    uint8_t len;
    char name[];
};

struct freshet_v1 {
    struct websocket websocket;
    struct worker *worker;
    struct list groups;
    struct list parts; /* parts of all groups; a part that has sent is moved to the end */
    struct list terms;
    struct part *taking;          /* between fill and sent */
    struct freshet_v1_asks *asks; /* about presence; NULL: none yet, and no name */
    uint32_t terms_count;
    uint16_t joining;
    uint16_t waiting; /* of those that join */
    uint32_t serials;
    uint32_t since_s; /* when it began; see rounds_now_s() */
};
