#include "access/token_keys.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

enum { JWKS_DEPTH_MAX = 8 };

struct token_keys *token_keys_new(void)
{
    struct token_keys *keys = mem_alloc(sizeof(*keys));
    atomic_init(&keys->refs, 1);
    return keys;
}

bool token_keys_add(struct token_keys *keys, struct token_key *key)
{
    if (keys->count < TOKEN_KEYS_MAX) {
        keys->at[keys->count++] = key;
        return true;
    }
    token_key_free(key);
    return false;
}

struct token_keys *token_keys_ref(struct token_keys *keys)
{
    if (keys)
        atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

struct token_keys *token_keys_unref(struct token_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < keys->count; i++)
        token_key_free(keys->at[i]);
    free(keys);
    return NULL;
}

/* ---- JWK ------------------------------------------------------------------------------------- */

/* The text of a member; STR_NONE without one, or if it is no string. */
static struct str text_of(const json_t *object, const char *name)
{
    return json_text(json_object_get(object, name));
}

/* Decodes a member in base64url. An empty buffer if it is absent or wrong: no key takes that. */
static struct buf bytes_of(const json_t *jwk, const char *name)
{
    struct buf bytes = {0};
    if (base64url_decode(&bytes, text_of(jwk, name)))
        buf_clear(&bytes);
    return bytes;
}

static bool has_operation(const json_t *operations, const char *name)
{
    size_t i;
    const json_t *operation;
    json_array_foreach(operations, i,
                       operation) if (json_is_string(operation) &&
                                      strcmp(json_string_value(operation), name) == 0) return true;
    return false;
}

/* Whether the key is meant for signatures (RFC 7517 sections 4.2 and 4.3). */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *operations = json_object_get(jwk, "key_ops");
    if (use && !str_eq(text_of(jwk, "use"), STR("sig")))
        return false;
    return !operations || has_operation(operations, "verify");
}

/* Says why a key is left out. */
static int leave_out(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

struct jwk {
    const json_t *object;
    enum token_algorithm algorithm; /* TOKEN_ALGORITHMS: not told */
    struct str kid;
};

static int read_rsa(const struct jwk *jwk, struct token_key **ret, const char **ret_why)
{
    struct buf n = bytes_of(jwk->object, "n"), e = bytes_of(jwk->object, "e");
    int result = token_key_of_rsa(jwk->algorithm, buf_str(&n), buf_str(&e), jwk->kid, ret, ret_why);
    buf_free(&n);
    buf_free(&e);
    return result;
}

static int read_p256(const struct jwk *jwk, struct token_key **ret, const char **ret_why)
{
    if (jwk->algorithm != TOKEN_ES256 && jwk->algorithm != TOKEN_ALGORITHMS)
        return leave_out(ret_why, "a key of kty EC has the alg ES256");
    if (!str_eq(text_of(jwk->object, "crv"), STR("P-256")))
        return leave_out(ret_why, "of the curves, P-256 is supported for ES256");
    struct buf x = bytes_of(jwk->object, "x"), y = bytes_of(jwk->object, "y");
    int result = token_key_of_p256(buf_str(&x), buf_str(&y), jwk->kid, ret, ret_why);
    buf_free(&x);
    buf_free(&y);
    return result;
}

static int read_ed25519(const struct jwk *jwk, struct token_key **ret, const char **ret_why)
{
    if (jwk->algorithm != TOKEN_EDDSA && jwk->algorithm != TOKEN_ALGORITHMS)
        return leave_out(ret_why, "a key of kty OKP has the alg EdDSA");
    if (!str_eq(text_of(jwk->object, "crv"), STR("Ed25519")))
        return leave_out(ret_why, "of the curves, Ed25519 is supported for EdDSA");
    struct buf x = bytes_of(jwk->object, "x");
    int result = token_key_of_ed25519(buf_str(&x), jwk->kid, ret, ret_why);
    buf_free(&x);
    return result;
}

static int read_secret(const struct jwk *jwk, struct token_key **ret, const char **ret_why)
{
    struct buf k = bytes_of(jwk->object, "k");
    enum token_algorithm algorithm =
        jwk->algorithm == TOKEN_ALGORITHMS ? TOKEN_HS256 : jwk->algorithm;
    int result = token_key_of_secret(algorithm, buf_str(&k), jwk->kid, ret, ret_why);
    buf_wipe(&k);
    return result;
}

static int read_by_type(const struct jwk *jwk, enum jwks_source source, struct token_key **ret,
                        const char **ret_why)
{
    struct str type = text_of(jwk->object, "kty");
    if (str_eq(type, STR("oct")) && source == JWKS_PUBLIC)
        return leave_out(ret_why, "a secret (kty oct) that can be fetched is none");
    if (str_eq(type, STR("oct")))
        return read_secret(jwk, ret, ret_why);
    if (json_object_get(jwk->object, "d"))
        return leave_out(ret_why, "a key is private: give the public one");
    if (str_eq(type, STR("RSA")))
        return read_rsa(jwk, ret, ret_why);
    if (str_eq(type, STR("EC")))
        return read_p256(jwk, ret, ret_why);
    if (str_eq(type, STR("OKP")))
        return read_ed25519(jwk, ret, ret_why);
    return leave_out(ret_why, "of the key types (kty), RSA, EC, OKP and oct are supported");
}

static int read_jwk(const json_t *object, enum jwks_source source, struct token_key **ret,
                    const char **ret_why)
{
    struct jwk jwk = {object, TOKEN_ALGORITHMS, text_of(object, "kid")};
    if (!json_is_object(object))
        return leave_out(ret_why, "a key is a JSON object");
    if (!is_for_signatures(object))
        return leave_out(ret_why, "a key is not for signatures (use or key_ops)");
    if (json_object_get(object, "alg")) {
        jwk.algorithm = token_algorithm_of(text_of(object, "alg"));
        if (jwk.algorithm == TOKEN_ALGORITHMS)
            return leave_out(ret_why, "the algorithm (alg) of a key is not supported");
    }
    return read_by_type(&jwk, source, ret, ret_why);
}

/* ---- JWK Set --------------------------------------------------------------------------------- */

/* Adds the keys of an array, or the single key that `root` is. 0 or -ENOMEM. */
static int add_keys(struct token_keys *keys, const json_t *root, enum jwks_source source,
                    const char **ret_why)
{
    const json_t *list = json_object_get(root, "keys");
    size_t count = list ? json_array_size(list) : 1;
    for (size_t i = 0; i < count && keys->count < TOKEN_KEYS_MAX; i++) {
        struct token_key *key = NULL;
        int result = read_jwk(list ? json_array_get(list, i) : root, source, &key, ret_why);
        if (result == -ENOMEM)
            return result;
        if (!result)
            (void)token_keys_add(keys, key);
    }
    return 0;
}

static json_t *parse(struct str json)
{
    if (json.len > TOKEN_JWKS_MAX || json_check(json, JWKS_DEPTH_MAX, NULL) != JSON_OK)
        return NULL;
    return json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
}

int token_keys_of_jwks(struct str json, enum jwks_source source, struct token_keys **ret,
                       const char **ret_why)
{
    json_t *root = parse(json);
    *ret_why = "is no JSON object with a list `keys`, of at most 256 KiB";
    if (!json_is_object(root)) {
        json_decref(root);
        return -EINVAL;
    }
    struct token_keys *keys = token_keys_new();
    *ret_why = "holds no key";
    int result = add_keys(keys, root, source, ret_why);
    json_decref(root);
    if (!result && keys->count) {
        *ret = keys;
        return 0;
    }
    token_keys_unref(keys);
    return result ? result : -EINVAL;
}
