#include "webhooks/requests/ping.h"

#include "base/hash.h"
#include "base/rfc3339.h"
#include "webhooks/endpoint/inside.h"
#include "webhooks/endpoint/standing.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHALLENGE_LEN = 32 };

struct ping {
    struct list node; /* in courier->pings */
    struct call call;
    struct pool_seat seat;
    struct buf body;
    struct courier *courier;
    struct endpoint *endpoint;       /* NULL once it is gone */
    struct courier_request *request; /* NULL when nobody waits */
    enum spec_verify how;
    void (*consented)(struct courier_request *request, struct endpoint *endpoint);
    char challenge[CHALLENGE_LEN + 1];
};

static bool is_creation(const struct ping *ping)
{
    return ping->consented != NULL;
}

static void ping_free(struct ping *ping)
{
    list_remove(&ping->node);
    pool_rise(&ping->courier->pool, &ping->seat);
    call_free(&ping->call);
    buf_free(&ping->body);
    free(ping);
}

/* ---- consent --------------------------------------------------------------------------------- */

/* Slack reads the challenge as text, as a form's field, or as JSON. */
static bool has_challenge(const struct ping *ping)
{
    struct str body = str_trim(buf_str(&ping->call.response)), expected = str_from(ping->challenge);
    if (str_eq(body, expected))
        return true;
    if (str_starts(body, STR("challenge=")))
        return str_eq(str_skip(body, 10), expected);
    json_t *object = body.len ? json_loadb(body.at, body.len, 0, NULL) : NULL;
    const char *text = json_string_value(json_object_get(object, "challenge"));
    bool has = text && str_eq(str_from(text), expected);
    json_decref(object);
    return has;
}

/* Whether the response allows our origin, which is consent, whatever its status (http-webhook 4.2).
 */
static bool is_allowed(const struct ping *ping)
{
    struct str origin = str_from(ping->call.allowed_origin);
    return str_eq(origin, STR("*")) || str_eq_nocase(origin, str_from(ping->courier->origin));
}

static bool has_consented(const struct ping *ping)
{
    switch (ping->how) {
    case SPEC_VERIFY_CE:
        return ping->call.status && is_allowed(ping);
    case SPEC_VERIFY_SLACK:
        return call_is_accepted(&ping->call) && has_challenge(ping);
    case SPEC_VERIFY_NONE:
    case SPEC_VERIFY_PING:
        break;
    }
    return call_is_accepted(&ping->call);
}

