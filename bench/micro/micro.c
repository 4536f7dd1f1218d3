/* The hot pieces by themselves.
 *     micro              nanoseconds of each
 *     micro NAME COUNT   one of them, COUNT times, for callgrind to count what measure() executes
 */
#include "hub/hub.h"
#include "hub/topics.h"
#include "http/head_memo.h"
#include "http2/http2.h"
#include "net/mailbox.h"
#include "publish/event_json.h"
#include "publish/submit.h"
#include "transport/formats/formats.h"
#include "ws/frame.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATTERNS = 1000, TURN = 16, SUBSCRIBERS = 100 };

/* A hub whose subscribers have one channel, on a log of its own. */
struct audience {
    struct log *log;
    struct mailbox mailbox;
    struct asker asker;
    struct hub hub;
    struct sub subs[SUBSCRIBERS];
    struct publish publish;
    unsigned at; /* the subscriber that takes next */
};

/* The state that the measured pieces use, made once. */
struct bench {
    struct buf out;
    struct http_limits limits;
    struct http_memo memo;
    struct event event;
    struct mailbox mailbox;
    struct mail mails[TURN];
    struct topics topics;
    unsigned found;
    unsigned nth;
    struct log *log; /* in memory, its own port's mail in `mailbox` */
    struct log_port port;
    struct submitter submitter;
    struct publish publishes[TURN];
    struct event_json_room room;
    struct audience audience;
    struct http2 *http2;
    struct http2_limits http2_limits;
    struct http2_stream stream; /* its only one */
    bool has_event;
};

static const char request[] =
    "POST /channels/trades/btc?type=trade HTTP/1.1\r\nHost: 127.0.0.1:7070\r\n"
    "User-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Type: application/json\r\n"
    "Idempotency-Key: 7b1f3c\r\nContent-Length: 100\r\n\r\n";

static const char data[] = "{\"price\": 67123.5, \"size\": 0.25, \"side\": \"buy\", \"venue\": "
                           "\"one of many\", \"seq\": 12345678, "
                           "\"x\": 1}";

static void head(struct bench *bench)
{
    struct http_head parsed;
    struct http_scan scan = {0};
    if (http_head_parse(STR(request), &bench->limits, &scan, &parsed))
        abort();
}

/* The same head again, as each publish of a client has it. */
static void memo(struct bench *bench)
{
    const struct http_head *known;
    struct http_scan scan = {0};
    if (http_memo_parse(&bench->memo, STR(request), &bench->limits, &scan, &known))
        abort();
}

static void frame(struct bench *bench)
{
    buf_clear(&bench->out);
    ws_add_frame(&bench->out, true, false, WS_TEXT, STR(data), NULL);
}

static void opened(struct mail *mail, void *owner)
{
    (void)mail;
    ((struct bench *)owner)->found++;
}

/* Sixteen posts and one look: what a turn of a busy worker has. */
static void mailbox(struct bench *bench)
{
    for (unsigned i = 0; i < TURN; i++) {
        bench->mails[i].open = opened;
        mailbox_post(&bench->mailbox, &bench->mails[i]);
    }
    mailbox_empty(&bench->mailbox);
}

static void found(void *context, struct view *view)
{
    (void)view;
    ((struct bench *)context)->found++;
}

static void pattern(struct bench *bench)
{
    char name[40];
    int len = snprintf(name, sizeof(name), "site/%u/room/7", bench->nth++ % PATTERNS);
    topics_match_patterns(&bench->topics, (struct str){name, (size_t)len}, found, bench);
}

static void sse(struct bench *bench)
{
    buf_clear(&bench->out);
    encode_event(NULL, encoding_of(FORMAT_SSE, true, true, 0), &bench->out, &bench->event);
}

static void ndjson(struct bench *bench)
{
    buf_clear(&bench->out);
    encode_event(NULL, encoding_of(FORMAT_NDJSON, false, true, 0), &bench->out, &bench->event);
}

static void done(struct publish *publish, struct batch *batch)
{
    (void)batch;
    if (publish->verdict)
        abort();
}

static void on_batch(void *owner, struct batch *batch)
{
    ((struct bench *)owner)->found += batch->count;
}

static void submit_one(struct bench *bench, const struct proposal *proposal)
{
    const struct publisher publisher = {.access = {.rules = &rules_open}};
    struct publish *publish = &bench->publishes[bench->nth++ % TURN];
    struct refusal refusal;
    *publish = (struct publish){.done = done};
    if (!submit_proposal(&bench->submitter, &publisher, proposal, publish, &refusal))
        abort();
    if (bench->nth % TURN)
        return;
    submitter_flush(&bench->submitter);
    mailbox_empty(&bench->mailbox);
}

