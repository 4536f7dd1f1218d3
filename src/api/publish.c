#include "api/publish.h"

#include "api/channel.h"
#include "api/query.h"
#include "base/json.h"
#include "base/utf8.h"
#include "http/condition.h"
#include "http/media.h"
#include "http/token.h"
#include "transport/checked.h"
#include "transport/propose.h"

#include <errno.h>

enum { KEY_MAX = 255, TYPE_TEXT_MAX = 255 };

/* ---- answers --------------------------------------------------------------------------------- */

void publish_answer_refused(struct exchange *exchange, bool many)
{
    const struct publish *publish = &exchange->publish;
    const char *detail;
    enum problem problem = propose_problem(exchange->worker, publish->verdict, &detail);
    struct buf members = {0};
    if (many)
        buf_addf(&members, ",\"index\":%u", publish->fault);
    if (problem == PROBLEM_NOT_NEWEST) {
        buf_add_lit(&members, ",\"newest\":\"");
        buf_add_id(&members, publish->newest);
        buf_add_char(&members, '"');
    }
    exchange_problem(exchange, problem, str_from(detail), buf_str(&members));
    buf_free(&members);
}

/* The largest event of the publish, if it is above the soft limit; else 0. */
static size_t oversize(const struct publish *publish, const struct batch *batch, size_t soft_max)
{
    size_t largest = 0;
    for (uint32_t i = 0; i < publish->count; i++) {
        size_t len = batch->events[publish->first + i].data.len;
        largest = len > largest ? len : largest;
    }
    return largest > soft_max ? largest : 0;
}

void publish_answer(struct exchange *exchange, int status, const struct batch *batch,
                    struct str body)
{
    size_t soft_max = api_of(exchange)->event_soft_max;
    size_t size = soft_max ? oversize(&exchange->publish, batch, soft_max) : 0;
    struct buf *out = exchange_head(exchange, status);
    if (size)
        buf_addf(out,
                 "Event-Warning: %zu bytes are more than many clients take in one message "
                 "(limits.event_soft_max = %zu)\r\n",
                 size, soft_max);
    exchange_body(exchange, STR("application/json"), body);
}

void publish_done(struct publish *publish, struct batch *batch)
{
    struct exchange *exchange = container_of(publish, struct exchange, publish);
    const struct event *event = &batch->events[publish->first];
    if (exchange->dropped) {
        exchange_free(exchange);
        return;
    }
    if (publish->verdict) {
        publish_answer_refused(exchange, false);
        return;
    }
    struct buf receipt = {0};
    buf_add_char(&receipt, '{');
    propose_add_receipt(&receipt, event);
    buf_add_lit(&receipt, "}\n");
    int status = event->state == EVENT_DUPLICATE   ? 200
                 : event->state == EVENT_EPHEMERAL ? 202
                                                   : 201;
    if (buf_failed(&receipt))
        api_problem(exchange, PROBLEM_FATE_UNKNOWN, "no memory for the answer");
    else
        publish_answer(exchange, status, batch, buf_str(&receipt));
    buf_free(&receipt);
}

void publish_submit(struct exchange *exchange, struct append *append, uint32_t first,
                    uint32_t count, void (*done)(struct publish *publish, struct batch *batch))
{
    struct publish *publish = &exchange->publish;
    publish->first = first;
    publish->count = count;
    publish->done = done;
    publish->maker =
        propose_maker(exchange->worker, exchange->session ? &exchange->session->conn : NULL);
    append_add(append, publish);
    stat_add(&exchange->worker->stats.publishes, count);
}

/* ---- proposals
 * ----------------------------------------------------------------------------------- */

static void proposal_free(struct proposal *proposal)
{
    buf_free(&proposal->channel);
    buf_free(&proposal->type);
    buf_free(&proposal->key);
}

static bool refuse(struct exchange *exchange, enum problem problem, const char *detail)
{
    api_problem(exchange, problem, detail);
    return false;
}

static bool unquote_key(struct exchange *exchange, struct proposal *proposal, struct str value)
{
    char room[KEY_MAX];
    size_t len;
    if (http_idempotency_key(value, room, sizeof(room), &len))
        return refuse(exchange, PROBLEM_BAD_KEY, "a key has 1 to 255 bytes, in quotes or not");
    buf_clear(&proposal->key);
    buf_add(&proposal->key, room, len);
    proposal->has_key = true;
    return true;
}

enum { TYPE, KEY, EPHEMERAL, ROWS };

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
};

static void take_parameter(struct proposal *proposal, const struct parameter_found *found,
                           bool key_by_header)
{
    if (found->row == TYPE && !proposal->type.len) {
        buf_add_str(&proposal->type, found->value);
    } else if (found->row == KEY && !key_by_header) {
        proposal->has_key = true;
        buf_add_str(&proposal->key, found->value);
    } else if (found->row == EPHEMERAL) {
        proposal->ephemeral = found->number;
    }
}

