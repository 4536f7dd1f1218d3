/* `freshet repair`: sets the damaged files of a log aside, saves what can be read of them, and sees
 * to it that readers are told of what is lost. */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/progress.h"
#include "log/store/sqlite/trouble.h"

struct repair_config {
    const char *dir;
    bool dry_run; /* report only, change nothing */
    struct clock *clock;
    struct progress *progress; /* may be NULL */
    int64_t known_webhooks;    /* the latest format of the webhooks' tables that is known */
};

/* The repair succeeded, but events, trims or webhooks are lost. */
enum { REPAIR_LOST = 1 };

/* Takes the folder's lock and checks each file; adds to `out` what was found, done and lost. 0 if
 * nothing is lost, REPAIR_LOST, or a negative errno with its cause in `ret_trouble`: then what was
 * done before is done, and it may be tried again. */
int repair_folder(const struct repair_config *config, struct trouble *ret_trouble, struct buf *out);
