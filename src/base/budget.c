#include "base/budget.h"

void budget_begin(struct budget *budget, struct clock *clock, int64_t us, int64_t bytes)
{
    budget_begin_late(budget, clock, us, bytes);
    if (clock)
        budget->until_ns = clock_now_ns(clock) + us * 1000;
}

void budget_begin_late(struct budget *budget, struct clock *clock, int64_t us, int64_t bytes)
{
    *budget = (struct budget){
        .clock = clock, .us = us, .bytes_left = bytes, .look_at = bytes - BUDGET_STRIDE};
}

static bool is_late(struct budget *budget)
{
    if (!budget->clock || budget->bytes_left > budget->look_at)
        return false;
    int64_t now_ns = clock_now_ns(budget->clock);
    budget->look_at = budget->bytes_left - BUDGET_STRIDE;
    if (!budget->until_ns)
        budget->until_ns = now_ns + budget->us * 1000;
    return now_ns >= budget->until_ns;
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