/* The query's twins of the headers; a header beats its twin. */
static bool read_query(struct exchange *exchange, struct proposal *proposal)
{
    struct parameters parameters;
    struct parameter_found found;
    bool by_header = proposal->has_key;
    int result;
    if (!exchange->head->query.len)
        return true; /* the common case; a key in the header was read already */
    parameters_begin(&parameters, (struct parameter_table){rows, ROWS}, exchange->head->query);
    while ((result = parameters_next(&parameters, &found)) > 0)
        take_parameter(proposal, &found, by_header);
    if (result)
        query_refuse(exchange, &parameters, result, PROBLEM_BAD_PARAMETER);
    parameters_end(&parameters);
    if (result)
        return false;
    return by_header || !proposal->has_key ||
           unquote_key(exchange, proposal, buf_str(&proposal->key));
}

static bool read_if_match(struct exchange *exchange, struct proposal *proposal)
{
    struct str value = http_header(exchange->head, STR("if-match")), opaque;
    if (!value.at)
        return true;
    if (http_if_match(value, &opaque) || parse_id(opaque, &proposal->if_match))
        return refuse(exchange, PROBLEM_BAD_CURSOR, "If-Match is one event id in double quotes");
    proposal->has_if_match = true;
    return true;
}

static bool read_type(struct exchange *exchange, struct proposal *proposal)
{
    const char *why;
    if (!proposal->type.len && !http_header(exchange->head, STR("event-type")).at)
        buf_add_lit(&proposal->type, "message");
    if (!type_valid(buf_str(&proposal->type), &why))
        return refuse(exchange, PROBLEM_BAD_TYPE, why);
    return true;
}

static bool is_text(const struct http_media *media)
{
    return str_eq_nocase(media->type, STR("text")) ||
           str_eq_nocase(media->full, STR("application/x-www-form-urlencoded"));
}

static bool check_json(struct exchange *exchange)
{
    size_t at = 0;
    int result = checked_data(exchange->worker, exchange_input(exchange), &at);
    if (!result)
        return true;
    struct buf members = {0};
    buf_addf(&members, ",\"at\":%zu", at);
    const char *detail =
        result == JSON_E_DEPTH   ? "JSON may be nested 128 deep"
        : result == JSON_E_UTF8  ? "JSON is UTF-8"
        : result == JSON_E_EMPTY ? "the body is empty: send a JSON value, or another Content-Type"
        : utf8_has_mark(exchange_input(exchange))
            ? "the body begins with a byte order mark (EF BB BF), which JSON does not have: send "
              "it without"
            : "the body says it is JSON and is not: `at` is where it stops being so";
    exchange_problem(exchange, PROBLEM_BAD_JSON, str_from(detail), buf_str(&members));
    buf_free(&members);
    return false;
}

bool publish_read_kind(struct exchange *exchange, struct proposal *proposal)
{
    struct str value = http_header(exchange->head, STR("content-type"));
    struct http_media media;
    bool known = value.len && http_media_parse(value, &media) == 0;
    bool utf8 = !known || http_media_is_utf8(&media);
    proposal->kind = EVENT_BINARY;
    proposal->content_type = known ? value : STR("application/octet-stream");
    if (value.len > TYPE_TEXT_MAX || (value.len && !known))
        return refuse(exchange, PROBLEM_BAD_PARAMETER, "Content-Type is not a media type");
    if (known && utf8 && json_media_type(media.full)) {
        proposal->kind = EVENT_JSON;
        if (!http_media_is_special_json(&media))
            proposal->content_type = STR_NONE;
        return check_json(exchange);
    }
    if ((!known || is_text(&media)) && utf8 && utf8_valid(exchange_input(exchange))) {
        proposal->kind = EVENT_TEXT;
        proposal->content_type = STR_NONE;
    }
    return true;
}

/* A number that cannot be read is refused and not passed over: a loop that nothing counts never
 * ends. */
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
                      "Event-Hops is there once, with a number from 0 to 255");
    *ret_hops = (uint8_t)hops;
    return true;
}

static bool has_repeats(const struct exchange *exchange)
{
    static const struct str once[] = {
        {"event-type", 10}, {"idempotency-key", 15}, {"if-match", 8}, {"content-type", 12}};
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
        if (http_fields_repeat(&exchange->head->fields, once[i]))
            return true;
    return false;
}

