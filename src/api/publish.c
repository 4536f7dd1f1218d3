#include "api/publish.h"

#include "api/answers.h"
#include "api/channel.h"
#include "api/query.h"
#include "http/condition.h"
#include "http/token.h"
#include "publish/receipt.h"

enum { TYPE_TEXT_MAX = 255 };

/* A receipt's memory that is kept for the next. */
enum { RECEIPT_KEEP = 64 << 10 };

/* ---- answers --------------------------------------------------------------------------------- */

struct exchange *publish_accepted(struct publish *publish, bool many)
{
    struct exchange *exchange = container_of(publish, struct exchange, publish);
    if (exchange->dropped) {
        exchange_free(exchange);
        return NULL;
    }
    if (!publish->verdict)
        return exchange;
    struct refusal refusal = submit_refusal(&exchange->worker->submitter, publish);
    struct buf index = {0};
    struct json_writer writer = json_members_writer(&index);
    if (many)
        json_member_number(&writer, "index", publish->fault);
    exchange_refusal(exchange, &refusal, buf_str(&index));
    buf_free(&index);
    return NULL;
}

struct buf *publish_receipt(const struct exchange *exchange)
{
    struct buf *receipt = &exchange->worker->receipt;
    if (receipt->cap > RECEIPT_KEEP)
        buf_free(receipt);
    buf_clear(receipt);
    return receipt;
}

void publish_answer(struct exchange *exchange, int status, const struct batch *batch,
                    struct str body)
{
    size_t soft_max = api_of(exchange)->event_soft_max;
    size_t size = soft_max ? receipt_largest(&exchange->publish, batch) : 0;
    struct response response;
    response_init(&response, status);
    response.type = STR("application/json");
    response.body[0] = body;
    if (size > soft_max)
        buf_addf(response_compose(&response, STR("Event-Warning")),
                 "%zu bytes are more than many clients take in one message "
                 "(limits.event_soft_max = %zu)",
                 size, soft_max);
    exchange_respond(exchange, &response);
}

void publish_done(struct publish *publish, struct batch *batch)
{
    const struct event *event = &batch->events[publish->first];
    struct exchange *exchange = publish_accepted(publish, false);
    if (!exchange)
        return;
    struct buf *receipt = publish_receipt(exchange);
    struct json_writer writer = json_writer(receipt);
    json_object_begin(&writer);
    receipt_write(&writer, event, &exchange->worker->submitter.times);
    json_object_end(&writer);
    buf_add_char(receipt, '\n');
    int status = event->state == EVENT_DUPLICATE   ? 200
                 : event->state == EVENT_EPHEMERAL ? 202
                                                   : 201;
    if (buf_failed(receipt))
        api_problem(exchange, PROBLEM_FATE_UNKNOWN, "no memory for the answer");
    else
        publish_answer(exchange, status, batch, buf_str(receipt));
}

/* ---- submitting ------------------------------------------------------------------------------ */

struct publisher publish_publisher(const struct exchange *exchange)
{
    const struct request_stream *request = exchange->request;
    return (struct publisher){.access = exchange_access(exchange),
                              .keyspace = caller_name(exchange->caller),
                              .conn = request ? request_stream_conn(request) : NULL,
                              .request = request ? request_stream_id(request) : 0};
}

void publish_submit(struct exchange *exchange, const struct publisher *publisher,
                    struct proposal *proposal,
                    void (*done)(struct publish *publish, struct batch *batch))
{
    struct str content_type = http_header(exchange->head, STR("content-type"));
    struct refusal refusal;
    exchange->publish.done = done;
    proposal->accepted_ns = exchange->since_ns;
    proposal->scan = exchange->worker->checked;
    if (!proposal_take_body(proposal, content_type, exchange_input(exchange), &refusal) ||
        !submit_proposal(&exchange->worker->submitter, publisher, proposal, &exchange->publish,
                         &refusal))
        exchange_refusal(exchange, &refusal, STR_NONE);
}

