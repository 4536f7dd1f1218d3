/* The page is a file of src/pages with places to fill in:
 *
 *     {{version}} {{origin}} {{channel}} {{credential}} {{paths}}
 *     {{if /console}} … {{end}}     only if the server has this path
 *     {{if rules}} … {{end}}        only if nobody may publish without a credential
 *
 * What is filled in is our own text, but for the origin, by which the client has called the server
 * (called.h). */
#include "api/front.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/called.h"
#include "api/info.h"
#include "api/pages.h"
#include "http/accept.h"
#include "pages/pages.h"

struct front {
    const struct exchange *exchange;
    const struct api *api;
    struct buf *out;
    bool skips; /* inside of a condition that does not hold */
};

static bool wants_html(const struct exchange *exchange)
{
    static const struct str offers[] = {{"application/json", 16}, {"text/html", 9}};
    return http_accept_best(&exchange->head->fields, offers, 2) == 1;
}

/* Whether anybody may publish on the playground's channels, and whether on all. */
static bool has_playground(const struct front *front)
{
    const struct access anybody = {.rules = front->exchange->worker->config.rules};
    return !access_decide(&anybody, ACTION_PUBLISH, STR("playground/hello"));
}

static bool is_open(const struct front *front)
{
    return front->exchange->worker->config.rules->open;
}

static bool has_path(struct str path)
{
    for (size_t i = 0; i < api_routes_count; i++)
        if (str_eq(path, str_from(api_routes[i].path)))
            return true;
    return false;
}

static bool holds(const struct front *front, struct str condition)
{
    if (str_eq(condition, STR("rules")))
        return !is_open(front) && !has_playground(front);
    return has_path(condition);
}

static void add_origin(const struct front *front)
{
    struct buf host = {0};
    bool is_secure = called_add_host(&host, front->exchange, STR("localhost:7070"));
    buf_add_str(front->out, is_secure ? STR("https://") : STR("http://"));
    buf_add_str(front->out, buf_str(&host));
    buf_add_str(front->out, front->api->base);
    front->out->failed |= buf_failed(&host);
    buf_free(&host);
}

static void add_paths(const struct front *front)
{
    for (size_t i = 0; i < api_routes_count; i++)
        buf_addf(front->out, "            <li><a href=\"%.*s%s\">%s</a>: %s</li>\n",
                 STR_FMT(front->api->base), api_routes[i].path, api_routes[i].path,
                 api_routes[i].doc);
}

/* Fills in a place by its name. */
static void fill_in(struct front *front, struct str name)
{
    if (str_starts(name, STR("if ")))
        front->skips = !holds(front, str_skip(name, 3));
    else if (str_eq(name, STR("end")))
        front->skips = false;
    else if (front->skips)
        return;
    else if (str_eq(name, STR("version")))
        buf_add_str(front->out, STR(FRESHET_VERSION));
    else if (str_eq(name, STR("origin")))
        add_origin(front);
    else if (str_eq(name, STR("channel")))
        buf_add_str(front->out, is_open(front) ? STR("news") : STR("playground/hello"));
    else if (str_eq(name, STR("credential")) && holds(front, STR("rules")))
        buf_add_lit(front->out, " -H \"Authorization: Bearer $KEY\"");
    else if (str_eq(name, STR("paths")))
        add_paths(front);
}

/* The bytes before the first `mark` are taken off `*rest`, and with `mark` they end there. */
static struct str take_until(struct str *rest, struct str mark)
{
    const char *found = rest->len ? memmem(rest->at, rest->len, mark.at, mark.len) : NULL;
    struct str head = {rest->at, found ? (size_t)(found - rest->at) : rest->len};
    *rest = found ? str_skip(*rest, head.len + mark.len) : STR_NONE;
    return head;
}

static void write_page(struct front *front, struct str text)
{
    while (text.len) {
        struct str plain = take_until(&text, STR("{{"));
        if (!front->skips)
            buf_add_str(front->out, plain);
        fill_in(front, take_until(&text, STR("}}")));
    }
}

static void answer_person(struct exchange *exchange)
{
    struct buf body = {0};
    struct front front = {exchange, api_of(exchange), &body, false};
    const struct page_file *file = page_file_find(STR("pages/index.html"));
    struct response response;
    write_page(&front, file->body);
    response_init(&response, 200);
    api_pages_add_fields(&response);
    response_add(&response, STR("Vary"), STR("Accept, Host"));
    response.type = str_from(file->type);
    response.body[0] = buf_str(&body);
    if (buf_failed(&body))
        response_fail(&response);
    exchange_respond(exchange, &response);
    buf_free(&body);
}

void front_handle(struct exchange *exchange, struct str rest)
{
    if (wants_html(exchange))
        answer_person(exchange);
    else
        info_root(exchange, rest);
}
