/* The issuers of tokens as the configuration lists them, with their keys. */
#pragma once

#include "access/issuers.h"
#include "server/faults.h"

/* An item of the list `tokens`. Texts are borrowed from the file or the command line. */
struct issuer_item {
    const char *secret;   /* of HMACs: the text, env:NAME or file:PATH */
    const char *key_file; /* PEM, or a JWK Set */
    const char *jwks_url; /* of a JWK Set */
    const char *algorithm;
    const char *kid;
    const char *issuer;
    const char *audience;
    const char *claim;
    int64_t leeway_s, refresh_s, keep_s;
};

/* Reads the keys of an item, but for those that are fetched. Returns 0, or -EINVAL with the wrong
 * setting and a sentence in `why`, joined by a colon. The issuer borrows the texts of the item. */
int issuer_item_make(const struct issuer_item *item, struct issuer *ret, struct buf *why);
