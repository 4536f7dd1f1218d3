/* Grants as JSON, as keys and the API have them:
 * [{"channels": ["news"], "may": ["read", "publish"]}]. */
#pragma once

#include "access/grant.h"
#include "base/json_writer.h"

#include <jansson.h>

/* Grants that were read. The patterns are borrowed from the JSON. */
struct grant_list {
    struct grant grants[GRANTS_MAX];
    size_t count;
    struct str *patterns; /* owned, of all grants */
};

/* Reads a list; deinit it in any case. NULL, or the sentence that says what would be right, in
 * static memory. A member that is not known might restrict its grant, so it is refused. */
const char *grant_list_read(const json_t *list, struct grant_list *ret);
void grant_list_deinit(struct grant_list *list);

/* Writes grants as a value. */
void grants_write(struct json_writer *writer, const struct grant *grants, size_t count);
