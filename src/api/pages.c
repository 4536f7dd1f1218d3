#include "api/pages.h"

#include "api/answers.h"
#include "base/json_writer.h"
#include "http/condition.h"
#include "http/response_gzip.h"
#include "pages/pages.h"

/* A page may load and ask for what this server has, and nothing from elsewhere; nobody may frame
 * it, so that no site can make its visitors click in it. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' "  \
    "ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* Whether the client says that it has the file as it is (RFC 9110 section 13.1.2). */
static bool is_known(const struct http_fields *fields, const struct page_file *file)
{
    struct http_etag etag;
    struct str value;
    for (size_t pos = 0; http_fields_next(fields, STR("if-none-match"), &pos, &value);)
        while (http_etag_next(&value, &etag) > 0)
            if (str_eq(etag.opaque, str_from(file->tag)))
                return true;
    return false;
}

void api_pages_add_fields(struct response *response)
{
    response_add(response, STR("X-Content-Type-Options"), STR("nosniff"));
    response_add(response, STR("Content-Security-Policy"), STR(PAGE_POLICY));
    response_add(response, STR("Referrer-Policy"), STR("no-referrer"));
}

static void respond(struct exchange *exchange, const struct page_file *file)
{
    bool known = is_known(&exchange->head->fields, file);
    struct response response;
    response_init(&response, known ? 304 : 200);
    response.bodiless = known;
    response.kept = true;
    buf_addf(response_compose(&response, STR("ETag")), "W/\"%s\"",
             file->tag); /* weak: it may be compressed */
    if (known) {
        response_gzip_vary(&response, str_from(file->type), file->body.len);
    } else {
        api_pages_add_fields(&response);
        response.type = str_from(file->type);
        response.body[0] = file->body;
    }
    exchange_respond(exchange, &response);
}

static void list(struct exchange *exchange)
{
    struct buf body = {0};
    struct json_writer writer = json_writer(&body);
    json_object_begin(&writer);
    json_name(&writer, "pages");
    json_array_begin(&writer);
    for (size_t i = 0; i < page_files_count; i++)
        json_add_string(&writer, str_from(page_files[i].path));
    json_array_end(&writer);
    json_object_end(&writer);
    exchange_json(exchange, 200, buf_str(&body));
    buf_free(&body);
}

void api_pages_handle(struct exchange *exchange, struct str rest)
{
    struct str path = str_skip(exchange->head->path, api_of(exchange)->base.len + 1);
    (void)rest;
    const struct page_file *file = page_file_find(path);
    if (file)
        respond(exchange, file);
    else if (str_eq(path, STR("pages")))
        list(exchange);
    else
        api_problem(exchange, PROBLEM_NOT_FOUND, "GET / lists the paths of this server");
}
