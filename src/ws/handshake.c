#include "ws/handshake.h"

#include "base/base64.h"
#include "base/hash.h"
#include "ws/deflate.h"

#include <assert.h>
#include <errno.h>

static const char key_suffix[36] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
#define PERMESSAGE_DEFLATE STR("permessage-deflate")

static bool is_alnum(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

bool ws_key_valid(struct str key)
{
    if (key.len != WS_KEY_LEN || key.at[22] != '=' || key.at[23] != '=')
        return false;
    /* Stray bits in the last digit are allowed: the key is never decoded. */
    for (size_t i = 0; i < 22; i++)
        if (!is_alnum(key.at[i]) && key.at[i] != '+' && key.at[i] != '/')
            return false;
    return true;
}

static int base64_exactly(struct str bytes, char *ret, size_t len)
{
    struct buf text = {0};
    base64_add(&text, bytes);
    int r = buf_failed(&text) ? -ENOMEM : 0;
    if (!r) {
        assert(text.len == len);
        memcpy(ret, text.at, len);
    }
    buf_free(&text);
    return r;
}

int ws_accept_key(struct str key, char ret[WS_ACCEPT_LEN])
{
    char joined[WS_KEY_LEN + sizeof(key_suffix)];
    if (key.len != WS_KEY_LEN)
        return -EINVAL;
    memcpy(joined, key.at, WS_KEY_LEN);
    memcpy(joined + WS_KEY_LEN, key_suffix, sizeof(key_suffix));
    uint8_t digest[HASH_SHA1_SIZE];
    hash_sha1((struct str){joined, sizeof(joined)}, digest);
    return base64_exactly((struct str){(char *)digest, sizeof(digest)}, ret, WS_ACCEPT_LEN);
}

int ws_make_key(char ret[WS_KEY_LEN])
{
    uint8_t nonce[16];
    hash_random(nonce, sizeof(nonce));
    return base64_exactly((struct str){(char *)nonce, sizeof(nonce)}, ret, WS_KEY_LEN);
}

bool ws_accept_matches(struct str key, struct str accept)
{
    char want[WS_ACCEPT_LEN];
    return ws_accept_key(key, want) == 0 && str_eq(accept, (struct str){want, sizeof(want)});
}

/* RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip_blank(struct str *rest)
{
    while (rest->len && (rest->at[0] == ' ' || rest->at[0] == '\t'))
        *rest = str_skip(*rest, 1);
}

/* Takes `c` with white space around it, if it comes next. */
static bool take_char(struct str *rest, char c)
{
    skip_blank(rest);
    if (!rest->len || rest->at[0] != c)
        return false;
    *rest = str_skip(*rest, 1);
    skip_blank(rest);
    return true;
}

static bool take_token(struct str *rest, struct str *ret)
{
    size_t n = 0;
    while (n < rest->len && is_token_char(rest->at[n]))
        n++;
    *ret = (struct str){rest->at, n};
    *rest = str_skip(*rest, n);
    return n > 0;
}

/* Moves on to the next element of a comma-separated list; empty elements are skipped (RFC 9110
 * section 5.6.1). Returns 1 with its first token, 0 at the end, -EINVAL. */
static int next_element(struct str *rest, struct str *ret)
{
    while (take_char(rest, ','))
        ;
    if (!rest->len)
        return 0;
    return take_token(rest, ret) ? 1 : -EINVAL;
}

/* Whether an element of a list ends here. */
static bool at_element_end(struct str *rest)
{
    skip_blank(rest);
    return !rest->len || rest->at[0] == ',';
}

static struct str find(const struct str *supported, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(supported[i], name))
            return supported[i];
    return STR_NONE;
}

int ws_choose_protocol(struct str list, const struct str *supported, size_t count, struct str *ret)
{
    struct str chosen = STR_NONE;
    struct str name;
    int r;
    *ret = STR_NONE;
    while ((r = next_element(&list, &name)) == 1) {
        if (!at_element_end(&list))
            return -EINVAL;
        if (!chosen.at)
            chosen = find(supported, count, name);
    }
    if (!r)
        *ret = chosen;
    return r;
}

/* A parameter of an extension; `value.at` is NULL without a value. */
struct param {
    struct str name;
    struct str value;
};

/* The content of a quoted string, with its escapes. Decoded, it must be a token (RFC 6455 section
 * 9.1). */
static bool take_quoted_token(struct str *rest, struct str *ret)
{
    size_t n = 1;
    for (; n < rest->len && rest->at[n] != '"'; n++) {
        if (rest->at[n] == '\\')
            n++;
        if (n >= rest->len || !is_token_char(rest->at[n]))
            return false;
    }
    if (n >= rest->len || n == 1)
        return false;
    *ret = (struct str){rest->at + 1, n - 1};
    *rest = str_skip(*rest, n + 1);
    return true;
}

