#include "webhooks/requests/listing.h"

#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/rights.h"
#include "webhooks/endpoint/state_json.h"

#include <stdlib.h>

enum { LIST_US = 2000 };

struct listing {
    struct list node; /* in courier->listings */
    struct courier_request *request;
    struct endpoint *next;     /* NULL at the end */
    struct json_writer writer; /* of the request's answer */
};

void listing_start(struct courier *courier, struct courier_request *request)
{
    struct listing *listing = mem_alloc(sizeof(*listing));
    *listing = (struct listing){.request = request,
                                .next = directory_next(courier, &courier->endpoints),
                                .writer = json_writer(&request->answer)};
    json_object_begin(&listing->writer);
    json_name(&listing->writer, "webhooks");
    json_array_begin(&listing->writer);
    list_add_last(&courier->listings, &listing->node);
}

static void list_one(struct courier *courier, struct listing *listing)
{
    if (rights_reach(listing->request, listing->next))
        endpoint_state_write(listing->next, &listing->writer, STATE_LINE);
    listing->next = directory_next(courier, &listing->next->links.node);
}

static void end_listing(struct listing *listing)
{
    list_remove(&listing->node);
    json_array_end(&listing->writer);
    json_object_end(&listing->writer);
    request_answer(listing->request);
    free(listing);
}

void listings_go_on(struct courier *courier)
{
    struct budget budget;
    budget_begin(&budget, courier->config.clock, LIST_US, INT64_MAX);
    while (!list_empty(&courier->listings) && budget_spend(&budget, BUDGET_STRIDE)) {
        struct listing *listing = container_of(courier->listings.next, struct listing, node);
        if (listing->next)
            list_one(courier, listing);
        else
            end_listing(listing);
    }
}

void listings_forget(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    list_each (&courier->listings, node) {
        struct listing *listing = container_of(node, struct listing, node);
        if (listing->next == endpoint)
            listing->next = directory_next(courier, &endpoint->links.node);
    }
}

void listings_end(struct courier *courier)
{
    for (struct list *node; (node = list_take_first(&courier->listings));) {
        struct listing *listing = container_of(node, struct listing, node);
        request_refuse(listing->request, COURIER_E_NOW,
                       "the server is stopping: try again after its restart");
        free(listing);
    }
}
