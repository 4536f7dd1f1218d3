/* What the API asks, on the courier's thread. */
#include "courier/endpoint.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/say.h"
#include "courier/spec.h"

#include <errno.h>
#include <stdlib.h>

#define DAY_US (INT64_C(86400) * 1000000)

/* ---- answers --------------------------------------------------------------------------------- */

void request_answer(struct courier_request *request)
{
    if (buf_failed(&request->answer)) {
        request->fault = COURIER_E_NOW;
        request->detail = "there is no memory left: try again";
    }
    mailbox_post(request->reply, &request->reply_mail);
}

void request_refuse(struct courier_request *request, enum courier_fault fault, const char *detail)
{
    request->fault = fault;
    request->detail = detail;
    request_answer(request);
}

static void refuse_memory(struct courier_request *request)
{
    request_refuse(request, COURIER_E_NOW, "there is no memory left: try again");
}

static void refuse_store(struct courier_request *request, int result)
{
    say(SAY_WARN, "webhook_not_kept", "error=%d", -result);
    if (result == -ENOSPC)
        request_refuse(request, COURIER_E_SPACE, "the disk is full: nothing was changed");
    else
        request_refuse(request, COURIER_E_NOW,
                       "the store cannot be written: nothing was changed; try again");
}

static void answer_with(struct courier_request *request, const struct endpoint *endpoint,
                        enum tell tell)
{
    endpoint_tell(endpoint, &request->answer, tell);
    request_answer(request);
}

/* ---- creating -------------------------------------------------------------------------------- */

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

static struct endpoint_row row_of(struct courier *courier, struct spec *spec)
{
    struct endpoint_row row = {
        .url = take_text(&spec->url, ""),
        .channels = take_text(&spec->channels, "[]"),
        .types = take_text(&spec->types, "[]"),
        .headers = take_text(&spec->headers, "{}"),
        .description = take_text(&spec->description, ""),
        .key = spec->key,
        .created_us = clock_wall_us(courier->config.clock),
    };
    make_id(row.id);
    if (!(spec->has & SPEC_SECRET))
        sign_key_make(&row.key);
    return row;
}

/* The URL's host, if it is an address; where a name leads is seen when it is connected to. */
static bool may_go_to(const struct courier *courier, const char *url)
{
    char *host = spec_url_host(url);
    bool may = host && !address_host_refused(str_from(host), &courier->client.policy);
    free(host);
    return may;
}

static void refuse_target(struct courier_request *request)
{
    request_refuse(request, COURIER_E_FORBIDDEN,
                   "webhooks go to public addresses, and to others only if the server's "
                   "configuration lists them");
}

bool request_created(struct courier_request *request, struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    if (courier->by_id.count >= courier->config.endpoints_max) {
        endpoint_free(endpoint);
        request_refuse(request, COURIER_E_MANY,
                       "there are as many webhooks as this server allows: delete one");
        return false;
    }
    int result = registry_put(courier->registry, &endpoint->row);
    if (result) {
        endpoint_free(endpoint);
        refuse_store(request, result);
        return false;
    }
    endpoint_add(endpoint);
    say(SAY_INFO, "webhook_created", "id=%s", endpoint->row.id);
    answer_with(request, endpoint, TELL_SECRET);
    return true;
}

/* Everything is known but whether it works. */
static void create(struct courier_request *request, struct endpoint *endpoint, bool verify)
{
    if (!verify) {
        /* The first ping is for whoever set it up to see; nothing depends on it. */
        if (request_created(request, endpoint))
            (void)ping_start(endpoint, NULL);
    } else if (!ping_start(endpoint, request)) {
        endpoint_free(endpoint);
        request_refuse(request, COURIER_E_NOW, "too many pings are under way: try again");
    }
}

/* ---- where to begin -------------------------------------------------------------------------- */

/* The id that a time stands for is the store's to find. */
struct search {
    struct log_job job;
    int64_t time_us;
    uint64_t id;
    int error;
    struct courier *courier;
    struct endpoint *endpoint;
    struct courier_request *request;
    bool verify;
};

static void search_run(struct log_job *job, struct log *log)
{
    struct search *search = container_of(job, struct search, job);
    search->error = log_find_time(log, search->time_us, &search->id);
}

/* Who begins at a time or at the beginning asks for what there is: what is gone is no gap to them.
 */
