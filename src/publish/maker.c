#include "publish/maker.h"

#include "net/conn.h"
#include "net/peer.h"

/* The makers for a publish whose connection is gone, and for the server on behalf of its clients.
 */
enum { NOBODY = 1, SERVER = 2 };

uint64_t publisher_address(const struct publisher *publisher)
{
    union client_address client;
    if (!publisher->conn)
        return PEER_NONE;
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
