/* The address of a client.
 *
 * The kernel knows the peer of a socket, and is asked for it when it is wanted, so that an idle
 * connection stores nothing. If the peer is a proxy, it speaks for others: by a header of the PROXY
 * protocol for the whole connection, or by a field of each request. What it has said is kept in
 * two tables, beside the connections. Each request has an id (request_stream_id()), which is that
 * of its connection unless the connection has many streams. */
#pragma once

#include "base/map.h"
#include "net/network.h"

#include <netinet/in.h>

struct conn;

/* AF_UNSPEC if it is not known. The port does not count. */
union client_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Addresses by id. */
struct clients {
    struct map map;
};

void clients_init(struct clients *clients);
void clients_deinit(struct clients *clients);

/* Keeps an address; without memory there is none of that id then. */
void clients_put(struct clients *clients, uint32_t id, const union client_address *address);
void clients_remove(struct clients *clients, uint32_t id);

/* The address of the client that sent the request `id` by a connection: what its proxies have said
 * last, or else that of the peer. IPv4 in IPv6's notation is made IPv4. */
void client_of(const struct conn *conn, uint32_t id, union client_address *ret);

/* The address of a socket's peer, as the kernel knows it. */
void client_ask_kernel(int fd, union client_address *ret);

/* The socket's address of one in network.h's notation. */
void client_address_set(union client_address *address, const uint8_t bytes[16]);

/* Reads an address as text. -EINVAL if it is none. */
int client_address_parse(struct str text, union client_address *ret);

/* Writes the address into `room`; empty if it is not known, or is no number. */
struct str client_address_text(const union client_address *address, char room[INET6_ADDRSTRLEN]);
