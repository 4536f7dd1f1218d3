/* Requests of the API, on the courier's thread. */
#include "webhooks/endpoint/endpoint.h"

#include "base/say.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- answers --------------------------------------------------------------------------------- */

void request_answer(struct courier_request *request)
{
    if (buf_failed(&request->answer)) {
        request->fault = COURIER_E_NOW;
        request->detail = "there is no memory left: try again";
    }
    creation_ends(request);
    mailbox_post(request->reply, &request->reply_mail);
}

void request_refuse(struct courier_request *request, enum courier_fault fault, const char *detail)
{
    request->fault = fault;
    request->detail = detail;
    request_answer(request);
}

void request_refuse_store(struct courier_request *request, int result)
{
    say(SAY_WARN, "webhook_not_kept", "error=%d", -result);
    if (result == REGISTRY_E_FATE_UNKNOWN)
        request_refuse(
            request, COURIER_E_NOW,
            "the store failed, and a restart may show the change: look before you repeat");
    else if (result == -ENOSPC)
        request_refuse(request, COURIER_E_SPACE, "the disk is full: nothing was changed");
    else
        request_refuse(request, COURIER_E_NOW,
                       "the store cannot be written: nothing was changed; try again");
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* A list of all endpoints, written little by little: it costs as much as they have lanes. */
struct listing {
    struct list node; /* in courier->listings */
    struct courier_request *request;
    struct endpoint *next; /* NULL at the end */
    const char *comma;
};

enum { LIST_US = 2000 };

static struct endpoint *behind(struct courier *courier, const struct list *node)
{
    return node->next == &courier->endpoints ? NULL
                                             : container_of(node->next, struct endpoint, node);
}

static void op_list(struct courier *courier, struct courier_request *request)
{
    struct listing *listing = mem_alloc(sizeof(*listing));
    *listing = (struct listing){
        .request = request, .next = behind(courier, &courier->endpoints), .comma = ""};
    buf_add_lit(&request->answer, "{\"webhooks\":[");
    list_add_last(&courier->listings, &listing->node);
}

static void list_one(struct courier *courier, struct listing *listing)
{
    struct buf *out = &listing->request->answer;
    buf_add_str(out, str_from(listing->comma));
    endpoint_tell(listing->next, out, TELL_LINE);
    listing->comma = ",";
    listing->next = behind(courier, &listing->next->node);
}

static void end_listing(struct listing *listing)
{
    list_remove(&listing->node);
    buf_add_lit(&listing->request->answer, "]}");
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
            listing->next = behind(courier, &endpoint->node);
    }
}

void listings_end(struct courier *courier)
{
    for (struct list *node; (node = list_take_first(&courier->listings));) {
        struct listing *listing = container_of(node, struct listing, node);
        request_refuse(listing->request, COURIER_E_NOW, "the server is stopping: ask the next one");
        free(listing);
    }
}

static void op_get(struct courier_request *request, const struct endpoint *endpoint)
{
    endpoint_tell(endpoint, &request->answer, TELL_ALL);
    request_answer(request);
}

static void op_ping(struct courier_request *request, struct endpoint *endpoint)
{
    if (row_is_websub(&endpoint->row))
        request_refuse(request, COURIER_E_BAD,
                       "a subscriber of WebSub is sent what its topic says and nothing else");
    else if (!ping_start(endpoint, request, SPEC_VERIFY_PING))
        request_refuse(request, COURIER_E_NOW, "too many pings are under way: try again");
}

/* ---- deliveries ------------------------------------------------------------------------------ */

/* Something of the record, read or changed by the keeper. */
struct look {
    struct keeper_job job;
    struct courier_request *request;
    struct record_query query;
    struct record_letter letter;
    uint64_t dead; /* afterwards */
};

static int run_tell(struct keeper_job *job, struct registry *registry)
{
    struct look *look = container_of(job, struct look, job);
    return record_tell(registry_records(registry), &look->query, &look->request->answer);
}

static int run_find(struct keeper_job *job, struct registry *registry)
{
    struct look *look = container_of(job, struct look, job);
    return record_find(registry_records(registry), look->query.endpoint, look->query.n,
                       &look->letter);
}

static int run_discard(struct keeper_job *job, struct registry *registry)
{
    struct look *look = container_of(job, struct look, job);
    struct record_statements *records = registry_records(registry);
    int result = registry_begin(registry);
    if (result)
        return result;
    result = registry_commit(registry, record_drop(records, look->query.endpoint, look->query.n));
    return result ? result : record_dead(records, look->query.endpoint, &look->dead);
}

static bool is_refused(struct courier_request *request, int result)
{
    if (result == -ENOENT || (!result && request->op == COURIER_DELIVERY && !request->answer.len))
        request_refuse(request, COURIER_E_DELIVERY,
                       "GET /webhooks/ID/deliveries lists the deliveries that there are");
    else if (result)
        request_refuse(request, COURIER_E_NOW, "the store cannot be read: try again");
    else
        return false;
    return true;
}