static void begin_at(struct endpoint *endpoint, uint64_t cursor)
{
    endpoint->row.cursor = cursor;
    endpoint->row.told = log_trimmed(endpoint->courier->config.log, endpoint->selection);
}

static void search_done(struct mail *mail, void *owner)
{
    struct search *search = container_of(mail, struct search, job.mail);
    (void)owner;
    search->courier->searches--;
    if (search->error || search->courier->stopping) {
        endpoint_free(search->endpoint);
        request_refuse(search->request, COURIER_E_NOW, "the store cannot be read: try again");
    } else {
        begin_at(search->endpoint, search->id);
        create(search->request, search->endpoint, search->verify);
    }
    free(search);
}

static void start_search(struct courier_request *request, struct endpoint *endpoint,
                         const struct spec *spec)
{
    struct courier *courier = endpoint->courier;
    struct search *search = mem_alloc(sizeof(*search));
    *search = (struct search){
        .job = {.run = search_run, .reply = &courier->loop.mailbox, .mail = {NULL, search_done}},
        .time_us = spec->after_time_us,
        .courier = courier,
        .endpoint = endpoint,
        .request = request,
        .verify = spec->verify,
    };
    courier->searches++;
    log_submit(courier->config.log, &search->job);
}

static void begin(struct courier_request *request, struct endpoint *endpoint,
                  const struct spec *spec)
{
    struct courier *courier = endpoint->courier;
    if (spec->after == SPEC_AFTER_TIME) {
        start_search(request, endpoint, spec);
        return;
    }
    if (spec->after == SPEC_AFTER_NOW)
        endpoint->row.cursor = log_newest(courier->config.log);
    else if (spec->after_id)
        endpoint->row.cursor = spec->after_id;
    else
        begin_at(endpoint, 0);
    if (endpoint->row.cursor > log_newest(courier->config.log)) {
        endpoint_free(endpoint);
        request_refuse(request, COURIER_E_CURSOR, "after lies beyond the newest event of this log");
        return;
    }
    create(request, endpoint, spec->verify);
}

