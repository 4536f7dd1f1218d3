#include "transport/presence_asking.h"

#include "publish/maker.h"

enum { BODY_MAX = 4 * PRESENCE_STATE_MAX };
/* How often a list is copied until it is in the memory of its connection. */
enum { COPIES = 2 };

/* ---- a change -------------------------------------------------------------------------------- */

static bool read_state(struct presence_request *request, struct str state,
                       struct refusal *ret_refusal)
{
    if (state.len > PRESENCE_STATE_MAX)
        return refusal_set(ret_refusal, PROBLEM_TOO_LARGE,
                           "a state has at most 1024 bytes of JSON: publish larger things as "
                           "events, and put their address into the state");
    if (json_check(state, PRESENCE_STATE_DEPTH_MAX, NULL))
        return refusal_set(ret_refusal, PROBLEM_BAD_JSON, "state is JSON, nested at most 32 deep");
    request->has_state = true;
    request->state = state;
    return true;
}

static bool read_mark(struct presence_request *request, struct str read,
                      struct refusal *ret_refusal)
{
    struct buf text = {0};
    bool good = json_unescape(read, &text) == 0 && event_id_read(buf_str(&text), &request->read) &&
                request->read;
    buf_free(&text);
    return good || refusal_set(ret_refusal, PROBLEM_BAD_CURSOR,
                               "read is a string: the id of the newest event that was read");
}

bool presence_asking_read_change(struct presence_request *request, struct str state,
                                 struct str read, struct refusal *ret_refusal)
{
    if (!state.len && !read.len)
        return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER,
                           "say state, read, or both: state is any JSON, read an id as a string");
    request->op = PRESENCE_PUT;
    return (!state.len || read_state(request, state, ret_refusal)) &&
           (!read.len || read_mark(request, read, ret_refusal));
}

bool presence_asking_read_body(struct presence_request *request, struct str body,
                               struct refusal *ret_refusal)
{
    struct str key, value, state = STR_NONE, read = STR_NONE;
    struct str object = json_skip_space(body);
    if (body.len > BODY_MAX)
        return refusal_set(ret_refusal, PROBLEM_TOO_LARGE,
                           "the body has at most 4 KiB, and a state 1 KiB");
    if (json_check(body, JSON_DEPTH_MAX, NULL) || object.at[0] != '{')
        return refusal_set(ret_refusal, PROBLEM_BAD_JSON,
                           "send an object with the members state, read or both: state is JSON, "
                           "read an id as a string");
    for (size_t pos = 0; json_next(object, &pos, &key, &value);) {
        struct str *place = str_eq(key, STR("state"))  ? &state
                            : str_eq(key, STR("read")) ? &read
                                                       : NULL;
        if (!place || place->len)
            return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER,
                               "the members of the body are state and read, each once at most");
        *place = value;
    }
    return presence_asking_read_change(request, state, read, ret_refusal);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static bool check_change(struct worker *worker, const struct publisher *publisher,
                         const struct presence_request *request, struct refusal *ret_refusal)
{
    if (!request->me.name.len)
        return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER,
                           "say who you are: send a credential with a subject, or as=NAME");
    return submitter_take(&worker->submitter, publisher, request->channel, request->state.len,
                          ret_refusal);
}

static bool is_on(const struct worker *worker, struct str channel)
{
    return worker->config.presence && presence_is_on(worker->config.presence, channel);
}

/* Rights come first: to somebody without them the answer says nothing of the channel. */
bool presence_asking_check(struct worker *worker, const struct publisher *publisher,
                           struct presence_request *request, struct str as,
                           struct refusal *ret_refusal)
{
    struct str subject = caller_subject(publisher->access.caller);
    if (!access_check(&publisher->access, ACTION_PRESENCE, request->channel, ret_refusal) ||
        (request->read &&
         !access_check(&publisher->access, ACTION_READ, request->channel, ret_refusal)) ||
        !presence_as_check(as, subject, ret_refusal))
        return false;
    if (!is_on(worker, request->channel))
        return refusal_set(ret_refusal, PROBLEM_NO_PRESENCE, PRESENCE_OFF_DETAIL);
    request->me = presence_who(subject, as);
    request->address = publisher_address(publisher);
    return request->op == PRESENCE_GET || check_change(worker, publisher, request, ret_refusal);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool keep(struct arena *arena, struct str *text)
{
    *text = arena_copy(arena, *text);
    return text->at || !text->len;
}

/* A state becomes part of events, each of which is a line in some formats. */
static bool keep_state(struct arena *arena, struct str *state)
{
    char *copy = state->len ? arena_alloc(arena, state->len) : NULL;
    if (!copy)
        return !state->len;
    memcpy(copy, state->at, state->len);
    json_one_line(copy, state->len);
    state->at = copy;
    return true;
}

/* Questions wait for the host, and those that wait cannot be taken back: they leave half of the
 * room for held bytes to others. */
static bool has_room(const struct account *account, size_t bytes)
{
    return !account->limit || account->total + bytes <= account->limit / 2;
}

bool presence_asking_begin(struct worker *worker, struct presence_asking *asking,
                           struct refusal *ret_refusal)
{
    struct presence_request *request = &asking->request;
    struct arena *arena = &asking->arena;
    if (!keep(arena, &request->channel) || !keep(arena, &request->after.name) ||
        !keep(arena, &request->after_mark.name) || !keep(arena, &request->me.name) ||
        !keep_state(arena, &request->state))
        return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE, "no memory: try again");
    size_t bytes = sizeof(*asking) + arena->total;
    if (!has_room(&worker->account, bytes)) {
        worker_hit(worker, LIMIT_HELD);
        return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE, "too much waits: try again");
    }
    request->home = &worker->loop.mailbox;
    asking->worker = worker;
    account_set(&worker->account, ACCOUNT_INTAKE, &asking->held, bytes);
    desk_flush(&worker->desk); /* the turn may have made a member of the asker just now */
    presence_ask(worker->config.presence, request);
    return true;
}

void presence_asking_charge(struct worker *worker, const struct presence_request *request)
{
    (void)budget_spend(&worker->turn_budget, request->answer.len * COPIES);
}

struct refusal presence_asking_refusal(const struct presence_request *request)
{
    static const enum problem problems[] = {
        [PRESENCE_E_OFF] = PROBLEM_NO_PRESENCE,      [PRESENCE_E_AWAY] = PROBLEM_NOT_A_MEMBER,
        [PRESENCE_E_BEYOND] = PROBLEM_BAD_CURSOR,    [PRESENCE_E_FULL] = PROBLEM_TOO_MANY,
        [PRESENCE_E_SHARE] = PROBLEM_PRESENCE_SHARE, [PRESENCE_E_STORE] = PROBLEM_UNAVAILABLE,
        [PRESENCE_E_FATE] = PROBLEM_FATE_UNKNOWN,
    };
    return (struct refusal){.problem = problems[request->fault], .detail = request->detail};
}

void presence_asking_free(struct presence_asking *asking)
{
    struct presence_request *request = &asking->request;
    buf_free(&request->answer);
    buf_free(&request->last_name);
    buf_free(&request->last_mark_name);
    arena_free(&asking->arena);
    if (asking->worker)
        account_set(&asking->worker->account, ACCOUNT_INTAKE, &asking->held, 0);
}
