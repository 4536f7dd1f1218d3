#include "server/config_walk.h"

#include <stdio.h>

enum { PATH_LEN_MAX = 200 };

void walk_fault(struct config_walk *walk, struct yaml_value at, struct str name, const char *what)
{
    char text[PATH_LEN_MAX];
    struct place place = yaml_place(at);
    snprintf(text, sizeof(text), "%.*s", STR_FMT(name));
    faults_add(walk->faults, &place, text, "%s", what);
}

void walk_note_secret_file(struct config_walk *walk, const struct key *key, struct str text)
{
    const struct str prefix = STR("file:");
    const char *path = text.at + prefix.len;
    if (key->secret && str_starts(text, prefix))
        buf_add(&walk->config->secret_files, (const char *)&path, sizeof(path));
}

static void read_scalar(struct config_walk *walk, const struct key *key,
                        const struct walk_entry *entry, void *base)
{
    struct place place = yaml_place(entry->key);
    struct buf right = {0};
    enum yaml_kind kind = yaml_kind(entry->value);
    if (kind == YAML_TEXT) {
        walk_note_secret_file(walk, key, yaml_text(entry->value));
        (void)key_set(key, base, yaml_text(entry->value), &place, walk->faults);
        return;
    }
    key_expects(key, &right);
    faults_add(walk->faults, &place, key->name,
               kind == YAML_NOTHING ? "there is nothing behind it; it takes %.*s, or is left out"
                                    : "holds a list or keys, but takes %.*s",
               STR_FMT(buf_str(&right)));
    buf_free(&right);
}

size_t walk_items(struct yaml_value value)
{
    return yaml_kind(value) == YAML_TEXT ? 1 : yaml_count(value);
}

struct yaml_value walk_item(struct yaml_value value, size_t n)
{
    return yaml_kind(value) == YAML_TEXT ? value : yaml_item(value, n);
}

/* Whether the value is a list that is not too long. An empty value sets nothing. */
static bool is_list(struct config_walk *walk, const struct key *key, const struct walk_entry *entry)
{
    struct place place = yaml_place(entry->key);
    enum yaml_kind kind = yaml_kind(entry->value);
    if (kind == YAML_LIST && yaml_count(entry->value) <= key->items_max)
        return true;
    if (key->single && kind == YAML_TEXT)
        return true;
    if (key->single && kind == YAML_NOTHING)
        faults_add(walk->faults, &place, key->name,
                   "there is nothing behind it; it takes a text or a list, or is left out");
    else if (kind != YAML_NOTHING)
        faults_add(walk->faults, &place, key->name, "is a list of at most %zu: %s", key->items_max,
                   kind == YAML_LIST ? "this one is longer"
                                     : "put each item on a line of its own behind a dash, or all "
                                       "into [ ] with commas");
    return false;
}

bool walk_is_text(struct config_walk *walk, const struct key *key, struct yaml_value item)
{
    if (yaml_kind(item) == YAML_TEXT)
        return true;
    walk_fault(walk, item, str_from(key->name), "an item of this list is a single value");
    return false;
}

bool walk_is_map(struct config_walk *walk, struct yaml_value item, const struct key *key)
{
    if (yaml_kind(item) == YAML_MAP)
        return true;
    walk_fault(walk, item, str_from(key->name),
               "an item of this list holds keys, as in {KEY: VALUE}");
    return false;
}

void walk_texts(struct config_walk *walk, const struct key *key, const struct walk_entry *entry,
                void *base, const char *(*take)(void *base, struct str text))
{
    char quoted[120];
    for (size_t i = 0; i < walk_items(entry->value); i++) {
        struct yaml_value item = walk_item(entry->value, i);
        struct place place = yaml_place(item);
        if (!walk_is_text(walk, key, item))
            continue;
        const char *why = take(base, yaml_text(item));
        if (why)
            faults_add(walk->faults, &place, key->name, "%s %s",
                       faults_quote(quoted, sizeof(quoted), yaml_text(item)), why);
    }
}

struct place walk_place_of(const void *context, struct str setting)
{
    const struct yaml_value *map = context;
    for (size_t i = 0; i < yaml_count(*map); i++) {
        struct yaml_value key = yaml_key(*map, i);
        if (yaml_kind(key) == YAML_TEXT && str_eq(yaml_text(key), setting))
            return yaml_place(key);
    }
    return yaml_place(*map);
}

