#include "api/batch.h"

#include "api/channel.h"
#include "api/publish.h"
#include "api/query.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/unknown.h"
#include "base/utf8.h"
#include "http/media.h"
#include "http/target.h"
#include "transport/checked.h"
#include "transport/propose.h"

enum { KEY_MAX = 255, CONTENT_TYPE_MAX = 255 };

/* A batch that is being read, in one of its two shapes. */
struct shape {
    struct str body;
    struct str rest; /* NDJSON: lines not read yet */
    size_t pos;      /* array: for json_next */
    bool array;
    bool deep; /* the array, or the line that was read last, see JSON_DEPTH_MAX */
    uint8_t hops;
    struct exchange *exchange;
};

/* An element of the batch, as far as it was read. */
struct element {
    struct buf channel;
    struct buf type;
    struct buf key;
    struct buf content_type;
    struct buf data; /* decoded, unless it is JSON */
    struct str raw;  /* of JSON data */
    bool has_key;
    bool has_data;
    bool has_base64;
    bool is_text;
    bool special_json; /* content_type is JSON that says more than that */
    bool may_be_deep;  /* the JSON around it is nested deeper than data may be */
    unsigned given;    /* members that were there, a bit each */
};

static void element_free(struct element *element)
{
    buf_free(&element->channel);
    buf_free(&element->type);
    buf_free(&element->key);
    buf_free(&element->content_type);
    buf_free(&element->data);
}

/* NULL when fine, else what is wrong. */
static const char *read_string(struct str raw, struct buf *out, const char *why)
{
    buf_clear(out);
    return json_unescape(raw, out) ? why : NULL;
}

static const char *read_data(struct element *element, struct str raw)
{
    element->has_data = true;
    element->is_text = raw.len && raw.at[0] == '"';
    element->raw = raw;
    if (element->may_be_deep && json_check(raw, JSON_DEPTH_MAX, NULL) == JSON_E_DEPTH)
        return "JSON may be nested 128 deep";
    return element->is_text
               ? read_string(raw, &element->data, "data is a string that UTF-8 cannot say")
               : NULL;
}

static const char *read_base64(struct element *element, struct str raw)
{
    struct buf text = {0};
    const char *why = read_string(raw, &text, "data_base64 is a string");
    element->has_base64 = true;
    if (!why && base64_decode(&element->data, buf_str(&text)))
        why = "data_base64 is not base64 with padding";
    buf_free(&text);
    return why;
}

enum { CHANNEL, DATA, DATA_BASE64, TYPE, KEY, CONTENT_TYPE, EPHEMERAL, MEMBERS };

static const struct str members[MEMBERS] = {
    [CHANNEL] = {"channel", 7},     [DATA] = {"data", 4}, [DATA_BASE64] = {"data_base64", 11},
    [TYPE] = {"type", 4},           [KEY] = {"key", 3},   [CONTENT_TYPE] = {"content_type", 12},
    [EPHEMERAL] = {"ephemeral", 9},
};

static const char *read_member(struct element *element, unsigned member, struct str raw)
{
    switch (member) {
    case CHANNEL:
        return read_string(raw, &element->channel, "channel is a string");
    case DATA:
        return read_data(element, raw);
    case DATA_BASE64:
        return read_base64(element, raw);
    case TYPE:
        return read_string(raw, &element->type, "type is a string");
    case KEY:
        element->has_key = true;
        return read_string(raw, &element->key, "key is a string");
    case CONTENT_TYPE:
        return read_string(raw, &element->content_type, "content_type is a string");
    default:
        return str_eq(raw, STR("false"))
                   ? NULL
                   : "a batch is stored: publish ephemeral events to their channel, one by one";
    }
}

struct fault {
    enum problem problem;
    const char *detail;
    struct str member; /* a member that is unknown, or comes twice; `at == NULL` if there is none */
    bool twice;
};

static struct fault bad(const char *detail)
{
    return (struct fault){.problem = PROBLEM_BAD_EVENT, .detail = detail};
}

static struct fault take_member(struct element *element, struct str key, struct str raw)
{
    unsigned i = 0;
    while (i < MEMBERS && !str_eq(members[i], key))
        i++;
    struct fault fault = bad("a member is unknown or there twice");
    fault.member = key;
    fault.twice = i < MEMBERS;
    if (i == MEMBERS || element->given & 1U << i)
        return fault;
    element->given |= 1U << i;
    return bad(read_member(element, i, raw));
}

