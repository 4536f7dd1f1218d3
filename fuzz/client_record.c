/* Feeds what a server says to the client's readers of it: records, pages, gaps, problems, receipts.
 * Nothing may crash or read too far, all results lie within the text, and nothing that is shown to
 * people orders about their terminal. */
#include "require.h"

#include "base/utf8.h"
#include "base/visible.h"
#include "client/lib/record.h"

#include <errno.h>
#include <string.h>

static bool lies_in(struct str part, struct str text)
{
    return !part.len || (part.at >= text.at && part.at + part.len <= text.at + text.len);
}

/* Whether a terminal takes nothing of it for an order; tabs and ends of lines are none. */
static bool is_visible(struct str text, bool is_line)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool of_lines = !is_line && (c == '\n' || c == '\t' || c == '\r');
        if ((c < 0x20 && !of_lines) || c == 0x7f)
            return false;
        if (c == 0xc2 && i + 1 < text.len && (unsigned char)text.at[i + 1] < 0xa0)
            return false;
    }
    return utf8_valid(text);
}

static void check_shown(struct str text)
{
    struct buf once = {0}, twice = {0};
    visible_add(&once, text);
    require(is_visible(buf_str(&once), false));
    visible_add(&twice, buf_str(&once));
    require(str_eq(buf_str(&once), buf_str(&twice)));
    buf_clear(&once);
    buf_add_str(&once, text);
    if (once.len)
        visible_blank(once.at, once.len);
    require(once.len == text.len && is_visible(buf_str(&once), true));
    buf_free(&once);
    buf_free(&twice);
}

static void check_record(const struct record *record, struct str text)
{
    const struct str parts[] = {record->cursor, record->envelope, record->type, record->problem};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        require(lies_in(parts[i], text));
    require(!record->cursor.len || record_is_cursor(record->cursor));
    struct buf data = {0};
    int result = record->envelope.len ? record_data(record->envelope, &data) : 0;
    require(result == 0 || result == -EINVAL);
    buf_free(&data);
}

static void check_page(struct str text)
{
    struct record_page page;
    struct record event;
    size_t pos = 0, count = 0;
    if (record_read_page(text, &page))
        return;
    require(lies_in(page.events, text) && record_is_cursor(page.cursor));
    for (; record_next_event(&page, &pos, &event); count++)
        check_record(&event, text);
    require(count <= text.len);
}

static void check_words(struct str text)
{
    struct buf words = {0};
    record_add_problem(text, &words);
    require(is_visible(buf_str(&words), true));
    buf_clear(&words);
    record_add_control(&words, "$gap", text);
    require(is_visible(buf_str(&words), true));
    buf_clear(&words);
    if (!record_receipt_id(text, &words))
        require(record_is_cursor(buf_str(&words)));
    buf_free(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    require(copy);
    memcpy(copy, data, size);
    const struct str text = {copy, size};
    const struct record record = record_read(text);
    struct str cursor, told;
    check_record(&record, text);
    check_page(text);
    if (!record_read_gap(text, &cursor, &told))
        require(record_is_cursor(cursor) && record_is_cursor(told));
    check_words(text);
    check_shown(text);
    free(copy);
    return 0;
}
