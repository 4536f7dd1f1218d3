#include "webhooks/requests/change.h"

#include "base/say.h"
#include "webhooks/delivery/anew.h"
#include "webhooks/delivery/scan.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/rights.h"
#include "webhooks/endpoint/saving.h"
#include "webhooks/endpoint/standing.h"
#include "webhooks/requests/begin.h"
#include "webhooks/requests/create.h"
#include "webhooks/requests/put.h"
#include "webhooks/requests/removal.h"
#include "webhooks/websub/subscription.h"

#include <stdlib.h>

#define DAY_US (INT64_C(86400) * 1000000)

static void swap(char **a, char **b)
{
    char *c = *a;
    *a = *b;
    *b = c;
}

/* Exchanges the texts given in the spec with those of the row. A second exchange undoes the first.
 */
static void exchange_texts(struct endpoint_row *row, struct spec *spec)
{
    if (spec->has & SPEC_URL)
        swap(&row->url, &spec->url);
    if (spec->has & SPEC_CHANNELS)
        swap(&row->channels, &spec->channels);
    if (spec->has & SPEC_TYPES)
        swap(&row->types, &spec->types);
    if (spec->has & SPEC_HEADERS)
        swap(&row->headers, &spec->headers);
    if (spec->has & SPEC_DESCRIPTION)
        swap(&row->description, &spec->description);
    if (spec->has & SPEC_SCHEDULE)
        swap(&row->schedule, &spec->schedule);
}

/* Resets failures and warnings. */
static void start_over(struct endpoint *endpoint)
{
    endpoint->row.failures = 0;
    endpoint->row.since_us = endpoint->row.next_us = 0;
    endpoint_begin_standing(endpoint);
    endpoint->row.warned = 0;
    endpoint->circuit.struck = endpoint->circuit.probes = 0;
    scan_let_go(endpoint);
    list_each (&endpoint->lanes.all, node)
        lane_hurry(container_of(node, struct lane, node));
    endpoint_changed(endpoint);
}

static void prepare_anew(struct endpoint *endpoint)
{
    if (!endpoint_prepare(endpoint))
        abort(); /* cannot fail: the row was prepared before, and the endpoint must stay usable */
}

/* Whether the change says where events go, or which. */
static bool takes_over(const struct spec *spec)
{
    return spec->has & (SPEC_URL | SPEC_CHANNELS);
}

/* A caller that takes a webhook over is its maker from then on: the webhook must end with the
 * credential that its present form rests on. */
static void set_maker(struct endpoint *endpoint, const struct caller *caller)
{
    if (endpoint->row.maker != caller)
        endpoint->row.maker = caller_ref(caller);
    directory_count(endpoint);
}

static void undo(struct put *put)
{
    struct endpoint_row *row = &put->endpoint->row;
    if (row->maker != put->before.maker)
        caller_unref(row->maker);
    row->maker = put->before.maker;
    directory_count(put->endpoint);
    row->state = put->before.state;
    row->options = put->before.options;
    row->key = put->before.key;
    row->pair = put->before.pair;
    if (row->olds.at != put->before.olds.at)
        olds_free(&row->olds);
    row->olds = put->before.olds;
    exchange_texts(row, &put->spec);
    if (put->anew)
        deliveries_begin_anew(put->endpoint, true);
    if (put->spec.has)
        prepare_anew(put->endpoint);
}

static void changed(struct mail *mail, void *owner)
{
    struct put *put = container_of(mail, struct put, job.mail);
    struct courier *courier = owner;
    courier->jobs--;
    if (put->job.result) {
        undo(put);
        request_refuse_store(put->request, put->job.result);
    } else {
        if (put->endpoint->row.olds.at != put->before.olds.at)
            olds_free(&put->before.olds);
        if (put->endpoint->row.maker != put->before.maker)
            caller_unref(put->before.maker);
        endpoint_state_answer(put->endpoint, put->request, put->detail);
        request_answer(put->request);
    }
    put_end_busy(put->endpoint);
    put_free(put);
}

