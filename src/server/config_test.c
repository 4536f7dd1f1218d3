/* Settings by file and command line: their effect, the defaults without them, and refusals. */
#include "server/config.h"

#include "base/command_line.h"
#include "server/keys.h"
#include "server/yaml_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define SECRET "0123456789abcdef0123456789abcdef"

static char path[] = "/tmp/freshet-config-XXXXXX";

/* Reads a file with this text over the defaults. */
static int read_with(struct config *config, const char *text, struct faults *faults)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    config_init(config);
    return config_read(config, path, faults);
}

static int read_text(struct config *config, const char *text)
{
    struct faults faults = {0};
    int result = read_with(config, text, &faults);
    if (result)
        print_message("%.*s", STR_FMT(buf_str(&faults.text)));
    assert_true(!result == !faults.count);
    faults_free(&faults);
    return result;
}

static bool has(const struct faults *faults, const char *part)
{
    return part && faults->text.len &&
           memmem(faults->text.at, faults->text.len, part, strlen(part)) != NULL;
}

/* Expects a single fault that contains all of these parts. */
static void refuses_with(const char *text, const char *const *parts, size_t count)
{
    struct config config;
    struct faults faults = {0};
    if (!read_with(&config, text, &faults))
        fail_msg("accepted: %s", text);
    for (size_t i = 0; i < count; i++)
        if (faults.count != 1 || !has(&faults, parts[i]))
            fail_msg("%s\n%u faults, without %s: %.*s", text, faults.count, parts[i],
                     STR_FMT(buf_str(&faults.text)));
    faults_free(&faults);
    config_free(&config);
}
#define REFUSES(text, ...)                                                                         \
    refuses_with(text, (const char *const[]){__VA_ARGS__},                                         \
                 COUNT_OF(((const char *const[]){__VA_ARGS__})))

static void refuses(const char *text)
{
    struct config config;
    struct faults faults = {0};
    assert_int_equal(read_with(&config, text, &faults), -EINVAL);
    assert_true(faults.count > 0);
    faults_free(&faults);
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
        assert_int_equal(config.namespaces_count, 0);
        assert_int_equal(config.listen_count, 0);
        config_free(&config);
    }
    config_free(&untouched);
}

static void a_value_of_the_file_replaces_the_default(void **state)
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
    assert_string_equal(config.listen[0].address, "127.0.0.1:1");
    assert_true(config.memory);
    assert_int_equal(config.spin_us, 50);
    assert_int_equal(config.limits.body_max, 17);
    assert_int_equal(config.limits.ws.message_max, 18);
    assert_int_equal(config.limits.inflight_max, 64);
    assert_int_equal(config.roll_us, 3000000);
    assert_int_equal(config.namespaces_count, 1);
    assert_int_equal(config.namespaces[0].age_us, 2000000);
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

static void values_outside_their_range_are_refused(void **state)
{
    (void)state;
    refuses("limits:\n  poll_pace_ms: 1001\n");
    refuses("limits:\n  poll_pace_ms: -1\n");
    refuses("limits:\n  idle_ms: 86400001\n");
    refuses("spin_us: 1000001\n");
    refuses("threads: 1000000\n");
}

static void unknown_keys_and_broken_yaml_are_refused(void **state)
{
    (void)state;
    refuses("limits:\n  no_such_limit: 1\n");
    refuses("no_such_setting: 1\n");
    refuses("limits: [\n");
    refuses("limits:\n  body_max: many\n");
    refuses("namespaces:\n- prefix: /a\n");
    refuses("webhooks:\n  allow: [10.0.0.256]\n");
}

/* The full name of a key is no key of the file: such a value would be stored in the structure of
 * another mapping, and a list would be read twice into room for one. */
static void a_name_with_a_dot_or_a_zero_is_no_key(void **state)
{
    static const char *const names[] = {
        "limits.body_max: 1",
        "namespaces.prefix: a",
        "namespaces.retention.age_s: 5",
        "tokens.leeway_s: 5",
        "keys.name: a",
        "keys.grants: [{channels: [a], may: [read]}]",
        "tls.certificates.key: a",
        "listen.address: 127.0.0.1:1",
        "access.anybody: [read]",
        "inbound.source: a",
    };
    char text[200];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(text, sizeof(text), "spin_us: 5\n%s\n", names[i]);
        REFUSES(text, ":2: ", "has a dot", "limits: {body_max: 1MiB}");
    }
    REFUSES("namespaces:\n- prefix: a\n  retention.age_s: 5\n", ":3: ", "has a dot");
    REFUSES("webhooks: {allow: [a.b]}\nwebhooks.allow: [c.d]\n", ":2: ", "has a dot");
    REFUSES("spin_us: 5\n\"hosts\\0\": [a]\n", ":2: ", "a byte that is zero");
}

static void a_name_that_is_too_long_is_no_key(void **state)
{
    char text[400];
    (void)state;
    snprintf(text, sizeof(text), "? %0300d\n: 1\n", 0);
    REFUSES(text, ":1: ", "is not a key");
}

/* They could move the cursor of the operator's terminal, or pass for another line. */
static void control_characters_of_the_file_are_shown_and_not_sent(void **state)
{
    (void)state;
    REFUSES("\"a\\e[2J\\nfreshet\": 1\n", "a\\x1b[2J\\x0afreshet: is not a key");
    REFUSES("hosts: [\"a\\x9bb\\t\"]\n", "\"a\\u009bb\\x09\" matches nothing");
}

