/* Connections of HTTP/2 that subscribers of a benchmark share, each by a stream of its own. */
#pragma once

#include "bench/load.h"

/* Calls to a subscriber; `owner` is what streams_open() was given. */
struct streams_ops {
    void (*answered)(void *owner, int status);
    void (*received)(void *owner, struct str bytes);
    void (*ended)(void *owner, const char *reason);
};

/* Sends a request, given as text of HTTP/1.1, by a stream: of the newest connection, or of another
 * one if that has plan->streams already. Returns 0 or a negative errno. */
int streams_open(struct load *load, const struct streams_ops *ops, void *owner, struct str request);

/* Closes all connections; nobody is told. */
void streams_close(struct load *load);
