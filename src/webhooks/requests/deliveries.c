#include "webhooks/requests/deliveries.h"

#include "webhooks/delivery/resend.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/saving.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* A request for the delivery log, carried out by the saver. */
struct look {
    struct saver_job job;
    struct courier_request *request;
    struct delivery_query query;
    struct dead_letter letter;
    uint64_t dead; /* letters afterwards, if has_dead */
    bool has_dead;
};

static int run_write(struct saver_job *job, struct registry *registry)
{
    struct look *look = container_of(job, struct look, job);
    return delivery_log_write(registry_delivery_log(registry), &look->query,
                              &look->request->answer);
}

static int run_find(struct saver_job *job, struct registry *registry)
{
    struct look *look = container_of(job, struct look, job);
    return delivery_log_find(registry_delivery_log(registry), look->query.endpoint, look->query.n,
                             &look->letter);
}

static int run_discard(struct saver_job *job, struct registry *registry)
{
    struct look *look = container_of(job, struct look, job);
    struct delivery_log *log = registry_delivery_log(registry);
    int result = registry_begin(registry);
    if (result)
        return result;
    result = registry_commit(registry, delivery_log_drop(log, look->query.endpoint, look->query.n));
    /* A count that cannot be read does not undo what is saved. */
    look->has_dead = !result && !delivery_log_dead(log, look->query.endpoint, &look->dead);
    return result;
}

/* The webhook may have had other channels when a delivery was made. Its record says what was
 * published there, so telling it takes the right to that channel, too. On the saver's thread:
 * caller and rules of the request do not change. */
static bool may_tell(const struct delivery_query *query, struct str channel)
{
    const struct look *look = container_of(query, struct look, query);
    return !channel.len ||
           access_decide(&look->request->access, ACTION_WEBHOOKS, channel) == ACCESS_ALLOWED;
}

/* Refuses a request whose job failed or found nothing. Returns whether it refused. */
static bool refuse_failed(struct courier_request *request, int result)
{
    if (result == -ENOENT || (!result && request->op == COURIER_DELIVERY && !request->answer.len))
        request_refuse(request, COURIER_E_DELIVERY,
                       "no delivery has this number: GET /webhooks/ID/deliveries lists all");
    else if (result && request->op == COURIER_DISCARD)
        request_refuse_store(request, result);
    else if (result)
        request_refuse(request, COURIER_E_NOW, "the store cannot be read: try again");
    else
        return false;
    return true;
}

static void answer_retrying(struct courier_request *request, uint64_t count)
{
    struct json_writer writer = json_writer(&request->answer);
    json_object_begin(&writer);
    json_member_number(&writer, "retrying", count);
    json_object_end(&writer);
    request_answer(request);
}

static void add_letter(struct courier_request *request, struct endpoint *endpoint, uint64_t n)
{
    if (resend_add(endpoint, n))
        answer_retrying(request, 1);
    else
        request_refuse(request, COURIER_E_NOW, "too many wait to be sent again: try again");
}

static void looked(struct mail *mail, void *owner)
{
    struct look *look = container_of(mail, struct look, job.mail);
    struct courier *courier = owner;
    struct courier_request *request = look->request;
    struct endpoint *endpoint = directory_find(courier, request->id);
    courier->jobs--;
    if (refuse_failed(request, look->job.result)) {
        /* told */
    } else if (request->op == COURIER_RETRY && endpoint) {
        add_letter(request, endpoint, request->n);
    } else {
        if (look->has_dead && endpoint)
            endpoint->resends.dead = look->dead;
        request_answer(request);
    }
    buf_free(&look->letter.events);
    free(look);
}

static void look(struct courier_request *request, struct endpoint *endpoint,
                 int (*run)(struct saver_job *job, struct registry *registry))
{
    struct look *look = mem_alloc(sizeof(*look));
    uint32_t limit = request->filter.limit;
    *look = (struct look){
        .job = {.run = run, .looks = run != run_discard, .mail = {NULL, looked}},
        .request = request,
        .query = {.endpoint = endpoint->row.number,
                  .n = request->op == COURIER_DELIVERIES ? 0 : request->n,
                  .before = request->filter.before,
                  .event = request->filter.event,
                  .states = request->filter.states,
                  .channel = buf_str(&request->filter.channel),
                  .may_tell = may_tell,
                  .kept = buf_str(&request->filter.kept),
                  .limit = limit && limit <= DELIVERY_LOG_PAGE_MAX ? limit : DELIVERY_LOG_PAGE_MAX},
    };
    save_progress(endpoint->courier,
                  true); /* save first, so that the log includes recent attempts */
    courier_submit_job(endpoint->courier, &look->job);
}

/* Forgets the endpoint's failures. */
static void forgive(struct endpoint *endpoint)
{
    endpoint->row.next_us = 0;
    endpoint->circuit.struck = endpoint->circuit.probes = 0;
    endpoint_changed(endpoint);
    endpoint_ready(endpoint);
}

/* Whether the lane will continue when its attempt has ended. */
static bool goes_on(const struct lane *lane)
{
    return lane->state != LANE_LEAVING;
}

static void retry_lane(struct courier_request *request, struct lane *lane)
{
    if (!goes_on(lane)) {
        request_refuse(request, COURIER_E_NOW,
                       "this delivery is being sent as the webhook was before it was changed: try "
                       "again when that has ended");
        return;
    }
    forgive(lane->endpoint);
    lane_hurry(lane);
    answer_retrying(request, 1);
}

void deliveries_retry(struct courier_request *request, struct endpoint *endpoint)
{
    list_each (&endpoint->lanes.all, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (!request->n || lane->row.n != request->n)
            continue;
        retry_lane(request, lane);
        return;
    }
    look(request, endpoint, run_find);
}

void deliveries_retry_all(struct courier_request *request, struct endpoint *endpoint)
{
    uint64_t count = endpoint->resends.dead;
    forgive(endpoint);
    list_each (&endpoint->lanes.all, node) {
        struct lane *lane = container_of(node, struct lane, node);
        count += lane->row.failures > 0 && goes_on(lane);
        lane_hurry(lane);
    }
    resend_all_dead(endpoint);
    answer_retrying(request, count);
}

void deliveries_show(struct courier_request *request, struct endpoint *endpoint)
{
    look(request, endpoint, run_write);
}

void deliveries_discard(struct courier_request *request, struct endpoint *endpoint)
{
    look(request, endpoint, run_discard);
}
