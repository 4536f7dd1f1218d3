#include "net/tls_peer.h"

#include "base/mem.h"

#include <openssl/x509v3.h>
#include <time.h>

/* The text of a name as UTF-8, to be freed by OPENSSL_free(). Returns its length, or a negative
 * number. */
static int text_of(const ASN1_STRING *name, unsigned char **ret)
{
    return name ? ASN1_STRING_to_UTF8(ret, name) : -1;
}

static const ASN1_STRING *common_name(const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = -1;
    for (int next; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        at = next;
    return at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
}

static const ASN1_STRING *first_name(const GENERAL_NAMES *names)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI)
            return name->d.ia5;
    }
    return NULL;
}

int64_t tls_peer_time_us(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000000 : 0;
}

static struct tls_peer *peer_with(const X509 *certificate, struct str subject)
{
    struct tls_peer *peer = mem_try_alloc(sizeof(*peer) + subject.len);
    if (!peer)
        return NULL;
    char *room = (char *)(peer + 1);
    if (subject.len)
        memcpy(room, subject.at, subject.len);
    int64_t until_us = tls_peer_time_us(X509_get0_notAfter(certificate));
    *peer = (struct tls_peer){
        .subject = {room, subject.len},
        .since_us = tls_peer_time_us(X509_get0_notBefore(certificate)),
        .until_us = until_us > 0 ? until_us : 1, /* never a certificate without an end */
    };
    return peer;
}

struct tls_peer *tls_peer_new(const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const ASN1_STRING *name = common_name(certificate);
    unsigned char *text = NULL;
    int len = text_of(name ? name : first_name(names), &text);
    struct tls_peer *peer =
        peer_with(certificate, (struct str){(const char *)text, len > 0 ? (size_t)len : 0});
    OPENSSL_free(text);
    GENERAL_NAMES_free(names);
    return peer;
}
