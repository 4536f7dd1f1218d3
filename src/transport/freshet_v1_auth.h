/* The operation `auth` of freshet.v1: another credential for a connection that goes on.
 *
 * The new caller takes the place of the old one: what ends the connection is then the end of the
 * new credential. Channels and patterns that the new caller may not read are taken away, and named
 * in the answer. A credential that is not valid changes nothing. */
#pragma once

#include "transport/freshet_v1_state.h"

/* Asks the authority for the caller of a token, and answers now or later. `ref` is raw JSON or
 * empty. A second question before the answer is refused: the answers might come in another order,
 * and each holds memory. */
void freshet_v1_auth(struct freshet_v1 *v1, struct str ref, struct str token);

/* The connection is gone: answers of the authority that are still to come are dropped. */
void freshet_v1_forget_auths(struct freshet_v1 *v1);

/* pull_ops.review: unsubscribes what may not be read under the rules as they are now, and tells the
 * client, or closes if that cannot be done at once. */
bool freshet_v1_review(struct pull *pull, const struct access *access);