static void op_create(struct courier *courier, struct courier_request *request)
{
    struct spec spec;
    const char *why;
    if (!spec_read(buf_str(&request->body), SPEC_CREATE, SPEC_URL | SPEC_CHANNELS, &spec, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    if (!may_go_to(courier, spec.url)) {
        refuse_target(request);
    } else if (courier->by_id.count >= courier->config.endpoints_max) {
        request_refuse(request, COURIER_E_MANY,
                       "there are as many webhooks as this server allows: delete one");
    } else {
        struct endpoint_row row = row_of(courier, &spec);
        struct endpoint *endpoint = endpoint_new(courier, &row);
        if (endpoint)
            begin(request, endpoint, &spec);
        else
            refuse_memory(request);
    }
    spec_free(&spec);
}

/* ---- changing -------------------------------------------------------------------------------- */

static void swap(char **a, char **b)
{
    char *c = *a;
    *a = *b;
    *b = c;
}

/* Puts what the spec has into the row, and what was there into the spec: done twice it is undone.
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
}

/* Begins again, from the cursor, with nothing held against it. */
static void start_over(struct endpoint *endpoint)
{
    endpoint->row.failures = 0;
    endpoint->row.next_us = 0;
    endpoint_let_go(endpoint);
}

static void set_state(struct endpoint *endpoint, enum endpoint_state state)
{
    endpoint->row.cursor = endpoint_cursor(endpoint);
    endpoint->row.state = state;
    start_over(endpoint);
}

/* Keeps a changed row as a whole and lets the endpoint go on; refuses the request if it could not.
 */
static bool keep_row(struct courier_request *request, struct endpoint *endpoint)
{
    int result = registry_put(endpoint->courier->registry, &endpoint->row);
    endpoint_wait(endpoint);
    if (!result)
        return true;
    refuse_store(request, result);
    return false;
}

static void change(struct courier_request *request, struct endpoint *endpoint, struct spec *spec)
{
    enum endpoint_state before = endpoint->row.state;
    endpoint->row.cursor = endpoint_cursor(endpoint);
    exchange_texts(&endpoint->row, spec);
    if (spec->has & SPEC_STATE)
        endpoint->row.state = spec->paused ? ENDPOINT_PAUSED : ENDPOINT_ACTIVE;
    start_over(endpoint);
    bool prepared = endpoint_prepare(endpoint);
    if (prepared && keep_row(request, endpoint)) {
        answer_with(request, endpoint, TELL_ALL);
        return;
    }
    exchange_texts(&endpoint->row, spec);
    endpoint->row.state = before;
    if (!endpoint_prepare(endpoint))
        abort(); /* it was there a moment ago, and the endpoint is nothing without it */
    if (!prepared)
        refuse_memory(request);
}

static void op_change(struct courier_request *request, struct endpoint *endpoint)
{
    struct spec spec;
    const char *why;
    if (!spec_read(buf_str(&request->body), SPEC_CHANGE, 0, &spec, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    if (spec.url && !may_go_to(endpoint->courier, spec.url))
        refuse_target(request);
    else
        change(request, endpoint, &spec);
    spec_free(&spec);
}

static void op_state(struct courier_request *request, struct endpoint *endpoint,
                     enum endpoint_state state)
{
    enum endpoint_state before = endpoint->row.state;
    set_state(endpoint, state);
    if (keep_row(request, endpoint))
        answer_with(request, endpoint, TELL_ALL);
    else
        endpoint->row.state = before;
}

static void op_rotate(struct courier_request *request, struct endpoint *endpoint)
{
    struct endpoint_row *row = &endpoint->row, before = *row;
    row->old_key = row->key;
    row->old_until_us = clock_wall_us(endpoint->courier->config.clock) + DAY_US;
    sign_key_make(&row->key);
    if (keep_row(request, endpoint)) {
        answer_with(request, endpoint, TELL_SECRET);
        return;
    }
    row->key = before.key;
    row->old_key = before.old_key;
    row->old_until_us = before.old_until_us;
}

static void op_delete(struct courier_request *request, struct endpoint *endpoint)
{
    int result = registry_delete(endpoint->courier->registry, endpoint->row.id);
    if (result) {
        refuse_store(request, result);
        return;
    }
    say(SAY_INFO, "webhook_deleted", "id=%s", endpoint->row.id);
    endpoint_free(endpoint);
    request_answer(request);
}

/* ---- the others ------------------------------------------------------------------------------ */

static void op_list(struct courier *courier, struct courier_request *request)
{
    const char *comma = "";
    buf_add_lit(&request->answer, "{\"webhooks\":[");
    list_each (&courier->endpoints, node) {
        buf_add_str(&request->answer, str_from(comma));
        endpoint_tell(container_of(node, struct endpoint, node), &request->answer, TELL_LINE);
        comma = ",";
    }
    buf_add_lit(&request->answer, "]}");
    request_answer(request);
}

static void op_ping(struct courier_request *request, struct endpoint *endpoint)
{
    if (!ping_start(endpoint, request))
        request_refuse(request, COURIER_E_NOW, "too many pings are under way: try again");
}

static void on_endpoint(struct courier_request *request, struct endpoint *endpoint)
{
    switch (request->op) {
    case COURIER_CREATE:
    case COURIER_LIST:
        break;
    case COURIER_GET:
        answer_with(request, endpoint, TELL_ALL);
        break;
    case COURIER_CHANGE:
        op_change(request, endpoint);
        break;
    case COURIER_DELETE:
        op_delete(request, endpoint);
        break;
    case COURIER_PING:
        op_ping(request, endpoint);
        break;
    case COURIER_PAUSE:
        op_state(request, endpoint, ENDPOINT_PAUSED);
        break;
    case COURIER_RESUME:
        op_state(request, endpoint, ENDPOINT_ACTIVE);
        break;
    case COURIER_ROTATE:
        op_rotate(request, endpoint);
        break;
    }
}

static void open_request(struct mail *mail, void *owner)
{
    struct courier *courier = owner;
    struct courier_request *request = container_of(mail, struct courier_request, mail);
    struct endpoint *endpoint = endpoint_find(courier, request->id);
    if (courier->stopping)
        request_refuse(request, COURIER_E_NOW, "the server is stopping: ask the next one");
    else if (request->op == COURIER_CREATE)
        op_create(courier, request);
    else if (request->op == COURIER_LIST)
        op_list(courier, request);
    else if (!endpoint)
        request_refuse(request, COURIER_E_MISSING,
                       "GET /webhooks lists the webhooks that there are");
    else
        on_endpoint(request, endpoint);
}

void courier_submit(struct courier *courier, struct courier_request *request)
{
    request->mail.open = open_request;
    mailbox_post(&courier->loop.mailbox, &request->mail);
}
