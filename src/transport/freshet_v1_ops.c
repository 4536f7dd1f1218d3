#include "transport/freshet_v1_ops.h"

#include "base/json.h"
#include "base/unknown.h"
#include "base/utf8.h"
#include "http/token.h"
#include "publish/event_json.h"
#include "publish/receipt.h"
#include "transport/checked.h"
#include "transport/freshet_v1_auth.h"
#include "transport/freshet_v1_messages.h"
#include "transport/freshet_v1_presence.h"
#include "transport/permits.h"

#include <stdlib.h>

enum { TERM_COST = BUDGET_STRIDE / 4 };

/* A row for each member of any message. Members of events come last, in the order of enum
 * event_json_member. */
#define MEMBERS(X)                                                                                 \
    X(op)                                                                                          \
    X(ref)                                                                                         \
    X(channels)                                                                                    \
    X(types)                                                                                       \
    X(after)                                                                                       \
    X(told)                                                                                        \
    X(last)                                                                                        \
    X(token)                                                                                       \
    X(as)                                                                                          \
    X(state)                                                                                       \
    X(read)                                                                                        \
    X(limit)                                                                                       \
    X(list)                                                                                        \
    X(marks)                                                                                       \
    X(after_member)                                                                                \
    X(after_verified)                                                                              \
    X(after_mark)                                                                                  \
    X(after_mark_verified)                                                                         \
    EVENT_JSON_MEMBERS(X)

enum member {
#define MEMBER_NUMBER(name) MEMBER_##name,
    MEMBERS(MEMBER_NUMBER)
#undef MEMBER_NUMBER
        MEMBER_COUNT,
};
_Static_assert(MEMBER_COUNT - MEMBER_channel == EVENT_JSON_COUNT, "an event's members come last");
_Static_assert(MEMBER_COUNT <= 32, "a bit for each");
#define HAS(name) (1U << MEMBER_##name)

static const struct str members[MEMBER_COUNT] = {
#define MEMBER_NAME(name) {#name, sizeof(#name) - 1},
    MEMBERS(MEMBER_NAME)
#undef MEMBER_NAME
};

/* The members of a message as raw JSON, in the order of enum member. */
struct said {
    union {
        struct {
#define MEMBER_FIELD(name) struct str name;
            MEMBERS(MEMBER_FIELD)
#undef MEMBER_FIELD
        };
        struct str at[MEMBER_COUNT];
    };
    unsigned given;     /* a bit each */
    struct str unknown; /* the first unknown name; `at == NULL` if there is none */
    struct str twice;   /* a name that comes twice */
    bool may_be_deep;   /* nested deeper than data may be */
};

static void take_member(struct said *said, struct str key, struct str value)
{
    size_t i = 0;
    while (i < MEMBER_COUNT && !str_eq(members[i], key))
        i++;
    if (i == MEMBER_COUNT) {
        said->unknown = said->unknown.at ? said->unknown : key;
        return;
    }
    if (said->given & 1U << i)
        said->twice = key;
    said->given |= 1U << i;
    said->at[i] = value;
}

/* Decodes a JSON string into `out`; false if the value is no string. */
static bool text_of(struct str raw, struct buf *out)
{
    return json_unescape(raw, out) == 0;
}

/* ---- subscribe and unsubscribe --------------------------------------------------------------- */

/* The strings of a subscription. */
struct lists {
    struct subscription subscription;
    struct arena arena;
    bool is_over; /* more than a subscription may have */
};

/* An array of a subscription, and the messages for a malformed one. */
struct kind {
    bool (*add)(struct subscription *subscription, struct str text, struct refusal *ret_refusal);
    enum problem problem;
    const char *no_string;
    const char *no_array;
};

static const struct kind channels = {subscription_add_term, PROBLEM_BAD_PATTERN,
                                     "channels are strings",
                                     "channels is an array of channels or patterns"};
static const struct kind types = {subscription_add_type, PROBLEM_BAD_TYPE, "types are strings",
                                  "types is an array of one or more event types"};

static bool add_text(struct lists *lists, const struct kind *kind, struct str raw,
                     struct refusal *ret_refusal)
{
    struct buf text = {0};
    bool good = text_of(raw, &text);
    struct str kept = good ? arena_copy(&lists->arena, buf_str(&text)) : STR_NONE;
    buf_free(&text);
    if (!good)
        return refusal_set(ret_refusal, kind->problem, kind->no_string);
    if (!kept.at)
        return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE, "no memory: try again");
    lists->is_over = !kind->add(&lists->subscription, kept, ret_refusal);
    return !lists->is_over;
}

