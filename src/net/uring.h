/* A slice of sends as one io_uring submission, where the kernel permits io_uring. */
#pragma once

#include "base/str.h"

struct uring;

struct uring_send {
    int fd;
    struct str bytes;
    int result; /* bytes taken, or a negative errno */
};

/* NULL when the kernel or the container forbids it; then plain sends do the same. */
struct uring *uring_new(unsigned slots);
/* NULL is fine. Returns NULL. */
struct uring *uring_free(struct uring *uring);

/* Sends all (at most `slots`) without waiting for any socket and fills in the results. 0, or a
 * negative errno when the ring itself failed and nothing can be said of the sends; the caller then
 * gives it up. */
int uring_send_all(struct uring *uring, struct uring_send *sends, unsigned count);
