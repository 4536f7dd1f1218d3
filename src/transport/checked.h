/* The JSON of large bodies and messages, checked a piece at a time before they are handled.
 *
 * A mebibyte may take 5 ms to check. So the connection's turn ends between two pieces, and the
 * handler finds the result here instead of checking again. */
#pragma once

#include "base/json.h"
#include "transport/worker_state.h"

/* Texts of more bytes are checked in pieces. A single read never brings more, so such a text lies
 * in a buffer of its own. */
enum { CHECKED_LARGE = 64 << 10 };

/* Continues the check of a text. `*scan` is NULL at first; the caller keeps it. Returns false if
 * the turn's budget was spent. Without memory the handler checks the text itself. */
bool checked_go_on(struct worker *worker, struct json_scan **scan, struct str text);

/* Frees `*scan`, after the text was handled or dropped. */
void checked_end(struct worker *worker, struct json_scan **scan);

/* The result of the check: the one made in advance, or one made now in `room`, with
 * JSON_DEPTH_LIMIT as the depth. A check that is made now is noted in `notes`, which have begun;
 * NULL: no notes are wanted. */
const struct json_scan *checked_scan(const struct worker *worker, struct str text,
                                     struct json_scan *room, struct json_notes *notes);
