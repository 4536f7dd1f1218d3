/* Most connections neither name themselves nor ask who is there, so what both take is made when it
 * is first needed. The host answers by mail, also once the connection is gone. */
#include "transport/freshet_v1_presence.h"

#include "http/token.h"
#include "transport/freshet_v1_messages.h"
#include "transport/permits.h"
#include "transport/presence_asking.h"

#include <stdlib.h>

enum { ASKS_MAX = 64 }; /* not answered yet */

struct freshet_v1_asks {
    struct list asks; /* of struct ask */
    unsigned count;
    uint8_t name_len;
    char name[PRESENCE_NAME_MAX];
};

struct ask {
    struct presence_asking asking;
    struct list node;
    struct freshet_v1 *v1; /* NULL once the connection is gone, */
    atomic_bool gone;      /* for the host */
    uint8_t ref_len;
    char ref[FRESHET_V1_REF_MAX];
};

static struct freshet_v1_asks *asks_of(struct freshet_v1 *v1)
{
    if (!v1->asks) {
        v1->asks = mem_try_alloc(sizeof(*v1->asks));
        if (!v1->asks)
            return NULL;
        *v1->asks = (struct freshet_v1_asks){.count = 0};
        list_init(&v1->asks->asks);
    }
    return v1->asks;
}

/* ---- the name -------------------------------------------------------------------------------- */

bool freshet_v1_set_name(struct freshet_v1 *v1, struct str as)
{
    if (!as.len || as.len > PRESENCE_NAME_MAX)
        return true;
    struct freshet_v1_asks *asks = asks_of(v1);
    if (!asks)
        return false;
    memcpy(asks->name, as.at, as.len);
    asks->name_len = (uint8_t)as.len;
    return true;
}

