/* Helpers of tests: requests made of literals. Include it behind cmocka.h. */
#pragma once

#include "http/testing.h"
#include "inbound/request.h"

/* A request with header lines, each "name: value\r\n", and a body. Both are copied;
 * inbound_case_free() frees them. */
struct inbound_case {
    struct str lines;
    struct str body;
    struct http_fields fields;
    struct inbound_request request;
};

static inline void inbound_case_init(struct inbound_case *it, struct str lines, struct str body,
                                     int64_t now_s)
{
    static const struct http_limits limits = {
        .line_max = 8192, .fields_max = 50, .section_max = 16384};
    it->lines = exact(lines);
    it->body = exact(body);
    it->fields = (struct http_fields){0};
    if (http_fields_parse(it->lines, &limits, &it->fields))
        abort();
    it->request = (struct inbound_request){.fields = &it->fields, .body = it->body, .now_s = now_s};
}

static inline void inbound_case_free(struct inbound_case *it)
{
    exact_free(it->lines);
    exact_free(it->body);
}
