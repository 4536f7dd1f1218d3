/* GET of the files that browsers get: /playground, /freshet.js and what lies below /pages. */
#pragma once

#include "api/api.h"

/* Something that browsers may keep. */
struct page_answer {
    const char *type; /* Content-Type */
    const char *tag;  /* changes with the content */
    struct str parts[RESPONSE_PARTS];
    bool by_accept; /* the header Accept has chosen its type, and Host is in it */
};

/* Answers with it: whole, or 304 if the client has what `tag` stands for. */
void api_pages_respond(struct exchange *exchange, const struct page_answer *answer);

enum { PAGE_TAG_SIZE = 17 };

/* Makes the tag of a content: 16 digits of its hash, as the build makes them for files. */
void api_pages_tag(struct str content, char ret[PAGE_TAG_SIZE]);

/* Answers with the file that the request's path names; /pages itself lists all. */
void api_pages_handle(struct exchange *exchange, struct str rest);

/* For a GET of a path that is nowhere: sends a browser to the page that was meant, if that differs
 * by a slash at the end. False if there is none; then nothing was answered. */
bool api_pages_redirect(struct exchange *exchange);
