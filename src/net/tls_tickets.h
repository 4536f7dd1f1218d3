/* The keys of session tickets: the newest seals, all of them open.
 *
 * A ticket is the state of a session that the client keeps and brings back, to resume it without a
 * signature. So no worker keeps anything, and a session that began with one goes on with another.
 * Whoever has a key can read the sessions that its tickets stand for, so keys do not live long. */
#pragma once

#include "base/str.h"

#include <openssl/evp.h>

enum { TLS_TICKETS_KEPT = 3, TLS_TICKET_NAME_LEN = 16 };

struct tls_ticket_key {
    unsigned char name[TLS_TICKET_NAME_LEN];
    unsigned char cipher[32];
    unsigned char mac[32];
};

/* A value that is copied to each thread. Zeroes: no keys, and no tickets. */
struct tls_tickets {
    struct tls_ticket_key keys[TLS_TICKETS_KEPT]; /* the newest first */
    unsigned count;
};

/* Adds a new key and forgets the oldest. Returns 0, or -EIO if there are no random bytes. */
int tls_tickets_turn(struct tls_tickets *tickets);

/* The answers to OpenSSL for each ticket (SSL_CTX_set_tlsext_ticket_key_evp_cb): to seal one, or to
 * open one whose key has `name`. Returns 1; 2 if the client is to get a ticket of a newer key; 0 if
 * the key is not known; -1 on failure. */
int tls_tickets_seal(const struct tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
int tls_tickets_open(const struct tls_tickets *tickets, const unsigned char *name,
                     const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
