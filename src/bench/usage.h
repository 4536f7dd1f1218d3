/* What processes and the kernel's network use, as /proc tells it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_ns;     /* of all threads, user and system; never less than before */
    uint64_t data_bytes; /* resident, without the pages of files: what was loaded is no data */
    uint64_t rss_bytes;  /* resident, shared pages counted in each process */
    /* Of the whole machine: what TCP holds in buffers, and slabs without those that the kernel can
     * reclaim. Pages of files are in neither. What else the machine does is in both. */
    uint64_t kernel_bytes;
};

/* Sums over the processes; those that have gone count nothing. `memory` says whether to look at
 * memory as well, which takes long for large processes. */
struct usage usage_read(const pid_t *pids, size_t count, bool memory);

/* CPU of the calling process so far. */
uint64_t usage_own_cpu_ns(void);
