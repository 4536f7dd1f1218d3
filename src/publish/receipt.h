/* Receipts: the log's verdict on a publish, as its publisher is told. */
#pragma once

#include "base/refusal.h"
#include "base/rfc3339.h"
#include "log/apply.h"

/* The refusal for a verdict other than PUBLISH_OK. */
struct refusal receipt_refusal(const struct publish *publish);

/* Writes the members of an event's receipt into an object: id (unless ephemeral), channel, time,
 * and "duplicate" if it is one. `times` is the memo of the thread, see submit.h. */
void receipt_write(struct json_writer *writer, const struct event *event,
                   struct rfc3339_memo *times);

/* The size of the data of the largest event of an accepted publish. */
size_t receipt_largest(const struct publish *publish, const struct batch *batch);
