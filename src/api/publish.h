/* POST /channels/{channel}: one event; DELETE, which trims a channel; and the answers to all
 * publishes that come by HTTP. */
#pragma once

#include "api/api.h"
#include "http/parameters.h"

void publish_handle(struct exchange *exchange, struct str rest);
void publish_trim(struct exchange *exchange, struct str rest);

/* The parameters of a publish. */
struct parameter_table publish_parameters(void);

/* The publisher of a request. */
struct publisher publish_publisher(const struct exchange *exchange);

/* Reads the header Event-Hops: the number of webhook deliveries that have led to the request; 0
 * without it. False: the exchange was answered. */
bool publish_read_hops(struct exchange *exchange, uint8_t *ret_hops);

/* Takes the request's body as the proposal's data, and submits it as the exchange's publish or
 * refuses it. `done` answers later, by publish_done(). */
void publish_submit(struct exchange *exchange, const struct publisher *publisher,
                    struct proposal *proposal,
                    void (*done)(struct publish *publish, struct batch *batch));

/* Answers with a receipt, or with the refusal. */
void publish_done(struct publish *publish, struct batch *batch);

/* The exchange to answer now that its publish has a verdict. NULL: the publish was refused, and
 * that was answered, or nobody waits for the answer. `many`: whether the refusal names an index. */
struct exchange *publish_accepted(struct publish *publish, bool many);

/* An empty buffer for the receipt of the publish that is answered next. It is the worker's. */
struct buf *publish_receipt(const struct exchange *exchange);

/* Answers an accepted publish, with a warning header if many clients would refuse such a large
 * event. */
void publish_answer(struct exchange *exchange, int status, const struct batch *batch,
                    struct str body);
