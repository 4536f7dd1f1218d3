#include "client/cli/answer.h"

#include "base/json.h"
#include "base/visible.h"
#include "client/lib/transfer.h"

#include <stdio.h>

static void add_cell(struct buf *out, struct str value)
{
    size_t start = out->len;
    if (!value.len || str_eq(value, STR("null")))
        buf_add_char(out, '-');
    else if (value.at[0] != '"' || json_unescape(value, out))
        buf_add_str(out, value);
    if (!buf_failed(out))
        visible_blank(buf_from(out, start), out->len - start);
}

/* Adds a row of these members, separated by tabs: strings without their quotes, and without
 * characters that a terminal or a table would interpret. */
static void add_row(struct buf *out, struct str object, const struct str *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(out, '\t');
        add_cell(out, json_find(object, columns[i]));
    }
}

void answer_add_elements(struct buf *out, struct str body, struct str name,
                         const struct str *columns, size_t count)
{
    struct str list = json_find(body, name), key, value;
    for (size_t pos = 0; list.len && json_next(list, &pos, &key, &value);) {
        if (columns)
            add_row(out, value, columns, count);
        else
            buf_add_str(out, value);
        buf_add_char(out, '\n');
    }
}

int answer_explain(const char *command, struct str url, int result,
                   const struct transfer_answer *answer)
{
    struct buf why = {0};
    if (result == TRANSFER_STOPPED)
        buf_add_lit(&why, "interrupted");
    else if (result)
        buf_addf(&why, "%.*s: %s", STR_FMT(url), answer->error);
    else
        transfer_explain(answer, &why);
    if (answer->advice)
        buf_add_str(&why, str_from(answer->advice));
    fprintf(stderr, "freshet %s: %.*s\n", command, STR_FMT(buf_str(&why)));
    buf_free(&why);
    return 1;
}
