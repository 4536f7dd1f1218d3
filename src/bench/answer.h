/* Reads one whole HTTP/1.1 answer from the front of what a connection has brought: as little as
 * counting answers needs, since it is done for every publish. */
#pragma once

#include "base/str.h"

struct answer {
    size_t size; /* bytes of the whole answer */
    int status;
    struct str head; /* without the empty line */
    struct str body;
};

/* 0; -EAGAIN when it is not whole yet; -EPROTO when it is no answer, or one whose body has neither
 * a Content-Length nor is ruled out by its status. */
int answer_read(struct str bytes, struct answer *ret);

/* 0, and `ret->size` and `ret->head` with everything up to the body; for answers that never end. */
int answer_read_head(struct str bytes, struct answer *ret);

/* The value of a field of the head, by its name in lower case; `at == NULL` when there is none. */
struct str answer_field(struct str head, struct str name);
