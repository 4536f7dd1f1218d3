#include "net/client.h"

#include "base/mem.h"
#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- the tables ------------------------------------------------------------------------------ */

struct kept {
    struct map_node node; /* `own` is the id */
    union client_address address;
};

static struct str key_of(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof(*id)};
}

static bool id_is(const struct map_node *node, struct str key)
{
    return str_eq(key_of(&node->own), key);
}

void clients_init(struct clients *clients)
{
    map_init(&clients->map, id_is);
}

void clients_deinit(struct clients *clients)
{
    for (struct map_node *node = map_next(&clients->map, NULL), *next; node; node = next) {
        next = map_next(&clients->map, node);
        free(container_of(node, struct kept, node));
    }
    map_deinit(&clients->map);
}

static struct kept *find(const struct clients *clients, uint32_t id)
{
    struct map_node *node = clients->map.count ? map_find(&clients->map, key_of(&id)) : NULL;
    return node ? container_of(node, struct kept, node) : NULL;
}

void clients_remove(struct clients *clients, uint32_t id)
{
    struct kept *kept = find(clients, id);
    if (!kept)
        return;
    map_remove(&clients->map, &kept->node);
    free(kept);
}

void clients_put(struct clients *clients, uint32_t id, const union client_address *address)
{
    struct kept *kept = find(clients, id);
    if (kept) {
        kept->address = *address;
        return;
    }
    kept = mem_try_alloc(sizeof(*kept));
    if (!kept)
        return;
    *kept = (struct kept){.node = {.own = id}, .address = *address};
    map_add(&clients->map, &kept->node, key_of(&id));
}

/* ---- addresses ------------------------------------------------------------------------------- */

void client_address_set(union client_address *address, const uint8_t bytes[16])
{
    *address = (union client_address){.any.sa_family = AF_UNSPEC};
    if (network_is_v4(bytes)) {
        address->v4.sin_family = AF_INET;
        memcpy(&address->v4.sin_addr, bytes + NETWORK_V4_BITS / 8, sizeof(address->v4.sin_addr));
    } else {
        address->v6.sin6_family = AF_INET6;
        memcpy(&address->v6.sin6_addr, bytes, sizeof(address->v6.sin6_addr));
    }
}

int client_address_parse(struct str text, union client_address *ret)
{
    uint8_t bytes[16];
    bool is_v4;
    if (network_parse_address(text, bytes, &is_v4))
        return -EINVAL;
    client_address_set(ret, bytes);
    return 0;
}

struct str client_address_text(const union client_address *address, char room[INET6_ADDRSTRLEN])
{
    const char *text = NULL;
    if (address->any.sa_family == AF_INET)
        text = inet_ntop(AF_INET, &address->v4.sin_addr, room, INET6_ADDRSTRLEN);
    else if (address->any.sa_family == AF_INET6)
        text = inet_ntop(AF_INET6, &address->v6.sin6_addr, room, INET6_ADDRSTRLEN);
    return text ? str_from(text) : STR_NONE;
}

/* A peer with an address that is no number keeps its family: it may be a Unix socket. */
void client_ask_kernel(int fd, union client_address *ret)
{
    socklen_t size = sizeof(*ret);
    uint8_t bytes[16];
    *ret = (union client_address){.any.sa_family = AF_UNSPEC};
    if (getpeername(fd, &ret->any, &size))
        ret->any.sa_family = AF_UNSPEC;
    else if (network_address(&ret->any, bytes))
        client_address_set(ret, bytes);
}

void client_of(const struct conn *conn, uint32_t id, union client_address *ret)
{
    const struct kept *kept = find(&conn->net->forwarded, id);
    if (!kept)
        kept = find(&conn->net->proxied, conn->id);
    if (kept)
        *ret = kept->address;
    else
        client_ask_kernel(conn->fd, ret);
}
