#include "server/token_command.h"

#include "access/grant_json.h"
#include "access/revocations.h"
#include "base/base64.h"
#include "base/command_line.h"
#include "base/hash.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "client/cli/output.h"
#include "server/config.h"
#include "server/issuer_item.h"
#include "server/token_explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char token_help[] =
    "Usage: freshet token [options]\n"
    "       freshet token inspect TOKEN|- [options]\n\n"
    "Prints a token (JWT) for a client. With inspect, says what a token is for, until when it is\n"
    "valid, and whether a server with these keys would accept it; - reads it from standard "
    "input.\n\n"
    "Which key signs, or should have signed:\n"
    "  --config FILE      the list `tokens` of a server's configuration\n"
    "  --secret S         a secret: file:PATH, env:NAME, or the text, which other users can read\n"
    "  --key-file FILE    a private key in PEM form; for inspect, a public key or JWK Set as well\n"
    "  --algorithm A      HS256, HS384, HS512, RS256, PS256, ES256 or EdDSA (by the key)\n"
    "  --kid ID           the key's id\n"
    "  --issuer I         the claim iss\n"
    "  --audience A       the claim aud\n\n"
    "What the token says:\n"
    "  --sub NAME         who the client is\n"
    "  --read PATTERN     may read these channels (a/*, a/**); each of these may be repeated\n"
    "  --publish PATTERN  may publish to them\n"
    "  --presence PATTERN may see who is there\n"
    "  --webhooks PATTERN may have their events sent to a URL\n"
    "  --admin PATTERN    may manage them; ** is the whole server\n"
    "  --ttl TIME         for how long it is valid, as in 30s, 1h or 7d (1h)\n"
    "  --jti ID           an id by which it can be revoked (a random one)\n\n"
    "Exit codes: 0 done, or accepted; 1 the token would be refused, or was not verified; 2 the\n"
    "arguments are wrong.\n";

enum { TTL_S = 3600, TTL_S_MAX = 10 * 365 * 86400, JTI_BYTES = 16 };

struct said {
    const char *config, *sub, *jti, *ttl;
    struct issuer_item item;
    struct command_list positionals;
    struct command_list patterns[ACTION_COUNT];
};

