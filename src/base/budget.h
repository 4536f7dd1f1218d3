/* A budget: how much one step may spend before it gives way to others.
 *
 * Work whose length is decided by input runs under a budget of bytes and of time, and puts off what
 * is left once the budget is spent. The clock is read once in BUDGET_STRIDE bytes, so that an inner
 * loop can ask after each record. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes between two looks at the clock, and the least charge of a step, even if it moves no
 * bytes. */
enum { BUDGET_STRIDE = 4096, BUDGET_STEP = 64 };

struct budget {
    struct clock *clock; /* NULL: only bytes count */
    int64_t us;
    int64_t until_ns;   /* 0: the time has not begun */
    int64_t bytes_left; /* 0 once the budget is spent */
    int64_t look_at;    /* the next look at the clock is due when bytes_left falls to this value */
    bool spent;
};

/* Starts a budget of `us` microseconds from now and of `bytes`. `clock` may be NULL. */
void budget_begin(struct budget *budget, struct clock *clock, int64_t us, int64_t bytes);

/* Like budget_begin(), without a look at the clock: the time begins with the first look, after
 * BUDGET_STRIDE bytes. For work that mostly ends sooner. */
void budget_begin_late(struct budget *budget, struct clock *clock, int64_t us, int64_t bytes);

/* Ends the budget, whatever is left of it. */
static inline void budget_end(struct budget *budget)
{
    budget->spent = true;
    budget->bytes_left = 0;
}

/* Looks at the clock. For budget_spend() alone. */
bool budget_look(struct budget *budget);

/* Charges a step that handled `bytes`. Returns whether there is budget for another step. The step
 * that spends the rest is done all the same, so a budget always lets one step pass. Inline, since
 * every delivery calls this. */
static inline bool budget_spend(struct budget *budget, size_t bytes)
{
    size_t cost = bytes > BUDGET_STEP ? bytes : BUDGET_STEP;
    if (__builtin_expect(cost >= (uint64_t)budget->bytes_left, 0)) {
        budget_end(budget);
        return false;
    }
    budget->bytes_left -= (int64_t)cost;
    return budget->bytes_left > budget->look_at || budget_look(budget);
}

static inline bool budget_is_spent(const struct budget *budget)
{
    return budget->spent;
}
