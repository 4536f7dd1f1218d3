#include "api/read.h"

#include "api/channel.h"
#include "base/rfc3339.h"
#include "http/accept.h"
#include "http/target.h"
#include "transport/page.h"
#include "transport/protocol.h"
#include "transport/socket.h"
#include "transport/stream.h"

#include <errno.h>
#include <stdlib.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    WAIT_MAX = 55,
    BEAT_DEFAULT = 25,
    BEAT_LEAST = 5,
    BEAT_MAX = 60,
};

/* What was found in the query and the header, before it is weighed. */
struct asked {
    struct exchange *exchange;
    struct reading *reading;
    struct str terms[SELECTION_TERMS_MAX];
    struct str types[SELECTION_TERMS_MAX];
    size_t terms_count;
    size_t types_count;
    struct str stream; /* decoded, in the reading's arena; `at == NULL` when not there */
    struct str format;
    struct str after;
    struct str told;
    struct str before;
    struct str last;
    struct str limit;
    struct str wait;
    struct str beat;
    struct str echo;
    struct buf kept;
};

static bool refuse(struct asked *asked, enum problem problem, const char *detail)
{
    api_refuse(asked->exchange, problem, detail);
    return false;
}

/* ---- the query ------------------------------------------------------------------------------- */

static bool add_term(struct asked *asked, struct str *list, size_t *count, struct str value)
{
    if (*count == SELECTION_TERMS_MAX)
        return refuse(asked, PROBLEM_BAD_PARAMETER,
                      "at most 100 channels, patterns or types a request");
    list[(*count)++] = value;
    return true;
}

static bool add_channel(struct asked *asked, struct str value)
{
    const char *why;
    if (asked->reading->channel.len)
        return true; /* the path has said it */
    if (!pattern_valid(value, &why))
        return refuse(asked, PROBLEM_BAD_PATTERN, why);
    return add_term(asked, asked->terms, &asked->terms_count, value);
}

static bool add_type(struct asked *asked, struct str value)
{
    const char *why;
    if (!type_valid(value, &why))
        return refuse(asked, PROBLEM_BAD_TYPE, why);
    return add_term(asked, asked->types, &asked->types_count, value);
}

/* Parameters that say a position or a way, and so do not belong into a link to another. */
static struct str *place_of(struct asked *asked, struct str name)
{
    if (http_query_name_is(name, STR("after")))
        return &asked->after;
    if (http_query_name_is(name, STR("told")))
        return &asked->told;
    if (http_query_name_is(name, STR("before")))
        return &asked->before;
    if (http_query_name_is(name, STR("last")))
        return &asked->last;
    if (http_query_name_is(name, STR("wait")))
        return &asked->wait;
    if (http_query_name_is(name, STR("stream")))
        return &asked->stream;
    return NULL;
}

static struct str *setting_of(struct asked *asked, struct str name)
{
    if (http_query_name_is(name, STR("format")))
        return &asked->format;
    if (http_query_name_is(name, STR("limit")))
        return &asked->limit;
    if (http_query_name_is(name, STR("beat")))
        return &asked->beat;
    if (http_query_name_is(name, STR("echo")))
        return &asked->echo;
    return NULL;
}

static void keep(struct asked *asked, struct str name, struct str value)
{
    buf_add_char(&asked->kept, '&');
    buf_add_str(&asked->kept, name);
    buf_add_char(&asked->kept, '=');
    buf_add_str(&asked->kept, value);
}

/* Decodes a value into the reading's arena; `at == NULL` when that failed and it was refused. */
static struct str decode(struct asked *asked, struct str raw)
{
    struct buf decoded = {0};
    struct str value = STR_NONE;
    int result = http_query_decode(raw, &decoded);
    if (!result)
        value = arena_copy(&asked->reading->arena, buf_str(&decoded));
    buf_free(&decoded);
    if (result > 0)
        refuse(asked, PROBLEM_BAD_PARAMETER, http_target_error_detail(result).at);
    else if (!value.at)
        refuse(asked, PROBLEM_UNAVAILABLE, "no memory: try again");
    return value;
}

