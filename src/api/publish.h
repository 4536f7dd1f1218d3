/* POST /channels/{channel}: one event; DELETE, which trims a channel; and the answers to all
 * publishes that come by HTTP. */
#pragma once

#include "api/api.h"

void publish_handle(struct exchange *exchange, struct str rest);
void publish_trim(struct exchange *exchange, struct str rest);

/* The publisher that a request stands for. */
struct publisher publish_publisher(const struct exchange *exchange);

/* Reads how many deliveries of webhooks have led to the request, by the header Event-Hops; 0
 * without. False: the exchange was answered. */
bool publish_read_hops(struct exchange *exchange, uint8_t *ret_hops);

/* Takes the request's body as the proposal's data and submits that as the exchange's publish, or
 * answers why not. `done` answers later, as publish_done() does. */
void publish_submit(struct exchange *exchange, const struct publisher *publisher,
                    struct proposal *proposal,
                    void (*done)(struct publish *publish, struct batch *batch));

/* Answers with a receipt, or with the refusal. */
void publish_done(struct publish *publish, struct batch *batch);

/* The exchange that is to be answered now that its publish has a verdict. NULL: the publish was
 * refused, which was answered, or nobody waits for the answer any more. `many` says whether the
 * refusal has an index. */
struct exchange *publish_accepted(struct publish *publish, bool many);

/* An empty buffer for the receipt of the publish that is answered next. It is the worker's. */
struct buf *publish_receipt(const struct exchange *exchange);

/* Answers a publish that was accepted, with a header that warns of an event which many clients
 * would refuse. */
void publish_answer(struct exchange *exchange, int status, const struct batch *batch,
                    struct str body);