/* Reads an array of at least one string. */
static bool read_list(struct lists *lists, const struct kind *kind, struct str array,
                      struct refusal *ret_refusal)
{
    struct str key, value;
    size_t pos = 0, count = 0;
    bool good = true;
    bool is_array = array.len && array.at[0] == '[';
    for (; is_array && good && json_next(array, &pos, &key, &value); count++)
        good = add_text(lists, kind, value, ret_refusal);
    return good && (count || refusal_set(ret_refusal, PROBLEM_BAD_OP, kind->no_array));
}

static bool refuse(struct freshet_v1 *v1, const struct said *said, const struct refusal *refusal)
{
    freshet_v1_refuse(v1, said->ref, refusal);
    return false;
}

static bool read_told(struct str raw, struct position *from)
{
    struct buf text = {0};
    bool good = text_of(raw, &text) && event_id_read(buf_str(&text), &from->told);
    buf_free(&text);
    return good;
}

static bool read_after(struct str raw, struct position *from)
{
    struct buf text = {0};
    bool good = text_of(raw, &text) && position_read(from, buf_str(&text));
    buf_free(&text);
    return good;
}

static bool read_position(const struct said *said, struct position *from,
                          struct refusal *ret_refusal)
{
    uint64_t last = 0;
    *from = (struct position){.kind = POSITION_NOW};
    if (said->last.len) {
        if (http_number(said->last, &last) || !last || last > POSITION_LAST_MAX)
            return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER, "last is 1 to 1000");
        from->kind = POSITION_LAST;
        from->last = (uint32_t)last;
    }
    if (said->after.len && !read_after(said->after, from))
        return refusal_set(ret_refusal, PROBLEM_BAD_CURSOR, "after is a string: " POSITION_WORDS);
    if (said->told.len && !read_told(said->told, from))
        return refusal_set(ret_refusal, PROBLEM_BAD_CURSOR,
                           "told is a string: the earliest of a gap");
    return true;
}

static bool read_lists(struct lists *lists, const struct said *said, struct refusal *ret_refusal)
{
    return read_list(lists, &channels, said->channels, ret_refusal) &&
           (!said->types.len || read_list(lists, &types, said->types, ret_refusal));
}

static bool read_name(const struct freshet_v1 *v1, const struct said *said, struct lists *lists,
                      struct refusal *ret_refusal)
{
    struct buf room = {0};
    struct str name = STR_NONE;
    bool good = freshet_v1_name(v1, said->as, &room, &name, ret_refusal);
    lists->subscription.as = name.len ? arena_copy(&lists->arena, name) : STR_NONE;
    buf_free(&room);
    if (good && name.len && !lists->subscription.as.at)
        return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE, "no memory: try again");
    return good;
}

static struct selection *select_asked(const struct freshet_v1 *v1, const struct lists *lists,
                                      struct refusal *ret_refusal)
{
    const struct subscriber subscriber = {permits_access(&v1->websocket),
                                          worker_is_full(v1->worker)};
    return subscription_select(&lists->subscription, &subscriber, ret_refusal);
}

/* Charges for a change of the subscriptions, by the number of new selections and compared terms. To
 * read the clock after each change is enough. */
static void charge(struct freshet_v1 *v1, const struct lists *lists)
{
    size_t parts = (size_t)1 + v1->joining - v1->waiting;
    (void)worker_spend(v1->worker,
                       parts * BUDGET_STRIDE + lists->subscription.terms_count * TERM_COST);
}

/* The subscription rests on what was allowed for it, if that was asked for. */
static void subscribe(struct freshet_v1 *v1, const struct said *said, struct lists *lists)
{
    struct subscription *wanted = &lists->subscription;
    struct caller *caller = permits_caller(&v1->websocket);
    struct refusal refusal;
    struct selection *asked = select_asked(v1, lists, &refusal);
    if (!asked || !read_position(said, &wanted->from, &refusal)) {
        refuse(v1, said, &refusal);
    } else {
        freshet_v1_subscribe(v1, said->ref, asked, &wanted->from);
        freshet_v1_hold(v1, wanted->terms, wanted->terms_count, caller);
        freshet_v1_attend(v1, wanted->terms, wanted->terms_count,
                          permits_access(&v1->websocket).caller, wanted->as);
    }
    selection_unref(asked);
}

static void op_subscribe(struct freshet_v1 *v1, const struct said *said)
{
    struct lists lists = {.arena = {0}};
    const struct subscription *wanted = &lists.subscription;
    struct refusal refusal;
    enum permit permit = PERMIT_REFUSED;
    if (read_lists(&lists, said, &refusal) && read_name(v1, said, &lists, &refusal))
        permit =
            permits_find(&v1->websocket, ACTION_READ, wanted->terms, wanted->terms_count, &refusal);
    if (permit == PERMIT_GOES_ON)
        subscribe(v1, said, &lists);
    else if (permit == PERMIT_REFUSED)
        refuse(v1, said, &refusal);
    if (lists.is_over)
        worker_hit(v1->worker, LIMIT_SUBSCRIPTIONS);
    charge(v1, &lists);
    arena_free(&lists.arena);
}

