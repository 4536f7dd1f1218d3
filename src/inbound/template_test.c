#include "inbound/template.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "inbound/testing.h"

#define HEADERS "X-GitHub-Event: pull_request\r\nX-Odd: a/b *$\r\nContent-Type: %s\r\n"

static const char *body;
static const char *media;

/* Renders `text` for `use` with the headers above and `body`; returns whether every value was
 * there. */
static bool render(const char *text, enum template_use use, struct buf *out)
{
    struct template template;
    struct template_view view;
    struct inbound_case it;
    struct buf lines = {0};
    const char *why;
    buf_addf(&lines, HEADERS, media);
    inbound_case_init(&it, buf_str(&lines), str_from(body), 0);
    assert_int_equal(template_compile(str_from(text), TEMPLATE_NAMES, &template, &why), 0);
    assert_int_equal(template_view_init(&view, STR("hub"), &it.request), 0);
    buf_clear(out);
    bool whole = template_render(&template, &view, use, out);
    template_view_deinit(&view);
    template_free(&template);
    inbound_case_free(&it);
    buf_free(&lines);
    return whole;
}

static void expect(const char *text, enum template_use use, const char *want)
{
    struct buf out = {0};
    render(text, use, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, want);
    buf_free(&out);
}

static int begin(void **state)
{
    (void)state;
    media = "application/json";
    body =
        "{\"repository\":{\"name\":\"fresh et\",\"full_name\":\"o/r\"},\"n\":17,\"a\":[{\"x\":1},"
        "{\"x\":true}],\"none\":null,\"twice\":1,\"twice\":2,\"dots\":\"..\",\"money\":\"$in\","
        "\"esc\":\"a\\u0007b\\u0085c\",\"long\":\"" /* 120 bytes: */
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567890123456789012345678\\u00e9" /* 99 bytes, then one of two */
        "xyz\"}";
    return 0;
}

static void a_name_is_made_of_headers_and_members(void **state)
{
    (void)state;
    expect("github/{header.X-GitHub-Event}/{body.repository.name}", TEMPLATE_CHANNEL,
           "github/pull_request/fresh et");
    expect("{source}.{header.x-github-event}", TEMPLATE_TYPE, "hub.pull_request");
    expect("{body.n}-{body.a.1.x}", TEMPLATE_CHANNEL, "17-true");
}

static void a_value_stays_within_its_segment(void **state)
{
    (void)state;
    expect("x/{body.repository.full_name}", TEMPLATE_CHANNEL, "x/o-r");
    expect("{header.x-odd}", TEMPLATE_CHANNEL, "a-b -$");
    expect("{body.dots}/{body.money}", TEMPLATE_CHANNEL, "--/-in");
    expect("{body.esc}", TEMPLATE_CHANNEL, "a-b-c");
    expect("{header.x-odd}", TEMPLATE_TYPE, "a_b___");
    expect("{body.repository.full_name}", TEMPLATE_KEY, "o/r");
}

static void a_missing_value_is_replaced_and_reported(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_false(render("a/{body.repository.id}", TEMPLATE_CHANNEL, &out));
    assert_str(buf_str(&out), "a/none");
    assert_false(render("a/{body.none}", TEMPLATE_KEY, &out));
    assert_str(buf_str(&out), "a/");
    assert_false(render("{body.a}", TEMPLATE_TYPE, &out)); /* an array cannot be part of a name */
    assert_false(render("{body.a.2.x}", TEMPLATE_TYPE, &out));
    assert_false(render("{body.a.x}", TEMPLATE_TYPE, &out));
    assert_false(render("{body.n.x}", TEMPLATE_TYPE, &out));
    assert_true(render("{body.n}", TEMPLATE_TYPE, &out));
    body = "not json";
    assert_false(render("{body.n}", TEMPLATE_TYPE, &out));
    buf_free(&out);
}

static void of_two_members_of_one_name_the_last_counts(void **state)
{
    (void)state;
    expect("{body.twice}", TEMPLATE_CHANNEL, "2");
}

static void a_long_value_is_cut_before_a_character_that_does_not_fit(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_true(render("{body.long}", TEMPLATE_CHANNEL, &out));
    assert_int_equal(out.len, 99);
    buf_free(&out);
}

static void a_form_is_looked_into_and_so_is_the_json_in_its_payload(void **state)
{
    (void)state;
    media = "application/x-www-form-urlencoded; charset=utf-8";
    body = "command=%2Fask+me&payload=%7B%22type%22%3A%22block%22%7D";
    expect("{form.command}", TEMPLATE_CHANNEL, "-ask me");
    expect("{body.type}", TEMPLATE_CHANNEL, "block");
    media = "text/plain";
    expect("{form.command}", TEMPLATE_CHANNEL, "none");
}

