#include "server/authorities.h"

#include "server/read_file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>

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
    int result = read_file(path, AUTHORITIES_MAX, out);
    if (result == -EFBIG)
        return "has more than 8 MiB: name a file with the authorities that receivers go by";
    if (result)
        return "cannot be read";
    return has_certificates(buf_str(out)) ? NULL
                                          : "has a certificate that is broken, or none: it is a "
                                            "file of certificates in PEM form";
}
