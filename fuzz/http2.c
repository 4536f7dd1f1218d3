/* Drives a worker over one connection of HTTP/2 beside a watcher over HTTP/1.1: frames that are
 * well formed and frames that are not, on streams that are open, over or never begun, with small
 * windows, small limits and small budgets; allocations may fail.
 *
 * The input is a program: a few bytes of settings, then operations of one byte with an argument;
 * some take bytes of their own. Nothing may crash. When all connections are closed nothing may be
 * held for them any more. */
#include "rig.h"

enum { SETTINGS = 6, OPERATIONS_MAX = 300, FRAME_HEAD = 9 };

struct fuzz {
    struct bench *bench;
    struct peer watcher; /* over HTTP/1.1: it must go on */
    int fd;
    uint32_t newest; /* stream */
    unsigned fail_nth;
    bool failed;
    bool drained;
};

static void set_limits(struct bench *bench, const uint8_t *settings)
{
    struct worker_limits *limits = &bench->limits;
    limits->http2.streams_max = 1 + settings[0] % 8;
    limits->http2.control_max = 10 + settings[1];
    limits->hub.chunk_bytes = 256U << (settings[2] % 6);
    limits->rests_max = 4096U << (settings[3] % 8);
    limits->held_max = 16384U << (settings[4] % 8);
    limits->connections_max = 4;
}

