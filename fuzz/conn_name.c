/* Feeds hostile texts to the reader of connections' names. What it accepts must be the name that it
 * would write for that id, and no other text may stand for it. */
#include "require.h"

#include "net/conn_name.h"

#include <string.h>

static const struct conn_names names = {{UINT64_C(0x0706050403020100), 11}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    char room[CONN_NAME_SIZE];
    uint32_t id = 0;
    if (conn_name_read(&names, text, &id) && id)
        require(str_eq(conn_name_write(&names, id, room), text));
    if (size < sizeof(id))
        return 0;
    memcpy(&id, data, sizeof(id));
    uint32_t again = ~id;
    require(conn_name_read(&names, conn_name_write(&names, id, room), &again));
    require(again == id);
    return 0;
}