static bool take_value(struct str *rest, struct str *ret)
{
    return rest->len && rest->at[0] == '"' ? take_quoted_token(rest, ret) : take_token(rest, ret);
}

/* Returns 1 with the next parameter of the extension, 0 if there is no more, -EINVAL. */
static int next_param(struct str *rest, struct param *ret)
{
    *ret = (struct param){.value = STR_NONE};
    if (at_element_end(rest))
        return 0;
    if (!take_char(rest, ';') || !take_token(rest, &ret->name))
        return -EINVAL;
    return !take_char(rest, '=') || take_value(rest, &ret->value) ? 1 : -EINVAL;
}

/* The parameters of permessage-deflate that an offer has stated. */
struct stated {
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    bool server_bits_given;
    bool client_bits_given;
    uint8_t server_bits; /* 0 without a value */
};

/* Reads 8 to 15 without leading zeroes (RFC 7692 section 7.1.2). Escaped digits are not understood;
 * no client writes them. */
static bool parse_bits(struct str value, uint8_t *ret)
{
    if (value.len == 1 && (value.at[0] == '8' || value.at[0] == '9'))
        *ret = (uint8_t)(value.at[0] - '0');
    else if (value.len == 2 && value.at[0] == '1' && value.at[1] >= '0' && value.at[1] <= '5')
        *ret = (uint8_t)(10 + value.at[1] - '0');
    else
        return false;
    return true;
}

/* Marks a parameter as given; returns false if it was given before. */
static bool once(bool *given)
{
    bool first = !*given;
    *given = true;
    return first;
}

/* Returns false if the parameter is unknown or repeated, or has a wrong value. */
static bool take_param(struct stated *stated, const struct param *param)
{
    uint8_t client_bits; /* not used: messages of clients are read with the largest window */
    bool has_value = param->value.at;
    if (str_eq(param->name, STR("server_no_context_takeover")))
        return !has_value && once(&stated->server_no_context_takeover);
    if (str_eq(param->name, STR("client_no_context_takeover")))
        return !has_value && once(&stated->client_no_context_takeover);
    if (str_eq(param->name, STR("server_max_window_bits")))
        return parse_bits(param->value, &stated->server_bits) && once(&stated->server_bits_given);
    if (str_eq(param->name, STR("client_max_window_bits")))
        return (!has_value || parse_bits(param->value, &client_bits)) &&
               once(&stated->client_bits_given);
    return false;
}

/* An extension of a list: its name, and its parameters if it is permessage-deflate. */
struct extension {
    bool is_deflate;
    bool valid; /* all parameters are right */
    struct stated stated;
};

/* Returns 1 with the next extension, 0 at the end of the list, -EINVAL. */
static int next_extension(struct str *rest, struct extension *ret)
{
    struct str name;
    struct param param;
    int r = next_element(rest, &name);
    if (r <= 0)
        return r;
    *ret = (struct extension){.is_deflate = str_eq(name, PERMESSAGE_DEFLATE), .valid = true};
    while ((r = next_param(rest, &param)) == 1)
        if (ret->is_deflate && !take_param(&ret->stated, &param))
            ret->valid = false;
    return r < 0 ? r : 1;
}

static uint8_t bits_or_most(uint8_t bits)
{
    return bits ? bits : DEFLATE_BITS_MAX;
}

/* Accepts an offer, unless it demands a window smaller than our smallest. */
static struct ws_deflate_params take_offer(const struct stated *offer)
{
    unsigned bits = deflate_bits(bits_or_most(offer->server_bits));
    return (struct ws_deflate_params){
        .enabled = bits > 0,
        .answer_names_window = offer->server_bits_given,
        .server_max_window_bits = (uint8_t)bits,
    };
}

int ws_negotiate_deflate(struct str extensions, struct ws_deflate_params *ret)
{
    struct ws_deflate_params params = {0};
    struct extension offer;
    int r;
    *ret = params;
    while ((r = next_extension(&extensions, &offer)) == 1)
        if (!params.enabled && offer.is_deflate && offer.valid)
            params = take_offer(&offer.stated);
    if (!r && params.enabled)
        *ret = params;
    return r;
}

void ws_add_deflate_answer(struct buf *buf, const struct ws_deflate_params *params)
{
    buf_add_str(buf, PERMESSAGE_DEFLATE);
    buf_add_lit(buf, "; server_no_context_takeover; client_no_context_takeover");
    if (params->answer_names_window) {
        buf_add_lit(buf, "; server_max_window_bits=");
        buf_add_u64(buf, params->server_max_window_bits);
    }
}
