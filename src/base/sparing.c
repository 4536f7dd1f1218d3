#include "base/sparing.h"

#define INTERVAL_NS (SPARING_MS * INT64_C(1000000))

bool sparing_may(struct sparing *sparing, int64_t now_ns, uint64_t *ret_left_out)
{
    int64_t due_ns = sparing->due_ns > now_ns ? sparing->due_ns : now_ns;
    if (due_ns - now_ns > (SPARING_AT_ONCE - 1) * INTERVAL_NS) {
        sparing->left_out++;
        return false;
    }
    sparing->due_ns = due_ns + INTERVAL_NS;
    *ret_left_out = sparing->left_out;
    sparing->left_out = 0;
    return true;
}
