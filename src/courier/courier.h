/* The courier: webhooks. A thread whose subscribers are endpoints with their cursors on disk. */
#pragma once

#include "hub/hub.h"

struct courier;

struct courier_config {
    struct log *log;
    struct clock *clock;
    const char *dir; /* where state.db is; NULL keeps endpoints in memory alone */
    struct hub_limits hub;
    bool allow_loopback;
    const int64_t
        *schedule_ms; /* delays before the second, third, … attempt; the last one repeats */
    size_t schedule_count;
    int64_t timeout_ms;
};

/* Opens the endpoints and attaches to the log. Before the first append. */
int courier_open(const struct courier_config *config, struct courier **ret_courier);
int courier_start(struct courier *courier);
/* Ends the thread: requests in flight are broken off, cursors kept. */
void courier_stop(struct courier *courier);
/* After the log was closed. */
void courier_free(struct courier *courier);

/* How many endpoints there are. Any thread. */
uint64_t courier_endpoints(const struct courier *courier);

enum courier_op { COURIER_CREATE, COURIER_LIST, COURIER_GET, COURIER_DELETE, COURIER_PING };

/* A request of the API, answered by mail. */
struct courier_request {
    struct mail mail;
    enum courier_op op;
    char id[32];     /* of the endpoint; empty for create and list */
    struct buf body; /* JSON of create */
    struct mailbox *reply;
    struct mail reply_mail; /* its `open` is the asker's */
    /* The answer: a status with JSON, or the slug of a problem with a detail. */
    int status;
    struct buf answer;
    const char *problem;
    const char *detail;
    struct list node; /* the courier's, while a ping is under way */
};

/* Any thread. The request lives until reply_mail was opened. */
void courier_submit(struct courier *courier, struct courier_request *request);
