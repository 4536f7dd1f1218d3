/* A client's side of TLS as its user has set it: who vouches for the server, and the certificate
 * that the client shows. */
#pragma once

#include "base/command_line.h"

/* Names of files, all PEM and borrowed; NULL: none. */
struct trust {
    const char *authorities; /* NULL: those of the system */
    const char *cert;        /* that the client shows, with those between it and an authority */
    const char *cert_key;    /* its private key; NULL: in the same file */
    bool insecure;           /* any server is good */
};

/* The options of a command, for its table. */
#define TRUST_OPTIONS(trust)                                                                       \
    {.name = "cacert", .value = &(trust)->authorities}, {.name = "cert", .value = &(trust)->cert}, \
        {.name = "cert-key", .value = &(trust)->cert_key},                                         \
    {                                                                                              \
        .name = "insecure", .flag = &(trust)->insecure                                             \
    }

enum { TRUST_OPTIONS_COUNT = 4 };

#define TRUST_HELP                                                                                 \
    "  --cacert FILE, --cert FILE, --cert-key FILE, --insecure\n"                                  \
    "      with https:// authorities that vouch for the server, in place of the system's;\n"       \
    "      a certificate to show and its key; any server is good\n"

/* Returns 0, or -EINVAL with a sentence in `why` if the options contradict each other. */
int trust_check(const struct trust *trust, struct buf *why);
