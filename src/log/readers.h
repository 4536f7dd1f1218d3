/* The readers: a pool of threads for work that may wait for the disk, in slices. */
#pragma once

#include "log/log.h"

enum {
    LOG_SLICE_ROWS = 1024,     /* rows that a job looks at in a slice */
    LOG_REQUEST_SLICES = 1024, /* allowance of a job that one request causes: a million rows */
    LOG_LEAVING_SLICES = 64,   /* the same once the client has finished sending and may be gone */
};

/* Work that may wait for the disk, done in slices so that a long job cannot hold up a short one.
 * The submitter sets the first fields, zeroes the others, and keeps the job until its mail was
 * opened. */
struct log_job {
    /* Does a slice on a reader's thread: LOG_SLICE_ROWS rows at most. Returns true when the job is
     * done. */
    bool (*run)(struct log_job *job, struct log *log);
    struct mailbox *reply; /* gets `mail` when the job has ended, for whatever reason */
    struct mail mail;
    uint32_t slices_max; /* the allowance; 0 for a job that limits itself */
    struct clock *clock; /* the allowance in time; NULL: none. After a slice that ends at */
    int64_t until_ns;    /* `until_ns` or later by this clock, there is no further slice */
    /* For the thread that opens the mail: */
    bool spent;     /* the allowance was spent before the job was done */
    bool cancelled; /* by log_job_cancel(), or because the log was closed */
    /* Internal: */
    uint8_t state;
    bool oldest;      /* the pool took it before newer jobs */
    uint32_t slices;  /* slices done so far */
    int64_t since_ns; /* the start of the current slice */
    struct list node;
};

/* Submits a job. Any thread. */
void log_submit(struct log *log, struct log_job *job);

/* After the job's mail was opened: says that the job will be submitted again. Its last slice does
 * not count, because it did nothing. On the thread that opens the job's mail. */
void log_job_park(struct log *log, struct log_job *job);

/* Cancels a job whose result is no longer wanted: no further slice is done. Its mail still comes,
 * for the owner to free the job. Harmless for a job that has ended. On the thread that opens the
 * job's mail. */
void log_job_cancel(struct log *log, struct log_job *job);

/* Lowers the allowance to LOG_LEAVING_SLICES. On the thread that opens the job's mail. */
void log_job_hurry(struct log *log, struct log_job *job);
