#include "publish/maker.h"

#include "net/conn.h"
#include "net/peer.h"

/* The makers for peers without an address, for a publish whose connection is gone, and for the
 * server on behalf of its clients. No address has such a number (net/peer.c). */
enum { NOBODY = 3, SERVER = 4 };

uint64_t publisher_address(const struct publisher *publisher)
{
    union client_address client;
    if (!publisher->conn)
        return publisher->is_server ? PEER_NONE : PEER_UNKNOWN;
    client_of(publisher->conn, publisher->request, &client);
    return peer_number(&client.any);
}

struct maker maker_of(const struct log *log, const struct publisher *publisher)
{
    struct maker maker = {{0}};
    const struct conn *conn = publisher->conn;
    if (log_wants_makers(log) && !publisher->is_server) {
        uint64_t address = publisher_address(publisher);
        maker.ids[MAKER_ADDRESS] = address != PEER_NONE ? address : NOBODY;
        maker.ids[MAKER_CONNECTION] = conn ? conn->id : NOBODY;
    }
    if (publisher->takes_share && log_wants_makers(log))
        maker.ids[MAKER_ADDRESS] = SERVER;
    return maker;
}
