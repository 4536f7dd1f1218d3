/* Errors of the log's folder as values: the file, the cause, and what to do about it.
 *
 * An opening that fails returns an errno, which says neither. So it notes at which file it failed,
 * and looks at that file once everything is closed again: what the errno leaves open (is it
 * damaged, locked, of another user?) the file itself tells. */
#pragma once

#include "base/buf.h"

enum trouble_kind {
    TROUBLE_NONE,
    TROUBLE_UNKNOWN, /* nothing but the errno is known */
    TROUBLE_MISSING,
    TROUBLE_NO_FOLDER,     /* a folder is needed, and the name belongs to something else */
    TROUBLE_NO_PLAIN_FILE, /* a file is needed, and the name belongs to something else */
    TROUBLE_NO_ACCESS,
    TROUBLE_READ_ONLY, /* the file system */
    TROUBLE_NO_SPACE,
    TROUBLE_NO_DESCRIPTORS,
    TROUBLE_NO_MEMORY,
    TROUBLE_IN_USE, /* by another freshet */
    TROUBLE_LOCKED, /* by another program */
    TROUBLE_NEWER,  /* made by a newer freshet */
    TROUBLE_DAMAGED,
    TROUBLE_UNFINISHED, /* a repair was ended while it exchanged the file for a copy */
    TROUBLE_KINDS,
};

enum { TROUBLE_PATH = 1024, TROUBLE_DETAIL = 256 };

/* Zeroes are no trouble. */
struct trouble {
    enum trouble_kind kind;
    int error; /* the opening's result: a negative errno */
    char path[TROUBLE_PATH];
    char detail[TROUBLE_DETAIL]; /* DAMAGED: what is wrong in the file */
    int64_t pid;                 /* IN_USE: the process that has it; 0 if that is not known */
    int64_t format,
        known; /* NEWER: the format of the file, and the latest that this program knows */
    int64_t known_webhooks; /* the latest format of the webhooks' tables; 0 to leave it out */
};

/* Notes the file at which something failed. Only the first is kept, since later failures may result
 * from it. `trouble` may be NULL, also below. Returns `error`. */
int trouble_note(struct trouble *trouble, const char *path, int error);

/* Notes that another process has the folder. Returns -EBUSY. */
int trouble_note_in_use(struct trouble *trouble, const char *dir, int64_t pid);

/* Notes the first file whose exchange a repair did not finish (exchange.h): 0 if there is none,
 * -EUCLEAN, or another negative errno if log/ cannot be read. */
int trouble_note_unfinished(struct trouble *trouble, const char *dir);

/* Finds the cause of the noted failure. Call once the opening has closed its files; `error` is its
 * result. If no file was noted, `dir` is looked at. */
void trouble_look(struct trouble *trouble, const char *dir, int error);

/* Examines one file of a log by its path: TROUBLE_NONE if nothing is wrong. With `deep` all of it
 * is read and checked by SQLite's rules. Changes nothing, except that SQLite makes an index file
 * for a write-ahead log. */
enum trouble_kind trouble_inspect(struct trouble *trouble, const char *path, bool deep);

/* Examines the folder and its files, without reading them whole, for anything that would keep a
 * server from starting. A missing folder is no trouble if its parent may be written to. Changes
 * nothing, and may run beside a server. */
enum trouble_kind trouble_survey(struct trouble *trouble, const char *dir);

/* Adds "PATH CAUSE. ADVICE", without a newline at the end. `dir` is the log's folder. */
void trouble_add(struct buf *out, const struct trouble *trouble, const char *dir);

/* Adds the cause alone. */
void trouble_add_cause(struct buf *out, const struct trouble *trouble);
