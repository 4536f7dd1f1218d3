/* Links of a file of the log to the file before it. Each file keeps them in its table `meta`,
 * so that an opening notices a file that is missing or has been exchanged (holes.c). */
#pragma once

#include "log/store/sqlite/db.h"

/* The next file's knowledge of a file. A member that is 0 is not known. */
struct link {
    uint64_t first;  /* the id that names the file */
    uint64_t last;   /* the id of its newest event, once nothing more was appended */
    uint64_t count;  /* its events, once nothing more was appended */
    uint64_t digest; /* digest over the ids and checksums of its rows, made when it was sealed */
};

struct links {
    uint64_t log;       /* the same random number in all files of a log; 0: older than links are */
    uint64_t rescued;   /* 1: a copy of a damaged file's readable rows, which gets no digest */
    struct link before; /* the file before this one; `first` is 0 if there was none */
    struct link own;    /* the file itself, once sealed; `first` stays 0, since the name says it */
};

/* A number for a log that has no files yet. */
uint64_t links_make_log(void);

/* Reads a file's links; those that it does not have are 0. */
int links_read(sqlite3 *db, struct links *ret_links);

/* Writes the members that are not 0, within a transaction or as one of its own. */
int links_write(sqlite3 *db, const struct links *links);

/* The digest of a file that is being sealed. */
int links_digest(sqlite3 *db, uint64_t *ret_digest);

enum link_fit {
    LINK_FITS,
    LINK_FALLS_SHORT, /* an older copy, or one that has lost its newest events */
    LINK_IS_OTHER,    /* another content */
};

/* Compares a file with what the next file expects of it. */
enum link_fit link_fit(const struct link *expected, const struct link *found);

/* The links as bytes, for sums.db on the same machine. Bytes of another length give no links. */
struct str links_bytes(const struct links *links);
struct links links_of_bytes(struct str bytes);
