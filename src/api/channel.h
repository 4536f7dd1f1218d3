/* Channel names in paths and numbers in parameters: read strictly, refused with a reason. */
#pragma once

#include "api/api.h"

/* The name that the raw path behind /channels spells, as yet unchecked: a part of the path, or, if
 * that has escapes, in `room`. False: the exchange was answered, over WebSocket if that is what was
 * asked for. */
bool channel_decode(struct exchange *exchange, struct str rest, struct buf *room,
                    struct str *ret_name);

/* Decodes the raw path behind /channels into `out`, and checks the name. False as above. */
bool channel_from_path(struct exchange *exchange, struct str rest, struct buf *out);