/* From the proposal to its verdict by a log in memory, sixteen a turn. */
static void publish(struct bench *bench)
{
    const struct proposal proposal = {
        .channel = STR("trades/btc"), .type = STR("trade"), .data = STR(data), .kind = EVENT_JSON};
    submit_one(bench, &proposal);
}

/* The same for an event that is an element of a batch, whose members were found. */
static void element(struct bench *bench)
{
    const struct event_json json = {
        .channel = STR("\"trades/btc\""), .type = STR("\"trade\""), .data = STR(data)};
    static const struct conn_names names = {{17, 4}};
    struct proposal proposal;
    struct refusal refusal;
    if (!event_json_read(&json, &names, &bench->room, &proposal, &refusal))
        abort();
    submit_one(bench, &proposal);
}

static void publish_to_audience(struct audience *audience)
{
    struct append *append = append_new(audience->log, &audience->hub.port);
    struct event *event = batch_add(append->batch);
    event->channel = batch_copy(append->batch, STR("trades/btc"));
    event->type = STR("trade");
    event->kind = EVENT_JSON;
    event->data = batch_copy(append->batch, STR(data));
    audience->publish = (struct publish){.count = 1, .done = done};
    append_add(append, &audience->publish);
    log_append(audience->log, append);
    mailbox_empty(&audience->mailbox);
}

/* Makes a delivery, from the hub to the bytes that a socket would take. Each subscriber has its
 * share of the publish, the fan-out and the event's encoding. */
static void delivery(struct bench *bench)
{
    struct audience *audience = &bench->audience;
    struct sub *sub = &audience->subs[audience->at];
    struct taken taken;
    if (!audience->at)
        publish_to_audience(audience);
    if (hub_take(&audience->hub, sub, &taken) != TAKE_BYTES)
        abort();
    hub_sent(&audience->hub, sub, taken.bytes.len, false);
    audience->at = (audience->at + 1) % SUBSCRIBERS;
    if (!audience->at)
        hub_turn_end(&audience->hub);
}

/* ---- an HTTP/2 connection with a stream that has events ---------------------------------------
 */

static struct bench *of_stream(struct http2_stream *stream)
{
    return container_of(stream, struct bench, stream);
}

static struct http2_stream *stream_begin(void *owner)
{
    return &((struct bench *)owner)->stream;
}

static void stream_request(struct http2_stream *stream, const struct http2_request *request_)
{
    struct response response;
    (void)request_;
    response_init(&response, 200);
    response.goes_on = true;
    if (http2_respond(of_stream(stream)->http2, stream, &response, true))
        abort();
    response_deinit(&response);
}

static struct str stream_fill(struct http2_stream *stream, bool *ret_end)
{
    *ret_end = false;
    return of_stream(stream)->has_event ? STR(data) : STR_NONE;
}

static bool stream_sent(struct http2_stream *stream, size_t n, bool blocked)
{
    (void)n;
    (void)blocked;
    of_stream(stream)->has_event = false;
    return false;
}

static const struct http2_ops stream_ops = {
    .begin = stream_begin, .request = stream_request, .fill = stream_fill, .sent = stream_sent};

/* The frame of an event. Now and then the client opens its windows. */
static void http2_frame(struct bench *bench)
{
    enum { EVENTS = 100 };
    /* WINDOW_UPDATE of the connection and of the stream, 16 KiB each */
    static char windows[] = {0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0x40, 0,
                             0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0x40, 0};
    if (bench->nth++ % EVENTS == 0 && http2_receive(bench->http2, windows, sizeof(windows), 1))
        abort();
    bench->has_event = true;
    http2_resume(bench->http2, &bench->stream);
    buf_clear(&bench->out);
    if (http2_gather(bench->http2, &bench->out, 1 << 16) || bench->out.len < sizeof(data))
        abort();
}

static void prepare_http2(struct bench *bench)
{
    /* the preface, SETTINGS of none, and a GET of / */
    static char begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                          "\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\1x";
    bench->http2_limits = (struct http2_limits){100, 1000, 1000};
    bench->http2 = http2_new(bench, &stream_ops, &bench->http2_limits);
    if (!bench->http2 || http2_receive(bench->http2, begin, sizeof(begin) - 1, 1) ||
        http2_gather(bench->http2, &bench->out, 1 << 16) || !bench->stream.id)
        abort();
}

