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
#include "api/describe/operation.h"
#include "api/html.h"
#include "api/styles.h"
#include "api/root.h"
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

/* The operation of a route at place `n`, in the order of the descriptions. NULL behind the last. */
static const struct operation *operation_at(const struct api_route *route, size_t n)
{
    for (size_t t = 0; tasks[t]; t++)
        for (size_t i = 0; i < tasks[t]->count; i++)
            if (!strcmp(tasks[t]->operations[i].route, route->path) && !n--)
                return &tasks[t]->operations[i];
    return NULL;
}

/* The first operation of a route that has `path`; NULL if there is none. */
static const struct operation *find_operation(const struct api_route *route, const char *path)
{
    const struct operation *operation;
    for (size_t n = 0; (operation = operation_at(route, n)); n++)
        if (!strcmp(operation->path, path))
            return operation;
    return NULL;
}

/* Whether a browser that opens the path of the route alone gets something. */
static bool opens(const struct api_route *route)
{
    if (page_is_folder(str_skip(str_from(route->path), 1)))
        return true;
    const struct operation *operation;
    for (size_t n = 0; (operation = operation_at(route, n)); n++)
        if (operation->method == HTTP_GET && !operation->required &&
            !strcmp(operation->path, route->path))
            return true;
    return false;
}

/* The methods of a path of a route, if it takes others than GET. */
static void add_methods(struct buf *out, const struct api_route *route, const char *path)
{
    static const char *const names[HTTP_OTHER] = {[HTTP_GET] = "GET",
                                                  [HTTP_POST] = "POST",
                                                  [HTTP_PUT] = "PUT",
                                                  [HTTP_PATCH] = "PATCH",
                                                  [HTTP_DELETE] = "DELETE"};
    const struct operation *operation;
    unsigned methods = 0;
    for (size_t n = 0; (operation = operation_at(route, n)); n++)
        if (!strcmp(operation->path, path))
            methods |= 1U << operation->method;
    if (!(methods & ~(1U << HTTP_GET)))
        return;
    buf_add_lit(out, " <span class=\"methods\">");
    const char *space = "";
    for (unsigned i = 0; i < HTTP_OTHER; i++) {
        if (!names[i] || !(methods & 1U << i))
            continue;
        buf_addf(out, "%s%s", space, names[i]);
        space = " ";
    }
    buf_add_lit(out, "</span>");
}

/* The paths of a route besides `shown`, with the methods of each. */
static void add_other_paths(struct buf *out, const struct api_route *route, const char *shown)
{
    const struct operation *operation;
    bool is_first = true;
    for (size_t n = 0; (operation = operation_at(route, n)); n++) {
        if (!strcmp(operation->path, shown) || find_operation(route, operation->path) != operation)
            continue;
        buf_addf(out, "%s<li><code>%s</code>", is_first ? "\n<ul>" : "", operation->path);
        add_methods(out, route, operation->path);
        buf_add_lit(out, "</li>\n");
        is_first = false;
    }
    if (!is_first)
        buf_add_lit(out, "</ul>");
}

/* A route: its own path if something is there, else its first one, what it is for, and its other
 * paths. A path that a browser can open is a link. */
static void add_route(const struct front *front, const struct api_route *route)
{
    struct buf *out = front->out;
    const struct operation *first = operation_at(route, 0);
    bool is_link = opens(route);
    const char *path =
        is_link || !first || find_operation(route, route->path) ? route->path : first->path;
    if (is_link)
        buf_addf(out, "<a href=\"%.*s%s\">%s</a>", STR_FMT(front->api->base), path, path);
    else
        buf_addf(out, "<code>%s</code>", path);
    add_methods(out, route, path);
    buf_addf(out, ": %s", route->doc);
    add_other_paths(out, route, path);
}

static void add_paths(const struct front *front)
{
    for (size_t i = 0; i < api_routes_count; i++) {
        buf_add_lit(front->out, "            <li>");
        add_route(front, &api_routes[i]);
        buf_add_lit(front->out, "</li>\n");
    }
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
        called_add_origin(front->out, front->exchange, front->api->base);
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
    struct buf filled = {0}, body = {0};
    struct front front = {exchange, api_of(exchange), &filled, false};
    const struct page_file *file = page_file_find(STR("pages/index.html"));
    struct response response;
    write_page(&front, file->body);
    styles_add_page(&body, STR(""), buf_str(&filled)); /* the page is served at the base */
    response_init(&response, 200);
    html_add_fields(&response, buf_str(&body));
    response_add(&response, STR("Vary"), STR("Accept, Host"));
    response.type = str_from(file->type);
    response.body[0] = buf_str(&body);
    if (buf_failed(&filled) || buf_failed(&body))
        response_fail(&response);
    exchange_respond(exchange, &response);
    buf_free(&filled);
    buf_free(&body);
}

void front_handle(struct exchange *exchange, struct str rest)
{
    if (wants_html(exchange))
        answer_person(exchange);
    else
        root_handle(exchange, rest);
}
