#include "api/read.h"

#include "api/answers.h"
#include "api/channel.h"
#include "api/query.h"
#include "http/accept.h"
#include "presence/presence.h"
#include "transport/page.h"
#include "transport/freshet_v1.h"
#include "transport/websocket.h"
#include "transport/stream.h"

#include <stdlib.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    WAIT_MAX = 55,
    BEAT_DEFAULT = 25,
    BEAT_LEAST = 5,
    BEAT_MAX = 60,
};

/* The parameters of a read. `/channels/NAME` has all but the first. */
enum {
    CHANNEL,
    TYPE,
    AFTER,
    LAST_EVENT_ID,
    TOLD,
    BEFORE,
    LAST,
    WAIT,
    STREAM,
    FORMAT,
    LIMIT,
    BEAT,
    ECHO,
    AS,
    ROWS,
};

#define ROW(name_, kind_, ...)                                                                     \
    {                                                                                              \
        .name = {name_, sizeof(name_) - 1}, .kind = PARAMETER_##kind_, __VA_ARGS__                 \
    }

static const struct parameter rows[ROWS] = {
    [CHANNEL] = ROW("channel", TEXT, .repeats = true, .example = "trades/**",
                    .meant = "channels topic topics pattern name"),
    [TYPE] = ROW("type", TEXT, .repeats = true, .example = "trade",
                 .meant = "types event event_type event-type"),
    [AFTER] = ROW("after", TEXT, .example = "1795459080123456", .right = POSITION_WORDS,
                  .meant = "since from cursor offset start id"),
    [LAST_EVENT_ID] = ROW("lastEventId", TEXT, .any_case = true, .also = {"last-event-id", 13},
                          .example = "1795459080123456", .meant = "last_event_id"),
    [TOLD] = ROW("told", ID, .most = EVENT_ID_MAX, .example = "1795459080123456",
                 .right = "an id, the earliest of a gap"),
    [BEFORE] = ROW("before", ID, .most = EVENT_ID_MAX, .example = "1795459080123456",
                   .right = "an event id", .meant = "until to end"),
    [LAST] = ROW("last", NUMBER, .least = 1, .most = POSITION_LAST_MAX, .example = "10",
                 .meant = "tail"),
    [WAIT] = ROW("wait", NUMBER, .most = UINT32_MAX, .example = "25",
                 .right = "a number of seconds, at most 55", .meant = "timeout poll"),
    [STREAM] = ROW("stream", WORD, .words = STREAM_NAMES, .example = "sse",
                   .hint = " (channels are selected by the path /channels/NAME or the parameter "
                           "channel=NAME of /events)"),
    [FORMAT] = ROW("format", WORD, .words = "event data", .example = "data"),
    [LIMIT] = ROW("limit", NUMBER, .least = 1, .most = LIMIT_MAX, .example = "100",
                  .meant = "count size per_page page_size"),
    [BEAT] = ROW("beat", NUMBER, .least = BEAT_LEAST, .most = BEAT_MAX, .example = "25",
                 .meant = "heartbeat keepalive ping"),
    [ECHO] = ROW("echo", BOOLEAN, .example = "0"),
    [AS] = ROW("as", TEXT, .least = 1, .most = PRESENCE_NAME_MAX, .example = "alice",
               .meant = "member user client_id clientId"),
};

struct parameter_table read_parameters_of_events(void)
{
    return (struct parameter_table){rows, ROWS};
}

struct parameter_table read_parameters_of_channel(void)
{
    return (struct parameter_table){rows + CHANNEL + 1, ROWS - CHANNEL - 1};
}

/* The parameters of query and header, before they are interpreted. */
struct asked {
    struct exchange *exchange;
    struct reading *reading;
    struct subscription subscription; /* borrows from the reading's arena */
    struct str text[ROWS];            /* decoded, in the reading's arena; `at == NULL` if absent */
    uint64_t number[ROWS];
    struct buf kept;
};

static bool refuse(struct asked *asked, enum problem problem, const char *detail)
{
    api_refuse(asked->exchange, problem, detail);
    return false;
}

static bool refuse_value(struct asked *asked, enum problem problem, unsigned row)
{
    return query_refuse_value(asked->exchange, problem, &rows[row], asked->text[row]);
}

static bool has(const struct asked *asked, unsigned row)
{
    return asked->text[row].at != NULL;
}

/* ---- the query ------------------------------------------------------------------------------- */

static bool refuse_as(struct asked *asked, const struct refusal *refusal)
{
    api_refuse_as(asked->exchange, refusal);
    return false;
}

/* More channels or types than a request may name. */
static bool refuse_many(struct asked *asked, const struct refusal *refusal)
{
    worker_hit(asked->exchange->worker, LIMIT_SUBSCRIPTIONS);
    return refuse_as(asked, refusal);
}

static bool add_channel(struct asked *asked, struct str value)
{
    struct refusal refusal;
    return subscription_add_term(&asked->subscription, value, &refusal) ||
           refuse_many(asked, &refusal);
}

