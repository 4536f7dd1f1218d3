#include "webhooks/requests/create.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/json_writer.h"
#include "base/say.h"
#include "webhooks/delivery/anew.h"
#include "webhooks/delivery/revoked.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/inside.h"
#include "webhooks/endpoint/rights.h"
#include "webhooks/requests/begin.h"
#include "webhooks/requests/creation.h"
#include "webhooks/requests/ping.h"
#include "webhooks/requests/put.h"
#include "webhooks/websub/form.h"

#include <stdlib.h>

static void make_id(char id[ENDPOINT_ID_LEN + 1])
{
    uint8_t random[16];
    struct buf text = {0};
    hash_random(random, sizeof(random));
    base64_add(&text, (struct str){(const char *)random, sizeof(random)});
    if (buf_failed(&text))
        abort();
    memcpy(id, "wh_", 3);
    for (size_t i = 0; i < ENDPOINT_ID_LEN - 3; i++) {
        char c = text.at[i];
        id[3 + i] = (char)(c == '+' ? '-' : c == '/' ? '_' : c);
    }
    id[ENDPOINT_ID_LEN] = '\0';
    buf_free(&text);
}

static char *take_text(char **text, const char *otherwise)
{
    char *taken = *text ? *text : strdup(otherwise);
    *text = NULL;
    if (!taken)
        abort();
    return taken;
}

static struct endpoint_row row_of(struct courier *courier, const struct courier_request *request,
                                  struct spec *spec)
{
    struct endpoint_row row = {
        .url = take_text(&spec->url, ""),
        .channels = take_text(&spec->channels, "[]"),
        .types = take_text(&spec->types, "[]"),
        .headers = take_text(&spec->headers, "{}"),
        .description = take_text(&spec->description, ""),
        .schedule = take_text(&spec->schedule, ""),
        .options = {.ordered = true, .concurrency = CONCURRENCY_DEFAULT},
        .key = spec->key,
        .pair = spec->pair,
        .created_us = courier_wall_us(courier),
        .creation = creation_of(request),
        .maker = caller_ref(request->access.caller),
    };
    make_id(row.id);
    if (!(spec->has & SPEC_SECRET))
        sign_key_make(&row.key);
    return row;
}

void create_refuse_target(struct courier_request *request)
{
    request_refuse(request, COURIER_E_FORBIDDEN,
                   "webhooks go to public addresses, and to others only if the server's "
                   "configuration lists them");
}

static void refuse_many(struct courier *courier, struct courier_request *request, const char *why)
{
    atomic_fetch_add_explicit(&courier->stats.refused, 1, memory_order_relaxed);
    request_refuse(request, COURIER_E_MANY, why);
}

bool create_refuse_own(struct courier *courier, struct courier_request *request)
{
    if (!directory_has_all_of(courier, request->access.caller))
        return false;
    refuse_many(courier, request,
                "webhook limit of one subject reached (webhooks.subject_endpoints_max): delete "
                "webhooks or raise the limit");
    return true;
}

/* Webhooks of the playground have limits of their own, beside that of all. */
static bool refuse_over_limit(struct courier *courier, struct courier_request *request,
                              bool is_inside)
{
    if (courier->by_id.count + courier->creations < courier->config.endpoints_max)
        return !is_inside && create_refuse_own(courier, request);
    refuse_many(
        courier, request,
        "webhook limit reached (webhooks.endpoints_max): delete webhooks or raise the limit");
    return true;
}

/* ---- saving ---------------------------------------------------------------------------------- */

static void created(struct mail *mail, void *owner)
{
    struct put *put = container_of(mail, struct put, job.mail);
    struct courier *courier = owner;
    struct endpoint *endpoint = put->endpoint;
    courier->jobs--;
    courier->creations--;
    if (put->job.result) {
        endpoint_free(endpoint);
        request_refuse_store(put->request, put->job.result);
    } else if (courier->stopping) {
        endpoint_free(endpoint);
        request_refuse(put->request, COURIER_E_FATE,
                       "the server is stopping, and the webhook was saved: GET /webhooks has it "
                       "after the restart");
    } else {
        endpoint->row.number = put->row.number;
        say(SAY_INFO, "webhook_created", "id=%s", endpoint->row.id);
        endpoint_state_answer(endpoint, put->request, STATE_SECRET);
        directory_add(endpoint);
        revoked_look_at(endpoint);
        if (row_is_inside(&endpoint->row))
            timer_set(&courier->loop, &courier->lease, 0);
        deliveries_begin(endpoint);
        request_answer(put->request);
        /* The first ping only informs the owner; nothing depends on its result. */
        if (put->made)
            ping_first(endpoint);
    }
    put_free(put);
}

