#include "fetch/identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

bool identity_is_for(const struct client_identity *identity, struct str host)
{
    for (size_t i = 0; i < identity->hosts_count; i++)
        if (str_eq_nocase(host, str_from(identity->hosts[i])))
            return true;
    return false;
}

/* Gives no passphrase: OpenSSL would ask for it on the terminal. */
static int no_passphrase(char *room, int size, int writes, void *context)
{
    (void)room, (void)size, (void)writes, (void)context;
    return -1;
}

static X509 *read_certificate(struct str text)
{
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_key(struct str text)
{
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return key;
}

const char *identity_check(struct str cert, struct str key_text)
{
    X509 *certificate = cert.len ? read_certificate(cert) : NULL;
    EVP_PKEY *key = key_text.len ? read_key(key_text) : NULL;
    const char *why = NULL;
    if (!certificate)
        why = "cert_file is no file that can be read and has a certificate in PEM form";
    else if (!key)
        why = "key_file is no file that can be read and has a private key in PEM form, without a "
              "passphrase";
    else if (X509_check_private_key(certificate, key) != 1)
        why = "the key in key_file is not that of the certificate in cert_file";
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return why;
}
