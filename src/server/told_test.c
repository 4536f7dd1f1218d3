#include "server/told.h"

#include "server/config.h"
#include "server/keys.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/freshet-told-XXXXXX";

static void read_text(struct config *config, const char *text)
{
    struct faults faults = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    config_init(config);
    if (config_read(config, path, &faults))
        fail_msg("%.*s", STR_FMT(buf_str(&faults.text)));
    faults_free(&faults);
}

/* The document after a start with one file, and a reload with the other. */
static json_t *told_after(const char *start_text, const char *text, struct buf *out)
{
    struct config start, config;
    read_text(&start, start_text);
    read_text(&config, text);
    told_add(out, &start, &config);
    config_free(&config);
    config_free(&start);
    assert_false(buf_failed(out));
    json_t *root = json_loadb(out->at, out->len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}

/* The document of a configuration with this file. */
static json_t *told_of(const char *text, struct buf *out)
{
    return told_after(text, text, out);
}

/* The row of a key; borrowed. */
static const json_t *row_of(const json_t *root, const char *name)
{
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(root, "keys"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "key")), name) == 0)
            return row;
    }
    fail_msg("no %s", name);
    return NULL;
}

static bool is_default(const json_t *root, const char *name)
{
    return json_is_true(json_object_get(row_of(root, name), "default"));
}

static const json_t *value_of(const json_t *root, const char *name)
{
    return json_object_get(row_of(root, name), "value");
}

static void every_key_is_told_with_its_default(void **state)
{
    (void)state;
    struct buf out = {0};
    json_t *root = told_of("", &out);
    for (size_t i = 0; i < keys_count; i++) {
        if (key_is_of_item(str_from(keys[i].name)))
            continue;
        assert_true(is_default(root, keys[i].name));
        assert_string_equal(
            json_string_value(json_object_get(row_of(root, keys[i].name), "meaning")),
            keys[i].help);
    }
    assert_int_equal(json_integer_value(value_of(root, "limits.body_max")), 1 << 20);
    assert_int_equal(json_array_size(value_of(root, "webhooks.schedule_ms")), 9);
    assert_true(json_is_null(value_of(root, "data")));
    assert_true(json_is_null(value_of(root, "namespaces")));
    json_decref(root);
    buf_free(&out);
}

static void settings_of_the_file_are_told_in_units_and_types(void **state)
{
    (void)state;
    struct buf out = {0};
    json_t *root =
        told_of("limits: {body_max: 2MiB, idle_ms: 1m}\n"
                "log: {roll_s: 1h}\n"
                "memory: true\n"
                "base: /realtime\n"
                "hosts: [a.example, b.example]\n"
                "namespaces:\n"
                "  - {prefix: chat, retention: {age_s: 1d}, access: {anybody: [read]}}\n",
                &out);
    assert_int_equal(json_integer_value(value_of(root, "limits.body_max")), 2 << 20);
    assert_false(is_default(root, "limits.body_max"));
    assert_string_equal(json_string_value(json_object_get(row_of(root, "limits.body_max"), "unit")),
                        "bytes");
    assert_int_equal(json_integer_value(value_of(root, "limits.idle_ms")), 60000);
    assert_true(is_default(root, "log.roll_s"));
    assert_int_equal(json_integer_value(value_of(root, "log.roll_s")), 3600);
    assert_true(json_is_true(value_of(root, "memory")));
    assert_string_equal(json_string_value(value_of(root, "base")), "/realtime");
    assert_int_equal(json_array_size(value_of(root, "hosts")), 2);
    const json_t *item = json_array_get(value_of(root, "namespaces"), 0);
    const json_t *retention = json_object_get(item, "retention");
    assert_string_equal(json_string_value(json_object_get(item, "prefix")), "chat");
    assert_int_equal(json_integer_value(json_object_get(retention, "age_s")), 86400);
    json_decref(root);
    buf_free(&out);
}

/* Every key that is marked, in a configuration that has all of them. The secrets are the texts that
 * may not appear. */
static const struct {
    const char *key, *secret;
} hidden[] = {
    {"keys.key", "fk_abcdefghij:ec2b0c5a3f1a1d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e"},
    {"namespaces.authorize.secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="},
    {"tokens.secret", "tokens-secret-0123456789abcdef0123456789"},
    {"inbound.secrets", "inbound-secret-0123456789abcdef"},
    {"inbound.challenge.secret", "challenge-secret-0123456789abcdef"},
};
enum { HIDDEN_COUNT = sizeof(hidden) / sizeof(hidden[0]) };

