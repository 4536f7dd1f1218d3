#include "api/describe/descriptions.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/called.h"
#include "api/describe/asyncapi.h"
#include "api/describe/openapi.h"
#include "api/pages.h"
#include "base/mem.h"

#include <stdlib.h>

struct descriptions {
    struct openapi openapi;
    struct asyncapi asyncapi;
    char openapi_tag[PAGE_TAG_SIZE], asyncapi_tag[PAGE_TAG_SIZE];
};

struct descriptions *descriptions_new(struct str base)
{
    struct descriptions *descriptions = mem_try_alloc(sizeof(*descriptions));
    if (!descriptions)
        return NULL;
    openapi_make(&descriptions->openapi, base);
    asyncapi_make(&descriptions->asyncapi);
    if (buf_failed(&descriptions->openapi.back) || buf_failed(&descriptions->asyncapi.back)) {
        descriptions_free(descriptions);
        return NULL;
    }
    api_pages_tag(buf_str(&descriptions->openapi.back), descriptions->openapi_tag);
    api_pages_tag(buf_str(&descriptions->asyncapi.back), descriptions->asyncapi_tag);
    return descriptions;
}

void descriptions_free(struct descriptions *descriptions)
{
    if (!descriptions)
        return;
    openapi_free(&descriptions->openapi);
    asyncapi_free(&descriptions->asyncapi);
    free(descriptions);
}

/* NULL, and the exchange was answered, if there was no memory for the documents. */
static const struct descriptions *find(struct exchange *exchange)
{
    const struct descriptions *descriptions = api_of(exchange)->descriptions;
    if (!descriptions)
        api_problem(exchange, PROBLEM_UNAVAILABLE,
                    "the server had no memory for its description when it was started");
    return descriptions;
}

/* A document whose servers lead to where the client has called, as the links of the pages do. */
struct document {
    struct str front, back;
    const char *tag; /* of the parts that are always the same */
};

static void respond(struct exchange *exchange, const struct document *document,
                    const struct buf *servers)
{
    char tag[PAGE_TAG_SIZE];
    struct buf tagged = {0};
    buf_add_str(&tagged, str_from(document->tag));
    buf_add_str(&tagged, buf_str(servers));
    if (buf_failed(servers) || buf_failed(&tagged)) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    } else {
        api_pages_tag(buf_str(&tagged), tag);
        const struct page_answer answer = {
            .type = "application/json",
            .tag = tag,
            .parts = {document->front, buf_str(servers), document->back}};
        api_pages_respond(exchange, &answer);
    }
    buf_free(&tagged);
}

void descriptions_openapi(struct exchange *exchange, struct str rest)
{
    const struct descriptions *descriptions = find(exchange);
    struct buf servers = {0}, origin = {0};
    (void)rest;
    if (!descriptions)
        return;
    const struct openapi *openapi = &descriptions->openapi;
    const struct document document = {buf_str(&openapi->front), buf_str(&openapi->back),
                                      descriptions->openapi_tag};
    called_add_origin(&origin, exchange, api_of(exchange)->base);
    openapi_add_servers(&servers, buf_str(&origin));
    servers.failed |= buf_failed(&origin);
    respond(exchange, &document, &servers);
    buf_free(&servers);
    buf_free(&origin);
}

void descriptions_asyncapi(struct exchange *exchange, struct str rest)
{
    const struct descriptions *descriptions = find(exchange);
    struct buf servers = {0}, host = {0};
    (void)rest;
    if (!descriptions)
        return;
    const struct asyncapi *asyncapi = &descriptions->asyncapi;
    const struct document document = {buf_str(&asyncapi->front), buf_str(&asyncapi->back),
                                      descriptions->asyncapi_tag};
    bool is_secure = called_add_host(&host, exchange, STR("localhost:7070"));
    asyncapi_add_servers(&servers, api_of(exchange)->base, buf_str(&host), is_secure);
    servers.failed |= buf_failed(&host);
    respond(exchange, &document, &servers);
    buf_free(&servers);
    buf_free(&host);
}
