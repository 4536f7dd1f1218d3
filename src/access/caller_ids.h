/* The ids of a caller as text, for what outlives the request: a webhook remembers who made it. */
#pragma once

#include "access/caller.h"
#include "base/buf.h"

/* Writes a JSON object: the kind, all by which the credential can be revoked, and its end; the same
 * of each caller that it rests on, as `base`. Nothing for anybody. */
void caller_ids_write(struct buf *out, const struct caller *caller);

/* A caller with these ids and without grants. NULL for an empty text: anybody. A text that cannot
 * be read, in whole or in part, was written by somebody whose rights are unknown: the caller's time
 * is over then. Aborts without memory. */
struct caller *caller_ids_read(struct str text);