static void no_secret_of_a_configuration_with_all_of_them_is_told(void **state)
{
    (void)state;
    struct buf out = {0}, file = {0};
    unsigned marked = 0;
    for (size_t i = 0; i < keys_count; i++)
        marked += keys[i].secret;
    assert_int_equal(marked, HIDDEN_COUNT); /* else the file below lacks one */
    for (size_t i = 0; i < HIDDEN_COUNT; i++)
        assert_true(key_find(str_from(hidden[i].key))->secret);
    buf_addf(&file,
             "keys:\n  - {name: k, key: \"%s\"}\n"
             "namespaces:\n  - prefix: a\n    authorize: {url: "
             "\"https://auth.example/x?token=query-in-url\", secret: \"%s\"}\n"
             "tokens:\n  - {secret: \"%s\", algorithm: HS256}\n"
             "  - {jwks_url: \"https://issuer.example/keys?apikey=query-of-jwks\"}\n"
             "inbound:\n  - source: s\n    kind: hmac\n    secrets: [\"%s\"]\n"
             "    header: X-Signature\n"
             "    challenge: {method: GET, when: \"{query.mode}\", is: subscribe, value: "
             "\"{query.challenge}\", proof: \"{query.token}\", secret: \"%s\"}\n",
             hidden[0].secret, hidden[1].secret, hidden[2].secret, hidden[3].secret,
             hidden[4].secret);
    buf_add_char(&file, '\0');
    json_t *root = told_of(file.at, &out);
    static const char *const in_urls[] = {"query-in-url", "query-of-jwks"};
    for (size_t i = 0; i < HIDDEN_COUNT; i++)
        if (memmem(out.at, out.len, hidden[i].secret, strlen(hidden[i].secret)))
            fail_msg("%s is told", hidden[i].key);
    for (size_t i = 0; i < sizeof(in_urls) / sizeof(in_urls[0]); i++)
        assert_null(memmem(out.at, out.len, in_urls[i], strlen(in_urls[i])));
    assert_non_null(memmem(out.at, out.len, "auth.example", 12));
    assert_non_null(memmem(out.at, out.len, "\"secrets\":[\"***\"]", 17));
    json_decref(root);
    buf_free(&out);
    buf_free(&file);
}

static bool waits(const json_t *root, const char *name)
{
    return json_is_true(json_object_get(row_of(root, name), "waits"));
}

static void a_setting_that_takes_a_restart_is_told_as_it_is_in_force(void **state)
{
    (void)state;
    struct buf out = {0};
    json_t *root = told_after("listen: 127.0.0.1:1\nbase: /a\nlimits: {body_max: 1, keys_max: 5}\n"
                              "webhooks: {allow: [10.0.0.0/8]}\nhosts: [a.example]\n",
                              "listen: 127.0.0.1:2\nlimits: {body_max: 2, keys_max: 6}\n"
                              "namespaces: [{prefix: a, retention: {count: 1}}]\n",
                              &out);
    const json_t *item = json_array_get(value_of(root, "listen"), 0);
    assert_string_equal(json_string_value(json_object_get(item, "address")), "127.0.0.1:1");
    assert_string_equal(json_string_value(value_of(root, "base")), "/a");
    assert_int_equal(json_integer_value(value_of(root, "limits.keys_max")), 5);
    assert_int_equal(json_integer_value(value_of(root, "limits.body_max")), 2);
    assert_int_equal(json_array_size(value_of(root, "webhooks.allow")), 1);
    assert_true(json_is_null(value_of(root, "hosts")));
    static const char *const waiting[] = {"listen", "base", "limits.keys_max", "webhooks.allow",
                                          "namespaces"};
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
        assert_true(waits(root, waiting[i]));
    assert_false(waits(root, "limits.body_max") || waits(root, "hosts") || waits(root, "threads"));
    json_decref(root);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_that_takes_a_restart_is_told_as_it_is_in_force),
        cmocka_unit_test(every_key_is_told_with_its_default),
        cmocka_unit_test(settings_of_the_file_are_told_in_units_and_types),
        cmocka_unit_test(no_secret_of_a_configuration_with_all_of_them_is_told),
    };
    int fd = mkstemp(path);
    int result = fd < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    close(fd);
    unlink(path);
    return result;
}
