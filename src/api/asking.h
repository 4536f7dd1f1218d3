/* A question about a request, such as who asks, whose answer may come later: the request is parked
 * until then, and handled again with the answer. All of it is for the thread of the worker. */
#pragma once

#include "access/authority.h"

struct exchange;

struct asking {
    struct identification identification;
    struct exchange *exchange;    /* NULL: it does not wait for the answer */
    const struct identity **late; /* the exchange's member for an answer that came later */
};

/* Begins a question. `late` is a member of the exchange, which holds the answer while the exchange
 * is handled again. NULL without memory: the exchange has been refused. The asker
 * calls asking_wait() if the answer comes later, and frees the question otherwise. */
struct asking *asking_begin(struct exchange *exchange, const struct identity **late);

/* Parks the exchange until the answer comes. Without memory the exchange is refused, and the answer
 * is dropped. */
void asking_wait(struct asking *asking);
