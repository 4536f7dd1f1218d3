/* The buffers that connections hold, sorted by size, so that the largest is found at once.
 *
 * Every buffer whose size a peer decides has a holding. It is counted in the worker's account, and
 * is in a list for its kind and its size class, so that to set a holding and to find one of the
 * largest take constant time. A buffer that several connections share is counted once, and is as
 * large as the share of each: to close one of them gives back no more. */
#pragma once

#include "base/account.h"
#include "base/list.h"

struct request_stream;

/* Classes are powers of two. What is smaller than the least is counted, and is nowhere listed:
 * closing its holder would give back next to nothing. */
enum { HOLDING_CLASSES = 48, HOLDING_LEAST = 1024 };

/* Embedded beside the buffer. All zeroes holds nothing. */
struct holding {
    struct list node;
    struct request_stream *request;
    size_t bytes;
    uint32_t sharers; /* number of connections that share it; 0: not shared */
    uint8_t kind;     /* enum account_kind */
};

struct holdings {
    struct account *account;
    uint64_t filled[ACCOUNT_COUNT]; /* a bit for every class that has some */
    struct list classes[ACCOUNT_COUNT][HOLDING_CLASSES];
};

/* `account` is borrowed. */
void holdings_init(struct holdings *holdings, struct account *account);

/* The buffer is of this kind, holds so many bytes now, and so many connections hold it together (0:
 * one alone). */
void holding_set_shared(struct holdings *holdings, struct holding *holding, enum account_kind kind,
                        size_t bytes, uint32_t sharers);

/* The buffer is of this kind and holds so many bytes now. With 0 it is nowhere listed any more.
 * Inline, since each request asks, mostly of a buffer that is as it was. */
static inline void holding_set(struct holdings *holdings, struct holding *holding,
                               enum account_kind kind, size_t bytes)
{
    if (bytes != holding->bytes || (bytes && holding->kind != kind) || holding->sharers)
        holding_set_shared(holdings, holding, kind, bytes, 0);
}

/* Returns one of the largest of a kind: none is twice as large. NULL if all are too small to be
 * listed. */
struct holding *holdings_largest(const struct holdings *holdings, enum account_kind kind);

/* The same of all kinds. */
struct holding *holdings_largest_of_all(const struct holdings *holdings);

/* Whether none of its kind holds twice as much. */
bool holding_is_large(const struct holdings *holdings, const struct holding *holding);
