/* The disk that fails and remembers (disk.c), for a test that is linked with it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct disk_setup {
    char folder[200]; /* files below it are concerned; empty: none */
    uint64_t seed;
    unsigned rate;      /* faults in 1,000 calls */
    int error;          /* the errno; 0: EIO and ENOSPC in turn */
    uint64_t after;     /* so many calls succeed first */
    uint64_t upto;      /* all calls behind so many succeed; 0: may fail for ever */
    uint64_t die_at;    /* the call with which the process is killed; 0: none */
    bool counts_names;  /* calls that change names are counted instead of writes */
    bool has_no_links;  /* link() fails, as on some file systems */
    int record;         /* a descriptor, opened with O_APPEND; -1 for none */
    unsigned open_base; /* processes that share a record number what they open above this */
};

void disk_set_up(const struct disk_setup *wanted);

/* The calls that were counted since. */
uint64_t disk_calls(void);

enum disk_kind {
    DISK_OPEN,        /* a path; `at` is the flags */
    DISK_WRITE,       /* bytes */
    DISK_TRUNCATE,    /* `at` is the new size */
    DISK_SYNC,        /* of a file or a folder */
    DISK_SYNC_FAILED, /* bytes that were not synced before may be lost for good */
    DISK_RENAME,      /* two paths, with a zero between and behind them */
    DISK_LINK,        /* likewise */
    DISK_UNLINK,
    DISK_MKDIR,
    DISK_NOTE, /* of the test's own */
};

/* An entry of the record; `len` bytes follow. */
struct disk_entry {
    uint32_t kind;
    uint32_t open_id;
    uint64_t at;
    uint64_t len;
};

/* Puts a note of the test's own into the record. */
void disk_note(const void *bytes, size_t len);
