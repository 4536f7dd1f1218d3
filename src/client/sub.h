/* A subscription of the command line: what was asked for, and how far it has got. */
#pragma once

#include "client/lines.h"

struct sub_run {
    struct str url;
    const char *token;
    const char *const *channels;
    size_t channels_count;
    const char *const *types;
    size_t types_count;
    const char *last; /* only for the first connection */
    bool data_only;
    uint64_t left;   /* events still to print; 0 once there were enough */
    char cursor[64]; /* where to go on: a cursor, or what --after said */
    uint64_t seen;   /* records of any kind on this connection */
};

/* Prints an event; false when it was the last one wanted or nobody reads any more. */
bool sub_print(struct sub_run *run, struct str line);

/* Notes a position. */
void sub_note(struct sub_run *run, struct str cursor);

/* Says something on standard error. */
void sub_tell(const char *what, struct str detail);

/* Subscribes over a WebSocket and prints until the connection ends. 0 when it should be tried
 * again, 1 when the server refuses, -1 when enough was printed. */
int sub_by_socket(struct sub_run *run);
