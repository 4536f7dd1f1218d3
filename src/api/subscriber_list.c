/* Subscriptions are spread over the connections of all workers, and no table has them. Each worker
 * gets mail and walks over its own connections in slices (transport/rounds.h). The last worker to
 * finish answers the one that asked.
 *
 * The order is that of the ids of request streams, which rise with time: it is the same on every
 * page, and `after` is the name of the last id that was told. A worker gathers the least ids beyond
 * `after` that pass the filters, as many as the page may have, up to BYTES_MAX of text. What it
 * leaves out it tells by `left_from`, the least id that it knows of and does not have. The page
 * ends before the least of these over all workers, so no subscription is passed by. */
#include "api/subscriber_list.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/query.h"
#include "transport/rounds.h"

#include <stdlib.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    BYTES_MAX = 1 << 20, /* of a worker's part */
    WALKS_MAX = 8,       /* requests of one worker's connections at a time */
    TEXT_MAX = 255,
};

enum { SUBJECT, CHANNEL, MECHANISM, ADDRESS, BEHIND, LIMIT, AFTER, ROWS };

#define MECHANISMS "sse ndjson raw poll ws freshet.v1"

static const struct parameter rows[ROWS] = {
    [SUBJECT] = {.name = {"subject", 7},
                 .kind = PARAMETER_TEXT,
                 .least = 1,
                 .most = TEXT_MAX,
                 .example = "alice"},
    [CHANNEL] = {.name = {"channel", 7},
                 .kind = PARAMETER_TEXT,
                 .least = 1,
                 .most = NAME_MAX_BYTES,
                 .example = "chat/17"},
    [MECHANISM] = {.name = {"mechanism", 9},
                   .kind = PARAMETER_WORD,
                   .words = MECHANISMS,
                   .example = "sse",
                   .meant = "format via stream"},
    [ADDRESS] = {.name = {"address", 7},
                 .kind = PARAMETER_TEXT,
                 .least = 1,
                 .most = INET6_ADDRSTRLEN,
                 .right = "an address without a port",
                 .example = "192.0.2.7",
                 .meant = "ip"},
    [BEHIND] = {.name = {"behind", 6}, .kind = PARAMETER_BOOLEAN, .example = "1"},
    [LIMIT] = {.name = {"limit", 5},
               .kind = PARAMETER_NUMBER,
               .least = 1,
               .most = LIMIT_MAX,
               .example = "100",
               .meant = "count size per_page page_size"},
    [AFTER] = {.name = {"after", 5},
               .kind = PARAMETER_TEXT,
               .least = CONN_NAME_SIZE,
               .most = CONN_NAME_SIZE,
               .right = "`next` of the page before",
               .example = "0123456789abcdef01234567",
               .meant = "cursor from start_after"},
};

struct parameter_table subscriber_list_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

/* A subscription as it is told. */
struct told {
    uint32_t id;
    struct buf text;
};

struct asked;

/* The part of a worker. */
struct part {
    struct mail mail;
    struct rounds rounds;
    struct asked *asked;
    struct told *told; /* sorted by id; room for one more than `limit` */
    size_t count, bytes;
    uint64_t left_from; /* the least id that was left out; UINT64_MAX: none was */
    unsigned ended;
    bool failed; /* there was no memory */
};

/* A request to all workers. All but the parts is read by all threads, and not changed. */
struct asked {
    struct exchange *exchange;
    struct mailbox *reply;
    struct mail reply_mail;
    atomic_uint left; /* workers that have not finished */
    uint32_t ends;    /* the id to be ended; 0: the request asks for a list */
    char subject[TEXT_MAX], channel[NAME_MAX_BYTES], address[INET6_ADDRSTRLEN];
    size_t subject_len, channel_len, address_len;
    struct str mechanism; /* of MECHANISMS; empty: any */
    bool behind, wants_behind;
    uint64_t limit;
    uint32_t after;
    unsigned parts_count;
    struct part parts[];
};

static struct part *part_of(struct rounds *rounds)
{
    return container_of(rounds, struct part, rounds);
}

/* ---- on each worker's thread ----------------------------------------------------------------- */

static bool is_of_mechanism(const struct asked *asked, const struct format *format)
{
    return !asked->mechanism.len || str_eq(asked->mechanism, format->counted_as) ||
           str_eq(asked->mechanism, format->name);
}

static bool passes(const struct asked *asked, const struct subscription_facts *facts,
                   struct str address)
{
    struct str subject = {asked->subject, asked->subject_len};
    struct str channel = {asked->channel, asked->channel_len};
    return (!subject.len || caller_is_of(facts->caller, subject)) &&
           (!channel.len || facts_have_channel(facts, channel)) &&
           (!asked->wants_behind || asked->behind == facts->is_behind) &&
           is_of_mechanism(asked, format_of(facts->format)) &&
           (!asked->address_len ||
            str_eq(address, (struct str){asked->address, asked->address_len}));
}

