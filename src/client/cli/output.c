#include "client/cli/output.h"

#include "base/visible.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int complain(const char *command, int error)
{
    fprintf(stderr, "%s: standard output: %s\n", command, strerror(error));
    return 1;
}

static int write_all(const char *command, struct str bytes)
{
    while (bytes.len) {
        ssize_t n = write(STDOUT_FILENO, bytes.at, bytes.len);
        struct pollfd full = {.fd = STDOUT_FILENO, .events = POLLOUT};
        if (n >= 0)
            bytes = str_skip(bytes, (size_t)n);
        else if (errno == EAGAIN)
            (void)poll(&full, 1, -1);
        else if (errno != EINTR)
            return complain(command, errno);
    }
    return 0;
}

int output_write(const char *command, struct str bytes)
{
    struct buf out = {0};
    if (isatty(STDOUT_FILENO) != 1)
        return write_all(command, bytes);
    visible_add(&out, bytes);
    int code = buf_failed(&out) ? complain(command, ENOMEM) : write_all(command, buf_str(&out));
    if (out.at)
        explicit_bzero(out.at, out.cap); /* it may be a key */
    buf_free(&out);
    return code;
}

int output_end(const char *command, int code)
{
    bool failed = ferror(stdout);
    errno = 0;
    if (!fflush(stdout) && !failed)
        return code;
    complain(command, errno ? errno : EIO);
    return code ? code : 1;
}
