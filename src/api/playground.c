/* A visitor of the playground sees what a webhook is sent, without a receiver of their own, and
 * without the right to `webhooks`: such a webhook leads to a channel of this server and nowhere
 * else (webhooks/endpoint/inside.h), lives for a minute unless it is asked for again, and there are
 * few. It is for those channels of the playground that anybody may read and publish on, and is as
 * public as they are: whoever names its channel is told its id, and may pause or delete it. */
#include "api/playground.h"

#include "api/answers.h"
#include "api/api.h"
#include "base/json.h"
#include "base/json_text.h"
#include "http/target.h"
#include "net/peer.h"

#include <jansson.h>
#include <stdlib.h>

enum { BODY_MAX = 1024, BODY_DEPTH_MAX = 4 };

/* The longest suffix that the receiver adds to the channel. */
#define RECEIVED STR("/received")

struct visit {
    struct courier_request request;
    struct exchange *exchange;
};

static void visit_free(struct visit *visit)
{
    buf_free(&visit->request.body);
    buf_free(&visit->request.why);
    buf_free(&visit->request.answer);
    free(visit);
}

static enum problem problem_of(enum courier_fault fault)
{
    return fault == COURIER_E_MISSING  ? PROBLEM_NOT_FOUND
           : fault == COURIER_E_MANY   ? PROBLEM_TOO_MANY
           : fault == COURIER_E_SPACE  ? PROBLEM_NO_SPACE
           : fault == COURIER_E_FATE   ? PROBLEM_FATE_UNKNOWN
           : fault == COURIER_E_CURSOR ? PROBLEM_BAD_CURSOR
                                       : PROBLEM_UNAVAILABLE;
}

static void answer(struct exchange *exchange, const struct courier_request *request)
{
    if (request->fault)
        api_problem(exchange, problem_of(request->fault), request->detail);
    else if (request->op == COURIER_DELETE)
        api_done(exchange);
    else
        exchange_json(exchange, request->op == COURIER_VISIT && !request->repeated ? 201 : 200,
                      buf_str(&request->answer));
}

static void answered(struct mail *mail, void *owner)
{
    struct courier_request *request = container_of(mail, struct courier_request, reply_mail);
    struct visit *visit = container_of(request, struct visit, request);
    (void)owner;
    if (visit->exchange->dropped)
        exchange_free(visit->exchange);
    else
        answer(visit->exchange, request);
    visit_free(visit);
}

/* ---- a new one, or another minute of it ------------------------------------------------------ */

static bool may_use(const struct exchange *exchange, struct str channel)
{
    const struct access anybody = {.rules = exchange->worker->config.rules};
    return !access_decide(&anybody, ACTION_READ, channel) &&
           !access_decide(&anybody, ACTION_PUBLISH, channel);
}

/* NULL if there is none. */
static json_t *read_body(struct str body)
{
    if (body.len > BODY_MAX || json_check(body, BODY_DEPTH_MAX, NULL) != JSON_OK)
        return NULL;
    return json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, NULL);
}

/* Whether a receiver publishes on the channel. A webhook on it would send what another webhook was
 * sent, and each level doubles the quotes and backslashes of the one before: with twenty of them a
 * kilobyte becomes a gigabyte. */
static bool is_of_receiver(struct str channel)
{
    return channel.len > RECEIVED.len &&
           str_eq(str_skip(channel, channel.len - RECEIVED.len), RECEIVED);
}

/* Where a new webhook begins: at the newest event, unless the member `after` says otherwise. */
static bool read_after(const json_t *after, struct position *ret)
{
    struct str text = json_text(after);
    *ret = (struct position){.kind = POSITION_NOW};
    return !after || (text.at && position_read(ret, text));
}

/* False if the exchange was answered. */
static bool take_channel(struct visit *visit)
{
    struct exchange *exchange = visit->exchange;
    json_t *root = read_body(exchange_input(exchange));
    const json_t *text = json_object_get(root, "channel");
    struct str channel = json_text(text);
    bool good = channel.at && str_starts(channel, STR("playground/")) &&
                channel.len + RECEIVED.len <= NAME_MAX_BYTES && name_valid(channel, NULL) &&
                !is_of_receiver(channel);
    bool has_start = read_after(json_object_get(root, "after"), &visit->request.from);
    bool may = good && has_start && may_use(exchange, channel);
    if (!good)
        api_problem(
            exchange, PROBLEM_BAD_WEBHOOK,
            "send an object whose member channel is one of the playground, such as playground/x, "
            "and not one that a webhook's requests come on (…/received)");
    else if (!has_start)
        api_problem(exchange, PROBLEM_BAD_WEBHOOK,
                    "after is an event's id, earliest, now, or an RFC 3339 time, as a text");
    else if (!may)
        api_problem(exchange, PROBLEM_FORBIDDEN,
                    "the playground of this server is not open to everybody: its operator can say "
                    "`playground: true` in the configuration");
    else
        buf_add_str(&visit->request.body, channel);
    json_decref(root);
    return may;
}

/* The number of the client's address. All that come by Unix sockets are one visitor. */
static uint64_t visitor_of(const struct exchange *exchange)
{
    union client_address client;
    request_stream_client(exchange->request, &client);
    uint64_t number = peer_number(&client.any);
    return number != PEER_NONE ? number : 1;
}

/* ---- the path -------------------------------------------------------------------------------- */

/* The operation; COURIER_LIST for none. */
static enum courier_op read_path(const struct exchange *exchange, struct str rest,
                                 struct courier_request *request)
{
    struct str id = STR_NONE, what = STR_NONE;
    bool deletes = exchange->head->method == HTTP_DELETE;
    if (!rest.len)
        return deletes ? COURIER_LIST : COURIER_VISIT;
    if (!http_path_next(&rest, &id) || !id.len || id.len >= sizeof(request->id))
        return COURIER_LIST;
    memcpy(request->id, id.at, id.len);
    if (!http_path_next(&rest, &what))
        return deletes ? COURIER_DELETE : COURIER_LIST;
    if (rest.len || deletes)
        return COURIER_LIST;
    return str_eq(what, STR("pause"))    ? COURIER_PAUSE
           : str_eq(what, STR("resume")) ? COURIER_RESUME
                                         : COURIER_LIST;
}

/* False if the exchange was answered. */
static bool read_request(struct visit *visit, struct str rest)
{
    struct courier_request *request = &visit->request;
    request->op = read_path(visit->exchange, rest, request);
    if (request->op == COURIER_LIST) {
        api_problem(visit->exchange, PROBLEM_NOT_FOUND,
                    "POST goes to /playground/webhooks and to /playground/webhooks/ID/pause and "
                    "resume, DELETE to /playground/webhooks/ID");
        return false;
    }
    if (request->op == COURIER_VISIT && !take_channel(visit))
        return false;
    request->n = visitor_of(visit->exchange);
    if (!buf_failed(&request->body))
        return true;
    api_problem(visit->exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    return false;
}

void playground_handle(struct exchange *exchange, struct str rest)
{
    struct visit *visit = mem_try_alloc(sizeof(*visit));
    if (!visit) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    *visit = (struct visit){.exchange = exchange};
    if (!read_request(visit, rest)) {
        visit_free(visit);
        return;
    }
    struct courier_request *request = &visit->request;
    request->is_visit = true;
    request->access = ACCESS_OF_SERVER; /* the right of a visitor was asked above */
    request->reply = &exchange->worker->loop.mailbox;
    request->reply_mail.open = answered;
    courier_submit(api_of(exchange)->courier, request);
}
