#include "webhooks/websub/subscription.h"

#include "base/hash.h"
#include "base/say.h"
#include "http/target.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/rights.h"
#include "webhooks/websub/form.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHALLENGE_LEN = 32, WATCH_MOST_MS = 3600 * 1000, EXPIRE_AGAIN_MS = 5000 };

/* An intent: a GET to a subscriber that verifies or denies, and the change that follows from its
 * answer. */
struct intent {
    struct list node; /* in courier->intents while the GET is under way, then in ->confirmed */
    struct courier *courier;
    struct call call;
    struct pool_seat seat;
    struct buf url;
    struct websub_wish wish;
    bool denial; /* nothing follows */
    struct caller *maker;
    char challenge[CHALLENGE_LEN + 1];
    struct courier_request request; /* to ourselves */
};

static void intent_free(struct intent *intent)
{
    list_remove(&intent->node);
    pool_rise(&intent->courier->pool, &intent->seat);
    call_free(&intent->call);
    buf_free(&intent->url);
    buf_free(&intent->request.body);
    buf_free(&intent->request.answer);
    websub_wish_deinit(&intent->wish);
    caller_unref(intent->maker);
    free(intent);
}

/* ---- the log ---------------------------------------------------------------------------------
 *
 * The request is answered before the callback is asked, so that only the log can say why a
 * subscription came to nothing. Strangers cause these lines: few are written at once, and the rest
 * are counted.
 */

static const char *mode_name(enum websub_mode mode)
{
    return mode == WEBSUB_SUBSCRIBE     ? "subscribe"
           : mode == WEBSUB_UNSUBSCRIBE ? "unsubscribe"
                                        : "-";
}

/* Quotes a URL of a stranger, without what may be a secret in it. */
static void quote_url(char *out, size_t size, const struct buf *url)
{
    struct buf hidden = {0};
    http_url_hide(&hidden, buf_str(url));
    if (buf_failed(&hidden))
        buf_clear(&hidden);
    say_quote(out, size, hidden.at, hidden.len);
    buf_free(&hidden);
}

static void say_refused(struct courier *courier, const struct websub_wish *wish, int status,
                        const char *why)
{
    enum { QUOTED = 300 };
    char callback[QUOTED], topic[QUOTED];
    uint64_t left_out;
    if (!sparing_may(&courier->refusals, courier_now_ns(courier), &left_out))
        return;
    quote_url(callback, sizeof(callback), &wish->callback);
    quote_url(topic, sizeof(topic), &wish->topic);
    say(SAY_WARN, "websub_refused",
        "mode=%s callback=%s topic=%s status=%d left_out=%" PRIu64 " detail=\"%s\"",
        mode_name(wish->mode), callback, topic, status, left_out, why);
}

/* Why a callback did not confirm. */
static const char *why_not(const struct call *call)
{
    if (!call->status)
        return call->error ? call->error : "it did not answer";
    if (!call_is_accepted(call))
        return "it did not answer with 2xx";
    return call->error ? call->error : "its answer is not the challenge and nothing else";
}

/* ---- effects --------------------------------------------------------------------------------- */

static struct endpoint *find(const struct courier *courier, const struct websub_wish *wish)
{
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.node);
        if (row_is_websub(&endpoint->row) &&
            str_eq(str_from(endpoint->row.topic), buf_str(&wish->topic)) &&
            str_eq(str_from(endpoint->row.url), buf_str(&wish->callback)))
            return endpoint;
    }
    return NULL;
}

static void send_get(struct intent *intent);

/* ---- one after the other ---------------------------------------------------------------------
 *
 * A subscription is found only once it is saved. So changes of the same subscription go one after
 * the other: two wishes that are confirmed at once make one subscription, and one that ends it ends
 * that which was confirmed right before. */

static bool are_alike(const struct websub_wish *a, const struct websub_wish *b)
{
    return str_eq(buf_str(&a->topic), buf_str(&b->topic)) &&
           str_eq(buf_str(&a->callback), buf_str(&b->callback));
}

/* The first intent for this subscription; NULL if there is none. */
static struct intent *first_alike(const struct intent *intent)
{
    list_each (&intent->courier->confirmed, node) {
        struct intent *other = container_of(node, struct intent, node);
        if (are_alike(&other->wish, &intent->wish))
            return other;
    }
    return NULL;
}

/* Ends an intent's change. Returns the intent that is next. */
static struct intent *leave(struct intent *intent)
{
    if (list_linked(&intent->node)) /* an expiry is among no others */
        intent->courier->confirmed_count--;
    list_remove(&intent->node);
    return first_alike(intent);
}

static struct intent *leave_and_free(struct intent *intent)
{
    struct intent *next = leave(intent);
    intent_free(intent);
    return next;
}

static bool apply(struct intent *intent);

