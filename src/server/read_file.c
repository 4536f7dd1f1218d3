#include "server/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 16 << 10 };

int read_file_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* Waits until there is something to read, or the last writer has gone. Files that are no FIFO are
 * always ready. */
static int wait_for_content(int fd)
{
    struct pollfd content = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&content, 1, READ_FILE_WAIT_MS);
    while (ready < 0 && errno == EINTR);
    return ready > 0 ? 0 : ready ? -errno : -ETIMEDOUT;
}

ssize_t read_file_next(int fd, void *room, size_t size)
{
    int result = wait_for_content(fd);
    if (result)
        return result;
    ssize_t n = read(fd, room, size);
    return n < 0 ? -errno : n;
}

_Static_assert(READ_FILE_WAIT_MS == 5000, "the sentence below says so");

const char *read_file_explain(int error)
{
    return error == -ETIMEDOUT ? "a FIFO to which nobody has written for 5 seconds"
                               : strerror(-error);
}

static int read_all(int fd, size_t most, struct buf *out)
{
    size_t before = out->len;
    for (;;) {
        char *room = buf_reserve(out, PIECE);
        ssize_t n = room ? read_file_next(fd, room, PIECE) : -ENOMEM;
        if (n < 0)
            return (int)n;
        if (!n)
            return 0;
        out->len += (size_t)n;
        if (out->len - before > most)
            return -EFBIG;
    }
}

int read_file(const char *path, size_t most, struct buf *out)
{
    int fd = read_file_open(path);
    if (fd < 0)
        return fd;
    int result = read_all(fd, most, out);
    close(fd);
    return result;
}
