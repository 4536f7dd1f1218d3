#include "client/lib/server_url.h"

#include "base/unknown.h"
#include "http/target.h"

#include <errno.h>

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 0x7f || strchr("?#@\\\"<>", text.at[i]))
            return false;
    return true;
}

static bool is_port(struct str port)
{
    unsigned number = 0;
    for (size_t i = 0; i < port.len; i++) {
        if (port.at[i] < '0' || port.at[i] > '9' || i == 5)
            return false;
        number = number * 10 + (unsigned)(port.at[i] - '0');
    }
    return port.len && number && number <= 65535;
}

static int split_authority(struct server_url *url)
{
    struct str rest = url->authority;
    if (rest.len && rest.at[0] == '[') {
        rest = str_skip(rest, 1);
        url->host = str_cut(&rest, ']');
        if (!rest.at || (rest.len && rest.at[0] != ':'))
            return -EINVAL;
        url->port = str_skip(rest, 1);
        return url->host.len && (!rest.len || is_port(url->port)) ? 0 : -EINVAL;
    }
    url->host = str_cut(&rest, ':');
    url->port = rest;
    return url->host.len && (!rest.at || is_port(rest)) ? 0 : -EINVAL;
}

/* Takes the scheme off the front; false if it is none of ours. */
static bool take_scheme(struct str *rest, struct server_url *ret)
{
    static const struct {
        struct str text;
        bool tls, ws;
    } schemes[] = {{{"http://", 7}, false, false},
                   {{"https://", 8}, true, false},
                   {{"ws://", 5}, false, true},
                   {{"wss://", 6}, true, true}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!str_starts(*rest, schemes[i].text))
            continue;
        ret->tls = schemes[i].tls;
        ret->ws = schemes[i].ws;
        *rest = str_skip(*rest, schemes[i].text.len);
        return true;
    }
    return false;
}

int server_url_parse(const char *text, struct server_url *ret)
{
    struct str rest = str_from(text);
    *ret = (struct server_url){0};
    while (rest.len && rest.at[rest.len - 1] == '/')
        rest.len--;
    ret->text = rest;
    if (!is_plain(rest) || !take_scheme(&rest, ret))
        return -EINVAL;
    const char *slash = rest.len ? memchr(rest.at, '/', rest.len) : NULL;
    size_t size = slash ? (size_t)(slash - rest.at) : rest.len;
    ret->authority = (struct str){rest.at, size};
    ret->path = str_skip(rest, size);
    return split_authority(ret);
}

/* Scripts keep in logs what a command says. */
static void quote(struct buf *out, struct str text)
{
    struct buf shown = {0};
    if (text.len && (memchr(text.at, '@', text.len) || memchr(text.at, '?', text.len)))
        http_url_hide(&shown, text);
    else
        buf_add_str(&shown, text);
    unknown_add_text(out, buf_str(&shown));
    buf_free(&shown);
}

int server_url_read(const char *text, bool takes_ws, struct server_url *ret, struct buf *why)
{
    if (!server_url_parse(text, ret))
        return 0;
    quote(why, str_from(text));
    buf_addf(why,
             " is not the URL of a server: http://HOST[:PORT][/BASE] or https%s, as "
             "in " SERVER_URL_DEFAULT,
             takes_ws ? ", ws or wss" : "");
    return -EINVAL;
}

struct str server_url_port(const struct server_url *url)
{
    if (url->port.len)
        return url->port;
    return url->tls ? STR("443") : STR("80");
}

void server_url_add(struct buf *out, const struct server_url *url)
{
    buf_add_str(out, url->tls ? STR("https://") : STR("http://"));
    buf_add_str(out, url->authority);
    buf_add_str(out, url->path);
}

bool server_url_is_loopback(const struct server_url *url)
{
    return str_eq(url->host, STR("localhost")) || str_eq(url->host, STR("::1")) ||
           str_starts(url->host, STR("127."));
}

void server_url_add_channel(struct buf *out, struct str channel)
{
    buf_add_lit(out, "/channels/");
    struct str rest = channel;
    for (;;) {
        http_percent_encode(out, str_cut(&rest, '/'));
        if (!rest.at)
            return;
        buf_add_char(out, '/');
    }
}

void server_url_add_query(struct buf *out, const char *name, struct str value)
{
    bool first = !out->len || !memchr(out->at, '?', out->len);
    buf_add_char(out, first ? '?' : '&');
    buf_add_str(out, str_from(name));
    buf_add_char(out, '=');
    http_percent_encode(out, value);
}

bool server_url_is_pattern(struct str channel)
{
    return channel.len && memchr(channel.at, '*', channel.len);
}

bool server_url_token_valid(const char *token)
{
    for (const char *at = token; *at; at++)
        if (*at <= ' ' || *at >= 0x7f)
            return false;
    return *token != '\0';
}
