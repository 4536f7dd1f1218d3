/* The JSON of large bodies and messages, checked a piece at a time before they are handled.
 *
 * A mebibyte may take 5 ms to check. So the connection's turn ends between two pieces, and the
 * handler finds the result here instead of checking again. */
#pragma once

#include "base/json.h"
#include "transport/worker_state.h"

/* Texts of more bytes are checked in pieces. No read brings more at once, so that such a text lies
 * in memory of its own. */
enum { CHECKED_LARGE = 64 << 10 };

/* Continues the check of a text: `*scan` is NULL at first, and the caller's to keep. Returns false
 * if the turn's budget was spent. Without memory there is no check in advance. */
bool checked_go_on(struct worker *worker, struct json_scan **scan, struct str text);

/* Frees `*scan`, after the text was handled or dropped. */
void checked_end(struct worker *worker, struct json_scan **scan);

/* The result for a text, with JSON_DEPTH_LIMIT as the depth: of the check in advance, or of one
 * that is made in `room`. */
const struct json_scan *checked_scan(const struct worker *worker, struct str text,
                                     struct json_scan *room);
