/* Client certificates as a source of identities: TLS has verified them before, by the authorities
 * of `tls.client_ca`. */
#pragma once

#include "access/authority.h"

/* Takes credentials of the kind CREDENTIAL_CERTIFICATE. Each names its subject, which is all by
 * which it can be revoked. It grants nothing by itself: rules say what anybody with a credential
 * may do. A certificate counts as issued when it begins, so one that is made after a revocation of
 * its subject is good. */
struct identity_source certificate_source(void);
