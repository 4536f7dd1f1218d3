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

/* Goes from the nearest proxy to the first address that no trusted proxy has, or as far as
 * addresses can be read. The peer may have lost its trust by a reload since it connected. */
void forwarding_note(struct worker *worker, const struct conn *conn, uint32_t id,
                     const struct http_head *head)
{
    const struct trusted_proxies *proxies = worker->config.proxies;
    union client_address client, before;
    struct str text;
    if (!(conn->door & DOOR_TRUSTED))
        return;
    clients_remove(&conn->net->forwarded, id);
    if (!proxies)
        return;
    struct http_forwarded walk = http_forwarded_walk(&head->fields, proxies->is_standard);
    client_of(conn, id, &client);
    bool found = false;
    while (is_trusted(proxies, &client) && http_forwarded_before(&walk, &text) &&
           !client_address_parse(text, &before)) {
        client = before;
        found = true;
    }
    if (found)
        clients_put(&conn->net->forwarded, id, &client);
}
