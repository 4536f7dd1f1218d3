/* Reads a YAML file that is to hold one document and no more, as a tree of texts, lists and
 * mappings that know their lines. What a text means is the reader's business. */
#pragma once

#include "server/faults.h"

/* A configuration is not larger than this. */
enum { YAML_FILE_MAX = 4 << 20 };

struct yaml_file;

enum yaml_kind {
    YAML_NOTHING, /* a key with nothing behind it, null, ~; the root of an empty file */
    YAML_TEXT,
    YAML_LIST,
    YAML_MAP,
};

/* A value in a file, by number; borrowed from the file. */
struct yaml_value {
    const struct yaml_file *file;
    int node;
};

/* Opens the file. 0, or -EINVAL with a fault that says what is wrong and in which line: it cannot
 * be read, is larger than YAML_FILE_MAX, is not YAML, or has a second document, of which whoever
 * reads the first would not know. `path` is borrowed. */
int yaml_file_open(const char *path, struct yaml_file **ret_file, struct faults *faults);
/* NULL is fine. */
void yaml_file_free(struct yaml_file *file);

struct yaml_value yaml_file_root(const struct yaml_file *file);

enum yaml_kind yaml_kind(struct yaml_value value);
struct place yaml_place(struct yaml_value value);
/* Of a YAML_TEXT; ends with a zero, and may hold others. */
struct str yaml_text(struct yaml_value value);

/* How many items a list has, or keys a mapping. */
size_t yaml_count(struct yaml_value value);
struct yaml_value yaml_item(struct yaml_value list, size_t n);
struct yaml_value yaml_key(struct yaml_value map, size_t n);
struct yaml_value yaml_value_of(struct yaml_value map, size_t n);
