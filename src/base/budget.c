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

bool budget_look(struct budget *budget)
{
    budget->look_at = budget->bytes_left - BUDGET_STRIDE;
    if (!budget->clock)
        return true;
    int64_t now_ns = clock_now_ns(budget->clock);
    if (!budget->until_ns)
        budget->until_ns = now_ns + budget->us * 1000;
    if (now_ns >= budget->until_ns)
        budget_end(budget);
    return !budget->spent;
}