static void say(const struct fuzz *fuzz, const void *bytes, size_t len)
{
    ssize_t ignored = send(fuzz->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
}

/* Whether the server's side is still open. */
static bool hear(int fd, struct buf *keep, size_t most)
{
    char room[8192];
    ssize_t n = 1;
    while (most) {
        n = recv(fd, room, most < sizeof(room) ? most : sizeof(room), MSG_DONTWAIT);
        if (n <= 0)
            break;
        if (keep)
            buf_add(keep, room, (size_t)n);
        most -= (size_t)n;
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void say_frame(const struct fuzz *fuzz, uint8_t type, uint8_t flags, uint32_t stream,
                      const void *payload, size_t len)
{
    uint8_t head[FRAME_HEAD] = {(uint8_t)(len >> 16),
                                (uint8_t)(len >> 8),
                                (uint8_t)len,
                                type,
                                flags,
                                (uint8_t)(stream >> 24),
                                (uint8_t)(stream >> 16),
                                (uint8_t)(stream >> 8),
                                (uint8_t)stream};
    say(fuzz, head, sizeof(head));
    say(fuzz, payload, len);
}

/* ---- requests -------------------------------------------------------------------------------- */

static size_t add_literal(uint8_t *at, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    at[0] = 0; /* without indexing, new name (RFC 7541 section 6.2.2) */
    at[1] = (uint8_t)name_len;
    memcpy(at + 2, name, name_len);
    at[2 + name_len] = (uint8_t)value_len;
    memcpy(at + 3 + name_len, value, value_len);
    return 3 + name_len + value_len;
}

static void say_request(struct fuzz *fuzz, uint8_t argument)
{
    static const char *const paths[] = {"/stream", "/page", "/poll",    "/socket",
                                        "/v1",     "/echo", "/publish", "/nothing"};
    uint8_t block[512];
    const char *path = paths[argument % 8];
    bool tunnel = argument & 0x40, posts = argument & 0x20;
    size_t len = add_literal(block, ":method", tunnel ? "CONNECT" : posts ? "POST" : "GET");
    len += add_literal(block + len, ":scheme", "http");
    len += add_literal(block + len, ":path", path);
    len += add_literal(block + len, ":authority", "x");
    if (tunnel)
        len += add_literal(block + len, ":protocol", "websocket");
    if (tunnel)
        len += add_literal(block + len, "sec-websocket-version", "13");
    if (argument & 0x10)
        len += add_literal(block + len, "content-encoding", "gzip");
    fuzz->newest += 2;
    say_frame(fuzz, 1, 4 | (posts || tunnel ? 0 : 1), fuzz->newest, block, len);
}

static void of_peer(struct fuzz *fuzz, unsigned operation, uint8_t argument, struct str *rest)
{
    static const char large[4096] = {0};
    uint32_t stream = fuzz->newest - 2 * (argument % 4U);
    size_t own = rest->len < argument % 64U ? rest->len : argument % 64U;
    switch (operation) {
    case 0:
        say_request(fuzz, argument);
        return;
    case 1: /* DATA, perhaps the last; for WebSockets frames that are masked by zeroes */
        say_frame(fuzz, 0, argument & 1, stream, "\x81\x82\0\0\0\0hi", 8);
        return;
    case 2:
        say_frame(fuzz, 0, argument & 1, stream, large, (size_t)argument * 16);
        return;
    case 3: { /* WINDOW_UPDATE of the stream, or of the connection */
        const uint8_t by[4] = {0, 0, argument, 1};
        say_frame(fuzz, 8, 0, argument & 4 ? 0 : stream, by, sizeof(by));
        return;
    }
    case 4: { /* RST_STREAM */
        const uint8_t why[4] = {0, 0, 0, 8};
        say_frame(fuzz, 3, 0, stream, why, sizeof(why));
        return;
    }
    case 5: { /* SETTINGS: the windows of streams */
        const uint8_t window[6] = {0, 4, 0, 0, argument, 0};
        say_frame(fuzz, 4, argument & 1, 0, window, argument & 1 ? 0 : sizeof(window));
        return;
    }
    case 6: /* any frame */
        say_frame(fuzz, argument % 11, argument / 11, argument & 0x80 ? 0 : stream, rest->at, own);
        break;
    default: /* any bytes */
        say(fuzz, rest->at, own);
    }
    *rest = str_skip(*rest, own);
}

static void append(struct fuzz *fuzz, size_t size)
{
    char *bytes = malloc(size + 1);
    require(bytes != NULL);
    memset(bytes, 'z', size + 1);
    bench_append(fuzz->bench, (struct str){bytes, size + 1});
    free(bytes);
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
        append(fuzz, (size_t)argument * argument / 2);
        break;
    case 4:
        (void)hear(fuzz->fd, NULL, (size_t)argument * argument);
        break;
    case 5:
        bench->reading.from.kind = argument & 1 ? POSITION_EARLIEST : POSITION_NOW;
        bench->reading.wait_s = argument & 2 ? 5 : 0;
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
        (void)hear(fuzz->watcher.fd, NULL, SIZE_MAX);
        break;
    }
}

/* The watcher gets an event that is published now, unless it was closed for what it did not read.
 */
static void check_watcher(struct fuzz *fuzz)
{
    struct buf got = {0};
    bool open = true;
    for (int i = 0; i < 2 * BENCH_STEPS; i++) {
        open = open && hear(fuzz->watcher.fd, &got, SIZE_MAX);
        if (i == BENCH_STEPS)
            bench_append(fuzz->bench, STR("the very last"));
        bench_settle(fuzz->bench);
    }
    open = open && hear(fuzz->watcher.fd, &got, SIZE_MAX);
    require(!open || (got.len && memmem(got.at, got.len, "the very last", 13)));
    buf_free(&got);
}

static void end(struct fuzz *fuzz)
{
    struct bench *bench = fuzz->bench;
    fuzz->fail_nth = 0;
    close(fuzz->fd);
    bench_settle(bench);
    if (!fuzz->failed && !fuzz->drained)
        check_watcher(fuzz);
    close(fuzz->watcher.fd);
    rig_end(bench);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (size < SETTINGS)
        return 0;
    struct fuzz fuzz = {.bench = bench_new(), .newest = UINT32_MAX};
    set_limits(fuzz.bench, data);
    bench_begin(fuzz.bench);
    rig_set_budgets(fuzz.bench, data[5]);
    fuzz.watcher.fd = rig_connect(fuzz.bench, false);
    peer_send(&fuzz.watcher, STR("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
    fuzz.fd = rig_connect(fuzz.bench, data[0] & 0x80);
    require(fuzz.watcher.fd >= 0 && fuzz.fd >= 0);
    say(&fuzz, preface, sizeof(preface) - 1);
    say_frame(&fuzz, 4, 0, 0, NULL, 0);
    bench_settle(fuzz.bench);
    struct str rest = {(const char *)data + SETTINGS, size - SETTINGS};
    for (unsigned i = 0; i < OPERATIONS_MAX && rest.len >= 2; i++) {
        uint8_t operation = (uint8_t)rest.at[0], argument = (uint8_t)rest.at[1];
        rest = str_skip(rest, 2);
        if (operation & 0x80)
            of_server(&fuzz, operation & 7, argument);
        else
            of_peer(&fuzz, operation & 7, argument, &rest);
    }
    end(&fuzz);
    return 0;
}
