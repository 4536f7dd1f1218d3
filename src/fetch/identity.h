/* The certificate by which the server identifies itself to receivers that ask for one. */
#pragma once

#include "base/str.h"

/* Borrowed texts. A server without a certificate has no hosts. */
struct client_identity {
    struct str cert; /* PEM: the certificate, then those that lead to its authority */
    struct str key;  /* PEM: its private key, without a passphrase */
    const char *const *hosts;
    size_t hosts_count;
};

/* Whether the certificate may be shown to the host, as it stands in a URL. */
bool identity_is_for(const struct client_identity *identity, struct str host);

/* Looks at the contents of both files. NULL if the key is the certificate's, else what is wrong, as
 * the end of a sentence; static. */
const char *identity_check(struct str cert, struct str key);
