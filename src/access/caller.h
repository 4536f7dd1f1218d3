/* A caller: who asks, as a credential has shown, and what that grants. */
#pragma once

#include "access/grant.h"

#include <stdatomic.h>

enum caller_kind {
    CALLER_ANYBODY, /* no credential, though the operator's server may allow something */
    CALLER_KEY,
    CALLER_TOKEN,
    CALLER_CERTIFICATE,
    CALLER_BACKEND, /* named by the operator's own server */
    CALLER_KINDS,
};

struct caller;

/* The facts of a credential, borrowed for caller_new(). Empty strings stand for what is not known.
 */
struct caller_facts {
    enum caller_kind kind;
    struct str subject;
    struct str digest; /* tells a credential without a subject from others, such as a hash of the
                        * token; empty if there is a subject */
    struct str key_id; /* the ids by which the credential can be revoked, beside the subject */
    struct str jti;
    int64_t issued_us;         /* wall clock; 0: unknown. See revocations.h */
    int64_t expires_us;        /* wall clock; 0: never */
    uint64_t voucher;          /* the issuer or server that vouches for it, as the configuration has
                                * it (see voucher_of()); 0: none, or unknown */
    const struct caller *base; /* the caller of the credential that this one rests on, or NULL */
    const struct grant *grants;
    size_t grants_count; /* at most GRANTS_MAX, each with at most GRANT_PATTERNS_MAX patterns */
    bool lacks_grants;   /* the grants are not known: see caller_ids_read() */
};

/* Shared between threads by reference, and never changed. NULL stands for anybody, wherever a
 * caller is taken, so that a request without a credential costs nothing. */
struct caller {
    atomic_uint refs;
    struct caller_facts facts; /* of memory that the caller owns */
    struct str name;           /* kind and subject, as in token/alice, or token#DIGEST */
};

/* A copy of the facts, with one reference; NULL if there is no memory. */
struct caller *caller_new(const struct caller_facts *facts);

/* The bytes of a caller with these facts, without those of the one that it rests on. */
size_t caller_size(const struct caller_facts *facts);

/* Any thread, NULL included. */
struct caller *caller_ref(const struct caller *caller);
struct caller *caller_unref(struct caller *caller);

/* The subject; empty for anybody, and for a credential that names none. */
struct str caller_subject(const struct caller *caller);

/* Whether the caller, or one that it rests on, has this subject. */
bool caller_is_of(const struct caller *caller, struct str subject);

/* A copy of the caller that rests on another one, which is taken over, and ends with that at the
 * latest. Without memory it is the other one alone, whose rights are fewer. */
struct caller *caller_on(const struct caller *caller, struct caller *base);

/* Whether both are of one kind and subject, with the same grants and end. */
bool caller_equal(const struct caller *a, const struct caller *b);

/* Kind and subject, which tell callers apart, as in token/alice; without a subject, the kind and
 * the digest, as in token#0123; empty for anybody. */
struct str caller_name(const struct caller *caller);

/* Whether both are known to be the same by their names. Nobody in particular is not the same as
 * anybody: the kind alone, without a subject and a digest, names no one. */
bool caller_is_same(const struct caller *a, const struct caller *b);

/* The digits of a digest of that text. */
enum { CALLER_DIGEST_LEN = 32 };
struct str caller_digest(struct str text, char ret_digits[CALLER_DIGEST_LEN]);

/* Whether the caller has a credential, valid at that time of the wall clock. */
static inline bool caller_is_authenticated(const struct caller *caller, int64_t now_us)
{
    return caller && (!caller->facts.expires_us || now_us < caller->facts.expires_us);
}

/* Whether it is known what the caller, and all that it rests on, grant. Anybody grants nothing. */
bool caller_grants_known(const struct caller *caller);

/* A number for an issuer, or for a server that is asked, as the configuration describes it by these
 * texts: the same for the same texts, never 0, and no help to find secrets among them. */
uint64_t voucher_of(const struct str *texts, size_t count);

/* Whether the caller, or one that it rests on, has a voucher that is not in the list: what has
 * vouched for it is not there any more. */
bool caller_lost_voucher(const struct caller *caller, const uint64_t *vouchers, size_t count);

/* Whether the callbacks of `authorize` are all that the caller has lost: some voucher of theirs is
 * gone, and no issuer's. Nobody has revoked a credential then. */
bool caller_lost_server(const struct caller *caller, const uint64_t *vouchers, size_t count);

/* The word for a kind, as logs, the audit and the API have it. Static memory. */
const char *caller_kind_word(enum caller_kind kind);
