#include "base/memory_mark.h"

bool memory_mark_look(struct memory_mark *mark, uint64_t held, uint64_t most)
{
    bool was_full = memory_mark_is_full(mark);
    bool full = most && held > (was_full ? most - most / 8 : most);
    atomic_store_explicit(&mark->held, held, memory_order_relaxed);
    if (full == was_full)
        return false;
    atomic_store_explicit(&mark->full, full, memory_order_relaxed);
    if (full)
        atomic_fetch_add_explicit(&mark->times, 1, memory_order_relaxed);
    return true;
}
