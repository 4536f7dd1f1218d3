/* The lines of a request's header, as libcurl takes them. */
#pragma once

#include "log/event.h"

struct curl_slist;

/* Zeroes are the start. The caller frees both, and looks at `failed` first. */
struct header_lines {
    struct curl_slist *list;
    struct buf line; /* the line being written */
    bool failed;     /* there was no memory */
};

void header_lines_add(struct header_lines *headers, const char *name, struct str value);

/* The same with bytes that are not safe in a header as %XX, as CloudEvents has it (HTTP protocol
 * binding 3.1.3.2). */
void header_lines_add_encoded(struct header_lines *headers, const char *name, struct str value);

/* Adds the Content-Type of the event's data. */
void header_lines_add_type(struct header_lines *headers, const struct event *event);

/* Ends the line that was written into `line`. */
void header_lines_end(struct header_lines *headers);

/* Adds a byte as %XX. */
void header_lines_add_percent(struct buf *out, char c);
