#include "http/origin.h"

#include "http/token.h"

#include <errno.h>

/* Whether this could be an IPv6 address between brackets. Which address is nobody's business: only
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

/* `localhost`, or labels, none of them empty, before `.localhost`. */
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

/* Four decimal numbers without leading zeros (127.0.0.010 is octal to some), the first 127. */
static bool is_loopback_v4(struct str host)
{
    for (int i = 0; i < 4; i++) {
        uint64_t number;
        struct str part = str_cut(&host, '.');
        if (http_number(part, &number) || number > 255 || (part.len > 1 && part.at[0] == '0'))
            return false;
        if ((i == 0 && number != 127) || (i < 3) != (host.at != NULL))
            return false;
    }
    return true;
}

bool http_host_is_loopback(struct str text)
{
    struct http_authority authority;
    if (http_authority_parse(text, &authority))
        return false;
    struct str host = authority.host;
    return is_localhost(host) || is_loopback_v4(host) || str_eq(host, STR("[::1]"));
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
