#include "client/lib/trust.h"

int trust_check(const struct trust *trust, struct buf *why)
{
    if (trust->cert_key && !trust->cert)
        return buf_refuse(why, "--cert-key is the key of a certificate: say --cert, too");
    if (trust->insecure && trust->authorities)
        return buf_refuse(why, "--insecure and --cacert exclude each other");
    return 0;
}