static struct fault check_element(struct element *element)
{
    struct fault fine = {.problem = PROBLEM_COUNT};
    struct http_media media;
    const char *why;
    if (!name_valid(buf_str(&element->channel), &why))
        return (struct fault){.problem = PROBLEM_BAD_CHANNEL, .detail = why};
    if (channel_is_reserved(buf_str(&element->channel)))
        return (struct fault){.problem = PROBLEM_RESERVED_CHANNEL,
                              .detail = "choose a name that does not begin with $"};
    if (element->has_data == element->has_base64)
        return bad("an event has either data or data_base64");
    if (!element->type.at)
        buf_add_lit(&element->type, "message");
    if (!type_valid(buf_str(&element->type), &why))
        return (struct fault){.problem = PROBLEM_BAD_TYPE, .detail = why};
    if (element->has_key && (!element->key.len || element->key.len > KEY_MAX))
        return (struct fault){.problem = PROBLEM_BAD_KEY, .detail = "a key has 1 to 255 bytes"};
    if (element->content_type.len > CONTENT_TYPE_MAX ||
        (element->content_type.len && http_media_parse(buf_str(&element->content_type), &media)))
        return bad("content_type is not a media type");
    element->special_json = element->content_type.len && http_media_is_special_json(&media);
    return fine;
}

static struct fault read_element(struct str raw, struct element *element)
{
    struct str key, value;
    if (!raw.len || raw.at[0] != '{')
        return bad("an event is an object: {\"channel\":…,\"data\":…}");
    for (size_t pos = 0; json_next(raw, &pos, &key, &value);) {
        struct fault fault = take_member(element, key, value);
        if (fault.detail)
            return fault;
    }
    return check_element(element);
}

static bool fill_event(const struct shape *shape, struct batch *batch, struct event *event,
                       const struct element *element)
{
    struct exchange *exchange = shape->exchange;
    bool json = element->has_data && !element->is_text;
    bool binary = element->has_base64;
    bool keeps_type = binary || (json && element->special_json);
    struct str content_type = element->content_type.len ? buf_str(&element->content_type)
                                                        : STR("application/octet-stream");
    event->channel = batch_copy(batch, buf_str(&element->channel));
    event->type = batch_copy(batch, buf_str(&element->type));
    event->data = batch_copy(batch, json ? element->raw : buf_str(&element->data));
    event->content_type = keeps_type ? batch_copy(batch, content_type) : STR_NONE;
    event->kind = json ? EVENT_JSON : binary ? EVENT_BINARY : EVENT_TEXT;
    event->hops = shape->hops;
    event->accepted_ns = exchange->since_ns;
    event->time_us = clock_wall_us(api_of(exchange)->clock);
    if (!event->channel.at || !event->type.at || !event->data.at ||
        (keeps_type && !event->content_type.at))
        return false;
    if (json)
        propose_one_line(event);
    if (log_is_ephemeral(api_of(exchange)->log, event->channel))
        event->state = EVENT_EPHEMERAL;
    else if (element->has_key)
        return propose_key(batch, event, STR_NONE, buf_str(&element->key)) == 0;
    return true;
}

static struct fault add_element(const struct shape *shape, struct batch *batch, struct str raw)
{
    struct element element = {.may_be_deep = shape->deep};
    struct fault fault = read_element(raw, &element);
    if (!fault.detail) {
        struct event *event = batch_add(batch);
        if (!event || !fill_event(shape, batch, event, &element))
            fault = (struct fault){.problem = PROBLEM_UNAVAILABLE,
                                   .detail = "no memory: nothing was published; try again"};
    }
    element_free(&element);
    return fault;
}

/* ---- the two shapes of a batch --------------------------------------------------------------- */

static bool is_blank(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] != ' ' && line.at[i] != '\t' && line.at[i] != '\r' && line.at[i] != '\n')
            return false;
    return true;
}

static struct str trim_line(struct str line)
{
    while (line.len && is_blank((struct str){line.at, 1}))
        line = str_skip(line, 1);
    while (line.len && is_blank((struct str){line.at + line.len - 1, 1}))
        line.len--;
    return line;
}

/* Whether the text is JSON; white space around it does not matter. */
static bool is_json(struct shape *shape, struct str text)
{
    struct json_scan room;
    const struct json_scan *scan = checked_scan(shape->exchange->worker, text, &room);
    shape->deep = scan->deep_at != JSON_NOT_DEEP;
    return !scan->error;
}

/* The next element; 1, 0 at the end, or -1 with a fault. */
static int next_element(struct shape *shape, struct str *ret_raw, struct fault *ret_fault)
{
    struct str key;
    if (shape->array)
        return json_next(shape->body, &shape->pos, &key, ret_raw);
    while (shape->rest.at && shape->rest.len) {
        struct str line = trim_line(str_cut(&shape->rest, '\n'));
        if (!line.len)
            continue;
        *ret_raw = line;
        if (is_json(shape, line.len == shape->body.len ? exchange_input(shape->exchange) : line))
            return 1;
        *ret_fault = (struct fault){.problem = PROBLEM_BAD_JSON,
                                    .detail = utf8_has_mark(line)
                                                  ? "this line begins with a byte order mark "
                                                    "(EF BB BF), which JSON does not have: send "
                                                    "it without"
                                                  : "this line is not JSON"};
        return -1;
    }
    return 0;
}

