#include "access/revocations.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000000)

static int set_up(void **state)
{
    static struct revocations list;
    revocations_init(&list);
    *state = &list;
    return 0;
}

static int tear_down(void **state)
{
    revocations_deinit(*state);
    return 0;
}

static struct revocation *request(const char *body)
{
    struct revocation *revocation = NULL;
    const char *fault = revocation_request(str_from(body), NOW, STR("root"), &revocation);
    assert_int_equal(fault == NULL, revocation != NULL);
    return revocation;
}

static void revoke(struct revocations *list, const char *body)
{
    struct revocation *revocation = request(body);
    assert_non_null(revocation);
    revocations_put(list, revocation);
}

/* The text is what is not empty: subject, jti and key id. */
static bool is_revoked(struct revocations *list, const char *subject, const char *jti,
                       const char *key, int64_t issued_us, int64_t now_us)
{
    const struct caller_facts facts = {.kind = CALLER_TOKEN,
                                       .subject = str_from(subject),
                                       .jti = str_from(jti),
                                       .key_id = str_from(key),
                                       .issued_us = issued_us};
    struct caller *caller = caller_new(&facts);
    bool revoked = revocations_have(list, caller, now_us);
    caller_unref(caller);
    return revoked;
}

static void each_kind_revokes_its_own_names_alone(void **state)
{
    revoke(*state, "{\"subject\":\"alice\"}");
    revoke(*state, "{\"jti\":\"t1\"}");
    revoke(*state, "{\"key\":\"abcdefghij\"}");
    assert_int_equal(revocations_count(*state), 3);
    assert_true(is_revoked(*state, "alice", "", "", 0, NOW));
    assert_true(is_revoked(*state, "bob", "t1", "", 0, NOW));
    assert_true(is_revoked(*state, "bob", "t2", "abcdefghij", 0, NOW));
    assert_false(is_revoked(*state, "t1", "alice", "", 0, NOW));
    assert_false(is_revoked(*state, "abcdefghij", "abcdefghij", "", 0, NOW));
    assert_false(is_revoked(*state, "alic", "", "", 0, NOW));
    assert_false(is_revoked(*state, "", "", "", 0, NOW));
    assert_false(revocations_have(*state, NULL, NOW));
}

static void a_subject_may_come_back_with_what_was_issued_later(void **state)
{
    revoke(*state, "{\"subject\":\"alice\"}");
    assert_true(is_revoked(*state, "alice", "", "", NOW, NOW + 9));
    assert_false(is_revoked(*state, "alice", "", "", NOW + 1, NOW + 9));
    revoke(*state, "{\"jti\":\"t1\"}");
    assert_true(is_revoked(*state, "alice", "t1", "", NOW + 1, NOW + 9));
}

static void copy_id(void *context, struct str id)
{
    struct buf *out = context;
    buf_clear(out);
    buf_add_str(out, id);
}

static void a_revocation_ends_when_what_it_revokes_has_expired(void **state)
{
    struct buf id = {0};
    revoke(*state, "{\"jti\":\"t1\",\"until\":\"2100-01-01T00:00:00Z\"}");
    revoke(*state, "{\"jti\":\"t2\"}");
    const int64_t end = INT64_C(4102444800000000);
    assert_true(is_revoked(*state, "", "t1", "", 0, end - 1));
    assert_false(is_revoked(*state, "", "t1", "", 0, end));
    assert_false(revocations_remove_ended(*state, end - 1, copy_id, &id));
    assert_true(revocations_remove_ended(*state, end, copy_id, &id));
    assert_true(str_eq(buf_str(&id), STR("jti:t1")));
    assert_false(revocations_remove_ended(*state, end, copy_id, &id));
    assert_int_equal(revocations_count(*state), 1);
    assert_true(is_revoked(*state, "", "t2", "", 0, INT64_MAX));
    buf_free(&id);
}

