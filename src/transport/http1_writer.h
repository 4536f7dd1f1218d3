/* The writer of responses as HTTP/1.1 and HTTP/1.0: the only file above http/ that knows their
 * lines. */
#pragma once

#include "transport/pipeline.h"

/* Writes head and body of the response to a request. */
void http1_write(struct buf *out, const struct pipelined *asked, const struct response *response);

/* Writes the head alone, of a response whose body is written piece by piece, or that ends HTTP on
 * this connection (101). */
void http1_write_open(struct buf *out, const struct pipelined *asked,
                      const struct response *response);

/* All of a refusal that is sent without a look at the request. Static memory. */
struct str http1_busy(void);
