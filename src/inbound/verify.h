/* Whether a request is from whom it says: signatures, tokens and passwords, over the bytes as they
 * came. */
#pragma once

#include "base/hash.h"
#include "inbound/template.h"

/* A request may claim so many signatures: of others no notice is taken. One that is made with a
 * private key costs a pass over the body for each public key, so that so many pairs are checked. */
enum { VERIFY_SECRETS_MAX = 8, VERIFY_CANDIDATES_MAX = 16, VERIFY_PUBLIC_MAX = 8 };

enum verify_scheme {
    VERIFY_HMAC,     /* one header holds the signature */
    VERIFY_STRIPE,   /* t=…,v1=…[,v1=…] in one header */
    VERIFY_STANDARD, /* Standard Webhooks 1.0.0, by its own or Svix's header names */
    VERIFY_TOKEN,    /* a header is the secret itself */
    VERIFY_BASIC,    /* RFC 7617; the secret is user:password */
    VERIFY_NONE,     /* anyone */
};

enum verify_encoding { VERIFY_HEX, VERIFY_BASE64 };

/* A key as it is used. */
struct verify_secret {
    struct buf bytes;
    bool is_public; /* an ed25519 public key, of Standard Webhooks' v1a */
};

/* How a source proves itself. Texts are borrowed. */
struct verifier {
    enum verify_scheme scheme;
    struct str header; /* in lower case: where the signature or token is */
    struct str prefix; /* stands before it, as `sha256=` */
    enum hash_kind hash;
    enum verify_encoding encoding;
    struct str timestamp_header;         /* in lower case; empty for none */
    const struct template *signed_bytes; /* of VERIFY_HMAC and VERIFY_STRIPE */
    int64_t tolerance_s;
    struct verify_secret secrets[VERIFY_SECRETS_MAX]; /* any of them will do */
    size_t secrets_count;
};

enum verify_verdict {
    VERIFY_OK = 0,
    VERIFY_E_MISSING = 1, /* no signature, token or timestamp where one is due */
    VERIFY_E_WRONG,       /* it is not by any of our secrets */
    VERIFY_E_STALE,       /* it is not of now, whoever it is by */
};

/* Reads a secret as its scheme has it (`whsec_…` and `whpk_…` are base64 in VERIFY_STANDARD and
 * plain text elsewhere). 0, -ENOMEM, or -EINVAL with what would be right in `*ret_why`. The bytes
 * are to be freed by verify_secret_deinit(), which wipes them. */
int verify_secret_read(enum verify_scheme scheme, struct str text, struct verify_secret *ret,
                       const char **ret_why);
void verify_secret_deinit(struct verify_secret *secret);

/* An enum verify_verdict, or -ENOMEM. How long it takes tells nothing of the secrets. */
int verify_request(const struct verifier *verifier, const struct inbound_request *request);

/* The headers of Standard Webhooks that the request has: id, timestamp, signature; by the names of
 * Svix if it has none of the others. */
struct verify_standard {
    struct str id;
    struct str timestamp;
    struct str signature;
};
struct verify_standard verify_standard_headers(const struct http_fields *fields);
