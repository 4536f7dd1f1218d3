/* SIGINT and SIGTERM as something to wait for beside a descriptor, so that nothing is cut short;
 * and whether a reader has gone, the other reason to end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct interrupt {
    int fd; /* a signalfd; never read, so that it stays readable once a signal came */
};

/* Blocks both signals and ignores SIGPIPE, for the whole process. 0 or a negative errno. */
int interrupt_init(struct interrupt *interrupt);
void interrupt_deinit(struct interrupt *interrupt);

bool interrupt_came(const struct interrupt *interrupt);

enum interrupt_wake { WAKE_TIMEOUT, WAKE_READY, WAKE_INTERRUPT };

/* Waits until `fd` (-1: none) shows any of `events`, an error or a hang-up, a signal came, or
 * `timeout_ms` passed (negative: never). */
enum interrupt_wake interrupt_wait(const struct interrupt *interrupt, int fd, short events,
                                   int64_t timeout_ms);

/* Whether whoever read from the pipe or socket `fd` has gone; false for -1. */
bool interrupt_is_unread(int fd);