/* Continues with the next intent of the subscription (NULL: none), and those after it. */
static void go_on(struct intent *intent)
{
    while (intent && !apply(intent))
        intent = leave_and_free(intent);
}

/* ---- the change ------------------------------------------------------------------------------ */

static bool is_full(const struct courier_request *request)
{
    return request->fault == COURIER_E_MANY;
}

/* A subscription that has expired, or that its subscriber has ended, could not be deleted. Nothing
 * more goes out meanwhile. */
static void delete_later(struct courier *courier, const char *id)
{
    struct endpoint *endpoint = directory_find(courier, id);
    if (!endpoint)
        return;
    endpoint->change.held = true;
    endpoint->change.expired = true;
    endpoint->change.expire_again_ns = courier_now_ns(courier) + EXPIRE_AGAIN_MS * INT64_C(1000000);
}

/* Called when the change is saved, or could not be. */
static void applied(struct mail *mail, void *owner)
{
    struct courier_request *request = container_of(mail, struct courier_request, reply_mail);
    struct intent *intent = container_of(request, struct intent, request);
    struct courier *courier = owner;
    if (request->op == COURIER_RENEW && request->fault == COURIER_E_MISSING && !courier->stopping) {
        go_on(intent); /* the endpoint is gone: create it again */
        return;
    }
    if (request->fault && request->fault != COURIER_E_MISSING)
        say(SAY_WARN, "websub_not_kept", "detail=\"%s\"", request->detail);
    if (request->fault && (request->op == COURIER_EXPIRE || request->op == COURIER_DELETE))
        delete_later(courier, request->id);
    timer_set(&courier->loop, &courier->lease, 0); /* looks once for all changes of this turn */
    if (request->op != COURIER_SUBSCRIBE || !is_full(request) || courier->stopping) {
        go_on(leave_and_free(intent));
        return;
    }
    go_on(leave(intent));
    say_refused(courier, &intent->wish, 0, request->detail);
    intent->denial = true;
    buf_clear(&intent->url);
    websub_add_denial(&intent->url, buf_str(&intent->wish.callback), buf_str(&intent->wish.topic),
                      STR("the hub has as many subscribers as its limit allows"));
    send_get(intent);
}

static void ask_self(struct intent *intent, enum courier_op op, const struct endpoint *endpoint)
{
    struct courier_request *request = &intent->request;
    buf_free(&request->answer);
    buf_clear(&request->body);
    request->fault = COURIER_FINE;
    request->op = op;
    request->reply = &intent->courier->loop.mailbox;
    request->reply_mail.open = applied;
    request->access = ACCESS_OF_SERVER; /* the wish had the right to it */
    request->access.caller = intent->maker;
    request->n = intent->wish.lease_s;
    request->wish = &intent->wish;
    buf_add_str(&request->body, buf_str(&intent->wish.secret));
    if (endpoint)
        memcpy(request->id, endpoint->row.id, sizeof(endpoint->row.id));
    courier_submit(intent->courier, request);
}

/* Returns false if there is nothing to do. */
static bool apply(struct intent *intent)
{
    struct endpoint *endpoint = find(intent->courier, &intent->wish);
    bool subscribes = intent->wish.mode == WEBSUB_SUBSCRIBE;
    if (!subscribes && !endpoint)
        return false; /* nothing to unsubscribe */
    ask_self(intent,
             !subscribes ? COURIER_DELETE
             : endpoint  ? COURIER_RENEW
                         : COURIER_SUBSCRIBE,
             endpoint);
    return true;
}