/* The author of one of these keys means to close something. */
static void an_access_key_without_a_value_leaves_nothing_open(void **state)
{
    static const char *const texts[] = {
        "access:\n",
        "access: {}\n",
        "access: ~\n",
        "access: {anybody: }\n",
        "access: {authenticated: null}\n",
        "access: {anybody: []}\n",
        "keys:\n",
        "keys: []\n",
        "tokens:\n",
        "tokens: []\n",
        "namespaces: [{prefix: a, access: }]\n",
        "namespaces: [{prefix: a, access: {}}]\n",
        "namespaces: [{prefix: a, access: {anybody: }}]\n",
        "namespaces: [{prefix: a, authorize: }]\n",
    };
    char text[200];
    struct config config;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(read_text(&config, texts[i]), 0);
        assert_true(config.has_access);
        config_free(&config);
        if (strncmp(texts[i], "namespaces", strlen("namespaces")) != 0)
            continue;
        snprintf(text, sizeof(text), "access: {anybody: [read]}\n%s", texts[i]);
        assert_int_equal(read_text(&config, text), 0);
        assert_int_equal(config.rules_count, 2);
        assert_int_equal(config.rules[1].anybody | config.rules[1].authenticated, ACTIONS_NONE);
        config_free(&config);
    }
}

static void rules_are_kept_by_prefix(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(read_text(&config, "namespaces:\n"
                                        "- prefix: a\n"
                                        "- prefix: b\n"
                                        "  access: {anybody: [], authenticated: [read, publish]}\n"
                                        "access:\n"
                                        "  anybody: [read]\n"),
                     0);
    assert_true(config.has_access);
    assert_int_equal(config.rules_count, 2);
    assert_int_equal(config.rules[0].prefix.len, 0);
    assert_int_equal(config.rules[0].anybody, action_bit(ACTION_READ));
    assert_int_equal(config.rules[0].authenticated, ACTIONS_NONE);
    assert_true(str_eq(config.rules[1].prefix, STR("b")));
    assert_int_equal(config.rules[1].anybody, ACTIONS_NONE);
    assert_int_equal(config.rules[1].authenticated,
                     action_bit(ACTION_READ) | action_bit(ACTION_PUBLISH));
    config_free(&config);
    assert_int_equal(read_text(&config, "access:\n  anybody: []\n"), 0);
    assert_true(config.has_access);
    config_free(&config);
    refuses("access:\n  anybody: [reed]\n");
    refuses("access:\n  anybody: read\n");
    refuses("access:\n  cookie: a b\n");
    refuses("namespaces:\n- prefix: \"\"\n  access: {anybody: [read]}\n");
}

static void a_section_may_be_empty(void **state)
{
    (void)state;
    static const char *const sections[] = {"limits", "log",     "webhooks", "namespaces",
                                           "tokens", "inbound", "keys",     "access"};
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        struct config config;
        char text[100];
        snprintf(text, sizeof(text), "%s:\n#  some: thing\nspin_us: 50\n", sections[i]);
        assert_int_equal(read_text(&config, text), 0);
        assert_int_equal(config.spin_us, 50);
        config_free(&config);
    }
}

/* Only one document would be read, and the author of the other would not know. */
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

/* ---- options --------------------------------------------------------------------------------- */

/* Reads options with a file that has this text; NULL: no file. */
static int read_options(struct config *config, const char *text, const char *const *options,
                        size_t count, struct faults *faults)
{
    char *argv[16] = {(char *)(uintptr_t) "serve"};
    int argc = 1;
    if (text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
        argv[argc++] = (char *)(uintptr_t) "--config";
        argv[argc++] = path;
    }
    for (size_t i = 0; i < count; i++)
        argv[argc++] = (char *)(uintptr_t)options[i];
    config_init(config);
    return config_options(config, argc, argv, faults);
}

static void an_option_beats_the_file(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *options[4];
        size_t count;
        bool memory;
        const char *data;
    } cases[] = {
        {"memory: true\n", {"--data", "d"}, 2, false, "d"},
        {"memory: true\n", {"--data=d"}, 1, false, "d"},
        {"data: e\n", {"--memory"}, 1, true, NULL},
        {"data: e\n", {"--data", "d"}, 2, false, "d"},
        {"memory: false\n", {"--memory"}, 1, true, NULL},
        {"memory: true\n", {"--threads=1"}, 1, true, NULL},
        {"data: e\n", {"--threads=1"}, 1, false, "e"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config config;
        struct faults faults = {0};
        assert_int_equal(
            read_options(&config, cases[i].text, cases[i].options, cases[i].count, &faults), 0);
        assert_int_equal(config.memory, cases[i].memory);
        assert_int_equal(config.data == NULL, cases[i].data == NULL);
        if (config.data)
            assert_string_equal(config.data, cases[i].data);
        config_free(&config);
    }
}

static void all_options_beat_their_keys(void **state)
{
    (void)state;
    static const char *const options[] = {"--listen=127.0.0.1:2", "--base=/b", "--threads=2"};
    struct config config;
    struct faults faults = {0};
    assert_int_equal(
        read_options(&config, "listen: 127.0.0.1:1\nbase: /a\nthreads: 1\n", options, 3, &faults),
        0);
    assert_int_equal(config.listen_count, 1);
    assert_string_equal(config.listen[0].address, "127.0.0.1:2");
    assert_string_equal(config.base, "/b");
    assert_int_equal(config.threads, 2);
    config_free(&config);
}

