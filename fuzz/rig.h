/* The rig of the targets that drive a whole worker: turns in which allocations may fail,
 * connections over socket pairs, and an end after which nothing may be held for them. */
#pragma once

#include "require.h"
#include "transport/testing.h"

enum { RIG_LONG_MS = 100000 };

/* Runs a turn in which the nth allocation fails; 0: all succeed. */
static inline void rig_turn(struct bench *bench, unsigned fail_nth)
{
    mem_fail_nth(fail_nth);
    worker_step(&bench->worker, bench_awaits(bench) ? 1 : 0);
    mem_fail_nth(0);
}

static inline void rig_turns(struct bench *bench, unsigned fail_nth, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        rig_turn(bench, fail_nth);
}

static inline void rig_set_budgets(struct bench *bench, uint8_t setting)
{
    struct worker_budgets *budgets = &bench->worker.config.budgets;
    budgets->step_bytes = 128 << (setting % 10);
    budgets->turn_bytes = 256 << (setting / 16 % 10);
}

/* The peer's side of a new connection, or -1. `narrow`: the server can send little at a time. */
static inline int rig_connect(struct bench *bench, bool narrow)
{
    int fds[2], size = BENCH_SMALL_BUFFER;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
        return -1;
    if (narrow)
        (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    accept_connection(&bench->worker, fds[1], 0);
    return fds[0];
}

/* Lets time pass until the worker has seen that its peers have gone, and frees the bench. */
static inline void rig_end(struct bench *bench)
{
    for (int i = 0; i < BENCH_STEPS; i++)
        bench_pass(bench, RIG_LONG_MS);
    require(list_empty(&bench->worker.connections));
    for (unsigned i = 0; i < bench->parked_count && i < BENCH_PARKED_MAX; i++)
        exchange_free(bench->parked[i]);
    for (unsigned kind = 0; kind < ACCOUNT_COUNT; kind++)
        require(kind == ACCOUNT_CHUNKS ||
                account_held(&bench->worker.account, (enum account_kind)kind) == 0);
    bench_free(bench);
}
