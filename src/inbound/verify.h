/* A check that a request is from its claimed sender: signatures, tokens and passwords, over the
 * bytes as they came. */
#pragma once

#include "base/hash.h"
#include "inbound/template.h"

/* Signatures beyond this number in a request are ignored. A signature by a private key costs a pass
 * over the body for each public key, so the pairs are limited too. */
enum { VERIFY_SECRETS_MAX = 8, VERIFY_CANDIDATES_MAX = 16, VERIFY_PUBLIC_MAX = 8 };

enum verify_scheme {
    VERIFY_HMAC,     /* a header holds signatures, alone or in pairs as `t=1,v1=ab` */
    VERIFY_STANDARD, /* Standard Webhooks 1.0.0, with its own or Svix's header names */
    VERIFY_TOKEN,    /* a header is the secret itself */
    VERIFY_BASIC,    /* RFC 7617; the secret is user:password */
    VERIFY_NONE,     /* anyone */
};

enum verify_encoding { VERIFY_HEX, VERIFY_BASE64 };

/* A key in the form in which it is used. */
struct verify_secret {
    struct buf bytes;
    bool is_public; /* an ed25519 public key, for Standard Webhooks' v1a */
};

/* How a source proves its identity. Texts are borrowed. */
struct verifier {
    enum verify_scheme scheme;
    struct str header; /* in lower case: the header with the signature or token */
    struct str prefix; /* the text before it, such as `sha256=` */
    enum hash_kind hash;
    enum verify_encoding encoding;
    struct str signature_field;          /* in a header of pairs, the name of the signature, */
    struct str timestamp_field;          /* and that of the time; empty: it is no such header */
    struct str timestamp_header;         /* in lower case; empty: none */
    const struct template *signed_bytes; /* of VERIFY_HMAC */
    int64_t tolerance_s;
    struct verify_secret secrets[VERIFY_SECRETS_MAX]; /* each of them is accepted */
    size_t secrets_count;
};

enum verify_verdict {
    VERIFY_OK = 0,
    VERIFY_E_MISSING = 1, /* a signature, token or timestamp is missing */
    VERIFY_E_WRONG,       /* no secret of ours has made it */
    VERIFY_E_STALE,       /* too old or too new, whoever has signed it */
};

/* Reads a secret in the form of its scheme (`whsec_…` and `whpk_…` are base64 in VERIFY_STANDARD
 * and plain text elsewhere). Returns 0, -ENOMEM, or -EINVAL with a hint in `*ret_why`. Free the
 * bytes by verify_secret_deinit(), which wipes them. */
int verify_secret_read(enum verify_scheme scheme, struct str text, struct verify_secret *ret,
                       const char **ret_why);
void verify_secret_deinit(struct verify_secret *secret);

/* Returns an enum verify_verdict, or -ENOMEM. The time that it takes reveals nothing about the
 * secrets. */
int verify_request(const struct verifier *verifier, const struct inbound_request *request);

/* Whether a text is the secret. It compares digests, so that not even the length of the secret is
 * told by the time that it takes. */
bool verify_is_text(struct str secret, struct str given);

/* The headers of Standard Webhooks in the request: id, timestamp, signature; by the names of Svix
 * if it has none of the others. */
struct verify_standard {
    struct str id;
    struct str timestamp;
    struct str signature_name; /* of the header that signatures are in */
};
/* The headers under the names of Standard Webhooks, or those of Svix. Borrowed from the request. */
struct verify_standard verify_standard_headers(const struct http_fields *fields);
