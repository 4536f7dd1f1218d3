/* A reader of whole HTTP/1.1 responses at the front of received bytes. It does only the work that
 * counting responses needs, since it runs for every publish. */
#pragma once

#include "base/str.h"

struct answer {
    size_t size; /* bytes of the whole response */
    int status;
    struct str head; /* without the empty line */
    struct str body;
};

/* Returns 0, -EAGAIN if the response is not whole yet, or -EPROTO if the bytes are no response or
 * its body has an unknown length: no Content-Length, and a status that allows a body. */
int answer_read(struct str bytes, struct answer *ret);

/* Returns 0 with `ret->size` and `ret->head` of everything before the body, for responses that
 * never end. */
int answer_read_head(struct str bytes, struct answer *ret);

/* The value of a field of the head, by its name in lower case; `at == NULL` if there is none. */
struct str answer_field(struct str head, struct str name);
