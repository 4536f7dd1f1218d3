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
    struct buf openapi;
    struct asyncapi asyncapi;
    char openapi_tag[PAGE_TAG_SIZE], asyncapi_tag[PAGE_TAG_SIZE];
};

struct descriptions *descriptions_new(struct str base)
{
    struct descriptions *descriptions = mem_try_alloc(sizeof(*descriptions));
    if (!descriptions)
        return NULL;
    *descriptions = (struct descriptions){.openapi = {0}};
    openapi_add(&descriptions->openapi, base);
    asyncapi_make(&descriptions->asyncapi);
    if (buf_failed(&descriptions->openapi) || buf_failed(&descriptions->asyncapi.back)) {
        descriptions_free(descriptions);
        return NULL;
    }
    api_pages_tag(buf_str(&descriptions->openapi), descriptions->openapi_tag);
    api_pages_tag(buf_str(&descriptions->asyncapi.back), descriptions->asyncapi_tag);
    return descriptions;
}

void descriptions_free(struct descriptions *descriptions)
{
    if (!descriptions)
        return;
    buf_free(&descriptions->openapi);
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

void descriptions_openapi(struct exchange *exchange, struct str rest)
{
    const struct descriptions *descriptions = find(exchange);
    (void)rest;
    if (!descriptions)
        return;
    const struct page_answer answer = {.type = "application/json",
                                       .tag = descriptions->openapi_tag,
                                       .parts = {buf_str(&descriptions->openapi)}};
    api_pages_respond(exchange, &answer);
}

void descriptions_asyncapi(struct exchange *exchange, struct str rest)
{
    const struct descriptions *descriptions = find(exchange);
    char tag[PAGE_TAG_SIZE];
    struct buf servers = {0}, tagged = {0}, host = {0};
    (void)rest;
    if (!descriptions)
        return;
    bool is_secure = called_add_host(&host, exchange, STR("localhost"));
    asyncapi_add_servers(&servers, api_of(exchange)->base, buf_str(&host), is_secure);
    buf_add_str(&tagged, str_from(descriptions->asyncapi_tag));
    buf_add_str(&tagged, buf_str(&servers));
    if (buf_failed(&servers) || buf_failed(&tagged) || buf_failed(&host)) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    } else {
        api_pages_tag(buf_str(&tagged), tag);
        const struct page_answer answer = {.type = "application/json",
                                           .tag = tag,
                                           .parts = {buf_str(&descriptions->asyncapi.front),
                                                     buf_str(&servers),
                                                     buf_str(&descriptions->asyncapi.back)}};
        api_pages_respond(exchange, &answer);
    }
    buf_free(&servers);
    buf_free(&tagged);
    buf_free(&host);
}
