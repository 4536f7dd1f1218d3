#include "bench/publisher.h"

#include "bench/answer.h"
#include "bench/mark.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static void ready(struct load_watch *watch, uint32_t events);

void publisher_init(struct publisher *publisher, struct load *load, uint32_t index)
{
    *publisher =
        (struct publisher){.watch = {.ready = ready},
                           .load = load,
                           .socket = {.fd = -1},
                           .index = index,
                           .lane = index,
                           .asked = mem_alloc(load->plan->in_flight * sizeof(struct asked))};
}

void publisher_deinit(struct publisher *publisher)
{
    client_socket_close(&publisher->socket);
    free(publisher->asked);
    buf_free(&publisher->out);
    buf_free(&publisher->in);
}

static void broken(struct publisher *publisher, const char *reason)
{
    struct load *load = publisher->load;
    load->broken++;
    load->publishing = false;
    load_complain(load, "a publisher: %s", reason);
    client_socket_close(&publisher->socket);
    publisher->connected = false;
}

bool publisher_has_room(const struct publisher *publisher)
{
    return publisher->in_flight < publisher->load->plan->in_flight;
}

/* Adds a copy of the request, whose holes are still empty. */
static char *add_request(struct publisher *publisher, const struct target_publish *request,
                         uint64_t now)
{
    struct load *load = publisher->load;
    char *at = buf_reserve(&publisher->out, request->bytes.len);
    if (!at)
        return NULL;
    memcpy(at, request->bytes.at, request->bytes.len);
    publisher->out.len += request->bytes.len;
    publisher->asked[publisher->sent++ % load->plan->in_flight] =
        (struct asked){now, request->events};
    publisher->in_flight++;
    load->published += request->events;
    return at;
}

static void fill_event(struct load *load, char *at, const struct target_publish *request,
                       uint32_t lane, uint64_t now)
{
    struct mark mark = {lane, tally_publish(&load->tally, lane), now};
    uint32_t channels = load->tally.channels;
    mark_write_hex(at + request->channel_at, lane < channels ? lane : lane % channels);
    mark_write(at + request->mark_at, mark);
}

void publisher_push(struct publisher *publisher, uint32_t lane, uint64_t now)
{
    const struct target_publish *request = &publisher->load->publish_one;
    char *at = add_request(publisher, request, now);
    if (at)
        fill_event(publisher->load, at, request, lane, now);
}

/* xorshift64*: the choice of channels need not be unpredictable. */
static uint64_t draw(struct load *load)
{
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    return load->random * 0x2545f4914f6cdd1d;
}

static uint32_t next_lane(struct publisher *publisher)
{
    struct load *load = publisher->load;
    uint32_t step = load->tally.publishers, lanes = load->tally.lanes;
    uint32_t first = publisher->index + plan_first_live(load->plan);
    uint32_t own = (lanes - first + step - 1) / step;
    if (load->plan->random)
        return first + (uint32_t)((draw(load) >> 32) * own >> 32) * step;
    uint32_t lane = publisher->lane < first ? first : publisher->lane;
    publisher->lane = lanes - lane > step ? lane + step : first;
    return lane;
}

void publisher_push_next(struct publisher *publisher, uint64_t now)
{
    const struct target_publish *request = &publisher->load->publish;
    char *at = add_request(publisher, request, now);
    for (uint32_t i = 0; at && i < request->events; i++, at += request->stride)
        fill_event(publisher->load, at, request, next_lane(publisher), now);
}

void publisher_fill(struct publisher *publisher)
{
    struct load *load = publisher->load;
    uint64_t now = load_now(load);
    while (load->publishing && load->published < load->limit && publisher_has_room(publisher))
        publisher_push_next(publisher, now);
    publisher_flush(publisher);
}

static void begin(struct publisher *publisher)
{
    struct load *load = publisher->load;
    struct load_peer peer = {&load->publish_address, load->publish_address_len, load->publish_tls};
    int result = load_connect(load->epoll_fd, peer, 0, &publisher->watch, &publisher->socket);
    if (!result)
        return;
    load->broken++;
    load->publishing = false;
    load_complain(load, "a publisher: %s", strerror(-result));
}

void publisher_flush(struct publisher *publisher)
{
    if (publisher->socket.fd < 0 && publisher->out.len)
        begin(publisher);
    if (!publisher->connected || !publisher->out.len)
        return;
    ssize_t sent = client_socket_send(&publisher->socket, buf_str(&publisher->out));
    if (sent < 0 && sent != -EAGAIN)
        broken(publisher, load_trouble(publisher->load, &publisher->socket, (int)sent));
    else if (sent > 0)
        buf_drop(&publisher->out, (size_t)sent);
}

