/* A writer of events to a descriptor, one line each, which ends after a number of events or when
 * the reader has gone. */
#pragma once

#include "client/lib/interrupt.h"

#include "base/buf.h"

/* Zeroes except for the settings are the start. */
struct printer {
    int fd;
    bool data_only;
    bool is_terminal;   /* `fd` is one: control characters are written out */
    uint64_t count_max; /* 0: no end */
    const struct interrupt *interrupt;
    uint64_t count;
    struct buf out;
    struct buf event; /* for a terminal */
    bool ended;       /* after enough events, without a reader, or after a signal */
    int error;        /* negative errno of a failed write, apart from EPIPE */
};

/* Adds an event, given as its envelope. Does nothing once `ended`. */
void printer_add(struct printer *printer, struct str envelope);

/* Writes out all added events; call it when no more are at hand. */
void printer_flush(struct printer *printer);

/* The same for follow_sink.take and .pause, whose owner is the printer. Return whether it has
 * ended. */
bool printer_take(void *owner, struct str envelope);
bool printer_pause(void *owner);

void printer_deinit(struct printer *printer);
