/* The faults of a configuration: all are gathered, so that the operator can mend the file after one
 * look. */
#pragma once

#include "base/buf.h"

struct faults {
    struct buf text; /* a line for each of the first FAULTS_SHOWN faults */
    unsigned count;
};

/* The place of a value. Both fields are unset for the command line and the environment, where the
 * name is enough. */
struct place {
    const char *file;
    size_t line;
};

enum { FAULTS_SHOWN = 20 };

/* Adds the line `FILE:LINE: NAME: SENTENCE`. */
void faults_add(struct faults *faults, const struct place *place, const char *name,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A value of the configuration in quotes, for a sentence, in `room`. Of a URL that may have a
 * secret in it the rest is quoted, since refusals end up in logs. */
const char *faults_quote(char *room, size_t size, struct str value);

/* Prints all faults to standard error, each behind the command's name. */
void faults_print(const struct faults *faults, const char *command);
void faults_free(struct faults *faults);
