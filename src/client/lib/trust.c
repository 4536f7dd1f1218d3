#include "client/lib/trust.h"

#include <errno.h>

static int refuse(struct buf *why, const char *sentence)
{
    buf_add_str(why, str_from(sentence));
    return -EINVAL;
}

int trust_check(const struct trust *trust, struct buf *why)
{
    if (trust->cert_key && !trust->cert)
        return refuse(why, "--cert-key is the key of a certificate: say --cert, too");
    if (trust->insecure && trust->authorities)
        return refuse(why, "--insecure and --cacert exclude each other");
    return 0;
}