bool freshet_v1_name(const struct freshet_v1 *v1, struct str as, struct buf *room,
                     struct str *ret_name, struct refusal *ret_refusal)
{
    const struct caller *caller = live_caller(v1->worker, &v1->websocket.pull);
    bool is_named = v1->asks && v1->asks->name_len && !caller_subject(caller).len;
    *ret_name = is_named ? (struct str){v1->asks->name, v1->asks->name_len} : STR_NONE;
    if (!as.len)
        return true;
    if (json_unescape(as, room) || !room->len)
        return refusal_set(ret_refusal, PROBLEM_BAD_OP, "as is a string: the name of a member");
    *ret_name = buf_str(room);
    return true;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void ask_free(struct ask *ask)
{
    if (ask->v1)
        ask->v1->asks->count--;
    list_remove(&ask->node);
    presence_asking_free(&ask->asking);
    free(ask);
}

static void send_answer(struct freshet_v1 *v1, struct str ref,
                        const struct presence_request *request)
{
    struct buf message = {0};
    struct json_writer writer =
        freshet_v1_open(&message, request->op == PRESENCE_GET ? "presence" : "ok", ref);
    json_add_members(&writer, buf_str(&request->answer));
    json_object_end(&writer);
    message.failed |= buf_failed(&request->answer);
    freshet_v1_send(v1, &message);
}

static void answered(struct presence_request *request, void *home_owner)
{
    struct presence_asking *asking = container_of(request, struct presence_asking, request);
    struct ask *ask = container_of(asking, struct ask, asking);
    struct str ref = {ask->ref, ask->ref_len};
    presence_asking_charge(home_owner, request);
    if (ask->v1 && request->fault) {
        struct refusal refusal = presence_asking_refusal(request);
        freshet_v1_refuse(ask->v1, ref, &refusal);
    } else if (ask->v1) {
        send_answer(ask->v1, ref, request);
    }
    ask_free(ask);
}

void freshet_v1_forget_presence(struct freshet_v1 *v1)
{
    if (!v1->asks)
        return;
    for (struct list *node; (node = list_take_first(&v1->asks->asks));) {
        struct ask *ask = container_of(node, struct ask, node);
        ask->v1 = NULL;
        atomic_store_explicit(&ask->gone, true, memory_order_relaxed);
    }
    free(v1->asks);
    v1->asks = NULL;
}

/* ---- the message ----------------------------------------------------------------------------- */

/* Memory for decoded strings. */
struct room {
    struct buf channel, as, after_member, after_mark;
};

static void room_free(struct room *room)
{
    buf_free(&room->channel);
    buf_free(&room->as);
    buf_free(&room->after_member);
    buf_free(&room->after_mark);
}

static bool bad(struct refusal *ret_refusal, const char *detail)
{
    return refusal_set(ret_refusal, PROBLEM_BAD_OP, detail);
}

static bool read_boolean(struct str raw, bool *value)
{
    *value = raw.len ? str_eq(raw, STR("true")) : *value;
    return !raw.len || *value || str_eq(raw, STR("false"));
}

static bool read_place(struct str member, struct str verified, struct buf *room,
                       struct presence_who *ret)
{
    ret->verified = true;
    if (member.len && json_unescape(member, room))
        return false;
    ret->name = buf_str(room);
    return read_boolean(verified, &ret->verified);
}

static bool read_limit(struct str raw, uint32_t *ret)
{
    uint64_t limit = PRESENCE_LIMIT_DEFAULT;
    bool good = !raw.len || (!http_number(raw, &limit) && limit && limit <= PRESENCE_LIMIT_MAX);
    *ret = (uint32_t)limit;
    return good;
}

static bool read_question(struct presence_request *request,
                          const struct freshet_v1_presence_said *said, struct room *room,
                          struct refusal *ret_refusal)
{
    bool lists = true;
    if (!read_limit(said->limit, &request->limit))
        return bad(ret_refusal, "limit is 1 to 1000");
    if (!read_boolean(said->list, &lists) || !read_boolean(said->marks, &request->wants_marks))
        return bad(ret_refusal, "list and marks are true or false");
    request->limit = lists ? request->limit : 0;
    return (read_place(said->after_member, said->after_verified, &room->after_member,
                       &request->after) &&
            read_place(said->after_mark, said->after_mark_verified, &room->after_mark,
                       &request->after_mark)) ||
           bad(ret_refusal, "after_member and after_mark are names, after_verified and "
                            "after_mark_verified true or false");
}

static bool read_message(struct presence_request *request,
                         const struct freshet_v1_presence_said *said, struct room *room,
                         struct refusal *ret_refusal)
{
    const char *why;
    if (json_unescape(said->channel, &room->channel))
        return bad(ret_refusal, "channel is a string");
    request->channel = buf_str(&room->channel);
    if (!name_valid(request->channel, &why))
        return refusal_set(ret_refusal, PROBLEM_BAD_CHANNEL, why);
    if (said->state.len || said->read.len)
        return presence_asking_read_change(request, said->state, said->read, ret_refusal);
    return read_question(request, said, room, ret_refusal);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static struct ask *ask_new(struct freshet_v1 *v1, struct str ref)
{
    struct ask *ask = asks_of(v1) ? mem_try_alloc(sizeof(*ask)) : NULL;
    if (!ask)
        return NULL;
    *ask = (struct ask){.asking = {.request = {.op = PRESENCE_GET, .answered = answered}},
                        .v1 = v1,
                        .ref_len = (uint8_t)ref.len};
    if (ref.len)
        memcpy(ask->ref, ref.at, ref.len);
    ask->asking.request.gone = &ask->gone;
    list_add_last(&v1->asks->asks, &ask->node);
    v1->asks->count++;
    return ask;
}

/* A read mark takes the right to read as well. */
static enum permit find_permits(struct freshet_v1 *v1, const struct presence_request *request,
                                struct refusal *ret_refusal)
{
    struct websocket *websocket = &v1->websocket;
    enum permit permit =
        permits_find(websocket, ACTION_PRESENCE, &request->channel, 1, ret_refusal);
    if (permit != PERMIT_GOES_ON || !request->read)
        return permit;
    return permits_find(websocket, ACTION_READ, &request->channel, 1, ret_refusal);
}

static bool begin(struct freshet_v1 *v1, struct ask *ask, struct str as,
                  struct refusal *ret_refusal)
{
    const struct request_stream *request = freshet_v1_request(v1);
    struct access access = permits_access(&v1->websocket);
    const struct publisher publisher = {.access = access,
                                        .keyspace = caller_name(access.caller),
                                        .conn = request_stream_conn(request),
                                        .request = request_stream_id(request)};
    return presence_asking_check(v1->worker, &publisher, &ask->asking.request, as, ret_refusal) &&
           presence_asking_begin(v1->worker, &ask->asking, ret_refusal);
}

/* A message that waits for the operator's server is read once more when that has answered, so
 * nothing of it is kept. */
static enum permit carry_out(struct freshet_v1 *v1, const struct freshet_v1_presence_said *said,
                             struct room *room, struct refusal *ret_refusal)
{
    struct str as;
    struct ask *ask = ask_new(v1, said->ref);
    if (!ask) {
        (void)refusal_set(ret_refusal, PROBLEM_UNAVAILABLE, "no memory: try again");
        return PERMIT_REFUSED;
    }
    enum permit permit = PERMIT_REFUSED;
    struct presence_request *request = &ask->asking.request;
    if (freshet_v1_name(v1, said->as, &room->as, &as, ret_refusal) &&
        read_message(request, said, room, ret_refusal))
        permit = find_permits(v1, request, ret_refusal);
    if (permit == PERMIT_GOES_ON && !begin(v1, ask, as, ret_refusal))
        permit = PERMIT_REFUSED;
    if (permit != PERMIT_GOES_ON)
        ask_free(ask);
    return permit;
}

void freshet_v1_presence(struct freshet_v1 *v1, const struct freshet_v1_presence_said *said)
{
    struct room room = {.channel = {0}};
    struct refusal refusal;
    if (v1->asks && v1->asks->count >= ASKS_MAX)
        freshet_v1_error(v1, said->ref, PROBLEM_TOO_MANY,
                         "at most 64 requests about presence that are not answered: wait");
    else if (carry_out(v1, said, &room, &refusal) == PERMIT_REFUSED)
        freshet_v1_refuse(v1, said->ref, &refusal);
    room_free(&room);
}
