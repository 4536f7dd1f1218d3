/* Drives a whole worker with several connections over socket pairs: requests, streams, polls,
 * WebSockets and freshet.v1 with small caches, small budgets and small limits, so that taking,
 * evicting, sending, putting off and closing meet in every order; allocations may fail.
 *
 * The input is a program: a few bytes of settings, then operations of one byte with one argument.
 * Nothing may crash. When all connections are closed nothing may be held for them any more. Unless
 * memory lacked, a stream that has been there from the start and was neither closed nor told of a
 * gap has every event that the log retains. */
#include "rig.h"

enum { PEERS = 6, OPERATIONS_MAX = 400, SETTINGS = 8 };

struct fuzz {
    struct bench *bench;
    struct peer watcher; /* subscribed from the start, and reads all */
    struct peer peers[PEERS];
    bool joined[PEERS];
    unsigned fail_nth; /* of the allocations of each turn; 0: none fails */
    bool failed;       /* some may have failed */
    bool drained;
};

/* ---- the server's side ----------------------------------------------------------------------- */

static void set_limits(struct bench *bench, const uint8_t *settings)
{
    struct worker_limits *limits = &bench->limits;
    limits->hub.window_bytes = 512U << (settings[0] % 8);
    limits->hub.chunk_bytes = 256U << (settings[1] % 6);
    limits->hub.cache_bytes = 1024U << (settings[2] % 6);
    limits->rests_max = 4096U << (settings[3] % 8);
    limits->held_max = 16384U << (settings[4] % 8);
    limits->pending_max = 4096U << (settings[5] % 8);
    limits->inflight_max = 1 + settings[6] % 8;
    limits->connections_max = PEERS + 1;
}

/* ---- the peers' side ------------------------------------------------------------------------- */

static bool connect_peer(struct fuzz *fuzz, struct peer *peer, bool narrow)
{
    *peer = (struct peer){.fd = rig_connect(fuzz->bench, narrow)};
    return peer->fd >= 0;
}

