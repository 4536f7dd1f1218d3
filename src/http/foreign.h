/* Clients of protocols other than HTTP/1: recognised by their first bytes, and told in a form that
 * their users can understand. */
#pragma once

#include "base/buf.h"

/* Whether the bytes begin a TLS connection (RFC 8446 section 5.1). They may hold no line end, so
 * that without this check the server would wait for more. */
static inline bool foreign_is_tls(struct str bytes)
{
    return bytes.len && bytes.at[0] == 0x16;
}

/* Whether the bytes begin HTTP/2 with prior knowledge (RFC 9113 section 3.4). */
bool foreign_is_http2(struct str bytes);

enum foreign_refusal {
    FOREIGN_LIMIT, /* over a limit */
    FOREIGN_BARE,  /* without the TLS that is wanted */
};

/* Adds what an HTTP/2 client gets that is refused: SETTINGS, and a GOAWAY that says why. */
void foreign_add_goaway(struct buf *out, enum foreign_refusal refusal, struct str why);
