/* What a connection has subscribed to is a union: each event is sent once.
 *
 * Every `subscribe` makes a *part*: a subscriber of its own for the terms that are new, which leaves
 * out what earlier parts select. It catches up like any subscriber. Once it has, and everything
 * before it has, it is merged into the main part, so that from then on one subscriber gets all
 * events of the connection in the order of the log. Parts merge in the order in which they came;
 * so nothing that is merged can overlap with what still catches up. */
#include "transport/protocol.h"

#include "transport/protocol_ops.h"
#include "ws/handshake.h"

#include <errno.h>
#include <stdlib.h>

/* ---- messages out ---------------------------------------------------------------------------- */

struct session *protocol_session(const struct protocol *protocol)
{
    return protocol->socket.pull.session;
}

void protocol_send(struct protocol *protocol, struct buf *message)
{
    struct session *session = protocol_session(protocol);
    if (buf_failed(message))
        session->out.failed = true;
    else
        ws_add_message(&session->out, &session->worker->deflater, protocol->socket.window_bits,
                       WS_TEXT, buf_str(message));
    buf_free(message);
    session_dirty(session);
}

void protocol_open(struct buf *message, const char *op, struct str ref)
{
    buf_addf(message, "{\"op\":\"%s\"", op);
    if (!ref.len)
        return;
    buf_add_lit(message, ",\"ref\":");
    buf_add_str(message, ref);
}

void protocol_error(struct protocol *protocol, struct str ref, enum problem problem, const char *detail)
{
    struct buf message = {0};
    struct worker *worker = protocol_session(protocol)->worker;
    stat_add(&worker->stats.problems[problem], 1);
    protocol_open(&message, "error", ref);
    buf_add_lit(&message, ",\"problem\":");
    problem_add(&message, worker->config.base, problem, str_from(detail), STR_NONE);
    message.len--; /* the newline */
    buf_add_char(&message, '}');
    protocol_send(protocol, &message);
}

static void send_with_cursor(struct protocol *protocol, const char *op, struct str ref, uint64_t cursor)
{
    struct buf message = {0};
    protocol_open(&message, op, ref);
    buf_add_lit(&message, ",\"cursor\":\"");
    buf_add_id(&message, cursor);
    buf_add_lit(&message, "\"}");
    protocol_send(protocol, &message);
}

