/* A descriptor that ends blocking calls: readable once the program wants to end. A program may use
 * an eventfd of its own, or have SIGINT and SIGTERM made such a descriptor. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct interrupt {
    int fd; /* a signalfd or eventfd, which nobody reads, so that it stays readable; -1: never */
};

/* Makes the descriptor of both signals, blocks them, and ignores SIGPIPE, for the whole process:
 * for a program without other threads, which would get the signals. Returns 0 or a negative errno.
 */
int interrupt_init(struct interrupt *interrupt);
/* Closes the descriptor. The signals stay as they are. */
void interrupt_deinit(struct interrupt *interrupt);

/* Whether the program wants to end. Any thread, as below. */
bool interrupt_came(const struct interrupt *interrupt);

enum interrupt_wake { WAKE_TIMEOUT, WAKE_READY, WAKE_INTERRUPT };

/* Waits until `fd` (-1: none) reports any of `events` (POLLIN, POLLOUT), an error or a hang-up,
 * until the interrupt comes, which goes before the others, or until `timeout_ms` has passed
 * (negative: never). */
enum interrupt_wake interrupt_wait(const struct interrupt *interrupt, int fd, short events,
                                   int64_t timeout_ms);

/* Whether the reader of the pipe or socket `fd` has gone; false for -1. */
bool interrupt_is_unread(int fd);
