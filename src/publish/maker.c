#include "publish/maker.h"

#include "net/conn.h"
#include "net/peer.h"

/* The maker for a publish whose connection is gone. */
enum { NOBODY = 1 };

static uint64_t address_of(const struct publisher *publisher)
{
    union client_address client;
    client_of(publisher->conn, publisher->request, &client);
    uint64_t number = peer_number(&client.any);
    return number ? number : NOBODY;
}

struct maker maker_of(const struct log *log, const struct publisher *publisher)
{
    struct maker maker = {{0}};
    const struct conn *conn = publisher->conn;
    if (log_wants_makers(log) && !publisher->is_server) {
        maker.ids[MAKER_ADDRESS] = conn ? address_of(publisher) : NOBODY;
        maker.ids[MAKER_CONNECTION] = conn ? conn->id : NOBODY;
    }
    return maker;
}