static void an_option_that_cannot_be_is_refused_and_named(void **state)
{
    (void)state;
    static const struct {
        const char *options[4];
        size_t count;
        const char *name;
    } cases[] = {
        {{"--memory", "--data=d"}, 2, "--memory"},
        {{"--listen", "127.0.0.1"}, 2, "--listen"},
        {{"--listen="}, 1, "--listen"},
        {{"--base=/a", "--base=/b"}, 2, "--base"},
        {{"--listen=redirect://127.0.0.1:1"}, 1, "https://"},
        {{"--listen=https://127.0.0.1:1"}, 1, "tls.certificates"},
        {{"--data="}, 1, "--data"},
        {{"--base=x"}, 1, "--base"},
        {{"--base=/x/"}, 1, "--base"},
        {{"--base="}, 1, "--base"},
        {{"--base=/"}, 1, "--base"},
        {{"--threads=0"}, 1, "--threads"},
        {{"--threads=65"}, 1, "--threads"},
        {{"--threads=01"}, 1, "--threads"},
        {{"--memory=true"}, 1, "--memory"},
        {{"--config="}, 1, "--config"},
        {{"--config=/dev/null", "--config=/dev/null"}, 2, "--config"},
        {{"--nothing"}, 1, "--nothing"},
        {{"word"}, 1, "word"},
        {{"--listen=0.0.0.0:1"}, 1, "--insecure"},
        {{"--listen=localhost:1", "--listen=127.0.0.1:1"}, 2, "--listen"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config config;
        struct faults faults = {0};
        assert_int_equal(read_options(&config, NULL, cases[i].options, cases[i].count, &faults),
                         -EINVAL);
        if (faults.count != 1 || !has(&faults, cases[i].name))
            fail_msg("%s: %.*s", cases[i].options[0], STR_FMT(buf_str(&faults.text)));
        faults_free(&faults);
        config_free(&config);
    }
}

static void a_switch_of_the_environment_is_a_boolean(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int result;
        bool off;
    } cases[] = {{"1", 0, true}, {"true", 0, true}, {"0", 0, false},       {"off", 0, false},
                 {"", 0, false}, {"2", -EINVAL, 0}, {"flase", -EINVAL, 0}, {" ", -EINVAL, 0}};
    static const char *const names[] = {"FRESHET_NO_URING", "FRESHET_NO_SANDBOX"};
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        struct config config;
        struct faults faults = {0};
        size_t n = i / 2;
        setenv(names[i % 2], cases[n].value, 1);
        assert_int_equal(read_options(&config, NULL, NULL, 0, &faults), cases[n].result);
        assert_int_equal(i % 2 ? config.no_sandbox : config.no_uring, cases[n].off);
        assert_false(i % 2 ? config.no_uring : config.no_sandbox);
        assert_int_equal(cases[n].result != 0, has(&faults, names[i % 2]));
        faults_free(&faults);
        config_free(&config);
        unsetenv(names[i % 2]);
    }
}

static void a_file_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct config config;
    struct faults faults = {0};
    config_init(&config);
    assert_int_equal(config_read(&config, "/tmp/freshet-no-such-file", &faults), -EINVAL);
    assert_true(has(&faults, "/tmp/freshet-no-such-file: there is no such file"));
    faults_free(&faults);
    config_free(&config);
}

/* ---- all keys -------------------------------------------------------------------------------- */

/* Begins an item of `keys` that lacks only `*rest`, which loses its beginning; returns the number
 * of lines that are whole. */
static size_t begin_key(struct buf *out, struct str *rest)
{
    size_t before = 1;
    buf_add_lit(out, "keys:\n- ");
    if (!str_eq(*rest, STR("keys.name"))) {
        buf_add_lit(out, "name: n\n  ");
        before++;
    }
    if (!str_eq(*rest, STR("keys.key"))) {
        buf_add_lit(out, "key: fk_abcdefghij:"
                         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n  ");
        before++;
    }
    *rest = str_skip(*rest, strlen("keys."));
    if (!str_starts(*rest, STR("grants.")))
        return before;
    buf_add_lit(out, "grants:\n  - ");
    *rest = str_skip(*rest, strlen("grants."));
    return before + 1;
}

/* Makes a file whose last line sets `name` to `value`; returns the number of lines. */
static size_t file_with(char *text, size_t size, const char *name, const char *value)
{
    struct str rest = str_from(name);
    struct buf out = {0};
    size_t lines = 1;
    if (str_starts(rest, STR("namespaces."))) {
        buf_add_lit(&out, "namespaces:\n- ");
        if (strcmp(name, "namespaces.prefix") != 0) {
            buf_add_lit(&out, "prefix: p\n  ");
            lines++;
        }
        lines += 1;
        rest = str_skip(rest, strlen("namespaces."));
    } else if (str_starts(rest, STR("tokens."))) {
        buf_add_lit(&out, "tokens:\n- ");
        lines++;
        if (strcmp(name, "tokens.secret") != 0) { /* a number needs an issuer that is whole */
            buf_add_lit(&out, "secret: " SECRET "\n  ");
            lines++;
        }
        rest = str_skip(rest, strlen("tokens."));
    } else if (str_starts(rest, STR("tls.certificates."))) {
        buf_add_lit(&out, "tls:\n  certificates:\n  - ");
        lines += 2;
        rest = str_skip(rest, strlen("tls.certificates."));
    } else if (str_starts(rest, STR("listen."))) {
        buf_add_lit(&out, "listen:\n- ");
        lines++;
        if (strcmp(name, "listen.address") != 0) {
            buf_add_lit(&out, "address: unix:/tmp/s\n  ");
            lines++;
        }
        rest = str_skip(rest, strlen("listen."));
    } else if (str_starts(rest, STR("inbound."))) {
        buf_add_lit(&out, "inbound:\n- ");
        lines++;
        if (strcmp(name, "inbound.source") != 0) {
            buf_add_lit(&out, "source: s\n  ");
            lines++;
        }
        if (strcmp(name, "inbound.kind") != 0) {
            buf_add_lit(&out, "kind: none\n  ");
            lines++;
        }
        rest = str_skip(rest, strlen("inbound."));
    } else if (str_starts(rest, STR("keys."))) {
        lines += begin_key(&out, &rest);
    }
    size_t depth = out.len ? 2 : 0;
    while (rest.at) {
        struct str part = str_cut(&rest, '.');
        buf_add_str(&out, part);
        buf_add_char(&out, ':');
        if (!rest.at)
            break;
        depth += 2;
        lines++;
        buf_addf(&out, "\n%*s", (int)depth, "");
    }
    buf_addf(&out, " %s\n", value);
    snprintf(text, size, "%.*s", STR_FMT(buf_str(&out)));
    buf_free(&out);
    return lines;
}

static void refuses_value(const struct key *key, const char *value)
{
    char text[400], line[80];
    size_t lines = file_with(text, sizeof(text), key->name, value);
    snprintf(line, sizeof(line), "%s:%zu: %s: ", path, lines, key->name);
    REFUSES(text, line);
}

static int accepts_value(const struct key *key, const char *value)
{
    char text[400];
    struct config config;
    file_with(text, sizeof(text), key->name, value);
    int result = read_text(&config, text);
    config_free(&config);
    return result;
}

static void bad_numbers_are_refused_at_every_key(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "1e6", "1_000",  "1,000", "0x10", "010",
        "-1",  "+1",     "1.5",   "many", "1 h",
        "1x",  "true",   "''",    "1:30", "0o7",
        "[1]", "{a: 1}", "'1 '",  ".inf", "18446744073709551616",
    };
    for (size_t i = 0; i < keys_count; i++)
        for (size_t j = 0; keys[i].kind == KEY_NUMBER && j < COUNT_OF(bad); j++)
            refuses_value(&keys[i], bad[j]);
}

