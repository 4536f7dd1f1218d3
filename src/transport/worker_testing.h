/* For tests only: a worker over a log in memory, on a clock that the test turns. */
#pragma once

#include "transport/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline struct worker_limits worker_testing_limits(void)
{
    return (struct worker_limits){
        .http = HTTP_LIMITS_DEFAULT,
        .ws = {.message_max = 65536, .frame_max = 65536},
        .head_ms = 10000,
        .body_ms = 30000,
        .idle_ms = 75000,
        .stall_ms = 60000,
        .publish_ms = 8000,
        .close_ms = 5000,
        .message_ms = 30000,
        .drain_ms = 2000,
        .body_max = 65536,
        .inflight_max = 4,
        .connections_max = 100,
        .pending_max = UINT64_C(1) << 20,
        .handshakes_max = UINT64_C(1) << 20,
        .rests_max = UINT64_C(1) << 20,
        .hub = {.window_bytes = 1 << 20,
                .chunk_bytes = 65536,
                .cache_bytes = 65536,
                .slice_bytes = 65536},
    };
}

/* Opens the log, and begins its only worker with what `config` says of limits, handlers and `app`.
 * The log has the clock of the system. */
static inline void worker_testing_begin(struct worker *worker, struct log **ret_log,
                                        struct clock_fake *clock, struct worker_config *config)
{
    struct log_config log = {
        .memory = true,
        .store = {.clock = clock_system()},
        .bytes_max = UINT64_C(16) << 20,
        .channels_max = 1000,
        .keys_max = 1000,
        .key_life_us = 300000000,
        .readers = 1,
    };
    clock_fake_init(clock, 1795459080000000);
    assert_int_equal(log_open(&log, ret_log), 0);
    config->count = 1;
    config->log = *ret_log;
    config->clock = &clock->clock;
    config->rules = config->rules ? config->rules : &rules_open;
    assert_int_equal(worker_init(worker, config), 0);
}
