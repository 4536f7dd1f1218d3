/* The writer of responses as HTTP/1.1 and HTTP/1.0: the only file above http/ that knows their
 * lines. */
#pragma once

#include "transport/pipeline.h"

/* Writes head and body of the response to a request. */
void http1_write(struct buf *out, const struct pipelined *asked, const struct response *response);

/* Writes a head alone: of a response whose body follows in pieces, or of a 101, which ends HTTP on
 * this connection. */
void http1_write_open(struct buf *out, const struct pipelined *asked,
                      const struct response *response);

/* Writes the complete refusal of a connection whose request was not read. */
void http1_busy(struct buf *out, struct str base, enum problem problem, struct str detail);
