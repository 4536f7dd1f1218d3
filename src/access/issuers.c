#include "access/issuers.h"

static struct identity identify(struct identity_source *source, const struct credential *credential,
                                struct identification *identification)
{
    struct issuers *issuers = container_of(source, struct issuers, source);
    issuers_set lacking = 0;
    if (credential->kind == CREDENTIAL_BASIC || credential->kind == CREDENTIAL_CERTIFICATE ||
        !issuers->count || !token_is_meant(credential->text))
        return (struct identity){.state = IDENTITY_FOREIGN};
    struct identity identity =
        issuers_identify(issuers, credential->text, identification->now_us, &lacking);
    if (identity.state == IDENTITY_KNOWN || !lacking || !issuers->fetch)
        return identity;
    const char *why = issuers->fetch(issuers, lacking, credential->text, identification);
    return (struct identity){.state = why ? IDENTITY_UNAVAILABLE : IDENTITY_LATER, .why = why};
}

void issuers_init(struct issuers *issuers)
{
    *issuers = (struct issuers){.source = {.name = "tokens", .identify = identify}};
    pthread_mutex_init(&issuers->lock, NULL);
}

void issuers_deinit(struct issuers *issuers)
{
    for (size_t i = 0; i < issuers->count; i++)
        token_keys_unref(issuers->at[i].keys);
    token_cache_free(issuers->cache);
    pthread_mutex_destroy(&issuers->lock);
}

bool issuers_add(struct issuers *issuers, const struct issuer *issuer)
{
    if (issuers->count == ISSUERS_MAX)
        return false;
    issuers->at[issuers->count++] = *issuer;
    return true;
}

void issuers_set_keys(struct issuers *issuers, size_t place, struct token_keys *keys)
{
    pthread_mutex_lock(&issuers->lock);
    struct token_keys *old = issuers->at[place].keys;
    issuers->at[place].keys = keys;
    atomic_fetch_add_explicit(&issuers->generation, 1, memory_order_release);
    pthread_mutex_unlock(&issuers->lock);
    token_keys_unref(old);
}

static struct token_keys *keys_of(struct issuers *issuers, size_t place)
{
    pthread_mutex_lock(&issuers->lock);
    struct token_keys *keys = token_keys_ref(issuers->at[place].keys);
    pthread_mutex_unlock(&issuers->lock);
    return keys;
}

void issuers_share_keys(struct issuers *issuers, struct issuers *from)
{
    for (size_t i = 0; i < issuers->count; i++)
        for (size_t j = 0; issuers->at[i].jwks_url && j < from->count; j++)
            if (issuers->at[i].voucher == from->at[j].voucher)
                issuers_set_keys(issuers, i, keys_of(from, j));
}

_Static_assert((unsigned)TOKEN_TRIES_MAX >= (unsigned)ISSUERS_MAX, "each issuer has a try");

static enum token_verdict judge(struct issuers *issuers, const struct token *token, size_t place,
                                int64_t now_us, unsigned *tries, struct caller **ret)
{
    const struct issuer *issuer = &issuers->at[place];
    struct token_keys *keys = keys_of(issuers, place);
    struct token_check check = {keys,          issuer->issuer,   issuer->audience,
                                issuer->claim, issuer->leeway_s, issuer->voucher};
    enum token_verdict verdict = token_admit(token, &check, now_us, tries, ret);
    token_keys_unref(keys);
    return verdict;
}

/* Whether a key that the issuer has published since may be the token's. A token without an id does
 * not name its key, so any newer key may be. */
static bool may_have_newer(const struct token *token, enum token_verdict verdict)
{
    return verdict == TOKEN_UNKNOWN_KEY ||
           (!token->has_kid && (verdict == TOKEN_BAD_ALGORITHM || verdict == TOKEN_BAD_SIGNATURE));
}

