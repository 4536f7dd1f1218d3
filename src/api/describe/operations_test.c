/* The table of operations against the tables that the server works by. */
#include "api/describe/operation.h"

#include "api/describe/schema.h"
#include "api/webhooks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>

/* Calls `fn` with each operation; returns whether one of them is meant. */
static bool any(bool (*is_meant)(const struct operation *operation, const void *context),
                const void *context)
{
    for (size_t t = 0; tasks[t]; t++)
        for (size_t i = 0; i < tasks[t]->count; i++)
            if (is_meant(&tasks[t]->operations[i], context))
                return true;
    return false;
}

struct wanted {
    const char *route, *path; /* NULL: any */
    enum http_method method;
};

static bool is_wanted(const struct operation *operation, const void *context)
{
    const struct wanted *wanted = context;
    return operation->method == wanted->method &&
           (!wanted->route || !strcmp(wanted->route, operation->route)) &&
           (!wanted->path || !strcmp(wanted->path, operation->path));
}

static void each_method_of_each_route_has_an_operation(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes_count; i++)
        for (unsigned method = 0; method < HTTP_OTHER; method++) {
            const struct wanted wanted = {api_routes[i].path, NULL, (enum http_method)method};
            if (method == HTTP_HEAD || !(api_routes[i].methods & 1U << method))
                continue;
            if (!any(is_wanted, &wanted))
                fail_msg("%s, method %u: no operation describes it (src/api/describe)",
                         wanted.route, method);
        }
}

static bool has_no_route(const struct operation *operation, const void *context)
{
    const struct api_route *route = operation_route(operation);
    (void)context;
    if (route && route->methods & 1U << operation->method &&
        str_starts(str_from(operation->path), str_from(route->path)))
        return false;
    print_message("%s: no route of this method leads to %s\n", operation->id, operation->path);
    return true;
}

static void each_operation_belongs_to_a_route(void **state)
{
    (void)state;
    assert_false(any(has_no_route, NULL));
}

/* The path of a row of the courier's own table. */
static void write_path(char *out, size_t size, const char *path)
{
    int len =
        snprintf(out, size, "/webhooks%s%s", path ? "/{webhook}" : "", path && *path ? "/" : "");
    for (; path && *path; path++)
        len += snprintf(out + len, size - (size_t)len, *path == '#' ? "{delivery}" : "%c", *path);
}

static void each_path_below_a_webhook_has_an_operation(void **state)
{
    (void)state;
    enum http_method method;
    const char *path;
    char text[100];
    size_t count = 0;
    for (; webhooks_path(count, &method, &path); count++) {
        write_path(text, sizeof(text), path);
        const struct wanted wanted = {NULL, text, method};
        if (!any(is_wanted, &wanted))
            fail_msg("%s, method %u: no operation describes it", text, method);
    }
    assert_int_equal(count, task_webhooks.count);
}

static bool lacks_words(const struct operation *operation, const void *context)
{
    (void)context;
    if (!operation->query)
        return false;
    struct parameter_table table = operation->query->table();
    bool lacks = table.count != operation->query->count;
    for (size_t i = 0; i < table.count; i++) {
        struct buf words = {0};
        schema_add_words(&words, operation->query, &table.rows[i]);
        lacks |= !words.len;
        if (!words.len)
            print_message("%s: the parameter %.*s has no words\n", operation->id,
                          STR_FMT(table.rows[i].name));
        buf_free(&words);
    }
    return lacks;
}

static void each_parameter_has_words_and_no_others_are_told(void **state)
{
    (void)state;
    assert_false(any(lacks_words, NULL));
}

/* Names that operations use, and the documents that have them. */
struct documents {
    json_t *schemas, *parameters, *headers;
};

static bool lacks_name(const json_t *document, const char *list)
{
    struct str words = str_from(list ? list : ""), word;
    bool lacks = false;
    while (schema_next_word(&words, &word)) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", STR_FMT(word));
        lacks |= !json_object_get(document, name);
        if (lacks)
            print_message("%s is not defined\n", name);
    }
    return lacks;
}

static bool names_what_is_missing(const struct operation *operation, const void *context)
{
    const struct documents *documents = context;
    struct str rest = str_from(operation->path);
    bool lacks = lacks_name(documents->parameters, operation->headers);
    for (size_t i = 0; i < OPERATION_BODIES_MAX; i++)
        lacks |= lacks_name(documents->schemas, operation->bodies[i].schema);
    for (size_t i = 0; i < OPERATION_ANSWERS_MAX; i++)
        lacks |= lacks_name(documents->schemas, operation->answers[i].schema) ||
                 lacks_name(documents->headers, operation->answers[i].headers);
    while (rest.at) {
        struct str segment = str_cut(&rest, '/');
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)segment.len - 2, segment.at + 1);
        lacks |= segment.len && segment.at[0] == '{' && lacks_name(documents->parameters, name);
    }
    return lacks || !operation->answers[0].says || !operation->curl || !operation->summary;
}

static json_t *load(struct str text)
{
    json_t *document = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    return document;
}

static void all_names_of_schemas_parameters_and_headers_are_defined(void **state)
{
    (void)state;
    struct documents documents = {load(describe_schemas), load(describe_parameters),
                                  load(describe_headers)};
    assert_false(any(names_what_is_missing, &documents));
    json_decref(documents.schemas);
    json_decref(documents.parameters);
    json_decref(documents.headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_of_each_route_has_an_operation),
        cmocka_unit_test(each_operation_belongs_to_a_route),
        cmocka_unit_test(each_path_below_a_webhook_has_an_operation),
        cmocka_unit_test(each_parameter_has_words_and_no_others_are_told),
        cmocka_unit_test(all_names_of_schemas_parameters_and_headers_are_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