static bool is_other(const char *text, const char *than)
{
    return text && strcmp(text, than) != 0;
}

/* Whether the change affects which events are delivered, or in which lanes. Members that repeat the
 * current value change nothing. */
static bool begins_anew(const struct spec *spec, const struct endpoint_row *row,
                        const struct endpoint_options *options)
{
    return options->ordered != row->options.ordered || options->batch != row->options.batch ||
           is_other(spec->channels, row->channels) || is_other(spec->types, row->types);
}

static void begin_anew(struct put *put, const struct spec *spec,
                       const struct endpoint_options *options)
{
    struct endpoint *endpoint = put->endpoint;
    put->anew = put->forget = begins_anew(spec, &endpoint->row, options);
    /* With order, events delivered until the change is saved are delivered again, because older
     * events of their channel may be delivered again, too. */
    if (put->anew)
        deliveries_begin_anew(endpoint, options->ordered);
}

static void change(struct courier_request *request, struct endpoint *endpoint, struct spec *spec)
{
    struct endpoint_options options = endpoint->row.options;
    const char *why = spec_options(spec, &options);
    if (why) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    struct put *put = put_new(request, endpoint);
    endpoint->change.busy = request;
    begin_anew(put, spec, &options);
    if (takes_over(spec))
        set_maker(endpoint, request->access.caller);
    exchange_texts(&endpoint->row, spec);
    endpoint->row.options = options;
    if (spec->pair.set)
        endpoint->row.pair = spec->pair;
    if (spec->has & SPEC_STATE)
        endpoint->row.state = spec->paused ? ENDPOINT_PAUSED : ENDPOINT_ACTIVE;
    put->spec = *spec;
    *spec = (struct spec){0};
    start_over(endpoint);
    if (create_fit_pair(&endpoint->row) || !endpoint_prepare(endpoint)) {
        undo(put);
        request_refuse(request, COURIER_E_NOW, "no memory: try again");
        put_free(put);
        put_end_busy(endpoint);
        return;
    }
    put_submit(put, changed);
}

/* To take a webhook over takes what a new one does. */
static bool may_change(struct courier_request *request, const struct endpoint *endpoint,
                       const struct spec *spec)
{
    return !takes_over(spec) ||
           rights_allow(request, spec->channels ? spec->channels : endpoint->row.channels);
}

static bool has_headers(const struct endpoint *endpoint)
{
    return strcmp(endpoint->row.headers, "{}") != 0;
}

/* The values of headers may be credentials, so nobody is told them. Another caller that takes the
 * webhook over would have them sent to itself; and so would one that nothing tells from others. */
static bool takes_headers(const struct courier_request *request, const struct endpoint *endpoint,
                          const struct spec *spec)
{
    const struct rules *rules = request->access.rules;
    return takes_over(spec) && !(spec->has & SPEC_HEADERS) && has_headers(endpoint) &&
           !(rules && rules->open && !endpoint->row.maker) &&
           !caller_is_same(endpoint->row.maker, request->access.caller);
}

/* Whether it takes one more webhook over than its subject may have. */
static bool takes_too_many(struct courier_request *request, const struct endpoint *endpoint,
                           const struct spec *spec)
{
    struct str subject = caller_subject(request->access.caller);
    return takes_over(spec) && !str_eq(caller_subject(endpoint->row.maker), subject) &&
           create_refuse_own(endpoint->courier, request);
}

