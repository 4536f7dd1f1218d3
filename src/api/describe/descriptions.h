/* The descriptions of this API for programs: /openapi.json and /asyncapi.json. */
#pragma once

#include "base/str.h"

struct exchange;
struct descriptions;

/* Makes the documents; `base` is the path under which the API hangs. NULL if there is no memory. */
struct descriptions *descriptions_new(struct str base);
void descriptions_free(struct descriptions *descriptions);

/* Answer with the documents. */
void descriptions_openapi(struct exchange *exchange, struct str rest);
void descriptions_asyncapi(struct exchange *exchange, struct str rest);
