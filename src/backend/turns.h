/* Whose question is sent next to which site, when more are asked than may be sent.
 *
 * Questions wait here until a place is free. The sites that have questions waiting take turns, and
 * so do the addresses that ask the same site; the questions of one address go in the order in which
 * they came. A site has at most so many places, and an address has at most so many of a site's, so
 * neither a slow site nor a busy address can take all of them.
 *
 * A question is waiting, then sent, then removed; it may be removed while it waits. Sites and
 * addresses are remembered only while they have questions, so what the caller lets in bounds the
 * memory. Taking the next question costs a look at no more sites and addresses than have questions
 * sent. All functions are for one thread; no function waits, and nothing here knows the time. */
#pragma once

#include "base/list.h"
#include "base/map.h"

/* A host and port to which questions go. */
struct turns_site {
    struct map_node node;  /* by host */
    struct list list;      /* in turns->waiting, while a question for it waits */
    struct list addresses; /* those with a question that waits, the next one first */
    uint64_t number;       /* unlike that of any site before */
    uint32_t sent;
    uint32_t addresses_count; /* with questions that wait or are sent */
    size_t host_len;
    char host[];
};

/* An address, or a network, whose clients cause questions to one site. */
struct turns_address {
    struct map_node node;  /* by site and peer */
    struct list list;      /* in site->addresses, while a question waits */
    struct list questions; /* those that wait, the oldest first */
    struct turns_site *site;
    struct {
        uint64_t site, peer;
    } key;
    uint32_t sent;
    uint32_t questions_count; /* that wait or are sent */
};

/* A question's part in this, embedded. All zeroes is none. */
struct turn {
    struct list list; /* in address->questions, while it waits */
    struct turns_address *address;
};

struct turns_limits {
    uint32_t places;  /* questions that may be sent at a time */
    uint32_t site;    /* to one site */
    uint32_t address; /* to one site for one address; a Unix socket has no address and no limit */
};

struct turns {
    struct map sites;
    struct map addresses;
    struct list waiting; /* sites, the next one first */
    uint64_t numbers;    /* of sites so far */
    uint32_t sent;
};

void turns_init(struct turns *turns);

/* No question is left. */
void turns_deinit(struct turns *turns);

/* Has a question of the peer (net/peer.h) wait for its turn to be sent to the URL. URLs with the
 * same host and port are one site. */
void turns_add(struct turns *turns, struct turn *turn, struct str url, uint64_t peer);

/* Takes the question whose turn it is, which counts as sent from then on. NULL: none may be sent
 * now. */
struct turn *turns_next(struct turns *turns, const struct turns_limits *limits);

/* The question has ended, whether it was sent or waits. */
void turns_remove(struct turns *turns, struct turn *turn);