static void answer_retrying(struct courier_request *request, uint64_t count)
{
    buf_addf(&request->answer, "{\"retrying\":%" PRIu64 "}", count);
    request_answer(request);
}

static void add_letter(struct courier_request *request, struct endpoint *endpoint, uint64_t n)
{
    size_t most = sizeof(endpoint->letters) / sizeof(endpoint->letters[0]);
    if (endpoint->letters_count == most) {
        request_refuse(request, COURIER_E_NOW, "too many wait to be sent again: try again");
        return;
    }
    endpoint->letters[endpoint->letters_count++] = n;
    endpoint_ready(endpoint);
    answer_retrying(request, 1);
}

static void looked(struct mail *mail, void *owner)
{
    struct look *look = container_of(mail, struct look, job.mail);
    struct courier *courier = owner;
    struct courier_request *request = look->request;
    struct endpoint *endpoint = endpoint_find(courier, request->id);
    courier->jobs--;
    if (is_refused(request, look->job.result)) {
        /* told */
    } else if (request->op == COURIER_RETRY && endpoint) {
        add_letter(request, endpoint, request->n);
    } else {
        if (request->op == COURIER_DISCARD && endpoint)
            endpoint->dead = look->dead;
        request_answer(request);
    }
    buf_free(&look->letter.events);
    free(look);
}

static void look(struct courier_request *request, struct endpoint *endpoint,
                 int (*run)(struct keeper_job *job, struct registry *registry))
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
                  .kept = buf_str(&request->filter.kept),
                  .limit = limit && limit <= RECORD_PAGE_MAX ? limit : RECORD_PAGE_MAX},
    };
    courier_keep(endpoint->courier, true); /* so that it shows what was just done */
    courier_submit_job(endpoint->courier, &look->job);
}

/* Nothing is held against it any more. */
static void forgive(struct endpoint *endpoint)
{
    endpoint->row.next_us = 0;
    endpoint->struck = endpoint->probes = 0;
    endpoint_changed(endpoint);
    endpoint_ready(endpoint);
}

static void op_retry(struct courier_request *request, struct endpoint *endpoint)
{
    list_each (&endpoint->lanes, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (!request->n || lane->row.n != request->n)
            continue;
        forgive(endpoint);
        lane_hurry(lane);
        answer_retrying(request, 1);
        return;
    }
    look(request, endpoint, run_find);
}

static void op_retry_all(struct courier_request *request, struct endpoint *endpoint)
{
    uint64_t count = endpoint->dead;
    forgive(endpoint);
    list_each (&endpoint->lanes, node) {
        struct lane *lane = container_of(node, struct lane, node);
        count += lane->row.failures > 0;
        lane_hurry(lane);
    }
    if (endpoint->dead) {
        endpoint->letters_after = 0;
        endpoint->letters_upto = endpoint->courier->next_n - 1;
    }
    answer_retrying(request, count);
}

/* ---- dispatch
 * ------------------------------------------------------------------------------------ */

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
        look(request, endpoint, run_tell);
        break;
    case COURIER_RETRY:
        op_retry(request, endpoint);
        break;
    case COURIER_RETRY_ALL:
        op_retry_all(request, endpoint);
        break;
    case COURIER_DISCARD:
        look(request, endpoint, run_discard);
        break;
    default:
        if (endpoint->busy)
            list_add_last(&endpoint->waiting, &request->waiting);
        else
            change_endpoint(request, endpoint);
        break;
    }
}

static void open_request(struct mail *mail, void *owner)
{
    struct courier *courier = owner;
    struct courier_request *request = container_of(mail, struct courier_request, mail);
    courier_read_mail(courier); /* read first: the answer must include earlier publishes */
    struct endpoint *endpoint = endpoint_find(courier, request->id);
    if (courier->stopping)
        request_refuse(request, COURIER_E_NOW, "the server is stopping: ask the next one");
    else if (request->op == COURIER_CREATE)
        change_create(courier, request);
    else if (request->op == COURIER_HUB)
        websub_ask(courier, request);
    else if (request->op == COURIER_LIST)
        op_list(courier, request);
    else if (!endpoint)
        request_refuse(request, COURIER_E_MISSING,
                       "GET /webhooks lists the webhooks that there are");
    else
        on_endpoint(request, endpoint);
}

void requests_go_on(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    struct list waiting = LIST_INIT(waiting);
    list_take_all(&waiting, &endpoint->waiting);
    for (struct list *node; (node = list_take_first(&waiting));)
        /* Behind one another again, if the first of them makes the endpoint busy. */
        mailbox_post(&courier->loop.mailbox,
                     &container_of(node, struct courier_request, waiting)->mail);
}

void courier_submit(struct courier *courier, struct courier_request *request)
{
    request->mail.open = open_request;
    mailbox_post(&courier->loop.mailbox, &request->mail);
}