static void a_revocation_that_was_deleted_revokes_nothing(void **state)
{
    revoke(*state, "{\"subject\":\"alice\"}");
    assert_true(revocations_has_id(*state, STR("subject:alice")));
    assert_true(revocations_remove(*state, STR("subject:alice")));
    assert_false(revocations_remove(*state, STR("subject:alice")));
    assert_false(is_revoked(*state, "alice", "", "", 0, NOW));
    assert_int_equal(revocations_count(*state), 0);
}

static void a_second_revocation_replaces_the_first(void **state)
{
    revoke(*state, "{\"subject\":\"alice\",\"reason\":\"left\"}");
    revoke(*state, "{\"subject\":\"alice\",\"reason\":\"lost\"}");
    assert_int_equal(revocations_count(*state), 1);
}

static void a_request_with_anything_unknown_or_wrong_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "{\"subject\":\"\"}",
        "{\"subject\":7}",
        "{\"subject\":\"a\\u0007\"}",
        "{\"subject\":\"a\",\"jti\":\"b\"}",
        "{\"subject\":\"a\",\"channel\":\"b\"}",
        "{\"subject\":\"a\",\"until\":\"2001-01-01T00:00:00Z\"}",
        "{\"subject\":\"a\",\"until\":\"soon\"}",
        "{\"subject\":\"a\",\"until\":1}",
        "{\"subject\":\"a\",\"reason\":1}",
        "{\"key\":\"short\"}",
        "{\"key\":\"ABCDEFGHIJ\"}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_null(request(wrong[i]));
}

static void a_record_gives_the_same_revocation_again(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"subject\":\"\xc3\xa4lice\",\"reason\":\"left\",\"until\":\"2100-01-01T00:00:00Z\"}",
        "{\"jti\":\"a:b\"}", "{\"key\":\"abcdefghij\",\"until\":null}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct buf record = {0}, again = {0};
        struct json_writer writer = json_writer(&record);
        struct revocation *revocation = request(bodies[i]);
        revocation_write(&writer, revocation);
        struct revocation *copy = revocation_read_record(buf_str(&record));
        assert_non_null(copy);
        writer = json_writer(&again);
        revocation_write(&writer, copy);
        assert_true(str_eq(buf_str(&record), buf_str(&again)));
        for (size_t len = 0; len < record.len; len++)
            assert_null(revocation_read_record((struct str){record.at, len}));
        free(copy);
        free(revocation);
        buf_free(&record);
        buf_free(&again);
    }
}

static bool add_name(void *context, const struct revocation *revocation)
{
    struct buf *seen = context;
    buf_add_str(seen, revocation->name);
    return seen->len < 3;
}

static void put(struct revocations *list, int64_t at_us, const char *name)
{
    const struct revocation_facts facts = {
        .kind = REVOKED_JTI, .name = str_from(name), .at_us = at_us};
    revocations_put(list, revocation_new(&facts));
}

static void revocations_are_listed_from_a_place_by_time_and_id(void **state)
{
    static const struct {
        struct made after;
        const char *seen;
    } rows[] = {{{-1, {"", 0}}, "abc"},    {{3, {"jti:b", 5}}, "cdx"}, {{3, {"jti:ba", 6}}, "cdx"},
                {{3, {"key:b", 5}}, "dx"}, {{4, {"jti:b", 5}}, "dx"},  {{9, {"jti:x", 5}}, ""},
                {{9, {"jti:a", 5}}, "x"}};
    put(*state, 9, "x");
    put(*state, 3, "c");
    put(*state, 3, "a");
    put(*state, 8, "d");
    put(*state, 3, "b");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf seen = {0};
        revocations_each_behind(*state, rows[i].after, add_name, &seen);
        assert_true(str_eq(buf_str(&seen), str_from(rows[i].seen)));
        buf_free(&seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_revokes_its_own_names_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subject_may_come_back_with_what_was_issued_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_ends_when_what_it_revokes_has_expired, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_that_was_deleted_revokes_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_second_revocation_replaces_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(revocations_are_listed_from_a_place_by_time_and_id, set_up,
                                        tear_down),
        cmocka_unit_test(a_request_with_anything_unknown_or_wrong_is_refused),
        cmocka_unit_test(a_record_gives_the_same_revocation_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