/* Refusals end up in logs. */
static void a_url_in_the_wrong_place_is_quoted_without_its_password(void **state)
{
    (void)state;
    static const char *const values[] = {"https://me:PASSWORD@a.example/x?k=PASSWORD",
                                         "[https://me:PASSWORD@a.example/x?k=PASSWORD]"};
    unsigned quoted = 0;
    for (size_t i = 0; i < 2 * keys_count; i++) {
        char text[400];
        struct config config;
        struct faults faults = {0};
        file_with(text, sizeof(text), keys[i / 2].name, values[i % 2]);
        (void)read_with(&config, text, &faults);
        if (has(&faults, "PASSWORD"))
            fail_msg("%s: %.*s", keys[i / 2].name, STR_FMT(buf_str(&faults.text)));
        quoted += has(&faults, "https://***@a.example");
        faults_free(&faults);
        config_free(&config);
    }
    assert_true(quoted > keys_count / 2);
}

static void the_least_and_the_greatest_are_accepted_and_no_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < keys_count; i++) {
        const struct key *key = &keys[i];
        struct buf value = {0};
        char text[40];
        if (key->kind != KEY_NUMBER)
            continue;
        assert_true(key->least <= key->most && key->most <= UINT64_MAX / key->scale / 2);
        assert_true(key->size == 8 || key->most * key->scale <= UINT32_MAX);
        assert_true(!key->fallback || (key->fallback >= key->least && key->fallback <= key->most));
        number_write_in(&value, key->most, key->unit);
        buf_add_char(&value, '\0');
        /* Shares may not have all that one of them may, and the least lease is at most the most. */
        if (!strstr(key->name, "_share") && !strstr(key->name, "lease_least_s"))
            assert_int_equal(accepts_value(key, value.at), 0);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)key->least);
        assert_int_equal(accepts_value(key, text), 0);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)key->most + 1);
        refuses_value(key, text);
        refuses_value(key, "9223372036854775807");
        refuses_value(key, "18446744073709551615");
        buf_free(&value);
    }
}

static void bad_booleans_are_refused_at_every_key(void **state)
{
    (void)state;
    static const char *const bad[] = {"flase", "tru", "0", "1", "''", "y", "2", "[true]", "none"};
    for (size_t i = 0; i < keys_count; i++)
        for (size_t j = 0; keys[i].kind == KEY_BOOLEAN && j < COUNT_OF(bad); j++)
            refuses_value(&keys[i], bad[j]);
}

static void nothing_behind_a_key_is_refused_unless_it_is_a_list(void **state)
{
    (void)state;
    static const char *const nothing[] = {"", "~", "null"};
    for (size_t i = 0; i < keys_count; i++)
        for (size_t j = 0; j < COUNT_OF(nothing); j++) {
            bool is_list = keys[i].kind == KEY_LIST && !keys[i].single;
            if (is_list && str_starts(str_from(keys[i].name), STR("keys.grants.")))
                assert_int_equal(accepts_value(&keys[i], nothing[j]),
                                 -EINVAL); /* both are needed */
            else if (is_list)
                assert_int_equal(accepts_value(&keys[i], nothing[j]), 0);
            else
                refuses_value(&keys[i], nothing[j]);
        }
}

static void a_list_holds_single_values_and_not_too_many(void **state)
{
    (void)state;
    static const char *const bad[] = {"text", "{a: 1}", "[[1]]", "[{a: 1}]", "[~]"};
    for (size_t i = 0; i < keys_count; i++) {
        if (keys[i].kind != KEY_LIST || key_is_section(str_from(keys[i].name)))
            continue;
        for (size_t j = 0; j < COUNT_OF(bad); j++)
            refuses_value(&keys[i], bad[j]);
    }
    refuses("webhooks:\n  schedule_ms: []\n");
    refuses("webhooks:\n  schedule_ms: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]\n");
}

/* ---- stored values --------------------------------------------------------------------------- */

static void a_number_is_stored_with_its_unit(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(read_text(&config,
                               "limits: {body_max: 64KiB, idle_ms: 5m, head_ms: 250}\n"
                               "spin_us: 2ms\n"
                               "log: {roll_s: 1h, bytes_max: 10GiB, roll_bytes: 10MB}\n"
                               "webhooks: {schedule_ms: [5s, 250, 1h], records_age_s: 7d}\n"
                               "namespaces: [{prefix: a, retention: {age_s: 1h}}]\n"),
                     0);
    assert_int_equal(config.limits.body_max, 65536);
    assert_int_equal(config.limits.idle_ms, 300000);
    assert_int_equal(config.limits.head_ms, 250);
    assert_int_equal(config.spin_us, 2000);
    assert_int_equal(config.roll_us, INT64_C(3600000000));
    assert_int_equal(config.log_bytes_max, UINT64_C(10) << 30);
    assert_int_equal(config.roll_bytes, 10000000);
    assert_int_equal(config.webhook_schedule_count, 3);
    assert_int_equal(config.webhook_schedule_ms[0], 5000);
    assert_int_equal(config.webhook_schedule_ms[1], 250);
    assert_int_equal(config.webhook_schedule_ms[2], 3600000);
    assert_int_equal(config.webhook_records_age_us, INT64_C(604800000000));
    assert_int_equal(config.namespaces[0].age_us, INT64_C(3600000000));
    config_free(&config);
}

