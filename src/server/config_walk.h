/* The walk over the configuration file, a tree of texts (yaml_file.h).
 *
 * A mapping is walked key by key: the names on the way make the full name, such as
 * `limits.body_max`, and the table of keys describes it. The table alone says how to read and store
 * a scalar (keys.h). A list is stored by a function of its own, which the caller hands over; a list
 * of mappings is walked with its current item as the base of the keys.
 *
 * Nothing ends the walk: each fault is reported with its line, and the next key is read. The result
 * may therefore be incomplete, so the caller must look at the faults first. All of this runs once,
 * before threads are started. The depth of the walk is that of the table, not of the file. */
#pragma once

#include "server/config.h"
#include "server/faults.h"
#include "server/keys.h"
#include "server/yaml_file.h"

struct config_walk;

/* A key and its value. Faults of an empty value tell the key's line: it has none of its own. */
struct walk_entry {
    struct yaml_value key, value;
    struct str name; /* the full name */
};

/* Stores a list, which is not longer than `key` allows, in `base`: the configuration, or an item of
 * the list around it. */
typedef void list_reader(struct config_walk *walk, const struct key *key,
                         const struct walk_entry *entry, void *base);

struct list_row {
    const char *name; /* of the key */
    list_reader *read;
};

struct config_walk {
    struct config *config;
    struct faults *faults;
    const struct list_row *lists;
    size_t lists_count;
    /* An entry has nothing behind it, or an empty list or mapping. */
    void (*on_empty)(struct config_walk *walk, const struct walk_entry *entry, void *base);
};

/* Reads all keys of a mapping; `path` is its full name. */
void walk_map(struct config_walk *walk, struct yaml_value map, struct str path, void *base);

void walk_fault(struct config_walk *walk, struct yaml_value at, struct str name, const char *what);

/* ---- for the readers of lists ---------------------------------------------------------------- */

/* The items of a value: those of a list, or a text itself. */
size_t walk_items(struct yaml_value value);
struct yaml_value walk_item(struct yaml_value value, size_t n);

/* Whether the item of a list is a text, or a mapping; else adds a fault. */
bool walk_is_text(struct config_walk *walk, const struct key *key, struct yaml_value item);
bool walk_is_map(struct config_walk *walk, struct yaml_value item, const struct key *key);

/* Reads a list of texts: `take` takes each into `base`, or returns what is wrong with it. */
void walk_texts(struct config_walk *walk, const struct key *key, const struct walk_entry *entry,
                void *base, const char *(*take)(void *base, struct str text));

/* Notes the file of a text `file:PATH` if the key is secret: nobody else may read it. */
void walk_note_secret_file(struct config_walk *walk, const struct key *key, struct str text);

/* The place of a setting in the mapping `context`, a struct yaml_value; that of the mapping if the
 * setting is absent. */
struct place walk_place_of(const void *context, struct str setting);
