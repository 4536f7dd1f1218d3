#include "fetch/identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

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

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *certificate = file ? PEM_read_X509(file, NULL, no_passphrase, NULL) : NULL;
    if (file)
        fclose(file);
    return certificate;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
    if (file)
        fclose(file);
    return key;
}

const char *identity_check(const char *cert_file, const char *key_file)
{
    X509 *certificate = read_certificate(cert_file);
    EVP_PKEY *key = read_key(key_file);
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
