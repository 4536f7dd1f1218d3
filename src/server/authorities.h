/* A file of certificates of authorities, read whole: what is in force is then what the file had
 * when the configuration was read, whatever becomes of it. */
#pragma once

#include "base/buf.h"

enum { AUTHORITIES_MAX = 8 << 20 }; /* the system's own are 0.25 MB */

/* Reads the file, which has certificates in PEM form, into `out`. NULL, or the end of a sentence
 * that says what is wrong, in static memory. */
const char *authorities_read(const char *path, struct buf *out);
