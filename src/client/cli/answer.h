/* The server's answers, which are JSON, as tables and lines for people. */
#pragma once

#include "base/buf.h"

struct transfer_answer;

/* Adds the elements of the list `name`, one a line: as rows, or unchanged if `columns` is NULL. */
void answer_add_elements(struct buf *out, struct str body, struct str name,
                         const struct str *columns, size_t count);

/* Says on standard error why `freshet COMMAND` got no answer that it can use: `result` is that of
 * transfer_run(). Returns 1, the command's exit code. */
int answer_explain(const char *command, struct str url, int result,
                   const struct transfer_answer *answer);
