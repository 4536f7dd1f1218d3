#include "base/spares.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#ifdef __OPTIMIZE__
enum { KEPT_MAX = SPARES_MAX };
#else
enum { KEPT_MAX = 0 };
#endif

/* A kept piece begins with the address of the next. */
static void *take_first(struct spares *spares)
{
    void *memory = spares->first;
    memcpy(&spares->first, memory, sizeof(spares->first));
    spares->count--;
    return memory;
}

void *spares_take(struct spares *spares, size_t size)
{
    return spares->count ? take_first(spares) : mem_try_alloc(size);
}

void spares_give(struct spares *spares, void *memory)
{
    if (spares->count >= KEPT_MAX) {
        free(memory);
        return;
    }
    memcpy(memory, &spares->first, sizeof(spares->first));
    spares->first = memory;
    spares->count++;
}

void spares_deinit(struct spares *spares)
{
    while (spares->count)
        free(take_first(spares));
}