/* Room for the lists is in one block, which begins at `positionals`. */
static int read_options(int argc, char **argv, struct said *said, struct buf *why)
{
    size_t room = (size_t)argc;
    const char **block = mem_alloc(room * (ACTION_COUNT + 1) * sizeof(*block));
    const struct command_option options[] = {
        {.name = "config", .value = &said->config},
        {.name = "secret", .value = &said->item.secret},
        {.name = "key-file", .value = &said->item.key_file},
        {.name = "algorithm", .value = &said->item.algorithm},
        {.name = "kid", .value = &said->item.kid},
        {.name = "issuer", .value = &said->item.issuer},
        {.name = "audience", .value = &said->item.audience},
        {.name = "sub", .value = &said->sub},
        {.name = "jti", .value = &said->jti},
        {.name = "ttl", .value = &said->ttl},
        {.name = "read", .list = &said->patterns[ACTION_READ]},
        {.name = "publish", .list = &said->patterns[ACTION_PUBLISH]},
        {.name = "presence", .list = &said->patterns[ACTION_PRESENCE]},
        {.name = "webhooks", .list = &said->patterns[ACTION_WEBHOOKS]},
        {.name = "admin", .list = &said->patterns[ACTION_ADMIN]},
    };
    said->positionals.at = block;
    for (size_t i = 0; i < ACTION_COUNT; i++)
        said->patterns[i].at = block + (i + 1) * room;
    return command_line_read(argc, argv, options, sizeof(options) / sizeof(*options),
                             &said->positionals, why);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int read_config(struct config *config, const struct said *said, struct buf *why)
{
    struct faults faults = {0};
    int result = config_read(config, said->config, &faults);
    buf_add_str(why, buf_str(&faults.text));
    faults_free(&faults);
    if (!result && !config->issuers.count)
        result = buf_refuse(why, "the file has no list `tokens`");
    return result;
}

/* A text is taken for tries, although every user of the machine can read a command line. */
static void warn_of_text(const char *secret)
{
    if (secret && !str_starts(str_from(secret), STR("env:")) &&
        !str_starts(str_from(secret), STR("file:")))
        fprintf(stderr, "freshet token: other users of this machine can read a secret in the "
                        "command line: say --secret file:PATH or env:NAME\n");
}

/* Fills the issuers of `config`, from the file or from the options. */
static int find_issuers(struct config *config, const struct said *said, struct buf *why)
{
    struct issuer issuer;
    bool has_key = said->item.secret || said->item.key_file;
    if (said->config && has_key)
        return buf_refuse(why, "a key is given either by --config or by --secret or --key-file");
    if (said->config)
        return read_config(config, said, why);
    if (!has_key)
        return 0;
    if (issuer_item_make(&said->item, &issuer, why))
        return -EINVAL;
    warn_of_text(said->item.secret);
    (void)issuers_add(&config->issuers, &issuer);
    return 0;
}

static const struct token_key *find_signer(const struct issuer *issuer, const char *kid)
{
    for (size_t i = 0; issuer->keys && i < issuer->keys->count; i++) {
        const struct token_key *key = issuer->keys->at[i];
        if (token_key_signs(key) && (!kid || str_eq(token_key_kid(key), str_from(kid))))
            return key;
    }
    return NULL;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int check_patterns(const struct said *said, struct buf *why)
{
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        for (size_t j = 0; j < said->patterns[i].count; j++) {
            const char *sentence;
            if (pattern_valid(str_from(said->patterns[i].at[j]), &sentence))
                continue;
            buf_addf(why, "--%s %s: %s", action_word((enum action)i), said->patterns[i].at[j],
                     sentence);
            return -EINVAL;
        }
        if (said->patterns[i].count > GRANT_PATTERNS_MAX)
            return buf_refuse(why, "a token has at most 100 patterns of each kind");
    }
    return 0;
}

/* Whether a name fits a token; NULL is no name. */
static bool is_name(const char *text)
{
    return !text || revoked_name_valid(str_from(text));
}

/* The claims iss and aud may be long, but are text. */
static bool is_text(const char *text)
{
    return !text || utf8_valid(str_from(text));
}

static int read_ttl(const struct said *said, uint64_t *ret_s, struct buf *why)
{
    *ret_s = TTL_S;
    if (said->ttl &&
        (number_read_in(str_from(said->ttl), NUMBER_S, ret_s) || !*ret_s || *ret_s > TTL_S_MAX))
        return buf_refuse(why, "--ttl takes a time from 1s to 3650d, as in 1h");
    if (!is_name(said->sub) || !is_name(said->jti))
        return buf_refuse(
            why, "--sub and --jti take 1 to 255 bytes of UTF-8 without control characters");
    if (!is_text(said->item.issuer) || !is_text(said->item.audience))
        return buf_refuse(why, "--issuer and --audience take UTF-8");
    return 0;
}

/* The patterns stay where they are: in the arguments. */
static void add_grants(struct json_writer *writer, const struct said *said, struct str claim)
{
    struct str *patterns = mem_alloc(sizeof(*patterns) * ACTION_COUNT * GRANT_PATTERNS_MAX);
    struct grant grants[ACTION_COUNT];
    size_t count = 0, used = 0;
    for (unsigned i = 0; i < ACTION_COUNT; i++) {
        struct grant grant = {patterns + used, said->patterns[i].count, action_bit(i)};
        for (size_t j = 0; j < grant.patterns_count; j++)
            patterns[used++] = str_from(said->patterns[i].at[j]);
        if (grant.patterns_count)
            grants[count++] = grant;
    }
    json_name_of_len(writer, claim.at, claim.len);
    json_object_begin(writer);
    json_name(writer, "grants");
    grants_write(writer, grants, count);
    json_object_end(writer);
    free(patterns);
}

static void add_jti(struct json_writer *writer, const char *jti)
{
    char bytes[JTI_BYTES];
    struct buf text = {0};
    hash_random(bytes, sizeof(bytes));
    base64url_add(&text, (struct str){bytes, sizeof(bytes)});
    json_member_string(writer, "jti", jti ? str_from(jti) : buf_str(&text));
    buf_free(&text);
}

static void add_claims(struct buf *out, const struct said *said, const struct issuer *issuer,
                       uint64_t ttl_s)
{
    struct json_writer writer = json_writer(out);
    uint64_t now_s = (uint64_t)(clock_wall_us(clock_system()) / 1000000);
    json_object_begin(&writer);
    if (issuer->issuer.len)
        json_member_string(&writer, "iss", issuer->issuer);
    if (issuer->audience.len)
        json_member_string(&writer, "aud", issuer->audience);
    if (said->sub)
        json_member_string(&writer, "sub", str_from(said->sub));
    add_jti(&writer, said->jti);
    json_member_number(&writer, "iat", now_s);
    json_member_number(&writer, "exp", now_s + ttl_s);
    add_grants(&writer, said, issuer->claim);
    json_object_end(&writer);
}

static int mint(const struct said *said, const struct issuer *issuer, const struct token_key *key,
                struct buf *why)
{
    uint64_t ttl_s;
    struct buf claims = {0}, token = {0};
    if (read_ttl(said, &ttl_s, why) || check_patterns(said, why))
        return 2;
    add_claims(&claims, said, issuer, ttl_s);
    token_mint(key, buf_str(&claims), &token);
    bool fits = !buf_failed(&claims) && !buf_failed(&token) && token.len <= TOKEN_BYTES_MAX;
    buf_add_char(&token, '\n');
    int code = fits ? output_write("freshet token", buf_str(&token)) : 2;
    if (!fits)
        buf_add_lit(why, "the token would be longer than the 8192 bytes that a server takes");
    buf_free(&claims);
    buf_free(&token);
    return code;
}

static int run_mint(const struct said *said, const struct issuers *issuers, struct buf *why)
{
    if (said->positionals.count) {
        buf_addf(why, "\"%s\" is one word too many", said->positionals.at[0]);
        return 2;
    }
    for (size_t i = 0; i < issuers->count; i++) {
        const struct token_key *key = find_signer(&issuers->at[i], said->item.kid);
        if (key)
            return mint(said, &issuers->at[i], key, why);
    }
    buf_add_str(why,
                str_from(issuers->count
                             ? "no key that is given can sign: it takes a secret or a private key"
                             : "which key signs? Say it by --config, --secret or --key-file"));
    return 2;
}

/* ---- explaining ------------------------------------------------------------------------------ */

/* Reads a token from standard input, of a byte more than a token may have at most. */
static void read_input(struct buf *out)
{
    char *room = buf_reserve(out, TOKEN_BYTES_MAX + 2);
    ssize_t n = 0;
    while (room && out->len < TOKEN_BYTES_MAX + 2 &&
           (n = read(0, room + out->len, TOKEN_BYTES_MAX + 2 - out->len)) > 0)
        out->len += (size_t)n;
    while (out->len && (unsigned char)out->at[out->len - 1] <= ' ')
        out->len--;
}

static int run_inspect(const struct said *said, struct issuers *issuers, struct buf *why)
{
    struct buf input = {0}, out = {0};
    if (said->positionals.count != 1) {
        buf_add_lit(why, "inspect takes one token, or - for standard input");
        return 2;
    }
    const char *token = said->positionals.at[0];
    if (strcmp(token, "-") == 0)
        read_input(&input);
    else
        buf_add_str(&input, str_from(token));
    bool accepted = token_explain(&out, issuers, buf_str(&input), clock_wall_us(clock_system()));
    int failed = output_write("freshet token", buf_str(&out));
    buf_free(&input);
    buf_free(&out);
    return accepted && !failed ? 0 : 1;
}

int token_main(int argc, char **argv)
{
    struct said said = {0};
    struct config config;
    struct buf why = {0};
    bool inspects = argc > 1 && strcmp(argv[1], "inspect") == 0;
    config_init(&config);
    int code = 2;
    int result = read_options(argc - inspects, argv + inspects, &said, &why);
    if (!result)
        result = find_issuers(&config, &said, &why);
    if (!result)
        code = inspects ? run_inspect(&said, &config.issuers, &why)
                        : run_mint(&said, &config.issuers, &why);
    if (why.len || result)
        code = command_line_end(result ? result : -EINVAL, "freshet token", &why, token_help,
                                "Try: freshet help token\n");
    free(said.positionals.at);
    buf_free(&why);
    config_free(&config);
    return code;
}