static void send_gap(struct protocol *protocol, struct str ref, uint64_t after, uint64_t earliest,
                     const char *reason)
{
    struct buf message = {0};
    protocol_open(&message, "gap", ref);
    buf_add_char(&message, ',');
    encode_gap_members(&message, after, earliest, reason);
    buf_add_char(&message, '}');
    protocol_send(protocol, &message);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void wake(struct sub *sub)
{
    session_dirty(protocol_session(container_of(sub, struct part, sub)->protocol));
}

static const struct sub_ops sub_ops = {wake};

static struct part *part_new(struct protocol *protocol, struct str ref)
{
    struct part *part = mem_try_alloc(sizeof(*part));
    if (!part)
        return NULL;
    *part = (struct part){.protocol = protocol, .serial = protocol->serials++};
    part->ref_len = (uint8_t)ref.len;
    if (ref.len)
        memcpy(part->ref, ref.at, ref.len);
    list_add_last(&protocol->parts, &part->node);
    return part;
}

static struct str part_ref(const struct part *part)
{
    return (struct str){part->ref, part->ref_len};
}

static void part_free(struct part *part)
{
    if (part->search)
        part->search->owner = NULL;
    hub_unsubscribe(&protocol_session(part->protocol)->worker->hub, &part->sub);
    list_remove(&part->node);
    free(part);
}

/* The terms of this part, or with `earlier` of all that came before it. */
static size_t gather(const struct part *part, bool earlier, struct str *out)
{
    size_t count = 0;
    list_each(&part->protocol->terms, node) {
        const struct term *term = container_of(node, struct term, node);
        if (earlier ? term->part->serial < part->serial : term->part == part)
            out[count++] = (struct str){term->name, term->len};
    }
    return count;
}

/* What the part selects now; NULL when there is no memory. */
static struct selection *selection_of(const struct part *part)
{
    struct str terms[SELECTION_TERMS_MAX];
    struct selection *except = NULL;
    if (part != part->protocol->main) {
        size_t count = gather(part, true, terms);
        except = selection_new(terms, count, NULL, 0, NULL);
        if (!except)
            return NULL;
    }
    size_t count = gather(part, false, terms);
    struct selection *selection = selection_new(terms, count, NULL, 0, except);
    selection_unref(except);
    return selection;
}

static void give_up(struct protocol *protocol)
{
    socket_close_problem(&protocol->socket, PROBLEM_UNAVAILABLE);
}

/* Subscribes the part, anew if it was, at `cursor`. */
static bool subscribe_at(struct part *part, uint64_t cursor, uint64_t told)
{
    struct protocol *protocol = part->protocol;
    struct hub *hub = &protocol_session(protocol)->worker->hub;
    struct selection *selection = selection_of(part);
    hub_unsubscribe(hub, &part->sub);
    unsigned way = encode_way(ENCODE_PROTOCOL, false, false, protocol->socket.window_bits);
    bool good = selection && hub_subscribe(hub, &part->sub, &sub_ops, selection, way, cursor, told) == 0;
    selection_unref(selection);
    if (!good)
        give_up(protocol);
    session_dirty(protocol_session(protocol));
    return good;
}

static struct part *oldest_joining(const struct protocol *protocol)
{
    struct part *oldest = NULL;
    list_each(&protocol->parts, node) {
        struct part *part = container_of(node, struct part, node);
        if (part != protocol->main && (!oldest || part->serial < oldest->serial))
            oldest = part;
    }
    return oldest;
}

static bool is_up_to_date(const struct part *part)
{
    return part->sub.state == SUB_NONE || sub_is_live(&part->sub);
}

static void merge(struct protocol *protocol, struct part *part)
{
    struct part *main = protocol->main;
    uint64_t applied = hub_applied(&protocol_session(protocol)->worker->hub);
    uint64_t told = part->sub.told > main->sub.told ? part->sub.told : main->sub.told;
    char ref[PROTOCOL_REF_MAX];
    size_t ref_len = part->ref_len;
    memcpy(ref, part->ref, ref_len);
    list_each(&protocol->terms, node) {
        struct term *term = container_of(node, struct term, node);
        if (term->part == part)
            term->part = main;
    }
    bool silent = part->silent;
    part_free(part);
    if (subscribe_at(main, applied, told) && !silent)
        send_with_cursor(protocol, "live", (struct str){ref, ref_len}, applied);
}

static void merge_ready(struct protocol *protocol)
{
    struct part *part;
    while (is_up_to_date(protocol->main) && (part = oldest_joining(protocol)) && sub_is_live(&part->sub))
        merge(protocol, part);
}

/* ---- subscribing ----------------------------------------------------------------------------- */

static void begin(struct part *part, const struct reading *start)
{
    if (!part->silent)
        send_with_cursor(part->protocol, "ok", part_ref(part), start->cursor);
    if (start->unknown)
        send_gap(part->protocol, part_ref(part), start->claimed, start->told, "unknown");
    subscribe_at(part, start->cursor, start->told);
}

static void found(void *owner, int error, uint64_t cursor, uint64_t told)
{
    struct part *part = owner;
    struct reading start = {.cursor = cursor, .told = told};
    part->search = NULL;
    if (error)
        give_up(part->protocol);
    else
        begin(part, &start);
}

static bool has_term(const struct protocol *protocol, struct str name)
{
    list_each(&protocol->terms, node) {
        const struct term *term = container_of(node, struct term, node);
        if (str_eq((struct str){term->name, term->len}, name))
            return true;
    }
    return false;
}

static bool add_term(struct part *part, struct str name)
{
    struct term *term = mem_try_alloc(sizeof(*term) + name.len);
    if (!term)
        return false;
    *term = (struct term){.part = part, .len = (uint8_t)name.len};
    memcpy(term->name, name.at, name.len);
    list_add_last(&part->protocol->terms, &term->node);
    part->protocol->terms_count++;
    return true;
}

static void remove_terms_of(struct part *part)
{
    list_each(&part->protocol->terms, node) {
        struct term *term = container_of(node, struct term, node);
        if (term->part != part)
            continue;
        list_remove(node);
        part->protocol->terms_count--;
        free(term);
    }
}

void protocol_subscribe(struct protocol *protocol, struct str ref, const struct str *names,
                        size_t count, const struct start *start, bool silent)
{
    struct worker *worker = protocol_session(protocol)->worker;
    struct part *part = part_new(protocol, ref);
    struct reading known = {0};
    bool good = part != NULL;
    for (size_t i = 0; good && i < count; i++) {
        if (has_term(protocol, names[i]))
            continue;
        if (protocol->terms_count == SELECTION_TERMS_MAX) {
            remove_terms_of(part);
            part_free(part);
            protocol_error(protocol, ref, PROBLEM_BAD_PARAMETER, "at most 100 channels or patterns a connection");
            return;
        }
        good = add_term(part, names[i]);
    }
    struct selection *selection = good ? selection_of(part) : NULL;
    if (!selection) {
        give_up(protocol);
        return;
    }
    part->silent = silent;
    if (start_is_known(&worker->hub, selection, start, &known))
        begin(part, &known);
    else if (!(part->search = start_search(&worker->hub, selection, start, part, found)))
        give_up(protocol);
    selection_unref(selection);
}

void protocol_unsubscribe(struct protocol *protocol, const struct str *names, size_t count)
{
    struct hub *hub = &protocol_session(protocol)->worker->hub;
    for (size_t i = 0; i < count; i++) {
        list_each(&protocol->terms, node) {
            struct term *term = container_of(node, struct term, node);
            if (!str_eq((struct str){term->name, term->len}, names[i]))
                continue;
            list_remove(node);
            protocol->terms_count--;
            free(term);
        }
    }
    list_each(&protocol->parts, part_node)
    {
        struct part *part = container_of(part_node, struct part, node);
        if (part->sub.state != SUB_NONE)
            subscribe_at(part, hub_cursor(hub, &part->sub), part->sub.told);
    }
}

/* ---- as a speaker ---------------------------------------------------------------------------- */

static struct protocol *of_socket(struct socket *socket)
{
    return container_of(socket, struct protocol, socket);
}

/* One part's turn; true when there is something to send. */
static bool take_from(struct protocol *protocol, struct part *part, struct taken *taken)
{
    struct hub *hub = &protocol_session(protocol)->worker->hub;
    switch (hub_take(hub, &part->sub, taken)) {
    case TAKE_BYTES:
        protocol->taking = part;
        /* Whoever sends goes behind the others, so that a long history holds up nobody. */
        list_remove(&part->node);
        list_add_last(&protocol->parts, &part->node);
        return true;
    case TAKE_GAP:
        send_gap(protocol, part_ref(part), part->sub.cursor, taken->trimmed, "trimmed");
        break;
    case TAKE_FAILED:
        give_up(protocol);
        break;
    case TAKE_NOTHING:
    case TAKE_WAIT:
        break;
    }
    return false;
}

static struct str fill(struct socket *socket)
{
    struct protocol *protocol = of_socket(socket);
    struct session *session = protocol_session(protocol);
    struct taken taken;
    list_each(&protocol->parts, node) {
        struct part *part = container_of(node, struct part, node);
        if (part->sub.state != SUB_NONE && take_from(protocol, part, &taken))
            return taken.bytes;
        if (!session_is_clear(session))
            break;
    }
    if (session_is_clear(session) && !socket->close_sent)
        merge_ready(protocol);
    return (struct str){session->out.at + session->out_sent, session->out.len - session->out_sent};
}

static void sent(struct socket *socket, size_t n, bool blocked)
{
    struct protocol *protocol = of_socket(socket);
    struct session *session = protocol_session(protocol);
    struct str rest;
    hub_sent(&session->worker->hub, &protocol->taking->sub, n, blocked, &rest);
    protocol->taking = NULL;
    session_keep_rest(session, rest);
}

/* The position up to which everything of the connection was handed out. */
static uint64_t cursor_of(const struct protocol *protocol)
{
    struct hub *hub = &protocol_session(protocol)->worker->hub;
    uint64_t least = hub_applied(hub);
    list_each(&protocol->parts, node) {
        const struct part *part = container_of(node, struct part, node);
        uint64_t cursor = part->sub.state == SUB_NONE ? least : hub_cursor(hub, &part->sub);
        least = cursor < least ? cursor : least;
    }
    return least;
}

static void beat(struct socket *socket)
{
    struct protocol *protocol = of_socket(socket);
    struct session *session = protocol_session(protocol);
    unsigned way = encode_way(ENCODE_PROTOCOL, false, false, socket->window_bits);
    encode_beat(&session->worker->deflater, way, &session->out, cursor_of(protocol));
}

static void drain(struct socket *socket)
{
    struct protocol *protocol = of_socket(socket);
    struct session *session = protocol_session(protocol);
    unsigned way = encode_way(ENCODE_PROTOCOL, false, false, socket->window_bits);
    encode_bye(&session->worker->deflater, way, &session->out, cursor_of(protocol),
               1000 + worker_random(2000));
}

static void free_protocol(struct socket *socket)
{
    struct protocol *protocol = of_socket(socket);
    if (socket->pull.session) {
        list_each(&protocol->parts, node) part_free(container_of(node, struct part, node));
        stat_add(&protocol->worker->stats.subscribers[VIA_SOCKET], UINT64_MAX);
    } else {
        free(protocol->main);
    }
    for (struct list *node; (node = list_take_first(&protocol->terms));)
        free(container_of(node, struct term, node));
    free(protocol);
}

static void message(struct socket *socket, enum ws_opcode opcode, struct str data)
{
    protocol_message(of_socket(socket), opcode, data);
}

static const struct socket_speaker speaker = {message, fill, sent, beat, drain, free_protocol};

/* ---- the handshake --------------------------------------------------------------------------- */

static int choose(const struct exchange *exchange, struct str *ret_protocol)
{
    static const struct str supported[] = {{"freshet.v1", 10}};
    struct buf list = {0};
    struct str value;
    *ret_protocol = STR_NONE;
    for (size_t pos = 0; http_header_next(exchange->head, STR("sec-websocket-protocol"), &pos, &value);) {
        if (list.len)
            buf_add_lit(&list, ", ");
        buf_add_str(&list, value);
    }
    int result = list.len ? ws_choose_protocol(buf_str(&list), supported, 1, ret_protocol) : 0;
    buf_free(&list);
    return result;
}

/* The subscription that the query asked for, as if it had been sent. */
static void subscribe_reading(struct protocol *protocol, const struct reading *reading)
{
    struct str names[SELECTION_TERMS_MAX];
    size_t count = 0;
    const struct selection *selection = reading->selection;
    for (uint32_t i = 0; i < selection->names_count; i++)
        names[count++] = selection->names[i];
    for (uint32_t i = 0; i < selection->patterns_count; i++)
        names[count++] = selection->patterns[i];
    protocol_subscribe(protocol, STR_NONE, names, count, &reading->start, false);
}

void protocol_begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    struct str name;
    if (choose(exchange, &name)) {
        socket_refuse(exchange, PROBLEM_BAD_HANDSHAKE, STR("Sec-WebSocket-Protocol is a list of tokens"));
        reading_free(reading);
        return;
    }
    struct protocol *protocol = mem_alloc(sizeof(*protocol));
    protocol->worker = worker;
    protocol->socket.beat_s = (uint8_t)(reading ? reading->beat_s : 25);
    list_init(&protocol->parts);
    list_init(&protocol->terms);
    protocol->main = mem_alloc(sizeof(*protocol->main));
    protocol->main->protocol = protocol;
    protocol->serials = 1;
    if (!socket_open(exchange, &protocol->socket, &speaker, name, NULL)) {
        reading_free(reading);
        return;
    }
    list_add_last(&protocol->parts, &protocol->main->node);
    stat_add(&worker->stats.subscribers[VIA_SOCKET], 1);
    if (reading)
        subscribe_reading(protocol, reading);
    reading_free(reading);
}
