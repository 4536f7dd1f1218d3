#include "client/lib/first_line.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 16384 };

/* Reads all of a descriptor, up to FILE_MAX bytes, and ends the first line with a zero. */
static bool read_line(int fd, char *room)
{
    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < FILE_MAX) {
        n = read(fd, room + len, FILE_MAX - len);
        if (n > 0)
            len += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    room[len < FILE_MAX ? len : 0] = '\0';
    room[strcspn(room, "\r\n")] = '\0';
    if (len == FILE_MAX)
        errno = EFBIG;
    return !n;
}

char *first_line_read(const char *file)
{
    bool is_input = strcmp(file, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *line = mem_alloc(FILE_MAX + 1);
    bool good = read_line(fd, line);
    int error = errno;
    if (!is_input)
        close(fd);
    if (good)
        return line;
    first_line_free(line);
    errno = error;
    return NULL;
}

void first_line_free(char *line)
{
    if (line)
        explicit_bzero(line, FILE_MAX + 1);
    free(line);
}
