/* A token in plain words, for the person who holds it and wonders. */
#pragma once

#include "access/issuers.h"

/* Adds lines about the token. `issuers` without any tell nothing of the signature. Returns whether
 * a server with these issuers accepts the token at that time. */
bool token_explain(struct buf *out, struct issuers *issuers, struct str text, int64_t now_us);
