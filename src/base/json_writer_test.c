#include "base/json_writer.h"

#include "base/json.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Compares, and frees the buffer. */
static void expect(struct buf *buf, struct str want)
{
    assert_false(buf_failed(buf));
    if (!str_eq(buf_str(buf), want))
        fail_msg("%.*s instead of %.*s", STR_FMT(buf_str(buf)), STR_FMT(want));
    buf_free(buf);
}

static void commas_stand_between_members_alone(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);
    json_object_begin(&writer);
    json_member_number(&writer, "one", 1);
    json_name(&writer, "list");
    json_array_begin(&writer);
    json_add_number(&writer, 2);
    json_object_begin(&writer);
    json_object_end(&writer);
    json_array_begin(&writer);
    json_array_end(&writer);
    json_add_null(&writer);
    json_array_end(&writer);
    json_name(&writer, "inner");
    json_object_begin(&writer);
    json_member_bool(&writer, "yes", true);
    json_member_bool(&writer, "no", false);
    json_object_end(&writer);
    json_object_end(&writer);
    expect(&buf, STR("{\"one\":1,\"list\":[2,{},[],null],\"inner\":{\"yes\":true,\"no\":false}}"));
}

/* Writes one value of each kind, with `text` where a text can be. */
static void write_each(struct json_writer *writer, struct str text)
{
    json_add_string(writer, text);
    json_add_number(writer, UINT64_MAX);
    json_add_signed(writer, INT64_MIN);
    json_add_signed(writer, INT64_MAX);
    json_add_decimal(writer, 1.25, 1);
    json_add_decimal(writer, -2, 3);
    json_add_real(writer, 3599.999);
    json_add_bool(writer, true);
    json_add_null(writer);
    json_add_id(writer, 17);
    json_add_time(writer, 1000001);
    json_add_base64(writer, text);
    json_add_raw(writer, STR("{\"raw\": 1}"));
}

static void each_kind_of_value_is_written_as_json(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);
    json_array_begin(&writer);
    write_each(&writer, STR("a\"\n\x01"));
    json_array_end(&writer);
    expect(&buf, STR("[\"a\\\"\\n\\u0001\",18446744073709551615,-9223372036854775808,"
                     "9223372036854775807,1.2,-2.000,3599.999,true,null,\"0000000000000017\","
                     "\"1970-01-01T00:00:01.000001Z\",\"YSIKAQ==\",{\"raw\": 1}]"));
}

static void a_value_alone_is_a_document(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);
    json_add_string(&writer, STR(""));
    expect(&buf, STR("\"\""));
}

/* The object {"a":1, members…, "z":2}. */
static void expect_with_members(struct str members, struct str want)
{
    struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);
    json_object_begin(&writer);
    json_add_members(&writer, members);
    json_member_number(&writer, "z", 2);
    json_add_members(&writer, members);
    json_object_end(&writer);
    expect(&buf, want);
}

static void members_written_elsewhere_join_an_object(void **state)
{
    (void)state;
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    expect_with_members(buf_str(&members), STR("{\"z\":2}"));
    json_member_string(&writer, "b", STR("c"));
    expect_with_members(buf_str(&members), STR("{\"b\":\"c\",\"z\":2,\"b\":\"c\"}"));
    json_member_id(&writer, "d", 3);
    expect_with_members(buf_str(&members), STR("{\"b\":\"c\",\"d\":\"0000000000000003\",\"z\":2,"
                                               "\"b\":\"c\",\"d\":\"0000000000000003\"}"));
    buf_free(&members);
}

static void bytes_that_are_no_text_are_a_member_of_another_name(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);
    json_object_begin(&writer);
    json_member_bytes(&writer, "none", STR(""));
    json_member_bytes(&writer, "text", STR("\xc3\xa9"));
    json_member_bytes(&writer, "body", STR("\xc3"));
    json_member_number_or_null(&writer, "status", 0);
    json_member_number_or_null(&writer, "status", 204);
    json_member_decimal(&writer, "s", 0.5, 2);
    json_object_end(&writer);
    expect(&buf, STR("{\"text\":\"\xc3\xa9\",\"body_base64\":\"ww==\",\"status\":null,"
                     "\"status\":204,\"s\":0.50}"));
}

static void raw_elements_keep_their_own_commas(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);
    json_array_begin(&writer);
    json_add_raw(&writer, STR_NONE);
    json_add_raw(&writer, STR("1,2"));
    json_add_raw(&writer, STR_NONE);
    json_add_raw(&writer, STR("3"));
    json_array_end(&writer);
    expect(&buf, STR("[1,2,3]"));
}

