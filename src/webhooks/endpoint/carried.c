#include "webhooks/endpoint/carried.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The index of the first id that is at least `id`. */
static uint32_t place_of(const struct carried *carried, uint64_t id)
{
    uint32_t low = 0, high = carried->count;
    BISECT(low, high, middle, carried->ids[middle] < id);
    return low;
}

void carried_add(struct carried *carried, uint64_t id)
{
    if (carried->count == CARRIED_MAX)
        return;
    if (!carried->ids)
        carried->ids = mem_alloc(CARRIED_MAX * sizeof(uint64_t));
    uint32_t at = place_of(carried, id);
    memmove(carried->ids + at + 1, carried->ids + at, (carried->count - at) * sizeof(uint64_t));
    carried->ids[at] = id;
    carried->count++;
}

bool carried_has(const struct carried *carried, uint64_t id)
{
    uint32_t at = place_of(carried, id);
    return at < carried->count && carried->ids[at] == id;
}

bool carried_is_passed(const struct carried *carried, uint64_t id)
{
    return place_of(carried, id) == carried->count;
}

void carried_forget(struct carried *carried)
{
    free(carried->ids);
    *carried = (struct carried){0};
}
