/* Channel names in paths and numbers in parameters: read strictly, refused with a reason. */
#pragma once

#include "api/api.h"

/* Decodes the raw path behind /channels into `out`. False: the exchange was answered, over
 * WebSocket if that is what was asked for. */
bool channel_from_path(struct exchange *exchange, struct str rest, struct buf *out);

/* Whether a name's first segment is the server's. */
static inline bool channel_is_reserved(struct str name)
{
    return name.len && name.at[0] == '$';
}

/* Refuses, as the mechanism tells refusals. */
void api_refuse(struct exchange *exchange, enum problem problem, const char *detail);

/* Reads an id: 1 to 16 digits, at most EVENT_ID_MAX. -EINVAL. */
int parse_id(struct str text, uint64_t *ret_id);
