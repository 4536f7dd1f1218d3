/* Changes of an endpoint. The endpoint changes at once, and the request is answered when the change
 * is stored; if it cannot be stored, the change is undone. Meanwhile the endpoint is busy, and
 * other changes wait. */
#include "webhooks/endpoint/endpoint.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/say.h"

#include <errno.h>
#include <stdlib.h>

#define DAY_US (INT64_C(86400) * 1000000)

/* ---- keeping --------------------------------------------------------------------------------- */

struct put {
    struct keeper_job job;
    struct courier *courier;
    struct courier_request *request;
    struct endpoint *endpoint;  /* stays while it is busy, or is not among the others yet */
    struct endpoint_row row;    /* borrows the endpoint's texts */
    struct endpoint_row before; /* keys, options and state, if it cannot be kept */
    struct spec spec;           /* the texts that were there before */
    bool anew;                  /* the change affects which events are owed, or their lanes */
    bool forget;                /* drops the lanes on disk */
    bool made;
    enum tell tell;
};

static int run_put(struct keeper_job *job, struct registry *registry)
{
    struct put *put = container_of(job, struct put, job);
    bool is_new = !put->row.number;
    int result = is_new || put->forget ? 0 : registry_lanes_result(registry);
    return result ? result : registry_put(registry, &put->row, put->forget);
}

static void submit_as(struct put *put,
                      int (*run)(struct keeper_job *job, struct registry *registry),
                      void (*done)(struct mail *mail, void *owner))
{
    put->row = put->endpoint->row;
    put->row.cursor = endpoint_scanned(put->endpoint);
    put->job.run = run;
    put->job.mail.open = done;
    /* Lanes first: the row says that the scan is beyond them. If they cannot be kept, nor is it. */
    courier_keep(put->courier, true);
    courier_submit_job(put->courier, &put->job);
}

static void submit(struct put *put, void (*done)(struct mail *mail, void *owner))
{
    submit_as(put, run_put, done);
}

static void put_free(struct put *put)
{
    spec_free(&put->spec);
    free(put);
}

static struct put *put_new(struct courier_request *request, struct endpoint *endpoint)
{
    struct put *put = mem_alloc(sizeof(*put));
    *put = (struct put){.courier = endpoint->courier,
                        .request = request,
                        .endpoint = endpoint,
                        .before = endpoint->row,
                        .tell = TELL_ALL};
    return put;
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
        .created_us = clock_wall_us(courier->config.clock),
        .creation = creation_of(request),
    };
    make_id(row.id);
    if (!(spec->has & SPEC_SECRET))
        sign_key_make(&row.key);
    return row;
}

/* The URL's host, if it is an address; where a name leads is seen when it is connected to. */
bool change_may_go_to(const struct courier *courier, const char *url)
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

static void refuse_many(struct courier_request *request)
{
    request_refuse(request, COURIER_E_MANY,
                   "there are as many webhooks as this server allows: delete one");
}

static void created(struct mail *mail, void *owner)
{
    struct put *put = container_of(mail, struct put, job.mail);
    struct courier *courier = owner;
    struct endpoint *endpoint = put->endpoint;
    courier->jobs--;
    courier->creations--;
    if (put->job.result || courier->stopping) {
        /* Kept although we stop: whoever asks again finds it in the list. */
        endpoint_free(endpoint);
        request_refuse_store(put->request, put->job.result ? put->job.result : -EAGAIN);
    } else {
        endpoint->row.number = put->row.number;
        say(SAY_INFO, "webhook_created", "id=%s", endpoint->row.id);
        endpoint_tell(endpoint, &put->request->answer, TELL_SECRET);
        endpoint_add(endpoint);
        request_answer(put->request);
        /* The first ping is for whoever set it up to see; nothing depends on it. */
        if (put->made)
            ping_first(endpoint);
    }
    put_free(put);
}

static void keep_new(struct courier_request *request, struct endpoint *endpoint, bool pings)
{
    struct courier *courier = endpoint->courier;
    if (courier->by_id.count + courier->creations >= courier->config.endpoints_max) {
        endpoint_free(endpoint);
        refuse_many(request);
        return;
    }
    struct put *put = put_new(request, endpoint);
    put->made = pings;
    courier->creations++;
    submit(put, created);
}

void request_created(struct courier_request *request, struct endpoint *endpoint)
{
    keep_new(request, endpoint, false);
}