static void a_number_of_0_is_the_default_unless_it_says_something(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(read_text(&config, "threads: 0\nspin_us: 0\n"
                                        "limits: {body_max: 0, idle_ms: 0s, poll_pace_ms: 0}\n"
                                        "webhooks: {timeout_ms: 0}\n"),
                     0);
    assert_true(config.threads >= 1);
    assert_int_equal(config.limits.body_max, 1 << 20);
    assert_int_equal(config.limits.idle_ms, 620000);
    assert_int_equal(config.limits.poll_pace_ms, 0);
    assert_int_equal(config.webhook_timeout_ms, 15000);
    config_free(&config);
}

static void the_shares_of_the_table_are_the_couriers(void **state)
{
    (void)state;
    struct config config;
    config_init(&config);
    for (unsigned i = POOL_SLOW; i < POOL_CLASSES; i++)
        assert_int_equal(config.webhook_shares[i], pool_shares[i]);
    config_free(&config);
}

/* ---- senseless settings ---------------------------------------------------------------------- */

static void contradictory_settings_are_refused_with_their_line(void **state)
{
    (void)state;
    REFUSES("namespaces:\n- prefix: a\n- prefix: b\n- prefix: a\n", ":4: namespaces.prefix",
            "twice");
    REFUSES("namespaces:\n- prefix: ''\n- prefix: ''\n", ":3: namespaces.prefix", "twice");
    REFUSES("namespaces:\n- prefix: $x\n", ":2: namespaces.prefix", "$");
    REFUSES("namespaces:\n- prefix: a/*\n", ":2: namespaces.prefix", "a/*");
    REFUSES("namespaces:\n- prefix: a/\n", ":2: namespaces.prefix", "a/");
    REFUSES("namespaces:\n- ephemeral: true\n", ":2: namespaces.prefix", "missing");
    REFUSES("namespaces:\n- a\n", ":2: namespaces");
    REFUSES("memory: true\ndata: d\n", ":1: memory", "data");
    REFUSES("limits:\n  idle_ms: 1\n  idle_ms: 2\n", ":3: limits.idle_ms", "twice");
    REFUSES("webhooks:\n  slow_share: 60\n", ":1: webhooks", "100 percent");
    REFUSES("limits: 3\n", ":1: limits");
    REFUSES("limits: []\n", ":1: limits");
    REFUSES("- a\n", ":1: ");
    REFUSES("text\n", ":1: ");
    REFUSES("? [a]\n: 1\n", ":1: ");
    REFUSES("limits:\n  boddy_max: 1\n", ":2: limits.boddy_max", "did you mean limits.body_max?");
    REFUSES("body_max: 1\n", ":1: body_max", "did you mean limits.body_max?");
    REFUSES("zzzzzzzzzz: 1\n", ":1: zzzzzzzzzz", "freshet help configuration");
    REFUSES("listen: 127.0.0.1:70700\n", ":1: listen", "127.0.0.1:70700", "as in");
    REFUSES("base: x\n", ":1: base", "as in");
    REFUSES("base: '/a b'\n", ":1: base", "as in");
    REFUSES("data: \"a\\0b\"\n", ":1: data");
}

static void an_origin_that_no_browser_says_is_refused(void **state)
{
    (void)state;
    static const char *const never[] = {"'**'",        "app.example", "https://app.example/",
                                        "https://*.a", "https://A.b", "https://a:443",
                                        "null",        "''",          "ftp://a"};
    char text[100];
    struct config config;
    for (size_t i = 0; i < COUNT_OF(never); i++) {
        snprintf(text, sizeof(text), "origins:\n  - https://a\n  - %s\n", never[i]);
        REFUSES(text, ":3: origins");
    }
    assert_int_equal(
        read_text(&config, "origins: [https://a, 'http://b:8080', 'https://*.a.example', '*']\n"),
        0);
    assert_int_equal(config.origins_count, 4);
    assert_true(str_eq(config.origins[1], STR("http://b:8080")));
    config_free(&config);
}

static void an_address_that_is_listed_twice_is_refused(void **state)
{
    (void)state;
    struct config config;
    REFUSES("listen:\n  - 127.0.0.1:7070\n  - 127.0.0.1:7071\n  - 127.0.0.1:7070\n", ":4: listen",
            "\"127.0.0.1:7070\"", "leave one of them out");
    REFUSES("listen:\n  - localhost:7070\n  - '[::1]:7070'\n", ":3: listen", "\"[::1]:7070\"",
            "\"localhost:7070\"");
    REFUSES("listen:\n  - 127.0.0.1:1\n  - {address: 127.0.0.1:1, admin: true}\n", ":3: listen");
    REFUSES("listen:\n  - unix:/run/a.sock\n  - {address: 'unix:/run/a.sock', mode: 600}\n",
            ":3: listen", "unix:/run/a.sock");
    assert_int_equal(read_text(&config,
                               "listen: [127.0.0.1:0, 127.0.0.1:0, 127.0.0.1:1, '[::1]:1', "
                               "127.0.0.2:1, unix:/run/a, unix:/run/b]\n"),
                     0);
    assert_int_equal(config.listen_count, 7);
    config_free(&config);
}

static void a_host_that_no_client_says_is_refused(void **state)
{
    (void)state;
    static const char *const never[] = {"'*'", "'*.org'", "rt.example.org:443", "https://a", "''"};
    char text[100];
    struct config config;
    for (size_t i = 0; i < COUNT_OF(never); i++) {
        snprintf(text, sizeof(text), "hosts:\n  - rt.example.org\n  - %s\n", never[i]);
        REFUSES(text, ":3: hosts");
    }
    assert_int_equal(read_text(&config, "hosts: [rt.example.org, '*.example.org', '[::1]']\n"), 0);
    assert_int_equal(config.hosts_count, 3);
    assert_true(str_eq(config.hosts[1], STR("*.example.org")));
    config_free(&config);
}

