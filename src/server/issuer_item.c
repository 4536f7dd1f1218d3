#include "server/issuer_item.h"

#include "base/json.h"
#include "base/mem.h"
#include "http/target.h"
#include "server/read_file.h"
#include "server/sources.h"

#include <errno.h>
#include <stdlib.h>

static int refuse(struct buf *why, const char *setting, const char *sentence)
{
    buf_addf(why, "%s: %s", setting, sentence);
    return -EINVAL;
}

static struct str text_or(const char *text, const char *otherwise)
{
    return str_from(text ? text : otherwise);
}

/* ---- files ----------------------------------------------------------------------------------- */

static const char has_its_own[] =
    "a JWK Set has an algorithm and an id for each key: leave out algorithm and kid";

/* ---- keys ------------------------------------------------------------------------------------ */

/* The algorithm that the item names; TOKEN_ALGORITHMS if it leaves that to the key. */
static int read_algorithm(const struct issuer_item *item, enum token_algorithm *ret,
                          struct buf *why)
{
    *ret = item->algorithm ? token_algorithm_of(str_from(item->algorithm)) : TOKEN_ALGORITHMS;
    if (!item->algorithm || *ret != TOKEN_ALGORITHMS)
        return 0;
    return refuse(why, "algorithm", "is HS256, HS384, HS512, RS256, PS256, ES256 or EdDSA");
}

static int take_key(struct token_key *key, struct token_keys **ret)
{
    *ret = token_keys_new();
    (void)token_keys_add(*ret, key);
    return 0;
}

static int read_secret(const struct issuer_item *item, enum token_algorithm algorithm,
                       struct token_keys **ret, uint64_t *ret_material, struct buf *why)
{
    struct buf cause = {0};
    struct token_key *key = NULL;
    const char *hint = "there is no memory";
    char *secret = secret_find(item->secret, &cause);
    int result = secret
                     ? token_key_of_secret(algorithm == TOKEN_ALGORITHMS ? TOKEN_HS256 : algorithm,
                                           str_from(secret), text_or(item->kid, ""), &key, &hint)
                     : -EINVAL;
    if (result)
        buf_addf(why, "secret: %.*s", STR_FMT(secret ? str_from(hint) : buf_str(&cause)));
    else
        *ret_material = voucher_of(&(struct str){secret, strlen(secret)}, 1);
    secret_free(secret);
    buf_free(&cause);
    return result ? -EINVAL : take_key(key, ret);
}

static int read_jwks(const struct issuer_item *item, struct str text, struct token_keys **ret,
                     const char **ret_why)
{
    *ret_why = has_its_own;
    if (item->algorithm || item->kid)
        return -EINVAL;
    return token_keys_of_jwks(text, JWKS_PRIVATE, ret, ret_why);
}

static int read_keys(const struct issuer_item *item, enum token_algorithm algorithm,
                     struct str text, struct token_keys **ret, const char **ret_why)
{
    struct token_key *key = NULL;
    *ret_why = "there is no memory";
    if (str_starts(json_skip_space(text), STR("{")))
        return read_jwks(item, text, ret, ret_why);
    int result = token_key_of_pem(algorithm, text, text_or(item->kid, ""), &key, ret_why);
    return result ? result : take_key(key, ret);
}

static int read_key_file(const struct issuer_item *item, enum token_algorithm algorithm,
                         struct token_keys **ret, uint64_t *ret_material, struct buf *why)
{
    struct buf text = {0};
    const char *hint = NULL;
    int result = read_file(item->key_file, TOKEN_JWKS_MAX, &text);
    if (result) {
        buf_add_lit(why, "key_file: cannot read ");
        http_text_hide(why, str_from(item->key_file));
        buf_addf(why, ": %s", read_file_explain(result));
    } else if ((result = read_keys(item, algorithm, buf_str(&text), ret, &hint))) {
        buf_addf(why, "key_file: %s: %s", item->key_file, hint);
    } else {
        *ret_material = voucher_of(&(struct str){text.at, text.len}, 1);
    }
    buf_wipe(&text); /* it may be a private key */
    return result ? -EINVAL : 0;
}

/* `ret_material` gets a number for the bytes of the secret or file. */
static int make_keys(const struct issuer_item *item, struct token_keys **ret,
                     uint64_t *ret_material, struct buf *why)
{
    enum token_algorithm algorithm;
    if (!!item->secret + !!item->key_file + !!item->jwks_url != 1)
        return refuse(why, "secret",
                      "an issuer has a secret, a key_file or a jwks_url: one of them");
    if (item->jwks_url && (item->algorithm || item->kid))
        return refuse(why, "jwks_url", has_its_own);
    if (read_algorithm(item, &algorithm, why))
        return -EINVAL;
    if (item->jwks_url)
        return 0;
    return item->secret ? read_secret(item, algorithm, ret, ret_material, why)
                        : read_key_file(item, algorithm, ret, ret_material, why);
}

static uint64_t voucher_of_issuer(const struct issuer_item *item, uint64_t material)
{
    const struct str texts[] = {
        {(const char *)&material, sizeof(material)},
        text_or(item->jwks_url, ""),
        text_or(item->algorithm, ""),
        text_or(item->kid, ""),
        text_or(item->issuer, ""),
        text_or(item->audience, ""),
        text_or(item->claim, ""),
    };
    return voucher_of(texts, sizeof(texts) / sizeof(texts[0]));
}

int issuer_item_make(const struct issuer_item *item, struct issuer *ret, struct buf *why)
{
    struct token_keys *keys = NULL;
    uint64_t material = 0;
    int result = make_keys(item, &keys, &material, why);
    if (result)
        return result;
    *ret = (struct issuer){.keys = keys,
                           .issuer = text_or(item->issuer, ""),
                           .audience = text_or(item->audience, ""),
                           .claim = text_or(item->claim, "freshet"),
                           .leeway_s = item->leeway_s,
                           .voucher = voucher_of_issuer(item, material),
                           .jwks_url = item->jwks_url,
                           .refresh_s = item->refresh_s,
                           .keep_s = item->keep_s};
    return 0;
}