static void send_plain(struct freshet_v1 *v1, const char *op, struct str ref)
{
    struct buf message = {0};
    struct json_writer writer = freshet_v1_open(&message, op, ref);
    json_object_end(&writer);
    freshet_v1_send(v1, &message);
}

/* Anybody may end a subscription, so only the form of the terms is checked. */
static void op_unsubscribe(struct freshet_v1 *v1, const struct said *said)
{
    struct lists lists = {.arena = {0}};
    const struct subscription *asked = &lists.subscription;
    struct refusal refusal;
    if (!read_list(&lists, &channels, said->channels, &refusal) ||
        !subscription_is_well_formed(asked, &refusal)) {
        refuse(v1, said, &refusal);
    } else {
        (void)freshet_v1_unsubscribe(v1, asked->terms, asked->terms_count);
        send_plain(v1, "ok", said->ref);
    }
    charge(v1, &lists);
    arena_free(&lists.arena);
}

/* ---- publish --------------------------------------------------------------------------------- */

struct freshet_v1_publish {
    struct websocket_publish own;
    uint8_t ref_len;
    char ref[FRESHET_V1_REF_MAX];
};

static struct str ref_of(const struct freshet_v1_publish *request)
{
    return (struct str){request->ref, request->ref_len};
}

static struct freshet_v1_publish *request_of(struct websocket_publish *own)
{
    return container_of(own, struct freshet_v1_publish, own);
}

static void send_receipt(struct freshet_v1 *v1, struct str ref, const struct event *event)
{
    struct buf message = {0};
    struct json_writer writer = freshet_v1_open(&message, "ok", ref);
    receipt_write(&writer, event, &v1->worker->submitter.times);
    json_object_end(&writer);
    freshet_v1_send(v1, &message);
}

void freshet_v1_lost(struct freshet_v1 *v1, struct websocket_publish *publish)
{
    freshet_v1_error(v1, ref_of(request_of(publish)), PROBLEM_FATE_UNKNOWN,
                     "the log did not confirm in time: publish again with the same key");
}

static void publish_done(struct publish *publish, struct batch *batch)
{
    struct websocket_publish *own = container_of(publish, struct websocket_publish, publish);
    struct freshet_v1_publish *request = request_of(own);
    struct str ref = ref_of(request);
    if (websocket_end_publish(own)) {
        struct freshet_v1 *v1 = container_of(own->websocket, struct freshet_v1, websocket);
        if (publish->verdict) {
            struct refusal refusal = submit_refusal(&v1->worker->submitter, publish);
            freshet_v1_refuse(v1, ref, &refusal);
        } else {
            send_receipt(v1, ref, &batch->events[publish->first]);
        }
    }
    free(request);
}

static bool submit_event(struct freshet_v1 *v1, struct str ref, struct proposal *proposal,
                         struct refusal *ret_refusal)
{
    struct freshet_v1_publish *request = mem_try_alloc(sizeof(*request));
    if (request) {
        *request = (struct freshet_v1_publish){.own = {.publish = {.done = publish_done}},
                                               .ref_len = (uint8_t)ref.len};
        if (ref.len)
            memcpy(request->ref, ref.at, ref.len);
    }
    if (websocket_submit(&v1->websocket, proposal, request ? &request->own : NULL, ret_refusal))
        return true;
    free(request);
    return false;
}

