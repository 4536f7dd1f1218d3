/* The specification of a webhook by its owner: read from JSON, checked, stored as text. */
#pragma once

#include "webhooks/progress/registry.h"
#include "webhooks/endpoint/schedule.h"
#include "subscribe/start.h"
#include "subscribe/subscription.h"

enum {
    SPEC_URL_MAX = 2048,
    SPEC_DESCRIPTION_MAX = 500,
    SPEC_HEADERS_MAX = 20,
    SPEC_HEADER_VALUE_MAX = 1024,
    SPEC_BATCH_MAX = 1000,
    SPEC_CONCURRENCY_MAX = 256,
    SPEC_TIMEOUT_MAX_S = 60,
};

/* Members of the JSON object, as bits. */
enum spec_member {
    SPEC_URL = 1,
    SPEC_CHANNELS = 2,
    SPEC_TYPES = 4,
    SPEC_DESCRIPTION = 8,
    SPEC_HEADERS = 16,
    SPEC_AFTER = 32,
    SPEC_SECRET = 64,
    SPEC_VERIFY = 128,
    SPEC_STATE = 256,
    SPEC_ORDERED = 512,
    SPEC_FORMAT = 1024,
    SPEC_BATCH = 2048,
    SPEC_CONCURRENCY = 4096,
    SPEC_TIMEOUT = 8192,
    SPEC_SCHEDULE = 16384,
    SPEC_ASYMMETRIC = 32768,
};
enum {
    SPEC_OPTIONS = SPEC_ORDERED | SPEC_FORMAT | SPEC_BATCH | SPEC_CONCURRENCY | SPEC_TIMEOUT |
                   SPEC_SCHEDULE | SPEC_ASYMMETRIC,
    SPEC_CREATE = SPEC_URL | SPEC_CHANNELS | SPEC_TYPES | SPEC_DESCRIPTION | SPEC_HEADERS |
                  SPEC_AFTER | SPEC_SECRET | SPEC_VERIFY | SPEC_OPTIONS,
    SPEC_CHANGE = SPEC_URL | SPEC_CHANNELS | SPEC_TYPES | SPEC_DESCRIPTION | SPEC_HEADERS |
                  SPEC_STATE | SPEC_OPTIONS,
    SPEC_ROTATE = SPEC_SECRET | SPEC_ASYMMETRIC,
};

enum spec_verify { SPEC_VERIFY_NONE, SPEC_VERIFY_PING, SPEC_VERIFY_CE, SPEC_VERIFY_SLACK };

/* Texts are owned and end with a zero; NULL when not said. */
struct spec {
    unsigned has; /* enum spec_member */
    char *url;
    char *channels; /* a JSON array */
    char *types;    /* a JSON array */
    char *description;
    char *headers; /* a JSON object */
    struct sign_key key;
    struct position from;
    enum spec_verify verify;
    char *schedule;                  /* a JSON array of seconds */
    struct endpoint_options options; /* options that `has` names */
    struct sign_pair pair;           /* with options.wants_pair; unset when it is to be made */
    bool paused;                     /* by "state" */
};

/* Reads a JSON object with some of the members `allowed`, and all of those `needed`. True, or false
 * with what would be right in `*ret_why`, static or in `room`; the spec is freed then. */
bool spec_read(struct str json, unsigned allowed, unsigned needed, struct spec *ret,
               struct buf *room, const char **ret_why);
void spec_free(struct spec *spec);

/* Puts the options that the spec has into `options`. NULL, or what would be right, when they do not
 * go together. */
const char *spec_options(const struct spec *spec, struct endpoint_options *options);

/* Reads what was kept as a schedule; an empty text leaves `schedule` as it is. */
void spec_schedule(const char *text, struct schedule *schedule);

/* The host of a URL that a webhook may have: http or https, visible ASCII, no user, no zone, and a
 * host and port that a connection can be made to (see address_host_possible()). NULL when it is
 * none, else to be given to free(). An IPv4 address in any of its spellings (2130706433, 0x7f.1)
 * comes out as four decimals. */
char *spec_url_host(const char *url);

/* The selection that the texts of two arrays name; NULL when there is no memory. */
struct selection *spec_selection(const char *channels, const char *types);

/* Calls `each` with every header, its name and its value. */
void spec_each_header(const char *headers,
                      void (*each)(void *context, const char *name, const char *value),
                      void *context);
