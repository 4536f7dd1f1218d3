/* The keys of the configuration as one table: the type of each, its least and greatest value, its
 * default, where it is stored, and what it is for. The file, the command line, `freshet help
 * configuration` and the lint of docs/configuration.md all go by it. */
#pragma once

#include "base/number.h"
#include "server/faults.h"

enum key_kind {
    KEY_NUMBER,  /* in `unit` */
    KEY_BOOLEAN, /* bool */
    KEY_TEXT,    /* const char *, or struct str */
    KEY_LIST,    /* of what the other columns say; who stores it is in config_file.c */
};

struct key {
    const char *name; /* as `limits.body_max` */
    enum key_kind kind;
    enum number_unit unit;
    uint64_t least;    /* of a number; of a text, its length. 0 below a `least` of 1: the default */
    uint64_t most;     /* the same */
    uint64_t fallback; /* the default; 0: none, or config_init() finds it out */
    uint64_t scale;    /* what is stored is the number times this */
    size_t at, size;   /* where in struct config, struct space_config or struct source_item */
    size_t items_max;  /* of a list */
    const char *(*check)(const char *text); /* of a text: what would be right, or NULL */
    const char *help;
};

extern const struct key keys[];
extern const size_t keys_count;

/* NULL if there is no such key. */
const struct key *key_find(struct str name);
/* Whether there are keys that begin with `name` and a dot. */
bool key_is_section(struct str name);
/* The known name that is most like this one, to be asked for in an error; NULL if none is near. */
const char *key_nearest(struct str name);

/* Puts a number, in the key's unit, where it belongs in `base`. */
void key_store(const struct key *key, void *base, uint64_t number);

/* Reads `text`, which ends with a zero, by the key's type. True and the value, or false after
 * adding a fault. A number that is 0 stands for the default if the key's least is not 0. */
bool key_read_number(const struct key *key, struct str text, const struct place *place,
                     struct faults *faults, uint64_t *ret);
bool key_check_text(const struct key *key, struct str text, const struct place *place,
                    struct faults *faults);
/* Reads a text of any kind but a list and stores it. */
bool key_set(const struct key *key, void *base, struct str text, const struct place *place,
             struct faults *faults);

/* Adds what would be right: `a size in bytes from 1 to 1GiB, as in 65536 or 64KiB`. */
void key_expects(const struct key *key, struct buf *out);

/* Stores the defaults of all keys that are in struct config. */
void keys_set_defaults(void *config);

/* Writes a line for each key: name, unit, least, greatest, default, and what it is for. */
void keys_print(struct buf *out);
