/* The operations of the API as a table: what each does, takes and answers. The descriptions for
 * programs (OpenAPI, AsyncAPI) and the page /docs are made from it.
 *
 * An operation belongs to a row of the table of routes, and to a method of that row. A test fails
 * on a route or method without an operation, and on an operation without its route. What the server
 * parses by is not said again here: parameters of the query come from the table of the handler, the
 * access from the route, errors from base/problem.h. */
#pragma once

#include "api/api.h"
#include "http/parameters.h"

/* The words for a query parameter. */
struct parameter_doc {
    const char *name;
    const char *doc;
};

/* The parameters of a query, as the handler parses them, with their words. */
struct query_doc {
    struct parameter_table (*table)(void);
    const struct parameter_doc *docs;
    size_t count;
};

/* An answer in one media type. Rows of the same status stand together. */
struct operation_answer {
    int status;          /* 0: no more follow */
    const char *says;    /* of the first row of a status */
    const char *media;   /* NULL: without a body */
    const char *schema;  /* a name in schemas.json; NULL: any text or bytes */
    bool is_stream;      /* a stream of such items */
    const char *headers; /* names in headers.json, separated by blanks; of the first row */
};

enum { OPERATION_ANSWERS_MAX = 8, OPERATION_BODIES_MAX = 3 };

struct operation_body {
    const char *media;
    const char *schema; /* NULL: any bytes */
};

struct operation {
    const char *route;       /* the row of the table of routes */
    enum http_method method; /* HTTP_GET stands for HEAD, too */
    const char *path;        /* {name} stands for a parameter of parameters.json */
    const char *id;
    const char *summary;
    const char *doc;               /* more words, or NULL */
    const char *curl;              /* a line for a shell, against localhost:7070 */
    const struct query_doc *query; /* NULL: none */
    const char *headers;           /* names in parameters.json, separated by blanks */
    const char *required;          /* parameters of the query that must be there, likewise */
    struct operation_body bodies[OPERATION_BODIES_MAX]; /* `media` NULL: no more follow */
    bool may_lack_body;
    struct operation_answer answers[OPERATION_ANSWERS_MAX];
    uint64_t problems; /* 1 << enum problem: those that belong to this operation */
};

_Static_assert(PROBLEM_COUNT <= 64, "a problem is a bit");

#define PROBLEM_BIT(name) (UINT64_C(1) << PROBLEM_##name)

/* The operations that people do for one purpose; a chapter of /docs. */
struct task {
    const char *name;
    const char *doc;
    const struct operation *operations;
    size_t count;
};

extern const struct task task_publish, task_read, task_presence, task_webhooks, task_websub,
    task_access, task_watch, task_learn;

/* All of them, in the order in which they are described; ends with NULL. */
extern const struct task *const tasks[];

/* The problems that any request can meet. */
extern const uint64_t problems_of_all;

/* The row of the table of routes; NULL if there is none. */
const struct api_route *operation_route(const struct operation *operation);

/* The documents that are embedded at build time (see CMakeLists.txt): members of JSON objects. */
extern const struct str describe_schemas, describe_parameters, describe_headers;
