#include "server/descriptors.h"

#include <sys/resource.h>

/* The descriptors that the log, the courier and connections that are refused may take. */
enum { DESCRIPTORS_SPARE = 200, REFUSING_MAX = 64 };
/* Below that the log's files leave next to nothing for connections. */
enum { DESCRIPTORS_LEAST = 64, DESCRIPTORS_WORKER = 8 };
enum { REQUESTS_MIN = 100, REQUESTS_MAX = 2048, REQUESTS_SHARE = 24 };

uint64_t descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 1000;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

uint64_t descriptors_least(unsigned workers)
{
    return DESCRIPTORS_LEAST + (uint64_t)workers * DESCRIPTORS_WORKER;
}

/* How many descriptors are set aside, of what the workers leave: half if that is little. */
static uint64_t spare_of(uint64_t left)
{
    return left > 2UL * DESCRIPTORS_SPARE ? DESCRIPTORS_SPARE : left / 2;
}

/* The number of webhook requests. They need descriptors too, even if there are few for connections.
 * `wanted` is 0 if the configuration does not say. */
static uint32_t requests_of(uint64_t descriptors, uint64_t wanted)
{
    uint64_t share = descriptors / REQUESTS_SHARE;
    if (wanted)
        return (uint32_t)(wanted < descriptors / 2 ? wanted : descriptors / 2);
    if (share < REQUESTS_MIN)
        share = descriptors / 8 < REQUESTS_MIN ? descriptors / 8 + 1 : REQUESTS_MIN;
    return (uint32_t)(share < REQUESTS_MAX ? share : REQUESTS_MAX);
}

struct descriptors descriptors_share(uint64_t all, unsigned workers, uint64_t requests_wanted)
{
    uint64_t left = all - (uint64_t)workers * DESCRIPTORS_WORKER;
    uint64_t spare = spare_of(left), connections = left - spare;
    uint32_t requests = requests_of(connections, requests_wanted);
    connections -= requests;
    return (struct descriptors){
        .connections = (uint32_t)(connections < UINT32_MAX ? connections : UINT32_MAX),
        .webhook_requests = requests,
        .refusing = (uint32_t)(spare * REFUSING_MAX / DESCRIPTORS_SPARE),
    };
}