static void a_proxy_that_cannot_come_is_refused(void **state)
{
    (void)state;
    struct config config;
    REFUSES("trusted_proxies: [10.0.0.1/8]\n", ":1: trusted_proxies", "matches nothing");
    REFUSES("trusted_proxies: [proxy.example]\n", ":1: trusted_proxies");
    REFUSES("trusted_proxies: ['[::1]']\n", ":1: trusted_proxies");
    REFUSES("forwarded_header: x-real-ip\n", ":1: forwarded_header", "x-forwarded-for");
    assert_int_equal(read_text(&config, "trusted_proxies: [10.0.0.0/8, '::1', unix]\n"
                                        "forwarded_header: Forwarded\n"),
                     0);
    assert_int_equal(config.proxies_count, 2);
    assert_true(config.proxies_unix);
    config_free(&config);
}

static void an_entry_that_matches_nothing_is_refused(void **state)
{
    (void)state;
    static const char *const never[] = {
        "10.0.0.256",   "10.0.0.1/8",   "10.0.0.0/33", "'*'",         "'*.internal'", "a:80",
        "http://a",     "a/b",          "'a b'",       "a..b",        "'.a'",         "''",
        "0x7f.1",       "2130706433",   "1.2.3",       "user@a",      "224.0.0.0/3",  "'[::1]'",
        "'fe80::1%lo'", "b\xc3\xbc.de", "-a",          "10.0.0.0/08",
    };
    static const char *const good[] = {"10.0.0.0/8", "127.0.0.1", "'::1'",      "hooks.internal",
                                       "my_service", "0.0.0.0/0", "localhost.", "fd00::/8"};
    char text[100];
    for (size_t i = 0; i < COUNT_OF(never); i++) {
        snprintf(text, sizeof(text), "webhooks:\n  allow: [127.0.0.1, %s]\n", never[i]);
        REFUSES(text, ":2: webhooks.allow");
        snprintf(text, sizeof(text), "access:\n  allow: [127.0.0.1, %s]\n", never[i]);
        REFUSES(text, ":2: access.allow");
    }
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct config config;
        snprintf(text, sizeof(text), "webhooks:\n  allow: [%s]\n", good[i]);
        assert_int_equal(read_text(&config, text), 0);
        assert_int_equal(config.webhook_networks_count + config.webhook_hosts_count, 1);
        assert_int_equal(config.access_networks_count + config.access_hosts_count, 0);
        config_free(&config);
        snprintf(text, sizeof(text), "access:\n  allow: [%s]\n", good[i]);
        assert_int_equal(read_text(&config, text), 0);
        assert_int_equal(config.access_networks_count + config.access_hosts_count, 1);
        assert_int_equal(config.webhook_networks_count + config.webhook_hosts_count, 0);
        assert_false(config.has_access); /* it gives and takes nothing */
        config_free(&config);
    }
}

static void issuers_of_tokens_have_one_key_source(void **state)
{
    (void)state;
    REFUSES("tokens:\n- issuer: i\n", ":2: tokens", "one of them");
    REFUSES("tokens:\n- secret: " SECRET "\n  key_file: /dev/null\n", ":2: tokens", "one of them");
    REFUSES("tokens:\n- leeway_s: 1\n  secret: short\n", ":3: tokens", "at least 32 bytes");
    REFUSES("tokens:\n- secret: env:FRESHET_TEST_UNSET\n", ":2: tokens", "is not set");
    REFUSES("tokens:\n- jwks_url: https://a.example/k\n  kid: k1\n", ":2: tokens", "leave out");
    REFUSES("tokens:\n- jwks_url: http://a.example/k\n", ":2: tokens.jwks_url", "https://");
    REFUSES("tokens:\n- jwks_url: http://127.0.0.1.a.example/k\n", ":2: tokens.jwks_url",
            "https://");
    REFUSES("tokens:\n- jwks_url: https://a:pw@b.example/k?key=hush\n", ":2: tokens.jwks_url",
            "\"https://***@b.example/k?key=***\"");
    REFUSES("tokens:\n- jwks_url: file:///etc/passwd\n", ":2: tokens.jwks_url", "https://");
    REFUSES("tokens:\n- key_file: /tmp/freshet-no-such\n", ":2: tokens", "No such file");
    REFUSES("tokens:\n- key_file: /dev/null\n", ":2: tokens", "in PEM form");
    REFUSES("tokens:\n- key_file: /dev/zero\n", ":2: tokens", "File too large");
    REFUSES("tokens:\n- secret: " SECRET "\n  algorithm: none\n", ":3: tokens", "HS256");
    REFUSES("tokens:\n- secret: " SECRET "\n  algorithm: RS256\n", ":2: tokens", "secret is for");
}

static void issuers_of_tokens_have_keys_and_expectations(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(read_text(&config, "tokens:\n- secret: " SECRET "\n  kid: k1\n"
                                        "- {secret: " SECRET ", issuer: i, audience: a, "
                                        "claim: c, leeway_s: 0}\n"),
                     0);
    assert_int_equal(config.issuers.count, 2);
    const struct issuer *first = &config.issuers.at[0], *second = &config.issuers.at[1];
    assert_int_equal(token_key_algorithm(first->keys->at[0]), TOKEN_HS256);
    assert_true(str_eq(token_key_kid(first->keys->at[0]), STR("k1")));
    assert_true(str_eq(first->claim, STR("freshet")));
    assert_int_equal(first->leeway_s, 10);
    assert_int_equal(second->leeway_s, 0);
    assert_true(str_eq(second->issuer, STR("i")));
    assert_true(str_eq(second->audience, STR("a")));
    assert_true(str_eq(second->claim, STR("c")));
    config_free(&config);
}

#define ASKS "namespaces:\n- prefix: a\n  authorize: {url: 'http://127.0.0.1:1/', "
#define SIGNS "secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

