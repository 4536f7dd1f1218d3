/* Reads channel names in paths and numbers in parameters, strictly, and refuses them with a reason.
 */
#pragma once

#include "api/api.h"

/* The name in the raw path after /channels, unchecked: a part of the path, or, if it has escapes,
 * in `room`. False: the exchange was answered, over WebSocket if that was asked for. */
bool channel_decode(struct exchange *exchange, struct str rest, struct buf *room,
                    struct str *ret_name);

/* Decodes the raw path after /channels into `out`, and checks the name. False as above. */
bool channel_from_path(struct exchange *exchange, struct str rest, struct buf *out);
