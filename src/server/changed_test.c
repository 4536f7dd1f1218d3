#include "server/changed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Reads a configuration from a text. */
static void read_text(struct config *config, const char *text)
{
    char path[] = "/tmp/freshet-changed-XXXXXX";
    struct faults faults = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    config_init(config);
    assert_int_equal(config_read(config, path, &faults), 0);
    (void)unlink(path);
    faults_free(&faults);
}

static void settings_that_take_a_restart_are_named(void **state)
{
    static const struct {
        const char *before, *after, *names;
    } rows[] = {
        {"threads: 1\n", "threads: 2\n", "threads"},
        {"threads: 1\n", "threads: 1\nlimits: {body_max: 5}\n", ""},
        {"base: /a\n", "base: /b\nmemory: true\n", "base,memory"},
        {"base: /a\n", "base: /a\n", ""},
        {"base: /a\n", "{}\n", "base"},
        {"{}\n", "webhooks: {ca_file: /etc/ssl/certs/ca-certificates.crt}\n", ""},
        {"{}\n", "webhooks: {ca_file: /etc/ssl/certs/ca-certificates.crt, endpoints_max: 5}\n",
         "webhooks.endpoints_max"},
        {"{}\n", "limits: {channels_max: 5, keys_max: 6, idle_ms: 7}\n",
         "limits.channels_max,limits.keys_max"},
        {"listen: 127.0.0.1:1\n", "listen: [127.0.0.1:1, 127.0.0.1:2]\n", "listen"},
        {"listen: 127.0.0.1:1\n", "listen: [127.0.0.1:1]\n", ""},
        {"webhooks: {allow: [10.0.0.0/8], schedule_ms: [1, 2]}\n",
         "webhooks: {allow: [10.0.0.0/9], schedule_ms: [1]}\n",
         "webhooks.schedule_ms,webhooks.allow"},
        {"{}\n", "namespaces: [{prefix: a, access: {anybody: [read]}}]\n", ""},
        {"{}\n", "rates: {address: {events: 5}}\n", ""},
        {"{}\n", "namespaces: [{prefix: a, retention: {count: 5}}]\n", "namespaces.retention"},
        {"namespaces: [{prefix: a, ephemeral: true}]\n", "namespaces: [{prefix: a}]\n",
         "namespaces.ephemeral"},
        {"namespaces: [{prefix: a, retention: {count: 5}}]\n",
         "namespaces: [{prefix: b, ephemeral: true}]\n",
         "namespaces.retention,namespaces.ephemeral"},
        {"namespaces: [{prefix: a, rates: {address: {events: 5}}}]\n", "{}\n", ""},
        {"namespaces: [{prefix: a, retention: {count: 5}}]\n",
         "namespaces: [{prefix: a, retention: {count: 5}}, {prefix: a/b, event_max: 5}]\n",
         "namespaces.retention"},
        {"namespaces: [{prefix: '', ephemeral: true}, {prefix: a, event_max: 5}]\n",
         "namespaces: [{prefix: '', ephemeral: true}]\n", "namespaces.ephemeral"},
        {"namespaces: [{prefix: a, retention: {count: 5}}]\n",
         "namespaces: [{prefix: a, retention: {count: 5}}, {prefix: ab, event_max: 5}]\n", ""},
        {"namespaces: [{prefix: a, compress: true}]\n", "namespaces: [{prefix: a}]\n",
         "namespaces.compress"},
        {"{}\n", "namespaces: [{prefix: a, compress: true}]\n", "namespaces.compress"},
        {"namespaces: [{prefix: a, compress: true}]\n",
         "namespaces: [{prefix: b}, {prefix: a, compress: true}]\n", ""},
        {"access: {anybody: [read]}\n", "access: {anybody: []}\norigins: [https://a.example]\n",
         ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config before, after;
        struct buf names = {0};
        read_text(&before, rows[i].before);
        read_text(&after, rows[i].after);
        unsigned count = changed_add_waiting(&before, &after, &names);
        buf_add_char(&names, '\0');
        assert_string_equal(names.at, rows[i].names);
        assert_int_equal(count > 0, *rows[i].names != '\0');
        buf_free(&names);
        config_free(&before);
        config_free(&after);
    }
}

static void a_section_is_applied_but_for_what_the_log_was_made_with(void **state)
{
    (void)state;
    assert_true(changed_applies(STR("limits.body_max")));
    assert_true(changed_applies(STR("keys")));
    assert_true(changed_applies(STR("namespaces.access.anybody")));
    assert_false(changed_applies(STR("limits.channels_max")));
    assert_false(changed_applies(STR("limitsx.body_max")));
    assert_false(changed_applies(STR("namespaces.retention.count")));
    assert_false(changed_applies(STR("namespaces.compress")));
    assert_false(changed_applies(STR("listen")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_take_a_restart_are_named),
        cmocka_unit_test(a_section_is_applied_but_for_what_the_log_was_made_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