/* ---- what a request says of its event -------------------------------------------------------- */

/* Memory for the proposal's strings. */
struct room {
    struct buf channel; /* from a path with escapes */
    struct buf type;    /* from the query; headers are borrowed */
    char key[KEY_MAX_BYTES];
};

static bool refuse(struct exchange *exchange, enum problem problem, const char *detail)
{
    api_problem(exchange, problem, detail);
    return false;
}

/* Refuse a malformed number: ignoring it would let a loop run for ever. */
bool publish_read_hops(struct exchange *exchange, uint8_t *ret_hops)
{
    struct str value = http_header(exchange->head, STR("event-hops"));
    uint64_t hops = 0;
    *ret_hops = 0;
    if (!value.at)
        return true;
    if (http_fields_repeat(&exchange->head->fields, STR("event-hops")) ||
        http_number(value, &hops) || hops > EVENT_HOPS_MAX)
        return refuse(exchange, PROBLEM_BAD_PARAMETER,
                      "send one Event-Hops header, with a number from 0 to 255");
    *ret_hops = (uint8_t)hops;
    return true;
}

static bool take_key(struct exchange *exchange, struct proposal *proposal, struct room *room,
                     struct str value)
{
    size_t len;
    if (http_idempotency_key(value, room->key, sizeof(room->key), &len))
        return refuse(exchange, PROBLEM_BAD_KEY,
                      "a key has 1 to 255 bytes, with or without quotes");
    proposal->key = (struct str){room->key, len};
    proposal->has_key = true;
    return true;
}

static bool take_except(struct exchange *exchange, struct proposal *proposal, struct str value)
{
    return conn_name_read(&exchange->worker->config.names, value, &proposal->except) ||
           refuse(exchange, PROBLEM_BAD_PARAMETER, "except (Event-Except) is " CONN_NAME_RULE);
}

static bool read_except(struct exchange *exchange, struct proposal *proposal)
{
    struct str value = http_header(exchange->head, STR("event-except"));
    if (!value.at)
        return true; /* the common case */
    if (http_fields_repeat(&exchange->head->fields, STR("event-except")))
        return refuse(exchange, PROBLEM_BAD_REQUEST, "send Event-Except at most once");
    return take_except(exchange, proposal, value);
}

enum { TYPE, KEY, EPHEMERAL, EXCEPT, ROWS };

static const struct parameter rows[ROWS] = {
    [TYPE] = {.name = {"type", 4},
              .kind = PARAMETER_TEXT,
              .least = 1,
              .most = TYPE_TEXT_MAX,
              .example = "trade",
              .meant = "event event_type event-type"},
    [KEY] = {.name = {"key", 3},
             .kind = PARAMETER_TEXT,
             .example = "order-17",
             .meant = "id idempotency_key idempotency-key idempotencyKey"},
    [EPHEMERAL] = {.name = {"ephemeral", 9},
                   .kind = PARAMETER_BOOLEAN,
                   .example = "1",
                   .meant = "transient volatile"},
    [EXCEPT] = {.name = {"except", 6},
                .kind = PARAMETER_TEXT,
                .example = "5f1c0a9be27d43881b6e09d4",
                .meant = "connection exclude socket_id"},
};

struct parameter_table publish_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

struct publish_query {
    struct proposal *proposal;
    struct room *room;
};

/* A header takes precedence over the parameter of the same meaning. */
static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    const struct publish_query *query = context;
    struct proposal *proposal = query->proposal;
    struct room *room = query->room;
    if (found->row == EXCEPT) {
        return proposal->except || take_except(exchange, proposal, found->value);
    } else if (found->row == EPHEMERAL) {
        proposal->ephemeral = found->number;
    } else if (found->row == KEY) {
        return proposal->has_key || take_key(exchange, proposal, room, found->value);
    } else if (found->row == TYPE && !proposal->type.len) {
        buf_add_str(&room->type, found->value);
        proposal->type = buf_str(&room->type);
        return query_has_room(exchange, &room->type);
    }
    return true;
}