static void say(const struct peer *peer, struct str bytes)
{
    ssize_t ignored = send(peer->fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
}

static void hear(struct peer *peer, size_t most, bool keep)
{
    char room[8192];
    while (most) {
        size_t want = most < sizeof(room) ? most : sizeof(room);
        ssize_t n = recv(peer->fd, room, want, MSG_DONTWAIT);
        if (n <= 0) {
            peer->ended = peer->ended || n == 0 || errno == ECONNRESET;
            return;
        }
        if (keep)
            buf_add(&peer->got, room, (size_t)n);
        most -= (size_t)n;
    }
}

static void say_frame(const struct peer *peer, uint8_t first, struct str payload)
{
    static const uint8_t mask[4] = {0};
    uint8_t head[WS_HEAD_MAX];
    struct buf frame = {0};
    size_t size = ws_frame_head(head, true, false, WS_TEXT, payload.len, mask);
    head[0] = first;
    buf_add(&frame, head, size);
    buf_add_str(&frame, payload);
    say(peer, buf_str(&frame));
    buf_free(&frame);
}

static void say_publish(const struct peer *peer, size_t size, bool in_chunks)
{
    struct buf request = {0};
    char *body = malloc(size + 1);
    require(body != NULL);
    memset(body, size % 3 ? 'x' : '\x01', size + 1);
    buf_add_lit(&request, "POST /publish HTTP/1.1\r\nHost: x\r\n");
    if (in_chunks)
        buf_addf(&request, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", size + 1);
    else
        buf_addf(&request, "Content-Length: %zu\r\n\r\n", size + 1);
    buf_add(&request, body, size + 1);
    if (in_chunks)
        buf_add_lit(&request, "\r\n0\r\n\r\n");
    say(peer, buf_str(&request));
    buf_free(&request);
    free(body);
}

static const char upgrade_channel[] = PEER_UPGRADE("/socket");
static const char long_message[] = "{\"op\":\"publish\",\"channel\":\"a\","
                                   "\"data\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}";
static const char upgrade_protocol[] = PEER_UPGRADE("/v1");
static const char chunked[] = "POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                              "\r\n1\r\nx\r\n1\r\n";
static const char *const requests[] = {
    "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n",
    upgrade_channel,
    upgrade_protocol,
    "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n",
    "GET /stream HTTP/1.0\r\n\r\n",
    "nonsense\r\n\r\n",
    chunked,
};

static const char *const messages[] = {
    "{\"op\":\"subscribe\",\"channels\":[\"a\"],\"after\":\"earliest\"}",
    "{\"op\":\"subscribe\",\"channels\":[\"a/**\",\"*\"]}",
    "{\"op\":\"subscribe\",\"channels\":[\"b\",\"a/b\"],\"last\":3,\"ref\":1}",
    "{\"op\":\"unsubscribe\",\"channels\":[\"a\",\"b\"]}",
    "{\"op\":\"unsubscribe\",\"channels\":[\"*\",\"a/**\"]}",
    long_message,
    "{\"op\":\"publish\",\"channel\":\"b\",\"data\":{\"a\":[1,2]},\"key\":\"k\"}",
    "{\"op\":\"ping\",\"ref\":\"p\"}",
    "text",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- operations ------------------------------------------------------------------------------ */

static void join(struct fuzz *fuzz, unsigned i, bool narrow)
{
    if (!fuzz->joined[i])
        fuzz->joined[i] = connect_peer(fuzz, &fuzz->peers[i], narrow);
}

static void leave(struct fuzz *fuzz, unsigned i)
{
    if (!fuzz->joined[i])
        return;
    close(fuzz->peers[i].fd);
    fuzz->joined[i] = false;
}

static void append(struct fuzz *fuzz, size_t size, enum event_state state)
{
    char *bytes = malloc(size + 1);
    require(bytes != NULL);
    memset(bytes, 'z', size + 1);
    bench_append_as(fuzz->bench, (struct str){bytes, size + 1}, state);
    free(bytes);
}

static void of_peer(struct fuzz *fuzz, unsigned operation, unsigned i, uint8_t argument)
{
    const struct peer *peer = &fuzz->peers[i];
    switch (operation) {
    case 0:
        say(peer, str_from(requests[argument % COUNT(requests)]));
        break;
    case 1:
        say_publish(peer, (size_t)argument * argument / 4, argument & 1);
        break;
    case 2:
        say_frame(peer, 0x81, str_from(messages[argument % COUNT(messages)]));
        break;
    case 3: /* pings, pongs, closes, pieces of messages, and frames that are none */
        say_frame(peer, (uint8_t)(argument & 0x8f), STR("0123456789"));
        break;
    case 4:
        hear(&fuzz->peers[i], (size_t)argument * argument, false);
        break;
    case 5:
        say(peer, (struct str){"\x81\xfe\x20", 1U + argument % 3});
        break;
    case 6:
        shutdown(peer->fd, SHUT_WR);
        break;
    default:
        leave(fuzz, i);
        break;
    }
}

static void of_server(struct fuzz *fuzz, unsigned operation, uint8_t argument)
{
    struct bench *bench = fuzz->bench;
    switch (operation) {
    case 0:
    case 1:
        rig_turns(bench, fuzz->fail_nth, 1 + argument % 16);
        break;
    case 2:
        clock_fake_advance(&bench->clock, ((int64_t)argument * argument + 64) * 1000);
        rig_turn(bench, fuzz->fail_nth);
        break;
    case 3:
        append(fuzz, (size_t)argument * argument / 2, EVENT_PROPOSED);
        break;
    case 4:
        append(fuzz, argument, argument & 1 ? EVENT_EPHEMERAL : EVENT_TRIM);
        break;
    case 5:
        bench->reading.from.kind = argument & 1 ? POSITION_EARLIEST : POSITION_NOW;
        bench->reading.wait_s = argument & 2 ? 5 : 0;
        bench->reading.no_echo = argument & 4;
        break;
    case 6:
        fuzz->fail_nth = argument;
        fuzz->failed = fuzz->failed || argument;
        break;
    default:
        if (argument > 0xf0 && !fuzz->drained) {
            worker_drain(&bench->worker);
            fuzz->drained = true;
        }
        hear(&fuzz->watcher, SIZE_MAX, true);
        break;
    }
}

/* The highest bit says whose operation it is, three bits which, and the rest whose peer. */
static void run(struct fuzz *fuzz, uint8_t operation, uint8_t argument)
{
    unsigned which = operation >> 4 & 7, i = (operation & 15) % PEERS;
    if (operation & 0x80) {
        of_server(fuzz, which, argument);
        return;
    }
    if (fuzz->joined[i])
        of_peer(fuzz, which, i, argument);
    else
        join(fuzz, i, argument & 1);
}

/* ---- invariants ------------------------------------------------------------------------------ */

static bool holds(const struct buf *text, struct str part)
{
    return text->len && memmem(text->at, text->len, part.at, part.len);
}

/* Every id in a page of all that is retained is one that the watcher has. */
static void check_delivered(struct fuzz *fuzz)
{
    struct bench *bench = fuzz->bench;
    struct peer reader;
    const struct buf *seen = &fuzz->watcher.got;
    bench->reading.from.kind = POSITION_EARLIEST;
    bench->reading.wait_s = 0;
    bench->reading.limit = 1000;
    if (!connect_peer(fuzz, &reader, false))
        return;
    say(&reader, STR("GET /page HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int i = 0; i < BENCH_STEPS; i++) {
        bench_settle(bench);
        hear(&reader, SIZE_MAX, true);
        hear(&fuzz->watcher, SIZE_MAX, true);
    }
    struct str rest = buf_str(&reader.got);
    static const struct str id = {"{\"id\":\"", 7};
    const char *at;
    while (rest.len && (at = memmem(rest.at, rest.len, id.at, id.len))) {
        rest = str_skip(rest, (size_t)(at - rest.at));
        if (rest.len < id.len + 16)
            break;
        require(holds(seen, (struct str){rest.at, id.len + 16}));
        rest = str_skip(rest, id.len);
    }
    close(reader.fd);
    buf_free(&reader.got);
}

static void end(struct fuzz *fuzz)
{
    struct bench *bench = fuzz->bench;
    fuzz->fail_nth = 0;
    for (unsigned i = 0; i < PEERS; i++)
        leave(fuzz, i);
    for (int i = 0; i < BENCH_STEPS; i++) {
        bench_settle(bench);
        hear(&fuzz->watcher, SIZE_MAX, true);
    }
    bool whole = !fuzz->failed && !fuzz->drained && !fuzz->watcher.ended &&
                 !holds(&fuzz->watcher.got, STR("\"op\":\"gap\""));
    if (whole)
        check_delivered(fuzz);
    close(fuzz->watcher.fd);
    buf_free(&fuzz->watcher.got);
    rig_end(bench);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SETTINGS)
        return 0;
    struct fuzz fuzz = {.bench = bench_new()};
    set_limits(fuzz.bench, data);
    bench_begin(fuzz.bench);
    rig_set_budgets(fuzz.bench, data[7]);
    require(connect_peer(&fuzz, &fuzz.watcher, false));
    say(&fuzz.watcher, STR("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
    bench_settle(fuzz.bench);
    size_t operations = (size - SETTINGS) / 2;
    if (operations > OPERATIONS_MAX)
        operations = OPERATIONS_MAX;
    for (size_t i = 0; i < operations; i++)
        run(&fuzz, data[SETTINGS + 2 * i], data[SETTINGS + 2 * i + 1]);
    end(&fuzz);
    return 0;
}