static void op_change(struct courier_request *request, struct endpoint *endpoint)
{
    struct spec spec;
    const char *why;
    if (!spec_read(buf_str(&request->body), SPEC_CHANGE, 0, &spec, &request->why, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    if (takes_over(&spec) && row_is_inside(&endpoint->row))
        request_refuse(request, COURIER_E_BAD,
                       "a visitor's webhook of the playground keeps its channel and its receiver: "
                       "register one of your own");
    else if (spec.url && !courier_may_call(endpoint->courier, spec.url))
        create_refuse_target(request);
    else if (takes_headers(request, endpoint, &spec))
        request_refuse(request, COURIER_E_BAD,
                       "this webhook has headers whose values only its maker knows: to change its "
                       "url or channels, say headers as well");
    else if (may_change(request, endpoint, &spec) && !takes_too_many(request, endpoint, &spec))
        change(request, endpoint, &spec);
    spec_free(&spec);
}

static void op_state(struct courier_request *request, struct endpoint *endpoint,
                     enum endpoint_state state)
{
    struct put *put = put_new(request, endpoint);
    endpoint->change.busy = request;
    endpoint->row.state = state;
    start_over(endpoint);
    put_submit(put, changed);
}

/* ---- WebSub ---------------------------------------------------------------------------------- */

static void renewed(struct mail *mail, void *owner)
{
    struct put *put = container_of(mail, struct put, job.mail);
    struct courier *courier = owner;
    struct endpoint_row *row = &put->endpoint->row;
    courier->jobs--;
    if (put->job.result) { /* restores the old secret and lease */
        free(row->hub_secret);
        row->hub_secret = put->before.hub_secret;
        row->lease_until_us = put->before.lease_until_us;
        row->state = put->before.state;
        caller_unref(row->maker);
        row->maker = put->before.maker;
        directory_count(put->endpoint);
        request_refuse_store(put->request, put->job.result);
    } else {
        free(put->before.hub_secret);
        caller_unref(put->before.maker);
        request_answer(put->request);
    }
    put_end_busy(put->endpoint);
    put_free(put);
}

/* The request's body is the secret, its `n` the lease. */
static void op_renew(struct courier_request *request, struct endpoint *endpoint)
{
    struct put *put = put_new(request, endpoint);
    endpoint->change.busy = request;
    endpoint->row.hub_secret = create_text(&request->body);
    endpoint->row.lease_until_us = create_lease_until_us(endpoint->courier, request->n);
    endpoint->row.maker = caller_ref(request->access.caller);
    directory_count(endpoint);
    /* A subscription whose lease has ended still exists if it could not be deleted. */
    if (endpoint->row.state == ENDPOINT_DISABLED || endpoint->change.expired)
        endpoint->row.state = ENDPOINT_ACTIVE;
    endpoint->change.expired = endpoint->change.held = false;
    start_over(endpoint);
    put_submit(put, renewed);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Reads the body of a rotation: the owner's keys, in place of generated ones. */
static bool read_rotation(struct courier_request *request, const struct endpoint_row *row,
                          struct spec *spec)
{
    const char *why = NULL;
    *spec = (struct spec){0};
    if (request->body.len &&
        !spec_read(buf_str(&request->body), SPEC_ROTATE, 0, spec, &request->why, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return false;
    }
    if (!(spec->has & SPEC_ASYMMETRIC) || (row->pair.set && spec->options.wants_pair))
        return true;
    request_refuse(request, COURIER_E_BAD,
                   "rotate replaces keys: a PATCH with asymmetric makes or drops a key pair");
    return false;
}

static void rotate(struct courier_request *request, struct endpoint *endpoint,
                   const struct spec *spec)
{
    struct endpoint_row *row = &endpoint->row;
    int64_t now_us = courier_now_us(endpoint->courier);
    struct old_key old = {row->key, row->pair, now_us + DAY_US};
    struct sign_pair pair = spec->pair;
    struct olds olds = {0};
    if ((row->pair.set && !pair.set && sign_pair_make(&pair)) ||
        !olds_with(&row->olds, &old, now_us, &olds)) {
        request_refuse(request, COURIER_E_NOW, "no memory: try again");
        return;
    }
    struct put *put = put_new(request, endpoint);
    put->detail = STATE_SECRET;
    endpoint->change.busy = request;
    row->olds = olds;
    if (spec->has & SPEC_SECRET)
        row->key = spec->key;
    else
        sign_key_make(&row->key);
    row->pair = pair;
    put_submit(put, changed);
}

static void op_rotate(struct courier_request *request, struct endpoint *endpoint)
{
    struct spec spec;
    if (!read_rotation(request, &endpoint->row, &spec))
        return;
    rotate(request, endpoint, &spec);
    spec_free(&spec);
}

/* ---- replaying ------------------------------------------------------------------------------- */

/* Drops current deliveries; their events come again if the replay cannot be saved. */
static void drop_owed(struct endpoint *endpoint)
{
    uint64_t cursor = endpoint_cursor(endpoint);
    deliveries_drop(endpoint);
    endpoint->row.cursor = cursor;
}

static void replayed(struct mail *mail, void *owner)
{
    struct put *put = container_of(mail, struct put, job.mail);
    struct endpoint *endpoint = put->endpoint;
    endpoint->change.held = false;
    if (!put->job.result) {
        endpoint->row.cursor = put->cursor;
        endpoint->row.told = put->told;
        endpoint_changed(endpoint);
    }
    changed(mail, owner);
}

/* Replays from a start, which replaces all current deliveries. */
static void replay(struct courier_request *request, struct endpoint *endpoint,
                   enum spec_verify verify, const struct start *start)
{
    (void)verify;
    if (!start) {
        put_end_busy(endpoint);
        return;
    }
    struct put *put = put_new(request, endpoint);
    drop_owed(endpoint);
    start_over(endpoint);
    endpoint->change.held = true;
    put->forget = put->moves = true;
    put->cursor = start->cursor;
    put->told = start->told;
    put_submit(put, replayed);
}

static void op_replay(struct courier_request *request, struct endpoint *endpoint)
{
    struct spec spec;
    const char *why;
    if (!spec_read(buf_str(&request->body), SPEC_AFTER, SPEC_AFTER, &spec, &request->why, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    endpoint->change.busy = request;
    begin_find(request, endpoint, &spec, replay);
}

/* ---- deleting -------------------------------------------------------------------------------- */

static int run_delete(struct saver_job *job, struct registry *registry)
{
    const struct put *put = container_of(job, struct put, job);
    return registry_delete(registry, put->row.id);
}

static void deleted(struct mail *mail, void *owner)
{
    struct put *put = container_of(mail, struct put, job.mail);
    struct courier *courier = owner;
    courier->jobs--;
    if (put->job.result) {
        request_refuse_store(put->request, put->job.result);
        put_end_busy(put->endpoint);
    } else {
        say(SAY_INFO, "webhook_deleted", "id=%s", put->row.id);
        put->endpoint->change.busy = NULL;
        if (row_is_websub(&put->endpoint->row) && put->request->reply != &courier->loop.mailbox)
            websub_deny(courier, &put->endpoint->row, "the subscription was deleted");
        endpoint_remove_and_free(put->endpoint);
        request_answer(put->request);
    }
    put_free(put);
}

static void op_delete(struct courier_request *request, struct endpoint *endpoint)
{
    struct put *put = put_new(request, endpoint);
    endpoint->change.busy = request;
    put_submit_as(put, run_delete, deleted);
}

/* Do nothing if a renewal was saved since the lease ended. */
static void op_expire(struct courier_request *request, struct endpoint *endpoint)
{
    if (endpoint->change.expired)
        op_delete(request, endpoint);
    else
        request_answer(request);
}

void change_endpoint(struct courier_request *request, struct endpoint *endpoint)
{
    switch ((int)request->op) {
    case COURIER_CHANGE:
        op_change(request, endpoint);
        break;
    case COURIER_PAUSE:
        op_state(request, endpoint, ENDPOINT_PAUSED);
        break;
    case COURIER_RESUME:
        op_state(request, endpoint, ENDPOINT_ACTIVE);
        break;
    case COURIER_RENEW:
        op_renew(request, endpoint);
        break;
    case COURIER_ROTATE:
        op_rotate(request, endpoint);
        break;
    case COURIER_REPLAY:
        op_replay(request, endpoint);
        break;
    case COURIER_DELETE:
        op_delete(request, endpoint);
        break;
    case COURIER_EXPIRE:
        op_expire(request, endpoint);
        break;
    default:
        break;
    }
}
