/* The certificate that a client has shown over TLS: who it names, and for how long. */
#pragma once

#include "base/str.h"

#include <openssl/x509.h>

/* The texts lie behind the struct. */
struct tls_peer {
    struct str subject; /* bytes as the authority has signed them, so check them; may be empty */
    int64_t since_us, until_us; /* wall clock */
};

/* The facts of a certificate. The subject is the last common name (CN) of its subject. Without one
 * it is the first DNS name, e-mail address or URI of its subject alternative names. NULL if there
 * is no memory. Free with free(). */
struct tls_peer *tls_peer_new(const X509 *certificate);

/* A time in a certificate, by the wall clock in microseconds; 0 if it is none. */
int64_t tls_peer_time_us(const ASN1_TIME *time);