/* Everything is known but whether it works. */
static void create(struct courier_request *request, struct endpoint *endpoint,
                   enum spec_verify verify)
{
    if (verify == SPEC_VERIFY_NONE) {
        keep_new(request, endpoint, true);
    } else if (!ping_start(endpoint, request, verify)) {
        endpoint_free(endpoint);
        request_refuse(request, COURIER_E_NOW, "too many pings are under way: try again");
    }
}

/* ---- where to begin -------------------------------------------------------------------------- */

/* The id that a time stands for is the store's to find. */
struct search {
    struct question question;
    int64_t time_us;
    uint64_t id;
    int error;
    struct courier *courier;
    struct endpoint *endpoint;
    struct courier_request *request;
    enum spec_verify verify;
};

static bool search_slice(struct question *question, struct log *log)
{
    struct search *search = container_of(question, struct search, question);
    search->error = log_find_time(log, search->time_us, &search->id);
    return true;
}

static void replay(struct courier_request *request, struct endpoint *endpoint, uint64_t cursor,
                   bool told);
static void not_busy(struct endpoint *endpoint);

/* Begins at a position that the client does not claim, such as a time or the beginning: events that
 * were trimmed before are not a gap. */
static void begin_at(struct endpoint *endpoint, uint64_t cursor)
{
    endpoint->row.cursor = cursor;
    endpoint->row.told =
        log_trimmed_from(endpoint->courier->config.log, endpoint->selection, cursor);
}

static void search_failed(const struct search *search)
{
    if (search->request->op == COURIER_CREATE)
        endpoint_free(search->endpoint);
    request_refuse(search->request, COURIER_E_NOW, "the store cannot be read: try again");
    if (search->request->op != COURIER_CREATE)
        not_busy(search->endpoint);
}

static void search_answered(struct question *question)
{
    struct search *search = container_of(question, struct search, question);
    if (search->error || search->courier->stopping) {
        search_failed(search);
    } else if (search->request->op == COURIER_CREATE) {
        begin_at(search->endpoint, search->id);
        create(search->request, search->endpoint, search->verify);
    } else {
        replay(search->request, search->endpoint, search->id, true);
    }
    question_end(question);
    free(search);
}

static const struct question_ops search_ops = {
    .slice = search_slice, .answered = search_answered, .is_small = true};

static void start_search(struct courier_request *request, struct endpoint *endpoint,
                         const struct spec *spec)
{
    struct courier *courier = endpoint->courier;
    struct search *search = mem_alloc(sizeof(*search));
    *search = (struct search){
        .time_us = spec->after_time_us,
        .courier = courier,
        .endpoint = endpoint,
        .request = request,
        .verify = spec->verify,
    };
    question_init(&search->question, &courier->asker, &search_ops);
    question_ask(&search->question);
}

static const char beyond[] = "after lies beyond the newest event of this log";

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
        request_refuse(request, COURIER_E_CURSOR, beyond);
        return;
    }
    create(request, endpoint, spec->verify);
}

/* Makes the pair that is wanted, or drops the one that is not. */
static int fit_pair(struct endpoint_row *row)
{
    if (!row->options.wants_pair)
        row->pair = (struct sign_pair){0};
    return row->options.wants_pair && !row->pair.set ? sign_pair_make(&row->pair) : 0;
}

static void make(struct courier *courier, struct courier_request *request, struct spec *spec)
{
    struct endpoint_row row = row_of(courier, request, spec);
    const char *why = spec_options(spec, &row.options);
    if (why || fit_pair(&row)) {
        endpoint_row_free(&row);
        request_refuse(request, COURIER_E_BAD, why ? why : "no key pair could be made");
        return;
    }
    struct endpoint *endpoint = endpoint_new(courier, &row);
    if (endpoint)
        begin(request, endpoint, spec);
    else
        request_refuse(request, COURIER_E_NOW, "there is no memory left: try again");
}

