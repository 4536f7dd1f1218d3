#include "access/decide.h"

#include "access/reach.h"

/* ---- the decision ---------------------------------------------------------------------------- */

/* Whether the caller has a credential, or is named by the operator's server: those have the rules
 * for `authenticated`. */
static bool is_somebody(const struct caller *caller)
{
    return caller && caller->facts.kind != CALLER_ANYBODY;
}

/* The grants of a credential that the caller rests on count as well. */
static enum grant_reach granted(const struct caller *caller, enum action action, struct str name)
{
    enum grant_reach most = GRANT_NONE;
    for (; caller && most != GRANT_BELOW; caller = caller->facts.base) {
        enum grant_reach reach =
            grants_reach(caller->facts.grants, caller->facts.grants_count, action, name);
        most = reach > most ? reach : most;
    }
    return most;
}

/* Whether the names of the term under the prefix are allowed, but for those that lie under a longer
 * prefix with a rule of its own. Longer names of the walk lie in the same namespace. */
static bool allows_under(const struct access *access, bool authenticated, enum action action,
                         struct str term, struct str prefix)
{
    struct reach reach;
    if (!reach_begin(&reach, term, prefix))
        return true;
    actions ruled = rules_actions(access->rules, authenticated && is_somebody(access->caller),
                                  reach_name(&reach));
    if (actions_have(ruled, action))
        return true;
    if (!authenticated)
        return false;
    do {
        enum grant_reach have = granted(access->caller, action, reach_name(&reach));
        if (have != GRANT_NAME)
            return have == GRANT_BELOW;
    } while (reach_next(&reach));
    return true;
}

static bool allows(const struct access *access, bool authenticated, enum action action,
                   struct str term)
{
    const struct rules *rules = access->rules;
    if (!allows_under(access, authenticated, action, term, STR_NONE))
        return false;
    for (size_t i = 0; pattern_is_wild(term) && i < rules->count; i++)
        if (!allows_under(access, authenticated, action, term, rules->at[i].prefix))
            return false;
    return true;
}

bool access_translate(enum action *action, struct str *term)
{
    static const struct str prefixes[] = {STR("$presence/"), STR("$occupied/")};
    if (!name_is_reserved(*term) || (*action != ACTION_READ && *action != ACTION_WEBHOOKS))
        return false;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (term->len > prefixes[i].len && str_starts(*term, prefixes[i])) {
            *term = str_skip(*term, prefixes[i].len);
            *action = *action == ACTION_READ ? ACTION_PRESENCE : *action;
            return true;
        }
    return false;
}

/* The whole server's administrator sees what the server says of itself. */
static bool is_for_admin(const struct access *access, enum action action, struct str term)
{
    return action == ACTION_READ && name_is_reserved(term) &&
           granted(access->caller, ACTION_ADMIN, STR("*")) == GRANT_BELOW;
}

/* Whether this is management, which the admin address alone answers if there is one: `admin`, and
 * reserved channels. Channels of presence are exempt, since they tell of ordinary channels. */
static bool is_management(enum action action, struct str term)
{
    return action == ACTION_ADMIN || (name_is_reserved(term) && !access_translate(&action, &term));
}

static enum access_verdict refused(const struct access *access, bool authenticated)
{
    if (!is_somebody(access->caller))
        return ACCESS_NO_CREDENTIAL;
    return authenticated ? ACCESS_NOT_GRANTED : ACCESS_EXPIRED;
}

enum access_verdict access_decide(const struct access *access, enum action action, struct str term)
{
    const struct rules *rules = access->rules;
    if (access->is_elsewhere && is_management(action, term))
        return ACCESS_ELSEWHERE;
    if (rules && rules->open)
        return ACCESS_ALLOWED;
    bool authenticated = caller_is_authenticated(access->caller, access->now_us);
    if (rules && authenticated && is_for_admin(access, action, term))
        return ACCESS_ALLOWED;
    (void)access_translate(&action, &term);
    if (rules && allows(access, authenticated, action, term))
        return ACCESS_ALLOWED;
    return refused(access, authenticated);
}

