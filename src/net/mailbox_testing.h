/* For tests only: a thread that waits for its mail. */
#pragma once

#include "net/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <unistd.h>

enum { MAILBOX_PATIENCE_MS = 60000 };

/* Opens mail as a worker does, or waits if there is none. Call it until what the test waits for has
 * come. */
static inline void mailbox_testing_turn(struct mailbox *mailbox)
{
    if (mailbox_empty(mailbox) || !mailbox_sleep(mailbox))
        return;
    struct pollfd wake = {.fd = mailbox->wake_fd, .events = POLLIN};
    uint64_t wakes;
    assert_int_equal(poll(&wake, 1, MAILBOX_PATIENCE_MS), 1);
    assert_int_equal(read(wake.fd, &wakes, sizeof(wakes)), sizeof(wakes));
    mailbox_wake(mailbox);
}
