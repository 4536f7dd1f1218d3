#include "api/api_keys.h"

#include "api/answers.h"
#include "api/change.h"
#include "api/api.h"
#include "api/list_page.h"
#include "api/query.h"
#include "http/target.h"

enum { KEY_BODY_MAX = 65536 };

#define METHODS_READ (1U << HTTP_GET | 1U << HTTP_HEAD)

/* ---- reading --------------------------------------------------------------------------------- */

enum { LIMIT, AFTER, ROWS };

static const struct parameter rows[ROWS] = {[LIMIT] = LIST_PAGE_LIMIT, [AFTER] = LIST_PAGE_AFTER};

struct parameter_table api_key_list_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct list_page *page = context;
    if (found->row == AFTER)
        return list_page_take_after(page, exchange, &rows[AFTER], found->value);
    if (found->row == LIMIT)
        page->limit = found->number;
    return true;
}

static void write_key(struct json_writer *writer, const struct api_key *key)
{
    json_object_begin(writer);
    api_key_show(writer, key);
    json_object_end(writer);
}

static bool add_key(void *context, struct api_key *key)
{
    struct list_page *page = context;
    bool takes = list_page_takes(page, api_key_made(key));
    if (takes)
        write_key(&page->writer, key);
    return takes;
}

static void list_keys(struct exchange *exchange)
{
    struct list_page page;
    list_page_begin(&page);
    if (query_read(exchange, api_key_list_parameters(), PROBLEM_BAD_PARAMETER, take, &page)) {
        list_page_open(&page, "keys");
        key_table_each_behind(api_of(exchange)->keys, page.after, add_key, &page);
        list_page_answer(&page, exchange);
    }
    list_page_end(&page);
}

static void add_one(void *context, struct api_key *key)
{
    write_key(context, key);
}

static void show_key(struct exchange *exchange, struct str id)
{
    struct buf body = {0};
    struct json_writer writer = json_writer(&body);
    if (!key_table_look(api_of(exchange)->keys, id, add_one, &writer))
        api_problem(exchange, PROBLEM_NOT_FOUND, "there is no such key: GET /keys lists all");
    else if (buf_failed(&body))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        exchange_json(exchange, 200, buf_str(&body));
    buf_free(&body);
}

/* ---- changing -------------------------------------------------------------------------------- */

/* Writes the answer before the key is handed over: its text is never seen again. */
static void write_made(struct change_request *request, const char *text)
{
    struct json_writer writer = json_writer(&request->answer);
    json_object_begin(&writer);
    json_member_string(&writer, "key", str_from(text));
    api_key_show(&writer, request->change.key);
    json_object_end(&writer);
}

/* Makes the key, with an answer that holds its text. False if the exchange was answered. */
static bool make_key(struct change_request *request)
{
    struct exchange *exchange = request->exchange;
    const struct access maker = exchange_access(exchange);
    char text[KEY_TEXT_LEN + 1];
    struct refusal refusal;
    const char *fault =
        api_key_request(exchange_input(exchange), clock_wall_us(api_of(exchange)->clock),
                        caller_subject(exchange->caller), text, &request->change.key);
    if (fault) {
        api_problem(exchange, PROBLEM_BAD_ACCESS, fault);
        return false;
    }
    write_made(request, text);
    request->change.id_len = KEY_ID_LEN;
    memcpy(request->change.id, request->change.key->digest.id, KEY_ID_LEN);
    explicit_bzero(text, sizeof(text));
    if (!api_key_is_within(request->change.key, &maker, &refusal))
        api_refuse_as(exchange, &refusal);
    else if (buf_failed(&request->answer))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        return true;
    return false;
}

static void create_key(struct exchange *exchange)
{
    if (exchange_input(exchange).len > KEY_BODY_MAX) {
        api_problem(exchange, PROBLEM_TOO_LARGE, "a request for a key has at most 64 KiB");
        return;
    }
    struct change_request *request = change_request_new(exchange, CHANGE_ADD_KEY, STR("key"));
    if (!request)
        return;
    if (make_key(request))
        change_request_submit(request);
    else
        change_request_free(request);
}

static void revoke_key(struct exchange *exchange, struct str id)
{
    struct change_request *request = change_request_new(exchange, CHANGE_REMOVE_KEY, STR("key"));
    if (request && change_request_set_id(request, id))
        change_request_submit(request);
}

/* ---- the path -------------------------------------------------------------------------------- */

static void handle_all(struct exchange *exchange)
{
    if (1U << exchange->head->method & METHODS_READ)
        list_keys(exchange);
    else if (!query_is_empty(exchange))
        return;
    else if (exchange->head->method == HTTP_POST)
        create_key(exchange);
    else
        api_refuse_method(exchange, METHODS_READ | 1U << HTTP_POST);
}

static void handle_one(struct exchange *exchange, struct str id)
{
    if (!query_is_empty(exchange))
        return;
    if (exchange->head->method == HTTP_DELETE)
        revoke_key(exchange, id);
    else if (1U << exchange->head->method & METHODS_READ)
        show_key(exchange, id);
    else
        api_refuse_method(exchange, METHODS_READ | 1U << HTTP_DELETE);
}

void api_keys_handle(struct exchange *exchange, struct str rest)
{
    struct str id, more;
    if (!api_is_admin(exchange))
        return;
    if (rest.len <= 1)
        handle_all(exchange);
    else if (http_path_next(&rest, &id) && !http_path_next(&rest, &more))
        handle_one(exchange, id);
    else
        api_problem(exchange, PROBLEM_NOT_FOUND, "there is /keys, and /keys/ID");
}
