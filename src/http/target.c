#include "http/target.h"

#include "http/token.h"

#include <errno.h>

enum decode {
    PLUS_IS_SPACE = 1,
    NO_NUL = 2,
    NO_SLASH = 4,
};

struct str http_target_error_detail(int error)
{
    switch (error) {
    case HTTP_TARGET_E_PERCENT:
        return STR("A '%' in the URL is not followed by two hexadecimal digits.");
    case HTTP_TARGET_E_NUL:
        return STR("The URL contains an encoded NUL (%00).");
    case HTTP_TARGET_E_SLASH:
        return STR("A path segment contains an encoded slash (%2F).");
    default:
        return STR("The URL cannot be read.");
    }
}

/* Reads the first byte of `raw`, encoded or not; `*ret_size` is the number of bytes that were
 * read. */
static int decode_byte(struct str raw, char *ret, size_t *ret_size)
{
    *ret = raw.at[0];
    *ret_size = 1;
    if (raw.at[0] != '%')
        return 0;
    if (raw.len < 3)
        return HTTP_TARGET_E_PERCENT;
    int high = http_hex(raw.at[1]), low = http_hex(raw.at[2]);
    if (high < 0 || low < 0)
        return HTTP_TARGET_E_PERCENT;
    *ret = (char)(high << 4 | low);
    *ret_size = 3;
    return 0;
}

static int decode(struct str raw, int how, struct buf *out)
{
    char *to = raw.len ? buf_reserve(out, raw.len) : NULL;
    size_t len = 0, size;
    if (!to)
        return raw.len ? -ENOMEM : 0;
    for (struct str rest = raw; rest.len; rest = str_skip(rest, size)) {
        int error = decode_byte(rest, &to[len], &size);
        if (error)
            return error;
        if (to[len] == '\0' && (how & NO_NUL))
            return HTTP_TARGET_E_NUL;
        if (to[len] == '/' && (how & NO_SLASH))
            return HTTP_TARGET_E_SLASH;
        if (rest.at[0] == '+' && (how & PLUS_IS_SPACE))
            to[len] = ' ';
        len++;
    }
    out->len += len;
    return 0;
}

int http_segment_decode(struct str raw, struct buf *out)
{
    return decode(raw, NO_NUL | NO_SLASH, out);
}

int http_query_decode(struct str raw, struct buf *out)
{
    return decode(raw, NO_NUL | PLUS_IS_SPACE, out);
}

bool http_path_next(struct str *rest, struct str *ret_segment_raw)
{
    if (!rest->len || rest->at[0] != '/')
        return false;
    struct str path = str_skip(*rest, 1);
    const char *slash = path.len ? memchr(path.at, '/', path.len) : NULL;
    size_t len = slash ? (size_t)(slash - path.at) : path.len;
    *ret_segment_raw = (struct str){path.at, len};
    *rest = str_skip(path, len);
    return true;
}

int http_path_decode(struct str path, struct buf *out)
{
    struct str segment;
    for (bool first = true; http_path_next(&path, &segment); first = false) {
        if (!first)
            buf_add_char(out, '/');
        int result = http_segment_decode(segment, out);
        if (result)
            return result;
    }
    return buf_failed(out) ? -ENOMEM : 0;
}

bool http_query_next(struct str *rest, struct str *ret_name_raw, struct str *ret_value_raw)
{
    while (rest->len) {
        struct str pair = str_cut(rest, '&');
        if (!pair.len)
            continue;
        *ret_name_raw = str_cut(&pair, '=');
        *ret_value_raw = pair;
        return true;
    }
    return false;
}

bool http_query_name_is(struct str name_raw, struct str name)
{
    size_t i = 0, size;
    for (; name_raw.len && i < name.len; i++, name_raw = str_skip(name_raw, size)) {
        char c;
        if (decode_byte(name_raw, &c, &size))
            return false;
        if (name_raw.at[0] == '+')
            c = ' ';
        if (c != name.at[i])
            return false;
    }
    return !name_raw.len && i == name.len;
}

void http_percent_encode(struct buf *buf, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (http_char_is(s.at[i], HTTP_CHAR_HOST))
            buf_add_char(buf, s.at[i]);
        else
            buf_add(buf, (const char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
    }
}

/* ---- secrets --------------------------------------------------------------------------------- */

/* A parameter without a value may be a secret as a whole. */
static void hide_query(struct buf *out, struct str query)
{
    for (bool more = true; more;) {
        const char *end = query.len ? memchr(query.at, '&', query.len) : NULL;
        struct str parameter = {query.at, end ? (size_t)(end - query.at) : query.len};
        const char *value = parameter.len ? memchr(parameter.at, '=', parameter.len) : NULL;
        if (value)
            buf_add(out, parameter.at, (size_t)(value - parameter.at) + 1);
        if (parameter.len)
            buf_add_lit(out, "***");
        more = end != NULL;
        if (more)
            buf_add_char(out, '&');
        query = str_skip(query, parameter.len + more);
    }
}

static bool ends_authority(char c)
{
    return c == '/' || c == '?' || c == '#';
}

static size_t authority_end(struct str url, size_t at)
{
    while (at < url.len && !ends_authority(url.at[at]))
        at++;
    return at;
}

/* Where the authority begins: behind the scheme and its slashes, however many these are, or at the
 * front of a URL that has no scheme. Slashes in its query begin none. */
static size_t authority_start(struct str url)
{
    size_t at = authority_end(url, 0);
    if (at && (at == url.len || url.at[at] != '/' || url.at[at - 1] != ':'))
        return 0;
    while (at < url.len && url.at[at] == '/')
        at++;
    return at;
}

/* Adds `url` up to the end of its authority, and returns what is left. */
static struct str hide_userinfo(struct buf *out, struct str url)
{
    size_t from = authority_start(url), end = authority_end(url, from), host = end;
    while (host > from && url.at[host - 1] != '@')
        host--;
    buf_add(out, url.at, from);
    if (host > from)
        buf_add_lit(out, "***@");
    buf_add(out, url.at + host, end - host);
    return str_skip(url, end);
}

void http_url_hide(struct buf *out, struct str url)
{
    struct str rest = url.len ? hide_userinfo(out, url) : url;
    size_t path = 0;
    while (path < rest.len && rest.at[path] != '?' && rest.at[path] != '#')
        path++;
    if (path)
        buf_add(out, rest.at, path);
    rest = str_skip(rest, path);
    const char *fragment = rest.len ? memchr(rest.at, '#', rest.len) : NULL;
    rest.len = fragment ? (size_t)(fragment - rest.at) : rest.len;
    if (!rest.len)
        return;
    buf_add_char(out, '?');
    hide_query(out, str_skip(rest, 1));
}

void http_text_hide(struct buf *out, struct str text)
{
    if (text.len && memmem(text.at, text.len, "://", 3))
        http_url_hide(out, text);
    else
        buf_add_str(out, text);
}
