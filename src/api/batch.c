#include "api/batch.h"

#include "api/answers.h"
#include "api/authorization.h"
#include "api/publish.h"
#include "api/query.h"
#include "base/arena.h"
#include "base/unknown.h"
#include "base/utf8.h"
#include "http/target.h"
#include "publish/event_json.h"
#include "publish/receipt.h"
#include "transport/checked.h"

#include <stdlib.h>

/* ---- an event -------------------------------------------------------------------------------- */

static const struct str members[EVENT_JSON_COUNT] = {
#define MEMBER_NAME(name) {#name, sizeof(#name) - 1},
    EVENT_JSON_MEMBERS(MEMBER_NAME)
#undef MEMBER_NAME
};

/* A fault of one event. */
struct fault {
    struct refusal refusal;
    struct str stray; /* an unknown or repeated member; `at == NULL` for none */
    bool twice;
};

static bool bad(struct fault *fault, const char *detail)
{
    return refusal_set(&fault->refusal, PROBLEM_BAD_EVENT, detail);
}

static bool take_member(struct event_json *json, struct str key, struct str raw,
                        struct fault *fault)
{
    unsigned i = 0;
    while (i < EVENT_JSON_COUNT && !str_eq(members[i], key))
        i++;
    if (i < EVENT_JSON_COUNT && !json->at[i].len) {
        json->at[i] = raw;
        return true;
    }
    fault->stray = key;
    fault->twice = i < EVENT_JSON_COUNT;
    return bad(fault, "a member is unknown, or given twice");
}

/* In POST /events an empty type or content type stands for the default. */
static void drop_empty(struct str *raw)
{
    if (str_eq(*raw, STR("\"\"")))
        *raw = STR_NONE;
}

/* The event at the front of `text`, which may have more behind it; sets its size. */
static bool take_members(struct event_json *json, struct str text, struct json_notes *notes,
                         size_t *ret_size, struct fault *fault)
{
    struct str key, value;
    if (!text.len || text.at[0] != '{')
        return bad(fault, "an event is an object with the members channel and data");
    *ret_size = 0;
    while (json_next_noted(text, ret_size, notes, &key, &value))
        if (!take_member(json, key, value, fault))
            return false;
    drop_empty(&json->type);
    drop_empty(&json->content_type);
    if (!json->ephemeral.len || str_eq(json->ephemeral, STR("false")))
        return true;
    return bad(fault, "a batch is stored: publish ephemeral events to their channel, one by one");
}

/* ---- the two shapes of a batch --------------------------------------------------------------- */

struct shape {
    struct str body;
    struct str rest; /* NDJSON: lines not read yet */
    size_t pos;      /* array: for json_next_begins */
    bool array;
    bool deep; /* the array, or the current line, see JSON_DEPTH_MAX */
    struct exchange *exchange;
    struct event_json_room room;
    struct json_notes notes; /* of the array, or of the current line */
};

/* A malformed member makes the whole event faulty, whichever it is. */
static bool read_event(const struct event_json *json, struct shape *shape,
                       struct proposal *proposal, struct fault *fault)
{
    const struct conn_names *names = &shape->exchange->worker->config.names;
    if (event_json_read(json, names, &shape->room, proposal, &fault->refusal))
        return true;
    if (fault->refusal.problem != PROBLEM_UNAVAILABLE)
        fault->refusal.problem = PROBLEM_BAD_EVENT;
    return false;
}

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

/* Whether the text is JSON; white space around it is allowed. */
static bool is_json(struct shape *shape, struct str text)
{
    struct json_scan room;
    json_notes_begin(&shape->notes, shape->array ? 2 : 1);
    const struct json_scan *scan =
        checked_scan(shape->exchange->worker, text, &room, &shape->notes);
    shape->deep = scan->deep_at != JSON_NOT_DEEP;
    return !scan->error;
}

/* The next element, and in an array what follows it: 1, 0 at the end, or -1 with a fault. */
static int next_element(struct shape *shape, struct str *ret_raw, struct fault *ret_fault)
{
    if (shape->array) {
        bool more = json_next_begins(shape->body, &shape->pos);
        *ret_raw = str_skip(shape->body, shape->pos);
        return more;
    }
    while (shape->rest.at && shape->rest.len) {
        struct str line = trim_line(str_cut(&shape->rest, '\n'));
        if (!line.len)
            continue;
        *ret_raw = line;
        if (is_json(shape, line.len == shape->body.len ? exchange_input(shape->exchange) : line))
            return 1;
        refusal_set(&ret_fault->refusal, PROBLEM_BAD_JSON,
                    utf8_has_mark(line) ? "this line begins with a byte order mark (EF BB BF), "
                                          "which JSON does not have: send it without"
                                        : "this line is not JSON");
        return -1;
    }
    return 0;
}

