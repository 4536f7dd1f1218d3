/* The header of the PROXY protocol, versions 1 and 2, which a proxy sends before all else on a
 * connection: the address of the client for whom it connects
 * (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt). */
#pragma once

#include "net/client.h"

/* A header may not be longer. Version 1 has 107 bytes at most, version 2 some 100 and extensions,
 * which are skipped. One of them is the client's certificate, of a kilobyte or two. */
enum { PROXY_HEADER_MAX = 4096 };

struct proxy_header {
    size_t size;
    bool has_address; /* false: the proxy speaks for itself, or does not know (LOCAL, UNKNOWN) */
    union client_address address;
};

/* Reads the header at the front of `bytes`. Returns 0, -EAGAIN if more bytes must come, or -EPROTO
 * if this is none, or one that is malformed or too long. */
int proxy_header_read(struct str bytes, struct proxy_header *ret);