static bool read_parameter(struct asked *asked, struct str name, struct str raw)
{
    if (http_query_name_is(name, STR("token")))
        return true;
    struct str value = decode(asked, raw);
    if (!value.at)
        return false;
    struct str *place = place_of(asked, name);
    if (place) {
        *place = value;
        return true;
    }
    keep(asked, name, raw);
    if (http_query_name_is(name, STR("channel")))
        return add_channel(asked, value);
    if (http_query_name_is(name, STR("type")))
        return add_type(asked, value);
    struct str *setting = setting_of(asked, name);
    if (setting)
        *setting = value;
    return true;
}

static bool read_query(struct asked *asked)
{
    struct str rest = asked->exchange->head->query, name, value;
    while (http_query_next(&rest, &name, &value))
        if (!read_parameter(asked, name, value))
            return false;
    asked->reading->kept = arena_copy(&asked->reading->arena, buf_str(&asked->kept));
    return true;
}

/* ---- what it means --------------------------------------------------------------------------- */

static bool read_via(struct asked *asked)
{
    static const struct str offers[] = {
        {"application/json", 16}, {"text/event-stream", 17}, {"application/x-ndjson", 20}};
    static const enum mechanism vias[] = {VIA_POLL, VIA_SSE, VIA_NDJSON};
    struct reading *reading = asked->reading;
    const struct http_head *head = asked->exchange->head;
    if (head->upgrade_websocket) {
        reading->via = VIA_SOCKET;
    } else if (asked->stream.at) {
        reading->via = str_eq(asked->stream, STR("sse"))      ? VIA_SSE
                       : str_eq(asked->stream, STR("ndjson")) ? VIA_NDJSON
                       : str_eq(asked->stream, STR("raw"))    ? VIA_RAW
                                                              : VIA_COUNT;
        if (reading->via == VIA_COUNT)
            return refuse(asked, PROBLEM_BAD_PARAMETER, "stream is sse, ndjson or raw");
    } else {
        int best = http_accept_best(&head->fields, offers, 3);
        reading->via = best < 0 ? VIA_POLL : vias[best];
    }
    return true;
}

static bool read_wait(struct asked *asked)
{
    struct reading *reading = asked->reading;
    uint32_t wait = 0;
    if (asked->wait.at) {
        if (parse_number(asked->wait, 0, UINT32_MAX, &wait))
            return refuse(asked, PROBLEM_BAD_PARAMETER, "wait is a number of seconds, at most 55");
    } else {
        reading->prefer_wait = http_prefer_wait(&asked->exchange->head->fields, &wait);
    }
    reading->wait_s = wait > WAIT_MAX ? WAIT_MAX : wait;
    return true;
}

static bool read_numbers(struct asked *asked)
{
    struct reading *reading = asked->reading;
    reading->limit = LIMIT_DEFAULT;
    reading->beat_s = BEAT_DEFAULT;
    if (asked->limit.at && parse_number(asked->limit, 1, LIMIT_MAX, &reading->limit))
        return refuse(asked, PROBLEM_BAD_PARAMETER, "limit is 1 to 1000");
    if (asked->beat.at && parse_number(asked->beat, BEAT_LEAST, BEAT_MAX, &reading->beat_s))
        return refuse(asked, PROBLEM_BAD_PARAMETER, "beat is 5 to 60 seconds");
    reading->no_echo = str_eq(asked->echo, STR("0"));
    return true;
}

static bool read_format(struct asked *asked)
{
    struct reading *reading = asked->reading;
    reading->data = reading->via == VIA_SSE && reading->channel.len;
    if (reading->via == VIA_RAW)
        reading->data = true;
    if (!asked->format.at)
        return true;
    bool data = str_eq(asked->format, STR("data"));
    if (!data && !str_eq(asked->format, STR("event")))
        return refuse(asked, PROBLEM_BAD_PARAMETER, "format is event or data");
    reading->data = data || reading->via == VIA_RAW;
    return true;
}

