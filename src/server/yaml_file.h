/* A reader of YAML files with a single document: a tree of texts, lists and mappings that know
 * their lines. The meaning of a text is up to the caller. */
#pragma once

#include "server/faults.h"

/* Most bytes of a configuration file. */
enum { YAML_FILE_MAX = 4 << 20 };

struct yaml_file;

enum yaml_kind {
    YAML_NOTHING, /* a key without a value, null, ~; the root of an empty file */
    YAML_TEXT,
    YAML_LIST,
    YAML_MAP,
};

/* A value in a file, by number; borrowed from the file. */
struct yaml_value {
    const struct yaml_file *file;
    int node;
};

/* Opens the file. Returns 0, or -EINVAL with a fault that names the error and its line: the file
 * cannot be read, is larger than YAML_FILE_MAX, is not YAML, or has a second document, which would
 * be ignored. `path` is borrowed. */
int yaml_file_open(const char *path, struct yaml_file **ret_file, struct faults *faults);
/* `file` may be NULL. */
void yaml_file_free(struct yaml_file *file);

struct yaml_value yaml_file_root(const struct yaml_file *file);

enum yaml_kind yaml_kind(struct yaml_value value);
struct place yaml_place(struct yaml_value value);
/* The text of a YAML_TEXT; ends with a zero, and may contain others. */
struct str yaml_text(struct yaml_value value);

/* The number of items of a list, or of keys of a mapping. */
size_t yaml_count(struct yaml_value value);
struct yaml_value yaml_item(struct yaml_value list, size_t n);
struct yaml_value yaml_key(struct yaml_value map, size_t n);
struct yaml_value yaml_value_of(struct yaml_value map, size_t n);