static int64_t began_us(const struct worker *worker, uint32_t since_s)
{
    int64_t ago_s = (int64_t)rounds_now_s(worker) - (int64_t)since_s;
    return clock_wall_us(worker->config.clock) - ago_s * 1000000;
}

static void write_caller(struct json_writer *writer, const struct caller *caller)
{
    json_member_bytes(writer, "subject", caller_subject(caller));
    if (!caller)
        return;
    json_member_string(writer, "credential", str_from(caller_kind_word(caller->facts.kind)));
    json_member_bytes(writer, "key", caller->facts.key_id);
    if (caller->facts.expires_us)
        json_member_time(writer, "expires", caller->facts.expires_us);
}

static void write_position(struct json_writer *writer, const struct worker *worker,
                           const struct subscription_facts *facts)
{
    uint64_t newest = log_newest(worker->config.log);
    if (facts->cursor)
        json_member_id(writer, "cursor", facts->cursor);
    json_member_bool(writer, "behind", facts->is_behind);
    if (facts->is_behind && facts->cursor)
        json_member_number(writer, "behind_events",
                           newest > facts->cursor ? newest - facts->cursor : 0);
}

static void write_one(struct buf *out, const struct request_stream *request,
                      const struct subscription_facts *facts, struct str address)
{
    struct json_writer writer = json_writer(out);
    char own[CONN_NAME_SIZE], whole[CONN_NAME_SIZE];
    const struct format *format = format_of(facts->format);
    json_object_begin(&writer);
    json_member_string(&writer, "id", request_stream_name(request, own));
    json_member_string(
        &writer, "connection",
        conn_name_write(&request->worker->config.names, request_stream_conn(request)->id, whole));
    json_member_string(&writer, "mechanism", format->counted_as);
    if (facts->format == FORMAT_FRESHET_V1)
        json_member_string(&writer, "protocol", format->name);
    json_name(&writer, "channels");
    json_array_begin(&writer);
    for (size_t i = 0; i < facts->terms_count; i++)
        json_add_string(&writer, facts->terms[i]);
    json_array_end(&writer);
    json_member_bytes(&writer, "address", address);
    write_caller(&writer, facts->caller);
    json_member_time(&writer, "since", began_us(request->worker, facts->since_s));
    write_position(&writer, request->worker, facts);
    json_object_end(&writer);
}

static void leave_last_out(struct part *part)
{
    struct told *last = &part->told[--part->count];
    part->left_from = last->id < part->left_from ? last->id : part->left_from;
    part->bytes -= last->text.cap;
    buf_free(&last->text);
}

/* Puts what is told in its place; nearly always that is the end. */
static void insert(struct part *part, const struct told *told)
{
    size_t at = part->count++;
    for (; at && part->told[at - 1].id > told->id; at--)
        part->told[at] = part->told[at - 1];
    part->told[at] = *told;
    part->bytes += told->text.cap;
    part->failed |= buf_failed(&told->text);
    while (part->count > part->asked->limit || (part->bytes > BYTES_MAX && part->count > 1))
        leave_last_out(part);
}

/* Whether there is no place for the id on this page, whatever follows. */
static bool is_beyond(struct part *part, uint32_t id)
{
    if (id >= part->left_from)
        return true;
    if (part->count < part->asked->limit || id < part->told[part->count - 1].id)
        return false;
    part->left_from = id;
    return true;
}

static void list_one(struct part *part, const struct request_stream *request,
                     const struct waiting *waiting)
{
    struct subscription_facts facts;
    struct told told = {.id = request_stream_id(request)};
    char room[INET6_ADDRSTRLEN];
    struct str address = STR_NONE;
    if (told.id <= part->asked->after || !rounds_facts(request, waiting, &facts))
        return;
    if (part->asked->address_len)
        address = request_stream_address(request, room);
    if (!passes(part->asked, &facts, address) || is_beyond(part, told.id))
        return;
    if (!address.len)
        address = request_stream_address(request, room);
    write_one(&told.text, request, &facts, address);
    buf_fit(&told.text);
    insert(part, &told);
}

static void visit(struct rounds *rounds, struct request_stream *request, struct waiting *waiting)
{
    struct part *part = part_of(rounds);
    if (!part->asked->ends)
        list_one(part, request, waiting);
    else if (request_stream_id(request) == part->asked->ends)
        part->ended += rounds_end_shown(request, waiting);
}

