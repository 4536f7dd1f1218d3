/* A format of webhooks' bodies: how a request carries one event, or a page of several. */
#pragma once

#include "base/json_writer.h"
#include "base/list.h"
#include "log/event.h"
#include "webhooks/wire/header_lines.h"

/* A row of the table of formats. */
struct body_format {
    const char *name;       /* the member `format` of a webhook */
    bool is_for_one;        /* a request has one event: webhooks with a batch are refused */
    bool is_of_cloudevents; /* requests name the origin that receivers have permitted */

    /* The body of a request with one event. */
    void (*add)(struct buf *out, const struct event *event);
    /* An event in the page of another request; NULL if `is_for_one`. */
    void (*write)(struct json_writer *writer, const struct event *event);
    /* The page, an array around the events; NULL: {"events":[…],"cursor":"…"}. */
    const char *page_type;
    /* Header fields of a request with one event: its Content-Type, and others. */
    void (*add_headers)(struct header_lines *headers, const struct event *event);
};
