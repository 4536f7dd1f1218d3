#include "client/lib/certificate_names.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

static bool has_names(const X509 *certificate)
{
    bool found = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
        int type = sk_GENERAL_NAME_value(names, i)->type;
        found = type == GEN_DNS || type == GEN_IPADD;
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* OpenSSL calls this for each certificate of the chain; that of the server has depth 0. */
static int verify(int is_good, X509_STORE_CTX *store)
{
    if (!is_good || X509_STORE_CTX_get_error_depth(store) ||
        has_names(X509_STORE_CTX_get_current_cert(store)))
        return is_good;
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
}

static CURLcode set_up(CURL *easy, void *context, void *owner)
{
    (void)easy, (void)owner;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
    return CURLE_OK;
}

CURLcode certificate_names_require(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, set_up);
}
