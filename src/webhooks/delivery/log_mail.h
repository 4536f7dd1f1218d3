/* The log's mail: batches that wait to be fanned out to the endpoints.
 *
 * Fanning a batch out costs as much as there are endpoints that it matches, and the log must not
 * wait for that. So batches are only queued when they are opened, and fanned out for as long as a
 * turn may take. Beyond `backlog_max` they are dropped, here or by the log itself: endpoints have
 * cursors, and read on from the store. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* Callbacks for the courier's hub; `owner` is the courier. */
void log_mail_on_batch(void *owner, struct batch *batch);
void log_mail_on_missed(void *owner, uint64_t upto);

/* Fans out batches from the log, until the turn's budget is spent. */
void log_mail_read(struct courier *courier);

/* Drops what is queued. */
void log_mail_drop(struct courier *courier);
