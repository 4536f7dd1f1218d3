/* The decision whether a caller may do something: facts in, verdict out.
 *
 * It is made in this one place for everything that can be asked of the server: at the two doors
 * (publish/proposal.h, subscribe/subscription.h), and for what passes neither, as the table of
 * routes says (api/api.h).
 *
 * A term is allowed if every name that it stands for is: by a grant of the caller, or by the rule
 * of the name's namespace. Nothing is narrowed. The server's own channels, whose names begin with
 * `$`, are in no namespace and match no wildcard: a grant must name their first segment. A grant
 * of `admin` on `**`, which is the whole server, reads them as well.
 *
 * `$presence/x` and `$occupied/x` say who is on channel x. So to read them takes `presence` on x,
 * and to have them sent by a webhook `webhooks` on x: a grant on their own names gives neither.
 *
 * A server that has an address for management is managed there alone. At its other addresses nobody
 * has `admin`, or reads what the server says of itself (all names with `$` but the two above),
 * whatever the credential and the rules: the decision knows by which address the caller came. */
#pragma once

#include "access/caller.h"
#include "access/rules.h"
#include "base/refusal.h"

/* The caller and the rules under which it asks. Nothing is allowed without rules: a way in that
 * forgets to say who asks is closed. */
struct access {
    const struct rules *rules;
    const struct caller *caller; /* NULL: anybody */
    int64_t now_us;              /* wall clock */
    bool is_elsewhere; /* it came by an ordinary address, and the server has one for management */
    bool is_denied;    /* the operator's server was asked, and gave no more: said in a refusal */
};

/* The server itself, and what its configuration vouches for. */
#define ACCESS_OF_SERVER ((struct access){.rules = &rules_open})

/* The term that stands for the server as a whole. */
#define ACCESS_WHOLE_SERVER STR("**")

enum access_verdict {
    ACCESS_ALLOWED,
    ACCESS_NO_CREDENTIAL, /* another caller might: nobody has shown who asks */
    ACCESS_EXPIRED,       /* the credential has ended */
    ACCESS_NOT_GRANTED,   /* neither the credential nor a rule gives it */
    ACCESS_ELSEWHERE,     /* it is management, and has an address of its own */
};

/* The right that an action on a term stands for, if it is another one: of `$presence/…` and
 * `$occupied/…`, changes both, and the term to its end. Returns whether it did. */
bool access_translate(enum action *action, struct str *term);

/* `term` is a valid channel name or pattern. */
enum access_verdict access_decide(const struct access *access, enum action action, struct str term);

/* Whether the action is allowed on any channel at all: the first check of those who name none. */
enum access_verdict access_decide_any(const struct access *access, enum action action);

/* The same as access_decide() for a check: false with the refusal, which names the action that was
 * missing and borrows the term. */
bool access_check(const struct access *access, enum action action, struct str term,
                  struct refusal *ret_refusal);

/* The details for a credential that has ended, wherever that is noticed. */
#define ACCESS_EXPIRED_WORDS "the credential has expired: get a new one (docs/access.md)"
#define ACCESS_REVOKED_WORDS "the credential was revoked: get a new one (docs/access.md)"

/* The refusal of a verdict other than ACCESS_ALLOWED. */
struct refusal access_refusal(enum access_verdict verdict, enum action action, struct str term);

/* The same with what the operator's server has said, which decides about this access. */
struct refusal access_refusal_of(const struct access *access, enum access_verdict verdict,
                                 enum action action, struct str term);
