/* Strict reader of queries: a route declares its parameters in a table, and all else is a fault.
 *
 * A parameter that is passed over in silence changes what a request means: `?afer=ID` would begin
 * at another place and lose events, `?ephemeral=false` would lose the event. So the table decides
 * alone what may be said, and a fault names the parameter, what was found, and what would be right.
 * Only names that begin with `_` or `utm_` are passed over, since caches and mailing programs add
 * these to the links of others. */
#pragma once

#include "base/buf.h"

enum parameter_kind {
    PARAMETER_TEXT,    /* `least` to `most` bytes, unless `most` is 0; else the route's to judge */
    PARAMETER_BOOLEAN, /* 0, 1, true or false */
    PARAMETER_NUMBER,  /* decimal, `least` to `most` */
    PARAMETER_ID,      /* of an event: 1 to 16 digits, `least` to `most` */
    PARAMETER_WORD,    /* one of `words` */
};

/* A table's row: one parameter of a route. */
struct parameter {
    struct str name;
    enum parameter_kind kind;
    bool repeats;         /* may be there more than once */
    bool any_case;        /* `name` and `also` are written in any case */
    uint64_t least, most; /* see the kinds */
    const char *words;    /* parted by blanks */
    const char *right;    /* what a fault says is right; NULL: the kind tells it */
    const char *example;  /* a right value */
    struct str also;      /* another name of it */
    const char *meant;    /* names of other servers that mean it, parted by blanks; NULL: none */
};

struct parameter_table {
    const struct parameter *rows; /* at most 32 */
    size_t count;
};

/* A query that is being read. */
struct parameters {
    struct parameter_table table;
    struct str rest;
    uint32_t given;             /* rows that were there, a bit each */
    const struct parameter *at; /* the row that a fault is about; NULL when there is none */
    struct buf value;           /* what was decoded last */
    struct buf fault;           /* one sentence for people */
};

/* `row` of a parameter that is passed over. */
enum { PARAMETER_IGNORED = 32 };

struct parameter_found {
    unsigned row;
    struct str name_raw;
    struct str value_raw;
    struct str value; /* decoded; good until the next one is read */
    uint64_t number;  /* a number, an id, 0 or 1, or which of the words */
};

void parameters_begin(struct parameters *parameters, struct parameter_table table,
                      struct str query);

/* Reads the next parameter. 1, 0 at the end, -EINVAL with `fault`, or -ENOMEM. */
int parameters_next(struct parameters *parameters, struct parameter_found *ret);

void parameters_end(struct parameters *parameters);

/* Adds the fault of a value that only the route could judge. */
void parameters_add_fault(struct buf *out, const struct parameter *row, struct str value);
