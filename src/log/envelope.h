/* The envelope: an event as the JSON object that all mechanisms and webhooks send. */
#pragma once

#include "base/json_writer.h"
#include "log/event.h"

/* Writes {"id","prev","channel","type","time","data"…}, with "content_type" if the event has one.
 * An ephemeral event has neither id nor prev. */
void envelope_write(struct json_writer *writer, const struct event *event);
void envelope_add(struct buf *out, const struct event *event);

/* Writes the data as a JSON value: JSON as it came, text as a string, anything else as
 * {"content_type","data_base64"}. */
void envelope_write_data(struct json_writer *writer, const struct event *event);
void envelope_add_data(struct buf *out, const struct event *event);
