#include "http/condition.h"

#include "http/token.h"

#include <errno.h>

/* etagc: visible but '"', and obs-text; no escapes. */
static bool is_etag_char(char c)
{
    return http_char_is(c, HTTP_CHAR_VALUE) && c != '"' && c != ' ' && c != '\t';
}

/* Skips white space and the commas between (empty) elements. */
static struct str behind_commas(struct str s)
{
    while (s.len && (s.at[0] == ',' || s.at[0] == ' ' || s.at[0] == '\t'))
        s = str_skip(s, 1);
    return s;
}

int http_etag_next(struct str *rest, struct http_etag *ret)
{
    struct str s = behind_commas(*rest);
    struct http_etag etag = {0};
    size_t len = 0;
    if (!s.len)
        return 0;
    etag.weak = str_starts(s, STR("W/"));
    if (etag.weak)
        s = str_skip(s, 2);
    if (!s.len || s.at[0] != '"')
        return -EINVAL;
    s = str_skip(s, 1);
    while (len < s.len && is_etag_char(s.at[len]))
        len++;
    if (len == s.len || s.at[len] != '"')
        return -EINVAL;
    etag.opaque = (struct str){s.at, len};
    s = str_trim(str_skip(s, len + 1));
    if (s.len && s.at[0] != ',')
        return -EINVAL;
    *rest = s;
    *ret = etag;
    return 1;
}

int http_if_match(struct str value, struct str *ret_opaque)
{
    struct http_etag etag, second;
    if (http_etag_next(&value, &etag) != 1 || etag.weak)
        return -EINVAL;
    if (http_etag_next(&value, &second) != 0)
        return -EINVAL;
    *ret_opaque = etag.opaque;
    return 0;
}

/* Takes a byte of a structured field's string off the front of `*rest`, which begins behind the
 * first quote. Returns false at a byte that is not allowed there. */
static bool take_sf_char(struct str *rest, char *ret)
{
    bool escape = rest->len && rest->at[0] == '\\';
    if (escape)
        *rest = str_skip(*rest, 1);
    if (!rest->len || rest->at[0] < ' ' || rest->at[0] > '~')
        return false;
    *ret = rest->at[0];
    *rest = str_skip(*rest, 1);
    return escape == (*ret == '"' || *ret == '\\');
}

static int read_sf_string(struct str rest, char *out, size_t size, size_t *ret_len)
{
    size_t len = 0;
    char c;
    while (rest.len && rest.at[0] != '"') {
        if (!take_sf_char(&rest, &c))
            return -EINVAL;
        if (len == size)
            return -EMSGSIZE;
        out[len++] = c;
    }
    if (rest.len != 1 || !len)
        return -EINVAL;
    *ret_len = len;
    return 0;
}

int http_idempotency_key(struct str value, char *out, size_t size, size_t *ret_len)
{
    value = str_trim(value);
    if (!value.len)
        return -EINVAL;
    if (value.at[0] == '"')
        return read_sf_string(str_skip(value, 1), out, size, ret_len);
    if (value.len > size)
        return -EMSGSIZE;
    memcpy(out, value.at, value.len);
    *ret_len = value.len;
    return 0;
}
