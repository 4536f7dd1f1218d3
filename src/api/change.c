#include "api/change.h"

#include "api/answers.h"
#include "api/api.h"
#include "transport/audit_notes.h"

#include <errno.h>
#include <stdlib.h>

void change_request_free(struct change_request *request)
{
    buf_wipe(&request->answer);
    api_key_free(request->change.key);
    free(request->change.revocation);
    free(request);
}

static void refuse_missing(struct change_request *request)
{
    struct buf detail = {0};
    buf_addf(&detail, "there is no such %.*s", STR_FMT(request->what));
    exchange_problem(request->exchange, PROBLEM_NOT_FOUND, buf_str(&detail), STR_NONE);
    buf_free(&detail);
}

static void refuse_configured(struct exchange *exchange)
{
    struct response response;
    response_init(&response, 0);
    api_add_methods(&response, STR("Allow"), 1U << HTTP_GET | 1U << HTTP_HEAD);
    exchange_refuse(exchange, &response, PROBLEM_METHOD_NOT_ALLOWED,
                    STR("this key stands in the configuration: remove it there"), STR_NONE);
}

static void refuse(struct change_request *request)
{
    struct exchange *exchange = request->exchange;
    switch (request->change.result) {
    case CHANGE_E_MISSING:
        refuse_missing(request);
        break;
    case CHANGE_E_MANY:
        api_problem(exchange, PROBLEM_TOO_MANY,
                    request->change.op == CHANGE_ADD_KEY
                        ? "there are 1000 keys: revoke some that are not used any more"
                        : "there are 10000 revocations: delete some, or say `until` with new ones");
        break;
    case CHANGE_E_CONFIGURED:
        refuse_configured(exchange);
        break;
    case CHANGE_E_FATE_UNKNOWN:
        api_problem(exchange, PROBLEM_FATE_UNKNOWN,
                    "the disk failed: a crash now may undo this, or do it; try again");
        break;
    case -ENOSPC:
        api_problem(exchange, PROBLEM_NO_SPACE, "nothing was changed");
        break;
    default:
        api_problem(exchange, PROBLEM_UNAVAILABLE, "nothing was changed; try again");
    }
}

/* Tells the audit who has made or deleted what. */
static void note(struct change_request *request)
{
    static const char *const done[] = {
        [CHANGE_ADD_KEY] = "key made",
        [CHANGE_REMOVE_KEY] = "key revoked",
        [CHANGE_ADD_REVOCATION] = "revoked",
        [CHANGE_REMOVE_REVOCATION] = "revocation ended",
    };
    struct exchange *exchange = request->exchange;
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    struct str id = {request->change.id, request->change.id_len};
    struct audit_entry entry = {.kind = AUDIT_CHANGED,
                                .caller = exchange->caller,
                                .why = str_from(done[request->change.op])};
    json_member_bytes(&writer, "id", id);
    if (request->answer.len && request->change.op == CHANGE_ADD_REVOCATION)
        json_member_raw(&writer, "revocation", buf_str(&request->answer));
    entry.members = buf_str(&members);
    audit_note(exchange->worker, exchange->request, &entry);
    buf_free(&members);
}

static void answer(struct change_request *request)
{
    if (request->change.result)
        refuse(request);
    else if (request->answer.len)
        exchange_json(request->exchange, 201, buf_str(&request->answer));
    else
        api_done(request->exchange);
}

static void answered(struct mail *mail, void *owner)
{
    (void)owner;
    struct change *change = container_of(mail, struct change, mail);
    struct change_request *request = container_of(change, struct change_request, change);
    if (!change->result)
        note(request);
    if (request->exchange->dropped)
        exchange_free(request->exchange);
    else
        answer(request);
    change_request_free(request);
}

struct change_request *change_request_new(struct exchange *exchange, enum change_op op,
                                          struct str what)
{
    struct change_request *request = mem_try_alloc(sizeof(*request));
    if (!request) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return NULL;
    }
    *request = (struct change_request){.change = {.op = op}, .exchange = exchange, .what = what};
    return request;
}

bool change_request_set_id(struct change_request *request, struct str id)
{
    if (id.len > sizeof(request->change.id)) {
        refuse_missing(request);
        change_request_free(request);
        return false;
    }
    memcpy(request->change.id, id.at, id.len);
    request->change.id_len = id.len;
    return true;
}

void change_request_submit(struct change_request *request)
{
    struct exchange *exchange = request->exchange;
    request->change.reply = &exchange->worker->loop.mailbox;
    request->change.mail.open = answered;
    changes_submit(api_of(exchange)->changes, &request->change);
}