static void add_stray(struct buf *out, const struct fault *fault)
{
    struct buf known = {0};
    for (unsigned i = 0; i < EVENT_JSON_COUNT; i++)
        buf_addf(&known, "%s%.*s", i ? " " : "", STR_FMT(members[i]));
    if (fault->twice)
        unknown_add_twice(out, "member", fault->stray);
    else
        unknown_add_name(out, "member", fault->stray, buf_str(&known));
    buf_free(&known);
}

static void refuse_index(struct exchange *exchange, const struct fault *fault, uint32_t index)
{
    const struct refusal *refusal = &fault->refusal;
    struct buf more = {0}, detail = {0};
    struct json_writer writer = json_members_writer(&more);
    json_member_number(&writer, "index", index);
    if (fault->stray.at)
        add_stray(&detail, fault);
    if (refusal->retry_ms)
        exchange_refusal(exchange, refusal, buf_str(&more));
    else
        exchange_problem(exchange, refusal->problem,
                         detail.len ? buf_str(&detail) : str_from(refusal->detail), buf_str(&more));
    buf_free(&more);
    buf_free(&detail);
}

static void refuse_count(struct exchange *exchange, uint32_t max)
{
    struct buf detail = {0};
    worker_hit(exchange->worker, LIMIT_BODIES);
    buf_addf(&detail, "a batch has at most %u events: nothing was published", max);
    exchange_problem(exchange, PROBLEM_TOO_LARGE, buf_str(&detail), STR_NONE);
    buf_free(&detail);
}

static bool add_element(struct submission *submission, struct shape *shape, struct str text,
                        struct fault *fault)
{
    struct event_json json = {.may_be_deep = shape->deep};
    struct proposal proposal;
    size_t size;
    if (!take_members(&json, text, &shape->notes, &size, fault) ||
        !read_event(&json, shape, &proposal, fault))
        return false;
    shape->pos += size;
    proposal.accepted_ns = shape->exchange->since_ns;
    return submission_add(submission, &proposal, &fault->refusal);
}

/* Adds all elements; returns their number, or -1 if the exchange was answered. */
static int64_t add_all(struct submission *submission, struct shape *shape)
{
    uint32_t count = 0, max = api_of(shape->exchange)->batch_max;
    struct fault fault = {.stray = STR_NONE};
    struct str raw;
    int result;
    while ((result = next_element(shape, &raw, &fault)) > 0 && count < max &&
           add_element(submission, shape, raw, &fault))
        count++;
    if (!result)
        return count;
    if (result > 0 && count == max)
        refuse_count(shape->exchange, max);
    else
        refuse_index(shape->exchange, &fault, count);
    return -1;
}

static void add_receipts(struct buf *body, const struct event *events, uint32_t count,
                         struct rfc3339_memo *times)
{
    struct json_writer writer = json_writer(body);
    json_object_begin(&writer);
    json_name(&writer, "events");
    json_array_begin(&writer);
    for (uint32_t i = 0; i < count; i++) {
        json_object_begin(&writer);
        receipt_write(&writer, &events[i], times);
        json_object_end(&writer);
    }
    json_array_end(&writer);
    json_object_end(&writer);
    buf_add_char(body, '\n');
}

static void batch_done(struct publish *publish, struct batch *batch)
{
    struct exchange *exchange = publish_accepted(publish, true);
    if (!exchange)
        return;
    struct buf *body = publish_receipt(exchange);
    add_receipts(body, batch->events + publish->first, publish->count,
                 &exchange->worker->submitter.times);
    if (buf_failed(body))
        api_problem(exchange, PROBLEM_FATE_UNKNOWN, "no memory for the answer");
    else
        publish_answer(exchange, 201, batch, buf_str(body));
}

