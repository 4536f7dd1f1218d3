#include "api/sites.h"

#include "http/origin.h"
#include "http/token.h"

#include <arpa/inet.h>

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

/* Room to read an item without its wildcard. */
enum { ITEM_MAX = 256 };

/* ---- patterns -------------------------------------------------------------------------------- */

/* Whether this is one label or more, joined by dots. */
static bool is_labels(struct str text)
{
    while (text.at) {
        struct str label = str_cut(&text, '.');
        if (!label.len || !http_all(label, HTTP_CHAR_HOST))
            return false;
    }
    return true;
}

/* Whether `text` is `pattern`, without case, where a `*` stands for labels. */
static bool matches(struct str pattern, struct str text)
{
    struct str behind = pattern, before = str_cut(&behind, '*');
    if (!behind.at)
        return str_eq_nocase(pattern, text);
    if (text.len <= before.len + behind.len)
        return false;
    struct str start = {text.at, before.len}, end = str_skip(text, text.len - behind.len);
    struct str middle = {text.at + before.len, text.len - before.len - behind.len};
    return str_eq_nocase(start, before) && str_eq_nocase(end, behind) && is_labels(middle);
}

/* Whether a name has two labels or more: `*.org` would be the whole of a registry's names. */
static bool is_below_registry(struct str name)
{
    struct str rest = name;
    str_cut(&rest, '.');
    return rest.len && is_labels(name);
}

static bool is_one_host(struct str text)
{
    struct http_authority authority;
    return !http_authority_parse(text, &authority) && authority.host.len == text.len &&
           (text.at[0] == '[' || is_labels(text));
}

bool sites_host_valid(struct str text)
{
    struct str wildcard = STR("*.");
    if (!str_starts(text, wildcard))
        return is_one_host(text);
    struct str name = str_skip(text, wildcard.len);
    return is_below_registry(name) && is_one_host(name);
}

/* Takes the scheme off the front of an origin, which browsers write in lower case. Returns its
 * port, or 0 if it is another one. */
static unsigned take_scheme(struct str *rest)
{
    const struct str secure = STR("https://"), plain = STR("http://");
    unsigned port = str_starts(*rest, secure)  ? HTTPS_PORT
                    : str_starts(*rest, plain) ? HTTP_PORT
                                               : 0;
    if (port)
        *rest = str_skip(*rest, port == HTTPS_PORT ? secure.len : plain.len);
    return port;
}

/* Whether this is an origin with `*.` before a name that has two labels or more. */
static bool is_origin_pattern(struct str text)
{
    char plain[ITEM_MAX];
    struct str rest = text, wildcard = STR("*.");
    struct http_authority authority;
    if (!take_scheme(&rest) || !str_starts(rest, wildcard) || text.len > sizeof(plain))
        return false;
    size_t scheme_len = text.len - rest.len;
    rest = str_skip(rest, wildcard.len);
    memcpy(plain, text.at, scheme_len);
    memcpy(plain + scheme_len, rest.at, rest.len);
    return http_origin_is_canonical((struct str){plain, scheme_len + rest.len}) &&
           !http_authority_parse(rest, &authority) && is_below_registry(authority.host);
}

bool sites_origin_valid(struct str text)
{
    return str_eq(text, STR("*")) || http_origin_is_canonical(text) || is_origin_pattern(text);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Whether this is an address, for which no name server is asked. */
static bool is_address(struct str host)
{
    char text[INET_ADDRSTRLEN] = "";
    struct in_addr address;
    if (host.at[0] == '[')
        return true;
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.at, host.len);
    return inet_pton(AF_INET, text, &address) == 1;
}

/* A dot at the end only says that a name is complete. */
static struct str without_dot(struct str host)
{
    if (host.len > 1 && host.at[host.len - 1] == '.')
        host.len--;
    return host;
}

static bool is_named(const struct sites *sites, struct str host)
{
    host = without_dot(host);
    for (size_t i = 0; i < sites->hosts_count; i++)
        if (matches(sites->hosts[i], host))
            return true;
    return false;
}

