/* The names by which this server may be called, and the websites whose pages may use it.
 *
 * A browser acts for whatever page its user visits, with all that the user's machine can reach.
 * Two facts of a request tell whose page that is. Its `Host` is the name in the URL: a name of
 * somebody else means that he has pointed it here, to make his page count as one of ours (DNS
 * rebinding). Its `Origin` is the site of the page; browsers leave it out only where a page reads
 * from its own site, or where it cannot see the answer. Programs that are no browsers send
 * no Origin, and nothing is asked of them. */
#pragma once

#include "http/head.h"
#include "transport/forwarding.h"

enum sites_trust {
    SITES_LOCAL, /* there are no access rules: names of this machine, and configured ones */
    SITES_NAMED, /* the same, and addresses as numbers, which nobody can point elsewhere */
    SITES_ANY,   /* nothing is checked */
};

/* Both lists are borrowed. A `*.` at the front of a name stands for one label or more; an origin
 * that is `*` for every origin. */
struct sites {
    enum sites_trust trust;
    const struct str *hosts;
    size_t hosts_count;
    const struct str *origins;
    size_t origins_count;
};

/* Whether an item of `hosts` is a name without port, or an address, that can match a Host. */
bool sites_host_valid(struct str text);

/* Whether an item of `origins` can match an Origin. */
bool sites_origin_valid(struct str text);

/* Whether this server may be called by the request's Host. A request of HTTP/1.0 may have none. */
bool sites_have_host(const struct sites *sites, const struct http_head *head);

/* The rights of an origin by itself, whatever it asks for. Cookies take one that is configured in
 * full: whoever gets hold of some name below a domain does not get its users' sessions. */
enum admission sites_admit(const struct sites *sites, struct str origin);

/* Whether the page that sent the request may use this server: one whose Origin is admitted, or one
 * of this server's own pages. True without an Origin. A page that came without TLS, which others
 * may have written on its way, is no page of a server that was called with TLS. */
bool sites_take_page(const struct sites *sites, const struct http_head *head,
                     const struct outside *outside);

/* Whether a page of another site loads from this server in a way that has no Origin: by <img>,
 * <script>, a form or a frame. It cannot read the answer, but it can make the server work, a
 * thousand times over. Browsers mark such requests (Fetch Metadata, W3C). A link that the user
 * follows is not among them. */
bool sites_are_crossed(const struct sites *sites, const struct http_head *head);
