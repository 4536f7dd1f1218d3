#include "transport/forwarding.h"

#include "http/forwarded.h"

#include <sys/socket.h>

static bool is_trusted(const struct trusted_proxies *proxies, const union client_address *client)
{
    uint8_t bytes[16];
    if (!proxies)
        return false;
    if (client->any.sa_family == AF_UNIX)
        return proxies->unix_sockets;
    if (!network_address(&client->any, bytes))
        return false;
    for (size_t i = 0; i < proxies->networks_count; i++)
        if (network_has(&proxies->networks[i], bytes))
            return true;
    return false;
}

bool forwarding_trusts(const struct worker *worker, int fd)
{
    const struct trusted_proxies *proxies = worker->config.proxies;
    union client_address peer;
    if (!proxies)
        return false;
    client_ask_kernel(fd, &peer);
    return is_trusted(proxies, &peer);
}

void forwarding_take(struct worker *worker, struct conn *conn, const union client_address *client)
{
    clients_put(&conn->net->proxied, conn->id, client);
    conn->door &= (uint8_t)~DOOR_TRUSTED;
    conn->door |= is_trusted(worker->config.proxies, client) ? DOOR_TRUSTED : 0;
}

/* Whether the peer is a proxy that is trusted still: it may have lost that by a reload since it
 * connected. */
static bool speaks_for_others(const struct worker *worker, const struct conn *conn)
{
    return conn->door & DOOR_TRUSTED && worker->config.proxies;
}

/* Goes from the nearest proxy to the first address that no trusted proxy has, or as far as
 * addresses can be read; `*client` is that of the peer before. Returns the number of proxies that
 * have spoken, the last of which may have hidden the address. */
static unsigned walk_to_client(const struct trusted_proxies *proxies, const struct http_head *head,
                               union client_address *client)
{
    union client_address before;
    struct str text;
    unsigned steps = 0;
    struct http_forwarded walk = http_forwarded_walk(&head->fields, proxies->is_standard);
    while (is_trusted(proxies, client) && http_forwarded_before(&walk, &text)) {
        steps++;
        if (client_address_parse(text, &before))
            break;
        *client = before;
    }
    return steps;
}

/* The client that the fields of a request name. False: they say nothing, and `*client` is the peer.
 */
static bool find_client(const struct worker *worker, const struct conn *conn,
                        const struct http_head *head, union client_address *client)
{
    client_of(conn, 0, client); /* of no request: the peer */
    return speaks_for_others(worker, conn) &&
           walk_to_client(worker->config.proxies, head, client) > 0;
}

void forwarding_note(struct worker *worker, const struct conn *conn, uint32_t id,
                     const struct http_head *head)
{
    union client_address client;
    if (!(conn->door & DOOR_TRUSTED))
        return;
    clients_remove(&conn->net->forwarded, id);
    if (find_client(worker, conn, head, &client))
        clients_put(&conn->net->forwarded, id, &client);
}

static bool is_same(const union client_address *a, const union client_address *b)
{
    uint8_t bytes[2][16] = {0};
    bool is_number = network_address(&a->any, bytes[0]);
    return is_number == network_address(&b->any, bytes[1]) &&
           memcmp(bytes[0], bytes[1], sizeof(bytes[0])) == 0;
}

bool forwarding_changes(const struct worker *worker, const struct conn *conn, uint32_t id,
                        const struct http_head *head)
{
    union client_address before, client;
    if (!(conn->door & DOOR_TRUSTED))
        return false;
    client_of(conn, id, &before);
    (void)find_client(worker, conn, head, &client);
    return !is_same(&before, &client);
}

static bool is_one_of(struct str text, struct str a, struct str b)
{
    return str_eq_nocase(text, a) || str_eq_nocase(text, b);
}

/* A proxy that says nothing of the scheme or the host, or nothing that can be read, passes on what
 * its own request has. */
static void take_forwarded(struct outside *outside, const struct http_head *head, bool is_standard,
                           unsigned steps)
{
    struct http_authority authority;
    struct str proto = http_forwarded_proto(&head->fields, is_standard, steps);
    struct str host = http_forwarded_host(&head->fields, is_standard, steps);
    if (is_one_of(proto, STR("https"), STR("wss")))
        outside->is_secure = true;
    else if (is_one_of(proto, STR("http"), STR("ws")))
        outside->is_secure = false;
    if (host.len && !http_authority_parse(host, &authority))
        outside->authority = authority;
}

struct outside forwarding_outside(const struct worker *worker, const struct conn *conn,
                                  const struct http_head *head)
{
    struct outside outside = {.is_secure = (conn->door & (DOOR_TLS | DOOR_BARE)) == DOOR_TLS,
                              .authority = head->authority};
    union client_address client;
    if (!head->host.at)
        outside.authority = (struct http_authority){.host = STR("")};
    if (!speaks_for_others(worker, conn))
        return outside;
    client_of(conn, 0, &client); /* of no request: the peer */
    unsigned steps = walk_to_client(worker->config.proxies, head, &client);
    outside.is_forwarded = true;
    take_forwarded(&outside, head, worker->config.proxies->is_standard, steps ? steps : 1);
    return outside;
}
