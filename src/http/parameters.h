/* A strict reader of queries: a route declares its parameters in a table, and all else is a fault.
 *
 * A parameter that is ignored in silence changes the meaning of a request: `?afer=ID` would begin
 * at another place and lose events, `?ephemeral=false` would lose the event. So only the parameters
 * of the table are allowed, and a fault names the parameter, the text that was found, and a text
 * that would be right. Only names that begin with `_` or `utm_` are ignored, since caches and
 * mailing programs add these to links. `token` is a credential and no parameter of any route: it is
 * skipped, so that no link and no fault repeats it. */
#pragma once

#include "base/buf.h"

enum parameter_kind {
    PARAMETER_TEXT,    /* `least` to `most` bytes, unless `most` is 0; else the route checks the
                        * value */
    PARAMETER_BOOLEAN, /* 0, 1, true or false */
    PARAMETER_NUMBER,  /* decimal, `least` to `most` */
    PARAMETER_ID,      /* an event id: 1 to 16 digits, `least` to `most` */
    PARAMETER_WORD,    /* a member of `words` */
};

/* A row of the table: a parameter of a route. */
struct parameter {
    struct str name;
    enum parameter_kind kind;
    bool repeats;         /* may come more than once */
    bool any_case;        /* upper and lower case are the same in `name` and `also` */
    uint64_t least, most; /* bounds, see the kinds */
    const char *words;    /* separated by blanks */
    const char *right;    /* the description of a right value in a fault; NULL: that of the kind */
    const char *hint;     /* added behind that description; may be NULL */
    const char *example;  /* an example of a right value */
    struct str also;      /* a second name of the parameter */
    const char *meant;    /* names of this parameter in other servers, for a hint; separated by
                           * blanks, NULL: none */
};

struct parameter_table {
    const struct parameter *rows; /* at most 32 */
    size_t count;
};

/* A query that is being read. */
struct parameters {
    struct parameter_table table;
    struct str rest;
    uint32_t given;             /* rows that were found, a bit each */
    const struct parameter *at; /* the row of the fault; NULL if there is none */
    struct buf value;           /* the value that was decoded last */
    struct buf fault;           /* a sentence for people */
};

/* `row` of a parameter that is ignored. */
enum { PARAMETER_IGNORED = 32 };

struct parameter_found {
    unsigned row;
    struct str name_raw;
    struct str value_raw;
    struct str value; /* decoded; valid until the next parameter is read */
    uint64_t number;  /* a number, an id, 0 or 1, or the index of the word */
};

void parameters_begin(struct parameters *parameters, struct parameter_table table,
                      struct str query);

/* Reads the next parameter. Returns 1, 0 at the end, -EINVAL with `fault`, or -ENOMEM. */
int parameters_next(struct parameters *parameters, struct parameter_found *ret);

void parameters_end(struct parameters *parameters);

/* Adds the fault of a value that only the route could check. */
void parameters_add_fault(struct buf *out, const struct parameter *row, struct str value);
