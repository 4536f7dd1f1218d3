/* Attempts: one request each, for what a lane has next. */
#pragma once

#include "webhooks/endpoint/lane.h"

struct attempt;

/* The result of an attempt. All pointers are borrowed. */
struct outcome {
    const struct call *call;
    struct list *events; /* struct pending: the events that the request carried */
    uint64_t first;
    uint64_t last;
    uint32_t count;
    bool gap;
};

/* Whether as many deliveries as the window allows would be repeated after a crash: those under way,
 * and those accepted but not saved. */
bool attempts_wait_for_saving(const struct endpoint *endpoint);

/* Asks for a seat for another attempt. False if there is none: the endpoint becomes ready once
 * there is. */
bool attempt_take_seat(struct endpoint *endpoint);

/* Sends the next events of a due lane, on the seat that it has taken. `ended` is called at the end
 * of the attempt, with the lane idle or leaving. Returns false if there is no memory: the lane is
 * idle, and reads its events again. */
bool attempt_start(struct lane *lane,
                   void (*ended)(struct lane *lane, const struct outcome *outcome));

/* Aborts the lane's attempt, if there is one. The lane is idle or leaving afterwards. */
void attempt_stop(struct lane *lane);

/* When the lane's current attempt began. */
int64_t attempt_since_ns(const struct lane *lane);
