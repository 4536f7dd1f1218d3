/* HTTP requests to endpoints, many at a time, by libcurl. */
#pragma once

#include "courier/sign.h"
#include "base/list.h"

#include <curl/curl.h>

struct deliveries {
    CURLM *multi;
    bool allow_loopback;
    int64_t timeout_ms;
    unsigned inflight;
};

/* A request under way; embedded in what wants it. All zeroes is none. */
struct delivery {
    struct deliveries *deliveries;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body; /* stays until it is done */
    int64_t retry_after_ms;
    bool refused; /* by our own policy */
    /* Status, or 0 with an error text, which stands during the call. */
    void (*done)(struct delivery *delivery, long status, const char *error);
};

int deliveries_init(struct deliveries *deliveries, bool allow_loopback, int64_t timeout_ms);
void deliveries_deinit(struct deliveries *deliveries);

/* Moves all requests on and tells who is done. Does not wait. */
void deliveries_turn(struct deliveries *deliveries);

/* Waits until a request can move on, `fd` is readable, or `wait_ms` are over. */
void deliveries_wait(struct deliveries *deliveries, int fd, int wait_ms);

/* Posts delivery->body, signed under `id` at `now_s`; `done` follows in a later turn. 0 or -ENOMEM.
 */
int delivery_start(struct deliveries *deliveries, struct delivery *delivery, const char *url,
                   const struct sign_key *key, struct str id, int64_t now_s);

/* Breaks it off: `done` is not called. Harmless when there is none. */
void delivery_cancel(struct delivery *delivery);

/* Whether the text is an http or https URL without user information. */
bool delivery_url_valid(const char *url);

/* The milliseconds that a Retry-After value asks for, at most a day; 0 when it cannot be read. */
int64_t delivery_retry_after(const char *value, int64_t now_s);
