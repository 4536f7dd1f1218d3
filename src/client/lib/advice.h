/* Advice for a person whose server cannot be reached or refuses, as a sentence that stands behind
 * the cause. Commands print it where they give up, not at each attempt. */
#pragma once

#include "base/str.h"

/* Each begins with a full stop and a blank. */
#define ADVICE_NO_HOST ". Name the server by --url or FRESHET_URL"
#define ADVICE_NO_CREDENTIAL ". --token-file FILE or FRESHET_TOKEN names yours"

/* The advice about a connection that failed with this errno; empty if there is none. */
const char *advice_of_error(int error);

/* The advice about a handshake of TLS that failed for this cause, in OpenSSL's or libcurl's words;
 * empty if there is none. */
const char *advice_of_tls(struct str cause);