static void a_namespace_that_asks_gives_nothing_by_itself(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(read_text(&config, ASKS SIGNS "}\naccess: {anybody: [read]}\n"), 0);
    assert_int_equal(config.authorizers_count, 1);
    const struct authorize_server *server = &config.authorizers[0];
    assert_true(str_eq(server->prefix, STR("a")));
    assert_string_equal(server->url, "http://127.0.0.1:1/");
    assert_int_equal(server->cache_s, 10);
    assert_int_equal(server->timeout_ms, 5000);
    assert_int_equal(server->headers_count, 1);
    assert_true(str_eq(server->headers[0], STR("cookie")));
    assert_int_equal(config.rules_count, 2);
    assert_int_equal(config.rules[1].anybody, ACTIONS_NONE);
    config_free(&config);
    assert_int_equal(
        read_text(&config, ASKS SIGNS ", headers: [x-user, authorization], cache_s: 0}\n"), 0);
    assert_int_equal(config.authorizers[0].headers_count, 2);
    assert_int_equal(config.authorizers[0].cache_s, 0);
    assert_true(config.has_access);
    config_free(&config);
}

static void a_namespace_that_cannot_ask_is_refused(void **state)
{
    (void)state;
    REFUSES(ASKS "}\n", ":2: namespaces.authorize", "give both");
    REFUSES("namespaces:\n- prefix: a\n  authorize: {" SIGNS "}\n", ":2: namespaces.authorize",
            "give both");
    REFUSES(ASKS "secret: abc}\n", ":2: namespaces.authorize", "whsec_");
    REFUSES(ASKS "secret: env:FRESHET_TEST_UNSET}\n", ":2: namespaces.authorize", "is not set");
    REFUSES(ASKS SIGNS ", headers: [Cookie]}\n", ":3: namespaces.authorize.headers", "lower case");
    REFUSES(ASKS SIGNS ", headers: ['a b']}\n", ":3: namespaces.authorize.headers", "lower case");
    REFUSES("namespaces:\n- prefix: a\n  authorize: {url: 'http://app.example/'}\n",
            ":3: namespaces.authorize.url", "https://");
}

static void a_source_that_cannot_be_is_refused_with_its_line(void **state)
{
    (void)state;
    unsetenv("FRESHET_TEST_UNSET");
    setenv("FRESHET_TEST_EMPTY", "", 1);
#define GITHUB "inbound:\n- source: g\n  kind: github\n"
    REFUSES(GITHUB "  secrets:\n  - abc\n  - env:FRESHET_TEST_UNSET\n", ":6: inbound.secrets",
            "secret 2", "FRESHET_TEST_UNSET is not set");
    REFUSES(GITHUB "  secrets: ['env:FRESHET_TEST_EMPTY']\n", ":4: inbound.secrets", "is empty");
    REFUSES(GITHUB "  secrets: ['env:']\n", ":4: inbound.secrets", "name of a variable");
    REFUSES(GITHUB "  secrets: ['file:/tmp/freshet-no-such']\n", ":4: inbound.secrets",
            "/tmp/freshet-no-such: No such file");
    REFUSES(GITHUB "  secrets: ['file:/tmp']\n", ":4: inbound.secrets", "/tmp: Is a directory");
    REFUSES(GITHUB "  secrets: ['file:/dev/null']\n", ":4: inbound.secrets", "/dev/null is empty");
    REFUSES(GITHUB "  secrets: ['file:/dev/zero']\n", ":4: inbound.secrets", "larger than");
    REFUSES(GITHUB "  secrets: ['']\n", ":4: inbound.secrets", "empty");
    REFUSES(GITHUB, ":2: inbound", "secrets");
    REFUSES(GITHUB "  secrets: [x]\n  channel: $x\n", ":5: inbound", "$");
    REFUSES(GITHUB "  secrets: [x]\n- source: g\n  kind: none\n", ":5: inbound.source", "twice");
    REFUSES("inbound:\n- kind: none\n", ":2: inbound", "name");
    REFUSES("inbound:\n- source: g\n  kind: gitea\n", ":3: inbound", "kind");
    REFUSES("inbound:\n- source: g\n  kind: none\n  challenge:\n    method: PUT\n", ":4: inbound",
            "method is GET or POST");
    REFUSES("inbound:\n- source: g\n  kind: none\n  challenge: {method: GET, value: '{query.a}',\n"
            "    proof: '{query.b}', secret: 'env:FRESHET_TEST_UNSET'}\n",
            ":4: inbound", "FRESHET_TEST_UNSET");
    REFUSES("websub:\n  lease_least_s: 2h\n  lease_most_s: 1h\n", ":1: websub", "lease_least_s");
    REFUSES("inbound:\n- source: g\n  kind: none\n  tolerance_s: 2d\n", ":4: inbound.tolerance_s");
}

static void all_faults_are_told_at_once(void **state)
{
    (void)state;
    struct config config;
    struct faults faults = {0};
    assert_int_equal(read_with(&config, "threads: x\nlimits: {body_max: y}\nzzz: 1\n", &faults),
                     -EINVAL);
    assert_int_equal(faults.count, 3);
    assert_true(has(&faults, "threads") && has(&faults, "limits.body_max") && has(&faults, "zzz"));
    faults_free(&faults);
    config_free(&config);
}

static void a_tree_of_unreasonable_depth_or_width_ends(void **state)
{
    (void)state;
    enum { SIZE = 10000 }; /* libyaml is quadratic in the depth */
    char *text = malloc(SIZE + 100);
    assert_non_null(text);
    memset(text, '[', SIZE);
    text[SIZE] = 0;
    refuses(text);
    for (size_t i = 0; i < SIZE; i += 5)
        memcpy(text + i, "a: 1\n", 5);
    refuses(text);
    refuses("limits: &a {b: *a}\nnamespaces: &c [*c, *c]\n");
    free(text);
}

