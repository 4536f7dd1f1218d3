/* Has libcurl look for a server's name in the names of its certificate alone.
 *
 * libcurl compares with the subject's common name if a certificate has no names of its own. RFC
 * 9525 (section 2) ends that: a certificate authority checks subject alternative names, and nobody
 * checks what else stands in a subject. A WebSocket of ours does not look there either. */
#pragma once

#include <curl/curl.h>

/* For a handle that verifies its peers: refuses certificates without a DNS name and without an IP
 * address among their subject alternative names. Returns what curl_easy_setopt() does. */
CURLcode certificate_names_require(CURL *easy);
