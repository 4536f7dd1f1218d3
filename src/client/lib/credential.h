/* The credential of a command's user: a key or a token, from a file, or else the environment.
 *
 * Every user of the machine can read a command line, so none is taken from there: `--token` is
 * known only to say what to use instead. The text of a file is wiped when it is not needed any
 * more. */
#pragma once

#include "base/command_line.h"

/* Zeroes are a user without a credential. */
struct credential {
    const char *said; /* by --token, which is refused; NULL: not */
    const char *file; /* by --token-file; "-" is standard input; NULL: none */
    const char *text; /* the one that holds; NULL: none */
    char *own;        /* the text of the file */
};

/* The options of a command, for its table. */
#define CREDENTIAL_OPTIONS(credential)                                                             \
    {.name = "token", .value = &(credential)->said},                                               \
    {                                                                                              \
        .name = "token-file", .value = &(credential)->file                                         \
    }

enum { CREDENTIAL_OPTIONS_COUNT = 2 };

/* For a column of options that is as wide as the longest. */
#define CREDENTIAL_HELP                                                                            \
    "  --token-file FILE\n"                                                                        \
    "      who you are: a key or a token, alone on the first line of a file (- is standard\n"      \
    "      input), or FRESHET_TOKEN in the environment\n"

/* Reads the file, if there is one, and sets `text`. `environment` stands in for the file, and may
 * be NULL. Returns 0, or -EINVAL with a sentence in `why`. Call credential_deinit() in any
 * case. */
int credential_read(struct credential *credential, const char *environment, struct buf *why);

/* Wipes the text of the file. */
void credential_deinit(struct credential *credential);