static bool grants_any(const struct caller *caller, enum action action)
{
    bool any = false;
    for (; caller && !any; caller = caller->facts.base)
        for (size_t i = 0; i < caller->facts.grants_count; i++)
            any = any || (caller->facts.grants[i].patterns_count &&
                          actions_have(caller->facts.grants[i].may, action));
    return any;
}

enum access_verdict access_decide_any(const struct access *access, enum action action)
{
    const struct rules *rules = access->rules;
    if (access->is_elsewhere && action == ACTION_ADMIN)
        return ACCESS_ELSEWHERE;
    if (rules && rules->open)
        return ACCESS_ALLOWED;
    bool authenticated = caller_is_authenticated(access->caller, access->now_us);
    bool any = rules && authenticated && grants_any(access->caller, action);
    bool ruled = authenticated && is_somebody(access->caller);
    for (size_t i = 0; rules && i < rules->count; i++)
        any = any || actions_have(rules->at[i].anybody, action) ||
              (ruled && actions_have(rules->at[i].authenticated, action));
    return any ? ACCESS_ALLOWED : refused(access, authenticated);
}

/* ---- refusals -------------------------------------------------------------------------------- */

#define MISSING(word)                                                                              \
    "this takes a credential that grants `" word                                                   \
    "`: send a key or a token as Authorization: Bearer (docs/access.md)"
#define EXCEEDED(word)                                                                             \
    "the credential does not grant `" word                                                         \
    "` on all of this: ask for less, or use one that grants it (docs/access.md)"
#define DENIED(word)                                                                               \
    "this takes `" word                                                                            \
    "`: the operator's server was asked about this request, and does not give it (docs/access.md)"

static const struct {
    const char *missing, *exceeded, *denied;
} details[ACTION_COUNT] = {
    [ACTION_READ] = {MISSING("read"), EXCEEDED("read"), DENIED("read")},
    [ACTION_PUBLISH] = {MISSING("publish"), EXCEEDED("publish"), DENIED("publish")},
    [ACTION_PRESENCE] = {MISSING("presence"), EXCEEDED("presence"), DENIED("presence")},
    [ACTION_WEBHOOKS] = {MISSING("webhooks"), EXCEEDED("webhooks"), DENIED("webhooks")},
    [ACTION_ADMIN] = {MISSING("admin"), EXCEEDED("admin"), DENIED("admin")},
};

struct refusal access_refusal(enum access_verdict verdict, enum action action, struct str term)
{
    struct refusal refusal = {.may = action_word(action), .term = term};
    switch (verdict) {
    case ACCESS_NO_CREDENTIAL:
        refusal.problem = PROBLEM_UNAUTHORIZED;
        refusal.detail = details[action].missing;
        break;
    case ACCESS_EXPIRED:
        refusal.problem = PROBLEM_BAD_CREDENTIAL;
        refusal.detail = ACCESS_EXPIRED_WORDS;
        break;
    case ACCESS_ELSEWHERE: /* the same for all: it is no matter of rights */
        return (struct refusal){
            .problem = PROBLEM_NOT_FOUND,
            .detail =
                "this server is managed at its admin address alone (`admin: true` of `listen`)"};
    default:
        refusal.problem = PROBLEM_FORBIDDEN;
        refusal.detail = details[action].exceeded;
    }
    return refusal;
}

struct refusal access_refusal_of(const struct access *access, enum access_verdict verdict,
                                 enum action action, struct str term)
{
    struct refusal refusal = access_refusal(verdict, action, term);
    if (access->is_denied && (verdict == ACCESS_NO_CREDENTIAL || verdict == ACCESS_NOT_GRANTED))
        refusal.detail = details[action].denied;
    return refusal;
}

bool access_check(const struct access *access, enum action action, struct str term,
                  struct refusal *ret_refusal)
{
    enum access_verdict verdict = access_decide(access, action, term);
    (void)access_translate(&action, &term);
    if (verdict)
        *ret_refusal = access_refusal_of(access, verdict, action, term);
    return !verdict;
}