static const char *refusal(const struct ping *ping)
{
    switch (ping->how) {
    case SPEC_VERIFY_CE:
        return "the URL did not answer OPTIONS with WebHook-Allowed-Origin and the origin that "
               "WebHook-Request-Origin names, or *, so nothing was registered";
    case SPEC_VERIFY_SLACK:
        return "the URL did not answer url_verification with 2xx and the challenge, so nothing "
               "was registered";
    case SPEC_VERIFY_NONE:
    case SPEC_VERIFY_PING:
        break;
    }
    return "the URL did not answer the verification ping with 2xx, so nothing was registered; "
           "without verify it would be";
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void refuse_creation(struct ping *ping)
{
    struct buf *why = &ping->request->why;
    const char *detail = refusal(ping);
    if (ping->call.error) {
        buf_addf(why, "%s; %s", detail, ping->call.error);
        buf_add_char(why, '\0');
        detail = buf_failed(why) ? detail : why->at;
    }
    request_refuse(ping->request, COURIER_E_BAD, detail);
}

/* Frees a new endpoint whose receiver did not verify. */
static void end_creation(struct ping *ping)
{
    if (has_consented(ping)) {
        ping->consented(ping->request, ping->endpoint);
        return;
    }
    endpoint_free(ping->endpoint);
    if (ping->call.forbidden && !ping->call.status)
        request_refuse(ping->request, COURIER_E_FORBIDDEN,
                       "the URL leads to an address that webhooks may not go to");
    else
        refuse_creation(ping);
}

static void end_request(struct ping *ping)
{
    const struct call *call = &ping->call;
    struct json_writer writer = json_writer(&ping->request->answer);
    json_object_begin(&writer);
    json_member_bool(&writer, "ok", call_is_accepted(call));
    json_member_number_or_null(&writer, "status", (uint64_t)call->status);
    json_member_signed(&writer, "ms", (call->ended_ns - call->started_ns) / 1000000);
    if (call->error)
        json_member_string(&writer, "error", str_from(call->error));
    json_object_end(&writer);
    request_answer(ping->request);
}

static void ping_done(struct call *call)
{
    struct ping *ping = container_of(call, struct ping, call);
    struct endpoint *endpoint = ping->endpoint;
    if (endpoint)
        endpoint_note(endpoint, call);
    if (endpoint && endpoint->flow.standing == POOL_NEW)
        endpoint_judge(endpoint, call);
    ping->endpoint = NULL; /* remove it first, so that it is not found through the ping */
    if (is_creation(ping)) {
        ping->endpoint = endpoint;
        list_remove(&ping->node);
        end_creation(ping);
    } else if (ping->request) {
        end_request(ping);
    }
    ping_free(ping);
}

/* ---- beginnings ------------------------------------------------------------------------------ */

static void add_ping(struct buf *body, const struct endpoint *endpoint)
{
    struct json_writer writer = json_writer(body);
    json_object_begin(&writer);
    json_member_string(&writer, "type", STR("$ping"));
    json_member_string(&writer, "webhook", str_from(endpoint->row.id));
    json_member_time(&writer, "time", courier_wall_us(endpoint->courier));
    json_object_end(&writer);
}

static void add_challenge(struct ping *ping)
{
    uint64_t random[2];
    hash_random(random, sizeof(random));
    snprintf(ping->challenge, sizeof(ping->challenge), "%016" PRIx64 "%016" PRIx64, random[0],
             random[1]);
    struct json_writer writer = json_writer(&ping->body);
    json_object_begin(&writer);
    json_member_string(&writer, "type", STR("url_verification"));
    json_member_string(&writer, "challenge", str_from(ping->challenge));
    json_object_end(&writer);
}

static bool post(struct ping *ping)
{
    struct endpoint *endpoint = ping->endpoint;
    uint64_t random[2];
    char id[WEBHOOK_ID_MAX];
    hash_random(random, sizeof(random));
    int len = snprintf(id, sizeof(id), "ping_%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    if (ping->how == SPEC_VERIFY_SLACK)
        add_challenge(ping);
    else
        add_ping(&ping->body, endpoint);
    struct str body = buf_str(&ping->body);
    struct body_terms terms = endpoint_terms(endpoint);
    struct curl_slist *headers =
        buf_failed(&ping->body)
            ? NULL
            : body_headers(&terms, (struct str){id, (size_t)len}, body, NULL, 0);
    return headers &&
           !call_post(inside_client(endpoint), &ping->call, endpoint->row.url, headers, body);
}

static bool ask_options(struct ping *ping)
{
    char line[300];
    snprintf(line, sizeof(line), "WebHook-Request-Origin: %s", ping->courier->origin);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    return headers &&
           !call_options(&ping->courier->client, &ping->call, ping->endpoint->row.url, headers);
}

/* Do not repeat the first ping: nobody waits for it. */
static void give_way(struct pool_seat *seat)
{
    ping_free(container_of(seat, struct ping, seat));
}

static bool start(struct endpoint *endpoint, struct courier_request *request, enum spec_verify how,
                  void (*consented)(struct courier_request *request, struct endpoint *endpoint))
{
    struct courier *courier = endpoint->courier;
    struct ping *ping = mem_try_alloc(sizeof(*ping));
    if (!ping)
        return false;
    *ping = (struct ping){.courier = courier,
                          .endpoint = endpoint,
                          .request = request,
                          .how = how,
                          .consented = consented};
    ping->seat.give_way = give_way;
    ping->call.done = ping_done;
    ping->call.timeout_ms = endpoint->row.options.timeout_ms;
    list_add_last(&courier->pings, &ping->node);
    pool_sit(&courier->pool, &ping->seat, NULL, POOL_ASKED,
             request ? INT64_MAX : endpoint_overdue_ns(endpoint));
    if (how == SPEC_VERIFY_CE ? ask_options(ping) : post(ping))
        return true;
    ping_free(ping);
    return false;
}

static bool
start_if_room(struct endpoint *endpoint, struct courier_request *request, enum spec_verify how,
              void (*consented)(struct courier_request *request, struct endpoint *endpoint))
{
    return pool_has_room(&endpoint->courier->pool, POOL_ASKED) &&
           start(endpoint, request, how, consented);
}

bool ping_start(struct endpoint *endpoint, struct courier_request *request)
{
    return start_if_room(endpoint, request, SPEC_VERIFY_PING, NULL);
}

bool ping_verify(struct endpoint *endpoint, struct courier_request *request, enum spec_verify how,
                 void (*consented)(struct courier_request *request, struct endpoint *endpoint))
{
    return start_if_room(endpoint, request, how, consented);
}

static void call_first(struct pool_waiter *waiter)
{
    ping_first(container_of(waiter, struct endpoint, flow.ping_waiter));
}

void ping_first(struct endpoint *endpoint)
{
    struct pool *pool = &endpoint->courier->pool;
    endpoint->flow.ping_waiter.call = call_first;
    if (!pool_ask(pool, &endpoint->flow.ping_waiter, POOL_ASKED))
        return;
    pool_forget(pool, &endpoint->flow.ping_waiter);
    (void)start(endpoint, NULL, SPEC_VERIFY_PING, NULL);
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
                           "the server is stopping: try again after its restart");
        ping_free(ping);
    }
}
