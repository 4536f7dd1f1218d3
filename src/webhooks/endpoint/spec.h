/* The specification of a webhook by its owner: read from JSON, checked, and stored as text. */
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

/* Texts are owned and end with a zero; NULL if the member was not given. */
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
    struct sign_pair pair;           /* with options.wants_pair; not set if a pair is to be made */
    bool paused;                     /* by "state" */
};

/* Reads a JSON object with some of the members `allowed` and all of those `needed`. On false, frees
 * the spec and sets `*ret_why` to what would be right, static or in `room`. */
bool spec_read(struct str json, unsigned allowed, unsigned needed, struct spec *ret,
               struct buf *room, const char **ret_why);
void spec_free(struct spec *spec);

/* Copies the given options into `options`. Returns NULL, or what would be right if they contradict
 * each other. */
const char *spec_options(const struct spec *spec, struct endpoint_options *options);

/* Reads a stored schedule; an empty text leaves `schedule` as it is. */
void spec_schedule(const char *text, struct schedule *schedule);

/* Returns the host of a URL, to be freed, or NULL if a webhook cannot have the URL. It must be http
 * or https, visible ASCII, without user or zone, with a host and port that can be connected to (see
 * address_host_possible()). An IPv4 address in any spelling (2130706433, 0x7f.1) becomes four
 * decimals. */
char *spec_url_host(const char *url);

/* The selection of the channels and types in two stored arrays; NULL if there is no memory. */
struct selection *spec_selection(const char *channels, const char *types);

/* Calls `each` with every header, its name and its value. */
void spec_each_header(const char *headers,
                      void (*each)(void *context, const char *name, const char *value),
                      void *context);