static const struct work {
    const char *name;
    void (*run)(struct bench *bench);
} pieces[] = {{"head", head},         {"memo", memo},        {"frame", frame},
              {"mailbox", mailbox},   {"pattern", pattern},  {"sse", sse},
              {"ndjson", ndjson},     {"publish", publish},  {"element", element},
              {"delivery", delivery}, {"http2", http2_frame}};

enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };

static struct log *open_log(void)
{
    struct log_config config = {.memory = true,
                                .store = {.clock = clock_system()},
                                .bytes_max = 1 << 20,
                                .channels_max = 1000,
                                .keys_max = 10,
                                .key_life_us = 1000000,
                                .readers = 1};
    struct log *log;
    if (log_open(&config, &log))
        abort();
    return log;
}

static void audience_on_batch(void *owner, struct batch *batch)
{
    hub_on_batch(&((struct audience *)owner)->hub, batch);
}

static void wake(struct sub *sub)
{
    (void)sub;
}

static void prepare_audience(struct audience *audience)
{
    static const struct sub_ops ops = {.wake = wake};
    struct hub_limits limits = {
        .window_bytes = 1 << 20, .chunk_bytes = 1 << 14, .cache_bytes = 1 << 20};
    struct str term = STR("trades/btc");
    struct selection *selection = selection_new(&term, 1, NULL, 0, NULL);
    audience->log = open_log();
    mailbox_init(&audience->mailbox, audience);
    asker_init(&audience->asker, audience->log, &audience->mailbox, 0);
    if (!selection || hub_init(&audience->hub, &audience->asker, clock_system(), &audience->mailbox,
                               &limits, encode_event, NULL, audience_on_batch))
        abort();
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        if (hub_subscribe(&audience->hub, &audience->subs[i], &ops, selection,
                          encoding_of(FORMAT_SSE, true, true, 0), log_newest(audience->log), 0))
            abort();
    selection_unref(selection);
}

static void prepare_log(struct bench *bench)
{
    bench->log = open_log();
    bench->port = (struct log_port){.mailbox = &bench->mailbox, .on_batch = on_batch};
    if (log_attach(bench->log, &bench->port))
        abort();
    submitter_init(&bench->submitter, bench->log, &bench->port, clock_system());
}

static void prepare(struct bench *bench)
{
    *bench = (struct bench){.limits = HTTP_LIMITS_DEFAULT};
    bench->event = (struct event){.id = 1795459080123456,
                                  .prev = 1795459080123400,
                                  .time_us = 1795459080123456,
                                  .channel = STR("trades/btc"),
                                  .type = STR("trade"),
                                  .data = STR(data),
                                  .kind = EVENT_JSON,
                                  .state = EVENT_APPENDED};
    mailbox_init(&bench->mailbox, bench);
    prepare_log(bench);
    prepare_audience(&bench->audience);
    prepare_http2(bench);
    topics_init(&bench->topics, log_name_seed(bench->log));
    for (unsigned i = 0; i < PATTERNS; i++) {
        char text[40];
        int len = snprintf(text, sizeof(text), i % 2 ? "site/%u/**" : "site/%u/room/*", i);
        struct str term = {text, (size_t)len};
        struct selection *selection = selection_new(&term, 1, NULL, 0, NULL);
        /* The trie never looks into a view. */
        if (!selection || topics_add_view(&bench->topics, (struct view *)bench, selection))
            abort();
        selection_unref(selection);
    }
}

/* By this name callgrind knows when to count. */
__attribute__((noinline)) static void measure(struct bench *bench, const struct work *piece,
                                              unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        piece->run(bench);
}

static void tell(struct bench *bench, const struct work *piece)
{
    enum { COUNT = 1000000 };
    int64_t start = clock_now_ns(clock_system());
    measure(bench, piece, COUNT);
    printf("%-8s %8.1f ns\n", piece->name, (double)(clock_now_ns(clock_system()) - start) / COUNT);
}

int main(int argc, char **argv)
{
    struct bench bench;
    prepare(&bench);
    for (unsigned i = 0; i < PIECES; i++) {
        if (argc == 1)
            tell(&bench, &pieces[i]);
        else if (argc == 3 && strcmp(argv[1], pieces[i].name) == 0)
            measure(&bench, &pieces[i], (unsigned)atoi(argv[2]));
    }
    return 0;
}