static bool add_type(struct asked *asked, struct str value)
{
    struct refusal refusal;
    return subscription_add_type(&asked->subscription, value, &refusal) ||
           refuse_many(asked, &refusal);
}

/* Links to other pages and mechanisms keep all parameters but position and mechanism. */
static bool is_kept(unsigned row)
{
    switch (row) {
    case AFTER:
    case LAST_EVENT_ID:
    case TOLD:
    case BEFORE:
    case LAST:
    case WAIT:
    case STREAM:
        return false;
    default:
        return true;
    }
}

static bool take_row(struct asked *asked, unsigned row, const struct parameter_found *found)
{
    if (is_kept(row))
        query_keep(&asked->kept, found);
    if (row >= ROWS)
        return true; /* passed over everywhere */
    struct str value = arena_copy(&asked->reading->arena, found->value);
    if (!value.at)
        return refuse(asked, PROBLEM_UNAVAILABLE, "no memory: try again");
    asked->text[row] = value;
    asked->number[row] = found->number;
    if (row == CHANNEL)
        return add_channel(asked, value);
    return row != TYPE || add_type(asked, value);
}

/* The tables of both routes are parts of `rows`. */
static struct parameter_table table_of(const struct asked *asked)
{
    return asked->reading->channel.len ? read_parameters_of_channel() : read_parameters_of_events();
}

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct asked *asked = context;
    (void)exchange;
    return take_row(asked, (unsigned)(table_of(asked).rows - rows) + found->row, found);
}

static bool read_query(struct asked *asked)
{
    if (!query_read(asked->exchange, table_of(asked), PROBLEM_BAD_CURSOR, take, asked))
        return false;
    asked->reading->kept = arena_copy(&asked->reading->arena, buf_str(&asked->kept));
    return true;
}

/* ---- interpretation -------------------------------------------------------------------------- */

/* The format that the Accept header prefers: pages, or a stream that it may ask for. */
static enum format_id accepted_format(const struct http_fields *fields)
{
    struct str types[FORMATS_COUNT] = {format_page.content_type};
    enum format_id ids[FORMATS_COUNT] = {FORMAT_PAGE};
    size_t count = 1;
    for (unsigned i = 0; i < FORMATS_COUNT; i++) {
        if (!format_of((enum format_id)i)->is_offered)
            continue;
        types[count] = format_of((enum format_id)i)->content_type;
        ids[count++] = (enum format_id)i;
    }
    int best = http_accept_best(fields, types, count);
    return best < 0 ? FORMAT_PAGE : ids[best];
}

static enum mechanism mechanism_of(const struct reading *reading)
{
    return format_of(reading->format)->mechanism;
}

static void read_mechanism(struct asked *asked)
{
    struct reading *reading = asked->reading;
    const struct http_head *head = asked->exchange->head;
    if (head->upgrade_websocket)
        reading->format = reading->channel.len ? FORMAT_WEBSOCKET : FORMAT_FRESHET_V1;
    else if (has(asked, STREAM))
        reading->format = (enum format_id)asked->number[STREAM]; /* streams stand in front */
    else
        reading->format = accepted_format(&head->fields);
}

static void read_wait(struct asked *asked)
{
    struct reading *reading = asked->reading;
    uint32_t wait = 0;
    if (has(asked, WAIT))
        wait = (uint32_t)asked->number[WAIT];
    else
        reading->prefer_wait = http_prefer_wait(&asked->exchange->head->fields, &wait);
    reading->wait_s = wait > WAIT_MAX ? WAIT_MAX : wait;
}

static void read_numbers(struct asked *asked)
{
    struct reading *reading = asked->reading;
    reading->limit = has(asked, LIMIT) ? (uint32_t)asked->number[LIMIT] : LIMIT_DEFAULT;
    reading->beat_s = has(asked, BEAT) ? (uint32_t)asked->number[BEAT] : BEAT_DEFAULT;
    reading->no_echo = has(asked, ECHO) && !asked->number[ECHO];
}

static void read_format(struct asked *asked)
{
    struct reading *reading = asked->reading;
    reading->data = format_of(reading->format)->data_of_channel && reading->channel.len;
    if (has(asked, FORMAT))
        reading->data = asked->number[FORMAT]; /* event, data */
}

/* The header, or the parameter by which polyfills of EventSource resume. A browser that sends the
 * header is further than its URL. */
static struct str last_event_id_of(const struct asked *asked)
{
    struct str header = http_header(asked->exchange->head, STR("last-event-id"));
    return header.len ? header : asked->text[LAST_EVENT_ID];
}

/* Last-Event-ID takes precedence over `after`, and that over `last`. The ignored ones must be
 * valid, too. */