static void op_publish(struct freshet_v1 *v1, const struct said *said)
{
    struct event_json json = {.may_be_deep = said->may_be_deep};
    struct event_json_room room = {.data = {0}};
    struct proposal proposal;
    struct refusal refusal;
    enum permit permit = PERMIT_REFUSED;
    memcpy(json.at, &said->at[MEMBER_channel], sizeof(json.at));
    if (event_json_read(&json, &v1->worker->config.names, &room, &proposal, &refusal))
        permit = permits_find(&v1->websocket, ACTION_PUBLISH, &proposal.channel, 1, &refusal);
    if (permit == PERMIT_REFUSED ||
        (permit == PERMIT_GOES_ON && !submit_event(v1, said->ref, &proposal, &refusal)))
        freshet_v1_refuse(v1, said->ref, &refusal);
    event_json_room_free(&room);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void op_ping(struct freshet_v1 *v1, const struct said *said)
{
    send_plain(v1, "pong", said->ref);
}

static void op_presence(struct freshet_v1 *v1, const struct said *said)
{
    const struct freshet_v1_presence_said own = {
        .ref = said->ref,
        .channel = said->channel,
        .as = said->as,
        .state = said->state,
        .read = said->read,
        .limit = said->limit,
        .list = said->list,
        .marks = said->marks,
        .after_member = said->after_member,
        .after_verified = said->after_verified,
        .after_mark = said->after_mark,
        .after_mark_verified = said->after_mark_verified,
    };
    freshet_v1_presence(v1, &own);
}

static void op_auth(struct freshet_v1 *v1, const struct said *said)
{
    struct buf token = {0};
    if (text_of(said->token, &token) && token.len)
        freshet_v1_auth(v1, said->ref, buf_str(&token));
    else
        freshet_v1_error(v1, said->ref, PROBLEM_BAD_OP, "token is a string: a key or a token");
    buf_free(&token);
}

enum { ANY = HAS(op) | HAS(ref) };

static const struct op {
    struct str name;
    void (*run)(struct freshet_v1 *v1, const struct said *said);
    unsigned members; /* members that it may have; 0: any */
} ops[] = {
    {{"\"subscribe\"", 11},
     op_subscribe,
     ANY | HAS(channels) | HAS(types) | HAS(after) | HAS(told) | HAS(last) | HAS(as)},
    {{"\"unsubscribe\"", 13}, op_unsubscribe, ANY | HAS(channels)},
    {{"\"publish\"", 9},
     op_publish,
     ANY | HAS(channel) | HAS(data) | HAS(data_base64) | HAS(type) | HAS(key) | HAS(content_type) |
         HAS(ephemeral) | HAS(except)},
    {{"\"ping\"", 6}, op_ping, ANY},
    {{"\"presence\"", 10},
     op_presence,
     ANY | HAS(channel) | HAS(as) | HAS(state) | HAS(read) | HAS(limit) | HAS(list) | HAS(marks) |
         HAS(after_member) | HAS(after_verified) | HAS(after_mark) | HAS(after_mark_verified)},
    {{"\"auth\"", 6}, op_auth, ANY | HAS(token)},
};

static void add_known(struct buf *out, unsigned allowed)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (!(allowed & 1U << i))
            continue;
        if (out->len)
            buf_add_char(out, ' ');
        buf_add_str(out, members[i]);
    }
}

/* The first name that the operation does not take; `at == NULL` if there is none. */
static struct str stray_of(const struct op *op, const struct said *said)
{
    unsigned strays = said->given & ~op->members;
    if (said->unknown.at || !strays)
        return said->unknown;
    return members[__builtin_ctz(strays)];
}

/* Refuse unknown members: to ignore `afer` would silently begin at another position than asked. */
static bool has_strays(struct freshet_v1 *v1, const struct op *op, const struct said *said)
{
    struct str stray = op->members ? stray_of(op, said) : STR_NONE;
    struct buf known = {0}, detail = {0};
    if (!stray.at && !said->twice.at)
        return false;
    if (stray.at) {
        add_known(&known, op->members);
        unknown_add_name(&detail, "member", stray, buf_str(&known));
    } else {
        unknown_add_twice(&detail, "member", said->twice);
    }
    buf_add_char(&detail, '\0');
    freshet_v1_error(v1, said->ref, PROBLEM_BAD_OP,
                     buf_failed(&detail) ? "a member is unknown, or given twice" : detail.at);
    buf_free(&known);
    buf_free(&detail);
    return true;
}

static bool is_scalar(struct str raw)
{
    return raw.len <= FRESHET_V1_REF_MAX && (!raw.len || (raw.at[0] != '{' && raw.at[0] != '['));
}

static void run(struct freshet_v1 *v1, struct said *said)
{
    if (!is_scalar(said->ref)) {
        said->ref = STR_NONE;
        freshet_v1_error(v1, STR_NONE, PROBLEM_BAD_OP, "ref is a JSON scalar of at most 64 bytes");
        return;
    }
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (!str_eq(said->op, ops[i].name))
            continue;
        if (!has_strays(v1, &ops[i], said))
            ops[i].run(v1, said);
        return;
    }
    freshet_v1_error(v1, said->ref, PROBLEM_BAD_OP,
                     "op is subscribe, unsubscribe, publish, presence, auth or ping");
}

void freshet_v1_message(struct freshet_v1 *v1, enum ws_opcode opcode, struct str data)
{
    struct said said = {.op = STR_NONE};
    struct str key, value;
    struct json_scan room;
    const struct json_scan *scan =
        opcode == WS_TEXT ? checked_scan(v1->worker, data, &room, NULL) : NULL;
    bool object = scan && !scan->error;
    struct str text = json_skip_space(data);
    if (!object || text.at[0] != '{') {
        freshet_v1_error(v1, STR_NONE, PROBLEM_BAD_OP,
                         utf8_has_mark(text) ? "a message is a JSON object, without a byte order "
                                               "mark (EF BB BF) before it"
                                             : "a message is a JSON object in a text frame");
        return;
    }
    said.may_be_deep = scan->deep_at != JSON_NOT_DEEP;
    for (size_t pos = 0; json_next(text, &pos, &key, &value);)
        take_member(&said, key, value);
    run(v1, &said);
}
