/* A caller as text, for what outlives the request: a webhook remembers who made it, and what that
 * credential granted. */
#pragma once

#include "access/caller.h"
#include "base/buf.h"

/* Writes a JSON object: the kind, all by which the credential can be revoked, its end, its voucher
 * and its grants; the same of each caller that it rests on, as `base`. Nothing for anybody. The
 * grants of a key by itself are left out: what counts is what the key grants at the time. */
void caller_ids_write(struct buf *out, const struct caller *caller);

/* The caller of a text. NULL for an empty text: anybody. Without grants in the text, which older
 * versions left out, the caller `lacks_grants`. A text that cannot be read, in whole or in part,
 * was written by somebody whose rights are unknown: the caller's time is over then. Aborts without
 * memory. */
struct caller *caller_ids_read(struct str text);
