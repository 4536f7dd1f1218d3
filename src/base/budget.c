#include "base/budget.h"

void budget_begin(struct budget *budget, struct clock *clock, int64_t us, int64_t bytes)
{
    *budget = (struct budget){.clock = clock,
                              .until_ns = clock ? clock_now_ns(clock) + us * 1000 : 0,
                              .bytes_left = bytes,
                              .look_at = bytes - BUDGET_STRIDE};
}

static bool is_late(struct budget *budget)
{
    if (!budget->clock || budget->bytes_left > budget->look_at)
        return false;
    budget->look_at = budget->bytes_left - BUDGET_STRIDE;
    return clock_now_ns(budget->clock) >= budget->until_ns;
}

bool budget_spend(struct budget *budget, size_t bytes)
{
    size_t cost = bytes > BUDGET_STEP ? bytes : BUDGET_STEP;
    if (budget->spent || cost >= (uint64_t)budget->bytes_left) {
        budget->spent = true;
        return false;
    }
    budget->bytes_left -= (int64_t)cost;
    budget->spent = is_late(budget);
    return !budget->spent;
}
