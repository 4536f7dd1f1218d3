#include "api/pages.h"

#include "api/answers.h"
#include "api/html.h"
#include "api/styles.h"
#include "base/hash.h"
#include "base/json_writer.h"
#include "http/condition.h"
#include "http/response_gzip.h"
#include "pages/pages.h"

/* Whether the client says that it has the file as it is (RFC 9110 section 13.1.2). */
static bool is_known(const struct http_fields *fields, const char *tag)
{
    struct http_etag etag;
    struct str value;
    for (size_t pos = 0; http_fields_next(fields, STR("if-none-match"), &pos, &value);)
        while (http_etag_next(&value, &etag) > 0)
            if (str_eq(etag.opaque, str_from(tag)))
                return true;
    return false;
}

void api_pages_tag(struct str content, char ret[PAGE_TAG_SIZE])
{
    uint8_t sum[HASH_SHA256_SIZE];
    hash_sha256(content, sum);
    hash_write_hex(sum, PAGE_TAG_SIZE / 2, ret);
    ret[PAGE_TAG_SIZE - 1] = '\0';
}

static bool is_html(const char *type)
{
    return str_starts(str_from(type), STR("text/html"));
}

static size_t length_of(const struct page_answer *answer)
{
    size_t length = 0;
    for (size_t i = 0; i < RESPONSE_PARTS; i++)
        length += answer->parts[i].len;
    return length;
}

void api_pages_respond(struct exchange *exchange, const struct page_answer *answer)
{
    bool known = is_known(&exchange->head->fields, answer->tag);
    struct response response;
    response_init(&response, known ? 304 : 200);
    response.bodiless = known;
    response.kept = true;
    buf_addf(response_compose(&response, STR("ETag")), "W/\"%s\"",
             answer->tag); /* weak: it may be compressed */
    if (answer->by_accept)
        response_add(&response, STR("Vary"), STR("Accept, Host"));
    if (known) {
        response_gzip_vary(&response, str_from(answer->type), length_of(answer));
    } else {
        html_add_fields(&response, is_html(answer->type) ? answer->parts[0] : STR_NONE);
        response.type = str_from(answer->type);
        memcpy(response.body, answer->parts, sizeof(answer->parts));
    }
    exchange_respond(exchange, &response);
}

/* Answers with a page and its sheets. Its tag changes with each of them. */
static void respond_with_page(struct exchange *exchange, const struct page_file *file)
{
    struct buf body = {0};
    char tag[PAGE_TAG_SIZE];
    styles_add_page(&body, str_from(file->path), file->body);
    api_pages_tag(buf_str(&body), tag);
    const struct page_answer answer = {.type = file->type, .tag = tag, .parts = {buf_str(&body)}};
    if (buf_failed(&body))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        api_pages_respond(exchange, &answer);
    buf_free(&body);
}

static void respond(struct exchange *exchange, const struct page_file *file)
{
    const struct page_answer answer = {.type = file->type, .tag = file->tag, .parts = {file->body}};
    if (is_html(file->type))
        respond_with_page(exchange, file);
    else
        api_pages_respond(exchange, &answer);
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

/* Sends a browser to the last part of `path`, between `before` and `behind`. */
static void redirect(struct exchange *exchange, const char *before, struct str path,
                     const char *behind)
{
    struct response response;
    response_init(&response, 308);
    size_t from = path.len;
    while (from > 0 && path.at[from - 1] != '/')
        from--;
    struct buf *location = response_compose(&response, STR("Location"));
    buf_add_str(location, str_from(before));
    buf_add_str(location, str_skip(path, from));
    buf_add_str(location, str_from(behind));
    exchange_respond(exchange, &response);
}

bool api_pages_redirect(struct exchange *exchange)
{
    struct str path = exchange->head->path, base = api_of(exchange)->base;
    if (!str_starts(path, base) || !path.len)
        return false;
    if (path.len == base.len) {
        redirect(exchange, "", path, "/");
        return true;
    }
    if (path.at[base.len] != '/' || path.at[path.len - 1] != '/' || path.len < base.len + 2)
        return false;
    struct str page = {path.at + base.len + 1, path.len - base.len - 2};
    if (!page_file_find(page))
        return false;
    redirect(exchange, "../", page, "");
    return true;
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
    else if (page_is_folder(path))
        redirect(exchange, "", path, "/"); /* so that relative links lead into the folder */
    else
        api_problem(exchange, PROBLEM_NOT_FOUND, "GET / lists the paths of this server");
}
