#include "api/revocations.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/change.h"
#include "api/list_page.h"
#include "api/query.h"

enum { REVOCATION_BODY_MAX = 4096 };

#define NAME_ROW(text, example_)                                                                   \
    {                                                                                              \
        .name = {text, sizeof(text) - 1}, .kind = PARAMETER_TEXT, .least = 1,                      \
        .most = REVOKED_NAME_MAX, .example = (example_)                                            \
    }

enum { LIMIT = REVOKED_KINDS, AFTER, ROWS };

/* The row of each enum revoked_kind, and those of the list. */
static const struct parameter rows[ROWS] = {
    [REVOKED_SUBJECT] = NAME_ROW("subject", "alice"),
    [REVOKED_JTI] = NAME_ROW("jti", "5f0c"),
    [REVOKED_KEY] = NAME_ROW("key", "abcdefghij"),
    [LIMIT] = LIST_PAGE_LIMIT,
    [AFTER] = LIST_PAGE_AFTER,
};

struct parameter_table revocations_parameters(void)
{
    return (struct parameter_table){rows, REVOKED_KINDS};
}

struct parameter_table revocation_list_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

/* The id that the query names, if it names any; `named` counts. */
struct asked_id {
    char text[CHANGE_ID_MAX];
    size_t len;
    unsigned named;
};

static bool take_name(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct asked_id *id = context;
    (void)exchange;
    if (found->row >= REVOKED_KINDS)
        return true;
    const char *word = revoked_kind_word((enum revoked_kind)found->row);
    size_t len = strlen(word);
    memcpy(id->text, word, len);
    id->text[len] = ':';
    memcpy(id->text + len + 1, found->value.at, found->value.len);
    id->len = len + 1 + found->value.len;
    id->named++;
    return true;
}

/* Reads the query of a method other than GET. */
static bool read_query(struct exchange *exchange, struct asked_id *id)
{
    *id = (struct asked_id){.named = 0};
    return query_read(exchange, revocations_parameters(), PROBLEM_BAD_PARAMETER, take_name, id);
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

/* ---- reading --------------------------------------------------------------------------------- */

struct listing {
    struct list_page page;
    struct asked_id id; /* not named: all are meant */
    int64_t now_us;
};

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct listing *listing = context;
    if (found->row == AFTER)
        return list_page_take_after(&listing->page, exchange, &rows[AFTER], found->value);
    if (found->row == LIMIT)
        listing->page.limit = found->number;
    return take_name(exchange, &listing->id, found);
}

static bool read_list_query(struct exchange *exchange, struct listing *listing)
{
    return query_read(exchange, revocation_list_parameters(), PROBLEM_BAD_PARAMETER, take,
                      listing) &&
           is_named(exchange, &listing->id, 0, 1);
}

static bool add_revocation(void *context, const struct revocation *revocation)
{
    struct listing *listing = context;
    if (revocation->until_us && revocation->until_us <= listing->now_us)
        return true; /* it has ended, and is about to be forgotten */
    if (!list_page_takes(&listing->page, revocation_made(revocation)))
        return false;
    revocation_write(&listing->page.writer, revocation);
    return true;
}

static void write_list(struct exchange *exchange, struct listing *listing)
{
    struct revocations *all = api_of(exchange)->revocations;
    const struct asked_id *id = &listing->id;
    list_page_open(&listing->page, "revocations");
    if (id->named)
        revocations_look(all, (struct str){id->text, id->len}, add_revocation, listing);
    else
        revocations_each_behind(all, listing->page.after, add_revocation, listing);
    list_page_answer(&listing->page, exchange);
}

static void list_revocations(struct exchange *exchange)
{
    struct listing listing = {.now_us = clock_wall_us(api_of(exchange)->clock)};
    list_page_begin(&listing.page);
    if (read_list_query(exchange, &listing))
        write_list(exchange, &listing);
    list_page_end(&listing.page);
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

static bool is_read(const struct exchange *exchange)
{
    return exchange->head->method == HTTP_GET || exchange->head->method == HTTP_HEAD;
}

void api_revocations_handle(struct exchange *exchange, struct str rest)
{
    struct asked_id id;
    (void)rest;
    if (!api_is_admin(exchange))
        return;
    if (is_read(exchange)) {
        list_revocations(exchange);
        return;
    }
    if (!read_query(exchange, &id))
        return;
    if (exchange->head->method == HTTP_POST) {
        if (is_named(exchange, &id, 0, 0))
            create_revocation(exchange);
    } else if (is_named(exchange, &id, 1, 1)) {
        delete_revocation(exchange, &id);
    }
}