static void forget(struct part *part)
{
    for (size_t i = 0; i < part->count; i++)
        buf_free(&part->told[i].text);
    part->count = part->bytes = 0;
    part->left_from = UINT64_MAX;
}

static void restart(struct rounds *rounds)
{
    forget(part_of(rounds));
}

/* A worker that has ended has no subscriptions. */
static void done(struct rounds *rounds, bool whole)
{
    struct asked *asked = part_of(rounds)->asked;
    (void)whole;
    if (atomic_fetch_sub(&asked->left, 1) == 1)
        mailbox_post(asked->reply, &asked->reply_mail);
}

static const struct rounds_ops rounds_ops = {.visit = visit, .restart = restart, .done = done};

static void begin_part(struct mail *mail, void *owner)
{
    struct part *part = container_of(mail, struct part, mail);
    rounds_begin(owner, &part->rounds, &rounds_ops);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void asked_free(struct asked *asked)
{
    for (unsigned i = 0; i < asked->parts_count; i++) {
        if (asked->parts[i].told)
            forget(&asked->parts[i]);
        free(asked->parts[i].told);
    }
    free(asked);
}

/* The least that the parts have left, from `at` of each; NULL if the page ends here. */
static const struct told *next_of(const struct asked *asked, size_t *at, unsigned *ret_part)
{
    const struct told *least = NULL;
    uint64_t left_from = UINT64_MAX;
    for (unsigned i = 0; i < asked->parts_count; i++) {
        const struct part *part = &asked->parts[i];
        const struct told *told = at[i] < part->count ? &part->told[at[i]] : NULL;
        left_from = part->left_from < left_from ? part->left_from : left_from;
        if (!told || (least && told->id > least->id))
            continue;
        least = told;
        *ret_part = i;
    }
    return least && least->id < left_from ? least : NULL;
}

static bool has_more(const struct asked *asked, const size_t *at)
{
    bool more = false;
    for (unsigned i = 0; i < asked->parts_count; i++)
        more |= asked->parts[i].left_from != UINT64_MAX || at[i] < asked->parts[i].count;
    return more;
}

/* Writes the list, and returns whether there was memory for all of it. */
static bool write_page(struct buf *out, const struct asked *asked, size_t *at)
{
    struct json_writer writer = json_writer(out);
    const struct told *told;
    char room[CONN_NAME_SIZE];
    uint32_t last = asked->after;
    unsigned from = 0;
    json_object_begin(&writer);
    json_name(&writer, "subscribers");
    json_array_begin(&writer);
    for (uint64_t n = 0; n < asked->limit && (told = next_of(asked, at, &from)); n++) {
        json_add_raw(&writer, buf_str(&told->text));
        last = told->id;
        at[from]++;
    }
    json_array_end(&writer);
    if (has_more(asked, at))
        json_member_string(&writer, "next",
                           conn_name_write(&asked->exchange->worker->config.names, last, room));
    json_object_end(&writer);
    buf_add_char(out, '\n');
    return !buf_failed(out);
}

static bool has_failed(const struct asked *asked)
{
    bool failed = false;
    for (unsigned i = 0; i < asked->parts_count; i++)
        failed |= asked->parts[i].failed;
    return failed;
}

static void answer_list(const struct asked *asked)
{
    struct buf body = {0};
    size_t *at = mem_try_alloc(asked->parts_count * sizeof(*at));
    for (unsigned i = 0; at && i < asked->parts_count; i++)
        at[i] = 0;
    if (!at || has_failed(asked) || !write_page(&body, asked, at))
        api_problem(asked->exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        exchange_json(asked->exchange, 200, buf_str(&body));
    buf_free(&body);
    free(at);
}

static void answer_end(const struct asked *asked)
{
    struct buf body = {0}, members = {0};
    unsigned ended = 0;
    char room[CONN_NAME_SIZE];
    for (unsigned i = 0; i < asked->parts_count; i++)
        ended += asked->parts[i].ended;
    struct json_writer writer = json_members_writer(&members);
    json_member_string(&writer, "of",
                       conn_name_write(&asked->exchange->worker->config.names, asked->ends, room));
    json_member_number(&writer, "disconnected", ended);
    api_note_managed(asked->exchange, "disconnected", buf_str(&members));
    writer = json_writer(&body);
    json_object_begin(&writer);
    json_member_number(&writer, "disconnected", ended);
    json_object_end(&writer);
    if (buf_failed(&body))
        api_problem(asked->exchange, PROBLEM_UNAVAILABLE, "it was done, and there is no memory");
    else
        exchange_json(asked->exchange, 200, buf_str(&body));
    buf_free(&members);
    buf_free(&body);
}

static void answered(struct mail *mail, void *owner)
{
    struct asked *asked = container_of(mail, struct asked, reply_mail);
    (void)owner;
    if (asked->exchange->dropped)
        exchange_free(asked->exchange);
    else if (asked->ends)
        answer_end(asked);
    else
        answer_list(asked);
    asked_free(asked);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static unsigned walks_of(const struct worker *worker)
{
    unsigned count = 0;
    list_each (&worker->rounds, node)
        count++;
    return count;
}

/* NULL if the exchange was answered. */
static struct asked *asked_new(struct exchange *exchange)
{
    unsigned count = api_of(exchange)->workers_count;
    if (walks_of(exchange->worker) >= WALKS_MAX) {
        api_problem(exchange, PROBLEM_TOO_MANY,
                    "several lists of subscribers are being made: wait for these");
        return NULL;
    }
    struct asked *asked = mem_try_alloc(sizeof(*asked) + count * sizeof(asked->parts[0]));
    if (!asked) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return NULL;
    }
    *asked = (struct asked){.exchange = exchange, .limit = LIMIT_DEFAULT, .parts_count = count};
    for (unsigned i = 0; i < count; i++)
        asked->parts[i] =
            (struct part){.mail = {.open = begin_part}, .asked = asked, .left_from = UINT64_MAX};
    return asked;
}

static bool take_room(struct asked *asked)
{
    bool good = true;
    for (unsigned i = 0; i < asked->parts_count; i++) {
        asked->parts[i].told = mem_try_alloc((asked->limit + 1) * sizeof(struct told));
        good &= asked->parts[i].told != NULL;
    }
    return good;
}

static void submit(struct asked *asked)
{
    struct worker *workers = api_of(asked->exchange)->workers;
    unsigned count = asked->parts_count; /* the last may answer, and free it */
    asked->reply = &asked->exchange->worker->loop.mailbox;
    asked->reply_mail.open = answered;
    atomic_init(&asked->left, count);
    for (unsigned i = 0; i < count; i++)
        mailbox_post(&workers[i].loop.mailbox, &asked->parts[i].mail);
}

static bool refuse(struct asked *asked, const struct parameter *row, struct str value)
{
    return query_refuse_value(asked->exchange, PROBLEM_BAD_PARAMETER, row, value);
}

/* The nth word of MECHANISMS. */
static struct str mechanism_of(uint64_t nth)
{
    struct str rest = STR(MECHANISMS), word = str_cut(&rest, ' ');
    while (nth--)
        word = str_cut(&rest, ' ');
    return word;
}

static size_t keep(char *room, struct str value)
{
    memcpy(room, value.at, value.len);
    return value.len;
}

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct asked *asked = context;
    const struct conn_names *names = &exchange->worker->config.names;
    union client_address address;
    const char *why;
    switch (found->row) {
    case SUBJECT:
        asked->subject_len = keep(asked->subject, found->value);
        break;
    case CHANNEL:
        if (!name_valid(found->value, &why)) {
            api_problem(exchange, PROBLEM_BAD_CHANNEL, why);
            return false;
        }
        asked->channel_len = keep(asked->channel, found->value);
        break;
    case MECHANISM:
        asked->mechanism = mechanism_of(found->number);
        break;
    case ADDRESS:
        if (client_address_parse(found->value, &address))
            return refuse(asked, &rows[ADDRESS], found->value);
        asked->address_len = client_address_text(&address, asked->address).len;
        break;
    case BEHIND:
        asked->behind = found->number;
        asked->wants_behind = true;
        break;
    case LIMIT:
        asked->limit = found->number;
        break;
    case AFTER:
        if (!conn_name_read(names, found->value, &asked->after) || !asked->after)
            return refuse(asked, &rows[AFTER], found->value);
        break;
    default:
        break;
    }
    return true;
}

void subscriber_list_handle(struct exchange *exchange)
{
    struct asked *asked = asked_new(exchange);
    if (!asked)
        return;
    if (!query_read(exchange, subscriber_list_parameters(), PROBLEM_BAD_PARAMETER, take, asked)) {
        asked_free(asked);
    } else if (!take_room(asked)) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        asked_free(asked);
    } else {
        submit(asked);
    }
}

void subscriber_list_end(struct exchange *exchange, struct str id)
{
    struct asked *asked = asked_new(exchange);
    if (!asked)
        return;
    if (!conn_name_read(&exchange->worker->config.names, id, &asked->ends)) {
        api_problem(exchange, PROBLEM_BAD_PARAMETER,
                    "the parameter id is one that GET /subscribers tells: 24 hexadecimal digits");
        asked_free(asked);
        return;
    }
    asked->ends = asked->ends ? asked->ends : UINT32_MAX; /* of a process before: nobody has it */
    submit(asked);
}