/* Parameters with the meaning of a header. */
static bool read_query(struct exchange *exchange, struct proposal *proposal, struct room *room)
{
    struct publish_query query = {proposal, room};
    if (!exchange->head->query.len)
        return true; /* the common case */
    return query_read(exchange, publish_parameters(), PROBLEM_BAD_PARAMETER, take, &query);
}

static bool read_if_match(struct exchange *exchange, struct proposal *proposal)
{
    struct str value = http_header(exchange->head, STR("if-match")), opaque;
    if (!value.at)
        return true;
    if (http_if_match(value, &opaque) || !event_id_read(opaque, &proposal->if_match))
        return refuse(exchange, PROBLEM_BAD_CURSOR, "If-Match is one event id in double quotes");
    proposal->has_if_match = true;
    return true;
}

static bool has_repeats(const struct exchange *exchange)
{
    const struct http_fields *fields = &exchange->head->fields;
    return http_fields_repeat(fields, STR("event-type")) ||
           http_fields_repeat(fields, STR("idempotency-key")) ||
           http_fields_repeat(fields, STR("if-match")) ||
           http_fields_repeat(fields, STR("content-type"));
}

static bool read_proposal(struct exchange *exchange, struct str rest, struct proposal *proposal,
                          struct room *room)
{
    const struct http_head *head = exchange->head;
    if (has_repeats(exchange))
        return refuse(
            exchange, PROBLEM_BAD_REQUEST,
            "send Event-Type, Idempotency-Key, If-Match and Content-Type at most once each");
    if (!channel_decode(exchange, rest, &room->channel, &proposal->channel))
        return false;
    struct str key = http_header(head, STR("idempotency-key"));
    proposal->type = http_header(head, STR("event-type"));
    if ((key.at && !take_key(exchange, proposal, room, key)) || !read_except(exchange, proposal) ||
        !read_query(exchange, proposal, room) || !read_if_match(exchange, proposal))
        return false;
    if (!proposal->type.at)
        proposal->type = TYPE_DEFAULT;
    return true;
}

void publish_handle(struct exchange *exchange, struct str rest)
{
    struct publisher publisher = publish_publisher(exchange);
    struct proposal proposal = {.channel = STR_NONE};
    struct room room; /* the key in it is large, so only fields that must be zero are set */
    room.channel = room.type = (struct buf){0};
    if (read_proposal(exchange, rest, &proposal, &room) &&
        publish_read_hops(exchange, &publisher.hops))
        publish_submit(exchange, &publisher, &proposal, publish_done);
    buf_free(&room.channel);
    buf_free(&room.type);
}

/* ---- trimming -------------------------------------------------------------------------------- */

static void trim_done(struct publish *publish, struct batch *batch)
{
    struct presence *presence =
        container_of(publish, struct exchange, publish)->worker->config.presence;
    if (!publish->verdict && presence)
        presence_forget(presence, batch->events[publish->first].channel);
    struct exchange *exchange = publish_accepted(publish, false);
    if (!exchange)
        return;
    log_upkeep(api_of(exchange)->log);
    api_done(exchange);
}

static void note_trim(struct exchange *exchange, struct str channel)
{
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    json_member_string(&writer, "channel", channel);
    api_note_managed(exchange, "channel deleted", buf_str(&members));
    buf_free(&members);
}

void publish_trim(struct exchange *exchange, struct str rest)
{
    struct publisher publisher = publish_publisher(exchange);
    struct buf channel = {0};
    struct refusal refusal;
    exchange->publish.done = trim_done;
    bool is_read = channel_from_path(exchange, rest, &channel) && query_is_empty(exchange);
    if (is_read && submit_trim(&exchange->worker->submitter, &publisher, buf_str(&channel),
                               &exchange->publish, &refusal))
        note_trim(exchange, buf_str(&channel));
    else if (is_read)
        exchange_refusal(exchange, &refusal, STR_NONE);
    buf_free(&channel);
}