static bool read_after(struct asked *asked, struct start *start)
{
    struct str after = asked->after;
    if (str_eq(after, STR("earliest"))) {
        start->kind = START_EARLIEST;
    } else if (str_eq(after, STR("now"))) {
        start->kind = START_NOW;
    } else if (!parse_id(after, &start->id)) {
        start->kind = START_CURSOR;
    } else if (!rfc3339_parse(after, &start->time_us)) {
        start->kind = START_TIME;
    } else {
        return refuse(asked, PROBLEM_BAD_CURSOR,
                      "after is a cursor, earliest, now, or an RFC 3339 time");
    }
    return true;
}

/* Last-Event-ID beats after beats last; whatever loses must still make sense. */
static bool read_start(struct asked *asked)
{
    struct reading *reading = asked->reading;
    struct start *start = &reading->start;
    struct str header = http_header(asked->exchange->head, STR("last-event-id"));
    start->kind = reading->via == VIA_POLL ? START_EARLIEST : START_NOW;
    if (asked->last.at) {
        if (parse_number(asked->last, 1, LIMIT_MAX, &start->last))
            return refuse(asked, PROBLEM_BAD_PARAMETER, "last is 1 to 1000");
        start->kind = START_LAST;
    }
    if (asked->after.at && !read_after(asked, start))
        return false;
    if (asked->told.at && parse_id(asked->told, &start->told))
        return refuse(asked, PROBLEM_BAD_CURSOR, "told is the earliest of a gap");
    if (header.len) /* a browser sends it by itself and cannot correct it, so it is not refused */
        start->kind = parse_id(header, &start->id) ? START_UNREADABLE : START_CURSOR;
    if (header.len && start->told < start->id)
        start->told =
            0; /* the browser has come further than the URL, which it cannot correct either */
    return true;
}

static bool read_before(struct asked *asked)
{
    struct reading *reading = asked->reading;
    if (!asked->before.at)
        return true;
    if (reading->via != VIA_POLL)
        return refuse(asked, PROBLEM_BAD_PARAMETER, "before is for pages: streams go forward");
    if (parse_id(asked->before, &reading->before))
        return refuse(asked, PROBLEM_BAD_CURSOR, "before is an event id");
    reading->has_before = true;
    return true;
}

static bool read_selection(struct asked *asked)
{
    struct reading *reading = asked->reading;
    if (reading->channel.len)
        asked->terms[asked->terms_count++] = reading->channel;
    bool may_be_empty = reading->via == VIA_SOCKET && !reading->channel.len;
    if (!asked->terms_count && !may_be_empty)
        return refuse(asked, PROBLEM_BAD_PARAMETER,
                      "say which channels: /events?channel=a&channel=b/**");
    reading->selection =
        selection_new(asked->terms, asked->terms_count, asked->types, asked->types_count, NULL);
    return reading->selection || refuse(asked, PROBLEM_UNAVAILABLE, "no memory: try again");
}

static bool read_all(struct asked *asked)
{
    return read_query(asked) && read_via(asked) && read_wait(asked) && read_numbers(asked) &&
           read_format(asked) && read_start(asked) && read_before(asked) && read_selection(asked);
}

static void begin(struct exchange *exchange, struct reading *reading, bool one_channel,
                  bool any_channel)
{
    switch (reading->via) {
    case VIA_SOCKET:
        if (one_channel) {
            channel_socket_begin(exchange, reading);
        } else if (any_channel) {
            protocol_begin(exchange, reading);
        } else {
            reading_free(reading);
            protocol_begin(exchange, NULL);
        }
        break;
    case VIA_SSE:
    case VIA_NDJSON:
    case VIA_RAW:
        stream_begin(exchange, reading);
        break;
    default:
        page_begin(exchange, reading);
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
    bool good = read_all(asked);
    bool any = asked->terms_count > 0;
    if (good && reading->via == VIA_POLL)
        repeats_keep(&exchange->worker->repeats, exchange, reading);
    buf_free(&asked->kept);
    free(asked);
    if (good)
        begin(exchange, reading, channel.len > 0, any);
    else
        reading_free(reading);
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
