#include "http/origin.h"

#include "http/token.h"

#include <errno.h>

/* Whether this could be an IPv6 address between brackets. The address itself does not matter: only
 * `[::1]` is ever compared, and that byte by byte. */
static bool is_literal(struct str s)
{
    if (s.len < 4 || s.at[0] != '[' || s.at[s.len - 1] != ']')
        return false;
    for (size_t i = 1; i < s.len - 1; i++)
        if (!http_char_is(s.at[i], HTTP_CHAR_HEX) && s.at[i] != ':' && s.at[i] != '.')
            return false;
    return true;
}

static int parse_port(struct str text, struct http_authority *ret)
{
    uint64_t port;
    if (!text.len)
        return 0;
    if (http_number(text, &port) || port > UINT16_MAX)
        return -EINVAL;
    ret->has_port = true;
    ret->port = (uint16_t)port;
    return 0;
}

int http_authority_parse(struct str text, struct http_authority *ret)
{
    struct http_authority authority = {0};
    size_t host_len = 0;
    if (!text.len)
        return -EINVAL;
    if (text.at[0] == '[') {
        const char *end = memchr(text.at, ']', text.len);
        host_len = end ? (size_t)(end - text.at) + 1 : 0;
    } else {
        while (host_len < text.len && http_char_is(text.at[host_len], HTTP_CHAR_HOST))
            host_len++;
    }
    authority.host = (struct str){text.at, host_len};
    struct str port = str_skip(text, host_len);
    if (!host_len || (text.at[0] == '[' && !is_literal(authority.host)))
        return -EINVAL;
    if (port.len && (port.at[0] != ':' || parse_port(str_skip(port, 1), &authority)))
        return -EINVAL;
    *ret = authority;
    return 0;
}

/* `localhost`, or labels, each of them not empty, before `.localhost`. */
static bool is_localhost(struct str host)
{
    struct str local = STR("localhost");
    struct str label = STR_NONE;
    while (host.at) {
        label = str_cut(&host, '.');
        if (!label.len)
            return false;
    }
    return str_eq_nocase(label, local);
}

/* Takes a number below 256 without leading zeros (127.0.0.010 is octal to some) off the front. */
static bool take_byte(struct str *rest)
{
    unsigned number = 0;
    size_t len = 0;
    for (; len < rest->len && len < 4 && http_char_is(rest->at[len], HTTP_CHAR_DIGIT); len++)
        number = number * 10 + (unsigned)(rest->at[len] - '0');
    if (!len || number > 255 || (len > 1 && rest->at[0] == '0'))
        return false;
    *rest = str_skip(*rest, len);
    return true;
}

/* Four decimal numbers, the first 127. */
static bool is_loopback_v4(struct str host)
{
    struct str rest = host;
    if (!str_starts(host, STR("127.")))
        return false;
    for (int i = 0; i < 4; i++) {
        if (i && (!rest.len || rest.at[0] != '.'))
            return false;
        rest = str_skip(rest, i > 0);
        if (!take_byte(&rest))
            return false;
    }
    return !rest.len;
}

bool http_authority_is_loopback(const struct http_authority *authority)
{
    struct str host = authority->host;
    if (str_eq(host, STR("127.0.0.1")) || str_eq(host, STR("localhost")))
        return true; /* nearly all that do */
    return is_loopback_v4(host) || is_localhost(host) || str_eq(host, STR("[::1]"));
}

bool http_host_is_loopback(struct str text)
{
    struct http_authority authority;
    return !http_authority_parse(text, &authority) && http_authority_is_loopback(&authority);
}

bool http_origin_is_loopback(struct str origin)
{
    const struct str schemes[] = {STR("http://"), STR("https://")};
    for (size_t i = 0; i < 2; i++) {
        size_t len = schemes[i].len;
        if (origin.len > len && str_eq_nocase((struct str){origin.at, len}, schemes[i]))
            return http_host_is_loopback(str_skip(origin, len));
    }
    return false;
}

bool http_origin_is_canonical(struct str origin)
{
    bool secure = str_starts(origin, STR("https://"));
    struct http_authority authority;
    if (!secure && !str_starts(origin, STR("http://")))
        return false;
    struct str rest = str_skip(origin, secure ? 8 : 7);
    for (size_t i = 0; i < rest.len; i++)
        if (rest.at[i] != ascii_lower(rest.at[i]))
            return false;
    if (http_authority_parse(rest, &authority))
        return false;
    struct str port = str_skip(rest, authority.host.len);
    bool plain = !authority.has_port ? !port.len : port.len > 1 && port.at[1] != '0';
    return plain && !(authority.has_port && authority.port == (secure ? 443 : 80));
}

/* Takes a line off the front of `*rest`, without its LF; false if there is no whole line. */
static bool take_line(struct str *rest, struct str *ret)
{
    const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    if (!end)
        return false;
    *ret = (struct str){rest->at, (size_t)(end - rest->at)};
    *rest = str_skip(*rest, ret->len + 1);
    if (ret->len && ret->at[ret->len - 1] == '\r')
        ret->len--;
    return true;
}

struct str http_origin_scan(struct str bytes)
{
    struct str line, found = STR_NONE, name = STR("origin:");
    bool begun = false;
    while (take_line(&bytes, &line) && (line.len || !begun)) {
        bool named =
            begun && line.len >= name.len && str_eq_nocase((struct str){line.at, name.len}, name);
        if (named && found.at)
            return STR_NONE;
        if (named)
            found = str_trim(str_skip(line, name.len));
        begun |= line.len > 0; /* empty lines may stand before the request line */
    }
    return found;
}