/* Looking up several templates together must find the same as each finds by itself. */
static void assert_looks_the_same(const char *first, const char *second, const char *third)
{
    const char *texts[] = {first, second, third};
    struct template templates[3];
    struct template_view alone, looked;
    struct inbound_case it;
    struct buf lines = {0}, want = {0}, got = {0};
    const char *why;
    buf_addf(&lines, HEADERS, media);
    inbound_case_init(&it, buf_str(&lines), str_from(body), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(template_compile(str_from(texts[i]), TEMPLATE_NAMES, &templates[i], &why),
                         0);
    assert_int_equal(template_view_init(&alone, STR("hub"), &it.request), 0);
    assert_int_equal(template_view_init(&looked, STR("hub"), &it.request), 0);
    template_view_look(
        &looked, (const struct template *const[]){&templates[0], &templates[1], &templates[2]}, 3);
    for (int i = 0; i < 3; i++) {
        bool whole = template_render(&templates[i], &alone, TEMPLATE_KEY, &want);
        assert_int_equal(template_render(&templates[i], &looked, TEMPLATE_KEY, &got), whole);
    }
    assert_true(str_eq(buf_str(&want), buf_str(&got)));
    for (int i = 0; i < 3; i++)
        template_free(&templates[i]);
    template_view_deinit(&alone);
    template_view_deinit(&looked);
    inbound_case_free(&it);
    buf_free(&lines);
    buf_free(&want);
    buf_free(&got);
}

static void many_references_are_looked_up_at_once(void **state)
{
    (void)state;
    assert_looks_the_same("{body.a.0.x}/{body.a.1.x}/{body.a.2.x}/{body.a.x}", "{body.a}",
                          "{body.n}{body.n}{body.n.n}{body.none}{body.none.x}");
    assert_looks_the_same("{body.repository.name}-{body.repository.full_name}-{body.repository}",
                          "{body.twice}{body.twice.0}{body.long}{body.absent.name}",
                          "{body.repository.name}{source}{header.x-odd}{form.n}");
    body = "{\"a\":{\"x\":1,\"y\":2},\"b\":3,\"a\":{\"x\":[{\"z\":4}],\"x\":{\"0\":5}}}";
    assert_looks_the_same("{body.a.x.0}{body.a.x.0.z}{body.a.y}", "{body.a.x.z}{body.b.c}",
                          "{body.b}{body.a.}{body..a}");
    body = "[1,[2,[3]]]";
    assert_looks_the_same("{body.0}{body.1.0}{body.1.1.0}", "{body.1.1}{body.x}{body.1.x}",
                          "{body.01}{body.-1}");
    body = "\"text\"";
    assert_looks_the_same("{body.0}", "{body.text}", "{body.a.b}");
    media = "application/x-www-form-urlencoded";
    body = "a=1&a=2&b&%63=3+4&d=%&=5&payload=%7B%22a%22%3A%7B%22b%22%3A6%7D%7D&e+f=7";
    assert_looks_the_same("{form.a}{form.b}{form.c}{form.d}",
                          "{form.e f}{form.absent}{form.payload}", "{body.a.b}{body.a}{form.a}");
    body = "";
    assert_looks_the_same("{form.a}", "{body.a}", "x");
}

static void a_template_that_is_none_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "{",         "}",          "a{b",
                                      "{nothing}", "{header}",  "{header.}",  "{header.a b}",
                                      "{body}",    "{body.}",   "{source.x}", "{timestamp}",
                                      "{a}{b}",    "x{source}}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct template template;
        const char *why = NULL;
        assert_int_equal(template_compile(str_from(bad[i]), TEMPLATE_NAMES, &template, &why),
                         -EINVAL);
        assert_non_null(why);
    }
}

static void a_template_has_at_most_sixteen_parts(void **state)
{
    (void)state;
    struct buf text = {0};
    struct template template;
    const char *why;
    for (int i = 0; i < 16; i++)
        buf_add_lit(&text, "{source}");
    assert_int_equal(template_compile(buf_str(&text), TEMPLATE_NAMES, &template, &why), 0);
    template_free(&template);
    buf_add_lit(&text, "x");
    assert_int_equal(template_compile(buf_str(&text), TEMPLATE_NAMES, &template, &why), -EINVAL);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_name_is_made_of_headers_and_members, begin),
        cmocka_unit_test_setup(a_value_stays_within_its_segment, begin),
        cmocka_unit_test_setup(a_missing_value_is_replaced_and_reported, begin),
        cmocka_unit_test_setup(of_two_members_of_one_name_the_last_counts, begin),
        cmocka_unit_test_setup(a_long_value_is_cut_before_a_character_that_does_not_fit, begin),
        cmocka_unit_test_setup(a_form_is_looked_into_and_so_is_the_json_in_its_payload, begin),
        cmocka_unit_test_setup(many_references_are_looked_up_at_once, begin),
        cmocka_unit_test_setup(a_template_that_is_none_is_refused_with_a_reason, begin),
        cmocka_unit_test_setup(a_template_has_at_most_sixteen_parts, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
