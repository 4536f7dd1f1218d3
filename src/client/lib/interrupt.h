/* SIGINT and SIGTERM as a descriptor to wait for, so that nothing is cut short, and a test whether
 * the reader of a pipe has gone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct interrupt {
    int fd; /* a signalfd; never read, so that it stays readable after a signal */
};

/* Blocks both signals and ignores SIGPIPE, for the whole process. Returns 0 or a negative errno. */
int interrupt_init(struct interrupt *interrupt);
void interrupt_deinit(struct interrupt *interrupt);

bool interrupt_came(const struct interrupt *interrupt);

enum interrupt_wake { WAKE_TIMEOUT, WAKE_READY, WAKE_INTERRUPT };

/* Waits until `fd` (-1: none) reports any of `events`, an error or a hang-up, until a signal comes,
 * or until `timeout_ms` has passed (negative: never). */
enum interrupt_wake interrupt_wait(const struct interrupt *interrupt, int fd, short events,
                                   int64_t timeout_ms);

/* Whether the reader of the pipe or socket `fd` has gone; false for -1. */
bool interrupt_is_unread(int fd);
