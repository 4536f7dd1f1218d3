#include "api/revocations.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/change.h"
#include "api/query.h"

enum { REVOCATION_BODY_MAX = 4096 };

#define NAME_ROW(text, example_)                                                                   \
    {                                                                                              \
        .name = {text, sizeof(text) - 1}, .kind = PARAMETER_TEXT, .least = 1,                      \
        .most = REVOKED_NAME_MAX, .example = (example_)                                            \
    }

/* The row of each enum revoked_kind. */
static const struct parameter rows[REVOKED_KINDS] = {
    [REVOKED_SUBJECT] = NAME_ROW("subject", "alice"),
    [REVOKED_JTI] = NAME_ROW("jti", "5f0c"),
    [REVOKED_KEY] = NAME_ROW("key", "abcdefghij"),
};

struct parameter_table revocations_parameters(void)
{
    return (struct parameter_table){rows, REVOKED_KINDS};
}

/* The id that the query names, if it names any; `named` counts. */
struct asked_id {
    char text[CHANGE_ID_MAX];
    size_t len;
    unsigned named;
};

static void take_name(struct asked_id *id, const struct parameter_found *found)
{
    if (found->row >= REVOKED_KINDS)
        return;
    const char *word = revoked_kind_word((enum revoked_kind)found->row);
    size_t len = strlen(word);
    memcpy(id->text, word, len);
    id->text[len] = ':';
    memcpy(id->text + len + 1, found->value.at, found->value.len);
    id->len = len + 1 + found->value.len;
    id->named++;
}

static bool read_query(struct exchange *exchange, struct asked_id *id)
{
    struct parameters parameters;
    struct parameter_found found;
    int result;
    *id = (struct asked_id){.named = 0};
    parameters_begin(&parameters, revocations_parameters(), exchange->head->query);
    while ((result = parameters_next(&parameters, &found)) > 0)
        take_name(id, &found);
    if (result)
        query_refuse(exchange, &parameters, result, PROBLEM_BAD_PARAMETER);
    parameters_end(&parameters);
    return !result;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct listing {
    struct json_writer writer;
    struct str id; /* empty for all */
    int64_t now_us;
};

static void add_revocation(void *context, const struct revocation *revocation)
{
    struct listing *listing = context;
    if (revocation->until_us && revocation->until_us <= listing->now_us)
        return; /* it has ended, and is about to be forgotten */
    if (!listing->id.len || str_eq(listing->id, revocation->id))
        revocation_write(&listing->writer, revocation);
}

static void list_revocations(struct exchange *exchange, const struct asked_id *id)
{
    struct buf body = {0};
    struct listing listing = {
        json_writer(&body), {id->text, id->len}, clock_wall_us(api_of(exchange)->clock)};
    json_object_begin(&listing.writer);
    json_name(&listing.writer, "revocations");
    json_array_begin(&listing.writer);
    revocations_each(api_of(exchange)->revocations, add_revocation, &listing);
    json_array_end(&listing.writer);
    json_object_end(&listing.writer);
    if (buf_failed(&body))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        exchange_json(exchange, 200, buf_str(&body));
    buf_free(&body);
}

/* ---- changing -------------------------------------------------------------------------------- */

static bool make_revocation(struct change_request *request)
{
    struct exchange *exchange = request->exchange;
    const char *fault =
        revocation_request(exchange_input(exchange), clock_wall_us(api_of(exchange)->clock),
                           caller_subject(exchange->caller), &request->change.revocation);
    if (fault) {
        api_problem(exchange, PROBLEM_BAD_ACCESS, fault);
        return false;
    }
    struct json_writer writer = json_writer(&request->answer);
    revocation_write(&writer, request->change.revocation);
    if (!buf_failed(&request->answer))
        return true;
    api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    return false;
}

static void create_revocation(struct exchange *exchange)
{
    if (exchange_input(exchange).len > REVOCATION_BODY_MAX) {
        api_problem(exchange, PROBLEM_TOO_LARGE, "a revocation has at most 4 KiB");
        return;
    }
    struct change_request *request =
        change_request_new(exchange, CHANGE_ADD_REVOCATION, STR("revocation"));
    if (!request)
        return;
    if (make_revocation(request))
        change_request_submit(request);
    else
        change_request_free(request);
}

static void delete_revocation(struct exchange *exchange, const struct asked_id *id)
{
    struct change_request *request =
        change_request_new(exchange, CHANGE_REMOVE_REVOCATION, STR("revocation"));
    if (request && change_request_set_id(request, (struct str){id->text, id->len}))
        change_request_submit(request);
}

static bool is_named(struct exchange *exchange, const struct asked_id *id, unsigned least,
                     unsigned most)
{
    if (id->named >= least && id->named <= most)
        return true;
    api_problem(exchange, PROBLEM_BAD_PARAMETER,
                exchange->head->method == HTTP_POST
                    ? "say in the body what is revoked: one of the members subject, jti and key"
                    : "name one of subject, jti and key, as in /revocations?subject=alice");
    return false;
}

void api_revocations_handle(struct exchange *exchange, struct str rest)
{
    struct asked_id id;
    (void)rest;
    if (!api_is_admin(exchange) || !read_query(exchange, &id))
        return;
    if (exchange->head->method == HTTP_POST) {
        if (is_named(exchange, &id, 0, 0))
            create_revocation(exchange);
    } else if (exchange->head->method == HTTP_DELETE) {
        if (is_named(exchange, &id, 1, 1))
            delete_revocation(exchange, &id);
    } else if (is_named(exchange, &id, 0, 1)) {
        list_revocations(exchange, &id);
    }
}
