/* New connections: which are let in, the handshake of TLS, and the kind that each becomes. */
#pragma once

#include "transport/worker_state.h"

/* The protocols that connections over TLS may speak, as ALPN lists them: the best first, each
 * behind its length. */
struct str accept_protocols(void);

/* Takes over a socket that came by a listener; `door` holds its enum door_flags. */
void accept_connection(struct worker *worker, int fd, uint8_t door);

/* Goes on with handshakes for which something has come, as many as this turn has time for. */
void accept_shake(struct worker *worker);
