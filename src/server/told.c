#include "server/told.h"

#include "base/json_writer.h"
#include "base/utf8.h"
#include "http/target.h"
#include "server/changed.h"
#include "server/config.h"
#include "server/keys.h"
#include "server/yaml_file.h"

#include <stdio.h>
#include <string.h>

enum { PATH_LEN_MAX = 200 };

#define HIDDEN STR("***")

/* ---- values ---------------------------------------------------------------------------------- */

/* A text may be a URL with a password or a token in it. */
static void add_text(struct json_writer *writer, const struct key *key, struct str text)
{
    struct buf shown = {0};
    if (key->secret) {
        json_add_string(writer, HIDDEN);
        return;
    }
    http_text_hide(&shown, text);
    if (buf_failed(&shown))
        writer->out->failed = true;
    else if (utf8_valid(buf_str(&shown)))
        json_add_string(writer, buf_str(&shown));
    else
        json_add_base64(writer, buf_str(&shown));
    buf_free(&shown);
}

/* An item of the file, by the type of its key. The file was checked. */
static void add_scalar(struct json_writer *writer, const struct key *key, struct str text)
{
    uint64_t number = 0;
    bool is_true = false;
    if (key->kind == KEY_NUMBER && !number_read_in(text, key->unit, &number))
        json_add_number(writer, number);
    else if (key->kind == KEY_BOOLEAN && !boolean_read(text, &is_true))
        json_add_bool(writer, is_true);
    else
        add_text(writer, key, text);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void add_map(struct json_writer *writer, struct yaml_value map, struct str path);

static void add_list(struct json_writer *writer, const struct key *key, struct yaml_value value)
{
    size_t count = yaml_kind(value) == YAML_TEXT ? 1 : yaml_count(value);
    json_array_begin(writer);
    for (size_t i = 0; i < count; i++) {
        struct yaml_value item = yaml_kind(value) == YAML_TEXT ? value : yaml_item(value, i);
        if (yaml_kind(item) == YAML_MAP)
            add_map(writer, item, str_from(key->name));
        else
            add_text(writer, key, yaml_kind(item) == YAML_TEXT ? yaml_text(item) : STR_NONE);
    }
    json_array_end(writer);
}

static void add_value(struct json_writer *writer, struct yaml_value value, struct str name)
{
    const struct key *key = key_find(name);
    if (key && key->kind == KEY_LIST && yaml_kind(value) != YAML_NOTHING)
        add_list(writer, key, value);
    else if (key && yaml_kind(value) == YAML_TEXT)
        add_scalar(writer, key, yaml_text(value));
    else if (!key && yaml_kind(value) == YAML_MAP)
        add_map(writer, value, name);
    else
        json_add_null(writer);
}

/* The file's names are those of the table, since it was checked. The depth is that of the table. */
static void add_map(struct json_writer *writer, struct yaml_value map, struct str path)
{
    char name[PATH_LEN_MAX];
    json_object_begin(writer);
    for (size_t i = 0; i < yaml_count(map); i++) {
        struct str key = yaml_text(yaml_key(map, i));
        (void)snprintf(name, sizeof(name), "%.*s.%.*s", STR_FMT(path), STR_FMT(key));
        json_name(writer, key.at);
        add_value(writer, yaml_value_of(map, i), str_from(name));
    }
    json_object_end(writer);
}

/* Finds the value of a full name. False if the file does not have it. */
static bool find_in_file(const struct config *config, struct str name, struct yaml_value *ret)
{
    if (!config->file)
        return false;
    *ret = yaml_file_root(config->file);
    for (struct str rest = name; rest.at;) {
        struct str part = str_cut(&rest, '.');
        size_t count = yaml_kind(*ret) == YAML_MAP ? yaml_count(*ret) : 0, i = 0;
        while (i < count && !str_eq(yaml_text(yaml_key(*ret, i)), part))
            i++;
        if (i == count)
            return false;
        *ret = yaml_value_of(*ret, i);
    }
    return yaml_kind(*ret) != YAML_NOTHING;
}

/* ---- values in force ------------------------------------------------------------------------- */

static uint64_t number_at(const struct key *key, const void *base)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (key->size == sizeof(narrow)) {
        memcpy(&narrow, (const char *)base + key->at, sizeof(narrow));
        wide = narrow;
    } else {
        memcpy(&wide, (const char *)base + key->at, sizeof(wide));
    }
    return key->scale ? wide / key->scale : wide;
}

static struct str text_at(const struct key *key, const void *base)
{
    struct str text = STR_NONE;
    if (key->size == sizeof(struct str))
        memcpy(&text, (const char *)base + key->at, sizeof(text));
    else
        memcpy(&text.at, (const char *)base + key->at, sizeof(text.at));
    if (text.at && key->size != sizeof(struct str))
        text.len = strlen(text.at);
    return text;
}

