/* The hot pieces by themselves.
 *     micro              nanoseconds of each
 *     micro NAME COUNT   one of them, COUNT times, for callgrind to count what measure() executes
 */
#include "hub/topics.h"
#include "http/head.h"
#include "net/mailbox.h"
#include "transport/encode.h"
#include "ws/frame.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* The state that the measured pieces use, made once. */
struct bench {
    struct buf out;
    struct http_limits limits;
    struct event event;
    struct mailbox mailbox;
    struct mail mails[16];
    struct topics topics;
    unsigned found;
    unsigned nth;
};

static const char request[] =
    "POST /channels/trades/btc?type=trade HTTP/1.1\r\nHost: 127.0.0.1:7070\r\n"
    "User-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Type: application/json\r\n"
    "Idempotency-Key: 7b1f3c\r\nContent-Length: 100\r\n\r\n";

static const char data[] = "{\"price\": 67123.5, \"size\": 0.25, \"side\": \"buy\", \"venue\": "
                           "\"one of many\", \"seq\": 12345678, "
                           "\"x\": 1}";

enum { PATTERNS = 1000 };

static void head(struct bench *bench)
{
    struct http_head parsed;
    struct http_scan scan = {0};
    if (http_head_parse(STR(request), &bench->limits, &scan, &parsed))
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
    for (unsigned i = 0; i < 16; i++) {
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
    encode_event(NULL, encode_way(ENCODE_SSE, true, true, 0), &bench->out, &bench->event);
}

static void ndjson(struct bench *bench)
{
    buf_clear(&bench->out);
    encode_event(NULL, encode_way(ENCODE_NDJSON, false, true, 0), &bench->out, &bench->event);
}

static const struct piece {
    const char *name;
    void (*run)(struct bench *bench);
} pieces[] = {{"head", head},       {"frame", frame}, {"mailbox", mailbox},
              {"pattern", pattern}, {"sse", sse},     {"ndjson", ndjson}};

enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };

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
    topics_init(&bench->topics);
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
__attribute__((noinline)) static void measure(struct bench *bench, const struct piece *piece,
                                              unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        piece->run(bench);
}

static void tell(struct bench *bench, const struct piece *piece)
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
