#include "client/lib/follow.h"

#include "base/hash.h"
#include "client/lib/follow_http.h"
#include "client/lib/follow_ws.h"
#include "client/lib/retry_delay.h"

#include <errno.h>

enum {
    RETRY_LEAST_MS = 100,
    RETRY_MOST_MS = 10000,
    RETRY_ASKED_MOST_MS = 60000, /* the longest wait that a server may ask for */
    WATCH_MS = 1000,             /* how often it is seen that the reader has gone */
};

static enum follow_end run_once(struct following *following, struct transfer *transfer)
{
    following->heard = false;
    following->retry_ms = 0;
    buf_clear(&following->why);
    following->advice = NULL;
    return following->wish->mechanism == FOLLOW_WS ? follow_ws_run(following)
                                                   : follow_http_run(following, transfer);
}

static uint64_t next_delay(const struct following *following, struct retry_delay *delay)
{
    uint32_t random;
    hash_random(&random, sizeof(random));
    if (following->heard)
        retry_delay_reset(delay);
    uint64_t ms = retry_delay_next(delay, random), asked = following->retry_ms;
    if (asked <= ms)
        return ms;
    return asked < RETRY_ASKED_MOST_MS ? asked : RETRY_ASKED_MOST_MS;
}

/* Waits before the next attempt; returns false if there must be none. */
static bool wait_for_retry(const struct following *following, struct retry_delay *delay)
{
    const struct follow_sink *sink = following->sink;
    uint64_t ms = next_delay(following, delay);
    sink->lost(sink->owner, buf_str(&following->why), ms);
    for (uint64_t left = ms; left; left -= left < WATCH_MS ? left : WATCH_MS) {
        int64_t turn_ms = (int64_t)(left < WATCH_MS ? left : WATCH_MS);
        if (interrupt_wait(following->interrupt, -1, 0, turn_ms) == WAKE_INTERRUPT ||
            interrupt_is_unread(sink->watched_fd))
            return false;
    }
    return true;
}

static int run(struct following *following, struct transfer *transfer)
{
    struct retry_delay delay = {.least_ms = RETRY_LEAST_MS, .most_ms = RETRY_MOST_MS};
    for (;;) {
        enum follow_end end = run_once(following, transfer);
        if (end == FOLLOW_DONE || following->ended)
            return 0;
        /* Do not retry a server that never answered: its name is probably misspelt. */
        if (end == FOLLOW_REFUSED || !following->reached)
            return -ECONNREFUSED;
        if (!wait_for_retry(following, &delay))
            return 0;
    }
}

/* libcurl has TLS of its own; a WebSocket has ours, whose session lasts from one connection to the
 * next. */
static int prepare_tls(struct following *following)
{
    const struct follow_wish *wish = following->wish;
    if (wish->mechanism != FOLLOW_WS || !wish->url.tls)
        return 0;
    return tls_client_new(&wish->trust, wish->url.host, TLS_CLIENT_HTTP1, &following->tls,
                          &following->why);
}

int follow_run(const struct follow_wish *wish, const struct follow_sink *sink,
               const struct interrupt *interrupt, struct buf *ret_why)
{
    struct following following = {.wish = wish, .sink = sink, .interrupt = interrupt};
    struct transfer *transfer =
        transfer_new(interrupt, server_url_is_loopback(&wish->url), &wish->trust, FOLLOW_PAGE_MAX);
    if (!transfer)
        buf_add_lit(&following.why, "there is no memory");
    int result = transfer ? prepare_tls(&following) : -ENOMEM;
    if (!result)
        result = run(&following, transfer);
    if (result)
        buf_add_str(ret_why, buf_str(&following.why));
    if (result && following.advice)
        buf_add_str(ret_why, str_from(following.advice));
    transfer_free(transfer);
    tls_client_free(following.tls);
    following_deinit(&following);
    return result;
}