static void add_stray(struct buf *out, const struct fault *fault)
{
    struct buf known = {0};
    for (unsigned i = 0; i < MEMBERS; i++)
        buf_addf(&known, "%s%.*s", i ? " " : "", STR_FMT(members[i]));
    if (fault->twice)
        unknown_add_twice(out, "member", fault->member);
    else
        unknown_add_name(out, "member", fault->member, buf_str(&known));
    buf_free(&known);
}

static void refuse_index(struct exchange *exchange, struct fault fault, uint32_t index)
{
    struct buf more = {0}, detail = {0};
    buf_addf(&more, ",\"index\":%u", index);
    if (fault.member.at)
        add_stray(&detail, &fault);
    exchange_problem(exchange, fault.problem,
                     detail.len ? buf_str(&detail) : str_from(fault.detail), buf_str(&more));
    buf_free(&more);
    buf_free(&detail);
}

static void refuse_count(struct exchange *exchange, uint32_t max)
{
    struct buf detail = {0};
    buf_addf(&detail, "a batch has at most %u events: nothing was published", max);
    exchange_problem(exchange, PROBLEM_TOO_LARGE, buf_str(&detail), STR_NONE);
    buf_free(&detail);
}

/* Adds all elements to the append; the number, or -1 when the exchange was answered. */
static int64_t add_all(struct exchange *exchange, struct append *append, struct shape *shape)
{
    uint32_t count = 0, max = api_of(exchange)->batch_max;
    struct fault fault = {.problem = PROBLEM_COUNT};
    struct str raw;
    while (next_element(shape, &raw, &fault) > 0) {
        if (count == max) {
            refuse_count(exchange, max);
            return -1;
        }
        fault = add_element(shape, append->batch, raw);
        if (fault.detail)
            break;
        count++;
    }
    if (!fault.detail)
        return count;
    refuse_index(exchange, fault, count);
    return -1;
}

static void batch_done(struct publish *publish, struct batch *batch)
{
    struct exchange *exchange = container_of(publish, struct exchange, publish);
    if (exchange->dropped) {
        exchange_free(exchange);
        return;
    }
    if (publish->verdict) {
        publish_answer_refused(exchange, true);
        return;
    }
    struct buf body = {0};
    buf_add_lit(&body, "{\"events\":[");
    for (uint32_t i = 0; i < publish->count; i++) {
        buf_add_str(&body, i ? STR(",{") : STR("{"));
        propose_add_receipt(&body, &batch->events[publish->first + i]);
        buf_add_char(&body, '}');
    }
    buf_add_lit(&body, "]}\n");
    if (buf_failed(&body))
        api_problem(exchange, PROBLEM_FATE_UNKNOWN, "no memory for the answer");
    else
        publish_answer(exchange, 201, batch, buf_str(&body));
    buf_free(&body);
}

static bool begin(struct exchange *exchange, struct shape *shape)
{
    struct str body = trim_line(exchange_input(exchange));
    *shape = (struct shape){
        .body = body, .rest = body, .array = body.len && body.at[0] == '[', .exchange = exchange};
    if (shape->array && !is_json(shape, exchange_input(exchange))) {
        api_problem(exchange, PROBLEM_BAD_JSON, "the body begins like a JSON array and is none");
        return false;
    }
    if (!body.len)
        api_problem(exchange, PROBLEM_BAD_JSON,
                    "the body is empty: send a JSON array of events, or NDJSON");
    return body.len > 0;
}

/* Whether the request has parameters of a single event. In a batch they belong into each event, and
 * to ignore them would publish something else than was asked. */
static bool asks_for_one(struct exchange *exchange)
{
    static const char *const names[] = {"ephemeral", "key", "type"};
    struct str query = exchange->head->query, name, value;
    bool one = http_header(exchange->head, STR("idempotency-key")).at ||
               http_header(exchange->head, STR("event-type")).at ||
               http_header(exchange->head, STR("if-match")).at;
    while (http_query_next(&query, &name, &value))
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            one = one || http_query_name_is(name, str_from(names[i]));
    return one;
}

void batch_handle(struct exchange *exchange)
{
    struct shape shape;
    if (asks_for_one(exchange)) {
        api_problem(exchange, PROBLEM_BAD_PARAMETER,
                    "type and key are members of each event; ephemeral events and If-Match go to "
                    "a channel, one by one");
        return;
    }
    if (!query_is_empty(exchange) || !begin(exchange, &shape) ||
        !publish_read_hops(exchange, &shape.hops))
        return;
    struct append *append = worker_turn(exchange->worker, false);
    if (!append) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: nothing was published; try again");
        return;
    }
    uint32_t first = append->batch->count;
    int64_t count = add_all(exchange, append, &shape);
    if (count < 0)
        append->batch->count = first;
    else if (!count)
        exchange_json(exchange, 201, STR("{\"events\":[]}\n"));
    else
        publish_submit(exchange, append, first, (uint32_t)count, batch_done);
}
