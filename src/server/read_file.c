#include "server/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PIECE = 16 << 10 };

static int read_all(int fd, size_t most, struct buf *out)
{
    size_t before = out->len;
    for (;;) {
        char *room = buf_reserve(out, PIECE);
        ssize_t n = room ? read(fd, room, PIECE) : -1;
        if (!room)
            return -ENOMEM;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!n)
            return 0;
        out->len += (size_t)n;
        if (out->len - before > most)
            return -EFBIG;
    }
}

int read_file(const char *path, size_t most, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = read_all(fd, most, out);
    close(fd);
    return result;
}
