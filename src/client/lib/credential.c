#include "client/lib/credential.h"

#include "base/mem.h"
#include "client/lib/server_url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 16384 };

/* Reads all of a descriptor, up to FILE_MAX bytes, and ends the first line with a zero. */
static bool read_first_line(int fd, char *room)
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
    return !n;
}

static int read_file(struct credential *credential, struct buf *why)
{
    bool is_input = strcmp(credential->file, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(credential->file, O_RDONLY | O_CLOEXEC);
    credential->own = mem_alloc(FILE_MAX + 1);
    bool good = fd >= 0 && read_first_line(fd, credential->own);
    if (fd >= 0 && !is_input)
        close(fd);
    credential->text = credential->own;
    if (good && server_url_token_valid(credential->own))
        return 0;
    buf_addf(why, "%s does not hold a key or a token, alone on its first line",
             is_input ? "standard input" : credential->file);
    return -EINVAL;
}

int credential_read(struct credential *credential, const char *environment, struct buf *why)
{
    if (credential->said) {
        buf_add_lit(why, "--token is not taken, since all users of this machine can read a command "
                         "line: write the key or token into a file and say --token-file FILE, or "
                         "set FRESHET_TOKEN");
        return -EINVAL;
    }
    if (credential->file)
        return read_file(credential, why);
    credential->text = environment;
    if (!credential->text || server_url_token_valid(credential->text))
        return 0;
    buf_add_lit(why, "the token holds something that no token can");
    return -EINVAL;
}

void credential_deinit(struct credential *credential)
{
    if (credential->own)
        explicit_bzero(credential->own, FILE_MAX + 1);
    free(credential->own);
    credential->own = NULL;
    credential->text = NULL;
}