enum token_verdict issuers_judge(struct issuers *issuers, struct str text, int64_t now_us,
                                 struct caller **ret, issuers_set *ret_lacking)
{
    struct token token;
    unsigned tries = TOKEN_TRIES_MAX;
    enum token_verdict verdict = token_parse(text, &token), nearest = TOKEN_UNKNOWN_KEY;
    bool lacks_memory = false;
    *ret_lacking = 0;
    for (size_t i = 0; verdict == TOKEN_OK && nearest != TOKEN_OK && i < issuers->count; i++) {
        /* Leave a try for each of the others, whatever keys this one has. */
        unsigned kept = (unsigned)(issuers->count - i - 1);
        tries -= kept;
        enum token_verdict own = judge(issuers, &token, i, now_us, &tries, ret);
        tries += kept;
        if (may_have_newer(&token, own) && issuers->at[i].jwks_url)
            *ret_lacking |= (issuers_set)1 << i;
        lacks_memory |= own == TOKEN_NO_MEMORY;
        /* The verdicts stand in the order in which they are found: the last tells the most. */
        nearest = own == TOKEN_OK || own > nearest ? own : nearest;
    }
    if (nearest == TOKEN_EXPIRED || nearest == TOKEN_EARLY)
        *ret_lacking = 0; /* the signature, the issuer and the audience were right */
    token_deinit(&token);
    if (lacks_memory && nearest != TOKEN_OK)
        return TOKEN_NO_MEMORY; /* the token might have been good */
    return verdict == TOKEN_OK ? nearest : verdict;
}

bool issuers_has_keys(struct issuers *issuers, size_t place)
{
    pthread_mutex_lock(&issuers->lock);
    bool has = issuers->at[place].keys != NULL;
    pthread_mutex_unlock(&issuers->lock);
    return has;
}

/* Whether any of them has no keys at all. */
static bool is_without_keys(struct issuers *issuers, issuers_set set)
{
    for (size_t i = 0; i < issuers->count; i++)
        if ((set >> i & 1) && !issuers_has_keys(issuers, i))
            return true;
    return false;
}

void issuers_remember(struct issuers *issuers, size_t bytes_max)
{
    if (issuers->cache)
        token_cache_limit(issuers->cache, bytes_max);
    else
        issuers->cache = token_cache_new(bytes_max);
}

static struct identity identify_anew(struct issuers *issuers, struct str text, int64_t now_us,
                                     issuers_set *ret_lacking)
{
    struct caller *caller = NULL;
    enum token_verdict verdict = issuers_judge(issuers, text, now_us, &caller, ret_lacking);
    if (verdict == TOKEN_OK)
        return identity_of(caller);
    if (verdict == TOKEN_NO_MEMORY)
        return (struct identity){.state = IDENTITY_UNAVAILABLE, .why = token_verdict_text(verdict)};
    if (is_without_keys(issuers, *ret_lacking))
        return (struct identity){.state = IDENTITY_UNAVAILABLE,
                                 .why = "the keys of the issuer of tokens cannot be fetched now"};
    return identity_bad(token_verdict_text(verdict));
}

/* The generation is read before the keys are used: a token that was verified by keys which are
 * replaced meanwhile is kept for a generation that is over. */
struct identity issuers_identify(struct issuers *issuers, struct str text, int64_t now_us,
                                 issuers_set *ret_lacking)
{
    uint64_t generation = atomic_load_explicit(&issuers->generation, memory_order_acquire);
    *ret_lacking = 0;
    if (!token_cache_is_on(issuers->cache) || text.len > TOKEN_BYTES_MAX)
        return identify_anew(issuers, text, now_us, ret_lacking);
    struct token_digest digest = token_digest(text);
    struct caller *caller = token_cache_find(issuers->cache, &digest, generation, now_us);
    if (caller)
        return identity_of(caller);
    struct identity identity = identify_anew(issuers, text, now_us, ret_lacking);
    if (identity.state == IDENTITY_KNOWN)
        token_cache_put(issuers->cache, &digest, generation, now_us, identity.caller);
    return identity;
}
