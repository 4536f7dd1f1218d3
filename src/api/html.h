/* Parts of the pages in HTML that handlers write: errors, and refusals of what a browser opens. */
#pragma once

#include "http/response.h"

/* Adds the fields that browsers must know of a page: it loads and asks for nothing from elsewhere.
 * `page` is its text, whose styles are allowed; empty for what is no page. */
void html_add_fields(struct response *response, struct str page);

/* Adds text from outside. */
void html_add_escaped(struct buf *out, struct str text);

/* Adds all up to the header of the page, with the links to the other pages. `base` is the path
 * under which the API hangs. */
void html_add_head(struct buf *out, struct str base, struct str title);

/* Adds a heading, and a paragraph of escaped text below it. */
void html_add_part(struct buf *out, const char *heading, struct str text);
