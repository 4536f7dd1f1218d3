/* Pings: does the URL work, and does whoever is there know the secret? */
#include "courier/endpoint.h"

#include "base/hash.h"
#include "base/rfc3339.h"
#include "base/say.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PINGS_MAX = 256 };

struct ping {
    struct list node; /* in courier->pings */
    struct call call;
    struct buf body;
    struct courier *courier;
    struct endpoint *endpoint;       /* NULL once it is gone */
    struct courier_request *request; /* NULL when nobody waits */
};

static bool is_creation(const struct ping *ping)
{
    return ping->request && ping->request->op == COURIER_CREATE;
}

static void ping_free(struct ping *ping)
{
    list_remove(&ping->node);
    ping->courier->pings_count--;
    call_free(&ping->call);
    buf_free(&ping->body);
    free(ping);
}

/* A new endpoint exists only if it has verified. */
static void end_creation(struct ping *ping)
{
    const struct call *call = &ping->call;
    if (call->status >= 200 && call->status < 300) {
        (void)request_created(ping->request, ping->endpoint);
        return;
    }
    endpoint_free(ping->endpoint);
    if (call->forbidden)
        request_refuse(ping->request, COURIER_E_FORBIDDEN,
                       "the URL leads to an address that webhooks may not go to");
    else
        request_refuse(ping->request, COURIER_E_BAD,
                       "the URL did not answer the verification ping with 2xx, so "
                       "nothing was registered; without verify it would be");
}

static void end_request(struct ping *ping)
{
    struct buf *out = &ping->request->answer;
    const struct call *call = &ping->call;
    bool accepted = call->status >= 200 && call->status < 300;
    buf_addf(out, "{\"ok\":%s,\"status\":", accepted ? "true" : "false");
    if (call->status)
        buf_addf(out, "%d", call->status);
    else
        buf_add_lit(out, "null");
    buf_addf(out, ",\"ms\":%" PRId64, (call->ended_ns - call->started_ns) / 1000000);
    if (call->error) {
        buf_add_lit(out, ",\"error\":");
        buf_add_json(out, str_from(call->error));
    }
    buf_add_char(out, '}');
    request_answer(ping->request);
}

static void ping_done(struct call *call)
{
    struct ping *ping = container_of(call, struct ping, call);
    struct endpoint *endpoint = ping->endpoint;
    if (endpoint)
        endpoint_note(endpoint, call);
    ping->endpoint = NULL; /* whoever frees it must not look for us */
    if (is_creation(ping)) {
        ping->endpoint = endpoint;
        list_remove(&ping->node);
        end_creation(ping);
    } else if (ping->request) {
        end_request(ping);
    }
    ping_free(ping);
}

static void add_body(struct buf *body, const struct endpoint *endpoint)
{
    buf_add_lit(body, "{\"type\":\"$ping\",\"webhook\":\"");
    buf_add_str(body, str_from(endpoint->row.id));
    buf_add_lit(body, "\",\"time\":\"");
    rfc3339_add(body, clock_wall_us(endpoint->courier->config.clock));
    buf_add_lit(body, "\"}");
}

static bool post(struct ping *ping)
{
    struct endpoint *endpoint = ping->endpoint;
    uint64_t random[2];
    char id[WEBHOOK_ID_MAX];
    hash_random(random, sizeof(random));
    int len = snprintf(id, sizeof(id), "ping_%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    add_body(&ping->body, endpoint);
    struct str body = buf_str(&ping->body);
    struct curl_slist *headers =
        buf_failed(&ping->body) ? NULL
                                : endpoint_headers(endpoint, (struct str){id, (size_t)len}, body);
    ping->call.done = ping_done;
    return headers &&
           !call_post(&endpoint->courier->client, &ping->call, endpoint->row.url, headers, body);
}

bool ping_start(struct endpoint *endpoint, struct courier_request *request)
{
    struct courier *courier = endpoint->courier;
    struct ping *ping = courier->pings_count < PINGS_MAX ? mem_try_alloc(sizeof(*ping)) : NULL;
    if (!ping)
        return false;
    *ping = (struct ping){.courier = courier, .endpoint = endpoint, .request = request};
    list_add_last(&courier->pings, &ping->node);
    courier->pings_count++;
    if (post(ping))
        return true;
    ping_free(ping);
    return false;
}

void pings_forget(struct endpoint *endpoint)
{
    list_each (&endpoint->courier->pings, node) {
        struct ping *ping = container_of(node, struct ping, node);
        if (ping->endpoint == endpoint)
            ping->endpoint = NULL;
    }
}

void pings_end(struct courier *courier)
{
    for (struct list *node; (node = list_take_first(&courier->pings));) {
        struct ping *ping = container_of(node, struct ping, node);
        if (is_creation(ping))
            endpoint_free(ping->endpoint);
        if (ping->request)
            request_refuse(ping->request, COURIER_E_NOW,
                           "the server is stopping: ask the next one");
        ping_free(ping);
    }
}
