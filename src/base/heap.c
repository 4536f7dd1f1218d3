#include "base/heap.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So much more since the last look is growth that goes on. */
enum { STILL = 1 << 20 };

bool heap_watch(struct heap_watch *watch, uint64_t resident)
{
    bool grows = resident > watch->last + STILL;
    watch->last = resident;
    if (!watch->floor || resident < watch->floor)
        watch->floor = resident;
    return !grows && resident > watch->floor + HEAP_GROWTH;
}

uint64_t heap_resident(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long pages = 0;
    if (file && fgets(line, sizeof(line), file)) {
        const char *space = strchr(line, ' ');
        pages = space ? strtoull(space, NULL, 10) : 0;
    }
    if (file)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void heap_give_back(struct heap_watch *watch)
{
    (void)malloc_trim(0);
    watch->floor = watch->last = heap_resident();
}