void change_create(struct courier *courier, struct courier_request *request)
{
    struct spec spec;
    const char *why;
    if (creation_is_settled(courier, request))
        return;
    if (!spec_read(buf_str(&request->body), SPEC_CREATE, SPEC_URL | SPEC_CHANNELS, &spec,
                   &request->why, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    if (!change_may_go_to(courier, spec.url))
        refuse_target(request);
    else if (courier->by_id.count >= courier->config.endpoints_max)
        refuse_many(request);
    else
        make(courier, request, &spec);
    spec_free(&spec);
}

/* ---- WebSub ---------------------------------------------------------------------------------- */

/* New updates are tried soon whatever became of the last: a topic is what it is now. */
#define WEBSUB_SCHEDULE "[5,15,60,300]"

static char *text_of(const struct buf *buf)
{
    char *text = strndup(buf->len ? buf->at : "", buf->len);
    if (!text)
        abort();
    return text;
}

static int64_t lease_until_us(struct courier *courier, uint64_t lease_s)
{
    return courier_now_us(courier) + (int64_t)lease_s * 1000000;
}

void change_subscribe(struct courier *courier, struct courier_request *request,
                      const struct websub_wish *wish)
{
    struct buf channels = {0}, schedule = {0};
    buf_add_char(&channels, '[');
    buf_add_json(&channels, buf_str(&wish->channel));
    buf_add_char(&channels, ']');
    buf_add_lit(&schedule, WEBSUB_SCHEDULE);
    struct spec spec = {.url = text_of(&wish->callback),
                        .channels = text_of(&channels),
                        .schedule = text_of(&schedule)};
    struct endpoint_row row = row_of(courier, request, &spec);
    row.options.format = BODY_DATA;
    row.topic = text_of(&wish->topic);
    row.hub_secret = text_of(&wish->secret);
    row.lease_until_us = lease_until_us(courier, wish->lease_s);
    row.cursor = log_newest(courier->config.log);
    bool failed = buf_failed(&channels) || buf_failed(&schedule);
    struct endpoint *endpoint = endpoint_new(courier, &row);
    if (endpoint && !failed)
        keep_new(request, endpoint, false);
    else
        request_refuse(request, COURIER_E_NOW, "there is no memory left: try again");
    if (endpoint && failed)
        endpoint_free(endpoint);
    buf_free(&channels);
    buf_free(&schedule);
}

/* ---- changing -------------------------------------------------------------------------------- */

static void not_busy(struct endpoint *endpoint)
{
    endpoint->busy = NULL;
    endpoint_ready(endpoint);
    requests_go_on(endpoint);
}

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
    if (spec->has & SPEC_SCHEDULE)
        swap(&row->schedule, &spec->schedule);
}

/* Begins again, with nothing held against it. */
static void start_over(struct endpoint *endpoint)
{
    endpoint->row.failures = 0;
    endpoint->row.since_us = endpoint->row.next_us = 0;
    endpoint_begin_standing(endpoint);
    endpoint->row.warned = 0;
    endpoint->struck = endpoint->probes = 0;
    endpoint_let_go(endpoint);
    list_each (&endpoint->lanes, node)
        lane_hurry(container_of(node, struct lane, node));
    endpoint_changed(endpoint);
}

static void prepare_anew(struct endpoint *endpoint)
{
    if (!endpoint_prepare(endpoint))
        abort(); /* cannot fail: it worked before, and the endpoint depends on it */
}

static void undo(struct put *put)
{
    struct endpoint_row *row = &put->endpoint->row;
    row->state = put->before.state;
    row->options = put->before.options;
    row->key = put->before.key;
    row->pair = put->before.pair;
    if (row->olds.at != put->before.olds.at)
        olds_free(&row->olds);
    row->olds = put->before.olds;
    exchange_texts(row, &put->spec);
    if (put->anew)
        endpoint_begin_anew(put->endpoint, true);
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
        endpoint_tell(put->endpoint, &put->request->answer, put->tell);
        request_answer(put->request);
    }
    not_busy(put->endpoint);
    put_free(put);
}

static bool is_other(const char *text, const char *than)
{
    return text && strcmp(text, than) != 0;
}

/* Whether the change is one of what is owed, or of the lanes. Members that say what is so already
 * change nothing. */
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
    /* In order, what is delivered meanwhile comes again, for older events of its channel may. */
    if (put->anew)
        endpoint_begin_anew(endpoint, options->ordered);
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
    endpoint->busy = request;
    begin_anew(put, spec, &options);
    exchange_texts(&endpoint->row, spec);
    endpoint->row.options = options;
    if (spec->pair.set)
        endpoint->row.pair = spec->pair;
    if (spec->has & SPEC_STATE)
        endpoint->row.state = spec->paused ? ENDPOINT_PAUSED : ENDPOINT_ACTIVE;
    put->spec = *spec;
    *spec = (struct spec){0};
    start_over(endpoint);
    if (fit_pair(&endpoint->row) || !endpoint_prepare(endpoint)) {
        undo(put);
        request_refuse(request, COURIER_E_NOW, "there is no memory left: try again");
        put_free(put);
        not_busy(endpoint);
        return;
    }
    submit(put, changed);
}