/* A receiver that is verified may take a minute to answer. The right of the maker may end
 * meanwhile, and nobody looks at an endpoint that is not in the directory. */
static bool refuse_revoked(struct courier_request *request, const struct endpoint *endpoint)
{
    if (!revoked_is_due(endpoint))
        return false;
    request_refuse(request, COURIER_E_GRANT,
                   "the credential, or its right to this webhook, has ended while it was made");
    return true;
}

static void save_new(struct courier_request *request, struct endpoint *endpoint, bool pings)
{
    struct courier *courier = endpoint->courier;
    if (refuse_revoked(request, endpoint)) {
        endpoint_free(endpoint);
        return;
    }
    if (refuse_over_limit(courier, request, row_is_inside(&endpoint->row))) {
        endpoint_free(endpoint);
        return;
    }
    struct put *put = put_new(request, endpoint);
    put->made = pings;
    courier->creations++;
    directory_count(endpoint);
    put_submit(put, created);
}

static void save_verified(struct courier_request *request, struct endpoint *endpoint)
{
    save_new(request, endpoint, false);
}

/* All is set but whether the receiver works. */
static void create(struct courier_request *request, struct endpoint *endpoint,
                   enum spec_verify verify)
{
    if (verify == SPEC_VERIFY_NONE) {
        save_new(request, endpoint, true);
    } else if (!ping_verify(endpoint, request, verify, save_verified)) {
        endpoint_free(endpoint);
        request_refuse(request, COURIER_E_NOW, "too many pings are under way: try again");
    }
}

/* ---- registrations --------------------------------------------------------------------------- */

static void begin(struct courier_request *request, struct endpoint *endpoint,
                  enum spec_verify verify, const struct start *start)
{
    if (!start) {
        endpoint_free(endpoint);
        return;
    }
    begin_at(endpoint, start);
    create(request, endpoint, verify);
}

int create_fit_pair(struct endpoint_row *row)
{
    if (!row->options.wants_pair)
        row->pair = (struct sign_pair){0};
    return row->options.wants_pair && !row->pair.set ? sign_pair_make(&row->pair) : 0;
}

static void make(struct courier *courier, struct courier_request *request, struct spec *spec)
{
    struct endpoint_row row = row_of(courier, request, spec);
    const char *why = spec_options(spec, &row.options);
    if (why || create_fit_pair(&row)) {
        endpoint_row_free(&row);
        request_refuse(request, COURIER_E_BAD, why ? why : "no key pair could be made");
        return;
    }
    struct endpoint *endpoint = endpoint_new(courier, &row);
    if (endpoint)
        begin_find(request, endpoint, spec, begin);
    else
        request_refuse(request, COURIER_E_NOW, "no memory: try again");
}