static int open_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int close_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void a_certificate_of_ones_own_comes_with_its_key_and_its_hosts(void **state)
{
    static const char *const bad[] = {
        "webhooks:\n  key_file: /etc/hostname\n",
        "webhooks:\n  cert_hosts: [hooks.internal]\n",
        "webhooks:\n  key_file: /etc/hostname\n  cert_hosts: [hooks.internal]\n",
        "webhooks:\n  cert_file: /nonexistent\n",
        "webhooks:\n  cert_file: /etc/hostname\n  key_file: /etc/hostname\n  cert_hosts: [a]\n",
        "webhooks:\n  cert_hosts: ['host:80']\n",
        "webhooks:\n  cert_hosts: ['*.internal']\n",
        "webhooks:\n  cert_hosts: ['']\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        refuses(bad[i]);
}

static void the_playground_brings_its_namespace_and_its_rule(void **state)
{
    struct config config;
    (void)state;
    assert_int_equal(read_text(&config, "playground: true\naccess: {anybody: []}\n"), 0);
    assert_int_equal(config.namespaces_count, 1);
    assert_true(str_eq(config.namespaces[0].prefix, STR("playground")));
    assert_true(config.namespaces[0].age_us > 0 && config.namespaces[0].count > 0);
    assert_int_equal(config.publish_count, 2);
    assert_int_equal(config.publish_list[1].event_max, 1024);
    assert_true(config.publish_list[1].rates[RATE_ADDRESS][RATE_EVENTS] > 0);
    assert_int_equal(config.rules_count, 2);
    assert_int_equal(config.rules[1].anybody, 1 << ACTION_READ | 1 << ACTION_PUBLISH);
    config_free(&config);

    /* Without other rules it is no reason to enforce any. */
    assert_int_equal(read_text(&config, "playground: true\n"), 0);
    assert_false(config.has_access);
    config_free(&config);

    assert_int_equal(read_text(&config, "playground: false\n"), 0);
    assert_int_equal(config.namespaces_count + config.rules_count + config.publish_count, 2);
    config_free(&config);
}

static void own_settings_for_the_playground_stand(void **state)
{
    struct config config;
    (void)state;
    assert_int_equal(read_text(&config, "playground: true\n"
                                        "namespaces:\n"
                                        "  - prefix: playground\n"
                                        "    event_max: 4KiB\n"
                                        "    access: {anybody: [read]}\n"),
                     0);
    assert_int_equal(config.namespaces_count, 1);
    assert_int_equal(config.publish_list[1].event_max, 4096);
    assert_int_equal(config.rules_count, 2);
    assert_int_equal(config.rules[1].anybody, 1 << ACTION_READ);
    config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_namespace_that_asks_gives_nothing_by_itself),
        cmocka_unit_test(a_namespace_that_cannot_ask_is_refused),
        cmocka_unit_test(issuers_of_tokens_have_one_key_source),
        cmocka_unit_test(issuers_of_tokens_have_keys_and_expectations),
        cmocka_unit_test(an_empty_file_sets_nothing),
        cmocka_unit_test(a_certificate_of_ones_own_comes_with_its_key_and_its_hosts),
        cmocka_unit_test(a_value_of_the_file_replaces_the_default),
        cmocka_unit_test(a_pace_of_0_is_none_and_no_pace_the_default),
        cmocka_unit_test(values_outside_their_range_are_refused),
        cmocka_unit_test(unknown_keys_and_broken_yaml_are_refused),
        cmocka_unit_test(rules_are_kept_by_prefix),
        cmocka_unit_test(a_name_with_a_dot_or_a_zero_is_no_key),
        cmocka_unit_test(a_name_that_is_too_long_is_no_key),
        cmocka_unit_test(control_characters_of_the_file_are_shown_and_not_sent),
        cmocka_unit_test(an_access_key_without_a_value_leaves_nothing_open),
        cmocka_unit_test(a_section_may_be_empty),
        cmocka_unit_test(more_than_one_document_is_refused),
        cmocka_unit_test(a_file_of_unreasonable_size_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_refused),
        cmocka_unit_test(an_option_beats_the_file),
        cmocka_unit_test(all_options_beat_their_keys),
        cmocka_unit_test(an_option_that_cannot_be_is_refused_and_named),
        cmocka_unit_test(a_switch_of_the_environment_is_a_boolean),
        cmocka_unit_test(bad_numbers_are_refused_at_every_key),
        cmocka_unit_test(a_url_in_the_wrong_place_is_quoted_without_its_password),
        cmocka_unit_test(the_least_and_the_greatest_are_accepted_and_no_more),
        cmocka_unit_test(bad_booleans_are_refused_at_every_key),
        cmocka_unit_test(nothing_behind_a_key_is_refused_unless_it_is_a_list),
        cmocka_unit_test(a_list_holds_single_values_and_not_too_many),
        cmocka_unit_test(a_number_is_stored_with_its_unit),
        cmocka_unit_test(a_number_of_0_is_the_default_unless_it_says_something),
        cmocka_unit_test(the_shares_of_the_table_are_the_couriers),
        cmocka_unit_test(contradictory_settings_are_refused_with_their_line),
        cmocka_unit_test(an_address_that_is_listed_twice_is_refused),
        cmocka_unit_test(a_host_that_no_client_says_is_refused),
        cmocka_unit_test(a_proxy_that_cannot_come_is_refused),
        cmocka_unit_test(an_entry_that_matches_nothing_is_refused),
        cmocka_unit_test(an_origin_that_no_browser_says_is_refused),
        cmocka_unit_test(a_source_that_cannot_be_is_refused_with_its_line),
        cmocka_unit_test(all_faults_are_told_at_once),
        cmocka_unit_test(a_tree_of_unreasonable_depth_or_width_ends),
        cmocka_unit_test(the_playground_brings_its_namespace_and_its_rule),
        cmocka_unit_test(own_settings_for_the_playground_stand),
    };
    return cmocka_run_group_tests(tests, open_file, close_file);
}