static bool read_proposal(struct exchange *exchange, struct str rest, struct proposal *proposal)
{
    if (has_repeats(exchange))
        return refuse(exchange, PROBLEM_BAD_REQUEST,
                      "say Event-Type, Idempotency-Key, If-Match and Content-Type once each");
    if (!channel_from_path(exchange, rest, &proposal->channel))
        return false;
    if (channel_is_reserved(buf_str(&proposal->channel)))
        return refuse(exchange, PROBLEM_RESERVED_CHANNEL,
                      "choose a name that does not begin with $");
    buf_add_str(&proposal->type, http_header(exchange->head, STR("event-type")));
    struct str key = http_header(exchange->head, STR("idempotency-key"));
    if ((key.at && !unquote_key(exchange, proposal, key)) || !read_query(exchange, proposal) ||
        !read_if_match(exchange, proposal) || !read_type(exchange, proposal) ||
        !publish_read_hops(exchange, &proposal->hops) || !publish_read_kind(exchange, proposal))
        return false;
    proposal->ephemeral =
        proposal->ephemeral || log_is_ephemeral(api_of(exchange)->log, buf_str(&proposal->channel));
    if (proposal->ephemeral && proposal->has_if_match)
        return refuse(exchange, PROBLEM_BAD_PARAMETER,
                      "an ephemeral event stands in no order: If-Match cannot be kept");
    return true;
}

static bool add_key(struct batch *batch, struct event *event, const struct proposal *proposal)
{
    if (propose_key(batch, event, proposal->subject, buf_str(&proposal->key)))
        return false;
    if (proposal->key_stands) {
        struct event_key *key = arena_alloc(&batch->arena, sizeof(*key));
        if (!key)
            return false;
        *key = *event->key;
        key->content = 0;
        event->key = key;
    }
    return true;
}

static bool add_event(struct exchange *exchange, const struct proposal *proposal,
                      struct append *append)
{
    struct batch *batch = append->batch;
    struct event *event = batch_add(batch);
    if (!event)
        return false;
    event->channel = batch_copy(batch, buf_str(&proposal->channel));
    event->type = batch_copy(batch, buf_str(&proposal->type));
    event->data = batch_copy(batch, exchange_input(exchange));
    event->content_type =
        proposal->content_type.len ? batch_copy(batch, proposal->content_type) : STR_NONE;
    event->kind = (uint8_t)proposal->kind;
    event->hops = proposal->hops;
    event->state = proposal->ephemeral ? EVENT_EPHEMERAL : EVENT_PROPOSED;
    event->accepted_ns = exchange->since_ns;
    event->time_us = clock_wall_us(api_of(exchange)->clock);
    if (!event->channel.at || !event->type.at || !event->data.at ||
        (proposal->content_type.len && !event->content_type.at))
        return false;
    if (proposal->kind == EVENT_JSON)
        propose_one_line(event);
    if (proposal->has_key && !proposal->ephemeral)
        return add_key(batch, event, proposal);
    return true;
}

void publish_propose(struct exchange *exchange, const struct proposal *proposal,
                     void (*done)(struct publish *publish, struct batch *batch))
{
    struct append *append = worker_turn(exchange->worker, proposal->ephemeral);
    uint32_t first = append ? append->batch->count : 0;
    if (!append || !add_event(exchange, proposal, append)) {
        if (append)
            append->batch->count = first;
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: nothing was published; try again");
        return;
    }
    exchange->publish.has_if_match = proposal->has_if_match && !proposal->ephemeral;
    exchange->publish.if_match = proposal->if_match;
    publish_submit(exchange, append, first, 1, done);
}

void publish_handle(struct exchange *exchange, struct str rest)
{
    struct proposal proposal = {0};
    if (read_proposal(exchange, rest, &proposal))
        publish_propose(exchange, &proposal, publish_done);
    proposal_free(&proposal);
}

/* ---- trimming -------------------------------------------------------------------------------- */

static void trim_done(struct publish *publish, struct batch *batch)
{
    struct exchange *exchange = container_of(publish, struct exchange, publish);
    (void)batch;
    if (exchange->dropped) {
        exchange_free(exchange);
        return;
    }
    if (publish->verdict) {
        publish_answer_refused(exchange, false);
        return;
    }
    log_keep_house(api_of(exchange)->log);
    exchange_head(exchange, 204);
    exchange_no_body(exchange);
}

void publish_trim(struct exchange *exchange, struct str rest)
{
    struct buf channel = {0};
    if (channel_from_path(exchange, rest, &channel) && query_is_empty(exchange)) {
        struct append *append = worker_turn(exchange->worker, false);
        uint32_t first = append ? append->batch->count : 0;
        struct event *event = append ? batch_add(append->batch) : NULL;
        struct str name = event ? batch_copy(append->batch, buf_str(&channel)) : STR_NONE;
        if (!event || !name.at) {
            if (append)
                append->batch->count = first;
            api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: nothing was trimmed; try again");
        } else {
            event->channel = name;
            event->state = EVENT_TRIM;
            publish_submit(exchange, append, first, 1, trim_done);
        }
    }
    buf_free(&channel);
}