static bool begin(struct exchange *exchange, struct shape *shape)
{
    struct str body = trim_line(exchange_input(exchange));
    *shape = (struct shape){
        .body = body, .rest = body, .array = body.len && body.at[0] == '[', .exchange = exchange};
    if (shape->array && !is_json(shape, exchange_input(exchange))) {
        api_problem(exchange, PROBLEM_BAD_JSON,
                    "the body begins like a JSON array, but is not valid JSON");
        return false;
    }
    if (!body.len)
        api_problem(exchange, PROBLEM_BAD_JSON,
                    "the body is empty: send a JSON array of events, or NDJSON");
    return body.len > 0;
}

/* Refuses parameters of a single event. Here they belong into each event; to ignore them would
 * publish something else than asked. */
static bool asks_for_one(struct exchange *exchange)
{
    static const char *const names[] = {"ephemeral", "except", "key", "type"};
    struct str query = exchange->head->query, name, value;
    bool one = http_header(exchange->head, STR("idempotency-key")).at ||
               http_header(exchange->head, STR("event-type")).at ||
               http_header(exchange->head, STR("event-except")).at ||
               http_header(exchange->head, STR("if-match")).at;
    while (http_query_next(&query, &name, &value))
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            one = one || http_query_name_is(name, str_from(names[i]));
    return one;
}

/* Answers a body without events, such as [], which is accepted. */
static void answer_none(struct exchange *exchange)
{
    struct buf body = {0};
    add_receipts(&body, NULL, 0, NULL);
    if (buf_failed(&body))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        exchange_json(exchange, 201, buf_str(&body));
    buf_free(&body);
}

static void submit_all(struct shape *shape)
{
    struct exchange *exchange = shape->exchange;
    struct publisher publisher = publish_publisher(exchange);
    struct submission submission;
    struct refusal refusal;
    if (!publish_read_hops(exchange, &publisher.hops))
        return;
    if (!submission_begin(&submission, &exchange->worker->submitter, &publisher, &refusal)) {
        exchange_refusal(exchange, &refusal, STR_NONE);
        return;
    }
    int64_t count = add_all(&submission, shape);
    if (count > 0) {
        exchange->publish.done = batch_done;
        submission_end(&submission, &exchange->publish);
        return;
    }
    submission_drop(&submission);
    if (!count)
        answer_none(exchange);
}

/* ---- channels of the operator's server --------------------------------------------------------
 */

/* The channels of a batch. */
struct named {
    struct arena arena;
    struct str *at;
    size_t count, room;
};

/* Adds the channel of the element at the front of `text`. False if the handler is to refuse it. */
static bool add_channel(struct named *named, struct shape *shape, struct str text)
{
    struct event_json json = {.may_be_deep = shape->deep};
    struct proposal proposal;
    struct fault fault;
    size_t size;
    if (named->count == named->room || !take_members(&json, text, &shape->notes, &size, &fault) ||
        !read_event(&json, shape, &proposal, &fault))
        return false;
    shape->pos += size;
    if (named->count && str_eq(named->at[named->count - 1], proposal.channel))
        return true;
    struct str kept = arena_copy(&named->arena, proposal.channel);
    if (kept.at)
        named->at[named->count++] = kept;
    return kept.at;
}

/* Asks whether the caller may publish to all channels of the body. What is malformed is left to the
 * handler. False: the exchange waits, or was answered. */
static bool ask_for_all(struct exchange *exchange)
{
    struct shape shape;
    struct named named = {.room = api_of(exchange)->batch_max};
    struct fault fault;
    struct str raw;
    if (!begin(exchange, &shape))
        return false;
    named.at = mem_try_alloc(named.room * sizeof(*named.at));
    while (named.at && next_element(&shape, &raw, &fault) > 0 && add_channel(&named, &shape, raw))
        ;
    event_json_room_free(&shape.room);
    bool goes_on = authorization_allow(exchange, ACTION_PUBLISH, named.at, named.count);
    arena_free(&named.arena);
    free(named.at);
    return goes_on;
}

void batch_handle(struct exchange *exchange)
{
    struct shape shape;
    if (asks_for_one(exchange)) {
        api_problem(
            exchange, PROBLEM_BAD_PARAMETER,
            "type, key and except are members of each event; ephemeral events and If-Match go to "
            "a channel, one by one");
        return;
    }
    if (!query_is_empty(exchange) || (authorization_asks(exchange) && !ask_for_all(exchange)) ||
        !begin(exchange, &shape))
        return;
    submit_all(&shape);
    event_json_room_free(&shape.room);
}
