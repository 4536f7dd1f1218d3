/* The steps that all mechanisms of publishing share: keys as the log keeps them, JSON on one line,
 * and the report of the log's verdict. */
#pragma once

#include "transport/problem.h"
#include "transport/worker.h"

/* Sets event->key from the key that the publisher gave: hashes over subject, channel and key, and
 * over what is published. Channel, type, content type and data must be set. 0 or -ENOMEM. */
int propose_key(struct batch *batch, struct event *event, struct str subject, struct str key);

/* The maker of channels for a publish that came over the connection (NULL: the connection is
 * gone). */
struct maker propose_maker(const struct worker *worker, const struct conn *conn);

/* Puts the event's JSON data, which must lie in the batch's arena, on one line. */
void propose_one_line(struct event *event);

/* The problem that reports a refusal, with a hint. `verdict` is not PUBLISH_OK. Counts the limit
 * that was hit in the worker that reports it. */
enum problem propose_problem(struct worker *worker, enum publish_verdict verdict,
                             const char **ret_detail);

/* Adds the members of a receipt, without braces: id (unless ephemeral), channel, time, and
 * "duplicate" if it is one. */
void propose_add_receipt(struct buf *out, const struct event *event);