static void read_list(struct config_walk *walk, const struct key *key,
                      const struct walk_entry *entry, void *base)
{
    if (!is_list(walk, key, entry))
        return;
    for (size_t i = 0; i < walk->lists_count; i++)
        if (strcmp(walk->lists[i].name, key->name) == 0)
            walk->lists[i].read(walk, key, entry, base);
}

static void refuse_unknown(struct config_walk *walk, const struct walk_entry *entry)
{
    char sentence[200];
    struct str nearest = key_nearest(entry->name);
    if (nearest.len)
        snprintf(sentence, sizeof(sentence), "is not a key; did you mean %.*s?", STR_FMT(nearest));
    else
        snprintf(sentence, sizeof(sentence),
                 "is not a key: `freshet help configuration` lists all of them");
    walk_fault(walk, entry->key, entry->name, sentence);
}

/* The full names of the table are joined by dots. A dot in a name of the file would lead to a key
 * of another mapping, whose value has no room in `base`. */
static const char *fault_of_name(struct str key, size_t path_len)
{
    if (memchr(key.at, '.', key.len))
        return "has a dot: each part is a key of its own, as in limits: {body_max: 1MiB}";
    if (memchr(key.at, '\0', key.len))
        return "is not a key: its name holds a byte that is zero";
    return path_len + 1 + key.len < PATH_LEN_MAX
               ? NULL
               : "is not a key: `freshet help configuration` lists all of them";
}

static void read_section(struct config_walk *walk, const struct walk_entry *entry, void *base)
{
    enum yaml_kind kind = yaml_kind(entry->value);
    if (kind == YAML_MAP)
        walk_map(walk, entry->value, entry->name, base);
    else if (kind != YAML_NOTHING)
        walk_fault(walk, entry->key, entry->name, "holds keys of its own, each on a line below it");
}

static void read_entry(struct config_walk *walk, const struct walk_entry *entry, void *base)
{
    const struct key *key = key_find(entry->name);
    if (!yaml_count(entry->value))
        walk->on_empty(walk, entry, base);
    if (key && key->kind == KEY_LIST)
        read_list(walk, key, entry, base);
    else if (key)
        read_scalar(walk, key, entry, base);
    else if (key_is_section(entry->name))
        read_section(walk, entry, base);
    else
        refuse_unknown(walk, entry);
}

static bool is_there_before(struct yaml_value map, size_t n)
{
    struct str name = yaml_text(yaml_key(map, n));
    for (size_t i = 0; i < n; i++) {
        struct yaml_value key = yaml_key(map, i);
        if (yaml_kind(key) == YAML_TEXT && str_eq(yaml_text(key), name))
            return true;
    }
    return false;
}

/* A file with more keys than the table must hold a duplicate or an unknown key. The bound keeps a
 * file with a million keys from being compared with itself. */
static bool has_too_many(struct config_walk *walk, struct yaml_value map, struct str path)
{
    if (yaml_count(map) <= keys_count)
        return false;
    walk_fault(walk, map, path, "holds more keys than there are");
    return true;
}

void walk_map(struct config_walk *walk, struct yaml_value map, struct str path, void *base)
{
    if (has_too_many(walk, map, path))
        return;
    for (size_t i = 0; i < yaml_count(map); i++) {
        char name[PATH_LEN_MAX];
        struct walk_entry entry = {yaml_key(map, i), yaml_value_of(map, i), STR_NONE};
        if (yaml_kind(entry.key) != YAML_TEXT) {
            walk_fault(walk, entry.key, path, "a key is a name, as in KEY: VALUE");
            continue;
        }
        struct str key = yaml_text(entry.key);
        const char *wrong = fault_of_name(key, path.len);
        snprintf(name, sizeof(name), "%.*s%s%.*s", STR_FMT(path), path.len ? "." : "",
                 STR_FMT(key));
        entry.name = str_from(name);
        if (wrong)
            walk_fault(walk, entry.key, entry.name, wrong);
        else if (is_there_before(map, i))
            walk_fault(walk, entry.key, entry.name, "is there twice");
        else
            read_entry(walk, &entry, base);
    }
}
