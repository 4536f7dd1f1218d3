#include "net/tls_tickets.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

int tls_tickets_turn(struct tls_tickets *tickets)
{
    struct tls_ticket_key key;
    if (RAND_bytes(key.name, sizeof(key.name)) != 1 ||
        RAND_priv_bytes(key.cipher, sizeof(key.cipher)) != 1 ||
        RAND_priv_bytes(key.mac, sizeof(key.mac)) != 1)
        return -EIO;
    memmove(tickets->keys + 1, tickets->keys, sizeof(tickets->keys) - sizeof(key));
    tickets->keys[0] = key;
    tickets->count += tickets->count < TLS_TICKETS_KEPT;
    OPENSSL_cleanse(&key, sizeof(key));
    return 0;
}

static bool set_mac(const struct tls_ticket_key *key, EVP_MAC_CTX *mac)
{
    struct tls_ticket_key own = *key; /* OSSL_PARAM takes no const */
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, own.mac, sizeof(own.mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool set = EVP_MAC_CTX_set_params(mac, params);
    OPENSSL_cleanse(&own, sizeof(own));
    return set;
}

int tls_tickets_seal(const struct tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const EVP_CIPHER *aes = EVP_aes_256_cbc();
    const struct tls_ticket_key *key = &tickets->keys[0];
    if (!tickets->count)
        return 0;
    memcpy(name, key->name, sizeof(key->name));
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1 ||
        !EVP_EncryptInit_ex2(cipher, aes, key->cipher, iv, NULL) || !set_mac(key, mac))
        return -1;
    return 1;
}

int tls_tickets_open(const struct tls_tickets *tickets, const unsigned char *name,
                     const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    unsigned i = 0;
    while (i < tickets->count && memcmp(tickets->keys[i].name, name, TLS_TICKET_NAME_LEN) != 0)
        i++;
    if (i == tickets->count)
        return 0;
    const struct tls_ticket_key *key = &tickets->keys[i];
    if (!EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher, iv, NULL) ||
        !set_mac(key, mac))
        return -1;
    return i ? 2 : 1;
}