void create_webhook(struct courier *courier, struct courier_request *request)
{
    struct spec spec;
    const char *why;
    if (!creation_begin(courier, request))
        return;
    if (!spec_read(buf_str(&request->body), SPEC_CREATE, SPEC_URL | SPEC_CHANNELS, &spec,
                   &request->why, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    if (!rights_allow(request, spec.channels)) {
        spec_free(&spec);
        return;
    }
    if (!courier_may_call(courier, spec.url))
        create_refuse_target(request);
    else if (!refuse_over_limit(courier, request, false))
        make(courier, request, &spec);
    spec_free(&spec);
}

/* ---- with a lease ---------------------------------------------------------------------------- */

/* Retries go on at short intervals however often they fail: subscribers want the newest state of
 * the topic. */
#define WEBSUB_SCHEDULE "[5,15,60,300]"

char *create_text(const struct buf *buf)
{
    char *text = strndup(buf->len ? buf->at : "", buf->len);
    if (!text)
        abort();
    return text;
}

int64_t create_lease_until_us(struct courier *courier, uint64_t lease_s)
{
    return courier_now_us(courier) + (int64_t)lease_s * 1000000;
}

/* ---- the playground -------------------------------------------------------------------------- */

/* Whether there is room for one more; finds the one that has this URL. Those that are being saved
 * count as well, or a visitor could make any number at the same moment. */
static bool look_at_visits(struct courier *courier, const struct courier_request *request,
                           const char *url, struct endpoint **ret)
{
    unsigned all = 0, own = 0;
    *ret = NULL;
    list_each (&courier->visits, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.visit);
        all++;
        own += endpoint->visitor == request->n;
        if (strcmp(endpoint->row.url, url) == 0)
            *ret = endpoint;
    }
    return all < INSIDE_MAX && own < INSIDE_MAX_OF_ONE;
}

/* Extends the lease of a visitor's webhook, in memory alone. The saved lease may end sooner: after
 * a restart the visitor asks again. */
static void renew_visit(struct courier_request *request, struct endpoint *endpoint)
{
    endpoint->row.lease_until_us = create_lease_until_us(endpoint->courier, INSIDE_LEASE_S);
    endpoint->visitor = request->n;
    request->repeated = true;
    endpoint_state_answer(endpoint, request, STATE_ALL);
    request_answer(request);
}

/* Answers a visitor without making a webhook: `before` already serves the channel, or is NULL, and
 * the playground is full. */
static void answer_visit(struct courier_request *request, struct endpoint *before)
{
    if (before && !list_linked(&before->links.node))
        request_refuse(request, COURIER_E_NOW, "the webhook is being saved: try again");
    else if (before && !before->change.expired)
        renew_visit(request, before);
    else if (before)
        request_refuse(request, COURIER_E_NOW, "the webhook has just ended: try again");
    else
        request_refuse(request, COURIER_E_MANY,
                       "the playground has as many webhooks as it may have: try again later");
}

/* Saves it, unless another request for the channel was faster while the start was found. */
static void begin_visit_at(struct courier_request *request, struct endpoint *endpoint,
                           enum spec_verify verify, const struct start *start)
{
    struct endpoint *before = NULL;
    bool has_room = start && look_at_visits(endpoint->courier, request, endpoint->row.url, &before);
    (void)verify;
    if (start && !before && has_room) {
        begin_at(endpoint, start);
        list_add_last(&endpoint->courier->visits, &endpoint->links.visit);
        save_new(request, endpoint, false);
        return;
    }
    endpoint_free(endpoint);
    if (start)
        answer_visit(request, before);
}

static void begin_visit(struct courier *courier, struct courier_request *request, char *url)
{
    struct buf channels = {0};
    struct json_writer writer = json_writer(&channels);
    json_array_begin(&writer);
    json_add_string(&writer, buf_str(&request->body));
    json_array_end(&writer);
    struct spec spec = {
        .url = url, .channels = create_text(&channels), .schedule = strdup(WEBSUB_SCHEDULE)};
    struct endpoint_row row = row_of(courier, request, &spec);
    row.lease_until_us = create_lease_until_us(courier, INSIDE_LEASE_S);
    struct endpoint *endpoint = endpoint_new(courier, &row);
    if (endpoint)
        endpoint->visitor = request->n;
    spec.from = request->from;
    if (endpoint && !buf_failed(&channels))
        begin_find(request, endpoint, &spec, begin_visit_at);
    else
        request_refuse(request, COURIER_E_NOW, "no memory: try again");
    if (endpoint && buf_failed(&channels))
        endpoint_free(endpoint);
    buf_free(&channels);
}

void create_visit(struct courier *courier, struct courier_request *request)
{
    struct buf url = {0};
    struct endpoint *before;
    buf_add_lit(&url, ROW_INSIDE);
    buf_add_str(&url, buf_str(&request->body));
    char *text = create_text(&url);
    buf_free(&url);
    if (look_at_visits(courier, request, text, &before) && !before) {
        begin_visit(courier, request, text);
        return;
    }
    answer_visit(request, before);
    free(text);
}

/* ---- WebSub ---------------------------------------------------------------------------------- */

void create_subscription(struct courier *courier, struct courier_request *request)
{
    const struct websub_wish *wish = request->wish;
    struct buf channels = {0}, schedule = {0};
    buf_add_char(&channels, '[');
    buf_add_json(&channels, buf_str(&wish->channel));
    buf_add_char(&channels, ']');
    buf_add_lit(&schedule, WEBSUB_SCHEDULE);
    struct spec spec = {.url = create_text(&wish->callback),
                        .channels = create_text(&channels),
                        .schedule = create_text(&schedule)};
    struct endpoint_row row = row_of(courier, request, &spec);
    row.options.format = BODY_DATA;
    row.topic = create_text(&wish->topic);
    row.hub_secret = create_text(&wish->secret);
    row.lease_until_us = create_lease_until_us(courier, wish->lease_s);
    row.cursor = log_newest(courier->config.log);
    bool failed = buf_failed(&channels) || buf_failed(&schedule);
    struct endpoint *endpoint = endpoint_new(courier, &row);
    if (endpoint && !failed)
        save_new(request, endpoint, false);
    else
        request_refuse(request, COURIER_E_NOW, "no memory: try again");
    if (endpoint && failed)
        endpoint_free(endpoint);
    buf_free(&channels);
    buf_free(&schedule);
}
