/* The resources that processes and the kernel's network use, as /proc reports them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_ns;     /* user and system time of all threads; never decreases */
    uint64_t data_bytes; /* resident memory without pages of files, so without the program itself */
    uint64_t rss_bytes;  /* resident memory; shared pages count in each process */
    /* For the whole machine: buffers of TCP, and slabs that the kernel cannot reclaim. Pages of
     * files are in neither; the memory of other work on the machine is in both. */
    uint64_t kernel_bytes;
};

/* Sums over the processes; those that are gone count as 0. `memory` asks for memory as well, which
 * takes long for large processes. */
struct usage usage_read(const pid_t *pids, size_t count, bool memory);

/* The CPU time of the calling process so far. */
uint64_t usage_own_cpu_ns(void);