static bool read_position(struct asked *asked)
{
    struct reading *reading = asked->reading;
    struct position *from = &reading->from;
    struct str seen = last_event_id_of(asked);
    from->kind = mechanism_of(reading) == MECHANISM_POLL ? POSITION_EARLIEST : POSITION_NOW;
    if (has(asked, LAST)) {
        from->last = (uint32_t)asked->number[LAST];
        from->kind = POSITION_LAST;
    }
    if (has(asked, AFTER) && !position_read(from, asked->text[AFTER]))
        return refuse_value(asked, PROBLEM_BAD_CURSOR, AFTER);
    from->told = asked->number[TOLD];
    if (seen.len) /* not refused: a browser sends the header by itself and cannot correct it */
        from->kind = event_id_read(seen, &from->id) ? POSITION_CURSOR : POSITION_UNREADABLE;
    if (seen.len && from->told < from->id)
        from->told = 0; /* the browser is further than the URL, which it cannot correct */
    return true;
}

static bool read_before(struct asked *asked)
{
    struct reading *reading = asked->reading;
    if (!has(asked, BEFORE))
        return true;
    if (mechanism_of(reading) != MECHANISM_POLL)
        return refuse(asked, PROBLEM_BAD_PARAMETER, "before is for pages: streams go forward");
    reading->before = asked->number[BEFORE];
    reading->has_before = true;
    return true;
}

static bool read_selection(struct asked *asked)
{
    struct reading *reading = asked->reading;
    const struct subscriber subscriber = {exchange_access(asked->exchange),
                                          worker_is_full(asked->exchange->worker)};
    struct refusal refusal;
    reading->as = asked->subscription.as = asked->text[AS];
    if (reading->channel.len && !add_channel(asked, reading->channel))
        return false;
    bool may_be_empty = reading->format == FORMAT_FRESHET_V1;
    if (!asked->subscription.terms_count && !may_be_empty)
        return refuse(asked, PROBLEM_BAD_PARAMETER,
                      "say which channels: /events?channel=a&channel=b/**");
    reading->selection = subscription_select(&asked->subscription, &subscriber, &refusal);
    return reading->selection || refuse_as(asked, &refusal);
}

/* Whether a stream is compressed: the client wants it, and the namespaces of its channels allow it.
 * Pages that anybody may read need no leave: an attacker can read them as they are. */
static void read_coding(struct asked *asked)
{
    struct reading *reading = asked->reading;
    struct exchange *exchange = asked->exchange;
    if (mechanism_of(reading) == MECHANISM_POLL && exchange->caller &&
        !log_may_compress(exchange->worker->config.log, reading->selection))
        exchange->gzip = HTTP_GZIP_NO;
    reading->may_gzip = mechanism_of(reading) == MECHANISM_STREAM &&
                        log_may_compress(exchange->worker->config.log, reading->selection);
    reading->gzip = reading->may_gzip && http_accept_gzip(&exchange->head->fields) != HTTP_GZIP_NO;
}

static bool read_all(struct asked *asked)
{
    if (!read_query(asked))
        return false;
    read_mechanism(asked);
    read_wait(asked);
    read_numbers(asked);
    read_format(asked);
    if (!read_selection(asked))
        return false;
    read_coding(asked);
    return read_position(asked) && read_before(asked);
}

static void begin(struct exchange *exchange, struct reading *reading)
{
    switch (mechanism_of(reading)) {
    case MECHANISM_STREAM:
        stream_begin(exchange, reading);
        break;
    case MECHANISM_POLL:
        page_begin(exchange, reading);
        break;
    case MECHANISM_WEBSOCKET:
        (reading->channel.len ? channel_websocket_begin : freshet_v1_begin)(exchange, reading);
        break;
    }
}

static void read_request(struct exchange *exchange, struct str channel)
{
    struct asked *asked = mem_try_alloc(sizeof(*asked));
    if (!asked) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    *asked = (struct asked){.exchange = exchange, .reading = reading_new()};
    if (!asked->reading) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        free(asked);
        return;
    }
    struct reading *reading = asked->reading;
    reading->channel = arena_copy(&reading->arena, channel);
    bool is_anybody = !exchange->caller; /* more than the bytes of the head decides over others */
    bool good = read_all(asked);         /* a request that is refused is gone */
    if (good && is_anybody && mechanism_of(reading) == MECHANISM_POLL)
        request_cache_keep(&exchange->worker->request_cache, exchange, reading);
    buf_free(&asked->kept);
    free(asked);
    if (good)
        begin(exchange, reading);
    else
        reading_free(reading);
}

void read_known(struct exchange *exchange)
{
    const struct subscriber subscriber = {exchange_access(exchange),
                                          worker_is_full(exchange->worker)};
    struct refusal refusal;
    if (!subscription_check_selection(exchange->worker->known->selection, &subscriber, &refusal))
        exchange_refusal(exchange, &refusal, STR_NONE);
    else
        begin(exchange, reading_share(exchange->worker->known));
}

void read_channel(struct exchange *exchange, struct str rest)
{
    struct buf channel = {0};
    if (channel_from_path(exchange, rest, &channel))
        read_request(exchange, buf_str(&channel));
    buf_free(&channel);
}

void read_events(struct exchange *exchange)
{
    read_request(exchange, STR_NONE);
}
