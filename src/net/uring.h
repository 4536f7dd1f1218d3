/* A slice of sends as one io_uring submission, where the kernel permits io_uring. */
#pragma once

#include "base/str.h"

struct uring;

struct uring_send {
    int fd;
    struct str bytes;
    int result; /* bytes sent, or a negative errno */
};

/* Fails with a negative errno if the kernel or the container forbids io_uring (-EPERM, -ENOSYS), or
 * if the limit of locked memory is too low for the ring (-ENOMEM); plain sends then do the same. */
int uring_new(struct uring **ret, unsigned slots);
/* `uring` may be NULL. Returns NULL. */
struct uring *uring_free(struct uring *uring);

/* Sends all (at most `slots`) without waiting for any socket and fills in the results. Returns 0,
 * or a negative errno if the ring itself failed and the fate of the sends is unknown; the caller
 * must then stop using the ring. */
int uring_send_all(struct uring *uring, struct uring_send *sends, unsigned count);
