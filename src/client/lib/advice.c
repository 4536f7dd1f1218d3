#include "client/lib/advice.h"

#include <errno.h>

const char *advice_of_error(int error)
{
    return error == ECONNREFUSED ? ". Nothing listens there: start `freshet serve`, or name the "
                                   "server by --url or FRESHET_URL"
                                 : "";
}

static bool has(struct str text, const char *words)
{
    return text.len && memmem(text.at, text.len, words, strlen(words));
}

/* The words of a wrong name come first: they speak of a certificate, too. */
const char *advice_of_tls(struct str cause)
{
    if (has(cause, "wrong version number"))
        return ". The server speaks no TLS there: say http:// (or ws://) in the URL";
    if (has(cause, "mismatch") || has(cause, "no alternative certificate subject name"))
        return ". Call the server by a name that its certificate has";
    if (has(cause, "certificate problem") || has(cause, "server's certificate"))
        return ". If you trust this server, --cacert FILE names the authority that vouches for it";
    return "";
}
