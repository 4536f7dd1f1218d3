/* Attempts: one request each, for what a lane has next. */
#pragma once

#include "webhooks/endpoint/lane.h"

struct attempt;

/* The result of an attempt. Borrowed. */
struct outcome {
    const struct call *call;
    struct list *events; /* of struct pending, those that were carried */
    uint64_t first;
    uint64_t last;
    uint32_t count;
    bool gap;
};

/* Whether the deliveries that would come again after a crash are as many as may be: those under way
 * and those that were accepted but not saved. */
bool attempts_wait_for_saving(const struct endpoint *endpoint);

/* Asks for a seat for one more attempt. False if there is none now: then the endpoint becomes ready
 * once there is. */
bool attempt_take_seat(struct endpoint *endpoint);

/* Sends what a lane that is due has next, on the seat that it took. `ended` is called when the
 * attempt has ended; the lane is idle or leaving then. False without memory: the lane is idle, and
 * reads its events again. */
bool attempt_start(struct lane *lane,
                   void (*ended)(struct lane *lane, const struct outcome *outcome));

/* Breaks the lane's attempt off, if there is one. The lane is idle or leaving then. */
void attempt_stop(struct lane *lane);

/* When the lane's attempt began; it has one. */
int64_t attempt_since_ns(const struct lane *lane);