static void complain(struct publisher *publisher, const struct answer *answer)
{
    struct load *load = publisher->load;
    struct str rest = answer->head, line = str_cut(&rest, '\r');
    load_complain(load, "a publish to %.*s was answered %.*s %.*s",
                  STR_FMT(load->plan->publish_url.text), STR_FMT(line),
                  (int)(answer->body.len < 300 ? answer->body.len : 300), answer->body.at);
}

static void answered(struct publisher *publisher, const struct answer *answer, uint64_t now)
{
    struct load *load = publisher->load;
    uint64_t in_flight = load->plan->in_flight;
    struct asked asked = publisher->asked[(publisher->sent - publisher->in_flight) % in_flight];
    publisher->in_flight--;
    load->answered += asked.events;
    if (answer->status / 100 != 2) {
        load->refused += asked.events;
        complain(publisher, answer);
        return;
    }
    load->accepted += asked.events;
    if (asked.time_ns >= load->measure_from_ns)
        hist_add(&load->ack_ns, now - asked.time_ns, 1);
}

/* Handles the end of a connection. Some servers close after every response (pushpin does): the next
 * publish connects again. */
static void ended(struct publisher *publisher, int error)
{
    if (error || publisher->in_flight) {
        broken(publisher, error ? load_trouble(publisher->load, &publisher->socket, error)
                                : "the server closed with publishes in flight");
        return;
    }
    client_socket_close(&publisher->socket);
    publisher->connected = false;
}

static bool says_close(const struct answer *answer)
{
    return str_eq_nocase(answer_field(answer->head, STR("connection")), STR("close"));
}

/* Takes whole responses from the front; returns their size in bytes. */
static size_t take(struct publisher *publisher, struct str bytes, uint64_t now)
{
    struct answer answer;
    size_t used = 0;
    int result = -EAGAIN;
    while (used < bytes.len && (result = answer_read(str_skip(bytes, used), &answer)) == 0) {
        if (!publisher->in_flight) {
            broken(publisher, "an answer came to nothing that was asked");
            return bytes.len;
        }
        answered(publisher, &answer, now);
        used += answer.size;
        if (!publisher->in_flight && says_close(&answer)) {
            ended(publisher, 0);
            return used;
        }
    }
    if (result != 0 && result != -EAGAIN)
        broken(publisher, "the answer to a publish cannot be read");
    return used;
}

static void receive(struct publisher *publisher)
{
    struct load *load = publisher->load;
    ssize_t got = LOAD_ROOM;
    while (publisher->socket.fd >= 0 &&
           client_socket_has_more(&publisher->socket, got, LOAD_ROOM)) {
        got = client_socket_recv(&publisher->socket, load->room, LOAD_ROOM);
        if (got <= 0) {
            if (got != -EAGAIN)
                ended(publisher, (int)got);
            return;
        }
        load->last_progress_ns = load_now(load);
        struct str bytes = {load->room, (size_t)got};
        if (publisher->in.len) {
            buf_add_str(&publisher->in, bytes);
            buf_drop(&publisher->in,
                     take(publisher, buf_str(&publisher->in), load->last_progress_ns));
        } else {
            buf_add_str(&publisher->in,
                        str_skip(bytes, take(publisher, bytes, load->last_progress_ns)));
        }
    }
}

/* Goes on with the handshake. Returns whether it is over. */
static bool go_on(struct publisher *publisher)
{
    int result = client_socket_shake(&publisher->socket);
    if (result && result != -EAGAIN)
        broken(publisher, load_trouble(publisher->load, &publisher->socket, result));
    publisher->connected = !result;
    return !result;
}

static void ready(struct load_watch *watch, uint32_t events)
{
    struct publisher *publisher = (struct publisher *)watch;
    if (publisher->socket.fd < 0)
        return;
    if (events & EPOLLERR) {
        int error = 0;
        getsockopt(publisher->socket.fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
        broken(publisher, error ? load_trouble(publisher->load, &publisher->socket, -error)
                                : "the connection broke");
        return;
    }
    if (!publisher->connected && !go_on(publisher))
        return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
        receive(publisher);
    /* At a fixed rate the clock decides when to publish, not the responses. */
    if (publisher->load->plan->rate)
        publisher_flush(publisher);
    else
        publisher_fill(publisher);
}
