/* What a configuration file sets, and what stays as it is without it. */
#include "server/config.h"
#include "server/yaml_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Reads a file with this text over the defaults. */
static int read_text(struct config *config, const char *text)
{
    char path[] = "/tmp/freshet-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    config_init(config);
    int result = config_read(config, path);
    unlink(path);
    return result;
}

static void refuses(const char *text)
{
    struct config config;
    assert_int_equal(read_text(&config, text), -EINVAL);
    config_free(&config);
}

static void an_empty_file_sets_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "# nothing yet\n", "---\n", "{}\n"};
    struct config config, untouched;
    config_init(&untouched);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        assert_int_equal(read_text(&config, texts[i]), 0);
        assert_memory_equal(&config.limits, &untouched.limits, sizeof(config.limits));
        assert_int_equal(config.spaces_count, 0);
        assert_null(config.listen);
        config_free(&config);
    }
    config_free(&untouched);
}

static void what_the_file_says_goes_before_the_default(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(read_text(&config, "listen: 127.0.0.1:1\n"
                                        "memory: true\n"
                                        "spin_us: 50\n"
                                        "limits:\n  body_max: 17\n  message_max: 18\n"
                                        "log:\n  roll_s: 3\n"
                                        "namespaces:\n- prefix: a/b\n  retention:\n    age_s: 2\n"),
                     0);
    assert_string_equal(config.listen, "127.0.0.1:1");
    assert_true(config.memory);
    assert_int_equal(config.spin_us, 50);
    assert_int_equal(config.limits.body_max, 17);
    assert_int_equal(config.limits.ws.message_max, 18);
    assert_int_equal(config.limits.inflight_max, 64);
    assert_int_equal(config.roll_us, 3000000);
    assert_int_equal(config.spaces_count, 1);
    assert_int_equal(config.spaces[0].age_us, 2000000);
    config_free(&config);
}

static void a_pace_of_0_is_none_and_no_pace_the_default(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t pace_ms;
    } paces[] = {
        {"threads: 1\n", 25},
        {"limits:\n  body_max: 1\n", 25},
        {"limits:\n  poll_pace_ms: 0\n", 0},
        {"limits:\n  poll_pace_ms: 7\n", 7},
        {"limits:\n  poll_pace_ms: 1000\n", 1000},
    };
    for (size_t i = 0; i < sizeof(paces) / sizeof(*paces); i++) {
        struct config config;
        assert_int_equal(read_text(&config, paces[i].text), 0);
        assert_int_equal(config.limits.poll_pace_ms, paces[i].pace_ms);
        config_free(&config);
    }
}

static void what_is_beyond_reason_is_refused(void **state)
{
    (void)state;
    refuses("limits:\n  poll_pace_ms: 1001\n");
    refuses("limits:\n  poll_pace_ms: -1\n");
    refuses("limits:\n  idle_ms: 86400001\n");
    refuses("spin_us: 1000001\n");
    refuses("threads: 1000000\n");
}

static void what_is_not_known_or_not_yaml_is_refused(void **state)
{
    (void)state;
    refuses("limits:\n  no_such_limit: 1\n");
    refuses("no_such_setting: 1\n");
    refuses("limits: [\n");
    refuses("limits:\n  body_max: many\n");
    refuses("namespaces:\n- prefix: /a\n");
    refuses("webhooks:\n  allow: [10.0.0.256]\n");
}

static void a_section_may_be_empty(void **state)
{
    (void)state;
    static const char *const sections[] = {"limits", "log", "webhooks", "namespaces", "inbound"};
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        struct config config;
        char text[100];
        snprintf(text, sizeof(text), "%s:\n#  some: thing\nspin_us: 50\n", sections[i]);
        assert_int_equal(read_text(&config, text), 0);
        assert_int_equal(config.spin_us, 50);
        config_free(&config);
    }
}

/* Only one would be read, and whoever wrote the other would not know. */
static void more_than_one_document_is_refused(void **state)
{
    (void)state;
    refuses("---\n# first\n---\nspin_us: 50\n");
    refuses("null\n---\nspin_us: 50\n");
    refuses("spin_us: 50\n---\nspin_us: 50\n");
    refuses("spin_us: 50\n...\n---\n{}\n");
    refuses("spin_us: 50\n...\n}\n");
}

static void a_file_of_unreasonable_size_is_refused(void **state)
{
    (void)state;
    char *text = malloc(YAML_FILE_MAX + 2);
    assert_non_null(text);
    memset(text, '\n', YAML_FILE_MAX + 1);
    text[YAML_FILE_MAX + 1] = 0;
    refuses(text);
    free(text);
}

static void two_files_are_refused(void **state)
{
    (void)state;
    char name[] = "serve", flag[] = "--config", path[] = "/dev/null";
    char *flags[] = {name, flag, path, flag, path};
    struct config config;
    config_init(&config);
    assert_int_equal(config_flags(&config, 5, flags), -EINVAL);
    config_free(&config);
}

static void a_file_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct config config;
    config_init(&config);
    assert_int_equal(config_read(&config, "/tmp/freshet-no-such-file"), -EINVAL);
    config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_sets_nothing),
        cmocka_unit_test(what_the_file_says_goes_before_the_default),
        cmocka_unit_test(a_pace_of_0_is_none_and_no_pace_the_default),
        cmocka_unit_test(what_is_beyond_reason_is_refused),
        cmocka_unit_test(what_is_not_known_or_not_yaml_is_refused),
        cmocka_unit_test(a_section_may_be_empty),
        cmocka_unit_test(more_than_one_document_is_refused),
        cmocka_unit_test(a_file_of_unreasonable_size_is_refused),
        cmocka_unit_test(two_files_are_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
