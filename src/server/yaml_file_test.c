/* The tree of a YAML file: kinds of values, and their lines. */
#include "server/yaml_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct yaml_file *open_text(const char *text, struct faults *faults)
{
    char path[] = "/tmp/freshet-yaml-XXXXXX";
    struct yaml_file *file = NULL;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int result = yaml_file_open(path, &file, faults);
    unlink(path);
    assert_int_equal(result != 0, faults->count > 0);
    return file;
}

static void nodes_have_the_kind_of_their_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum yaml_kind kind;
    } cases[] = {
        {"", YAML_NOTHING},       {"# x\n", YAML_NOTHING}, {"~\n", YAML_NOTHING},
        {"null\n", YAML_NOTHING}, {"---\n", YAML_NOTHING}, {"'null'\n", YAML_TEXT},
        {"''\n", YAML_TEXT},      {"0\n", YAML_TEXT},      {"|\n  text\n", YAML_TEXT},
        {"[]\n", YAML_LIST},      {"- a\n", YAML_LIST},    {"{}\n", YAML_MAP},
        {"a: b\n", YAML_MAP},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct faults faults = {0};
        struct yaml_file *file = open_text(cases[i].text, &faults);
        assert_non_null(file);
        assert_int_equal(yaml_kind(yaml_file_root(file)), cases[i].kind);
        yaml_file_free(file);
    }
}

static void keys_and_items_know_their_lines(void **state)
{
    (void)state;
    struct faults faults = {0};
    struct yaml_file *file = open_text("# first\na: 1\nb:\n- x\n\n- &y yy\nc: *y\n", &faults);
    struct yaml_value root = yaml_file_root(file);
    assert_int_equal(yaml_count(root), 3);
    assert_int_equal(yaml_place(yaml_key(root, 1)).line, 3);
    struct yaml_value list = yaml_value_of(root, 1);
    assert_int_equal(yaml_count(list), 2);
    assert_int_equal(yaml_place(yaml_item(list, 1)).line, 6);
    assert_true(str_eq(yaml_text(yaml_value_of(root, 2)), STR("yy")));
    assert_int_equal(yaml_place(yaml_key(root, 2)).line, 7);
    yaml_file_free(file);
}

static void text_that_is_not_a_single_yaml_document_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"a: [\n", ":2: is not YAML"},     {"a: b\n\tc: d\n", ":2: is not YAML"},
        {"a: *none\n", "is not YAML"},     {"a: 1\n---\nb: 2\n", ":2: a second document"},
        {"a: 1\n...\n}\n", "is not YAML"}, {"a: \xff\n", "is not YAML"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct faults faults = {0};
        assert_null(open_text(cases[i].text, &faults));
        if (!memmem(faults.text.at, faults.text.len, cases[i].place, strlen(cases[i].place)))
            fail_msg("%s: %.*s", cases[i].text, STR_FMT(buf_str(&faults.text)));
        faults_free(&faults);
    }
}

static void add_times(struct buf *text, const char *part, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_add_str(text, str_from(part));
}

static void add_nested(struct buf *text, const char *start, const char *end, size_t depth)
{
    add_times(text, start, depth);
    add_times(text, end, depth);
}

static void add_anchors(struct buf *text, size_t count)
{
    buf_add_char(text, '[');
    for (size_t i = 0; i < count; i++)
        buf_addf(text, "&a%zu x,", i);
    buf_add_char(text, ']');
}

/* Expects a fault that says `why`, or none where that is NULL. */
static void open_buf(struct buf *text, const char *why)
{
    struct faults faults = {0};
    buf_add_char(text, '\0');
    assert_false(buf_failed(text));
    struct yaml_file *file = open_text(text->at, &faults);
    assert_true(!file == (why != NULL));
    if (why && !memmem(faults.text.at, faults.text.len, why, strlen(why)))
        fail_msg("%.*s", STR_FMT(buf_str(&faults.text)));
    yaml_file_free(file);
    faults_free(&faults);
    buf_free(text);
}

/* With such files libyaml would be busy for minutes, and longer. */
static void a_file_that_is_nested_deeply_or_full_of_anchors_is_refused_at_once(void **state)
{
    (void)state;
    static const char deep[] = ":1: is nested deeper than 32 levels";
    struct buf text = {0};
    add_nested(&text, "[", "]", 32);
    open_buf(&text, NULL);
    add_nested(&text, "[", "]", 33);
    open_buf(&text, deep);
    add_nested(&text, "[", "]", 500000);
    open_buf(&text, deep);
    add_nested(&text, "{b: ", "}", 500000);
    open_buf(&text, deep);
    add_anchors(&text, 1000);
    open_buf(&text, NULL);
    add_anchors(&text, 200000);
    open_buf(&text, ":1: has more than 1000 anchors");
}

static void a_file_that_is_too_large_is_refused_with_the_greatest_size(void **state)
{
    (void)state;
    struct buf text = {0};
    add_times(&text, "#", YAML_FILE_MAX + 1);
    open_buf(&text, "has more than 4 MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_have_the_kind_of_their_text),
        cmocka_unit_test(keys_and_items_know_their_lines),
        cmocka_unit_test(text_that_is_not_a_single_yaml_document_is_refused_with_its_line),
        cmocka_unit_test(a_file_that_is_nested_deeply_or_full_of_anchors_is_refused_at_once),
        cmocka_unit_test(a_file_that_is_too_large_is_refused_with_the_greatest_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
