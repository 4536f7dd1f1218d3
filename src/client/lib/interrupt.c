#include "client/lib/interrupt.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int interrupt_init(struct interrupt *interrupt)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    interrupt->fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return interrupt->fd < 0 ? -errno : 0;
}

void interrupt_deinit(struct interrupt *interrupt)
{
    close(interrupt->fd);
    interrupt->fd = -1;
}

bool interrupt_came(const struct interrupt *interrupt)
{
    return interrupt_wait(interrupt, -1, 0, 0) == WAKE_INTERRUPT;
}

enum interrupt_wake interrupt_wait(const struct interrupt *interrupt, int fd, short events,
                                   int64_t timeout_ms)
{
    struct pollfd fds[] = {{.fd = interrupt->fd, .events = POLLIN}, {.fd = fd, .events = events}};
    int timeout = timeout_ms < 0 ? -1 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
    /* Both signals are blocked, so EINTR is rare (a stop and a continue); to wait again is fine. */
    int ready;
    do
        ready = poll(fds, 2, timeout);
    while (ready < 0 && errno == EINTR);
    if (fds[0].revents)
        return WAKE_INTERRUPT;
    return ready > 0 && fds[1].revents ? WAKE_READY : WAKE_TIMEOUT;
}

bool interrupt_is_unread(int fd)
{
    struct pollfd poll_fd = {.fd = fd};
    return fd >= 0 && poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLERR);
}