static void add_listen(struct json_writer *writer, const struct config *config)
{
    const struct key *address = key_find(STR("listen.address"));
    json_array_begin(writer);
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct listen_item *item = &config->listen[i];
        json_object_begin(writer);
        json_name(writer, "address");
        add_text(writer, address, str_from(item->address));
        if (item->admin)
            json_member_bool(writer, "admin", true);
        if (item->mode)
            json_member_bytes(writer, "mode", str_from(item->mode));
        if (item->group)
            json_member_bytes(writer, "group", str_from(item->group));
        json_object_end(writer);
    }
    if (!config->listen_count) {
        json_object_begin(writer);
        json_member_string(writer, "address", STR(LISTENING_DEFAULT));
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void add_schedule(struct json_writer *writer, const struct config *config)
{
    json_array_begin(writer);
    for (size_t i = 0; i < config->webhook_schedule_count; i++)
        json_add_signed(writer, config->webhook_schedule_ms[i]);
    json_array_end(writer);
}

/* Lists lie in the file, but for two: options take the place of `listen`, and there is a schedule
 * without any. Returns whether the list is the default. */
static bool add_list_in_force(struct json_writer *writer, const struct key *key,
                              const struct config *config)
{
    struct yaml_value value;
    struct str name = str_from(key->name);
    bool is_set = find_in_file(config, name, &value);
    if (str_eq(name, STR("listen")))
        add_listen(writer, config);
    else if (str_eq(name, STR("webhooks.schedule_ms")))
        add_schedule(writer, config);
    else if (is_set)
        add_list(writer, key, value);
    else
        json_add_null(writer);
    return str_eq(name, STR("listen")) ? !config->listen_count : !is_set;
}

/* The limit of open files decides about connections that nobody has limited. */
static uint64_t number_in_force(const struct key *key, const struct config *config)
{
    uint64_t number = number_at(key, config);
    bool is_open = !number && strcmp(key->name, "limits.connections_max") == 0;
    return is_open ? config->limits.connections_max : number;
}

/* Writes the value, and returns whether it is the default. */
static bool add_in_force(struct json_writer *writer, const struct key *key,
                         const struct config *config, const struct config *plain)
{
    bool is_true = false, same;
    struct str text;
    switch (key->kind) {
    case KEY_NUMBER:
        json_add_number(writer, number_in_force(key, config));
        return number_at(key, config) == number_at(key, plain);
    case KEY_BOOLEAN:
        memcpy(&is_true, (const char *)config + key->at, sizeof(is_true));
        memcpy(&same, (const char *)plain + key->at, sizeof(same));
        json_add_bool(writer, is_true);
        return is_true == same;
    case KEY_TEXT:
        text = text_at(key, config);
        if (text.at)
            add_text(writer, key, text);
        else
            json_add_null(writer);
        return !text.at;
    case KEY_LIST:
        break;
    }
    return add_list_in_force(writer, key, config);
}

struct telling {
    const struct config *start, *config, *plain; /* plain: the defaults */
};

static void add_key(struct json_writer *writer, const struct key *key,
                    const struct telling *telling)
{
    static const char *const units[] = {[NUMBER_COUNT] = "count", [NUMBER_PERCENT] = "percent",
                                        [NUMBER_US] = "us",       [NUMBER_MS] = "ms",
                                        [NUMBER_S] = "s",         [NUMBER_BYTES] = "bytes"};
    bool is_changed = changed_applies(str_from(key->name));
    json_object_begin(writer);
    json_member_string(writer, "key", str_from(key->name));
    json_name(writer, "value");
    bool is_default =
        add_in_force(writer, key, is_changed ? telling->config : telling->start, telling->plain);
    if (key->kind == KEY_NUMBER)
        json_member_string(writer, "unit", str_from(units[key->unit]));
    json_member_bool(writer, "default", is_default);
    if (changed_waits(key, telling->start, telling->config))
        json_member_bool(writer, "waits", true);
    json_member_string(writer, "meaning", str_from(key->help));
    json_object_end(writer);
}

void told_add(struct buf *out, const struct config *start, const struct config *config)
{
    struct json_writer writer = json_writer(out);
    struct config plain;
    const struct telling telling = {start, config, &plain};
    config_init(&plain);
    json_object_begin(&writer);
    json_name(&writer, "file");
    if (config->path && utf8_valid(str_from(config->path)))
        json_add_string(&writer, str_from(config->path));
    else
        json_add_null(&writer);
    json_name(&writer, "keys");
    json_array_begin(&writer);
    for (size_t i = 0; i < keys_count; i++)
        if (!key_is_of_item(str_from(keys[i].name)))
            add_key(&writer, &keys[i], &telling);
    json_array_end(&writer);
    json_object_end(&writer);
    buf_add_char(out, '\n');
    config_free(&plain);
}
