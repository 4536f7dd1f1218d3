#include "base/heap.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Growth since the last look that counts as still going on, in bytes. */
enum { STILL = 1 << 20 };

/* The pause between two looks is LOOK_MS at least, and LOOK_SHARE times as long as a look takes. */
enum { LOOK_MS = 3000, LOOK_SHARE = 1000 };

bool heap_watch(struct heap_watch *watch, uint64_t resident, uint64_t free)
{
    bool grows = resident > watch->last + STILL;
    watch->last = resident;
    if (!watch->floor || resident < watch->floor)
        watch->floor = resident;
    if (free < watch->free_floor)
        watch->free_floor = free;
    bool more = resident > watch->floor + HEAP_GROWTH || free > watch->free_floor + HEAP_GROWTH;
    return !grows && more;
}

/* The resident pages, and those of them that are shared, as of files. */
static uint64_t read_pages(uint64_t *ret_shared)
{
    char line[128] = "", *at = line;
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t pages = 0;
    *ret_shared = 0;
    if (file && fgets(line, sizeof(line), file)) {
        (void)strtoull(at, &at, 10); /* the whole address space */
        pages = strtoull(at, &at, 10);
        *ret_shared = strtoull(at, &at, 10);
    }
    if (file)
        fclose(file);
    return pages;
}

uint64_t heap_resident(void)
{
    uint64_t shared;
    return read_pages(&shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t heap_own(void)
{
    uint64_t shared, pages = read_pages(&shared);
    return (pages > shared ? pages - shared : 0) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Bytes that are free in the allocator, whether given back to the system or not. The allocator
 * walks all of its free pieces for this, while other threads that want memory wait. */
static uint64_t free_bytes(void)
{
    return mallinfo2().fordblks;
}

void heap_give_back(struct heap_watch *watch)
{
    (void)malloc_trim(0);
    watch->floor = watch->last = heap_resident();
    watch->free_floor = free_bytes();
}

/* CPU time of this thread. Wall time would include the time that the kernel gave to others; on a
 * busy machine the next look would then be a minute away. */
static int64_t worked_ns(void)
{
    struct timespec worked;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
    return worked.tv_sec * INT64_C(1000000000) + worked.tv_nsec;
}

int64_t heap_look(struct heap_watch *watch)
{
    int64_t since_ns = worked_ns();
    uint64_t free = free_bytes();
    int64_t ms = (worked_ns() - since_ns) * LOOK_SHARE / 1000000;
    if (heap_watch(watch, heap_resident(), free))
        heap_give_back(watch);
    return ms > LOOK_MS ? ms : LOOK_MS;
}
