/* The descriptors that the process may open, and how they are divided. */
#pragma once

#include <stdint.h>

struct descriptors {
    uint32_t connections;      /* of clients */
    uint32_t webhook_requests; /* under way at once */
    uint32_t refusing;         /* connections over their limit that are heard */
};

/* Raises the limit of the process as far as allowed, and returns it. */
uint64_t descriptors_raise(void);

/* How many a server with so many workers needs at least. */
uint64_t descriptors_least(unsigned workers);

/* Divides `all` between connections, webhook requests, connections that are refused, and everything
 * else. `requests_wanted` is 0 if the configuration does not say how many webhook requests. */
struct descriptors descriptors_share(uint64_t all, unsigned workers, uint64_t requests_wanted);