bool sites_have_host(const struct sites *sites, const struct http_head *head)
{
    if (sites->trust == SITES_ANY || !head->host.at)
        return true;
    return http_authority_is_loopback(&head->authority) || is_named(sites, head->authority.host) ||
           (sites->trust == SITES_NAMED && is_address(head->authority.host));
}

/* ---- pages ----------------------------------------------------------------------------------- */

static bool is_pattern(struct str text)
{
    return memchr(text.at, '*', text.len) != NULL;
}

static enum admission admit_configured(const struct sites *sites, struct str origin)
{
    enum admission result = ADMITS_NOBODY;
    for (size_t i = 0; i < sites->origins_count; i++) {
        struct str item = sites->origins[i];
        if (!is_pattern(item) && str_eq(item, origin))
            return ADMITS_CREDENTIALS;
        if (str_eq(item, STR("*")) || (is_pattern(item) && matches(item, origin)))
            result = ADMITS;
    }
    return result;
}

enum admission sites_admit(const struct sites *sites, struct str origin)
{
    if (!origin.at)
        return ADMITS_NOBODY;
    enum admission result = admit_configured(sites, origin);
    if (!result && (sites->trust == SITES_ANY || http_origin_is_loopback(origin)))
        result = ADMITS;
    return result;
}

static unsigned port_of(const struct http_authority *authority, unsigned usual)
{
    return authority->has_port ? authority->port : usual;
}

static bool is_page_of(const struct http_authority *page, const struct http_authority *called,
                       unsigned usual)
{
    return called->host.len && str_eq_nocase(page->host, called->host) &&
           port_of(page, usual) == port_of(called, usual);
}

/* Whether the page's origin is the host of the request itself, as it came or as the client has
 * called it before a trusted proxy, or one of `hosts` at the usual port: a proxy in front may have
 * put another Host in the place of that name. */
static bool is_own_origin(const struct sites *sites, const struct http_head *head,
                          const struct outside *outside, struct str origin)
{
    struct http_authority page;
    unsigned usual = take_scheme(&origin);
    if (!usual || http_authority_parse(origin, &page) ||
        (outside->is_secure && usual != HTTPS_PORT))
        return false;
    return (head->host.at && is_page_of(&page, &head->authority, usual)) ||
           is_page_of(&page, &outside->authority, usual) ||
           (port_of(&page, usual) == usual && is_named(sites, page.host));
}

/* The same by what the browser says: no page can send this field itself. */
static bool is_same_origin(const struct http_head *head)
{
    return str_eq(http_header(head, STR("sec-fetch-site")), STR("same-origin"));
}

/* Whether both the page and the server that it has called are on this machine. */
static bool is_local(const struct http_head *head, struct str origin)
{
    return http_origin_is_loopback(origin) &&
           (!head->host.at || http_authority_is_loopback(&head->authority));
}

bool sites_take_page(const struct sites *sites, const struct http_head *head,
                     const struct outside *outside)
{
    struct str origin = http_header(head, STR("origin"));
    if (sites->trust == SITES_ANY || !origin.at)
        return true;
    if (http_fields_repeat(&head->fields, STR("origin")))
        return false;
    return admit_configured(sites, origin) || is_local(head, origin) || is_same_origin(head) ||
           is_own_origin(sites, head, outside, origin);
}

static bool admit_all(const struct sites *sites)
{
    for (size_t i = 0; i < sites->origins_count; i++)
        if (str_eq(sites->origins[i], STR("*")))
            return true;
    return sites->trust == SITES_ANY;
}

bool sites_are_crossed(const struct sites *sites, const struct http_head *head)
{
    if (!str_eq(http_header(head, STR("sec-fetch-site")), STR("cross-site")) || admit_all(sites))
        return false;
    bool followed = str_eq(http_header(head, STR("sec-fetch-mode")), STR("navigate")) &&
                    str_eq(http_header(head, STR("sec-fetch-dest")), STR("document")) &&
                    str_eq(http_header(head, STR("sec-fetch-user")), STR("?1"));
    return !followed && !http_header(head, STR("origin")).at;
}
