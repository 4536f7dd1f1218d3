/* The configuration's keys as one table: the type of each, its least and greatest value, its
 * default, its place in memory, and its meaning. The file, the command line, `freshet help
 * configuration` and the lint of docs/configuration.md all use it. */
#pragma once

#include "base/number.h"
#include "server/faults.h"

enum key_kind {
    KEY_NUMBER,  /* in `unit` */
    KEY_BOOLEAN, /* bool */
    KEY_TEXT,    /* const char *, or struct str */
    KEY_LIST,    /* elements are described by the other columns; config_walk.h says how */
};

struct key {
    const char *name; /* a full name, `limits.body_max` */
    enum key_kind kind;
    enum number_unit unit;
    uint64_t least;    /* least number, or length of a text. 0, if this is 1 or more, stands for the
                        * default */
    uint64_t most;     /* greatest number, or length */
    uint64_t fallback; /* the default; 0: none, or config_init() computes it */
    uint64_t scale;    /* the number is stored multiplied by this */
    size_t at, size;   /* place in struct config, struct namespace_config, struct source_item or
                        * struct issuer_item */
    size_t items_max;  /* for a list */
    bool single;       /* a text in place of the list stands for a list of it alone */
    bool secret;       /* neither errors nor GET /configuration repeat the text */
    const char *(*check)(const char *text); /* for a text: returns a hint if it is wrong, else
                                             * NULL */
    const char *help;
};

extern const struct key keys[];
extern const size_t keys_count;

/* NULL if there is no such key. */
const struct key *key_find(struct str name);
/* Whether the key belongs to the items of a list, which are structures of their own. */
bool key_is_of_item(struct str name);
/* Whether there are keys that begin with `name` and a dot. */
bool key_is_section(struct str name);
/* The most similar name of a key or a section, for a "did you mean"; empty if none is near. */
struct str key_nearest(struct str name);

/* Reads `text`, which ends with a zero, by the key's type. Returns true with the value, or false
 * after adding a fault. The number 0 stands for the default if the key's least value is not 0. */
bool key_read_number(const struct key *key, struct str text, const struct place *place,
                     struct faults *faults, uint64_t *ret);
bool key_check_text(const struct key *key, struct str text, const struct place *place,
                    struct faults *faults);
/* Reads a text of any type but a list, and stores it. */
bool key_set(const struct key *key, void *base, struct str text, const struct place *place,
             struct faults *faults);

/* Adds a description of right values: `a size in bytes from 1 to 1GiB, as in 65536 or 64KiB`. */
void key_expects(const struct key *key, struct buf *out);

/* Stores the defaults of all keys of struct config. */
void keys_set_defaults(void *config);
/* The same for an item of a list; `prefix` is that of its keys, such as `tokens.`. */
void keys_set_item_defaults(struct str prefix, void *item);

/* Writes a line for each key: name, unit, least, greatest, default, and meaning. */
void keys_print(struct buf *out);
