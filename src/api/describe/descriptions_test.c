/* The documents as clients get them. That they are valid is tested end to end, by the validators of
 * both formats. */
#include "api/testing.h"

#include "api/describe/asyncapi.h"
#include "api/describe/operation.h"

static int set_up(void **state)
{
    struct desk *desk = desk_new();
    desk->api.base = STR("/rt");
    desk->api.descriptions = descriptions_new(desk->api.base);
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    descriptions_free(desk->api.descriptions);
    desk_free(desk);
    return 0;
}

#define WITH_DOCUMENTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static json_t *body(const struct desk *desk)
{
    json_t *document = json_loadb(desk->body.at, desk->body.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    return document;
}

/* Whether the document has what "#/a/b" names; ~1 stands for a slash. */
static bool has_place(const json_t *document, const char *ref)
{
    struct str rest = str_skip(str_from(ref), 2);
    assert_true(strncmp(ref, "#/", 2) == 0);
    while (document && rest.at) {
        char name[100];
        struct str part = str_cut(&rest, '/');
        snprintf(name, sizeof(name), "%.*s", STR_FMT(part));
        document = json_object_get(document, name);
    }
    return document != NULL;
}

/* Counts the references below a value; each must lead somewhere. */
static unsigned count_refs(const json_t *document, json_t *value)
{
    unsigned count = 0;
    const char *name;
    json_t *member;
    size_t i;
    json_array_foreach(value, i, member) count += count_refs(document, member);
    if (!json_is_object(value))
        return count;
    json_object_foreach(value, name, member)
    {
        bool is_ref = !strcmp(name, "$ref") && json_is_string(member);
        if (is_ref && !has_place(document, json_string_value(member)))
            fail_msg("%s leads nowhere", json_string_value(member));
        count += is_ref + count_refs(document, member);
    }
    return count;
}

static void each_reference_of_both_documents_leads_somewhere(void **state)
{
    struct desk *desk = *state;
    static const char *const requests[] = {"GET /rt/openapi.json", "GET /rt/asyncapi.json"};
    for (size_t i = 0; i < 2; i++) {
        desk_ask(desk, requests[i], "", STR_NONE);
        assert_int_equal(desk->status, 200);
        assert_field(desk, "Content-Type: application/json");
        json_t *document = body(desk);
        assert_true(count_refs(document, document) > 50);
        json_decref(document);
    }
}

static void
the_base_is_the_address_of_the_server_and_stands_before_the_types_of_problems(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /rt/openapi.json", "", STR_NONE);
    assert_answer(desk, 200, "\"servers\":[{\"url\":\"http://localhost/rt\"");
    assert_true(desk_says(&desk->body, "\"/rt/errors/bad-channel\""));
    assert_false(desk_says(&desk->body, "\"/errors/bad-channel\",\""));
}

static void
a_client_that_has_the_document_is_told_so_and_another_host_is_another_document(void **state)
{
    struct desk *desk = *state;
    static const char *const requests[] = {"GET /rt/openapi.json", "GET /rt/asyncapi.json"};
    for (size_t i = 0; i < 2; i++) {
        char line[64];
        desk_ask(desk, requests[i], "", STR_NONE);
        const char *tag = memmem(desk->fields.at, desk->fields.len, "ETag: ", 6);
        assert_non_null(tag);
        snprintf(line, sizeof(line), "If-None-Match: %.20s\r\n", tag + 6);
        desk_ask(desk, requests[i], line, STR_NONE);
        assert_int_equal(desk->status, 304);
        desk_ask(desk, requests[i], "If-None-Match: W/\"0123456789abcdef\"\r\n", STR_NONE);
        assert_int_equal(desk->status, 200);
    }
    assert_true(
        desk_says(&desk->body, "\"host\":\"localhost\",\"pathname\":\"/rt\",\"protocol\":\"ws\""));
}

static void the_schemas_list_every_reason_of_a_goodbye(void **state)
{
    (void)state;
    struct str text = describe_schemas;
    json_t *schemas = json_loadb(text.at, text.len, 0, NULL);
    assert_non_null(schemas);
    const json_t *reasons = json_object_get(json_object_get(schemas, "Ending"), "enum");
    assert_int_equal(json_array_size(reasons), ENDINGS_COUNT);
    for (size_t i = 0; i < ENDINGS_COUNT; i++)
        assert_true(str_eq(ending_reason((enum ending)i),
                           str_from(json_string_value(json_array_get(reasons, i)))));
    json_decref(schemas);
}

static void each_route_that_upgrades_has_a_channel_of_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes_count; i++) {
        bool found = !api_routes[i].upgrades;
        for (size_t k = 0; asyncapi_address(k); k++)
            found |= str_starts(str_from(asyncapi_address(k)), str_from(api_routes[i].path));
        assert_true(found);
    }
}

static void a_server_without_memory_for_the_documents_says_so(void **state)
{
    struct desk *desk = *state;
    struct descriptions *kept = desk->api.descriptions;
    desk->api.descriptions = NULL;
    desk_ask(desk, "GET /rt/openapi.json", "", STR_NONE);
    assert_answer(desk, 503, "no memory");
    desk_ask(desk, "GET /rt/asyncapi.json", "", STR_NONE);
    assert_answer(desk, 503, "no memory");
    desk->api.descriptions = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DOCUMENTS(each_reference_of_both_documents_leads_somewhere),
        WITH_DOCUMENTS(
            the_base_is_the_address_of_the_server_and_stands_before_the_types_of_problems),
        WITH_DOCUMENTS(
            a_client_that_has_the_document_is_told_so_and_another_host_is_another_document),
        cmocka_unit_test(the_schemas_list_every_reason_of_a_goodbye),
        WITH_DOCUMENTS(each_route_that_upgrades_has_a_channel_of_messages),
        WITH_DOCUMENTS(a_server_without_memory_for_the_documents_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
