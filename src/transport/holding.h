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

/* Size classes are powers of two. Holdings below the least class are counted but not listed, since
 * closing their holder would free next to nothing. */
enum { HOLDING_CLASSES = 48, HOLDING_LEAST = 1024 };

/* Embedded beside the buffer. Zeroes: holds nothing. */
struct holding {
    struct list node;
    struct request_stream *request;
    size_t bytes;
    uint32_t sharers; /* number of connections that share it; 0: not shared */
    uint8_t kind;     /* enum account_kind */
};

struct holdings {
    struct account *account;
    uint64_t filled[ACCOUNT_COUNT]; /* a bit for each class that has holdings */
    struct list classes[ACCOUNT_COUNT][HOLDING_CLASSES];
};

/* `account` is borrowed. */
void holdings_init(struct holdings *holdings, struct account *account);

/* Sets the kind, the size, and the number of connections that share the buffer (0: not shared). */
void holding_set_shared(struct holdings *holdings, struct holding *holding, enum account_kind kind,
                        size_t bytes, uint32_t sharers);

/* Sets the kind and the size; with size 0 the holding is not listed. Inline, because each request
 * calls it, mostly without a change. */
static inline void holding_set(struct holdings *holdings, struct holding *holding,
                               enum account_kind kind, size_t bytes)
{
    if (bytes != holding->bytes || (bytes && holding->kind != kind) || holding->sharers)
        holding_set_shared(holdings, holding, kind, bytes, 0);
}

/* Returns one of the largest holdings of a kind: no other is twice as large. NULL if all are too
 * small to be listed. */
struct holding *holdings_largest(const struct holdings *holdings, enum account_kind kind);

/* The same of all kinds. */
struct holding *holdings_largest_of_all(const struct holdings *holdings);

/* Whether no other holding of its kind is twice as large. */
bool holding_is_large(const struct holdings *holdings, const struct holding *holding);