static void confirmed(struct intent *intent)
{
    list_add_last(&intent->courier->confirmed, &intent->node);
    intent->courier->confirmed_count++;
    if (first_alike(intent) == intent)
        go_on(intent);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool has_confirmed(const struct intent *intent)
{
    const struct call *call = &intent->call;
    return call_is_accepted(call) && !call->error && /* more of the body might have followed */
           str_eq(buf_str(&call->response), str_from(intent->challenge));
}

static void intent_done(struct call *call)
{
    struct intent *intent = container_of(call, struct intent, call);
    list_remove(&intent->node);
    pool_rise(&intent->courier->pool, &intent->seat);
    bool asked = !intent->denial && !intent->courier->stopping;
    if (asked && has_confirmed(intent)) {
        confirmed(intent);
        return;
    }
    if (asked)
        say_refused(intent->courier, &intent->wish, call->status, why_not(call));
    intent_free(intent);
}

static void send_get(struct intent *intent)
{
    struct courier *courier = intent->courier;
    buf_add_char(&intent->url, '\0');
    if (buf_failed(&intent->url) || !pool_has_room(&courier->pool, POOL_ASKED)) {
        intent_free(intent); /* only deny: subscribers that ask were checked before */
        return;
    }
    list_add_last(&courier->intents, &intent->node);
    pool_sit(&courier->pool, &intent->seat, NULL, POOL_ASKED, INT64_MAX);
    intent->call.done = intent_done;
    if (call_get(&courier->client, &intent->call, intent->url.at))
        intent_free(intent);
}

static void verify(struct intent *intent)
{
    uint64_t random[2];
    const struct websub_wish *wish = &intent->wish;
    hash_random(random, sizeof(random));
    (void)snprintf(intent->challenge, sizeof(intent->challenge), "%016" PRIx64 "%016" PRIx64,
                   random[0], random[1]);
    websub_add_intent(&intent->url, buf_str(&wish->callback), wish->mode, buf_str(&wish->topic),
                      str_from(intent->challenge), wish->lease_s);
    send_get(intent);
}

static bool may_call(const struct courier *courier, const struct buf *callback)
{
    char *url = strndup(callback->len ? callback->at : "", callback->len);
    bool may = url && courier_may_call(courier, url);
    free(url);
    return may;
}

void websub_ask(struct courier *courier, struct courier_request *request)
{
    struct intent *intent = mem_alloc(sizeof(*intent));
    const char *why = NULL;
    intent->courier = courier;
    intent->maker = caller_ref(request->access.caller);
    struct websub_wish *wish = &intent->wish;
    int result = websub_read(buf_str(&request->body), courier->config.base, &courier->config.leases,
                             wish, &why);
    if (!result && wish->mode == WEBSUB_SUBSCRIBE &&
        !rights_allow_channel(request, buf_str(&wish->channel))) {
        intent_free(intent);
        return;
    }
    bool asks = !result && wish->mode != WEBSUB_PUBLISH;
    enum courier_fault fault = COURIER_FINE;
    if (result) {
        fault = COURIER_E_BAD;
        why = why ? why : "no memory: try again";
    } else if (asks && !may_call(courier, &wish->callback)) {
        fault = COURIER_E_FORBIDDEN;
        why = "callbacks are at public addresses, and at others only if the server's "
              "configuration lists them";
    } else if (asks && !pool_has_room(&courier->pool, POOL_ASKED)) {
        fault = COURIER_E_NOW;
        why = "too many subscribers are being asked: try again";
    } else if (asks && courier->confirmed_count >= WEBSUB_CONFIRMED_MAX) {
        fault = COURIER_E_NOW;
        why = "too many subscriptions wait to be saved: try again";
    }
    if (fault) {
        say_refused(courier, wish, 0, why);
        request_refuse(request, fault, why);
    } else {
        request_answer(request); /* nothing to do for a publish: events go out as they come in */
    }
    if (asks && !fault)
        verify(intent);
    else
        intent_free(intent);
}

void websub_deny(struct courier *courier, const struct endpoint_row *row, const char *reason)
{
    if (courier->stopping)
        return;
    struct intent *intent = mem_alloc(sizeof(*intent));
    *intent = (struct intent){.courier = courier, .denial = true};
    websub_add_denial(&intent->url, str_from(row->url), str_from(row->topic), str_from(reason));
    send_get(intent);
}

void websub_end(struct courier *courier)
{
    for (struct list *node; (node = courier->intents.next) != &courier->intents;)
        intent_free(container_of(node, struct intent, node));
}

/* ---- leases ---------------------------------------------------------------------------------- */

/* Deletes a subscription whose lease has ended, by an intent without a request. */
static void expire(struct endpoint *endpoint)
{
    struct intent *intent = mem_alloc(sizeof(*intent));
    *intent = (struct intent){.courier = endpoint->courier};
    intent->wish.mode = WEBSUB_UNSUBSCRIBE;
    say(SAY_INFO, row_is_websub(&endpoint->row) ? "websub_expired" : "visit_expired", "id=%s",
        endpoint->row.id);
    endpoint->change.expired = true;
    endpoint->change.expire_again_ns = 0;
    endpoint->change.held = true; /* nothing more goes out */
    ask_self(intent, COURIER_EXPIRE, endpoint);
}

/* The time until the endpoint is to be deleted; WATCH_MOST_MS if that is under way. */
static int64_t left_ms(const struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    const struct endpoint_change *change = &endpoint->change;
    if (!change->expired)
        return (endpoint->row.lease_until_us - courier_now_us(courier) + 999) / 1000;
    if (!change->expire_again_ns)
        return WATCH_MOST_MS;
    return (change->expire_again_ns - courier_now_ns(courier) + 999999) / 1000000;
}

void websub_watch(struct courier *courier)
{
    int64_t next_ms = WATCH_MOST_MS;
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.node);
        if (!row_has_lease(&endpoint->row))
            continue;
        int64_t ms = left_ms(endpoint);
        if (ms <= 0 && !courier->stopping)
            expire(endpoint);
        else if (ms > 0 && ms < next_ms)
            next_ms = ms;
    }
    timer_set(&courier->loop, &courier->lease, next_ms);
}
