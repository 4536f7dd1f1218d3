#include "webhooks/requests/removal.h"

#include "webhooks/delivery/anew.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/requests/listing.h"
#include "webhooks/requests/ping.h"

void endpoint_remove_and_free(struct endpoint *endpoint)
{
    listings_forget(endpoint);
    pings_forget(endpoint);
    deliveries_end(endpoint);
    directory_remove(endpoint);
    requests_reopen(endpoint->courier, &endpoint->change.waiting);
    endpoint_free(endpoint);
}
