/* The authority: turns the credential of a request into a caller, by asking registered sources.
 *
 *     Authorization, ?token=, cookie,  ┐                   ┌ keys
 *     subprotocol, `auth` of           ├─▶ credential ──▶ ─┼ tokens        ──▶ identity
 *     freshet.v1, client certificate   ┘    authority      ├ certificates
 *                                                          └ the operator's backend
 *
 * The sources are asked in the order in which they were added; the first that takes the credential
 * for its own answers. It answers at once, or later: a backend must be asked, a set of keys must be
 * fetched. Meanwhile the request waits. Any number of threads ask at a time, so a source locks what
 * it changes. */
#pragma once

#include "access/caller.h"
#include "net/mailbox.h"

enum credential_kind {
    CREDENTIAL_NONE,
    CREDENTIAL_BEARER,      /* Authorization: Bearer */
    CREDENTIAL_BASIC,       /* Authorization: Basic; `text` is decoded, `name:secret` */
    CREDENTIAL_QUERY,       /* ?token= */
    CREDENTIAL_COOKIE,      /* the value of the cookie that the configuration names */
    CREDENTIAL_SUBPROTOCOL, /* in the list of a WebSocket's subprotocols */
    CREDENTIAL_MESSAGE,     /* `auth` of freshet.v1 */
    CREDENTIAL_CERTIFICATE, /* the subject of a verified client certificate */
};

/* The text is a secret, borrowed for the call: never log it, compare it in constant time. */
struct credential {
    enum credential_kind kind;
    struct str text;
    int64_t since_us, until_us; /* of a certificate, by the wall clock; 0 for others */
};

enum identity_state {
    IDENTITY_KNOWN, /* `caller` is set, with a reference for the asker */
    IDENTITY_BAD,   /* forged, unknown, expired, revoked: `why` says it without naming anything */
    IDENTITY_UNAVAILABLE, /* the source cannot tell now: `why` says the reason */
    IDENTITY_LATER,       /* identification_answer() follows */
    IDENTITY_FOREIGN, /* of no kind that the source knows: the next is asked. Of the authority, with
                       * `why`: no source knows it */
};

struct identity {
    enum identity_state state;
    struct caller *caller; /* NULL unless IDENTITY_KNOWN */
    const char *why;       /* a sentence for people, static memory */
    bool is_unfit; /* of IDENTITY_BAD: nobody could be asked about it, so nobody has denied it */
};

/* A question to the authority, embedded by the asker. After IDENTITY_LATER it stays where it is
 * until `done`, even if the answer is not wanted any more. */
struct identification {
    /* On the asker's thread, once, with `identity` set; only after IDENTITY_LATER. */
    void (*done)(struct identification *identification);
    /* The number of the address that asks (net/peer.h), for sources that share something out. Only
     * while identify() runs, since the kernel is asked for it; NULL: not known. */
    uint64_t (*peer)(const struct identification *identification);
    struct mailbox *home; /* of the asker's thread */
    int64_t now_us;       /* wall clock */
    struct identity identity;
    struct mail mail;
};

/* A source, embedded by its module, which outlives the authority. */
struct identity_source {
    const char *name; /* for logs */
    /* Any thread. Returns the answer; after IDENTITY_LATER the source calls identification_answer()
     * once, from any thread, and must have copied what it needs of the credential. */
    struct identity (*identify)(struct identity_source *source, const struct credential *credential,
                                struct identification *identification);
};

enum { AUTHORITY_SOURCES_MAX = 8 };

/* Filled before the threads start, then unchanged. Zeroes are an authority without sources. */
struct authority {
    struct identity_source *sources[AUTHORITY_SOURCES_MAX];
    unsigned sources_count;
};

/* Registers a source, which is borrowed and outlives the authority. The sources are asked in the
 * order in which they were added. Before the authority is used; aborts if there are too many. */
void authority_add(struct authority *authority, struct identity_source *source);

/* The identity that a credential shows. CREDENTIAL_NONE is known, as anybody: caller NULL. Any
 * thread; the asker has set `done`, `home` and `now_us`. */
struct identity authority_identify(const struct authority *authority,
                                   const struct credential *credential,
                                   struct identification *identification);

/* The answer of a source that comes later: hands the identity over to the asker's thread. */
void identification_answer(struct identification *identification, struct identity identity);

static inline struct identity identity_of(struct caller *caller)
{
    return (struct identity){.state = IDENTITY_KNOWN, .caller = caller};
}

static inline struct identity identity_bad(const char *why)
{
    return (struct identity){.state = IDENTITY_BAD, .why = why};
}
