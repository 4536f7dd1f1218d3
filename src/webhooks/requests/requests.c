#include "webhooks/requests/requests.h"

#include "webhooks/delivery/log_mail.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/delivery/revoked.h"
#include "webhooks/endpoint/rights.h"
#include "webhooks/endpoint/state_json.h"
#include "webhooks/requests/change.h"
#include "webhooks/requests/create.h"
#include "webhooks/requests/deliveries.h"
#include "webhooks/requests/listing.h"
#include "webhooks/requests/ping.h"
#include "webhooks/websub/subscription.h"

static void op_get(struct courier_request *request, const struct endpoint *endpoint)
{
    endpoint_state_answer(endpoint, request, STATE_ALL);
    request_answer(request);
}

static void op_ping(struct courier_request *request, struct endpoint *endpoint)
{
    if (row_is_websub(&endpoint->row))
        request_refuse(request, COURIER_E_BAD,
                       "a subscriber of WebSub is sent what its topic says and nothing else");
    else if (!ping_start(endpoint, request))
        request_refuse(request, COURIER_E_NOW, "too many pings are under way: try again");
}

static void on_endpoint(struct courier_request *request, struct endpoint *endpoint)
{
    switch (request->op) {
    case COURIER_GET:
        op_get(request, endpoint);
        break;
    case COURIER_PING:
        op_ping(request, endpoint);
        break;
    case COURIER_DELIVERIES:
    case COURIER_DELIVERY:
        deliveries_show(request, endpoint);
        break;
    case COURIER_RETRY:
        deliveries_retry(request, endpoint);
        break;
    case COURIER_RETRY_ALL:
        deliveries_retry_all(request, endpoint);
        break;
    case COURIER_DISCARD:
        deliveries_discard(request, endpoint);
        break;
    default:
        if (endpoint->change.busy)
            list_add_last(&endpoint->change.waiting, &request->waiting);
        else
            change_endpoint(request, endpoint);
        break;
    }
}

/* Whether the request makes the webhook send. */
static bool sends(enum courier_op op)
{
    return op == COURIER_RESUME || op == COURIER_CHANGE || op == COURIER_REPLAY ||
           op == COURIER_RETRY || op == COURIER_RETRY_ALL || op == COURIER_PING;
}

void requests_open(struct mail *mail, void *owner)
{
    struct courier *courier = owner;
    struct courier_request *request = container_of(mail, struct courier_request, mail);
    log_mail_read(courier); /* the log's mail first: the answer must include earlier publishes */
    struct endpoint *endpoint = directory_find(courier, request->id);
    if (endpoint && request->is_visit && !row_is_inside(&endpoint->row))
        endpoint = NULL; /* visitors have the playground's alone */
    if (courier->stopping)
        request_refuse(request, COURIER_E_NOW,
                       "the server is stopping: try again after its restart");
    else if (request->op == COURIER_CREATE)
        create_webhook(courier, request);
    else if (request->op == COURIER_VISIT)
        create_visit(courier, request);
    else if (request->op == COURIER_SUBSCRIBE)
        create_subscription(courier, request);
    else if (request->op == COURIER_HUB)
        websub_ask(courier, request);
    else if (request->op == COURIER_LIST)
        listing_start(courier, request);
    else if (!endpoint || !rights_reach(request, endpoint))
        request_refuse(request, COURIER_E_MISSING,
                       "no webhook has this id: GET /webhooks lists all");
    else if (sends(request->op) && revoked_why(endpoint))
        request_refuse(request, COURIER_E_GRANT,
                       "the credential that made this webhook has ended: register it again");
    else if (sends(request->op) && revoked_has_lost(endpoint))
        request_refuse(request, COURIER_E_GRANT,
                       "who made this webhook may not read its channels any more: register it "
                       "again");
    else
        on_endpoint(request, endpoint);
}
