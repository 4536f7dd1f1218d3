/* What is wrong with a configuration: all of it is gathered, so that one look at the messages is
 * enough to mend the file. */
#pragma once

#include "base/buf.h"

struct faults {
    struct buf text; /* a line each, the first FAULTS_SHOWN of them */
    unsigned count;
};

/* Where a value stands. Both are unset for the command line and the environment, where the name of
 * what is wrong says enough. */
struct place {
    const char *file;
    size_t line;
};

enum { FAULTS_SHOWN = 20 };

/* Adds the line `FILE:LINE: NAME: SENTENCE`. */
void faults_add(struct faults *faults, const struct place *place, const char *name,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Prints them to standard error, each behind the command's name. */
void faults_print(const struct faults *faults, const char *command);
void faults_free(struct faults *faults);
