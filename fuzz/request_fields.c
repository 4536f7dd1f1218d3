/* Feeds cookies and queries to their readers: nothing may crash or read too far, the value of a
 * cookie lies within its field, a parameter that is accepted is a row of the table and within its
 * bounds, and a fault never repeats a token. The first line of the input is the cookie field, the
 * rest is the query. */
#include "require.h"

#include "http/cookie.h"
#include "http/parameters.h"

#include <errno.h>
#include <stdio.h>

static const struct parameter rows[] = {
    {.name = STR("after"), .kind = PARAMETER_ID, .most = 9007199254740991, .example = "1"},
    {.name = STR("channel"), .repeats = true, .least = 1, .most = 20, .example = "news"},
    {.name = STR("wait"), .kind = PARAMETER_NUMBER, .most = 60, .example = "25"},
    {.name = STR("echo"), .kind = PARAMETER_BOOLEAN, .example = "0", .meant = "self noecho"},
    {.name = STR("stream"), .kind = PARAMETER_WORD, .words = "sse ndjson raw", .example = "sse"},
    {.name = STR("hub.mode"), .any_case = true, .least = 1, .most = 9, .example = "x"},
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

static void check_cookie(struct str value)
{
    char line[4096];
    struct http_fields fields;
    static const struct http_limits limits = {.fields_max = 4, .section_max = sizeof(line)};
    int len = snprintf(line, sizeof(line), "Cookie: %.*s\r\n", (int)(value.len % 4000), value.at);
    if (http_fields_parse((struct str){line, (size_t)len}, &limits, &fields))
        return;
    struct str found = http_cookie(&fields, STR("session"));
    if (!found.at)
        return;
    require(found.at >= line && found.at + found.len <= line + len);
    require(!memchr(found.at, ';', found.len));
    require(memmem(line, (size_t)len, "session", 7) != NULL);
}

static void check_found(const struct parameter_found *found)
{
    require(found->row < ROWS || found->row == PARAMETER_IGNORED);
    if (found->row == PARAMETER_IGNORED)
        return;
    const struct parameter *row = &rows[found->row];
    bool bounded = row->kind == PARAMETER_NUMBER || row->kind == PARAMETER_ID;
    require(!bounded || (found->number >= row->least && found->number <= row->most));
    require(row->kind != PARAMETER_BOOLEAN || found->number <= 1);
    require(row->kind != PARAMETER_WORD || found->number < 3);
    require(row->kind != PARAMETER_TEXT ||
            (found->value.len >= row->least && found->value.len <= row->most));
}

/* Reads a query. Returns the last result; `*ret_fault` gets the fault. */
static int read_query(struct str query, struct buf *ret_fault)
{
    struct parameters parameters;
    struct parameter_found found;
    int result;
    parameters_begin(&parameters, (struct parameter_table){rows, ROWS}, query);
    while ((result = parameters_next(&parameters, &found)) == 1)
        check_found(&found);
    require(result == 0 || result == -EINVAL);
    require((result == -EINVAL) == (parameters.fault.len > 0));
    buf_add_str(ret_fault, buf_str(&parameters.fault));
    parameters_end(&parameters);
    return result;
}

/* A token in front of the query changes nothing, and is not told. */
static void check_secret(struct str query, int result)
{
    struct buf longer = {0}, fault = {0};
    buf_add_lit(&longer, "token=S3CRET&");
    buf_add_str(&longer, query);
    require(read_query(buf_str(&longer), &fault) == result);
    bool said = memmem(query.at, query.len, "S3CRET", 6) != NULL;
    require(said || !fault.len || !memmem(fault.at, fault.len, "S3CRET", 6));
    buf_free(&fault);
    buf_free(&longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    struct buf fault = {0};
    require(copy);
    memcpy(copy, data, size);
    struct str rest = {copy, size};
    struct str cookie = str_cut(&rest, '\n');
    if (cookie.len)
        check_cookie(cookie);
    if (rest.at && rest.len) {
        int result = read_query(rest, &fault);
        check_secret(rest, result);
    }
    buf_free(&fault);
    free(copy);
    return 0;
}
