/* A budget: how much one step may spend before it gives way to others.
 *
 * Work whose length is decided by input runs under a budget of bytes and of time, and puts off what
 * is left once the budget is spent. The clock is read once in BUDGET_STRIDE bytes, so that an inner
 * loop can ask after each record. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes between two looks at the clock, and what a step costs at least that moves no bytes. */
enum { BUDGET_STRIDE = 4096, BUDGET_STEP = 64 };

struct budget {
    struct clock *clock; /* NULL: bytes alone count */
    int64_t us;
    int64_t until_ns;   /* 0: its time has not begun */
    int64_t bytes_left; /* 0 once it is spent */
    int64_t look_at;    /* the clock is read when bytes_left has fallen to this */
    bool spent;
};

/* Starts a budget of `us` microseconds from now and of `bytes`. `clock` may be NULL. */
void budget_begin(struct budget *budget, struct clock *clock, int64_t us, int64_t bytes);

/* The same, without a look at the clock: the time begins with the first look, which is when
 * BUDGET_STRIDE bytes are spent. For what mostly ends before that. */
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
 * that used the rest up is done all the same, so a budget always lets one step pass. Inline, since
 * each delivery asks. */
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
