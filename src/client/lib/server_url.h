/* The server's address as the user gave it, and the paths below it. */
#pragma once

#include "base/buf.h"

#define SERVER_URL_DEFAULT "http://127.0.0.1:7070"

/* All parts borrow from the parsed text. */
struct server_url {
    struct str text; /* the whole text, without slashes at its end */
    struct str authority;
    struct str host; /* without the brackets of an IPv6 address */
    struct str port; /* empty: the default of the scheme */
    struct str path; /* the API's base: empty, or begins with '/' */
    bool tls;
    bool ws; /* given as ws:// or wss:// */
};

/* Accepts http, https, ws or wss, host, port, and a path. `text` must outlive the result. Returns
 * 0, or -EINVAL for anything else (user names, queries). */
int server_url_parse(const char *text, struct server_url *ret);

/* The same for a user: says in `why` what is wrong. The sentence names ws and wss if the command
 * takes them. */
int server_url_read(const char *text, bool takes_ws, struct server_url *ret, struct buf *why);

/* The URL's port, or the default of its scheme. */
struct str server_url_port(const struct server_url *url);

/* Adds the URL as that of HTTP: http or https for ws and wss. */
void server_url_add(struct buf *out, const struct server_url *url);

/* Whether the host is this machine by name or address, so that no proxy is involved. */
bool server_url_is_loopback(const struct server_url *url);

/* Adds `/channels/NAME`. Lack of memory shows in `out`, as below. Each segment is encoded by
 * itself, so that the slashes stay. */
void server_url_add_channel(struct buf *out, struct str channel);

/* Adds `NAME=VALUE` with the value encoded, behind '?' or '&' as `out` needs. */
void server_url_add_query(struct buf *out, const char *name, struct str value);

/* Whether a name contains a `*`, and so stands for many channels. */
bool server_url_is_pattern(struct str channel);

/* Whether the token may follow `Authorization: Bearer`: visible ASCII, at least one character. */
bool server_url_token_valid(const char *token);
