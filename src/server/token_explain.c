#include "server/token_explain.h"

#include "base/json_text.h"
#include "base/rfc3339.h"

static void add_line(struct buf *out, const char *name, struct str value)
{
    buf_addf(out, "%-12s", name);
    buf_add_json(out, value); /* for a terminal output_write() writes out the rest */
    buf_add_char(out, '\n');
}

/* Adds `in 2 hours` or `5 minutes ago`, in the largest unit of which there are two. */
static void add_distance(struct buf *out, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    int64_t size = seconds < 0 ? -seconds : seconds;
    size_t i = 0;
    while (i < 3 && size < 2 * units[i].seconds)
        i++;
    buf_addf(out, seconds < 0 ? "%lld %s ago" : "in %lld %s", (long long)(size / units[i].seconds),
             units[i].name);
}

static void add_time(struct buf *out, const char *name, int64_t at_s, int64_t now_us)
{
    buf_addf(out, "%-12s", name);
    rfc3339_add(out, at_s * 1000000);
    buf_add_lit(out, ", ");
    add_distance(out, at_s - now_us / 1000000);
    buf_add_char(out, '\n');
}

static void add_audience(struct buf *out, const json_t *audience)
{
    size_t i;
    const json_t *item;
    if (json_is_string(audience))
        add_line(out, "for", json_text(audience));
    json_array_foreach(audience, i, item) if (json_is_string(item))
        add_line(out, "for", json_text(item));
}

static void add_grant(struct buf *out, const struct grant *grant)
{
    buf_addf(out, "%-12s", "may");
    for (unsigned i = 0; i < ACTION_COUNT; i++)
        if (actions_have(grant->may, i))
            buf_addf(out, "%s ", action_word(i));
    for (size_t i = 0; i < grant->patterns_count; i++)
        buf_addf(out, "%s%.*s", i ? ", " : "", STR_FMT(grant->patterns[i]));
    buf_add_char(out, '\n');
}

static void add_claims(struct buf *out, const struct token_claims *claims, int64_t now_us)
{
    if (claims->subject.len)
        add_line(out, "subject", claims->subject);
    if (claims->jti.len)
        add_line(out, "id", claims->jti);
    if (claims->issuer.len)
        add_line(out, "issued by", claims->issuer);
    add_audience(out, claims->audience);
    if (claims->starts_s)
        add_time(out, "valid from", claims->starts_s, now_us);
    if (claims->expires_s)
        add_time(out, "valid until", claims->expires_s, now_us);
    for (size_t i = 0; i < claims->grants.count; i++)
        add_grant(out, &claims->grants.grants[i]);
    if (!claims->grants.count)
        buf_addf(out, "%-12s%s\n", "may",
                 "nothing by itself; rules may give something to anybody with a token");
}

/* Adds what the token says, up to the first thing that is wrong with it. */
static enum token_verdict add_contents(struct buf *out, const struct token *token, struct str claim,
                                       int64_t now_us)
{
    struct token_claims claims;
    enum token_verdict verdict = token_claims_read(token, claim, &claims);
    add_line(out, "algorithm", token->alg);
    if (token->has_kid)
        add_line(out, "key", token->kid);
    if (verdict == TOKEN_OK)
        add_claims(out, &claims, now_us);
    token_claims_deinit(&claims);
    return verdict;
}

/* Whether the keys of any issuer are elsewhere: this command fetches none. */
static bool has_url(const struct issuers *issuers)
{
    for (size_t i = 0; i < issuers->count; i++)
        if (issuers->at[i].jwks_url)
            return true;
    return false;
}

static bool add_verdict(struct buf *out, enum token_verdict verdict, bool is_checked)
{
    if (verdict != TOKEN_OK)
        buf_addf(out, "Refused: %s.\n", token_verdict_text(verdict));
    else if (is_checked)
        buf_add_lit(out, "Accepted: a server with these keys accepts this token.\n");
    else
        buf_add_lit(out, "Not verified: say by --config, --secret or --key-file which key should "
                         "have signed it. (Keys at a jwks_url are not fetched by this command.)\n");
    return verdict == TOKEN_OK && is_checked;
}

bool token_explain(struct buf *out, struct issuers *issuers, struct str text, int64_t now_us)
{
    struct token token;
    struct caller *caller = NULL;
    struct buf contents = {0};
    issuers_set lacking;
    struct str claim = issuers->count ? issuers->at[0].claim : STR("freshet");
    enum token_verdict verdict = token_parse(text, &token);
    if (verdict == TOKEN_OK)
        verdict = add_contents(&contents, &token, claim, now_us);
    if (issuers->count)
        verdict = issuers_judge(issuers, text, now_us, &caller, &lacking);
    bool is_unknown = verdict == TOKEN_UNKNOWN_KEY && has_url(issuers);
    bool accepted =
        add_verdict(out, is_unknown ? TOKEN_OK : verdict, issuers->count > 0 && !is_unknown);
    buf_add_str(out, buf_str(&contents));
    caller_unref(caller);
    token_deinit(&token);
    buf_free(&contents);
    return accepted;
}
