#include "client/lib/retry_delay.h"

uint64_t retry_delay_next(struct retry_delay *delay, uint32_t random)
{
    uint64_t ceiling = delay->ceiling_ms ? delay->ceiling_ms : delay->least_ms * 2;
    if (ceiling > delay->most_ms)
        ceiling = delay->most_ms;
    delay->ceiling_ms = ceiling * 2;
    uint64_t half = ceiling / 2;
    uint64_t drawn = half + random % (ceiling - half + 1);
    return drawn < delay->least_ms ? delay->least_ms : drawn;
}

void retry_delay_reset(struct retry_delay *delay)
{
    delay->ceiling_ms = 0;
}