static void op_change(struct courier_request *request, struct endpoint *endpoint)
{
    struct spec spec;
    const char *why;
    if (!spec_read(buf_str(&request->body), SPEC_CHANGE, 0, &spec, &request->why, &why)) {
        request_refuse(request, COURIER_E_BAD, why);
        return;
    }
    if (spec.url && !change_may_go_to(endpoint->courier, spec.url))
        refuse_target(request);
    else
        change(request, endpoint, &spec);
    spec_free(&spec);
}

static void op_state(struct courier_request *request, struct endpoint *endpoint,
                     enum endpoint_state state)
{
    struct put *put = put_new(request, endpoint);
    endpoint->busy = request;
    endpoint->row.state = state;
    start_over(endpoint);
    submit(put, changed);
}

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
        request_refuse_store(put->request, put->job.result);
    } else {
        free(put->before.hub_secret);
        request_answer(put->request);
    }
    not_busy(put->endpoint);
    put_free(put);
}

/* The body is the secret, n the lease. */
static void op_renew(struct courier_request *request, struct endpoint *endpoint)
{
    struct put *put = put_new(request, endpoint);
    endpoint->busy = request;
    endpoint->row.hub_secret = text_of(&request->body);
    endpoint->row.lease_until_us = lease_until_us(endpoint->courier, request->n);
    if (endpoint->row.state == ENDPOINT_DISABLED)
        endpoint->row.state = ENDPOINT_ACTIVE;
    start_over(endpoint);
    submit(put, renewed);
}

/* Reads the body of a rotation: the owner's own keys, to be used instead of made ones. */
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
        request_refuse(request, COURIER_E_NOW, "there is no memory left: try again");
        return;
    }
    struct put *put = put_new(request, endpoint);
    put->tell = TELL_SECRET;
    endpoint->busy = request;
    row->olds = olds;
    if (spec->has & SPEC_SECRET)
        row->key = spec->key;
    else
        sign_key_make(&row->key);
    row->pair = pair;
    submit(put, changed);
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

/* Replays from a position, and drops all current deliveries for it. */
static void replay(struct courier_request *request, struct endpoint *endpoint, uint64_t cursor,
                   bool told)
{
    struct put *put = put_new(request, endpoint);
    endpoint->busy = request;
    endpoint_let_go(endpoint);
    endpoint_drop_lanes(endpoint);
    endpoint->row.cursor = cursor;
    endpoint->row.told =
        told ? log_trimmed_from(endpoint->courier->config.log, endpoint->selection, cursor) : 0;
    start_over(endpoint);
    put->forget = true;
    submit(put, changed);
}

static void op_replay(struct courier_request *request, struct endpoint *endpoint)
{
    struct spec spec;
    const char *why;
    uint64_t newest = log_newest(endpoint->courier->config.log);
    if (!spec_read(buf_str(&request->body), SPEC_AFTER, SPEC_AFTER, &spec, &request->why, &why))
        request_refuse(request, COURIER_E_BAD, why);
    else if (spec.after == SPEC_AFTER_TIME) {
        endpoint->busy = request;
        start_search(request, endpoint, &spec);
    } else if (spec.after == SPEC_AFTER_NOW)
        replay(request, endpoint, newest, true);
    else if (spec.after_id > newest)
        request_refuse(request, COURIER_E_CURSOR, beyond);
    else
        replay(request, endpoint, spec.after_id, !spec.after_id);
}

/* ---- deleting -------------------------------------------------------------------------------- */

static int run_delete(struct keeper_job *job, struct registry *registry)
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
        not_busy(put->endpoint);
    } else {
        say(SAY_INFO, "webhook_deleted", "id=%s", put->row.id);
        put->endpoint->busy = NULL;
        if (row_is_websub(&put->endpoint->row) && put->request->reply != &courier->loop.mailbox)
            websub_deny(courier, &put->endpoint->row, "the subscription was deleted");
        endpoint_free(put->endpoint);
        request_answer(put->request);
    }
    put_free(put);
}

static void op_delete(struct courier_request *request, struct endpoint *endpoint)
{
    struct put *put = put_new(request, endpoint);
    endpoint->busy = request;
    submit_as(put, run_delete, deleted);
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
    default:
        break;
    }
}
