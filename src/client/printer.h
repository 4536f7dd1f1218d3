/* Writes events to a descriptor, one line each; knows when enough were written or nobody reads. */
#pragma once

#include "client/interrupt.h"

#include "base/buf.h"

/* All zeroes but the settings is the start. */
struct printer {
    int fd;
    bool data_only;
    uint64_t count_max; /* 0: no end */
    const struct interrupt *interrupt;
    uint64_t count;
    struct buf out;
    bool ended; /* enough, or nobody reads, or a signal came */
    int error;  /* negative errno of a write that failed for another reason than EPIPE */
};

/* Adds one event, given as its envelope. Nothing is added once `ended`. */
void printer_add(struct printer *printer, struct str envelope);

/* Writes out what was added; call it when nothing more is at hand. */
void printer_flush(struct printer *printer);

void printer_deinit(struct printer *printer);
