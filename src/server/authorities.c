#include "server/authorities.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>

static int read_all(int fd, struct buf *out)
{
    enum { PIECE = 16 << 10 };
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
        if (out->len > AUTHORITIES_MAX)
            return -EFBIG;
    }
}

/* Whether the text has certificates, and all of them can be read. */
static bool has_certificates(struct str text)
{
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.len);
    size_t count = 0;
    X509 *certificate;
    while (bio && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
        X509_free(certificate);
        count++;
    }
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(bio);
    return count && ended;
}

const char *authorities_read(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 ? -errno : read_all(fd, out);
    if (fd >= 0)
        close(fd);
    if (result == -EFBIG)
        return "has more than 8 MiB: name a file with the authorities that receivers go by";
    if (result)
        return "cannot be read";
    return has_certificates(buf_str(out)) ? NULL
                                          : "has a certificate that is broken, or none: it is a "
                                            "file of certificates in PEM form";
}