static void a_document_continues_in_another_buffer(void **state)
{
    (void)state;
    struct buf start = {0}, tail = {0};
    struct json_writer writer = json_writer(&start);
    json_object_begin(&writer);
    json_name(&writer, "events");
    json_array_begin(&writer);
    writer.out = &tail;
    json_array_end(&writer);
    json_member_bool(&writer, "more", false);
    json_object_end(&writer);
    expect(&start, STR("{\"events\":["));
    expect(&tail, STR("],\"more\":false}"));
}

static void a_writer_without_memory_fails_and_stays_failed(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth <= 2; nth++) { /* 128 bytes first, then twice as many */
        struct buf buf = {0};
        struct json_writer writer = json_writer(&buf);
        mem_fail_nth(nth);
        json_object_begin(&writer);
        json_name(&writer, "values");
        json_array_begin(&writer);
        write_each(&writer, STR("x"));
        json_array_end(&writer);
        json_add_members(&writer, STR("1"));
        json_object_end(&writer);
        mem_fail_nth(0);
        assert_true(buf_failed(&buf));
        buf_free(&buf);
    }
}

static void written_documents_are_json(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);
    json_object_begin(&writer);
    for (int depth = 1; depth < JSON_WRITER_DEPTH; depth++) {
        json_member_string(&writer, "text", STR("\\ / \b \x1f \" \xc3\xa9"));
        json_name(&writer, "inner");
        json_object_begin(&writer);
    }
    for (int depth = 0; depth < JSON_WRITER_DEPTH; depth++)
        json_object_end(&writer);
    assert_int_equal(json_check(buf_str(&buf), JSON_DEPTH_MAX, NULL), JSON_OK);
    buf_free(&buf);
}

#ifndef __OPTIMIZE__

static void value_without_name(struct json_writer *writer)
{
    json_object_begin(writer);
    json_add_number(writer, 1);
}

static void name_without_value(struct json_writer *writer)
{
    json_object_begin(writer);
    json_name(writer, "a");
    json_object_end(writer);
}

static void two_names(struct json_writer *writer)
{
    json_object_begin(writer);
    json_name(writer, "a");
    json_name(writer, "b");
}

static void name_in_array(struct json_writer *writer)
{
    json_array_begin(writer);
    json_member_number(writer, "a", 1);
}

static void object_ended_as_array(struct json_writer *writer)
{
    json_object_begin(writer);
    json_array_end(writer);
}

static void an_end_too_many(struct json_writer *writer)
{
    json_array_begin(writer);
    json_array_end(writer);
    json_array_end(writer);
}

static void two_documents(struct json_writer *writer)
{
    json_add_number(writer, 1);
    json_add_number(writer, 2);
}

static void members_of_an_array(struct json_writer *writer)
{
    json_array_begin(writer);
    json_add_members(writer, STR_NONE);
}

static void nested_too_deep(struct json_writer *writer)
{
    for (int depth = 0; depth <= JSON_WRITER_DEPTH; depth++)
        json_array_begin(writer);
}

static bool aborts(void (*misuse)(struct json_writer *writer))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct buf buf = {0};
        struct json_writer writer = json_writer(&buf);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        misuse(&writer);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void misuse_ends_a_build_without_optimization(void **state)
{
    (void)state;
    static void (*const misuses[])(struct json_writer *) = {
        value_without_name, name_without_value,    two_names,
        name_in_array,      object_ended_as_array, an_end_too_many,
        two_documents,      members_of_an_array,   nested_too_deep};
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++)
        if (!aborts(misuses[i]))
            fail_msg("misuse %zu passed", i);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_between_members_alone),
        cmocka_unit_test(each_kind_of_value_is_written_as_json),
        cmocka_unit_test(a_value_alone_is_a_document),
        cmocka_unit_test(members_written_elsewhere_join_an_object),
        cmocka_unit_test(bytes_that_are_no_text_are_a_member_of_another_name),
        cmocka_unit_test(raw_elements_keep_their_own_commas),
        cmocka_unit_test(a_document_continues_in_another_buffer),
        cmocka_unit_test(a_writer_without_memory_fails_and_stays_failed),
        cmocka_unit_test(written_documents_are_json),
#ifndef __OPTIMIZE__
        cmocka_unit_test(misuse_ends_a_build_without_optimization),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
