/* The name of a connection for its own client: what a subscriber tells its publisher, so that the
 * publisher can exclude it from an event.
 *
 * A name is the connection's id (request_stream_id()) under a random key of the process. A stranger
 * can neither make the name of another's connection nor count connections by it: the first 16
 * digits are a MAC of the id, and the last 8 are the id, masked by what only the key makes of that
 * MAC. */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum { CONN_NAME_SIZE = 24 };

/* The rule for a name, for messages about a malformed one. */
#define CONN_NAME_RULE                                                                             \
    "the `connection` that the server told a subscriber, 24 hexadecimal digits in lower case"

/* The key, for all threads of the process. */
struct conn_names {
    uint64_t key[2];
};

void conn_names_init(struct conn_names *names);

/* Writes the name of connection `id` into `room`; returns it. */
struct str conn_name_write(const struct conn_names *names, uint32_t id, char room[CONN_NAME_SIZE]);

/* Reads a name; sets the id, or 0 if no connection of this process has had that name, as after a
 * restart. False if the text is malformed; the id is left alone then. */
bool conn_name_read(const struct conn_names *names, struct str text, uint32_t *ret_id);
