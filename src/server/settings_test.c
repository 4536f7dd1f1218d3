#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ISSUER "tokens: [{jwks_url: \"https://id.example/keys\", issuer: a}]\n"
#define OTHER "tokens: [{jwks_url: \"https://id.example/keys\", issuer: b}]\n"

static struct key_table keys;

static struct settings *prepare(const char *text, struct settings *before)
{
    char path[] = "/tmp/freshet-settings-XXXXXX";
    char name[] = "serve", memory[] = "--memory", config[] = "--config";
    char *argv[] = {name, memory, config, path};
    struct faults faults = {0};
    struct settings *settings;
    const struct api api = {.keys = &keys};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(settings_read(&settings, 4, argv, &faults), 0);
    unlink(path);
    assert_int_equal(settings_prepare(settings, &api, &keys, before), 0);
    faults_free(&faults);
    return settings;
}

static void servers_are_asked_by_whom_they_were_only_if_nothing_about_them_changed(void **state)
{
    static const struct {
        const char *before, *after;
        bool same;
    } cases[] = {
        {ISSUER, ISSUER "limits: {body_max: 1000}\n", true},
        {ISSUER "access: {allow: [10.0.0.0/8, id.example]}\n",
         ISSUER "access: {allow: [10.0.0.0/8, id.example], anybody: [read]}\n", true},
        {ISSUER, OTHER, false},
        {ISSUER, ISSUER "access: {allow: [10.0.0.0/8]}\n", false},
        {ISSUER "access: {allow: [10.0.0.0/8]}\n", ISSUER, false},
        {ISSUER "access: {allow: [10.0.0.0/8]}\n", ISSUER "access: {allow: [10.0.0.0/9]}\n", false},
        {ISSUER "access: {allow: [10.0.0.0/8]}\n", ISSUER "access: {allow: [11.0.0.0/8]}\n", false},
        {ISSUER "access: {allow: [id.example]}\n", ISSUER "access: {allow: [is.example]}\n", false},
        {ISSUER "access: {allow: [id.example]}\n", ISSUER, false},
    };
    (void)state;
    key_table_init(&keys);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings *before = prepare(cases[i].before, NULL);
        struct settings *after = prepare(cases[i].after, before);
        assert_ptr_equal(after->asker, cases[i].same ? before : after);
        settings_free(after);
        settings_free(before);
    }
    key_table_deinit(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_asked_by_whom_they_were_only_if_nothing_about_them_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
